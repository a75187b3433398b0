//! Who leads, when a poll ends, and whether enough have voted.

use crate::{counting::*, Phase, Poll, Rules};
use blyan_primitives::{pact::Ppm, traits::PollResult};
use proptest::prelude::*;

fn poll(outcomes: usize) -> Poll<u64, u32> {
    Poll {
        subject: [0; 32],
        counts: vec![0; outcomes].try_into().unwrap(),
        leader: None,
        electorate: 10,
        rules: Rules { period: 100, confirm: 20, quorum: Ppm(300_000) },
        opened_at: 1_000,
        ends_at: 1_100,
        phase: Phase::Open,
        appeal: None,
    }
}

#[test]
fn who_has_most_votes_leads_and_a_tie_moves_nothing() {
    assert_eq!(leader(&[0, 0, 0], None), None);
    assert_eq!(leader(&[1, 3, 2], None), Some(1));
    assert_eq!(leader(&[3, 3, 2], Some(1)), Some(1));
    assert_eq!(leader(&[3, 3, 2], Some(0)), Some(0));
    assert_eq!(leader(&[4, 3, 2], Some(1)), Some(0));
}

#[test]
fn a_leader_that_loses_its_votes_leaves_the_lead_to_the_next() {
    assert_eq!(leader(&[1, 2, 2], Some(0)), Some(1));
    assert_eq!(leader(&[0, 0], Some(0)), None);
    assert_eq!(leader(&[], Some(0)), None);
}

#[test]
fn a_quorum_is_reached_by_its_share_and_by_one_vote_at_least() {
    assert!(reaches(3, Ppm(300_000), 10));
    assert!(!reaches(2, Ppm(300_000), 10));
    assert!(!reaches(3, Ppm(300_001), 10));
    assert!(reaches(1, Ppm(0), 10));
    assert!(!reaches(0, Ppm(0), 10));
    assert!(!reaches(0, Ppm(300_000), 0));
    assert!(reaches(u32::MAX, Ppm::ONE, u32::MAX));
}

#[test]
fn a_poll_ends_as_planned_when_nobody_overtakes_late() {
    let mut poll = poll(3);
    poll.replace(None, Some(1), 1_080);
    assert_eq!(poll.ends_at, 1_100);
    poll.replace(None, Some(1), 1_099);
    // A tie is no change of the lead.
    poll.replace(None, Some(0), 1_099);
    poll.replace(None, Some(0), 1_099);
    assert_eq!((poll.ends_at, poll.leader), (1_100, Some(1)));
}

#[test]
fn a_poll_is_prolonged_when_another_takes_the_lead_late() {
    let mut poll = poll(3);
    poll.replace(None, Some(1), 1_081);
    assert_eq!(poll.ends_at, 1_101);
    poll.replace(Some(1), Some(2), 1_095);
    assert_eq!((poll.ends_at, poll.leader), (1_115, Some(2)));
    // Nobody leads: there is nothing to confirm.
    poll.replace(Some(2), None, 1_114);
    assert_eq!((poll.ends_at, poll.leader), (1_115, None));
}

#[test]
fn a_poll_ends_after_twice_its_period_at_last() {
    let mut poll = poll(2);
    let mut now = 1_100;
    poll.replace(None, Some(0), now - 1);
    while now < poll.ends_at {
        let other = if poll.leader == Some(0) { 1 } else { 0 };
        poll.replace(poll.leader, Some(other), now);
        now += 1;
    }
    assert_eq!((now, poll.latest_end()), (1_200, 1_200));
}

#[test]
fn a_result_needs_the_quorum_of_the_members_of_then_or_of_now_whichever_are_more() {
    let mut poll = poll(2);
    assert_eq!(poll.result(0), PollResult::NoQuorum);
    for _ in 0..2 {
        poll.replace(None, Some(1), 1_001);
    }
    assert_eq!(poll.result(3), PollResult::NoQuorum);
    poll.replace(None, Some(0), 1_001);
    assert_eq!(poll.result(3), PollResult::Decided(1));
    assert_eq!(poll.result(10), PollResult::Decided(1));
    assert_eq!(poll.result(11), PollResult::NoQuorum);
}

proptest! {
    #[test]
    fn the_leader_has_most_votes(counts in proptest::collection::vec(0u32..4, 2..=8), incumbent in proptest::option::of(0u8..8)) {
        let most = counts.iter().max().copied().unwrap();
        match leader(&counts, incumbent) {
            None => prop_assert_eq!(most, 0),
            Some(outcome) => {
                prop_assert_eq!(counts[usize::from(outcome)], most);
                let kept = incumbent.filter(|kept| counts.get(usize::from(*kept)) == Some(&most));
                prop_assert!(kept.is_none_or(|kept| kept == outcome));
            },
        }
    }

    #[test]
    fn whoever_leads_at_the_end_has_led_for_the_confirmation_or_the_end_could_not_move_further(
        votes in proptest::collection::vec((proptest::option::of(0u8..3), 0u32..30), 1..80),
    ) {
        let mut poll = poll(3);
        let (mut now, mut led_since, mut cast) = (poll.opened_at, None, Vec::<u8>::new());
        for (vote, pause) in votes {
            now += pause;
            if !poll.is_open(now) {
                break;
            }
            let former = if vote.is_none() || pause % 2 == 0 { cast.pop() } else { None };
            cast.extend(vote);
            let leader = poll.leader;
            poll.replace(former, vote, now);
            if poll.leader != leader {
                led_since = Some(now);
            }
            prop_assert_eq!(sum(&poll.counts) as usize, cast.len());
        }
        prop_assert!((1_100..=poll.latest_end()).contains(&poll.ends_at));
        if poll.leader.is_some() {
            let confirmed = led_since.unwrap() + poll.rules.confirm;
            prop_assert!(confirmed <= poll.ends_at || poll.ends_at == poll.latest_end());
        }
    }
}
