//! Who does what in an evaluation, and what each finds.

use super::super::players::Disputed;
use crate::{mock::*, Evaluations};
use blyan_primitives::{
    ids::ContentHash,
    learning::{DeltaHeader, ItemRange, RoundId},
    pol::{Candidate, DeltaFinding, Finding, Layout, Reveal, Scores, Target},
    trace::{LayerStep, Step, Word, LOSS_UNITS},
};
use proptest::prelude::*;

/// Accounts that can be drawn.
pub(super) const PEOPLE: u64 = 7;
/// Most deltas of a round.
const DELTAS: usize = 3;
/// Loss of the base on an item that nobody lies about: twenty nats a position. That of a real one is at about ten.
const BASE: u64 = 20 * ITEM_POSITIONS as u64 * LOSS_UNITS as u64;
/// The same of what helps.
const BETTER: u64 = 2 * ITEM_POSITIONS as u64 * LOSS_UNITS as u64;

/// What a member says of its findings that is not so.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lies {
    /// By how much scores are higher, at some places.
    scores: Vec<(u16, i8)>,
    /// What a delta is.
    finding: Option<(usize, Kind)>,
    /// What deltas merge into.
    candidate: Option<u8>,
    /// What its scores come to.
    sums: bool,
    /// That there is a candidate, or that there is none.
    merges: bool,
}

impl Lies {
    /// Whether there are some of what no game shows.
    pub(super) fn are_of_what_no_game_shows(&self) -> bool {
        self.finding.is_some() || self.candidate.is_some()
    }
}

/// What a delta is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Better,
    Useless,
    Malformed,
    Copy,
}

/// What a member makes of the cell in dispute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tracing {
    /// Nothing.
    None,
    /// What was computed, but for losses that come to something else.
    Plain,
    /// The same, with a value that is not so.
    Twisted(u8),
}

/// What all of a party do.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) votes: Option<u32>,
    pub(super) reads: bool,
    pub(super) commits: bool,
    pub(super) lies: Lies,
    /// Whether it reveals, and with the salt that it has committed with.
    pub(super) reveals: Option<bool>,
    pub(super) posts: bool,
    pub(super) traces: Tracing,
    /// How often it moves or brings evidence in games, before it has enough of it.
    pub(super) moves: u32,
}

impl Party {
    fn honest() -> Self {
        Self {
            votes: Some(u32::MAX),
            reads: true,
            commits: true,
            lies: Lies::default(),
            reveals: Some(true),
            posts: true,
            traces: Tracing::Plain,
            moves: u32::MAX,
        }
    }

    /// Whether its scores come to something else than it says.
    pub(super) fn has_other_sums(&self) -> bool {
        self.lies.sums
    }

    /// Whether it tells the truth, all of it, and in time.
    pub(super) fn is_honest(&self) -> bool {
        let Self { votes, commits, lies, reveals, posts, traces, moves, .. } = self;
        let speaks = votes.is_some() && *commits && *posts && *reveals == Some(true);
        speaks && *lies == Lies::default() && *traces == Tracing::Plain && *moves == u32::MAX
    }
}

/// A value of a trace that can be another.
pub(super) fn twist(number: u8) -> Word {
    let layer = |layer, step| Step::Layer(layer, step);
    let (step, row, column) = match number % 7 {
        0 => (Step::Embedding, 0, 0),
        1 => (layer(0, LayerStep::Query), 1, 3),
        // Which expert it is decides what most that follows is computed from.
        2 => (layer(1, LayerStep::Chosen), 0, 1),
        3 => (layer(1, LayerStep::Down(1)), 3, 2),
        4 => (Step::Logits, 2, 16_000),
        5 => (Step::ExpSum, 1, 0),
        _ => (Step::Loss, 0, 0),
    };
    Word { step, row, column }
}

/// Who is in an evaluation, and what it is about.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    /// The first is honest.
    parties: Vec<Party>,
    /// The party of each account.
    of: Vec<usize>,
    /// What deltas are, and on how many items they were trained.
    deltas: Vec<(Kind, u32)>,
    /// Deltas that nobody can fetch.
    pub(super) withheld: u32,
    /// Whether the steward of a hidden set reveals the key.
    pub(super) has_key: bool,
}

impl Cast {
    /// The number of an account's party.
    pub(super) fn number(&self, who: u64) -> usize {
        self.of[who as usize - 1]
    }

    pub(super) fn party(&self, who: u64) -> &Party {
        self.any(self.number(who))
    }

    /// The party of a number.
    pub(super) fn any(&self, number: usize) -> &Party {
        &self.parties[number]
    }

    /// Whether somebody would lie about what no game shows.
    pub(super) fn is_beyond_games(&self) -> bool {
        self.parties.iter().any(|party| party.lies.are_of_what_no_game_shows())
    }

    pub(super) fn submitted(&self) -> Vec<DeltaHeader> {
        let header = |(number, (_, count)): (usize, &(Kind, u32))| DeltaHeader {
            data: ItemRange { block: world(|world| world.smaller[0]), first: 0, count: *count },
            ..delta(1 + number % 2)
        };
        self.deltas.iter().enumerate().map(header).collect()
    }

