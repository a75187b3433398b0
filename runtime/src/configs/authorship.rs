//! Who wrote the current block.

use crate::{Babe, Runtime};
use polkadot_sdk::*;

impl pallet_authorship::Config for Runtime {
    type EventHandler = ();
    type FindAuthor = pallet_session::FindAccountFromAuthorIndex<Self, Babe>;
}
