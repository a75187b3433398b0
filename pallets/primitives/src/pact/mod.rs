//! The Genesis Pact: every number that shapes how the network behaves, in one typed structure.
//!
//! The chain starts with a [`Pact`] and keeps it; a referendum changes single [`Parameter`]s of it, within [`Bounds`] that
//! are compiled into every program. What cannot be voted on at all is the [`Network`]: what kind of chain it is and how long
//! its sessions and eras are. [`Pact::hash`] commits to both and is in the genesis and in every event of a change;
//! [`bounds_hash`] commits to the compiled bounds, so that programs built with others notice before they do harm.
//!
//! Time is in blocks (3 s), sessions and eras; money in the smallest unit of BLY; shares in parts of a million.

mod sections;

use crate::hash::{hash, Domain};
use alloc::{string::String, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::fmt;
use scale_info::TypeInfo;

pub use sections::*;

const PACT: Domain = Domain("blyan/pact/1");
const BOUNDS: Domain = Domain("blyan/pact-bounds/1");

/// Version of the structure: raised, with a migration, when parameters come or go.
pub const SCHEMA: u16 = 2;

/// A share, in parts of a million.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    DecodeWithMemTracking,
    TypeInfo,
    MaxEncodedLen,
)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ppm(pub u32);

impl Ppm {
    /// The whole.
    pub const ONE: Self = Self(1_000_000);

    /// This share of `amount`, rounded down; never more than `amount`.
    pub fn of(self, amount: u128) -> u128 {
        let parts = u128::from(self.0.min(Self::ONE.0));
        let one = u128::from(Self::ONE.0);
        // Split so that nothing overflows: amount = whole · 10^6 + rest.
        let (whole, rest) = (amount.checked_div(one).unwrap_or(0), amount.checked_rem(one).unwrap_or(0));
        let rest = rest.saturating_mul(parts).checked_div(one).unwrap_or(0);
        whole.saturating_mul(parts).saturating_add(rest)
    }
}

impl From<Ppm> for u128 {
    fn from(share: Ppm) -> Self {
        share.0.into()
    }
}

impl fmt::Display for Ppm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0.checked_div(10_000).unwrap_or(0), self.0.checked_rem(10_000).unwrap_or(0));
        match rest {
            0 => write!(f, "{whole} %"),
            rest => write!(f, "{} %", alloc::format!("{whole}.{rest:04}").trim_end_matches('0')),
        }
    }
}

/// What a chain is for: decides which bounds hold.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum NetworkKind {
    /// A chain that strangers rely on.
    #[default]
    #[codec(index = 0)]
    Public,
    /// A chain of one's own, on which days pass in minutes.
    #[codec(index = 1)]
    Local,
}

/// What is fixed with the first block. No vote changes it: clients take the length of a session from the genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Network {
    /// Which bounds hold.
    pub kind: NetworkKind,
    /// Slots of a session, which is BABE's epoch.
    pub session_slots: u32,
    /// Sessions of an era: stakes are weighed, validators elected and rewards paid once an era.
    pub sessions_per_era: u32,
}

impl Network {
    /// A public network: sessions of ten minutes, eras of six hours.
    pub const PUBLIC: Self = Self { kind: NetworkKind::Public, session_slots: 200, sessions_per_era: 36 };
    /// A local network: sessions of half a minute, each an era.
    pub const LOCAL: Self = Self { kind: NetworkKind::Local, session_slots: 10, sessions_per_era: 1 };

    /// Slots of an era: as many blocks at most.
    pub fn era_slots(&self) -> u32 {
        self.session_slots.saturating_mul(self.sessions_per_era)
    }

    fn check(&self) -> Result<(), PactError> {
        let (slots, sessions): ((u32, u32), (u32, u32)) = match self.kind {
            NetworkKind::Public => ((100, 1_200), (6, 144)),
            NetworkKind::Local => ((5, 1_200), (1, 144)),
        };
        within("network.session_slots", self.session_slots, slots)?;
        within("network.sessions_per_era", self.sessions_per_era, sessions)
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::PUBLIC
    }
}

/// How a parameter's number is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Unit {
    /// A number of things.
    #[codec(index = 0)]
    Count,
    /// Parts of a million.
    #[codec(index = 1)]
    Ppm,
    /// Smallest unit of BLY.
    #[codec(index = 2)]
    Bly,
    /// Blocks, of three seconds.
    #[codec(index = 3)]
    Blocks,
    /// Eras.
    #[codec(index = 4)]
    Eras,
    /// Millionths of a nat a token.
    #[codec(index = 5)]
    MicroNats,
    /// Thousandths of a standard error.
    #[codec(index = 6)]
    MilliSigma,
    /// Leading zero bits of a hash.
    #[codec(index = 7)]
    Bits,
}

/// The least and the most that a parameter can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Bounds {
    /// The least.
    pub min: u128,
    /// The most.
    pub max: u128,
}

/// A parameter as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct Entry {
    /// Section and field, as in `staking.max_validators`.
    pub name: String,
    /// Its value.
    pub value: u128,
    /// How to read value and bounds.
    pub unit: Unit,
    /// What a referendum can make of it.
    pub bounds: Bounds,
}

