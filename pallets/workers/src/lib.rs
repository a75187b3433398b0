//! Registry of off-chain workers: who executes, trains and audits, on what hardware, and whether they are there.
//!
//! An account registers one worker: its key, its identity and addresses on the workers' network, where it stands, its
//! hardware and its roles. The worker's key signs the registration, so that nobody can claim another's. A machine is
//! bound to one account; when its worker leaves, it stays bound for [`Config::CoolingPeriod`], so that one machine cannot
//! pass for many by moving between accounts. [`Config::Deposit`] is held for as long as the binding is on chain.
//!
//! **Heartbeats.** A worker sends one heartbeat in each period of [`Config::HeartbeatPeriod`] blocks: a general
//! transaction without fee that its key signs, authorised by [`Pallet::heartbeat`]'s `authorize` attribute. Being online
//! is derived from the last heartbeat when somebody asks: nothing is swept.
//!
//! **Bonds.** A worker can put BLY at stake. It comes back [`Config::UnbondingPeriod`] blocks after it is unbonded.
//!
//! # Invariants
//!
//! - Workers and keys correspond one to one, and each worker's machine is bound to its account.
//! - The deposits of an account's bindings add up to what [`HoldReason::Registration`] holds from it.
//! - An account's bond, active and unbonding, is what [`HoldReason::Bond`] holds from it.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod bonds;
mod heartbeats;
#[cfg(test)]
mod mock;
mod registry;
mod state;
#[cfg(test)]
mod tests;
mod types;
pub mod weights;

use polkadot_sdk::*;

pub use heartbeats::EXPIRY_TOO_FAR;
pub use pallet::*;
pub use types::{Bond, HardwareBinding, Unbonding, WorkerRecord, WorkerStatus};
pub use weights::WeightInfo;

