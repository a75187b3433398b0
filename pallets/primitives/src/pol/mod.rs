//! Proof-of-Learning: what evaluators are drawn by, what they measure, and what follows from it. Pure functions, which the
//! chain, evaluators, and whoever checks a verdict all call.

mod committee;
mod draw;
mod items;
mod reveal;
mod reward;
mod scores;
mod verdict;

pub use committee::{
    all as all_stakes, draw as draw_committee, is_share, put as put_stake, StakeNodes, Sums, FANOUT, LEVELS, MAX_LEAVES,
};
pub use draw::{item_seed, Draw};
pub use items::{ItemBlock, ItemBlocks, Sources, MAX_SETS};
pub use reveal::{commitment, Candidate, DeltaFinding, Finding, Reveal};
pub use reward::{reward_total, split_reward, Reward, RewardShares, FULL_GAIN};
pub use scores::{
    CandidateSums, Cell, DeltaSums, Layout, Paired, Scores, Set, Target, MAX_DELTAS, MAX_ITEMS, MAX_LOSS,
};
pub use verdict::{judge_candidate, judge_delta, merge_weights, released_gain, Refusal};
