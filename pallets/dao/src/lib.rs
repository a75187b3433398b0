//! One machine, one vote: referenda on calls, and polls on subjects.
//!
//! A machine that is bound to an account in good standing has a vote ([`Config::Members`]), which the account casts. Votes are
//! kept by machine, never by account: whoever moves a machine to another account, or leaves and binds it again, can replace
//! its vote at most, and adds none. A vote can be changed until the end, and counts until the end even when its machine leaves.
//!
//! **Who is asked.** Those who were bound when a question was asked: a machine that was bound later does not vote on it, where
//! the registry can tell ([`Members::since`](blyan_primitives::traits::Members::since)). Otherwise votes could be bought, or
//! made of machines that do not exist, once it is known what they are worth. So a machine that moves keeps the vote it cast,
//! and votes again on what is asked from then on. Shares are of the members of when the question was asked or of now,
//! whichever are more: a vote does not weigh more because others leave.
//!
//! **Referenda** dispatch calls. They are `pallet-referenda`'s, with our [`Tally`] and our [`Tracks`], whose terms the Pact
//! sets: [`ROOT`], [`PACT`], [`TREASURY`] and [`CANCEL_SLASH`]. What passes on the last three is called with an [`Origin`] of
//! this pallet.
//!
//! **Polls** choose one of up to eight outcomes for another pallet, which opens them through
//! [`Polls`](blyan_primitives::traits::Polls) and hears of their end through [`Config::OnPollEnd`].
//!
//! ```text
//!                                         appeal window, as long as the poll
//! open ──► Open ──── agenda ────► Ended ───────── agenda ─────────► Settled ──► clean_up_poll
//!          │  ▲                     └─ appeal ─► Appealed ─────────────▲
//!          └──┘ votes                               └ second poll ends ┘
//! ```
//!
//! The outcome that leads must have led for `poll_confirm` blocks: when another takes the lead shortly before the end, the end
//! moves, at most to twice the poll's period after its opening. One appeal can be made against each result, with a deposit:
//! it asks again, for longer and with a higher quorum. Its result counts if it decides anything, and the deposit returns if it
//! decides something else; otherwise the first result stands and the deposit is lost.
//!
//! # Invariants
//!
//! - A machine has one vote in each referendum and each poll at most, and the counts are those of the votes.
//! - Each poll that waits for a block is on that block's agenda, and no agenda of a block that has passed is forgotten.
//! - The deposits of an account's open appeals add up to what [`HoldReason::Appeal`] holds from it.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
pub mod counting;
mod endings;
#[cfg(test)]
mod mock;
mod origins;
mod polls;
mod referenda;
mod state;
mod sweep;
mod tally;
#[cfg(test)]
mod tests;
mod tracks;
mod types;
pub mod weights;

use polkadot_sdk::*;

pub use endings::CATCH_UP;
pub use origins::{EnsureCancelSlash, EnsurePact, EnsureTreasury};
pub use pallet::*;
pub use polls::MIN_OUTCOMES;
pub use sweep::SWEPT_VOTES;
pub use tally::Tally;
pub use tracks::{tracks_of, TrackId, Tracks, CANCEL_SLASH, PACT, ROOT, TREASURY};
pub use types::{Appeal, Balance, Counts, Phase, Poll, Rules};
pub use weights::WeightInfo;

