use crate::{mock::*, *};
use blyan_primitives::pact::Ppm;
use frame_support::{assert_noop, assert_ok, dispatch::Pays};
use polkadot_sdk::*;
use sp_runtime::TokenError;

type E = Error<Test>;

fn candidate_of(who: u64) -> Candidate {
    Candidates::<Test>::get(who).unwrap()
}

#[test]
fn an_account_becomes_a_candidate() {
    run(|| {
        assert_ok!(Staking::validate(signed(5), Ppm(50_000), 2_000));
        assert_eq!(last_event(), Event::CandidateJoined { validator: 5, bond: 2_000, commission: Ppm(50_000) });
        assert_eq!(held(BondKind::Validator, 5), 2_000);
        let expected =
            Candidate { own: 2_000, delegated: 0, delegators: 0, commission: Ppm(50_000), standing: Standing::Active };
        assert_eq!(candidate_of(5), expected);
    });
}

#[test]
fn a_candidacy_is_refused_that_is_unsound() {
    run(|| {
        let validate = |who, commission, bond| Staking::validate(signed(who), Ppm(commission), bond);
        assert_noop!(validate(1, 0, 2_000), E::AlreadyCandidate);
        assert_noop!(validate(5, 0, MIN_SELF - 1), E::BelowMinSelfBond);
        assert_noop!(validate(5, 250_001, MIN_SELF), E::CommissionTooHigh);
        assert_noop!(validate(5, 0, FUNDS), TokenError::FundsUnavailable);
        amend(|rules| rules.max_commission = Ppm(u32::MAX));
        assert_noop!(validate(5, 1_000_001, MIN_SELF), E::CommissionTooHigh);
        assert_ok!(validate(5, 1_000_000, MIN_SELF));
    });
}

#[test]
fn one_with_more_stake_takes_the_place_of_the_poorest() {
    run(|| {
        for (who, bond) in [(5, 3_000), (6, 2_000), (7, 2_000), (8, 4_000)] {
            candidate(who, bond);
        }
        // Delegations count: 7 is the richer of two with equal bonds.
        delegate(12, 7, 500);
        assert_noop!(Staking::validate(signed(9), Ppm(0), 2_000), E::CandidatesFull);
        let paid = Staking::validate(signed(9), Ppm(0), 2_600).unwrap();
        assert_eq!((paid.actual_weight, paid.pays_fee), (None, Pays::Yes));
        assert!(events().contains(&Event::CandidateReplaced { validator: 6, by: 9 }));
        assert!(events().contains(&Event::CandidateLeft { validator: 6 }));
        assert!(!Candidates::<Test>::contains_key(6) && Candidates::<Test>::contains_key(9));
        assert_eq!(Unbonding::<Test>::get(BondKind::Validator, 6).to_vec(), [Chunk { amount: 2_000, due: 4 }]);
        // It has nobody to release, and can come back at once.
        assert_ok!(Staking::validate(signed(6), Ppm(0), 2_600));
        assert_eq!(Leaving::<Test>::get().to_vec(), [7]);
    });
}

#[test]
fn a_candidacy_costs_less_while_there_are_places() {
    run(|| {
        let paid = Staking::validate(signed(5), Ppm(0), 2_000).unwrap();
        assert_eq!(paid.actual_weight, Some(<Test as Config>::WeightInfo::validate()));
    });
}

#[test]
fn a_validator_bonds_more() {
    run(|| {
        assert_ok!(Staking::bond_more(signed(1), 500));
        assert_eq!(last_event(), Event::Bonded { kind: BondKind::Validator, who: 1, amount: 500 });
        assert_eq!((candidate_of(1).own, held(BondKind::Validator, 1)), (BOND + 500, BOND + 500));
        assert_noop!(Staking::bond_more(signed(1), 0), E::ZeroAmount);
        assert_noop!(Staking::bond_more(signed(5), 1), E::NotCandidate);
        assert_noop!(Staking::bond_more(signed(1), FUNDS), TokenError::FundsUnavailable);
    });
}

#[test]
fn a_validator_unbonds_down_to_the_least() {
    run(|| {
        assert_noop!(Staking::unbond(signed(1), 0), E::ZeroAmount);
        assert_noop!(Staking::unbond(signed(5), 1), E::NotCandidate);
        assert_noop!(Staking::unbond(signed(1), BOND + 1), E::NotEnoughBonded);
        assert_noop!(Staking::unbond(signed(1), BOND - MIN_SELF + 1), E::BelowMinSelfBond);
        assert_ok!(Staking::unbond(signed(1), BOND - MIN_SELF));
        let due = 1 + UNBONDING;
        let (kind, amount) = (BondKind::Validator, BOND - MIN_SELF);
        assert_eq!(last_event(), Event::Unbonded { kind, who: 1, amount, due });
        assert_eq!((candidate_of(1).own, held(kind, 1)), (MIN_SELF, BOND));
    });
}

#[test]
fn a_validator_that_unbonds_all_leaves() {
    run(|| {
        assert_ok!(Staking::unbond(signed(2), BOND));
        assert_eq!(last_event(), Event::CandidateLeft { validator: 2 });
        assert!(!Candidates::<Test>::contains_key(2));
        assert_eq!(held(BondKind::Validator, 2), BOND);
    });
}

