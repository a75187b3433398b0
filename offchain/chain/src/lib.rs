//! The off-chain programs' only way to the chain.
//!
//! - [`ChainClient`]: one connection to one node, which heals itself. [Typed queries](ChainClient) at a finalized block.
//! - [`FinalizedBlocks`]: every finalized block, in order, once, over restarts of the node and of this process.
//! - [`tx::TxManager`]: the one owner of a key's transactions. What it accepts is on disk before it says so, reaches the
//!   finalized chain once at most, and is never lost.
//! - [`Call`]: what can be asked of the chain. [`Event`]: what happened. [`Key`]: who signs.
//!
//! Nothing of subxt, which this is built on, shows through but [`AccountId`].
//!
//! ```no_run
//! use blyan_chain::{Call, ChainClient, ChainOptions, Key, tx::{SubmissionId, TxManager, TxOptions}};
//!
//! # async fn pay() -> Result<(), Box<dyn std::error::Error>> {
//! let client = ChainClient::connect("ws://127.0.0.1:9944", ChainOptions::default()).await?;
//! let (alice, bob) = (Key::from_uri("//Alice")?, Key::from_uri("//Bob")?);
//! let manager = TxManager::open(&client, alice, "data/alice".as_ref(), TxOptions::default()).await?;
//! let id = SubmissionId::new("rent/2026-10")?;
//! // Safe to repeat after a crash: the id is paid once.
//! manager.submit(&id, Call::Transfer { to: bob.account(), amount: 5_000_000_000_000_000_000 }).await?;
//! let (block, events) = manager.outcome(&id).await?.success()?;
//! # Ok(())
//! # }
//! ```

mod backoff;
mod blocks;
mod call;
mod client;
mod codegen;
mod config;
mod cursor;
mod decode;
mod disk;
mod dispatch;
mod encode;
mod error;
mod event;
mod governance;
mod head;
pub mod keys;
mod learning;
mod metrics;
mod query;
mod rpc;
mod runtime;
mod session;
mod staking;
pub mod tx;

pub use blocks::{FinalizedBlock, FinalizedBlocks, Start, StreamOptions};
pub use call::{Call, VoucherSignature, check_voucher, hardware_id, sign_voucher};
pub use client::{ChainClient, ChainOptions};
pub use decode::BlockEvent;
pub use dispatch::DispatchError;
pub use error::{ChainError, Hash, Result, Source};
pub use event::Event;
pub use governance::{
    Deciding, DecodedCall, Deposit, GovernanceCall, GovernanceEvent, MAX_INLINE, Ongoing, PactStatus, Poll, PollPhase,
    Proposal, Referendum, ReferendumIndex, Stage, Tally, Terms, Track,
};
pub use keys::{Key, KeyError, KeySource};
pub use learning::{
    Accepted, Candidacy, Delta, Enrolment, Evaluation, EvaluationPhase, GameEntry, HiddenSet, ItemSet, Lateness,
    LearningCall, LearningEvent, MAX_SCORES, Measured, Purpose, RevealEntry, Round, RoundOutcome, RoundPhase,
    RoundTerms, Seat, TraceEntry, Verdict, Work,
};
pub use metrics::Metrics;
pub use query::{
    Anchor, Balance, BlockEntry, Channel, Parameters, Served, SlotHead, SpecRecord, SpecStatus, State, WorkerStatus,
};
pub use session::SessionKeys;
pub use staking::{
    BondKind, BondStatus, Charge, Delegation, EraIndex, EraStatus, Exposure, Ledger, PendingSlash, StakingCall,
    StakingEvent, Unbonding, ValidatorStatus,
};
/// An account: an sr25519 public key, or a hash that stands for several. Displayed in SS58 with prefix 42.
pub use subxt::utils::AccountId32 as AccountId;

/// Height of a block.
pub type BlockNumber = u32;

/// A block by number and hash.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, codec::Encode, codec::Decode, serde::Serialize, serde::Deserialize,
)]
pub struct BlockRef {
    /// Height, from 0.
    pub number: BlockNumber,
    /// Hash of the header.
    pub hash: error::Hash,
}

impl std::fmt::Display for BlockRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.number, self.hash)
    }
}
