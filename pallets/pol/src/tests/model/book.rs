//! Evaluations as one would keep them by hand.

use super::super::{
    players::{Disputed, Player},
    support::ENCRYPTED,
};
use crate::{mock::*, weights::SubstrateWeight, Due, HiddenSet, Phase, Purpose, Seat, WeightInfo, MAX_ATTEMPTS};
use blyan_primitives::{
    dispute::{example::FEW_ITEMS, Values, STRIDE},
    ids::ContentHash,
    learning::{DeltaHeader, DeltaOutcome, RoundId, Verdict},
    merkle::{height, Digest},
    pact::{Pact, Ppm},
    pol::{
        commitment, item_seed, released_gain, Candidate, DeltaFinding, Draw, Finding, Layout, Refusal, Reveal, Scores,
        Target,
    },
    trace::Word,
};
use codec::Encode;
use frame_support::{weights::Weight, Blake2_128Concat, StorageHasher};
use polkadot_sdk::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

type W = SubstrateWeight<Test>;

/// Blocks after which it is looked again whether there is randomness.
const RETRY: u32 = 4;

/// A block of items.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) block: ContentHash,
    pub(super) purpose: Purpose,
    pub(super) hidden: Option<HiddenSet<u64>>,
}

/// What stands of reveals.
#[derive(Debug)]
pub(super) struct Stands {
    pub(super) reveal: Reveal,
    pub(super) votes: u32,
    /// Once they are posted.
    pub(super) scores: Option<Scores>,
}

impl Stands {
    fn blocks(&self) -> Option<(ContentHash, ContentHash)> {
        self.reveal.candidate.map(|Candidate { master, serving, .. }| (master, serving))
    }
}

pub(super) fn findings(reveal: &Reveal) -> Vec<Finding> {
    reveal.deltas.iter().map(|delta| delta.finding).collect()
}

/// A trace that was posted.
pub(super) struct Traced {
    pub(super) player: Rc<Player>,
    pub(super) score: u64,
    pub(super) game: Option<u32>,
}

/// Two traces, and how far they are from the word in which they differ.
pub(super) struct Match {
    pub(super) roots: [Digest; 2],
    pub(super) disputed: Disputed,
    /// The first word that is not the same, and the leaf that it is in.
    pub(super) differs: (Word, u64),
    /// Who is right there, unless it follows from nothing.
    pub(super) right: Option<[bool; 2]>,
    /// Moves that both have made, out of those that lead to the word.
    pub(super) moves: u32,
    pub(super) told: [bool; 2],
    pub(super) is_settled: bool,
    pub(super) until: u32,
}

/// Moves from the roots to a leaf.
fn strides() -> u32 {
    world(|world| height(world.shape.leaves())).div_ceil(STRIDE)
}

impl Match {
    fn new(disputed: Disputed, players: [&Player; 2], until: u32) -> Self {
        let [one, other] = players.map(|player| &player.trail.leaves);
        let leaf = one.iter().zip(other).position(|(one, other)| one != other).unwrap();
        let column = one[leaf].iter().zip(&other[leaf]).position(|(one, other)| one != other).unwrap();
        let (word, truth) = world(|world| {
            let place = world.shape.leaf(leaf as u64).unwrap();
            let word = Word { step: place.step, row: place.row, column: place.columns.start + column as u32 };
            let weights = disputed.weights();
            let mut before = Values::new(&world.shape, &weights, disputed.item, players[0].trail.clone());
            (word, world.shape.compute::<f32, _>(word, &mut before).ok())
        });
        let right = truth.map(|truth| [one, other].map(|trail| trail[leaf][column] == truth));
        let roots = players.map(|player| player.tree.root());
        let (differs, told) = ((word, leaf as u64), [false; 2]);
        Self { roots, disputed, differs, right, moves: 0, told, is_settled: false, until }
    }

    pub(super) fn is_for_evidence(&self) -> bool {
        self.moves > strides()
    }

    pub(super) fn is_for_words(&self) -> bool {
        self.moves == strides()
    }
}

/// What may be wrong with a move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Flaw {
    None,
    /// It is of the other side.
    Foreign,
    /// Something else is due.
    Kind,
    /// It has nothing in it.
    Empty,
}

/// What may be wrong with evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    None,
    /// It is proved by the other side's trace.
    Foreign,
    /// There is none.
    Empty,
    /// There is too much.
    Much,
    /// It has another bit.
    Changed,
}

