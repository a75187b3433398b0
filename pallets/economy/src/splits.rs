//! Where fees, tips and slashes go.

use crate::pallet::*;
use blyan_primitives::traits::PactProvider;
use core::marker::PhantomData;
use frame_support::traits::{fungible::Balanced, Imbalance, OnUnbalanced, SuppressedDrop};
use polkadot_sdk::*;
use sp_runtime::traits::Zero;

/// Collects fees and tips, for `pallet_transaction_payment`'s `FungibleAdapter`, until they are split when the block ends.
pub struct DealWithFees<T>(PhantomData<T>);

impl<T: Config> OnUnbalanced<CreditOf<T>> for DealWithFees<T> {
    // The adapter gives the fee first, then the tip, if there is one.
    fn on_unbalanceds(mut fee_then_tip: impl Iterator<Item = CreditOf<T>>) {
        let Some(fee) = fee_then_tip.next() else { return };
        let tip = fee_then_tip.fold(CreditOf::<T>::zero(), |tip, more| tip.merge(more));
        Pallet::<T>::collect(fee, tip);
    }

    fn on_nonzero_unbalanced(fee: CreditOf<T>) {
        Pallet::<T>::collect(fee, CreditOf::<T>::zero());
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
    /// Adds what a transaction has paid to what the block has collected. Each transaction pays for this, so that it is no more
    /// than two additions.
    pub(crate) fn collect(fee: CreditOf<T>, tip: CreditOf<T>) {
        if fee.peek().is_zero() && tip.peek().is_zero() {
            return;
        }
        // Parts of one issuance do not overflow when they are put together.
        Collected::<T>::mutate(|(fees, tips)| {
            fees.as_mut().subsume(fee);
            tips.as_mut().subsume(tip);
        });
    }

    /// Splits what the block has collected: burns a share of the fees, gives one to the treasury, and the rest with all tips to
    /// `author`.
    pub(crate) fn split_fees(author: Option<T::AccountId>) {
        let (fee, tip) = Collected::<T>::take();
        let (fee, tip) = (fee.into_inner(), tip.into_inner());
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
        Self::deposit_event(Event::FeesSplit { burnt, treasury, author });
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
