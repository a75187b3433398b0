//! Referenda that are voted on, pass, fail, and dispatch their calls.

use crate::{mock::*, Error, Event, Origin, Polls, Tally, Votes};
use frame_support::{assert_noop, assert_ok, traits::VoteTally};
use frame_system::RawOrigin;
use polkadot_sdk::*;
use proptest::prelude::*;
use sp_runtime::{traits::BadOrigin, Perbill};

/// Ayes and nays.
fn count(referendum: u32) -> (u32, u32) {
    let tally = Dao::tally_of(referendum).unwrap();
    (tally.ayes, tally.nays)
}

#[test]
fn a_referendum_on_the_pact_passes_and_calls_with_the_pact_s_origin() {
    run(|| {
        let referendum = submit_to_pact();
        for who in 1..=7 {
            assert_ok!(Dao::vote(signed(who), referendum, true));
        }
        System::assert_last_event(
            Event::Voted { referendum, who: 7, machine: machine(7), aye: true, ayes: 7, nays: 0 }.into(),
        );
        run_to(4);
        assert!(!approved(referendum));
        run_to(8);
        assert!(approved(referendum));
        // Only governance can open a poll by a call.
        assert_eq!(Polls::<Test>::get(0).map(|poll| poll.subject), Some(SUBJECT));
    });
}

#[test]
fn a_referendum_on_another_track_cannot_call_for_the_pact() {
    run(|| {
        let referendum = submit(Origin::Treasury, proposal()).unwrap();
        for who in 1..=12 {
            assert_ok!(Dao::vote(signed(who), referendum, true));
        }
        run_to(10);
        assert!(approved(referendum));
        assert_eq!(Polls::<Test>::iter().count(), 0);
        let results: Vec<_> = System::events()
            .into_iter()
            .filter_map(|record| match record.event {
                RuntimeEvent::Scheduler(pallet_scheduler::Event::Dispatched { id: Some(_), result, .. }) => {
                    Some(result)
                },
                _ => None,
            })
            .collect();
        assert_eq!(results, [Err(BadOrigin.into())]);
    });
}

#[test]
fn root_is_reached_by_its_own_track() {
    run(|| {
        let referendum = submit(RawOrigin::Root, proposal()).unwrap();
        for who in 1..=9 {
            assert_ok!(Dao::vote(signed(who), referendum, true));
        }
        run_to(10);
        assert!(approved(referendum) && Polls::<Test>::contains_key(0));
    });
}

#[test]
fn too_little_support_fails() {
    run(|| {
        let referendum = submit_to_pact();
        // One of twelve is less than the tenth that is needed in the end.
        assert_ok!(Dao::vote(signed(1), referendum, true));
        run_to(80);
        assert!(rejected(referendum));
        assert_eq!(Polls::<Test>::iter().count(), 0);
    });
}

#[test]
fn too_little_approval_fails() {
    run(|| {
        let referendum = submit_to_pact();
        for who in 1..=12 {
            assert_ok!(Dao::vote(signed(who), referendum, who <= 5));
        }
        assert_eq!(count(referendum), (5, 7));
        run_to(80);
        assert!(rejected(referendum));
    });
}

#[test]
fn little_support_is_enough_in_the_end_where_nobody_is_against_it() {
    run(|| {
        let referendum = submit_to_pact();
        for who in 1..=2 {
            assert_ok!(Dao::vote(signed(who), referendum, true));
        }
        run_to(40);
        assert!(!approved(referendum));
        run_to(80);
        assert!(approved(referendum));
    });
}

#[test]
fn a_vote_can_be_changed_and_taken_back_until_the_end() {
    run(|| {
        let referendum = submit_to_pact();
        assert_ok!(Dao::vote(signed(1), referendum, true));
        assert_ok!(Dao::vote(signed(1), referendum, true));
        assert_ok!(Dao::vote(signed(2), referendum, false));
        assert_eq!(count(referendum), (1, 1));
        assert_ok!(Dao::vote(signed(1), referendum, false));
        assert_eq!((count(referendum), Dao::vote_on(referendum, machine(1))), ((0, 2), Some(false)));
        assert_ok!(Dao::remove_vote(signed(1), referendum));
        System::assert_last_event(
            Event::VoteRemoved { referendum, who: 1, machine: machine(1), ayes: 0, nays: 1 }.into(),
        );
        assert_eq!((count(referendum), Dao::vote_on(referendum, machine(1))), ((0, 1), None));
        assert_noop!(Dao::remove_vote(signed(1), referendum), Error::<Test>::NotVoted);
    });
}

#[test]
fn a_machine_counts_once_though_two_accounts_use_it_in_turn() {
    run(|| {
        let referendum = submit_to_pact();
        assert_ok!(Dao::vote(signed(1), referendum, true));
        // A registry that cannot tell since when.
        bind(15, machine(1), None);
        assert_noop!(Dao::vote(signed(1), referendum, true), Error::<Test>::NotAMember);
        assert_ok!(Dao::vote(signed(15), referendum, true));
        assert_eq!(count(referendum), (1, 0));
        assert_ok!(Dao::vote(signed(15), referendum, false));
        assert_eq!(count(referendum), (0, 1));
        // And back, after leaving and binding again.
        unbind(15);
        bind(1, machine(1), Some(0));
        assert_ok!(Dao::vote(signed(1), referendum, true));
        assert_eq!(count(referendum), (1, 0));
        assert_eq!(Votes::<Test>::iter().count(), 1);
    });
}

