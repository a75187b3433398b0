use crate::{mock::*, Drawable, Event, Purpose};
use blyan_primitives::{dispute::example::ITEMS, ids::ContentHash, learning::ItemSets, pol::MAX_SETS, trace::Part};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use sp_runtime::DispatchError::BadOrigin;

type Origin = RuntimeOrigin;

fn items() -> ContentHash {
    world(|world| world.item.block)
}

#[test]
fn governance_says_what_is_measured_on() {
    ext().execute_with(|| {
        let block = items();
        assert_noop!(Pol::remove_set(Origin::signed(1), block), BadOrigin);
        assert_noop!(Pol::add_set(Origin::signed(1), block, Purpose::Training), BadOrigin);
        assert_noop!(Pol::add_set(Origin::root(), block, Purpose::Training), E::SetExists);
        assert!(Used::get().contains(&block));
        assert_ok!(Pol::remove_set(Origin::root(), block));
        System::assert_last_event(Event::SetRemoved { block }.into());
        assert!(!Used::get().contains(&block));
        assert!(Drawable::<Test>::get(Purpose::HeldOut).is_empty());
        assert_noop!(Pol::remove_set(Origin::root(), block), E::UnknownSet);
        assert_eq!(Pol::training_items(block), None);
        assert_ok!(Pol::add_set(Origin::root(), block, Purpose::Training));
        System::assert_last_event(Event::SetAdded { block, purpose: Purpose::Training, items: ITEMS }.into());
        assert_eq!(Pol::training_items(block), Some(ITEMS));
    });
}

#[test]
fn only_items_of_the_right_length_are_measured_on() {
    ext().execute_with(|| {
        let add = |block| Pol::add_set(Origin::root(), block, Purpose::Training);
        assert_noop!(add(ContentHash([77; 32])), E::UnknownBlock);
        assert_noop!(add(world(|world| world.parts[&Part::Trunk])), E::NotItems);
        assert_noop!(add(world(|world| world.longer)), E::WrongItemLength);
    });
}

#[test]
fn there_are_no_more_sets_than_can_be_drawn_from() {
    ext().execute_with(|| {
        let add = |number| Pol::add_set(Origin::root(), register_items(number, 9), Purpose::Training);
        for number in 0..MAX_SETS as u8 {
            assert_ok!(add(number));
        }
        assert_noop!(frame_support::storage::with_storage_layer(|| add(100)), E::TooManySets);
        // There can be others beside them.
        Pol::do_try_state().unwrap();
        assert_ok!(Pol::add_set(Origin::root(), register_items(100, 9), Purpose::General));
    });
}
