//! Block production.

use super::staking::MaxDelegators;
use crate::{
    constants::{
        limits::MAX_AUTHORITIES,
        time::{PRIMARY_PROBABILITY, SLOT_DURATION},
    },
    Historical, Offences, Pact, Runtime, Session, Staking,
};
use frame_support::traits::{ConstU32, ConstU64, Get};
use pallet_blyan_pact::SessionSlots;
use polkadot_sdk::*;
use sp_consensus_babe::{AllowedSlots, BabeEpochConfiguration};

/// How slots are given out in the first epoch.
///
/// Secondary slots carry a VRF output too, so that every block adds to the epoch's randomness.
pub const GENESIS_EPOCH: BabeEpochConfiguration =
    BabeEpochConfiguration { c: PRIMARY_PROBABILITY, allowed_slots: AllowedSlots::PrimaryAndSecondaryVRFSlots };

/// Blocks after which an equivocation is too old to be reported: what it would be punished with may have been withdrawn.
pub struct ReportLongevity;

impl Get<u64> for ReportLongevity {
    fn get() -> u64 {
        u64::from(Staking::reportable_sessions()).saturating_mul(Pact::session_slots().into())
    }
}

impl pallet_babe::Config for Runtime {
    type DisabledValidators = Session;
    type EpochChangeTrigger = pallet_babe::ExternalTrigger;
    // Fixed with the first block, as it has to be.
    type EpochDuration = SessionSlots<Runtime>;
    type EquivocationReportSystem = pallet_babe::EquivocationReportSystem<Self, Offences, Historical, ReportLongevity>;
    type ExpectedBlockTime = ConstU64<SLOT_DURATION>;
    type KeyOwnerProof = sp_session::MembershipProof;
    type MaxAuthorities = ConstU32<MAX_AUTHORITIES>;
    type MaxNominators = MaxDelegators;
    type WeightInfo = ();
}
