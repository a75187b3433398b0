use crate::{mock::*, standing::settled, Error, Event, Hardware, Standings as StandingMap};
use blyan_primitives::{
    ids::HardwareId,
    traits::{Standings, WorkerRegistry},
    trust::{Level, Refusal, Standing},
};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use proptest::prelude::*;
use sp_runtime::DispatchError;

fn submit(n: u8) -> Result<(), Refusal> {
    <Workers as Standings<_>>::submit(&account(n))
}

fn succeed(n: u8) {
    Workers::succeed(&account(n));
}

fn fail(n: u8) {
    Workers::fail(&account(n));
}

fn in_quarantine(n: u8) -> bool {
    Workers::standing_of(account(n)).quarantined_until.is_some()
}

fn is_stored(n: u8) -> bool {
    StandingMap::<Test>::contains_key(account(n))
}

#[test]
fn what_an_account_may_submit_is_counted_by_the_day() {
    run(|| {
        let quota = Rules::get().newcomer_quota;
        System::set_block_number(DAY - 1);
        for used in 0..quota {
            assert_eq!(Workers::submissions_left(account(1)), quota - used);
            assert_ok!(submit(1));
        }
        assert_eq!(submit(1), Err(Refusal::QuotaSpent { quota }));
        assert_eq!((Workers::quota_left(&account(1)), Workers::quota_left(&account(2))), (0, quota));
        System::set_block_number(DAY);
        assert_eq!(Workers::quota_left(&account(1)), quota);
        assert_ok!(submit(1));
    });
}

#[test]
fn outcomes_raise_an_account_and_bring_it_down() {
    run(|| {
        let of = |level| Event::<Test>::StandingChanged { account: account(1), level }.into();
        succeed(1);
        succeed(1);
        assert_eq!(Workers::level(&account(1)), Level::Newcomer);
        succeed(1);
        System::assert_last_event(of(Level::Trusted));
        assert_eq!(Workers::level(&account(1)), Level::Trusted);
        assert_eq!(Workers::quota_left(&account(1)), Rules::get().trusted_quota);

        (0..3).for_each(|_| fail(1));
        System::assert_last_event(of(Level::Newcomer));
        assert!(!in_quarantine(1));
        (0..3).for_each(|_| fail(1));
        System::assert_last_event(Event::Quarantined { account: account(1), until: 1 + QUARANTINE }.into());
        assert_eq!(submit(1), Err(Refusal::Quarantined { until: 1 + QUARANTINE as u32 }));
        assert_eq!(Workers::quota_left(&account(1)), 0);
        System::set_block_number(1 + QUARANTINE);
        assert_ok!(submit(1));
    });
}

#[test]
fn the_rules_are_the_pacts_as_they_stand() {
    run(|| {
        Rules::mutate(|rules| (rules.promotion, rules.trusted_quota, rules.quarantine) = (1, 7, 500));
        succeed(1);
        assert_eq!(Workers::quota_left(&account(1)), 7);
        assert_ok!(quarantine(1));
        assert_eq!(Workers::standing_of(account(1)).quarantined_until, Some(501));
    });
}

#[test]
fn governance_alone_puts_into_quarantine_and_releases() {
    run(|| {
        assert_ok!(register(1));
        for origin in [signed(1), signed(2), RuntimeOrigin::none()] {
            assert_noop!(Workers::quarantine(origin.clone(), account(1)), DispatchError::BadOrigin);
            assert_noop!(Workers::release(origin, account(1)), DispatchError::BadOrigin);
        }
        assert_ok!(quarantine(1));
        System::assert_last_event(Event::Quarantined { account: account(1), until: 1 + QUARANTINE }.into());
        assert!(in_quarantine(1));
        assert_ok!(release(1));
        System::assert_last_event(Event::Released { account: account(1) }.into());
        assert!(!in_quarantine(1));
        assert_ok!(submit(1));
    });
}

