//! Bonds, delegations and validators: what can be asked of the chain about them, and told.
//!
//! Amounts are in the smallest unit of BLY.

mod query;
pub(crate) mod wire;

use crate::AccountId;
use blyan_primitives::{pact::Ppm, traits::SlashId};
use codec::{Decode, Encode};

/// Number of an era.
pub type EraIndex = u32;

/// What money is bonded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BondKind {
    /// A validator's own.
    #[codec(index = 0)]
    Validator,
    /// Delegated to validators.
    #[codec(index = 1)]
    Delegation,
    /// A worker's.
    #[codec(index = 2)]
    Worker,
}

impl std::fmt::Display for BondKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Validator => "validator",
            Self::Delegation => "delegation",
            Self::Worker => "worker",
        })
    }
}

/// A call about bonds, delegations and session keys.
///
/// Its encoding is part of the journal's format: variants keep their indices.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum StakingCall {
    /// Makes the account a candidate with a bond of its own.
    #[codec(index = 0)]
    Validate {
        /// What it keeps of its delegators' rewards.
        commission: Ppm,
        /// Its own bond.
        bond: u128,
    },
    /// Adds to the account's own bond.
    #[codec(index = 1)]
    BondMore {
        /// How much more.
        amount: u128,
    },
    /// Sends a part of the account's own bond on its way back; all of it means to leave.
    #[codec(index = 2)]
    Unbond {
        /// How much.
        amount: u128,
    },
    /// Sets what the account keeps of its delegators' rewards, from the next election on.
    #[codec(index = 3)]
    SetCommission {
        /// The share.
        commission: Ppm,
    },
    /// Takes the account out of the coming elections.
    #[codec(index = 4)]
    Chill,
    /// Has the account take part in elections again.
    #[codec(index = 5)]
    Activate,
    /// Ends the account's candidacy.
    #[codec(index = 6)]
    Leave,
    /// Delegates to a validator that the account does not delegate to.
    #[codec(index = 7)]
    Delegate {
        /// The validator.
        validator: AccountId,
        /// How much.
        amount: u128,
        /// How much of what it earns is added to it, in hundredths.
        auto_compound: u8,
    },
    /// Adds to a delegation.
    #[codec(index = 8)]
    DelegateMore {
        /// The validator.
        validator: AccountId,
        /// How much more.
        amount: u128,
    },
    /// Sends a part of a delegation, or all of it, on its way back.
    #[codec(index = 9)]
    Undelegate {
        /// The validator.
        validator: AccountId,
        /// How much.
        amount: u128,
    },
    /// Moves a part of a delegation, or all of it, to another validator at once.
    #[codec(index = 10)]
    Redelegate {
        /// Who has less then.
        from: AccountId,
        /// Who has more.
        to: AccountId,
        /// How much.
        amount: u128,
    },
    /// Sets how much of what a delegation earns is added to it, from the next election on.
    #[codec(index = 11)]
    SetAutoCompound {
        /// The validator.
        validator: AccountId,
        /// How much, in hundredths.
        share: u8,
    },
    /// Puts something, or more, at stake as a worker.
    #[codec(index = 12)]
    BondWorker {
        /// How much.
        amount: u128,
    },
    /// Sends a part of what the account has at stake as a worker, or all of it, on its way back.
    #[codec(index = 13)]
    UnbondWorker {
        /// How much.
        amount: u128,
    },
    /// Takes back what is due of one of the account's bonds.
    #[codec(index = 14)]
    Withdraw {
        /// Which.
        kind: BondKind,
    },
    /// Cancels an announced slash. Only governance can.
    #[codec(index = 15)]
    CancelSlash {
        /// Number of the slash.
        slash: SlashId,
    },
    /// Registers the account's session keys. Made by [`SessionKeys::register`](crate::SessionKeys::register).
    #[codec(index = 16)]
    SetKeys {
        /// The public keys, as the runtime encodes them.
        keys: Vec<u8>,
        /// By each of the keys: that it belongs to the account.
        proof: Vec<u8>,
    },
    /// Removes the account's session keys; their deposit returns.
    #[codec(index = 17)]
    PurgeKeys,
}

