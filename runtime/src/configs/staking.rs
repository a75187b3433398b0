//! What is at stake.

use super::governance::EnsureRootOr;
use crate::{Balances, Economy, Pact, Runtime, RuntimeHoldReason};
use frame_support::{parameter_types, traits::ConstU32, PalletId};
use pallet_blyan_dao::EnsureCancelSlash;
use pallet_blyan_economy::DealWithSlashes;
use pallet_blyan_staking::PalletSession;
use polkadot_sdk::*;

/// Most delegators of a validator.
pub type MaxDelegators = ConstU32<512>;

parameter_types! {
    /// What the account is derived from in which rewards wait for their payment.
    pub const StakingId: PalletId = PalletId(*b"by/stake");
}

impl pallet_blyan_staking::Config for Runtime {
    type CancelOrigin = EnsureRootOr<EnsureCancelSlash>;
    type Currency = Balances;
    type MaxCandidates = ConstU32<512>;
    type MaxDelegations = ConstU32<16>;
    type MaxDelegators = MaxDelegators;
    type MaxLeaving = ConstU32<16>;
    type MaxUnbonding = ConstU32<32>;
    type OnSlash = DealWithSlashes<Runtime>;
    type Pact = Pact;
    type PalletId = StakingId;
    type Payout = Economy;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Sessions = PalletSession<Runtime>;
    type WeightInfo = pallet_blyan_staking::weights::SubstrateWeight<Self>;
}
