//! What can be refused, and what to do then.

use frame_support::pallet_macros::pallet_section;
use polkadot_sdk::*;

/// The errors.
#[pallet_section]
mod errors {
    #[pallet::error]
    pub enum Error<T> {
        /// The account is a candidate already. Bond more, or leave first.
        #[codec(index = 0)]
        AlreadyCandidate,
        /// The account is not a candidate. Choose one that is, or call `validate` to become one.
        #[codec(index = 1)]
        NotCandidate,
        /// The account has left, and what was delegated to it is being released. Try again in a few blocks.
        #[codec(index = 2)]
        StillLeaving,
        /// Too many validators are leaving at a time. Try again in a few blocks.
        #[codec(index = 3)]
        TooManyLeaving,
        /// There are as many candidates as there can be, all of them with at least as much stake. Bond more.
        #[codec(index = 4)]
        CandidatesFull,
        /// The validator's own bond would be less than the least. Bond more, or unbond less or all of it.
        #[codec(index = 5)]
        BelowMinSelfBond,
        /// The commission is higher than the Pact allows. Choose a lower one.
        #[codec(index = 6)]
        CommissionTooHigh,
        /// A slash is announced against the account. Wait until it is applied or cancelled.
        #[codec(index = 7)]
        SlashPending,
        /// The candidate takes part in elections already.
        #[codec(index = 8)]
        AlreadyActive,
        /// The candidate takes no part in elections already.
        #[codec(index = 9)]
        AlreadyChilled,
        /// The amount is zero. Choose one.
        #[codec(index = 10)]
        ZeroAmount,
        /// Less than this is bonded or delegated. Ask for less.
        #[codec(index = 11)]
        NotEnoughBonded,
        /// Too many parts of the bond are on their way back. Withdraw those that are due, or wait.
        #[codec(index = 12)]
        TooManyUnbonding,
        /// No part of the bond is due. Wait.
        #[codec(index = 13)]
        NothingDue,
        /// Slashes of this era are being applied. Try again in a few blocks.
        #[codec(index = 14)]
        SlashesBeingApplied,
        /// A validator does not delegate to itself. Bond more.
        #[codec(index = 15)]
        OwnValidator,
        /// The account delegates to this validator already. Delegate more.
        #[codec(index = 16)]
        AlreadyDelegated,
        /// The account does not delegate to this validator.
        #[codec(index = 17)]
        NotDelegated,
        /// The delegation would be smaller than the least. Delegate more, or take back less or all of it.
        #[codec(index = 18)]
        BelowMinDelegation,
        /// The account delegates to as many validators as it can. Take a delegation back first.
        #[codec(index = 19)]
        TooManyDelegations,
        /// The validator has as many delegators as it can, none with less than this. Delegate more, or to another.
        #[codec(index = 20)]
        DelegatorsFull,
        /// The delegation is with this validator already. Choose another.
        #[codec(index = 21)]
        SameValidator,
        /// What a worker has at stake would be less than the least. Bond more, or unbond less or all of it.
        #[codec(index = 22)]
        BelowMinWorkerBond,
        /// No slash of this number is announced; it may be applied or cancelled.
        #[codec(index = 23)]
        UnknownSlash,
        /// The slash is due: it is too late to cancel it.
        #[codec(index = 24)]
        SlashDue,
    }
}
