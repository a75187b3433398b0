use crate::{mock::*, *};
use frame_support::{assert_noop, assert_ok};
use pallet_session::DisabledValidators;
use polkadot_sdk::*;
use sp_runtime::{traits::BadOrigin, Perbill};
use sp_staking::offence::OffenceError;

type E = Error<Test>;

fn percent(n: u32) -> Perbill {
    Perbill::from_percent(n)
}

fn pending() -> Vec<(u32, u64, Perbill, u32)> {
    let mut all: Vec<_> = PendingSlashes::<Test>::iter().collect();
    all.sort_by_key(|(slash, _)| *slash);
    let one = |(slash, pending): (_, PendingSlash<u64>)| match pending.charge {
        Charge::Validator { fraction, .. } => (slash, pending.who, fraction, pending.apply_at),
        Charge::Worker { .. } => unreachable!("no worker is slashed here"),
    };
    all.into_iter().map(one).collect()
}

/// What was taken from whom since the block began.
fn slashed() -> Vec<(BondKind, u64, u128)> {
    let one = |event| match event {
        Event::Slashed { kind, who, amount, .. } => Some((kind, who, amount)),
        _ => None,
    };
    events().into_iter().filter_map(one).collect()
}

fn delegated(who: u64, validator: u64) -> u128 {
    Delegations::<Test>::get(validator, who).map_or(0, |delegation| delegation.amount)
}

fn own(who: u64) -> u128 {
    Candidates::<Test>::get(who).unwrap().own
}

#[test]
fn an_equivocation_is_announced_and_applied_after_the_dispute_window() {
    run(|| {
        run_into_era(1);
        report(1, 10);
        let charge = Charge::Validator { era: 1, fraction: percent(10) };
        assert!(events().contains(&Event::Chilled { validator: 1 }));
        assert!(events().contains(&Event::SlashAnnounced { slash: 0, who: 1, charge, apply_at: 3 }));
        assert_eq!(DisabledValidators::<Test>::get().len(), 1);
        assert_eq!(Suspects::<Test>::get(1), 1);
        assert_noop!(Staking::activate(signed(1)), E::SlashPending);
        run_to_era(3);
        assert_eq!((own(1), delegated(DELEGATOR, 1)), (BOND, 5_000));
        run_blocks(1);
        assert_eq!(slashed(), [(BondKind::Validator, 1, 1_000), (BondKind::Delegation, DELEGATOR, 500)]);
        assert_eq!(last_event(), Event::SlashApplied { slash: 0, amount: 1_500 });
        assert_eq!((own(1), held(BondKind::Validator, 1)), (9_000, 9_000));
        assert_eq!((delegated(DELEGATOR, 1), held(BondKind::Delegation, DELEGATOR)), (4_500, 4_500));
        assert_eq!(Burnt::get(), 1_500);
        assert_eq!((PendingSlashes::<Test>::iter().count(), Suspects::<Test>::contains_key(1)), (0, false));
        assert_ok!(Staking::activate(signed(1)));
    });
}

#[test]
fn only_the_difference_to_the_largest_fraction_is_announced() {
    run(|| {
        let session = Session::current_index();
        assert_ok!(report_of(1, session, 7, 10));
        assert_eq!(report_of(1, session, 7, 10), Err(OffenceError::DuplicateReport));
        assert_ok!(report_of(1, session, 8, 10));
        assert_ok!(report_of(1, session, 9, 4));
        assert_eq!(pending(), [(0, 1, percent(10), 2)]);
        assert_ok!(report_of(1, session, 10, 30));
        assert_eq!(pending(), [(0, 1, percent(10), 2), (1, 1, percent(20), 2)]);
        assert_eq!(Suspects::<Test>::get(1), 2);
        run_into_era(2);
        // In all three tenths of what it was exposed with.
        assert_eq!((own(1), delegated(DELEGATOR, 1)), (7_000, 3_500));
    });
}

#[test]
fn offenders_at_the_same_time_are_slashed_more() {
    run(|| {
        assert_ok!(report_of(1, 0, 7, 10));
        assert_ok!(report_of(2, 0, 7, 10));
        assert_eq!(pending(), [(0, 1, percent(10), 2), (1, 1, percent(10), 2), (2, 2, percent(20), 2)]);
    });
}

