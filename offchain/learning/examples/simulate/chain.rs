//! What the runtime and its pallets set, read from the files that say so: a figure that is changed there is another one here.

use std::fmt;

/// Smallest units of a BLY.
pub(crate) const BLY: f64 = 1e18;

/// A file of the chain, and its name.
type Source = (&'static str, &'static str);

macro_rules! source {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../../", $path)))
    };
}

const CONSTANTS: Source = source!("runtime/src/constants.rs");
const EXPERTS: Source = source!("runtime/src/configs/experts.rs");
const POL: Source = source!("runtime/src/configs/pol.rs");
const EVALUATIONS: Source = source!("pallets/pol/src/evaluations.rs");
const ROUNDS: Source = source!("pallets/experts/src/rounds.rs");

/// A file of the chain does not say what it should.
#[derive(Debug)]
pub(crate) struct NotFound {
    file: &'static str,
    text: &'static str,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has no number after '{}': it is written in another way", self.file, self.text)
    }
}

impl std::error::Error for NotFound {}

/// The number that follows a text, which stands in a file once.
fn number((file, content): Source, text: &'static str) -> Result<u64, NotFound> {
    let found = || {
        let (_, rest) = content.split_once(text).filter(|(_, rest)| !rest.contains(text))?;
        let digits: String =
            rest.chars().take_while(|c| c.is_ascii_digit() || *c == '_').filter(|c| *c != '_').collect();
        digits.parse().ok()
    };
    found().ok_or(NotFound { file, text })
}

/// Numbers of the chain that the Pact does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Seconds from a block to the next.
    pub(crate) block_seconds: u64,
    /// What a block can hold, in picoseconds.
    pub(crate) block_weight: u64,
    /// Rounds at a time.
    pub(crate) most_rounds: usize,
    /// Rounds that close in a block.
    pub(crate) round_endings: u32,
    /// Phases of evaluations that end in a block.
    pub(crate) phase_endings: u32,
    /// Tokens of an item.
    pub(crate) item_tokens: u32,
    /// Committees that are drawn for a round.
    pub(crate) attempts: u8,
    /// Blocks after which it is looked again whether there is randomness.
    pub(crate) retry: u64,
    /// Most members of a committee.
    pub(crate) most_evaluators: u64,
}

impl Chain {
    pub(crate) fn read() -> Result<Self, NotFound> {
        const SECOND: u64 = 1_000_000_000_000;
        Ok(Self {
            block_seconds: number(CONSTANTS, "SLOT_DURATION: u64 = ")? / 1_000,
            block_weight: SECOND * number(CONSTANTS, "BLOCK_REF_TIME: u64 = ")?,
            most_rounds: number(EXPERTS, "MaxRounds = ConstU32<")? as usize,
            round_endings: number(EXPERTS, "MaxEndings = ConstU32<")? as u32,
            phase_endings: number(POL, "MaxEndings = ConstU32<")? as u32,
            item_tokens: number(POL, "ItemTokens = ConstU32<")? as u32,
            attempts: number(EVALUATIONS, "MAX_ATTEMPTS: u8 = ")? as u8,
            retry: number(EVALUATIONS, "const RETRY: u32 = ")?,
            most_evaluators: number(ROUNDS, "MAX_EVALUATORS: u32 = ")?,
        })
    }

    /// Blocks a day.
    pub(crate) fn day(&self) -> u64 {
        86_400 / self.block_seconds
    }

    /// Positions of an item at which a token is predicted.
    pub(crate) fn positions(&self) -> u32 {
        self.item_tokens - 1
    }

    /// All of them, and where each is from.
    pub(crate) fn entries(&self) -> [(&'static str, u64, &'static str, &'static str); 9] {
        [
            ("block_seconds", self.block_seconds, "s", CONSTANTS.0),
            ("block_weight", self.block_weight, "ps", CONSTANTS.0),
            ("most_rounds", self.most_rounds as u64, "rounds at a time", EXPERTS.0),
            ("round_endings", self.round_endings.into(), "a block", EXPERTS.0),
            ("phase_endings", self.phase_endings.into(), "a block", POL.0),
            ("item_tokens", self.item_tokens.into(), "tokens", POL.0),
            ("attempts", self.attempts.into(), "committees a round", EVALUATIONS.0),
            ("retry", self.retry, "blocks", EVALUATIONS.0),
            ("most_evaluators", self.most_evaluators, "members", ROUNDS.0),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_says_all_of_it() {
        let chain = Chain::read().unwrap();
        assert!(chain.day() > 0 && chain.positions() > 0 && chain.most_rounds > 0, "{chain:?}");
        assert!(chain.entries().iter().all(|(_, value, ..)| *value > 0), "{chain:?}");
    }

    #[test]
    fn a_number_is_what_follows_a_text_that_there_is_once() {
        let of = |content| number(("file", content), "N = ").ok();
        assert_eq!(of("const N = 1_024;"), Some(1_024));
        assert_eq!([of("N = x"), of("M = 1"), of("N = 1; N = 2")], [None; 3]);
    }
}
