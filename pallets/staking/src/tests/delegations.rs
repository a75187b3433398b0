use crate::{mock::*, *};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use sp_runtime::{Percent, TokenError};

type E = Error<Test>;

fn delegated(who: u64, validator: u64) -> u128 {
    Delegations::<Test>::get(validator, who).map_or(0, |delegation| delegation.amount)
}

fn try_delegate(who: u64, validator: u64, amount: u128) -> sp_runtime::DispatchResult {
    Staking::delegate(signed(who), validator, amount, Percent::zero()).map(|_| ()).map_err(|error| error.error)
}

#[test]
fn an_account_delegates() {
    run(|| {
        let paid = Staking::delegate(signed(12), 1, 400, Percent::from_percent(30)).unwrap();
        assert_eq!(paid.actual_weight, Some(<Test as Config>::WeightInfo::delegate()));
        assert_eq!(last_event(), Event::Delegated { delegator: 12, validator: 1, amount: 400 });
        assert_ok!(Staking::delegate_more(signed(12), 1, 1));
        assert_eq!(last_event(), Event::Delegated { delegator: 12, validator: 1, amount: 1 });
        assert_eq!((delegated(12, 1), held(BondKind::Delegation, 12)), (401, 401));
        let candidate = Candidates::<Test>::get(1).unwrap();
        assert_eq!((candidate.delegated, candidate.delegators), (5_401, 2));
        let expected = DelegationStatus { validator: 1, amount: 401, auto_compound: Percent::from_percent(30) };
        assert_eq!(Staking::delegations(12), [expected]);
    });
}

#[test]
fn a_delegation_is_refused_that_is_unsound() {
    run(|| {
        assert_noop!(try_delegate(1, 1, 100), E::OwnValidator);
        assert_noop!(try_delegate(12, 5, 100), E::NotCandidate);
        assert_noop!(try_delegate(DELEGATOR, 1, 100), E::AlreadyDelegated);
        assert_noop!(try_delegate(12, 1, MIN_DELEGATION - 1), E::BelowMinDelegation);
        assert_noop!(try_delegate(12, 1, FUNDS), TokenError::FundsUnavailable);
        assert_noop!(Staking::delegate_more(signed(12), 1, 10), E::NotDelegated);
        assert_noop!(Staking::delegate_more(signed(12), 1, 0), E::ZeroAmount);
        assert_noop!(Staking::delegate_more(signed(DELEGATOR), 1, FUNDS), TokenError::FundsUnavailable);
    });
}

#[test]
fn an_account_delegates_to_so_many_validators() {
    run(|| {
        for validator in 1..=3 {
            delegate(12, validator, 100);
        }
        assert_noop!(try_delegate(12, 4, 100), E::TooManyDelegations);
        assert_noop!(Staking::redelegate(signed(12), 3, 4, 50), E::TooManyDelegations);
        // A delegation that moves as a whole leaves its place.
        assert_ok!(Staking::redelegate(signed(12), 3, 4, 100));
        assert_eq!(Delegators::<Test>::get(12).to_vec(), [1, 2, 4]);
    });
}

#[test]
fn a_larger_delegation_takes_the_place_of_the_smallest() {
    run(|| {
        for (who, amount) in [(12, 300), (13, 200), (14, 200)] {
            delegate(who, 1, amount);
        }
        assert_noop!(try_delegate(15, 1, 200), E::DelegatorsFull);
        let paid = Staking::delegate(signed(15), 1, 201, Percent::zero()).unwrap();
        assert_eq!(paid.actual_weight, None);
        assert!(events().contains(&Event::DelegationReplaced { delegator: 13, validator: 1, by: 15 }));
        assert!(events().contains(&Event::Undelegated { delegator: 13, validator: 1, amount: 200, due: 4 }));
        assert_eq!((delegated(13, 1), held(BondKind::Delegation, 13)), (0, 200));
        assert_eq!(Unbonding::<Test>::get(BondKind::Delegation, 13).to_vec(), [Chunk { amount: 200, due: 4 }]);

        delegate(16, 2, 1_000);
        assert_noop!(Staking::redelegate(signed(16), 2, 1, 200), E::DelegatorsFull);
        let paid = Staking::redelegate(signed(16), 2, 1, 250).unwrap();
        assert_eq!(paid.actual_weight, None);
        assert!(events().contains(&Event::DelegationReplaced { delegator: 14, validator: 1, by: 16 }));
        assert_eq!(Candidates::<Test>::get(1).unwrap().delegators, 4);
    });
}

