//! Payment channels and anchors of receipts.

use crate::{
    constants::{
        currency::{deposit, MILLI},
        limits::{ANCHOR_SPACING, FREE_CALL_PRIORITY, MAX_ANCHORS},
        time::{DAYS, MINUTES},
    },
    Balance, Balances, Runtime, RuntimeHoldReason, Signature, Workers,
};
use frame_support::{
    parameter_types,
    traits::{ConstU128, ConstU32, ConstU64},
};
use polkadot_sdk::*;
use sp_runtime::traits::Verify;

parameter_types! {
    /// Two entries: the channel, and its number among its payer's.
    pub const ChannelDeposit: Balance = deposit(2, 240);
    /// Only the bytes: an anchor stays for a limited time, and a busy worker has tens of thousands of them.
    pub const AnchorDeposit: Balance = deposit(0, 144);
    /// One entry: 48 bytes of key, 56 of value.
    pub const ServedDeposit: Balance = deposit(1, 104);
}

impl pallet_blyan_inference::Config for Runtime {
    type AnchorDeposit = AnchorDeposit;
    type AnchorLifetime = ConstU32<{ 30 * DAYS }>;
    type AnchorPriority = ConstU64<FREE_CALL_PRIORITY>;
    type AnchorSpacing = ConstU32<ANCHOR_SPACING>;
    type ChannelDeposit = ChannelDeposit;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarks::Helper;
    type Currency = Balances;
    type MaxAnchorsPerBlock = ConstU32<MAX_ANCHORS>;
    type MaxAnchorValidity = ConstU32<{ 10 * MINUTES }>;
    type MaxChannelLifetime = ConstU32<{ 90 * DAYS }>;
    type MaxPrune = ConstU32<64>;
    type MinEscrow = ConstU128<{ 100 * MILLI }>;
    // A gateway that is down for less than this loses nothing.
    type NoticePeriod = ConstU32<DAYS>;
    type OffchainPublic = <Signature as Verify>::Signer;
    type OffchainSignature = Signature;
    type RuntimeHoldReason = RuntimeHoldReason;
    type ServedDeposit = ServedDeposit;
    type WeightInfo = pallet_blyan_inference::weights::SubstrateWeight<Self>;
    type Workers = Workers;
}
