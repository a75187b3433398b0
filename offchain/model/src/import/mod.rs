//! Making a model's blocks from files of other formats.
//!
//! A dense model is *upcycled*: each layer's feed-forward network becomes E experts with the same weights, which share one
//! block, under a seeded router whose scores are tiny. Weights of chosen experts sum to one and the canonical combination
//! is exact when experts are equal, so the mixture computes what the dense model computed, to the bit. A mixture of experts
//! keeps its experts and routers.
//!
//! An import is deterministic to the bit: the same file and options give the same hashes on every machine, with any number
//! of threads. It reads the mapped source matrix by matrix and holds a few experts and the int8 trunk at a time.

pub(crate) mod blocks;
pub(crate) mod generator;
mod gguf;
mod pipeline;
pub(crate) mod source;

use crate::{
    chat::ChatError,
    expert::{ExpertError, Forms},
    gguf::GgufError,
    hf::HfError,
    tokenizer::TokenizerError,
};
use blyan_primitives::{
    block::{BlockKind, MAX_ONCHAIN_HEADER_LEN},
    genesis::{GenesisError, GenesisModel},
    ids::ContentHash,
    spec::{Name, SpecError},
    version::SemVer,
};
use blyan_tensorblock::{BlockError, UnwrittenBlock, quant::QuantError};
use std::path::Path;

/// Elements of an activation that share a power-of-two scale, where nobody chose otherwise. On the genesis model and 10,200
/// tokens of the Brown corpus 16 raises the loss by 0.21 % over f32, 32 by 0.30 %, at the same speed.
pub const DEFAULT_ACTIVATION_BLOCK: u16 = 16;

/// What is chosen at import; the rest is read from the source.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// What people call the model.
    pub name: Name,
    /// The spec's version; it is compatible with what SemVer says.
    pub version: SemVer,
    /// Experts a layer that a dense model gets. A mixture keeps its own.
    pub experts: u16,
    /// Experts that a token is sent to, of a dense model. A mixture keeps its own.
    pub top_k: u16,
    /// Elements of an activation that share a power-of-two scale.
    pub activation_block: u16,
    /// Layers between two checkpoints of the rolling commitment.
    pub checkpoint_every: u16,
    /// Longest sequence, in tokens, where the source allows longer ones.
    pub max_context: Option<u32>,
    /// Seed of a dense model's routers.
    pub router_seed: u64,
    /// Whether the sink gets the experts' master blocks too. Their hashes are in the records in any case.
    pub masters: bool,
    /// Threads to work on; at least 1. The result does not depend on it.
    pub threads: usize,
}

impl ImportOptions {
    /// The defaults for a model called `name`: version 0.1.0, four experts, top-2, activation blocks of
    /// [`DEFAULT_ACTIVATION_BLOCK`], a checkpoint every 10 layers, the source's context, no masters.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            version: SemVer::new(0, 1, 0),
            experts: 4,
            top_k: 2,
            activation_block: DEFAULT_ACTIVATION_BLOCK,
            checkpoint_every: 10,
            max_context: None,
            router_seed: 0,
            masters: false,
            threads: blyan_tensorblock::default_threads(),
        }
    }
}

/// What a sink answers when it cannot take a block.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being made.
    pub stage: Stage,
    /// Weights done.
    pub done: u64,
    /// Weights of the whole source.
    pub total: u64,
}

/// What an import is making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Embeddings, attention and norms.
    Trunk,
    /// The experts.
    Experts,
}

