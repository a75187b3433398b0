use crate::{mock::*, Error, Event, Hardware, HoldReason};
use blyan_primitives::ids::HardwareId;
use frame_support::{assert_noop, assert_ok, traits::fungible::InspectHold};
use polkadot_sdk::*;
use proptest::prelude::*;

fn held(n: u8) -> u128 {
    Balances::balance_on_hold(&HoldReason::Registration.into(), &account(n))
}

#[test]
fn a_machine_is_bound_to_one_account() {
    run(|| {
        assert_ok!(register(1));
        assert_noop!(register_on(2, 1), Error::<Test>::HardwareTaken);
        assert_eq!(Workers::hardware_binding(info(1).hardware_id).unwrap().owner, account(1));
    });
}

#[test]
fn a_machine_that_cools_down_takes_its_own_account_back_at_once_and_another_later() {
    run(|| {
        assert_ok!(register(1));
        assert_ok!(Workers::leave(signed(1)));
        System::set_block_number(COOLING);
        assert_noop!(register_on(2, 1), Error::<Test>::HardwareTaken);
        assert_ok!(register(1));
        assert_eq!(held(1), DEPOSIT);

        assert_ok!(Workers::leave(signed(1)));
        System::set_block_number(2 * COOLING);
        assert_ok!(register_on(2, 1));
        assert_eq!((held(1), held(2)), (0, DEPOSIT));
        System::assert_has_event(Event::HardwareReleased { hardware: info(1).hardware_id, owner: account(1) }.into());
    });
}

#[test]
fn a_deposit_returns_when_the_machine_is_released() {
    run(|| {
        let machine = info(1).hardware_id;
        assert_noop!(Workers::release_hardware(signed(5), machine), Error::<Test>::UnknownHardware);
        assert_ok!(register(1));
        assert_noop!(Workers::release_hardware(signed(5), machine), Error::<Test>::HardwareNotFree);
        assert_ok!(Workers::leave(signed(1)));
        System::set_block_number(COOLING);
        assert_noop!(Workers::release_hardware(signed(5), machine), Error::<Test>::HardwareNotFree);
        assert_eq!(held(1), DEPOSIT);
        System::set_block_number(COOLING + 1);
        assert_ok!(Workers::release_hardware(signed(5), machine));
        assert_eq!((held(1), Hardware::<Test>::get(machine)), (0, None));
        assert_ok!(register_on(2, 1));
    });
}

#[test]
fn an_account_that_changes_machines_holds_a_deposit_for_each() {
    run(|| {
        assert_ok!(register(1));
        assert_ok!(Workers::leave(signed(1)));
        assert_ok!(register_on(1, 3));
        assert_eq!(held(1), 2 * DEPOSIT);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Register(u8, u8),
    Leave(u8),
    Release(u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u8..4, 1u8..4).prop_map(|(n, machine)| Step::Register(n, machine)),
        (1u8..4).prop_map(Step::Leave),
        (1u8..4).prop_map(Step::Release),
        (1u64..40).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn deposits_add_up_whatever_happens(steps in proptest::collection::vec(step(), 1..40)) {
        new_test_ext().execute_with(|| {
            for step in steps {
                // A refused step changes nothing, which the invariants after it would show.
                let _ = match step {
                    Step::Register(n, machine) => register_on(n, machine),
                    Step::Leave(n) => Workers::leave(signed(n)),
                    Step::Release(machine) => Workers::release_hardware(signed(5), HardwareId([machine; 32])),
                    Step::Wait(blocks) => {
                        System::set_block_number(System::block_number() + blocks);
                        Ok(())
                    },
                };
                prop_assert_eq!(Workers::do_try_state(), Ok(()));
            }
            Ok(())
        })?;
    }
}
