//! Referenda, and the terms on which they are decided.

use super::{Proposal, ReferendumIndex};
use crate::{AccountId, BlockNumber};
use blyan_primitives::pact::{Governance, Ppm};
use codec::{Decode, Encode};

/// Support that is needed at the beginning of a decision, on every track.
const FIRST_SUPPORT: Ppm = Ppm(500_000);

/// Which kind of decision a referendum is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Track {
    /// Calls that need root, upgrades of the runtime among them.
    #[codec(index = 0)]
    Root,
    /// Changes of the Pact.
    #[codec(index = 1)]
    Pact,
    /// Spending from the treasury.
    #[codec(index = 2)]
    Treasury,
    /// Cancelling slashes.
    #[codec(index = 3)]
    CancelSlash,
}

impl Track {
    /// Every track.
    pub const ALL: [Self; 4] = [Self::Root, Self::Pact, Self::Treasury, Self::CancelSlash];

    /// Its number on chain.
    pub fn id(self) -> u16 {
        match self {
            Self::Root => 0,
            Self::Pact => 1,
            Self::Treasury => 2,
            Self::CancelSlash => 3,
        }
    }

    /// The track with this number, if this program knows it.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|track| track.id() == id)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Pact => "pact",
            Self::Treasury => "treasury",
            Self::CancelSlash => "cancel-slash",
        }
    }

    /// Its terms, as the Pact has them.
    pub fn terms(self, pact: &Governance) -> Terms {
        let (approval, support) = match self {
            Self::Root => (pact.root_approval, pact.root_support),
            Self::Pact => (pact.pact_approval, pact.pact_support),
            Self::Treasury => (pact.treasury_approval, pact.treasury_support),
            Self::CancelSlash => (pact.cancel_approval, pact.cancel_support),
        };
        let (prepare, decision, confirm, enactment) = match self {
            // A slash is applied when its dispute is over: nothing waits.
            Self::CancelSlash => (0, pact.cancel_decision, pact.cancel_confirm, pact.cancel_enactment),
            _ => (pact.prepare, pact.decision, pact.confirm, pact.enactment),
        };
        Terms { deposit: pact.decision_deposit, prepare, decision, confirm, enactment, approval, support }
    }
}

impl std::fmt::Display for Track {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The terms of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Deposit without which nothing is decided.
    pub deposit: u128,
    /// Blocks from submission to the earliest decision.
    pub prepare: BlockNumber,
    /// Blocks of the longest decision.
    pub decision: BlockNumber,
    /// Blocks for which a referendum must go on passing.
    pub confirm: BlockNumber,
    /// Fewest blocks from the approval to the call.
    pub enactment: BlockNumber,
    /// Ayes of all votes that are needed at the end of the decision.
    pub approval: Ppm,
    /// Ayes of all members that are needed at the end of the decision.
    pub support: Ppm,
}

impl Terms {
    /// Approval and support that are needed `elapsed` blocks after the beginning of the decision: both fall evenly, to what
    /// the Pact says. The chain computes in finer steps.
    pub fn needed(&self, elapsed: BlockNumber) -> (Ppm, Ppm) {
        let falling = |Ppm(first): Ppm, Ppm(last): Ppm| {
            let last = last.min(first);
            let fallen = u64::from(first.saturating_sub(last))
                .saturating_mul(elapsed.min(self.decision).into())
                .checked_div(self.decision.into())
                .unwrap_or(u64::MAX);
            Ppm(first.saturating_sub(u32::try_from(fallen).unwrap_or(u32::MAX)).max(last))
        };
        (falling(Ppm::ONE, self.approval), falling(FIRST_SUPPORT, self.support))
    }
}

/// The count of a referendum: each machine has a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Machines for it.
    pub ayes: u32,
    /// Machines against it.
    pub nays: u32,
    /// Members when it was submitted.
    pub electorate: u32,
}

impl Tally {
    /// Ayes of all votes.
    pub fn approval(&self) -> Ppm {
        share(self.ayes, self.ayes.saturating_add(self.nays))
    }

    /// Ayes of the members, of when it was submitted or `now`, whichever are more.
    pub fn support(&self, now: u32) -> Ppm {
        share(self.ayes, self.electorate.max(now))
    }
}

fn share(part: u32, whole: u32) -> Ppm {
    let parts = u64::from(part).saturating_mul(Ppm::ONE.0.into()).checked_div(whole.max(1).into());
    Ppm(parts.and_then(|parts| u32::try_from(parts).ok()).unwrap_or(Ppm::ONE.0))
}

/// A decision under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deciding {
    /// Block in which it began.
    pub since: BlockNumber,
    /// Block in which it is approved, if it goes on passing.
    pub confirming: Option<BlockNumber>,
}

/// Money that is held for a referendum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// From whom.
    pub who: AccountId,
    /// How much.
    pub amount: u128,
}

/// How far a referendum is that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody has placed the decision deposit.
    AwaitsDeposit,
    /// The decision can begin in a later block.
    Preparing {
        /// The block.
        until: BlockNumber,
    },
    /// As many as can be are being decided on its track.
    Queued,
    /// It is being decided.
    Deciding {
        /// Block in which it is rejected, unless it passes before.
        until: BlockNumber,
    },
    /// It passes.
    Confirming {
        /// Block in which it is approved, unless it stops passing before.
        until: BlockNumber,
    },
}