/// Why an import ended.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A GGUF file was refused.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A Hugging Face checkpoint was refused.
    #[error(transparent)]
    Hf(#[from] HfError),
    /// The tokenizer was refused.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The tokenizer block was refused.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// A block could not be built.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The blocks of an expert could not be built.
    #[error(transparent)]
    Expert(ExpertError),
    /// A kind or setting of model that canonical execution does not have.
    #[error("{what} '{found}' is not supported")]
    Unsupported {
        /// What it is.
        what: &'static str,
        /// What was found.
        found: String,
    },
    /// A tensor that a model of this architecture has is not there.
    #[error("tensor '{0}' is missing")]
    MissingTensor(String),
    /// A tensor that would be left out, and with it a part of the model.
    #[error("tensor '{0}' has no place in a model of this architecture")]
    UnexpectedTensor(String),
    /// A tensor whose shape contradicts the model's dimensions.
    #[error("tensor '{name}' has shape {found:?}, the model's dimensions say {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// What the dimensions say, outermost first.
        expected: Vec<u64>,
        /// What it has, outermost first.
        found: Vec<u64>,
    },
    /// A weight that cannot be quantised.
    #[error("{part}: {error}")]
    Weights {
        /// The tensor, by its name in the block.
        part: String,
        /// Why not.
        error: QuantError,
    },
    /// A weight of a router or norm that is not a finite number.
    #[error("{part} has a weight that is not a finite number")]
    NotFinite {
        /// The tensor, by its name in the block.
        part: String,
    },
    /// A header that the chain would not take: the block could never be registered.
    #[error(
        "the {kind} block's header has {bytes} bytes, a chain takes {MAX_ONCHAIN_HEADER_LEN}: the model has too many layers"
    )]
    HeaderTooLong {
        /// Which block.
        kind: BlockKind,
        /// Bytes of its header.
        bytes: usize,
    },
    /// The tokenizer has more tokens than the embedding has rows.
    #[error("the tokenizer has {tokens} tokens, the embedding {rows} rows")]
    Vocabulary {
        /// Tokens.
        tokens: u32,
        /// Rows.
        rows: u32,
    },
    /// Dimensions or options make no sound spec.
    #[error("the model's dimensions and the import's options make no sound spec: {0}")]
    Spec(SpecError),
    /// The parts do not fit together.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The source has no such expert.
    #[error("there is no expert {layer}/{index}: the source has {layers} layers{}", of_experts(.experts))]
    NoExpert {
        /// The layer asked for.
        layer: u16,
        /// The expert in it.
        index: u16,
        /// The source's layers.
        layers: u16,
        /// Its experts a layer, where it is a mixture.
        experts: Option<u16>,
    },
    /// The sink could not take a block.
    #[error("block {hash} could not be stored: {source}")]
    Sink {
        /// The block.
        hash: ContentHash,
        /// What the sink said.
        source: SinkError,
    },
}

fn of_experts(experts: &Option<u16>) -> String {
    experts.map_or_else(String::new, |experts| format!(" of {experts} experts"))
}

/// Imports a GGUF file: architectures `llama` (dense, and mixtures as Mixtral's), `qwen3` and `qwen3moe`.
///
/// Every block goes to `sink` once, in a fixed order; `progress` is told after every few matrices. An error of either side
/// ends the import.
pub fn import_gguf(
    path: &Path,
    options: &ImportOptions,
    sink: &mut dyn FnMut(UnwrittenBlock<'static>) -> Result<(), SinkError>,
    progress: &mut dyn FnMut(Progress),
) -> Result<GenesisModel, ImportError> {
    blocks::import(&gguf::GgufSource::open(path)?, options, sink, progress)
}

/// Imports a folder with a Hugging Face checkpoint: `config.json`, `tokenizer.json`, and safetensors in one file or sharded,
/// of a Llama-, Mistral-, Mixtral-, Qwen3- or Qwen3-MoE-shaped model.
///
/// `sink` and `progress` are as for [`import_gguf`].
pub fn import_hf(
    folder: &Path,
    options: &ImportOptions,
    sink: &mut dyn FnMut(UnwrittenBlock<'static>) -> Result<(), SinkError>,
    progress: &mut dyn FnMut(Progress),
) -> Result<GenesisModel, ImportError> {
    blocks::import(&crate::hf::HfSource::open(folder)?, options, sink, progress)
}

/// Both forms of the expert that slot `index` of a layer holds once a file or folder is imported, without the rest of the model.
pub fn expert_of(source: &Path, layer: u16, index: u16) -> Result<Forms, ImportError> {
    if source.is_dir() {
        blocks::expert(&crate::hf::HfSource::open(source)?, layer, index)
    } else {
        blocks::expert(&gguf::GgufSource::open(source)?, layer, index)
    }
}
