//! Reports of what validators did wrong.

use crate::{Runtime, RuntimeEvent, Staking};
use pallet_session::historical::IdentificationTuple;
use polkadot_sdk::*;

impl pallet_offences::Config for Runtime {
    type IdentificationTuple = IdentificationTuple<Self>;
    type OnOffenceHandler = Staking;
    type RuntimeEvent = RuntimeEvent;
}
