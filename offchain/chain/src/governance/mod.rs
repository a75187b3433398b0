//! Referenda, votes, polls and the Genesis Pact: what can be asked of the chain about them, and told.
//!
//! Amounts are in the smallest unit of BLY, times in blocks.

mod decoded;
mod pact;
mod poll;
mod query;
mod referendum;
pub(crate) mod wire;

pub use decoded::DecodedCall;
pub use pact::PactStatus;
pub use poll::{Poll, PollPhase};
pub use referendum::{Deciding, Deposit, Ongoing, Referendum, Stage, Tally, Terms, Track};

use crate::{AccountId, BlockNumber, Hash};
use blyan_primitives::{
    ids::HardwareId,
    pact::Parameter,
    traits::{PollId, PollResult},
};
use codec::{Decode, Encode};

/// Number of a referendum.
pub type ReferendumIndex = u32;

/// Longest call that a referendum holds itself, in bytes; of a longer one it holds the hash.
pub const MAX_INLINE: usize = 128;

/// The call that a referendum is about.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Proposal {
    /// The call itself, SCALE encoded.
    #[codec(index = 0)]
    Inline(Vec<u8>),
    /// What names a call whose encoding is noted as a preimage.
    #[codec(index = 1)]
    Lookup {
        /// BLAKE2b-256 of the encoding.
        hash: Hash,
        /// Its length in bytes.
        len: u32,
    },
    /// As [`Proposal::Lookup`], of a length that the chain was not told.
    #[codec(index = 2)]
    Legacy {
        /// BLAKE2b-256 of the encoding.
        hash: Hash,
    },
}

impl Proposal {
    /// The proposal of the call with this encoding.
    pub fn of(call: &[u8]) -> Self {
        if call.len() <= MAX_INLINE {
            return Self::Inline(call.to_vec());
        }
        let len = u32::try_from(call.len()).unwrap_or(u32::MAX);
        Self::Lookup { hash: Hash(blyan_primitives::hash::blake2_256(call)), len }
    }

    /// BLAKE2b-256 of the call's encoding.
    pub fn hash(&self) -> Hash {
        match self {
            Self::Inline(call) => Hash(blyan_primitives::hash::blake2_256(call)),
            Self::Lookup { hash, .. } | Self::Legacy { hash } => *hash,
        }
    }
}