#[test]
fn the_parts_on_their_way_back_are_bounded() {
    run(|| {
        for era in 0..4 {
            assert_ok!(Staking::unbond(signed(1), 10));
            assert_ok!(Staking::unbond(signed(1), 10));
            run_to_era(era + 1);
        }
        assert_noop!(Staking::unbond(signed(1), 10), E::TooManyUnbonding);
        // To leave, there is always a way.
        assert_ok!(Staking::leave(signed(1)));
        let parts = Unbonding::<Test>::get(BondKind::Validator, 1);
        assert_eq!(parts.last(), Some(&Chunk { amount: BOND - 60, due: 8 }));
        run_blocks(1);
        assert_ok!(Staking::withdraw(signed(1), BondKind::Validator));
        assert_eq!(held(BondKind::Validator, 1), BOND - 20);
    });
}

#[test]
fn a_commission_takes_effect_with_the_next_election() {
    run(|| {
        assert_noop!(Staking::set_commission(signed(5), Ppm(0)), E::NotCandidate);
        assert_noop!(Staking::set_commission(signed(1), Ppm(250_001)), E::CommissionTooHigh);
        assert_ok!(Staking::set_commission(signed(1), Ppm(200_000)));
        assert_eq!(last_event(), Event::CommissionSet { validator: 1, commission: Ppm(200_000) });
        let exposed = |era| Exposures::<Test>::get(era, 1).unwrap().commission;
        run_to_era(1);
        assert_eq!((exposed(0), exposed(1)), (Ppm(100_000), Ppm(200_000)));
        // A limit that is lower by now holds, too.
        amend(|rules| rules.max_commission = Ppm(50_000));
        run_to_era(2);
        assert_eq!(exposed(2), Ppm(50_000));
    });
}

#[test]
fn a_candidate_rests_and_comes_back() {
    run(|| {
        assert_noop!(Staking::chill(signed(5)), E::NotCandidate);
        assert_noop!(Staking::activate(signed(5)), E::NotCandidate);
        assert_noop!(Staking::activate(signed(1)), E::AlreadyActive);
        assert_ok!(Staking::chill(signed(1)));
        assert_eq!(last_event(), Event::Chilled { validator: 1 });
        assert_noop!(Staking::chill(signed(1)), E::AlreadyChilled);
        run_to_era(1);
        assert_eq!(Session::validators(), [2, 3, 4]);
        assert_ok!(Staking::activate(signed(1)));
        assert_eq!(last_event(), Event::Activated { validator: 1 });
        run_to_era(2);
        assert_eq!(Session::validators(), [1, 2, 3, 4]);
        assert_ok!(Staking::chill(signed(1)));
        amend(|rules| rules.min_self_bond = BOND + 1);
        assert_noop!(Staking::activate(signed(1)), E::BelowMinSelfBond);
    });
}

#[test]
fn who_leaves_has_its_delegations_released() {
    run(|| {
        for who in 12..=14 {
            delegate(who, 1, 100);
        }
        assert_noop!(Staking::leave(signed(5)), E::NotCandidate);
        assert_ok!(Staking::leave(signed(1)));
        assert_eq!(Leaving::<Test>::get().to_vec(), [1]);
        assert_noop!(Staking::validate(signed(1), Ppm(0), 2_000), E::StillLeaving);
        assert_noop!(Staking::delegate(signed(15), 1, 100, Default::default()), E::NotCandidate);
        assert_noop!(Staking::delegate_more(signed(12), 1, 100), E::NotCandidate);
        Staking::do_try_state().unwrap();
        // Who does not want to wait takes its delegation back, or elsewhere.
        assert_ok!(Staking::undelegate(signed(12), 1, 50));
        assert_ok!(Staking::redelegate(signed(13), 1, 2, 100));
        run_blocks(1);
        assert!(Leaving::<Test>::get().is_empty());
        assert!(events().contains(&Event::Undelegated { delegator: 14, validator: 1, amount: 100, due: 4 }));
        let parts = |who| Unbonding::<Test>::get(BondKind::Delegation, who).to_vec();
        assert_eq!(parts(12), [Chunk { amount: 100, due: 4 }]);
        assert_eq!(parts(DELEGATOR), [Chunk { amount: 5_000, due: 4 }]);
        assert!(parts(13).is_empty());
        assert_ok!(Staking::validate(signed(1), Ppm(0), 2_000));
    });
}

#[test]
fn many_delegations_are_released_a_page_a_block() {
    MaxDelegators::set(200);
    run(|| {
        for who in 1_000..1_130 {
            Balances::force_set_balance(RuntimeOrigin::root(), who, 1_000).unwrap();
            delegate(who, 2, 100);
        }
        assert_ok!(Staking::leave(signed(2)));
        let left = || Delegations::<Test>::iter_prefix(2).count();
        for expected in [66, 2, 0] {
            run_blocks(1);
            assert_eq!(left(), expected);
            Staking::do_try_state().unwrap();
        }
        assert!(Leaving::<Test>::get().is_empty());
    });
}

#[test]
fn only_so_many_leave_at_a_time() {
    run(|| {
        for (who, to) in [(12, 2), (13, 3)] {
            delegate(who, to, 100);
        }
        assert_ok!(Staking::leave(signed(1)));
        assert_ok!(Staking::leave(signed(2)));
        assert_noop!(Staking::leave(signed(3)), E::TooManyLeaving);
        assert_noop!(Staking::unbond(signed(3), BOND), E::TooManyLeaving);
        // Who has no delegators leaves at once.
        assert_ok!(Staking::leave(signed(4)));
        // Nor can the poorest be replaced that would have to queue.
        for who in 5..=11 {
            candidate(who, 20_000);
        }
        assert_noop!(Staking::validate(signed(20), Ppm(0), 20_000), E::TooManyLeaving);
        run_blocks(2);
        assert_ok!(Staking::validate(signed(20), Ppm(0), 20_000));
    });
}
