//! `blyan round list` and `show`.

use super::{delta_text, known, phase_text};
use crate::{
    out,
    slot::Place,
    submit::Reading,
    units::{Bly, span},
};
use anyhow::Result;
use blyan_chain::{AccountId, BlockNumber, Delta, Evaluation, EvaluationPhase, Round, RoundPhase, Seat, State};
use blyan_primitives::learning::{Codec, RoundId};
use clap::Args;
use serde_json::{Value, json};

/// Most rounds that are looked through, from the newest.
const MAX_ROUNDS: u32 = 10_000;

/// Which rounds.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Also those that are over.
    #[arg(long)]
    all: bool,
    /// Only those on this slot, as LAYER/EXPERT.
    #[arg(long, value_name = "L/I")]
    slot: Option<Place>,
    #[command(flatten)]
    reading: Reading,
}

/// Which round.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The round's number.
    round: RoundId,
    #[command(flatten)]
    reading: Reading,
}

/// All that the chain has of a round.
pub(super) struct Whole {
    pub(super) id: RoundId,
    pub(super) round: Round,
    /// The first to publish first.
    pub(super) primaries: Vec<AccountId>,
    pub(super) deltas: Vec<Delta>,
    pub(super) evaluation: Option<Evaluation>,
    pub(super) committee: Vec<(AccountId, Seat)>,
}

impl Whole {
    pub(super) async fn of(state: &State, id: RoundId) -> Result<Self> {
        let round = known(state, id).await?;
        let (primaries, deltas) = (state.primaries(id).await?, state.deltas(id).await?);
        let evaluation = state.evaluation(id).await?;
        let mut committee = match &evaluation {
            Some(_) => state.committee(id).await?,
            None => Vec::new(),
        };
        committee.sort_by_key(|(account, _)| account.0);
        Ok(Self { id, round, primaries, deltas, evaluation, committee })
    }

    /// For programs.
    pub(super) fn value(&self, block: BlockNumber) -> Value {
        let seat = |(account, seat): &(AccountId, Seat)| json!({ "account": account.to_string(), "seat": seat });
        json!({
            "block": block, "id": self.id, "round": self.round, "primaries": self.primaries, "deltas": self.deltas, "evaluation": self.evaluation,
            "committee": self.committee.iter().map(seat).collect::<Vec<_>>(),
        })
    }

    /// How far it is, in words that change only when something else is due.
    pub(super) fn stage(&self) -> String {
        match (&self.round.phase, &self.evaluation) {
            (RoundPhase::Evaluating, Some(evaluation)) => evaluation_text(evaluation),
            (phase, _) => phase_text(phase),
        }
    }
}

/// How far an evaluation is, in words.
fn evaluation_text(evaluation: &Evaluation) -> String {
    let until = evaluation.until;
    let again = match evaluation.attempt {
        0 => String::new(),
        attempt => format!(" (committee {})", u32::from(attempt).saturating_add(1)),
    };
    let what = match evaluation.phase {
        EvaluationPhase::Waiting => "being evaluated: waiting for randomness that draws a committee".to_owned(),
        EvaluationPhase::Availability => format!("being evaluated: the committee fetches deltas, until block {until}"),
        EvaluationPhase::Commit => format!("being evaluated: the committee measures, until block {until}"),
        EvaluationPhase::Reveal => format!("being evaluated: the committee reveals, until block {until}"),
        EvaluationPhase::Scores => format!("in dispute: scores are posted, until block {until}"),
        EvaluationPhase::Traces(cell) => {
            format!("in dispute about cell {cell}: traces are posted, until block {until}")
        },
        EvaluationPhase::Games(cell) => format!("in dispute about cell {cell}: games are played"),
        EvaluationPhase::Over => "evaluated".to_owned(),
    };
    what + &again
}

