//! The Genesis Pact.

use super::governance::EnsureRootOr;
use crate::Runtime;
use frame_support::traits::ConstU32;
use pallet_blyan_dao::EnsurePact;
use polkadot_sdk::*;

/// Who changes the Pact, and what concerns the work that it shapes.
pub type PactOrigin = EnsureRootOr<EnsurePact>;

impl pallet_blyan_pact::Config for Runtime {
    type ChangeOrigin = PactOrigin;
    type MaxChanges = ConstU32<32>;
    // Everybody reads the Pact when it is needed: nobody has to be told.
    type OnChange = ();
    type WeightInfo = pallet_blyan_pact::weights::SubstrateWeight<Self>;
}
