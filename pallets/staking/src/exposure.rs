//! What an era's validators are exposed with: copied at its election, and pruned when nothing can come of it any more.
//!
//! Which of a validator's delegations are copied follows from three things: how far the walk over them has come, in the order
//! of storage; the mark on those that a change had copied before their turn, or that were made since the election; and the
//! count in the exposure, which tells when all are.

use crate::{pallet::*, Copying, Delegation, Exposure, Share, PAGE};
use alloc::{vec, vec::Vec};
use blyan_primitives::pact::{Ppm, Staking};

impl<T: Config> Pallet<T> {
    /// Writes down what the validators elected for `era` are exposed with. Their delegations are copied later.
    pub(crate) fn expose(era: EraIndex, elected: &[T::AccountId], rules: &Staking) {
        if let Some(before) = CopyingEra::<T>::get() {
            Self::deposit_event(Event::CopyingCutShort { era: before.era });
        }
        for who in elected {
            // In the place of others, the set can have members that are no candidates: they have nothing at stake.
            let exposure = match Candidates::<T>::get(who) {
                Some(candidate) => Exposure {
                    own: candidate.own,
                    total: candidate.stake(),
                    commission: candidate.commission.min(rules.max_commission),
                    delegators: candidate.delegators,
                    copied: 0,
                },
                None => Exposure { own: 0, total: 0, commission: Ppm(0), delegators: 0, copied: 0 },
            };
            Exposures::<T>::insert(era, who, exposure);
        }
        CopyingEra::<T>::put(Copying { era, validator: None, delegator: None });
        PlannedEra::<T>::put(era);
    }

    /// Copies some delegations. Says how many validators and delegations it looked at.
    pub(crate) fn copy_step() -> u32 {
        let Some(mut at) = CopyingEra::<T>::get() else { return 0 };
        let era = at.era;
        let mut steps = 0u32;
        while steps < PAGE {
            let turn = at.validator.take().or_else(|| Exposures::<T>::iter_key_prefix(era).next());
            let Some(validator) = turn else {
                CopyingEra::<T>::kill();
                return steps.saturating_add(1);
            };
            steps = steps.saturating_add(1);
            if Exposures::<T>::get(era, &validator).is_some_and(|exposure| !exposure.is_complete()) {
                let rest = PAGE.saturating_sub(steps);
                let (looked_at, shares) = Self::next_delegations(&mut at, &validator, rest);
                Self::append(era, &validator, shares);
                steps = steps.saturating_add(looked_at);
                if looked_at == rest {
                    // Perhaps there are more: its turn goes on.
                    at.validator = Some(validator);
                    continue;
                }
            }
            at.delegator = None;
            at.validator =
                Exposures::<T>::iter_key_prefix_from(era, Exposures::<T>::hashed_key_for(era, &validator)).next();
            if at.validator.is_none() {
                CopyingEra::<T>::kill();
                return steps.saturating_add(1);
            }
        }
        CopyingEra::<T>::put(at);
        steps
    }

    /// Goes through at most `most` of the delegations to `validator` that had no turn. Says how many, and gives those to copy.
    fn next_delegations(
        at: &mut Copying<T::AccountId>,
        validator: &T::AccountId,
        most: u32,
    ) -> (u32, Vec<Share<T::AccountId>>) {
        let delegations = match &at.delegator {
            None => Delegations::<T>::iter_prefix(validator),
            Some(last) => {
                Delegations::<T>::iter_prefix_from(validator, Delegations::<T>::hashed_key_for(validator, last))
            },
        };
        let (mut looked_at, mut shares) = (0u32, Vec::new());
        for (who, delegation) in delegations.take(most as usize) {
            looked_at = looked_at.saturating_add(1);
            at.delegator = Some(who.clone());
            if delegation.copied != Some(at.era) {
                let Delegation { amount, auto_compound, .. } = delegation;
                shares.push(Share { who, amount, auto_compound });
            }
        }
        (looked_at, shares)
    }

    /// Copies a delegation that is about to change, if its turn has not come, and marks it. Marks one that is new.
    pub(crate) fn copy_before_change(validator: &T::AccountId, who: &T::AccountId, delegation: &mut Delegation) {
        let Some(at) = CopyingEra::<T>::get() else { return };
        if delegation.copied == Some(at.era) {
            return;
        }
        if Exposures::<T>::get(at.era, validator).is_none_or(|exposure| exposure.is_complete()) {
            return;
        }
        let had_its_turn = at.validator.as_ref() == Some(validator)
            && at.delegator.is_some_and(|last| {
                let key = |who: &T::AccountId| Delegations::<T>::hashed_key_for(validator, who);
                key(who) <= key(&last)
            });
        if had_its_turn {
            return;
        }
        if delegation.amount > 0 {
            let Delegation { amount, auto_compound, .. } = *delegation;
            Self::append(at.era, validator, vec![Share { who: who.clone(), amount, auto_compound }]);
        }
        delegation.copied = Some(at.era);
    }

    /// Adds to an exposure's pages.
    fn append(era: EraIndex, validator: &T::AccountId, shares: Vec<Share<T::AccountId>>) {
        if shares.is_empty() {
            return;
        }
        Exposures::<T>::mutate(era, validator, |exposure| {
            let Some(exposure) = exposure else { return };
            let mut shares = shares.into_iter().peekable();
            while shares.peek().is_some() {
                let page = exposure.copied.checked_div(PAGE).unwrap_or(0);
                ExposurePages::<T>::mutate((era, validator, page), |page| {
                    while page.len() < PAGE as usize {
                        let Some(share) = shares.next() else { break };
                        if page.try_push(share).is_ok() {
                            exposure.copied = exposure.copied.saturating_add(1);
                        }
                    }
                });
            }
        });
    }

    /// Removes some of what is left of the oldest era, once nothing can come of it any more. Says how many entries.
    pub(crate) fn prune_step() -> u32 {
        let era = NextPruned::<T>::get();
        if era >= ActiveEra::<T>::get() {
            return 0;
        }
        let rules = Self::rules();
        let kept = rules.unbonding.saturating_add(rules.dispute);
        let is_over = era.saturating_add(kept) < ActiveEra::<T>::get();
        let is_used = SlashesOf::<T>::contains_key(era) || era >= NextPaid::<T>::get();
        if !is_over || is_used {
            return 0;
        }
        let mut removed = 0u32;
        let mut room = PAGE as usize;
        let mut count = |n: usize| {
            removed = removed.saturating_add(u32::try_from(n).unwrap_or(PAGE));
            room = room.saturating_sub(n);
            room
        };
        let pages: Vec<_> = ExposurePages::<T>::iter_key_prefix((era,)).take(PAGE as usize).collect();
        for (validator, page) in &pages {
            ExposurePages::<T>::remove((era, validator, page));
        }
        let room = count(pages.len());
        let exposures: Vec<_> = Exposures::<T>::iter_key_prefix(era).take(room).collect();
        for validator in &exposures {
            Exposures::<T>::remove(era, validator);
        }
        let room = count(exposures.len());
        let convictions: Vec<_> = Convictions::<T>::iter_key_prefix(era).take(room).collect();
        for validator in &convictions {
            Convictions::<T>::remove(era, validator);
        }
        if count(convictions.len()) > 0 {
            // There was room for more than there is.
            NextPruned::<T>::put(era.saturating_add(1));
        }
        // To look at an era that is empty is work, too.
        removed.max(1)
    }
}
