//! Benchmarks of the calls and hooks, each at its worst case.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "never part of a chain's runtime: what goes wrong here is to stop a benchmark"
)]

mod setting;

use crate::{pallet::*, *};
use alloc::{vec, vec::Vec};
use blyan_primitives::{
    pact::Ppm,
    traits::{Slash, SlashId},
};
use frame_benchmarking::v2::*;
use frame_support::{
    pallet_prelude::Get,
    traits::{
        fungible::{Inspect, Mutate},
        EnsureOrigin,
    },
    BoundedVec,
};
use frame_system::RawOrigin;
use pallet_authorship::EventHandler;
use setting::*;
use sp_runtime::{Perbill, Percent};
use sp_staking::offence::{OffenceDetails, OnOffenceHandler};

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn validate() {
        let who = caller::<T>();
        let bond = Pallet::<T>::rules().min_self_bond;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), Ppm(0), bond);

        assert!(Candidates::<T>::contains_key(who));
    }

    // The poorest candidate has to go, and has a delegator.
    #[benchmark]
    fn validate_full() -> Result<(), BenchmarkError> {
        fill_candidates::<T>()?;
        let who = caller::<T>();
        let bond = Pallet::<T>::rules().min_self_bond * 4;

        #[extrinsic_call]
        validate(RawOrigin::Signed(who.clone()), Ppm(0), bond);

        assert!(Candidates::<T>::contains_key(who));
        assert_eq!(Leaving::<T>::decode_len(), Some(1));
        Ok(())
    }

    #[benchmark]
    fn bond_more() -> Result<(), BenchmarkError> {
        let who = caller::<T>();
        candidate::<T>(&who)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), 1);

        assert!(Candidates::<T>::get(who).is_some_and(|c| c.own > Pallet::<T>::rules().min_self_bond * 2));
        Ok(())
    }

    // All of it, with a delegator: the validator leaves.
    #[benchmark]
    fn unbond() -> Result<(), BenchmarkError> {
        let who = caller::<T>();
        candidate::<T>(&who)?;
        delegators::<T>(&who, 1)?;
        fill_unbonding::<T>(BondKind::Validator, &who)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), Pallet::<T>::rules().min_self_bond * 2);

        assert!(!Candidates::<T>::contains_key(who));
        Ok(())
    }

    #[benchmark]
    fn set_commission() -> Result<(), BenchmarkError> {
        let who = caller::<T>();
        candidate::<T>(&who)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), Ppm(1));

        assert!(Candidates::<T>::get(who).is_some_and(|c| c.commission == Ppm(1)));
        Ok(())
    }

    #[benchmark]
    fn chill() -> Result<(), BenchmarkError> {
        let who = caller::<T>();
        candidate::<T>(&who)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(Candidates::<T>::get(who).is_some_and(|c| c.standing == Standing::Chilled));
        Ok(())
    }

    #[benchmark]
    fn activate() -> Result<(), BenchmarkError> {
        let who = caller::<T>();
        candidate::<T>(&who)?;
        Pallet::<T>::do_chill(who.clone())?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(Candidates::<T>::get(who).is_some_and(|c| c.standing == Standing::Active));
        Ok(())
    }

    #[benchmark]
    fn leave() -> Result<(), BenchmarkError> {
        let who = caller::<T>();
        candidate::<T>(&who)?;
        delegators::<T>(&who, 1)?;
        fill_unbonding::<T>(BondKind::Validator, &who)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));

        assert!(!Candidates::<T>::contains_key(who));
        Ok(())
    }

    #[benchmark]
    fn delegate() -> Result<(), BenchmarkError> {
        let validator = candidates::<T>(1)?.remove(0);
        delegators::<T>(&validator, 1)?;
        expose::<T>(core::slice::from_ref(&validator));
        let who = caller::<T>();

        #[extrinsic_call]
        _(
            RawOrigin::Signed(who.clone()),
            validator.clone(),
            Pallet::<T>::rules().min_delegation,
            Percent::from_percent(50),
        );

        assert!(Delegations::<T>::contains_key(validator, who));
        Ok(())
    }

    // The smallest delegation has to go.
    #[benchmark]
    fn delegate_full() -> Result<(), BenchmarkError> {
        let validator = full_validator::<T>()?;
        let who = caller::<T>();
        let amount = Pallet::<T>::rules().min_delegation * 4;

        #[extrinsic_call]
        delegate(RawOrigin::Signed(who.clone()), validator.clone(), amount, Percent::from_percent(50));

        assert!(Delegations::<T>::contains_key(validator, who));
        Ok(())
    }

    // In the midst of copying.
    #[benchmark]
    fn delegate_more() -> Result<(), BenchmarkError> {
        let validator = candidates::<T>(1)?.remove(0);
        let who = caller::<T>();
        bond_delegation::<T>(&validator, &who)?;
        let era = expose::<T>(core::slice::from_ref(&validator));

        #[extrinsic_call]
        _(RawOrigin::Signed(who), validator.clone(), 1);

        assert!(Exposures::<T>::get(era, validator).is_some_and(|exposure| exposure.copied == 1));
        Ok(())
    }

    // All of it, in the midst of copying.
    #[benchmark]
    fn undelegate() -> Result<(), BenchmarkError> {
        let validator = candidates::<T>(1)?.remove(0);
        let who = caller::<T>();
        bond_delegation::<T>(&validator, &who)?;
        fill_unbonding::<T>(BondKind::Delegation, &who)?;
        let era = expose::<T>(core::slice::from_ref(&validator));

        #[extrinsic_call]
        _(RawOrigin::Signed(who), validator.clone(), Pallet::<T>::rules().min_delegation * 2);

        assert!(Exposures::<T>::get(era, validator).is_some_and(|exposure| exposure.copied == 1));
        Ok(())
    }

    // All of it, in the midst of copying, to a validator to which something is delegated already.
    #[benchmark]
    fn redelegate() -> Result<(), BenchmarkError> {
        let all = candidates::<T>(2)?;
        let who = caller::<T>();
        for validator in &all {
            bond_delegation::<T>(validator, &who)?;
        }
        let era = expose::<T>(&all);
        let (from, to) = (all[0].clone(), all[1].clone());

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), from, to.clone(), Pallet::<T>::rules().min_delegation * 2);

        assert!(Exposures::<T>::get(era, to).is_some_and(|exposure| exposure.copied == 1));
        Ok(())
    }

    // As before, where the smallest delegation has to go.
    #[benchmark]
    fn redelegate_full() -> Result<(), BenchmarkError> {
        let to = full_validator::<T>()?;
        let from = candidates::<T>(1)?.remove(0);
        let who = caller::<T>();
        bond_delegation::<T>(&from, &who)?;
        let amount = Pallet::<T>::rules().min_delegation * 4;
        Pallet::<T>::do_delegate_more(who.clone(), from.clone(), amount)?;
        expose::<T>(&[from.clone(), to.clone()]);

        #[extrinsic_call]
        redelegate(RawOrigin::Signed(who.clone()), from, to.clone(), amount);

        assert!(Delegations::<T>::contains_key(to, who));
        Ok(())
    }

    #[benchmark]
    fn set_auto_compound() -> Result<(), BenchmarkError> {
        let validator = candidates::<T>(1)?.remove(0);
        let who = caller::<T>();
        bond_delegation::<T>(&validator, &who)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), validator.clone(), Percent::from_percent(1));

        let share = Delegations::<T>::get(validator, who).map(|delegation| delegation.auto_compound);
        assert_eq!(share, Some(Percent::from_percent(1)));
        Ok(())
    }

    #[benchmark]
    fn bond_worker() {
        let who = caller::<T>();
        let amount = Pallet::<T>::rules().min_worker_bond;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), amount);

        assert_eq!(WorkerBonds::<T>::get(who).active, amount);
    }

    #[benchmark]
    fn unbond_worker() -> Result<(), BenchmarkError> {
        let who = caller::<T>();
        let amount = Pallet::<T>::rules().min_worker_bond;
        Pallet::<T>::do_bond_worker(who.clone(), amount)?;
        fill_unbonding::<T>(BondKind::Worker, &who)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), amount);

        assert_eq!(WorkerBonds::<T>::get(who).active, 0);
        Ok(())
    }

    // Everything that is on its way back is due.
    #[benchmark]
    fn withdraw() -> Result<(), BenchmarkError> {
        let who = caller::<T>();
        fill_unbonding::<T>(BondKind::Worker, &who)?;
        ActiveEra::<T>::put(T::MaxUnbonding::get());
        NextSlashEra::<T>::put(T::MaxUnbonding::get());

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), BondKind::Worker);

        assert!(Unbonding::<T>::get(BondKind::Worker, who).is_empty());
        Ok(())
    }

    #[benchmark]
    fn cancel_slash() -> Result<(), BenchmarkError> {
        let validator = candidates::<T>(1)?.remove(0);
        let charge = Charge::Validator { era: 0, fraction: Perbill::one() };
        Suspects::<T>::insert(&validator, 1);
        SlashesOf::<T>::insert(0, 1);
        let id: SlashId = Pallet::<T>::announce(validator, charge);
        let origin = T::CancelOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, id);

        assert!(!PendingSlashes::<T>::contains_key(id));
        Ok(())
    }

    #[benchmark]
    fn idle() {
        CopyingEra::<T>::kill();
        NextSlashEra::<T>::put(ActiveEra::<T>::get() + 1);
        NextPaid::<T>::put(ActiveEra::<T>::get());

        #[block]
        {
            Pallet::<T>::copy_step();
            Pallet::<T>::slash_step();
            Pallet::<T>::pay_step();
            Pallet::<T>::release_step();
            Pallet::<T>::prune_step();
        }
    }

    /// `n`: delegations, with the validator they are to.
    #[benchmark]
    fn copy(n: Linear<1, PAGE>) -> Result<(), BenchmarkError> {
        let validator = candidates::<T>(1)?.remove(0);
        delegators::<T>(&validator, n)?;
        let era = expose::<T>(core::slice::from_ref(&validator));

        #[block]
        {
            Pallet::<T>::copy_step();
        }

        assert!(Exposures::<T>::get(era, validator).is_some_and(|exposure| exposure.copied + 1 >= n));
        Ok(())
    }

    /// `n`: delegators, who lose all they have in every place there is.
    #[benchmark]
    fn slash(n: Linear<1, PAGE>) -> Result<(), BenchmarkError> {
        let all = candidates::<T>(T::MaxDelegations::get())?;
        let who: Vec<_> = (0..n).map(|index| funded::<T>("delegator", index)).collect();
        for delegator in &who {
            for validator in &all {
                bond_delegation::<T>(validator, delegator)?;
            }
            fill_unbonding::<T>(BondKind::Delegation, delegator)?;
        }
        let era = ActiveEra::<T>::get();
        let validator = all[0].clone();
        overexposed::<T>(&validator, &who, era)?;
        Suspects::<T>::insert(&validator, 1);
        SlashesOf::<T>::insert(era, 1);
        let charge = Charge::Validator { era, fraction: Perbill::one() };
        let id = NextSlash::<T>::get();
        // The offender itself has had its turn.
        let pending = PendingSlash { who: validator, charge, apply_at: era, steps: 1, taken: 0 };
        PendingSlashes::<T>::insert(id, pending);
        SlashQueue::<T>::insert(era, id, ());
        NextSlashEra::<T>::put(era);

        #[block]
        {
            Pallet::<T>::slash_step();
        }

        assert!(!PendingSlashes::<T>::contains_key(id));
        assert!(who.iter().all(|who| !Delegators::<T>::contains_key(who)));
        Ok(())
    }

    /// `n`: delegators, half of whose rewards are added to their delegations.
    #[benchmark]
    fn pay(n: Linear<1, PAGE>) -> Result<(), BenchmarkError> {
        let validator = candidates::<T>(1)?.remove(0);
        let who = delegators::<T>(&validator, n)?;
        let era = ActiveEra::<T>::get();
        overexposed::<T>(&validator, &who, era)?;
        let reward = Pallet::<T>::rules().min_self_bond * 1_000;
        T::Currency::set_balance(&Pallet::<T>::pot(), reward + T::Currency::minimum_balance());
        Payouts::<T>::insert(era, EraPayout { reward, blocks: 1, left: reward });
        Owed::<T>::put(reward);
        NextPaid::<T>::put(era);
        PayingNow::<T>::put(Paying { validator, earned: reward, page: 0 });
        ActiveEra::<T>::put(era + 1);

        #[block]
        {
            Pallet::<T>::pay_step();
        }

        assert!(!PayingNow::<T>::exists());
        assert!(Owed::<T>::get() < reward);
        Ok(())
    }

    /// `n`: delegations, in the midst of copying.
    #[benchmark]
    fn release(n: Linear<1, PAGE>) -> Result<(), BenchmarkError> {
        let validator = candidates::<T>(1)?.remove(0);
        for who in delegators::<T>(&validator, n)? {
            fill_unbonding::<T>(BondKind::Delegation, &who)?;
        }
        let era = expose::<T>(core::slice::from_ref(&validator));
        Pallet::<T>::do_leave(validator.clone())?;

        #[block]
        {
            Pallet::<T>::release_step();
        }

        assert_eq!(Delegations::<T>::iter_key_prefix(&validator).count(), 0);
        assert!(Exposures::<T>::get(era, validator).is_some_and(|exposure| exposure.copied == n));
        Ok(())
    }

    /// `n`: pages of an exposure.
    #[benchmark]
    fn prune(n: Linear<1, PAGE>) -> Result<(), BenchmarkError> {
        let who = funded::<T>("candidate", 0);
        let share = Share { who: who.clone(), amount: 1, auto_compound: Percent::zero() };
        let page = BoundedVec::try_from(vec![share; PAGE as usize]).map_err(|_| "a page")?;
        let era = NextPruned::<T>::get();
        for index in 0..n {
            ExposurePages::<T>::insert((era, &who, index), page.clone());
        }
        let rules = Pallet::<T>::rules();
        ActiveEra::<T>::put(era + rules.unbonding + rules.dispute + 1);
        NextPaid::<T>::put(era + 1);

        #[block]
        {
            Pallet::<T>::prune_step();
        }

        assert_eq!(ExposurePages::<T>::iter_key_prefix((era,)).count(), 0);
        Ok(())
    }

    #[benchmark]
    fn note_author() -> Result<(), BenchmarkError> {
        let validator = candidates::<T>(1)?.remove(0);
        ActiveEra::<T>::put(expose_all::<T>(core::slice::from_ref(&validator)));

        #[block]
        {
            <Pallet<T> as EventHandler<_, _>>::note_author(validator.clone());
        }

        assert_eq!(Blocks::<T>::get(ActiveEra::<T>::get(), validator), 1);
        Ok(())
    }

    /// `c`: candidates.
    #[benchmark]
    fn elect(c: Linear<1, { T::MaxCandidates::get() }>) -> Result<(), BenchmarkError> {
        let count = c.min(T::MaxCandidates::get() - Candidates::<T>::count());
        candidates::<T>(count)?;
        let era = PlannedEra::<T>::get() + 1;
        let rules = Pallet::<T>::rules();

        #[block]
        {
            Pallet::<T>::elect(era, &[], &rules);
        }

        assert!(Exposures::<T>::iter_key_prefix(era).next().is_some());
        Ok(())
    }

    #[benchmark]
    fn end_era() {
        EraBlocks::<T>::put(1);
        let era = ActiveEra::<T>::get();

        #[block]
        {
            Pallet::<T>::end_era(era);
        }

        assert!(Payouts::<T>::contains_key(era));
    }

    #[benchmark]
    fn on_offence() -> Result<(), BenchmarkError> {
        let validator = candidates::<T>(1)?.remove(0);
        let era = expose_all::<T>(core::slice::from_ref(&validator));
        let session = era * Pallet::<T>::sessions_per_era();
        let offence = [OffenceDetails { offender: (validator.clone(), ()), reporters: vec![] }];

        #[block]
        {
            <Pallet<T> as OnOffenceHandler<_, _, _>>::on_offence(&offence, &[Perbill::one()], session);
        }

        assert_eq!(Suspects::<T>::get(validator), 1);
        Ok(())
    }

    #[benchmark]
    fn slash_worker() -> Result<(), BenchmarkError> {
        let who = caller::<T>();
        Pallet::<T>::do_bond_worker(who.clone(), Pallet::<T>::rules().min_worker_bond)?;
        fill_unbonding::<T>(BondKind::Worker, &who)?;

        #[block]
        {
            <Pallet<T> as Slash<_>>::slash_worker(&who, Ppm::ONE).ok_or("something is at stake")?;
        }

        assert!(WorkerBonds::<T>::get(who).announced > 0);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::new_test_ext(), crate::mock::Test);
}
