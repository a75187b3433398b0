//! Proof-of-Learning: what deltas are worth, measured by a committee that nobody chose, on data that nobody saw.
//!
//! Workers that evaluate enrol, and are drawn by what they have at stake: one can have several seats of a committee, and as many
//! votes. An evaluation begins when a round takes no more
//! deltas:
//!
//! ```text
//! Waiting ──► Availability ──► Commit ──► Reveal ──► Over       all who matter have found the same
//!    ▲             │                        │
//!    │             └── too few ──┐          ▼ reveals differ
//!    └──── another committee ◄───┤        Scores ──► Traces ──► Games ──┐
//!                                └─────────  ▲ none is left             │ reveals that are wrong are refuted
//!                                            └──────────────────────────┘
//! ```
//!
//! - *Waiting* is for randomness out of an epoch that began after the last delta was submitted. It draws the committee, and the
//!   items that deltas are measured on.
//! - *Availability*: members fetch deltas and say which they have. What most do not have is not measured. The same goes for
//!   the [hidden set](hidden) that candidates are to be judged by.
//! - *Commit*: they evaluate, which is exact to the last bit, and commit to a [`Reveal`](blyan_primitives::pol::Reveal).
//! - *Reveal*: one that all agree on, and enough of them, is the verdict.
//! - *Scores*, *traces*, *games*: where they do not agree, it is found out who has computed the model: see [`disputes`]. One
//!   honest member is enough, however many say otherwise.
//!
//! The first three of these end early when every member has done all that it can.
//!
//! Who is away, or wrong, loses a share of its stake. What no game shows is decided by what most members say: which deltas are
//! malformed or copies, and which blocks they merge into.
//!
//! # Invariants
//!
//! - The tree of stakes has a leaf for each enrolled evaluator, without gaps, and its sums are those of their stakes.
//! - An evaluator has as many seats counted as committees that it is on, and stays enrolled while it has one.
//! - Each evaluation that is not over is once on the agenda, or has a game that is.
//! - A hidden set waits to be drawn, or is given to one evaluation that is not over.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

extern crate alloc;

mod availability;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod disputes;
mod evaluations;
mod evaluators;
mod hidden;
#[cfg(test)]
mod mock;
mod reveals;
mod sets;
mod state;
#[cfg(test)]
mod tests;
mod types;
mod verdicts;
pub mod weights;

use polkadot_sdk::*;

#[cfg(feature = "runtime-benchmarks")]
pub use benchmarking::BenchmarkHelper;
pub use evaluations::{CATCH_UP, MAX_ATTEMPTS};
pub use pallet::*;
pub use types::{
    Committee, Due, Enrolment, Evaluation, EvaluationId, GameEntry, HiddenSet, ItemSet, Phase, Purpose, RevealEntry,
    Seat, TraceEntry, MAX_COMMITTEE, MAX_SCORES,
};
pub use weights::WeightInfo;

/// Who has randomness.
pub trait SeedAfter<BlockNumber> {
    /// Randomness of which nobody knew anything at `height`: all of it was made later. `None` while there is none.
    fn seed_after(height: BlockNumber) -> Option<[u8; 32]>;
}

#[allow(clippy::expect_used, reason = "FRAME's macros write it into what they generate")]
#[frame_support::pallet]
pub mod pallet {
    use super::*;
    use alloc::{boxed::Box, vec::Vec};
    use blyan_primitives::{
        dispute::{Evidence, Move, Side},
        ids::ContentHash,
        learning::Rounds,
        merkle::{Digest, MAX_PROOF},
        pol::{ItemBlock, ItemBlocks, Reveal, Sums},
        trace::MAX_ITEM_TOKENS,
        traits::{BlockRegistry, BlockUses, PactProvider, Slash, SlashId, SpecRegistry, Stakes, WorkerRegistry},
    };
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;

    const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

