//! The real turn on a simulated chain that forks, forgets, is upgraded, and fails at every point; with an adversary who
//! keeps everything that was ever sent and has blocks include it whenever a block can.

use super::{
    entry::{Attempt, Dispatch, Entry, NeverIncluded, Outcome, SubmissionId},
    machine::{Accept, Answer, Effect, Limits, Machine, View},
    turn::{Port, Signing, lock, turn},
};
use crate::{AccountId, BlockRef, Call, ChainError, Hash, Result};
use blyan_primitives::ids::BatchRoot;
use codec::Encode;
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

const PERIOD: u32 = 8;
const LIMITS: Limits = Limits { open: 6, signed: 4, displaced: 3, finished: 1000 };

#[derive(Clone, Debug)]
struct Extrinsic {
    hash: Hash,
    /// `None`: of another program with the same key.
    call: Option<Call>,
    nonce: Option<u64>,
    first: u32,
    last: u32,
    spec_version: Option<u32>,
}

#[derive(Clone, Debug, Default)]
struct Block {
    extrinsics: Vec<Extrinsic>,
    spec_version: u32,
}

/// The chain, the nodes' pools, and the disk: what a crash of the manager leaves.
#[derive(Debug)]
struct World {
    /// By number; the first is the genesis block.
    blocks: Vec<Block>,
    finalized: u32,
    /// Everything that was ever given to a node.
    leaked: BTreeMap<Hash, Extrinsic>,
    pool: BTreeSet<Hash>,
    disk: BTreeMap<SubmissionId, Entry>,
    /// Calls into the world that still succeed.
    fuel: u32,
    /// What nodes do with the next extrinsics that they are given.
    moods: Vec<Mood>,
    serial: u64,
}

#[derive(Clone, Copy, Debug)]
enum Mood {
    Good,
    RefusesWithReason,
    TakesAndKeepsSilent,
    LosesAndKeepsSilent,
}

impl World {
    fn new() -> Self {
        Self {
            blocks: vec![Block { spec_version: 1, ..Default::default() }],
            finalized: 0,
            leaked: BTreeMap::new(),
            pool: BTreeSet::new(),
            disk: BTreeMap::new(),
            fuel: u32::MAX,
            moods: Vec::new(),
            serial: 0,
        }
    }

    fn best(&self) -> u32 {
        self.blocks.len() as u32 - 1
    }

    fn nonce_at(&self, number: u32) -> u64 {
        let all = self.blocks[..=number as usize].iter().flat_map(|block| &block.extrinsics);
        all.filter(|extrinsic| extrinsic.nonce.is_some()).count() as u64
    }

    fn times(&self, call: &Call, number: u32) -> usize {
        let all = self.blocks[..=number as usize].iter().flat_map(|block| &block.extrinsics);
        all.filter(|extrinsic| extrinsic.call.as_ref() == Some(call)).count()
    }

    /// Whether the block after the best one, with `before` in it already, can include `extrinsic`.
    fn can_include(&self, before: &[Extrinsic], extrinsic: &Extrinsic) -> bool {
        let number = self.best() + 1;
        let spec_version = self.blocks[self.best() as usize].spec_version;
        let nonces = before.iter().filter(|other| other.nonce.is_some()).count() as u64;
        let fresh = match (extrinsic.nonce, &extrinsic.call) {
            (Some(nonce), _) => nonce == self.nonce_at(self.best()) + nonces,
            (None, Some(call)) => {
                self.times(call, self.best()) == 0 && before.iter().all(|other| other.call.as_ref() != Some(call))
            },
            (None, None) => false,
        };
        let spec_fits = extrinsic.spec_version.is_none_or(|version| version == spec_version);
        fresh && spec_fits && (extrinsic.first..=extrinsic.last).contains(&number)
    }

    fn build(&mut self, candidates: impl IntoIterator<Item = Hash>, upgrade: bool) {
        let mut block = Block {
            spec_version: self.blocks[self.best() as usize].spec_version + u32::from(upgrade),
            ..Default::default()
        };
        let candidates: Vec<Hash> = candidates.into_iter().collect();
        loop {
            let next = candidates.iter().filter_map(|hash| self.leaked.get(hash)).find(|extrinsic| {
                block.extrinsics.iter().all(|other| other.hash != extrinsic.hash)
                    && self.can_include(&block.extrinsics, extrinsic)
            });
            let Some(next) = next else { break };
            block.extrinsics.push(next.clone());
        }
        for extrinsic in &block.extrinsics {
            self.pool.remove(&extrinsic.hash);
        }
        self.blocks.push(block);
    }

