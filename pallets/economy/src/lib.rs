//! Money: how much there can be, what new money is paid for, and where fees and slashes go.
//!
//! **Cap.** [`Config::MaxIssuance`] bounds all that is ever minted, not what is in circulation: [`Minted`] counts the genesis
//! allocation and every amount minted since, and never falls. So burning makes BLY scarcer for good. Were the cap on
//! circulation, whatever is burnt would be minted again, and those who pay fees would pay for the emission; and who could
//! burn could set its pace.
//!
//! **Emission.** New money is paid for accepted work and nothing else: other pallets ask for it through
//! [`Payout`](blyan_primitives::traits::Payout). An era's budget is the Pact's `economy.era_emission`, halved each time half of
//! what was left to emit has been emitted (see [`Supply`]); each pool has its share of it. What a pool does not pay out in
//! an era is not minted then, and not later: an era without accepted work costs nobody anything. The budget is that of
//! the moment: a halving or a change of the Pact within an era counts from then on.
//!
//! **Accounts.** Pools and treasury are sub-accounts of [`Config::PalletId`], which no key opens: pool `p` has
//! `PalletId.into_sub_account_truncating((b"pool", p))`, the treasury `PalletId.into_sub_account_truncating(b"treasury")`.
//! [`Pallet::pools`] and [`Pallet::treasury`] give them. A pool's account holds what the pool was given, with
//! [`Pallet::fund_pool`], by the treasury, or by any transfer; it is paid out before anything is minted. Each account keeps
//! the existential deposit, so that none of it is ever lost as dust.
//!
//! ```text
//! a block's fees ─┬─ economy.fee_burn ──────► burnt               what is slashed ─┬─ economy.slash_treasury ─► treasury
//!                 ├─ economy.fee_treasury ──► treasury                             └─ the rest ───────────────► burnt
//! its tips ─────┐ └─ the rest ──┐
//!               └───────────────┴──────────► its author, else burnt
//! ```
//!
//! **Once a block.** Fees and tips are [`Collected`] as transactions pay them, and split when the block ends. Until then they
//! are nobody's, and part of the issuance. Splitting each would cost every transaction two more accounts and the Pact.
//!
//! **In a runtime.** This pallet's genesis must be built after Balances', whose issuance it takes for the allocation: declare
//! it later. The allocation should open the treasury's account with the existential deposit: of most fees, the treasury's
//! share alone would not suffice, and is burnt until somebody opens it. Nothing else may mint: Balances' `force_set_balance`
//! and `force_adjust_total_issuance` have to be filtered, or the root origin could make money past the cap (`try_state` would
//! see it). The author has to be known when the block ends: declare Authorship, which forgets it then, later than this pallet.
//!
//! # Invariants
//!
//! - Issuance ≤ [`Minted`] ≤ [`Config::MaxIssuance`].
//! - The genesis allocation and what the pools have minted in their last era are parts of [`Minted`].

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod emission;
#[cfg(test)]
mod mock;
mod payout;
mod pools;
mod splits;
mod state;
#[cfg(test)]
mod tests;
mod treasury;
mod types;
pub mod weights;

use polkadot_sdk::*;

pub use emission::{Supply, MAX_HALVINGS};
pub use pallet::*;
pub use splits::{DealWithFees, DealWithSlashes};
pub use types::{Issuance, PoolStatus, Spending, TreasuryStatus};
pub use weights::WeightInfo;

