//! Slashes: announced, disputed, cancelled or applied.

use crate::{pallet::*, shares::Debt, BondKind, Charge, PendingSlash, Sessions, PAGE};
use blyan_primitives::traits::SlashId;
use frame_support::{
    ensure,
    pallet_prelude::DispatchResult,
    traits::{Imbalance, OnUnbalanced},
    weights::Weight,
};
use polkadot_sdk::*;
use sp_runtime::{
    traits::{Saturating, Zero},
    Perbill,
};
use sp_staking::{
    offence::{OffenceDetails, OnOffenceHandler},
    SessionIndex,
};

impl<T: Config> OnOffenceHandler<T::AccountId, (T::AccountId, ()), Weight> for Pallet<T> {
    fn on_offence(
        offenders: &[OffenceDetails<T::AccountId, (T::AccountId, ())>],
        slash_fraction: &[Perbill],
        session: SessionIndex,
    ) -> Weight {
        let era = Self::era_of(session);
        for (offence, fraction) in offenders.iter().zip(slash_fraction) {
            let (validator, ()) = &offence.offender;
            T::Sessions::disable(validator.clone(), *fraction);
            Self::convict(validator, era, *fraction);
        }
        // Counted in the weight of the call that reports.
        Weight::zero()
    }
}

impl<T: Config> Pallet<T> {
    /// Announces what of `fraction` was not announced before for this validator and era.
    fn convict(validator: &T::AccountId, era: EraIndex, fraction: Perbill) {
        // What nobody was exposed with cannot be slashed: the era is pruned, or the offender was no validator of it.
        if !Exposures::<T>::contains_key(era, validator) {
            return;
        }
        let before = Convictions::<T>::get(era, validator);
        if fraction <= before {
            return;
        }
        Convictions::<T>::insert(era, validator, fraction);
        let fraction = fraction.saturating_sub(before);
        Self::force_chill(validator);
        Suspects::<T>::mutate(validator, |slashes| *slashes = slashes.saturating_add(1));
        SlashesOf::<T>::mutate(era, |slashes| *slashes = slashes.saturating_add(1));
        Self::announce(validator.clone(), Charge::Validator { era, fraction });
    }

    /// Puts a slash down for when the dispute window is over. The caller has counted it.
    pub(crate) fn announce(who: T::AccountId, charge: Charge) -> SlashId {
        let slash = NextSlash::<T>::get();
        NextSlash::<T>::put(slash.saturating_add(1));
        // Whole eras must pass, of which the present one is none.
        let apply_at = ActiveEra::<T>::get().saturating_add(Self::rules().dispute).saturating_add(1);
        SlashQueue::<T>::insert(apply_at, slash, ());
        let pending = PendingSlash { who: who.clone(), charge, apply_at, steps: 0, taken: 0 };
        PendingSlashes::<T>::insert(slash, pending);
        Self::deposit_event(Event::SlashAnnounced { slash, who, charge, apply_at });
        slash
    }

    pub(crate) fn do_cancel_slash(slash: SlashId) -> DispatchResult {
        let pending = PendingSlashes::<T>::get(slash).ok_or(Error::<T>::UnknownSlash)?;
        ensure!(pending.apply_at > ActiveEra::<T>::get(), Error::<T>::SlashDue);
        Self::conclude(slash, &pending);
        Self::deposit_event(Event::SlashCancelled { slash });
        Ok(())
    }

    /// Whether slashes are due that are not wholly applied.
    pub(crate) fn are_slashes_due() -> bool {
        let (next, active) = (NextSlashEra::<T>::get(), ActiveEra::<T>::get());
        next < active || (next == active && SlashQueue::<T>::iter_key_prefix(next).next().is_some())
    }

    /// Applies some of what is due. Says how many bonds it took from, or eras it was done with.
    pub(crate) fn slash_step() -> u32 {
        let mut steps = 0u32;
        let mut credit = CreditOf::<T>::zero();
        while steps < PAGE {
            let era = NextSlashEra::<T>::get();
            if era > ActiveEra::<T>::get() {
                break;
            }
            let Some(slash) = SlashQueue::<T>::iter_key_prefix(era).next() else {
                NextSlashEra::<T>::put(era.saturating_add(1));
                steps = steps.saturating_add(1);
                continue;
            };
            let Some(mut pending) = PendingSlashes::<T>::get(slash) else {
                SlashQueue::<T>::remove(era, slash);
                steps = steps.saturating_add(1);
                continue;
            };
            let Some((taken_steps, is_done)) =
                Self::apply(slash, &mut pending, PAGE.saturating_sub(steps), &mut credit)
            else {
                // The page waits for the next block.
                break;
            };
            steps = steps.saturating_add(taken_steps);
            if is_done {
                Self::conclude(slash, &pending);
                Self::deposit_event(Event::SlashApplied { slash, amount: pending.taken });
            } else {
                PendingSlashes::<T>::insert(slash, pending);
            }
        }
        if !credit.peek().is_zero() {
            T::OnSlash::on_unbalanced(credit);
        }
        steps
    }

