use crate::{apply, mock::*, Change, Error, Event};
use blyan_primitives::pact::{EconomyParameter, Network, NetworkKind, Pact, Parameter, Ppm, StakingParameter};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use proptest::prelude::*;
use sp_runtime::DispatchError;

fn max_validators(value: u32) -> Parameter {
    Parameter::Staking(StakingParameter::MaxValidators(value))
}

fn validation(value: u32) -> Parameter {
    Parameter::Economy(EconomyParameter::Validation(Ppm(value)))
}

fn learning(value: u32) -> Parameter {
    Parameter::Economy(EconomyParameter::Learning(Ppm(value)))
}

fn last_event() -> Event<Test> {
    match System::events().pop().unwrap().event {
        RuntimeEvent::GenesisPact(event) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_is_stored_hashed_and_told() {
    run(|| {
        let old = GenesisPact::pact();
        assert_ok!(change(&[max_validators(9)]));
        let mut new = old.clone();
        new.staking.max_validators = 9;
        assert_eq!(GenesisPact::pact(), new);
        let hash = new.hash(&Network::LOCAL);
        assert_eq!(GenesisPact::hash(), hash);
        let changes = vec![Change { old: max_validators(16), new: max_validators(9) }].try_into().unwrap();
        assert_eq!(last_event(), Event::Changed { revision: 1, hash, changes });
        // The hook sees the new Pact on chain already.
        assert_eq!(ToldOf::get(), vec![(old, new.clone(), new)]);
    });
}

#[test]
fn every_change_is_a_revision() {
    run(|| {
        for revision in 1..=3 {
            assert_ok!(change(&[max_validators(revision)]));
            assert_eq!(GenesisPact::revision(), revision);
        }
    });
}

#[test]
fn parameters_that_bind_each_other_move_together() {
    run(|| {
        assert_noop!(change(&[validation(300_000)]), Error::<Test>::Contradiction);
        assert_noop!(change(&[learning(400_000)]), Error::<Test>::Contradiction);
        assert_ok!(change(&[validation(300_000), learning(400_000)]));
        let economy = GenesisPact::pact().economy;
        assert_eq!((economy.validation, economy.learning), (Ppm(300_000), Ppm(400_000)));
    });
}

#[test]
fn what_is_out_of_bounds_is_refused_with_all_the_rest() {
    run(|| {
        assert_noop!(change(&[max_validators(9), max_validators(257)]), Error::<Test>::OutOfBounds);
        assert_noop!(change(&[max_validators(0)]), Error::<Test>::OutOfBounds);
        assert_eq!(GenesisPact::pact(), Pact::default_for(NetworkKind::Local));
        assert!(ToldOf::get().is_empty());
    });
}

#[test]
fn a_public_network_has_its_own_bounds() {
    genesis_ext(Network::PUBLIC, None).execute_with(|| {
        assert_noop!(change(&[max_validators(3)]), Error::<Test>::OutOfBounds);
    });
}

#[test]
fn nothing_new_is_no_change() {
    run(|| {
        assert_noop!(change(&[]), Error::<Test>::NoChanges);
        assert_noop!(change(&[max_validators(16)]), Error::<Test>::NoChanges);
        assert_noop!(change(&[max_validators(9), max_validators(16)]), Error::<Test>::NoChanges);
        assert_eq!(GenesisPact::revision(), 0);
    });
}

#[test]
fn of_a_parameter_given_twice_the_last_value_counts() {
    run(|| {
        assert_ok!(change(&[max_validators(9), validation(200_000), max_validators(8)]));
        assert_eq!(GenesisPact::pact().staking.max_validators, 8);
        let Event::Changed { changes, .. } = last_event();
        assert_eq!(changes.into_inner(), vec![Change { old: max_validators(16), new: max_validators(8) }]);
    });
}

#[test]
fn only_the_origin_changes_the_pact() {
    run(|| {
        let changes = || vec![max_validators(9)].try_into().unwrap();
        assert_noop!(GenesisPact::change(RuntimeOrigin::signed(1), changes()), DispatchError::BadOrigin);
        assert_noop!(GenesisPact::change(RuntimeOrigin::none(), changes()), DispatchError::BadOrigin);
    });
}

#[test]
fn more_changes_cost_more() {
    use crate::weights::{SubstrateWeight, WeightInfo};
    let cost = |n| SubstrateWeight::<Test>::change(n).ref_time();
    assert!(cost(1) < cost(MAX_CHANGES));
}

/// Any parameter, with any value within its bounds.
fn parameter() -> impl Strategy<Value = Parameter> {
    let entries = Pact::default_for(NetworkKind::Local).entries(NetworkKind::Local);
    any::<prop::sample::Index>().prop_flat_map(move |index| {
        let entry = index.get(&entries).clone();
        (entry.bounds.min..=entry.bounds.max).prop_map(move |value| Parameter::parse(&entry.name, value).unwrap())
    })
}

proptest! {
    #[test]
    fn changes_lead_from_the_old_pact_to_the_new_and_back(parameters in prop::collection::vec(parameter(), 0..20)) {
        let old = Pact::default_for(NetworkKind::Local);
        let (new, changes) = apply(&old, &parameters);
        let (mut there, mut back) = (old.clone(), new.clone());
        for change in &changes {
            prop_assert_ne!(change.old, change.new);
            prop_assert_eq!(change.old.name(), change.new.name());
            there.set(change.new);
            back.set(change.old);
        }
        prop_assert_eq!(there == new, true);
        prop_assert_eq!(back == old, true);
        prop_assert_eq!(changes.is_empty(), old == new);
        prop_assert!(changes.len() <= parameters.len());
    }

    #[test]
    fn whatever_is_proposed_the_pact_stands(
        proposals in prop::collection::vec(prop::collection::vec(parameter(), 0..MAX_CHANGES as usize), 0..20),
    ) {
        new_test_ext().execute_with(|| {
            for proposal in proposals {
                let (before, revision) = (GenesisPact::hash(), GenesisPact::revision());
                let passed = change(&proposal).is_ok();
                prop_assert_eq!(GenesisPact::do_try_state(), Ok(()));
                prop_assert_eq!(GenesisPact::hash() != before, passed);
                prop_assert_eq!(GenesisPact::revision(), revision + u32::from(passed));
            }
            Ok(())
        })?;
    }
}
