use crate::{mock::*, weights::WeightInfo, ActiveSpecs, Config, Error, Event, Specs, Status};
use blyan_primitives::{
    ids::{SlotId, SpecId},
    spec::ModelSpec,
    traits::SpecRegistry,
};
use frame_support::{assert_noop, assert_ok, traits::Hooks};
use polkadot_sdk::*;
use sp_runtime::DispatchError::BadOrigin;

fn publish(version: &str) -> SpecId {
    publish_filled(&spec(version))
}

#[test]
fn the_latest_activated_spec_is_the_default() {
    run(|| {
        let ids = ["0.1.0", "0.2.0"].map(publish);
        assert_ok!(Meta::activate(RuntimeOrigin::root(), ids[1]));
        assert_ok!(Meta::activate(RuntimeOrigin::root(), ids[0]));
        assert_eq!(ActiveSpecs::<Test>::get().into_inner(), vec![ids[0], ids[1]]);
        System::assert_last_event(Event::Activated { spec: ids[0] }.into());
    });
}

#[test]
fn only_governance_activates_and_deprecates() {
    run(|| {
        let id = publish("0.1.0");
        assert_noop!(Meta::activate(RuntimeOrigin::signed(1), id), BadOrigin);
        assert_noop!(Meta::deprecate(RuntimeOrigin::signed(1), id), BadOrigin);
    });
}

#[test]
fn an_unknown_spec_is_neither_activated_nor_deprecated() {
    run(|| {
        let unknown = SpecId([7; 32]);
        assert_noop!(Meta::activate(RuntimeOrigin::root(), unknown), Error::<Test>::UnknownSpec);
        assert_noop!(Meta::deprecate(RuntimeOrigin::root(), unknown), Error::<Test>::UnknownSpec);
    });
}

#[test]
fn a_spec_is_activated_once_and_never_again_after_its_deprecation() {
    run(|| {
        let ids = ["0.1.0", "0.2.0"].map(publish);
        for id in ids {
            assert_ok!(Meta::activate(RuntimeOrigin::root(), id));
            assert_noop!(Meta::activate(RuntimeOrigin::root(), id), Error::<Test>::NotPublished);
        }
        assert_ok!(Meta::deprecate(RuntimeOrigin::root(), ids[0]));
        assert_noop!(Meta::activate(RuntimeOrigin::root(), ids[0]), Error::<Test>::NotPublished);
        assert_noop!(Meta::deprecate(RuntimeOrigin::root(), ids[0]), Error::<Test>::AlreadyDeprecated);
    });
}

#[test]
fn the_number_of_active_specs_is_bounded() {
    run(|| {
        for minor in 0..MAX_ACTIVE {
            go_live(&spec(&format!("0.{minor}.0")));
        }
        let one_more = publish("1.0.0");
        assert_noop!(Meta::activate(RuntimeOrigin::root(), one_more), Error::<Test>::TooManyActive);
        assert_ok!(Meta::deprecate(RuntimeOrigin::root(), ActiveSpecs::<Test>::get()[0]));
        assert_ok!(Meta::activate(RuntimeOrigin::root(), one_more));
    });
}

#[test]
fn siblings_of_one_version_are_not_active_together() {
    run(|| {
        let parent = spec("0.1.0");
        go_live(&parent);
        let one = child(&parent, "0.2.0");
        let mut other = child(&parent, "0.2.0");
        other.dimensions.context = 512;
        go_live(&one);
        publish_filled(&other);
        assert_noop!(Meta::activate(RuntimeOrigin::root(), other.id()), Error::<Test>::VersionTaken);
        assert_ok!(Meta::deprecate(RuntimeOrigin::root(), one.id()));
        assert_ok!(Meta::activate(RuntimeOrigin::root(), other.id()));
    });
}

#[test]
fn the_last_active_spec_stays() {
    run(|| {
        let id = go_live(&spec("0.1.0"));
        assert_noop!(Meta::deprecate(RuntimeOrigin::root(), id), Error::<Test>::LastActive);
    });
}

#[test]
fn a_deprecated_spec_gives_its_blocks_back_and_keeps_its_record() {
    run(|| {
        let old = go_live(&spec("0.1.0"));
        let withdrawn = publish("0.3.0");
        go_live(&spec("0.2.0"));
        for id in [old, withdrawn] {
            assert_ok!(Meta::deprecate(RuntimeOrigin::root(), id));
            System::assert_last_event(Event::Deprecated { spec: id }.into());
            assert_eq!(Specs::<Test>::get(id).unwrap().status, Status::Deprecated);
        }
        assert_eq!([TOKENIZER, TRUNK, ROUTER].map(Blocks::uses), [1; 3]);
        assert_eq!(ActiveSpecs::<Test>::get().len(), 1);
    });
}

