//! `blyan round`: rounds, in which learners' deltas change what a slot of the model holds.

mod aggregators;
mod show;
pub(crate) mod watch;

use crate::{
    slot::Place,
    submit::{Sender, Sent, Signing},
    units::nats,
};
use anyhow::{Context, Result};
use blyan_chain::{
    BlockNumber, Event, LearningCall, LearningEvent, Round, RoundOutcome, RoundPhase, SpecRecord, State,
};
use blyan_primitives::learning::{DeltaOutcome, RoundId};
use clap::{Args, Subcommand};
use serde_json::json;

pub use aggregators::AggregatorsArgs;
pub use show::{ListArgs, ShowArgs};
pub use watch::WatchArgs;

/// Rounds: learners' deltas are collected, measured and merged, and a slot's head moves.
///
/// A round is about one slot. While it is open, learners submit deltas on the slot's head; then a committee measures them on
/// data that nobody could choose, and what helps is merged, measured again, and published as the new head.
#[derive(Subcommand, Debug)]
#[command(after_help = "Examples:
  blyan round list
  blyan round open --slot 20/1 --key my.key
  blyan round watch 7")]
pub enum RoundCommand {
    /// Show rounds that go on; with --all, those that are over too, as long as the chain has them.
    List(ListArgs),
    /// Show a round: how far it is, its primaries, its deltas, and its committee.
    Show(ShowArgs),
    /// Tell what happens in a round until it is over; without a number, in all rounds until Ctrl-C.
    Watch(WatchArgs),
    /// Open a round on a slot. Anyone can; `blyan train` does it by itself.
    Open(OpenArgs),
    /// Show who stands for election as a primary: takes deltas over, and publishes what is accepted.
    Aggregators(AggregatorsArgs),
}

/// On which slot.
#[derive(Args, Debug)]
pub struct OpenArgs {
    /// The slot, as LAYER/EXPERT.
    #[arg(long, value_name = "L/I")]
    slot: Place,
    #[command(flatten)]
    signing: Signing,
}

/// Runs the command.
pub async fn run(command: RoundCommand) -> Result<()> {
    match command {
        RoundCommand::List(args) => show::list(&args).await,
        RoundCommand::Show(args) => show::show(&args).await,
        RoundCommand::Watch(args) => watch::run(&args).await,
        RoundCommand::Open(args) => open(args).await,
        RoundCommand::Aggregators(args) => aggregators::list(&args).await,
    }
}

async fn open(args: OpenArgs) -> Result<()> {
    let mut sender = Sender::open(&args.signing).await?;
    let record = active(&sender.state().await?).await?;
    args.slot.check(&record.spec.dimensions)?;
    let (opened, sent) = begin(&mut sender, args.slot, &record).await?;
    let Opened { round, until } = opened;
    let text = format!(
        "round {round} is open on slot {} until block {until}; submit deltas with `blyan train --slot {}`",
        args.slot, args.slot
    );
    let slot = args.slot.of(record.lineage);
    sender.report(&sent, text, json!({ "round": round, "slot": slot, "until": until }))
}

/// A round that was opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    pub(crate) round: RoundId,
    /// First block in which no delta is taken.
    pub(crate) until: BlockNumber,
}

/// Opens a round on a slot of the active spec.
pub(crate) async fn begin(sender: &mut Sender, slot: Place, record: &SpecRecord) -> Result<(Opened, Sent)> {
    let call = LearningCall::OpenRound { slot: slot.of(record.lineage), spec: record.id };
    let sent = sender.send(call).await.with_context(|| format!("opening a round on slot {slot}"))?;
    let opened = sent.event(|event| match event {
        Event::Learning(LearningEvent::RoundOpened { round, until, .. }) => {
            Some(Opened { round: *round, until: *until })
        },
        _ => None,
    })?;
    Ok((opened, sent))
}

/// The spec that answers requests now: the model that is trained.
pub(crate) async fn active(state: &State) -> Result<SpecRecord> {
    let active = state.active_specs().await?.into_iter().next();
    active.context("the chain has no active model specification: there is nothing to train yet")
}

