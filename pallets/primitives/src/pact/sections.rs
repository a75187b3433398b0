//! The parameters, a section for each part of the network: value, unit, and bounds on public and on local networks.

use super::{within, Bounds, Entry, NetworkKind, PactError, Ppm, Unit};
use alloc::{borrow::ToOwned, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// One BLY, in the smallest unit.
const BLY: u128 = 1_000_000_000_000_000_000;
/// Blocks an hour.
const HOUR: u32 = 1_200;
/// Blocks a day.
const DAY: u32 = 24 * HOUR;
/// No bound but that of the type's meaning.
const ALL: Ppm = Ppm::ONE;

/// Why a name and a number are no parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseParameterError {
    /// No parameter has this name.
    Unknown,
    /// The number does not fit the parameter's type.
    TooLarge,
}

impl core::fmt::Display for ParseParameterError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "the Pact has no parameter of this name",
            Self::TooLarge => "the number is too large for this parameter",
        })
    }
}

impl core::error::Error for ParseParameterError {}

impl TryFrom<u128> for Ppm {
    type Error = core::num::TryFromIntError;

    fn try_from(value: u128) -> Result<Self, Self::Error> {
        u32::try_from(value).map(Self)
    }
}

macro_rules! pact {
    ($(
        $(#[$section_doc:meta])*
        $index:literal $section:ident: $Section:ident, $Parameter:ident {$(
            $(#[$doc:meta])*
            $number:literal $field:ident: $Field:ident($type:ty) in $unit:ident,
                public $public:expr, $public_min:expr => $public_max:expr,
                local $local:expr, $local_min:expr => $local_max:expr;
        )*}
    )*) => {
        $(
            $(#[$section_doc])*
            #[derive(
                Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
            )]
            #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
            pub struct $Section {$(
                $(#[$doc])*
                pub $field: $type,
            )*}

            #[doc = concat!("A new value for a parameter of [`", stringify!($Section), "`].")]
            #[derive(
                Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
            )]
            pub enum $Parameter {$(
                $(#[$doc])*
                #[codec(index = $number)]
                $Field($type),
            )*}
        )*

        /// The Genesis Pact.
        #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct Pact {$(
            $(#[$section_doc])*
            pub $section: $Section,
        )*}

        /// A new value for one parameter. Indices never move once released.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
        )]
        pub enum Parameter {$(
            $(#[$section_doc])*
            #[codec(index = $index)]
            $Section($Parameter),
        )*}

        impl Pact {
            /// What a network of this kind starts with unless its chain spec says otherwise.
            pub const fn default_for(kind: NetworkKind) -> Self {
                match kind {
                    NetworkKind::Public => Self {$( $section: $Section {$( $field: $public, )*}, )*},
                    NetworkKind::Local => Self {$( $section: $Section {$( $field: $local, )*}, )*},
                }
            }

            /// Puts a new value in. The caller checks the result.
            pub fn set(&mut self, parameter: Parameter) {
                match parameter {$($(
                    Parameter::$Section($Parameter::$Field(value)) => self.$section.$field = value,
                )*)*}
            }

            /// The value that stands where `parameter` would put a new one.
            pub fn get(&self, parameter: Parameter) -> Parameter {
                match parameter {$($(
                    Parameter::$Section($Parameter::$Field(_)) => {
                        Parameter::$Section($Parameter::$Field(self.$section.$field))
                    },
                )*)*}
            }

            pub(super) fn check_bounds(&self, kind: NetworkKind) -> Result<(), PactError> {
                $($({
                    let bounds: ($type, $type) = match kind {
                        NetworkKind::Public => ($public_min, $public_max),
                        NetworkKind::Local => ($local_min, $local_max),
                    };
                    within(concat!(stringify!($section), ".", stringify!($field)), self.$section.$field, bounds)?;
                })*)*
                Ok(())
            }

            /// Every parameter with its bounds on networks of this kind, in the order of the structure.
            pub fn entries(&self, kind: NetworkKind) -> Vec<Entry> {
                let mut entries = Vec::new();
                $($({
                    let (min, max): ($type, $type) = match kind {
                        NetworkKind::Public => ($public_min, $public_max),
                        NetworkKind::Local => ($local_min, $local_max),
                    };
                    entries.push(Entry {
                        name: concat!(stringify!($section), ".", stringify!($field)).to_owned(),
                        value: self.$section.$field.into(),
                        unit: Unit::$unit,
                        bounds: Bounds { min: min.into(), max: max.into() },
                    });
                })*)*
                entries
            }
        }

        impl Parameter {
            /// The parameter called `name`, as in `staking.max_validators`, with a new value in its unit.
            pub fn parse(name: &str, value: u128) -> Result<Self, ParseParameterError> {
                match name {
                    $($(
                        concat!(stringify!($section), ".", stringify!($field)) => {
                            let value = value.try_into().map_err(|_| ParseParameterError::TooLarge)?;
                            Ok(Self::$Section($Parameter::$Field(value)))
                        },
                    )*)*
                    _ => Err(ParseParameterError::Unknown),
                }
            }

            /// Section and field.
            pub fn name(&self) -> &'static str {
                match self {$($(
                    Self::$Section($Parameter::$Field(_)) => {
                        concat!(stringify!($section), ".", stringify!($field))
                    },
                )*)*}
            }

            /// The new value.
            pub fn value(&self) -> u128 {
                match *self {$($(
                    Self::$Section($Parameter::$Field(value)) => value.into(),
                )*)*}
            }
        }
    };
}