/// An evaluation.
pub(super) struct Sheet {
    pub(super) rules: Pact,
    pub(super) deltas: Vec<DeltaHeader>,
    pub(super) held_out: Vec<ContentHash>,
    pub(super) general: Vec<ContentHash>,
    pub(super) begun: u32,
    at: u32,
    pub(super) phase: Phase,
    pub(super) until: u32,
    pub(super) attempt: u8,
    pub(super) seed: [u8; 32],
    /// What candidates are measured on, if enough can read it.
    pub(super) hidden: Option<ContentHash>,
    /// What was given to it.
    pub(super) given: Option<ContentHash>,
    /// Deltas that are measured, once it is known which.
    pub(super) measured: Option<Vec<u32>>,
    pub(super) seats: BTreeMap<u64, Seat>,
    pub(super) stands: BTreeMap<[u8; 32], Stands>,
    /// The cell that traces are of.
    pub(super) disputed: Option<Disputed>,
    pub(super) traces: BTreeMap<Digest, Traced>,
    pub(super) games: BTreeMap<u32, Match>,
    begun_games: u32,
    pub(super) verdict: Option<Reveal>,
}

impl Sheet {
    pub(super) fn layout(&self) -> Layout {
        let rounds = &self.rules.rounds;
        let own = self.measured.iter().flatten().map(|index| self.deltas[*index as usize].data.count);
        Layout {
            trial: rounds.trial_items,
            last: rounds.final_items,
            general: rounds.general_items,
            // What a learner has declared may be less than is asked for by now.
            own: own.fold(rounds.own_items, u32::min),
            deltas: self.measured.as_ref().map_or(self.deltas.len(), Vec::len) as u32,
            positions: ITEM_POSITIONS,
        }
    }

    fn is_enough(&self, some: u32, all: u32) -> bool {
        u64::from(some) * 1_000_000 >= u64::from(all) * u64::from(self.rules.learning.quorum.0)
    }

    /// Votes of those that are so.
    pub(super) fn votes(&self, is_so: impl Fn(&Seat) -> bool) -> u32 {
        self.seats.values().filter(|seat| is_so(seat)).map(|seat| seat.votes).sum()
    }

    /// How many have done what they can in this phase.
    pub(super) fn done(&self) -> usize {
        let all = (1u64 << self.deltas.len()) as u32 - 1;
        let is_done = |seat: &&Seat| match self.phase {
            Phase::Availability => {
                let has_all = seat.available.is_some_and(|available| available & all == all);
                has_all && (seat.reads_hidden || self.hidden.is_none())
            },
            Phase::Commit => seat.commitment.is_some(),
            Phase::Reveal => seat.reveal.is_some(),
            _ => false,
        };
        self.seats.values().filter(is_done).count()
    }

    /// The most blocks that it can take.
    pub(super) fn bound(&self) -> u32 {
        let rounds = &self.rules.rounds;
        let rivals = self.rules.learning.committee - 1;
        let game = (strides() + 2) * rounds.dispute_move + 1;
        // In each cell at least one is refuted; in each game one is out.
        let dispute = rounds.dispute_move + rivals * (rounds.dispute_move + rivals * game);
        let phases = rounds.availability + rounds.evaluation + rounds.reveal;
        // Whatever ends can have to wait for others.
        2 * u32::from(MAX_ATTEMPTS) * (RETRY + EPOCH + RETRY + phases + dispute)
    }
}

/// All that there is.
pub(super) struct Book {
    pub(super) now: u32,
    /// How much can end in a block.
    endings: u32,
    /// The first block of which something may be left, when that is not the next one.
    pub(super) behind: Option<u32>,
    /// Who can be drawn, and by what, in the order of their leaves.
    pub(super) evaluators: Vec<(u64, u128)>,
    pub(super) sets: Vec<Listed>,
    pub(super) sheets: BTreeMap<RoundId, Sheet>,
    pub(super) slashed: Vec<(u64, Ppm)>,
    pub(super) decided: Vec<(RoundId, Option<Verdict<u64>>)>,
}

/// Where something lies in storage, which is the order in which several are taken.
fn place(of: &impl Encode) -> Vec<u8> {
    Blake2_128Concat::hash(&of.encode())
}

impl Book {
    pub(super) fn new() -> Self {
        Self {
            now: System::block_number(),
            endings: MostEndings::get(),
            behind: None,
            evaluators: vec![],
            sets: vec![],
            sheets: BTreeMap::new(),
            slashed: vec![],
            decided: vec![],
        }
    }

    pub(super) fn active(&self) -> usize {
        self.sheets.values().filter(|sheet| sheet.phase != Phase::Over).count()
    }

    pub(super) fn is_decided(&self, id: RoundId) -> bool {
        self.decided.iter().any(|(other, _)| *other == id)
    }