#[test]
fn a_quarantine_takes_what_was_earned_and_is_prolonged_by_another() {
    run(|| {
        (0..3).for_each(|_| succeed(1));
        assert_ok!(quarantine(1));
        assert_eq!(Workers::level(&account(1)), Level::Newcomer);
        System::set_block_number(30);
        assert_ok!(quarantine(1));
        System::assert_last_event(Event::Quarantined { account: account(1), until: 30 + QUARANTINE }.into());
        // A shorter one that the Pact has come to ask for does not shorten it.
        Rules::mutate(|rules| rules.quarantine = 1);
        assert_ok!(quarantine(1));
        assert_eq!(Workers::standing_of(account(1)).quarantined_until, Some(30 + QUARANTINE as u32));
    });
}

#[test]
fn nobody_is_put_into_quarantine_who_never_took_part() {
    run(|| {
        assert_noop!(quarantine(1), Error::<Test>::UnknownAccount);
        assert_ok!(submit(1));
        assert_ok!(quarantine(1));
        assert_ok!(register(2));
        assert_ok!(quarantine(2));
    });
}

#[test]
fn who_is_not_in_quarantine_is_not_released() {
    run(|| {
        assert_noop!(release(1), Error::<Test>::NotQuarantined);
        assert_ok!(register(1));
        assert_noop!(release(1), Error::<Test>::NotQuarantined);
        assert_ok!(quarantine(1));
        System::set_block_number(1 + QUARANTINE);
        assert_noop!(release(1), Error::<Test>::NotQuarantined);
    });
}

#[test]
fn a_worker_in_quarantine_stays_registered_and_gets_no_work() {
    run(|| {
        bring_online(1);
        assert_ok!(quarantine(1));
        assert_eq!(Workers::online_roles(&account(1)), None);
        assert_eq!(Workers::roles(&account(1)), Some(info(1).roles));
        assert_eq!(Workers::key(&account(1)), Some(info(1).key));
        let status = Workers::worker(account(1)).unwrap();
        assert_eq!((status.online, status.last_heartbeat), (false, Some(1)));
        assert_eq!(status.standing.quarantined_until, Some((PERIOD + QUARANTINE) as u32));
        // It can go on showing that it is there, and is online with the first block after.
        System::set_block_number(PERIOD + QUARANTINE - 1);
        beat(1);
        assert_eq!(Workers::online_roles(&account(1)), None);
        System::set_block_number(PERIOD + QUARANTINE);
        assert_eq!(Workers::online_roles(&account(1)), Some(info(1).roles));
        assert_eq!(Workers::worker(account(1)).unwrap().standing, Standing::default());

        assert_ok!(quarantine(1));
        assert_ok!(release(1));
        assert_eq!(Workers::online_roles(&account(1)), Some(info(1).roles));
    });
}

#[test]
fn leaving_and_registering_again_sheds_no_quarantine() {
    run(|| {
        assert_ok!(register(1));
        assert_ok!(quarantine(1));
        assert_ok!(Workers::leave(signed(1)));
        assert!(in_quarantine(1));
        bring_online(1);
        assert_eq!((in_quarantine(1), Workers::online_roles(&account(1))), (true, None));
        // Nor does another machine.
        assert_ok!(Workers::leave(signed(1)));
        assert_ok!(register_on(1, 3));
        assert_eq!((in_quarantine(1), Workers::online_roles(&account(1))), (true, None));
    });
}

#[test]
fn a_machine_is_not_moved_out_of_a_quarantine() {
    run(|| {
        let machine = info(1).hardware_id;
        assert_ok!(register(1));
        assert_ok!(quarantine(1));
        assert_ok!(Workers::leave(signed(1)));
        System::set_block_number(COOLING);
        assert_noop!(register_on(2, 1), Error::<Test>::HardwareTaken);
        assert_noop!(Workers::release_hardware(signed(1), machine), Error::<Test>::HardwareNotFree);
        for block in [1 + COOLING, QUARANTINE] {
            System::set_block_number(block);
            assert_noop!(register_on(2, 1), Error::<Test>::HardwareQuarantined);
            assert_noop!(Workers::release_hardware(signed(1), machine), Error::<Test>::HardwareQuarantined);
        }
        System::set_block_number(1 + QUARANTINE);
        assert_ok!(register_on(2, 1));
        assert!(!in_quarantine(2) && !is_stored(1));
    });
}

