//! What the pallet keeps of a poll.

use crate::counting;
use blyan_primitives::{
    pact::{Governance, Ppm},
    traits::{PollId, PollResult, MAX_OUTCOMES},
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{traits::ConstU32, BoundedVec};
use polkadot_sdk::*;
use scale_info::TypeInfo;
use sp_runtime::traits::AtLeast32BitUnsigned;

/// An amount of BLY, in its smallest unit: what the Pact counts in.
pub type Balance = u128;

/// Votes for each outcome of a poll.
pub type Counts = BoundedVec<u32, ConstU32<{ MAX_OUTCOMES as u32 }>>;

/// The Pact's rules for a poll, as they were when it was opened: a change of the Pact does not reach into open polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Rules {
    /// Blocks for which members vote, unless the end moves.
    pub period: u32,
    /// Blocks for which an outcome has to lead at the end.
    pub confirm: u32,
    /// Votes of the electorate without which nothing is decided.
    pub quorum: Ppm,
}

impl Rules {
    /// Rules of a poll that is opened now.
    pub const fn of_poll(pact: &Governance) -> Self {
        Self { period: pact.poll_period, confirm: pact.poll_confirm, quorum: pact.poll_quorum }
    }

    /// Rules of the second poll of an appeal that is made now.
    pub const fn of_appeal(pact: &Governance) -> Self {
        Self { period: pact.appeal_period, confirm: pact.poll_confirm, quorum: pact.appeal_quorum }
    }
}

/// What makes a poll the second one on its subject.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Appeal<AccountId> {
    /// The poll that is appealed against.
    pub of: PollId,
    /// Its result.
    pub former: PollResult,
    /// Who appeals.
    pub by: AccountId,
    /// What is held from them until the second poll has ended.
    pub deposit: Balance,
}

/// How far a poll is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub enum Phase<BlockNumber> {
    /// Members vote.
    #[codec(index = 0)]
    Open,
    /// Somebody can appeal.
    #[codec(index = 1)]
    Ended {
        /// What stands unless somebody does.
        result: PollResult,
        /// First block in which nobody can.
        until: BlockNumber,
    },
    /// Members vote for a second time.
    #[codec(index = 2)]
    Appealed {
        /// What stands unless they change it.
        result: PollResult,
        /// The second poll.
        by: PollId,
    },
    /// It is over. Anyone can remove what is left of it.
    #[codec(index = 3)]
    Settled {
        /// What was decided in the end; of an appeal: what the second poll alone decided.
        result: PollResult,
    },
}

/// A poll.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Poll<AccountId, BlockNumber> {
    /// What it is about.
    pub subject: [u8; 32],
    /// Votes for each outcome.
    pub counts: Counts,
    /// The outcome that leads: it has more votes than any other, or had when it took the lead and now has as many.
    pub leader: Option<u8>,
    /// Members when it was opened.
    pub electorate: u32,
    /// Its rules.
    pub rules: Rules,
    /// Block in which it was opened.
    pub opened_at: BlockNumber,
    /// First block in which nobody can vote.
    pub ends_at: BlockNumber,
    /// How far it is.
    pub phase: Phase<BlockNumber>,
    /// Of the second poll on a subject: the appeal that it decides.
    pub appeal: Option<Appeal<AccountId>>,
}

impl<AccountId, BlockNumber: AtLeast32BitUnsigned + Copy> Poll<AccountId, BlockNumber> {
    /// Whether members can vote in block `now`. A poll whose end has come but was not worked on yet takes no votes.
    pub fn is_open(&self, now: BlockNumber) -> bool {
        matches!(self.phase, Phase::Open) && now < self.ends_at
    }

    /// Replaces a vote: `former` no longer counts, `vote` does. When another outcome takes the lead, the end moves so that it
    /// has to lead for [`Rules::confirm`] blocks, but never beyond [`Self::latest_end`].
    pub fn replace(&mut self, former: Option<u8>, vote: Option<u8>, now: BlockNumber) {
        if let Some(votes) = former.and_then(|outcome| self.counts.get_mut(usize::from(outcome))) {
            *votes = votes.saturating_sub(1);
        }
        if let Some(votes) = vote.and_then(|outcome| self.counts.get_mut(usize::from(outcome))) {
            *votes = votes.saturating_add(1);
        }
        let leader = counting::leader(&self.counts, self.leader);
        if leader.is_some() && leader != self.leader {
            let confirmed = now.saturating_add(self.rules.confirm.into());
            self.ends_at = self.ends_at.max(confirmed.min(self.latest_end()));
        }
        self.leader = leader;
    }

    /// Twice the period after the opening: however often the lead changes, the poll ends.
    pub fn latest_end(&self) -> BlockNumber {
        let period = BlockNumber::from(self.rules.period.max(1));
        self.opened_at.saturating_add(period).saturating_add(period)
    }

    /// What the votes decide, when there are `members` now.
    pub fn result(&self, members: u32) -> PollResult {
        let votes = counting::sum(&self.counts);
        let quorum = counting::reaches(votes, self.rules.quorum, self.electorate.max(members));
        self.leader.filter(|_| quorum).map_or(PollResult::NoQuorum, PollResult::Decided)
    }
}
