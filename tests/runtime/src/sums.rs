//! Staking, economy and payment channels together, on a chain that runs: whatever happens, no more is issued than can be,
//! what is held of an account is what pallets say they hold, and nobody's money vanishes.
//!
//! A sequence of steps is a life of the chain: transactions by its accounts with their fees, blocks, sessions and eras,
//! equivocations and slashes, what the DAO decides, and what other pallets pay. Whether the sums add up is proved after every
//! tenth step and, for issuance, after each; in the end everybody takes back all that is left, and it is there.
//!
//! `BLYAN_SUM_STEPS=1000000` takes so many steps, other ones each time, by hand, in place of ten thousand.

mod step;

use super::{chain::*, defensive, ledger, preset, runner, try_state};
use blyan_primitives::ids::HardwareId;
use blyan_runtime::{
    constants::{
        currency::{BLY, MAX_ISSUANCE},
        time::DAYS,
    },
    AccountId, Balances, BlockNumber, Inference, Runtime, RuntimeCall, RuntimeOrigin, Staking, System,
};
use frame_support::traits::fungible::{Inspect, Mutate};
use pallet_blyan_staking::BondKind;
use polkadot_sdk::*;
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestError},
};
use sp_keyring::Sr25519Keyring::{self, *};
use sp_runtime::traits::Dispatchable;
use std::{cell::RefCell, collections::BTreeMap};
use step::{step, Step};

/// The variable that says how many steps to take by hand.
const STEPS: &str = "BLYAN_SUM_STEPS";
/// Who acts. All of them have a million BLY, the first four are validators.
const PEOPLE: [Sr25519Keyring; 10] = [Alice, Bob, Charlie, Dave, Eve, Ferdie, AliceStash, BobStash, One, Two];
/// Of them, those that register workers.
const WORKERS: [Sr25519Keyring; 3] = [Ferdie, One, Two];

type Outcome = Result<(), TestCaseError>;

/// A chain and what is known of its money.
struct Chain {
    issuance: ledger::Issuance,
}

impl Chain {
    /// Lets `count` blocks pass.
    fn pass(&mut self, count: u64, skipped: u64, luck: usize) -> Outcome {
        for turn in 0..count {
            finish_block();
            self.issuance.finish_block().map_err(TestCaseError::fail)?;
            begin_block(skipped, luck + turn as usize);
        }
        Ok(())
    }

    /// Lets heights pass without a block between them. What counts by heights here, channels, anchors and machines, acts
    /// when it is asked, and nothing is scheduled: nothing happens in the blocks that are left out.
    fn pass_days(&mut self, blocks: BlockNumber) -> Outcome {
        finish_block();
        self.issuance.finish_block().map_err(TestCaseError::fail)?;
        System::set_block_number(System::block_number() + blocks);
        pallet_scheduler::IncompleteSince::<Runtime>::kill();
        begin_block(0, 0);
        Ok(())
    }

    fn check_all(&self) -> Outcome {
        self.issuance.check().map_err(TestCaseError::fail)?;
        ledger::check().map_err(TestCaseError::fail)?;
        defensive::check().map_err(TestCaseError::fail)?;
        try_state();
        Ok(())
    }
}

/// How often each kind of step was taken, and how often it did what it was to do.
type Counts = BTreeMap<String, (u32, u32)>;

/// Takes the steps on the chain of a preset that `prepare` has changed, and gives everybody everything back in the end.
fn walk(id: &str, prepare: impl FnOnce(), steps: Vec<Step>, counts: &mut Counts) -> Outcome {
    defensive::watch();
    preset(id).execute_with(|| {
        prepare();
        let mut chain = Chain { issuance: ledger::Issuance::new() };
        begin_block(0, 0);
        for (who, machine) in WORKERS.into_iter().zip(0..) {
            apply(signed(who, register_worker(who, machine), 0)).map_err(TestCaseError::fail)?;
        }
        for (number, step) in steps.into_iter().enumerate() {
            let (name, shown) = (step.name(), format!("{step:?}"));
            let failed = |error| TestCaseError::fail(format!("after step {number}, {shown}: {error}"));
            let is_done = step.take(&mut chain).map_err(failed)?.is_ok();
            let (tried, done) = counts.entry(name).or_default();
            *tried += 1;
            *done += u32::from(is_done);
            chain.issuance.check().map_err(|error| failed(TestCaseError::fail(error)))?;
            if number % 10 == 9 {
                chain.check_all().map_err(failed)?;
            }
        }
        chain.check_all()?;
        settle(&mut chain)
    })
}

