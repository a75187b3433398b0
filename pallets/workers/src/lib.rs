//! Registry of off-chain workers: who executes, trains and audits, on what hardware, whether they are there, and how far
//! they are trusted.
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
//! **Standing.** Accounts, of workers and of others, rise and fall by what comes of their submissions, by the rules of
//! [`blyan_primitives::trust`] with the numbers of the Pact; other pallets report through
//! [`Standings`](blyan_primitives::traits::Standings). Outcomes and [`Config::GuardianOrigin`] can put an account into
//! quarantine. Its worker stays registered, but gets no work, submits nothing and does not vote.
//!
//! **Votes.** A machine that is bound to an account has a vote, which its account casts while its worker is online and in
//! good standing: see [`members`].
//!
//! # Invariants
//!
//! - Workers and keys correspond one to one, and each worker's machine is bound to its account.
//! - The deposits of an account's bindings add up to what [`HoldReason::Registration`] holds from it.
//! - A quarantine belongs to the account, registered or not, and holds every machine that is bound to it: until it is
//!   over, none of them is released, or bound to another account. Neither leaving and registering again nor moving a
//!   machine sheds it.
//! - A standing is on chain only while it is not the one that everybody begins with.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod heartbeats;
pub mod members;
#[cfg(test)]
mod mock;
mod registry;
mod standing;
mod state;
#[cfg(test)]
mod tests;
mod types;
pub mod weights;

use polkadot_sdk::*;

pub use heartbeats::EXPIRY_TOO_FAR;
pub use pallet::*;
pub use types::{HardwareBinding, WorkerRecord, WorkerStatus};
pub use weights::WeightInfo;