/// Why a Pact cannot stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PactError {
    /// A parameter is out of its bounds.
    OutOfBounds {
        /// Section and field.
        name: &'static str,
        /// What it would be.
        value: u128,
        /// What it may be.
        bounds: Bounds,
    },
    /// Parameters contradict each other; the text says which.
    Contradiction(&'static str),
}

impl fmt::Display for PactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBounds { name, value, bounds } => {
                write!(f, "{name} is {value}, and must be between {} and {}", bounds.min, bounds.max)
            },
            Self::Contradiction(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for PactError {}

fn within(
    name: &'static str,
    value: impl Into<u128>,
    bounds: (impl Into<u128>, impl Into<u128>),
) -> Result<(), PactError> {
    let (value, bounds) = (value.into(), Bounds { min: bounds.0.into(), max: bounds.1.into() });
    if (bounds.min..=bounds.max).contains(&value) {
        Ok(())
    } else {
        Err(PactError::OutOfBounds { name, value, bounds })
    }
}

impl Pact {
    /// Whether this Pact can stand on `network`: each parameter within its bounds, and none against another.
    pub fn check(&self, network: &Network) -> Result<(), PactError> {
        network.check()?;
        self.check_bounds(network.kind)?;
        let must = |holds: bool, what| if holds { Ok(()) } else { Err(PactError::Contradiction(what)) };
        let Self { staking, economy, governance, trust, learning, data, rounds } = self;
        let sum = |shares: &[Ppm]| shares.iter().fold(0u32, |sum, share| sum.saturating_add(share.0));

        must(staking.min_validators <= staking.max_validators, "staking.min_validators is above max_validators")?;
        must(
            staking.dispute < staking.unbonding,
            "staking.dispute is not shorter than unbonding: what is slashed would be gone when the slash is applied",
        )?;
        must(
            sum(&[economy.fee_burn, economy.fee_treasury]) <= Ppm::ONE.0,
            "economy.fee_burn and fee_treasury are more than the whole fee",
        )?;
        must(
            sum(&[economy.validation, economy.learning, economy.data, economy.inference]) == Ppm::ONE.0,
            "the pools' shares of the emission are not the whole of it",
        )?;
        // A slash that the DAO wants to cancel must not be applied while it votes.
        let vote = governance
            .cancel_decision
            .saturating_add(governance.cancel_confirm)
            .saturating_add(governance.cancel_enactment);
        must(
            vote <= staking.dispute.saturating_mul(network.era_slots()),
            "governance.cancel_* take longer than staking.dispute: a slash could not be cancelled in time",
        )?;
        must(
            governance.poll_confirm <= governance.poll_period && governance.poll_confirm <= governance.appeal_period,
            "governance.poll_confirm is longer than a poll",
        )?;
        must(
            governance.poll_quorum <= governance.appeal_quorum && governance.poll_period <= governance.appeal_period,
            "an appeal is smaller than the poll it is against",
        )?;
        must(trust.newcomer_quota <= trust.trusted_quota, "trust.newcomer_quota is above trusted_quota")?;
        must(
            sum(&[learning.learner, learning.aggregator, learning.primary, learning.evaluators, learning.lineage])
                == Ppm::ONE.0,
            "the shares of a learning reward are not the whole of it",
        )?;
        must(
            rounds.absence_slash <= rounds.wrong_slash,
            "rounds.absence_slash is above wrong_slash: it would pay to lie rather than to be away",
        )?;
        must(data.pow_min <= data.pow_max, "data.pow_min is above pow_max")?;
        must(data.silver <= data.gold && data.experimental <= data.silver, "the tiers of data are out of order")
    }

    /// Commits to the Pact and to what is fixed with it.
    pub fn hash(&self, network: &Network) -> [u8; 32] {
        hash(PACT, &[&SCHEMA.encode(), &network.encode(), &self.encode()])
    }
}

/// Commits to the structure and to the bounds on networks of a kind, as they are compiled into this program.
pub fn bounds_hash(kind: NetworkKind) -> [u8; 32] {
    let entries: Vec<_> = Pact::default_for(kind)
        .entries(kind)
        .into_iter()
        .map(|Entry { name, unit, bounds, .. }| (name, unit, bounds))
        .collect();
    hash(BOUNDS, &[&SCHEMA.encode(), &kind.encode(), &entries.encode()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeSet, string::ToString};
    use proptest::prelude::*;

    const NETWORKS: [Network; 2] = [Network::PUBLIC, Network::LOCAL];

    #[test]
    fn defaults_stand() {
        for network in NETWORKS {
            assert_eq!(Pact::default_for(network.kind).check(&network), Ok(()));
        }
    }

    #[test]
    fn every_parameter_has_a_name_of_its_own_and_room_to_move() {
        for network in NETWORKS {
            let entries = Pact::default_for(network.kind).entries(network.kind);
            let names: BTreeSet<_> = entries.iter().map(|entry| entry.name.clone()).collect();
            assert_eq!(names.len(), entries.len());
            for Entry { name, bounds, .. } in entries {
                assert!(bounds.min < bounds.max, "{name}");
            }
        }
    }

    #[test]
    fn bounds_of_public_networks_are_within_those_of_local_ones() {
        let of = |kind| Pact::default_for(kind).entries(kind);
        for (public, local) in of(NetworkKind::Public).into_iter().zip(of(NetworkKind::Local)) {
            assert!(local.bounds.min <= public.bounds.min, "{}", public.name);
            assert!(public.bounds.max <= local.bounds.max, "{}", public.name);
        }
    }

    #[test]
    fn a_changed_parameter_changes_the_hash_and_nothing_else() {
        let network = Network::LOCAL;
        let pact = Pact::default_for(network.kind);
        let mut changed = pact.clone();
        changed.set(Parameter::Staking(StakingParameter::MaxValidators(9)));
        assert_eq!(changed.staking.max_validators, 9);
        let other = Parameter::Staking(StakingParameter::MaxValidators(1));
        assert_eq!(changed.get(other), Parameter::Staking(StakingParameter::MaxValidators(9)));
        assert_ne!(changed.hash(&network), pact.hash(&network));
        assert_ne!(pact.hash(&network), pact.hash(&Network { session_slots: 11, ..network }));
        changed.set(Parameter::Staking(StakingParameter::MaxValidators(pact.staking.max_validators)));
        assert_eq!(changed, pact);
    }

    #[test]
    fn parameters_are_found_by_name() {
        assert_eq!(
            Parameter::parse("staking.max_validators", 7),
            Ok(Parameter::Staking(StakingParameter::MaxValidators(7)))
        );
        assert_eq!(Parameter::parse("economy.fee_burn", 7), Ok(Parameter::Economy(EconomyParameter::FeeBurn(Ppm(7)))));
        assert_eq!(Parameter::parse("staking.nothing", 7), Err(ParseParameterError::Unknown));
        assert_eq!(Parameter::parse("staking.max_validators", u128::MAX), Err(ParseParameterError::TooLarge));
        for entry in Pact::default_for(NetworkKind::Public).entries(NetworkKind::Public) {
            let parameter = Parameter::parse(&entry.name, entry.value).unwrap();
            assert_eq!((parameter.name(), parameter.value()), (entry.name.as_str(), entry.value));
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let mut pact = Pact::default_for(NetworkKind::Public);
        pact.staking.max_validators = 100_000;
        let error = pact.check(&Network::PUBLIC).unwrap_err();
        assert!(matches!(error, PactError::OutOfBounds { name: "staking.max_validators", .. }));
        assert!(error.to_string().contains("between"));
    }

    #[test]
    fn contradictions_are_refused() {
        let changes: [fn(&mut Pact); 10] = [
            |pact| pact.staking.min_validators = pact.staking.max_validators + 1,
            |pact| pact.staking.dispute = pact.staking.unbonding,
            |pact| pact.economy.validation = Ppm(0),
            |pact| pact.governance.cancel_decision = u32::MAX,
            |pact| pact.governance.poll_confirm = pact.governance.poll_period + 1,
            |pact| pact.governance.appeal_quorum = Ppm(pact.governance.poll_quorum.0 - 1),
            |pact| pact.trust.newcomer_quota = pact.trust.trusted_quota + 1,
            |pact| pact.learning.learner = Ppm(0),
            |pact| pact.rounds.absence_slash = Ppm(pact.rounds.wrong_slash.0 + 1),
            |pact| pact.data.pow_min = pact.data.pow_max + 1,
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut pact = Pact::default_for(NetworkKind::Local);
            change(&mut pact);
            assert!(pact.check(&Network::LOCAL).is_err(), "{index}");
        }
    }

    #[test]
    fn sessions_have_bounds_too() {
        let pact = Pact::default_for(NetworkKind::Public);
        assert!(pact.check(&Network { session_slots: 10, ..Network::PUBLIC }).is_err());
        assert!(pact.check(&Network { sessions_per_era: 1, ..Network::PUBLIC }).is_err());
    }

    #[test]
    fn bounds_differ_by_kind() {
        assert_ne!(bounds_hash(NetworkKind::Public), bounds_hash(NetworkKind::Local));
    }

    #[test]
    fn shares_are_written_in_per_cent() {
        assert_eq!(Ppm(250_000).to_string(), "25 %");
        assert_eq!(Ppm(666_667).to_string(), "66.6667 %");
        assert_eq!(Ppm(1_500).to_string(), "0.15 %");
    }

    proptest! {
        #[test]
        fn a_share_is_the_exact_one_rounded_down(parts in 0u32..=1_000_000, amount in 0u128..=1u128 << 100) {
            prop_assert_eq!(Ppm(parts).of(amount), amount * u128::from(parts) / 1_000_000);
        }

        #[test]
        fn a_share_is_never_more_than_the_whole(parts: u32, amount: u128) {
            prop_assert!(Ppm(parts).of(amount) <= amount);
            prop_assert_eq!(Ppm::ONE.of(amount), amount);
        }
    }
}
