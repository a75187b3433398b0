//! Fees.

use crate::{
    constants::limits::{BYTE_PRICE, TARGET_FULLNESS, WEIGHT_PRICE},
    Balance, Balances, Runtime, RuntimeEvent,
};
use frame_support::{
    parameter_types,
    traits::{ConstU128, ConstU8},
    weights::ConstantMultiplier,
};
use pallet_blyan_economy::DealWithFees;
use pallet_transaction_payment::{FungibleAdapter, Multiplier, TargetedFeeAdjustment};
use polkadot_sdk::*;
use sp_runtime::{traits::Bounded, FixedPointNumber, Perquintill};

parameter_types! {
    /// See [`TARGET_FULLNESS`].
    pub const TargetFullness: Perquintill = TARGET_FULLNESS;
    /// Blocks that stay full double the price of work within about half a day.
    pub AdjustmentVariable: Multiplier = Multiplier::saturating_from_rational(75, 1_000_000);
    /// Fees never fall below their base, so that an empty chain cannot be filled for nothing.
    pub MinimumMultiplier: Multiplier = Multiplier::saturating_from_integer(1);
    /// Nothing bounds the price of a place in full blocks but what people pay for it.
    pub MaximumMultiplier: Multiplier = Bounded::max_value();
}

impl pallet_transaction_payment::Config for Runtime {
    type FeeMultiplierUpdate =
        TargetedFeeAdjustment<Self, TargetFullness, AdjustmentVariable, MinimumMultiplier, MaximumMultiplier>;
    type LengthToFee = ConstantMultiplier<Balance, ConstU128<BYTE_PRICE>>;
    type OnChargeTransaction = FungibleAdapter<Balances, DealWithFees<Runtime>>;
    type OperationalFeeMultiplier = ConstU8<5>;
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_transaction_payment::weights::SubstrateWeight<Self>;
    type WeightToFee = ConstantMultiplier<Balance, ConstU128<WEIGHT_PRICE>>;
}