    /// Sets of a purpose that can be drawn from.
    pub(super) fn drawable(&self, purpose: Purpose) -> Vec<ContentHash> {
        let waits = |set: &&Listed| set.hidden.is_none_or(|hidden| hidden.given_to.is_none());
        self.sets.iter().filter(|set| set.purpose == purpose).filter(waits).map(|set| set.block).collect()
    }

    pub(super) fn seats_of(&self, who: u64) -> u32 {
        self.sheets.values().filter(|sheet| sheet.seats.contains_key(&who)).count() as u32
    }

    fn stake_of(who: u64) -> u128 {
        Staked::get().get(&who).copied().filter(|stake| *stake >= ThePact::get().staking.min_worker_bond).unwrap_or(0)
    }

    fn strike(&mut self, who: u64) {
        let leaf = self.evaluators.iter().position(|(other, _)| *other == who).unwrap();
        self.evaluators.swap_remove(leaf);
    }

    pub(super) fn enrol(&mut self, who: u64) -> Result<(), E> {
        if self.evaluators.iter().any(|(other, _)| *other == who) {
            return Err(E::AlreadyEnrolled);
        }
        let stake = Self::stake_of(who);
        if stake == 0 {
            return Err(E::NotAnEvaluator);
        }
        self.evaluators.push((who, stake));
        Ok(())
    }

    pub(super) fn leave(&mut self, who: u64) -> Result<(), E> {
        if self.evaluators.iter().all(|(other, _)| *other != who) {
            return Err(E::NotEnrolled);
        }
        if self.seats_of(who) > 0 {
            return Err(E::Seated);
        }
        self.strike(who);
        Ok(())
    }

    pub(super) fn refresh(&mut self, who: u64) -> Result<(), E> {
        let (stake, seats) = (Self::stake_of(who), self.seats_of(who));
        let known = self.evaluators.iter_mut().find(|(other, _)| *other == who).ok_or(E::NotEnrolled)?;
        if stake == 0 && seats == 0 {
            self.strike(who);
            return Ok(());
        }
        if known.1 == stake {
            return Err(E::StakeUnchanged);
        }
        known.1 = stake;
        Ok(())
    }

    pub(super) fn add_set(&mut self, block: ContentHash, purpose: Purpose, steward: Option<u64>) -> Result<(), E> {
        if (purpose == Purpose::Hidden) != steward.is_some() {
            return Err(E::NotEncrypted);
        }
        if self.sets.iter().any(|set| set.block == block) {
            return Err(E::SetExists);
        }
        let hidden = |steward| HiddenSet { encrypted: ENCRYPTED, steward, given_to: None, key: None };
        self.sets.push(Listed { block, purpose, hidden: steward.map(hidden) });
        Ok(())
    }

    pub(super) fn remove_set(&mut self, block: ContentHash) -> Result<(), E> {
        let at = self.sets.iter().position(|set| set.block == block).ok_or(E::UnknownSet)?;
        self.sets.remove(at);
        Ok(())
    }

    pub(super) fn reveal_key(&mut self, who: u64, block: ContentHash, key: [u8; 32]) -> Result<(), E> {
        let set = self.sets.iter_mut().find(|set| set.block == block).and_then(|set| set.hidden.as_mut());
        let hidden = set.ok_or(E::UnknownSet)?;
        if hidden.steward != who {
            return Err(E::NotSteward);
        }
        let id = hidden.given_to.ok_or(E::StillHidden)?;
        if self.sheets[&id].phase != Phase::Availability {
            return Err(E::WrongPhase);
        }
        if hidden.key.replace(key).is_some() {
            return Err(E::AlreadyPosted);
        }
        Ok(())
    }

    pub(super) fn start(&mut self, id: RoundId, deltas: Option<Vec<DeltaHeader>>) -> Result<(), E> {
        if self.sheets.contains_key(&id) {
            return Err(E::AlreadyStarted);
        }
        if self.active() == MAX_ACTIVE as usize {
            return Err(E::TooManyEvaluations);
        }
        let deltas = deltas.ok_or(E::UnknownRound)?;
        let rules = ThePact::get();
        let (held_out, general) = (self.drawable(Purpose::HeldOut), self.drawable(Purpose::General));
        let items = |sets: &Vec<ContentHash>| sets.len() as u32 * FEW_ITEMS;
        let rounds = &rules.rounds;
        if items(&held_out) < rounds.trial_items + rounds.final_items || items(&general) < rounds.general_items {
            return Err(E::TooFewItems);
        }
        let sheet = Sheet {
            rules,
            deltas,
            held_out,
            general,
            begun: self.now,
            at: self.now,
            phase: Phase::Waiting,
            until: self.now + RETRY,
            attempt: 0,
            seed: [0; 32],
            hidden: None,
            given: None,
            measured: None,
            seats: BTreeMap::new(),
            stands: BTreeMap::new(),
            disputed: None,
            traces: BTreeMap::new(),
            games: BTreeMap::new(),
            begun_games: 0,
            verdict: None,
        };
        self.sheets.insert(id, sheet);
        Ok(())
    }

