//! Who wrote the current block.

use crate::{Babe, Runtime, Staking};
use polkadot_sdk::*;

impl pallet_authorship::Config for Runtime {
    type EventHandler = Staking;
    type FindAuthor = pallet_session::FindAccountFromAuthorIndex<Self, Babe>;
}
