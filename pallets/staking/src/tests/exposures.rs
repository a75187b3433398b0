use crate::{mock::*, *};
use frame_support::assert_ok;
use polkadot_sdk::*;
use sp_runtime::Percent;

/// 150 delegators of validator 2, with 100 to 249.
fn many() -> std::ops::Range<u64> {
    1_000..1_150
}

fn crowd() {
    for who in many() {
        Balances::force_set_balance(RuntimeOrigin::root(), who, 10_000).unwrap();
        delegate(who, 2, u128::from(who - 900));
    }
}

/// Runs a test in the block in which era 1 was elected, and validator 2 has 150 delegators.
fn with_crowd(test: impl FnOnce()) {
    MaxDelegators::set(200);
    run(|| {
        crowd();
        run_to_session(2);
        assert_eq!(CopyingEra::<Test>::get(), Some(Copying { era: 1, validator: None, delegator: None }));
        test();
    });
}

fn exposure() -> Exposure {
    Exposures::<Test>::get(1, 2).unwrap()
}

fn exposed(who: u64) -> Vec<u128> {
    let exposure = exposure();
    let shares = (0..exposure.pages()).flat_map(|page| ExposurePages::<Test>::get((1, 2, page)));
    shares.filter(|share| share.who == who).map(|share| share.amount).collect()
}

fn finish() {
    while CopyingEra::<Test>::exists() {
        run_blocks(1);
        Staking::do_try_state().unwrap();
    }
    assert!(exposure().is_complete());
}

#[test]
fn delegations_are_copied_a_page_a_block() {
    with_crowd(|| {
        let total: u128 = many().map(|who| u128::from(who - 900)).sum::<u128>() + BOND;
        assert_eq!((exposure().total, exposure().delegators, exposure().copied), (total, 150, 0));
        let mut copied = vec![];
        while CopyingEra::<Test>::exists() {
            run_blocks(1);
            copied.push(exposure().copied);
            Staking::do_try_state().unwrap();
        }
        // Looking at a validator counts, too.
        assert!(copied.windows(2).all(|pair| pair[1] - pair[0] <= PAGE) && copied[0] <= PAGE, "{copied:?}");
        assert_eq!((copied.len(), exposure().copied), (3, 150));
        assert_eq!((exposure().pages(), ExposurePages::<Test>::get((1, 2, 2)).len()), (3, 22));
        assert!(many().all(|who| exposed(who) == [u128::from(who - 900)]));
        assert!(Exposures::<Test>::get(1, 1).unwrap().is_complete());
    });
}

#[test]
fn what_changes_while_it_is_copied_is_copied_as_it_was() {
    with_crowd(|| {
        for (step, who) in many().enumerate() {
            match step % 6 {
                0 => {
                    assert_ok!(Staking::undelegate(signed(who), 2, u128::from(who - 900)));
                },
                1 => {
                    assert_ok!(Staking::delegate_more(signed(who), 2, 77));
                },
                2 => {
                    assert_ok!(Staking::undelegate(signed(who), 2, 50));
                },
                3 => {
                    assert_ok!(Staking::redelegate(signed(who), 2, 3, u128::from(who - 900)));
                },
                4 => {
                    assert_ok!(Staking::undelegate(signed(who), 2, u128::from(who - 900)));
                    assert_ok!(Staking::delegate(signed(who), 2, 5_000, Percent::zero()));
                    assert_ok!(Staking::delegate_more(signed(who), 2, 1));
                },
                _ => {},
            }
            // Some of them before their turn, some after it.
            if step % 40 == 39 {
                run_blocks(1);
            }
            Staking::do_try_state().unwrap();
        }
        for who in 1_200..1_220 {
            Balances::force_set_balance(RuntimeOrigin::root(), who, 10_000).unwrap();
            delegate(who, 2, 5_000);
        }
        finish();
        assert!(many().all(|who| exposed(who) == [u128::from(who - 900)]));
        assert!((1_200..1_220).all(|who| exposed(who).is_empty()));
        // Nobody counts twice: what was moved counts where it was.
        assert_eq!(Exposures::<Test>::get(1, 3).unwrap().total, BOND);
    });
}