    /// An evaluation in a runtime `T`.
    pub type EvaluationOf<T> = Evaluation<BlockNumberFor<T>>;
    /// A game in a runtime `T`.
    pub type GameOf<T> = GameEntry<BlockNumberFor<T>>;
    /// All scores of an evaluation.
    pub type ScoresOf = BoundedVec<u64, ConstU32<MAX_SCORES>>;
    /// Losses of the positions of an item.
    pub type Losses = BoundedVec<u32, ConstU32<MAX_ITEM_TOKENS>>;
    /// A proof of leaves.
    pub type Proof = BoundedVec<Digest, ConstU32<{ MAX_PROOF as u32 }>>;

    #[pallet::pallet]
    #[pallet::storage_version(STORAGE_VERSION)]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config: polkadot_sdk::frame_system::Config<RuntimeEvent: From<Event<Self>>> {
        /// Rounds, whose deltas are measured.
        type Rounds: Rounds<Self::AccountId>;

        /// The registry of specs.
        type Specs: SpecRegistry;

        /// The registry of blocks, which has those of items.
        type Blocks: BlockRegistry + BlockUses;

        /// The registry of workers.
        type Workers: WorkerRegistry<Self::AccountId>;

        /// What workers have at stake.
        type Stakes: Stakes<Self::AccountId, u128>;

        /// Who takes it from them.
        type Slash: Slash<Self::AccountId>;

        /// The Genesis Pact.
        type Pact: PactProvider;

        /// Randomness.
        type Seed: SeedAfter<BlockNumberFor<Self>>;

        /// The most that [`Rounds::decided`] and [`Rounds::failed`] take.
        type DecisionWeight: Get<Weight>;

        /// Who says what is measured on.
        type GovernanceOrigin: EnsureOrigin<Self::RuntimeOrigin>;

        /// Tokens of an item.
        #[pallet::constant]
        type ItemTokens: Get<u32>;

        /// Most evaluations at a time.
        #[pallet::constant]
        type MaxActive: Get<u32>;

        /// Most phases and moves that end in a block.
        #[pallet::constant]
        type MaxEndings: Get<u32>;

        /// What calls and hooks cost.
        type WeightInfo: WeightInfo;

