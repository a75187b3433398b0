//! Appeals ask again, and cost a deposit when they change nothing.

use crate::{mock::*, Agenda, Error, Event, HoldReason, Phase, Rules};
use blyan_primitives::{
    pact::Ppm,
    traits::{PollId, PollResult},
};
use frame_support::{
    assert_noop, assert_ok,
    traits::{
        fungible::{Inspect, MutateHold},
        tokens::Precision,
    },
};
use polkadot_sdk::*;
use sp_runtime::{traits::BadOrigin, TokenError};

/// A poll that has decided for outcome 0, in its first block for appeals.
fn ended() -> PollId {
    let id = open(3);
    vote(id, [1, 2, 3], 0);
    run_to(1 + PERIOD);
    id
}

/// A poll like [`ended`], and the second one that account 20 has appealed with.
fn appealed() -> (PollId, PollId) {
    let first = ended();
    assert_ok!(Dao::appeal(signed(20), first));
    (first, first + 1)
}

const APPEALED_AT: u32 = 1 + PERIOD;

#[test]
fn an_appeal_opens_a_second_larger_poll() {
    run(|| {
        let (first, second) = appealed();
        System::assert_last_event(Event::PollAppealed { poll: first, by: second, who: 20, deposit: DEPOSIT }.into());
        let ends_at = APPEALED_AT + APPEAL_PERIOD;
        System::assert_has_event(
            Event::PollOpened { poll: second, subject: SUBJECT, outcomes: 3, ends_at, appeal_of: Some(first) }.into(),
        );
        let poll = Dao::poll(second).unwrap();
        assert_eq!(poll.rules, Rules { period: APPEAL_PERIOD, confirm: CONFIRM, quorum: Ppm(500_000) });
        assert_eq!((poll.counts.to_vec(), poll.subject), (vec![0; 3], SUBJECT));
        let result = PollResult::Decided(0);
        assert_eq!(Dao::poll(first).unwrap().phase, Phase::Appealed { result, by: second });
        assert_eq!(held(20), DEPOSIT);
        // The first waits for the second alone.
        assert_eq!(Agenda::<Test>::iter().collect::<Vec<_>>(), [(ends_at, second, ())]);
        assert_noop!(Dao::vote_poll(signed(1), first, 0), Error::<Test>::PollEnded);
        vote(second, [1], 1);
    });
}

#[test]
fn an_appeal_that_changes_the_result_gets_its_deposit_back() {
    run(|| {
        let (first, second) = appealed();
        vote(second, 1..=6, 2);
        run_to(APPEALED_AT + APPEAL_PERIOD);
        let result = PollResult::Decided(2);
        System::assert_has_event(Event::PollEnded { poll: second, result }.into());
        System::assert_has_event(Event::AppealDepositReturned { poll: second, who: 20, amount: DEPOSIT }.into());
        System::assert_last_event(Event::PollSettled { poll: first, subject: SUBJECT, result }.into());
        assert_eq!(Settled::get(), vec![(first, SUBJECT, result)]);
        assert_eq!((held(20), Balances::balance(&20)), (0, FUNDS));
        for id in [first, second] {
            assert_eq!(Dao::poll(id).unwrap().phase, Phase::Settled { result });
        }
    });
}

#[test]
fn an_appeal_that_confirms_the_result_loses_its_deposit() {
    run(|| {
        let (first, second) = appealed();
        vote(second, 1..=6, 0);
        run_to(APPEALED_AT + APPEAL_PERIOD);
        System::assert_has_event(Event::AppealDepositLost { poll: second, who: 20, amount: DEPOSIT }.into());
        assert_eq!(Settled::get(), vec![(first, SUBJECT, PollResult::Decided(0))]);
        assert_eq!((held(20), Balances::total_balance(&20)), (0, FUNDS - DEPOSIT));
        assert_eq!(Balances::balance(&TREASURER), FUNDS + DEPOSIT);
    });
}

#[test]
fn an_appeal_without_quorum_changes_nothing_and_loses_its_deposit() {
    run(|| {
        let (first, second) = appealed();
        vote(second, 1..=5, 2);
        run_to(APPEALED_AT + APPEAL_PERIOD);
        assert_eq!(Settled::get(), vec![(first, SUBJECT, PollResult::Decided(0))]);
        assert_eq!(Dao::poll(second).unwrap().phase, Phase::Settled { result: PollResult::NoQuorum });
        assert_eq!(Balances::total_balance(&20), FUNDS - DEPOSIT);
    });
}

