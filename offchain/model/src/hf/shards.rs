//! Safetensors files, mapped: one, or as many as an index names.

use super::{GgmlType, HfError, read_json};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs::File,
    ops::Range,
    path::{Component, Path},
};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const EXTENSION: &str = "safetensors";
/// Most shards of a checkpoint: each is a mapped file.
const MAX_SHARDS: usize = 1024;

/// A tensor's place.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub(super) ty: GgmlType,
    /// Outermost dimension first.
    pub(super) shape: Vec<u64>,
    shard: usize,
    range: Range<usize>,
}

/// All tensors of a checkpoint.
#[derive(Debug)]
pub(super) struct Shards {
    files: Vec<Mmap>,
    tensors: BTreeMap<String, Tensor>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Shards {
    /// Maps `model.safetensors`, or the shards that `model.safetensors.index.json` names.
    pub(super) fn open(folder: &Path) -> Result<Self, HfError> {
        let mut shards = Self { files: Vec::new(), tensors: BTreeMap::new() };
        if !folder.join(INDEX).exists() {
            for (name, tensor) in shards.map(folder, SINGLE)? {
                shards.tensors.insert(name, tensor);
            }
            return Ok(shards);
        }
        let Index { weight_map } = read_json(&folder.join(INDEX))?;
        let mut by_file: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (tensor, file) in &weight_map {
            if !is_plain_name(file) {
                return Err(HfError::ShardName { tensor: tensor.clone(), file: file.clone() });
            }
            by_file.entry(file).or_default().push(tensor);
        }
        if by_file.len() > MAX_SHARDS {
            return Err(HfError::TooManyShards { found: by_file.len(), limit: MAX_SHARDS });
        }
        for (file, listed) in by_file {
            let mut found = shards.map(folder, file)?;
            for tensor in listed {
                let (name, place) = found
                    .remove_entry(tensor)
                    .ok_or_else(|| HfError::LyingIndex { tensor: tensor.to_owned(), file: file.to_owned() })?;
                shards.tensors.insert(name, place);
            }
            if let Some((tensor, _)) = found.pop_first() {
                return Err(HfError::Unlisted { tensor, file: file.to_owned() });
            }
        }
        Ok(shards)
    }

    /// Maps one more file, and tells what it has.
    fn map(&mut self, folder: &Path, file: &str) -> Result<BTreeMap<String, Tensor>, HfError> {
        let path = folder.join(file);
        let io = |source| HfError::Io { path: path.clone(), source };
        let map = crate::mapped::map(&File::open(&path).map_err(io)?).map_err(io)?;
        let (header, metadata) = SafeTensors::read_metadata(&map)
            .map_err(|error| HfError::SafeTensors { path: path.clone(), reason: error.to_string() })?;
        // The header's length stands in front of it.
        let data = header + size_of::<u64>();
        let mut found = BTreeMap::new();
        for (name, info) in metadata.tensors() {
            let ty = match info.dtype {
                Dtype::F32 => GgmlType::F32,
                Dtype::F16 => GgmlType::F16,
                Dtype::BF16 => GgmlType::Bf16,
                other => return Err(HfError::DType { tensor: name, found: format!("{other:?}") }),
            };
            let (start, end) = info.data_offsets;
            let shape = info.shape.iter().map(|n| *n as u64).collect();
            found.insert(name, Tensor { ty, shape, shard: self.files.len(), range: data + start..data + end });
        }
        self.files.push(map);
        Ok(found)
    }

    /// The tensor called `name`.
    pub(super) fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// All names, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The bytes of rows of `k` values; `None` when the tensor has fewer.
    pub(super) fn rows(&self, tensor: &Tensor, rows: Range<usize>, k: usize) -> Option<&[u8]> {
        let row = k.checked_mul(tensor.ty.block_bytes())?;
        let data = self.files.get(tensor.shard)?.get(tensor.range.clone())?;
        data.get(rows.start.checked_mul(row)?..rows.end.checked_mul(row)?)
    }
}

/// Whether `name` is the name of a safetensors file, without any folder.
fn is_plain_name(name: &str) -> bool {
    let path = Path::new(name);
    let mut parts = path.components();
    let plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    plain && !name.contains('\\') && path.extension().is_some_and(|extension| extension == EXTENSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_folder_are_shards() {
        assert!(is_plain_name("model-00001-of-00002.safetensors"));
        for name in
            ["../model.safetensors", "/model.safetensors", "a/b.safetensors", "./a.safetensors", "a\\b.safetensors"]
        {
            assert!(!is_plain_name(name), "{name}");
        }
        assert!(
            !is_plain_name("model.bin") && !is_plain_name("") && !is_plain_name("..") && !is_plain_name(".safetensors")
        );
    }
}
