//! The first validators.

use crate::{pallet::*, Candidate, Standing};
use blyan_primitives::pact::Ppm;
use frame_support::traits::{fungible::MutateHold, Get};
use polkadot_sdk::*;
use sp_runtime::Percent;

impl<T: Config> Pallet<T> {
    /// Bonds what the genesis configuration says. A chain spec that cannot stand is refused.
    pub(crate) fn build_genesis(config: &GenesisConfig<T>) {
        let rules = Self::rules();
        let hold = |reason: HoldReason, who: &T::AccountId, amount: Balance| {
            if let Err(error) = T::Currency::hold(&reason.into(), who, amount) {
                panic!("{who:?} cannot bond {amount} at genesis: {error:?}");
            }
        };
        assert!(
            u32::try_from(config.validators.len()).is_ok_and(|n| n <= T::MaxCandidates::get()),
            "there are too many genesis validators"
        );
        for (who, own, commission) in &config.validators {
            assert!(!Candidates::<T>::contains_key(who), "{who:?} is a genesis validator twice");
            assert!(*own >= rules.min_self_bond, "{who:?} bonds less than the least at genesis");
            assert!(*commission <= rules.max_commission, "{who:?} has too high a commission at genesis");
            assert!(*commission <= Ppm::ONE, "{who:?} has a commission of more than all at genesis");
            hold(HoldReason::Validator, who, *own);
            let candidate = Candidate {
                own: *own,
                delegated: 0,
                delegators: 0,
                commission: *commission,
                standing: Standing::Active,
            };
            Candidates::<T>::insert(who, candidate);
        }
        for (who, validator, amount) in &config.delegations {
            let candidate = Candidates::<T>::get(validator);
            assert!(
                candidate.is_some_and(|candidate| candidate.delegators < T::MaxDelegators::get()),
                "{validator:?} has no place for a delegation at genesis"
            );
            assert!(who != validator, "{who:?} delegates to itself at genesis");
            assert!(!Delegations::<T>::contains_key(validator, who), "{who:?} delegates twice to {validator:?}");
            assert!(*amount >= rules.min_delegation, "{who:?} delegates less than the least at genesis");
            assert!(Self::can_delegate_to_another(who), "{who:?} delegates to too many validators at genesis");
            hold(HoldReason::Delegation, who, *amount);
            Self::add_delegated(validator, who, *amount, Percent::zero());
        }
    }
}