/// How long it is from a block to another.
fn left(now: BlockNumber, until: BlockNumber) -> String {
    match until.checked_sub(now) {
        None | Some(0) => "now".to_owned(),
        Some(blocks) => format!("in {}", span(blocks.into())),
    }
}

/// When the next thing is due.
fn due(whole: &Whole, now: BlockNumber) -> String {
    match (&whole.round.phase, &whole.evaluation) {
        (RoundPhase::Open { until } | RoundPhase::Accepted { until, .. }, _) => left(now, *until),
        (RoundPhase::Evaluating, Some(evaluation)) if evaluation.phase != EvaluationPhase::Waiting => {
            left(now, evaluation.until)
        },
        (RoundPhase::Over { .. }, _) => "-".to_owned(),
        _ => "when it can".to_owned(),
    }
}

/// Shows rounds.
pub(super) async fn list(args: &ListArgs) -> Result<()> {
    let state = args.reading.state().await?;
    let now = state.block().number;
    let mut rounds = if args.all { state.rounds(MAX_ROUNDS).await? } else { state.ongoing_rounds().await? };
    rounds.retain(|(_, round)| args.slot.is_none_or(|slot| Place::from(round.slot) == slot));
    rounds.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
    let mut all = Vec::new();
    for (id, round) in rounds {
        let (deltas, evaluation) = (state.deltas(id).await?, state.evaluation(id).await?);
        all.push(Whole { id, round, primaries: Vec::new(), deltas, evaluation, committee: Vec::new() });
    }
    if args.reading.json {
        let value = |whole: &Whole| {
            let evaluation = whole.evaluation.as_ref();
            let evaluation =
                evaluation.map(|one| json!({ "phase": one.phase, "until": one.until, "attempt": one.attempt }));
            json!({ "id": whole.id, "round": whole.round, "deltas": whole.deltas.len(), "evaluation": evaluation })
        };
        let value = json!({ "block": now, "rounds": all.iter().map(value).collect::<Vec<_>>() });
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    if all.is_empty() {
        let more = if args.all { "there were none lately" } else { "none goes on; --all shows those that are over" };
        return out::line(more);
    }
    let row = |whole: &Whole| {
        let slot = Place::from(whole.round.slot).to_string();
        [whole.id.to_string(), slot, whole.deltas.len().to_string(), due(whole, now), whole.stage()]
    };
    out::table([" round", "slot", " deltas", "due", "state"], &all.iter().map(row).collect::<Vec<_>>())
}

/// Shows a round.
pub(super) async fn show(args: &ShowArgs) -> Result<()> {
    let state = args.reading.state().await?;
    let whole = Whole::of(&state, args.round).await?;
    let now = state.block().number;
    if args.reading.json {
        return out::line(serde_json::to_string_pretty(&whole.value(now))?);
    }
    let Whole { id, round, primaries, deltas, evaluation, committee } = &whole;
    let terms = &round.terms;
    out::line(format_args!("round       {id} on slot {}, {}", Place::from(round.slot), whole.stage()))?;
    out::line(format_args!("base        {}", round.base))?;
    out::line(format_args!("master      {}", round.master))?;
    out::line(format_args!("spec        {}", round.spec))?;
    out::line(format_args!("opened      in block {}, next due {}", round.opened_at, due(&whole, now)))?;
    out::line(format_args!(
        "terms       a bond of {} a delta, of which {} is lost with one that does not help; at most {} deltas",
        Bly(terms.bond),
        terms.useless_fee,
        terms.max_deltas
    ))?;
    out::line(format_args!("reward      up to {} for a tenth of a nat a token", Bly(terms.reward)))?;
    for (rank, primary) in (1..).zip(primaries) {
        let what = if rank == 1 { "primary   " } else { "its heir  " };
        out::line(format_args!("{what}  {primary}"))?;
    }
    if let Some(evaluation) = evaluation {
        let layout = &evaluation.layout;
        out::line(format_args!(
            "measured    on {} trial, {} final, {} general and {} own items of each delta, {} positions each",
            layout.trial, layout.last, layout.general, layout.own, layout.positions
        ))?;
    }
    if !deltas.is_empty() {
        out::line("")?;
        out::table([" delta", "learner", "aggregator", " bytes", "codec", "outcome"], &delta_rows(deltas))?;
    }
    if !committee.is_empty() {
        out::line("")?;
        out::table(
            ["member", "votes", "deltas", "committed", "revealed", "standing"],
            &seat_rows(committee, deltas.len()),
        )?;
    }
    if matches!(round.phase, RoundPhase::Over { .. }) {
        out::line(format_args!("\nhow it was judged: blyan verdict show {id}"))?;
    }
    Ok(())
}

fn codec_name(codec: Codec) -> &'static str {
    match codec {
        Codec::LowRank => "low rank",
        Codec::Sparse => "sparse",
        Codec::Dense => "dense",
    }
}