#[test]
fn a_quarantine_reaches_who_has_left_and_holds_every_machine_of_theirs() {
    run(|| {
        assert_ok!(register(1));
        assert_ok!(Workers::leave(signed(1)));
        assert_ok!(register_on(1, 3));
        assert_ok!(Workers::leave(signed(1)));
        System::set_block_number(10);
        assert_ok!(quarantine(1));
        System::set_block_number(1 + COOLING);
        for machine in [1, 3] {
            assert_noop!(register_on(2, machine), Error::<Test>::HardwareQuarantined);
        }
        // Its own account can use a machine all the while, in quarantine.
        assert_ok!(register_on(1, 3));
        assert_ok!(Workers::leave(signed(1)));
        // One release frees them all.
        System::set_block_number(1 + 2 * COOLING);
        assert_ok!(quarantine(1));
        assert_noop!(register_on(2, 1), Error::<Test>::HardwareQuarantined);
        assert_ok!(release(1));
        assert_ok!(register_on(2, 1));
        assert_ok!(Workers::release_hardware(signed(2), HardwareId([3; 32])));
        // With nothing left on chain there is nobody to put into quarantine.
        assert_noop!(quarantine(1), Error::<Test>::UnknownAccount);
    });
}

#[test]
fn a_standing_is_kept_while_it_says_something() {
    run(|| {
        assert_ok!(submit(1));
        assert!(is_stored(1));
        assert_noop!(Workers::forget_standing(signed(2), account(1)), Error::<Test>::NothingToForget);
        assert_noop!(Workers::forget_standing(signed(2), account(2)), Error::<Test>::NothingToForget);
        System::set_block_number(DAY);
        assert_eq!(Workers::standing_of(account(1)), Standing::default());
        assert_ok!(Workers::forget_standing(signed(2), account(1)));
        assert!(!is_stored(1));

        assert_ok!(quarantine_of_a_stranger(1));
        assert_noop!(Workers::forget_standing(signed(2), account(1)), Error::<Test>::NothingToForget);
        System::set_block_number(2 * DAY);
        assert_ok!(Workers::forget_standing(signed(2), account(1)));

        succeed(1);
        System::set_block_number(3 * DAY);
        assert_noop!(Workers::forget_standing(signed(2), account(1)), Error::<Test>::NothingToForget);
    });
}

/// A quarantine of an account without a worker, which has submitted something.
fn quarantine_of_a_stranger(n: u8) -> sp_runtime::DispatchResult {
    assert_ok!(submit(n));
    quarantine(n)
}

