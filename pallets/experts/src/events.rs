//! What happens, as the outside world is told.

use frame_support::pallet_macros::pallet_section;
use polkadot_sdk::*;

/// The events.
#[pallet_section]
mod events {
    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An account has registered a block, which is on chain.
        #[codec(index = 0)]
        BlockRegistered {
            /// Its name.
            block: ContentHash,
            /// Who registered it.
            owner: T::AccountId,
        },
        /// An account has withdrawn its registration of a block, and has its deposit back. The block is no longer on chain
        /// unless somebody else has registered it too.
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
        /// An empty slot holds its first block.
        #[codec(index = 3)]
        HeadFilled {
            /// The slot.
            slot: SlotId,
            /// What it holds.
            block: ContentHash,
        },
        /// Slots of a lineage that serves nobody any more are empty again.
        #[codec(index = 4)]
        HeadsReleased {
            /// The lineage.
            lineage: SpecId,
            /// How many.
            released: u32,
        },
    }
}