/// A round of this number.
pub(crate) async fn known(state: &State, round: RoundId) -> Result<Round> {
    let found = state.round(round).await?;
    found.with_context(|| {
        format!("there is no round {round}, or it was over for long; `blyan round list --all` shows those there are")
    })
}

/// How a round has ended, in words.
pub(crate) fn outcome_text(outcome: &RoundOutcome) -> String {
    match outcome {
        RoundOutcome::Empty => "empty: nobody submitted a delta".to_owned(),
        RoundOutcome::Failed => "failed: no committee came to a verdict; bonds are returned".to_owned(),
        RoundOutcome::Rejected(reason) => format!("rejected: {reason}"),
        RoundOutcome::Lapsed(accepted) => format!("lapsed: {} was not published in time", nats(accepted.gain)),
        RoundOutcome::Committed(accepted) => format!("committed: {}", nats(accepted.gain)),
    }
}

/// How far a round is, in words.
pub(crate) fn phase_text(phase: &RoundPhase) -> String {
    match phase {
        RoundPhase::Open { until } => format!("open for deltas until block {until}"),
        RoundPhase::Evaluating => "being evaluated".to_owned(),
        RoundPhase::Accepted { accepted, until, .. } => {
            format!("accepted: {}, to be published until block {until}", nats(accepted.gain))
        },
        RoundPhase::Over { outcome, at } => format!("{}, in block {at}", outcome_text(outcome)),
    }
}

/// What came of a delta, in words.
pub(crate) fn delta_text(outcome: Option<&DeltaOutcome>) -> String {
    match outcome {
        None => "not judged yet".to_owned(),
        Some(DeltaOutcome::Merged(weight)) => format!("merged, weight {}", crate::units::weight(*weight)),
        Some(DeltaOutcome::Refused(reason)) => format!("refused: {reason}"),
        Some(DeltaOutcome::Withheld) => "withheld: the committee could not fetch it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_chain::Accepted;
    use blyan_primitives::{ids::ContentHash, pol::Refusal};
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Words {
        #[command(subcommand)]
        command: RoundCommand,
    }

    fn parse(words: &[&str]) -> Result<RoundCommand, clap::Error> {
        Words::try_parse_from([&["blyan"], words].concat()).map(|words| words.command)
    }

    #[test]
    fn a_round_is_opened_on_a_slot() {
        let open = ["open", "--slot", "20/1", "--key", "//Alice"];
        let place = Place { layer: 20, index: 1 };
        assert!(matches!(parse(&open), Ok(RoundCommand::Open(args)) if args.slot == place));
        assert!(parse(&open[..3]).is_err() && parse(&["open", "--slot", "20", "--key", "//Alice"]).is_err());
    }

    #[test]
    fn rounds_are_looked_at_by_number() {
        assert!(parse(&["show", "7"]).is_ok() && parse(&["show"]).is_err());
        assert!(parse(&["watch", "7", "--json"]).is_ok() && parse(&["watch"]).is_ok());
        assert!(parse(&["list", "--all"]).is_ok() && parse(&["show", "x"]).is_err());
    }

    #[test]
    fn ends_are_told_with_their_reasons() {
        let accepted = Accepted { master: ContentHash([1; 32]), serving: ContentHash([2; 32]), gain: 12_345 };
        let over = |outcome| phase_text(&RoundPhase::Over { outcome, at: 9 });
        assert_eq!(over(RoundOutcome::Committed(accepted)), "committed: +0.012345 nats a token, in block 9");
        assert!(over(RoundOutcome::Rejected(Refusal::NothingMerged)).contains("no delta was good enough"));
        assert!(over(RoundOutcome::Lapsed(accepted)).contains("not published"));
        assert_eq!(delta_text(Some(&DeltaOutcome::Merged(1 << 16))), "merged, weight 100.00 %");
        assert!(delta_text(Some(&DeltaOutcome::Refused(Refusal::Copied))).contains("submitted before"));
    }
}
