//! Registry of weight blocks, the heads of expert slots, and the rounds in which heads change.
//!
//! **Blocks.** A block is registered with its header. The runtime decodes the header itself, so that a record cannot
//! contradict the block's name, which is the header's hash. Equal content has an equal name and is kept once, however many
//! accounts register it; each of them has a deposit held until it unregisters. A block in use, or registered by anybody,
//! stays.
//!
//! **Lineage.** From which master and by which training weights came is not in their header: it is the word of the account
//! that registers them, and kept as such, in the account's own [`Registration`]. Whoever copies a header from the pool and
//! is first with it, or with another lineage, so adds a word of its own and takes nobody else's place. Who needs a block's
//! lineage (a verdict, a reward) names the account whose word it judges. A master that an account names is of the genesis
//! model or registered by the same account, so that nobody's deposit is bound by what others say.
//!
//! **Heads.** Each slot of a lineage holds one block: the serving form of an expert of the right shape. Empty slots of a
//! published spec are filled through [`SlotHeads::fill_head`](blyan_primitives::traits::SlotHeads::fill_head), by governance
//! until verdicts do it; a spec is not activated before all of its slots are. From then on a head moves by
//! [`SlotHeads::move_head`](blyan_primitives::traits::SlotHeads::move_head) alone, in a round or through the runtime's
//! wiring: there is no extrinsic that moves one without a verdict. When every spec of a lineage is deprecated, anyone can
//! have its heads released, step by step. The chain's first heads come with [`GenesisConfig`]. What slots held before is
//! remembered for [`Config::HeadHistory`] blocks.
//!
//! **Rounds.** A [round](blyan_primitives::learning) changes one slot's head. Anyone opens it, learners submit deltas with a
//! bond each, and a committee judges them through [`Config::Evaluations`].
//!
//! ```text
//! open_round ──► Open ── agenda ──► Evaluating ── decided ──► Accepted ── publish ──► Over: committed, and paid
//!                 │ submit_delta     │     └ rejected ► Over     └── agenda ► Over: lapsed
//!                 └ empty ► Over     └ failed ► Over
//! ```
//!
//! What is accepted is two hashes, which follow from the head and the deltas to the last bit. The head moves when somebody
//! publishes the two blocks: the round's primaries, in turns, in the first window, anyone in the second. Primaries are elected
//! when the round is opened, of the aggregators that stand. Bonds are settled with the verdict, rewards with the move. What is
//! over can be read for [`Config::RoundRetention`] blocks, and then goes by itself.
//!
//! # Invariants
//!
//! - A block's `uses` is at least the number of slots that hold it, of slots whose head a round derived from it, and of
//!   genesis serving forms derived from it; what is above are the uses that others counted through
//!   [`BlockUses`](blyan_primitives::traits::BlockUses). A block in use is on chain, and so is the master that a
//!   registration names.
//! - What [`HoldReason::BlockDeposit`] holds from an account is the sum of its registrations' deposits, and what
//!   [`HoldReason::DeltaBond`] holds the sum of the bonds of its deltas that are not judged.
//! - Every head is the serving form of an expert. The filled slots of a layer are those with the lowest indices.
//! - A slot is in one round at most. Each round that waits for a block is on that block's agenda, and no agenda of a block
//!   that has passed is forgotten.
//! - Only rounds that are not over have primaries.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

extern crate alloc;

mod agenda;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod blocks;
mod deltas;
mod errors;
mod events;
mod heads;
#[cfg(test)]
mod mock;
mod primaries;
mod publication;
mod rewards;
mod rounds;
mod state;
mod sweep;
#[cfg(test)]
mod tests;
mod types;
pub mod weights;

use frame_support::pallet_macros::import_section;
use polkadot_sdk::*;

