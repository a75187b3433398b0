//! A fuzz of the whole runtime: any call, by anybody, between blocks and sessions.
//!
//! Calls are made from the metadata: a call of any pallet, with arguments of the types that it says, most of which name what
//! there is (accounts, blocks, channels, referenda), lie at an edge, or are as they were meant but for a few flipped bits.
//! They come as they do on a chain: as transactions that somebody signs, who may have no money, that nobody signs, or that
//! prove themselves; from root and from the DAO's tracks; in batches, through proxies and from shared accounts. Meanwhile
//! blocks and sessions pass, workers send heartbeats, validators equivocate, and what pallets to come will report is reported.
//!
//! Nothing of that may panic, take more than the weight that it declared, or be included when that is more than a block has;
//! and whatever happens, every pallet's `try_state` holds, and so do the sums of [`ledger`](super::ledger). Overflow does not
//! panic here: see [`defensive`](super::defensive). A few calls are left out: see [`not_called`].
//!
//! By default, as in `scripts/test`, this takes less than a minute. `BLYAN_FUZZ_CASES` says how many chains, each with up to
//! 300 steps, it takes in place of that, and has it print what came of each call; `BLYAN_FUZZ_STEPS` takes the steps of a
//! failure again, as its message gives them. See docs/testing.md.

mod known;
mod not_called;
mod signing;
mod values;

use super::{chain::*, defensive, ledger, preset, runner, try_state};
use blyan_primitives::{
    pact::Ppm,
    traits::{Payout, Pool, Slash, Standings},
};
use blyan_runtime::{
    configs::{proxy::ProxyType, system::RuntimeBlockWeights},
    constants::{currency::BLY, time::MINUTES},
    AccountId, Economy, Executive, Runtime, RuntimeCall, RuntimeOrigin, SafeMode, Staking, UncheckedExtrinsic, Workers,
};
use fastrand::Rng;
use frame_support::{
    dispatch::GetDispatchInfo,
    storage::{with_transaction_unchecked, TransactionOutcome},
    traits::{schedule::DispatchTime, Bounded, GetCallMetadata, OriginTrait},
};
use known::{shared_account, strangers, Known};
use polkadot_sdk::*;
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestError},
};
use sp_core::{sr25519, Pair};
use sp_keyring::Sr25519Keyring::{self, *};
use sp_runtime::{
    traits::Dispatchable,
    transaction_validity::{TransactionSource, TransactionValidity},
    DispatchError, MultiAddress,
};
use std::{
    collections::BTreeMap,
    fmt,
    panic::{catch_unwind, AssertUnwindSafe},
    sync::LazyLock,
};
use values::{decode, mutate, Callable, Values};

/// Who acts, beside strangers. All have money.
const PEOPLE: [Sr25519Keyring; 9] = [Alice, Bob, Charlie, Dave, Eve, Ferdie, AliceStash, One, Two];
/// Those with workers from the beginning.
const MEMBERS: [Sr25519Keyring; 4] = [Eve, Ferdie, One, Two];
/// How many machines there are for workers to run on.
const MACHINES: u8 = 8;
/// Chains in a run, unless `BLYAN_FUZZ_CASES` says how many.
const CASES: u32 = 160;
/// Most steps on one chain.
const MAX_STEPS: usize = 300;
/// How often arguments and a caller are looked for with which a call would do something.
const ATTEMPTS: usize = 120;

type Outcome = Result<(), TestCaseError>;

/// How often each call was tried, and how often it did what it was to do.
type Counts = BTreeMap<(&'static str, &'static str), (u64, u64)>;

/// A chain that calls are made on.
struct Fuzz<'a> {
    values: &'a Values,
    counts: &'a mut Counts,
    issuance: ledger::Issuance,
    known: Known,
    /// The steps taken so far.
    shown: Vec<String>,
    /// What is being looked at to be the next.
    looked_at: Option<(RuntimeCall, Caller)>,
}

/// Who makes a call, and how it comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// The account of that number of [`keys`].
    Signed(usize),
    Nobody,
    Itself,
    Root,
    Dao(pallet_blyan_dao::Origin),
}

/// The keys of all who sign: people, and strangers whom nobody has given money yet.
fn keys() -> &'static [sr25519::Pair] {
    static KEYS: LazyLock<Vec<sr25519::Pair>> =
        LazyLock::new(|| PEOPLE.into_iter().map(|who| key(who).clone()).chain(strangers()).collect());
    &KEYS
}

