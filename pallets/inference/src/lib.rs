//! Payment for answers, and the anchors that make receipts lasting.
//!
//! **Channels.** A payer opens a channel to a gateway and puts BLY into it. For each answer the payer signs, off chain, a
//! voucher for all that is owed so far; the gateway redeems the latest when it likes. The payer can ask for the end: after
//! [`Config::NoticePeriod`], or when the channel expires, anyone can close it and the rest returns to the payer. The
//! gateway can close it at once. So a gateway that serves is paid without trusting the payer, and a payer whose gateway
//! vanishes loses nothing.
//!
//! ```text
//!             top_up ┐      ┌ redeem (until the end)
//!                    ▼      ▼
//! open ─────────► open channel ── request_close ──► closing ── notice period ──► close, by anyone
//!                    │  └───────── expiry ──────────────────────────────────────► close, by anyone
//!                    └──────────── close, by the gateway
//! ```
//!
//! **Anchors.** A worker puts the merkle root of a batch of receipts on chain: a general transaction without fee that its
//! key signs, authorised by [`Pallet::anchor`]'s `authorize` attribute. Its sequence number makes it happen exactly once.
//! [`Config::AnchorDeposit`] is held for each, which bounds what a worker can put there; after [`Config::AnchorLifetime`]
//! anyone can prune it, and the deposit returns. What a worker has served in all stays, and so does
//! [`Config::ServedDeposit`], which is held with its first anchor. A worker anchors once in [`Config::AnchorSpacing`] blocks
//! and all workers together [`Config::MaxAnchorsPerBlock`] times in a block, so that what is free does not crowd out what is
//! paid for.
//!
//! # Invariants
//!
//! - What a payer's channels still hold, deposits included, adds up to what [`HoldReason::Channel`] holds from it.
//! - No channel has paid out more than was put in, nor anything without a voucher for it.
//! - A worker's anchors have consecutive sequence numbers, `oldest` to `next`; their deposits and the one for the worker's
//!   totals add up to what [`HoldReason::AnchorDeposit`] holds from it.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

extern crate alloc;

mod anchors;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod channels;
#[cfg(test)]
mod mock;
mod state;
mod sweep;
#[cfg(test)]
mod tests;
mod types;
pub mod weights;

use polkadot_sdk::*;

pub use anchors::{Refusal, LOOK_AHEAD};
#[cfg(feature = "runtime-benchmarks")]
pub use benchmarking::BenchmarkHelper;
pub use pallet::*;
pub use sweep::SWEPT_CHANNELS;
pub use types::{Anchor, Channel, Served};
pub use weights::WeightInfo;