#[test]
fn what_says_nothing_goes_with_the_worker_and_with_its_machine() {
    run(|| {
        assert_ok!(register(1));
        assert_ok!(quarantine(1));
        System::set_block_number(1 + QUARANTINE);
        assert!(is_stored(1));
        assert_ok!(Workers::leave(signed(1)));
        assert!(!is_stored(1));

        assert_ok!(register(2));
        assert_ok!(quarantine(2));
        assert_ok!(Workers::leave(signed(2)));
        System::set_block_number(1 + 2 * QUARANTINE);
        assert!(is_stored(2));
        assert_ok!(Workers::release_hardware(signed(5), info(2).hardware_id));
        assert!(!is_stored(2));

        // What was earned outlives both.
        assert_ok!(register(3));
        succeed(3);
        assert_ok!(Workers::leave(signed(3)));
        System::set_block_number(System::block_number() + COOLING);
        assert_ok!(Workers::release_hardware(signed(5), info(3).hardware_id));
        assert_eq!(Workers::standing_of(account(3)).successes, 1);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Register(u8, u8),
    Leave(u8),
    Unbind(u8),
    Submit(u8),
    Succeed(u8),
    Fail(u8),
    Quarantine(u8),
    Forget(u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1u8..4, 1u8..4).prop_map(|(n, machine)| Step::Register(n, machine)),
        2 => (1u8..4).prop_map(Step::Leave),
        2 => (1u8..4).prop_map(Step::Unbind),
        1 => (1u8..4).prop_map(Step::Submit),
        1 => (1u8..4).prop_map(Step::Succeed),
        3 => (1u8..4).prop_map(Step::Fail),
        1 => (1u8..4).prop_map(Step::Quarantine),
        1 => (1u8..4).prop_map(Step::Forget),
        3 => (1u64..60).prop_map(Step::Wait),
    ]
}

fn owner(machine: u8) -> Option<u8> {
    let binding = Hardware::<Test>::get(HardwareId([machine; 32]))?;
    (1..4).find(|n| account(*n) == binding.owner)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Nothing but time ends a quarantine that nobody releases, for the account and for each machine bound to it.
    #[test]
    fn whatever_they_do_a_quarantine_holds_account_and_machines(steps in proptest::collection::vec(step(), 1..60)) {
        new_test_ext().execute_with(|| {
            for step in steps {
                let held = |n| Workers::standing_of(account(n)).quarantined_until;
                let before: Vec<_> = (1..4).map(held).collect();
                let owners: Vec<_> = (1..4).map(owner).collect();
                // A refused step changes nothing, which the invariants after it would show.
                match step {
                    Step::Register(n, machine) => { let _ = register_on(n, machine); },
                    Step::Leave(n) => { let _ = Workers::leave(signed(n)); },
                    Step::Unbind(machine) => {
                        let _ = Workers::release_hardware(signed(5), HardwareId([machine; 32]));
                    },
                    Step::Submit(n) => {
                        let left = Workers::quota_left(&account(n));
                        prop_assert_eq!(submit(n).is_ok(), left > 0);
                        prop_assert_eq!(Workers::quota_left(&account(n)), left.saturating_sub(1));
                    },
                    Step::Succeed(n) => succeed(n),
                    Step::Fail(n) => fail(n),
                    Step::Quarantine(n) => { let _ = quarantine(n); },
                    Step::Forget(n) => { let _ = Workers::forget_standing(signed(5), account(n)); },
                    Step::Wait(blocks) => System::set_block_number(System::block_number() + blocks),
                }
                let now = System::block_number() as u32;
                for (n, until) in (1..4).zip(before) {
                    if until.is_some_and(|until| until > now) {
                        prop_assert!(held(n) >= until, "account {} left its quarantine", n);
                        prop_assert_eq!(Workers::online_roles(&account(n)), None);
                        for (machine, was) in (1..4).zip(&owners) {
                            prop_assert!(*was != Some(n) || owner(machine) == Some(n), "machine {} left", machine);
                        }
                    }
                }
                prop_assert_eq!(Workers::do_try_state(), Ok(()));
            }
            Ok(())
        })?;
    }

    /// Letting go of what no longer counts changes no answer.
    #[test]
    fn settling_changes_nothing_that_counts(
        level: bool, successes in 0u32..9, failures in 0u32..3, until: Option<u8>, day in 0u32..3, used in 0u32..30,
        now: u8, today in 0u32..3,
    ) {
        let rules = Rules::get();
        let standing = Standing {
            level: if level { Level::Trusted } else { Level::Newcomer },
            successes,
            failures,
            quarantined_until: until.map(u32::from),
            day,
            used,
        };
        let now = u32::from(now);
        let less = settled(standing, now, today);
        prop_assert_eq!(less.is_good(now), standing.is_good(now));
        prop_assert_eq!(less.left(today, &rules), standing.left(today, &rules));
        let (mut a, mut b) = (less, standing);
        prop_assert_eq!(a.submit(now, today, &rules), b.submit(now, today, &rules));
        prop_assert_eq!(a.succeed(&rules), b.succeed(&rules));
        prop_assert_eq!(a.fail(now, &rules), b.fail(now, &rules));
        prop_assert_eq!(a.quarantine(now, &rules), b.quarantine(now, &rules));
        prop_assert_eq!(settled(less, now, today), less);
    }
}