#[allow(clippy::expect_used, reason = "FRAME's macros write it into what they generate")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::{collections::BTreeSet, vec::Vec};
    use blyan_primitives::traits::{PactProvider, Pool};
    use frame_support::{
        pallet_prelude::*,
        traits::{
            fungible::{Balanced, Credit, Inspect, Mutate},
            NoDrop,
        },
        PalletId,
    };
    use frame_system::pallet_prelude::*;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// An amount of BLY, in its smallest unit.
    pub type Balance = u128;
    /// Money of a runtime `T` that is on its way.
    pub type CreditOf<T> = Credit<<T as frame_system::Config>::AccountId, <T as Config>::Currency>;
    /// A pool of a runtime `T`.
    pub type PoolStatusOf<T> = PoolStatus<<T as frame_system::Config>::AccountId>;
    /// The treasury of a runtime `T`.
    pub type TreasuryStatusOf<T> = TreasuryStatus<<T as frame_system::Config>::AccountId>;

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// Money.
        type Currency: Inspect<Self::AccountId, Balance = Balance> + Mutate<Self::AccountId> + Balanced<Self::AccountId>;

        /// The Genesis Pact.
        type Pact: PactProvider;

        /// What the accounts of pools and treasury are derived from.
        #[pallet::constant]
        type PalletId: Get<PalletId>;

        /// The most that is ever minted, the genesis allocation included.
        #[pallet::constant]
        type MaxIssuance: Get<Balance>;

        /// Who spends from the treasury.
        type TreasuryOrigin: EnsureOrigin<Self::RuntimeOrigin>;

        /// The present era.
        type CurrentEra: Get<u32>;

        /// The author of the block.
        type Author: Get<Option<Self::AccountId>>;

        /// What each call costs.
        type WeightInfo: WeightInfo;
    }

    /// The genesis allocation and all that was ever minted. It never falls.
    #[pallet::storage]
    pub type Minted<T: Config> = StorageValue<_, Balance, ValueQuery>;

    /// What there was at genesis.
    #[pallet::storage]
    pub type Allocated<T: Config> = StorageValue<_, Balance, ValueQuery>;

    /// What was minted for each pool in the last era in which anything was.
    #[pallet::storage]
    pub type Spent<T: Config> = StorageMap<_, Twox64Concat, Pool, Spending, ValueQuery>;

    /// Fees and tips that the block's transactions have paid so far. Empty between blocks, so that it costs no storage.
    #[pallet::storage]
    #[pallet::whitelist_storage]
    pub type Collected<T: Config> = StorageValue<_, (NoDrop<CreditOf<T>>, NoDrop<CreditOf<T>>), ValueQuery>;

    /// Takes the issuance that it finds for the allocation. It must be built after the currency's.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Binds the configuration to a runtime.
        #[serde(skip)]
        pub _config: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            let (issuance, cap) = (T::Currency::total_issuance(), T::MaxIssuance::get());
            assert!(issuance <= cap, "the genesis allocation of {issuance} is more than can ever be issued, {cap}");
            Minted::<T>::put(issuance);
            Allocated::<T>::put(issuance);
        }
    }

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// Work was paid.
        #[codec(index = 0)]
        Paid {
            /// The pool that paid.
            pool: Pool,
            /// Who was paid.
            to: T::AccountId,
            /// What came out of the pool's account.
            from_pool: Balance,
            /// What was minted.
            minted: Balance,
        },
        /// A pool was given money.
        #[codec(index = 1)]
        PoolFunded {
            /// The pool.
            pool: Pool,
            /// Who gave it.
            from: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// The fees and tips of a block were split.
        #[codec(index = 2)]
        FeesSplit {
            /// What was burnt, with what nobody could take.
            burnt: Balance,
            /// What the treasury got.
            treasury: Balance,
            /// What the block's author got, tips included.
            author: Balance,
        },
        /// What was slashed was split.
        #[codec(index = 3)]
        SlashSplit {
            /// What was burnt, with what the treasury could not take.
            burnt: Balance,
            /// What the treasury got.
            treasury: Balance,
        },
        /// The treasury has spent money.
        #[codec(index = 4)]
        TreasurySpent {
            /// Who got it.
            to: T::AccountId,
            /// How much.
            amount: Balance,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The amount is zero. Choose one.
        #[codec(index = 0)]
        ZeroAmount,
        /// The account has less than this and what it needs to exist, or the rest is held or frozen. Give less.
        #[codec(index = 1)]
        InsufficientFunds,
        /// The treasury has less than this and what its account needs to exist. Spend less.
        #[codec(index = 2)]
        InsufficientTreasury,
        /// The amount would not suffice to open the receiver's account. Send at least the existential deposit.
        #[codec(index = 3)]
        CannotReceive,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            T::WeightInfo::split_fees()
        }

        fn on_finalize(_: BlockNumberFor<T>) {
            Self::split_fees(T::Author::get());
        }

        fn integrity_test() {
            assert!(T::MaxIssuance::get() > 0, "MaxIssuance is 0: there could be no money");
            let mut accounts: BTreeSet<_> = Pool::ALL.into_iter().map(Pallet::<T>::pool_account).collect();
            accounts.insert(Pallet::<T>::treasury_account());
            assert!(
                accounts.len() == Pool::ALL.len().saturating_add(1),
                "account ids are too short: pools and treasury would share accounts"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight(<T as Config>::WeightInfo))]
    impl<T: Config> Pallet<T> {
        /// Gives `amount` to a pool, which pays it out before anything is minted. The giver's account stays.
        #[pallet::call_index(0)]
        pub fn fund_pool(origin: OriginFor<T>, pool: Pool, #[pallet::compact] amount: Balance) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_fund_pool(who, pool, amount)
        }

        /// Sends `amount` from the treasury to `to`.
        #[pallet::call_index(1)]
        pub fn spend(origin: OriginFor<T>, to: T::AccountId, #[pallet::compact] amount: Balance) -> DispatchResult {
            T::TreasuryOrigin::ensure_origin(origin)?;
            Self::do_spend(to, amount)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// Every pool: its account, what it holds, and what it can mint in the present era.
        pub fn pools() -> Vec<PoolStatusOf<T>> {
            Pool::ALL.into_iter().map(Self::pool_status).collect()
        }

        /// The treasury.
        pub fn treasury() -> TreasuryStatusOf<T> {
            Self::treasury_status()
        }

        /// How much money there is, was, and can be.
        pub fn issuance() -> Issuance {
            Self::issuance_now()
        }
    }
}
