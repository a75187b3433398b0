//! What views answer.

use crate::{
    pallet::*,
    shares::{divide, proportion},
    BondKind, BondStatus, Candidate, DelegationStatus, EraPayout, EraStatus, Ledger, Sessions, ValidatorStatus,
};
use alloc::vec::Vec;
use blyan_primitives::traits::SlashId;

fn most(limit: u32) -> usize {
    limit.min(MAX_ANSWER) as usize
}

impl<T: Config> Pallet<T> {
    pub(crate) fn candidates_page(start: Option<T::AccountId>, limit: u32) -> Vec<(T::AccountId, ValidatorStatus)> {
        let candidates = match start {
            None => Candidates::<T>::iter(),
            Some(account) => Candidates::<T>::iter_from(Candidates::<T>::hashed_key_for(account)),
        };
        candidates
            .take(most(limit))
            .map(|(who, candidate)| {
                let status = Self::status(&who, candidate);
                (who, status)
            })
            .collect()
    }

    pub(crate) fn validator_status(who: &T::AccountId) -> Option<ValidatorStatus> {
        Candidates::<T>::get(who).map(|candidate| Self::status(who, candidate))
    }

    fn status(who: &T::AccountId, candidate: Candidate) -> ValidatorStatus {
        let Candidate { own, delegated, delegators, commission, standing } = candidate;
        let active = ActiveEra::<T>::get();
        ValidatorStatus {
            own,
            delegated,
            delegators,
            commission,
            standing,
            has_keys: T::Sessions::has_keys(who),
            elected: Exposures::<T>::contains_key(active, who),
            elected_next: Exposures::<T>::contains_key(PlannedEra::<T>::get(), who),
            blocks: Blocks::<T>::get(active, who),
            slashes: Suspects::<T>::get(who),
        }
    }

    pub(crate) fn delegators_page(
        validator: &T::AccountId,
        start: Option<T::AccountId>,
        limit: u32,
    ) -> Vec<(T::AccountId, Balance)> {
        let delegations = match start {
            None => Delegations::<T>::iter_prefix(validator),
            Some(account) => {
                Delegations::<T>::iter_prefix_from(validator, Delegations::<T>::hashed_key_for(validator, account))
            },
        };
        delegations.take(most(limit)).map(|(who, delegation)| (who, delegation.amount)).collect()
    }

    pub(crate) fn delegations_of(who: &T::AccountId) -> Vec<DelegationStatus<T::AccountId>> {
        let status = |validator| {
            let delegation = Delegations::<T>::get(&validator, who)?;
            Some(DelegationStatus { validator, amount: delegation.amount, auto_compound: delegation.auto_compound })
        };
        Delegators::<T>::get(who).into_iter().filter_map(status).collect()
    }

    pub(crate) fn ledger_of(who: &T::AccountId) -> Ledger {
        let bond = |kind, active| BondStatus { active, unbonding: Unbonding::<T>::get(kind, who).into_inner() };
        let delegated = Self::delegations_of(who).iter().fold(0, |sum: Balance, one| sum.saturating_add(one.amount));
        Ledger {
            validator: bond(BondKind::Validator, Candidates::<T>::get(who).map_or(0, |candidate| candidate.own)),
            delegation: bond(BondKind::Delegation, delegated),
            worker: bond(BondKind::Worker, WorkerBonds::<T>::get(who).active),
            unpaid: Self::unpaid(who),
        }
    }

    /// What `who` is owed for eras that are over, for its own stake and through those that it delegates to now.
    fn unpaid(who: &T::AccountId) -> Balance {
        let validators: Vec<_> = Delegators::<T>::get(who).into_iter().chain([who.clone()]).collect();
        let mut sum = 0 as Balance;
        for era in NextPaid::<T>::get()..ActiveEra::<T>::get() {
            let Some(payout) = Payouts::<T>::get(era) else { continue };
            for validator in &validators {
                sum = sum.saturating_add(Self::unpaid_by(era, &payout, validator, who));
            }
        }
        sum
    }

    fn unpaid_by(era: EraIndex, payout: &EraPayout, validator: &T::AccountId, who: &T::AccountId) -> Balance {
        let Some(exposure) = Exposures::<T>::get(era, validator) else { return 0 };
        let paying = PayingNow::<T>::get().filter(|paying| paying.validator == *validator);
        let (earned, first) = match paying.filter(|_| era == NextPaid::<T>::get()) {
            Some(paying) => (paying.earned, paying.page),
            None => {
                let blocks = Blocks::<T>::get(era, validator);
                let division = divide(proportion(payout.reward, blocks.into(), payout.blocks.into()), &exposure);
                if validator == who {
                    return division.validator;
                }
                (division.earned, 0)
            },
        };
        (first..exposure.pages())
            .flat_map(|page| ExposurePages::<T>::get((era, validator, page)))
            .find(|share| share.who == *who)
            .map_or(0, |share| proportion(earned, share.amount, exposure.total))
    }

    pub(crate) fn slashes_page(start: Option<SlashId>, limit: u32) -> Vec<(SlashId, PendingSlashOf<T>)> {
        let slashes = match start {
            None => PendingSlashes::<T>::iter(),
            Some(slash) => PendingSlashes::<T>::iter_from(PendingSlashes::<T>::hashed_key_for(slash)),
        };
        slashes.take(most(limit)).collect()
    }

    pub(crate) fn era_status() -> EraStatus {
        let active = ActiveEra::<T>::get();
        EraStatus {
            active,
            planned: PlannedEra::<T>::get(),
            first_session: active.saturating_mul(Self::sessions_per_era()),
            sessions: Self::sessions_per_era(),
            blocks: EraBlocks::<T>::get(),
            next_paid: NextPaid::<T>::get(),
            owed: Owed::<T>::get(),
            due: Self::due(&Self::rules()),
            reportable_sessions: Self::reportable_sessions(),
        }
    }
}
