use super::support::*;
use crate::{mock::*, Drawable, Event, Given, HiddenSets, Phase, Purpose, Sets};
use blyan_primitives::{
    dispute::example::FEW_ITEMS,
    ids::ContentHash,
    learning::ItemSets,
    pol::{Set, MAX_SETS},
};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use sp_runtime::DispatchError::BadOrigin;

type Origin = RuntimeOrigin;

/// There is a hidden set.
fn hide() -> ContentHash {
    let block = world(|world| world.smaller[1]);
    assert_ok!(Pol::add_hidden_set(Origin::root(), block, ENCRYPTED, STEWARD));
    block
}

/// A committee is drawn; so many of its members can read the hidden set.
fn vote(readers: u64) {
    for who in members() {
        Pol::vote_availability(Origin::signed(who), ROUND, u32::MAX, who <= readers).unwrap();
    }
    assert_eq!(run_to_next_phase(), Phase::Commit);
}

#[test]
fn a_hidden_set_has_a_steward_and_another_block() {
    ext().execute_with(|| {
        let block = world(|world| world.item.block);
        Pol::remove_set(Origin::root(), block).unwrap();
        assert_noop!(Pol::add_hidden_set(Origin::signed(STEWARD), block, ENCRYPTED, STEWARD), BadOrigin);
        assert_noop!(Pol::add_set(Origin::root(), block, Purpose::Hidden), E::NotEncrypted);
        assert_noop!(Pol::add_hidden_set(Origin::root(), block, block, STEWARD), E::NotEncrypted);
        assert_ok!(Pol::add_hidden_set(Origin::root(), block, ENCRYPTED, STEWARD));
        assert_noop!(Pol::add_hidden_set(Origin::root(), block, ENCRYPTED, STEWARD), E::SetExists);
        // Nobody trains on what nobody can read.
        assert_eq!(Pol::training_items(block), None);
        assert_ok!(Pol::remove_set(Origin::root(), block));
        assert!(HiddenSets::<Test>::get(block).is_none());
    });
}

#[test]
fn its_key_is_revealed_once_by_its_steward_and_not_too_early() {
    ext().execute_with(|| {
        let block = hide();
        let reveal = |who| Pol::reveal_key(Origin::signed(who), block, KEY);
        assert_noop!(Pol::reveal_key(Origin::signed(STEWARD), ENCRYPTED, KEY), E::UnknownSet);
        assert_noop!(reveal(1), E::NotSteward);
        assert_noop!(reveal(STEWARD), E::StillHidden);
        start(vec![delta(1)]);
        assert_noop!(reveal(STEWARD), E::StillHidden);
        assert_eq!(run_to_next_phase(), Phase::Availability);
        System::assert_has_event(Event::HiddenSetGiven { evaluation: ROUND, block }.into());
        assert_ok!(reveal(STEWARD));
        System::assert_last_event(Event::KeyRevealed { evaluation: ROUND, block, key: KEY }.into());
        assert_noop!(reveal(STEWARD), E::AlreadyPosted);
        vote(5);
        assert_noop!(reveal(STEWARD), E::WrongPhase);
    });
}

#[test]
fn what_enough_members_can_read_candidates_are_measured_on() {
    for (readers, is_read) in [(5, true), (4, true), (3, false), (0, false)] {
        ext().execute_with(|| {
            let block = hide();
            start(vec![delta(1)]);
            assert_eq!(run_to_next_phase(), Phase::Availability);
            Pol::reveal_key(Origin::signed(STEWARD), block, KEY).unwrap();
            vote(readers);
            let evaluation = evaluation();
            assert_eq!(evaluation.sources.hidden.is_some(), is_read, "{readers} readers");
            let items = evaluation.sources.items(&evaluation.layout, &evaluation.seed, &[], Set::Final);
            assert_eq!(items.len() as u32, evaluation.layout.last);
        });
    }
}

