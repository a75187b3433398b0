//! What can go wrong between a program and the chain.

use crate::{BlockNumber, keys::KeyError, tx::SubmissionId};
use blyan_primitives::ids::SpecId;
use std::{path::PathBuf, time::Duration};

/// Hash of a block, of an extrinsic, or of the chain's first block.
///
/// Displayed as `0x` and 64 hexadecimal digits.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    codec::Encode,
    codec::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(into = "String", try_from = "String")]
pub struct Hash(pub [u8; 32]);

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl std::str::FromStr for Hash {
    type Err = blyan_primitives::ids::ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // One parser for every 32-byte name.
        text.parse::<SpecId>().map(|id| Self(id.0))
    }
}

impl TryFrom<String> for Hash {
    type Error = blyan_primitives::ids::ParseIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// The error of a library below this one, kept whole for `{:#}` and logs.
pub type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why the chain could not be asked, followed or told something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The address is no WebSocket address.
    #[error("{url:?} is not a WebSocket address such as ws://127.0.0.1:9944: {reason}")]
    BadUrl {
        /// The address given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing answered in time.
    #[error("no node answers at {url} (tried for {waited:?}); check that it runs and that its RPC port is open")]
    Unreachable {
        /// The address.
        url: String,
        /// How long was tried.
        waited: Duration,
    },
    /// A node that answered before did not answer in time.
    #[error("the node did not answer {what} within {after:?}; it may be restarting or overloaded")]
    TimedOut {
        /// What was asked.
        what: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The chain at the address is another kind of chain.
    #[error("{url} is not a Blyan chain: its runtime has no pallet {missing}; check the address")]
    NotBlyan {
        /// The address.
        url: String,
        /// The first pallet that was looked for in vain.
        missing: &'static str,
    },
    /// The chain's runtime and this program disagree about a call or a storage item.
    #[error(
        "the chain's runtime (spec version {spec_version}) changed {item}; use a release of this program made for that runtime"
    )]
    IncompatibleRuntime {
        /// Version of the runtime that the chain runs.
        spec_version: u32,
        /// The first item that differs, as `Pallet.item`.
        item: String,
    },
    /// The node follows another chain than the one this data belongs to.
    #[error(
        "the node follows the chain with genesis {found}, but {holder} belongs to {expected}; use that chain's node, or another data directory"
    )]
    OtherChain {
        /// Genesis hash that was stored or asked for.
        expected: Hash,
        /// Genesis hash of the node's chain.
        found: Hash,
        /// What remembers the chain.
        holder: String,
    },
    /// A block that was finalized is not part of the node's finalized chain any more.
    #[error(
        "finalized block {number} was {expected} and is now {found}: the chain was reset or finality was broken; remove the data that belongs to the former chain"
    )]
    ChainReset {
        /// The block's number.
        number: BlockNumber,
        /// The hash that was seen finalized.
        expected: Hash,
        /// The hash that the node has at this number.
        found: Hash,
    },
    /// The node's finalized head stays behind a block that was seen finalized.
    #[error(
        "the node finalized only up to block {head}, but block {cursor} was already processed; let it catch up, or remove the cursor if its chain was reset"
    )]
    NodeBehind {
        /// The node's finalized head.
        head: BlockNumber,
        /// The block that was processed.
        cursor: BlockNumber,
    },
    /// The node does not have a finalized block.
    #[error(
        "the node does not have finalized block {number}: pruned, or not yet downloaded after a warp sync; use a node that keeps all blocks"
    )]
    BlockUnavailable {
        /// The block's number.
        number: BlockNumber,
    },
    /// The node does not know a block by its hash.
    #[error("the node does not know block {hash}")]
    UnknownBlock {
        /// The hash.
        hash: Hash,
    },
    /// The node has a block but no longer the state after it.
    #[error(
        "the node has pruned the state of block {block}; ask a node with --state-pruning archive, or a later block"
    )]
    StatePruned {
        /// The block.
        block: Hash,
    },
    /// The node refused a request.
    #[error("the node refused {what}: {source}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// The node's answer.
        source: Source,
    },
    /// An answer could not be understood.
    #[error("the node's answer to {what} cannot be decoded: {reason}")]
    Decode {
        /// What was asked.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A call could not be encoded for the chain's runtime.
    #[error("{call} cannot be encoded for the chain's runtime: {reason}")]
    Encode {
        /// The call, as `Pallet.call`.
        call: String,
        /// Why.
        reason: String,
    },
    /// A value in a call is not one that the chain accepts.
    #[error("{field} {problem}")]
    BadArgument {
        /// The argument.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A file could not be read or written.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was done to the file.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file of ours has an unknown content.
    #[error("{} is damaged: {reason}; restore it, or remove it to start anew", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A block was acknowledged that was not delivered.
    #[error("block {number} ({hash}) was acknowledged but is not among the delivered, unacknowledged blocks")]
    NotDelivered {
        /// Number given.
        number: BlockNumber,
        /// Hash given.
        hash: Hash,
    },
    /// Another transaction manager uses the directory.
    #[error("{} is in use by another process; a key's transactions have one owner", path.display())]
    JournalLocked {
        /// The journal.
        path: PathBuf,
    },
    /// The journal belongs to another key.
    #[error("{} is the journal of account {found}, not of {expected}; use another directory", path.display())]
    JournalOfOtherKey {
        /// The journal.
        path: PathBuf,
        /// The account of the key given.
        expected: crate::AccountId,
        /// The account in the journal.
        found: crate::AccountId,
    },
    /// The journal's database failed.
    #[error("the transaction journal {}: {source}", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// The database's error.
        source: Source,
    },
    /// A submission id is not 1 to 128 printable ASCII characters.
    #[error("{id:?} is no submission id: 1 to 128 printable ASCII characters without spaces")]
    BadSubmissionId {
        /// The text given.
        id: String,
    },
    /// A submission id was used for another call before.
    #[error("submission {id} was made before with another call; ids name one intention each")]
    IdReused {
        /// The id.
        id: SubmissionId,
    },
    /// Nothing was submitted under an id, or it was forgotten.
    #[error("nothing is known of submission {id}")]
    UnknownSubmission {
        /// The id.
        id: SubmissionId,
    },
    /// A submission cannot be forgotten while its outcome is open.
    #[error("submission {id} is still open and cannot be forgotten")]
    StillOpen {
        /// The id.
        id: SubmissionId,
    },
    /// Too many submissions are open.
    #[error("{limit} submissions are open, which is the limit; wait until some are finalized")]
    TooManyOpen {
        /// The limit.
        limit: usize,
    },
    /// The task behind a handle has ended.
    #[error("the {what} has stopped: {reason}")]
    Stopped {
        /// Which task.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A secret key could not be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl ChainError {
    /// Whether waiting and asking again can help without anybody's intervention: the node is away, starting or slow.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. } | Self::NodeBehind { .. })
    }
}

/// A result of this crate.
pub type Result<T, E = ChainError> = std::result::Result<T, E>;
