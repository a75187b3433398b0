//! A GGUF file as the source of an import.

use super::{
    DEFAULT_ACTIVATION_BLOCK, ImportError,
    source::{Part, Source, all_parts},
};
use crate::{
    chat::TextAssets,
    gguf::{FromValue, Gguf, TensorInfo, dequantise},
    tokenizer,
};
use blyan_primitives::spec::{Dimensions, F32Bits};
use memmap2::Mmap;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
};

/// How the rows of queries and keys are ordered for rotary embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rotary {
    /// Pairs are neighbours: (0, 1), (2, 3), …, as llama.cpp stores Llama's.
    Interleaved,
    /// Pairs are half a head apart: (i, i + head_dim / 2), as canonical execution has them.
    HalfSplit,
}

/// Where a part is.
#[derive(Clone, Debug)]
struct Location {
    tensor: TensorInfo,
    /// First row within the tensor.
    first: usize,
    rotary: Rotary,
}

/// A file whose tensors all have their places.
#[derive(Debug)]
pub(super) struct GgufSource {
    file: Gguf<Mmap>,
    dimensions: Dimensions,
    mixture: bool,
    parts: BTreeMap<Part, Location>,
}

impl GgufSource {
    /// Opens a file, and checks that it has every tensor of its architecture, in the right shape, and no other.
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let file = Gguf::open(path)?;
        let architecture: &str = file.require("general.architecture")?;
        let (rotary, qk_norm) = match architecture {
            "llama" => (Rotary::Interleaved, false),
            "qwen3" | "qwen3moe" => (Rotary::HalfSplit, true),
            other => {
                return Err(ImportError::Unsupported { what: "model architecture", found: other.to_owned() });
            },
        };
        let (dimensions, mixture) = Metadata { file: &file, architecture }.dimensions(qk_norm)?;
        // Bounds everything that follows: a count in the metadata must not make a long loop.
        dimensions.check().map_err(ImportError::Spec)?;

        let mut used = BTreeSet::new();
        let mut parts = BTreeMap::new();
        for part in all_parts(&dimensions, mixture) {
            let name = tensor_name(part, mixture);
            let tensor = file.tensor(&name).ok_or_else(|| ImportError::MissingTensor(name.clone()))?;
            let location = locate(part, tensor, &name, &dimensions, mixture, rotary)?;
            parts.insert(part, location);
            used.insert(name);
        }
        if let Some((name, _)) = file.tensors().find(|(name, _)| !used.contains(*name)) {
            return Err(ImportError::UnexpectedTensor(name.to_owned()));
        }
        Ok(Self { dimensions, mixture, parts, file })
    }
}

/// The metadata of one architecture.
struct Metadata<'a> {
    file: &'a Gguf<Mmap>,
    architecture: &'a str,
}

impl<'a> Metadata<'a> {
    fn get<T: FromValue<'a>>(&self, key: &str) -> Result<Option<T>, ImportError> {
        Ok(self.file.get(&format!("{}.{key}", self.architecture))?)
    }

    fn require<T: FromValue<'a>>(&self, key: &str) -> Result<T, ImportError> {
        Ok(self.file.require(&format!("{}.{key}", self.architecture))?)
    }

    /// Refuses a setting that changes what the model computes in a way that canonical execution does not know.
    fn absent_or<T: FromValue<'a> + PartialEq + ToString>(
        &self,
        key: &'static str,
        allowed: T,
    ) -> Result<(), ImportError> {
        match self.get::<T>(key)? {
            Some(found) if found != allowed => Err(ImportError::Unsupported { what: key, found: found.to_string() }),
            _ => Ok(()),
        }
    }

    /// Refuses a factor by which positions are divided. llama.cpp does so, linearly, also where no type is named.
    fn check_rope_scaling(&self) -> Result<(), ImportError> {
        if self.get::<&str>("rope.scaling.type")?.is_some() {
            return Ok(());
        }
        for key in ["rope.scaling.factor", "rope.scale_linear"] {
            if let Some(factor) = self.get::<f64>(key)?.filter(|factor| *factor != 0.0 && *factor != 1.0) {
                return Err(ImportError::Unsupported { what: key, found: factor.to_string() });
            }
        }
        Ok(())
    }

    fn dimensions(&self, qk_norm: bool) -> Result<(Dimensions, bool), ImportError> {
        let hidden: u32 = self.require("embedding_length")?;
        let heads: u16 = self.require("attention.head_count")?;
        let even = u16::try_from(hidden.checked_div(heads.into()).unwrap_or(0)).unwrap_or(0);
        let head_dim = self.get("attention.key_length")?.unwrap_or(even);
        self.absent_or("attention.value_length", head_dim)?;
        self.absent_or("rope.dimension_count", head_dim)?;
        self.absent_or("rope.scaling.type", "none")?;
        self.check_rope_scaling()?;
        self.absent_or("attention.sliding_window", 0u32)?;
        self.absent_or("expert_shared_count", 0u32)?;
        let experts: u16 = self.get("expert_count")?.unwrap_or(0);
        let mixture = experts > 0;
        let wide: Option<u32> = if mixture { self.get("expert_feed_forward_length")? } else { None };
        let embed = self.file.tensor("token_embd.weight");
        let vocab = embed.and_then(|tensor| u32::try_from(tensor.rows()).ok()).unwrap_or(0);
        let dimensions = Dimensions {
            layers: self.require("block_count")?,
            hidden,
            heads,
            kv_heads: self.get("attention.head_count_kv")?.unwrap_or(heads),
            head_dim,
            ffn: match wide {
                Some(ffn) => ffn,
                None => self.require("feed_forward_length")?,
            },
            vocab,
            context: self.require("context_length")?,
            experts: experts.max(1),
            top_k: if mixture { self.require("expert_used_count")? } else { 1 },
            activation_block: DEFAULT_ACTIVATION_BLOCK,
            // The file has binary32 values; as f64 and back they are unchanged.
            rope_theta: F32Bits::new(self.get::<f64>("rope.freq_base")?.unwrap_or(10_000.0) as f32),
            rms_eps: F32Bits::new(self.require::<f64>("attention.layer_norm_rms_epsilon")? as f32),
            tied_embeddings: self.file.tensor("output.weight").is_none(),
            qk_norm,
            checkpoint_every: 1,
        };
        Ok((dimensions, mixture))
    }
}

