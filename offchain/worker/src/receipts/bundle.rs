//! What `GET /v1/receipts/{id}` answers with: everything needed to check an answer.

use super::journal::{Place, Standing, StoredReceipt};
use blyan_chain::AccountId;
use blyan_primitives::{
    ids::{BatchRoot, Commitment, ReceiptId, SpecId, WeightsId},
    receipt::{Sampling, batch_tree},
};
use codec::Encode;
use serde::{Deserialize, Serialize};

/// A receipt, the tokens and commitments behind it, and where it is on chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    /// The receipt's name.
    pub id: ReceiptId,
    /// The receipt, for people to read; `scale` is what to check.
    pub receipt: Readable,
    /// The worker's signature of the id, in hex.
    pub signature: String,
    /// The signed receipt as SCALE, in hex.
    pub scale: String,
    /// Tokens of the prompt.
    pub prompt: Vec<u32>,
    /// Tokens of the answer.
    pub output: Vec<u32>,
    /// The rolling commitment after each position.
    pub commitments: Vec<Commitment>,
    /// Why the answer ended.
    pub finish_reason: String,
    /// The text that was sent.
    pub text: String,
    /// The last finalized block at which the worker saw the chain name the receipt's weights. A hint where to look, not a
    /// part of the receipt: whoever checks asks the chain.
    #[serde(default)]
    pub weights_at: Option<Finalized>,
    /// How far it is on its way to the chain.
    pub status: Status,
    /// Where it is on chain, once that is finalized.
    pub anchor: Option<Anchor>,
}

/// A receipt's fields, 32-byte values in hex.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Readable {
    /// Hash of the chain's first block.
    pub genesis: String,
    /// The worker's key.
    pub worker: String,
    /// The receipt's number among the worker's.
    pub number: u64,
    /// Random bytes.
    pub nonce: String,
    /// The spec.
    pub spec: SpecId,
    /// The spec and its expert blocks.
    pub weights: WeightsId,
    /// Hash of the prompt's tokens.
    pub prompt_hash: String,
    /// Hash of the answer's tokens.
    pub output_hash: String,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens of the answer.
    pub output_tokens: u32,
    /// How tokens were chosen.
    pub sampling: Sampling,
    /// The last rolling commitment.
    pub commitment: Commitment,
    /// Unix time in milliseconds.
    pub finished_at: u64,
}

/// How far a receipt is on its way to the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In no batch yet.
    Pending,
    /// Its batch is fixed and on its way.
    Submitted,
    /// Its anchor is finalized.
    Finalized,
}

/// A finalized block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalized {
    /// Its number.
    pub block_number: u32,
    /// Its hash.
    pub block_hash: String,
}

/// A receipt's place on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Always true: an anchor is told of when it is final.
    pub finalized: bool,
    /// The worker's account, in ss58.
    pub worker: String,
    /// The worker's account, in hex.
    pub worker_key: String,
    /// Number of the anchor among the worker's.
    pub sequence: u64,
    /// Root of the batch.
    pub root: BatchRoot,
    /// Receipts in the batch.
    pub count: u32,
    /// This receipt's place in it.
    pub index: u32,
    /// Merkle proof of it, digests in hex.
    pub proof: Vec<String>,
    /// Number of the block with the anchor.
    pub block_number: u32,
    /// Hash of that block.
    pub block_hash: String,
}