    fn in_phase(&mut self, id: RoundId, phase: Phase) -> Result<&mut Sheet, E> {
        let sheet = self.sheets.get_mut(&id).ok_or(E::UnknownEvaluation)?;
        if sheet.phase == phase {
            Ok(sheet)
        } else {
            Err(E::WrongPhase)
        }
    }

    /// A member has done something: the phase ends early when all have done all.
    fn is_done(&mut self, id: RoundId) {
        let next = self.now + 1;
        let sheet = self.sheets.get_mut(&id).unwrap();
        if sheet.done() == sheet.seats.len() {
            sheet.until = sheet.until.min(next);
        }
    }

    pub(super) fn vote(&mut self, id: RoundId, who: u64, available: u32, reads_hidden: bool) -> Result<(), E> {
        let sheet = self.in_phase(id, Phase::Availability)?;
        let seat = sheet.seats.get_mut(&who).ok_or(E::NotOnCommittee)?;
        *seat = Seat { available: Some(available), reads_hidden, ..*seat };
        self.is_done(id);
        Ok(())
    }

    pub(super) fn commit(&mut self, id: RoundId, who: u64, commitment: [u8; 32]) -> Result<(), E> {
        let sheet = self.in_phase(id, Phase::Commit)?;
        sheet.seats.get_mut(&who).ok_or(E::NotOnCommittee)?.commitment = Some(commitment);
        self.is_done(id);
        Ok(())
    }

    pub(super) fn reveal(&mut self, id: RoundId, who: u64, salt: [u8; 32], reveal: &Reveal) -> Result<(), E> {
        let sheet = self.in_phase(id, Phase::Reveal)?;
        let (layout, learning) = (sheet.layout(), sheet.rules.learning.clone());
        let seat = sheet.seats.get_mut(&who).ok_or(E::NotOnCommittee)?;
        if seat.reveal.is_some() {
            return Err(E::AlreadyRevealed);
        }
        let name = reveal.hash();
        if seat.commitment != Some(commitment(id.into(), &who.encode(), &salt, &name)) {
            return Err(E::NotCommitted);
        }
        if !reveal.is_consistent(&layout, &learning) {
            return Err(E::Inconsistent);
        }
        seat.reveal = Some(name);
        let votes = seat.votes;
        let stands = Stands { reveal: reveal.clone(), votes: 0, scores: None };
        sheet.stands.entry(name).or_insert(stands).votes += votes;
        self.is_done(id);
        Ok(())
    }

    /// Whether `are_its` says whether these are the scores that the reveal was made of.
    pub(super) fn post_scores(&mut self, id: RoundId, name: [u8; 32], scores: &Scores, are_its: bool) -> Result<(), E> {
        let sheet = self.in_phase(id, Phase::Scores)?;
        let layout = sheet.layout();
        let stands = sheet.stands.get_mut(&name).ok_or(E::UnknownReveal)?;
        if stands.scores.is_some() {
            return Err(E::AlreadyPosted);
        }
        // What cannot be computed has no scores.
        let is_blank = |(place, score): (u32, &u64)| match layout.cell(place).unwrap().target {
            Target::Delta(number) => *score == 0 || stands.reveal.deltas[number as usize].finding != Finding::Malformed,
            _ => true,
        };
        if !are_its || !(0..).zip(&scores.0).all(is_blank) {
            return Err(E::OtherScores);
        }
        stands.scores = Some(scores.clone());
        Ok(())
    }

    pub(super) fn post_trace(&mut self, id: RoundId, who: u64, player: &Rc<Player>) -> Result<(), E> {
        let sheet = self.sheets.get_mut(&id).ok_or(E::UnknownEvaluation)?;
        let Phase::Traces(cell) = sheet.phase else { return Err(E::WrongPhase) };
        let seat = sheet.seats.get_mut(&who).ok_or(E::NotOnCommittee)?;
        if seat.wrong {
            return Err(E::FoundWrong);
        }
        if seat.trace.is_some() {
            return Err(E::AlreadyPosted);
        }
        let stands = seat.reveal.and_then(|name| sheet.stands.get(&name)).ok_or(E::UnknownReveal)?;
        let score = player.score();
        if stands.scores.as_ref().map(|scores| scores.0[cell as usize]) != Some(score) {
            return Err(E::OtherScores);
        }
        let root = player.tree.root();
        seat.trace = Some(root);
        sheet.traces.insert(root, Traced { player: player.clone(), score, game: None });
        Ok(())
    }