pub use agenda::CATCH_UP;
#[cfg(feature = "runtime-benchmarks")]
pub use benchmarking::BenchmarkHelper;
pub use heads::MAX_FORMER_HEADS;
pub use pallet::*;
pub use primaries::{DELAY_UNITS, NEWCOMER, PRIMARIES};
pub use rounds::MAX_EVALUATORS;
pub use sweep::SWEPT_ROUNDS;
pub use types::{
    Accepted, Balance, BlockEntry, Candidacy, Delta, Head, Lateness, Outcome, Phase, Registration, Round, Terms, Work,
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
        block::{BlockRecord, MAX_ONCHAIN_HEADER_LEN},
        ids::{ContentHash, SlotId, SpecId},
        learning::{DeltaHeader, DeltaOutcome, Evaluations, ItemSets, RoundId},
        pol::{Refusal, MAX_DELTAS},
        traits::{PactProvider, Payout, SlotHeads, SpecRegistry, Stakes, Standings, WorkerRegistry},
    };
    use frame_support::{
        pallet_prelude::*,
        traits::{
            fungible::{BalancedHold, Credit, Inspect, InspectHold, MutateHold},
            OnUnbalanced,
        },
    };
    use frame_system::pallet_prelude::*;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// Most registrations in one answer of [`Pallet::registrations`], and most rounds in one of [`Pallet::ongoing_rounds`].
    pub const MAX_PAGE: u32 = 100;

    /// A block's entry in a runtime `T`.
    pub type BlockEntryOf<T> = BlockEntry<BlockNumberFor<T>>;
    /// An account's registration of a block in a runtime `T`.
    pub type RegistrationOf<T> = Registration<Balance, BlockNumberFor<T>>;
    /// The block that a slot holds in a runtime `T`.
    pub type HeadOf<T> = Head<BlockNumberFor<T>>;
    /// A round in a runtime `T`.
    pub type RoundOf<T> = Round<BlockNumberFor<T>>;
    /// A delta in a runtime `T`.
    pub type DeltaOf<T> = Delta<<T as frame_system::Config>::AccountId>;
    /// The deltas of a round in a runtime `T`, in the order in which they were submitted.
    pub type DeltasOf<T> = BoundedVec<DeltaOf<T>, ConstU32<MAX_DELTAS>>;
    /// Who has evaluated a round in a runtime `T`.
    pub type EvaluatorsOf<T> = BoundedVec<(<T as frame_system::Config>::AccountId, u32), ConstU32<MAX_EVALUATORS>>;
    /// The primaries of a round in a runtime `T`.
    pub type PrimariesOf<T> = BoundedVec<<T as frame_system::Config>::AccountId, ConstU32<PRIMARIES>>;
    /// What a lost bond is handed over as in a runtime `T`.
    pub type CreditOf<T> = Credit<<T as frame_system::Config>::AccountId, <T as Config>::Currency>;
    /// The bytes of a block's header, SCALE encoded.
    pub type HeaderBytes = BoundedVec<u8, ConstU32<MAX_ONCHAIN_HEADER_LEN>>;

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// Money, of which deposits and bonds are held.
        type Currency: Inspect<Self::AccountId, Balance = Balance>
            + InspectHold<Self::AccountId, Reason = Self::RuntimeHoldReason>
            + MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>
            + BalancedHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;

        /// The runtime's reasons for holds.
        type RuntimeHoldReason: From<HoldReason>;

        /// The registry of specs, which says what slots there are.
        type Specs: SpecRegistry;

        /// Who fills empty slots. No account: a slot's content is a matter of all.
        type GovernanceOrigin: EnsureOrigin<Self::RuntimeOrigin>;

        /// Who has rounds evaluated.
        type Evaluations: Evaluations<Error: Into<DispatchError>>;

        /// The most that [`Evaluations::start`] takes.
        type EvaluationWeight: Get<Weight>;

        /// Who learns, and who aggregates.
        type Workers: WorkerRegistry<Self::AccountId>;

        /// What workers have at stake.
        type Stakes: Stakes<Self::AccountId, Balance>;

        /// How much each account may submit, and what comes of it.
        type Standings: Standings<Self::AccountId>;

        /// The sets of items that learners train on.
        type Sets: ItemSets;

        /// The Pact, which sets the terms of rounds.
        type Pact: PactProvider;

        /// What rounds are paid from.
        type Payout: Payout<Self::AccountId, Balance>;

        /// What is done with lost bonds, or parts of them, that no evaluator is given.
        type OnForfeit: OnUnbalanced<CreditOf<Self>>;

        /// What is held from an account for a block that it registers.
        #[pallet::constant]
        type BlockDeposit: Get<Balance>;

        /// Most heads that one call releases.
        #[pallet::constant]
        type MaxReleased: Get<u32>;

        /// Blocks for which it is remembered what a slot held, unless its head moves more than [`MAX_FORMER_HEADS`] times
        /// in them.
        #[pallet::constant]
        type HeadHistory: Get<BlockNumberFor<Self>>;

        /// Most rounds at a time.
        #[pallet::constant]
        type MaxOpenRounds: Get<u32>;

        /// Most aggregators that stand for election.
        #[pallet::constant]
        type MaxStanding: Get<u32>;

        /// Most bytes of a delta's data.
        #[pallet::constant]
        type MaxDeltaSize: Get<u32>;

        /// Most rounds that go on or end in one block because their time has come; others wait for the next.
        #[pallet::constant]
        type MaxEndings: Get<u32>;

        /// Blocks after its end for which a round can be read.
        #[pallet::constant]
        type RoundRetention: Get<BlockNumberFor<Self>>;

        /// What calls and hooks cost.
        type WeightInfo: WeightInfo;

        /// Makes for benchmarks what other pallets have.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: BenchmarkHelper<Self::AccountId>;
    }

    /// Why this pallet holds money.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// For a block that the account registered, until it unregisters it.
        #[codec(index = 0)]
        BlockDeposit,
        /// For a delta that the account submitted, until it is judged.
        #[codec(index = 1)]
        DeltaBond,
    }

    /// Every registered block.
    #[pallet::storage]
    pub type Blocks<T: Config> = StorageMap<_, Blake2_128Concat, ContentHash, BlockEntryOf<T>>;

    /// The word of each account that has registered a block.
    #[pallet::storage]
    pub type Registrations<T: Config> =
        StorageDoubleMap<_, Blake2_128Concat, ContentHash, Blake2_128Concat, T::AccountId, RegistrationOf<T>>;

    /// The block that each slot holds.
    #[pallet::storage]
    pub type Heads<T: Config> = StorageMap<_, Blake2_128Concat, SlotId, HeadOf<T>>;

    /// What each slot held before, the oldest first: each until the next one came.
    #[pallet::storage]
    pub type FormerHeads<T: Config> =
        StorageMap<_, Blake2_128Concat, SlotId, BoundedVec<HeadOf<T>, ConstU32<MAX_FORMER_HEADS>>, ValueQuery>;

    /// The master of each head that a round has put into its slot. That of any other is in its block's record, if the chain
    /// knows it.
    #[pallet::storage]
    pub type Masters<T: Config> = StorageMap<_, Blake2_128Concat, SlotId, ContentHash>;

    /// How many slots of each layer of a lineage are filled: those with the lowest indices.
    #[pallet::storage]
    pub type Filled<T: Config> = StorageDoubleMap<_, Blake2_128Concat, SpecId, Twox64Concat, u16, u16, ValueQuery>;

    /// Every round that was not removed.
    #[pallet::storage]
    pub type Rounds<T: Config> = StorageMap<_, Twox64Concat, RoundId, RoundOf<T>>;

    /// The deltas of each round.
    #[pallet::storage]
    pub type Deltas<T: Config> = StorageMap<_, Twox64Concat, RoundId, DeltasOf<T>, ValueQuery>;

    /// Aggregators that stand for election.
    #[pallet::storage]
    pub type Candidacies<T: Config> = CountedStorageMap<_, Blake2_128Concat, T::AccountId, Candidacy>;

    /// The primaries of each round that is not over, the first to publish first.
    #[pallet::storage]
    pub type Primaries<T: Config> = StorageMap<_, Twox64Concat, RoundId, PrimariesOf<T>, ValueQuery>;

    /// Who has evaluated each round that waits to be published, and the votes of each.
    #[pallet::storage]
    pub type Evaluators<T: Config> = StorageMap<_, Twox64Concat, RoundId, EvaluatorsOf<T>, ValueQuery>;

    /// The round that each slot is in, until it is over.
    #[pallet::storage]
    pub type Ongoing<T: Config> = CountedStorageMap<_, Blake2_128Concat, SlotId, RoundId>;

    /// Number of the next round.
    #[pallet::storage]
    pub type NextRound<T: Config> = StorageValue<_, RoundId, ValueQuery>;

    /// Rounds that go on or end, by the block in which they do.
    #[pallet::storage]
    pub type Agenda<T: Config> = StorageDoubleMap<_, Twox64Concat, BlockNumberFor<T>, Twox64Concat, RoundId, ()>;

    /// The first block whose agenda is not done, where work is left over.
    #[pallet::storage]
    pub type Behind<T: Config> = StorageValue<_, BlockNumberFor<T>>;

    /// The round that was looked at last for whether it can be removed. Nothing when all have been.
    #[pallet::storage]
    pub type SweptRound<T: Config> = StorageValue<_, RoundId>;

    /// The weights that the chain starts with.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Blocks that are registered from the start and stay.
        pub blocks: Vec<(ContentHash, BlockRecord)>,
        /// The block in each slot of the genesis spec.
        pub heads: Vec<(SlotId, ContentHash)>,
        /// Binds the configuration to a runtime.
        #[serde(skip)]
        pub _config: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            Pallet::<T>::build_genesis_blocks(&self.blocks);
            Pallet::<T>::build_genesis_heads(&self.heads);
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(now: BlockNumberFor<T>) -> Weight {
            Self::work_through_agenda(now)
        }

        fn on_idle(now: BlockNumberFor<T>, remaining: Weight) -> Weight {
            Self::sweep(now, remaining)
        }

        fn integrity_test() {
            let zero = BlockNumberFor::<T>::default();
            assert!(T::BlockDeposit::get() > 0, "BlockDeposit is 0: state could be filled for fees alone");
            assert!(T::MaxReleased::get() > 0, "MaxReleased is 0: deposits for heads would never return");
            assert!(T::HeadHistory::get() > zero, "HeadHistory is 0: what a slot held would be forgotten at once");
            assert!(T::MaxOpenRounds::get() > 0, "MaxOpenRounds is 0: no head would ever move");
            assert!(T::MaxStanding::get() >= PRIMARIES, "MaxStanding is too small: a round would lack primaries");
            assert!(T::MaxDeltaSize::get() > 0, "MaxDeltaSize is 0: no delta could be submitted");
            assert!(T::MaxEndings::get() > 0, "MaxEndings is 0: no round would ever end");
            let quarter = T::BlockWeights::get().max_block.saturating_div(4);
            assert!(
                Self::heaviest_agenda().all_lte(quarter),
                "MaxEndings is too large: rounds that go on could fill more than a quarter of a block"
            );
            assert!(
                Self::heaviest_sweep().all_lte(quarter),
                "what is over could only go in blocks that are nearly empty"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight(<T as Config>::WeightInfo))]
    impl<T: Config> Pallet<T> {
        /// Registers the block with this header. [`Config::BlockDeposit`] is held from the caller until it unregisters it.
        ///
        /// `master` names the registered block from which this serving form was derived, `podl` the hash of the training
        /// manifest that led to these weights: the caller's word, which others who register the same block do not share.
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::register(header.len() as u32))]
        pub fn register(
            origin: OriginFor<T>,
            header: HeaderBytes,
            master: Option<ContentHash>,
            podl: Option<[u8; 32]>,
        ) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            Self::do_register(owner, &header, master, podl)
        }

        /// Takes the caller's registration of a block back, and returns its deposit. The block goes with the last one.
        #[pallet::call_index(1)]
        pub fn unregister(origin: OriginFor<T>, block: ContentHash) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_unregister(who, block)
        }

        /// Puts a registered block into slot `index` of a layer of a published spec: the first empty one of the layer.
        #[pallet::call_index(2)]
        pub fn fill_head(
            origin: OriginFor<T>,
            spec: SpecId,
            layer: u16,
            index: u16,
            block: ContentHash,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            <Self as SlotHeads>::fill_head(spec, layer, index, block)?;
            Ok(())
        }

        /// Empties slots of a lineage all of whose specs are deprecated, at most `limit` of them and at most
        /// [`Config::MaxReleased`], so that the blocks in them can be unregistered. Anyone can call this.
        #[pallet::call_index(3)]
        #[pallet::weight(T::WeightInfo::release_heads((*limit).min(T::MaxReleased::get())))]
        pub fn release_heads(origin: OriginFor<T>, lineage: SpecId, limit: u32) -> DispatchResultWithPostInfo {
            ensure_signed(origin)?;
            let released = Self::do_release_heads(lineage, limit)?;
            Ok(Some(T::WeightInfo::release_heads(released)).into())
        }

        /// Opens a round on a slot's head, with the model evaluated in `spec`, a live one of the slot's lineage, and elects its
        /// primaries. Anyone can call this.
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::open_round(T::MaxStanding::get()))]
        pub fn open_round(origin: OriginFor<T>, slot: SlotId, spec: SpecId) -> DispatchResultWithPostInfo {
            ensure_signed(origin)?;
            let standing = Self::do_open_round(slot, spec)?;
            Ok(Some(T::WeightInfo::open_round(standing)).into())
        }

        /// Submits a delta of the caller, whose worker trains, to an open round. The Pact's bond is held until the delta is
        /// judged. With `aggregator`, one that stands for election, the learner says who takes the delta over, so that others
        /// can fetch it there: it has a share in what the delta is paid. Without one that share is the primary's.
        ///
        /// When the delta comes too late, for a round that is closed or for a head that is another by now, the call succeeds
        /// with [`Event::DeltaRefused`], which tells the present head, and nothing is held.
        #[pallet::call_index(5)]
        pub fn submit_delta(
            origin: OriginFor<T>,
            #[pallet::compact] round: RoundId,
            header: DeltaHeader,
            aggregator: Option<T::AccountId>,
        ) -> DispatchResult {
            let learner = ensure_signed(origin)?;
            Self::do_submit_delta(learner, round, header, aggregator)
        }

        /// Publishes the two blocks that were accepted in a round, by their headers: registers both in the caller's name, as
        /// [`Self::register`] does, moves the slot's head, and pays for the round's work. In the first window it must be the
        /// turn of the caller, who is one of the round's primaries; [`Self::turn`] says when it is.
        #[pallet::call_index(6)]
        #[pallet::weight(T::WeightInfo::publish(
            (master.len() as u32).saturating_add(serving.len() as u32), MAX_DELTAS, MAX_EVALUATORS,
        ))]
        pub fn publish(
            origin: OriginFor<T>,
            #[pallet::compact] round: RoundId,
            master: HeaderBytes,
            serving: HeaderBytes,
        ) -> DispatchResultWithPostInfo {
            let publisher = ensure_signed(origin)?;
            let bytes = (master.len() as u32).saturating_add(serving.len() as u32);
            let (deltas, evaluators) = Self::do_publish(publisher, round, &master, &serving)?;
            Ok(Some(T::WeightInfo::publish(bytes, deltas, evaluators)).into())
        }

        /// Has the caller stand for election as a primary. Its worker must aggregate, and have as much at stake as the Pact asks
        /// of workers. When as many stand as can, the one with the least at stake makes room for who has more.
        #[pallet::call_index(7)]
        #[pallet::weight(T::WeightInfo::stand(T::MaxStanding::get()))]
        pub fn stand(origin: OriginFor<T>) -> DispatchResultWithPostInfo {
            let who = ensure_signed(origin)?;
            let standing = Self::do_stand(who)?;
            Ok(Some(T::WeightInfo::stand(standing)).into())
        }

        /// Ends the candidacy of `who`: of the caller, or of anybody who could not stand now. Where it is a primary already it
        /// stays one.
        #[pallet::call_index(8)]
        pub fn stand_down(origin: OriginFor<T>, who: T::AccountId) -> DispatchResult {
            let caller = ensure_signed(origin)?;
            Self::do_stand_down(&caller, who)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// The block that a slot holds, since when, and how often it has moved.
        pub fn head(slot: SlotId) -> Option<HeadOf<T>> {
            Heads::<T>::get(slot)
        }

        /// The master that a slot's head was derived from, as far as the chain knows it.
        pub fn head_master(slot: SlotId) -> Option<ContentHash> {
            Self::master_of(&slot, Heads::<T>::get(slot)?.block)
        }

        /// A block's record, and how many register and use it.
        pub fn block(block: ContentHash) -> Option<BlockEntryOf<T>> {
            Blocks::<T>::get(block)
        }

        /// What an account says of a block that it has registered.
        pub fn registration(block: ContentHash, account: T::AccountId) -> Option<RegistrationOf<T>> {
            Registrations::<T>::get(block, account)
        }

        /// The accounts that have registered a block, and what each says of it: at most [`MAX_PAGE`] of them.
        pub fn registrations(block: ContentHash) -> Vec<(T::AccountId, RegistrationOf<T>)> {
            Registrations::<T>::iter_prefix(block).take(MAX_PAGE as usize).collect()
        }

        /// The heads of a layer of a spec in the order of its experts; `None` for a slot that is empty. Nothing when the
        /// spec is unknown or has no such layer.
        pub fn heads_of_layer(spec: SpecId, layer: u16) -> Vec<Option<HeadOf<T>>> {
            Self::layer(spec, layer)
        }

        /// What the slots of a layer held at the end of block `height`, as far as that is remembered: what deltas are measured
        /// with.
        pub fn heads_of_layer_at(spec: SpecId, layer: u16, height: BlockNumberFor<T>) -> Vec<Option<ContentHash>> {
            let Some((lineage, dimensions)) = T::Specs::known_spec(spec) else { return Vec::new() };
            if layer >= dimensions.layers {
                return Vec::new();
            }
            (0..dimensions.experts).map(|index| Self::block_at(&SlotId { lineage, layer, index }, height)).collect()
        }

        /// A round: its base, its terms, how far it is and how it has ended.
        pub fn round(round: RoundId) -> Option<RoundOf<T>> {
            Rounds::<T>::get(round)
        }

        /// The deltas of a round in the order in which they were submitted, and what was found of each.
        pub fn deltas(round: RoundId) -> Vec<DeltaOf<T>> {
            Deltas::<T>::get(round).into_inner()
        }

        /// The primaries of a round that is not over, the first to publish first.
        pub fn primaries(round: RoundId) -> Vec<T::AccountId> {
            Primaries::<T>::get(round).into_inner()
        }

        /// First block in which an account can publish what was accepted in a round, with those online who are now.
        pub fn turn(round: RoundId, who: T::AccountId) -> Option<BlockNumberFor<T>> {
            let round_entry = Rounds::<T>::get(round)?;
            let (begun, window) = round_entry.publication()?;
            Some(Self::turn_of(round, &who, begun, window))
        }

        /// The aggregators that stand for election, in the order of storage, at most [`MAX_PAGE`] of them.
        pub fn standing() -> Vec<(T::AccountId, Candidacy)> {
            Candidacies::<T>::iter().take(MAX_PAGE as usize).collect()
        }

        /// The round that a slot is in.
        pub fn round_of(slot: SlotId) -> Option<(RoundId, RoundOf<T>)> {
            let id = Ongoing::<T>::get(slot)?;
            Some((id, Rounds::<T>::get(id)?))
        }

        /// The rounds that are not over, in the order of storage, at most [`MAX_PAGE`] of them.
        pub fn ongoing_rounds() -> Vec<(RoundId, RoundOf<T>)> {
            let ids = Ongoing::<T>::iter_values().take(MAX_PAGE as usize);
            ids.filter_map(|id| Some((id, Rounds::<T>::get(id)?))).collect()
        }
    }
}