impl Caller {
    fn any(rng: &mut Rng) -> Self {
        match rng.u8(..100) {
            0..60 => Self::Signed(rng.usize(..PEOPLE.len())),
            60..65 => Self::Signed(rng.usize(PEOPLE.len()..keys().len())),
            65..70 => Self::Nobody,
            70..76 => Self::Itself,
            76..90 => Self::Root,
            90..94 => Self::Dao(pallet_blyan_dao::Origin::Pact),
            94..97 => Self::Dao(pallet_blyan_dao::Origin::Treasury),
            _ => Self::Dao(pallet_blyan_dao::Origin::CancelSlash),
        }
    }

    /// What the call is made with once everything before it has passed.
    fn origin(self) -> RuntimeOrigin {
        match self {
            Self::Signed(key) => RuntimeOrigin::signed(keys()[key].public().into()),
            Self::Nobody => RuntimeOrigin::none(),
            Self::Itself => frame_system::RawOrigin::Authorized.into(),
            Self::Root => RuntimeOrigin::root(),
            Self::Dao(origin) => origin.into(),
        }
    }

    /// Whether who may not call something as one of them may not as the other either.
    fn is_like(self, other: Self) -> bool {
        self == other || matches!((self, other), (Self::Signed(_), Self::Signed(_)))
    }

    /// The development account that signs, if one does.
    fn person(self) -> Option<Sr25519Keyring> {
        match self {
            Self::Signed(key) => PEOPLE.get(key).copied(),
            _ => None,
        }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.person()) {
            (_, Some(who)) => write!(f, "{who}"),
            (Self::Signed(key), None) => write!(f, "{}", AccountId::from(keys()[*key].public())),
            (Self::Nobody, _) => write!(f, "nobody"),
            (Self::Itself, _) => write!(f, "itself"),
            (Self::Root, _) => write!(f, "root"),
            (Self::Dao(origin), _) => write!(f, "the DAO's track {origin:?}"),
        }
    }
}

/// A chain on which there are workers with heartbeats, somebody's proxy, and a shared account with money: what many calls are
/// about.
fn prepared(id: &str) -> sp_io::TestExternalities {
    let mut state = preset(id);
    state.execute_with(|| {
        begin_block(0, 0);
        let mut made = Vec::new();
        for (who, machine) in MEMBERS.into_iter().zip(0..) {
            made.push(apply(signed(who, register_worker(who, machine), 0)));
            let bond = pallet_blyan_staking::Call::<Runtime>::bond_worker { amount: 1_000 * BLY };
            made.push(apply(signed(who, bond, 0)));
        }
        let delegate = MultiAddress::Id(Bob.to_account_id());
        let proxy = pallet_proxy::Call::<Runtime>::add_proxy { delegate, proxy_type: ProxyType::Any, delay: 0 };
        made.push(apply(signed(Alice, proxy, 0)));
        let (dest, value) = (MultiAddress::Id(shared_account()), 10_000 * BLY);
        let shared = pallet_balances::Call::<Runtime>::transfer_keep_alive { dest, value };
        made.push(apply(signed(Alice, shared, 0)));
        // In the period of its registration a worker has no heartbeat, and in the first block of a session nobody.
        for _ in 0..=MINUTES {
            finish_block();
            begin_block(0, 0);
        }
        made.extend(MEMBERS.map(|who| apply(heartbeat(who))));
        finish_block();
        made.into_iter().collect::<Result<(), String>>().unwrap();
    });
    state.commit_all().unwrap();
    state
}