#[test]
fn slots_are_those_of_the_lineages_active_specs() {
    run(|| {
        let first = spec("0.1.0");
        let lineage = first.id();
        let slot = |layer, index| SlotId { lineage, layer, index };
        publish_filled(&first);
        assert!(!Meta::has_slot(&slot(0, 0)));
        assert_ok!(Meta::activate(RuntimeOrigin::root(), lineage));
        assert!(Meta::has_slot(&slot(1, 3)));
        assert!(!Meta::has_slot(&slot(2, 0)) && !Meta::has_slot(&slot(0, 4)));
        assert!(!Meta::has_slot(&SlotId { lineage: SpecId([7; 32]), layer: 0, index: 0 }));

        let mut deeper = child(&first, "0.2.0");
        deeper.dimensions.layers = 3;
        go_live(&deeper);
        assert_eq!(Meta::slot_dimensions(&slot(2, 0)), Some(deeper.dimensions.clone()));
        assert_eq!(Meta::live_spec(deeper.id()), Some((lineage, deeper.dimensions.clone())));
        assert_ok!(Meta::deprecate(RuntimeOrigin::root(), lineage));
        assert_eq!(Meta::live_spec(lineage), None);
        assert!(Meta::has_slot(&slot(0, 0)));
    });
}

#[test]
fn a_spec_with_an_empty_slot_is_not_activated() {
    run(|| {
        let first = spec("0.1.0");
        assert_ok!(Meta::publish(RuntimeOrigin::root(), first.clone()));
        let activate = |spec: &ModelSpec| Meta::activate(RuntimeOrigin::root(), spec.id());
        assert_noop!(activate(&first), Error::<Test>::EmptySlots);
        Blocks::fill(&first);
        // The very last one.
        let last = SlotId { lineage: first.id(), layer: 1, index: 3 };
        SlotHeadsMap::mutate(|heads| heads.remove(&last));
        assert_noop!(activate(&first), Error::<Test>::EmptySlots);
        SlotHeadsMap::mutate(|heads| heads.insert(last, EXPERT));
        let post = activate(&first).unwrap();
        assert_eq!(post.actual_weight, Some(<Test as Config>::WeightInfo::activate(2)));

        // What the lineage has already need not be filled again, what is new must be.
        assert_ok!(Meta::publish(RuntimeOrigin::root(), child(&first, "0.2.0")));
        assert_ok!(activate(&child(&first, "0.2.0")));
        let mut deeper = child(&first, "0.3.0");
        deeper.dimensions.layers = 3;
        assert_ok!(Meta::publish(RuntimeOrigin::root(), deeper.clone()));
        assert_noop!(activate(&deeper), Error::<Test>::EmptySlots);
        Blocks::fill_in(first.id(), &deeper.dimensions);
        assert_ok!(activate(&deeper));
    });
}

#[test]
fn a_lineage_is_open_while_one_of_its_specs_is_published_or_active() {
    run(|| {
        let first = spec("0.1.0");
        let lineage = first.id();
        let second = child(&first, "0.2.0");
        assert!(!Meta::is_open(lineage));
        assert_ok!(Meta::publish(RuntimeOrigin::root(), first.clone()));
        let facts = Some((lineage, first.dimensions.clone()));
        assert_eq!((Meta::known_spec(lineage), Meta::open_spec(lineage)), (facts.clone(), facts.clone()));
        assert_eq!(Meta::live_spec(lineage), None);
        publish_filled(&second);
        assert_ok!(Meta::activate(RuntimeOrigin::root(), second.id()));
        go_live(&spec("1.0.0"));
        for id in [lineage, second.id()] {
            assert!(Meta::is_open(lineage));
            assert_ok!(Meta::deprecate(RuntimeOrigin::root(), id));
        }
        assert!(!Meta::is_open(lineage));
        assert_eq!((Meta::known_spec(lineage), Meta::open_spec(lineage)), (facts, None));
        // A successor of what is deprecated opens it again.
        assert_ok!(Meta::publish(RuntimeOrigin::root(), child(&second, "0.3.0")));
        assert!(Meta::is_open(lineage));
    });
}

#[test]
fn the_constants_fit_together() {
    Meta::integrity_test();
}

#[test]
#[should_panic(expected = "MaxActive is 0")]
fn a_registry_that_activates_nothing_is_refused() {
    MostActive::set(0);
    Meta::integrity_test();
}
