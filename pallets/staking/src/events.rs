//! What happens, as the outside world is told.

use frame_support::pallet_macros::pallet_section;
use polkadot_sdk::*;

/// The events.
#[pallet_section]
mod events {
    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// Somebody wants to validate.
        #[codec(index = 0)]
        CandidateJoined {
            /// The candidate.
            validator: T::AccountId,
            /// Its own bond.
            bond: Balance,
            /// What it keeps of its delegators' rewards.
            commission: Ppm,
        },
        /// Somebody has more of its own at stake. Delegations have events of their own.
        #[codec(index = 1)]
        Bonded {
            /// As what.
            kind: BondKind,
            /// Whose bond.
            who: T::AccountId,
            /// How much more.
            amount: Balance,
        },
        /// A part of a bond is on its way back.
        #[codec(index = 2)]
        Unbonded {
            /// Of which kind.
            kind: BondKind,
            /// Whose bond.
            who: T::AccountId,
            /// How much.
            amount: Balance,
            /// First era in which it can be withdrawn.
            due: EraIndex,
        },
        /// A part of a bond is back.
        #[codec(index = 3)]
        Withdrawn {
            /// Of which kind.
            kind: BondKind,
            /// Whose bond.
            who: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// A candidate has another commission from the next election on.
        #[codec(index = 4)]
        CommissionSet {
            /// The candidate.
            validator: T::AccountId,
            /// What it keeps of its delegators' rewards.
            commission: Ppm,
        },
        /// A candidate takes no part in elections.
        #[codec(index = 5)]
        Chilled {
            /// The candidate.
            validator: T::AccountId,
        },
        /// A candidate takes part in elections again.
        #[codec(index = 6)]
        Activated {
            /// The candidate.
            validator: T::AccountId,
        },
        /// A validator is no candidate any more. What was delegated to it is being released.
        #[codec(index = 7)]
        CandidateLeft {
            /// The validator.
            validator: T::AccountId,
        },
        /// A candidate has lost its place to one with more stake.
        #[codec(index = 8)]
        CandidateReplaced {
            /// Who had the place.
            validator: T::AccountId,
            /// Who has it.
            by: T::AccountId,
        },
        /// More is delegated.
        #[codec(index = 9)]
        Delegated {
            /// By whom.
            delegator: T::AccountId,
            /// To whom.
            validator: T::AccountId,
            /// How much more.
            amount: Balance,
        },
        /// Less is delegated, and a part is on its way back.
        #[codec(index = 10)]
        Undelegated {
            /// By whom.
            delegator: T::AccountId,
            /// To whom.
            validator: T::AccountId,
            /// How much less.
            amount: Balance,
            /// First era in which it can be withdrawn.
            due: EraIndex,
        },
        /// A delegation, or a part of it, is with another validator.
        #[codec(index = 11)]
        Redelegated {
            /// By whom.
            delegator: T::AccountId,
            /// Which validator has less.
            from: T::AccountId,
            /// Which validator has more.
            to: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// A delegation has lost its place to a larger one. It is on its way back.
        #[codec(index = 12)]
        DelegationReplaced {
            /// Whose it was.
            delegator: T::AccountId,
            /// To whom.
            validator: T::AccountId,
            /// Who has its place.
            by: T::AccountId,
        },
        /// Another share of what a delegation earns is added to it, from the next election on.
        #[codec(index = 13)]
        AutoCompoundSet {
            /// Whose it is.
            delegator: T::AccountId,
            /// To whom.
            validator: T::AccountId,
            /// The share.
            share: Percent,
        },
        /// The validators of an era are elected.
        #[codec(index = 14)]
        Elected {
            /// The era.
            era: EraIndex,
            /// How many there are.
            validators: u32,
        },
        /// An era has begun.
        #[codec(index = 15)]
        EraStarted {
            /// The era.
            era: EraIndex,
        },
        /// An era is over.
        #[codec(index = 16)]
        EraEnded {
            /// The era.
            era: EraIndex,
            /// Blocks that validators have written in it.
            blocks: u32,
            /// What is paid for them.
            reward: Balance,
        },
        /// Somebody was paid for validation.
        #[codec(index = 17)]
        Rewarded {
            /// In which era.
            era: EraIndex,
            /// By which validator.
            validator: T::AccountId,
            /// Who was paid: the validator or one of its delegators.
            who: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// A part of what a delegation has earned was added to it.
        #[codec(index = 18)]
        Compounded {
            /// Whose it is.
            delegator: T::AccountId,
            /// To whom.
            validator: T::AccountId,
            /// How much more.
            amount: Balance,
        },
        /// Somebody is going to be slashed, unless that is cancelled.
        #[codec(index = 19)]
        SlashAnnounced {
            /// Number of the slash.
            slash: SlashId,
            /// Who.
            who: T::AccountId,
            /// What for.
            charge: Charge,
            /// First era in which it is applied.
            apply_at: EraIndex,
        },
        /// A slash is not going to be applied.
        #[codec(index = 20)]
        SlashCancelled {
            /// Number of the slash.
            slash: SlashId,
        },
        /// Somebody has lost money.
        #[codec(index = 21)]
        Slashed {
            /// Number of the slash.
            slash: SlashId,
            /// Which of its bonds it was.
            kind: BondKind,
            /// Who.
            who: T::AccountId,
            /// How much.
            amount: Balance,
        },
        /// A slash is wholly applied.
        #[codec(index = 22)]
        SlashApplied {
            /// Number of the slash.
            slash: SlashId,
            /// What was taken from all together.
            amount: Balance,
        },
        /// Exposures of an era are without some delegations, as there was no time to copy them.
        #[codec(index = 23)]
        CopyingCutShort {
            /// The era.
            era: EraIndex,
        },
    }
}