/// What happened to bonds, delegations and validators.
///
/// Its encoding is part of the journal's format: variants keep their indices.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum StakingEvent {
    /// Somebody wants to validate.
    #[codec(index = 0)]
    CandidateJoined {
        /// The candidate.
        validator: AccountId,
        /// Its own bond.
        bond: u128,
        /// What it keeps of its delegators' rewards.
        commission: Ppm,
    },
    /// Somebody has more of its own at stake.
    #[codec(index = 1)]
    Bonded {
        /// As what.
        kind: BondKind,
        /// Whose bond.
        who: AccountId,
        /// How much more.
        amount: u128,
    },
    /// A part of a bond is on its way back.
    #[codec(index = 2)]
    Unbonded {
        /// Of which kind.
        kind: BondKind,
        /// Whose bond.
        who: AccountId,
        /// How much.
        amount: u128,
        /// First era in which it can be withdrawn.
        due: EraIndex,
    },
    /// A part of a bond is back.
    #[codec(index = 3)]
    Withdrawn {
        /// Of which kind.
        kind: BondKind,
        /// Whose bond.
        who: AccountId,
        /// How much.
        amount: u128,
    },
    /// A candidate has another commission from the next election on.
    #[codec(index = 4)]
    CommissionSet {
        /// The candidate.
        validator: AccountId,
        /// What it keeps of its delegators' rewards.
        commission: Ppm,
    },
    /// A candidate takes no part in elections.
    #[codec(index = 5)]
    Chilled {
        /// The candidate.
        validator: AccountId,
    },
    /// A candidate takes part in elections again.
    #[codec(index = 6)]
    Activated {
        /// The candidate.
        validator: AccountId,
    },
    /// A validator is no candidate any more.
    #[codec(index = 7)]
    CandidateLeft {
        /// The validator.
        validator: AccountId,
    },
    /// A candidate has lost its place to one with more stake.
    #[codec(index = 8)]
    CandidateReplaced {
        /// Who had the place.
        validator: AccountId,
        /// Who has it.
        by: AccountId,
    },
    /// More is delegated.
    #[codec(index = 9)]
    Delegated {
        /// By whom.
        delegator: AccountId,
        /// To whom.
        validator: AccountId,
        /// How much more.
        amount: u128,
    },
    /// Less is delegated, and a part is on its way back.
    #[codec(index = 10)]
    Undelegated {
        /// By whom.
        delegator: AccountId,
        /// To whom.
        validator: AccountId,
        /// How much less.
        amount: u128,
        /// First era in which it can be withdrawn.
        due: EraIndex,
    },
    /// A delegation, or a part of it, is with another validator.
    #[codec(index = 11)]
    Redelegated {
        /// By whom.
        delegator: AccountId,
        /// Which validator has less.
        from: AccountId,
        /// Which validator has more.
        to: AccountId,
        /// How much.
        amount: u128,
    },
    /// Another share of what a delegation earns is added to it, from the next election on.
    #[codec(index = 12)]
    AutoCompoundSet {
        /// Whose it is.
        delegator: AccountId,
        /// To whom.
        validator: AccountId,
        /// The share, in hundredths.
        share: u8,
    },
    /// Somebody was paid for validation.
    #[codec(index = 13)]
    Rewarded {
        /// In which era.
        era: EraIndex,
        /// By which validator.
        validator: AccountId,
        /// Who was paid.
        who: AccountId,
        /// How much.
        amount: u128,
    },
    /// Somebody is going to be slashed, unless that is cancelled.
    #[codec(index = 14)]
    SlashAnnounced {
        /// Number of the slash.
        slash: SlashId,
        /// Who.
        who: AccountId,
        /// What for.
        charge: Charge,
        /// First era in which it is applied.
        apply_at: EraIndex,
    },
    /// A slash is not going to be applied.
    #[codec(index = 15)]
    SlashCancelled {
        /// Number of the slash.
        slash: SlashId,
    },
    /// Somebody has lost money.
    #[codec(index = 16)]
    Slashed {
        /// Number of the slash.
        slash: SlashId,
        /// Which of its bonds it was.
        kind: BondKind,
        /// Who.
        who: AccountId,
        /// How much.
        amount: u128,
    },
}

