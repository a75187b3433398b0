//! Reports of what validators did wrong.

use crate::{AccountId, Runtime, RuntimeEvent, Session};
use pallet_session::historical::IdentificationTuple;
use polkadot_sdk::*;
use sp_runtime::Perbill;
use sp_staking::{
    offence::{OffenceDetails, OffenceSeverity, OnOffenceHandler},
    SessionIndex,
};
use sp_weights::Weight;

impl pallet_offences::Config for Runtime {
    type IdentificationTuple = IdentificationTuple<Self>;
    type OnOffenceHandler = Disable;
    type RuntimeEvent = RuntimeEvent;
}

/// Disables offenders for a while; reports themselves are kept and announced by the offences pallet.
///
/// At most a third of the set is disabled at a time, the worst offenders first, so that finality goes on.
pub struct Disable;

impl OnOffenceHandler<AccountId, IdentificationTuple<Runtime>, Weight> for Disable {
    fn on_offence(
        offenders: &[OffenceDetails<AccountId, IdentificationTuple<Runtime>>],
        slash_fraction: &[Perbill],
        _: SessionIndex,
    ) -> Weight {
        for (offence, fraction) in offenders.iter().zip(slash_fraction) {
            let (validator, ()) = &offence.offender;
            Session::report_offence(validator.clone(), OffenceSeverity(*fraction));
        }
        // Counted in the weight of the call that reports.
        Weight::zero()
    }
}
