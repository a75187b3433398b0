use crate::{mock::*, *};
use blyan_primitives::{
    pact::Ppm,
    traits::{Slash, Stakes},
};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;
use sp_runtime::TokenError;

type E = Error<Test>;

const HALF: Ppm = Ppm(500_000);

fn worker_held(who: u64) -> u128 {
    held(BondKind::Worker, who)
}

#[test]
fn anybody_bonds_as_a_worker() {
    run(|| {
        assert_noop!(Staking::bond_worker(signed(7), 0), E::ZeroAmount);
        assert_noop!(Staking::bond_worker(signed(7), MIN_WORKER - 1), E::BelowMinWorkerBond);
        assert_noop!(Staking::bond_worker(signed(7), FUNDS), TokenError::FundsUnavailable);
        assert_ok!(Staking::bond_worker(signed(7), 100));
        assert_eq!(last_event(), Event::Bonded { kind: BondKind::Worker, who: 7, amount: 100 });
        assert_ok!(Staking::bond_worker(signed(7), 1));
        assert_eq!((<Staking as Stakes<_, _>>::worker_stake(&7), worker_held(7)), (101, 101));
    });
}

#[test]
fn a_worker_unbonds_down_to_the_least_or_all() {
    run(|| {
        assert_ok!(Staking::bond_worker(signed(7), 100));
        assert_noop!(Staking::unbond_worker(signed(7), 0), E::ZeroAmount);
        assert_noop!(Staking::unbond_worker(signed(8), 1), E::NotEnoughBonded);
        assert_noop!(Staking::unbond_worker(signed(7), 101), E::NotEnoughBonded);
        assert_noop!(Staking::unbond_worker(signed(7), 81), E::BelowMinWorkerBond);
        assert_ok!(Staking::unbond_worker(signed(7), 80));
        let due = 1 + UNBONDING;
        assert_eq!(last_event(), Event::Unbonded { kind: BondKind::Worker, who: 7, amount: 80, due });
        assert_ok!(Staking::unbond_worker(signed(7), 20));
        assert_eq!((<Staking as Stakes<_, _>>::worker_stake(&7), worker_held(7)), (0, 100));
        assert!(!WorkerBonds::<Test>::contains_key(7));
        run_into_era(due);
        assert_ok!(Staking::withdraw(signed(7), BondKind::Worker));
        assert_eq!(worker_held(7), 0);
    });
}

#[test]
fn the_parts_on_their_way_back_are_bounded() {
    run(|| {
        assert_ok!(Staking::bond_worker(signed(7), 100));
        for era in 0..4 {
            assert_ok!(Staking::unbond_worker(signed(7), 10));
            run_to_era(era + 1);
        }
        assert_noop!(Staking::unbond_worker(signed(7), 10), E::TooManyUnbonding);
    });
}

#[test]
fn a_worker_is_slashed_after_the_dispute_window() {
    run(|| {
        assert_eq!(<Staking as Slash<_>>::slash_worker(&7, HALF), None);
        assert_ok!(Staking::bond_worker(signed(7), 100));
        assert_ok!(Staking::unbond_worker(signed(7), 60));
        assert_eq!(<Staking as Slash<_>>::slash_worker(&7, Ppm(0)), None);
        let slash = <Staking as Slash<_>>::slash_worker(&7, HALF).unwrap();
        let (charge, apply_at) = (Charge::Worker { amount: 50 }, 1 + DISPUTE);
        assert_eq!(last_event(), Event::SlashAnnounced { slash, who: 7, charge, apply_at });
        // More at stake by now does not make the slash larger.
        assert_ok!(Staking::bond_worker(signed(7), 1_000));
        run_to_era(apply_at);
        assert_eq!(worker_held(7), 1_100);
        run_blocks(1);
        assert!(events().contains(&Event::Slashed { slash, kind: BondKind::Worker, who: 7, amount: 50 }));
        assert!(events().contains(&Event::SlashApplied { slash, amount: 50 }));
        assert_eq!((worker_held(7), Burnt::get()), (1_050, 50));
        assert_eq!(<Staking as Stakes<_, _>>::worker_stake(&7), 990);
    });
}

#[test]
fn a_slash_reaches_what_is_on_its_way_back_and_holds_it_back() {
    amend(|rules| (rules.unbonding, rules.dispute) = (2, 1));
    run(|| {
        assert_ok!(Staking::bond_worker(signed(7), 100));
        assert_ok!(Staking::unbond_worker(signed(7), 100));
        run_into_era(2);
        // Due in era 3, slashed in era 4.
        <Staking as Slash<_>>::slash_worker(&7, Ppm(700_000)).unwrap();
        run_into_era(3);
        assert_ok!(Staking::withdraw(signed(7), BondKind::Worker));
        assert_eq!(worker_held(7), 70);
        assert_noop!(Staking::withdraw(signed(7), BondKind::Worker), E::SlashPending);
        run_into_era(4);
        assert_eq!((worker_held(7), Burnt::get()), (0, 70));
        assert!(!WorkerBonds::<Test>::contains_key(7));
        assert_noop!(Staking::withdraw(signed(7), BondKind::Worker), E::NothingDue);
    });
}

#[test]
fn slashes_together_take_no_more_than_there_is() {
    run(|| {
        assert_ok!(Staking::bond_worker(signed(7), 100));
        for share in [HALF, Ppm(800_000)] {
            <Staking as Slash<_>>::slash_worker(&7, share).unwrap();
        }
        assert_eq!(WorkerBonds::<Test>::get(7), WorkerBond { active: 100, announced: 130 });
        run_into_era(2);
        assert_eq!((worker_held(7), Burnt::get()), (0, 100));
    });
}

#[test]
fn a_cancelled_slash_holds_nothing_back() {
    run(|| {
        assert_ok!(Staking::bond_worker(signed(7), 100));
        let slash = <Staking as Slash<_>>::slash_worker(&7, HALF).unwrap();
        assert_ok!(Staking::cancel_slash(RuntimeOrigin::root(), slash));
        assert_eq!(WorkerBonds::<Test>::get(7), WorkerBond { active: 100, announced: 0 });
        run_into_era(3);
        assert_eq!(worker_held(7), 100);
    });
}
