use crate::mock::*;
use blyan_primitives::{ids::HardwareId, traits::Members};
use frame_support::assert_ok;
use polkadot_sdk::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn vote(n: u8) -> Option<HardwareId> {
    Workers::vote_of(&account(n))
}

#[test]
fn a_machine_votes_through_its_account_while_its_worker_is_online() {
    run(|| {
        assert_eq!(vote(1), None);
        assert_ok!(register(1));
        assert_eq!(vote(1), None, "a registration alone is no machine that runs");
        System::set_block_number(PERIOD);
        beat(1);
        assert_eq!(vote(1), Some(info(1).hardware_id));
        System::set_block_number(u64::from(MAX_MISSED + 2) * PERIOD - 1);
        assert!(vote(1).is_some());
        System::set_block_number(u64::from(MAX_MISSED + 2) * PERIOD);
        assert_eq!(vote(1), None);
        beat(1);
        assert!(vote(1).is_some());
        assert_ok!(Workers::leave(signed(1)));
        assert_eq!(vote(1), None);
    });
}

#[test]
fn who_is_in_quarantine_does_not_vote() {
    run(|| {
        bring_online(1);
        assert_ok!(quarantine(1));
        assert_eq!((vote(1), Workers::since(&account(1))), (None, None));
        System::set_block_number(PERIOD + QUARANTINE - 1);
        beat(1);
        assert_eq!(vote(1), None);
        System::set_block_number(PERIOD + QUARANTINE);
        assert!(vote(1).is_some());
    });
}

#[test]
fn a_vote_is_as_old_as_its_registration() {
    run(|| {
        assert_eq!(Workers::since(&account(1)), None);
        System::set_block_number(7);
        assert_ok!(register(1));
        assert_eq!(Workers::since(&account(1)), None);
        System::set_block_number(12);
        beat(1);
        assert_eq!(Workers::since(&account(1)), Some(7));
        assert_ok!(Workers::update(signed(1), info(1), proof(1, &info(1))));
        assert_eq!(Workers::since(&account(1)), Some(7));

        System::set_block_number(25);
        assert_ok!(Workers::leave(signed(1)));
        assert_ok!(register(1));
        System::set_block_number(30);
        beat(1);
        assert_eq!(Workers::since(&account(1)), Some(25));
    });
}

#[test]
fn every_registered_machine_counts_whatever_becomes_of_it() {
    run(|| {
        for n in 1..=3 {
            assert_ok!(register(n));
        }
        System::set_block_number(PERIOD);
        beat(1);
        beat(2);
        assert_ok!(quarantine(2));
        assert_eq!(Workers::count(), 3);
        assert_ok!(Workers::leave(signed(3)));
        assert_eq!(Workers::count(), 2);
        // Its machine comes back: with its account, not with another as well.
        assert!(register_on(4, 3).is_err());
        assert_ok!(register(3));
        assert_eq!(Workers::count(), 3);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Register(u8, u8),
    Leave(u8),
    Beat(u8),
    Quarantine(u8),
    Release(u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1u8..5, 1u8..4).prop_map(|(n, machine)| Step::Register(n, machine)),
        1 => (1u8..5).prop_map(Step::Leave),
        3 => (1u8..5).prop_map(Step::Beat),
        1 => (1u8..5).prop_map(Step::Quarantine),
        1 => (1u8..5).prop_map(Step::Release),
        2 => (1u64..60).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_machine_votes_twice_and_no_more_vote_than_count(steps in proptest::collection::vec(step(), 1..60)) {
        new_test_ext().execute_with(|| {
            for step in steps {
                // A refused step changes nothing.
                match step {
                    Step::Register(n, machine) => { let _ = register_on(n, machine); },
                    Step::Leave(n) => { let _ = Workers::leave(signed(n)); },
                    Step::Beat(n) => {
                        let period = (System::block_number() / PERIOD) as u32;
                        let _ = include(heartbeat_call(n, heartbeat(n, period, System::block_number()), genesis()));
                    },
                    Step::Quarantine(n) => { let _ = quarantine(n); },
                    Step::Release(n) => { let _ = release(n); },
                    Step::Wait(blocks) => System::set_block_number(System::block_number() + blocks),
                }
                let votes: Vec<_> = (1..5).filter_map(vote).collect();
                prop_assert_eq!(votes.iter().collect::<BTreeSet<_>>().len(), votes.len());
                prop_assert!(votes.len() <= Workers::count() as usize);
                for n in 1..5 {
                    let status = Workers::worker(account(n));
                    prop_assert_eq!(vote(n).is_some(), status.is_some_and(|status| status.online));
                }
                prop_assert_eq!(Workers::do_try_state(), Ok(()));
            }
            Ok(())
        })?;
    }
}
