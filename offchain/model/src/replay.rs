//! Replaying an answer, and naming the first position at which it departs from the model.

use crate::{
    exec::{Engine, ExecError, KvCache},
    sampler::Sampler,
    session::Chain,
};
use blyan_primitives::{ids::Commitment, receipt::Sampling};
use core::{fmt, ops::ControlFlow};

/// An answer, as its author claims it.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Tokens of the prompt.
    pub prompt: &'a [u32],
    /// Tokens of the answer.
    pub output: &'a [u32],
    /// How tokens were chosen.
    pub sampling: Sampling,
    /// The rolling commitment.
    pub commitments: Claimed<'a>,
}

/// A claimed rolling commitment.
#[derive(Clone, Copy, Debug)]
pub enum Claimed<'a> {
    /// After each position: one fewer than there are tokens.
    Every(&'a [Commitment]),
    /// After the last position, as a receipt holds it.
    Last(Commitment),
}

/// Where and how an answer departs from the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The first position at which it does. A position's token is claimed; in question is what followed from it.
    pub position: usize,
    /// What differs.
    pub what: Difference,
}

/// What differs at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The token that follows the position.
    Token {
        /// The claimed one.
        claimed: u32,
        /// The one that the model and the sampling parameters choose.
        chosen: u32,
    },
    /// The rolling commitment after the position: the tokens agree, the hidden states do not, or did not before.
    Commitment {
        /// The claimed one.
        claimed: Commitment,
        /// The one that follows from the model.
        computed: Commitment,
    },
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = self.position;
        match self.what {
            Difference::Token { claimed, chosen } => {
                write!(f, "at position {position} the model chooses token {chosen}, claimed is {claimed}")
            },
            Difference::Commitment { claimed, computed } => {
                write!(f, "at position {position} the commitment is {computed}, claimed is {claimed}")
            },
        }
    }
}

/// Why a replay did not confirm an answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// The model gives another answer.
    #[error("the answer is not the model's: {0}")]
    Diverged(Divergence),
    /// An answer has at least one token.
    #[error("the answer has no tokens")]
    EmptyOutput,
    /// There is not one commitment for each position.
    #[error("{found} commitments for {expected} positions")]
    Commitments {
        /// One fewer than there are tokens.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The tokens or parameters cannot be executed.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// Executes an answer again, with the engine's weights, and compares each chosen token and each commitment.
///
/// All positions pass through the model in prefill's large steps, so that a replay is faster than the answer was.
pub fn replay(engine: &Engine, claim: &Claim<'_>) -> Result<(), ReplayError> {
    let sampler = Sampler::new(claim.sampling).map_err(ExecError::from)?;
    engine.check_tokens(claim.prompt, claim.output.len())?;
    if claim.output.is_empty() {
        return Err(ReplayError::EmptyOutput);
    }
    let tokens = [claim.prompt, claim.output].concat();
    engine.check_tokens(&tokens, 0)?;
    let positions = tokens.len() - 1;
    if let Claimed::Every(commitments) = claim.commitments
        && commitments.len() != positions
    {
        return Err(ReplayError::Commitments { expected: positions, found: commitments.len() });
    }
    let model = engine.model();
    let start = Commitment::start(model.weights_id(), &claim.sampling, tokens[0]);
    let mut chain = Chain::new(start, positions);
    let mut cache = KvCache::new(model.dimensions());
    let mut diverged = None;
    engine.walk(&mut cache, &tokens, 0..positions, claim.prompt.len() - 1, &mut |position, hidden, logits| {
        let next = tokens[position + 1];
        let computed = chain.extend(hidden, next);
        let claimed = match claim.commitments {
            Claimed::Every(commitments) => Some(commitments[position]),
            Claimed::Last(last) => (position + 1 == positions).then_some(last),
        };
        let chosen = logits.map_or(next, |logits| sampler.choose(logits, position as u32));
        let what = if chosen != next {
            Difference::Token { claimed: next, chosen }
        } else if let Some(claimed) = claimed.filter(|claimed| *claimed != computed) {
            Difference::Commitment { claimed, computed }
        } else {
            return ControlFlow::Continue(());
        };
        diverged = Some(Divergence { position, what });
        ControlFlow::Break(())
    })?;
    match diverged {
        None => Ok(()),
        Some(divergence) => Err(ReplayError::Diverged(divergence)),
    }
}
