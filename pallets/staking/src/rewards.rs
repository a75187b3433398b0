//! What validation earns, and how it is paid.
//!
//! When an era ends, while it is the present one still, what its blocks have earned is paid into the pot: its validation budget
//! for each of its blocks over the number of its slots. From the pot it is paid to validators and delegators, a page of an
//! exposure a block. So it comes out of the era's own allowance, whenever it arrives. What is lost to rounding, or cannot be
//! paid because it would not suffice to open an account, stays in the pot, and the next era needs so much less.

use crate::{
    pallet::*,
    shares::{divide, proportion},
    EraPayout, Exposure, Paying, Share, PAGE,
};
use blyan_primitives::traits::{PactProvider, Payout, Pool};
use frame_support::{
    pallet_prelude::Get,
    traits::{
        fungible::{Inspect, Mutate, MutateHold},
        tokens::{Fortitude, Preservation},
    },
};
use polkadot_sdk::*;
use sp_runtime::traits::AccountIdConversion;

impl<T: Config> Pallet<T> {
    /// The account of the pot.
    pub fn pot() -> T::AccountId {
        T::PalletId::get().into_account_truncating()
    }

    /// What the pot can give and still exist.
    pub(crate) fn in_pot() -> Balance {
        T::Currency::reducible_balance(&Self::pot(), Preservation::Preserve, Fortitude::Polite)
    }

    /// Puts what `era` has earned into the pot.
    pub(crate) fn end_era(era: EraIndex) {
        let blocks = EraBlocks::<T>::take();
        let slots = T::Pact::network().era_slots();
        let budget = T::Payout::available(Pool::Validation);
        let reward = Self::fill_pot(proportion(budget, blocks.into(), slots.into()));
        if blocks > 0 {
            Payouts::<T>::insert(era, EraPayout { reward, blocks, left: reward });
            Owed::<T>::mutate(|owed| *owed = owed.saturating_add(reward));
        }
        Self::deposit_event(Event::EraEnded { era, blocks, reward });
    }

    /// Sees to it that `reward` is in the pot on top of what is owed. Says how much of it is.
    fn fill_pot(reward: Balance) -> Balance {
        let free = || Self::in_pot().saturating_sub(Owed::<T>::get());
        let missing = reward.saturating_sub(free());
        if missing > 0 {
            let pot = Self::pot();
            // What the account needs to exist stays in it for good.
            let to_exist = T::Currency::minimum_balance().saturating_sub(T::Currency::balance(&pot));
            T::Payout::pay(Pool::Validation, &pot, missing.saturating_add(to_exist));
        }
        reward.min(free())
    }

    /// Pays some of those who are owed something. Says how many.
    pub(crate) fn pay_step() -> u32 {
        let mut steps = 0u32;
        while steps < PAGE {
            let era = NextPaid::<T>::get();
            if era >= ActiveEra::<T>::get() {
                break;
            }
            let Some(mut payout) = Payouts::<T>::get(era) else {
                NextPaid::<T>::put(era.saturating_add(1));
                steps = steps.saturating_add(1);
                continue;
            };
            let before = payout.left;
            let taken = match PayingNow::<T>::get() {
                Some(paying) => Self::pay_page(era, &mut payout, paying, PAGE.saturating_sub(steps)),
                None => Some(Self::pay_next_validator(era, &mut payout)),
            };
            Owed::<T>::mutate(|owed| *owed = owed.saturating_sub(before.saturating_sub(payout.left)));
            match taken {
                // The page waits for the next block.
                None => break,
                Some(0) => {
                    // Nobody is left. What is stays in the pot, and is owed to nobody.
                    Owed::<T>::mutate(|owed| *owed = owed.saturating_sub(payout.left));
                    Payouts::<T>::remove(era);
                    NextPaid::<T>::put(era.saturating_add(1));
                    steps = steps.saturating_add(1);
                },
                Some(taken) => {
                    Payouts::<T>::insert(era, payout);
                    steps = steps.saturating_add(taken);
                },
            }
        }
        steps
    }

    /// Pays the next validator of `era` for its blocks. Says whether there was one.
    fn pay_next_validator(era: EraIndex, payout: &mut EraPayout) -> u32 {
        let Some((validator, blocks)) = Blocks::<T>::iter_prefix(era).next() else { return 0 };
        Blocks::<T>::remove(era, &validator);
        let Some(exposure) = Exposures::<T>::get(era, &validator) else { return 1 };
        let division = divide(proportion(payout.reward, blocks.into(), payout.blocks.into()), &exposure);
        Self::pay_out(era, payout, &validator, &validator, division.validator);
        if exposure.pages() > 0 && division.earned > 0 {
            PayingNow::<T>::put(Paying { validator, earned: division.earned, page: 0 });
        }
        1
    }

    /// Pays a page of a validator's delegators, if it has no more than `most`. Says how many.
    fn pay_page(era: EraIndex, payout: &mut EraPayout, paying: Paying<T::AccountId>, most: u32) -> Option<u32> {
        let Paying { validator, earned, page } = paying;
        let exposure = Exposures::<T>::get(era, &validator);
        let shares = ExposurePages::<T>::get((era, &validator, page));
        let count = u32::try_from(shares.len()).unwrap_or(PAGE);
        if count > most {
            return None;
        }
        if let Some(exposure) = &exposure {
            for share in shares {
                Self::pay_share(era, payout, &validator, earned, exposure, share);
            }
        }
        let page = page.saturating_add(1);
        if page < exposure.map_or(0, |exposure| exposure.pages()) {
            PayingNow::<T>::put(Paying { validator, earned, page });
        } else {
            PayingNow::<T>::kill();
        }
        // An empty page would have been a step, too.
        Some(count.max(1))
    }

    fn pay_share(
        era: EraIndex,
        payout: &mut EraPayout,
        validator: &T::AccountId,
        earned: Balance,
        exposure: &Exposure,
        share: Share<T::AccountId>,
    ) {
        let Share { who, amount, auto_compound } = share;
        let paid = Self::pay_out(era, payout, validator, &who, proportion(earned, amount, exposure.total));
        let more = auto_compound.mul_floor(paid);
        let still_delegates =
            || Candidates::<T>::contains_key(validator) && Delegations::<T>::contains_key(validator, &who);
        // An account that was opened by this very payment keeps what it needs to exist.
        if more > 0 && still_delegates() && T::Currency::hold(&HoldReason::Delegation.into(), &who, more).is_ok() {
            Self::add_delegated(validator, &who, more, auto_compound);
            Self::deposit_event(Event::Compounded { delegator: who, validator: validator.clone(), amount: more });
        }
    }

    /// Pays `amount` out of what the era has left. Says how much that was.
    fn pay_out(
        era: EraIndex,
        payout: &mut EraPayout,
        validator: &T::AccountId,
        who: &T::AccountId,
        amount: Balance,
    ) -> Balance {
        let amount = amount.min(payout.left);
        // It fails when it would not suffice to open the account, and is lost to `who` then.
        if amount == 0 || T::Currency::transfer(&Self::pot(), who, amount, Preservation::Preserve).is_err() {
            return 0;
        }
        payout.left = payout.left.saturating_sub(amount);
        Self::deposit_event(Event::Rewarded { era, validator: validator.clone(), who: who.clone(), amount });
        amount
    }
}