pact! {
    /// Validators, delegations and workers' bonds.
    0 staking: Staking, StakingParameter {
        /// Most validators in the set.
        0 max_validators: MaxValidators(u32) in Count, public 64, 4 => 256, local 16, 1 => 256;
        /// Fewer than this the set never becomes: when candidates are missing, the present ones stay.
        1 min_validators: MinValidators(u32) in Count, public 4, 4 => 64, local 1, 1 => 64;
        /// Least that a validator bonds itself.
        2 min_self_bond: MinSelfBond(u128) in Bly,
            public 10_000 * BLY, 1_000 * BLY => 1_000_000 * BLY, local 1_000 * BLY, BLY => 1_000_000 * BLY;
        /// Least delegation.
        3 min_delegation: MinDelegation(u128) in Bly, public 50 * BLY, BLY => 10_000 * BLY, local 10 * BLY, BLY => 10_000 * BLY;
        /// Least that a worker puts at stake, when it puts anything.
        4 min_worker_bond: MinWorkerBond(u128) in Bly, public 100 * BLY, BLY => 100_000 * BLY, local 10 * BLY, BLY => 100_000 * BLY;
        /// Most that a validator keeps of its delegators' rewards.
        5 max_commission: MaxCommission(Ppm) in Ppm, public Ppm(250_000), Ppm(50_000) => ALL, local ALL, Ppm(50_000) => ALL;
        /// From the request to the return of a bond. Until then it answers for what its owner did.
        6 unbonding: Unbonding(u32) in Eras, public 56, 28 => 120, local 3, 2 => 120;
        /// From a slash's report to its application. In between the DAO can cancel it.
        7 dispute: Dispute(u32) in Eras, public 16, 8 => 27, local 1, 1 => 27;
    }

    /// Emission and fees.
    1 economy: Economy, EconomyParameter {
        /// Share of a fee that is burnt.
        0 fee_burn: FeeBurn(Ppm) in Ppm, public Ppm(500_000), Ppm(100_000) => Ppm(800_000), local Ppm(500_000), Ppm(0) => ALL;
        /// Share of a fee for the treasury; the block's author gets the rest, and the tip.
        1 fee_treasury: FeeTreasury(Ppm) in Ppm, public Ppm(200_000), Ppm(0) => Ppm(500_000), local Ppm(200_000), Ppm(0) => ALL;
        /// Share of what is slashed for the treasury; the rest is burnt.
        2 slash_treasury: SlashTreasury(Ppm) in Ppm, public Ppm(500_000), Ppm(0) => ALL, local Ppm(500_000), Ppm(0) => ALL;
        /// Most that is minted in an era, before halvings, for all pools together.
        3 era_emission: EraEmission(u128) in Bly, public 68_000 * BLY, 0 => 100_000 * BLY, local 1_000 * BLY, 0 => 100_000 * BLY;
        /// Share of the emission for block production.
        4 validation: Validation(Ppm) in Ppm, public Ppm(200_000), Ppm(50_000) => Ppm(500_000), local Ppm(200_000), Ppm(0) => ALL;
        /// For deltas that improve the model, and those who measure it.
        5 learning: Learning(Ppm) in Ppm, public Ppm(500_000), Ppm(100_000) => Ppm(800_000), local Ppm(500_000), Ppm(0) => ALL;
        /// For data that helped.
        6 data: Data(Ppm) in Ppm, public Ppm(200_000), Ppm(50_000) => Ppm(500_000), local Ppm(200_000), Ppm(0) => ALL;
        /// For tokens served.
        7 inference: Inference(Ppm) in Ppm, public Ppm(100_000), Ppm(0) => Ppm(500_000), local Ppm(100_000), Ppm(0) => ALL;
    }

    /// Referenda and polls.
    2 governance: Governance, GovernanceParameter {
        /// Before a referendum is decided: time to read the proposal.
        0 prepare: Prepare(u32) in Blocks, public DAY, HOUR => 7 * DAY, local 2, 1 => 7 * DAY;
        /// Longest time to decide.
        1 decision: Decision(u32) in Blocks, public 14 * DAY, 3 * DAY => 28 * DAY, local 60, 5 => 28 * DAY;
        /// How long a proposal must keep passing to be confirmed.
        2 confirm: Confirm(u32) in Blocks, public DAY, 6 * HOUR => 7 * DAY, local 2, 1 => 7 * DAY;
        /// From confirmation to the call.
        3 enactment: Enactment(u32) in Blocks, public DAY, HOUR => 14 * DAY, local 1, 1 => 14 * DAY;
        /// As `decision`, for cancelling a slash, which cannot wait.
        4 cancel_decision: CancelDecision(u32) in Blocks, public 2 * DAY, 6 * HOUR => 5 * DAY, local 6, 2 => 5 * DAY;
        /// As `confirm`, for cancelling a slash.
        5 cancel_confirm: CancelConfirm(u32) in Blocks, public 6 * HOUR, HOUR => DAY, local 1, 1 => DAY;
        /// As `enactment`, for cancelling a slash.
        6 cancel_enactment: CancelEnactment(u32) in Blocks, public 200, 1 => DAY, local 1, 1 => DAY;
        /// Ayes of all votes that a root proposal needs at the end of its decision period.
        7 root_approval: RootApproval(Ppm) in Ppm, public Ppm(666_667), Ppm(600_000) => Ppm(900_000), local Ppm(500_000), Ppm(500_000) => Ppm(900_000);
        /// Ayes of all members that a root proposal needs.
        8 root_support: RootSupport(Ppm) in Ppm, public Ppm(250_000), Ppm(100_000) => Ppm(500_000), local Ppm(100_000), Ppm(1_000) => Ppm(500_000);
        /// As `root_approval`, for the Pact's parameters.
        9 pact_approval: PactApproval(Ppm) in Ppm, public Ppm(600_000), Ppm(500_001) => Ppm(900_000), local Ppm(500_000), Ppm(500_000) => Ppm(900_000);
        /// As `root_support`, for the Pact's parameters.
        10 pact_support: PactSupport(Ppm) in Ppm, public Ppm(150_000), Ppm(50_000) => Ppm(500_000), local Ppm(100_000), Ppm(1_000) => Ppm(500_000);
        /// As `root_approval`, for spending from the treasury.
        11 treasury_approval: TreasuryApproval(Ppm) in Ppm, public Ppm(550_000), Ppm(500_001) => Ppm(900_000), local Ppm(500_000), Ppm(500_000) => Ppm(900_000);
        /// As `root_support`, for spending from the treasury.
        12 treasury_support: TreasurySupport(Ppm) in Ppm, public Ppm(100_000), Ppm(20_000) => Ppm(500_000), local Ppm(100_000), Ppm(1_000) => Ppm(500_000);
        /// As `root_approval`, for cancelling a slash.
        13 cancel_approval: CancelApproval(Ppm) in Ppm, public Ppm(600_000), Ppm(500_001) => Ppm(900_000), local Ppm(500_000), Ppm(500_000) => Ppm(900_000);
        /// As `root_support`, for cancelling a slash.
        14 cancel_support: CancelSupport(Ppm) in Ppm, public Ppm(100_000), Ppm(20_000) => Ppm(500_000), local Ppm(100_000), Ppm(1_000) => Ppm(500_000);
        /// Deposit for a referendum's decision, returned at its end.
        15 decision_deposit: DecisionDeposit(u128) in Bly, public 1_000 * BLY, 10 * BLY => 100_000 * BLY, local 100 * BLY, BLY => 100_000 * BLY;
        /// How long members vote on a poll.
        16 poll_period: PollPeriod(u32) in Blocks, public 3 * DAY, DAY => 14 * DAY, local 20, 2 => 14 * DAY;
        /// How long an outcome must lead at the end; a poll is prolonged by this when another takes the lead.
        17 poll_confirm: PollConfirm(u32) in Blocks, public 12 * HOUR, HOUR => DAY, local 2, 1 => DAY;
        /// Votes of all members for a poll to decide anything.
        18 poll_quorum: PollQuorum(Ppm) in Ppm, public Ppm(20_000), Ppm(5_000) => Ppm(500_000), local Ppm(20_000), Ppm(1_000) => Ppm(500_000);
        /// As `poll_period`, on appeal.
        19 appeal_period: AppealPeriod(u32) in Blocks, public 7 * DAY, DAY => 28 * DAY, local 40, 2 => 28 * DAY;
        /// As `poll_quorum`, on appeal.
        20 appeal_quorum: AppealQuorum(Ppm) in Ppm, public Ppm(60_000), Ppm(5_000) => Ppm(800_000), local Ppm(60_000), Ppm(1_000) => Ppm(800_000);
        /// Deposit for an appeal, lost when it changes nothing.
        21 appeal_deposit: AppealDeposit(u128) in Bly, public 100 * BLY, BLY => 10_000 * BLY, local 10 * BLY, BLY => 10_000 * BLY;
    }

    /// Standing of workers and contributors.
    3 trust: Trust, TrustParameter {
        /// Submissions a day of a newcomer.
        0 newcomer_quota: NewcomerQuota(u32) in Count, public 20, 1 => 100, local 20, 1 => 100;
        /// Submissions a day of who is trusted.
        1 trusted_quota: TrustedQuota(u32) in Count, public 200, 10 => 2_000, local 200, 10 => 2_000;
        /// Accepted submissions in a row that make a newcomer trusted.
        2 promotion: Promotion(u32) in Count, public 3, 1 => 100, local 3, 1 => 100;
        /// Refused submissions in a row that make who is trusted a newcomer; as many again mean quarantine.
        3 demotion: Demotion(u32) in Count, public 3, 1 => 100, local 3, 1 => 100;
        /// How long a quarantine lasts, unless the DAO ends it.
        4 quarantine: Quarantine(u32) in Blocks, public 7 * DAY, DAY => 90 * DAY, local 20, 1 => 90 * DAY;
    }

    /// Proof-of-Learning.
    4 learning: Learning, LearningParameter {
        /// Seats of a round's committee.
        0 committee: Committee(u32) in Count, public 51, 21 => 201, local 3, 1 => 201;
        /// Share of the committee's votes that must reveal the same sums.
        1 quorum: Quorum(Ppm) in Ppm, public Ppm(666_667), Ppm(666_667) => Ppm(900_000), local Ppm(600_000), Ppm(500_001) => Ppm(900_000);
        /// Least improvement of the loss on unseen data.
        2 min_gain: MinGain(u32) in MicroNats, public 2_000, 100 => 100_000, local 2_000, 0 => 100_000;
        /// How sure it must be, of a one-sided paired test.
        3 confidence: Confidence(u32) in MilliSigma, public 3_000, 2_000 => 6_000, local 3_000, 1_000 => 6_000;
        /// Most that the loss on the general set may rise.
        4 max_regression: MaxRegression(u32) in MicroNats, public 1_000, 0 => 20_000, local 1_000, 0 => 20_000;
        /// The learner's share of a round's reward.
        5 learner: Learner(Ppm) in Ppm, public Ppm(600_000), Ppm(300_000) => Ppm(800_000), local Ppm(600_000), Ppm(0) => ALL;
        /// The regional aggregator's.
        6 aggregator: Aggregator(Ppm) in Ppm, public Ppm(50_000), Ppm(0) => Ppm(200_000), local Ppm(50_000), Ppm(0) => ALL;
        /// The tile primary's.
        7 primary: Primary(Ppm) in Ppm, public Ppm(50_000), Ppm(0) => Ppm(200_000), local Ppm(50_000), Ppm(0) => ALL;
        /// The evaluators', together.
        8 evaluators: Evaluators(Ppm) in Ppm, public Ppm(200_000), Ppm(100_000) => Ppm(400_000), local Ppm(200_000), Ppm(0) => ALL;
        /// That of the data sets behind the delta.
        9 lineage: Lineage(Ppm) in Ppm, public Ppm(100_000), Ppm(0) => Ppm(400_000), local Ppm(100_000), Ppm(0) => ALL;
    }

    /// Quality gates for data.
    5 data: Data, DataParameter {
        /// Least quality for the tier *gold*.
        0 gold: Gold(Ppm) in Ppm, public Ppm(900_000), Ppm(700_000) => ALL, local Ppm(900_000), Ppm(0) => ALL;
        /// For *silver*.
        1 silver: Silver(Ppm) in Ppm, public Ppm(750_000), Ppm(500_000) => ALL, local Ppm(750_000), Ppm(0) => ALL;
        /// For *experimental*; below is refused.
        2 experimental: Experimental(Ppm) in Ppm, public Ppm(600_000), Ppm(300_000) => ALL, local Ppm(600_000), Ppm(0) => ALL;
        /// Share of a data set's items whose refusal by the sentinel refuses the set.
        3 sentinel_veto: SentinelVeto(Ppm) in Ppm, public Ppm(250_000), Ppm(50_000) => Ppm(500_000), local Ppm(250_000), Ppm(0) => ALL;
        /// How long a hidden question set is in use.
        4 question_rotation: QuestionRotation(u32) in Blocks, public 14 * DAY, DAY => 60 * DAY, local 100, 1 => 60 * DAY;
        /// Least proof-of-work of an upload.
        5 pow_min: PowMin(u8) in Bits, public 18, 12 => 40, local 8, 0 => 40;
        /// Most that the adaptive difficulty can ask for.
        6 pow_max: PowMax(u8) in Bits, public 28, 12 => 48, local 20, 0 => 48;
    }

    /// Rounds of learning: how long each part takes, how much is measured, and what is at stake.
    6 rounds: Rounds, RoundsParameter {
        /// How long deltas are taken.
        0 submission: Submission(u32) in Blocks, public DAY, HOUR => 7 * DAY, local 20, 1 => 7 * DAY;
        /// How long the committee has to fetch deltas and say which it has.
        1 availability: Availability(u32) in Blocks, public HOUR, 100 => DAY, local 10, 1 => DAY;
        /// How long it has to evaluate.
        2 evaluation: Evaluation(u32) in Blocks, public 4 * HOUR, HOUR => 7 * DAY, local 60, 2 => 7 * DAY;
        /// How long it has to reveal.
        3 reveal: Reveal(u32) in Blocks, public HOUR, 100 => DAY, local 10, 1 => DAY;
        /// How long each move of a dispute can take.
        4 dispute_move: DisputeMove(u32) in Blocks, public HOUR, 100 => DAY, local 20, 2 => DAY;
        /// How long the tile's primary alone can publish what was accepted, and everybody after that as long again.
        5 publication: Publication(u32) in Blocks, public HOUR, 20 => DAY, local 10, 1 => DAY;
        /// Items that deltas are chosen by.
        6 trial_items: TrialItems(u32) in Count, public 64, 32 => 512, local 16, 2 => 512;
        /// Items that the candidate is judged by.
        7 final_items: FinalItems(u32) in Count, public 64, 32 => 512, local 16, 2 => 512;
        /// Items of what the model could do before.
        8 general_items: GeneralItems(u32) in Count, public 32, 16 => 512, local 8, 2 => 512;
        /// Items of the data that a learner declares.
        9 own_items: OwnItems(u32) in Count, public 32, 16 => 512, local 8, 2 => 512;
        /// Most deltas of a round.
        10 max_deltas: MaxDeltas(u32) in Count, public 16, 1 => 32, local 16, 1 => 32;
        /// What a learner has held for a delta until the round is over.
        11 delta_bond: DeltaBond(u128) in Bly, public 10 * BLY, BLY => 1_000 * BLY, local BLY, 0 => 1_000 * BLY;
        /// Share of it that is lost with a delta that is honest and does not help, or that nobody could fetch.
        12 useless_fee: UselessFee(Ppm) in Ppm, public Ppm(100_000), Ppm(10_000) => ALL, local Ppm(100_000), Ppm(0) => ALL;
        /// Share of a worker's stake that it loses for a reveal that is wrong.
        13 wrong_slash: WrongSlash(Ppm) in Ppm, public Ppm(200_000), Ppm(50_000) => ALL, local Ppm(200_000), Ppm(0) => ALL;
        /// The same, for none.
        14 absence_slash: AbsenceSlash(Ppm) in Ppm, public Ppm(10_000), Ppm(1_000) => Ppm(100_000), local Ppm(10_000), Ppm(0) => ALL;
        /// Most that a round pays from the pool for learning, for a gain of a tenth of a nat or more.
        15 reward: Reward(u128) in Bly, public 1_000 * BLY, BLY => 34_000 * BLY, local 100 * BLY, 0 => 34_000 * BLY;
    }
}