#[allow(clippy::expect_used, reason = "FRAME's macros write it into what they generate")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use blyan_primitives::{
        ids::{BatchRoot, ReceiptId},
        payment::{ChannelId, Voucher},
        receipt::AnchorPayload,
        traits::WorkerRegistry,
    };
    use frame_support::{
        pallet_prelude::*,
        traits::fungible::{Inspect, InspectHold, MutateHold},
    };
    use frame_system::pallet_prelude::*;
    use sp_core::sr25519;
    use sp_runtime::traits::{IdentifyAccount, Verify};

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// Most channels in one answer of [`Pallet::channels_of`].
    pub const MAX_PAGE: u32 = 100;

    /// An amount of BLY, in its smallest unit: what vouchers count in.
    pub type Balance = u128;
    /// A channel in a runtime `T`.
    pub type ChannelOf<T> = Channel<<T as frame_system::Config>::AccountId, Balance, BlockNumberFor<T>>;
    /// An anchor in a runtime `T`.
    pub type AnchorOf<T> = Anchor<Balance, BlockNumberFor<T>>;
    /// What a worker signs to anchor in a runtime `T`.
    pub type AnchorPayloadOf<T> = AnchorPayload<<T as frame_system::Config>::AccountId, BlockNumberFor<T>>;

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// Money, of which escrows and deposits are held.
        type Currency: Inspect<Self::AccountId, Balance = Balance>
            + InspectHold<Self::AccountId, Reason = Self::RuntimeHoldReason>
            + MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;

        /// The runtime's reasons for holds.
        type RuntimeHoldReason: From<HoldReason>;

        /// The registry of workers.
        type Workers: WorkerRegistry<Self::AccountId>;

        /// A payer's signature of a voucher.
        type OffchainSignature: Verify<Signer = Self::OffchainPublic> + Parameter;

        /// The key behind such a signature.
        type OffchainPublic: IdentifyAccount<AccountId = Self::AccountId>;

        /// The least that is put into a channel.
        #[pallet::constant]
        type MinEscrow: Get<Balance>;

        /// What is held for a channel's place on chain.
        #[pallet::constant]
        type ChannelDeposit: Get<Balance>;

        /// Most blocks from a channel's opening to its expiry.
        #[pallet::constant]
        type MaxChannelLifetime: Get<BlockNumberFor<Self>>;

        /// Blocks that a gateway has to redeem its latest voucher once the payer asks for the end; also the least number of
        /// blocks from a channel's opening to its expiry.
        #[pallet::constant]
        type NoticePeriod: Get<BlockNumberFor<Self>>;

        /// What is held for an anchor.
        #[pallet::constant]
        type AnchorDeposit: Get<Balance>;

        /// What is held from a worker for its totals, which stay for good, with its first anchor.
        #[pallet::constant]
        type ServedDeposit: Get<Balance>;

        /// Blocks from an anchor of a worker to its next.
        #[pallet::constant]
        type AnchorSpacing: Get<BlockNumberFor<Self>>;

        /// Most anchors of all workers in a block.
        #[pallet::constant]
        type MaxAnchorsPerBlock: Get<u32>;

        /// Blocks for which an anchor stays.
        #[pallet::constant]
        type AnchorLifetime: Get<BlockNumberFor<Self>>;

        /// Most blocks for which an anchor can wait to be included.
        #[pallet::constant]
        type MaxAnchorValidity: Get<BlockNumberFor<Self>>;

        /// Priority in the transaction pool of each worker's next anchor. Those that wait behind it have none.
        #[pallet::constant]
        type AnchorPriority: Get<TransactionPriority>;

        /// Most anchors that one call prunes.
        #[pallet::constant]
        type MaxPrune: Get<u32>;

        /// What each call costs.
        type WeightInfo: WeightInfo;

        /// Makes workers for benchmarks.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: BenchmarkHelper<Self::AccountId, Self::OffchainSignature>;
    }

    /// Why this pallet holds money.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// What is in the account's channels, and the channels' deposits.
        #[codec(index = 0)]
        Channel,
        /// For the account's anchors, until they are pruned, and for the totals of what it has served.
        #[codec(index = 1)]
        AnchorDeposit,
    }

    /// Every channel that has not been closed.
    #[pallet::storage]
    pub type Channels<T: Config> = StorageMap<_, Blake2_128Concat, ChannelId, ChannelOf<T>>;

    /// The channels of each payer.
    #[pallet::storage]
    pub type ChannelsByPayer<T: Config> =
        StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Twox64Concat, ChannelId, ()>;

    /// Number of the next channel.
    #[pallet::storage]
    pub type NextChannel<T: Config> = StorageValue<_, ChannelId, ValueQuery>;

    /// Every anchor that has not been pruned, by worker and sequence number.
    #[pallet::storage]
    pub type Anchors<T: Config> = StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Twox64Concat, u64, AnchorOf<T>>;

    /// What each worker has anchored so far. It stays when the worker leaves and its anchors are pruned, so that no sequence
    /// number comes twice.
    #[pallet::storage]
    pub type ServedBy<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, Served, ValueQuery>;

    /// The last block with an anchor, and how many it has.
    #[pallet::storage]
    pub type AnchorsInBlock<T: Config> = StorageValue<_, (BlockNumberFor<T>, u32), ValueQuery>;

    /// The channel that was looked at last for whether it has ended. Nothing when a new round begins.
    #[pallet::storage]
    pub type SweptChannel<T: Config> = StorageValue<_, ChannelId>;

    /// The worker whose anchors were looked at last for whether they have lived. Nothing when a new round begins.
    #[pallet::storage]
    pub type SweptWorker<T: Config> = StorageValue<_, T::AccountId>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A channel is open.
        #[codec(index = 0)]
        ChannelOpened {
            /// Its number.
            channel: ChannelId,
            /// Who pays.
            payer: T::AccountId,
            /// Who is paid.
            gateway: T::AccountId,
            /// What is in it.
            escrow: Balance,
            /// Last block in which a voucher can be redeemed.
            expires_at: BlockNumberFor<T>,
        },
        /// More is in a channel.
        #[codec(index = 1)]
        ChannelToppedUp {
            /// Its number.
            channel: ChannelId,
            /// All that was ever put in.
            escrow: Balance,
        },
        /// A gateway was paid.
        #[codec(index = 2)]
        VoucherRedeemed {
            /// The channel's number.
            channel: ChannelId,
            /// How much was paid.
            paid: Balance,
            /// How much was paid so far.
            cumulative: Balance,
        },
        /// A payer has asked for a channel's end.
        #[codec(index = 3)]
        CloseRequested {
            /// The channel's number.
            channel: ChannelId,
            /// Last block in which a voucher can be redeemed.
            closes_at: BlockNumberFor<T>,
        },
        /// A channel is closed, and the rest is with the payer.
        #[codec(index = 4)]
        ChannelClosed {
            /// Its number.
            channel: ChannelId,
            /// What was returned, without the deposit.
            returned: Balance,
        },
        /// A batch of receipts is on chain.
        #[codec(index = 5)]
        Anchored {
            /// The worker's account.
            worker: T::AccountId,
            /// The anchor's sequence number.
            sequence: u64,
            /// Root of the receipts' tree.
            root: BatchRoot,
            /// Receipts in it.
            count: u32,
            /// Prompt and output tokens of all its receipts.
            tokens: u64,
        },
        /// Anchors have been removed, and their deposits returned.
        #[codec(index = 6)]
        Pruned {
            /// The worker's account.
            worker: T::AccountId,
            /// Sequence number of the oldest anchor that is left.
            oldest: u64,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The account is not a registered worker with the role of a gateway. Choose one that is.
        #[codec(index = 0)]
        NotAGateway,
        /// A gateway does not need a channel to itself. Choose another account.
        #[codec(index = 1)]
        OwnGateway,
        /// Less than the least that is put into a channel. Put in more.
        #[codec(index = 2)]
        BelowMinEscrow,
        /// The channel would live for less than the notice period, or longer than allowed. Choose another duration.
        #[codec(index = 3)]
        InvalidDuration,
        /// No channel has this number; it may be closed. Open one.
        #[codec(index = 4)]
        UnknownChannel,
        /// Only the payer can do this.
        #[codec(index = 5)]
        NotPayer,
        /// The channel has expired, or its notice period has passed. Close it, and open another.
        #[codec(index = 6)]
        ChannelEnded,
        /// The payer has asked for the channel's end already. Wait for it, and open another.
        #[codec(index = 7)]
        ChannelClosing,
        /// The channel has not ended: only its gateway can close it. Ask for its end and wait for the notice period.
        #[codec(index = 8)]
        ChannelNotEnded,
        /// The amount is zero, or more than can be counted. Choose another.
        #[codec(index = 9)]
        InvalidAmount,
        /// The voucher is for no more than was redeemed already: it is a replay, or an older one. Redeem the latest.
        #[codec(index = 10)]
        VoucherNotNewer,
        /// The voucher is for more than was put into the channel. Redeem an older one, or have the payer top up.
        #[codec(index = 11)]
        OverEscrow,
        /// The signature is not the payer's over this voucher, or was made for another chain. Ask the payer for a voucher
        /// that is signed with this chain's genesis hash.
        #[codec(index = 12)]
        BadSignature,
        /// The account is not a registered worker. Register it.
        #[codec(index = 13)]
        NotAWorker,
        /// The anchor's last block has passed. Sign it again with a later one.
        #[codec(index = 14)]
        AnchorExpired,
        /// The anchor could wait for longer than allowed. Sign it again with an earlier last block.
        #[codec(index = 15)]
        AnchorExpiryTooFar,
        /// The worker has anchored under this sequence number already. Continue with `next_sequence`.
        #[codec(index = 16)]
        AnchorKnown,
        /// Anchors before this one are missing. Send them first.
        #[codec(index = 17)]
        AnchorTooEarly,
        /// An anchor has 1 to 4096 receipts. Split the batch.
        #[codec(index = 18)]
        InvalidCount,
        /// The worker's account cannot cover the deposit. Fund it, or prune old anchors.
        #[codec(index = 19)]
        DepositNotCovered,
        /// None of the worker's anchors has reached the end of its life. Wait.
        #[codec(index = 20)]
        NothingToPrune,
        /// The worker's last anchor is in a block too near. Leave this one in the pool: it is included when it is due.
        #[codec(index = 21)]
        AnchorTooSoon,
        /// The block has as many anchors as it can. Leave this one in the pool for a later block.
        #[codec(index = 22)]
        BlockFullOfAnchors,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_idle(_: BlockNumberFor<T>, remaining: Weight) -> Weight {
            Self::sweep(remaining)
        }

        fn integrity_test() {
            let zero = BlockNumberFor::<T>::default();
            assert!(T::MinEscrow::get() > 0, "MinEscrow is 0: empty channels would be stored");
            assert!(T::ChannelDeposit::get() > 0, "ChannelDeposit is 0: state could be filled for fees alone");
            assert!(T::AnchorDeposit::get() > 0, "AnchorDeposit is 0: state could be filled free of charge");
            assert!(T::NoticePeriod::get() > zero, "NoticePeriod is 0: a payer could take back what is owed");
            assert!(
                T::MaxChannelLifetime::get() >= T::NoticePeriod::get(),
                "MaxChannelLifetime is less than NoticePeriod: no channel could be opened"
            );
            assert!(T::MaxAnchorValidity::get() > zero, "MaxAnchorValidity is 0: anchors could not wait for a block");
            assert!(T::MaxPrune::get() > 0, "MaxPrune is 0: deposits would never return");
            assert!(T::ServedDeposit::get() > 0, "ServedDeposit is 0: state could be filled free of charge");
            assert!(T::AnchorSpacing::get() > zero, "AnchorSpacing is 0: one worker could fill a block");
            assert!(
                T::AnchorSpacing::get() <= T::MaxAnchorValidity::get(),
                "AnchorSpacing is more than MaxAnchorValidity: a second anchor would expire before it is due"
            );
            assert!(
                T::AnchorSpacing::get() <= T::AnchorLifetime::get(),
                "AnchorSpacing is more than AnchorLifetime: the last anchor could be pruned before the next is due"
            );
            assert!(T::MaxAnchorsPerBlock::get() > 0, "MaxAnchorsPerBlock is 0: nothing could be anchored");
            let anchor = T::WeightInfo::authorize_anchor().saturating_add(T::WeightInfo::anchor());
            let anchors = anchor.saturating_mul(T::MaxAnchorsPerBlock::get().into());
            let most = T::BlockWeights::get().get(DispatchClass::Normal).max_total.unwrap_or(Weight::MAX);
            assert!(
                anchors.all_lte(most.saturating_div(2)),
                "MaxAnchorsPerBlock is too high: free calls could take more than half of what is for paid ones"
            );
            assert!(
                Self::heaviest_sweep().all_lte(T::BlockWeights::get().max_block.saturating_div(4)),
                "MaxPrune is too high: what has ended could only go in blocks that are nearly empty"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight(<T as Config>::WeightInfo))]
    impl<T: Config> Pallet<T> {
        /// Opens a channel to `gateway` with `amount` in it, which expires after `duration` blocks. The amount and
        /// [`Config::ChannelDeposit`] are held.
        #[pallet::call_index(0)]
        pub fn open(
            origin: OriginFor<T>,
            gateway: T::AccountId,
            #[pallet::compact] amount: Balance,
            duration: BlockNumberFor<T>,
        ) -> DispatchResult {
            let payer = ensure_signed(origin)?;
            Self::do_open(payer, gateway, amount, duration)
        }

        /// Puts `amount` more into a channel of the caller.
        #[pallet::call_index(1)]
        pub fn top_up(
            origin: OriginFor<T>,
            #[pallet::compact] channel: ChannelId,
            #[pallet::compact] amount: Balance,
        ) -> DispatchResult {
            let payer = ensure_signed(origin)?;
            Self::do_top_up(payer, channel, amount)
        }

        /// Pays the gateway what `voucher` promises beyond what was paid so far. Anyone can call this; `signature` is the
        /// payer's, over [`Voucher::signing_hash`] or over [`Voucher::wrapped_signing_bytes`].
        #[pallet::call_index(2)]
        pub fn redeem(origin: OriginFor<T>, voucher: Voucher, signature: T::OffchainSignature) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_redeem(voucher, &signature)
        }

        /// Asks for the end of a channel of the caller: the gateway can redeem for [`Config::NoticePeriod`] more blocks.
        #[pallet::call_index(3)]
        pub fn request_close(origin: OriginFor<T>, #[pallet::compact] channel: ChannelId) -> DispatchResult {
            let payer = ensure_signed(origin)?;
            Self::do_request_close(payer, channel)
        }

        /// Closes a channel that has ended, or, called by its gateway, any of its channels. The rest returns to the payer.
        #[pallet::call_index(4)]
        pub fn close(origin: OriginFor<T>, #[pallet::compact] channel: ChannelId) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_close(who, channel)
        }

        /// Puts a batch of receipts on chain. `signature` is by the worker's key, over [`AnchorPayload::signing_hash`].
        ///
        /// A general transaction, which nobody signs and nobody pays for. Who sends it signed pays for its failure: it must
        /// not be declared free.
        #[pallet::call_index(5)]
        #[pallet::weight(T::WeightInfo::anchor())]
        #[pallet::authorize(Self::authorize_anchor)]
        #[pallet::weight_of_authorize(T::WeightInfo::authorize_anchor())]
        pub fn anchor(
            origin: OriginFor<T>,
            payload: AnchorPayloadOf<T>,
            signature: sr25519::Signature,
        ) -> DispatchResult {
            ensure_authorized(origin)?;
            // The authorisation verified it, on the state that this call is executed on.
            let _ = signature;
            Self::do_anchor(payload)
        }

        /// Removes the oldest anchors of `worker` that have reached the end of their life, at most `limit` of them and at
        /// most [`Config::MaxPrune`], and returns their deposits. Anyone can call this.
        #[pallet::call_index(6)]
        #[pallet::weight(T::WeightInfo::prune((*limit).min(T::MaxPrune::get())))]
        pub fn prune(origin: OriginFor<T>, worker: T::AccountId, limit: u32) -> DispatchResultWithPostInfo {
            ensure_signed(origin)?;
            let pruned = Self::do_prune(worker, limit)?;
            Ok(Some(T::WeightInfo::prune(pruned)).into())
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// A channel.
        pub fn channel(channel: ChannelId) -> Option<ChannelOf<T>> {
            Channels::<T>::get(channel)
        }

        /// The channels of a payer, at most [`MAX_PAGE`] of them.
        pub fn channels_of(payer: T::AccountId) -> Vec<(ChannelId, ChannelOf<T>)> {
            ChannelsByPayer::<T>::iter_key_prefix(payer)
                .take(MAX_PAGE as usize)
                .filter_map(|id| Some((id, Channels::<T>::get(id)?)))
                .collect()
        }

        /// A worker's anchor.
        pub fn anchor_of(worker: T::AccountId, sequence: u64) -> Option<AnchorOf<T>> {
            Anchors::<T>::get(worker, sequence)
        }

        /// Sequence number of a worker's next anchor.
        pub fn next_sequence(worker: T::AccountId) -> u64 {
            ServedBy::<T>::get(worker).next
        }

        /// What a worker has anchored so far.
        pub fn served(worker: T::AccountId) -> Served {
            ServedBy::<T>::get(worker)
        }

        /// Whether `receipt` is number `index` of the receipts under a worker's anchor.
        pub fn verify_receipt(
            worker: T::AccountId,
            sequence: u64,
            index: u32,
            receipt: ReceiptId,
            proof: Vec<[u8; 32]>,
        ) -> bool {
            Self::is_anchored(&worker, sequence, index, receipt, &proof)
        }
    }
}
