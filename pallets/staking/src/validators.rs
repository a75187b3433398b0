//! Candidates: how one becomes, changes and leaves.

use crate::{pallet::*, BondKind, Candidate, Standing, PAGE};
use alloc::vec::Vec;
use blyan_primitives::pact::{Ppm, Staking};
use frame_support::{
    ensure,
    pallet_prelude::{DispatchError, DispatchResult, Get},
    traits::fungible::MutateHold,
};
use polkadot_sdk::*;

impl<T: Config> Pallet<T> {
    /// Says whether it had to look through all candidates for the poorest.
    pub(crate) fn do_validate(who: T::AccountId, commission: Ppm, bond: Balance) -> Result<bool, DispatchError> {
        let rules = Self::rules();
        ensure!(!Candidates::<T>::contains_key(&who), Error::<T>::AlreadyCandidate);
        ensure!(!Leaving::<T>::get().contains(&who), Error::<T>::StillLeaving);
        ensure!(!Suspects::<T>::contains_key(&who), Error::<T>::SlashPending);
        Self::check_commission(commission, &rules)?;
        ensure!(bond >= rules.min_self_bond, Error::<T>::BelowMinSelfBond);

        let poorest = Self::place_among_candidates(bond)?;
        let is_full = poorest.is_some();
        if let Some((_, candidate)) = &poorest {
            Self::check_can_leave(candidate)?;
        }
        T::Currency::hold(&HoldReason::Validator.into(), &who, bond)?;
        if let Some((validator, candidate)) = poorest {
            Self::remove_candidate(&validator, &candidate, &rules)?;
            Self::deposit_event(Event::CandidateReplaced { validator, by: who.clone() });
        }
        let candidate = Candidate { own: bond, delegated: 0, delegators: 0, commission, standing: Standing::Active };
        Candidates::<T>::insert(&who, candidate);
        Self::deposit_event(Event::CandidateJoined { validator: who, bond, commission });
        Ok(is_full)
    }

    pub(crate) fn do_bond_more(who: T::AccountId, amount: Balance) -> DispatchResult {
        ensure!(amount > 0, Error::<T>::ZeroAmount);
        let mut candidate = Candidates::<T>::get(&who).ok_or(Error::<T>::NotCandidate)?;
        T::Currency::hold(&HoldReason::Validator.into(), &who, amount)?;
        candidate.own = candidate.own.saturating_add(amount);
        Candidates::<T>::insert(&who, candidate);
        Self::deposit_event(Event::Bonded { kind: BondKind::Validator, who, amount });
        Ok(())
    }

    pub(crate) fn do_unbond(who: T::AccountId, amount: Balance) -> DispatchResult {
        ensure!(amount > 0, Error::<T>::ZeroAmount);
        let (rules, kind) = (Self::rules(), BondKind::Validator);
        let mut candidate = Candidates::<T>::get(&who).ok_or(Error::<T>::NotCandidate)?;
        if amount == candidate.own {
            return Self::remove_candidate(&who, &candidate, &rules);
        }
        candidate.own = candidate.own.checked_sub(amount).ok_or(Error::<T>::NotEnoughBonded)?;
        ensure!(candidate.own >= rules.min_self_bond, Error::<T>::BelowMinSelfBond);
        let due = Self::start_unbonding(kind, &who, amount, &rules)?;
        Candidates::<T>::insert(&who, candidate);
        Self::deposit_event(Event::Unbonded { kind, who, amount, due });
        Ok(())
    }

    pub(crate) fn do_set_commission(who: T::AccountId, commission: Ppm) -> DispatchResult {
        let mut candidate = Candidates::<T>::get(&who).ok_or(Error::<T>::NotCandidate)?;
        Self::check_commission(commission, &Self::rules())?;
        candidate.commission = commission;
        Candidates::<T>::insert(&who, candidate);
        Self::deposit_event(Event::CommissionSet { validator: who, commission });
        Ok(())
    }

    pub(crate) fn do_chill(who: T::AccountId) -> DispatchResult {
        let mut candidate = Candidates::<T>::get(&who).ok_or(Error::<T>::NotCandidate)?;
        ensure!(candidate.standing == Standing::Active, Error::<T>::AlreadyChilled);
        candidate.standing = Standing::Chilled;
        Candidates::<T>::insert(&who, candidate);
        Self::deposit_event(Event::Chilled { validator: who });
        Ok(())
    }

