use crate::{mock::*, *};
use blyan_primitives::{pact::Ppm, traits::Slash};
use frame_support::assert_ok;
use polkadot_sdk::*;
use std::collections::BTreeSet;

#[test]
fn a_validator_is_told_with_all_there_is_to_know() {
    run(|| {
        Author::set(Some(1));
        run_to_block(4);
        report(1, 10);
        let expected = ValidatorStatus {
            own: BOND,
            delegated: 5_000,
            delegators: 1,
            commission: Ppm(100_000),
            standing: Standing::Chilled,
            has_keys: true,
            elected: true,
            elected_next: true,
            blocks: 3,
            slashes: 1,
        };
        assert_eq!(Staking::validator(1), Some(expected));
        assert_ok!(Staking::validate(signed(5), Ppm(0), 20_000));
        let status = Staking::validator(5).unwrap();
        assert_eq!((status.has_keys, status.elected, status.blocks), (false, false, 0));
        set_keys(5);
        run_to_session(2);
        let status = Staking::validator(5).unwrap();
        assert_eq!((status.has_keys, status.elected, status.elected_next), (true, false, true));
        assert_eq!(Staking::validator(6), None);
    });
}

#[test]
fn answers_come_in_pages() {
    MaxDelegators::set(200);
    run(|| {
        let all: BTreeSet<_> = Staking::candidates(None, 10).into_iter().map(|(who, _)| who).collect();
        assert_eq!(all, BTreeSet::from(GENESIS));
        let first = Staking::candidates(None, 3);
        let rest = Staking::candidates(Some(first[2].0), 3);
        assert_eq!((first.len(), rest.len()), (3, 1));
        assert!(first.iter().all(|(who, _)| *who != rest[0].0));

        for who in 1_000..1_120 {
            Balances::force_set_balance(RuntimeOrigin::root(), who, 1_000).unwrap();
            delegate(who, 2, 100);
        }
        let first = Staking::delegators(2, None, u32::MAX);
        assert_eq!(first.len(), MAX_ANSWER as usize);
        let rest = Staking::delegators(2, Some(first[99].0), u32::MAX);
        assert_eq!(rest.len(), 20);
        assert!(first.iter().chain(&rest).all(|(_, amount)| *amount == 100));

        report(1, 10);
        report(2, 10);
        let first = Staking::pending_slashes(None, 1);
        let rest = Staking::pending_slashes(Some(first[0].0), 5);
        assert_eq!((first.len(), rest.len()), (1, 1));
        assert_eq!(BTreeSet::from([first[0].1.who, rest[0].1.who]), BTreeSet::from([1, 2]));
    });
}

#[test]
fn a_ledger_has_every_bond() {
    run(|| {
        assert_eq!(Staking::ledger(20), Ledger::default());
        delegate(1, 2, 700);
        assert_ok!(Staking::undelegate(signed(1), 2, 100));
        assert_ok!(Staking::unbond(signed(1), 200));
        assert_ok!(Staking::bond_worker(signed(1), 300));
        assert_ok!(Staking::unbond_worker(signed(1), 50));
        let bond = |active, amount| BondStatus { active, unbonding: vec![Chunk { amount, due: 1 + UNBONDING }] };
        let expected =
            Ledger { validator: bond(BOND - 200, 200), delegation: bond(600, 100), worker: bond(250, 50), unpaid: 0 };
        assert_eq!(Staking::ledger(1), expected);
        // What is announced against a worker is told with the other slashes.
        <Staking as Slash<_>>::slash_worker(&1, Ppm(1_000_000)).unwrap();
        assert_eq!(Staking::pending_slashes(None, 5)[0].1.charge, Charge::Worker { amount: 300 });
    });
}

#[test]
fn what_is_owed_is_told_until_it_is_paid() {
    MaxDelegators::set(200);
    run(|| {
        for who in 1_000..1_130 {
            Balances::force_set_balance(RuntimeOrigin::root(), who, 1_000).unwrap();
            delegate(who, 2, 100);
        }
        run_into_era(1);
        Author::set(Some(2));
        run_to_era(2);
        let share = 12_600 * 100 / 23_000;
        let unpaid = |who| Staking::ledger(who).unpaid;
        assert_eq!((unpaid(2), unpaid(1_000), unpaid(1)), (1_400 + 12_600 * 10_000 / 23_000, share, 0));
        assert_eq!(Staking::era().owed, 14_000);
        for _ in 0..4 {
            for who in 1_000..1_130 {
                let paid = Balances::free_balance(who) > 900;
                assert_eq!(unpaid(who), if paid { 0 } else { share });
            }
            run_blocks(1);
        }
        assert_eq!((unpaid(2), Staking::era().owed), (0, 0));
        assert!((1_000..1_130).all(|who| unpaid(who) == 0 && Balances::free_balance(who) == 900 + share));
    });
}

#[test]
fn the_era_is_told() {
    run(|| {
        Author::set(Some(3));
        run_to_session(5);
        let expected = EraStatus {
            active: 1,
            planned: 2,
            first_session: 3,
            sessions: SESSIONS,
            blocks: 10,
            next_paid: 1,
            owed: 0,
            due: 3 + UNBONDING,
            reportable_sessions: 6,
        };
        assert_eq!(Staking::era(), expected);
        assert_eq!(Staking::exposure(1, 3), Exposures::<Test>::get(1, 3));
        assert_eq!(Staking::exposure(3, 3), None);
    });
}