#[test]
fn a_delegation_is_taken_back_down_to_the_least_or_whole() {
    run(|| {
        let undelegate = |who, amount| Staking::undelegate(signed(who), 1, amount);
        assert_noop!(undelegate(DELEGATOR, 0), E::ZeroAmount);
        assert_noop!(undelegate(12, 10), E::NotDelegated);
        assert_noop!(undelegate(DELEGATOR, 5_001), E::NotEnoughBonded);
        assert_noop!(undelegate(DELEGATOR, 4_951), E::BelowMinDelegation);
        assert_ok!(undelegate(DELEGATOR, 4_000));
        assert_eq!(last_event(), Event::Undelegated { delegator: DELEGATOR, validator: 1, amount: 4_000, due: 4 });
        assert_ok!(undelegate(DELEGATOR, 1_000));
        assert_eq!((delegated(DELEGATOR, 1), held(BondKind::Delegation, DELEGATOR)), (0, 5_000));
        assert!(Delegators::<Test>::get(DELEGATOR).is_empty());
        let candidate = Candidates::<Test>::get(1).unwrap();
        assert_eq!((candidate.delegated, candidate.delegators), (0, 0));
    });
}

#[test]
fn the_parts_on_their_way_back_are_bounded() {
    run(|| {
        for era in 0..4 {
            assert_ok!(Staking::undelegate(signed(DELEGATOR), 1, 10));
            run_to_era(era + 1);
        }
        assert_noop!(Staking::undelegate(signed(DELEGATOR), 1, 10), E::TooManyUnbonding);
    });
}

#[test]
fn a_delegation_moves_at_once() {
    run(|| {
        let paid = Staking::redelegate(signed(DELEGATOR), 1, 2, 2_000).unwrap();
        assert_eq!(paid.actual_weight, Some(<Test as Config>::WeightInfo::redelegate()));
        assert_eq!(last_event(), Event::Redelegated { delegator: DELEGATOR, from: 1, to: 2, amount: 2_000 });
        assert_eq!((delegated(DELEGATOR, 1), delegated(DELEGATOR, 2)), (3_000, 2_000));
        assert!(Unbonding::<Test>::get(BondKind::Delegation, DELEGATOR).is_empty());
        // What is there already grows by any amount.
        assert_ok!(Staking::redelegate(signed(DELEGATOR), 1, 2, 1));
        assert_eq!(held(BondKind::Delegation, DELEGATOR), 5_000);
        run_to_era(1);
        assert_eq!(Exposures::<Test>::get(1, 2).unwrap().total, BOND + 2_001);
    });
}

#[test]
fn a_move_is_refused_that_is_unsound() {
    run(|| {
        let redelegate = |who, from, to, amount| Staking::redelegate(signed(who), from, to, amount);
        delegate(2, 1, 100);
        assert_noop!(redelegate(DELEGATOR, 1, 2, 0), E::ZeroAmount);
        assert_noop!(redelegate(DELEGATOR, 1, 1, 10), E::SameValidator);
        assert_noop!(redelegate(2, 1, 2, 100), E::OwnValidator);
        assert_noop!(redelegate(12, 1, 2, 10), E::NotDelegated);
        assert_noop!(redelegate(DELEGATOR, 1, 2, 5_001), E::NotEnoughBonded);
        assert_noop!(redelegate(DELEGATOR, 1, 2, 4_999), E::BelowMinDelegation);
        assert_noop!(redelegate(DELEGATOR, 1, 2, MIN_DELEGATION - 1), E::BelowMinDelegation);
        assert_noop!(redelegate(DELEGATOR, 1, 5, 100), E::NotCandidate);
    });
}

#[test]
fn what_is_added_of_rewards_can_be_set() {
    run(|| {
        let share = Percent::from_percent(60);
        assert_noop!(Staking::set_auto_compound(signed(12), 1, share), E::NotDelegated);
        assert_ok!(Staking::set_auto_compound(signed(DELEGATOR), 1, share));
        assert_eq!(last_event(), Event::AutoCompoundSet { delegator: DELEGATOR, validator: 1, share });
        assert_eq!(Delegations::<Test>::get(1, DELEGATOR).unwrap().auto_compound, share);
    });
}
