//! Who validates: the plan of each session.

use crate::{
    pallet::*,
    ranking::{elect, retain, Claim, Contender},
    Sessions, Standing,
};
use alloc::vec::Vec;
use blyan_primitives::pact::Staking;
use frame_support::defensive;
use polkadot_sdk::*;
use sp_staking::SessionIndex;

impl<T: Config> Pallet<T> {
    /// The set of session `index`, if it has to be announced: if somebody comes or goes, if keys have changed, or if somebody
    /// is disabled. A set that is announced again, even unchanged, costs a change of GRANDPA's authorities and a step in every
    /// warp proof.
    pub(crate) fn plan_session(index: SessionIndex) -> Option<Vec<T::AccountId>> {
        let mut present = T::Sessions::validators();
        present.sort();
        let rules = Self::rules();
        let era = Self::era_starting_with(index);
        let choose = || match era {
            Some(_) => Self::chosen(&present, &rules),
            None => retain(&present, rules.min_validators as usize, T::Sessions::has_keys, |who| {
                Suspects::<T>::contains_key(who)
            }),
        };
        let mut set = choose();
        // Who purges its keys leaves, but not so that too few are left: a chain whose validators have all left never has a
        // block again.
        if set.len() < rules.min_validators as usize && T::Sessions::restore_keys() > 0 {
            set = choose();
        }
        if let Some(era) = era {
            Self::seat(era, &set, &rules);
        }
        if set.is_empty() {
            defensive!("somebody has session keys, or can have them back");
            return None;
        }
        (set != present || T::Sessions::must_announce()).then_some(set)
    }

    /// Elects the validators of `era`, and writes down what they are exposed with.
    pub(crate) fn elect(era: EraIndex, present: &[T::AccountId], rules: &Staking) -> Vec<T::AccountId> {
        let elected = Self::chosen(present, rules);
        Self::seat(era, &elected, rules);
        elected
    }

    /// Who is elected when an election is held now.
    fn chosen(present: &[T::AccountId], rules: &Staking) -> Vec<T::AccountId> {
        let mut contenders = Vec::new();
        for (who, candidate) in Candidates::<T>::iter() {
            let claim = if candidate.standing == Standing::Active && candidate.own >= rules.min_self_bond {
                Claim::Stake
            } else if present.binary_search(&who).is_err() {
                continue;
            } else if Suspects::<T>::contains_key(&who) {
                Claim::SuspectPresence
            } else {
                Claim::Presence
            };
            contenders.push(Contender { who, stake: candidate.stake(), claim });
        }
        for who in present.iter().filter(|who| !Candidates::<T>::contains_key(who)) {
            contenders.push(Contender { who: who.clone(), stake: 0, claim: Claim::FormerPresence });
        }
        elect(contenders, rules.max_validators as usize, rules.min_validators as usize, T::Sessions::has_keys)
    }

    fn seat(era: EraIndex, elected: &[T::AccountId], rules: &Staking) {
        Self::expose(era, elected, rules);
        let validators = u32::try_from(elected.len()).unwrap_or(u32::MAX);
        Self::deposit_event(Event::Elected { era, validators });
    }
}