    fn game(&mut self, id: RoundId, number: u32) -> Result<&mut Match, E> {
        self.sheets.get_mut(&id).and_then(|sheet| sheet.games.get_mut(&number)).ok_or(E::UnknownGame)
    }

    pub(super) fn play(&mut self, id: RoundId, number: u32, side: usize, flaw: Flaw) -> Result<(), E> {
        let now = self.now;
        let time = self.sheets.get(&id).map_or(0, |sheet| sheet.rules.rounds.dispute_move);
        let game = self.game(id, number)?;
        if game.is_for_evidence() || flaw == Flaw::Kind {
            return Err(E::NotNow);
        }
        if game.told[side] {
            return Err(E::AlreadyTold);
        }
        match flaw {
            Flaw::Empty => return Err(E::WrongCount),
            Flaw::Foreign => return Err(E::NotOfTheRoot),
            _ => game.told[side] = true,
        }
        if game.told == [true; 2] {
            (game.moves, game.told, game.until) = (game.moves + 1, [false; 2], now + time);
        }
        Ok(())
    }

    /// `has_leaves` says whether the evidence has something of the trace.
    pub(super) fn settle(&mut self, id: RoundId, number: u32, fault: Fault, has_leaves: bool) -> Result<(), E> {
        let now = self.now;
        let game = self.game(id, number)?;
        if game.is_settled || !game.is_for_evidence() {
            return Err(E::NotNow);
        }
        match fault {
            Fault::Empty => return Err(E::EvidenceMissing),
            Fault::Much => return Err(E::TooMuchEvidence),
            Fault::Changed => return Err(E::BadEvidence),
            Fault::Foreign if has_leaves => return Err(E::BadEvidence),
            Fault::None | Fault::Foreign => {},
        }
        (game.is_settled, game.until) = (true, now + 1);
        Ok(())
    }

    pub(super) fn forget(&mut self, id: RoundId) {
        self.sheets.remove(&id);
    }

    /// What happens in the beginning of a block, and what it costs.
    pub(super) fn advance(&mut self, now: u32) -> Weight {
        self.now = now;
        let first = self.behind.take().unwrap_or(now);
        let (mut last, mut weight) = (now, W::agenda());
        // What there is no time for waits for the next block. With what ends, other things can be over as well.
        for ended in 1..=self.endings {
            let Some((block, due)) = self.next_due() else { break };
            if ended == self.endings {
                last = block;
                self.behind = Some(block);
            }
            weight += self.weight_of(due);
            match due {
                Due::Phase(id) => self.end_phase(id),
                Due::Move(id, number) => self.end_move(id, number),
            }
        }
        weight + W::agenda_block() * u64::from(last - first + 1)
    }

    fn weight_of(&self, due: Due) -> Weight {
        let Due::Phase(id) = due else { return W::end_move() + W::end_scores() + DecisionWeight::get() };
        let own = match self.sheets[&id].phase {
            Phase::Commit => return W::end_commit(),
            Phase::Waiting => W::draw(),
            Phase::Availability => W::end_availability(),
            // All can be absent as well.
            Phase::Reveal => W::end_reveal().max(W::end_availability()),
            Phase::Scores => W::end_scores(),
            Phase::Traces(_) => W::end_traces(),
            Phase::Games(_) | Phase::Over => unreachable!(),
        };
        own + DecisionWeight::get()
    }

    /// What is due, and has waited longest.
    fn next_due(&self) -> Option<(u32, Due)> {
        let mut due = vec![];
        for (id, sheet) in &self.sheets {
            let waits = !matches!(sheet.phase, Phase::Games(_) | Phase::Over);
            due.extend(waits.then_some((sheet.until, Due::Phase(*id))));
            due.extend(sheet.games.iter().map(|(number, game)| (game.until, Due::Move(*id, *number))));
        }
        due.into_iter().filter(|(until, _)| *until <= self.now).min_by_key(|(until, due)| (*until, place(due)))
    }

    fn enter(&mut self, id: RoundId, phase: Phase, blocks: u32) {
        let until = self.now + blocks;
        let sheet = self.sheets.get_mut(&id).unwrap();
        (sheet.phase, sheet.until) = (phase, until);
    }

