//! Delegations: how they are made, changed, moved and taken back.

use crate::{pallet::*, BondKind, Candidate, Delegation};
use frame_support::{
    defensive, ensure,
    pallet_prelude::{DispatchError, DispatchResult, Get},
    traits::fungible::MutateHold,
};
use polkadot_sdk::*;
use sp_runtime::Percent;

impl<T: Config> Pallet<T> {
    /// Says whether it had to look through all of the validator's delegations for the smallest.
    pub(crate) fn do_delegate(
        who: T::AccountId,
        validator: T::AccountId,
        amount: Balance,
        auto_compound: Percent,
    ) -> Result<bool, DispatchError> {
        ensure!(who != validator, Error::<T>::OwnValidator);
        let candidate = Candidates::<T>::get(&validator).ok_or(Error::<T>::NotCandidate)?;
        ensure!(!Delegations::<T>::contains_key(&validator, &who), Error::<T>::AlreadyDelegated);
        ensure!(amount >= Self::rules().min_delegation, Error::<T>::BelowMinDelegation);
        ensure!(Self::can_delegate_to_another(&who), Error::<T>::TooManyDelegations);
        let smallest = Self::place_among_delegators(&validator, &candidate, amount)?;
        let is_full = smallest.is_some();

        T::Currency::hold(&HoldReason::Delegation.into(), &who, amount)?;
        Self::replace_delegation(&validator, smallest, &who);
        Self::add_delegated(&validator, &who, amount, auto_compound);
        Self::deposit_event(Event::Delegated { delegator: who, validator, amount });
        Ok(is_full)
    }

    pub(crate) fn do_delegate_more(who: T::AccountId, validator: T::AccountId, amount: Balance) -> DispatchResult {
        ensure!(amount > 0, Error::<T>::ZeroAmount);
        ensure!(Candidates::<T>::contains_key(&validator), Error::<T>::NotCandidate);
        let delegation = Delegations::<T>::get(&validator, &who).ok_or(Error::<T>::NotDelegated)?;
        T::Currency::hold(&HoldReason::Delegation.into(), &who, amount)?;
        Self::add_delegated(&validator, &who, amount, delegation.auto_compound);
        Self::deposit_event(Event::Delegated { delegator: who, validator, amount });
        Ok(())
    }

    pub(crate) fn do_undelegate(who: T::AccountId, validator: T::AccountId, amount: Balance) -> DispatchResult {
        ensure!(amount > 0, Error::<T>::ZeroAmount);
        let rules = Self::rules();
        let delegation = Delegations::<T>::get(&validator, &who).ok_or(Error::<T>::NotDelegated)?;
        Self::check_rest(&delegation, amount, rules.min_delegation)?;
        let due = Self::start_unbonding(BondKind::Delegation, &who, amount, &rules)?;
        Self::take_delegated(&validator, &who, amount);
        Self::deposit_event(Event::Undelegated { delegator: who, validator, amount, due });
        Ok(())
    }

    /// Says whether it had to look through all of the validator's delegations for the smallest.
    pub(crate) fn do_redelegate(
        who: T::AccountId,
        from: T::AccountId,
        to: T::AccountId,
        amount: Balance,
    ) -> Result<bool, DispatchError> {
        ensure!(amount > 0, Error::<T>::ZeroAmount);
        ensure!(from != to, Error::<T>::SameValidator);
        ensure!(who != to, Error::<T>::OwnValidator);
        let least = Self::rules().min_delegation;
        let delegation = Delegations::<T>::get(&from, &who).ok_or(Error::<T>::NotDelegated)?;
        Self::check_rest(&delegation, amount, least)?;
        let candidate = Candidates::<T>::get(&to).ok_or(Error::<T>::NotCandidate)?;
        let smallest = if Delegations::<T>::contains_key(&to, &who) {
            None
        } else {
            // A delegation that moves as a whole leaves a place in the delegator's list.
            let moves = amount == delegation.amount;
            ensure!(moves || Self::can_delegate_to_another(&who), Error::<T>::TooManyDelegations);
            ensure!(amount >= least, Error::<T>::BelowMinDelegation);
            Self::place_among_delegators(&to, &candidate, amount)?
        };
        let is_full = smallest.is_some();

        Self::take_delegated(&from, &who, amount);
        Self::replace_delegation(&to, smallest, &who);
        Self::add_delegated(&to, &who, amount, delegation.auto_compound);
        Self::deposit_event(Event::Redelegated { delegator: who, from, to, amount });
        Ok(is_full)
    }

