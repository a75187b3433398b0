//! Whatever happens, what is held is what the ledger says, and nobody's money vanishes.

use crate::{mock::*, *};
use blyan_primitives::{pact::Ppm, traits::Slash};
use frame_support::traits::UnfilteredDispatchable;
use pallet_session::SessionInterface;
use polkadot_sdk::*;
use proptest::prelude::*;
use sp_runtime::{testing::UintAuthorityId, Percent};

#[derive(Clone, Debug)]
enum Step {
    Call(u64, RuntimeCall),
    Keys(u64, bool),
    Report { offender: u64, back: u32, percent: u32 },
    SlashWorker(u64, u32),
    Cancel(u32),
    Author(u64),
    Amend(u32, u32, u32),
    Blocks(u64),
}

/// Candidates are among 1 to 12, and so is everybody else.
fn account() -> std::ops::RangeInclusive<u64> {
    1..=12
}

fn amount() -> impl Strategy<Value = u128> {
    prop_oneof![2 => 0u128..300, 3 => 300u128..6_000, 1 => 6_000u128..60_000]
}

fn kind() -> impl Strategy<Value = BondKind> {
    prop_oneof![Just(BondKind::Validator), Just(BondKind::Delegation), Just(BondKind::Worker)]
}

fn call() -> impl Strategy<Value = RuntimeCall> {
    let percent = (0u8..=100).prop_map(Percent::from_percent);
    let ppm = (0u32..300_000).prop_map(Ppm);
    prop_oneof![
        3 => (ppm.clone(), amount()).prop_map(|(commission, bond)| Call::<Test>::validate { commission, bond }),
        1 => amount().prop_map(|amount| Call::bond_more { amount }),
        2 => amount().prop_map(|amount| Call::unbond { amount }),
        1 => ppm.prop_map(|commission| Call::set_commission { commission }),
        1 => Just(Call::chill {}),
        2 => Just(Call::activate {}),
        1 => Just(Call::leave {}),
        6 => (account(), amount(), percent.clone()).prop_map(|(validator, amount, auto_compound)| {
            Call::delegate { validator, amount, auto_compound }
        }),
        2 => (account(), amount()).prop_map(|(validator, amount)| Call::delegate_more { validator, amount }),
        4 => (account(), amount()).prop_map(|(validator, amount)| Call::undelegate { validator, amount }),
        5 => (account(), account(), amount()).prop_map(|(from, to, amount)| Call::redelegate { from, to, amount }),
        1 => (account(), percent).prop_map(|(validator, share)| Call::set_auto_compound { validator, share }),
        2 => amount().prop_map(|amount| Call::bond_worker { amount }),
        2 => amount().prop_map(|amount| Call::unbond_worker { amount }),
        5 => kind().prop_map(|kind| Call::withdraw { kind }),
    ]
    .prop_map(RuntimeCall::Staking)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        24 => (account(), call()).prop_map(|(who, call)| Step::Call(who, call)),
        2 => (account(), prop::bool::weighted(0.8)).prop_map(|(who, set)| Step::Keys(who, set)),
        2 => (account(), 0u32..8, 1u32..=100)
            .prop_map(|(offender, back, percent)| Step::Report { offender, back, percent }),
        1 => (account(), 0u32..=1_000_000).prop_map(|(who, share)| Step::SlashWorker(who, share)),
        1 => (0u32..30).prop_map(Step::Cancel),
        3 => account().prop_map(Step::Author),
        1 => (1u32..6, 2u32..5, 0u32..3).prop_map(|(seats, unbonding, floor)| Step::Amend(seats, unbonding, floor)),
        8 => (1u64..9).prop_map(Step::Blocks),
    ]
}

/// What came of a step, if anything.
fn take(step: Step) -> bool {
    match step {
        // As a transaction does, so that what is refused changes nothing.
        Step::Call(who, call) => call.dispatch_bypass_filter(signed(who)).is_ok(),
        Step::Keys(who, true) => {
            <Session as SessionInterface>::set_keys(&who, Keys { dummy: UintAuthorityId(who) }).is_ok()
        },
        Step::Keys(who, false) => Session::purge_keys(signed(who)).is_ok(),
        Step::Report { offender, back, percent } => {
            let now = Session::current_index();
            let session = now.saturating_sub(back.min(Staking::reportable_sessions()));
            // Some of them in the same slot as others.
            report_of(offender, session, System::block_number() / 4, percent).is_ok()
        },
        Step::SlashWorker(who, share) => <Staking as Slash<_>>::slash_worker(&who, Ppm(share)).is_some(),
        Step::Cancel(slash) => Staking::cancel_slash(RuntimeOrigin::root(), slash).is_ok(),
        Step::Author(who) => {
            Author::set(Some(who));
            true
        },
        Step::Amend(seats, unbonding, floor) => {
            amend(|rules| {
                (rules.max_validators, rules.unbonding) = (seats, unbonding);
                rules.min_validators = 1 + floor.min(seats - 1);
            });
            true
        },
        Step::Blocks(count) => {
            run_blocks(count);
            true
        },
    }
}

fn total() -> u128 {
    frame_system::Account::<Test>::iter().map(|(_, account)| account.data.free + account.data.reserved).sum()
}

fn soundness(initial: u128) -> Result<(), TestCaseError> {
    prop_assert_eq!(Staking::do_try_state(), Ok(()));
    prop_assert_eq!(total(), Balances::total_issuance());
    prop_assert_eq!(total(), initial + Minted::get() - Burnt::get());
    Ok(())
}

fn walk(sessions_per_era: u32, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let rules = Rule::get();
    SessionsPerEra::set(sessions_per_era);
    let result = new_test_ext().execute_with(|| {
        let initial = total();
        let (tried, mut happened) = (steps.len(), 0);
        for step in steps {
            let shown = format!("{step:?}");
            happened += u32::from(take(step));
            soundness(initial).map_err(|error| TestCaseError::fail(format!("after {shown}: {error}")))?;
            prop_assert!(!Session::validators().is_empty());
        }
        // Time passes in one of six steps: of so many, some did something.
        prop_assert!(happened > 0 || tried < 50);
        // In the end everybody can have everything back that was not slashed.
        for who in account() {
            let _ = Staking::leave(signed(who));
            let _ = Staking::unbond_worker(signed(who), WorkerBonds::<Test>::get(who).active);
            run_blocks(3);
        }
        let era = ActiveEra::<Test>::get();
        run_into_era(era + 8);
        for who in account() {
            for kind in [BondKind::Validator, BondKind::Delegation, BondKind::Worker] {
                let _ = Staking::withdraw(signed(who), kind);
                soundness(initial)?;
                prop_assert!(Unbonding::<Test>::get(kind, who).is_empty(), "{who} {kind:?}");
            }
            prop_assert!(Delegators::<Test>::get(who).is_empty());
            prop_assert_eq!(held(BondKind::Validator, who) + held(BondKind::Delegation, who), 0);
            prop_assert_eq!(held(BondKind::Worker, who), WorkerBonds::<Test>::get(who).active);
        }
        Ok(())
    });
    Rule::set(rules);
    result
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 400, ..Default::default() })]

    #[test]
    fn the_ledger_is_what_is_held(steps in prop::collection::vec(step(), 1..160)) {
        walk(3, steps)?;
    }

    #[test]
    fn so_it_is_when_every_session_is_an_era(steps in prop::collection::vec(step(), 1..160)) {
        walk(1, steps)?;
    }
}