#[test]
fn a_validator_that_leaves_while_it_is_copied_is_copied_as_it_was() {
    with_crowd(|| {
        assert_ok!(Staking::leave(signed(2)));
        finish();
        assert!(many().all(|who| exposed(who) == [u128::from(who - 900)]));
        assert_eq!(exposure().own, BOND);
    });
}

#[test]
fn copying_that_takes_longer_than_an_era_is_cut_short() {
    MaxDelegators::set(200);
    // Each session is an era, and has five blocks.
    SessionsPerEra::set(1);
    run(|| {
        for who in 1_000..1_200 {
            Balances::force_set_balance(RuntimeOrigin::root(), who, 10_000).unwrap();
            delegate(who, 2, 100);
            delegate(who, 3, 100);
        }
        run_to_session(1);
        run_to_session(2);
        assert!(events().contains(&Event::CopyingCutShort { era: 2 }));
        let copied = |era| {
            let of = |who| Exposures::<Test>::get(era, who).unwrap();
            (of(2).copied + of(3).copied, of(2).delegators + of(3).delegators)
        };
        let (some, all) = copied(2);
        assert!(some < all && some >= 4 * PAGE, "{some} of {all}");
        assert_eq!(CopyingEra::<Test>::get().unwrap().era, 3);
        Staking::do_try_state().unwrap();
        // Who is missing is not paid; the others are paid as if all were there.
        run_blocks(30);
        Staking::do_try_state().unwrap();
    });
}

#[test]
fn old_exposures_are_pruned() {
    MaxDelegators::set(200);
    run(|| {
        crowd();
        Author::set(Some(2));
        let kept = UNBONDING + DISPUTE;
        run_to_era(1 + kept);
        assert_eq!(NextPruned::<Test>::get(), 0);
        assert!(Exposures::<Test>::contains_key(0, 1));
        run_blocks(1);
        assert_eq!((NextPruned::<Test>::get(), Exposures::<Test>::iter_prefix(0).count()), (1, 0));
        run_to_era(2 + kept);
        assert_eq!((NextPruned::<Test>::get(), Exposures::<Test>::iter_prefix(1).count()), (1, 4));
        assert_eq!(ExposurePages::<Test>::iter_key_prefix((1,)).count(), 4);
        run_blocks(1);
        assert_eq!((NextPruned::<Test>::get(), Exposures::<Test>::iter_prefix(1).count()), (2, 0));
        assert_eq!(ExposurePages::<Test>::iter_key_prefix((1,)).count(), 0);
    });
}

#[test]
fn many_exposures_are_pruned_a_page_a_block() {
    run(|| {
        let nothing = Exposure { own: 0, total: 0, commission: Default::default(), delegators: 0, copied: 0 };
        for who in 2_000..2_100 {
            Exposures::<Test>::insert(0, who, nothing.clone());
        }
        run_to_era(1 + UNBONDING + DISPUTE);
        let left = || Exposures::<Test>::iter_prefix(0).count();
        // One page of delegations goes first.
        for (expected, next) in [(104 - 63, 0), (0, 1)] {
            run_blocks(1);
            assert_eq!((left(), NextPruned::<Test>::get()), (expected, next));
        }
    });
}

#[test]
fn exposures_stay_while_a_slash_is_about_them() {
    run(|| {
        amend(|rules| (rules.unbonding, rules.dispute) = (20, 10));
        report(1, 10);
        run_to_era(2);
        amend(|rules| (rules.unbonding, rules.dispute) = (3, 1));
        run_into_era(11);
        // Applied in this block, and gone some blocks later.
        assert_eq!(Burnt::get(), 1_500);
        run_blocks(8);
        assert_eq!(Exposures::<Test>::iter_prefix(0).count(), 0);
        assert_eq!(Convictions::<Test>::iter().count(), 0);
        assert_eq!(NextPruned::<Test>::get(), 7);
    });
}
