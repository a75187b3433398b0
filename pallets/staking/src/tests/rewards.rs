use crate::{mock::*, *};
use frame_support::assert_ok;
use polkadot_sdk::*;
use sp_runtime::Percent;

/// What was paid since the block began.
fn paid() -> Vec<(u64, u64, u128)> {
    let one = |event| match event {
        Event::Rewarded { validator, who, amount, .. } => Some((validator, who, amount)),
        _ => None,
    };
    events().into_iter().filter_map(one).collect()
}

#[test]
fn blocks_are_paid_when_their_era_is_over() {
    run(|| {
        Author::set(Some(1));
        run_to_era(1);
        // The test begins with block 1, and the block that ends an era is noted before it does.
        assert!(events().contains(&Event::EraEnded { era: 0, blocks: 14, reward: 14_000 }));
        assert_eq!(Payouts::<Test>::get(0), Some(EraPayout { reward: 14_000, blocks: 14, left: 14_000 }));
        assert_eq!((Minted::get(), Owed::<Test>::get()), (14_000 + ED, 14_000));
        let before = (free(1), free(DELEGATOR));
        run_blocks(1);
        // A tenth is the commission, and of the rest two thirds are earned by the validator's own bond.
        assert_eq!(paid(), [(1, 1, 1_400 + 8_400), (1, DELEGATOR, 4_200)]);
        assert_eq!((free(1) - before.0, free(DELEGATOR) - before.1), (9_800, 4_200));
        assert_eq!((Payouts::<Test>::get(0), Owed::<Test>::get(), NextPaid::<Test>::get()), (None, 0, 1));
        assert_eq!(Blocks::<Test>::iter_prefix(0).count(), 0);
    });
}

#[test]
fn validators_share_an_era_by_their_blocks() {
    run(|| {
        Author::set(Some(3));
        run_to_block(5);
        Author::set(Some(4));
        run_to_era(1);
        run_blocks(1);
        let mut shares = paid();
        shares.sort();
        assert_eq!(shares, [(3, 3, 4_000), (4, 4, 10_000)]);
    });
}

#[test]
fn an_era_without_blocks_is_paid_nothing() {
    run(|| {
        run_into_era(2);
        assert_eq!((Minted::get(), NextPaid::<Test>::get()), (0, 2));
        Author::set(Some(9));
        run_into_era(3);
        // Nor is a block of somebody who was not elected.
        assert_eq!((Minted::get(), NextPaid::<Test>::get()), (0, 3));
    });
}

#[test]
fn who_has_nothing_at_stake_is_paid_nothing() {
    run(|| {
        amend(|rules| (rules.min_validators, rules.max_validators) = (4, 4));
        assert_ok!(Staking::leave(signed(2)));
        run_into_era(1);
        Author::set(Some(2));
        run_into_era(2);
        assert!(paid().is_empty());
        // It is in the pot, for the era after.
        assert_eq!(Minted::get(), 14_000 + ED);
        Author::set(Some(3));
        run_into_era(3);
        assert_eq!(paid().into_iter().map(|(_, _, amount)| amount).sum::<u128>(), 14_000);
        assert_eq!(Minted::get(), 15_000 + ED);
    });
}

#[test]
fn what_rounding_loses_is_not_minted_again() {
    run(|| {
        // 10,000 of its own and 3 × 333: shares that do not come out even.
        for who in 12..=14 {
            delegate(who, 2, 333);
        }
        run_into_era(1);
        Author::set(Some(2));
        let mut sum = 0;
        for era in 2..6 {
            run_into_era(era);
            sum += paid().into_iter().map(|(_, _, amount)| amount).sum::<u128>();
            let in_pot = Balances::free_balance(Staking::pot()) - ED;
            assert!(in_pot < 5, "{in_pot}");
            assert_eq!(Minted::get(), sum + in_pot + ED);
        }
    });
}

#[test]
fn a_part_of_what_is_earned_is_added_to_the_delegation() {
    run(|| {
        Author::set(Some(1));
        assert_ok!(Staking::set_auto_compound(signed(DELEGATOR), 1, Percent::from_percent(50)));
        run_into_era(1);
        // As it was set when the era was elected.
        assert_eq!(held(BondKind::Delegation, DELEGATOR), 5_000);
        run_to_era(2);
        let before = free(DELEGATOR);
        run_blocks(1);
        let earned = 4_500;
        assert!(events().contains(&Event::Compounded { delegator: DELEGATOR, validator: 1, amount: earned / 2 }));
        assert_eq!(held(BondKind::Delegation, DELEGATOR), 5_000 + earned / 2);
        assert_eq!(free(DELEGATOR) - before, earned / 2);
        assert_eq!(Candidates::<Test>::get(1).unwrap().delegated, 5_000 + earned / 2);
    });
}

#[test]
fn nothing_is_added_to_a_delegation_that_is_gone() {
    run(|| {
        Author::set(Some(1));
        assert_ok!(Staking::set_auto_compound(signed(DELEGATOR), 1, Percent::from_percent(100)));
        run_to_era(2);
        assert_ok!(Staking::undelegate(signed(DELEGATOR), 1, 5_000));
        let before = free(DELEGATOR);
        run_blocks(1);
        assert_eq!(free(DELEGATOR) - before, 4_500);
        assert_eq!(held(BondKind::Delegation, DELEGATOR), 5_000);
    });
}

#[test]
fn all_that_is_earned_can_be_added_but_what_the_account_needs() {
    run(|| {
        // All it has is held, but for the least.
        let all = FUNDS - ED;
        Staking::delegate(signed(12), 2, all, Percent::from_percent(100)).unwrap();
        Author::set(Some(2));
        run_into_era(2);
        assert_eq!(free(12), ED);
        assert!(held(BondKind::Delegation, 12) > all);
    });
}

#[test]
fn many_delegators_are_paid_a_page_a_block() {
    MaxDelegators::set(200);
    run(|| {
        for who in 1_000..1_130 {
            Balances::force_set_balance(RuntimeOrigin::root(), who, 1_000).unwrap();
            delegate(who, 2, 100);
        }
        run_into_era(1);
        Author::set(Some(2));
        run_to_era(2);
        let mut counts = vec![];
        while NextPaid::<Test>::get() < 2 {
            run_blocks(1);
            counts.push(paid().len());
            Staking::do_try_state().unwrap();
        }
        // The validator, then three pages of at most 64.
        assert_eq!(counts, [1, 64, 64, 2]);
        assert_eq!(Balances::free_balance(1_000), 900 + 14_000 * 9 / 10 * 100 / 23_000);
    });
}

#[test]
fn an_era_is_paid_out_of_its_own_allowance() {
    run(|| {
        Author::set(Some(2));
        // Something else was paid in this era.
        Allowance::set((0, 7_500));
        run_to_era(1);
        assert_eq!(Payouts::<Test>::get(0).unwrap().reward, 7_000);
        assert_eq!(Allowance::get(), (0, 500 - ED));
        run_to_era(2);
        assert_eq!(Payouts::<Test>::get(1).unwrap().reward, 15_000);
        assert_eq!(Allowance::get(), (1, 0));
    });
}

#[test]
fn no_more_is_owed_than_was_paid_into_the_pot() {
    run(|| {
        Author::set(Some(2));
        run_to_block(14);
        // Nothing is left for what the pot's account needs to exist.
        Allowance::set((0, 15));
        run_to_era(1);
        assert_eq!(Payouts::<Test>::get(0).unwrap().reward, 5);
        run_blocks(1);
        assert_eq!(paid(), [(2, 2, 5)]);
    });
}