    fn end_phase(&mut self, id: RoundId) {
        match self.sheets[&id].phase {
            Phase::Waiting => self.draw(id),
            Phase::Availability => self.end_availability(id),
            Phase::Commit => {
                let blocks = self.sheets[&id].rules.rounds.reveal;
                self.enter(id, Phase::Reveal, blocks);
            },
            Phase::Reveal => self.end_reveal(id),
            Phase::Scores => {
                let silent = |stands: &Stands| stands.scores.is_none();
                self.refute(id, silent);
                self.next_cell(id);
            },
            Phase::Traces(cell) => {
                self.sheets.get_mut(&id).unwrap().phase = Phase::Games(cell);
                self.pair(id, cell);
            },
            Phase::Games(_) | Phase::Over => unreachable!(),
        }
    }

    fn draw(&mut self, id: RoundId) {
        let now = self.now;
        let epoch = (self.sheets[&id].at / EPOCH + 1) * EPOCH;
        if now < epoch {
            return self.enter(id, Phase::Waiting, RETRY);
        }
        let sheet = self.sheets.get_mut(&id).unwrap();
        let randomness = [epoch as u8; 32];
        let subject = [&b"committee"[..], &id.to_le_bytes(), &[sheet.attempt]].concat();
        let mut numbers = Draw::new(&randomness, &subject);
        let (seats, all) =
            (u128::from(sheet.rules.learning.committee), self.evaluators.iter().map(|(_, stake)| stake).sum::<u128>());
        for seat in 0..seats {
            let part = all * seat / seats..all * (seat + 1) / seats;
            if part.is_empty() {
                continue;
            }
            let place = part.start + numbers.below(part.end - part.start);
            let mut before = 0;
            let drawn = self.evaluators.iter().find(|(_, stake)| {
                before += stake;
                place < before
            });
            sheet.seats.entry(drawn.unwrap().0).or_insert(Seat::new(0)).votes += 1;
        }
        if sheet.seats.is_empty() {
            return self.redraw(id);
        }
        sheet.seed = item_seed(&randomness, id);
        let given = self.drawable(Purpose::Hidden).first().copied();
        let set = self.sets.iter_mut().find(|set| Some(set.block) == given).and_then(|set| set.hidden.as_mut());
        if let Some(hidden) = set {
            hidden.given_to = Some(id);
        }
        let sheet = self.sheets.get_mut(&id).unwrap();
        (sheet.given, sheet.hidden) = (given, given);
        let blocks = sheet.rules.rounds.availability;
        self.enter(id, Phase::Availability, blocks);
    }

    fn end_availability(&mut self, id: RoundId) {
        let sheet = self.sheets.get_mut(&id).unwrap();
        let all = sheet.votes(|_| true);
        if !sheet.is_enough(sheet.votes(|seat| seat.available.is_some()), all) {
            self.slash_absent(id, |seat| seat.available.is_none());
            return self.redraw(id);
        }
        if !sheet.is_enough(sheet.votes(|seat| seat.available.is_some() && seat.reads_hidden), all) {
            sheet.hidden = None;
        }
        let has = |index: &u32| {
            let holders = sheet.votes(|seat| seat.available.is_some_and(|has| has >> index & 1 == 1));
            sheet.is_enough(holders, all)
        };
        let measured: Vec<u32> = (0..sheet.deltas.len() as u32).filter(has).collect();
        let (blocks, submitted, is_nothing) = (sheet.rules.rounds.evaluation, sheet.deltas.len(), measured.is_empty());
        sheet.measured = Some(measured);
        if is_nothing {
            let deltas = vec![DeltaOutcome::Withheld; submitted];
            let verdict = Verdict { deltas, candidate: Err(Refusal::NothingMerged), gain: 0, evaluators: vec![] };
            self.slash_absent(id, |seat| seat.available.is_none());
            self.decided.push((id, Some(verdict)));
            return self.close(id);
        }
        self.enter(id, Phase::Commit, blocks);
    }

    fn slash_absent(&mut self, id: RoundId, is_absent: impl Fn(&Seat) -> bool) {
        let sheet = &self.sheets[&id];
        let share = sheet.rules.rounds.absence_slash;
        let absent = sheet.seats.iter().filter(|(_, seat)| is_absent(seat));
        self.slashed.extend(absent.map(|(who, _)| (*who, share)));
    }

