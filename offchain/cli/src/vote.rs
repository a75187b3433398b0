//! `blyan vote`: one machine, one vote.

use crate::submit::{Sender, Signing};
use anyhow::Result;
use blyan_chain::{Event, GovernanceCall, GovernanceEvent, ReferendumIndex};
use clap::{Args, ValueEnum};
use serde_json::json;

/// Vote on a referendum.
///
/// A machine votes through the account that its worker is registered for: the one that signs. The worker must be online, not
/// in quarantine, and registered since before the referendum was submitted. A vote can be changed until the end.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  blyan vote 3 aye --key worker.key\n  blyan vote 3 retract --key worker.key\n\n\
    `blyan referendum show 3` says what would be done, and how the count stands; `blyan poll` is for polls.")]
pub struct VoteArgs {
    /// The referendum's number.
    referendum: ReferendumIndex,
    /// What your machine is for.
    #[arg(value_enum)]
    vote: Vote,
    #[command(flatten)]
    signing: Signing,
}

/// A vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Vote {
    /// For it.
    Aye,
    /// Against it.
    Nay,
    /// Neither: takes your machine's vote back.
    #[value(alias = "remove")]
    Retract,
}

impl Vote {
    fn call(self, referendum: ReferendumIndex) -> GovernanceCall {
        match self {
            Self::Aye => GovernanceCall::Vote { referendum, aye: true },
            Self::Nay => GovernanceCall::Vote { referendum, aye: false },
            Self::Retract => GovernanceCall::RemoveVote { referendum },
        }
    }
}

/// Runs the command.
pub async fn run(args: VoteArgs) -> Result<()> {
    let mut sender = Sender::open(&args.signing).await?;
    let sent = sender.send(args.vote.call(args.referendum)).await?;
    let (machine, ayes, nays) = sent.event(|event| match event {
        Event::Governance(
            GovernanceEvent::Voted { machine, ayes, nays, .. }
            | GovernanceEvent::VoteRemoved { machine, ayes, nays, .. },
        ) => Some((*machine, *ayes, *nays)),
        _ => None,
    })?;
    let vote = match args.vote {
        Vote::Aye => "aye",
        Vote::Nay => "nay",
        Vote::Retract => "retract",
    };
    let text = format!("referendum {}: {vote} of machine {machine}; {ayes} aye, {nays} nay", args.referendum);
    let details = json!({
        "referendum": args.referendum, "vote": vote, "machine": machine, "ayes": ayes, "nays": nays,
    });
    sender.report(&sent, text, details)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vote_is_its_call() {
        assert_eq!(Vote::Aye.call(3), GovernanceCall::Vote { referendum: 3, aye: true });
        assert_eq!(Vote::Nay.call(3), GovernanceCall::Vote { referendum: 3, aye: false });
        assert_eq!(Vote::from_str("remove", false).unwrap().call(3), GovernanceCall::RemoveVote { referendum: 3 });
    }
}
