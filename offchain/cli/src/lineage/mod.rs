//! `blyan model lineage`: the heads of slots, one after the other, and the rounds that moved them.

mod svg;
mod text;

use crate::{out, round::active, slot::Place, submit::Reading};
use anyhow::{Context, Result};
use blyan_chain::{AccountId, BlockNumber, Round, RoundOutcome, RoundPhase, State};
use blyan_primitives::{
    ids::ContentHash,
    learning::{DeltaOutcome, RoundId},
};
use clap::Args;
use serde::Serialize;
use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf};

/// Most rounds that are looked through, from the newest.
const MAX_ROUNDS: u32 = 10_000;

/// Which slots, and how they are drawn.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  blyan model lineage\n  blyan model lineage --slot 20/1 --svg lineage.svg")]
pub struct LineageArgs {
    /// Only this slot, as LAYER/EXPERT.
    #[arg(long, value_name = "L/I")]
    slot: Option<Place>,
    /// Draw it into this file, too.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

/// Whose delta was merged, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Merged {
    learner: String,
    /// In parts of 2^16.
    weight: u32,
}

/// A move of a slot's head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Move {
    round: RoundId,
    /// Block in which the head has moved.
    at: BlockNumber,
    from: ContentHash,
    to: ContentHash,
    /// What it gained, in micro-nats a token.
    gain: i64,
    merged: Vec<Merged>,
}

/// A slot whose head has moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Line {
    #[serde(serialize_with = "place")]
    slot: Place,
    /// What it holds.
    head: ContentHash,
    /// How often its head has moved, those moves among them whose rounds the chain has forgotten.
    moves: u32,
    /// Those that the chain remembers, the oldest first.
    known: Vec<Move>,
}

fn place<S: serde::Serializer>(place: &Place, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(place)
}

impl Line {
    /// Moves whose rounds the chain has forgotten.
    fn forgotten(&self) -> u32 {
        self.moves.saturating_sub(u32::try_from(self.known.len()).unwrap_or(u32::MAX))
    }
}

/// The move that a round has made, without who made it.
fn moved(id: RoundId, round: &Round) -> Option<Move> {
    let RoundPhase::Over { outcome: RoundOutcome::Committed(accepted), at } = round.phase else { return None };
    Some(Move { round: id, at, from: round.base, to: accepted.serving, gain: accepted.gain, merged: Vec::new() })
}

/// Every slot of the active model whose head has moved.
async fn lines(state: &State, only: Option<Place>) -> Result<Vec<Line>> {
    let record = active(state).await?;
    if let Some(slot) = only {
        slot.check(&record.spec.dimensions)?;
    }
    let mut moves: BTreeMap<Place, Vec<Move>> = BTreeMap::new();
    for (id, round) in state.rounds(MAX_ROUNDS).await? {
        let slot = Place::from(round.slot);
        let is_asked_for = round.slot.lineage == record.lineage && only.is_none_or(|only| only == slot);
        if let Some(mut found) = moved(id, &round).filter(|_| is_asked_for) {
            let merged = |(learner, outcome): (AccountId, Option<DeltaOutcome>)| match outcome {
                Some(DeltaOutcome::Merged(weight)) => Some(Merged { learner: learner.to_string(), weight }),
                _ => None,
            };
            let deltas = state.deltas(id).await?.into_iter().map(|delta| (delta.learner, delta.outcome));
            found.merged = deltas.filter_map(merged).collect();
            moves.entry(slot).or_default().push(found);
        }
    }
    let mut lines = Vec::new();
    for (layer, heads) in (0u16..).zip(state.slot_heads(&record).await?) {
        for (index, head) in (0u16..).zip(heads) {
            let slot = Place { layer, index };
            let Some(head) = head.filter(|head| head.moves > 0 && only.is_none_or(|only| only == slot)) else {
                continue;
            };
            let mut known = moves.remove(&slot).unwrap_or_default();
            known.sort_by_key(|one| one.at);
            lines.push(Line { slot, head: head.block, moves: head.moves, known });
        }
    }
    Ok(lines)
}

/// Runs the command.
pub(crate) async fn run(args: LineageArgs) -> Result<()> {
    let state = args.reading.state().await?;
    let lines = lines(&state, args.slot).await?;
    if let Some(path) = &args.svg {
        std::fs::write(path, svg::picture(&lines, state.block().number))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.reading.json {
        let value = json!({ "block": state.block().number, "slots": lines });
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    if lines.is_empty() {
        let what = args.slot.map_or_else(|| "no slot's head".to_owned(), |slot| format!("the head of slot {slot}"));
        let never = if args.slot.is_some() { " never" } else { "" };
        return out::line(format_args!("{what} has{never} moved: nothing was learned there yet"));
    }
    out::line(text::tree(&lines))
}

/// The first digits of a hash.
fn short(hash: &ContentHash) -> String {
    hash.to_string().chars().take(10).collect::<String>() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_chain::Accepted;

    /// A slot with two moves that are known and one that is not.
    pub(super) fn line() -> Line {
        let hash = |byte| ContentHash([byte; 32]);
        let merged = |learner: &str, weight| Merged { learner: learner.to_owned(), weight };
        let first = Move {
            round: 3,
            at: 120,
            from: hash(1),
            to: hash(2),
            gain: 12_345,
            merged: vec![merged("5Alice", 40_000), merged("5Bob", 25_536)],
        };
        let second =
            Move { round: 9, at: 400, from: hash(2), to: hash(3), gain: 2_000, merged: vec![merged("5Eve", 65_536)] };
        Line { slot: Place { layer: 20, index: 1 }, head: hash(3), moves: 3, known: vec![first, second] }
    }

    #[test]
    fn only_rounds_that_moved_a_head_are_moves() {
        let pact = blyan_primitives::pact::Pact::default_for(blyan_primitives::pact::NetworkKind::Local);
        let terms = blyan_chain::RoundTerms {
            max_deltas: 1,
            own_items: 1,
            bond: 0,
            useless_fee: blyan_primitives::pact::Ppm(0),
            publication: 1,
            reward: 0,
            shares: blyan_primitives::pol::RewardShares::of(&pact.learning),
        };
        let accepted = Accepted { master: ContentHash([8; 32]), serving: ContentHash([9; 32]), gain: 7 };
        let of = |phase| {
            let spec = blyan_primitives::ids::SpecId([1; 32]);
            let slot = Place { layer: 1, index: 2 }.of(spec);
            let base = ContentHash([2; 32]);
            moved(5, &Round { slot, spec, base, master: base, terms, opened_at: 1, phase })
        };
        let found = of(RoundPhase::Over { outcome: RoundOutcome::Committed(accepted), at: 70 }).unwrap();
        assert_eq!((found.round, found.at, found.to, found.gain), (5, 70, accepted.serving, 7));
        for phase in [
            RoundPhase::Evaluating,
            RoundPhase::Accepted { accepted, primary_until: 1, until: 2 },
            RoundPhase::Over { outcome: RoundOutcome::Lapsed(accepted), at: 70 },
        ] {
            assert_eq!(of(phase), None);
        }
    }

    #[test]
    fn what_is_forgotten_is_counted() {
        assert_eq!(line().forgotten(), 1);
        assert_eq!(Line { moves: 2, ..line() }.forgotten(), 0);
    }
}