    /// Members are wrong, and pay for it once.
    fn slash_wrong(&mut self, id: RoundId, is_wrong: impl Fn(&Seat) -> bool) {
        let sheet = self.sheets.get_mut(&id).unwrap();
        let share = sheet.rules.rounds.wrong_slash;
        for (who, seat) in sheet.seats.iter_mut().filter(|(_, seat)| !seat.wrong && is_wrong(seat)) {
            seat.wrong = true;
            self.slashed.push((*who, share));
        }
    }

    fn refute(&mut self, id: RoundId, is_wrong: impl Fn(&Stands) -> bool) {
        let sheet = self.sheets.get_mut(&id).unwrap();
        let wrong: BTreeSet<[u8; 32]> =
            sheet.stands.iter().filter(|(_, stands)| is_wrong(stands)).map(|(name, _)| *name).collect();
        sheet.stands.retain(|name, _| !wrong.contains(name));
        self.slash_wrong(id, |seat| seat.reveal.is_some_and(|name| wrong.contains(&name)));
    }

    fn end_reveal(&mut self, id: RoundId) {
        self.slash_absent(id, |seat| seat.reveal.is_none());
        let sheet = &self.sheets[&id];
        let mut weights = BTreeMap::<_, u32>::new();
        for stands in sheet.stands.values() {
            *weights.entry(findings(&stands.reveal).encode()).or_default() += stands.votes;
        }
        let all = sheet.votes(|_| true);
        match weights.into_iter().find(|(_, weight)| sheet.is_enough(*weight, all)) {
            Some((agreed, _)) => {
                self.refute(id, |stands| findings(&stands.reveal).encode() != agreed);
                self.go_on(id);
            },
            None => self.redraw(id),
        }
    }

    fn go_on(&mut self, id: RoundId) {
        let sheet = &self.sheets[&id];
        match sheet.stands.len() {
            0 => self.redraw(id),
            1 => self.decide(id),
            _ => {
                let blocks = sheet.rules.rounds.dispute_move;
                self.enter(id, Phase::Scores, blocks);
            },
        }
    }

    /// The first cell in which those that stand differ.
    fn differs(&self, id: RoundId) -> Option<u32> {
        let sheet = &self.sheets[&id];
        let scores: Vec<&Scores> = sheet.stands.values().filter_map(|stands| stands.scores.as_ref()).collect();
        let differs = |place: &u32| {
            let at: BTreeSet<Option<&u64>> = scores.iter().map(|scores| scores.0.get(*place as usize)).collect();
            at.len() > 1
        };
        (0..sheet.layout().all()).find(differs)
    }

    fn next_cell(&mut self, id: RoundId) {
        let sheet = &self.sheets[&id];
        let (blocks, candidate) = (sheet.rules.rounds.dispute_move, sheet.layout().without_candidate());
        let blocks_found: BTreeSet<_> = sheet.stands.values().map(Stands::blocks).collect();
        if blocks_found.len() > 1 && self.differs(id).is_none_or(|cell| cell >= candidate) {
            // Who was found wrong has no say, and who is away is for nothing.
            let mut weights = BTreeMap::<_, u32>::new();
            for seat in sheet.seats.values().filter(|seat| !seat.wrong) {
                if let Some(stands) = seat.reveal.and_then(|name| sheet.stands.get(&name)) {
                    *weights.entry(stands.blocks()).or_default() += seat.votes;
                }
            }
            let all = sheet.votes(|seat| !seat.wrong);
            match weights.into_iter().find(|(_, weight)| sheet.is_enough(*weight, all)) {
                Some((agreed, _)) => self.refute(id, |stands| stands.blocks() != agreed),
                None => return self.redraw(id),
            }
        }
        let Some(cell) = self.differs(id) else { return self.go_on(id) };
        let sheet = self.sheets.get_mut(&id).unwrap();
        let candidate = sheet.stands.values().find_map(Stands::blocks).map_or(ContentHash::default(), |found| found.1);
        sheet.disputed = Some(Disputed::at(id, cell, candidate));
        self.enter(id, Phase::Traces(cell), blocks);
    }

    fn pair(&mut self, id: RoundId, cell: u32) {
        let sheet = self.sheets.get_mut(&id).unwrap();
        let scores: BTreeSet<u64> = sheet.traces.values().map(|trace| trace.score).collect();
        if scores.len() < 2 {
            return self.resolve(id, cell, scores.first().copied());
        }
        let disputed = sheet.disputed.unwrap();
        let mut waiting: Vec<Digest> =
            sheet.traces.iter().filter(|(_, trace)| trace.game.is_none()).map(|(root, _)| *root).collect();
        waiting.sort_by_key(place);
        for two in waiting.as_chunks::<2>().0 {
            let number = sheet.begun_games;
            sheet.begun_games += 1;
            let players = two.map(|root| sheet.traces[&root].player.clone());
            let until = self.now + sheet.rules.rounds.dispute_move;
            let game = Match::new(disputed, [&players[0], &players[1]], until);
            sheet.games.insert(number, game);
            for root in two {
                sheet.traces.get_mut(root).unwrap().game = Some(number);
            }
        }
    }

