//! Registry of weight blocks, and the heads of expert slots.
//!
//! **Blocks.** A block is registered with its header. The runtime decodes the header itself, so that a record cannot
//! contradict the block's name, which is the header's hash. Equal content has an equal name and is registered once. A
//! deposit is held from whoever registers a block and returned when they unregister it; a block in use stays.
//!
//! **Heads.** Each slot of a live spec's lineage holds one block: the serving form of an expert of the right shape. A
//! head moves by [`SlotHeads::move_head`](blyan_primitives::traits::SlotHeads::move_head) alone, which verdicts call
//! through the runtime's wiring; there is no extrinsic that moves one. The chain's first heads come with
//! [`GenesisConfig`].
//!
//! # Invariants
//!
//! - A block's `uses` is at least the number of slots that hold it and serving forms derived from it; what is above are
//!   the uses that others counted through [`BlockUses`](blyan_primitives::traits::BlockUses). A block in use is on chain.
//! - The deposits of an account's blocks add up to what [`HoldReason::BlockDeposit`] holds from it.
//! - Every head is the serving form of an expert.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod blocks;
mod heads;
#[cfg(test)]
mod mock;
mod state;
#[cfg(test)]
mod tests;
mod types;
pub mod weights;

use polkadot_sdk::*;

pub use pallet::*;
pub use types::{BlockEntry, Deposit, Head};
pub use weights::WeightInfo;

#[allow(clippy::expect_used, reason = "FRAME's macros write it into what they generate")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use blyan_primitives::{
        block::{BlockRecord, MAX_ONCHAIN_HEADER_LEN},
        ids::{ContentHash, SlotId, SpecId},
        traits::SpecRegistry,
    };
    use frame_support::{
        pallet_prelude::*,
        traits::fungible::{Inspect, InspectHold, MutateHold},
    };
    use frame_system::pallet_prelude::*;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// The money of a runtime `T`.
    pub type BalanceOf<T> = <<T as Config>::Currency as Inspect<<T as frame_system::Config>::AccountId>>::Balance;
    /// A block's entry in a runtime `T`.
    pub type BlockEntryOf<T> = BlockEntry<<T as frame_system::Config>::AccountId, BalanceOf<T>, BlockNumberFor<T>>;
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

        /// What is held for a registered block.
        #[pallet::constant]
        type BlockDeposit: Get<BalanceOf<Self>>;

        /// What each call costs.
        type WeightInfo: WeightInfo;
    }

    /// Why this pallet holds money.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// For a registered block, until it is unregistered.
        #[codec(index = 0)]
        BlockDeposit,
    }

    /// Every registered block.
    #[pallet::storage]
    pub type Blocks<T: Config> = StorageMap<_, Blake2_128Concat, ContentHash, BlockEntryOf<T>>;

    /// The block that each slot holds.
    #[pallet::storage]
    pub type Heads<T: Config> = StorageMap<_, Blake2_128Concat, SlotId, Head<BlockNumberFor<T>>>;

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

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A block is on chain.
        #[codec(index = 0)]
        BlockRegistered {
            /// Its name.
            block: ContentHash,
            /// Who registered it.
            owner: T::AccountId,
        },
        /// A block is no longer on chain, and its deposit is returned.
        #[codec(index = 1)]
        BlockUnregistered {
            /// Its name.
            block: ContentHash,
            /// Who had registered it.
            owner: T::AccountId,
        },
        /// A slot holds another block.
        #[codec(index = 2)]
        HeadMoved {
            /// The slot.
            slot: SlotId,
            /// What it held.
            from: ContentHash,
            /// What it holds.
            to: ContentHash,
            /// How often the slot's head has moved.
            moves: u32,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The header is not the SCALE encoding of a block header. Send the header's bytes as they stand in the file,
        /// without the 16 bytes in front of it.
        #[codec(index = 0)]
        MalformedHeader,
        /// The header has too many tensors, dimensions or metadata bytes. Split the block.
        #[codec(index = 1)]
        HeaderTooLarge,
        /// A tensor's name, or the architecture's, is empty, not printable ASCII, or used twice. Write the file anew.
        #[codec(index = 2)]
        InvalidTensorName,
        /// The header has no tensor, or one whose length does not follow from its type, layout and shape. Write the file
        /// anew.
        #[codec(index = 3)]
        InvalidTensorShape,
        /// A tensor is not aligned, overlaps another, leaves a gap, or ends outside the data. Write the file anew.
        #[codec(index = 4)]
        MisplacedTensor,
        /// The serving form of an expert needs matrices `gate` and `up` `[ffn, hidden]` and `down` `[hidden, ffn]`.
        /// Convert the expert again.
        #[codec(index = 5)]
        UnfitExpert,
        /// This content is on chain already. Use it: it needs no second registration.
        #[codec(index = 6)]
        AlreadyRegistered,
        /// The named master is not registered. Register it first.
        #[codec(index = 7)]
        UnknownMaster,
        /// The named master is not a master form, or not of the same kind. Name the block that this one was derived from.
        #[codec(index = 8)]
        NotAMaster,
        /// A master form is not derived from another block. Leave out the master.
        #[codec(index = 9)]
        MasterOfMaster,
        /// No block of this name is registered. Check the name, or register the block.
        #[codec(index = 10)]
        UnknownBlock,
        /// Only who registered a block can unregister it; a block of the genesis model stays.
        #[codec(index = 11)]
        NotOwner,
        /// A slot, a spec or a serving form uses the block. It can be unregistered when none does any more.
        #[codec(index = 12)]
        InUse,
        /// The block has as many uses as can be counted. Register other content.
        #[codec(index = 13)]
        TooManyUses,
        /// No live spec of this lineage has this slot. Check lineage, layer and index.
        #[codec(index = 14)]
        UnknownSlot,
        /// The slot does not hold the block that the change started from. Start again from the slot's present head.
        #[codec(index = 15)]
        StaleBase,
        /// The slot holds this block already. There is nothing to move.
        #[codec(index = 16)]
        HeadUnchanged,
        /// The block is not the serving form of an expert of the slot's shape. Convert the expert for this spec.
        #[codec(index = 17)]
        UnfitHead,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            assert!(
                T::BlockDeposit::get() > BalanceOf::<T>::default(),
                "BlockDeposit is 0: state could be filled for fees alone"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight(<T as Config>::WeightInfo))]
    impl<T: Config> Pallet<T> {
        /// Registers the block with this header. [`Config::BlockDeposit`] is held until it is unregistered.
        ///
        /// `master` names the registered block from which this serving form was derived, `podl` the hash of the training
        /// manifest that led to these weights.
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

        /// Removes a block that nothing uses, and returns its deposit.
        #[pallet::call_index(1)]
        pub fn unregister(origin: OriginFor<T>, block: ContentHash) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_unregister(who, block)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// The block that a slot holds, since when, and how often it has moved.
        pub fn head(slot: SlotId) -> Option<Head<BlockNumberFor<T>>> {
            Heads::<T>::get(slot)
        }

        /// A block's record, deposit and number of uses.
        pub fn block(block: ContentHash) -> Option<BlockEntryOf<T>> {
            Blocks::<T>::get(block)
        }

        /// The heads of a layer in the order of experts; `None` for a slot that is empty. Nothing when no live spec of the
        /// lineage has the layer.
        pub fn heads_of_layer(lineage: SpecId, layer: u16) -> Vec<Option<Head<BlockNumberFor<T>>>> {
            Self::layer(lineage, layer)
        }
    }
}