/// A call about referenda, votes, polls and what they decide.
///
/// Its encoding is part of the journal's format: variants keep their indices.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum GovernanceCall {
    /// Puts a call on chain for others to refer to by its hash. A deposit is held for its bytes.
    #[codec(index = 0)]
    NotePreimage {
        /// The call, SCALE encoded.
        bytes: Vec<u8>,
    },
    /// Removes a preimage that the account has noted; its deposit returns.
    #[codec(index = 1)]
    UnnotePreimage {
        /// BLAKE2b-256 of its bytes.
        hash: Hash,
    },
    /// Asks for a referendum. A deposit is held.
    #[codec(index = 2)]
    Submit {
        /// On whose terms it is decided, and with which rights its call is made.
        track: Track,
        /// The call.
        proposal: Proposal,
        /// Blocks from its approval to the call; the track's shortest time holds at least.
        after: BlockNumber,
    },
    /// Places the deposit without which a referendum is not decided.
    #[codec(index = 3)]
    PlaceDecisionDeposit {
        /// The referendum.
        referendum: ReferendumIndex,
    },
    /// Returns the decision deposit of a referendum that is over.
    #[codec(index = 4)]
    RefundDecisionDeposit {
        /// The referendum.
        referendum: ReferendumIndex,
    },
    /// Returns the submission deposit of a referendum that was approved or cancelled.
    #[codec(index = 5)]
    RefundSubmissionDeposit {
        /// The referendum.
        referendum: ReferendumIndex,
    },
    /// Votes on a referendum, in place of the machine's vote so far.
    #[codec(index = 6)]
    Vote {
        /// The referendum.
        referendum: ReferendumIndex,
        /// Whether for it.
        aye: bool,
    },
    /// Takes the machine's vote on a referendum back.
    #[codec(index = 7)]
    RemoveVote {
        /// The referendum.
        referendum: ReferendumIndex,
    },
    /// Removes votes on a referendum that is over.
    #[codec(index = 8)]
    CleanUp {
        /// The referendum.
        referendum: ReferendumIndex,
        /// How many at most.
        max: u32,
    },
    /// Votes in a poll, in place of the machine's vote so far.
    #[codec(index = 9)]
    VotePoll {
        /// The poll.
        poll: PollId,
        /// The outcome.
        outcome: u8,
    },
    /// Takes the machine's vote in a poll back.
    #[codec(index = 10)]
    RemovePollVote {
        /// The poll.
        poll: PollId,
    },
    /// Appeals against the result of a poll. A deposit is held.
    #[codec(index = 11)]
    Appeal {
        /// The poll.
        poll: PollId,
    },
    /// Removes votes of a poll whose result is final, and at last the poll.
    #[codec(index = 12)]
    CleanUpPoll {
        /// The poll.
        poll: PollId,
        /// How many at most.
        max: u32,
    },
    /// Puts new values into the Pact, all of them or none. Only governance can.
    #[codec(index = 13)]
    ChangePact {
        /// The new values.
        changes: Vec<Parameter>,
    },
    /// Sends money from the treasury. Only governance can.
    #[codec(index = 14)]
    Spend {
        /// Who gets it.
        to: AccountId,
        /// How much.
        amount: u128,
    },
    /// Replaces the runtime. Only root can.
    #[codec(index = 15)]
    SetCode {
        /// The new runtime, in WebAssembly.
        code: Vec<u8>,
    },
    /// Opens a poll. Only governance can.
    #[codec(index = 16)]
    OpenPoll {
        /// What it is about.
        subject: [u8; 32],
        /// How many outcomes it chooses from, 2 to 8.
        outcomes: u8,
    },
}