impl Fuzz<'_> {
    fn pass(&mut self, count: u64, skipped: u64, luck: usize) -> Outcome {
        for turn in 0..count {
            finish_block();
            self.issuance.finish_block().map_err(TestCaseError::fail)?;
            begin_block(skipped, luck + turn as usize);
        }
        if !has_room() {
            return self.pass(1, 0, luck);
        }
        self.known = Known::now();
        Ok(())
    }

    /// Every worker that has not shown in this period that it is there does so. Those that have left cannot.
    fn heartbeats(&self) {
        for who in PEOPLE {
            let _ = apply(heartbeat(who));
        }
    }

    /// Takes the step that a number stands for.
    fn step(&mut self, seed: u64) -> Outcome {
        let rng = &mut Rng::with_seed(seed);
        if rng.bool() {
            // A chain that was closed to all but governing is opened again.
            let _ = SafeMode::force_exit(RuntimeOrigin::root());
        }
        match rng.u8(..100) {
            0..14 => {
                let skipped = if rng.u8(..3) == 0 { rng.u64(..30) } else { 0 };
                let (count, luck) = (rng.u64(1..8), rng.usize(..4));
                self.shown.push(format!("{count} blocks, {skipped} slots skipped"));
                self.pass(count, skipped, luck)
            },
            14..18 => {
                self.heartbeats();
                Ok(())
            },
            18..20 => {
                let (place, back) = (rng.usize(..4), rng.u64(..4));
                self.shown.push(format!("validator {place} has equivocated {back} slots ago"));
                if let Some(report) = equivocation(place, back) {
                    let _ = unless_it_ends_the_block(|| apply(report));
                }
                Ok(())
            },
            20..24 => {
                self.report(rng);
                Ok(())
            },
            24..27 => self.referendum(rng),
            _ => self.call(rng),
        }
    }

    /// Somebody proposes a call, and all members who can are for it.
    fn referendum(&mut self, rng: &mut Rng) -> Outcome {
        let origin = match rng.u8(..6) {
            0..3 => RuntimeOrigin::root(),
            3 => pallet_blyan_dao::Origin::Pact.into(),
            4 => pallet_blyan_dao::Origin::Treasury.into(),
            _ => pallet_blyan_dao::Origin::CancelSlash.into(),
        };
        let call = self.values.any(rng);
        let bytes = self.values.call_of(call, &self.known, rng);
        let (Some(call), Ok(inline)) = (decode(&bytes), bytes.try_into()) else { return Ok(()) };
        self.shown.push(format!("a referendum with {origin:?} is on {call:?}"));
        let index = pallet_referenda::ReferendumCount::<Runtime>::get();
        let submit = pallet_referenda::Call::<Runtime>::submit {
            proposal_origin: Box::new(origin.caller().clone()),
            proposal: Bounded::Inline(inline),
            enactment_moment: DispatchTime::After(rng.u32(..4)),
        };
        let deposit = pallet_referenda::Call::<Runtime>::place_decision_deposit { index };
        self.heartbeats();
        // Whoever has left, cannot pay or is in quarantine does not take part.
        let _ = apply(signed(rng.choice(PEOPLE).unwrap(), submit, 0));
        let _ = apply(signed(rng.choice(PEOPLE).unwrap(), deposit, 0));
        for who in PEOPLE {
            let _ = apply(signed(who, pallet_blyan_dao::Call::<Runtime>::vote { referendum: index, aye: true }, 0));
        }
        self.pass(12, 0, rng.usize(..4))
    }

    /// What pallets that are not there yet will find and pay.
    fn report(&mut self, rng: &mut Rng) {
        let who = rng.choice(&self.known.accounts).unwrap();
        self.shown.push(format!("reports on {who}"));
        match rng.u8(..5) {
            0 => {
                let pool = rng.choice(Pool::ALL).unwrap();
                let _ = Economy::pay(pool, who, rng.u128(..2_000 * BLY));
            },
            1 => {
                let _ = <Staking as Slash<AccountId>>::slash_worker(who, Ppm(rng.u32(..=1_000_000)));
            },
            2 => {
                let _ = <Workers as Standings<AccountId>>::submit(who);
            },
            3 => <Workers as Standings<AccountId>>::succeed(who),
            _ => <Workers as Standings<AccountId>>::fail(who),
        }
    }

    /// Makes a random call. Three times of four it is one that would do something, if such a one is found.
    fn call(&mut self, rng: &mut Rng) -> Outcome {
        let callable = self.values.any(rng);
        let found = match rng.u8(..4) {
            0 => self.mutated(callable, rng).map(|call| (call, Caller::any(rng))),
            _ => self.promising(callable, rng),
        };
        let Some((mut call, caller)) = found else { return Ok(()) };
        let metadata = call.get_call_metadata();
        if let Some(who) = caller.person() {
            call = wrap(call, who, rng);
        }
        self.shown.push(format!("{caller:?} makes {call:?}"));
        let is_done = match caller {
            Caller::Signed(key) => {
                included(signed_by(&keys()[key], call, if rng.bool() { 0 } else { rng.u128(..BLY) }))?
            },
            Caller::Nobody => included(UncheckedExtrinsic::new_bare(call))?,
            Caller::Itself => included(authorised(call))?,
            Caller::Root => dispatched(call, RuntimeOrigin::root())?,
            Caller::Dao(origin) => dispatched(call, origin.into())?,
        };
        let (tried, done) = self.counts.entry((metadata.pallet_name, metadata.function_name)).or_default();
        *tried += 1;
        *done += u64::from(is_done);
        Ok(())
    }

    /// A call as it comes, half of the time with some of its bits flipped.
    fn mutated(&self, callable: &Callable, rng: &mut Rng) -> Option<RuntimeCall> {
        let mut bytes = self.values.call_of(callable, &self.known, rng);
        let is_mutated = rng.bool();
        if is_mutated {
            mutate(&mut bytes, rng);
        }
        decode(&bytes).filter(|call| !is_mutated || !not_called::may_have_left_out(call))
    }

    /// A call and its caller, of several the first that would do something here and now, else the last.
    fn promising(&mut self, callable: &Callable, rng: &mut Rng) -> Option<(RuntimeCall, Caller)> {
        let mut refused = Vec::new();
        for _ in 0..ATTEMPTS {
            let caller = Caller::any(rng);
            if refused.iter().any(|other| caller.is_like(*other)) {
                continue;
            }
            let Some(mut call) = decode(&self.values.call_of(callable, &self.known, rng)) else { continue };
            signing::sign(&mut call, caller.person(), rng);
            self.looked_at = Some((call.clone(), caller));
            let came_to = with_transaction_unchecked(|| {
                TransactionOutcome::Rollback(call.dispatch(caller.origin()).map_err(|failed| failed.error))
            });
            match came_to {
                Ok(_) => break,
                Err(DispatchError::BadOrigin) => refused.push(caller),
                Err(_) => {},
            }
        }
        self.looked_at.take()
    }

    fn check(&self) -> Outcome {
        self.issuance.check().map_err(TestCaseError::fail)?;
        ledger::check().map_err(TestCaseError::fail)?;
        defensive::check().map_err(TestCaseError::fail)?;
        try_state();
        Ok(())
    }
}

