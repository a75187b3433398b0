//! `blyan verdict`: what a committee has found of a round, and whether that is so.

mod compare;
mod show;
mod verify;

use anyhow::{Result, bail};
use blyan_chain::{Evaluation, Round, RoundOutcome, RoundPhase, State};
use blyan_primitives::{learning::RoundId, pol::Reveal};
use clap::Subcommand;

pub use show::ShowArgs;
pub(crate) use show::{Paid, rewards};
pub use verify::VerifyArgs;

/// Verdicts: what a committee has found of a round's deltas.
///
/// A verdict follows from scores, and scores from blocks that anybody can have: whoever computes them gets the same numbers to
/// the last bit.
#[derive(Subcommand, Debug)]
#[command(after_help = "Examples:
  blyan verdict show 7
  blyan verdict verify 7 --store my-store")]
pub enum VerdictCommand {
    /// Show what was found of each delta, and why the head has moved or has not.
    Show(ShowArgs),
    /// Compute a verdict anew, and say whether every number is the chain's.
    ///
    /// Takes what was evaluated from the chain, and the blocks from the store or from workers, evaluates all of it on this
    /// machine, and compares. Ends with exit code 1 when anything differs.
    Verify(VerifyArgs),
}

/// Runs the command.
pub async fn run(command: VerdictCommand) -> Result<()> {
    match command {
        VerdictCommand::Show(args) => show::run(&args).await,
        VerdictCommand::Verify(args) => verify::run(args).await,
    }
}

/// A round with the evaluation that it had, and what its verdict follows from.
struct Judged {
    round: Round,
    evaluation: Evaluation,
    reveal: Reveal,
}

impl Judged {
    async fn of(state: &State, id: RoundId) -> Result<Self> {
        let round = crate::round::known(state, id).await?;
        let (evaluation, verdict) = (state.evaluation(id).await?, state.verdict(id).await?);
        if let (Some(evaluation), Some(verdict)) = (evaluation, verdict) {
            return Ok(Self { round, evaluation, reveal: verdict.reveal });
        }
        match &round.phase {
            RoundPhase::Over { outcome: outcome @ RoundOutcome::Rejected(_), .. } => bail!(
                "round {id} was {}, without any measurement: the committee could fetch none of its deltas",
                crate::round::outcome_text(outcome)
            ),
            RoundPhase::Over { outcome, .. } => {
                bail!("round {id} has no verdict: {}", crate::round::outcome_text(outcome))
            },
            phase => bail!(
                "round {id} has no verdict yet: it is {}; `blyan round watch {id}` waits for it",
                crate::round::phase_text(phase)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Words {
        #[command(subcommand)]
        command: VerdictCommand,
    }

    #[test]
    fn a_verdict_is_named_by_its_round() {
        let parse = |words: &[&str]| Words::try_parse_from([&["blyan"], words].concat()).map(|words| words.command);
        assert!(matches!(parse(&["show", "7", "--json"]), Ok(VerdictCommand::Show(_))));
        let verify = ["verify", "7", "--store", "x", "--peers", "http://a", "--threads", "2"];
        assert!(matches!(parse(&verify), Ok(VerdictCommand::Verify(_))));
        assert!(parse(&["show"]).is_err() && parse(&["verify", "seven"]).is_err());
    }
}
