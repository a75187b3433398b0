use super::support::*;
use crate::{mock::*, Drawable, Event, Given, HiddenSets, Phase, Purpose, Sets};
use blyan_primitives::{
    dispute::example::ITEMS,
    ids::ContentHash,
    learning::ItemSets,
    pol::{ItemBlock, ItemBlocks, Set, MAX_SETS},
};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use sp_runtime::DispatchError::BadOrigin;

type Origin = RuntimeOrigin;

const STEWARD: u64 = 50;
const ENCRYPTED: ContentHash = ContentHash([0xee; 32]);
const KEY: [u8; 32] = [0x4b; 32];

/// The block of items is hidden, and stays drawable for all else.
fn hide() -> ContentHash {
    let block = world(|world| world.item.block);
    Pol::remove_set(Origin::root(), block).unwrap();
    assert_ok!(Pol::add_hidden_set(Origin::root(), block, ENCRYPTED, STEWARD));
    let blocks = ItemBlocks::truncate_from(vec![ItemBlock { block, items: ITEMS }]);
    Drawable::<Test>::insert(Purpose::HeldOut, blocks);
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
        assert_eq!(Pol::training_items(block), Some(ITEMS));
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
        let many = vec![ItemBlock { block: ContentHash::default(), items: 1 }; MAX_SETS as usize];
        Drawable::<Test>::insert(Purpose::Training, ItemBlocks::truncate_from(many));
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
fn a_set_with_too_few_items_is_not_given() {
    ext().execute_with(|| {
        let block = hide();
        let few = ItemBlocks::truncate_from(vec![ItemBlock { block, items: 1 }]);
        Drawable::<Test>::insert(Purpose::Hidden, few);
        start(vec![delta(1)]);
        assert_eq!(run_to_next_phase(), Phase::Availability);
        assert_eq!((evaluation().sources.hidden, Given::<Test>::get(ROUND)), (None, None));
    });
}