    /// Takes the next step of a slash, if it is about no more than `most` bonds. Says about how many it was, and whether it
    /// was the last.
    fn apply(
        slash: SlashId,
        pending: &mut PendingSlashOf<T>,
        most: u32,
        credit: &mut CreditOf<T>,
    ) -> Option<(u32, bool)> {
        let (era, fraction) = match pending.charge {
            Charge::Worker { amount } => {
                pending.taken = Self::slash_worker_bond(slash, &pending.who, amount, credit);
                return Some((1, true));
            },
            Charge::Validator { era, fraction } => (era, fraction),
        };
        let exposure = Exposures::<T>::get(era, &pending.who);
        let pages = exposure.as_ref().map_or(0, |exposure| exposure.pages());
        let (taken, bonds) = match pending.steps.checked_sub(1) {
            None => {
                let debt = Debt::of(fraction, exposure.map_or(0, |exposure| exposure.own));
                (Self::slash_own_bond(slash, &pending.who, debt, credit), 1)
            },
            Some(page) => {
                let shares = ExposurePages::<T>::get((era, &pending.who, page));
                let bonds = u32::try_from(shares.len()).unwrap_or(PAGE);
                if bonds > most {
                    return None;
                }
                let taken = shares.into_iter().fold(0, |taken: Balance, share| {
                    let debt = Debt::of(fraction, share.amount);
                    taken.saturating_add(Self::slash_delegator(slash, &pending.who, &share.who, debt, credit))
                });
                (taken, bonds)
            },
        };
        pending.taken = pending.taken.saturating_add(taken);
        pending.steps = pending.steps.saturating_add(1);
        Some((bonds.max(1), pending.steps > pages))
    }

    fn slash_own_bond(slash: SlashId, validator: &T::AccountId, mut debt: Debt, credit: &mut CreditOf<T>) -> Balance {
        let (kind, owed) = (BondKind::Validator, debt.left());
        if let Some(mut candidate) = Candidates::<T>::get(validator) {
            debt.pay(|wanted| {
                let taken = wanted.min(candidate.own);
                candidate.own = candidate.own.saturating_sub(taken);
                taken
            });
            let is_short = candidate.own < Self::rules().min_self_bond;
            Candidates::<T>::insert(validator, candidate);
            if is_short {
                Self::force_chill(validator);
            }
        }
        debt.pay(|wanted| Self::take_unbonding(kind, validator, wanted));
        Self::settle(slash, kind, validator, owed.saturating_sub(debt.left()), credit)
    }

    fn slash_delegator(
        slash: SlashId,
        validator: &T::AccountId,
        who: &T::AccountId,
        mut debt: Debt,
        credit: &mut CreditOf<T>,
    ) -> Balance {
        let (kind, owed) = (BondKind::Delegation, debt.left());
        debt.pay(|wanted| Self::take_delegated(validator, who, wanted));
        debt.pay(|wanted| Self::take_unbonding(kind, who, wanted));
        if debt.left() > 0 {
            for other in Delegators::<T>::get(who) {
                debt.pay(|wanted| Self::take_delegated(&other, who, wanted));
            }
        }
        Self::settle(slash, kind, who, owed.saturating_sub(debt.left()), credit)
    }

    fn slash_worker_bond(slash: SlashId, who: &T::AccountId, amount: Balance, credit: &mut CreditOf<T>) -> Balance {
        let (kind, mut debt) = (BondKind::Worker, Debt::exactly(amount));
        let mut bond = WorkerBonds::<T>::get(who);
        debt.pay(|wanted| {
            let taken = wanted.min(bond.active);
            bond.active = bond.active.saturating_sub(taken);
            taken
        });
        Self::store_worker_bond(who, bond);
        debt.pay(|wanted| Self::take_unbonding(kind, who, wanted));
        Self::settle(slash, kind, who, amount.saturating_sub(debt.left()), credit)
    }

    /// Takes from the hold what the ledger has given up.
    fn settle(
        slash: SlashId,
        kind: BondKind,
        who: &T::AccountId,
        amount: Balance,
        credit: &mut CreditOf<T>,
    ) -> Balance {
        if amount > 0 {
            Self::take_held(kind, who, amount, credit);
            Self::deposit_event(Event::Slashed { slash, kind, who: who.clone(), amount });
        }
        amount
    }

    /// Strikes a slash off every list.
    fn conclude(slash: SlashId, pending: &PendingSlashOf<T>) {
        PendingSlashes::<T>::remove(slash);
        SlashQueue::<T>::remove(pending.apply_at, slash);
        let one_less = |count: &mut Option<u32>| {
            *count = count.and_then(|count| count.checked_sub(1)).filter(|count| *count > 0);
        };
        match pending.charge {
            Charge::Validator { era, .. } => {
                Suspects::<T>::mutate_exists(&pending.who, one_less);
                SlashesOf::<T>::mutate_exists(era, one_less);
            },
            Charge::Worker { amount } => {
                let mut bond = WorkerBonds::<T>::get(&pending.who);
                bond.announced = bond.announced.saturating_sub(amount);
                Self::store_worker_bond(&pending.who, bond);
            },
        }
    }
}
