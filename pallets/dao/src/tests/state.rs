//! What does not add up is seen.

use crate::{mock::*, Agenda, Behind, HoldReason, NextPoll, OpenPolls, Phase, PollOf, PollVotes, Polls, Votes};
use blyan_primitives::traits::PollResult;
use frame_support::{
    assert_ok,
    traits::{fungible::MutateHold, tokens::Precision},
};
use polkadot_sdk::*;

/// Corrupts a chain with a referendum, an open poll 0, a poll 1 that has ended, and a poll 2 that poll 3 is the appeal against,
/// and gives the reason for which it is refused.
fn seen(corrupt: impl FnOnce()) -> String {
    new_test_ext().execute_with(|| {
        let referendum = submit_to_pact();
        assert_ok!(Dao::vote(signed(1), referendum, true));
        let open_later = NextPoll::<Test>::get();
        NextPoll::<Test>::put(open_later + 1);
        assert_eq!((open(2), open(3)), (1, 2));
        vote(1, [1, 2, 3], 1);
        run_to(1 + PERIOD);
        assert_ok!(Dao::appeal(signed(20), 2));
        vote(3, [1], 1);
        NextPoll::<Test>::put(open_later);
        assert_eq!(open(2), 0);
        NextPoll::<Test>::put(4);
        vote(0, [1, 2], 1);
        assert_ok!(Dao::do_try_state());
        corrupt();
        let error: &str = Dao::do_try_state().unwrap_err().into();
        error.to_string()
    })
}

fn change(id: u32, change: fn(&mut PollOf<Test>)) {
    Polls::<Test>::mutate(id, |poll| change(poll.as_mut().unwrap()));
}

#[test]
fn votes_that_do_not_add_up_are_seen() {
    assert_eq!(seen(|| Votes::<Test>::insert(0, machine(2), true)), "a referendum's count is not that of its votes");
    assert_eq!(seen(|| Votes::<Test>::insert(0, machine(1), false)), "a referendum's count is not that of its votes");
    assert_eq!(seen(|| PollVotes::<Test>::insert(0, machine(9), 1)), "a poll's count is not that of its votes");
    assert_eq!(seen(|| PollVotes::<Test>::insert(0, machine(1), 0)), "a poll's count is not that of its votes");
    assert_eq!(seen(|| PollVotes::<Test>::remove(1, machine(1))), "a poll's count is not that of its votes");
    assert_eq!(seen(|| PollVotes::<Test>::insert(0, machine(1), 2)), "a vote is for no outcome");
    assert_eq!(seen(|| PollVotes::<Test>::insert(9, machine(1), 0)), "a vote is in no poll");
}

#[test]
fn polls_that_do_not_add_up_are_seen() {
    assert_eq!(seen(|| change(0, |poll| poll.leader = Some(0))), "a poll's leader does not lead");
    assert_eq!(seen(|| change(0, |poll| poll.leader = None)), "a poll's leader does not lead");
    assert_eq!(seen(|| change(0, |poll| poll.ends_at = poll.opened_at)), "a poll ends at no time for it");
    assert_eq!(seen(|| change(0, |poll| poll.ends_at = poll.latest_end() + 1)), "a poll ends at no time for it");
    assert_eq!(seen(|| NextPoll::<Test>::put(3)), "a poll has a number that is still to be given");
    assert_eq!(seen(|| OpenPolls::<Test>::remove(0)), "a poll is not listed as what it is");
    assert_eq!(seen(|| OpenPolls::<Test>::insert(1, ())), "a poll is not listed as what it is");
    assert_eq!(seen(|| OpenPolls::<Test>::insert(9, ())), "a poll is listed that does not exist");
}

#[test]
fn appeals_that_do_not_add_up_are_seen() {
    assert_eq!(seen(|| change(3, |poll| poll.appeal = None)), "an appeal has no poll");
    let other: fn(&mut PollOf<Test>) = |poll| poll.appeal.as_mut().unwrap().former = PollResult::Decided(0);
    assert_eq!(seen(|| change(3, other)), "an appeal's poll is about another");
    let settle: fn(&mut PollOf<Test>) = |poll| poll.phase = Phase::Settled { result: PollResult::NoQuorum };
    assert_eq!(seen(|| change(2, settle)), "a poll does not know the appeal against it");
    assert_eq!(seen(|| Polls::<Test>::remove(2)), "an appeal is against no poll");
}

#[test]
fn an_agenda_that_does_not_add_up_is_seen() {
    let ends_at = |id| Polls::<Test>::get(id).unwrap().ends_at;
    assert_eq!(seen(|| Agenda::<Test>::remove(ends_at(0), 0)), "a poll is not on the agenda");
    assert_eq!(seen(|| Agenda::<Test>::remove(1 + 2 * PERIOD, 1)), "a poll is not on the agenda");
    assert_eq!(seen(|| Agenda::<Test>::insert(99, 0, ())), "the agenda names a poll for another time");
    assert_eq!(seen(|| Agenda::<Test>::insert(99, 2, ())), "the agenda names a poll for another time");
    assert_eq!(seen(|| Agenda::<Test>::insert(99, 9, ())), "the agenda names a poll that does not exist");
    assert_eq!(seen(|| Behind::<Test>::put(99)), "work is left over from a block that is to come");
    assert_eq!(seen(|| System::set_block_number(1 + 2 * PERIOD)), "the agenda was passed over");
}

#[test]
fn deposits_that_do_not_add_up_are_seen() {
    let reason = || HoldReason::Appeal.into();
    let expected = "deposits for appeals are not what is held";
    assert_eq!(seen(|| Balances::hold(&reason(), &20, 1).unwrap()), expected);
    assert_eq!(
        seen(|| {
            assert_ok!(Balances::release(&reason(), &20, 1, Precision::Exact));
        }),
        expected
    );
}
