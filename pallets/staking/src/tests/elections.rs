use crate::{mock::*, *};
use blyan_primitives::pact::Ppm;
use codec::Encode;
use frame_support::assert_ok;
use pallet_session::{
    DisabledValidators, ExternallySetKeys, NextKeys, QueuedChanged, QueuedKeys, SessionInterface, SessionManager,
};
use polkadot_sdk::*;
use sp_runtime::{testing::UintAuthorityId, RuntimeAppPublic};

/// The sets of the coming sessions, each when it has begun.
fn sets<const N: usize>() -> [Vec<u64>; N] {
    std::array::from_fn(|_| {
        run_to_session(Session::current_index() + 1);
        Session::validators()
    })
}

#[test]
fn a_set_that_stays_is_not_announced() {
    run(|| {
        for _ in 0..7 {
            run_to_session(Session::current_index() + 1);
            assert!(!QueuedChanged::<Test>::get());
        }
        assert_eq!(Session::validators(), GENESIS);
        // Elected it is, in every era.
        assert!((0..=2).all(|era| Exposures::<Test>::contains_key(era, 1)));
    });
}

#[test]
fn rotated_keys_are_announced_with_the_whole_set() {
    run(|| {
        NextKeys::<Test>::insert(1, Keys { dummy: UintAuthorityId(77) });
        run_to_session(1);
        assert!(QueuedChanged::<Test>::get());
        let queued = QueuedKeys::<Test>::get();
        assert_eq!(queued[0], (1, Keys { dummy: UintAuthorityId(77) }));
        assert_eq!(queued.len(), 4);
        run_to_session(2);
        assert!(!QueuedChanged::<Test>::get());
    });
}

#[test]
fn a_validator_without_keys_leaves_and_strangers_with_keys_do_not_come() {
    run(|| {
        set_keys(9);
        assert_ok!(Session::purge_keys(signed(1)));
        assert_eq!(sets(), [vec![1, 2, 3, 4], vec![2, 3, 4]]);
        run_to_era(1);
        assert_eq!(Session::validators(), [2, 3, 4]);
        set_keys(1);
        run_to_era(2);
        assert_eq!(Session::validators(), GENESIS);
    });
}

#[test]
fn purged_keys_are_registered_again_when_too_few_would_be_left() {
    run(|| {
        let keys = QueuedKeys::<Test>::get();
        // All of them are needed: with one less than the floor of two, nobody's purge has an effect.
        for who in [1, 2, 3] {
            assert_ok!(Session::purge_keys(signed(who)));
        }
        assert_eq!(sets(), [GENESIS.to_vec(), GENESIS.to_vec()]);
        assert_eq!(QueuedKeys::<Test>::get(), keys);
        assert!([1, 2, 3].iter().all(ExternallySetKeys::<Test>::contains_key));
        // With two, it has.
        for who in [1, 2] {
            assert_ok!(Session::purge_keys(signed(who)));
        }
        assert_eq!(sets(), [GENESIS.to_vec(), vec![3, 4]]);
        for who in [3, 4] {
            assert_ok!(Session::purge_keys(signed(who)));
        }
        assert_eq!(sets(), [vec![3, 4], vec![3, 4], vec![3, 4]]);
    });
}

#[test]
fn keys_that_another_account_has_now_are_not_taken_from_it() {
    run(|| {
        for who in [1, 2, 3] {
            assert_ok!(Session::purge_keys(signed(who)));
        }
        assert_ok!(<Session as SessionInterface>::set_keys(&9, Keys { dummy: UintAuthorityId(1) }));
        assert_eq!(sets(), [GENESIS.to_vec(), vec![2, 3, 4]]);
        assert_eq!(Session::key_owner(UintAuthorityId::ID, &1u64.encode()), Some(9));
    });
}

#[test]
fn a_candidate_is_elected_for_the_next_era() {
    run(|| {
        candidate(5, 20_000);
        run_to_session(2);
        assert_eq!(PlannedEra::<Test>::get(), 1);
        assert!(events().contains(&Event::Elected { era: 1, validators: 4 }));
        assert_eq!(Session::validators(), GENESIS);
        run_to_era(1);
        assert!(events().contains(&Event::EraStarted { era: 1 }));
        // Of the four with 10,000 the last account has to go.
        assert_eq!(Session::validators(), [1, 2, 3, 5]);
    });
}

#[test]
fn when_every_session_is_an_era_a_candidate_joins_two_sessions_later() {
    SessionsPerEra::set(1);
    run(|| {
        candidate(5, 20_000);
        assert_eq!(sets(), [GENESIS.to_vec(), vec![1, 2, 3, 5]]);
        assert_ok!(Staking::leave(signed(5)));
        assert_eq!(sets(), [vec![1, 2, 3, 5], GENESIS.to_vec()]);
    });
}

