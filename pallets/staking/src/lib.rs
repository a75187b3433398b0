//! Staking: what validators, their delegators and workers put at risk, who validates, what that earns, and what is lost.
//!
//! **Bonds.** A *validator's* own bond, *delegations* to validators and *workers'* bonds are three holds on the same account.
//! Each is bonded, added to, and unbonded in parts: a part on its way back stays held, and is slashed like the rest, until it
//! is due and withdrawn. It is due when `staking.unbonding` eras have passed since the end of the last era whose validators
//! were elected when it was asked for: the last in which it can count.
//!
//! **Eras** are `sessions_per_era` sessions, era `e` being sessions `e·k` to `e·k + k − 1`. Its validators are elected when the
//! session before it starts, as sessions are planned one ahead: the `max_validators` candidates with the most stake of their
//! own and delegated. What each of them is *exposed* with is copied then, and rewards and slashes go by that copy.
//!
//! ```text
//!             session e·k − 1          session e·k  …  session e·k + k − 1            after
//! election ──────────────────► ┌ era e: blocks are counted ┐ ── reward into the pot ──► paid, a page a block
//!  └─ exposures, copied 64 delegations a block             └ offences ── dispute ─────► slashed, a page a block
//! ```
//!
//! **Copying** takes a few blocks, and shows the moment of the election all the same: whoever changes a delegation that was
//! not copied yet copies it first. An exposure is complete before its era is paid or slashed, because copying ends, at the
//! latest, with the next election. Should it be cut short then (more than 64 delegations a block in a whole era), those who
//! are missing are neither paid nor slashed for that era.
//!
//! **Slashes** are announced, and applied once `staking.dispute` whole eras have passed; until then the DAO can cancel them.
//! A delegator's share of one comes out of its delegation to that validator, then out of what is on its way back, then out of
//! its other delegations: money that was redelegated still answers. Reports are taken for `unbonding − dispute` eras. So a
//! slash is applied in the era, at the latest, in which what it is about can be withdrawn, and withdrawals wait while
//! slashes are being applied.
//!
//! **The set** never becomes smaller than `min_validators` once it was as large: missing places go to present validators
//! that are candidates but chilled or short of bond, then to such with a slash announced against them, then to those who are
//! no candidates any more; and session keys that present validators have purged are registered again. Who has a slash
//! announced against it leaves the set at the next session, unless that would take more than a third of it at once.
//!
//! **In a runtime**, this pallet is declared after those of the Pact and of balances, and before sessions, whose genesis elects
//! the first set; sessions take `historical::NoteHistoricalRoot<Runtime, Staking>` for their manager, offences and authorship
//! this pallet for their handler. BABE's first block of a session is by a member of the new set, whose place in the old set
//! may be another's: with authorship declared after sessions, that block is counted for its author, too.
//!
//! # Invariants
//!
//! - For each kind of bond, what counts as bonded and what is on its way back add up to what is held for that reason.
//! - A candidate's delegations add up to what it says is delegated to it. Each delegation is to a candidate, or to a
//!   validator that is [`Leaving`], and is listed by its delegator.
//! - A complete exposure is its validator's own bond and what its pages add up to.
//! - The pot holds what eras that are not paid yet are owed.
//! - Announced slashes are queued once each, and counted for their offender and their era.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod chunks;
mod delegations;
mod election;
mod eras;
mod errors;
mod events;
mod exposure;
mod genesis;
mod ledger;
#[cfg(test)]
mod mock;
mod queries;
mod ranking;
mod rewards;
mod sessions;
mod shares;
mod slashing;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod types;
mod validators;
pub mod weights;
mod workers;

use frame_support::pallet_macros::import_section;
use polkadot_sdk::*;

pub use eras::CurrentEra;
pub use pallet::*;
pub use sessions::{NoIdentification, PalletSession, Sessions};
pub use status::{BondStatus, DelegationStatus, EraStatus, Ledger, ValidatorStatus};
pub use types::{
    BondKind, Candidate, Charge, Chunk, Copying, Delegation, EraPayout, Exposure, Paying, PendingSlash, Share,
    Standing, WorkerBond, PAGE,
};
pub use weights::WeightInfo;

