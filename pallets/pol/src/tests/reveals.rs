use super::support::*;
use crate::{mock::*, Committee, Committees, Phase, Seats};
use blyan_primitives::pol::{commitment, Finding, Reveal};
use codec::Encode;
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;

type Origin = RuntimeOrigin;

#[test]
fn only_members_have_a_say_and_only_when_it_is_due() {
    ext().execute_with(|| {
        start(vec![delta(1)]);
        run_to_next_phase();
        assert_noop!(Pol::vote_availability(Origin::signed(9), ROUND, 1, false), E::NotOnCommittee);
        assert_noop!(Pol::vote_availability(Origin::signed(1), 99, 1, false), E::UnknownEvaluation);
        assert_noop!(Pol::commit(Origin::signed(1), ROUND, [1; 32]), E::WrongPhase);
        for who in members() {
            Pol::vote_availability(Origin::signed(who), ROUND, 1, false).unwrap();
        }
        run_to_next_phase();
        assert_noop!(Pol::vote_availability(Origin::signed(1), ROUND, 1, false), E::WrongPhase);
        assert_noop!(Pol::commit(Origin::signed(9), ROUND, [1; 32]), E::NotOnCommittee);
        let found = reveal(&scores(&evaluation().layout));
        assert_noop!(Pol::reveal(Origin::signed(1), ROUND, SALT, Box::new(found.clone())), E::WrongPhase);
        commit(1, &found);
        run_to_next_phase();
        assert_noop!(Pol::reveal(Origin::signed(9), ROUND, SALT, Box::new(found)), E::NotOnCommittee);
    });
}

#[test]
fn a_reveal_is_what_was_committed_to() {
    ext().execute_with(|| {
        start(vec![delta(1)]);
        all_available();
        let layout = evaluation().layout;
        let (found, other) = (reveal(&scores(&layout)), reveal(&scores_without(&layout, &[0])));
        let tell =
            |who, salt, reveal: &_| Pol::reveal(Origin::signed(who), ROUND, salt, Box::new(Clone::clone(reveal)));
        commit(1, &other);
        commit(1, &found);
        // Whoever copies a commitment cannot reveal it: the account is part of it.
        let copied = Seats::<Test>::get(ROUND, 1).unwrap().commitment.unwrap();
        Pol::commit(Origin::signed(2), ROUND, copied).unwrap();
        run_to_next_phase();
        assert_noop!(tell(1, SALT, &other), E::NotCommitted);
        assert_noop!(tell(1, [6; 32], &found), E::NotCommitted);
        assert_noop!(tell(2, SALT, &found), E::NotCommitted);
        assert_noop!(tell(3, SALT, &found), E::NotCommitted);
        assert_ok!(tell(1, SALT, &found));
        assert_noop!(tell(1, SALT, &found), E::AlreadyRevealed);
    });
}

#[test]
fn a_reveal_that_contradicts_itself_is_none() {
    ext().execute_with(|| {
        start(vec![delta(1)]);
        all_available();
        let mut found = reveal(&scores(&evaluation().layout));
        found.candidate = None;
        commit(1, &found);
        run_to_next_phase();
        let told = Pol::reveal(Origin::signed(1), ROUND, SALT, Box::new(found.clone()));
        assert_noop!(told, E::Inconsistent);
        assert_eq!(
            commitment(ROUND.into(), &1u64.encode(), &SALT, &found.hash()),
            Seats::<Test>::get(ROUND, 1).unwrap().commitment.unwrap()
        );
        run_to_next_phase();
        assert_eq!(slashed(), [1, 2, 3, 4, 5]);
    });
}

#[test]
fn what_deltas_are_is_what_most_say() {
    ext().execute_with(|| {
        start(vec![delta(1), delta(1)]);
        all_available();
        let found = reveal(&scores(&evaluation().layout));
        let mut copies = found.clone();
        copies.deltas[1].finding = Finding::Copy(0);
        let all = [(1, copies.clone()), (2, copies.clone()), (3, copies.clone()), (4, copies), (5, found)];
        commit_and_reveal(&all);
        assert_eq!(run_to_next_phase(), Phase::Over);
        assert_eq!(slashed(), [5]);
        let verdict = Decided::get().pop().unwrap().1.unwrap();
        assert_eq!(verdict.evaluators.len(), 4);
    });
}

#[test]
fn without_most_on_one_side_nothing_is_decided() {
    ext().execute_with(|| {
        start(vec![delta(1), delta(1)]);
        all_available();
        let found = reveal(&scores(&evaluation().layout));
        let mut copies = found.clone();
        copies.deltas[1].finding = Finding::Copy(0);
        let all = [(1, copies.clone()), (2, copies.clone()), (3, copies), (4, found.clone()), (5, found)];
        commit_and_reveal(&all);
        assert_eq!(run_to_next_phase(), Phase::Waiting);
        assert_eq!(slashed(), Vec::<u64>::new());
    });
}

/// Three members, the first of whom has three votes of five, and the two deltas of their round.
fn with_a_large_one(test: impl FnOnce()) {
    ext_with(3).execute_with(|| {
        Staked::mutate(|staked| staked.insert(1, 300 * BLY));
        Pol::refresh(Origin::signed(1), 1).unwrap();
        start(vec![delta(1), delta(1)]);
        assert_eq!(run_to_next_phase(), Phase::Availability);
        assert_eq!(Committees::<Test>::get(ROUND), Committee { members: 3, votes: 5 });
        assert_eq!([1, 2, 3].map(|who| Seats::<Test>::get(ROUND, who).unwrap().votes), [3, 1, 1]);
        test();
    });
}

/// Says of what each has which of the deltas are measured.
fn measured(available: [u32; 3]) -> Vec<u32> {
    for (who, available) in (1..).zip(available) {
        Pol::vote_availability(Origin::signed(who), ROUND, available, false).unwrap();
    }
    assert_eq!(run_to_next_phase(), Phase::Commit);
    evaluation().deltas.iter().map(|(index, _)| *index).collect()
}

/// Members reveal one of two findings.
fn find(are_copies: [bool; 3]) -> Phase {
    let found = reveal(&scores(&evaluation().layout));
    let mut copies = found.clone();
    copies.deltas[1].finding = Finding::Copy(0);
    let found = are_copies.map(|is_copy| if is_copy { copies.clone() } else { found.clone() });
    commit_and_reveal(&(1..).zip(found).collect::<Vec<(u64, Reveal)>>());
    run_to_next_phase()
}

#[test]
fn availability_is_counted_by_votes() {
    // Two of three have the second delta, with two votes of five.
    with_a_large_one(|| assert_eq!(measured([0b01, 0b11, 0b10]), [0]));
    with_a_large_one(|| assert_eq!(measured([0b11, 0b10, 0b01]), [0, 1]));
}

#[test]
fn findings_are_counted_by_votes() {
    with_a_large_one(|| {
        measured([0b11; 3]);
        assert_eq!(find([true, true, false]), Phase::Over);
        assert_eq!(slashed(), [3]);
        let mut evaluators = Decided::get().pop().unwrap().1.unwrap().evaluators;
        evaluators.sort_unstable();
        assert_eq!(evaluators, [(1, 3), (2, 1)]);
    });
    // Two of three are not enough with two votes, and one is not with three.
    with_a_large_one(|| {
        measured([0b11; 3]);
        assert_eq!(find([true, false, false]), Phase::Waiting);
        assert_eq!(slashed(), Vec::<u64>::new());
    });
}
