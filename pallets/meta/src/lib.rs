//! Registry of model specifications (*meta blocks*).
//!
//! A specification says which tensors make a model and how they compute. It is published, activated, and one day
//! deprecated, by governance; never edited. Its name is the hash of its content.
//!
//! ```text
//! publish ──► Published ── activate ──► Active ── deprecate ──► Deprecated
//!                 └────────────────── deprecate ──────────────────┘
//! ```
//!
//! A published spec's empty slots are filled through the pallet behind [`Config::Heads`]; it is activated when none is left.
//!
//! A spec with a parent succeeds it: it belongs to the same *lineage* and has a higher version. Expert slots belong to
//! lineages, so a successor takes over its parent's experts; both must give experts the same shape.
//!
//! # Invariants
//!
//! - At most [`Config::MaxActive`] specs are active; once one is active, there always is one.
//! - The blocks that a published or active spec names are registered, suit it, and are counted as used by it.
//! - Every slot of an active spec holds a block.
//! - No two active specs of a lineage have the same version; all specs of a lineage give experts the same shape.
//!
//! The genesis model is given as [`GenesisConfig`]. This pallet's genesis is built after that of the pallet behind
//! [`Config::Blocks`] and [`Config::Heads`], which must stand before it in the runtime.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
#[cfg(test)]
mod mock;
mod registry;
#[cfg(test)]
mod tests;
mod types;
pub mod weights;

use polkadot_sdk::*;

#[cfg(feature = "runtime-benchmarks")]
pub use benchmarking::BenchmarkHelper;
pub use pallet::*;
pub use types::{SpecRecord, Status};
pub use weights::WeightInfo;