    fn foreign(&mut self) {
        self.serial += 1;
        let number = self.best() + 1;
        let extrinsic = Extrinsic {
            hash: Hash(blyan_primitives::hash::blake2_256(&("foreign", self.serial).encode())),
            call: None,
            nonce: Some(self.nonce_at(self.best())),
            first: number,
            last: number,
            spec_version: None,
        };
        let spec_version = self.blocks[self.best() as usize].spec_version;
        self.blocks.push(Block { extrinsics: vec![extrinsic], spec_version });
    }

    fn block_ref(&self, number: u32) -> BlockRef {
        // Forks are only cut above the finalized block, so a number names a finalized block.
        BlockRef { number, hash: Hash(blyan_primitives::hash::blake2_256(&number.encode())) }
    }
}

struct Sim<'a>(&'a Mutex<World>);

impl Sim<'_> {
    fn world(&self) -> Result<std::sync::MutexGuard<'_, World>> {
        let mut world = self.0.lock().unwrap();
        match world.fuel.checked_sub(1) {
            Some(fuel) => {
                world.fuel = fuel;
                Ok(world)
            },
            None => Err(ChainError::Stopped { what: "simulation", reason: "crash".into() }),
        }
    }
}

impl Port for Sim<'_> {
    async fn extrinsics(&self, head: BlockRef, number: u32) -> Result<(BlockRef, Vec<Hash>)> {
        let world = self.world()?;
        assert!(number <= head.number && head.number <= world.finalized, "looked through a block that is not final");
        let block = &world.blocks[number as usize];
        Ok((world.block_ref(number), block.extrinsics.iter().map(|extrinsic| extrinsic.hash).collect()))
    }

    async fn dispatch(&self, _: BlockRef, _: u32) -> Result<Dispatch> {
        self.world().map(|_| Dispatch::Ok(Vec::new()))
    }

    async fn view(&self, head: BlockRef, calls: Vec<(SubmissionId, Call)>) -> Result<View> {
        let world = self.world()?;
        let effects = calls.into_iter().filter(|(_, call)| world.times(call, head.number) > 0);
        Ok(View {
            head,
            nonce: world.nonce_at(head.number),
            spec_version: world.blocks[head.number as usize].spec_version,
            effects: effects.map(|(id, _)| (id, Effect::Present)).collect(),
        })
    }

    async fn sign(&self, call: Call, nonce: Option<u64>, head: BlockRef) -> Result<Signing> {
        let mut world = self.world()?;
        world.serial += 1;
        let spec_version = nonce.map(|_| world.blocks[head.number as usize].spec_version);
        let (first, last) = (head.number + 1, head.number + PERIOD - 1);
        let bytes = (&call, nonce, first, spec_version, world.serial).encode();
        let hash = Hash(blyan_primitives::hash::blake2_256(&bytes));
        Ok(Signing::Done(Attempt { nonce, bytes, hash, first, last, spec_version }))
    }

    async fn submit(&self, attempt: &Attempt) -> Answer {
        let Ok(mut world) = self.world() else { return Answer::Silence };
        let on_disk = world.disk.values().any(|entry| entry.live.as_ref() == Some(attempt));
        assert!(on_disk, "an extrinsic left the process before it was on disk");
        let call =
            world.disk.values().find(|entry| entry.live.as_ref() == Some(attempt)).map(|entry| entry.call.clone());
        let extrinsic = Extrinsic {
            hash: attempt.hash,
            call,
            nonce: attempt.nonce,
            first: attempt.first,
            last: attempt.last,
            spec_version: attempt.spec_version,
        };
        let mood = world.moods.pop().unwrap_or(Mood::Good);
        match mood {
            Mood::LosesAndKeepsSilent => return Answer::Silence,
            // A node that has it says so, whatever it thinks of it; one that lost it may refuse what others still have.
            Mood::RefusesWithReason if !world.pool.contains(&attempt.hash) => {
                return Answer::Refused("refused".into());
            },
            _ => {},
        }
        let best = world.best();
        let stale = attempt.nonce.is_some_and(|nonce| nonce < world.nonce_at(best)) || attempt.last <= best;
        if stale {
            return Answer::Later("stale".into());
        }
        world.leaked.insert(attempt.hash, extrinsic);
        world.pool.insert(attempt.hash);
        if matches!(mood, Mood::TakesAndKeepsSilent) { Answer::Silence } else { Answer::Taken }
    }

    async fn save(&self, entries: Vec<(SubmissionId, Entry)>) -> Result<()> {
        self.world()?.disk.extend(entries);
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Submit { authorised: bool },
    Turn { again: bool, fuel: Option<u8>, behind: u8 },
    Crash,
    Build { from_pool: bool, upgrade: bool },
    Foreign,
    Reorganise { depth: u8 },
    Finalize { lag: u8 },
    ForgetPool,
    Mood(Mood),
}