#[allow(clippy::expect_used, reason = "FRAME's macros write it into what they generate")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::vec::Vec;
    use blyan_primitives::{
        ids::HardwareId,
        traits::{Members, OnPollEnd, PactProvider, PollId, PollResult},
    };
    use frame_support::{
        pallet_prelude::*,
        traits::{
            fungible::{BalancedHold, Credit, Inspect, InspectHold, MutateHold},
            OnUnbalanced, Polling,
        },
    };
    use frame_system::pallet_prelude::*;
    use pallet_referenda::ReferendumIndex;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// Most polls in one answer of [`Pallet::open_polls`].
    pub const MAX_PAGE: u32 = 100;

    /// A poll in a runtime `T`.
    pub type PollOf<T> = Poll<<T as frame_system::Config>::AccountId, BlockNumberFor<T>>;
    /// An appeal in a runtime `T`.
    pub type AppealOf<T> = Appeal<<T as frame_system::Config>::AccountId>;
    /// What a lost deposit is handed over as in a runtime `T`.
    pub type CreditOf<T> = Credit<<T as frame_system::Config>::AccountId, <T as Config>::Currency>;

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// Money, of which deposits for appeals are held.
        type Currency: Inspect<Self::AccountId, Balance = Balance>
            + InspectHold<Self::AccountId, Reason = Self::RuntimeHoldReason>
            + MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>
            + BalancedHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;

        /// The runtime's reasons for holds.
        type RuntimeHoldReason: From<HoldReason>;

        /// Who has a vote.
        type Members: Members<Self::AccountId>;

        /// The Pact, which sets the terms.
        type Pact: PactProvider;

        /// The referenda, which keep our [`Tally`].
        type Referenda: Polling<
            Tally<Self>,
            Index = ReferendumIndex,
            Votes = u32,
            Class = TrackId,
            Moment = BlockNumberFor<Self>,
        >;

        /// Who can open a poll by a call.
        type GovernanceOrigin: EnsureOrigin<Self::RuntimeOrigin>;

        /// Who hears of results.
        type OnPollEnd: OnPollEnd;

        /// The most that a call of [`Config::OnPollEnd`] takes.
        type PollEndWeight: Get<Weight>;

        /// What is done with the deposits of appeals that changed nothing.
        type OnLostDeposit: OnUnbalanced<CreditOf<Self>>;

        /// Most polls that end or become final in one block; others wait for the next.
        #[pallet::constant]
        type MaxEndings: Get<u32>;

        /// Most votes that one call cleans up.
        #[pallet::constant]
        type MaxCleanUp: Get<u32>;

        /// Blocks after its end for which a poll stays, unless somebody cleans it up.
        #[pallet::constant]
        type PollRetention: Get<BlockNumberFor<Self>>;

        /// What each call costs.
        type WeightInfo: WeightInfo;
    }

    /// What calls that a referendum has decided are made with.
    #[pallet::origin]
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
    pub enum Origin {
        /// Changes of the Pact, and what concerns the work that it shapes.
        #[codec(index = 0)]
        Pact,
        /// Spending from the treasury.
        #[codec(index = 1)]
        Treasury,
        /// Cancelling slashes.
        #[codec(index = 2)]
        CancelSlash,
    }

    /// Why this pallet holds money.
    #[pallet::composite_enum]
    pub enum HoldReason {
        /// For the account's appeals, until they have ended.
        #[codec(index = 0)]
        Appeal,
    }

    /// Votes on referenda, by machine: whether it is for it.
    #[pallet::storage]
    pub type Votes<T: Config> = StorageDoubleMap<_, Twox64Concat, ReferendumIndex, Blake2_128Concat, HardwareId, bool>;

    /// Every poll that has not been cleaned up.
    #[pallet::storage]
    pub type Polls<T: Config> = StorageMap<_, Twox64Concat, PollId, PollOf<T>>;

    /// Votes in polls, by machine: the outcome it is for.
    #[pallet::storage]
    pub type PollVotes<T: Config> = StorageDoubleMap<_, Twox64Concat, PollId, Blake2_128Concat, HardwareId, u8>;

    /// Polls that have not ended.
    #[pallet::storage]
    pub type OpenPolls<T: Config> = StorageMap<_, Twox64Concat, PollId, ()>;

    /// Number of the next poll.
    #[pallet::storage]
    pub type NextPoll<T: Config> = StorageValue<_, PollId, ValueQuery>;

    /// Polls that end or become final, by the block in which they do.
    #[pallet::storage]
    pub type Agenda<T: Config> = StorageDoubleMap<_, Twox64Concat, BlockNumberFor<T>, Twox64Concat, PollId, ()>;

    /// The first block whose agenda is not done, where work is left over.
    #[pallet::storage]
    pub type Behind<T: Config> = StorageValue<_, BlockNumberFor<T>>;

    /// The poll that was looked at last for whether it can be cleaned up. Nothing when a new round begins.
    #[pallet::storage]
    pub type SweptPoll<T: Config> = StorageValue<_, PollId>;

    /// The vote on a referendum that was looked at last for whether it can be removed. Nothing when a new round begins.
    #[pallet::storage]
    pub type SweptVote<T: Config> = StorageValue<_, (ReferendumIndex, HardwareId)>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// A machine has voted on a referendum, or changed its vote.
        #[codec(index = 0)]
        Voted {
            /// The referendum.
            referendum: ReferendumIndex,
            /// The account that the machine is bound to.
            who: T::AccountId,
            /// The machine.
            machine: HardwareId,
            /// Whether it is for it.
            aye: bool,
            /// Machines for it.
            ayes: u32,
            /// Machines against it.
            nays: u32,
        },
        /// A machine's vote on a referendum counts no longer.
        #[codec(index = 1)]
        VoteRemoved {
            /// The referendum.
            referendum: ReferendumIndex,
            /// The account that the machine is bound to.
            who: T::AccountId,
            /// The machine.
            machine: HardwareId,
            /// Machines for it.
            ayes: u32,
            /// Machines against it.
            nays: u32,
        },
        /// Votes on a referendum that has ended are removed.
        #[codec(index = 2)]
        CleanedUp {
            /// The referendum.
            referendum: ReferendumIndex,
            /// How many.
            votes: u32,
        },
        /// A poll is open.
        #[codec(index = 3)]
        PollOpened {
            /// Its number.
            poll: PollId,
            /// What it is about.
            subject: [u8; 32],
            /// How many outcomes it chooses from.
            outcomes: u8,
            /// First block in which nobody can vote, unless the end moves.
            ends_at: BlockNumberFor<T>,
            /// The poll that is appealed against, if this is the second.
            appeal_of: Option<PollId>,
        },
        /// A machine has voted in a poll, or changed its vote.
        #[codec(index = 4)]
        PollVoted {
            /// The poll.
            poll: PollId,
            /// The account that the machine is bound to.
            who: T::AccountId,
            /// The machine.
            machine: HardwareId,
            /// The outcome it is for.
            outcome: u8,
        },
        /// A machine's vote in a poll counts no longer.
        #[codec(index = 5)]
        PollVoteRemoved {
            /// The poll.
            poll: PollId,
            /// The account that the machine is bound to.
            who: T::AccountId,
            /// The machine.
            machine: HardwareId,
        },
        /// Another outcome has taken the lead shortly before a poll's end.
        #[codec(index = 6)]
        PollProlonged {
            /// The poll.
            poll: PollId,
            /// First block in which nobody can vote, unless the end moves again.
            ends_at: BlockNumberFor<T>,
        },
        /// A poll has ended.
        #[codec(index = 7)]
        PollEnded {
            /// The poll.
            poll: PollId,
            /// What it has decided.
            result: PollResult,
        },
        /// Somebody has appealed against a result.
        #[codec(index = 8)]
        PollAppealed {
            /// The poll that has ended.
            poll: PollId,
            /// The second poll on its subject.
            by: PollId,
            /// Who has appealed.
            who: T::AccountId,
            /// What is held from them.
            deposit: Balance,
        },
        /// A result is final.
        #[codec(index = 9)]
        PollSettled {
            /// The poll: the first on its subject.
            poll: PollId,
            /// What it is about.
            subject: [u8; 32],
            /// What is decided.
            result: PollResult,
        },
        /// An appeal has changed the result, and its deposit is returned.
        #[codec(index = 10)]
        AppealDepositReturned {
            /// The second poll.
            poll: PollId,
            /// Who has appealed.
            who: T::AccountId,
            /// The deposit.
            amount: Balance,
        },
        /// An appeal has changed nothing, and its deposit is lost.
        #[codec(index = 11)]
        AppealDepositLost {
            /// The second poll.
            poll: PollId,
            /// Who has appealed.
            who: T::AccountId,
            /// The deposit.
            amount: Balance,
        },
        /// Votes of a poll that is over are removed.
        #[codec(index = 12)]
        PollCleanedUp {
            /// The poll.
            poll: PollId,
            /// How many.
            votes: u32,
            /// Whether the poll is removed too.
            done: bool,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The account has no machine with a vote. Register a worker and keep it online, or wait until its quarantine is
        /// over.
        #[codec(index = 0)]
        NotAMember,
        /// The account's machine was bound after the question was asked. Vote on what is asked from now on.
        #[codec(index = 1)]
        BoundTooLate,
        /// The account's machine has no vote here. Nothing has to be removed.
        #[codec(index = 2)]
        NotVoted,
        /// No referendum of this number is being voted on. Look up those that are.
        #[codec(index = 3)]
        ReferendumNotOngoing,
        /// The referendum is being voted on. Clean up when it has ended.
        #[codec(index = 4)]
        ReferendumOngoing,
        /// There are no votes to remove, or none were asked to be. Nothing has to be done.
        #[codec(index = 5)]
        NothingToCleanUp,
        /// A poll chooses from two to eight outcomes. Give as many.
        #[codec(index = 6)]
        InvalidOutcomes,
        /// Every number that a poll can have is taken. Upgrade the runtime to larger ones.
        #[codec(index = 7)]
        NoMorePolls,
        /// No poll has this number; it may be cleaned up. Look up those that are open.
        #[codec(index = 8)]
        UnknownPoll,
        /// The poll has no such outcome. Choose one that it has.
        #[codec(index = 9)]
        UnknownOutcome,
        /// The poll's end has come. Appeal against its result, if it is not final.
        #[codec(index = 10)]
        PollEnded,
        /// The poll has not ended. Vote, or wait for its result.
        #[codec(index = 11)]
        PollNotEnded,
        /// Somebody has appealed already. Vote in the second poll.
        #[codec(index = 12)]
        AlreadyAppealed,
        /// The result is final: the time for an appeal has passed, or this was one.
        #[codec(index = 13)]
        PollFinal,
        /// The result is not final. Clean up when it is.
        #[codec(index = 14)]
        PollNotSettled,
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
            assert!(T::MaxEndings::get() > 0, "MaxEndings is 0: no poll would ever end");
            assert!(T::MaxCleanUp::get() > 0, "MaxCleanUp is 0: votes would stay forever");
            let quarter = T::BlockWeights::get().max_block.saturating_div(4);
            assert!(
                Self::heaviest_agenda().all_lte(quarter),
                "MaxEndings is too large: polls that end could fill more than a quarter of a block"
            );
            assert!(
                Self::heaviest_sweep().all_lte(quarter),
                "MaxCleanUp is too large: what is over could only go in blocks that are nearly empty"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight(<T as Config>::WeightInfo))]
    impl<T: Config> Pallet<T> {
        /// Votes for or against a referendum, in place of the machine's vote so far.
        #[pallet::call_index(0)]
        pub fn vote(origin: OriginFor<T>, #[pallet::compact] referendum: ReferendumIndex, aye: bool) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_vote(who, referendum, aye)
        }

        /// Takes the machine's vote on a referendum back.
        #[pallet::call_index(1)]
        pub fn remove_vote(origin: OriginFor<T>, #[pallet::compact] referendum: ReferendumIndex) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_remove_vote(who, referendum)
        }

        /// Removes votes on a referendum that has ended, at most `max` of them and at most [`Config::MaxCleanUp`]. Anyone can
        /// call this.
        #[pallet::call_index(2)]
        #[pallet::weight(T::WeightInfo::clean_up((*max).min(T::MaxCleanUp::get())))]
        pub fn clean_up(
            origin: OriginFor<T>,
            #[pallet::compact] referendum: ReferendumIndex,
            max: u32,
        ) -> DispatchResultWithPostInfo {
            ensure_signed(origin)?;
            let votes = Self::do_clean_up(referendum, max)?;
            Ok(Some(T::WeightInfo::clean_up(votes)).into())
        }

        /// Opens a poll on `subject` with outcomes `0..outcomes`. Only [`Config::GovernanceOrigin`] can call this.
        #[pallet::call_index(3)]
        pub fn open_poll(origin: OriginFor<T>, subject: [u8; 32], outcomes: u8) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::do_open_poll(subject, outcomes)?;
            Ok(())
        }

        /// Votes for an outcome of a poll, in place of the machine's vote so far.
        #[pallet::call_index(4)]
        pub fn vote_poll(origin: OriginFor<T>, #[pallet::compact] poll: PollId, outcome: u8) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_vote_poll(who, poll, outcome)
        }

        /// Takes the machine's vote in a poll back.
        #[pallet::call_index(5)]
        pub fn remove_poll_vote(origin: OriginFor<T>, #[pallet::compact] poll: PollId) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_remove_poll_vote(who, poll)
        }

        /// Appeals against the result of a poll: opens a second, larger one on the same subject. The Pact's deposit is held
        /// until that has ended, and lost when it changes nothing. Anyone can call this.
        #[pallet::call_index(6)]
        pub fn appeal(origin: OriginFor<T>, #[pallet::compact] poll: PollId) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_appeal(who, poll)
        }

        /// Removes votes of a poll whose result is final, at most `max` of them and at most [`Config::MaxCleanUp`], and at
        /// last the poll. Anyone can call this.
        #[pallet::call_index(7)]
        #[pallet::weight(T::WeightInfo::clean_up_poll((*max).min(T::MaxCleanUp::get())))]
        pub fn clean_up_poll(
            origin: OriginFor<T>,
            #[pallet::compact] poll: PollId,
            max: u32,
        ) -> DispatchResultWithPostInfo {
            ensure_signed(origin)?;
            let votes = Self::do_clean_up_poll(poll, max)?;
            Ok(Some(T::WeightInfo::clean_up_poll(votes)).into())
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// The count of a referendum that is being voted on.
        pub fn tally_of(referendum: ReferendumIndex) -> Option<Tally<T>> {
            T::Referenda::as_ongoing(referendum).map(|(tally, _)| tally)
        }

        /// Whether a machine is for a referendum, if it has voted on it.
        pub fn vote_on(referendum: ReferendumIndex, machine: HardwareId) -> Option<bool> {
            Votes::<T>::get(referendum, machine)
        }

        /// A poll: its counts, its times, how far it is and what it has decided.
        pub fn poll(poll: PollId) -> Option<PollOf<T>> {
            Polls::<T>::get(poll)
        }

        /// The outcome that a machine is for in a poll, if it has voted.
        pub fn poll_vote_of(poll: PollId, machine: HardwareId) -> Option<u8> {
            PollVotes::<T>::get(poll, machine)
        }

        /// Polls that have not ended after `start`, or from the first, in the order of storage: at most `limit`, at most
        /// [`MAX_PAGE`].
        pub fn open_polls(start: Option<PollId>, limit: u32) -> Vec<(PollId, PollOf<T>)> {
            Self::page(start, limit)
        }
    }
}