        /// Makes for benchmarks what other pallets have.
        #[cfg(feature = "runtime-benchmarks")]
        type BenchmarkHelper: BenchmarkHelper<Self::AccountId>;
    }

    /// Everybody who can be drawn.
    #[pallet::storage]
    pub type Evaluators<T: Config> = StorageMap<_, Blake2_128Concat, T::AccountId, Enrolment>;

    /// Who is in each leaf of the tree of stakes.
    #[pallet::storage]
    pub type Leaves<T: Config> = StorageMap<_, Twox64Concat, u32, T::AccountId>;

    /// How many evaluators there are.
    #[pallet::storage]
    pub type Enrolled<T: Config> = StorageValue<_, u32, ValueQuery>;

    /// The nodes of the tree of stakes, by level and place.
    #[pallet::storage]
    pub type StakeSums<T: Config> = StorageDoubleMap<_, Twox64Concat, u8, Twox64Concat, u16, Sums, ValueQuery>;

    /// Blocks of items.
    #[pallet::storage]
    pub type Sets<T: Config> = StorageMap<_, Blake2_128Concat, ContentHash, ItemSet>;

    /// Blocks of items of each purpose.
    #[pallet::storage]
    pub type Drawable<T: Config> = StorageMap<_, Twox64Concat, Purpose, ItemBlocks, ValueQuery>;

    /// Sets that nobody can read yet.
    #[pallet::storage]
    pub type HiddenSets<T: Config> = StorageMap<_, Blake2_128Concat, ContentHash, HiddenSet<T::AccountId>>;

    /// The hidden set of each evaluation that has one.
    #[pallet::storage]
    pub type Given<T: Config> = StorageMap<_, Twox64Concat, EvaluationId, ContentHash>;

    /// Evaluations.
    #[pallet::storage]
    pub type Evaluations<T: Config> = StorageMap<_, Twox64Concat, EvaluationId, EvaluationOf<T>>;

    /// How many evaluations are not over.
    #[pallet::storage]
    pub type Active<T: Config> = StorageValue<_, u32, ValueQuery>;

    /// Who is on the committee of each evaluation.
    #[pallet::storage]
    pub type Seats<T: Config> = StorageDoubleMap<_, Twox64Concat, EvaluationId, Blake2_128Concat, T::AccountId, Seat>;

    /// How large each committee is.
    #[pallet::storage]
    pub type Committees<T: Config> = StorageMap<_, Twox64Concat, EvaluationId, Committee, ValueQuery>;

    /// How many members have done all that they can in the present phase of each evaluation.
    #[pallet::storage]
    pub type Done<T: Config> = StorageMap<_, Twox64Concat, EvaluationId, u32, ValueQuery>;

    /// What was revealed and is not refuted, by its name.
    #[pallet::storage]
    pub type Reveals<T: Config> =
        StorageDoubleMap<_, Twox64Concat, EvaluationId, Blake2_128Concat, [u8; 32], RevealEntry>;

    /// The scores behind reveals that differ.
    #[pallet::storage]
    pub type PostedScores<T: Config> =
        StorageDoubleMap<_, Twox64Concat, EvaluationId, Blake2_128Concat, [u8; 32], ScoresOf>;

    /// Roots of traces of the cell in dispute.
    #[pallet::storage]
    pub type Traces<T: Config> = StorageDoubleMap<_, Twox64Concat, EvaluationId, Blake2_128Concat, Digest, TraceEntry>;

    /// Games about the cell in dispute.
    #[pallet::storage]
    pub type Games<T: Config> = StorageDoubleMap<_, Twox64Concat, EvaluationId, Twox64Concat, u32, GameOf<T>>;

    /// What verdicts follow from.
    #[pallet::storage]
    pub type Verdicts<T: Config> = StorageMap<_, Twox64Concat, EvaluationId, Reveal>;

    /// What is due in each block.
    #[pallet::storage]
    pub type Agenda<T: Config> = StorageDoubleMap<_, Twox64Concat, BlockNumberFor<T>, Blake2_128Concat, Due, ()>;

    /// The first block whose agenda is not done, when that is not the next one.
    #[pallet::storage]
    pub type Behind<T: Config> = StorageValue<_, BlockNumberFor<T>>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// An evaluator can be drawn.
        #[codec(index = 0)]
        Enrolled {
            /// Whom.
            who: T::AccountId,
            /// By how much.
            stake: u128,
        },
        /// An evaluator cannot be drawn any more.
        #[codec(index = 1)]
        Left {
            /// Who.
            who: T::AccountId,
        },
        /// An evaluator is drawn by what it has at stake now.
        #[codec(index = 2)]
        StakeRefreshed {
            /// Who.
            who: T::AccountId,
            /// By how much.
            stake: u128,
        },
        /// There is another block of items.
        #[codec(index = 3)]
        SetAdded {
            /// The block.
            block: ContentHash,
            /// What it is for.
            purpose: Purpose,
            /// Its items.
            items: u32,
        },
        /// A block of items is not used any more.
        #[codec(index = 4)]
        SetRemoved {
            /// The block.
            block: ContentHash,
        },
        /// A round is being evaluated.
        #[codec(index = 5)]
        EvaluationStarted {
            /// The evaluation.
            evaluation: EvaluationId,
        },
        /// A committee is drawn.
        #[codec(index = 6)]
        CommitteeDrawn {
            /// The evaluation.
            evaluation: EvaluationId,
            /// Its members.
            members: u32,
        },
        /// An evaluation is in another phase.
        #[codec(index = 7)]
        PhaseBegan {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The phase.
            phase: Phase,
            /// Last block of it.
            until: BlockNumberFor<T>,
        },
        /// A member has said which deltas it has.
        #[codec(index = 8)]
        AvailabilityVoted {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The member.
            who: T::AccountId,
            /// A bit for each delta.
            available: u32,
            /// Whether it can read the hidden set.
            reads_hidden: bool,
        },
        /// It is known which deltas are measured.
        #[codec(index = 9)]
        DeltasAvailable {
            /// The evaluation.
            evaluation: EvaluationId,
            /// How many.
            deltas: u32,
        },
        /// A member has committed to what it has found.
        #[codec(index = 10)]
        Committed {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The member.
            who: T::AccountId,
        },
        /// A member has revealed what it has found.
        #[codec(index = 11)]
        Revealed {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The member.
            who: T::AccountId,
            /// Names what it has found.
            reveal: [u8; 32],
        },
        /// A member has not done what it was drawn for.
        #[codec(index = 12)]
        Absent {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The member.
            who: T::AccountId,
            /// What it loses for that.
            slash: Option<SlashId>,
        },
        /// A member was found wrong.
        #[codec(index = 13)]
        Wrong {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The member.
            who: T::AccountId,
            /// What it loses for that.
            slash: Option<SlashId>,
        },
        /// A reveal is wrong.
        #[codec(index = 14)]
        Refuted {
            /// The evaluation.
            evaluation: EvaluationId,
            /// Names the reveal.
            reveal: [u8; 32],
        },
        /// The scores behind a reveal are known.
        #[codec(index = 15)]
        ScoresPosted {
            /// The evaluation.
            evaluation: EvaluationId,
            /// Names the reveal.
            reveal: [u8; 32],
        },
        /// Reveals differ in a cell, and in none before it.
        #[codec(index = 16)]
        Disputed {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The cell.
            cell: u32,
        },
        /// A member has named its trace of the cell in dispute.
        #[codec(index = 17)]
        TracePosted {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The member.
            who: T::AccountId,
            /// The root of the trace.
            root: Digest,
        },
        /// Two traces play against each other.
        #[codec(index = 18)]
        GameBegan {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The game.
            game: u32,
            /// Roots of the first side's and the second side's trace.
            roots: [Digest; 2],
        },
        /// A move was made.
        #[codec(index = 19)]
        Played {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The game.
            game: u32,
            /// For which side.
            side: Side,
            /// Whether both have made theirs, and something else is due.
            goes_on: bool,
        },
        /// The value that a game has come down to was computed by the chain.
        #[codec(index = 20)]
        GameSettled {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The game.
            game: u32,
            /// Whether the first side was right, and the second.
            right: [bool; 2],
        },
        /// A game is over.
        #[codec(index = 21)]
        GameEnded {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The game.
            game: u32,
            /// Whether the first side was right, and the second.
            right: [bool; 2],
        },
        /// It is known what is right in a cell.
        #[codec(index = 22)]
        CellResolved {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The cell.
            cell: u32,
            /// The score; nothing when no trace of it stood.
            score: Option<u64>,
        },
        /// A round has a verdict.
        #[codec(index = 23)]
        Decided {
            /// The evaluation.
            evaluation: EvaluationId,
            /// Names the reveal that it follows from.
            reveal: [u8; 32],
            /// Whether the candidate becomes the head.
            accepted: bool,
            /// What it gains, in micro-nats a token, as far as that is made known.
            gain: i64,
        },
        /// A committee has come to nothing, and another is drawn.
        #[codec(index = 24)]
        Redrawn {
            /// The evaluation.
            evaluation: EvaluationId,
            /// Committees before.
            attempt: u8,
        },
        /// No committee has come to anything.
        #[codec(index = 25)]
        EvaluationFailed {
            /// The evaluation.
            evaluation: EvaluationId,
        },
        /// A hidden set is for an evaluation: its steward has to reveal the key.
        #[codec(index = 26)]
        HiddenSetGiven {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The set.
            block: ContentHash,
        },
        /// A hidden set can be read.
        #[codec(index = 27)]
        KeyRevealed {
            /// The evaluation that it is used in.
            evaluation: EvaluationId,
            /// The set.
            block: ContentHash,
            /// What its tokens are encrypted with.
            key: [u8; 32],
        },
        /// All members have done what they can in a phase.
        #[codec(index = 28)]
        PhaseEndsEarly {
            /// The evaluation.
            evaluation: EvaluationId,
            /// The phase.
            phase: Phase,
            /// Last block of it now.
            until: BlockNumberFor<T>,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The account can be drawn already. There is nothing to do.
        #[codec(index = 0)]
        AlreadyEnrolled,
        /// The account has no registered worker with the role *evaluate*, or too little at stake. Register it, and bond at
        /// least what the Pact asks for.
        #[codec(index = 1)]
        NotAnEvaluator,
        /// The account is not enrolled. Enrol it first.
        #[codec(index = 2)]
        NotEnrolled,
        /// There are as many evaluators as there can be. Wait until one leaves.
        #[codec(index = 3)]
        TooManyEvaluators,
        /// The account is on a committee. Wait until its evaluation is over.
        #[codec(index = 4)]
        Seated,
        /// The account has at stake what it is drawn by. There is nothing to do.
        #[codec(index = 5)]
        StakeUnchanged,
        /// The block is a set already. Remove it first to give it another purpose.
        #[codec(index = 6)]
        SetExists,
        /// The block is not a set. Check its name.
        #[codec(index = 7)]
        UnknownSet,
        /// No block of this name is registered, or it is used too often. Register it first.
        #[codec(index = 8)]
        UnknownBlock,
        /// The block is not of items, or has other tensors than one of tokens, u32 `[items, tokens]`. Make it anew,
        /// as `blyan_learning::items` does.
        #[codec(index = 9)]
        NotItems,
        /// The block's items have more or fewer tokens than this chain's. Make it anew.
        #[codec(index = 10)]
        WrongItemLength,
        /// There are as many sets of this purpose as there can be. Remove one first.
        #[codec(index = 11)]
        TooManySets,
        /// The round is being evaluated, or was. There is nothing to do.
        #[codec(index = 12)]
        AlreadyStarted,
        /// As many rounds are being evaluated as can be at a time. Try again later.
        #[codec(index = 13)]
        TooManyEvaluations,
        /// There is no such round, or it still takes deltas. Check its number.
        #[codec(index = 14)]
        UnknownRound,
        /// There are fewer items than the Pact has rounds measured on. Governance has to add sets.
        #[codec(index = 15)]
        TooFewItems,
        /// The Pact has rounds measured on more than can be revealed. Governance has to lower the number of items or deltas.
        #[codec(index = 16)]
        TooManyScores,
        /// There is no such evaluation. Check its number.
        #[codec(index = 17)]
        UnknownEvaluation,
        /// The evaluation is in another phase. Look at it again.
        #[codec(index = 18)]
        WrongPhase,
        /// The account is not on the committee. Only members can do this.
        #[codec(index = 19)]
        NotOnCommittee,
        /// The member has revealed already. It cannot do so twice.
        #[codec(index = 20)]
        AlreadyRevealed,
        /// This is not what the member has committed to. Send the reveal and the salt that the commitment was made of.
        #[codec(index = 21)]
        NotCommitted,
        /// The reveal contradicts itself: it has a candidate without a delta that is merged, or none though one is. Evaluate
        /// anew, by the Pact as it was when the round ended.
        #[codec(index = 22)]
        Inconsistent,
        /// No reveal of this name stands. Check the name.
        #[codec(index = 23)]
        UnknownReveal,
        /// This was posted already. There is nothing to do.
        #[codec(index = 24)]
        AlreadyPosted,
        /// These are not the scores that the reveal names, or they come to something else. Post those that it was made of.
        #[codec(index = 25)]
        OtherScores,
        /// The spec is not known any more. The evaluation cannot go on.
        #[codec(index = 26)]
        UnknownSpec,
        /// The member was found wrong. It has no say any more.
        #[codec(index = 27)]
        FoundWrong,
        /// There is no such game. Check its number.
        #[codec(index = 28)]
        UnknownGame,
        /// Something else is due in the game. Look at it again.
        #[codec(index = 29)]
        NotNow,
        /// The side has made this move. It is the other's turn.
        #[codec(index = 30)]
        AlreadyTold,
        /// There are more or fewer hashes or words than the trace has there. Look at the game again.
        #[codec(index = 31)]
        WrongCount,
        /// What is told does not belong to the root that the side has named. Tell what that trace has.
        #[codec(index = 32)]
        NotOfTheRoot,
        /// There is more evidence than any value is computed from. Send only what it takes.
        #[codec(index = 33)]
        TooMuchEvidence,
        /// The evidence does not belong to the trace or to the blocks, or is not of what comes before the value. Gather it
        /// anew.
        #[codec(index = 34)]
        BadEvidence,
        /// The value is computed from more than the evidence has. Gather it anew.
        #[codec(index = 35)]
        EvidenceMissing,
        /// A hidden set has a steward, and another block with its tokens encrypted. Name both with `add_hidden_set`.
        #[codec(index = 36)]
        NotEncrypted,
        /// The account is not the set's steward. Only the steward has the key.
        #[codec(index = 37)]
        NotSteward,
        /// The set waits for an evaluation. Its key has to stay secret until then.
        #[codec(index = 38)]
        StillHidden,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(now: BlockNumberFor<T>) -> Weight {
            Self::work_through_agenda(now)
        }

        fn integrity_test() {
            assert!(T::MaxEndings::get() > 0, "MaxEndings is 0: no phase would ever end");
            let quarter = T::BlockWeights::get().max_block.saturating_div(4);
            assert!(
                Self::heaviest_agenda().all_lte(quarter),
                "MaxEndings is too large: phases that end could fill more than a quarter of a block"
            );
            assert!(T::MaxActive::get() > 0, "MaxActive is 0: no round would ever be evaluated");
            assert!(
                (2..=MAX_ITEM_TOKENS).contains(&T::ItemTokens::get()),
                "ItemTokens is not a number of tokens that an item can have"
            );
        }

        #[cfg(feature = "try-runtime")]
        fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
            Self::do_try_state()
        }
    }

    #[pallet::call(weight(<T as Config>::WeightInfo))]
    impl<T: Config> Pallet<T> {
        /// Lets the caller be drawn for committees, by what it has at stake as a worker.
        #[pallet::call_index(0)]
        pub fn enrol(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_enrol(who)
        }

        /// Lets the caller be drawn no more. Who is on a committee has to wait until its evaluation is over.
        #[pallet::call_index(1)]
        pub fn leave(origin: OriginFor<T>) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_leave(who)
        }

        /// Has an evaluator drawn by what it has at stake now. Anyone can call this.
        #[pallet::call_index(2)]
        pub fn refresh(origin: OriginFor<T>, who: T::AccountId) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_refresh(who)
        }

        /// Makes a registered block of items one that learners train on, or that deltas are measured on.
        #[pallet::call_index(3)]
        pub fn add_set(origin: OriginFor<T>, block: ContentHash, purpose: Purpose) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::do_add_set(block, purpose)
        }

        /// Uses a block of items no more. Evaluations that have begun go on with it.
        #[pallet::call_index(4)]
        pub fn remove_set(origin: OriginFor<T>, block: ContentHash) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::do_remove_set(block)
        }

        /// Says which deltas the caller could fetch: bit `i` for the round's delta `i`; and whether it can read the hidden set,
        /// where the evaluation has one. Until the phase ends it can say so again.
        #[pallet::call_index(5)]
        pub fn vote_availability(
            origin: OriginFor<T>,
            evaluation: EvaluationId,
            available: u32,
            reads_hidden: bool,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_vote_availability(who, evaluation, available, reads_hidden)
        }

        /// Commits to what the caller has found: [`commitment`](blyan_primitives::pol::commitment). Until the phase ends it can
        /// commit to something else.
        #[pallet::call_index(6)]
        pub fn commit(origin: OriginFor<T>, evaluation: EvaluationId, commitment: [u8; 32]) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_commit(who, evaluation, commitment)
        }

        /// Reveals what the caller has committed to.
        #[pallet::call_index(7)]
        pub fn reveal(
            origin: OriginFor<T>,
            evaluation: EvaluationId,
            salt: [u8; 32],
            reveal: Box<Reveal>,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_reveal(who, evaluation, salt, *reveal)
        }

        /// Posts the scores behind a reveal that others contradict. Anyone who has them can.
        #[pallet::call_index(8)]
        #[pallet::weight(T::WeightInfo::post_scores(scores.len() as u32))]
        pub fn post_scores(
            origin: OriginFor<T>,
            evaluation: EvaluationId,
            reveal: [u8; 32],
            scores: ScoresOf,
        ) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_post_scores(evaluation, reveal, scores)
        }

        /// Names the caller's trace of the cell in dispute: its root, the losses that it ends with, and the proof of them.
        #[pallet::call_index(9)]
        pub fn post_trace(
            origin: OriginFor<T>,
            evaluation: EvaluationId,
            root: Digest,
            losses: Losses,
            proof: Proof,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_post_trace(who, evaluation, root, &losses, &proof)
        }

        /// Makes a move for a side of a game. Anyone who knows its trace can.
        #[pallet::call_index(10)]
        pub fn play(
            origin: OriginFor<T>,
            evaluation: EvaluationId,
            game: u32,
            side: Side,
            told: Box<Move>,
        ) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_play(evaluation, game, side, *told)
        }

        /// Brings the evidence for the value that a game has come down to, which the chain then computes. Anyone can. What it
        /// has of the trace is proved by that of `side`.
        #[pallet::call_index(11)]
        #[pallet::weight(T::WeightInfo::settle(evidence.encoded_size() as u32))]
        pub fn settle(
            origin: OriginFor<T>,
            evaluation: EvaluationId,
            game: u32,
            side: Side,
            evidence: Box<Evidence>,
        ) -> DispatchResult {
            ensure_signed(origin)?;
            Self::do_settle(evaluation, game, side, *evidence)
        }

        /// Makes a registered block of items one that candidates will be measured on once, and that nobody can read until then:
        /// `encrypted` is the block with its tokens encrypted, and `steward` has the key.
        #[pallet::call_index(12)]
        pub fn add_hidden_set(
            origin: OriginFor<T>,
            block: ContentHash,
            encrypted: ContentHash,
            steward: T::AccountId,
        ) -> DispatchResult {
            T::GovernanceOrigin::ensure_origin(origin)?;
            Self::do_add_hidden_set(block, encrypted, steward)
        }

        /// Reveals the key of a hidden set that an evaluation was given, while its committee looks for deltas.
        #[pallet::call_index(13)]
        pub fn reveal_key(origin: OriginFor<T>, block: ContentHash, key: [u8; 32]) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::do_reveal_key(who, block, key)
        }
    }

    #[pallet::view_functions]
    impl<T: Config> Pallet<T> {
        /// An evaluation.
        pub fn evaluation(id: EvaluationId) -> Option<EvaluationOf<T>> {
            Evaluations::<T>::get(id)
        }

        /// The committee of an evaluation that is not over.
        pub fn committee(id: EvaluationId) -> Vec<(T::AccountId, Seat)> {
            Seats::<T>::iter_prefix(id).take(MAX_COMMITTEE as usize).collect()
        }

        /// What has been revealed in an evaluation and is not refuted, by its name.
        pub fn reveals(id: EvaluationId) -> Vec<([u8; 32], RevealEntry)> {
            Reveals::<T>::iter_prefix(id).take(MAX_COMMITTEE as usize).collect()
        }

        /// Games that are being played in an evaluation.
        pub fn games(id: EvaluationId) -> Vec<(u32, GameOf<T>)> {
            Games::<T>::iter_prefix(id).take(MAX_COMMITTEE as usize).collect()
        }

        /// What an evaluator can be drawn by.
        pub fn evaluator(account: T::AccountId) -> Option<Enrolment> {
            Evaluators::<T>::get(account)
        }

        /// The sets of a purpose, those that wait longest first.
        pub fn sets(purpose: Purpose) -> Vec<ItemBlock> {
            Drawable::<T>::get(purpose).into_inner()
        }

        /// A hidden set.
        pub fn hidden_set(block: ContentHash) -> Option<HiddenSet<T::AccountId>> {
            HiddenSets::<T>::get(block)
        }

        /// What the verdict of an evaluation follows from.
        pub fn verdict(id: EvaluationId) -> Option<Reveal> {
            Verdicts::<T>::get(id)
        }
    }
}