fn tensor_name(part: Part, mixture: bool) -> String {
    match part {
        Part::Embed => "token_embd.weight".into(),
        Part::Head => "output.weight".into(),
        Part::FinalNorm => "output_norm.weight".into(),
        Part::AttnNorm(layer) => format!("blk.{layer}.attn_norm.weight"),
        Part::FfnNorm(layer) => format!("blk.{layer}.ffn_norm.weight"),
        Part::Query(layer) => format!("blk.{layer}.attn_q.weight"),
        Part::Key(layer) => format!("blk.{layer}.attn_k.weight"),
        Part::Value(layer) => format!("blk.{layer}.attn_v.weight"),
        Part::Output(layer) => format!("blk.{layer}.attn_output.weight"),
        Part::QueryNorm(layer) => format!("blk.{layer}.attn_q_norm.weight"),
        Part::KeyNorm(layer) => format!("blk.{layer}.attn_k_norm.weight"),
        Part::Router(layer) => format!("blk.{layer}.ffn_gate_inp.weight"),
        // The experts of a layer are in one tensor.
        Part::Expert(layer, _, matrix) if mixture => format!("blk.{layer}.ffn_{}_exps.weight", matrix.name()),
        Part::Expert(layer, _, matrix) => format!("blk.{layer}.ffn_{}.weight", matrix.name()),
    }
}

fn locate(
    part: Part,
    tensor: &TensorInfo,
    name: &str,
    dimensions: &Dimensions,
    mixture: bool,
    rotary: Rotary,
) -> Result<Location, ImportError> {
    let (rows, k) = part.shape(dimensions);
    let (expected, first) = match part {
        Part::Expert(_, expert, _) if mixture => {
            (vec![u64::from(dimensions.experts), rows as u64, k as u64], usize::from(expert) * rows)
        },
        vector if vector.is_vector() => (vec![k as u64], 0),
        _ => (vec![rows as u64, k as u64], 0),
    };
    if tensor.shape != expected {
        return Err(ImportError::Shape { name: name.to_owned(), expected, found: tensor.shape.clone() });
    }
    let rotary = if matches!(part, Part::Query(_) | Part::Key(_)) { rotary } else { Rotary::HalfSplit };
    Ok(Location { tensor: tensor.clone(), first, rotary })
}

/// The row of an interleaved matrix that row `row` of a half-split one comes from: within a head, element `i` of half `j`
/// is the `j`-th of pair `i`.
fn interleaved_row(row: usize, head_dim: usize) -> usize {
    let (head, within) = (row / head_dim, row % head_dim);
    let (half, i) = (within / (head_dim / 2), within % (head_dim / 2));
    head * head_dim + 2 * i + half
}

impl Source for GgufSource {
    fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    fn is_mixture(&self) -> bool {
        self.mixture
    }

    fn read(&self, part: Part, rows: Range<usize>, out: &mut [f32]) -> Result<(), ImportError> {
        let missing = || ImportError::MissingTensor(tensor_name(part, self.mixture));
        let Location { tensor, first, rotary } = self.parts.get(&part).ok_or_else(missing)?;
        let values = |from: Range<usize>, out: &mut [f32]| {
            let bytes = self.file.row_data(tensor, from).ok_or_else(missing)?;
            dequantise(tensor.ty, bytes, out).map_err(|_| missing())
        };
        match rotary {
            Rotary::HalfSplit => values(first + rows.start..first + rows.end, out),
            Rotary::Interleaved => {
                let head_dim = usize::from(self.dimensions.head_dim);
                for (row, out) in rows.zip(out.chunks_exact_mut(tensor.row_len())) {
                    let from = interleaved_row(row, head_dim);
                    values(from..from + 1, out)?;
                }
                Ok(())
            },
        }
    }

    fn text(&self) -> Result<TextAssets, ImportError> {
        let (tokenizer, generation) = tokenizer::from_gguf(&self.file)?;
        let chat_template = self.file.get::<&str>("tokenizer.chat_template")?.map(str::to_owned);
        Ok(TextAssets { tokenizer, chat_template, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::source::Matrix;

    #[test]
    fn rows_are_put_half_a_head_apart() {
        // Two heads of four: interleaved rows a0 b0 a1 b1, where (a, b) are the pairs, become a0 a1 b0 b1.
        let order: Vec<usize> = (0..8).map(|row| interleaved_row(row, 4)).collect();
        assert_eq!(order, [0, 2, 1, 3, 4, 6, 5, 7]);
    }

    #[test]
    fn every_matrix_of_an_expert_has_its_own_tensor() {
        let names: BTreeSet<String> = Matrix::ALL.map(|m| tensor_name(Part::Expert(3, 1, m), false)).into();
        assert_eq!(names.len(), 3);
        assert!(names.contains("blk.3.ffn_down.weight"));
    }
}