    fn end_move(&mut self, id: RoundId, number: u32) {
        let sheet = self.sheets.get_mut(&id).unwrap();
        let game = sheet.games.remove(&number).unwrap();
        let Phase::Games(cell) = sheet.phase else { unreachable!() };
        let right = match game.right.filter(|_| game.is_settled) {
            Some(right) => right,
            None => game.told,
        };
        for (root, is_right) in game.roots.into_iter().zip(right) {
            let sheet = self.sheets.get_mut(&id).unwrap();
            if is_right {
                sheet.traces.get_mut(&root).unwrap().game = None;
            } else {
                sheet.traces.remove(&root);
                self.slash_wrong(id, |seat| seat.trace == Some(root));
            }
        }
        self.pair(id, cell);
    }

    fn resolve(&mut self, id: RoundId, cell: u32, score: Option<u64>) {
        let sheet = self.sheets.get_mut(&id).unwrap();
        sheet.games.clear();
        sheet.traces.clear();
        sheet.seats.values_mut().for_each(|seat| seat.trace = None);
        let is_wrong =
            |stands: &Stands| stands.scores.as_ref().and_then(|scores| scores.0.get(cell as usize)) != score.as_ref();
        self.refute(id, is_wrong);
        self.next_cell(id);
    }

    fn decide(&mut self, id: RoundId) {
        let sheet = self.sheets.get_mut(&id).unwrap();
        let (layout, rules) = (sheet.layout(), &sheet.rules.learning);
        let (name, stands) = sheet.stands.pop_first().unwrap();
        let reveal = stands.reveal;
        let is_its = |seat: &Seat| seat.reveal == Some(name) && !seat.wrong;
        let its = sheet.seats.iter().filter(|(_, seat)| is_its(seat));
        let evaluators = its.map(|(who, seat)| (*who, seat.votes)).collect();
        let judge = |(found, weight): (&DeltaFinding, u32)| match found.judge(&layout, rules) {
            Ok(()) => DeltaOutcome::Merged(weight),
            Err(refusal) => DeltaOutcome::Refused(refusal),
        };
        let mut deltas = vec![DeltaOutcome::Withheld; sheet.deltas.len()];
        let judged = reveal.deltas.iter().zip(reveal.weights(&layout, rules)).map(judge);
        for (index, outcome) in sheet.measured.iter().flatten().zip(judged) {
            deltas[*index as usize] = outcome;
        }
        let gain = reveal.candidate.map_or(0, |found| released_gain(&found.sums.last, layout.last, layout.positions));
        let verdict = Verdict { deltas, candidate: reveal.judge(&layout, rules), gain, evaluators };
        sheet.verdict = Some(reveal);
        self.decided.push((id, Some(verdict)));
        self.close(id);
    }

    /// Nothing is left of a committee.
    fn dissolve(&mut self, id: RoundId) {
        let sheet = self.sheets.get_mut(&id).unwrap();
        sheet.seats.clear();
        sheet.stands.clear();
        sheet.traces.clear();
        sheet.games.clear();
        sheet.given = None;
        // Governance may have taken it back, whatever it has done with it since.
        let is_given = |set: &Listed| set.hidden.is_some_and(|hidden| hidden.given_to == Some(id));
        let Some(at) = self.sets.iter().position(is_given) else { return };
        let set = self.sets.remove(at);
        // What was read is public; what nobody could read is of no use.
        if set.hidden.is_some_and(|hidden| hidden.key.is_some()) {
            self.sets.push(Listed { purpose: Purpose::Training, hidden: None, ..set });
        }
    }

    fn redraw(&mut self, id: RoundId) {
        self.dissolve(id);
        let now = self.now;
        let sheet = self.sheets.get_mut(&id).unwrap();
        sheet.attempt += 1;
        if sheet.attempt == MAX_ATTEMPTS {
            self.decided.push((id, None));
            return self.close(id);
        }
        (sheet.at, sheet.measured, sheet.hidden) = (now, None, None);
        self.enter(id, Phase::Waiting, RETRY);
    }

    fn close(&mut self, id: RoundId) {
        self.dissolve(id);
        self.enter(id, Phase::Over, 0);
    }
}
