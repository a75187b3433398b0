//! Registry of weight blocks, and the heads of expert slots.
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
//! [`SlotHeads::move_head`](blyan_primitives::traits::SlotHeads::move_head) alone, which verdicts call through the runtime's
//! wiring: there is no extrinsic that moves one. When every spec of a lineage is deprecated, anyone can have its heads
//! released, step by step. The chain's first heads come with [`GenesisConfig`].
//!
//! # Invariants
//!
//! - A block's `uses` is at least the number of slots that hold it and of genesis serving forms derived from it; what is
//!   above are the uses that others counted through [`BlockUses`](blyan_primitives::traits::BlockUses). A block in use is on
//!   chain, and so is the master that a registration names.
//! - What [`HoldReason::BlockDeposit`] holds from an account is the sum of its registrations' deposits.
//! - Every head is the serving form of an expert. The filled slots of a layer are those with the lowest indices.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod blocks;
mod errors;
mod events;
mod heads;
#[cfg(test)]
mod mock;
mod state;
#[cfg(test)]
mod tests;
mod types;
pub mod weights;

use frame_support::pallet_macros::import_section;
use polkadot_sdk::*;

#[cfg(feature = "runtime-benchmarks")]
pub use benchmarking::BenchmarkHelper;
pub use pallet::*;
pub use types::{BlockEntry, Head, Registration};
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
        traits::{SlotHeads, SpecRegistry},
    };
    use frame_support::{
        pallet_prelude::*,
        traits::fungible::{Inspect, InspectHold, MutateHold},
    };
    use frame_system::pallet_prelude::*;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// Most registrations in one answer of [`Pallet::registrations`].
    pub const MAX_PAGE: u32 = 100;

    /// The money of a runtime `T`.
    pub type BalanceOf<T> = <<T as Config>::Currency as Inspect<<T as frame_system::Config>::AccountId>>::Balance;
    /// A block's entry in a runtime `T`.
    pub type BlockEntryOf<T> = BlockEntry<BlockNumberFor<T>>;
    /// An account's registration of a block in a runtime `T`.
    pub type RegistrationOf<T> = Registration<BalanceOf<T>, BlockNumberFor<T>>;
    /// The bytes of a block's header, SCALE encoded.
    pub type HeaderBytes = BoundedVec<u8, ConstU32<MAX_ONCHAIN_HEADER_LEN>>;

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// Money, of which deposits are held.
        type Currency: InspectHold<Self::AccountId, Reason = Self::RuntimeHoldReason>
            + MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;

        /// The runtime's reasons for holds.
        type RuntimeHoldReason: From<HoldReason>;

        /// The registry of specs, which says what slots there are.
        type Specs: SpecRegistry;

        /// Who fills empty slots. No account: a slot's content is a matter of all.
        type GovernanceOrigin: EnsureOrigin<Self::RuntimeOrigin>;

        /// What is held from an account for a block that it registers.
        #[pallet::constant]
        type BlockDeposit: Get<BalanceOf<Self>>;

        /// Most heads that one call releases.
        #[pallet::constant]
        type MaxReleased: Get<u32>;

        /// What each call costs.
        type WeightInfo: WeightInfo;

        /// Makes specs for benchmarks.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: BenchmarkHelper;
    }

    /// Why this pallet holds money.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// For a block that the account registered, until it unregisters it.
        #[codec(index = 0)]
        BlockDeposit,
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
    pub type Heads<T: Config> = StorageMap<_, Blake2_128Concat, SlotId, Head<BlockNumberFor<T>>>;

    /// How many slots of each layer of a lineage are filled: those with the lowest indices.
    #[pallet::storage]
    pub type Filled<T: Config> = StorageDoubleMap<_, Blake2_128Concat, SpecId, Twox64Concat, u16, u16, ValueQuery>;

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
        fn integrity_test() {
            assert!(
                T::BlockDeposit::get() > BalanceOf::<T>::default(),
                "BlockDeposit is 0: state could be filled for fees alone"
            );
            assert!(T::MaxReleased::get() > 0, "MaxReleased is 0: deposits for heads would never return");
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
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// The block that a slot holds, since when, and how often it has moved.
        pub fn head(slot: SlotId) -> Option<Head<BlockNumberFor<T>>> {
            Heads::<T>::get(slot)
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
        pub fn heads_of_layer(spec: SpecId, layer: u16) -> Vec<Option<Head<BlockNumberFor<T>>>> {
            Self::layer(spec, layer)
        }
    }
}
