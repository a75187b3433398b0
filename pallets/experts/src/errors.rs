//! What can be refused, and what to do then.

use frame_support::pallet_macros::pallet_section;
use polkadot_sdk::*;

/// The errors.
#[pallet_section]
mod errors {
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
        /// The serving form of an expert needs matrices `gate` and `up` `[ffn, hidden]` and `down` `[hidden, ffn]`, int8 in
        /// layout `rows16_k4`, quantised per channel, each with its scales `NAME.scale`, f32 `[rows]`. Convert the expert
        /// again.
        #[codec(index = 5)]
        UnfitExpert,
        /// The account has registered this content already. Unregister it first to say something else of its lineage.
        #[codec(index = 6)]
        AlreadyRegistered,
        /// The named master is neither of the genesis model nor registered by this account. Register it first: what others
        /// have registered they can take away.
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
        /// The account has not registered this block. Only who did can take a registration back; a block of the genesis
        /// model stays.
        #[codec(index = 11)]
        NotOwner,
        /// A slot or a spec uses the block and nobody else has registered it, or the account has registered a serving form
        /// that names it as its master. Unregister that one first, or wait until the block is no longer used.
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
        /// No published or active spec has this name. Publish it first, or name another one.
        #[codec(index = 18)]
        SpecNotOpen,
        /// The slot holds a block already. A head is moved by verdicts alone.
        #[codec(index = 19)]
        SlotTaken,
        /// A slot in front of this one is empty. Fill the slots of a layer in the order of their indices.
        #[codec(index = 20)]
        EarlierSlotEmpty,
        /// A spec of this lineage is published or active: its heads stay. Deprecate all of its specs first.
        #[codec(index = 21)]
        LineageOpen,
        /// No slot of this lineage holds a block. There is nothing left to do.
        #[codec(index = 22)]
        NothingToRelease,
        /// The slot holds no block that a delta could change. Fill it first, or name another slot.
        #[codec(index = 23)]
        EmptySlot,
        /// No active spec has this name. Name one of the slot's lineage that workers serve.
        #[codec(index = 24)]
        SpecNotLive,
        /// The chain does not know what master the slot's head was derived from, so that no delta can be applied to it. Name
        /// another slot.
        #[codec(index = 25)]
        UnknownHeadMaster,
        /// The slot is in a round already. Submit to that one, or wait until it is over.
        #[codec(index = 26)]
        RoundInProgress,
        /// There are as many rounds as there can be at a time. Wait until one is over.
        #[codec(index = 27)]
        TooManyRounds,
        /// Every number that a round can have is taken. Upgrade the runtime to larger ones.
        #[codec(index = 28)]
        NoMoreRounds,
        /// No round has this number; it may have been removed. Look up those that are in progress.
        #[codec(index = 29)]
        UnknownRound,
        /// The account has no worker that trains. Register one with the role `train`.
        #[codec(index = 30)]
        NotALearner,
        /// A delta has at least one byte of data, and at most as many as the runtime's constant `MaxDeltaSize`. Encode it in
        /// fewer.
        #[codec(index = 31)]
        InvalidDeltaSize,
        /// No registered training set has the name of the declared data. Train on one that is registered.
        #[codec(index = 32)]
        UnknownItems,
        /// The declared data ends beyond its set, or is fewer items than evaluators draw of it. Declare the items that the
        /// delta was trained on.
        #[codec(index = 33)]
        InvalidItemRange,
        /// The account has a delta in this round already. Submit the next one to a later round.
        #[codec(index = 34)]
        AlreadySubmitted,
        /// The head would stay what it is with this delta. Submit one that changes it.
        #[codec(index = 35)]
        ChangesNothing,
        /// The round has as many deltas as it takes. Submit to a later one.
        #[codec(index = 36)]
        RoundFull,
        /// The account is in quarantine. Wait until that is over.
        #[codec(index = 37)]
        Quarantined,
        /// The account has submitted as much as it may today. Submit tomorrow.
        #[codec(index = 38)]
        QuotaSpent,
        /// Nothing of this round waits to be published: it is still going on, or is over. Look up its phase.
        #[codec(index = 39)]
        NothingToPublish,
        /// The time in which what was accepted could be published has passed. Open another round.
        #[codec(index = 40)]
        PublicationOver,
        /// For now only others can publish this. Wait for the account's turn; the view function `turn` says when it is.
        #[codec(index = 41)]
        NotYourTurn,
        /// These are not the headers of the blocks that were accepted. Apply the merged deltas to the round's master again.
        #[codec(index = 42)]
        OtherCandidate,
        /// The account stands for election already. Nothing more is to be done.
        #[codec(index = 43)]
        AlreadyStands,
        /// The account has no worker that aggregates, or too little at stake. Register one with the role `aggregate`, and bond
        /// as much as the Pact asks of workers.
        #[codec(index = 44)]
        CannotStand,
        /// As many aggregators stand as can, each with as much at stake. Bond more, or wait until one stands down.
        #[codec(index = 45)]
        TooManyStand,
        /// The account does not stand for election.
        #[codec(index = 46)]
        DoesNotStand,
        /// The account can stand for election, and only it can end that itself.
        #[codec(index = 47)]
        StillStands,
        /// The aggregator that the delta names does not stand for election. Name one that does, or none.
        #[codec(index = 48)]
        AggregatorDoesNotStand,
    }
}
