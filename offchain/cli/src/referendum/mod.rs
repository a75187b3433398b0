//! `blyan referendum`: what members decide about the chain.

mod propose;
mod show;

use crate::{
    submit::{Reading, Sender, Signing},
    units::Bly,
};
use anyhow::{Context, Result, bail};
use blyan_chain::{Event, GovernanceCall, GovernanceEvent, Hash, ReferendumIndex, tx::SubmissionError};
use clap::{Args, Subcommand};
use serde_json::json;

pub use propose::ProposeArgs;
pub use show::{ListArgs, ShowArgs};

/// Votes that one call cleans up; the chain takes fewer where it has to.
const CLEAN_UP: u32 = 256;

/// Referenda: members decide whether a call is made with rights that no account has.
///
/// A referendum is proposed with a deposit, and decided once its decision deposit is placed and its time to be read has
/// passed. It is approved when it has passed for its confirmation period, and its call is made after a last wait. Its track
/// says how much approval (ayes of all votes) and support (ayes of all members) it needs. `docs/governance.md` has it all.
#[derive(Subcommand, Debug)]
#[command(after_help = "Examples:
  blyan referendum list
  blyan referendum propose --set staking.max_validators=32 --deposit --key my.key
  blyan referendum show 0
  blyan vote 0 aye --key worker.key")]
pub enum ReferendumCommand {
    /// Show referenda that are not over; with --all, all of them.
    List(ListArgs),
    /// Show a referendum: what would be done, how the count stands, what is needed, and when it ends.
    Show(ShowArgs),
    /// Propose a change of the Pact, a new runtime, spending, or cancelling a slash.
    Propose(ProposeArgs),
    /// Place the deposit without which a referendum is not decided. Anyone can; it returns at the end.
    #[command(visible_alias = "place")]
    Deposit(NumberArgs),
    /// Return the deposits of a referendum that is over. Anyone can.
    Refund(NumberArgs),
    /// Remove the votes on a referendum that is over. Anyone can.
    CleanUp(NumberArgs),
    /// Remove a preimage that you have noted for a proposal; its deposit returns.
    Unnote(UnnoteArgs),
}

/// Which referendum, and who signs.
#[derive(Args, Debug)]
pub struct NumberArgs {
    /// The referendum's number.
    referendum: ReferendumIndex,
    #[command(flatten)]
    signing: Signing,
}

/// Which preimage, and who signs.
#[derive(Args, Debug)]
pub struct UnnoteArgs {
    /// BLAKE2b-256 of its bytes, as `propose` and `show` print it.
    hash: Hash,
    #[command(flatten)]
    signing: Signing,
}

/// Runs the command.
pub async fn run(command: ReferendumCommand) -> Result<()> {
    match command {
        ReferendumCommand::List(args) => show::list(&args).await,
        ReferendumCommand::Show(args) => show::show(&args).await,
        ReferendumCommand::Propose(args) => propose::run(args).await,
        ReferendumCommand::Deposit(args) => deposit(args).await,
        ReferendumCommand::Refund(args) => refund(args).await,
        ReferendumCommand::CleanUp(args) => clean_up(args).await,
        ReferendumCommand::Unnote(UnnoteArgs { hash, signing }) => {
            let mut sender = Sender::open(&signing).await?;
            let sent = sender.send(GovernanceCall::UnnotePreimage { hash }).await?;
            sender.report(&sent, format_args!("preimage {hash} is removed"), json!({ "hash": hash }))
        },
    }
}

/// A referendum of this number, for its state to be told from a fresh start.
async fn known(
    reading: &Reading,
    referendum: ReferendumIndex,
) -> Result<(blyan_chain::State, blyan_chain::Referendum)> {
    let state = reading.state().await?;
    let found = state.referendum(referendum).await?;
    let found = found.with_context(|| {
        format!("there is no referendum {referendum}; `blyan referendum list --all` shows those there are")
    })?;
    Ok((state, found))
}

fn placed(event: &Event) -> Option<u128> {
    match event {
        Event::Governance(GovernanceEvent::DecisionDepositPlaced { amount, .. }) => Some(*amount),
        _ => None,
    }
}

async fn deposit(NumberArgs { referendum, signing }: NumberArgs) -> Result<()> {
    let mut sender = Sender::open(&signing).await?;
    let sent = sender.send(GovernanceCall::PlaceDecisionDeposit { referendum }).await?;
    let amount = sent.event(placed)?;
    let text = format!("{} is placed for the decision of referendum {referendum}", Bly(amount));
    sender.report(&sent, text, json!({ "referendum": referendum, "amount": amount.to_string() }))
}

async fn refund(NumberArgs { referendum, signing }: NumberArgs) -> Result<()> {
    let mut sender = Sender::open(&signing).await?;
    let mut total = 0u128;
    let (mut last, mut refusals) = (None, Vec::new());
    let calls =
        [GovernanceCall::RefundDecisionDeposit { referendum }, GovernanceCall::RefundSubmissionDeposit { referendum }];
    for call in calls {
        match sender.send(call).await {
            Ok(sent) => {
                let amount = sent.event(|event| match event {
                    Event::Governance(GovernanceEvent::DepositRefunded { amount, .. }) => Some(*amount),
                    _ => None,
                })?;
                total = total.saturating_add(amount);
                last = Some(sent);
            },
            // Of two deposits, one may be back already, or never have been placed, or stay with a rejected proposal.
            Err(error) if matches!(error.downcast_ref(), Some(SubmissionError::Dispatch { .. })) => {
                refusals.push(format!("{error:#}"));
            },
            Err(error) => return Err(error),
        }
    }
    let Some(sent) = last else { bail!("nothing can be returned: {}", refusals.join("; ")) };
    let text = format!("{} of referendum {referendum} is back with those who placed it", Bly(total));
    sender.report(&sent, text, json!({ "referendum": referendum, "amount": total.to_string() }))
}

async fn clean_up(NumberArgs { referendum, signing }: NumberArgs) -> Result<()> {
    let mut sender = Sender::open(&signing).await?;
    let sent = sender.send(GovernanceCall::CleanUp { referendum, max: CLEAN_UP }).await?;
    let votes = sent.event(|event| match event {
        Event::Governance(GovernanceEvent::CleanedUp { votes, .. }) => Some(*votes),
        _ => None,
    })?;
    let text = format!("referendum {referendum}: {votes} votes removed");
    sender.report(&sent, text, json!({ "referendum": referendum, "votes": votes }))
}