#[test]
fn the_same_offence_in_another_era_counts_again() {
    run(|| {
        report(1, 10);
        amend(|rules| rules.min_validators = 4);
        run_into_era(1);
        report(1, 10);
        assert_eq!(pending(), [(0, 1, percent(10), 2), (1, 1, percent(10), 3)]);
        run_into_era(2);
        assert_eq!((own(1), Suspects::<Test>::get(1)), (9_000, 1));
        // Of what it was exposed with in era 1, not of what is left.
        run_into_era(3);
        assert_eq!(own(1), 8_000);
    });
}

#[test]
fn an_offence_of_who_was_no_validator_or_for_nothing_is_not_announced() {
    run(|| {
        assert_ok!(report_of(9, 0, 1, 10));
        assert_ok!(report_of(1, 8, 2, 10));
        assert_ok!(report_of(2, 0, 3, 0));
        assert!(pending().is_empty());
        assert_eq!(Candidates::<Test>::get(2).unwrap().standing, Standing::Active);
    });
}

#[test]
fn the_era_is_that_of_the_offence() {
    run(|| {
        assert_ok!(Staking::undelegate(signed(DELEGATOR), 1, 4_000));
        run_into_era(2);
        // Nobody was exposed any more, but for a fifth, when it is reported.
        assert_ok!(report_of(1, 1, 1, 50));
        assert_eq!(PendingSlashes::<Test>::get(0).unwrap().charge, Charge::Validator { era: 0, fraction: percent(50) });
        run_into_era(4);
        assert_eq!(held(BondKind::Delegation, DELEGATOR), 2_500);
    });
}

#[test]
fn the_dao_cancels_a_slash_in_the_window() {
    run(|| {
        report(1, 10);
        report(2, 10);
        assert_noop!(Staking::cancel_slash(signed(1), 0), BadOrigin);
        assert_noop!(Staking::cancel_slash(RuntimeOrigin::root(), 9), E::UnknownSlash);
        run_to_era(1);
        assert_ok!(Staking::cancel_slash(RuntimeOrigin::root(), 0));
        assert_eq!(last_event(), Event::SlashCancelled { slash: 0 });
        assert_noop!(Staking::cancel_slash(RuntimeOrigin::root(), 0), E::UnknownSlash);
        // It stays chilled until it says otherwise.
        assert_eq!(Candidates::<Test>::get(1).unwrap().standing, Standing::Chilled);
        assert_ok!(Staking::activate(signed(1)));
        run_to_era(2);
        assert_noop!(Staking::cancel_slash(RuntimeOrigin::root(), 1), E::SlashDue);
        run_blocks(1);
        assert_eq!((own(1), own(2)), (BOND, 9_000));
        assert_eq!(delegated(DELEGATOR, 1), 5_000);
    });
}

#[test]
fn what_was_cancelled_is_not_announced_again() {
    run(|| {
        assert_ok!(report_of(1, 0, 7, 10));
        assert_ok!(Staking::cancel_slash(RuntimeOrigin::root(), 0));
        assert_ok!(Staking::activate(signed(1)));
        assert_ok!(report_of(1, 0, 8, 10));
        assert!(pending().is_empty());
        assert_ok!(report_of(1, 0, 9, 25));
        assert_eq!(pending(), [(1, 1, percent(15), 2)]);
    });
}

#[test]
fn who_loses_too_much_of_its_own_bond_is_chilled() {
    run(|| {
        report(1, 95);
        run_into_era(2);
        assert_eq!(own(1), 500);
        assert_noop!(Staking::activate(signed(1)), E::BelowMinSelfBond);
        assert_noop!(Staking::unbond(signed(1), 100), E::BelowMinSelfBond);
        assert_ok!(Staking::bond_more(signed(1), 500));
        assert_ok!(Staking::activate(signed(1)));
    });
}

#[test]
fn who_was_activated_before_it_lost_too_much_is_chilled_again() {
    run(|| {
        report(1, 50);
        amend(|rules| rules.min_self_bond = 6_000);
        run_to_era(2);
        // As if it had not been chilled: the slash itself sees to it.
        Candidates::<Test>::mutate(1, |candidate| candidate.as_mut().unwrap().standing = Standing::Active);
        run_blocks(1);
        assert!(events().contains(&Event::Chilled { validator: 1 }));
    });
}

#[test]
fn a_validator_that_lost_all_can_leave() {
    run(|| {
        report(1, 100);
        run_into_era(2);
        assert_eq!((own(1), held(BondKind::Validator, 1), held(BondKind::Delegation, DELEGATOR)), (0, 0, 0));
        assert!(Delegators::<Test>::get(DELEGATOR).is_empty());
        assert_ok!(Staking::leave(signed(1)));
        assert!(Unbonding::<Test>::get(BondKind::Validator, 1).is_empty());
    });
}