fn step() -> impl Strategy<Value = Step> {
    let mood = prop_oneof![
        Just(Mood::Good),
        Just(Mood::RefusesWithReason),
        Just(Mood::TakesAndKeepsSilent),
        Just(Mood::LosesAndKeepsSilent)
    ];
    prop_oneof![
        4 => any::<bool>().prop_map(|authorised| Step::Submit { authorised }),
        10 => (any::<bool>(), prop::option::weighted(0.3, 0u8..12), prop_oneof![9 => Just(0u8), 1 => 1u8..5])
            .prop_map(|(again, fuel, behind)| Step::Turn { again, fuel, behind }),
        1 => Just(Step::Crash),
        8 => (any::<bool>(), prop::bool::weighted(0.03)).prop_map(|(from_pool, upgrade)| Step::Build { from_pool, upgrade }),
        1 => Just(Step::Foreign),
        1 => (0u8..4).prop_map(|depth| Step::Reorganise { depth }),
        8 => (0u8..3).prop_map(|lag| Step::Finalize { lag }),
        1 => Just(Step::ForgetPool),
        2 => mood.prop_map(Step::Mood),
    ]
}

/// The manager and the world around it.
struct Run {
    limits: Limits,
    world: Mutex<World>,
    machine: Mutex<Machine>,
    submitted: u32,
}

impl Run {
    fn new(limits: Limits) -> Self {
        let machine = Mutex::new(Machine::restore(limits, BTreeMap::new()));
        Self { limits, world: Mutex::new(World::new()), machine, submitted: 0 }
    }

    fn crash(&mut self) {
        let disk = self.world.get_mut().unwrap().disk.clone();
        self.machine = Mutex::new(Machine::restore(self.limits, disk));
    }

    fn submit(&mut self, authorised: bool) {
        let number = self.submitted;
        let account = AccountId::from([7; 32]);
        let call = if authorised {
            let root = BatchRoot([number as u8; 32]);
            Call::Anchor { worker: account, sequence: number.into(), root, count: 1, tokens: 1 }
        } else {
            Call::Transfer { to: account, amount: number.into() }
        };
        let id = SubmissionId::new(format!("submission/{number}")).unwrap();
        let machine = self.machine.get_mut().unwrap();
        match machine.accept(&id, &call) {
            Accept::New(entry) => {
                self.world.get_mut().unwrap().disk.insert(id.clone(), (*entry).clone());
                machine.insert(id, *entry);
                self.submitted += 1;
            },
            Accept::Full => {},
            other => panic!("{other:?}"),
        }
    }

    fn turn(&mut self, again: bool, fuel: Option<u8>, behind: u8) {
        let world = self.world.get_mut().unwrap();
        world.fuel = fuel.map_or(u32::MAX, u32::from);
        let head = world.block_ref(world.finalized.saturating_sub(behind.into()));
        let turned = futures::executor::block_on(turn(&self.machine, &Sim(&self.world), head, again));
        self.world.get_mut().unwrap().fuel = u32::MAX;
        // What ran out of fuel is a crash at that point; a turn may also fail and the process live on.
        if turned.is_err() && fuel.is_some_and(|fuel| fuel % 2 == 0) {
            self.crash();
        }
    }

