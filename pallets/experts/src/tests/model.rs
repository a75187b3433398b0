//! Whatever happens to rounds, they are what a plain model of them is, and money is where it should be.

use crate::{mock::*, Lateness, Outcome, Phase, Rounds};
use blyan_primitives::{
    ids::ContentHash,
    learning::{DeltaHeader, DeltaOutcome, ItemRange, RoundId, Rounds as KeepRounds, Verdict},
    pol::Refusal,
};
use frame_support::{traits::fungible::Inspect, weights::Weight};
use polkadot_sdk::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What everybody has: enough for every deposit and bond.
const PLENTY: u128 = 1_000_000;
/// What the pool for learning has: rewards are a part of it in the end.
const POOL: u128 = 12_000;

/// Rounds are named by how many were opened after them.
#[derive(Clone, Debug)]
enum Step {
    Open(u16),
    /// Round, learner (the last one does not train), block, and what may be wrong with the delta.
    Submit(u32, usize, u8, Flaw),
    /// Whether a committee is to be had from now on.
    Committee(bool),
    Decide(u32, Vec<u8>, bool, i64, usize),
    Fail(u32),
    /// Round, publisher, and whether the blocks are those that were accepted.
    Publish(u32, bool, bool),
    Idle,
    Wait(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    Base,
    Size,
    Data,
    Range,
}

fn flaw() -> impl Strategy<Value = Flaw> {
    prop_oneof![12 => Just(Flaw::None), 1 => Just(Flaw::Base), 1 => Just(Flaw::Size), 1 => Just(Flaw::Data), 1 => Just(Flaw::Range)]
}

fn step() -> impl Strategy<Value = Step> {
    let round = 0u32..4;
    let outcomes = prop::collection::vec(0u8..9, MAX_DELTAS as usize);
    prop_oneof![
        4 => (0u16..4).prop_map(Step::Open),
        14 => (round.clone(), 0usize..6, 1u8..8, flaw())
            .prop_map(|(round, who, block, flaw)| Step::Submit(round, who, block, flaw)),
        1 => any::<bool>().prop_map(Step::Committee),
        6 => (round.clone(), outcomes, prop::bool::weighted(0.7), -50_000i64..200_000, 0usize..4)
            .prop_map(|(round, outcomes, takes, gain, seats)| Step::Decide(round, outcomes, takes, gain, seats)),
        1 => round.clone().prop_map(Step::Fail),
        5 => (round, any::<bool>(), prop::bool::weighted(0.8))
            .prop_map(|(round, primary, right)| Step::Publish(round, primary, right)),
        1 => Just(Step::Idle),
        6 => (1u64..8).prop_map(Step::Wait),
    ]
}

/// A finding: who finds it counts for nothing here.
fn outcome(code: u8) -> DeltaOutcome {
    match code {
        0..3 => DeltaOutcome::Merged(1 << 14),
        3 => DeltaOutcome::Withheld,
        4 => DeltaOutcome::Refused(Refusal::NoGain),
        5 => DeltaOutcome::Refused(Refusal::Unsure),
        6 => DeltaOutcome::Refused(Refusal::Malformed),
        7 => DeltaOutcome::Refused(Refusal::Harmful),
        _ => DeltaOutcome::Refused(Refusal::Leaked),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Open(u64),
    Evaluating,
    /// Seed of the candidate, gain, evaluators, and the ends of both windows.
    Accepted(u8, i64, Vec<u64>, u64, u64),
    Empty(u64),
    Failed(u64),
    Rejected(u64),
    Lapsed(u64),
    Committed(u64),
}

impl State {
    fn over_at(&self) -> Option<u64> {
        match self {
            Self::Open(_) | Self::Evaluating | Self::Accepted(..) => None,
            Self::Empty(at) | Self::Failed(at) | Self::Rejected(at) | Self::Lapsed(at) | Self::Committed(at) => {
                Some(*at)
            },
        }
    }
}

#[derive(Clone, Debug)]
struct Work {
    learner: u64,
    outcome: Option<DeltaOutcome>,
}

/// A round as one would write it down by hand.
#[derive(Debug)]
struct Sheet {
    index: u16,
    base: ContentHash,
    deltas: Vec<Work>,
    state: State,
}

struct Model {
    sheets: BTreeMap<RoundId, Sheet>,
    next: RoundId,
    /// What slots hold.
    heads: BTreeMap<u16, ContentHash>,
    /// Seed of the last candidate.
    seed: u8,
    committee: bool,
    money: BTreeMap<u64, u128>,
    pool: u128,
    records: BTreeMap<u64, (u32, u32)>,
}

impl Model {
    fn new() -> Self {
        let people = LEARNERS.into_iter().chain(EVALUATORS).chain([ALICE, BOB, PRIMARY, TREASURER]);
        Self {
            sheets: BTreeMap::new(),
            next: 0,
            heads: (0..3).map(|index| (index, genesis())).collect(),
            seed: 0,
            committee: true,
            money: people.map(|who| (who, PLENTY)).collect(),
            pool: POOL,
            records: BTreeMap::new(),
        }
    }

    fn ongoing(&self) -> impl Iterator<Item = &Sheet> {
        self.sheets.values().filter(|sheet| sheet.state.over_at().is_none())
    }

    fn give(&mut self, who: u64, amount: u128) {
        *self.money.get_mut(&who).unwrap() += amount;
    }

    fn take(&mut self, who: u64, amount: u128) {
        *self.money.get_mut(&who).unwrap() -= amount;
    }

    fn open(&mut self, index: u16) -> bool {
        let taken = self.ongoing().any(|sheet| sheet.index == index);
        let Some(base) = self.heads.get(&index).copied().filter(|_| !taken) else { return false };
        let state = State::Open(System::block_number() + SUBMISSION);
        self.sheets.insert(self.next, Sheet { index, base, deltas: vec![], state });
        self.next += 1;
        true
    }

    /// Whether the call succeeds, and whether it told that the delta was late.
    fn submit(&mut self, id: RoundId, learner: u64, flaw: Flaw) -> (bool, Option<Lateness>) {
        let Some(sheet) = self.sheets.get_mut(&id).filter(|_| LEARNERS.contains(&learner)) else {
            return (false, None);
        };
        if !matches!(sheet.state, State::Open(until) if System::block_number() < until) {
            return (true, Some(Lateness::Closed));
        }
        if flaw == Flaw::Base {
            return (true, Some(Lateness::StaleBase));
        }
        let is_there = sheet.deltas.iter().any(|other| other.learner == learner);
        let refused = is_there || sheet.deltas.len() == MAX_DELTAS as usize;
        if flaw != Flaw::None || refused {
            return (false, None);
        }
        sheet.deltas.push(Work { learner, outcome: None });
        (true, None)
    }

    fn decide(&mut self, id: RoundId, verdict: &Verdict<u64>, seed: u8) {
        let now = System::block_number();
        let sheet = self.sheets.get_mut(&id).unwrap();
        sheet.state = match verdict.candidate {
            Ok(_) => {
                let evaluators = verdict.evaluators.clone();
                State::Accepted(seed, verdict.gain, evaluators, now + PUBLICATION, now + 2 * PUBLICATION)
            },
            Err(_) => State::Rejected(now),
        };
        let mut losses = vec![];
        for (work, outcome) in sheet.deltas.iter_mut().zip(&verdict.deltas) {
            work.outcome = Some(*outcome);
            let (lost, record) = match outcome {
                DeltaOutcome::Merged(_) => (0, (1, 0)),
                DeltaOutcome::Withheld => (FEE, (0, 0)),
                DeltaOutcome::Refused(Refusal::NoGain | Refusal::Unsure) => (FEE, (0, 1)),
                DeltaOutcome::Refused(_) => (BOND, (0, 1)),
            };
            losses.push((work.learner, lost, record));
        }
        let all: u128 = losses.iter().map(|(_, lost, _)| lost).sum();
        for (learner, lost, (successes, failures)) in losses {
            self.take(learner, lost);
            if successes + failures > 0 {
                let record = self.records.entry(learner).or_default();
                *record = (record.0 + successes, record.1 + failures);
            }
        }
        let each = all.checked_div(verdict.evaluators.len() as u128).unwrap_or(0);
        for evaluator in &verdict.evaluators {
            self.give(*evaluator, each);
        }
        self.give(TREASURER, all - each * verdict.evaluators.len() as u128);
    }

    fn publish(&mut self, id: RoundId, who: u64, right: bool) -> bool {
        let now = System::block_number();
        let Some(sheet) = self.sheets.get_mut(&id) else { return false };
        let State::Accepted(seed, gain, evaluators, primary_until, until) = sheet.state.clone() else { return false };
        if !right || now >= until || (who != PRIMARY && now < primary_until) {
            return false;
        }
        sheet.state = State::Committed(now);
        self.heads.insert(sheet.index, candidate(seed).serving);
        let total = (REWARD * gain.clamp(0, 100_000) as u128 / 100_000).min(self.pool);
        let mut paid = vec![(who, total / 10)];
        let part = total * 6 / 10;
        for work in &sheet.deltas {
            if let Some(DeltaOutcome::Merged(weight)) = work.outcome {
                paid.push((work.learner, part * u128::from(weight) / 65_536));
            }
        }
        let each = (total / 5).checked_div(evaluators.len() as u128).unwrap_or(0);
        paid.extend(evaluators.into_iter().map(|who| (who, each)));
        for (who, amount) in paid {
            self.give(who, amount);
            self.pool -= amount;
        }
        true
    }

    /// What happens in the beginning of block `now`.
    fn advance(&mut self, now: u64) {
        for sheet in self.sheets.values_mut() {
            match sheet.state {
                State::Open(until) if until == now => {
                    sheet.state = match (sheet.deltas.is_empty(), self.committee) {
                        (true, _) => State::Empty(now),
                        (false, true) => State::Evaluating,
                        (false, false) => State::Failed(now),
                    };
                },
                State::Accepted(.., until) if until == now => sheet.state = State::Lapsed(now),
                _ => {},
            }
        }
    }

    /// Whether the chain's rounds, and its money, are these.
    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(Rounds::<Test>::iter().count(), self.sheets.len());
        let mut bonds = BTreeMap::<u64, u128>::new();
        for (id, sheet) in &self.sheets {
            let round = Experts::round(*id).unwrap();
            let same = match (round.phase, &sheet.state) {
                (Phase::Open { until }, State::Open(end)) => until == *end,
                (Phase::Evaluating, State::Evaluating) => true,
                (Phase::Accepted { accepted, primary_until, until }, State::Accepted(seed, gain, _, first, end)) => {
                    accepted.serving == candidate(*seed).serving
                        && (accepted.gain, primary_until, until) == (*gain, *first, *end)
                },
                (Phase::Over { outcome, at }, state) => match (outcome, state) {
                    (Outcome::Empty, State::Empty(end))
                    | (Outcome::Failed, State::Failed(end))
                    | (Outcome::Rejected(_), State::Rejected(end))
                    | (Outcome::Lapsed(_), State::Lapsed(end))
                    | (Outcome::Committed(_), State::Committed(end)) => at == *end,
                    _ => false,
                },
                _ => false,
            };
            prop_assert!(same, "{:?} is {:?}", round, sheet);
            prop_assert_eq!((round.slot, round.base), (slot(0, sheet.index), sheet.base));
            let deltas = Experts::deltas(*id);
            prop_assert_eq!(deltas.len(), sheet.deltas.len());
            for (delta, work) in deltas.iter().zip(&sheet.deltas) {
                prop_assert_eq!((delta.learner, delta.outcome), (work.learner, work.outcome));
                if matches!(sheet.state, State::Open(_) | State::Evaluating) {
                    *bonds.entry(work.learner).or_default() += BOND;
                }
            }
            let is_listed = Experts::round_of(round.slot).is_some_and(|(of, _)| of == *id);
            prop_assert_eq!(is_listed, sheet.state.over_at().is_none());
        }
        for (index, block) in &self.heads {
            prop_assert_eq!(Experts::head(slot(0, *index)).unwrap().block, *block);
        }
        for (who, money) in &self.money {
            prop_assert_eq!(Balances::total_balance(who), *money, "of {}", who);
            prop_assert_eq!(bond_of(*who), bonds.get(who).copied().unwrap_or(0));
        }
        prop_assert_eq!(LearningPool::get(), self.pool);
        prop_assert_eq!(&Records::get(), &self.records);
        prop_assert_eq!(Experts::do_try_state(), Ok(()));
        Ok(())
    }
}

/// The last delta that was told to be late, in the events since `from`.
fn told(from: usize) -> Option<Lateness> {
    System::events().into_iter().skip(from).find_map(|record| match record.event {
        RuntimeEvent::Experts(crate::Event::DeltaRefused { reason, .. }) => Some(reason),
        _ => None,
    })
}

/// Whether the step comes to the same on chain and in the model.
fn take(step: Step, model: &mut Model) -> Result<(), TestCaseError> {
    let now = System::block_number();
    // Before enough are opened, a number that is not given yet.
    let named = |later: u32| model.next.checked_sub(1 + later).unwrap_or(model.next);
    match step {
        Step::Open(index) => {
            let done = Experts::open_round(signed(BOB), slot(0, index), LINEAGE).is_ok();
            prop_assert_eq!(done, model.open(index));
        },
        Step::Submit(later, who, block, flaw) => {
            let (id, who) = (named(later), LEARNERS.get(who).copied().unwrap_or(ALICE));
            let base = model.sheets.get(&id).map_or(genesis(), |sheet| sheet.base);
            let mut header = DeltaHeader { base, ..delta(block) };
            match flaw {
                Flaw::None => {},
                Flaw::Base => header.base = ContentHash([0xff; 32]),
                Flaw::Size => header.size = 0,
                Flaw::Data => header.data.block = ContentHash([0xff; 32]),
                Flaw::Range => header.data = ItemRange { first: 99, ..header.data },
            }
            let events = System::events().len();
            let done = submit(who, id, header).is_ok();
            prop_assert_eq!((done, told(events)), model.submit(id, who, flaw));
        },
        Step::Committee(there) => {
            NoCommittee::set(!there);
            model.committee = there;
        },
        Step::Decide(later, codes, takes, gain, seats) => {
            let id = named(later);
            let evaluated = model.sheets.get(&id).filter(|sheet| sheet.state == State::Evaluating);
            let Some(count) = evaluated.map(|sheet| sheet.deltas.len()) else { return Ok(()) };
            model.seed += 1;
            let seed = model.seed;
            let candidate = if takes { Ok(candidate(seed)) } else { Err(Refusal::Harmful) };
            let deltas = codes.into_iter().take(count).map(outcome).collect();
            let verdict = Verdict { deltas, candidate, gain, evaluators: EVALUATORS[..seats].to_vec() };
            decide(id, verdict.clone());
            model.decide(id, &verdict, seed);
        },
        Step::Fail(later) => {
            let id = named(later);
            if let Some(sheet) = model.sheets.get_mut(&id).filter(|sheet| sheet.state == State::Evaluating) {
                <Experts as KeepRounds<u64>>::failed(id);
                sheet.state = State::Failed(now);
            }
        },
        Step::Publish(later, primary, right) => {
            let (id, who) = (named(later), if primary { PRIMARY } else { ALICE });
            let seed = match model.sheets.get(&id).map(|sheet| &sheet.state) {
                Some(State::Accepted(seed, ..)) if right => *seed,
                _ => 255,
            };
            prop_assert_eq!(publish(who, id, seed).is_ok(), model.publish(id, who, right));
        },
        Step::Idle => {
            <Experts as frame_support::traits::Hooks<u64>>::on_idle(now, Weight::MAX);
            // Which rounds are looked at is the storage's affair: the model only sees that none goes early.
            let gone: Vec<_> = model.sheets.keys().copied().filter(|id| Experts::round(*id).is_none()).collect();
            for id in gone {
                let at = model.sheets.remove(&id).unwrap().state.over_at();
                prop_assert!(at.is_some_and(|at| at + RETENTION <= now));
            }
        },
        Step::Wait(blocks) => {
            for block in now + 1..=now + blocks {
                run_to(block);
                model.advance(block);
            }
        },
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn rounds_are_what_the_model_is(steps in prop::collection::vec(step(), 30..160)) {
        new_test_ext().execute_with(|| {
            // As many as there can be at a time: none waits for another block.
            MostEndings::set(MAX_ROUNDS);
            LearningPool::set(POOL);
            let mut model = Model::new();
            for who in model.money.keys() {
                Balances::force_set_balance(RuntimeOrigin::root(), *who, PLENTY).unwrap();
            }
            for step in steps {
                let text = format!("{step:?}");
                take(step, &mut model).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
                model.check()?;
            }
            // In the end everything is over, and nothing is left of it.
            take(Step::Wait(SUBMISSION + 1), &mut model)?;
            for later in 0..model.next {
                take(Step::Fail(later), &mut model)?;
            }
            take(Step::Wait(2 * PUBLICATION + RETENTION), &mut model)?;
            model.check()?;
            prop_assert_eq!(model.ongoing().count(), 0);
            for _ in 0..model.next + 2 {
                take(Step::Idle, &mut model)?;
            }
            model.check()?;
            prop_assert_eq!(crate::Deltas::<Test>::iter_keys().count() + Rounds::<Test>::iter_keys().count(), 0);
            prop_assert_eq!(crate::Agenda::<Test>::iter().count() + crate::Evaluators::<Test>::iter_keys().count(), 0);
            Ok(())
        })?;
    }
}