#[test]
fn a_set_is_used_once_and_public_after_that() {
    ext().execute_with(|| {
        let block = hide();
        start(vec![delta(1)]);
        assert_eq!(run_to_next_phase(), Phase::Availability);
        Pol::reveal_key(Origin::signed(STEWARD), block, KEY).unwrap();
        vote(5);
        assert_eq!(Pol::training_items(block), None);
        let found = reveal(&scores(&evaluation().layout));
        commit_and_reveal(&members().into_iter().map(|who| (who, found.clone())).collect::<Vec<_>>());
        assert_eq!(run_to_next_phase(), Phase::Over);
        assert_eq!(Pol::training_items(block), Some(FEW_ITEMS));
        assert!(Drawable::<Test>::get(Purpose::Hidden).is_empty() && Given::<Test>::get(ROUND).is_none());
        assert!(Used::get().contains(&block));
    });
}

#[test]
fn one_whose_key_nobody_reveals_is_dropped() {
    ext().execute_with(|| {
        let block = hide();
        start(vec![delta(1)]);
        assert_eq!(run_to_next_phase(), Phase::Availability);
        // Nobody votes: another committee is drawn, without it.
        assert_eq!(run_to_next_phase(), Phase::Waiting);
        assert!(Sets::<Test>::get(block).is_none() && !Used::get().contains(&block));
        assert_eq!(run_to_next_phase(), Phase::Availability);
        assert_eq!(evaluation().sources.hidden, None);
    });
}

#[test]
fn one_that_is_public_where_no_more_can_be_is_dropped_too() {
    ext().execute_with(|| {
        let block = hide();
        for number in 0..MAX_SETS as u8 {
            Pol::add_set(Origin::root(), register_items(number, 9), Purpose::Training).unwrap();
        }
        start(vec![delta(1)]);
        assert_eq!(run_to_next_phase(), Phase::Availability);
        Pol::reveal_key(Origin::signed(STEWARD), block, KEY).unwrap();
        assert_eq!(run_to_next_phase(), Phase::Waiting);
        assert!(Sets::<Test>::get(block).is_none());
    });
}

#[test]
fn governance_can_take_back_a_set_that_is_being_used() {
    ext().execute_with(|| {
        let block = hide();
        start(vec![delta(1)]);
        assert_eq!(run_to_next_phase(), Phase::Availability);
        assert_ok!(Pol::remove_set(Origin::root(), block));
        assert_noop!(Pol::reveal_key(Origin::signed(STEWARD), block, KEY), E::UnknownSet);
        vote(0);
        assert_eq!(evaluation().sources.hidden, None);
    });
}

#[test]
fn a_set_that_governance_has_taken_back_and_added_again_is_another() {
    let again = |block, purpose: Purpose| match purpose {
        Purpose::Hidden => Pol::add_hidden_set(Origin::root(), block, ENCRYPTED, STEWARD),
        _ => Pol::add_set(Origin::root(), block, purpose),
    };
    for purpose in [Purpose::Training, Purpose::HeldOut, Purpose::General, Purpose::Hidden] {
        ext().execute_with(|| {
            let block = hide();
            start(vec![delta(1)]);
            assert_eq!(run_to_next_phase(), Phase::Availability);
            assert_ok!(Pol::reveal_key(Origin::signed(STEWARD), block, KEY));
            assert_ok!(Pol::remove_set(Origin::root(), block));
            assert_ok!(again(block, purpose));
            // The evaluation that had it is of no consequence to it.
            assert_eq!(run_to_next_phase(), Phase::Waiting);
            assert_eq!(Sets::<Test>::get(block).map(|set| set.purpose), Some(purpose));
            assert!(Drawable::<Test>::get(purpose).iter().any(|set| set.block == block));
            assert!(Used::get().contains(&block));
            Pol::do_try_state().unwrap();
        });
    }
}

#[test]
fn a_set_with_too_few_items_is_not_given() {
    ext().execute_with(|| {
        let few = register_items(0, pact().rounds.final_items - 1);
        assert_ok!(Pol::add_hidden_set(Origin::root(), few, ENCRYPTED, STEWARD));
        start(vec![delta(1)]);
        assert_eq!(run_to_next_phase(), Phase::Availability);
        assert_eq!((evaluation().sources.hidden, Given::<Test>::get(ROUND)), (None, None));
        // It does not stand in the way of others, and waits on.
        let block = hide();
        assert_eq!(run_to_next_phase(), Phase::Waiting);
        assert_eq!(run_to_next_phase(), Phase::Availability);
        assert_eq!(Given::<Test>::get(ROUND), Some(block));
        assert_eq!(Drawable::<Test>::get(Purpose::Hidden)[0].block, few);
    });
}