    fn step(&mut self, step: Step) {
        let world = self.world.get_mut().unwrap();
        match step {
            Step::Submit { authorised } => self.submit(authorised),
            Step::Turn { again, fuel, behind } => self.turn(again, fuel, behind),
            Step::Crash => self.crash(),
            Step::Build { from_pool: true, upgrade } => {
                let pool = world.pool.clone();
                world.build(pool, upgrade);
            },
            // The adversary's block: everything that ever leaked and fits.
            Step::Build { from_pool: false, upgrade } => {
                let leaked: Vec<Hash> = world.leaked.keys().copied().collect();
                world.build(leaked, upgrade);
            },
            Step::Foreign => world.foreign(),
            Step::Reorganise { depth } => {
                let keep = (world.best().saturating_sub(depth.into())).max(world.finalized);
                world.blocks.truncate(keep as usize + 1);
            },
            Step::Finalize { lag } => {
                world.finalized = world.finalized.max(world.best().saturating_sub(lag.into()));
            },
            Step::ForgetPool => world.pool.clear(),
            Step::Mood(mood) => world.moods.push(mood),
        }
    }

    fn check(&mut self) {
        let world = self.world.get_mut().unwrap();
        for (id, entry) in self.machine.get_mut().unwrap().entries() {
            let times = world.times(&entry.call, world.finalized);
            assert!(times <= 1, "{id} took effect {times} times");
            match &entry.outcome {
                None => {},
                Some(Outcome::Included(inclusion)) => {
                    let block = &world.blocks[inclusion.block.number as usize];
                    let extrinsic = &block.extrinsics[inclusion.index as usize];
                    assert!(inclusion.block.number <= world.finalized, "{id} was called done before it was final");
                    assert_eq!(extrinsic.call.as_ref(), Some(&entry.call), "{id} is not where it was said to be");
                },
                Some(Outcome::AlreadyOnChain { seen_at }) => {
                    assert_eq!(world.times(&entry.call, seen_at.number), 1, "{id}");
                },
                Some(Outcome::NeverIncluded(reason)) => {
                    let anywhere = world.times(&entry.call, world.best());
                    assert_eq!(anywhere, 0, "{id} was given up ({reason}) and is in a block");
                },
            }
        }
        let live: Vec<u64> = world.disk.values().filter_map(|entry| entry.live.as_ref()?.nonce).collect();
        assert_eq!(live.len(), live.iter().collect::<BTreeSet<_>>().len(), "two live attempts share a nonce");
    }

    /// Nodes behave from now on: everything must end.
    fn heal(&mut self) {
        self.world.get_mut().unwrap().moods.clear();
        for _ in 0..PERIOD * (self.limits.signed + self.limits.displaced + 2) {
            self.turn(true, None, 0);
            self.step(Step::Build { from_pool: true, upgrade: false });
            self.step(Step::Finalize { lag: 0 });
            self.check();
        }
        self.turn(true, None, 0);
        for (id, entry) in lock(&self.machine).entries() {
            assert!(entry.outcome.is_some(), "{id} never ended: {entry:?}");
        }
        // Whatever the adversary still holds changes nothing.
        for _ in 0..PERIOD {
            self.step(Step::Build { from_pool: false, upgrade: false });
            self.step(Step::Finalize { lag: 0 });
        }
        self.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..Default::default() })]

    #[test]
    fn nothing_happens_twice_and_nothing_is_lost(steps in prop::collection::vec(step(), 1..160)) {
        let mut run = Run::new(LIMITS);
        for step in steps {
            run.step(step);
            run.check();
        }
        run.heal();
    }
}

/// Every accepted submission ends included when nodes are merely unreliable: no refusals, no other program.
#[test]
fn on_a_lossy_network_everything_accepted_is_included() {
    let mut run = Run::new(Limits { signed: 20, ..LIMITS });
    for round in 0..200u32 {
        if round % 7 == 0 {
            run.submit(round % 2 == 0);
        }
        if round % 3 == 0 {
            run.step(Step::Mood(if round % 2 == 0 { Mood::TakesAndKeepsSilent } else { Mood::LosesAndKeepsSilent }));
        }
        run.turn(round % 4 == 0, (round % 5 == 0).then_some((round % 12) as u8), 0);
        run.step(Step::Build { from_pool: true, upgrade: round == 100 });
        run.step(Step::Reorganise { depth: (round % 3) as u8 });
        run.step(Step::Finalize { lag: (round % 2) as u8 });
        if round % 11 == 0 {
            run.step(Step::ForgetPool);
        }
        run.check();
    }
    run.heal();
    for (id, entry) in lock(&run.machine).entries() {
        let there = matches!(entry.outcome, Some(Outcome::Included(_) | Outcome::AlreadyOnChain { .. }));
        assert!(there, "{id}: {:?}", entry.outcome);
    }
    assert!(run.submitted >= 15, "only {} were accepted", run.submitted);
}