    pub(crate) fn do_activate(who: T::AccountId) -> DispatchResult {
        let mut candidate = Candidates::<T>::get(&who).ok_or(Error::<T>::NotCandidate)?;
        ensure!(candidate.standing == Standing::Chilled, Error::<T>::AlreadyActive);
        ensure!(!Suspects::<T>::contains_key(&who), Error::<T>::SlashPending);
        ensure!(candidate.own >= Self::rules().min_self_bond, Error::<T>::BelowMinSelfBond);
        candidate.standing = Standing::Active;
        Candidates::<T>::insert(&who, candidate);
        Self::deposit_event(Event::Activated { validator: who });
        Ok(())
    }

    pub(crate) fn do_leave(who: T::AccountId) -> DispatchResult {
        let candidate = Candidates::<T>::get(&who).ok_or(Error::<T>::NotCandidate)?;
        Self::remove_candidate(&who, &candidate, &Self::rules())
    }

    /// Chills a candidate that has not asked for it.
    pub(crate) fn force_chill(validator: &T::AccountId) {
        Candidates::<T>::mutate(validator, |candidate| {
            if let Some(candidate) = candidate.as_mut().filter(|candidate| candidate.standing == Standing::Active) {
                candidate.standing = Standing::Chilled;
                Self::deposit_event(Event::Chilled { validator: validator.clone() });
            }
        });
    }

    /// Sends some of what was delegated to validators that have left on its way back. Says how many steps of a delegation or
    /// a validator that took.
    pub(crate) fn release_step() -> u32 {
        let Some(validator) = Leaving::<T>::get().into_iter().next() else { return 0 };
        let rules = Self::rules();
        let batch: Vec<_> = Delegations::<T>::iter_key_prefix(&validator).take(PAGE as usize).collect();
        for delegator in &batch {
            let amount = Self::take_delegated(&validator, delegator, Balance::MAX);
            let due = Self::force_unbonding(BondKind::Delegation, delegator, amount, &rules);
            let (delegator, validator) = (delegator.clone(), validator.clone());
            Self::deposit_event(Event::Undelegated { delegator, validator, amount, due });
        }
        let released = u32::try_from(batch.len()).unwrap_or(PAGE);
        if released < PAGE {
            Leaving::<T>::mutate(|leaving| leaving.retain(|who| *who != validator));
            return released.saturating_add(1);
        }
        released
    }

    fn check_commission(commission: Ppm, rules: &Staking) -> Result<(), Error<T>> {
        ensure!(commission <= rules.max_commission.min(Ppm::ONE), Error::<T>::CommissionTooHigh);
        Ok(())
    }

    /// The candidate that has to go for one with `bond`, if any has to.
    fn place_among_candidates(bond: Balance) -> Result<Option<(T::AccountId, Candidate)>, Error<T>> {
        if Candidates::<T>::count() < T::MaxCandidates::get() {
            return Ok(None);
        }
        let poorest = Candidates::<T>::iter()
            .min_by(|(a, poor), (b, rich)| (poor.stake(), a).cmp(&(rich.stake(), b)))
            .filter(|(_, candidate)| candidate.stake() < bond);
        poorest.map(Some).ok_or(Error::<T>::CandidatesFull)
    }

    fn check_can_leave(candidate: &Candidate) -> Result<(), Error<T>> {
        let is_full = || Leaving::<T>::decode_len().unwrap_or(0) >= T::MaxLeaving::get() as usize;
        ensure!(candidate.delegators == 0 || !is_full(), Error::<T>::TooManyLeaving);
        Ok(())
    }

    /// Ends a candidacy. The validator's bond is on its way back, and what was delegated to it is going to be released.
    fn remove_candidate(who: &T::AccountId, candidate: &Candidate, rules: &Staking) -> DispatchResult {
        Self::check_can_leave(candidate)?;
        if candidate.delegators > 0 {
            Leaving::<T>::try_append(who).map_err(|()| Error::<T>::TooManyLeaving)?;
        }
        Candidates::<T>::remove(who);
        if candidate.own > 0 {
            let (kind, amount) = (BondKind::Validator, candidate.own);
            let due = Self::force_unbonding(kind, who, amount, rules);
            Self::deposit_event(Event::Unbonded { kind, who: who.clone(), amount, due });
        }
        Self::deposit_event(Event::CandidateLeft { validator: who.clone() });
        Ok(())
    }
}
