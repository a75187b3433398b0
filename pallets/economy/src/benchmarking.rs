//! Benchmarks of the calls and handlers, each at its worst case.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "never part of a chain's runtime: what goes wrong here is to stop a benchmark"
)]

use crate::{pallet::*, Supply};
use blyan_primitives::traits::{Payout, Pool};
use frame_benchmarking::v2::*;
use frame_support::{
    pallet_prelude::EnsureOrigin,
    traits::fungible::{Balanced, Inspect, Mutate},
};
use frame_system::RawOrigin;
use polkadot_sdk::*;

/// An amount that opens an account, many times over.
fn amount<T: Config>() -> Balance {
    T::Currency::minimum_balance() * 10
}

/// Fills the account of `who`, and gives it back.
fn rich<T: Config>(who: T::AccountId) -> T::AccountId {
    T::Currency::set_balance(&who, amount::<T>() * 10);
    who
}

#[benchmarks]
mod benchmarks {
    use super::*;

    // The pool's account exists, so that both are changed.
    #[benchmark]
    fn fund_pool() -> Result<(), BenchmarkError> {
        let who = rich::<T>(whitelisted_caller());
        let account = rich::<T>(Pallet::<T>::pool_account(Pool::Data));
        let before = T::Currency::balance(&account);

        #[extrinsic_call]
        _(RawOrigin::Signed(who), Pool::Data, amount::<T>());

        assert_eq!(T::Currency::balance(&account), before + amount::<T>());
        Ok(())
    }

    // The receiver's account is opened.
    #[benchmark]
    fn spend() -> Result<(), BenchmarkError> {
        let origin = T::TreasuryOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        rich::<T>(Pallet::<T>::treasury_account());
        let to: T::AccountId = account("to", 0, 0);

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, to.clone(), amount::<T>());

        assert_eq!(T::Currency::balance(&to), amount::<T>());
        Ok(())
    }

    // A part is in the pool's account, a part is minted, and the receiver's account is opened.
    #[benchmark]
    fn pay() -> Result<(), BenchmarkError> {
        let from = Pallet::<T>::pool_account(Pool::Learning);
        T::Currency::set_balance(&from, amount::<T>());
        let minted = T::Currency::minimum_balance();
        let held = Pallet::<T>::spendable(&from);
        let Supply { minted: before, .. } = Pallet::<T>::supply();
        let to: T::AccountId = account("to", 0, 0);
        let paid;

        #[block]
        {
            paid = Pallet::<T>::pay(Pool::Learning, &to, held + minted);
        }

        assert_eq!(paid, held + minted);
        assert_eq!(Minted::<T>::get(), before + minted);
        Ok(())
    }

    // Treasury and author exist, and each gets its share.
    #[benchmark]
    fn split_fees() -> Result<(), BenchmarkError> {
        rich::<T>(Pallet::<T>::treasury_account());
        let author = rich::<T>(account("author", 0, 0));
        let before = T::Currency::balance(&author);
        let to = Some(author.clone());
        Pallet::<T>::collect(T::Currency::issue(amount::<T>()), T::Currency::issue(amount::<T>()));

        #[block]
        {
            Pallet::<T>::split_fees(to);
        }

        assert!(T::Currency::balance(&author) >= before + amount::<T>());
        assert!(!Collected::<T>::exists());
        Ok(())
    }

    #[benchmark]
    fn split_slash() -> Result<(), BenchmarkError> {
        rich::<T>(Pallet::<T>::treasury_account());
        let slashed = T::Currency::issue(amount::<T>());
        let before = T::Currency::total_issuance();

        #[block]
        {
            Pallet::<T>::split_slash(slashed);
        }

        assert!(T::Currency::total_issuance() <= before);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
