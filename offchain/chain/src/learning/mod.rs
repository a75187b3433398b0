//! Rounds of learning and their evaluation: what can be asked of the chain about them, and told.
//!
//! An evaluation has the number of its round. Amounts are in the smallest unit of BLY, times in blocks, gains in micro-nats a
//! token. What is named by 32 bytes here is named so by [`blyan_primitives`]: a reveal by [`Reveal::hash`], a trace by the root
//! of its tree. In JSON these are hexadecimal, and numbers that can have more than 64 bits are text.
//!
//! [`Reveal::hash`]: blyan_primitives::pol::Reveal::hash

mod call;
mod evaluation;
mod event;
mod json;
mod query;
mod round;
pub(crate) mod wire;

pub use call::{LearningCall, MAX_SCORES};
pub use evaluation::{
    Enrolment, Evaluation, EvaluationPhase, GameEntry, HiddenSet, ItemSet, Measured, Purpose, RevealEntry, Seat,
    TraceEntry, Verdict,
};
pub use event::LearningEvent;
pub use round::{Accepted, Candidacy, Delta, Lateness, Round, RoundOutcome, RoundPhase, RoundTerms, Work};
