//! The Genesis Pact on chain: every number that governance can change, beside what is fixed with the first block.
//!
//! The chain spec gives the network and, unless the defaults will do, the Pact; genesis refuses what cannot stand. From then
//! on [`Config::ChangeOrigin`] puts new values in: any number in one call, because parameters that bind each other have to
//! move together. The whole is then checked against the bounds that are compiled into this runtime, and [`Config::OnChange`]
//! is told what it was and what it is. The network never changes.
//!
//! Other pallets read both through [`PactProvider`](blyan_primitives::traits::PactProvider). Where genesis has not put
//! anything, as in a test of a runtime without state, the defaults of a public network hold: nothing here panics after
//! genesis.
//!
//! # Invariants
//!
//! - The Pact stands on its network: each parameter within its bounds, and none against another.
//! - The stored hash is the Pact's and the network's, and the last change's event has it.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod changes;
#[cfg(test)]
mod mock;
mod reading;
mod state;
#[cfg(test)]
mod tests;
mod types;
pub mod weights;

use polkadot_sdk::*;

pub use changes::apply;
pub use pallet::*;
pub use reading::SessionSlots;
pub use types::Change;
pub use weights::WeightInfo;

#[allow(clippy::expect_used, reason = "FRAME's macros write it into what they generate")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use blyan_primitives::{
        pact::{self, Entry, Pact},
        traits::OnChange,
    };
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// Who changes the Pact.
        type ChangeOrigin: EnsureOrigin<Self::RuntimeOrigin>;

        /// Who is told of a change. What it does is part of what a change costs.
        type OnChange: OnChange;

        /// Most parameters that one call changes.
        #[pallet::constant]
        type MaxChanges: Get<u32>;

        /// What each call costs.
        type WeightInfo: WeightInfo;
    }

    /// What is fixed with the first block.
    #[pallet::storage]
    pub type Network<T: Config> = StorageValue<_, pact::Network>;

    /// The Pact as it stands.
    #[pallet::storage]
    pub type Current<T: Config> = StorageValue<_, Pact>;

    /// How often the Pact was changed.
    #[pallet::storage]
    pub type Revision<T: Config> = StorageValue<_, u32, ValueQuery>;

    /// Commits to the Pact and the network.
    #[pallet::storage]
    pub type CurrentHash<T: Config> = StorageValue<_, [u8; 32]>;

    /// The network, and the Pact that it starts with.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// What no vote changes.
        pub network: pact::Network,
        /// The Pact; without it, the default for networks of this kind.
        pub pact: Option<Pact>,
        /// Binds the configuration to a runtime.
        #[serde(skip)]
        pub _config: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            let pact = self.pact.clone().unwrap_or_else(|| Pact::default_for(self.network.kind));
            if let Err(error) = pact.check(&self.network) {
                panic!("the chain spec's Genesis Pact cannot stand: {error}");
            }
            Network::<T>::put(self.network);
            CurrentHash::<T>::put(pact.hash(&self.network));
            Current::<T>::put(pact);
        }
    }

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// The Pact has changed.
        #[codec(index = 0)]
        Changed {
            /// How often it has changed so far.
            revision: u32,
            /// Commits to the Pact as it is now.
            hash: [u8; 32],
            /// What is different.
            changes: BoundedVec<Change, T::MaxChanges>,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// A parameter would be out of its bounds. Compare the new values with the bounds in `entries`.
        #[codec(index = 0)]
        OutOfBounds,
        /// The new values contradict each other or a parameter that stays, as when shares of one whole are not the whole.
        /// Change all of them in one call.
        #[codec(index = 1)]
        Contradiction,
        /// No parameter would be different. Propose a value that is not the present one.
        #[codec(index = 2)]
        NoChanges,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            assert!(T::MaxChanges::get() > 0, "MaxChanges is 0: the Pact could never change");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Puts new values in, all of them or none. When a parameter is given twice, the last value counts.
        #[pallet::call_index(0)]
        #[pallet::weight(T::WeightInfo::change(u32::try_from(changes.len()).unwrap_or(u32::MAX)))]
        pub fn change(origin: OriginFor<T>, changes: BoundedVec<pact::Parameter, T::MaxChanges>) -> DispatchResult {
            T::ChangeOrigin::ensure_origin(origin)?;
            Self::do_change(&changes)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// The Pact as it stands.
        pub fn pact() -> Pact {
            Self::current()
        }

        /// What is fixed with the first block.
        pub fn network() -> pact::Network {
            Self::fixed()
        }

        /// Every parameter by name, with its unit, and its bounds on this network.
        pub fn entries() -> Vec<Entry> {
            Self::current().entries(Self::fixed().kind)
        }

        /// Commits to the Pact and the network.
        pub fn hash() -> [u8; 32] {
            Self::current_hash()
        }

        /// How often the Pact was changed.
        pub fn revision() -> u32 {
            Revision::<T>::get()
        }

        /// Commits to the bounds of this network's kind that are compiled into this runtime. A program with others must not
        /// go on.
        pub fn bounds_hash() -> [u8; 32] {
            pact::bounds_hash(Self::fixed().kind)
        }
    }
}