    /// What a party finds once it is known what is measured: the reveal, and its scores.
    pub(super) fn finds(&self, id: RoundId, party: usize) -> (Reveal, Scores) {
        let evaluation = Evaluations::<Test>::get(id).unwrap();
        let (layout, rules) = (evaluation.layout, evaluation.learning);
        let mut kinds: Vec<Kind> = evaluation.deltas.iter().map(|(index, _)| self.deltas[*index as usize].0).collect();
        let lies = &self.any(party).lies;
        let finding = |(number, kind): (usize, Kind)| match kind {
            Kind::Malformed => Finding::Malformed,
            Kind::Copy if number > 0 => Finding::Copy(number as u32 - 1),
            _ => Finding::Sound,
        };
        if let Some((number, kind)) = lies.finding {
            let number = number % kinds.len();
            // Otherwise it would be a lie about scores, of which those are not real that nobody is known to lie about.
            if finding((number, kind)) != finding((number, kinds[number])) {
                kinds[number] = kind;
            }
        }
        let merged = ContentHash([8 + lies.candidate.unwrap_or(0); 32]);
        // The first lie keeps to the block that there is.
        let serving = world(|world| world.experts[if lies.candidate > Some(1) { 2 } else { 3 }]);
        let mut scores = self.scores(id, &layout, &kinds, serving);
        for (place, more) in &lies.scores {
            let score = &mut scores.0[(u32::from(*place) % layout.all()) as usize];
            *score = score.saturating_add_signed(i64::from(*more) * 1000);
        }
        let mut sums = scores.deltas(&layout).unwrap();
        if lies.sums {
            sums[0].trial.gain += 1;
        }
        let found = kinds.into_iter().enumerate().map(finding).zip(sums);
        let deltas: Vec<DeltaFinding> = found.map(|(finding, sums)| DeltaFinding { finding, sums }).collect();
        let mut reveal = Reveal { scores: [0; 32], deltas: deltas.try_into().unwrap(), candidate: None };
        let merges = reveal.weights(&layout, &rules).iter().any(|weight| *weight > 0);
        if merges != lies.merges {
            let sums = scores.candidate(&layout).unwrap();
            reveal.candidate = Some(Candidate { master: merged, serving, sums });
        } else {
            scores.0.truncate(layout.without_candidate() as usize);
        }
        reveal.scores = scores.hash();
        (reveal, scores)
    }

    /// All scores, where deltas are of these kinds. Only those are real that somebody lies about: nobody looks at others.
    fn scores(&self, id: RoundId, layout: &Layout, kinds: &[Kind], candidate: ContentHash) -> Scores {
        let places = self.parties.iter().flat_map(|party| &party.lies.scores);
        let places: Vec<u32> = places.map(|(place, _)| u32::from(*place) % layout.all()).collect();
        let score = |place| {
            let kind = match layout.cell(place).unwrap().target {
                Target::Base => Kind::Useless,
                Target::Delta(number) => kinds[number as usize],
                Target::Candidate => Kind::Better,
            };
            match kind {
                Kind::Malformed => 0,
                _ if places.contains(&place) => Disputed::at(id, place, candidate).truth().score(),
                Kind::Useless => BASE,
                Kind::Better | Kind::Copy => BETTER,
            }
        };
        Scores((0..layout.all()).map(score).collect())
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![6 => Just(Kind::Better), 2 => Just(Kind::Useless), 1 => Just(Kind::Malformed), 1 => Just(Kind::Copy)]
}

fn lies() -> impl Strategy<Value = Lies> {
    let more = prop_oneof![Just(-2i8), Just(-1), Just(1)];
    let scores = prop_oneof![1 => Just(vec![]), 5 => prop::collection::vec((any::<u16>(), more), 1..3)];
    let finding = prop::option::weighted(0.15, (0..DELTAS, kind()));
    let candidate = prop::option::weighted(0.2, 1u8..4);
    (scores, finding, candidate, prop::bool::weighted(0.04), prop::bool::weighted(0.04))
        .prop_map(|(scores, finding, candidate, sums, merges)| Lies { scores, finding, candidate, sums, merges })
}

fn party() -> impl Strategy<Value = Party> {
    let votes = prop_oneof![1 => Just(None), 1 => (0u32..8).prop_map(Some), 12 => Just(Some(u32::MAX))];
    let reveals = prop_oneof![1 => Just(None), 1 => Just(Some(false)), 20 => Just(Some(true))];
    let traces =
        prop_oneof![1 => Just(Tracing::None), 4 => Just(Tracing::Plain), 6 => any::<u8>().prop_map(Tracing::Twisted)];
    let moves = prop_oneof![1 => 0u32..8, 3 => Just(u32::MAX)];
    let speaks = (votes, prop::bool::weighted(0.8), prop::bool::weighted(0.95), reveals);
    (speaks, lies(), prop::bool::weighted(0.9), traces, moves).prop_map(
        |((votes, reads, commits, reveals), lies, posts, traces, moves)| Party {
            votes,
            reads,
            commits,
            lies,
            reveals,
            posts,
            traces,
            moves,
        },
    )
}

pub(super) fn cast() -> impl Strategy<Value = Cast> {
    let of = prop::collection::vec(prop_oneof![2 => Just(0usize), 5 => 1usize..4], PEOPLE as usize);
    let deltas = prop::collection::vec((kind(), 2u32..5), 1..=DELTAS);
    let withheld = prop_oneof![8 => Just(0u32), 2 => 0u32..8, 1 => Just(u32::MAX)];
    (prop::collection::vec(party(), 3), of, deltas, withheld, prop::bool::weighted(0.7)).prop_map(
        |(mut parties, of, deltas, withheld, has_key)| {
            parties.insert(0, Party::honest());
            Cast { parties, of, deltas, withheld, has_key }
        },
    )
}