#[allow(clippy::expect_used, reason = "FRAME's macros write it into what they generate")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use blyan_primitives::{
        hardware::Tier,
        ids::HardwareId,
        worker::{Heartbeat, WorkerInfo},
    };
    use frame_support::{
        pallet_prelude::*,
        traits::fungible::{Inspect, InspectHold, MutateHold},
    };
    use frame_system::pallet_prelude::*;
    use sp_core::sr25519;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// Most workers in one answer of [`Pallet::workers`].
    pub const MAX_PAGE: u32 = 100;

    /// The money of a runtime `T`.
    pub type BalanceOf<T> = <<T as Config>::Currency as Inspect<<T as frame_system::Config>::AccountId>>::Balance;
    /// A machine's binding in a runtime `T`.
    pub type HardwareBindingOf<T> =
        HardwareBinding<<T as frame_system::Config>::AccountId, BalanceOf<T>, BlockNumberFor<T>>;
    /// A worker's bond in a runtime `T`.
    pub type BondOf<T> = Bond<BalanceOf<T>, BlockNumberFor<T>, <T as Config>::MaxUnbonding>;
    /// A worker's status in a runtime `T`.
    pub type WorkerStatusOf<T> = WorkerStatus<BalanceOf<T>, BlockNumberFor<T>>;

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// Money, of which deposits and bonds are held.
        type Currency: InspectHold<Self::AccountId, Reason = Self::RuntimeHoldReason>
            + MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;

        /// The runtime's reasons for holds.
        type RuntimeHoldReason: From<HoldReason>;

        /// What is held while a machine is bound to an account.
        #[pallet::constant]
        type Deposit: Get<BalanceOf<Self>>;

        /// Blocks for which a machine stays bound to an account whose worker has left.
        #[pallet::constant]
        type CoolingPeriod: Get<BlockNumberFor<Self>>;

        /// Blocks of a heartbeat period.
        #[pallet::constant]
        type HeartbeatPeriod: Get<BlockNumberFor<Self>>;

        /// Whole periods without a heartbeat after which a worker is offline.
        #[pallet::constant]
        type MaxMissed: Get<u32>;

        /// Priority of heartbeats in the transaction pool.
        #[pallet::constant]
        type HeartbeatPriority: Get<TransactionPriority>;

        /// The smallest bond.
        #[pallet::constant]
        type MinBond: Get<BalanceOf<Self>>;

        /// Blocks from unbonding to withdrawal.
        #[pallet::constant]
        type UnbondingPeriod: Get<BlockNumberFor<Self>>;

        /// Most parts of a bond that are on their way back at a time.
        #[pallet::constant]
        type MaxUnbonding: Get<u32>;

        /// What each call costs.
        type WeightInfo: WeightInfo;
    }

    /// Why this pallet holds money.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// For a machine that is bound to the account.
        #[codec(index = 0)]
        Registration,
        /// What the account's worker has at stake.
        #[codec(index = 1)]
        Bond,
    }

    /// Every registered worker by its account.
    #[pallet::storage]
    pub type Workers<T: Config> = CountedStorageMap<_, Blake2_128Concat, T::AccountId, WorkerRecord<BlockNumberFor<T>>>;

    /// The worker of each key.
    #[pallet::storage]
    pub type Keys<T: Config> = StorageMap<_, Blake2_128Concat, [u8; 32], T::AccountId>;

    /// The account that each machine is bound to.
    #[pallet::storage]
    pub type Hardware<T: Config> = StorageMap<_, Blake2_128Concat, HardwareId, HardwareBindingOf<T>>;

    /// Period of each worker's last heartbeat.
    #[pallet::storage]
    pub type LastHeartbeat<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, u32>;

    /// What each account has at stake. It outlives the worker until all is withdrawn.
    #[pallet::storage]
    pub type Bonds<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, BondOf<T>>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A worker is registered.
        #[codec(index = 0)]
        Registered {
            /// Its account.
            worker: T::AccountId,
            /// Its tier.
            tier: Tier,
        },
        /// A worker's information has changed.
        #[codec(index = 1)]
        Updated {
            /// Its account.
            worker: T::AccountId,
            /// Its tier.
            tier: Tier,
        },
        /// A worker is no longer registered.
        #[codec(index = 2)]
        Left {
            /// Its account.
            worker: T::AccountId,
            /// First block in which another account can bind its machine.
            hardware_free_at: BlockNumberFor<T>,
        },
        /// A machine is bound to nobody, and the deposit is returned.
        #[codec(index = 3)]
        HardwareReleased {
            /// The machine.
            hardware: HardwareId,
            /// The account that it was bound to.
            owner: T::AccountId,
        },
        /// A worker has shown that it is there.
        #[codec(index = 4)]
        HeartbeatReceived {
            /// Its account.
            worker: T::AccountId,
            /// The heartbeat's period.
            period: u32,
        },
        /// A worker has put more at stake.
        #[codec(index = 5)]
        Bonded {
            /// Its account.
            worker: T::AccountId,
            /// How much more.
            amount: BalanceOf<T>,
        },
        /// A part of a bond is on its way back.
        #[codec(index = 6)]
        Unbonded {
            /// The account.
            worker: T::AccountId,
            /// How much.
            amount: BalanceOf<T>,
            /// First block in which it can be withdrawn.
            due: BlockNumberFor<T>,
        },
        /// A part of a bond is back.
        #[codec(index = 7)]
        Withdrawn {
            /// The account.
            worker: T::AccountId,
            /// How much.
            amount: BalanceOf<T>,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The peer id is not the multihash of a libp2p identity. Send the bytes that `PeerId::to_bytes` gives.
        #[codec(index = 0)]
        InvalidPeerId,
        /// An address is neither a multiaddr nor an HTTP URL in printable ASCII. Correct it.
        #[codec(index = 1)]
        InvalidAddress,
        /// The region is not an ISO 3166 code such as `DE` or `US-CA`. Correct it.
        #[codec(index = 2)]
        InvalidRegion,
        /// There is no role, or one that does not exist. Choose from those that do.
        #[codec(index = 3)]
        InvalidRoles,
        /// The hardware profile has no memory or no thread. Correct it.
        #[codec(index = 4)]
        InvalidHardware,
        /// The account has a worker already. Update it, or leave first.
        #[codec(index = 5)]
        AlreadyRegistered,
        /// The account has no worker. Register one.
        #[codec(index = 6)]
        NotRegistered,
        /// Another worker has this key. Make a new key.
        #[codec(index = 7)]
        KeyTaken,
        /// The machine is bound to another account. Use that account, or wait until its worker has left and the cooling
        /// period is over.
        #[codec(index = 8)]
        HardwareTaken,
        /// A worker stays on its machine. Leave, then register with the other machine.
        #[codec(index = 9)]
        HardwareChanged,
        /// No machine of this name is bound. Nothing has to be released.
        #[codec(index = 10)]
        UnknownHardware,
        /// The machine's worker is registered, or has left too recently. Try again when the cooling period is over.
        #[codec(index = 11)]
        HardwareNotFree,
        /// The signature is not the worker key's over this account and information, or was made for another chain. Sign
        /// again, with this chain's genesis hash.
        #[codec(index = 12)]
        BadSignature,
        /// The heartbeat's last block has passed. Send a new one.
        #[codec(index = 13)]
        HeartbeatExpired,
        /// The heartbeat would be valid for longer than a period. Give it an earlier last block.
        #[codec(index = 14)]
        HeartbeatExpiryTooFar,
        /// The heartbeat is for a period that has passed, or for the one in which the worker registered. Send one for the
        /// present period, or for the next after the registration.
        #[codec(index = 15)]
        HeartbeatStale,
        /// The heartbeat is for a period that has not begun. Send it when the period has.
        #[codec(index = 16)]
        HeartbeatTooEarly,
        /// The worker's heartbeat of this period is on chain. Send the next one in the next period.
        #[codec(index = 17)]
        HeartbeatKnown,
        /// The bond would be smaller than the least. Bond more, or unbond all of it.
        #[codec(index = 18)]
        BelowMinBond,
        /// Less than this is bonded. Ask for less.
        #[codec(index = 19)]
        NotEnoughBonded,
        /// The amount is zero. Choose one.
        #[codec(index = 20)]
        ZeroAmount,
        /// Too many parts of the bond are on their way back. Withdraw those that are due, or wait.
        #[codec(index = 21)]
        TooManyUnbonding,
        /// No part of the bond is due. Wait.
        #[codec(index = 22)]
        NothingDue,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            let (zero_blocks, zero) = (BlockNumberFor::<T>::default(), BalanceOf::<T>::default());
            assert!(T::HeartbeatPeriod::get() > zero_blocks, "HeartbeatPeriod is 0 blocks: periods never pass");
            assert!(T::MaxMissed::get() > 0, "MaxMissed is 0: every worker would be offline between heartbeats");
            assert!(T::MaxUnbonding::get() > 0, "MaxUnbonding is 0: no bond could ever come back");
            assert!(T::Deposit::get() > zero, "Deposit is 0: state could be filled for fees alone");
            assert!(T::MinBond::get() > zero, "MinBond is 0: bonds of nothing would be stored");
            assert!(T::CoolingPeriod::get() > zero_blocks, "CoolingPeriod is 0: a machine could pass for many");
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight(<T as Config>::WeightInfo))]
    impl<T: Config> Pallet<T> {
        /// Registers the account's worker. `signature` is by the worker's key, over
        /// [`WorkerInfo::signing_hash`](blyan_primitives::worker::WorkerInfo::signing_hash). [`Config::Deposit`] is held
        /// for as long as the machine is bound to the account.
        #[pallet::call_index(0)]
        pub fn register(origin: OriginFor<T>, info: WorkerInfo, signature: sr25519::Signature) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_register(who, info, &signature)
        }

        /// Replaces what the worker says of itself, its key among it; the machine stays. `signature` is by the key in
        /// `info`.
        #[pallet::call_index(1)]
        pub fn update(origin: OriginFor<T>, info: WorkerInfo, signature: sr25519::Signature) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_update(who, info, &signature)
        }

        /// Ends the registration. All of the bond is unbonded; the machine stays bound for [`Config::CoolingPeriod`],
        /// and the deposit held until it is released.
        #[pallet::call_index(2)]
        pub fn leave(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_leave(who)
        }

        /// Unbinds a machine whose cooling period is over, and returns the deposit. Anyone can call this.
        #[pallet::call_index(3)]
        pub fn release_hardware(origin: OriginFor<T>, hardware: HardwareId) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_release_hardware(hardware)
        }

        /// Shows that a worker is there. `signature` is by the worker's key, over [`Heartbeat::signing_hash`].
        ///
        /// A general transaction, which nobody signs and nobody pays for. Who sends it signed pays for its failure: it must
        /// not be declared free.
        #[pallet::call_index(4)]
        #[pallet::weight(T::WeightInfo::heartbeat())]
        #[pallet::authorize(Self::authorize_heartbeat)]
        #[pallet::weight_of_authorize(T::WeightInfo::authorize_heartbeat())]
        pub fn heartbeat(
            origin: OriginFor<T>,
            heartbeat: Heartbeat<T::AccountId, BlockNumberFor<T>>,
            signature: sr25519::Signature,
        ) -> DispatchResult {
            ensure_authorized(origin)?;
            // The authorisation verified it, on the state that this call is executed on.
            let _ = signature;
            Self::do_heartbeat(heartbeat)
        }

        /// Puts `amount` more at stake.
        #[pallet::call_index(5)]
        pub fn bond(origin: OriginFor<T>, #[pallet::compact] amount: BalanceOf<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_bond(who, amount)
        }

        /// Sends `amount` of the bond on its way back.
        #[pallet::call_index(6)]
        pub fn unbond(origin: OriginFor<T>, #[pallet::compact] amount: BalanceOf<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_unbond(who, amount)
        }

        /// Takes back every part of the bond that is due.
        #[pallet::call_index(7)]
        pub fn withdraw_unbonded(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_withdraw_unbonded(who)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// A worker as it is now.
        pub fn worker(account: T::AccountId) -> Option<WorkerStatusOf<T>> {
            Workers::<T>::get(&account).map(|record| Self::status(&account, record))
        }

        /// Workers after `start`, or from the first, in the order of storage: at most `limit`, at most [`MAX_PAGE`].
        pub fn workers(start: Option<T::AccountId>, limit: u32) -> Vec<(T::AccountId, WorkerStatusOf<T>)> {
            Self::page(start, limit)
        }

        /// The account whose worker has this key.
        pub fn worker_by_key(key: [u8; 32]) -> Option<T::AccountId> {
            Keys::<T>::get(key)
        }

        /// Which account a machine is bound to.
        pub fn hardware_binding(hardware: HardwareId) -> Option<HardwareBindingOf<T>> {
            Hardware::<T>::get(hardware)
        }

        /// What an account has at stake, and what is on its way back.
        pub fn bond_of(account: T::AccountId) -> Option<BondOf<T>> {
            Bonds::<T>::get(account)
        }

        /// The heartbeat period of the present block.
        pub fn heartbeat_period() -> u32 {
            Self::current_period()
        }
    }
}