#[allow(clippy::expect_used, reason = "FRAME's macros write it into what they generate")]
#[import_section(events::events)]
#[import_section(errors::errors)]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use blyan_primitives::{
        pact::Ppm,
        traits::{PactProvider, Payout, SlashId},
    };
    use frame_support::{
        pallet_prelude::*,
        traits::{
            fungible::{BalancedHold, Credit, Inspect, InspectHold, Mutate, MutateHold},
            OnUnbalanced,
        },
        PalletId,
    };
    use frame_system::pallet_prelude::*;
    use sp_runtime::{Perbill, Percent};

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// Most validators, delegators or slashes in one answer of a view.
    pub const MAX_ANSWER: u32 = 100;

    /// An amount of BLY, in its smallest unit.
    pub type Balance = u128;
    /// Number of an era.
    pub type EraIndex = u32;
    /// Money of a runtime `T` that was slashed.
    pub type CreditOf<T> = Credit<<T as frame_system::Config>::AccountId, <T as Config>::Currency>;
    /// Parts of a bond on their way back, in a runtime `T`.
    pub type ChunksOf<T> = BoundedVec<Chunk, <T as Config>::MaxUnbonding>;
    /// A page of an exposure in a runtime `T`.
    pub type PageOf<T> = BoundedVec<Share<<T as frame_system::Config>::AccountId>, ConstU32<PAGE>>;
    /// An announced slash in a runtime `T`.
    pub type PendingSlashOf<T> = PendingSlash<<T as frame_system::Config>::AccountId>;

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// Money, of which bonds are held.
        type Currency: Inspect<Self::AccountId, Balance = Balance>
            + Mutate<Self::AccountId>
            + InspectHold<Self::AccountId, Reason = Self::RuntimeHoldReason>
            + MutateHold<Self::AccountId>
            + BalancedHold<Self::AccountId>;

        /// The runtime's reasons for holds.
        type RuntimeHoldReason: From<HoldReason>;

        /// The Genesis Pact.
        type Pact: PactProvider;

        /// Session keys, and the validators of the present session.
        type Sessions: Sessions<Self::AccountId>;

        /// What validation is paid from. Its present era must be [`CurrentEra`].
        type Payout: Payout<Self::AccountId, Balance>;

        /// Takes what is slashed.
        type OnSlash: OnUnbalanced<CreditOf<Self>>;

        /// Who cancels slashes.
        type CancelOrigin: EnsureOrigin<Self::RuntimeOrigin>;

        /// What the account of the pot is derived from: rewards wait there between an era's end and their payment.
        #[pallet::constant]
        type PalletId: Get<PalletId>;

        /// Most candidates. When there are as many, one with more stake takes the place of the poorest.
        #[pallet::constant]
        type MaxCandidates: Get<u32>;

        /// Most delegators of a validator. When there are as many, a larger delegation takes the place of the smallest.
        #[pallet::constant]
        type MaxDelegators: Get<u32>;

        /// Most validators that an account delegates to.
        #[pallet::constant]
        type MaxDelegations: Get<u32>;

        /// Most parts of one bond that are on their way back at a time.
        #[pallet::constant]
        type MaxUnbonding: Get<u32>;

        /// Most validators that have left and whose delegations are not all released.
        #[pallet::constant]
        type MaxLeaving: Get<u32>;

        /// What calls and hooks cost.
        type WeightInfo: WeightInfo;
    }

    /// Why this pallet holds money.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// A validator's own bond.
        #[codec(index = 0)]
        Validator,
        /// Delegations.
        #[codec(index = 1)]
        Delegation,
        /// What a worker has at stake.
        #[codec(index = 2)]
        Worker,
    }

    /// Who wants to validate.
    #[pallet::storage]
    pub type Candidates<T: Config> = CountedStorageMap<_, Blake2_128Concat, T::AccountId, Candidate>;

    /// Validators that are no candidates any more and whose delegations are being released, the first first.
    #[pallet::storage]
    pub type Leaving<T: Config> = StorageValue<_, BoundedVec<T::AccountId, T::MaxLeaving>, ValueQuery>;

    /// What is delegated, by validator and delegator.
    #[pallet::storage]
    pub type Delegations<T: Config> =
        StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Blake2_128Concat, T::AccountId, Delegation>;

    /// The validators that each delegator delegates to.
    #[pallet::storage]
    pub type Delegators<T: Config> =
        StorageMap<_, Blake2_128Concat, T::AccountId, BoundedVec<T::AccountId, T::MaxDelegations>, ValueQuery>;

    /// What workers have at stake.
    #[pallet::storage]
    pub type WorkerBonds<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, WorkerBond, ValueQuery>;

    /// Parts of bonds that are on their way back, the next due first.
    #[pallet::storage]
    pub type Unbonding<T: Config> =
        StorageDoubleMap<_, Twox64Concat, BondKind, Blake2_128Concat, T::AccountId, ChunksOf<T>, ValueQuery>;

    /// The present era.
    #[pallet::storage]
    pub type ActiveEra<T: Config> = StorageValue<_, EraIndex, ValueQuery>;

    /// The last era whose validators are elected: the present one, or the next.
    #[pallet::storage]
    pub type PlannedEra<T: Config> = StorageValue<_, EraIndex, ValueQuery>;

    /// What each validator of an era is exposed with.
    #[pallet::storage]
    pub type Exposures<T: Config> =
        StorageDoubleMap<_, Twox64Concat, EraIndex, Blake2_128Concat, T::AccountId, Exposure>;

    /// The delegations in an exposure, by era, validator and page.
    #[pallet::storage]
    pub type ExposurePages<T: Config> = StorageNMap<
        _,
        (NMapKey<Twox64Concat, EraIndex>, NMapKey<Blake2_128Concat, T::AccountId>, NMapKey<Twox64Concat, u32>),
        PageOf<T>,
        ValueQuery,
    >;

    /// How far delegations are copied into the exposures of the last elected era. Nothing when they are.
    #[pallet::storage]
    pub type CopyingEra<T: Config> = StorageValue<_, Copying<T::AccountId>>;

    /// The first era of which something may be left to prune.
    #[pallet::storage]
    pub type NextPruned<T: Config> = StorageValue<_, EraIndex, ValueQuery>;

    /// Blocks that each validator has written in an era. Removed as they are paid.
    #[pallet::storage]
    pub type Blocks<T: Config> =
        StorageDoubleMap<_, Twox64Concat, EraIndex, Blake2_128Concat, T::AccountId, u32, ValueQuery>;

    /// Blocks that validators have written in the present era.
    #[pallet::storage]
    pub type EraBlocks<T: Config> = StorageValue<_, u32, ValueQuery>;

    /// What eras that are over have earned, until it is paid.
    #[pallet::storage]
    pub type Payouts<T: Config> = StorageMap<_, Twox64Concat, EraIndex, EraPayout>;

    /// The first era that is not wholly paid.
    #[pallet::storage]
    pub type NextPaid<T: Config> = StorageValue<_, EraIndex, ValueQuery>;

    /// The validator whose delegators are being paid.
    #[pallet::storage]
    pub type PayingNow<T: Config> = StorageValue<_, Paying<T::AccountId>>;

    /// What is in the pot for eras that are not paid yet.
    #[pallet::storage]
    pub type Owed<T: Config> = StorageValue<_, Balance, ValueQuery>;

    /// Number of the next slash.
    #[pallet::storage]
    pub type NextSlash<T: Config> = StorageValue<_, SlashId, ValueQuery>;

    /// Every slash that is announced, and neither cancelled nor wholly applied.
    #[pallet::storage]
    pub type PendingSlashes<T: Config> = CountedStorageMap<_, Twox64Concat, SlashId, PendingSlashOf<T>>;

    /// Announced slashes by the first era in which they are applied.
    #[pallet::storage]
    pub type SlashQueue<T: Config> =
        StorageDoubleMap<_, Twox64Concat, EraIndex, Twox64Concat, SlashId, (), OptionQuery>;

    /// The first era whose slashes are not all applied.
    #[pallet::storage]
    pub type NextSlashEra<T: Config> = StorageValue<_, EraIndex, ValueQuery>;

    /// The largest fraction announced against a validator for an era, cancelled or not: it is not asked for twice.
    #[pallet::storage]
    pub type Convictions<T: Config> =
        StorageDoubleMap<_, Twox64Concat, EraIndex, Blake2_128Concat, T::AccountId, Perbill, ValueQuery>;

    /// Validators with slashes announced against them, and how many.
    #[pallet::storage]
    pub type Suspects<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, u32, ValueQuery>;

    /// How many announced slashes are about an era: its exposures stay for so long.
    #[pallet::storage]
    pub type SlashesOf<T: Config> = StorageMap<_, Twox64Concat, EraIndex, u32, ValueQuery>;

    /// The first validators. Pact and balances must be built before, sessions after.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Account, own bond, commission.
        pub validators: Vec<(T::AccountId, Balance, Ppm)>,
        /// Delegator, validator, amount.
        pub delegations: Vec<(T::AccountId, T::AccountId, Balance)>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            Pallet::<T>::build_genesis(self);
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        /// Goes on with what takes more than a block: each kind of it by a bounded step.
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            // Who has written the block is noted before or after this hook, and paid for here.
            // That there is nothing to do is in what an idle block costs.
            let step = |count, weight: fn(u32) -> Weight| if count > 0 { weight(count) } else { Weight::zero() };
            T::WeightInfo::idle()
                .saturating_add(T::WeightInfo::note_author())
                .saturating_add(step(Self::copy_step(), T::WeightInfo::copy))
                .saturating_add(step(Self::slash_step(), T::WeightInfo::slash))
                .saturating_add(step(Self::pay_step(), T::WeightInfo::pay))
                .saturating_add(step(Self::release_step(), T::WeightInfo::release))
                .saturating_add(step(Self::prune_step(), T::WeightInfo::prune))
        }

        fn integrity_test() {
            assert!(T::MaxCandidates::get() > 0, "MaxCandidates is 0: nobody could validate");
            assert!(T::MaxDelegators::get() > 0, "MaxDelegators is 0: nobody could delegate");
            assert!(T::MaxDelegations::get() > 0, "MaxDelegations is 0: nobody could delegate");
            assert!(T::MaxUnbonding::get() > 0, "MaxUnbonding is 0: no bond could ever come back");
            assert!(T::MaxLeaving::get() > 0, "MaxLeaving is 0: no validator with delegators could leave");
            let block = <T as frame_system::Config>::BlockWeights::get().max_block;
            assert!(
                Pallet::<T>::fullest_block().all_lte(block.saturating_div(2)),
                "the hook could fill more than half of a block"
            );
            assert!(Pallet::<T>::fullest_rotation().all_lte(block), "a change of era could take more than a block");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight(<T as Config>::WeightInfo))]
    impl<T: Config> Pallet<T> {
        /// Makes the caller a candidate with a bond of its own, keeping `commission` of what its stake earns. It can be
        /// elected once it has session keys.
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::validate_full())]
        pub fn validate(
            origin: OriginFor<T>,
            commission: Ppm,
            #[pallet::compact] bond: Balance,
        ) -> DispatchResultWithPostInfo {
            let who = ensure_signed(origin)?;
            let is_full = Self::do_validate(who, commission, bond)?;
            Ok((!is_full).then(T::WeightInfo::validate).into())
        }

        /// Adds to the caller's own bond.
        #[pallet::call_index(1)]
        pub fn bond_more(origin: OriginFor<T>, #[pallet::compact] amount: Balance) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_bond_more(who, amount)
        }

        /// Sends a part of the caller's own bond on its way back; all of it means to [`leave`](Pallet::leave).
        #[pallet::call_index(2)]
        pub fn unbond(origin: OriginFor<T>, #[pallet::compact] amount: Balance) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_unbond(who, amount)
        }

        /// Sets what the caller keeps of its delegators' rewards, from the next election on.
        #[pallet::call_index(3)]
        pub fn set_commission(origin: OriginFor<T>, commission: Ppm) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_set_commission(who, commission)
        }

        /// Takes the caller out of the coming elections. Bond and delegations stay.
        #[pallet::call_index(4)]
        pub fn chill(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_chill(who)
        }

        /// Has the caller take part in elections again.
        #[pallet::call_index(5)]
        pub fn activate(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_activate(who)
        }

        /// Ends the caller's candidacy: its bond is sent on its way back, and so is, a few a block, what was delegated to it.
        #[pallet::call_index(6)]
        pub fn leave(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_leave(who)
        }

        /// Delegates to a validator that the caller does not delegate to. `auto_compound` of what it earns is added to it.
        #[pallet::call_index(7)]
        #[pallet::weight(T::WeightInfo::delegate_full())]
        pub fn delegate(
            origin: OriginFor<T>,
            validator: T::AccountId,
            #[pallet::compact] amount: Balance,
            auto_compound: Percent,
        ) -> DispatchResultWithPostInfo {
            let who = ensure_signed(origin)?;
            let is_full = Self::do_delegate(who, validator, amount, auto_compound)?;
            Ok((!is_full).then(T::WeightInfo::delegate).into())
        }

        /// Adds to a delegation.
        #[pallet::call_index(8)]
        pub fn delegate_more(
            origin: OriginFor<T>,
            validator: T::AccountId,
            #[pallet::compact] amount: Balance,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_delegate_more(who, validator, amount)
        }

        /// Sends a part of a delegation, or all of it, on its way back.
        #[pallet::call_index(9)]
        pub fn undelegate(
            origin: OriginFor<T>,
            validator: T::AccountId,
            #[pallet::compact] amount: Balance,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_undelegate(who, validator, amount)
        }

        /// Moves a part of a delegation, or all of it, to another validator at once. What it was exposed to before it still
        /// answers for.
        #[pallet::call_index(10)]
        #[pallet::weight(T::WeightInfo::redelegate_full())]
        pub fn redelegate(
            origin: OriginFor<T>,
            from: T::AccountId,
            to: T::AccountId,
            #[pallet::compact] amount: Balance,
        ) -> DispatchResultWithPostInfo {
            let who = ensure_signed(origin)?;
            let is_full = Self::do_redelegate(who, from, to, amount)?;
            Ok((!is_full).then(T::WeightInfo::redelegate).into())
        }

        /// Sets how much of what a delegation earns is added to it, from the next election on.
        #[pallet::call_index(11)]
        pub fn set_auto_compound(origin: OriginFor<T>, validator: T::AccountId, share: Percent) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_set_auto_compound(who, validator, share)
        }

        /// Puts something, or more, at stake as a worker.
        #[pallet::call_index(12)]
        pub fn bond_worker(origin: OriginFor<T>, #[pallet::compact] amount: Balance) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_bond_worker(who, amount)
        }

        /// Sends a part of what the caller has at stake as a worker, or all of it, on its way back.
        #[pallet::call_index(13)]
        pub fn unbond_worker(origin: OriginFor<T>, #[pallet::compact] amount: Balance) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_unbond_worker(who, amount)
        }

        /// Takes back what is due of one of the caller's bonds.
        #[pallet::call_index(14)]
        pub fn withdraw(origin: OriginFor<T>, kind: BondKind) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_withdraw(who, kind)
        }

        /// Cancels a slash that is announced and not yet due.
        #[pallet::call_index(15)]
        pub fn cancel_slash(origin: OriginFor<T>, #[pallet::compact] slash: SlashId) -> DispatchResult {
            T::CancelOrigin::ensure_origin(origin)?;
            Self::do_cancel_slash(slash)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// Candidates after `start`, or from the first, in the order of storage: at most `limit`, at most [`MAX_ANSWER`].
        pub fn candidates(start: Option<T::AccountId>, limit: u32) -> Vec<(T::AccountId, ValidatorStatus)> {
            Self::candidates_page(start, limit)
        }

        /// A candidate as it is now.
        pub fn validator(account: T::AccountId) -> Option<ValidatorStatus> {
            Self::validator_status(&account)
        }

        /// Delegators of a validator after `start`, or from the first, in the order of storage: at most `limit`, at most
        /// [`MAX_ANSWER`].
        pub fn delegators(
            validator: T::AccountId,
            start: Option<T::AccountId>,
            limit: u32,
        ) -> Vec<(T::AccountId, Balance)> {
            Self::delegators_page(&validator, start, limit)
        }

        /// What an account delegates.
        pub fn delegations(account: T::AccountId) -> Vec<DelegationStatus<T::AccountId>> {
            Self::delegations_of(&account)
        }

        /// What an account has bonded, what is on its way back and due when, and what it is still owed for eras that are over.
        pub fn ledger(account: T::AccountId) -> Ledger {
            Self::ledger_of(&account)
        }

        /// What a validator was exposed with in an era, while that is kept.
        pub fn exposure(era: EraIndex, validator: T::AccountId) -> Option<Exposure> {
            Exposures::<T>::get(era, validator)
        }

        /// Announced slashes after `start`, or from the first, in the order of storage: at most `limit`, at most
        /// [`MAX_ANSWER`].
        pub fn pending_slashes(start: Option<SlashId>, limit: u32) -> Vec<(SlashId, PendingSlashOf<T>)> {
            Self::slashes_page(start, limit)
        }

        /// The present era.
        pub fn era() -> EraStatus {
            Self::era_status()
        }
    }
}
