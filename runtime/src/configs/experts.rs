//! Blocks of weights, the slots that hold them, and rounds of learning.

use crate::{
    constants::{currency::deposit, time::DAYS},
    AccountId, Balance, Balances, Economy, Meta, Pact, Pol, Runtime, RuntimeHoldReason, Staking, Workers,
};
use frame_support::{
    parameter_types,
    traits::{ConstU32, Get},
    weights::Weight,
};
use pallet_blyan_economy::DealWithSlashes;
use polkadot_sdk::*;

/// Most rounds at a time.
pub type MaxRounds = ConstU32<64>;

parameter_types! {
    /// Two entries: the block, 48 bytes of key and up to about 250 of value, and the account's word for it, 96 and 90.
    pub const BlockDeposit: Balance = deposit(2, 500);
}

/// What it takes to begin the evaluation of a round.
pub struct EvaluationWeight;

impl Get<Weight> for EvaluationWeight {
    fn get() -> Weight {
        <<Runtime as pallet_blyan_pol::Config>::WeightInfo as pallet_blyan_pol::WeightInfo>::start()
    }
}

impl pallet_blyan_experts::Config for Runtime {
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarks::Helper;
    type BlockDeposit = BlockDeposit;
    type Currency = Balances;
    type Evaluations = Pol;
    type EvaluationWeight = EvaluationWeight;
    // Empty slots alone: heads that there are move with a verdict.
    type GovernanceOrigin = frame_system::EnsureRoot<AccountId>;
    // Longer than an evaluation takes whose every committee is drawn anew and has a dispute.
    type HeadHistory = ConstU32<{ 30 * DAYS }>;
    // An expert of 4 million weights, each in one byte; with the best of codecs, one of billions.
    type MaxDeltaSize = ConstU32<{ 1 << 24 }>;
    type MaxEndings = ConstU32<8>;
    type MaxOpenRounds = MaxRounds;
    type MaxReleased = ConstU32<64>;
    type MaxStanding = ConstU32<64>;
    type OnForfeit = DealWithSlashes<Runtime>;
    type Pact = Pact;
    type Payout = Economy;
    type RoundRetention = ConstU32<{ 30 * DAYS }>;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Sets = Pol;
    type Specs = Meta;
    type Stakes = Staking;
    type Standings = Workers;
    type WeightInfo = pallet_blyan_experts::weights::SubstrateWeight<Self>;
    type Workers = Workers;
}