/// The call in another: in a batch, through a proxy, from a shared account, by sudo.
fn wrap(call: RuntimeCall, who: Sr25519Keyring, rng: &mut Rng) -> RuntimeCall {
    let boxed = || Box::new(call.clone());
    match rng.u8(..40) {
        0 => pallet_utility::Call::batch { calls: vec![call.clone(), call] }.into(),
        1 => pallet_utility::Call::batch_all { calls: vec![call.clone(), call] }.into(),
        2 => pallet_utility::Call::as_derivative { index: rng.u16(..2), call: boxed() }.into(),
        3 | 4 => {
            let real = MultiAddress::Id(Alice.to_account_id());
            pallet_proxy::Call::proxy { real, force_proxy_type: None, call: boxed() }.into()
        },
        5 | 6 => {
            let other = if who == Alice { Bob } else { Alice };
            let other_signatories = vec![other.to_account_id()];
            pallet_multisig::Call::as_multi_threshold_1 { other_signatories, call: boxed() }.into()
        },
        7 | 8 => pallet_sudo::Call::sudo { call: boxed() }.into(),
        _ => call,
    }
}

/// Sends a transaction to the pool and into the block. Says whether it has done what it was to do.
fn included(transaction: UncheckedExtrinsic) -> Result<bool, TestCaseError> {
    let info = transaction.get_dispatch_info();
    let most = RuntimeBlockWeights::get().get(info.class).max_extrinsic;
    let is_too_heavy = most.is_some_and(|most| info.total_weight().any_gt(most));
    // A node asks this on a state of its own.
    let _: TransactionValidity = with_transaction_unchecked(|| {
        let asked = Executive::validate_transaction(TransactionSource::External, transaction.clone(), GENESIS);
        TransactionOutcome::Rollback(asked)
    });
    let done = unless_it_ends_the_block(|| Executive::apply_extrinsic(transaction));
    prop_assert!(!is_too_heavy || !matches!(done, Some(Ok(_))), "a block takes what is too heavy for it: {info:?}");
    Ok(matches!(done, Some(Ok(Ok(())))))
}

/// Has a call made as a referendum or the scheduler does. Says whether it has done what it was to do.
fn dispatched(call: RuntimeCall, origin: RuntimeOrigin) -> Result<bool, TestCaseError> {
    let info = call.get_dispatch_info();
    let Some(done) = unless_it_ends_the_block(|| call.dispatch(origin)) else { return Ok(false) };
    let took = match &done {
        Ok(post) => post.actual_weight,
        Err(failed) => failed.post_info.actual_weight,
    };
    // An upgrade of the runtime takes all that is left of its block, so that nothing comes after it.
    let rest_of_the_block = RuntimeBlockWeights::get().max_block;
    let is_as_declared = took.is_none_or(|took| took.all_lte(info.call_weight) || took == rest_of_the_block);
    prop_assert!(is_as_declared, "it took {took:?}, not {info:?}");
    Ok(done.is_ok())
}