fn delta_rows(deltas: &[Delta]) -> Vec<[String; 6]> {
    let row = |(number, delta): (usize, &Delta)| {
        [
            number.to_string(),
            delta.learner.to_string(),
            delta.aggregator.map_or_else(|| "-".to_owned(), |aggregator| aggregator.to_string()),
            delta.header.size.to_string(),
            codec_name(delta.header.codec).to_owned(),
            delta_text(delta.outcome.as_ref()),
        ]
    };
    deltas.iter().enumerate().map(row).collect()
}

fn seat_rows(committee: &[(AccountId, Seat)], deltas: usize) -> Vec<[String; 6]> {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let row = |(account, seat): &(AccountId, Seat)| {
        let available = match seat.available {
            Some(bits) => format!("{} of {deltas}", bits.count_ones()),
            None => "no vote yet".to_owned(),
        };
        let standing = if seat.wrong { "found wrong" } else { "" };
        let (committed, revealed) = (yes(seat.commitment.is_some()), yes(seat.reveal.is_some()));
        [account.to_string(), seat.votes.to_string(), available, committed, revealed, standing.to_owned()]
    };
    committee.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::{
        ids::ContentHash,
        learning::{DeltaHeader, DeltaOutcome, ItemRange},
    };

    #[test]
    fn a_delta_is_told_in_a_row() {
        let (block, data) = (ContentHash([1; 32]), ItemRange { block: ContentHash([4; 32]), first: 0, count: 8 });
        let serving = ContentHash([3; 32]);
        let header = DeltaHeader {
            base: ContentHash([2; 32]),
            block,
            serving,
            size: 9_000,
            codec: Codec::LowRank,
            manifest: [5; 32],
            data,
        };
        let outcome = Some(DeltaOutcome::Withheld);
        let delta = Delta { learner: AccountId::from([1; 32]), header, aggregator: None, outcome };
        let rows = delta_rows(&[delta]);
        assert_eq!((&rows[0][0][..], &rows[0][2..5]), ("0", &["-", "9000", "low rank"].map(str::to_owned)[..]));
        assert!(rows[0][5].contains("could not fetch"));
    }

    #[test]
    fn a_seat_says_what_its_holder_has_done() {
        let seat = Seat { votes: 2, available: Some(0b101), commitment: Some([1; 32]), wrong: true, ..Seat::default() };
        let other = Seat { votes: 1, ..Seat::default() };
        let rows = seat_rows(&[(AccountId::from([1; 32]), seat), (AccountId::from([2; 32]), other)], 3);
        assert_eq!(rows[0][1..], ["2", "2 of 3", "yes", "no", "found wrong"]);
        assert_eq!(rows[1][1..], ["1", "no vote yet", "no", "no", ""]);
    }

    #[test]
    fn what_is_due_is_told_in_time() {
        assert_eq!((left(10, 30), left(30, 30), left(31, 30)), ("in 1 min".into(), "now".into(), "now".into()));
    }
}
