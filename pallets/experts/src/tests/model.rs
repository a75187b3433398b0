//! Whatever happens to rounds, they are what a plain model of them is, and money is where it should be.

use crate::{mock::*, Error, Lateness, Outcome, Phase, Rounds, DELAY_UNITS, NEWCOMER, PRIMARIES};
use blyan_primitives::{
    ids::ContentHash,
    learning::{DeltaHeader, DeltaOutcome, ItemRange, RoundId, Rounds as KeepRounds, Verdict},
    pol::Refusal,
};
use frame_support::{traits::fungible::Inspect, weights::Weight};
use polkadot_sdk::*;
use proptest::prelude::*;
use sp_runtime::DispatchError;
use std::collections::{BTreeMap, BTreeSet};

/// What everybody has: enough for every deposit and bond.
const PLENTY: u128 = 1_000_000;
/// What the pool for learning has: rewards are a part of it in the end.
const POOL: u128 = 12_000;
/// Blocks of each window for publication, and of each primary's turn in the first.
const WINDOW: u64 = 9;
const TURN: u64 = 3;

/// Rounds are named by how many were opened after them, and where some wait for just that, by a number of those.
#[derive(Clone, Debug)]
enum Step {
    Open(u16),
    /// Round, learner (the last one does not train), block, what may be wrong with the delta, and who takes it over.
    Submit(u32, usize, u8, Flaw, Option<usize>),
    /// Whether a committee is to be had from now on.
    Committee(bool),
    Decide(u32, Vec<u8>, bool, i64, usize),
    Fail(u32),
    /// Round, publisher (the last one does not aggregate), and whether the blocks are those that were accepted.
    Publish(u32, usize, bool),
    /// Whoever stands, or has somebody stand down. The last one does not aggregate.
    Stand(usize),
    StandDown(usize, usize),
    /// Whether an aggregator keeps its heartbeats from now on, and what it has at stake.
    Online(usize, bool),
    Stake(usize, u128),
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
    let who = 0..=AGGREGATORS.len();
    prop_oneof![
        6 => (0u16..4).prop_map(Step::Open),
        14 => (round.clone(), 0usize..6, 1u8..8, flaw(), prop::option::of(who.clone()))
            .prop_map(|(round, who, block, flaw, aggregator)| Step::Submit(round, who, block, flaw, aggregator)),
        1 => any::<bool>().prop_map(Step::Committee),
        6 => (round.clone(), outcomes, prop::bool::weighted(0.7), -50_000i64..200_000, 0usize..4)
            .prop_map(|(round, outcomes, takes, gain, seats)| Step::Decide(round, outcomes, takes, gain, seats)),
        1 => round.clone().prop_map(Step::Fail),
        12 => (round, who.clone(), prop::bool::weighted(0.8))
            .prop_map(|(round, who, right)| Step::Publish(round, who, right)),
        8 => who.clone().prop_map(Step::Stand),
        2 => (who.clone(), who.clone()).prop_map(|(caller, who)| Step::StandDown(caller, who)),
        4 => (who.clone(), prop::bool::weighted(0.6)).prop_map(|(who, online)| Step::Online(who, online)),
        2 => (who, prop_oneof![Just(0), BOND - 1..BOND + 3, Just(20 * BOND)])
            .prop_map(|(who, stake)| Step::Stake(who, stake)),
        1 => Just(Step::Idle),
        9 => (1u64..8).prop_map(Step::Wait),
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
    /// Seed of the candidate, gain, evaluators with their votes, and the ends of both windows.
    Accepted(u8, i64, Vec<(u64, u32)>, u64, u64),
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
    aggregator: Option<u64>,
    outcome: Option<DeltaOutcome>,
}

/// A round as one would write it down by hand.
#[derive(Debug)]
struct Sheet {
    index: u16,
    base: ContentHash,
    deltas: Vec<Work>,
    state: State,
    /// Until it is over.
    primaries: Vec<u64>,
}

impl Sheet {
    /// First block in which an account can publish, when the first window begins with block `begun`.
    fn turn(&self, who: u64, begun: u64, offline: &BTreeSet<u64>) -> u64 {
        if self.primaries.is_empty() {
            return begun;
        }
        let before = self.primaries.iter().take_while(|primary| **primary != who);
        let before = before.filter(|primary| !offline.contains(primary)).count() as u64;
        begun + if self.primaries.contains(&who) { before * TURN } else { WINDOW }
    }
}

/// Account of this number: an aggregator, or one that has no worker.
fn person(number: usize) -> u64 {
    AGGREGATORS.get(number).copied().unwrap_or(ALICE)
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
    /// Who stands, and with which delay.
    standing: BTreeMap<u64, u32>,
    offline: BTreeSet<u64>,
    stakes: BTreeMap<u64, u128>,
}

impl Model {
    fn new() -> Self {
        let people = LEARNERS.into_iter().chain(EVALUATORS).chain(AGGREGATORS).chain([ALICE, BOB, TREASURER]);
        Self {
            sheets: BTreeMap::new(),
            next: 0,
            heads: (0..3).map(|index| (index, genesis())).collect(),
            seed: 0,
            committee: true,
            money: people.map(|who| (who, PLENTY)).collect(),
            pool: POOL,
            records: BTreeMap::new(),
            standing: BTreeMap::new(),
            offline: BTreeSet::new(),
            stakes: AGGREGATORS.map(|who| (who, BOND)).into(),
        }
    }

