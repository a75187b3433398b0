use crate::{mock::*, *};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;

type E = Error<Test>;

#[test]
fn what_is_due_comes_back() {
    run(|| {
        assert_ok!(Staking::unbond(signed(1), 300));
        assert_ok!(Staking::undelegate(signed(DELEGATOR), 1, 5_000));
        run_into_era(UNBONDING);
        assert_noop!(Staking::withdraw(signed(1), BondKind::Validator), E::NothingDue);
        run_into_era(UNBONDING + 1);
        let before = free(1);
        assert_ok!(Staking::withdraw(signed(1), BondKind::Validator));
        assert_eq!(last_event(), Event::Withdrawn { kind: BondKind::Validator, who: 1, amount: 300 });
        assert_eq!((free(1) - before, held(BondKind::Validator, 1)), (300, BOND - 300));
        assert_ok!(Staking::withdraw(signed(DELEGATOR), BondKind::Delegation));
        assert_eq!(held(BondKind::Delegation, DELEGATOR), 0);
        assert_noop!(Staking::withdraw(signed(DELEGATOR), BondKind::Delegation), E::NothingDue);
        assert_noop!(Staking::withdraw(signed(1), BondKind::Worker), E::NothingDue);
    });
}

#[test]
fn what_is_unbonded_after_an_election_answers_for_the_era_it_was_for() {
    run(|| {
        // Era 1 is elected when session 2 starts.
        run_to_session(1);
        assert_eq!(Staking::era().due, 1 + UNBONDING);
        run_to_session(2);
        assert_eq!(Staking::era().due, 2 + UNBONDING);
        run_to_era(1);
        assert_eq!(Staking::era().due, 2 + UNBONDING);
    });
}

#[test]
fn the_period_is_that_of_the_pact() {
    run(|| {
        amend(|rules| rules.unbonding = 7);
        assert_ok!(Staking::unbond(signed(1), 300));
        assert_eq!(Unbonding::<Test>::get(BondKind::Validator, 1)[0].due, 8);
    });
}

#[test]
fn withdrawals_wait_for_slashes() {
    run(|| {
        assert_ok!(Staking::undelegate(signed(DELEGATOR), 1, 5_000));
        run_to_era(UNBONDING - DISPUTE);
        // The last era in which this can be reported: the slash is applied when what it is about is due.
        assert_ok!(report_of(1, 0, 1, 10));
        run_to_era(UNBONDING + 1);
        assert_noop!(Staking::withdraw(signed(DELEGATOR), BondKind::Delegation), E::SlashesBeingApplied);
        run_blocks(1);
        assert_ok!(Staking::withdraw(signed(DELEGATOR), BondKind::Delegation));
        assert_eq!(last_event(), Event::Withdrawn { kind: BondKind::Delegation, who: DELEGATOR, amount: 4_500 });
        assert_eq!(Burnt::get(), 1_500);
    });
}

#[test]
fn an_era_without_slashes_keeps_nobody_waiting() {
    run(|| {
        assert_ok!(Staking::unbond(signed(1), 300));
        run_to_era(UNBONDING + 1);
        assert_ok!(Staking::withdraw(signed(1), BondKind::Validator));
    });
}

#[test]
fn who_has_a_slash_announced_against_it_waits() {
    run(|| {
        assert_ok!(Staking::unbond(signed(1), 300));
        run_into_era(UNBONDING);
        report(1, 10);
        run_into_era(UNBONDING + 1);
        assert_noop!(Staking::withdraw(signed(1), BondKind::Validator), E::SlashPending);
        run_into_era(UNBONDING + 2);
        assert_ok!(Staking::withdraw(signed(1), BondKind::Validator));
    });
}
