//! Whatever happens to evaluations, they are what a plain model of them is; and whoever is honest has nothing to fear.

mod book;
mod cast;
mod check;

use self::{
    book::{Book, Fault, Flaw, Match, Sheet},
    cast::{cast, twist, Cast, Tracing, PEOPLE},
};
use super::{
    players::Player,
    support::{ENCRYPTED, KEY, SALT, STEWARD},
};
use crate::{mock::*, Event, GameOf, Games, Phase, Purpose, ScoresOf, Seat, Verdicts};
use blyan_primitives::{
    dispute::{Evidence, LeafRun, Move, Side},
    ids::ContentHash,
    learning::{Evaluations as _, RoundId},
    pact::Ppm,
    pol::{commitment, Reveal, Scores},
};
use codec::Encode;
use frame_support::{StorageHasher, Twox128};
use polkadot_sdk::*;
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use scale_info::{TypeDef, TypeInfo};
use sp_runtime::{DispatchError, DispatchResult};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// Cases in a run, unless `BLYAN_FUZZ_CASES` says how many.
const CASES: u32 = 48;

/// Evaluations are named by how many were begun after them.
#[derive(Clone, Debug)]
enum Act {
    Start(Cast),
    StartAgain(u32),
    Forget(u32),
    Enrol(u64),
    Leave(u64),
    /// What an account has at stake becomes so many BLY.
    Stake(u64, u32),
    Refresh(u64),
    AddSet(usize, Purpose),
    Hide(usize),
    RemoveSet(usize),
    RevealKey(usize, u64),
    /// How many members committees have from now on, how many items of a delta's own are asked for, and what a lie costs.
    Pact(u32, u32, u32),
    Call(u32, u64, Call),
    /// In an evaluation that has come to this, if there is one before long, some do what somebody is to do there.
    Meddle(Moment, Vec<(u64, Meddling)>),
    Wait(u32),
}

/// How far an evaluation is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Availability,
    Commit,
    Reveal,
    Scores,
    Traces,
    Games,
    /// A game has come down to a word.
    Evidence,
}

impl Moment {
    fn of(sheet: &Sheet) -> Option<Self> {
        Some(match sheet.phase {
            Phase::Waiting | Phase::Over => return None,
            Phase::Availability => Self::Availability,
            Phase::Commit => Self::Commit,
            Phase::Reveal => Self::Reveal,
            Phase::Scores => Self::Scores,
            Phase::Traces(_) => Self::Traces,
            Phase::Games(_) if sheet.games.values().any(Match::is_for_evidence) => Self::Evidence,
            Phase::Games(_) => Self::Games,
        })
    }
}

/// What somebody does at each moment.
#[derive(Clone, Debug)]
struct Meddling {
    vote: (u32, bool),
    commit: Option<usize>,
    party: usize,
    is_right: bool,
    game: usize,
    side: usize,
    flaw: Flaw,
    fault: Fault,
}

impl Meddling {
    fn call(&self, moment: Moment) -> Call {
        match moment {
            Moment::Availability => Call::Vote(self.vote.0, self.vote.1),
            Moment::Commit => Call::Commit(self.commit),
            Moment::Reveal => Call::Reveal(self.party, self.is_right),
            Moment::Scores => Call::Scores(self.party, self.is_right),
            Moment::Traces => Call::Trace(self.party),
            Moment::Games => Call::Play(self.game, self.side, self.flaw),
            Moment::Evidence => Call::Settle(self.game, self.side, self.fault),
        }
    }
}

/// What somebody does that nobody expects.
#[derive(Clone, Debug)]
enum Call {
    Vote(u32, bool),
    /// To what a party finds, or to nothing.
    Commit(Option<usize>),
    Reveal(usize, bool),
    /// Of a party, and whether they are the right ones.
    Scores(usize, bool),
    Trace(usize),
    Play(usize, usize, Flaw),
    Settle(usize, usize, Fault),
}

