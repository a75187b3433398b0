//! Referenda, polls, and who may do what they decide.

use super::{economy::ToTreasury, pact::PactOrigin};
use crate::{
    constants::{currency::BLY, time::DAYS},
    AccountId, Balances, Pact, Preimage, Referenda, Runtime, RuntimeCall, RuntimeEvent, RuntimeHoldReason, Scheduler,
    System, Workers,
};
use frame_support::{
    parameter_types,
    traits::{AsEnsureOriginWithArg, ConstU128, ConstU32, EitherOfDiverse},
    weights::Weight,
};
use frame_system::{EnsureRoot, EnsureSigned};
use pallet_blyan_dao::{Tally, Tracks};
use polkadot_sdk::*;

/// Root, which referenda on the root track and on development chains sudo have, or what another track has decided.
pub type EnsureRootOr<Origin> = EitherOfDiverse<EnsureRoot<AccountId>, Origin>;

impl pallet_referenda::Config for Runtime {
    type AlarmInterval = ConstU32<1>;
    type BlockNumberProvider = System;
    type CancelOrigin = EnsureRoot<AccountId>;
    type Currency = Balances;
    type KillOrigin = EnsureRoot<AccountId>;
    type MaxQueued = ConstU32<64>;
    type Preimages = Preimage;
    type RuntimeCall = RuntimeCall;
    type RuntimeEvent = RuntimeEvent;
    type Scheduler = Scheduler;
    type Slash = ToTreasury;
    type SubmissionDeposit = ConstU128<{ 10 * BLY }>;
    type SubmitOrigin = AsEnsureOriginWithArg<EnsureSigned<AccountId>>;
    type Tally = Tally<Runtime>;
    type Tracks = Tracks<Runtime>;
    type UndecidingTimeout = ConstU32<{ 14 * DAYS }>;
    type Votes = u32;
    type WeightInfo = pallet_referenda::weights::SubstrateWeight<Self>;
}

parameter_types! {
    /// Nobody hears of polls yet: those on data sets come with their pallet.
    pub const PollEndWeight: Weight = Weight::zero();
}

impl pallet_blyan_dao::Config for Runtime {
    type Currency = Balances;
    type GovernanceOrigin = PactOrigin;
    type MaxCleanUp = ConstU32<256>;
    type MaxEndings = ConstU32<16>;
    type Members = Workers;
    type OnLostDeposit = pallet_blyan_economy::DealWithSlashes<Runtime>;
    type OnPollEnd = ();
    type Pact = Pact;
    type PollEndWeight = PollEndWeight;
    type PollRetention = ConstU32<{ 30 * DAYS }>;
    type Referenda = Referenda;
    type RuntimeHoldReason = RuntimeHoldReason;
    type WeightInfo = pallet_blyan_dao::weights::SubstrateWeight<Self>;
}
