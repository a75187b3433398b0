//! What an import reads: a model's matrices, whatever the file they come from.

pub(crate) use crate::expert::Matrix;

use super::ImportError;
use crate::chat::TextAssets;
use blyan_primitives::spec::Dimensions;
use std::{fmt, ops::Range};

/// A matrix or vector of a decoder-only transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// `[vocab, hidden]`.
    Embed,
    /// `[vocab, hidden]`.
    Head,
    /// `[hidden]`.
    FinalNorm,
    /// `[hidden]`, of a layer.
    AttnNorm(u16),
    /// `[hidden]`, of a layer.
    FfnNorm(u16),
    /// `[heads * head_dim, hidden]`, of a layer, each head's rows in half-split rotary order.
    Query(u16),
    /// `[kv_heads * head_dim, hidden]`, of a layer, in the same order.
    Key(u16),
    /// `[kv_heads * head_dim, hidden]`, of a layer.
    Value(u16),
    /// `[hidden, heads * head_dim]`, of a layer.
    Output(u16),
    /// `[head_dim]`, of a layer.
    QueryNorm(u16),
    /// `[head_dim]`, of a layer.
    KeyNorm(u16),
    /// `[experts, hidden]`, of a layer.
    Router(u16),
    /// A matrix of an expert's feed-forward network: layer, expert.
    Expert(u16, u16, Matrix),
}

impl fmt::Display for Part {
    /// The name of its tensor, and in front of it the layer where the block does not have one for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embed => f.write_str("embed"),
            Self::Head => f.write_str("head"),
            Self::FinalNorm => f.write_str("norm"),
            Self::AttnNorm(layer) => write!(f, "{layer}.attn_norm"),
            Self::FfnNorm(layer) => write!(f, "{layer}.ffn_norm"),
            Self::Query(layer) => write!(f, "{layer}.q"),
            Self::Key(layer) => write!(f, "{layer}.k"),
            Self::Value(layer) => write!(f, "{layer}.v"),
            Self::Output(layer) => write!(f, "{layer}.o"),
            Self::QueryNorm(layer) => write!(f, "{layer}.q_norm"),
            Self::KeyNorm(layer) => write!(f, "{layer}.k_norm"),
            Self::Router(layer) => write!(f, "{layer}.router"),
            Self::Expert(layer, expert, matrix) => write!(f, "{layer}.{expert}.{}", matrix.name()),
        }
    }
}

impl Part {
    /// Rows and columns in a model of these dimensions; a vector has one row.
    pub(crate) fn shape(self, d: &Dimensions) -> (usize, usize) {
        let (hidden, ffn, vocab) = (d.hidden as usize, d.ffn as usize, d.vocab as usize);
        let (queries, keys) =
            (usize::from(d.heads) * usize::from(d.head_dim), usize::from(d.kv_heads) * usize::from(d.head_dim));
        match self {
            Self::Embed | Self::Head => (vocab, hidden),
            Self::FinalNorm | Self::AttnNorm(_) | Self::FfnNorm(_) => (1, hidden),
            Self::Query(_) => (queries, hidden),
            Self::Key(_) | Self::Value(_) => (keys, hidden),
            Self::Output(_) => (hidden, queries),
            Self::QueryNorm(_) | Self::KeyNorm(_) => (1, usize::from(d.head_dim)),
            Self::Router(_) => (usize::from(d.experts), hidden),
            Self::Expert(_, _, Matrix::Gate | Matrix::Up) => (ffn, hidden),
            Self::Expert(_, _, Matrix::Down) => (hidden, ffn),
        }
    }

    /// Whether it is a vector.
    pub(crate) fn is_vector(self) -> bool {
        matches!(self, Self::FinalNorm | Self::AttnNorm(_) | Self::FfnNorm(_) | Self::QueryNorm(_) | Self::KeyNorm(_))
    }

    /// The parts of the trunk, in the order of its block.
    pub(crate) fn trunk(d: &Dimensions) -> Vec<Self> {
        let mut parts = vec![Self::Embed];
        parts.extend((!d.tied_embeddings).then_some(Self::Head));
        parts.push(Self::FinalNorm);
        for layer in 0..d.layers {
            parts.extend([Self::AttnNorm(layer), Self::Query(layer), Self::Key(layer), Self::Value(layer)]);
            if d.qk_norm {
                parts.extend([Self::QueryNorm(layer), Self::KeyNorm(layer)]);
            }
            parts.extend([Self::Output(layer), Self::FfnNorm(layer)]);
        }
        parts
    }
}

/// The parts of every source of these dimensions; a dense one has no routers and one feed-forward network a layer.
pub(crate) fn all_parts(d: &Dimensions, mixture: bool) -> Vec<Part> {
    let mut parts = Part::trunk(d);
    for layer in 0..d.layers {
        parts.extend(mixture.then_some(Part::Router(layer)));
        for expert in 0..if mixture { d.experts } else { 1 } {
            parts.extend(Matrix::ALL.map(|matrix| Part::Expert(layer, expert, matrix)));
        }
    }
    parts
}

/// Weights in one matrix of this part.
pub(crate) fn weights(part: Part, d: &Dimensions) -> u64 {
    let (rows, k) = part.shape(d);
    rows as u64 * k as u64
}

/// An open model file, or folder, whose tensors all have the shapes that its dimensions say.
pub(crate) trait Source: Sync {
    /// The model's own dimensions; what the source's format does not know (the activation block, checkpoints, a dense
    /// model's experts) is sound but without meaning.
    fn dimensions(&self) -> &Dimensions;

    /// Whether layers are mixtures of experts already.
    fn is_mixture(&self) -> bool;

    /// Writes rows `rows` of `part` to `out`, in f32.
    fn read(&self, part: Part, rows: Range<usize>, out: &mut [f32]) -> Result<(), ImportError>;

    /// Tokenizer, chat template and generation settings.
    fn text(&self) -> Result<TextAssets, ImportError>;
}