#[test]
fn what_was_undecided_can_be_decided_on_appeal() {
    run(|| {
        let first = open(2);
        run_to(1 + PERIOD);
        assert_ok!(Dao::appeal(signed(20), first));
        vote(first + 1, 1..=6, 1);
        run_to(APPEALED_AT + APPEAL_PERIOD);
        assert_eq!(Settled::get(), vec![(first, SUBJECT, PollResult::Decided(1))]);
        assert_eq!(Balances::balance(&20), FUNDS);
    });
}

#[test]
fn who_asks_hears_of_one_end_and_one_result() {
    run(|| {
        let (first, second) = appealed();
        vote(second, 1..=6, 1);
        run_to(200);
        assert_eq!(Ended::get(), vec![(first, SUBJECT, PollResult::Decided(0))]);
        assert_eq!(Settled::get(), vec![(first, SUBJECT, PollResult::Decided(1))]);
    });
}

#[test]
fn an_appeal_is_made_in_time_and_once() {
    run(|| {
        assert_noop!(Dao::appeal(signed(20), 0), Error::<Test>::UnknownPoll);
        let first = open(3);
        assert_noop!(Dao::appeal(signed(20), first), Error::<Test>::PollNotEnded);
        assert_noop!(Dao::appeal(RuntimeOrigin::root(), first), BadOrigin);
        // The window is as long as the poll was.
        run_to(2 * PERIOD);
        assert_ok!(Dao::appeal(signed(20), first));
        assert_noop!(Dao::appeal(signed(19), first), Error::<Test>::AlreadyAppealed);
        let late = open(3);
        run_to(4 * PERIOD);
        assert_noop!(Dao::appeal(signed(20), late), Error::<Test>::PollFinal);
    });
}

#[test]
fn there_is_no_appeal_against_an_appeal() {
    run(|| {
        let (first, second) = appealed();
        assert_noop!(Dao::appeal(signed(19), second), Error::<Test>::PollFinal);
        run_to(APPEALED_AT + APPEAL_PERIOD);
        for id in [first, second] {
            assert_noop!(Dao::appeal(signed(19), id), Error::<Test>::PollFinal);
        }
    });
}

#[test]
fn an_appeal_needs_its_deposit() {
    run(|| {
        let first = ended();
        Terms::mutate(|pact| pact.governance.appeal_deposit = FUNDS + 1);
        assert_noop!(Dao::appeal(signed(20), first), TokenError::FundsUnavailable);
        assert_eq!((held(20), Dao::poll(first + 1)), (0, None));
    });
}

#[test]
fn deposits_of_several_appeals_add_up() {
    run(|| {
        let ids = [open(2), open(2), open(2)];
        run_to(1 + PERIOD);
        for id in ids {
            assert_ok!(Dao::appeal(signed(20), id));
        }
        assert_eq!(held(20), 3 * DEPOSIT);
        vote(4, 1..=6, 1);
        run_to(200);
        assert_eq!((held(20), Balances::total_balance(&20)), (0, FUNDS - 2 * DEPOSIT));
    });
}

#[test]
fn a_deposit_that_cannot_be_returned_is_lost() {
    run(|| {
        let (first, second) = appealed();
        vote(second, 1..=6, 2);
        // What is held is less than it should be, which only another pallet's fault can bring about.
        assert_ok!(Balances::release(&HoldReason::Appeal.into(), &20, 1, Precision::Exact));
        run_to(APPEALED_AT + APPEAL_PERIOD);
        System::assert_has_event(Event::AppealDepositLost { poll: second, who: 20, amount: DEPOSIT - 1 }.into());
        assert_eq!(Settled::get(), vec![(first, SUBJECT, PollResult::Decided(2))]);
        assert_eq!((held(20), Balances::balance(&TREASURER)), (0, FUNDS + DEPOSIT - 1));
    });
}

#[test]
fn the_end_of_an_appeal_moves_like_any_other() {
    run(|| {
        let (_, second) = appealed();
        run_to(APPEALED_AT + APPEAL_PERIOD - 1);
        vote(second, 1..=6, 2);
        run_to(APPEALED_AT + APPEAL_PERIOD);
        assert_eq!(Settled::get(), vec![]);
        run_to(APPEALED_AT + APPEAL_PERIOD - 1 + CONFIRM);
        assert_eq!(Settled::get().len(), 1);
    });
}
