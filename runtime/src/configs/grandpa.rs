//! Finality.

use super::{babe::ReportLongevity, staking::MaxDelegators};
use crate::{
    constants::{limits::MAX_AUTHORITIES, time::REPORTABLE_SESSIONS},
    Historical, Offences, Runtime, RuntimeEvent,
};
use frame_support::traits::{ConstU32, ConstU64};
use polkadot_sdk::*;

impl pallet_grandpa::Config for Runtime {
    type EquivocationReportSystem =
        pallet_grandpa::EquivocationReportSystem<Self, Offences, Historical, ReportLongevity>;
    type KeyOwnerProof = sp_session::MembershipProof;
    type MaxAuthorities = ConstU32<MAX_AUTHORITIES>;
    type MaxNominators = MaxDelegators;
    type MaxSetIdSessionEntries = ConstU64<{ REPORTABLE_SESSIONS as u64 }>;
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = ();
}