#[allow(clippy::large_enum_variant, reason = "a spec comes in a call, and there is one call at a time")]
#[allow(clippy::expect_used, reason = "FRAME's macros write it into what they generate")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use blyan_primitives::{
        ids::SpecId,
        spec::{ModelSpec, MAX_LAYERS},
        traits::{BlockRegistry, BlockUses, SlotHeads},
        version::SemVer,
    };
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// Who publishes, activates and deprecates specs.
        type GovernanceOrigin: EnsureOrigin<Self::RuntimeOrigin>;

        /// The registry of the blocks that specs name.
        type Blocks: BlockRegistry + BlockUses;

        /// The heads of slots, which a spec must all find filled when it is activated.
        type Heads: SlotHeads;

        /// Most specs that are active at a time.
        #[pallet::constant]
        type MaxActive: Get<u32>;

        /// What each call costs.
        type WeightInfo: WeightInfo;

        /// Makes blocks for benchmarks.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: BenchmarkHelper;
    }

    /// Every spec that was ever published.
    #[pallet::storage]
    pub type Specs<T: Config> = StorageMap<_, Blake2_128Concat, SpecId, SpecRecord<BlockNumberFor<T>>>;

    /// The active specs, the latest activated first. The first is what a client uses when it asks for none.
    #[pallet::storage]
    pub type ActiveSpecs<T: Config> = StorageValue<_, BoundedVec<SpecId, T::MaxActive>, ValueQuery>;

    /// How many specs of each lineage are published or active; none of a lineage that is not here.
    #[pallet::storage]
    pub type OpenSpecs<T: Config> = StorageMap<_, Blake2_128Concat, SpecId, u32>;

    /// The model that the chain starts with.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// A spec without parent, all of whose blocks and slot heads the experts' genesis registers.
        pub spec: Option<ModelSpec>,
        /// Binds the configuration to a runtime.
        #[serde(skip)]
        pub _config: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            if let Some(spec) = &self.spec {
                Pallet::<T>::build_genesis_spec(spec);
            }
        }
    }

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A spec is on chain.
        #[codec(index = 0)]
        Published {
            /// Its name.
            spec: SpecId,
            /// The lineage it belongs to: its own name when it starts one.
            lineage: SpecId,
            /// Its version.
            version: SemVer,
        },
        /// A spec is in use, and the default from now on.
        #[codec(index = 1)]
        Activated {
            /// Its name.
            spec: SpecId,
        },
        /// A spec is no longer in use.
        #[codec(index = 2)]
        Deprecated {
            /// Its name.
            spec: SpecId,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// This very spec is on chain already. Activate it, or change its version to publish another.
        #[codec(index = 0)]
        AlreadyPublished,
        /// The parent is not on chain. Publish it first.
        #[codec(index = 1)]
        UnknownParent,
        /// The version is not higher than the parent's. Raise it.
        #[codec(index = 2)]
        VersionNotNewer,
        /// A dimension is zero, out of bounds, or contradicts another. Correct the spec's dimensions.
        #[codec(index = 3)]
        InvalidDimensions,
        /// The name is not 1 to 64 printable ASCII characters. Choose another.
        #[codec(index = 4)]
        InvalidName,
        /// The compatibility range is empty or leaves out the spec's own version. Correct it.
        #[codec(index = 5)]
        InvalidRange,
        /// Experts of this spec would not fit into its parent's slots: `hidden` or `ffn` differs. Start a lineage of its
        /// own: leave out the parent.
        #[codec(index = 6)]
        ExpertShapeChanged,
        /// The tokenizer, trunk or router names a block that is not registered. Register it first.
        #[codec(index = 7)]
        UnknownBlock,
        /// The tokenizer, trunk or router names a block of another kind or of another model's dimensions, or one that
        /// inference cannot compute on. Name the serving form of the right block.
        #[codec(index = 8)]
        UnsuitableBlock,
        /// A block that the spec names has too many uses to count another. Deprecate specs that are not needed.
        #[codec(index = 9)]
        TooManyUses,
        /// No spec of this name is on chain. Check the name, or publish the spec.
        #[codec(index = 10)]
        UnknownSpec,
        /// Only a published spec can be activated; this one is active, or was deprecated for good. Publish a successor.
        #[codec(index = 11)]
        NotPublished,
        /// The spec is deprecated already. There is nothing left to do.
        #[codec(index = 12)]
        AlreadyDeprecated,
        /// As many specs are active as can be. Deprecate one first.
        #[codec(index = 13)]
        TooManyActive,
        /// An active spec of this lineage has the same version. Deprecate that one first.
        #[codec(index = 14)]
        VersionTaken,
        /// The network would be left without a model. Activate another spec first.
        #[codec(index = 15)]
        LastActive,
        /// A slot of the spec holds no block: workers could not serve it. Fill the empty slots of each layer first.
        #[codec(index = 16)]
        EmptySlots,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            assert!(T::MaxActive::get() > 0, "MaxActive is 0: no spec could ever be activated");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight(<T as Config>::WeightInfo))]
    impl<T: Config> Pallet<T> {
        /// Puts a spec on chain. Nothing changes for workers until it is activated.
        #[pallet::call_index(0)]
        pub fn publish(origin: OriginFor<T>, spec: ModelSpec) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::do_publish(spec)
        }

        /// Puts a published spec, all of whose slots are filled, into use and makes it the default.
        #[pallet::call_index(1)]
        #[pallet::weight(T::WeightInfo::activate(MAX_LAYERS.into()))]
        pub fn activate(origin: OriginFor<T>, id: SpecId) -> DispatchResultWithPostInfo {
            T::GovernanceOrigin::ensure_origin(origin)?;
            let layers = Self::do_activate(id)?;
            Ok(Some(T::WeightInfo::activate(layers.into())).into())
        }

        /// Takes a spec out of use for good, or withdraws one that was never activated.
        #[pallet::call_index(2)]
        pub fn deprecate(origin: OriginFor<T>, id: SpecId) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::do_deprecate(id)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// The active specs with their names, the default first.
        pub fn active() -> Vec<(SpecId, SpecRecord<BlockNumberFor<T>>)> {
            ActiveSpecs::<T>::get().into_iter().filter_map(|id| Some((id, Specs::<T>::get(id)?))).collect()
        }

        /// A spec's record.
        pub fn spec(id: SpecId) -> Option<SpecRecord<BlockNumberFor<T>>> {
            Specs::<T>::get(id)
        }

        /// The active spec that answers requests for `version`: the highest whose compatibility range contains it, among
        /// equals the latest activated.
        pub fn spec_for_version(version: SemVer) -> Option<SpecId> {
            Self::best_for(version)
        }
    }
}
