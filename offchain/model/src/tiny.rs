//! The tiny model: a byte-level mixture of experts that fits in a test.
//!
//! Two layers, 64 wide, four heads of 16 on two key and value heads, four distinct experts of 128, top-2, a context of 256.
//! Its tokens are the 256 bytes and `<bos>`, `<eos>`, `<pad>`. Weights come from a seed by a generator that is the same on
//! every machine, so that development chains can name its blocks as constants. Untrained, it says nothing sensible; it
//! exercises everything that a real model exercises, routing between different experts included.

use crate::{
    chat::TextAssets,
    import::{
        ImportError, ImportOptions, blocks,
        generator::Uniform,
        source::{Part, Source},
    },
    tokenizer::{
        Generation, alphabet,
        json::{ByteLevelBpe, PreTokeniser},
    },
};
use blyan_primitives::{
    genesis::GenesisModel,
    spec::{Dimensions, F32Bits, Name, SpecError},
};
use blyan_tensorblock::UnwrittenBlock;
use std::ops::Range;

/// Seed of the tiny model that development chains start with.
pub const GENESIS_SEED: u64 = 0x0b1a;
/// Begins a sequence, and each message of a conversation.
pub const BOS: u32 = 256;
/// Ends a message.
pub const EOS: u32 = 257;
/// Fills a batch; it is in no text.
pub const PAD: u32 = 258;

const BYTES: u32 = 256;
const SPECIALS: [(u32, &str); 3] = [(BOS, "<bos>"), (EOS, "<eos>"), (PAD, "<pad>")];
const TEMPLATE: &str = "{% for message in messages %}<bos>{{ message['role'] }}\n{{ message['content'] }}<eos>\n\
    {% endfor %}{% if add_generation_prompt %}<bos>assistant\n{% endif %}";

/// A tiny model's blocks, masters included, and what names them.
#[derive(Debug)]
pub struct TinyModel {
    /// Spec, records and heads.
    pub genesis: GenesisModel,
    /// Tokenizer, router, trunk, and each expert's master and serving form.
    pub blocks: Vec<UnwrittenBlock<'static>>,
}

/// The tiny model of `seed`. The same seed gives the same bytes everywhere.
pub fn build(seed: u64) -> Result<TinyModel, ImportError> {
    let name = Name::new("tiny").ok_or(ImportError::Spec(SpecError::Name))?;
    let options = ImportOptions { masters: true, checkpoint_every: 1, ..ImportOptions::new(name) };
    let mut kept = Vec::new();
    let genesis = blocks::import(
        &TinySource { seed, dimensions: dimensions() },
        &options,
        &mut |block| {
            kept.push(block);
            Ok(())
        },
        &mut |_| (),
    )?;
    Ok(TinyModel { genesis, blocks: kept })
}

fn dimensions() -> Dimensions {
    Dimensions {
        layers: 2,
        hidden: 64,
        heads: 4,
        kv_heads: 2,
        head_dim: 16,
        ffn: 128,
        vocab: BYTES + SPECIALS.len() as u32,
        context: 256,
        experts: 4,
        top_k: 2,
        activation_block: 32,
        rope_theta: F32Bits::new(10_000.0),
        rms_eps: F32Bits::new(1e-5),
        tied_embeddings: true,
        qk_norm: false,
        checkpoint_every: 1,
    }
}

/// Weights from a seed.
struct TinySource {
    seed: u64,
    dimensions: Dimensions,
}

impl TinySource {
    /// Each part has a stream of its own.
    fn stream(part: Part) -> u64 {
        let (kind, layer, expert) = match part {
            Part::Embed => (0, 0, 0),
            Part::Head => (1, 0, 0),
            Part::FinalNorm => (2, 0, 0),
            Part::AttnNorm(layer) => (3, layer, 0),
            Part::FfnNorm(layer) => (4, layer, 0),
            Part::Query(layer) => (5, layer, 0),
            Part::Key(layer) => (6, layer, 0),
            Part::Value(layer) => (7, layer, 0),
            Part::Output(layer) => (8, layer, 0),
            Part::QueryNorm(layer) => (9, layer, 0),
            Part::KeyNorm(layer) => (10, layer, 0),
            Part::Router(layer) => (11, layer, 0),
            Part::Expert(layer, expert, matrix) => (12 + matrix as u64, layer, expert),
        };
        kind << 32 | u64::from(layer) << 16 | u64::from(expert)
    }
}

impl Source for TinySource {
    fn dimensions(&self) -> &Dimensions {
        &self.dimensions
    }

    fn is_mixture(&self) -> bool {
        true
    }

    fn read(&self, part: Part, rows: Range<usize>, out: &mut [f32]) -> Result<(), ImportError> {
        let (_, k) = part.shape(&self.dimensions);
        let mut uniform = Uniform::new(self.seed, Self::stream(part));
        for _ in 0..rows.start * k {
            uniform.next();
        }
        // Norms are near one; matrices keep the size of what they multiply: uniform in ±√(3/k) has variance 1/k. The
        // embedding is the output matrix too, and takes the same.
        let bound = (3.0 / k as f32).sqrt();
        for value in out {
            let draw = uniform.next();
            *value = if part.is_vector() { 1.0 + draw / 8.0 } else { draw * bound };
        }
        Ok(())
    }

    fn text(&self) -> Result<TextAssets, ImportError> {
        let bytes = (0..=u8::MAX).map(|byte| (alphabet::encode(byte).to_string(), u32::from(byte)));
        let specials = SPECIALS.map(|(id, text)| (text.to_owned(), id));
        let bpe = ByteLevelBpe {
            pre: PreTokeniser::Bytes,
            vocab: bytes.chain(specials).collect(),
            merges: Vec::new(),
            added: SPECIALS.map(|(id, text)| (id, (text.to_owned(), true))).into(),
        };
        let generation = Generation { bos: Some(BOS), eos: Some(EOS), stop: vec![EOS], add_bos: true };
        Ok(TextAssets { tokenizer: bpe.into_json()?, chat_template: Some(TEMPLATE.to_owned()), generation })
    }
}
