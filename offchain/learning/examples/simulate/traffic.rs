//! What goes over the network: sizes of what is sent, by the encodings that are sent.

use blyan_learning::delta::{DeltaError, Factors, LowRank, Shape, Update};
use blyan_primitives::{
    ids::ContentHash,
    learning::{Codec, DeltaHeader, ItemRange},
    pol::Reveal,
};
use codec::Encode;

use crate::numbers::Numbers;

/// A signed transaction beside its call: length, version, sender, signature, era, nonce, tip and the mode of the metadata's hash.
const ENVELOPE: u64 = 2 + 1 + 33 + 65 + 2 + 2 + 1 + 1;
/// Pallet and call.
const INDEX: u64 = 2;
/// A block's header: three hashes, the height, and BABE's pre-digest and seal.
pub(crate) const HEADER: u64 = 3 * 32 + 4 + 2 + (1 + 4 + 2 + 1 + 4 + 8 + 32 + 64) + (1 + 4 + 2 + 64);
/// The time, which every block has.
pub(crate) const TIMESTAMP: u64 = 11;

/// Of the genesis model, SmolLM2-135M: rows and columns of an expert's three matrices.
const SHAPES: [Shape; 3] = [Shape { rows: 1536, k: 576 }, Shape { rows: 1536, k: 576 }, Shape { rows: 576, k: 1536 }];
/// Components of the codec that keeps most for its size.
const RANK: usize = 8;
/// Headers of a TensorBlock with an expert, padded; a delta's names its learner as well.
const BLOCK_HEADER: u64 = 4_096;

/// Sizes, in bytes.
pub(crate) struct Sizes {
    /// A delta's block.
    pub(crate) delta: u64,
    /// An expert in serving form: int8, and a scale for each row.
    pub(crate) serving: u64,
    /// Its master, which deltas are added to: f32.
    pub(crate) master: u64,
    /// Both headers that a publication names.
    pub(crate) headers: u64,
    pub(crate) open: u64,
    pub(crate) submit: u64,
    pub(crate) vote: u64,
    pub(crate) commit: u64,
    pub(crate) publish: u64,
}

impl Sizes {
    /// Encodes one of each, with random numbers for factors.
    pub(crate) fn measure(numbers: &mut Numbers) -> Result<Self, DeltaError> {
        let mut delta = BLOCK_HEADER;
        let mut serving = BLOCK_HEADER;
        let mut master = BLOCK_HEADER;
        for shape in SHAPES {
            let mut normal = |count: usize| (0..count).map(|_| numbers.normal() as f32).collect();
            let factors = Factors { a: normal(RANK * shape.k), b: normal(RANK * shape.rows) };
            delta += Update::LowRank(LowRank::quantise(&factors, shape, 127)?).encode().len() as u64;
            serving += (shape.rows * shape.k + 4 * shape.rows) as u64;
            master += (4 * shape.rows * shape.k) as u64;
        }
        let block = ContentHash([0xff; 32]);
        let header = DeltaHeader {
            base: block,
            block,
            serving: block,
            size: u32::MAX,
            codec: Codec::LowRank,
            manifest: [0xff; 32],
            data: ItemRange { block, first: u32::MAX, count: u32::MAX },
        };
        let call = ENVELOPE + INDEX;
        // Rounds are compact, evaluations are not.
        let (round, evaluation) = (4, 4);
        // Of an expert of the genesis model: in serving form, and its master, which has no scales.
        let headers = 241 + 160;
        Ok(Self {
            delta,
            serving,
            master,
            headers,
            open: call + 36 + 32,
            submit: call + round + header.encoded_size() as u64,
            vote: call + evaluation + 4 + 1,
            commit: call + evaluation + 32,
            publish: call + round + 2 * 2 + headers,
        })
    }

    /// So many heads, and a master or none.
    pub(crate) fn fetched(&self, (heads, master): (u64, bool)) -> u64 {
        heads * self.serving + u64::from(master) * self.master
    }

    /// A reveal and its salt.
    pub(crate) fn reveal(&self, reveal: &Reveal) -> u64 {
        ENVELOPE + INDEX + 4 + 32 + reveal.encoded_size() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_is_as_small_as_the_codec_makes_it() {
        let sizes = Sizes::measure(&mut Numbers::new(1, "test")).unwrap();
        let floats: usize = SHAPES.iter().map(|shape| 4 * shape.rows * shape.k).sum();
        let ratio = floats as f64 / (sizes.delta - BLOCK_HEADER) as f64;
        assert!((200.0..300.0).contains(&ratio), "{ratio}");
        assert!(sizes.submit > 200 && sizes.submit < 400);
    }
}