/// What somebody is slashed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Charge {
    /// For an offence as a validator: it and its delegators lose a part of what they were exposed with.
    #[codec(index = 0)]
    Validator {
        /// The era of the offence.
        era: EraIndex,
        /// How much of the exposure, in billionths.
        fraction: u32,
    },
    /// For what it did as a worker.
    #[codec(index = 1)]
    Worker {
        /// How much.
        amount: u128,
    },
}

/// A slash that is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingSlash {
    /// Its number.
    pub slash: SlashId,
    /// Who is slashed.
    pub who: AccountId,
    /// What for.
    pub charge: Charge,
    /// First era in which it is applied; before that it can be cancelled.
    pub apply_at: EraIndex,
}

/// A candidate as it was at a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorStatus {
    /// Its own bond.
    pub own: u128,
    /// What is delegated to it.
    pub delegated: u128,
    /// By how many.
    pub delegators: u32,
    /// What it keeps of its delegators' rewards, from the next election on.
    pub commission: Ppm,
    /// Whether it takes part in elections.
    pub active: bool,
    /// Whether it has the session keys that it needs to be elected.
    pub has_keys: bool,
    /// Whether it was elected for the present era.
    pub elected: bool,
    /// Whether it was elected for the last era for which anybody was.
    pub elected_next: bool,
    /// Blocks that it has written in the present era.
    pub blocks: u32,
    /// How many slashes are announced against it.
    pub slashes: u32,
}

impl ValidatorStatus {
    /// All that is at stake with it.
    pub fn stake(&self) -> u128 {
        self.own.saturating_add(self.delegated)
    }
}

/// A part of a bond on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbonding {
    /// How much.
    pub amount: u128,
    /// First era in which it can be withdrawn.
    pub due: EraIndex,
}

/// A bond of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BondStatus {
    /// What counts as bonded.
    pub active: u128,
    /// What is on its way back, the next due first.
    pub unbonding: Vec<Unbonding>,
}

impl BondStatus {
    /// What can be withdrawn in era `now`.
    pub fn due(&self, now: EraIndex) -> u128 {
        self.unbonding.iter().filter(|part| part.due <= now).fold(0, |sum, part| sum.saturating_add(part.amount))
    }
}

/// All that an account has bonded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// As a validator.
    pub validator: BondStatus,
    /// Delegated.
    pub delegation: BondStatus,
    /// As a worker.
    pub worker: BondStatus,
    /// What it is still owed for eras that are over.
    pub unpaid: u128,
}

impl Ledger {
    /// The bond of this kind.
    pub fn bond(&self, kind: BondKind) -> &BondStatus {
        match kind {
            BondKind::Validator => &self.validator,
            BondKind::Delegation => &self.delegation,
            BondKind::Worker => &self.worker,
        }
    }

    /// Every kind with its bond.
    pub fn bonds(&self) -> [(BondKind, &BondStatus); 3] {
        [BondKind::Validator, BondKind::Delegation, BondKind::Worker].map(|kind| (kind, self.bond(kind)))
    }
}

/// What an account has delegated to a validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// To whom.
    pub validator: AccountId,
    /// How much.
    pub amount: u128,
    /// How much of what it earns is added to it, in hundredths.
    pub auto_compound: u8,
}

/// The present era.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EraStatus {
    /// Its number.
    pub active: EraIndex,
    /// The last era whose validators are elected.
    pub planned: EraIndex,
    /// Its number of sessions.
    pub sessions: u32,
    /// Blocks that validators have written in it.
    pub blocks: u32,
    /// First era in which what is unbonded now can be withdrawn.
    pub due: EraIndex,
}

/// What a validator was exposed with when it was elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Its own bond.
    pub own: u128,
    /// Its own bond and what was delegated to it.
    pub total: u128,
    /// What it keeps of its delegators' rewards.
    pub commission: Ppm,
    /// How many delegated to it.
    pub delegators: u32,
}
