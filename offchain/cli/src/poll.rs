//! `blyan poll`: polls on subjects, one machine, one vote.

use crate::{
    out,
    submit::{Reading, Sender, Signing},
    units::{Bly, span},
};
use anyhow::{Context, Result};
use blyan_chain::{Event, GovernanceCall, GovernanceEvent, Poll, PollPhase};
use blyan_primitives::traits::{PollId, PollResult};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Most open polls that are shown.
const MAX_POLLS: usize = 1_000;
/// Votes that one call cleans up; the chain takes fewer where it has to.
const CLEAN_UP: u32 = 256;

/// Polls: members choose one of several outcomes on a subject of another pallet, such as a data set.
#[derive(Subcommand, Debug)]
#[command(
    after_help = "Examples:\n  blyan poll list\n  blyan poll vote 4 1 --key worker.key\n  blyan poll appeal 4 --key my.key"
)]
pub enum PollCommand {
    /// Show polls that have not ended.
    List(Reading),
    /// Show a poll: its counts, its times, and what it has decided.
    Show(ShowArgs),
    /// Vote for an outcome, in place of your machine's vote so far.
    Vote(VoteArgs),
    /// Take your machine's vote back.
    Retract(PollArgs),
    /// Appeal against a result: asks again, for longer. The deposit is lost when that changes nothing.
    Appeal(PollArgs),
    /// Remove the votes of a poll whose result is final, and at last the poll. Anyone can.
    CleanUp(PollArgs),
}

/// Which poll.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The poll's number.
    poll: PollId,
    #[command(flatten)]
    reading: Reading,
}

/// Which poll, and who signs.
#[derive(Args, Debug)]
pub struct PollArgs {
    /// The poll's number.
    poll: PollId,
    #[command(flatten)]
    signing: Signing,
}

/// Which outcome.
#[derive(Args, Debug)]
pub struct VoteArgs {
    /// The poll's number.
    poll: PollId,
    /// The outcome's number, from 0.
    outcome: u8,
    #[command(flatten)]
    signing: Signing,
}

/// Runs the command.
pub async fn run(command: PollCommand) -> Result<()> {
    match command {
        PollCommand::List(reading) => list(&reading).await,
        PollCommand::Show(args) => show(&args).await,
        PollCommand::Vote(VoteArgs { poll, outcome, signing }) => {
            let mut sender = Sender::open(&signing).await?;
            let sent = sender.send(GovernanceCall::VotePoll { poll, outcome }).await?;
            sender.report(
                &sent,
                format_args!("poll {poll}: outcome {outcome}"),
                json!({ "poll": poll, "outcome": outcome }),
            )
        },
        PollCommand::Retract(PollArgs { poll, signing }) => {
            let mut sender = Sender::open(&signing).await?;
            let sent = sender.send(GovernanceCall::RemovePollVote { poll }).await?;
            sender.report(&sent, format_args!("poll {poll}: the vote is taken back"), json!({ "poll": poll }))
        },
        PollCommand::Appeal(args) => appeal(args).await,
        PollCommand::CleanUp(args) => clean_up(args).await,
    }
}

async fn appeal(PollArgs { poll, signing }: PollArgs) -> Result<()> {
    let mut sender = Sender::open(&signing).await?;
    let sent = sender.send(GovernanceCall::Appeal { poll }).await?;
    let (by, deposit) = sent.event(|event| match event {
        Event::Governance(GovernanceEvent::PollAppealed { by, deposit, .. }) => Some((*by, *deposit)),
        _ => None,
    })?;
    let text = format!("poll {by} asks again what poll {poll} decided; {} is held until it ends", Bly(deposit));
    sender.report(&sent, text, json!({ "poll": by, "appeal_of": poll, "deposit": deposit.to_string() }))
}

async fn clean_up(PollArgs { poll, signing }: PollArgs) -> Result<()> {
    let mut sender = Sender::open(&signing).await?;
    let sent = sender.send(GovernanceCall::CleanUpPoll { poll, max: CLEAN_UP }).await?;
    let (votes, done) = sent.event(|event| match event {
        Event::Governance(GovernanceEvent::PollCleanedUp { votes, done, .. }) => Some((*votes, *done)),
        _ => None,
    })?;
    let rest = if done { "nothing of it is left" } else { "there are more" };
    sender.report(
        &sent,
        format_args!("poll {poll}: {votes} votes removed, {rest}"),
        json!({ "poll": poll, "votes": votes, "done": done }),
    )
}