fn hexed(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

impl Bundle {
    /// The bundle of a receipt from the journal, whose weights were named at `weights_at`.
    pub fn new(stored: StoredReceipt, standing: &Standing, weights_at: Option<Place>) -> Self {
        let receipt = &stored.signed.receipt;
        Self {
            id: receipt.id(),
            receipt: Readable {
                genesis: hexed(receipt.genesis),
                worker: hexed(receipt.worker),
                number: receipt.number,
                nonce: hexed(receipt.nonce),
                spec: receipt.spec,
                weights: receipt.weights,
                prompt_hash: hexed(receipt.prompt_hash),
                output_hash: hexed(receipt.output_hash),
                prompt_tokens: receipt.prompt_tokens,
                output_tokens: receipt.output_tokens,
                sampling: receipt.sampling,
                commitment: receipt.commitment,
                finished_at: receipt.finished_at,
            },
            signature: hexed(stored.signed.signature),
            scale: hexed(stored.signed.encode()),
            status: Status::of(standing),
            anchor: Anchor::new(receipt.worker, standing),
            prompt: stored.prompt,
            output: stored.output,
            commitments: stored.commitments,
            finish_reason: stored.finish.as_str().into(),
            text: stored.text,
            weights_at: weights_at
                .map(|place| Finalized { block_number: place.block_number, block_hash: hexed(place.block_hash) }),
        }
    }
}

impl Status {
    fn of(standing: &Standing) -> Self {
        match standing {
            Standing::Pending => Self::Pending,
            Standing::Batched { batch, .. } if batch.place.is_none() => Self::Submitted,
            Standing::Batched { .. } => Self::Finalized,
        }
    }
}

impl Anchor {
    fn new(worker: [u8; 32], standing: &Standing) -> Option<Self> {
        let Standing::Batched { batch, index } = standing else { return None };
        let place = batch.place?;
        let at = u64::from(*index);
        let proof = batch_tree(&batch.receipts).prove(at..at.saturating_add(1)).ok()?;
        Some(Self {
            finalized: true,
            worker: AccountId::from(worker).to_string(),
            worker_key: hexed(worker),
            sequence: batch.sequence,
            root: batch.root,
            count: batch.count(),
            index: *index,
            proof: proof.iter().map(hexed).collect(),
            block_number: place.block_number,
            block_hash: hexed(place.block_hash),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::journal::{Journal, Place, tests::answer},
        *,
    };
    use blyan_primitives::receipt::{SignedReceipt, verify_in_batch};
    use codec::DecodeAll;

    #[test]
    fn a_bundle_holds_what_a_stranger_needs_to_check_the_receipt() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), [1; 32], [2; 32], 0).unwrap();
        let stored = journal.append((0..9).map(|_| answer(2)).collect(), 0, |_| [3; 64]).unwrap();
        let id = stored[8].signed.receipt.id();
        let bundle = || {
            let (stored, standing) = journal.get(id).unwrap().unwrap();
            let named = journal.named_at(stored.signed.receipt.weights).unwrap();
            let json = serde_json::to_string(&Bundle::new(stored, &standing, named)).unwrap();
            serde_json::from_str::<Bundle>(&json).unwrap()
        };
        assert_eq!((bundle().status, bundle().anchor), (Status::Pending, None));
        journal.freeze(0).unwrap();
        assert_eq!((bundle().status, bundle().anchor), (Status::Submitted, None));
        assert_eq!(bundle().weights_at, None);
        journal.note_weights(answer(1).weights, Place { block_number: 5, block_hash: [5; 32] }).unwrap();
        let named = Finalized { block_number: 5, block_hash: hexed([5; 32]) };
        assert_eq!(bundle().weights_at, Some(named));
        journal.settle(0, Place { block_number: 7, block_hash: [7; 32] }).unwrap();
        let bundle = bundle();
        assert_eq!(bundle.status, Status::Finalized);
        let anchor = bundle.anchor.unwrap();
        assert!(anchor.finalized && anchor.block_number == 7);
        let digest = |text: &String| hex::decode(text.trim_start_matches("0x")).unwrap().try_into().unwrap();
        let proof: Vec<[u8; 32]> = anchor.proof.iter().map(digest).collect();
        assert_eq!(verify_in_batch(anchor.root, anchor.count, anchor.index, id, &proof), Ok(()));
        let scale = hex::decode(bundle.scale.trim_start_matches("0x")).unwrap();
        assert_eq!(SignedReceipt::decode_all(&mut &*scale).unwrap().receipt.id(), id);
    }
}