/// Everybody leaves, and takes back what was not slashed or spent.
fn settle(chain: &mut Chain) -> Outcome {
    use pallet_blyan_inference::Call as Channels;
    use pallet_blyan_staking::Call as Stakes;
    // Without fees, which not everybody can pay any more. What is refused was done before.
    let all = |calls: &dyn Fn(AccountId) -> Vec<RuntimeCall>| {
        for who in PEOPLE.map(Sr25519Keyring::to_account_id) {
            for call in calls(who.clone()) {
                let _ = call.dispatch(RuntimeOrigin::signed(who.clone()));
            }
        }
    };
    all(&|who| {
        let amount = Staking::ledger(who.clone()).worker.active;
        let mut calls: Vec<RuntimeCall> =
            vec![Stakes::<Runtime>::leave {}.into(), Stakes::<Runtime>::unbond_worker { amount }.into()];
        for delegation in Staking::delegations(who.clone()) {
            let (validator, amount) = (delegation.validator, delegation.amount);
            calls.push(Stakes::<Runtime>::undelegate { validator, amount }.into());
        }
        for (channel, _) in Inference::channels_of(who) {
            calls.push(Channels::<Runtime>::request_close { channel }.into());
        }
        calls.push(pallet_blyan_workers::Call::<Runtime>::leave {}.into());
        calls
    });
    chain.check_all()?;
    // The notices of channels, the lives of anchors and the cooling periods of machines pass, and then so many sessions that
    // each slash is applied and every bond due.
    chain.pass_days(31 * DAYS)?;
    chain.pass(60, 4, 0)?;
    all(&|who| {
        let mut calls: Vec<RuntimeCall> = [BondKind::Validator, BondKind::Delegation, BondKind::Worker]
            .map(|kind| Stakes::<Runtime>::withdraw { kind }.into())
            .into();
        for (channel, _) in Inference::channels_of(who.clone()) {
            calls.push(Channels::<Runtime>::close { channel }.into());
        }
        calls.push(Channels::<Runtime>::prune { worker: who, limit: u32::MAX }.into());
        calls.extend((0..step::MACHINES).map(|machine| {
            let hardware = HardwareId([machine; 32]);
            pallet_blyan_workers::Call::<Runtime>::release_hardware { hardware }.into()
        }));
        calls.push(pallet_session::Call::<Runtime>::purge_keys {}.into());
        calls
    });
    chain.check_all()?;
    for who in PEOPLE.map(Sr25519Keyring::to_account_id) {
        // What a worker has served in all stays for good, and so does what is held for it.
        let stays = Inference::served(who.clone()).deposit;
        let reserved = Balances::total_balance(&who) - Balances::balance(&who);
        prop_assert_eq!(reserved, stays, "{} has not everything back", who);
    }
    Ok(())
}

/// Takes `total` steps, in sequences of up to `longest`, each on a chain of its own.
fn walks(total: u32, longest: usize, id: &str, prepare: impl Fn()) -> Counts {
    let config = ProptestConfig { max_shrink_iters: 6_000, ..Default::default() };
    let mut runner = runner(config, std::env::var_os(STEPS).is_some());
    let counts = RefCell::new(Counts::new());
    while counts.borrow().values().map(|(tried, _)| tried).sum::<u32>() < total {
        let steps = prop::collection::vec(step(), 1..=longest).new_tree(&mut runner).unwrap();
        match runner.run_one(steps, |steps| walk(id, &prepare, steps, &mut counts.borrow_mut())) {
            Ok(_) => {},
            Err(TestError::Fail(why, steps)) => panic!("{why}\nwith {} steps: {steps:#?}", steps.len()),
            Err(TestError::Abort(why)) => panic!("{why}"),
        }
    }
    counts.into_inner()
}

#[test]
fn nobodys_money_vanishes_in_ten_thousand_steps() {
    let steps = std::env::var(STEPS).map_or(10_000, |steps| steps.parse().unwrap());
    let counts = walks(steps, 1_000, "tiny_local", || {});
    // What never happens proves nothing.
    assert!(counts.len() >= 38, "only steps of {} kinds were taken", counts.len());
    let never: Vec<_> = counts.iter().filter(|(_, (_, done))| *done == 0).collect();
    assert!(never.is_empty(), "nothing ever came of {never:?}");
}

#[test]
fn nor_when_all_but_a_little_is_issued() {
    let counts = walks(2_000, 500, "tiny_local", || {
        // As if the genesis had allocated so much.
        let hoard = AccountId::from([255; 32]);
        let left = 5_000 * BLY;
        Balances::mint_into(&hoard, MAX_ISSUANCE - left - Balances::total_issuance()).unwrap();
        pallet_blyan_economy::Minted::<Runtime>::put(MAX_ISSUANCE - left);
        pallet_blyan_economy::Allocated::<Runtime>::put(MAX_ISSUANCE - left);
    });
    assert!(counts["Pay"].1 > 0, "nothing was ever paid");
}