fn flaw() -> impl Strategy<Value = Flaw> {
    prop_oneof![Just(Flaw::None), Just(Flaw::Foreign), Just(Flaw::Kind), Just(Flaw::Empty)]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![Just(Fault::None), Just(Fault::Foreign), Just(Fault::Empty), Just(Fault::Much), Just(Fault::Changed)]
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        (0u32..8, any::<bool>()).prop_map(|(available, reads)| Call::Vote(available, reads)),
        prop::option::of(0usize..4).prop_map(Call::Commit),
        (0usize..4, any::<bool>()).prop_map(|(party, right)| Call::Reveal(party, right)),
        (0usize..4, any::<bool>()).prop_map(|(party, right)| Call::Scores(party, right)),
        (0usize..4).prop_map(Call::Trace),
        (0usize..3, 0usize..2, flaw()).prop_map(|(game, side, flaw)| Call::Play(game, side, flaw)),
        (0usize..3, 0usize..2, fault()).prop_map(|(game, side, fault)| Call::Settle(game, side, fault)),
    ]
}

fn moment() -> impl Strategy<Value = Moment> {
    use Moment::*;
    prop::sample::select(vec![Availability, Commit, Reveal, Scores, Traces, Games, Evidence, Evidence])
}

fn meddling() -> impl Strategy<Value = Meddling> {
    let vote = (0u32..8, any::<bool>());
    (vote, prop::option::of(0usize..4), 0usize..4, any::<bool>(), (0usize..2, 0usize..2), flaw(), fault()).prop_map(
        |(vote, commit, party, is_right, (game, side), flaw, fault)| Meddling {
            vote,
            commit,
            party,
            is_right,
            game,
            side,
            flaw,
            fault,
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    let who = 1..=PEOPLE;
    // Some are no evaluators.
    let anybody = 1..=PEOPLE + 2;
    let set = 0usize..4;
    let purpose =
        prop_oneof![Just(Purpose::Training), Just(Purpose::HeldOut), Just(Purpose::General), Just(Purpose::Hidden)];
    let stake = prop_oneof![Just(0u32), Just(1), 10u32..1_000];
    prop_oneof![
        7 => cast().prop_map(Act::Start),
        1 => (0u32..4).prop_map(Act::StartAgain),
        1 => (0u32..4).prop_map(Act::Forget),
        1 => who.clone().prop_map(Act::Enrol),
        1 => who.clone().prop_map(Act::Leave),
        1 => (who.clone(), stake).prop_map(|(who, stake)| Act::Stake(who, stake)),
        1 => who.prop_map(Act::Refresh),
        1 => (set.clone(), purpose).prop_map(|(set, purpose)| Act::AddSet(set, purpose)),
        3 => set.clone().prop_map(Act::Hide),
        1 => set.clone().prop_map(Act::RemoveSet),
        3 => (set, prop_oneof![Just(STEWARD), Just(1)]).prop_map(|(set, who)| Act::RevealKey(set, who)),
        1 => (4u32..6, 2u32..4, 100_000u32..300_000).prop_map(|(seats, own, lie)| Act::Pact(seats, own, lie)),
        4 => (0u32..3, anybody.clone(), call()).prop_map(|(id, who, call)| Act::Call(id, who, call)),
        24 => (moment(), prop::collection::vec((anybody, meddling()), 1..6))
            .prop_map(|(moment, all)| Act::Meddle(moment, all)),
        8 => (1u32..20).prop_map(Act::Wait),
    ]
}

thread_local! {
    /// Errors that were met.
    static ERRORS: RefCell<BTreeSet<&'static str>> = RefCell::default();
}

/// What is called says what the book does.
fn same(done: DispatchResult, should: Result<(), E>) -> Result<bool, TestCaseError> {
    if let Err(error) = &should {
        ERRORS.with_borrow_mut(|errors| errors.insert(error.as_str()));
    }
    prop_assert_eq!(done, should.map_err(DispatchError::from));
    Ok(done.is_ok())
}

fn signed(who: u64) -> RuntimeOrigin {
    RuntimeOrigin::signed(who)
}

/// Everything, and who takes part in it.
struct Scene {
    book: Book,
    casts: BTreeMap<RoundId, Rc<Cast>>,
    next: RoundId,
    /// What parties have found, by the evaluation, its committee, and their number.
    found: BTreeMap<(RoundId, u8, usize), Rc<(Reveal, Scores)>>,
    /// Moves that members have made.
    moves: BTreeMap<(RoundId, u64), u32>,
    /// Members who have done something that is not their party's.
    meddled: BTreeSet<(RoundId, u64)>,
    /// Members who were found wrong, by the evaluation and its committee.
    wrong: BTreeSet<(RoundId, u8, u64)>,
    /// What has happened.
    seen: BTreeSet<&'static str>,
}

/// A committee, as it was before a block.
struct Sitting {
    attempt: u8,
    members: BTreeSet<u64>,
}

type Done = Result<(), TestCaseError>;

impl Scene {
    fn new() -> Self {
        let book = Book::new();
        let mut scene = Self {
            book,
            casts: BTreeMap::new(),
            next: 0,
            found: BTreeMap::new(),
            moves: BTreeMap::new(),
            meddled: BTreeSet::new(),
            wrong: BTreeSet::new(),
            seen: BTreeSet::new(),
        };
        ERRORS.take();
        // What every test begins with is this one's to say.
        for block in world(|world| [world.item.block, world.smaller[0]]) {
            Pol::remove_set(RuntimeOrigin::root(), block).unwrap();
        }
        ThePact::mutate(|pact| pact.learning.confidence = 1_000);
        scene.add_set(0, Purpose::HeldOut).unwrap();
        scene.add_set(1, Purpose::General).unwrap();
        for who in 1..=6 {
            Staked::mutate(|staked| staked.insert(who, u128::from(who) * 100 * BLY));
            scene.enrol(who).unwrap();
        }
        scene
    }

    /// One of the last evaluations; before there are enough, the next one, which nobody knows.
    fn named(&self, later: u32) -> RoundId {
        self.next.checked_sub(1 + later).unwrap_or(self.next)
    }

    fn block(set: usize) -> ContentHash {
        world(|world| world.smaller[set])
    }

    fn enrol(&mut self, who: u64) -> Done {
        same(Pol::enrol(signed(who)), self.book.enrol(who))?;
        Ok(())
    }

    fn add_set(&mut self, set: usize, purpose: Purpose) -> Done {
        let block = Self::block(set);
        same(Pol::add_set(RuntimeOrigin::root(), block, purpose), self.book.add_set(block, purpose, None))?;
        Ok(())
    }

    fn reveal_key(&mut self, who: u64, block: ContentHash) -> Done {
        same(Pol::reveal_key(signed(who), block, KEY), self.book.reveal_key(who, block, KEY))?;
        Ok(())
    }

    fn forget(&mut self, id: RoundId) {
        Pol::forget(id);
        self.book.forget(id);
        self.seen.insert("forgotten");
    }

    fn start(&mut self, id: RoundId) -> Done {
        let submitted = Submitted::get().get(&id).cloned();
        same(Pol::start(id).map_err(DispatchError::from), self.book.start(id, submitted))?;
        Ok(())
    }

    /// What a party finds: nothing before it is known what is measured.
    fn finds(&mut self, id: RoundId, party: usize) -> Option<Rc<(Reveal, Scores)>> {
        let (sheet, cast) = (self.book.sheets.get(&id)?, self.casts.get(&id)?);
        if sheet.measured.is_none() || sheet.phase == Phase::Over {
            return None;
        }
        let known = self.found.entry((id, sheet.attempt, party));
        Some(known.or_insert_with(|| Rc::new(cast.finds(id, party))).clone())
    }

    fn vote(&mut self, id: RoundId, who: u64, available: u32, reads: bool) -> Result<bool, TestCaseError> {
        let done = Pol::vote_availability(signed(who), id, available, reads);
        same(done, self.book.vote(id, who, available, reads))
    }

    fn commit(&mut self, id: RoundId, who: u64, found: &Reveal) -> Result<bool, TestCaseError> {
        let commitment = commitment(id.into(), &who.encode(), &SALT, &found.hash());
        same(Pol::commit(signed(who), id, commitment), self.book.commit(id, who, commitment))
    }

    fn reveal(&mut self, id: RoundId, who: u64, found: &Reveal, is_salted: bool) -> Result<bool, TestCaseError> {
        let salt = if is_salted { SALT } else { [6; 32] };
        let done = Pol::reveal(signed(who), id, salt, Box::new(found.clone()));
        same(done, self.book.reveal(id, who, salt, found))
    }

    fn post_scores(&mut self, id: RoundId, found: &Reveal, scores: &Scores, are_its: bool) -> Done {
        let posted = ScoresOf::truncate_from(scores.0.clone());
        let done = Pol::post_scores(signed(99), id, found.hash(), posted);
        same(done, self.book.post_scores(id, found.hash(), scores, are_its))?;
        Ok(())
    }

    fn post_trace(&mut self, id: RoundId, who: u64, player: &Rc<Player>) -> Result<bool, TestCaseError> {
        same(player.post(id, who), self.book.post_trace(id, who, player))
    }

    /// The trace that a party has of the cell in dispute; none when it keeps it to itself.
    fn traces(&mut self, id: RoundId, party: usize) -> Option<Rc<Player>> {
        let Phase::Traces(cell) = self.book.sheets.get(&id)?.phase else { return None };
        let (tracing, found) = (self.casts[&id].any(party).traces, self.finds(id, party)?);
        let truth = self.book.sheets[&id].disputed?.truth();
        let score = found.1 .0.get(cell as usize).copied()?;
        match tracing {
            Tracing::None => None,
            Tracing::Plain if score == truth.score() => Some(truth),
            Tracing::Plain => Some(Rc::new(truth.lie(None, score))),
            Tracing::Twisted(number) => Some(Rc::new(truth.lie(Some(twist(number)), score))),
        }
    }

    fn play(&mut self, id: RoundId, number: u32, side: Side, flaw: Flaw) -> Result<bool, TestCaseError> {
        let nothing = || Move::Words(Default::default());
        let told = Games::<Test>::get(id, number).map(|game| {
            let (own, other) = match side {
                Side::First => (Side::First, Side::Second),
                Side::Second => (Side::Second, Side::First),
            };
            let told = |side| self.player(id, &game, side).told(&game);
            let empty = |told| match told {
                Some(Move::Nodes(_)) => Move::Nodes(Default::default()),
                _ => nothing(),
            };
            match flaw {
                Flaw::None => told(own).unwrap_or_else(nothing),
                Flaw::Foreign => told(other).unwrap_or_else(nothing),
                Flaw::Empty => empty(told(own)),
                Flaw::Kind => match empty(told(own)) {
                    Move::Nodes(_) => nothing(),
                    Move::Words(_) => Move::Nodes(Default::default()),
                },
            }
        });
        let done = Pol::play(signed(99), id, number, side, Box::new(told.unwrap_or_else(nothing)));
        same(done, self.book.play(id, number, side as usize, flaw))
    }

    fn player(&self, id: RoundId, game: &GameOf<Test>, side: Side) -> Rc<Player> {
        self.book.sheets[&id].traces[game.game.root(side)].player.clone()
    }

    /// Brings evidence, unless the value follows from nothing and there is none.
    fn settle(&mut self, id: RoundId, number: u32, side: Side, fault: Fault) -> Result<bool, TestCaseError> {
        let game = Games::<Test>::get(id, number);
        let disputed = self.book.sheets.get(&id).and_then(|sheet| sheet.games.get(&number)).map(|game| game.disputed);
        let of = match (side, fault) {
            (Side::First, Fault::Foreign) => Side::Second,
            (Side::Second, Fault::Foreign) => Side::First,
            (side, _) => side,
        };
        let known = game.zip(disputed).and_then(|(game, disputed)| {
            game.game.word()?;
            Some(self.player(id, &game, of).evidence(&game, &disputed))
        });
        let mut evidence = match known {
            // It is not due.
            None => Evidence::default(),
            Some(Some(evidence)) => evidence,
            Some(None) => return Ok(false),
        };
        match fault {
            Fault::None | Fault::Foreign => {},
            Fault::Empty => evidence = Evidence::default(),
            Fault::Much => {
                evidence.leaves = vec![LeafRun { first: 0, words: vec![], proof: vec![] }; 200];
            },
            Fault::Changed => match evidence.leaves.first_mut() {
                Some(run) => run.words[0] ^= 1,
                None => evidence.blocks.iter_mut().for_each(|block| block.runs[0].data[0] ^= 1),
            },
        }
        let has_leaves = !evidence.leaves.is_empty();
        let done = Pol::settle(signed(99), id, number, side, Box::new(evidence));
        same(done, self.book.settle(id, number, fault, has_leaves))
    }

    /// Everybody in an evaluation does what is due, as far as that is what it does.
    fn play_on(&mut self, id: RoundId) -> Done {
        let (cast, sheet) = (self.casts[&id].clone(), &self.book.sheets[&id]);
        let seats: Vec<(u64, Seat)> = sheet.seats.iter().map(|(who, seat)| (*who, *seat)).collect();
        match sheet.phase {
            Phase::Availability => {
                let given = self.book.sets.iter().filter(|set| Some(set.block) == sheet.given);
                let is_due = |hidden: &crate::HiddenSet<u64>| cast.has_key && hidden.key.is_none();
                let due: Vec<ContentHash> =
                    given.filter(|set| set.hidden.as_ref().is_some_and(is_due)).map(|set| set.block).collect();
                for block in due {
                    self.reveal_key(STEWARD, block)?;
                }
                for (who, _) in seats.iter().filter(|(_, seat)| seat.available.is_none()) {
                    let party = cast.party(*who);
                    if let Some(available) = party.votes {
                        self.vote(id, *who, available & !cast.withheld, party.reads)?;
                    }
                }
            },
            Phase::Commit => {
                for (who, _) in seats.iter().filter(|(_, seat)| seat.commitment.is_none()) {
                    let found = self.finds(id, cast.number(*who)).filter(|_| cast.party(*who).commits);
                    if let Some(found) = found {
                        self.commit(id, *who, &found.0)?;
                    }
                }
            },
            Phase::Reveal => {
                for (who, _) in seats.iter().filter(|(_, seat)| seat.reveal.is_none()) {
                    let found = self.finds(id, cast.number(*who));
                    if let Some((found, is_salted)) = found.zip(cast.party(*who).reveals) {
                        self.reveal(id, *who, &found.0, is_salted)?;
                    }
                }
            },
            Phase::Scores => {
                for (who, _) in seats.iter().filter(|(who, _)| cast.party(*who).posts) {
                    let Some(found) = self.finds(id, cast.number(*who)) else { continue };
                    let (name, stands) = (found.0.hash(), &self.book.sheets[&id].stands);
                    if stands.get(&name).is_some_and(|stands| stands.scores.is_none()) {
                        let are_its = !cast.party(*who).has_other_sums();
                        self.post_scores(id, &found.0, &found.1, are_its)?;
                    }
                }
            },
            Phase::Traces(_) => {
                for (who, _) in seats.iter().filter(|(_, seat)| seat.trace.is_none() && !seat.wrong) {
                    if let Some(player) = self.traces(id, cast.number(*who)) {
                        self.post_trace(id, *who, &player)?;
                    }
                }
            },
            Phase::Games(_) => self.play_games(id, &cast, &seats)?,
            Phase::Waiting | Phase::Over => {},
        }
        Ok(())
    }

    fn play_games(&mut self, id: RoundId, cast: &Cast, seats: &[(u64, Seat)]) -> Done {
        let games: Vec<u32> = self.book.sheets[&id].games.keys().copied().collect();
        for (number, side) in games.into_iter().flat_map(|number| Side::BOTH.map(|side| (number, side))) {
            let game = &self.book.sheets[&id].games[&number];
            let root = game.roots[side as usize];
            let (is_due, is_for_evidence) = (!game.told[side as usize] && !game.is_settled, game.is_for_evidence());
            let mut with_it = seats.iter().filter(|(_, seat)| seat.trace == Some(root)).map(|(who, _)| *who);
            let mover = with_it.find(|who| *self.moves.entry((id, *who)).or_default() < cast.party(*who).moves);
            let Some(who) = mover.filter(|_| is_due) else { continue };
            let is_done = match is_for_evidence {
                true => self.settle(id, number, side, Fault::None)?,
                false => self.play(id, number, side, Flaw::None)?,
            };
            *self.moves.entry((id, who)).or_default() += u32::from(is_done);
        }
        Ok(())
    }

    /// Somebody does something that may not be due, or not be its to do.
    fn call(&mut self, id: RoundId, who: u64, call: Call) -> Done {
        let is_part = match call {
            Call::Vote(available, reads) => self.vote(id, who, available, reads)?,
            Call::Commit(party) => match party.and_then(|party| self.finds(id, party)) {
                Some(found) => self.commit(id, who, &found.0)?,
                None => same(Pol::commit(signed(who), id, [1; 32]), self.book.commit(id, who, [1; 32]))?,
            },
            Call::Reveal(party, is_salted) => {
                let found = self.finds(id, party).map_or_else(nothing, |found| found.0.clone());
                self.reveal(id, who, &found, is_salted)?
            },
            Call::Scores(party, right) => {
                let found = self.finds(id, party).unwrap_or_else(|| Rc::new((nothing(), Scores(vec![]))));
                let mut scores = found.1.clone();
                if let Some(score) = scores.0.first_mut().filter(|_| !right) {
                    *score += 1;
                }
                let has_its = self.casts.get(&id).is_some_and(|cast| !cast.any(party).has_other_sums());
                self.post_scores(id, &found.0, &scores, right && has_its)?;
                false
            },
            Call::Trace(party) => {
                let blank = || world(|world| Rc::new(Player::new(world.blank(&world.shape))));
                let player = self.traces(id, party).unwrap_or_else(blank);
                self.post_trace(id, who, &player)?
            },
            Call::Play(game, side, flaw) => {
                let number = self.game(id, game);
                self.play(id, number, Side::BOTH[side], flaw)?;
                false
            },
            Call::Settle(game, side, fault) => {
                let number = self.game(id, game);
                self.settle(id, number, Side::BOTH[side], fault)?;
                false
            },
        };
        if is_part {
            self.meddled.insert((id, who));
        }
        Ok(())
    }

    /// One of the games that are played, if there are so many.
    fn game(&self, id: RoundId, index: usize) -> u32 {
        let games = self.book.sheets.get(&id).map(|sheet| &sheet.games);
        games.and_then(|games| games.keys().nth(index)).copied().unwrap_or(99)
    }

    fn is_honest(&self, id: RoundId, who: u64) -> bool {
        self.casts[&id].party(who).is_honest() && !self.meddled.contains(&(id, who))
    }

    /// Everybody acts, and the next block begins.
    fn next_block(&mut self) -> Done {
        let going: Vec<RoundId> = self.book.sheets.keys().copied().collect();
        for id in going {
            self.play_on(id)?;
        }
        self.book.check()?;
        let sitting =
            |sheet: &Sheet| Sitting { attempt: sheet.attempt, members: sheet.seats.keys().copied().collect() };
        let sittings: BTreeMap<RoundId, Sitting> =
            self.book.sheets.iter().map(|(id, sheet)| (*id, sitting(sheet))).collect();
        self.note();
        System::reset_events();
        let weight = next_block();
        prop_assert_eq!(weight, self.book.advance(System::block_number()));
        self.note();
        self.check_justice(&sittings)?;
        self.book.check()
    }

    /// Remembers what has happened since events were last reset.
    fn note(&mut self) {
        if self.book.behind.is_some() {
            self.seen.insert("late");
        }
        for record in System::events() {
            let RuntimeEvent::Pol(event) = record.event else { continue };
            self.seen.insert(match event {
                Event::Decided { accepted: true, .. } => "accepted",
                Event::Decided { accepted: false, .. } => "rejected",
                Event::DeltasAvailable { deltas: 0, .. } => "withheld",
                Event::EvaluationFailed { .. } => "failed",
                Event::Disputed { .. } => "disputed",
                Event::Played { .. } => "played",
                Event::GameSettled { .. } => "settled",
                Event::Redrawn { .. } => "redrawn",
                Event::Refuted { .. } => "refuted",
                Event::Absent { .. } => "absent",
                Event::PhaseEndsEarly { .. } => "early",
                Event::KeyRevealed { .. } => "read",
                _ => continue,
            });
        }
    }

    /// Whoever is honest is never away, and never found wrong, and right when there is a verdict: whatever others say of scores,
    /// and as long as not enough say the same falsehood of what no game shows. Nobody pays twice.
    fn check_justice(&mut self, sittings: &BTreeMap<RoundId, Sitting>) -> Done {
        for record in System::events() {
            let RuntimeEvent::Pol(event) = record.event else { continue };
            match event {
                Event::Absent { evaluation, who, .. } => {
                    prop_assert!(!self.is_honest(evaluation, who), "{} is honest, and there", who);
                },
                Event::Wrong { evaluation, who, .. } => {
                    let attempt = sittings[&evaluation].attempt;
                    prop_assert!(self.wrong.insert((evaluation, attempt, who)), "{} pays twice", who);
                },
                _ => {},
            }
            let (Event::Wrong { evaluation: id, .. } | Event::Decided { evaluation: id, .. }) = event else { continue };
            let Sitting { attempt, members } = &sittings[&id];
            let honest: Vec<u64> = members.iter().copied().filter(|who| self.is_honest(id, *who)).collect();
            let quorum = u64::from(self.book.sheets[&id].rules.learning.quorum.0) * members.len() as u64;
            let are_few = ((members.len() - honest.len()) as u64 * 1_000_000) < quorum;
            if !are_few && self.casts[&id].is_beyond_games() {
                continue;
            }
            match event {
                Event::Wrong { who, .. } => prop_assert!(!honest.contains(&who), "{} is honest", who),
                _ => {
                    let party = honest.first().map(|who| self.casts[&id].number(*who));
                    let truth = party.map(|party| self.found[&(id, *attempt, party)].0.clone());
                    prop_assert!(
                        truth.is_none() || truth == Verdicts::<Test>::get(id),
                        "honest members are not believed"
                    );
                },
            }
        }
        Ok(())
    }

    fn act(&mut self, act: Act) -> Done {
        match act {
            Act::Start(cast) => {
                let id = self.next;
                self.next += 1;
                Submitted::mutate(|submitted| submitted.insert(id, cast.submitted()));
                self.casts.insert(id, Rc::new(cast));
                self.start(id)?;
            },
            Act::StartAgain(later) => {
                let id = self.named(later);
                let is_forgotten = !self.book.sheets.contains_key(&id) && self.book.is_decided(id);
                if !is_forgotten {
                    self.start(id)?;
                }
            },
            Act::Forget(later) => {
                let id = self.named(later);
                if self.book.sheets.get(&id).is_none_or(|sheet| sheet.phase == Phase::Over) {
                    self.forget(id);
                }
            },
            Act::Enrol(who) => self.enrol(who)?,
            Act::Leave(who) => {
                same(Pol::leave(signed(who)), self.book.leave(who))?;
            },
            Act::Stake(who, stake) => Staked::mutate(|staked| {
                staked.insert(who, u128::from(stake) * BLY);
                // Who has nothing at stake is no worker.
                staked.retain(|_, stake| *stake > 0);
            }),
            Act::Refresh(who) => {
                same(Pol::refresh(signed(99), who), self.book.refresh(who))?;
            },
            Act::AddSet(set, purpose) => self.add_set(set, purpose)?,
            Act::Hide(set) => {
                let block = Self::block(set);
                let done = Pol::add_hidden_set(RuntimeOrigin::root(), block, ENCRYPTED, STEWARD);
                same(done, self.book.add_set(block, Purpose::Hidden, Some(STEWARD)))?;
            },
            Act::RemoveSet(set) => {
                let block = Self::block(set);
                same(Pol::remove_set(RuntimeOrigin::root(), block), self.book.remove_set(block))?;
            },
            Act::RevealKey(set, who) => self.reveal_key(who, Self::block(set))?,
            Act::Pact(committee, own, lie) => ThePact::mutate(|pact| {
                pact.learning.committee = committee;
                (pact.rounds.own_items, pact.rounds.wrong_slash) = (own, Ppm(lie));
            }),
            Act::Call(later, who, call) => self.call(self.named(later), who, call)?,
            Act::Meddle(moment, all) => {
                let is_it = |(_, sheet): &(&RoundId, &Sheet)| Moment::of(sheet) == Some(moment);
                for _ in 0..EPOCH + 10 {
                    let Some((id, sheet)) = self.book.sheets.iter().find(is_it) else {
                        self.next_block()?;
                        continue;
                    };
                    let id = *id;
                    // Whoever was found wrong may be the first.
                    let wrong = sheet.seats.iter().find(|(_, seat)| seat.wrong).map(|(who, _)| *who);
                    for (who, meddling) in all {
                        let who = wrong.filter(|_| meddling.is_right).unwrap_or(who);
                        if self.book.sheets[&id].seats.contains_key(&who) {
                            // Nobody gets out of it by leaving.
                            same(Pol::leave(signed(who)), self.book.leave(who))?;
                        }
                        self.call(id, who, meddling.call(moment))?;
                        if moment == Moment::Games {
                            // Once more, before the other side.
                            self.call(id, who, meddling.call(moment))?;
                        }
                    }
                    break;
                }
            },
            Act::Wait(blocks) => {
                for _ in 0..blocks {
                    self.next_block()?;
                }
            },
        }
        self.book.check()
    }
}

/// What is revealed by who knows nothing.
fn nothing() -> Reveal {
    Reveal { scores: [0; 32], deltas: Default::default(), candidate: None }
}

/// What is not left when everything is over, nobody is enrolled and there is no set.
fn leftovers() -> Vec<String> {
    let prefix = Twox128::hash(b"Pol");
    let expected =
        ["Enrolled", "Active", "Drawable", ":__STORAGE_VERSION__:"].map(|name| Twox128::hash(name.as_bytes()));
    let mut left = vec![];
    let mut key = prefix.to_vec();
    while let Some(next) = sp_io::storage::next_key(&key).filter(|next| next.starts_with(&prefix)) {
        if !expected.iter().any(|name| next[prefix.len()..].starts_with(name)) {
            left.push(format!("{next:02x?}"));
        }
        key = next;
    }
    left
}

/// Takes all of this, and then waits until everything is over.
fn walk(endings: u32, acts: Vec<Act>, seen: &RefCell<BTreeMap<&'static str, u32>>) -> Done {
    ext_with(0).execute_with(|| {
        MostEndings::set(endings);
        let mut scene = Scene::new();
        for act in acts {
            let text = format!("{act:?}");
            scene.act(act).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        }
        while scene.book.active() > 0 || scene.book.behind.is_some() {
            scene.next_block()?;
        }
        // Rounds are decided once each. Nothing is left of anybody, and nothing of anything.
        let decided: BTreeSet<RoundId> = Decided::get().into_iter().map(|(id, _)| id).collect();
        prop_assert_eq!(decided.len(), Decided::get().len());
        let evaluated: Vec<RoundId> = scene.book.sheets.keys().copied().collect();
        for id in evaluated {
            prop_assert!(decided.contains(&id));
            scene.forget(id);
        }
        for set in scene.book.sets.clone() {
            same(Pol::remove_set(RuntimeOrigin::root(), set.block), scene.book.remove_set(set.block))?;
        }
        for (who, _) in scene.book.evaluators.clone() {
            same(Pol::leave(signed(who)), scene.book.leave(who))?;
        }
        scene.book.check()?;
        prop_assert_eq!(leftovers(), Vec::<String>::new());
        for what in scene.seen.into_iter().chain(ERRORS.take()) {
            *seen.borrow_mut().entry(what).or_default() += 1;
        }
        Ok(())
    })
}

/// What every run must have come to, beside every error that can be met here.
const WAYS: [&str; 14] = [
    "accepted",
    "rejected",
    "withheld",
    "failed",
    "disputed",
    "played",
    "settled",
    "redrawn",
    "refuted",
    "absent",
    "early",
    "late",
    "read",
    "forgotten",
];

/// Errors of what a model of evaluations has nothing to say of: each has a test of its own.
fn is_elsewhere(error: &str) -> bool {
    matches!(
        error,
        "TooManyEvaluators"
            | "UnknownBlock"
            | "NotItems"
            | "WrongItemLength"
            | "TooManySets"
            | "TooManyScores"
            | "UnknownSpec"
    )
}

/// Without `BLYAN_FUZZ_CASES` it takes the same steps in every run.
#[test]
fn evaluations_are_what_the_model_is() {
    let asked = std::env::var("BLYAN_FUZZ_CASES").ok().map(|cases| cases.parse().unwrap());
    let config = ProptestConfig { cases: asked.unwrap_or(CASES), failure_persistence: None, ..Default::default() };
    let mut runner = match asked {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let seen = RefCell::default();
    let acts = (1u32..=MAX_ENDINGS, prop::collection::vec(act(), 10..60));
    runner.run(&acts, |(endings, acts)| walk(endings, acts, &seen)).unwrap_or_else(|error| panic!("{error}"));
    let seen = seen.into_inner();
    println!("cases in which this was seen: {seen:#?}");
    let TypeDef::Variant(errors) = E::type_info().type_def else { unreachable!() };
    let errors = errors.variants.iter().map(|error| error.name).filter(|error| !is_elsewhere(error));
    let missing: Vec<&str> = errors.chain(WAYS).filter(|what| !seen.contains_key(what)).collect();
    // A few cases with other steps need not have come to all.
    if asked.is_none_or(|cases: u32| cases >= 10 * CASES) {
        assert!(missing.is_empty(), "no case has come to {missing:?}");
    }
}