#[test]
fn delegations_count() {
    run(|| {
        candidate(5, 6_000);
        delegate(12, 5, 4_001);
        run_to_era(1);
        assert_eq!(Session::validators(), [1, 2, 3, 5]);
        assert_ok!(Staking::redelegate(signed(12), 5, 4, 4_001));
        run_to_era(2);
        assert_eq!(Session::validators(), [1, 2, 3, 4]);
    });
}

#[test]
fn without_keys_or_enough_of_its_own_at_stake_nobody_is_elected() {
    run(|| {
        assert_ok!(Staking::validate(signed(5), Ppm(0), 50_000));
        run_to_era(1);
        assert_eq!(Session::validators(), GENESIS);
        amend(|rules| rules.min_self_bond = BOND + 1);
        assert_ok!(Staking::bond_more(signed(3), 1));
        assert_ok!(Staking::bond_more(signed(4), 1));
        run_to_era(2);
        assert_eq!(Session::validators(), [3, 4]);
    });
}

#[test]
fn the_set_has_as_many_members_as_the_pact_allows() {
    run(|| {
        amend(|rules| rules.max_validators = 3);
        run_to_era(1);
        assert_eq!(Session::validators(), [1, 2, 3]);
        amend(|rules| rules.max_validators = 5);
        candidate(5, MIN_SELF);
        run_to_era(2);
        assert_eq!(Session::validators(), [1, 2, 3, 4, 5]);
    });
}

#[test]
fn the_set_never_shrinks_below_its_floor() {
    run(|| {
        amend(|rules| rules.min_validators = 3);
        for who in [1, 2, 3, 4] {
            assert_ok!(Staking::chill(signed(who)));
        }
        candidate(5, MIN_SELF);
        run_to_era(1);
        // Of the chilled, those with the most stake stay, ties going to the first account.
        assert_eq!(Session::validators(), [1, 2, 5]);
        // Who has left makes room for who is chilled, and stays when there is nobody else.
        assert_ok!(Staking::leave(signed(1)));
        run_to_era(2);
        assert_eq!(Session::validators(), [1, 2, 5]);
        assert_eq!(Exposures::<Test>::get(2, 1).unwrap().total, 0);
        assert_ok!(Staking::activate(signed(3)));
        run_to_era(3);
        assert_eq!(Session::validators(), [2, 3, 5]);
    });
}

#[test]
fn a_suspect_leaves_at_the_next_session() {
    run(|| {
        report(2, 10);
        let disabled = || DisabledValidators::<Test>::get().into_iter().map(|(index, _)| index).collect::<Vec<_>>();
        assert_eq!(disabled(), [1]);
        assert_eq!(Candidates::<Test>::get(2).unwrap().standing, Standing::Chilled);
        assert_eq!(sets(), [GENESIS.to_vec(), vec![1, 3, 4], vec![1, 3, 4]]);
        assert!(disabled().is_empty());
    });
}

#[test]
fn not_more_than_a_third_leaves_at_once_nor_below_the_floor() {
    run(|| {
        for who in [1, 2, 3] {
            report(who, 10);
        }
        // Two sessions of era 0, then the election takes who is left, and two of the suspects for the floor.
        run_to_session(2);
        assert_eq!(Session::validators(), [2, 3, 4]);
        run_to_era(1);
        assert_eq!(Session::validators(), [2, 4]);
        assert!(Exposures::<Test>::contains_key(1, 2));
        run_to_session(5);
        assert_eq!(Session::validators(), [2, 4]);
    });
}

#[test]
fn who_is_disabled_and_stays_is_enabled_by_the_next_change() {
    run(|| {
        amend(|rules| rules.min_validators = 4);
        report(2, 10);
        run_to_session(1);
        assert_eq!(DisabledValidators::<Test>::get().len(), 1);
        run_to_session(2);
        assert!(DisabledValidators::<Test>::get().is_empty());
        assert_eq!(Session::validators(), GENESIS);
    });
}

#[test]
fn historical_keys_are_kept_for_as_long_as_reports_are_taken() {
    run(|| {
        assert_eq!(Staking::reportable_sessions(), (UNBONDING - DISPUTE) * SESSIONS);
        run_to_session(9);
        let kept: Vec<_> = (0..=10).filter(|session| Historical::historical_root(session).is_some()).collect();
        assert_eq!(kept, (3..=10).collect::<Vec<_>>());
    });
}

#[test]
fn when_nobody_has_keys_nothing_is_announced() {
    run(|| {
        for who in GENESIS {
            NextKeys::<Test>::remove(who);
        }
        let plan = std::panic::catch_unwind(|| <Staking as SessionManager<u64>>::new_session(1));
        // The node's log says so; with debug assertions it stops.
        assert!(matches!(plan, Ok(None)) || cfg!(debug_assertions));
        for who in GENESIS {
            NextKeys::<Test>::insert(who, Keys { dummy: UintAuthorityId(who) });
        }
    });
}
