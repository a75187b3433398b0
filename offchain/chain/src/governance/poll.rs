//! Polls.

use crate::BlockNumber;
use blyan_primitives::{
    pact::Ppm,
    traits::{PollId, PollResult},
};

/// How far a poll is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollPhase {
    /// Members vote.
    Open,
    /// Somebody can appeal.
    Ended {
        /// What stands unless somebody does.
        result: PollResult,
        /// First block in which nobody can.
        until: BlockNumber,
    },
    /// Members vote for a second time.
    Appealed {
        /// What stands unless they change it.
        result: PollResult,
        /// The second poll.
        by: PollId,
    },
    /// It is over.
    Settled {
        /// What was decided in the end; of an appeal: what the second poll alone decided.
        result: PollResult,
    },
}

/// A poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// What it is about.
    pub subject: [u8; 32],
    /// Votes for each outcome.
    pub counts: Vec<u32>,
    /// The outcome that leads.
    pub leader: Option<u8>,
    /// Members when it was opened.
    pub electorate: u32,
    /// Votes of the electorate without which nothing is decided.
    pub quorum: Ppm,
    /// Block in which it was opened.
    pub opened_at: BlockNumber,
    /// First block in which nobody can vote.
    pub ends_at: BlockNumber,
    /// How far it is.
    pub phase: PollPhase,
    /// The poll that is appealed against, if this is the second on its subject.
    pub appeal_of: Option<PollId>,
}