    /// What an account can stand with.
    fn stake(&self, who: u64) -> u128 {
        self.stakes.get(&who).copied().filter(|stake| *stake >= BOND && AGGREGATORS.contains(&who)).unwrap_or(0)
    }

    fn stand(&mut self, who: u64) -> Result<(), Error<Test>> {
        if self.standing.contains_key(&who) {
            return Err(Error::AlreadyStands);
        }
        let stake = self.stake(who);
        if stake == 0 {
            return Err(Error::CannotStand);
        }
        if self.standing.len() == MAX_STANDING as usize {
            let least = self.standing.keys().map(|other| self.stake(*other)).min().unwrap();
            if stake <= least {
                return Err(Error::TooManyStand);
            }
            // Of several with as little, the order of storage chooses.
            let stood: BTreeSet<_> = Experts::standing().into_iter().map(|(who, _)| who).collect();
            let out = *self.standing.keys().find(|other| !stood.contains(other)).unwrap();
            assert_eq!(self.stake(out), least);
            self.standing.remove(&out);
        }
        self.standing.insert(who, NEWCOMER);
        Ok(())
    }

    fn stand_down(&mut self, caller: u64, who: u64) -> Result<(), Error<Test>> {
        if !self.standing.contains_key(&who) {
            return Err(Error::DoesNotStand);
        }
        if caller != who && self.stake(who) > 0 {
            return Err(Error::StillStands);
        }
        self.standing.remove(&who);
        Ok(())
    }

    /// Adds what primaries have taken, in blocks, to what they take in the mean.
    fn note_delays(&mut self, id: RoundId, publisher: Option<u64>, begun: u64) {
        let (sheet, now) = (&self.sheets[&id], System::block_number());
        let published = sheet.primaries.iter().position(|primary| publisher == Some(*primary));
        for (rank, primary) in sheet.primaries.iter().enumerate() {
            let taken = now.saturating_sub(begun + TURN * rank as u64);
            let delay = match published {
                Some(published) if published == rank => taken.min(WINDOW),
                Some(published) if published < rank && taken < TURN => continue,
                None if taken < TURN => continue,
                _ => WINDOW,
            };
            if let Some(mean) = self.standing.get_mut(primary) {
                *mean = (7 * *mean + delay as u32 * DELAY_UNITS) / 8;
            }
        }
    }

    fn ongoing(&self) -> impl Iterator<Item = &Sheet> {
        self.sheets.values().filter(|sheet| sheet.state.over_at().is_none())
    }

    /// One of the rounds of this state, if there are some.
    fn one_of(&self, later: u32, is: impl Fn(&State) -> bool) -> Option<RoundId> {
        let all: Vec<_> = self.sheets.iter().filter(|(_, sheet)| is(&sheet.state)).map(|(id, _)| *id).collect();
        all.get((later as usize).checked_rem(all.len())?).copied()
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
        // Chance chooses of those that can be, and their order.
        let can_be = |who: &u64| self.stake(*who) > 0 && !self.offline.contains(who);
        let eligible: BTreeSet<_> = self.standing.keys().copied().filter(can_be).collect();
        let primaries = Experts::primaries(self.next);
        let elected: BTreeSet<_> = primaries.iter().copied().collect();
        assert!(elected.is_subset(&eligible) && elected.len() == primaries.len());
        assert_eq!(primaries.len(), eligible.len().min(PRIMARIES as usize));
        self.sheets.insert(self.next, Sheet { index, base, deltas: vec![], state, primaries });
        self.next += 1;
        true
    }