#[test]
fn a_slash_reaches_what_is_on_its_way_back() {
    run(|| {
        assert_ok!(Staking::unbond(signed(1), BOND - MIN_SELF));
        assert_ok!(Staking::undelegate(signed(DELEGATOR), 1, 4_900));
        report(1, 50);
        run_into_era(2);
        // First what is bonded, then what is on its way back.
        assert_eq!((own(1), held(BondKind::Validator, 1)), (0, 5_000));
        assert_eq!((delegated(DELEGATOR, 1), held(BondKind::Delegation, DELEGATOR)), (0, 2_500));
    });
}

#[test]
fn a_slash_reaches_a_validator_that_has_left_and_its_delegators() {
    run(|| {
        assert_ok!(Staking::leave(signed(1)));
        run_blocks(1);
        report(1, 50);
        assert_noop!(Staking::validate(signed(1), Default::default(), 2_000), E::SlashPending);
        run_into_era(2);
        assert_eq!((held(BondKind::Validator, 1), held(BondKind::Delegation, DELEGATOR)), (5_000, 2_500));
    });
}

#[test]
fn a_slash_reaches_what_was_redelegated() {
    run(|| {
        // Exposed to 1 alone; by now 4,000 are with 2 and 3, 600 are on their way back.
        assert_ok!(Staking::redelegate(signed(DELEGATOR), 1, 2, 2_000));
        assert_ok!(Staking::redelegate(signed(DELEGATOR), 1, 3, 2_000));
        assert_ok!(Staking::undelegate(signed(DELEGATOR), 1, 600));
        report(1, 80);
        run_into_era(2);
        assert_eq!(held(BondKind::Delegation, DELEGATOR), 1_000);
        assert_eq!((delegated(DELEGATOR, 1), delegated(DELEGATOR, 2), delegated(DELEGATOR, 3)), (0, 0, 1_000));
        assert_eq!(Candidates::<Test>::get(2).unwrap().delegators, 0);
        assert_eq!(Candidates::<Test>::get(3).unwrap().delegated, 1_000);
    });
}

#[test]
fn a_slash_leaves_what_was_never_exposed() {
    run(|| {
        // Delegated after the election of era 0, to the offender and to another.
        delegate(12, 1, 1_000);
        assert_ok!(Staking::delegate_more(signed(DELEGATOR), 1, 1_000));
        assert_ok!(Staking::bond_more(signed(1), 1_000));
        report(1, 100);
        run_into_era(2);
        assert_eq!(held(BondKind::Delegation, 12), 1_000);
        assert_eq!((held(BondKind::Delegation, DELEGATOR), own(1)), (1_000, 1_000));
    });
}

#[test]
fn many_delegators_are_slashed_a_page_a_block() {
    MaxDelegators::set(200);
    run(|| {
        for who in 1_000..1_130 {
            Balances::force_set_balance(RuntimeOrigin::root(), who, 1_000).unwrap();
            delegate(who, 2, 100);
        }
        run_into_era(1);
        report(2, 10);
        report(3, 10);
        run_to_era(3);
        let mut counts = vec![];
        while PendingSlashes::<Test>::iter().count() > 0 {
            // Nobody withdraws before all are slashed.
            assert_noop!(Staking::withdraw(signed(1_000), BondKind::Delegation), E::SlashesBeingApplied);
            run_blocks(1);
            counts.push(slashed().len());
            Staking::do_try_state().unwrap();
        }
        // Either of the two can be first: the order is that of storage.
        let orders = [vec![1, 64, 64, 3], vec![2, 64, 64, 2]];
        assert!(orders.contains(&counts), "{counts:?}");
        assert_eq!(Burnt::get(), 1_000 + 130 * 10 + 1_000);
        assert!((1_000..1_130).all(|who| delegated(who, 2) == 90));
    });
}

#[test]
fn a_slash_that_is_not_there_any_more_holds_nothing_up() {
    run(|| {
        report(1, 10);
        report(2, 10);
        // A migration could forget one of the two places.
        PendingSlashes::<Test>::remove(0);
        run_into_era(2);
        assert_eq!((own(1), own(2)), (BOND, 9_000));
        assert_eq!(SlashQueue::<Test>::iter().count(), 0);
        Suspects::<Test>::remove(1);
        SlashesOf::<Test>::remove(0);
    });
}
