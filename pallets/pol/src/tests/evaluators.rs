use crate::{mock::*, Enrolled, Evaluators, Event};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;

type Origin = RuntimeOrigin;

#[test]
fn who_evaluates_and_has_something_at_stake_can_be_drawn() {
    ext_with(3).execute_with(|| {
        assert_eq!(Enrolled::<Test>::get(), 3);
        assert_noop!(Pol::enrol(Origin::signed(1)), E::AlreadyEnrolled);
        assert_noop!(Pol::enrol(Origin::signed(9)), E::NotAnEvaluator);
        Staked::mutate(|staked| staked.insert(9, BLY));
        assert_noop!(Pol::enrol(Origin::signed(9)), E::NotAnEvaluator);
        Staked::mutate(|staked| staked.insert(9, 10 * BLY));
        assert_ok!(Pol::enrol(Origin::signed(9)));
        System::assert_last_event(Event::Enrolled { who: 9, stake: 10 * BLY }.into());
        Pol::do_try_state().unwrap();
    });
}

#[test]
fn the_last_one_takes_the_place_of_who_leaves() {
    ext_with(5).execute_with(|| {
        assert_noop!(Pol::leave(Origin::signed(9)), E::NotEnrolled);
        for who in [2, 5, 1, 3, 4] {
            assert_ok!(Pol::leave(Origin::signed(who)));
            System::assert_last_event(Event::Left { who }.into());
            Pol::do_try_state().unwrap();
        }
        assert_eq!(Enrolled::<Test>::get(), 0);
    });
}

#[test]
fn stakes_are_taken_over_by_whom_it_matters_to() {
    ext_with(3).execute_with(|| {
        assert_noop!(Pol::refresh(Origin::signed(1), 9), E::NotEnrolled);
        assert_noop!(Pol::refresh(Origin::signed(1), 2), E::StakeUnchanged);
        Staked::mutate(|staked| staked.insert(2, 50 * BLY));
        assert_ok!(Pol::refresh(Origin::signed(1), 2));
        System::assert_last_event(Event::StakeRefreshed { who: 2, stake: 50 * BLY }.into());
        assert_eq!(Evaluators::<Test>::get(2).unwrap().stake, 50 * BLY);
        Pol::do_try_state().unwrap();
        // Nothing is left at stake.
        Staked::mutate(|staked| staked.remove(&2));
        assert_ok!(Pol::refresh(Origin::signed(1), 2));
        assert_eq!(Evaluators::<Test>::get(2), None);
        Pol::do_try_state().unwrap();
    });
}

#[test]
fn who_is_on_a_committee_stays() {
    ext().execute_with(|| {
        start(vec![delta(1)]);
        run_to_next_phase();
        assert_noop!(Pol::leave(Origin::signed(1)), E::Seated);
        Staked::mutate(|staked| staked.remove(&1));
        assert_ok!(Pol::refresh(Origin::signed(2), 1));
        assert_eq!(Evaluators::<Test>::get(1).unwrap().stake, 0);
        Pol::do_try_state().unwrap();
    });
}

#[test]
fn there_are_no_more_evaluators_than_leaves() {
    ext_with(1).execute_with(|| {
        Enrolled::<Test>::put(blyan_primitives::pol::MAX_LEAVES);
        Staked::mutate(|staked| staked.insert(2, 100 * BLY));
        assert_noop!(Pol::enrol(Origin::signed(2)), E::TooManyEvaluators);
    });
}
