//! Receipts: a worker's signed commitment to one answer, and the rolling commitment inside it.
//!
//! At each position `p` the model consumes token `t[p]`, its hidden states pass the spec's checkpoints, and token
//! `t[p + 1]` follows: the next one of the prompt, or the one chosen. The rolling commitment chains all of it:
//!
//! ```text
//! c[-1] = H("blyan/commitment/start/1" ‖ weights ‖ sampling ‖ t[0])
//! c[p]  = H("blyan/commitment/step/1"  ‖ c[p-1] ‖ p u32 LE ‖ hidden bits ‖ t[p+1] u32 LE)
//! ```
//!
//! `hidden bits` are the f32 bits, little endian, of the residual stream at each checkpoint in order of layers, then of the
//! final normalised state. Execution is bit-exact, so whoever replays the tokens gets the same chain, or can name the
//! first position at which a worker departed from the model.

use crate::{
    hash::{hash, Domain},
    ids::{BatchRoot, Commitment, ReceiptId, SpecId, WeightsId},
    merkle::{self, Digest, ProofError},
    spec::F32Bits,
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

const RECEIPT: Domain = Domain("blyan/receipt/1");
const TOKENS: Domain = Domain("blyan/tokens/1");
const START: Domain = Domain("blyan/commitment/start/1");
const STEP: Domain = Domain("blyan/commitment/step/1");
const ANCHOR: Domain = Domain("blyan/anchor/1");

/// Most receipts under one anchor.
pub const MAX_BATCH: u32 = 4096;

/// How tokens are chosen. With the seed it makes an answer reproducible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Sampling {
    /// Divides logits; 0 chooses the most likely token.
    pub temperature: F32Bits,
    /// Nucleus: the smallest set of tokens with at least this probability; 1 is all.
    pub top_p: F32Bits,
    /// Only this many most likely tokens; 0 is all.
    pub top_k: u32,
    /// Seed of the counter-based generator.
    pub seed: u64,
}

impl Sampling {
    /// Always the most likely token.
    pub const GREEDY: Self = Self { temperature: F32Bits::new(0.0), top_p: F32Bits::new(1.0), top_k: 0, seed: 0 };
}

/// What a worker commits to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Receipt {
    /// Hash of the chain's first block.
    pub genesis: [u8; 32],
    /// The worker's key, sr25519.
    pub worker: [u8; 32],
    /// Number that the worker gave this answer, unique for its key.
    pub number: u64,
    /// Chosen at random by the worker: makes the receipt's id unguessable.
    pub nonce: [u8; 16],
    /// The specification that was executed.
    pub spec: SpecId,
    /// The specification and every expert block.
    pub weights: WeightsId,
    /// [`tokens_hash`] of the prompt.
    pub prompt_hash: [u8; 32],
    /// [`tokens_hash`] of the answer.
    pub output_hash: [u8; 32],
    /// Tokens of the prompt, at least 1.
    pub prompt_tokens: u32,
    /// Tokens of the answer, at least 1; an end-of-sequence token counts.
    pub output_tokens: u32,
    /// How tokens were chosen.
    pub sampling: Sampling,
    /// The rolling commitment after the last position.
    pub commitment: Commitment,
    /// Unix time in milliseconds at which the answer was complete, by the worker's clock.
    pub finished_at: u64,
}

impl Receipt {
    /// Names the receipt; the worker signs these 32 bytes.
    pub fn id(&self) -> ReceiptId {
        ReceiptId(hash(RECEIPT, &[&self.encode()]))
    }
}

/// A receipt and the worker's sr25519 signature of its id.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct SignedReceipt {
    /// What was signed.
    pub receipt: Receipt,
    /// sr25519 over [`Receipt::id`], in the `substrate` signing context.
    pub signature: [u8; 64],
}

/// Hash of a token sequence: its length and the tokens.
pub fn tokens_hash(tokens: &[u32]) -> [u8; 32] {
    let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
    hash(TOKENS, &[&(tokens.len() as u64).to_le_bytes(), &bytes])
}