    pub(crate) fn do_set_auto_compound(who: T::AccountId, validator: T::AccountId, share: Percent) -> DispatchResult {
        Delegations::<T>::try_mutate(&validator, &who, |delegation| {
            delegation.as_mut().map(|delegation| delegation.auto_compound = share).ok_or(Error::<T>::NotDelegated)
        })?;
        Self::deposit_event(Event::AutoCompoundSet { delegator: who, validator, share });
        Ok(())
    }

    /// Whether `who` has a place in its list for another validator.
    pub(crate) fn can_delegate_to_another(who: &T::AccountId) -> bool {
        Delegators::<T>::decode_len(who).unwrap_or(0) < T::MaxDelegations::get() as usize
    }

    /// Counts `amount`, which is held, as delegated. Of a delegation that is new, `auto_compound` is what it starts with, and
    /// the caller has seen to it that there is a place for it.
    pub(crate) fn add_delegated(validator: &T::AccountId, who: &T::AccountId, amount: Balance, auto_compound: Percent) {
        let known = Delegations::<T>::get(validator, who);
        let is_new = known.is_none();
        let mut delegation = known.unwrap_or(Delegation { amount: 0, auto_compound, copied: None });
        Self::copy_before_change(validator, who, &mut delegation);
        delegation.amount = delegation.amount.saturating_add(amount);
        Delegations::<T>::insert(validator, who, delegation);
        if is_new && Delegators::<T>::try_append(who, validator).is_err() {
            defensive!("there is a place in the delegator's list");
        }
        Candidates::<T>::mutate(validator, |candidate| {
            if let Some(candidate) = candidate {
                candidate.delegated = candidate.delegated.saturating_add(amount);
                candidate.delegators = candidate.delegators.saturating_add(is_new.into());
            }
        });
    }

    /// Counts up to `amount` as delegated no more, and says how much that was. It is still held.
    pub(crate) fn take_delegated(validator: &T::AccountId, who: &T::AccountId, amount: Balance) -> Balance {
        let Some(mut delegation) = Delegations::<T>::get(validator, who) else { return 0 };
        let taken = amount.min(delegation.amount);
        if taken == 0 {
            return 0;
        }
        Self::copy_before_change(validator, who, &mut delegation);
        delegation.amount = delegation.amount.saturating_sub(taken);
        let is_gone = delegation.amount == 0;
        if is_gone {
            Delegations::<T>::remove(validator, who);
            Delegators::<T>::mutate_exists(who, |list| {
                if let Some(validators) = list.as_mut() {
                    validators.retain(|other| other != validator);
                }
                *list = list.take().filter(|validators| !validators.is_empty());
            });
        } else {
            Delegations::<T>::insert(validator, who, delegation);
        }
        // A validator that has left is no candidate.
        Candidates::<T>::mutate(validator, |candidate| {
            if let Some(candidate) = candidate {
                candidate.delegated = candidate.delegated.saturating_sub(taken);
                candidate.delegators = candidate.delegators.saturating_sub(is_gone.into());
            }
        });
        taken
    }

    fn check_rest(delegation: &Delegation, amount: Balance, least: Balance) -> Result<(), Error<T>> {
        let rest = delegation.amount.checked_sub(amount).ok_or(Error::<T>::NotEnoughBonded)?;
        ensure!(rest == 0 || rest >= least, Error::<T>::BelowMinDelegation);
        Ok(())
    }

    /// The delegator that has to go for a new one with `amount`, if any has to.
    fn place_among_delegators(
        validator: &T::AccountId,
        candidate: &Candidate,
        amount: Balance,
    ) -> Result<Option<T::AccountId>, Error<T>> {
        if candidate.delegators < T::MaxDelegators::get() {
            return Ok(None);
        }
        let smallest = Delegations::<T>::iter_prefix(validator)
            .map(|(who, delegation)| (delegation.amount, who))
            .min()
            .filter(|(least, _)| *least < amount);
        smallest.map(|(_, who)| Some(who)).ok_or(Error::<T>::DelegatorsFull)
    }

    /// Sends the delegation of `smallest` on its way back, for `by` to have its place.
    fn replace_delegation(validator: &T::AccountId, smallest: Option<T::AccountId>, by: &T::AccountId) {
        let Some(delegator) = smallest else { return };
        let amount = Self::take_delegated(validator, &delegator, Balance::MAX);
        let due = Self::force_unbonding(BondKind::Delegation, &delegator, amount, &Self::rules());
        let (out, validator) = (delegator.clone(), validator.clone());
        Self::deposit_event(Event::Undelegated { delegator, validator: validator.clone(), amount, due });
        Self::deposit_event(Event::DelegationReplaced { delegator: out, validator, by: by.clone() });
    }
}
