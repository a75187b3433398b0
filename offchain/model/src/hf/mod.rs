//! Reader for checkpoints as Hugging Face's libraries write them: a folder with `config.json`, `tokenizer.json` and
//! safetensors, in one file or in shards that an index lists.
//!
//! A folder is not trusted: JSON files are bounded, an index can name only files of the folder itself, and every tensor has
//! to have the shape that the configuration says. A tensor that has no place in the architecture is an error, not ignored:
//! leaving out a bias or a second norm would silently make another model.

mod config;
mod shards;
mod text;

use crate::{
    chat::TextAssets,
    gguf::{GgmlType, dequantise},
    import::{
        ImportError,
        source::{Matrix, Part, Source, all_parts},
    },
};
use blyan_primitives::spec::Dimensions;
use config::{Config, Family};
use serde::de::DeserializeOwned;
use shards::Shards;
use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
};

/// Largest `config.json`, `generation_config.json`, index or tokenizer configuration, in bytes.
pub const MAX_CONFIG: u64 = 16 << 20;

/// Why a checkpoint was refused.
#[derive(Debug, thiserror::Error)]
pub enum HfError {
    /// A file cannot be opened, read or mapped.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A JSON file that is larger than any real one.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: u64,
    },
    /// A file that is not JSON of the right shape.
    #[error("{path} is malformed: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A text file that is not UTF-8.
    #[error("{path} is not UTF-8")]
    Utf8 {
        /// The file.
        path: PathBuf,
    },
    /// A safetensors file that contradicts its own header, or is cut off.
    #[error("{path} is no sound safetensors file: {reason}")]
    SafeTensors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An index that names something other than a safetensors file in the same folder.
    #[error("the index puts tensor '{tensor}' into '{file}', which is no safetensors file of this folder")]
    ShardName {
        /// The tensor.
        tensor: String,
        /// What it names.
        file: String,
    },
    /// An index with more shards than allowed.
    #[error("the index names {found} shards, more than {limit}")]
    TooManyShards {
        /// How many.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// An index that puts a tensor where it is not.
    #[error("the index puts tensor '{tensor}' into '{file}', which does not have it")]
    LyingIndex {
        /// The tensor.
        tensor: String,
        /// The file.
        file: String,
    },
    /// A tensor in a shard that the index does not mention, or in two shards.
    #[error("'{file}' has tensor '{tensor}', which the index does not put there")]
    Unlisted {
        /// The tensor.
        tensor: String,
        /// The file.
        file: String,
    },
    /// A tensor of another type than f32, f16 or bf16.
    #[error("tensor '{tensor}' is {found}; f32, f16 and bf16 are supported")]
    DType {
        /// The tensor.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// A setting of the configuration that canonical execution does not have.
    #[error("config.json: {key} = {found} is not supported")]
    Config {
        /// The setting.
        key: &'static str,
        /// What it says.
        found: String,
    },
    /// A setting that is needed is not there.
    #[error("config.json: {0} is missing")]
    MissingKey(&'static str),
}

/// A checkpoint whose tensors all have their places.
#[derive(Debug)]
pub(crate) struct HfSource {
    folder: PathBuf,
    family: Family,
    dimensions: Dimensions,
    shards: Shards,
}

impl HfSource {
    /// Opens a folder, and checks that it has every tensor of its architecture, in the right shape, and no other.
    pub(crate) fn open(folder: &Path) -> Result<Self, ImportError> {
        let config: Config = read_json(&folder.join("config.json"))?;
        let (family, dimensions) = config.dimensions()?;
        dimensions.check().map_err(ImportError::Spec)?;
        let shards = Shards::open(folder)?;

        let mut used = BTreeSet::new();
        for part in all_parts(&dimensions, family.is_mixture()) {
            let name = tensor_name(part, family);
            let tensor = shards.tensor(&name).ok_or_else(|| ImportError::MissingTensor(name.clone()))?;
            let (rows, k) = part.shape(&dimensions);
            let expected = if part.is_vector() { vec![k as u64] } else { vec![rows as u64, k as u64] };
            if tensor.shape != expected {
                return Err(ImportError::Shape { name, expected, found: tensor.shape.clone() });
            }
            used.insert(name);
        }
        // Some writers store the tied output matrix, or the rotary frequencies, once more.
        let implied = |name: &str| {
            (dimensions.tied_embeddings && name == "lm_head.weight") || name.ends_with(".rotary_emb.inv_freq")
        };
        if let Some(name) = shards.names().find(|name| !used.contains(*name) && !implied(name)) {
            return Err(ImportError::UnexpectedTensor(name.to_owned()));
        }
        Ok(Self { folder: folder.to_owned(), family, dimensions, shards })
    }
}

fn tensor_name(part: Part, family: Family) -> String {
    let of = |layer: u16, rest: &str| format!("model.layers.{layer}.{rest}.weight");
    match part {
        Part::Embed => "model.embed_tokens.weight".into(),
        Part::Head => "lm_head.weight".into(),
        Part::FinalNorm => "model.norm.weight".into(),
        Part::AttnNorm(layer) => of(layer, "input_layernorm"),
        Part::FfnNorm(layer) => of(layer, "post_attention_layernorm"),
        Part::Query(layer) => of(layer, "self_attn.q_proj"),
        Part::Key(layer) => of(layer, "self_attn.k_proj"),
        Part::Value(layer) => of(layer, "self_attn.v_proj"),
        Part::Output(layer) => of(layer, "self_attn.o_proj"),
        Part::QueryNorm(layer) => of(layer, "self_attn.q_norm"),
        Part::KeyNorm(layer) => of(layer, "self_attn.k_norm"),
        Part::Router(layer) => match family {
            Family::Mixtral => of(layer, "block_sparse_moe.gate"),
            Family::Dense | Family::Qwen3Moe => of(layer, "mlp.gate"),
        },
        Part::Expert(layer, expert, matrix) => match family {
            Family::Dense => of(layer, &format!("mlp.{}_proj", matrix.name())),
            Family::Qwen3Moe => of(layer, &format!("mlp.experts.{expert}.{}_proj", matrix.name())),
            Family::Mixtral => {
                let name = match matrix {
                    Matrix::Gate => "w1",
                    Matrix::Down => "w2",
                    Matrix::Up => "w3",
                };
                of(layer, &format!("block_sparse_moe.experts.{expert}.{name}"))
            },
        },
    }
}

impl Source for HfSource {
    fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    fn is_mixture(&self) -> bool {
        self.family.is_mixture()
    }

    fn read(&self, part: Part, rows: Range<usize>, out: &mut [f32]) -> Result<(), ImportError> {
        let name = tensor_name(part, self.family);
        let tensor = self.shards.tensor(&name).ok_or_else(|| ImportError::MissingTensor(name.clone()))?;
        let (_, k) = part.shape(&self.dimensions);
        let bytes = self.shards.rows(tensor, rows, k).ok_or_else(|| ImportError::MissingTensor(name.clone()))?;
        dequantise(tensor.ty, bytes, out).map_err(|_| ImportError::MissingTensor(name))
    }

    fn text(&self) -> Result<TextAssets, ImportError> {
        text::read(&self.folder)
    }
}

/// The bytes of a file of at most `limit` bytes.
fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, HfError> {
    let io = |source| HfError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limit { Err(HfError::TooLarge { path: path.to_owned(), limit }) } else { Ok(bytes) }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, HfError> {
    let bytes = read_bounded(path, MAX_CONFIG)?;
    serde_json::from_slice(&bytes).map_err(|source| HfError::Json { path: path.to_owned(), source })
}

/// As [`read_json`]; `None` where there is no such file.
fn read_json_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, HfError> {
    match read_json(path) {
        Err(HfError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