fn walk(chains: &Chains, values: &Values, counts: &mut Counts, steps: &[u64]) -> Outcome {
    defensive::watch();
    // Most on one that the DAO governs, some on one with sudo.
    let chain = if steps.first().is_some_and(|first| first % 4 == 0) { &chains.development } else { &chains.local };
    let mut state = sp_io::TestExternalities::default();
    state.backend = chain.backend.clone();
    state.register_extension(sp_core::traits::ReadRuntimeVersionExt::new(signing::NoCode));
    state.execute_with(|| {
        let issuance = ledger::Issuance::new();
        begin_block(0, 0);
        let mut fuzz = Fuzz { values, counts, issuance, known: Known::now(), shown: Vec::new(), looked_at: None };
        fuzz.check()?;
        let mut result = Ok(());
        for (number, seed) in steps.iter().enumerate() {
            let stepped = catch_unwind(AssertUnwindSafe(|| {
                fuzz.step(*seed)?;
                if number % 8 == 7 {
                    fuzz.known = Known::now();
                }
                if number % 16 == 15 {
                    fuzz.check()?;
                }
                Ok(())
            }));
            result = stepped.unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).into()));
                Err(TestCaseError::fail(format!("panic: {}", text.unwrap_or_default())))
            });
            if result.is_err() {
                break;
            }
        }
        let result = result.and_then(|()| {
            fuzz.pass(3, 4, 0)?;
            fuzz.check()
        });
        if let Some((call, caller)) = fuzz.looked_at {
            fuzz.shown.push(format!("would {caller:?} make {call:?}?"));
        }
        let last = fuzz.shown.split_off(fuzz.shown.len().saturating_sub(20)).join("\n");
        result.map_err(|error| TestCaseError::fail(format!("{error}\nafter these steps, among others:\n{last}")))
    })
}

/// Where every sequence of steps begins.
struct Chains {
    local: sp_io::TestExternalities,
    development: sp_io::TestExternalities,
}

#[test]
fn no_call_by_anybody_breaks_the_chain() {
    let (values, mut counts) = (Values::new(), Counts::new());
    let chains = Chains { local: prepared("tiny_local"), development: prepared("tiny_development") };
    if let Ok(steps) = std::env::var("BLYAN_FUZZ_STEPS") {
        let steps: Vec<u64> = steps.split(',').map(|step| step.trim().parse().unwrap()).collect();
        return walk(&chains, &values, &mut counts, &steps).unwrap();
    }
    let asked = std::env::var("BLYAN_FUZZ_CASES").ok().map(|cases| cases.parse().unwrap());
    let config = ProptestConfig { cases: asked.unwrap_or(CASES), max_shrink_iters: 2_000, ..Default::default() };
    // A part of a step would be another step.
    let steps = prop::collection::vec(any::<u64>().no_shrink(), 1..=MAX_STEPS);
    let shared = std::cell::RefCell::new(&mut counts);
    let result =
        runner(config, asked.is_some()).run(&steps, |steps| walk(&chains, &values, &mut shared.borrow_mut(), &steps));
    if let Err(TestError::Fail(why, steps)) = result {
        let steps: Vec<_> = steps.iter().map(u64::to_string).collect();
        panic!("{why}\nto see it again: BLYAN_FUZZ_STEPS={}", steps.join(","));
    }
    result.unwrap();
    let (tried, done) = counts.values().fold((0, 0), |(tried, done), count| (tried + count.0, done + count.1));
    if asked.is_some() {
        for ((pallet, call), (tried, done)) in &counts {
            println!("{done:>8} of {tried:>8} {pallet}.{call}");
        }
        println!("{done:>8} of {tried:>8} in all");
    }
    // Refused calls prove little.
    assert!(done * 4 >= tried, "only {done} of {tried} calls did anything");
}

#[test]
fn every_call_can_be_made() {
    let values = Values::new();
    preset("tiny_local").execute_with(|| {
        begin_block(0, 0);
        let known = Known::now();
        let mut rng = Rng::with_seed(7);
        for call in &values.calls {
            let made = (0..40).filter_map(|_| decode(&values.call_of(call, &known, &mut rng)));
            let name = |made: &RuntimeCall| made.get_call_metadata().function_name.to_owned();
            let made: Vec<_> = made.map(|made| name(&made)).collect();
            assert!(made.iter().all(|made| *made == call.name), "{}.{} is {made:?}", call.pallet, call.name);
            assert!(made.len() > 20, "of {}.{} only {} of 40 decode", call.pallet, call.name, made.len());
        }
    });
}