/// What happened to referenda, votes, polls and the Pact.
///
/// Its encoding is part of the journal's format: variants keep their indices.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum GovernanceEvent {
    /// A referendum is asked for.
    #[codec(index = 0)]
    Submitted {
        /// Its number.
        referendum: ReferendumIndex,
        /// Number of its track.
        track: u16,
    },
    /// A referendum's decision deposit is placed.
    #[codec(index = 1)]
    DecisionDepositPlaced {
        /// The referendum.
        referendum: ReferendumIndex,
        /// By whom.
        who: AccountId,
        /// How much.
        amount: u128,
    },
    /// A deposit of a referendum has returned.
    #[codec(index = 2)]
    DepositRefunded {
        /// The referendum.
        referendum: ReferendumIndex,
        /// To whom.
        who: AccountId,
        /// How much.
        amount: u128,
    },
    /// A referendum is being decided.
    #[codec(index = 3)]
    DecisionStarted {
        /// The referendum.
        referendum: ReferendumIndex,
    },
    /// A referendum passes, and must go on passing to be approved.
    #[codec(index = 4)]
    ConfirmStarted {
        /// The referendum.
        referendum: ReferendumIndex,
    },
    /// A referendum passes no longer.
    #[codec(index = 5)]
    ConfirmAborted {
        /// The referendum.
        referendum: ReferendumIndex,
    },
    /// A referendum is approved, and its call will be made.
    #[codec(index = 6)]
    Approved {
        /// The referendum.
        referendum: ReferendumIndex,
    },
    /// A referendum is rejected.
    #[codec(index = 7)]
    Rejected {
        /// The referendum.
        referendum: ReferendumIndex,
    },
    /// A machine has voted on a referendum, or changed its vote.
    #[codec(index = 8)]
    Voted {
        /// The referendum.
        referendum: ReferendumIndex,
        /// The account that the machine is bound to.
        who: AccountId,
        /// The machine.
        machine: HardwareId,
        /// Whether it is for it.
        aye: bool,
        /// Machines for it.
        ayes: u32,
        /// Machines against it.
        nays: u32,
    },
    /// A machine's vote on a referendum counts no longer.
    #[codec(index = 9)]
    VoteRemoved {
        /// The referendum.
        referendum: ReferendumIndex,
        /// The account that the machine is bound to.
        who: AccountId,
        /// The machine.
        machine: HardwareId,
        /// Machines for it.
        ayes: u32,
        /// Machines against it.
        nays: u32,
    },
    /// Votes on a referendum that is over are removed.
    #[codec(index = 10)]
    CleanedUp {
        /// The referendum.
        referendum: ReferendumIndex,
        /// How many.
        votes: u32,
    },
    /// A poll is open.
    #[codec(index = 11)]
    PollOpened {
        /// Its number.
        poll: PollId,
        /// What it is about.
        subject: [u8; 32],
        /// How many outcomes it chooses from.
        outcomes: u8,
        /// First block in which nobody can vote, unless the end moves.
        ends_at: BlockNumber,
        /// The poll that is appealed against, if this is the second.
        appeal_of: Option<PollId>,
    },
    /// A machine has voted in a poll, or changed its vote.
    #[codec(index = 12)]
    PollVoted {
        /// The poll.
        poll: PollId,
        /// The account that the machine is bound to.
        who: AccountId,
        /// The machine.
        machine: HardwareId,
        /// The outcome it is for.
        outcome: u8,
    },
    /// A machine's vote in a poll counts no longer.
    #[codec(index = 13)]
    PollVoteRemoved {
        /// The poll.
        poll: PollId,
        /// The account that the machine is bound to.
        who: AccountId,
        /// The machine.
        machine: HardwareId,
    },
    /// A poll has ended.
    #[codec(index = 14)]
    PollEnded {
        /// The poll.
        poll: PollId,
        /// What it has decided.
        result: PollResult,
    },
    /// Somebody has appealed against a result.
    #[codec(index = 15)]
    PollAppealed {
        /// The poll that has ended.
        poll: PollId,
        /// The second poll on its subject.
        by: PollId,
        /// Who has appealed.
        who: AccountId,
        /// What is held from them.
        deposit: u128,
    },
    /// A result is final.
    #[codec(index = 16)]
    PollSettled {
        /// The poll.
        poll: PollId,
        /// What it is about.
        subject: [u8; 32],
        /// What is decided.
        result: PollResult,
    },
    /// Votes of a poll that is over are removed.
    #[codec(index = 17)]
    PollCleanedUp {
        /// The poll.
        poll: PollId,
        /// How many.
        votes: u32,
        /// Whether the poll is removed too.
        done: bool,
    },
    /// A preimage is noted.
    #[codec(index = 18)]
    PreimageNoted {
        /// BLAKE2b-256 of its bytes.
        hash: Hash,
    },
    /// The Pact has changed.
    #[codec(index = 19)]
    PactChanged {
        /// How often it has changed so far.
        revision: u32,
        /// Commits to the Pact as it is now.
        hash: Hash,
        /// What each parameter that is different was and is.
        changes: Vec<(Parameter, Parameter)>,
    },
    /// The treasury has spent money.
    #[codec(index = 20)]
    TreasurySpent {
        /// Who got it.
        to: AccountId,
        /// How much.
        amount: u128,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_call_is_its_own_proposal_and_a_long_one_is_named() {
        let short = Proposal::of(&[7; MAX_INLINE]);
        assert_eq!(short, Proposal::Inline(vec![7; MAX_INLINE]));
        let long = Proposal::of(&[7; MAX_INLINE + 1]);
        assert!(matches!(long, Proposal::Lookup { len: 129, .. }));
        assert_eq!(long.hash(), Hash(blyan_primitives::hash::blake2_256(&[7; 129])));
        assert_ne!(short.hash(), long.hash());
    }
}