    /// Whether the call succeeds, and whether it told that the delta was late.
    fn submit(&mut self, id: RoundId, learner: u64, flaw: Flaw, aggregator: Option<u64>) -> (bool, Option<Lateness>) {
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
        let stands = aggregator.is_none_or(|who| self.standing.contains_key(&who));
        let refused = is_there || !stands || sheet.deltas.len() == MAX_DELTAS as usize;
        if flaw != Flaw::None || refused {
            return (false, None);
        }
        sheet.deltas.push(Work { learner, aggregator, outcome: None });
        (true, None)
    }

    fn decide(&mut self, id: RoundId, verdict: &Verdict<u64>, seed: u8) {
        let now = System::block_number();
        let sheet = self.sheets.get_mut(&id).unwrap();
        sheet.state = match verdict.candidate {
            Ok(_) => {
                let evaluators = verdict.evaluators.clone();
                State::Accepted(seed, verdict.gain, evaluators, now + WINDOW, now + 2 * WINDOW)
            },
            Err(_) => {
                sheet.primaries.clear();
                State::Rejected(now)
            },
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
        let votes: u128 = verdict.evaluators.iter().map(|(_, votes)| u128::from(*votes)).sum();
        let each = all.checked_div(votes).unwrap_or(0);
        for (evaluator, votes) in &verdict.evaluators {
            self.give(*evaluator, each * u128::from(*votes));
        }
        self.give(TREASURER, all - each * votes);
    }

    fn publish(&mut self, id: RoundId, who: u64, right: bool) -> Result<(), Error<Test>> {
        let now = System::block_number();
        let sheet = self.sheets.get(&id).ok_or(Error::UnknownRound)?;
        let State::Accepted(seed, gain, evaluators, primary_until, until) = sheet.state.clone() else {
            return Err(Error::NothingToPublish);
        };
        let begun = primary_until - WINDOW;
        if now >= until {
            return Err(Error::PublicationOver);
        }
        if now < sheet.turn(who, begun, &self.offline) {
            return Err(Error::NotYourTurn);
        }
        if !right {
            return Err(Error::OtherCandidate);
        }
        self.note_delays(id, Some(who), begun);
        let sheet = self.sheets.get_mut(&id).unwrap();
        sheet.state = State::Committed(now);
        sheet.primaries.clear();
        self.heads.insert(sheet.index, candidate(seed).serving);
        let total = (REWARD * gain.clamp(0, 100_000) as u128 / 100_000).min(self.pool);
        let mut paid = vec![(who, total / 20)];
        for work in &sheet.deltas {
            if let Some(DeltaOutcome::Merged(weight)) = work.outcome {
                let by_weight = |part: u128| part * u128::from(weight) / 65_536;
                paid.push((work.learner, by_weight(total * 6 / 10)));
                paid.push((work.aggregator.unwrap_or(who), by_weight(total / 20)));
            }
        }
        let votes: u128 = evaluators.iter().map(|(_, votes)| u128::from(*votes)).sum();
        let each = (total / 5).checked_div(votes).unwrap_or(0);
        paid.extend(evaluators.into_iter().map(|(who, votes)| (who, each * u128::from(votes))));
        for (who, amount) in paid {
            self.give(who, amount);
            self.pool -= amount;
        }
        Ok(())
    }

    /// What happens in the beginning of block `now`.
    fn advance(&mut self, now: u64) {
        let lapse = |(id, sheet): (&RoundId, &Sheet)| match sheet.state {
            State::Accepted(.., primary_until, until) if until == now => Some((*id, primary_until - WINDOW)),
            _ => None,
        };
        for (id, begun) in self.sheets.iter().filter_map(lapse).collect::<Vec<_>>() {
            self.note_delays(id, None, begun);
        }
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
            if sheet.state.over_at().is_some() {
                sheet.primaries.clear();
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
                let found = (delta.learner, delta.aggregator, delta.outcome);
                prop_assert_eq!(found, (work.learner, work.aggregator, work.outcome));
                if matches!(sheet.state, State::Open(_) | State::Evaluating) {
                    *bonds.entry(work.learner).or_default() += BOND;
                }
            }
            let is_listed = Experts::round_of(round.slot).is_some_and(|(of, _)| of == *id);
            prop_assert_eq!(is_listed, sheet.state.over_at().is_none());
            prop_assert_eq!(&Experts::primaries(*id), &sheet.primaries);
            for who in AGGREGATORS.into_iter().chain([ALICE]) {
                let turn = match sheet.state {
                    State::Accepted(.., first, _) => Some(sheet.turn(who, first - WINDOW, &self.offline)),
                    _ => None,
                };
                prop_assert_eq!(Experts::turn(*id, who), turn);
            }
        }
        let standing = Experts::standing().into_iter().map(|(who, candidacy)| (who, candidacy.delay));
        prop_assert_eq!(&standing.collect::<BTreeMap<_, _>>(), &self.standing);
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
        Step::Submit(later, who, block, flaw, aggregator) => {
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
            let (events, aggregator) = (System::events().len(), aggregator.map(person));
            let done = Experts::submit_delta(signed(who), id, header, aggregator).is_ok();
            prop_assert_eq!((done, told(events)), model.submit(id, who, flaw, aggregator));
        },
        Step::Committee(there) => {
            NoCommittee::set(!there);
            model.committee = there;
        },
        Step::Decide(later, codes, takes, gain, seats) => {
            let Some(id) = model.one_of(later, |state| *state == State::Evaluating) else { return Ok(()) };
            let count = model.sheets[&id].deltas.len();
            model.seed += 1;
            let seed = model.seed;
            let candidate = if takes { Ok(candidate(seed)) } else { Err(Refusal::Harmful) };
            let deltas = codes.into_iter().take(count).map(outcome).collect();
            let evaluators = EVALUATORS.into_iter().zip([1, 3, 2]).take(seats).collect();
            let verdict = Verdict { deltas, candidate, gain, evaluators };
            decide(id, verdict.clone());
            model.decide(id, &verdict, seed);
        },
        Step::Fail(later) => {
            let id = named(later);
            if let Some(sheet) = model.sheets.get_mut(&id).filter(|sheet| sheet.state == State::Evaluating) {
                <Experts as KeepRounds<u64>>::failed(id);
                sheet.state = State::Failed(now);
                sheet.primaries.clear();
            }
        },
        Step::Publish(later, who, right) => {
            // One in four may be of a round that has nothing to publish.
            let accepted = model.one_of(later, |state| matches!(state, State::Accepted(..))).filter(|_| later > 0);
            let (id, who) = (accepted.unwrap_or(named(later)), person(who));
            let seed = match model.sheets.get(&id).map(|sheet| &sheet.state) {
                Some(State::Accepted(seed, ..)) if right => *seed,
                _ => 255,
            };
            let done = publish(who, id, seed).map(|_| ());
            prop_assert_eq!(done, model.publish(id, who, right).map_err(DispatchError::from));
        },
        Step::Stand(who) => {
            let done = stand(person(who));
            prop_assert_eq!(done, model.stand(person(who)).map_err(DispatchError::from));
        },
        Step::StandDown(caller, who) => {
            let (caller, who) = (person(caller), person(who));
            let done = Experts::stand_down(signed(caller), who);
            prop_assert_eq!(done, model.stand_down(caller, who).map_err(DispatchError::from));
        },
        Step::Online(who, online) => {
            set_online(person(who), online);
            if online {
                model.offline.remove(&person(who));
            } else {
                model.offline.insert(person(who));
            }
        },
        Step::Stake(who, stake) => {
            set_stake(person(who), stake);
            model.stakes.insert(person(who), stake);
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
    fn rounds_are_what_the_model_is(steps in prop::collection::vec(step(), 40..200)) {
        new_test_ext().execute_with(|| {
            // As many as there can be at a time: none waits for another block.
            MostEndings::set(MAX_ROUNDS);
            LearningPool::set(POOL);
            Numbers::mutate(|pact| pact.rounds.publication = WINDOW as u32);
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
            take(Step::Wait(2 * WINDOW + RETENTION), &mut model)?;
            model.check()?;
            prop_assert_eq!(model.ongoing().count(), 0);
            for _ in 0..model.next + 2 {
                take(Step::Idle, &mut model)?;
            }
            model.check()?;
            prop_assert_eq!(crate::Deltas::<Test>::iter_keys().count() + Rounds::<Test>::iter_keys().count(), 0);
            prop_assert_eq!(crate::Agenda::<Test>::iter().count() + crate::Evaluators::<Test>::iter_keys().count(), 0);
            prop_assert_eq!(crate::Primaries::<Test>::iter_keys().count(), 0);
            Ok(())
        })?;
    }
}
