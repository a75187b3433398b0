//! Whatever happens, the sum of all balances and of what the block has collected is the issuance, no more is minted than ever can be, and nobody's money vanishes.

use crate::{mock::*, Event, Minted};
use blyan_primitives::{
    pact::Ppm,
    traits::{Payout, Pool},
};
use frame_support::traits::{
    fungible::{Inspect, Mutate},
    tokens::{Fortitude, Precision, Preservation},
    Imbalance, OnUnbalanced,
};
use polkadot_sdk::*;
use proptest::prelude::*;
use sp_runtime::AccountId32;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Pay(Pool, u8, u128),
    Fund(u8, Pool, u128),
    Spend(u8, u128),
    /// Payer, fee, tip.
    Fee(u8, u128, u128),
    Slash(u8, u128),
    Burn(u8, u128),
    /// May leave dust.
    Transfer(u8, u8, u128),
    EndBlock(Option<u8>),
    NextEra(u32),
    Rules(u128, u32, u32, u32),
}

/// Small amounts, which meet the existential deposit, and large ones, which meet budgets and the cap.
fn amount() -> impl Strategy<Value = u128> {
    prop_oneof![0..3 * ED, 0..5_000u128, 0..2 * FUNDS, Just(u128::MAX)]
}

fn step() -> impl Strategy<Value = Step> {
    let who = 1u8..8;
    let pool = prop::sample::select(Pool::ALL.as_slice());
    prop_oneof![
        6 => (pool.clone(), who.clone(), amount()).prop_map(|(pool, to, amount)| Step::Pay(pool, to, amount)),
        3 => (who.clone(), pool, amount()).prop_map(|(who, pool, amount)| Step::Fund(who, pool, amount)),
        2 => (who.clone(), amount()).prop_map(|(to, amount)| Step::Spend(to, amount)),
        4 => (who.clone(), amount(), amount()).prop_map(|(payer, fee, tip)| Step::Fee(payer, fee, tip)),
        3 => prop::option::of(who.clone()).prop_map(Step::EndBlock),
        2 => (who.clone(), amount()).prop_map(|(who, amount)| Step::Slash(who, amount)),
        1 => (who.clone(), amount()).prop_map(|(who, amount)| Step::Burn(who, amount)),
        2 => (who.clone(), who, amount()).prop_map(|(from, to, amount)| Step::Transfer(from, to, amount)),
        2 => (1..4u32).prop_map(Step::NextEra),
        1 => (0..400_000u128, 0..=500_000u32, 0..=500_000u32, 0..=1_000_000u32)
            .prop_map(|(emission, burn, treasury, slash)| Step::Rules(emission, burn, treasury, slash)),
    ]
}

/// Every account's balance.
fn balances() -> BTreeMap<AccountId32, u128> {
    frame_system::Account::<Test>::iter().map(|(who, account)| (who, account.data.free)).collect()
}

/// Takes what account `n` can give of `amount`, as transaction payment does.
fn take_some(n: u8, amount: u128) -> Credit {
    let able = Balances::reducible_balance(&account(n), Preservation::Preserve, Fortitude::Polite);
    match amount.min(able) {
        0 => Credit::zero(),
        amount => take(n, amount),
    }
}

/// What a step did to the issuance, as its events have it: minted, and burnt.
fn told() -> (u128, u128) {
    let (mut minted, mut burnt) = (0, 0);
    for record in System::events() {
        match record.event {
            RuntimeEvent::Economy(Event::Paid { minted: amount, .. }) => minted += amount,
            RuntimeEvent::Economy(Event::FeesSplit { burnt: amount, .. } | Event::SlashSplit { burnt: amount, .. })
            | RuntimeEvent::Balances(
                pallet_balances::Event::DustLost { amount, .. } | pallet_balances::Event::Burned { amount, .. },
            ) => burnt += amount,
            _ => {},
        }
    }
    (minted, burnt)
}

/// Does a step, and gives the accounts whose money it may take.
fn apply(step: Step) -> Result<Vec<AccountId32>, TestCaseError> {
    let mut givers = vec![];
    // A refused step changes nothing, which the invariants after it would show.
    match step {
        Step::Pay(pool, to, amount) => {
            let (before, able) = (balance(to), Economy::available(pool));
            let paid = Economy::pay(pool, &account(to), amount);
            prop_assert_eq!(balance(to), before + paid);
            let possible = amount.min(able);
            prop_assert_eq!(paid, if before + possible < ED { 0 } else { possible });
            givers.push(Economy::pool_account(pool));
        },
        Step::Fund(who, pool, amount) => {
            let _ = Economy::fund_pool(signed(who), pool, amount);
            givers.push(account(who));
        },
        Step::Spend(to, amount) => {
            let _ = Economy::spend(RuntimeOrigin::root(), account(to), amount);
            givers.push(Economy::treasury_account());
        },
        Step::Fee(payer, fee, tip) => {
            let fee = take_some(payer, fee);
            let tip = take_some(payer, tip);
            Fees::on_unbalanceds([fee, tip].into_iter());
            givers.push(account(payer));
        },
        Step::EndBlock(author) => {
            BlockAuthor::set(author.map(account));
            end_block();
        },
        Step::Slash(who, amount) => {
            Slashes::on_unbalanced(take_some(who, amount));
            givers.push(account(who));
        },
        Step::Burn(who, amount) => {
            let (keep, best, polite) = (Preservation::Expendable, Precision::BestEffort, Fortitude::Polite);
            let _ = Balances::burn_from(&account(who), amount, keep, best, polite);
            givers.push(account(who));
        },
        Step::Transfer(from, to, amount) => {
            let _ = Balances::transfer_allow_death(signed(from), account(to), amount);
            givers.push(account(from));
        },
        Step::NextEra(eras) => Era::mutate(|era| *era += eras),
        Step::Rules(emission, burn, treasury, slash) => Economics::mutate(|rules| {
            rules.era_emission = emission;
            (rules.fee_burn, rules.fee_treasury, rules.slash_treasury) = (Ppm(burn), Ppm(treasury), Ppm(slash));
        }),
    }
    Ok(givers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn money_adds_up(steps in prop::collection::vec(step(), 1..120)) {
        new_test_ext().execute_with(|| {
            for step in steps {
                System::reset_events();
                let (before, issuance, minted) = (balances(), Balances::total_issuance(), Minted::<Test>::get());
                let givers = apply(step)?;

                prop_assert_eq!(Economy::do_try_state(), Ok(()));
                prop_assert_eq!(sum_of_money(), Balances::total_issuance());
                prop_assert!(Balances::total_issuance() <= Minted::<Test>::get() && Minted::<Test>::get() <= CAP);
                // All that came into being or ceased to be was told.
                let (new, burnt) = told();
                prop_assert_eq!(Minted::<Test>::get(), minted + new);
                prop_assert_eq!(Balances::total_issuance() + burnt, issuance + new);
                // Nobody has less but who gave it.
                let after = balances();
                for (who, amount) in before {
                    let now = after.get(&who).copied().unwrap_or_default();
                    prop_assert!(now >= amount || givers.contains(&who), "{who} had {amount} and has {now}");
                }
            }
            Ok(())
        })?;
    }
}