#[test]
fn a_machine_that_was_bound_after_the_submission_does_not_vote_on_it() {
    run(|| {
        let early = submit_to_pact();
        assert_ok!(Dao::vote(signed(1), early, true));
        run_to(2);
        bind(15, machine(1), Some(2));
        bind(16, machine(16), Some(2));
        for who in [15, 16] {
            assert_noop!(Dao::vote(signed(who), early, false), Error::<Test>::BoundTooLate);
            assert_noop!(Dao::remove_vote(signed(who), early), Error::<Test>::BoundTooLate);
        }
        assert_eq!(count(early), (1, 0));
        let late = submit_to_pact();
        assert_ok!(Dao::vote(signed(15), late, false));
        assert_ok!(Dao::vote(signed(16), late, false));
        assert_eq!(count(late), (0, 2));
    });
}

#[test]
fn who_has_no_machine_does_not_vote() {
    run(|| {
        let referendum = submit_to_pact();
        assert_noop!(Dao::vote(signed(15), referendum, true), Error::<Test>::NotAMember);
        assert_noop!(Dao::remove_vote(signed(15), referendum), Error::<Test>::NotAMember);
        assert_noop!(Dao::vote(RuntimeOrigin::root(), referendum, true), BadOrigin);
    });
}

#[test]
fn there_is_no_vote_on_what_is_not_ongoing() {
    run(|| {
        assert_noop!(Dao::vote(signed(1), 0, true), Error::<Test>::ReferendumNotOngoing);
        assert_noop!(Dao::remove_vote(signed(1), 0), Error::<Test>::ReferendumNotOngoing);
        let (passing, failing, cancelled) = (submit_to_pact(), submit_to_pact(), submit_to_pact());
        for who in 1..=12 {
            assert_ok!(Dao::vote(signed(who), passing, true));
        }
        assert_ok!(Referenda::cancel(RuntimeOrigin::root(), cancelled));
        run_to(80);
        assert!(approved(passing) && rejected(failing));
        for ended in [passing, failing, cancelled] {
            assert_noop!(Dao::vote(signed(1), ended, false), Error::<Test>::ReferendumNotOngoing);
            assert_noop!(Dao::remove_vote(signed(1), ended), Error::<Test>::ReferendumNotOngoing);
            assert_eq!(Dao::tally_of(ended), None);
        }
    });
}

#[test]
fn support_is_of_the_members_of_the_submission_or_of_now_whichever_are_more() {
    run(|| {
        let mut tally = Tally::<Test>::new(0);
        assert_eq!((tally.electorate, tally.opened_at), (12, 1));
        tally.ayes = 6;
        let percent = Perbill::from_percent;
        assert_eq!((tally.support(0), tally.approval(0)), (percent(50), percent(100)));
        for who in 7..=12 {
            unbind(who);
        }
        assert_eq!(tally.support(0), percent(50));
        for who in 7..=24 {
            bind(who, machine(who), Some(1));
        }
        assert_eq!(tally.support(0), percent(25));
    });
}

#[test]
fn nothing_is_supported_or_approved_of_without_votes_or_members() {
    run(|| {
        Machines::set(Default::default());
        let tally = Tally::<Test>::new(0);
        assert_eq!((tally.support(0), tally.approval(0)), (Perbill::zero(), Perbill::zero()));
        assert_eq!(VoteTally::<u32, crate::TrackId>::ayes(&tally, 0), 0);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_count_is_that_of_the_machines_last_votes(
        // An account, a machine that it takes over first, and what it does: vote nay, vote aye, take its vote back.
        steps in proptest::collection::vec((1u64..=6, proptest::option::of(1u64..=6), 0u8..3), 1..60),
    ) {
        new_test_ext().execute_with(|| {
            let referendum = submit_to_pact();
            let mut votes = std::collections::BTreeMap::new();
            for (who, takes, what) in steps {
                if let Some(taken) = takes {
                    bind(who, machine(taken), None);
                }
                let Some((machine, _)) = Machines::get().get(&who).copied() else { continue };
                if what == 2 {
                    let had = votes.remove(&machine).is_some();
                    prop_assert_eq!(Dao::remove_vote(signed(who), referendum).is_ok(), had);
                } else {
                    votes.insert(machine, what == 1);
                    prop_assert_eq!(Dao::vote(signed(who), referendum, what == 1), Ok(()));
                }
                let ayes = votes.values().filter(|aye| **aye).count() as u32;
                prop_assert_eq!(count(referendum), (ayes, votes.len() as u32 - ayes));
                prop_assert_eq!(Dao::do_try_state(), Ok(()));
            }
            Ok(())
        })?;
    }
}