async fn list(reading: &Reading) -> Result<()> {
    let state = reading.state().await?;
    let mut polls = state.open_polls(MAX_POLLS).await?;
    polls.sort_by_key(|(id, _)| *id);
    if reading.json {
        let all: Vec<_> = polls.iter().map(|(id, poll)| value(*id, poll)).collect();
        return out::line(serde_json::to_string_pretty(&json!({ "block": state.block().number, "polls": all }))?);
    }
    if polls.is_empty() {
        return out::line("no polls are open");
    }
    let now = state.block().number;
    let row = |(id, poll): &(PollId, Poll)| {
        [id.to_string(), counts(poll), remaining(poll.ends_at, now), format!("0x{}", hex::encode(poll.subject))]
    };
    out::table([" poll", "votes", "ends", "subject"], &polls.iter().map(row).collect::<Vec<_>>())
}

async fn show(args: &ShowArgs) -> Result<()> {
    let state = args.reading.state().await?;
    let poll = state.poll(args.poll).await?;
    let poll = poll.with_context(|| format!("there is no poll {}; it may be cleaned up", args.poll))?;
    if args.reading.json {
        return out::line(serde_json::to_string_pretty(&value(args.poll, &poll))?);
    }
    let now = state.block().number;
    out::line(format_args!("poll        {}, {}", args.poll, phase(&poll, now)))?;
    out::line(format_args!("subject     0x{}", hex::encode(poll.subject)))?;
    out::line(format_args!(
        "votes       {}, of {} members; {} have to vote",
        counts(&poll),
        poll.electorate,
        poll.quorum
    ))?;
    if let Some(of) = poll.appeal_of {
        out::line(format_args!("appeal      against the result of poll {of}"))?;
    }
    Ok(())
}

fn counts(poll: &Poll) -> String {
    let one = |(outcome, votes): (usize, &u32)| {
        let leads = if poll.leader.map(usize::from) == Some(outcome) { " leads" } else { "" };
        format!("{outcome}: {votes}{leads}")
    };
    poll.counts.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

fn remaining(at: u32, now: u32) -> String {
    match at.checked_sub(now) {
        None | Some(0) => format!("block {at}"),
        Some(blocks) => format!("block {at}, in {}", span(blocks.into())),
    }
}

fn result(result: PollResult) -> String {
    match result {
        PollResult::NoQuorum => "nothing decided: too few votes".to_owned(),
        PollResult::Decided(outcome) => format!("outcome {outcome}"),
    }
}

fn phase(poll: &Poll, now: u32) -> String {
    match poll.phase {
        PollPhase::Open => format!("open until {}", remaining(poll.ends_at, now)),
        PollPhase::Ended { result: found, until } => {
            format!("ended with {}; can be appealed against until {}", result(found), remaining(until, now))
        },
        PollPhase::Appealed { result: found, by } => {
            format!("ended with {}; poll {by} decides about the appeal", result(found))
        },
        PollPhase::Settled { result: found } => format!("settled with {}", result(found)),
    }
}

fn value(id: PollId, poll: &Poll) -> Value {
    let phase = match poll.phase {
        PollPhase::Open => json!({ "name": "open" }),
        PollPhase::Ended { result, until } => json!({ "name": "ended", "result": result, "until": until }),
        PollPhase::Appealed { result, by } => json!({ "name": "appealed", "result": result, "by": by }),
        PollPhase::Settled { result } => json!({ "name": "settled", "result": result }),
    };
    json!({
        "poll": id, "subject": format!("0x{}", hex::encode(poll.subject)), "counts": poll.counts, "leader": poll.leader,
        "electorate": poll.electorate, "quorum_ppm": poll.quorum.0, "opened_at": poll.opened_at, "ends_at": poll.ends_at,
        "phase": phase, "appeal_of": poll.appeal_of,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::pact::Ppm;

    fn poll() -> Poll {
        Poll {
            subject: [7; 32],
            counts: vec![2, 5],
            leader: Some(1),
            electorate: 20,
            quorum: Ppm(20_000),
            opened_at: 10,
            ends_at: 30,
            phase: PollPhase::Open,
            appeal_of: None,
        }
    }

    #[test]
    fn a_poll_is_told_in_words_and_to_programs() {
        assert_eq!(counts(&poll()), "0: 2, 1: 5 leads");
        assert_eq!(phase(&poll(), 20), "open until block 30, in 30 s");
        let ended = Poll { phase: PollPhase::Ended { result: PollResult::Decided(1), until: 50 }, ..poll() };
        assert_eq!(phase(&ended, 60), "ended with outcome 1; can be appealed against until block 50");
        assert_eq!(value(3, &ended)["phase"], json!({ "name": "ended", "result": { "decided": 1 }, "until": 50 }));
    }
}
