//! What is remembered of a submission, in memory and in the journal.

use crate::{BlockRef, Call, ChainError, DispatchError, Event, Hash};
use codec::{Decode, Encode};
use std::{fmt, str::FromStr};

/// Longest id, in bytes.
const MAX_ID: usize = 128;

/// Names one intention of the caller, such as `anchor/17`: under one id the chain sees one effect at most, however often
/// the caller crashes and asks again. 1 to 128 printable ASCII characters without spaces.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmissionId(String);

impl SubmissionId {
    /// `text` as an id.
    ///
    /// # Errors
    /// [`ChainError::BadSubmissionId`].
    pub fn new(text: impl Into<String>) -> Result<Self, ChainError> {
        let id = text.into();
        if (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(id))
        } else {
            Err(ChainError::BadSubmissionId { id })
        }
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SubmissionId {
    type Err = ChainError;

    fn from_str(text: &str) -> Result<Self, ChainError> {
        Self::new(text)
    }
}

impl fmt::Display for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// What the runtime made of a call in a block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Dispatch {
    /// It was executed; these are the events that it caused, in order.
    #[codec(index = 0)]
    Ok(Vec<Event>),
    /// It failed, and changed nothing but the fee that it paid.
    #[codec(index = 1)]
    Failed(DispatchError),
    /// The node had pruned the state that holds the events before they were read. Ask the chain's present state.
    #[codec(index = 2)]
    Unknown,
}

/// Where and how a submission ended up in the finalized chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Inclusion {
    /// The finalized block.
    pub block: BlockRef,
    /// Number of the extrinsic in the block.
    pub index: u32,
    /// Hash of the extrinsic.
    pub extrinsic: Hash,
    /// What came of it.
    pub dispatch: Dispatch,
}

/// Why a submission is not and never will be in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum NeverIncluded {
    /// The node refused it, and it was given to no other.
    #[error("the node refused the extrinsic: {0}")]
    #[codec(index = 0)]
    Refused(String),
    /// It was signed several times over, and each time its time ran out.
    #[error("signed {signed} times, no block included it in time{}", last_words(refusal))]
    #[codec(index = 1)]
    GaveUp {
        /// How often it was signed.
        signed: u32,
        /// What the node said of it last.
        refusal: Option<String>,
    },
    /// Others keep using the account's nonces.
    #[error("another program signs with this key: its extrinsics took the nonce {times} times; give the key one owner")]
    #[codec(index = 2)]
    NonceTaken {
        /// How often.
        times: u32,
    },
    /// What it says is no longer acceptable to the chain.
    #[error("{0}")]
    #[codec(index = 3)]
    TooLate(String),
    /// The chain holds something else in its place.
    #[error("{0}")]
    #[codec(index = 4)]
    Conflict(String),
}

fn last_words(refusal: &Option<String>) -> String {
    refusal.as_ref().map_or_else(String::new, |said| format!("; the node said: {said}"))
}

/// How a submission ended. It never changes again: everything it says is finalized.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// In a finalized block.
    #[codec(index = 0)]
    Included(Inclusion),
    /// The finalized state at this block holds the call's effect, put there by an extrinsic of equal content that this
    /// journal does not know the place of. Only calls that the chain itself makes unique end so: heartbeats, anchors.
    #[codec(index = 1)]
    AlreadyOnChain {
        /// A finalized block whose state holds the effect.
        seen_at: BlockRef,
    },
    /// In no block, for ever.
    #[codec(index = 2)]
    NeverIncluded(NeverIncluded),
}

/// Why a finished submission did not have its effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmissionError {
    /// It is in a block, but the runtime refused it.
    #[error("{error} (block {block})")]
    Dispatch {
        /// The runtime's reason.
        error: Box<DispatchError>,
        /// Where it stands.
        block: BlockRef,
    },
    /// It is in a block, but what came of it can no longer be read from this node.
    #[error(
        "included in block {block}, but the node has pruned its events; ask the chain's present state for the effect"
    )]
    Unknown {
        /// Where it stands.
        block: BlockRef,
    },
    /// It is in no block.
    #[error(transparent)]
    NeverIncluded(#[from] NeverIncluded),
}

impl Outcome {
    /// The block and events of a call that had its effect; block only, without events, for
    /// [`Outcome::AlreadyOnChain`].
    ///
    /// # Errors
    /// [`SubmissionError`] for every other end.
    pub fn success(self) -> Result<(BlockRef, Vec<Event>), SubmissionError> {
        match self {
            Self::AlreadyOnChain { seen_at } => Ok((seen_at, Vec::new())),
            Self::NeverIncluded(reason) => Err(reason.into()),
            Self::Included(Inclusion { block, dispatch, .. }) => match dispatch {
                Dispatch::Ok(events) => Ok((block, events)),
                Dispatch::Failed(error) => Err(SubmissionError::Dispatch { error: Box::new(error), block }),
                Dispatch::Unknown => Err(SubmissionError::Unknown { block }),
            },
        }
    }

    /// A word for metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Included(Inclusion { dispatch: Dispatch::Ok(_), .. }) => "ok",
            Self::Included(Inclusion { dispatch: Dispatch::Failed(_), .. }) => "dispatch_error",
            Self::Included(Inclusion { dispatch: Dispatch::Unknown, .. }) => "unknown",
            Self::AlreadyOnChain { .. } => "seen",
            Self::NeverIncluded(_) => "never_included",
        }
    }
}

/// Signed bytes that a block may still include.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Attempt {
    /// The account's nonce; `None` for an authorised call, which has none.
    pub(crate) nonce: Option<u64>,
    /// The extrinsic as it is submitted.
    pub(crate) bytes: Vec<u8>,
    /// Its hash.
    pub(crate) hash: Hash,
    /// First block that can include it.
    pub(crate) first: u32,
    /// Last block that can include it.
    pub(crate) last: u32,
    /// The only runtime that accepts it, when it is signed for one.
    pub(crate) spec_version: Option<u32>,
}

/// A submission.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Entry {
    /// Grows with each submission that the journal accepts.
    pub(crate) order: u64,
    /// What is to happen.
    pub(crate) call: Call,
    /// How often it was signed.
    pub(crate) signed: u32,
    /// How often an extrinsic of another program took its nonce.
    pub(crate) displaced: u32,
    /// What may still be included. There is one at most: before the next is signed, this one is proved dead.
    pub(crate) live: Option<Attempt>,
    /// What the node last said against it.
    pub(crate) refusal: Option<String>,
    /// How it ended.
    pub(crate) outcome: Option<Outcome>,
}

/// Where a submission stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// On disk; its outcome is not finalized.
    Open {
        /// Hash of the extrinsic that may be included, once it is signed.
        extrinsic: Option<Hash>,
        /// The nonce it uses.
        nonce: Option<u64>,
        /// How often it was signed.
        signed: u32,
        /// What the node last said against it.
        refusal: Option<String>,
    },
    /// Over.
    Done(Outcome),
}

impl Entry {
    pub(crate) fn status(&self) -> Status {
        match &self.outcome {
            Some(outcome) => Status::Done(outcome.clone()),
            None => Status::Open {
                extrinsic: self.live.as_ref().map(|attempt| attempt.hash),
                nonce: self.live.as_ref().and_then(|attempt| attempt.nonce),
                signed: self.signed,
                refusal: self.refusal.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked() {
        for good in ["a", "anchor/17", &"x".repeat(128)] {
            assert_eq!(SubmissionId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\n", "é", &"x".repeat(129)] {
            assert!(matches!(SubmissionId::new(bad), Err(ChainError::BadSubmissionId { .. })), "{bad:?}");
        }
    }
}