#[allow(clippy::expect_used, reason = "FRAME's macros write it into what they generate")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use blyan_primitives::{
        hardware::Tier,
        ids::HardwareId,
        traits::{PactProvider, Stakes, Standings as _},
        trust::{Level, Standing},
        worker::{Heartbeat, WorkerInfo},
    };
    use frame_support::{
        pallet_prelude::*,
        traits::fungible::{Inspect, InspectHold, MutateHold},
    };
    use frame_system::pallet_prelude::*;
    use sp_core::sr25519;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(if cfg!(feature = "next-release") { 2 } else { 1 });

    /// Most workers in one answer of [`Pallet::workers`].
    pub const MAX_PAGE: u32 = 100;

    /// The money of a runtime `T`.
    pub type BalanceOf<T> = <<T as Config>::Currency as Inspect<<T as frame_system::Config>::AccountId>>::Balance;
    /// A machine's binding in a runtime `T`.
    pub type HardwareBindingOf<T> =
        HardwareBinding<<T as frame_system::Config>::AccountId, BalanceOf<T>, BlockNumberFor<T>>;
    /// A worker's status in a runtime `T`.
    pub type WorkerStatusOf<T> = WorkerStatus<BalanceOf<T>, BlockNumberFor<T>>;

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

        /// Who keeps what workers have at stake.
        type Stakes: Stakes<Self::AccountId, BalanceOf<Self>>;

        /// Who keeps the Pact, whose section on trust gives the rules of standing.
        type Pact: PactProvider;

        /// Who puts accounts into quarantine and ends it: governance.
        type GuardianOrigin: EnsureOrigin<Self::RuntimeOrigin>;

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

        /// Blocks of a day, for which quotas of submissions are.
        #[pallet::constant]
        type BlocksPerDay: Get<BlockNumberFor<Self>>;

        /// What each call costs.
        type WeightInfo: WeightInfo;
    }

    /// Why this pallet holds money.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// For a machine that is bound to the account.
        #[codec(index = 0)]
        Registration,
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

    /// Standing of each account that has not the one that everybody begins with. It outlives the worker. What is no longer
    /// true of it, a quarantine that is over and the submissions of a day that has passed, goes when it is next written.
    #[pallet::storage]
    pub type Standings<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, Standing, ValueQuery>;

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
            /// First block in which another account can bind its machine, unless the account is in quarantine then.
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
        /// An account was promoted or demoted by what came of its submissions.
        #[codec(index = 5)]
        StandingChanged {
            /// The account.
            account: T::AccountId,
            /// How far it is trusted now.
            level: Level,
        },
        /// An account is in quarantine, or longer than it was to be, and a newcomer after it.
        #[codec(index = 6)]
        Quarantined {
            /// The account.
            account: T::AccountId,
            /// First block in which it is not, unless it is released.
            until: BlockNumberFor<T>,
        },
        /// An account's quarantine was ended.
        #[codec(index = 7)]
        Released {
            /// The account.
            account: T::AccountId,
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
        /// The machine's account is in quarantine. Try again when that is over.
        #[codec(index = 18)]
        HardwareQuarantined,
        /// No machine is bound to the account, and it never submitted anything. Name one that takes part.
        #[codec(index = 19)]
        UnknownAccount,
        /// The account is not in quarantine. Nothing has to be ended.
        #[codec(index = 20)]
        NotQuarantined,
        /// The account has no standing on chain, or one that still counts. Nothing has to be forgotten.
        #[codec(index = 21)]
        NothingToForget,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn integrity_test() {
            let (zero_blocks, zero) = (BlockNumberFor::<T>::default(), BalanceOf::<T>::default());
            assert!(T::HeartbeatPeriod::get() > zero_blocks, "HeartbeatPeriod is 0 blocks: periods never pass");
            assert!(T::MaxMissed::get() > 0, "MaxMissed is 0: every worker would be offline between heartbeats");
            assert!(T::Deposit::get() > zero, "Deposit is 0: state could be filled for fees alone");
            assert!(T::CoolingPeriod::get() > zero_blocks, "CoolingPeriod is 0: a machine could pass for many");
            assert!(T::BlocksPerDay::get() > zero_blocks, "BlocksPerDay is 0: quotas would be for ever");
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

        /// Ends the registration. The machine stays bound for [`Config::CoolingPeriod`], and for as long as the account is
        /// in quarantine; the deposit is held until it is released. What is at stake is not touched.
        #[pallet::call_index(2)]
        pub fn leave(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_leave(who)
        }

        /// Unbinds a machine whose cooling period is over and whose account is not in quarantine, and returns the deposit.
        /// Anyone can call this.
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

        /// Puts an account into quarantine for as long as the Pact says, from now on, and takes from it what it had earned.
        /// Only [`Config::GuardianOrigin`] can. It reaches accounts whose worker has left, for as long as a machine is
        /// bound to them.
        #[pallet::call_index(5)]
        pub fn quarantine(origin: OriginFor<T>, account: T::AccountId) -> DispatchResult {
            T::GuardianOrigin::ensure_origin(origin)?;
            Self::do_quarantine(account)
        }

        /// Ends an account's quarantine before its time. Only [`Config::GuardianOrigin`] can.
        #[pallet::call_index(6)]
        pub fn release(origin: OriginFor<T>, account: T::AccountId) -> DispatchResult {
            T::GuardianOrigin::ensure_origin(origin)?;
            Self::do_release(account)
        }

        /// Removes the standing of an account that with time has become the one that everybody begins with. Anyone can
        /// call this.
        #[pallet::call_index(7)]
        pub fn forget_standing(origin: OriginFor<T>, account: T::AccountId) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_forget_standing(account)
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

        /// An account's standing as it is now.
        pub fn standing_of(account: T::AccountId) -> Standing {
            Self::standing(&account)
        }

        /// Submissions that an account may still make today.
        pub fn submissions_left(account: T::AccountId) -> u32 {
            Self::quota_left(&account)
        }

        /// The heartbeat period of the present block.
        pub fn heartbeat_period() -> u32 {
            Self::current_period()
        }
    }
}