/// A referendum that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ongoing {
    /// Number of its track.
    pub track: u16,
    /// What it is about.
    pub proposal: Proposal,
    /// Block in which it was submitted.
    pub submitted: BlockNumber,
    /// What its author has placed.
    pub submission_deposit: Deposit,
    /// What somebody has placed so that it is decided.
    pub decision_deposit: Option<Deposit>,
    /// The decision, once it has begun.
    pub deciding: Option<Deciding>,
    /// The count.
    pub tally: Tally,
    /// Whether it waits for others on its track.
    pub queued: bool,
}

impl Ongoing {
    /// How far it is, on these terms.
    pub fn stage(&self, terms: &Terms) -> Stage {
        match self.deciding {
            Some(Deciding { confirming: Some(until), .. }) => Stage::Confirming { until },
            Some(Deciding { since, confirming: None }) => {
                Stage::Deciding { until: since.saturating_add(terms.decision) }
            },
            None if self.queued => Stage::Queued,
            None if self.decision_deposit.is_none() => Stage::AwaitsDeposit,
            None => Stage::Preparing { until: self.submitted.saturating_add(terms.prepare) },
        }
    }
}

/// A referendum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Referendum {
    /// Not over.
    Ongoing(Box<Ongoing>),
    /// Approved in a block; its call was or will be made.
    Approved(BlockNumber),
    /// Rejected in a block.
    Rejected(BlockNumber),
    /// Cancelled in a block.
    Cancelled(BlockNumber),
    /// Forgotten in a block, as nobody had its decision begin.
    TimedOut(BlockNumber),
    /// Ended in a block, with its deposits lost.
    Killed(BlockNumber),
}

impl Referendum {
    /// The referendum, if it is not over.
    pub fn ongoing(&self) -> Option<&Ongoing> {
        match self {
            Self::Ongoing(ongoing) => Some(ongoing),
            _ => None,
        }
    }

    /// How it ended, and in which block; `None` while it has not.
    pub fn end(&self) -> Option<(&'static str, BlockNumber)> {
        match self {
            Self::Ongoing(_) => None,
            Self::Approved(at) => Some(("approved", *at)),
            Self::Rejected(at) => Some(("rejected", *at)),
            Self::Cancelled(at) => Some(("cancelled", *at)),
            Self::TimedOut(at) => Some(("timed out", *at)),
            Self::Killed(at) => Some(("killed", *at)),
        }
    }
}

/// A referendum by its number.
pub(crate) type Numbered = (ReferendumIndex, Referendum);

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::pact::{NetworkKind, Pact};

    fn governance() -> Governance {
        Pact::default_for(NetworkKind::Public).governance
    }

    #[test]
    fn tracks_are_found_by_their_numbers() {
        for track in Track::ALL {
            assert_eq!(Track::from_id(track.id()), Some(track));
        }
        assert_eq!(Track::from_id(4), None);
    }

    #[test]
    fn what_is_needed_falls_evenly_to_what_the_pact_says() {
        let terms = Track::Root.terms(&governance());
        assert_eq!(terms.needed(0), (Ppm::ONE, Ppm(500_000)));
        assert_eq!(terms.needed(terms.decision), (Ppm(666_667), Ppm(250_000)));
        assert_eq!(terms.needed(u32::MAX), (Ppm(666_667), Ppm(250_000)));
        assert_eq!(terms.needed(terms.decision / 2), (Ppm(833_334), Ppm(375_000)));
    }

    #[test]
    fn cancelling_a_slash_does_not_wait() {
        let (slow, fast) = (Track::Pact.terms(&governance()), Track::CancelSlash.terms(&governance()));
        assert_eq!(fast.prepare, 0);
        assert!(fast.decision < slow.decision && fast.confirm < slow.confirm && fast.enactment < slow.enactment);
    }

    #[test]
    fn shares_are_of_votes_and_of_members() {
        let tally = Tally { ayes: 3, nays: 1, electorate: 10 };
        assert_eq!(tally.approval(), Ppm(750_000));
        assert_eq!((tally.support(4), tally.support(30)), (Ppm(300_000), Ppm(100_000)));
        assert_eq!(Tally { ayes: 0, nays: 0, electorate: 0 }.support(0), Ppm(0));
    }

    #[test]
    fn a_stage_is_named_with_its_end() {
        let terms = Track::Pact.terms(&governance());
        let deposit = Deposit { who: AccountId::from([1; 32]), amount: 1 };
        let mut ongoing = Ongoing {
            track: Track::Pact.id(),
            proposal: Proposal::Inline(vec![1]),
            submitted: 100,
            submission_deposit: deposit,
            decision_deposit: None,
            deciding: None,
            tally: Tally { ayes: 0, nays: 0, electorate: 0 },
            queued: false,
        };
        assert_eq!(ongoing.stage(&terms), Stage::AwaitsDeposit);
        ongoing.decision_deposit = Some(deposit);
        assert_eq!(ongoing.stage(&terms), Stage::Preparing { until: 100 + terms.prepare });
        ongoing.deciding = Some(Deciding { since: 200, confirming: None });
        assert_eq!(ongoing.stage(&terms), Stage::Deciding { until: 200 + terms.decision });
        ongoing.deciding = Some(Deciding { since: 200, confirming: Some(300) });
        assert_eq!(ongoing.stage(&terms), Stage::Confirming { until: 300 });
    }
}
