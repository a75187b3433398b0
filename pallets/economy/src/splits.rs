//! Where fees, tips and slashes go.

use crate::pallet::*;
use blyan_primitives::traits::PactProvider;
use core::marker::PhantomData;
use frame_support::{
    pallet_prelude::Get,
    traits::{fungible::Balanced, Imbalance, OnUnbalanced},
};
use polkadot_sdk::*;
use sp_runtime::traits::Zero;

/// Splits fees and tips, for `pallet_transaction_payment`'s `FungibleAdapter`. `Author` gives the author of the block.
pub struct DealWithFees<T, Author>(PhantomData<(T, Author)>);

impl<T: Config, Author: Get<Option<T::AccountId>>> OnUnbalanced<CreditOf<T>> for DealWithFees<T, Author> {
    // The adapter gives the fee first, then the tip, if there is one.
    fn on_unbalanceds(mut fee_then_tip: impl Iterator<Item = CreditOf<T>>) {
        let Some(fee) = fee_then_tip.next() else { return };
        let tip = fee_then_tip.fold(CreditOf::<T>::zero(), |tip, more| tip.merge(more));
        Pallet::<T>::split_fee(fee, tip, Author::get());
    }

    fn on_nonzero_unbalanced(fee: CreditOf<T>) {
        Pallet::<T>::split_fee(fee, CreditOf::<T>::zero(), Author::get());
    }
}

/// Splits what is slashed.
pub struct DealWithSlashes<T>(PhantomData<T>);

impl<T: Config> OnUnbalanced<CreditOf<T>> for DealWithSlashes<T> {
    fn on_nonzero_unbalanced(slashed: CreditOf<T>) {
        Pallet::<T>::split_slash(slashed);
    }
}

impl<T: Config> Pallet<T> {
    /// Burns a share of `fee`, gives one to the treasury, and the rest with all of `tip` to the author.
    pub(crate) fn split_fee(fee: CreditOf<T>, tip: CreditOf<T>, author: Option<T::AccountId>) {
        if fee.peek().is_zero() && tip.peek().is_zero() {
            return;
        }
        let (economy, amount) = (T::Pact::pact().economy, fee.peek());
        // Both shares are rounded down, and `split` never takes more than there is.
        let (mut burnt, rest) = fee.split(economy.fee_burn.of(amount));
        let (treasury, rest) = rest.split(economy.fee_treasury.of(amount));
        let treasury = Self::give_or_burn(Some(&Self::treasury_account()), treasury, &mut burnt);
        let author = Self::give_or_burn(author.as_ref(), rest.merge(tip), &mut burnt);
        let burnt = Self::burn(burnt);
        Self::deposit_event(Event::FeeSplit { burnt, treasury, author });
    }

    /// Gives a share of `slashed` to the treasury, and burns the rest.
    pub(crate) fn split_slash(slashed: CreditOf<T>) {
        let share = T::Pact::pact().economy.slash_treasury.of(slashed.peek());
        let (treasury, mut burnt) = slashed.split(share);
        let treasury = Self::give_or_burn(Some(&Self::treasury_account()), treasury, &mut burnt);
        let burnt = Self::burn(burnt);
        Self::deposit_event(Event::SlashSplit { burnt, treasury });
    }

    /// Gives `credit` to `to`, and says how much that was. Without a receiver, or with one whose account it would not suffice
    /// to open, it joins what is burnt: nobody gains by authoring from an account that does not exist.
    fn give_or_burn(to: Option<&T::AccountId>, credit: CreditOf<T>, burnt: &mut CreditOf<T>) -> Balance {
        let amount = credit.peek();
        if amount.is_zero() {
            return 0;
        }
        let refused = match to {
            Some(to) => T::Currency::resolve(to, credit).err(),
            None => Some(credit),
        };
        // Parts of one issuance do not overflow when they are put together.
        match refused {
            Some(credit) => {
                burnt.subsume(credit);
                0
            },
            None => amount,
        }
    }

    /// Takes `credit` out of issuance, which is what dropping it does.
    fn burn(credit: CreditOf<T>) -> Balance {
        credit.peek()
    }
}