impl Commitment {
    /// `c[-1]`: before the first position.
    pub fn start(weights: WeightsId, sampling: &Sampling, first: u32) -> Self {
        Self(hash(START, &[weights.as_bytes(), &sampling.encode(), &first.to_le_bytes()]))
    }

    /// `c[p]` from `c[p-1]`.
    pub fn next(self, position: u32, hidden_bits: &[u8], next_token: u32) -> Self {
        let (position, next_token) = (position.to_le_bytes(), next_token.to_le_bytes());
        Self(hash(STEP, &[&self.0, &position, hidden_bits, &next_token]))
    }
}

/// The tree of a batch: leaf `i` holds the id of receipt `i`.
pub fn batch_tree(receipts: &[ReceiptId]) -> merkle::Tree {
    merkle::Tree::new(receipts.iter().zip(0u64..).map(|(id, i)| merkle::leaf_hash(i, id.as_bytes())).collect())
}

/// Checks that `receipt` is number `index` of the `count` receipts under `root`.
pub fn verify_in_batch(
    root: BatchRoot,
    count: u32,
    index: u32,
    receipt: ReceiptId,
    proof: &[Digest],
) -> Result<(), ProofError> {
    let leaf = merkle::leaf_hash(u64::from(index), receipt.as_bytes());
    merkle::verify(&root.0, u64::from(count), u64::from(index), &[leaf], proof)
}

/// What a worker's key signs to put a batch of receipts on chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct AnchorPayload<AccountId, BlockNumber> {
    /// The worker's account.
    pub worker: AccountId,
    /// 0 for the worker's first anchor, then one more each time: makes an anchor happen exactly once.
    pub sequence: u64,
    /// Root of [`batch_tree`].
    pub root: BatchRoot,
    /// Receipts in the batch, 1 to [`MAX_BATCH`].
    pub count: u32,
    /// Prompt and output tokens of all its receipts.
    pub tokens: u64,
    /// Last block in which the anchor may be included.
    pub expires_at: BlockNumber,
}

impl<AccountId: Encode, BlockNumber: Encode> AnchorPayload<AccountId, BlockNumber> {
    /// The 32 bytes to sign, bound to the chain.
    pub fn signing_hash(&self, genesis: &[u8]) -> [u8; 32] {
        hash(ANCHOR, &[genesis, &self.encode()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(i: u8) -> ReceiptId {
        ReceiptId([i; 32])
    }

    #[test]
    fn each_receipt_of_a_batch_is_proved_at_its_place_only() {
        let ids: Vec<_> = (0..20).map(id).collect();
        let tree = batch_tree(&ids);
        let root = BatchRoot(tree.root());
        for (i, receipt) in ids.iter().enumerate() {
            let proof = tree.prove(i as u64..i as u64 + 1).unwrap();
            assert_eq!(verify_in_batch(root, 20, i as u32, *receipt, &proof), Ok(()));
            assert!(verify_in_batch(root, 20, (i as u32 + 1) % 20, *receipt, &proof).is_err());
            assert!(verify_in_batch(root, 20, i as u32, id(99), &proof).is_err());
        }
    }

    #[test]
    fn commitments_depend_on_everything() {
        let start = |seed| Commitment::start(WeightsId([1; 32]), &Sampling { seed, ..Sampling::GREEDY }, 5);
        assert_ne!(start(0), start(1));
        let c = start(0);
        let all = [c.next(0, b"h", 1), c.next(1, b"h", 1), c.next(0, b"g", 1), c.next(0, b"h", 2)];
        for (i, a) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|b| a != b));
        }
    }

    #[test]
    fn token_sequences_do_not_collide() {
        assert_ne!(tokens_hash(&[]), tokens_hash(&[0]));
        assert_ne!(tokens_hash(&[1, 2]), tokens_hash(&[2, 1]));
    }

    #[test]
    fn an_anchor_is_bound_to_its_chain() {
        let payload = AnchorPayload {
            worker: [1u8; 32],
            sequence: 0,
            root: BatchRoot([2; 32]),
            count: 1,
            tokens: 2,
            expires_at: 10u32,
        };
        assert_ne!(payload.signing_hash(&[0; 32]), payload.signing_hash(&[1; 32]));
    }
}
