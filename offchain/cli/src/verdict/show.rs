//! `blyan verdict show`.

use super::{
    Judged,
    compare::{finding_text, verdict_text},
};
use crate::{
    mean::Mean,
    out,
    round::{delta_text, phase_text, watch::round_of},
    slot::Place,
    submit::Reading,
    units::{Bly, nats},
};
use anyhow::Result;
use blyan_chain::{
    AccountId, ChainClient, ChainError, ChainOptions, Delta, Event, LearningEvent, RoundOutcome, RoundPhase, Work,
};
use blyan_primitives::{learning::RoundId, pol::Layout};
use clap::Args;
use serde_json::json;

/// Which verdict.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The round's number.
    round: RoundId,
    #[command(flatten)]
    reading: Reading,
}

/// What somebody was paid.
pub(crate) struct Paid {
    pub(crate) who: AccountId,
    pub(crate) work: Work,
    pub(crate) amount: u128,
}

/// What was paid when the head moved; nothing when it has not, or when the node has forgotten the events of that block.
pub(crate) async fn rewards(client: &ChainClient, id: RoundId, phase: &RoundPhase) -> Result<Option<Vec<Paid>>> {
    let RoundPhase::Over { outcome: RoundOutcome::Committed(_), at } = phase else { return Ok(None) };
    let Some(block) = client.finalized_block(*at).await? else { return Ok(None) };
    let events = match client.events(block).await {
        Ok(events) => events,
        Err(ChainError::StatePruned { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let paid = |event: Event| match event {
        Event::Learning(event) if round_of(&event) == Some(id) => match event {
            LearningEvent::Rewarded { who, work, amount, .. } => Some(Paid { who, work, amount }),
            _ => None,
        },
        _ => None,
    };
    Ok(Some(events.into_iter().filter_map(|event| paid(event.event)).collect()))
}

/// Numbers of deltas, gains on the three sets, and what came of each.
fn rows(judged: &Judged, deltas: &[Delta]) -> Vec<[String; 7]> {
    let Judged { evaluation, reveal, .. } = judged;
    let layout = &evaluation.layout;
    let mean = |sums, items| Mean::of(sums, items, layout.positions).to_string();
    let row = |(number, delta): (u32, &Delta)| {
        let place = evaluation.deltas.iter().position(|measured| measured.index == number);
        let found = place.and_then(|place| reveal.deltas.get(place));
        let [what, trial, general, own] = match found {
            Some(found) => [
                finding_text(found.finding),
                mean(&found.sums.trial, layout.trial),
                mean(&found.sums.general, layout.general),
                mean(&found.sums.own, layout.own),
            ],
            None => ["not measured", "-", "-", "-"].map(str::to_owned),
        };
        let outcome = delta_text(delta.outcome.as_ref());
        [number.to_string(), delta.learner.to_string(), what, trial, general, own, outcome]
    };
    (0..).zip(deltas).map(row).collect()
}

pub(super) async fn run(args: &ShowArgs) -> Result<()> {
    let client = ChainClient::connect(&args.reading.rpc, ChainOptions::default()).await?;
    let state = client.at_finalized().await?;
    let judged = Judged::of(&state, args.round).await?;
    let deltas = state.deltas(args.round).await?;
    let paid = rewards(&client, args.round, &judged.round.phase).await?;
    let Judged { round, evaluation, reveal } = &judged;
    let (layout, rules) = (&evaluation.layout, &evaluation.learning);
    if args.reading.json {
        let paid = paid.map(|paid| {
            let value = |Paid { who, work, amount }: &Paid| {
                json!({ "account": who.to_string(), "work": work, "amount": amount.to_string() })
            };
            paid.iter().map(value).collect::<Vec<_>>()
        });
        let value = json!({
            "block": state.block().number, "id": args.round, "round": round, "evaluation": evaluation, "deltas": deltas,
            "verdict": blyan_chain::Verdict { reveal: reveal.clone() }, "rewards": paid,
        });
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    out::line(format_args!(
        "round       {} on slot {}, {}",
        args.round,
        Place::from(round.slot),
        phase_text(&round.phase)
    ))?;
    out::line(format_args!("verdict     {}", verdict_text(reveal, layout, rules)))?;
    out::line(format_args!(
        "rule        a gain of at least {}, by {} standard errors; on general items at most {} lost",
        nats(i64::from(rules.min_gain)),
        f64::from(rules.confidence) / 1_000.0,
        nats(i64::from(rules.max_regression)).trim_start_matches('+')
    ))?;
    let Layout { trial, last, general, own, positions, .. } = layout;
    out::line(format_args!(
        "measured    on {trial} trial, {last} final and {general} general items, and {own} of each delta's own, \
         {positions} positions each\n"
    ))?;
    out::line("gains are in nats a token, with their standard errors")?;
    let headings = [" delta", "learner", "is", " trial", " general", " own", "outcome"];
    out::table(headings, &rows(&judged, &deltas))?;
    match &reveal.candidate {
        None => out::line("\nnothing is merged: the head stays")?,
        Some(candidate) => {
            let mean = |sums, items| Mean::of(sums, items, *positions);
            out::line(format_args!("\ncandidate   {}", candidate.serving))?;
            out::line(format_args!("master      {}", candidate.master))?;
            out::line(format_args!("final       {}", mean(&candidate.sums.last, *last)))?;
            out::line(format_args!("general     {}", mean(&candidate.sums.general, *general)))?;
        },
    }
    if let Some(paid) = paid.filter(|paid| !paid.is_empty()) {
        out::line("")?;
        let row =
            |Paid { who, work, amount }: &Paid| [who.to_string(), work.to_string(), Bly(*amount).short().to_string()];
        out::table(["paid", "for", " amount"], &paid.iter().map(row).collect::<Vec<_>>())?;
    }
    out::line(format_args!("\ncompute it yourself: blyan verdict verify {}", args.round))
}
