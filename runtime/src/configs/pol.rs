//! Proof-of-Learning.

use super::experts::MaxRounds;
use crate::{AccountId, BlockNumber, Experts, Meta, Pact, Runtime, Staking, Workers};
use frame_support::{
    traits::{ConstU32, Get, Randomness},
    weights::Weight,
};
use frame_system::EnsureRoot;
use pallet_babe::{RandomnessFromOneEpochAgo, RandomnessFromTwoEpochsAgo};
use pallet_blyan_pol::SeedAfter;
use polkadot_sdk::*;

/// Tokens of an item: 128 are predicted. For what a delta gains many short items say more than as many tokens in a few.
pub type ItemTokens = ConstU32<129>;

/// The randomness of BABE's epochs.
pub struct EpochRandomness;

impl SeedAfter<BlockNumber> for EpochRandomness {
    /// What validators' VRFs in the last epoch came to, once all of that epoch came after `height`. Who writes its last block
    /// can choose between two numbers, by leaving it out.
    fn seed_after(height: BlockNumber) -> Option<[u8; 32]> {
        // The epoch before the present one gathered it; what is asked second names the block with which that epoch began.
        let (seed, _) = RandomnessFromOneEpochAgo::<Runtime>::random(b"blyan/pol");
        let (_, began) = RandomnessFromTwoEpochsAgo::<Runtime>::random(b"blyan/pol");
        (began > height).then_some(seed.0)
    }
}

/// What it takes to settle a round.
pub struct DecisionWeight;

impl Get<Weight> for DecisionWeight {
    fn get() -> Weight {
        Experts::heaviest_decision()
    }
}

impl pallet_blyan_pol::Config for Runtime {
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarks::Helper;
    type Blocks = Experts;
    type DecisionWeight = DecisionWeight;
    // The DAO's root track dispatches as root.
    type GovernanceOrigin = EnsureRoot<AccountId>;
    type ItemTokens = ItemTokens;
    type MaxActive = MaxRounds;
    // Each can take 80 thousandths of a block, with the largest committee of which no two have found the same.
    type MaxEndings = ConstU32<2>;
    type Pact = Pact;
    type Rounds = Experts;
    type Seed = EpochRandomness;
    type Slash = Staking;
    type Specs = Meta;
    type Stakes = Staking;
    type WeightInfo = pallet_blyan_pol::weights::SubstrateWeight<Self>;
    type Workers = Workers;
}