#[test]
fn a_freed_nonce_is_filled_before_anything_above_it() {
    let mut run = Run::new(LIMITS);
    run.submit(false);
    run.submit(false);
    // The first is refused by the only node that sees it: the second stands above a gap.
    run.step(Step::Mood(Mood::Good));
    run.step(Step::Mood(Mood::RefusesWithReason));
    run.turn(true, None, 0);
    let live = |run: &Run| {
        let machine = lock(&run.machine);
        machine.to_send().into_iter().map(|(id, attempt)| (id.to_string(), attempt.nonce.unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(live(&run), [("submission/1".to_owned(), 1)]);
    run.submit(false);
    run.turn(true, None, 0);
    assert_eq!(live(&run), [("submission/2".to_owned(), 0), ("submission/1".to_owned(), 1)]);
    run.heal();
    let world = run.world.get_mut().unwrap();
    assert_eq!(world.nonce_at(world.finalized), 2);
}

#[test]
fn a_key_that_others_use_is_reported_by_name() {
    let mut run = Run::new(LIMITS);
    run.submit(false);
    for _ in 0..=LIMITS.displaced {
        run.turn(false, None, 0);
        run.step(Step::Foreign);
        run.step(Step::Finalize { lag: 0 });
    }
    run.turn(false, None, 0);
    let machine = lock(&run.machine);
    let (_, entry) = machine.entries().next().unwrap();
    assert_eq!(entry.outcome, Some(Outcome::NeverIncluded(NeverIncluded::NonceTaken { times: LIMITS.displaced + 1 })));
}

#[test]
fn the_same_bytes_are_sent_until_their_time_has_passed_then_new_ones_with_the_same_nonce() {
    let mut run = Run::new(LIMITS);
    run.submit(false);
    run.turn(false, None, 0);
    let live = |run: &Run| lock(&run.machine).to_send()[0].1.clone();
    let first = live(&run);
    for _ in 0..PERIOD - 2 {
        run.step(Step::ForgetPool);
        run.step(Step::Build { from_pool: true, upgrade: false });
        run.step(Step::Finalize { lag: 0 });
        run.turn(true, None, 0);
        assert_eq!(live(&run), first);
    }
    run.step(Step::ForgetPool);
    run.step(Step::Build { from_pool: true, upgrade: false });
    run.step(Step::Finalize { lag: 0 });
    run.turn(true, None, 0);
    let second = live(&run);
    assert!(second.hash != first.hash && second.nonce == first.nonce && second.first > first.last);
}

#[test]
fn an_upgrade_of_the_runtime_has_everything_signed_again_at_once() {
    let mut run = Run::new(LIMITS);
    run.submit(false);
    run.step(Step::Mood(Mood::LosesAndKeepsSilent));
    run.turn(false, None, 0);
    run.step(Step::Build { from_pool: true, upgrade: true });
    run.step(Step::Finalize { lag: 0 });
    run.turn(false, None, 0);
    let live = lock(&run.machine).to_send()[0].1.clone();
    assert_eq!((live.spec_version, live.nonce), (Some(2), Some(0)));
    run.heal();
}

#[test]
fn one_id_is_one_intention() {
    let mut run = Run::new(LIMITS);
    run.submit(false);
    let machine = lock(&run.machine);
    let id = SubmissionId::new("submission/0").unwrap();
    let call = machine.get(&id).unwrap().call.clone();
    assert!(matches!(machine.accept(&id, &call), Accept::Known));
    let other = Call::Transfer { to: AccountId::from([7; 32]), amount: 99 };
    assert!(matches!(machine.accept(&id, &other), Accept::Reused));
}

#[test]
fn what_stands_against_a_submission_is_told_until_a_node_takes_it() {
    let mut run = Run::new(LIMITS);
    run.submit(true);
    run.turn(false, None, 0);
    let mut machine = lock(&run.machine);
    let (id, attempt) = machine.to_send()[0].clone();
    let mut told = |answer| {
        machine.answered(&id, attempt.hash, true, answer);
        machine.get(&id).unwrap().refusal.clone()
    };
    assert_eq!(told(Answer::Later("no funds".into())).as_deref(), Some("no funds"));
    assert_eq!(
        told(Answer::Waits).as_deref(),
        Some("no funds"),
        "a pool that does not look again has not changed its mind"
    );
    assert_eq!(told(Answer::Taken), None);
}
