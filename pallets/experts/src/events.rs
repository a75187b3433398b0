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
        /// A round is open: learners can submit deltas on a slot's head.
        #[codec(index = 5)]
        RoundOpened {
            /// Its number.
            round: RoundId,
            /// The slot.
            slot: SlotId,
            /// The spec that the model is evaluated in.
            spec: SpecId,
            /// The slot's head, in serving form.
            base: ContentHash,
            /// Its master, which deltas are applied to.
            master: ContentHash,
            /// First block in which no delta is taken.
            until: BlockNumberFor<T>,
        },
        /// A learner has submitted a delta, and its bond is held.
        #[codec(index = 6)]
        DeltaSubmitted {
            /// The round.
            round: RoundId,
            /// Number of the delta in it.
            index: u32,
            /// Who has trained it.
            learner: T::AccountId,
            /// The block that has it.
            block: ContentHash,
            /// What is held.
            bond: Balance,
        },
        /// A delta came too late. Its author can rebase it on the head and submit it to a later round.
        #[codec(index = 7)]
        DeltaRefused {
            /// The round that it was meant for.
            round: RoundId,
            /// Who has trained it.
            learner: T::AccountId,
            /// What the round's slot holds now; nothing when its lineage serves nobody any more.
            head: Option<ContentHash>,
            /// What is late about it.
            reason: Lateness,
        },
        /// The time for deltas has passed and nobody has submitted any: the round is over.
        #[codec(index = 8)]
        RoundEmpty {
            /// The round.
            round: RoundId,
        },
        /// The time for deltas has passed, and a committee evaluates them.
        #[codec(index = 9)]
        RoundClosed {
            /// The round.
            round: RoundId,
            /// How many they are.
            deltas: u32,
        },
        /// A delta was judged, and what is left of its bond is returned.
        #[codec(index = 10)]
        DeltaJudged {
            /// The round.
            round: RoundId,
            /// Number of the delta in it.
            index: u32,
            /// Who has trained it.
            learner: T::AccountId,
            /// What was found of it.
            outcome: DeltaOutcome,
            /// What is returned of its bond.
            returned: Balance,
            /// What is lost of it.
            lost: Balance,
        },
        /// An evaluator has its part of the bonds that were lost in a round.
        #[codec(index = 11)]
        ForfeitShared {
            /// The round.
            round: RoundId,
            /// Who evaluated it.
            evaluator: T::AccountId,
            /// The part.
            amount: Balance,
        },
        /// What evaluators were not given of the bonds that were lost in a round.
        #[codec(index = 12)]
        ForfeitLeft {
            /// The round.
            round: RoundId,
            /// How much.
            amount: Balance,
        },
        /// What a round's deltas come to is accepted: whoever makes the two blocks can publish them.
        #[codec(index = 13)]
        RoundAccepted {
            /// The round.
            round: RoundId,
            /// What is accepted.
            accepted: Accepted,
            /// First block in which not only primaries can publish it.
            primary_until: BlockNumberFor<T>,
            /// First block in which nobody can.
            until: BlockNumberFor<T>,
        },
        /// What a round's deltas come to is not accepted: the head stays.
        #[codec(index = 14)]
        RoundRejected {
            /// The round.
            round: RoundId,
            /// Why not.
            reason: Refusal,
        },
        /// A round could not be evaluated: the head stays.
        #[codec(index = 15)]
        RoundFailed {
            /// The round.
            round: RoundId,
            /// Why the evaluation was not even begun, if it was not.
            error: Option<DispatchError>,
        },
        /// The bond of a delta that nobody could judge is returned.
        #[codec(index = 16)]
        BondReturned {
            /// The round.
            round: RoundId,
            /// Number of the delta in it.
            index: u32,
            /// Who has trained it.
            learner: T::AccountId,
            /// The bond.
            amount: Balance,
        },
        /// What was accepted is published, and is the slot's head.
        #[codec(index = 17)]
        RoundCommitted {
            /// The round.
            round: RoundId,
            /// Who has published it.
            publisher: T::AccountId,
            /// What was accepted.
            accepted: Accepted,
        },
        /// Nobody has published in time what was accepted: the head stays.
        #[codec(index = 18)]
        RoundLapsed {
            /// The round.
            round: RoundId,
            /// What was accepted.
            accepted: Accepted,
        },
        /// Work in a round that moved a head is paid.
        #[codec(index = 19)]
        Rewarded {
            /// The round.
            round: RoundId,
            /// Who did it.
            who: T::AccountId,
            /// What it was.
            work: Work,
            /// What it is paid.
            amount: Balance,
        },
        /// A round that has been over for long is removed, with its deltas.
        #[codec(index = 20)]
        RoundRemoved {
            /// The round.
            round: RoundId,
        },
        /// An aggregator stands for election as a primary.
        #[codec(index = 21)]
        Stands {
            /// Who.
            who: T::AccountId,
        },
        /// An aggregator does not stand for election any more.
        #[codec(index = 22)]
        StandsDown {
            /// Who.
            who: T::AccountId,
        },
        /// The primaries of a round are elected.
        #[codec(index = 23)]
        PrimariesElected {
            /// The round.
            round: RoundId,
            /// Who they are, the first to publish first.
            primaries: Vec<T::AccountId>,
        },
    }
}
