//! Block production.

use crate::{
    constants::{
        limits::MAX_AUTHORITIES,
        time::{EPOCH_SLOTS, PRIMARY_PROBABILITY, REPORTABLE_SESSIONS, SLOT_DURATION},
    },
    Historical, Offences, Runtime, Session,
};
use frame_support::traits::{ConstU32, ConstU64};
use polkadot_sdk::*;
use sp_consensus_babe::{AllowedSlots, BabeEpochConfiguration};

/// How slots are given out in the first epoch.
///
/// Secondary slots carry a VRF output too, so that every block adds to the epoch's randomness.
pub const GENESIS_EPOCH: BabeEpochConfiguration =
    BabeEpochConfiguration { c: PRIMARY_PROBABILITY, allowed_slots: AllowedSlots::PrimaryAndSecondaryVRFSlots };

/// Blocks after which an equivocation is too old to be reported.
pub type ReportLongevity = ConstU64<{ REPORTABLE_SESSIONS as u64 * EPOCH_SLOTS }>;

impl pallet_babe::Config for Runtime {
    type DisabledValidators = Session;
    type EpochChangeTrigger = pallet_babe::ExternalTrigger;
    type EpochDuration = ConstU64<EPOCH_SLOTS>;
    type EquivocationReportSystem = pallet_babe::EquivocationReportSystem<Self, Offences, Historical, ReportLongevity>;
    type ExpectedBlockTime = ConstU64<SLOT_DURATION>;
    type KeyOwnerProof = sp_session::MembershipProof;
    type MaxAuthorities = ConstU32<MAX_AUTHORITIES>;
    // Nobody nominates: there is no stake yet to slash with the validator's.
    type MaxNominators = ConstU32<0>;
    type WeightInfo = ();
}
