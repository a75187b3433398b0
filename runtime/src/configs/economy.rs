//! Issuance, pools and the treasury.

use super::governance::EnsureRootOr;
use crate::{constants::currency::MAX_ISSUANCE, AccountId, Authorship, Balances, Economy, Pact, Runtime};
use frame_support::{
    parameter_types,
    traits::{ConstU128, Currency, Get, OnUnbalanced},
    PalletId,
};
use pallet_balances::NegativeImbalance;
use pallet_blyan_dao::EnsureTreasury;
use pallet_blyan_staking::CurrentEra;
use polkadot_sdk::*;

parameter_types! {
    /// What the accounts of pools and treasury are derived from.
    pub const EconomyId: PalletId = PalletId(*b"by/econo");
}

impl pallet_blyan_economy::Config for Runtime {
    type Author = Author;
    type Currency = Balances;
    type CurrentEra = CurrentEra<Runtime>;
    type MaxIssuance = ConstU128<MAX_ISSUANCE>;
    type Pact = Pact;
    type PalletId = EconomyId;
    type TreasuryOrigin = EnsureRootOr<EnsureTreasury>;
    type WeightInfo = pallet_blyan_economy::weights::SubstrateWeight<Self>;
}

/// The author of the block.
pub struct Author;

impl Get<Option<AccountId>> for Author {
    fn get() -> Option<AccountId> {
        Authorship::author()
    }
}

/// Gives deposits that are lost to the treasury, from pallets of the SDK that reserve them.
pub struct ToTreasury;

impl OnUnbalanced<NegativeImbalance<Runtime>> for ToTreasury {
    fn on_nonzero_unbalanced(lost: NegativeImbalance<Runtime>) {
        <Balances as Currency<AccountId>>::resolve_creating(&Economy::treasury_account(), lost);
    }
}
