//! What can be asked of `blyan train`, and the settings that follow from it.

use super::{aggregator::HandingIn, course::Budget};
use crate::{library::Shelves, slot::Place, submit::Signing};
use anyhow::{Context, Result};
use blyan_chain::AccountId;
use blyan_learning::train::{Device, Method, RouterSettings, Settings};
use blyan_primitives::{ids::ContentHash, spec::F32Bits};
use clap::{Args, Subcommand, ValueEnum};
use std::{path::PathBuf, time::Duration};

const EXAMPLES: &str = "\
Examples:
  blyan train --store my-store --key my.key
  blyan train --slot 20/1 --data 0x5c…e1 --minutes 10 --store my-store --key my.key
  blyan train --resume-from my-run --minutes 5 --store my-store --key my.key
  blyan train rebase my-run --store my-store --key my.key

The account's worker has to train, and to serve from the store: blyan-worker --roles serve,train --store my-store. An
aggregator that has taken the delta over, which is told, serves it while the worker is away.
Training begins with the head of the slot, and a round is opened on the slot when the delta is ready. Where one is open
already, training ends in time for it, if half of it is done by then. Ctrl-C keeps what was trained. After that, or should
the command be killed, the same command goes on where it was, and submits nothing twice.";

/// Train an expert of the model, submit what it has learned, and wait for the verdict.
///
/// Trains the expert of one slot on a training set of the chain, all else frozen, on this machine. What it has learned is
/// encoded as a delta, whose header is submitted to a round on the slot with a bond; evaluators fetch the delta from your
/// worker and measure it on data that nobody has seen. What helps is merged and paid.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = EXAMPLES)]
pub struct TrainArgs {
    #[command(subcommand)]
    pub(super) command: Option<TrainCommand>,
    #[command(flatten)]
    pub(super) begin: BeginArgs,
}

/// What is done with a delta that there is already.
#[derive(Subcommand, Debug)]
pub enum TrainCommand {
    /// Put a delta that came too late onto the slot's present head, and submit it again.
    ///
    /// The delta is added to the new head's weights as it is; nothing is trained. Its manifest is still that of the run which
    /// made it. Whether it helps there, too, is measured like any other.
    Rebase(RebaseArgs),
}

/// What to train, and on what.
#[derive(Args, Debug)]
pub struct BeginArgs {
    /// The slot, as LAYER/EXPERT [default: the one whose expert gets most tokens of the data, in the upper half of layers]
    #[arg(long, value_name = "L/I")]
    pub(super) slot: Option<Place>,
    /// A training set, see `blyan data list` [default: the only one]
    #[arg(long, value_name = "BLOCK")]
    pub(super) data: Option<ContentHash>,
    /// Train for so many minutes [default: 5]
    #[arg(long, value_name = "N", conflicts_with = "steps", value_parser = clap::value_parser!(u32).range(1..=10_080))]
    pub(super) minutes: Option<u32>,
    /// Train until so many steps are taken, those of a run that is resumed among them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) steps: Option<u32>,
    /// Train so many components for each matrix (LoRA): few learn quickly, and are small to send [default: 8]
    #[arg(long, value_name = "R", conflicts_with = "full", value_parser = clap::value_parser!(u8).range(1..))]
    pub(super) rank: Option<u8>,
    /// Train every weight instead; such a delta is a hundred times larger.
    #[arg(long)]
    pub(super) full: bool,
    /// How far a step goes [default: 0.005; with --full 0.0001]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(super) learning_rate: Option<f32>,
    #[command(flatten)]
    pub(super) router: RouterArgs,
    /// Items a step.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) batch: u16,
    /// Decides the order of the data, and where factors start [default: your account's own]
    ///
    /// With the same seed on the same data two learners find the same, and the second is refused as a copy.
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    pub(super) device: DeviceName,
    /// Folder of the run: checkpoints, manifest, delta [default: one beside the default store, named by the run]
    #[arg(long, value_name = "DIR")]
    pub(super) run: Option<PathBuf>,
    /// Go on with the run in this folder.
    #[arg(
        long, value_name = "DIR",
        conflicts_with_all = ["slot", "data", "rank", "full", "learning_rate", "router", "seed", "run"],
    )]
    pub(super) resume_from: Option<PathBuf>,
    /// Write the loss curve to this file, a line of JSON for each step [default: loss.jsonl in the run's folder]
    #[arg(long, value_name = "FILE")]
    pub(super) curve: Option<PathBuf>,
    #[command(flatten)]
    pub(super) handing_in: HandingIn,
    #[command(flatten)]
    pub(super) shelves: Shelves,
    // Required by what it holds, but not with a command for a delta that there is, which has its own.
    #[command(flatten)]
    pub(super) signing: Option<Signing>,
}

/// Whether the router learns, too.
#[derive(Args, Debug)]
pub(super) struct RouterArgs {
    /// Train the router's row for the expert beside it: what it has learned is kept as router.block in the run's folder
    ///
    /// It is no part of the delta, which is measured with the router that the model has: see `blyan model router`.
    #[arg(long)]
    pub(super) router: bool,
    /// How far a step of the router goes.
    #[arg(long, default_value_t = 1e-4, value_name = "RATE", value_parser = rate, requires = "router")]
    router_rate: f32,
    /// Weight in the loss of the penalty that keeps experts from taking every token.
    #[arg(long, default_value_t = 0.01, value_name = "W", value_parser = penalty, requires = "router")]
    router_balance: f32,
    /// Weight in the loss of -ln of the router's probability of the expert, which draws texts like these to it.
    #[arg(long, default_value_t = 0.0, value_name = "W", value_parser = penalty, requires = "router")]
    router_bias: f32,
}

impl RouterArgs {
    /// How the router is trained; nothing where it stays as it is.
    pub(super) fn settings(&self) -> Option<RouterSettings> {
        let [learning_rate, balance, bias] =
            [self.router_rate, self.router_balance, self.router_bias].map(F32Bits::new);
        self.router.then_some(RouterSettings { learning_rate, balance, bias })
    }
}

/// Which delta.
#[derive(Args, Debug)]
pub struct RebaseArgs {
    /// The folder of the run that made the delta.
    pub(super) run: PathBuf,
    #[command(flatten)]
    pub(super) handing_in: HandingIn,
    #[command(flatten)]
    pub(super) shelves: Shelves,
    #[command(flatten)]
    pub(super) signing: Signing,
}

/// What is computed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DeviceName {
    /// The processor; RAYON_NUM_THREADS says how many threads.
    Cpu,
    /// The first Nvidia card, in programs that were built with the feature cuda.
    Cuda,
}

impl DeviceName {
    pub(super) fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => Device::new_cuda(0)
                .context("no Nvidia card can be used: build blyan with --features cuda, on a machine with one"),
        }
    }
}

fn rate(text: &str) -> Result<f32, String> {
    let rate: Option<f32> = text.parse().ok();
    rate.filter(|rate| *rate > 0.0 && *rate <= 1.0).ok_or_else(|| "it is no number above 0 and up to 1".to_owned())
}

fn penalty(text: &str) -> Result<f32, String> {
    let weight: Option<f32> = text.parse().ok();
    weight.filter(|weight| (0.0..=10.0).contains(weight)).ok_or_else(|| "it is no number from 0 to 10".to_owned())
}

/// The settings of a run. How long it is does not matter to it: each step is the same in a longer one.
pub(super) fn settings(args: &BeginArgs, documents: &[Vec<u32>], context: u32) -> Settings {
    let longest = documents.iter().map(Vec::len).max().unwrap_or_default();
    let window = u32::try_from(longest.saturating_sub(1)).unwrap_or(u32::MAX).clamp(1, context.max(1));
    // Items are parts of texts: they do not end where they end.
    let recipe = Settings::new(u32::MAX, None);
    let (method, learning_rate) = method(args);
    Settings { method, batch: args.batch, window, learning_rate, router: args.router.settings(), ..recipe }
}

/// What is trained of the expert, and how far a step goes.
pub(super) fn method(args: &BeginArgs) -> (Method, F32Bits) {
    let recipe = Settings::new(u32::MAX, None);
    let (method, usual) = match args.full {
        true => (Method::Full, F32Bits::new(1e-4)),
        false => (args.rank.map_or(recipe.method, |rank| Method::LowRank { rank }), recipe.learning_rate),
    };
    (method, args.learning_rate.map_or(usual, F32Bits::new))
}

/// How much is enough.
pub(super) fn budget(args: &BeginArgs) -> Budget {
    match args.steps {
        Some(steps) => Budget::Steps(steps),
        None => Budget::Time(Duration::from_secs(60 * u64::from(args.minutes.unwrap_or(5)))),
    }
}

/// A seed that no other account has.
pub(super) fn seed_of(account: &AccountId) -> u64 {
    account.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Words {
        #[command(subcommand)]
        command: Top,
    }

    #[derive(Subcommand, Debug)]
    enum Top {
        Train(TrainArgs),
    }

    fn parse(words: &[&str]) -> Result<TrainArgs, clap::Error> {
        let Top::Train(args) = Words::try_parse_from([&["blyan", "train"], words].concat())?.command;
        Ok(args)
    }

    pub(in crate::train) fn begun(words: &[&str]) -> BeginArgs {
        let begin = parse(&[words, &["--key", "//Alice"]].concat()).unwrap().begin;
        assert!(begin.signing.is_some());
        begin
    }

    #[test]
    fn a_key_is_enough_to_begin_with() {
        let args = begun(&[]);
        assert_eq!((args.slot, args.data, args.minutes, args.steps, args.batch), (None, None, None, None, 4));
        let args = begun(&["--slot", "20/1", "--minutes", "3", "--rank", "4", "--curve", "x", "--store", "s"]);
        assert_eq!((args.slot.unwrap().to_string(), args.minutes, args.rank), ("20/1".to_owned(), Some(3), Some(4)));
        assert!(parse(&["--slot", "20/1"]).is_err_and(|error| error.to_string().contains("--key")));
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        for words in [
            &["--minutes", "3", "--steps", "9"][..],
            &["--rank", "4", "--full"],
            &["--resume-from", "x", "--slot", "1/1"],
            &["--resume-from", "x", "--run", "y"],
            &["--minutes", "0"],
            &["--steps", "0"],
            &["--rank", "0"],
            &["--learning-rate", "0"],
            &["--learning-rate", "nan"],
            &["--router-bias", "0.1"],
            &["--router", "--router-balance", "-1"],
            &["--router", "--router-rate", "0"],
            &["--resume-from", "x", "--router"],
        ] {
            assert!(parse(&[words, &["--key", "//Alice"]].concat()).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_delta_is_rebased_by_its_folder() {
        let args = parse(&["rebase", "my-run", "--key", "//Alice", "--store", "s"]).unwrap();
        let Some(TrainCommand::Rebase(args)) = args.command else { panic!("it is not understood") };
        assert_eq!(args.run, PathBuf::from("my-run"));
        assert!(parse(&["rebase", "--key", "//Alice"]).is_err() && parse(&["rebase", "my-run"]).is_err());
    }

    #[test]
    fn settings_are_the_recipe_but_for_what_is_asked() {
        let documents = vec![vec![0; 129]; 3];
        let recipe = Settings::new(u32::MAX, None);
        let usual = settings(&begun(&[]), &documents, 2_048);
        assert_eq!(usual, Settings { batch: 4, window: 128, ..recipe });
        let full = settings(&begun(&["--full"]), &documents, 64);
        assert_eq!((full.method, full.learning_rate, full.window), (Method::Full, F32Bits::new(1e-4), 64));
        let rate = settings(&begun(&["--rank", "3", "--learning-rate", "0.01"]), &documents, 64);
        assert_eq!((rate.method, rate.learning_rate), (Method::LowRank { rank: 3 }, F32Bits::new(0.01)));
        let router = settings(&begun(&["--router", "--router-bias", "0.5"]), &documents, 64).router.unwrap();
        let [learning_rate, balance, bias] = [1e-4, 0.01, 0.5].map(F32Bits::new);
        assert_eq!(router, RouterSettings { learning_rate, balance, bias });
    }

    #[test]
    fn two_accounts_have_two_seeds() {
        let seed = |uri| seed_of(&blyan_chain::Key::from_uri(uri).unwrap().account());
        assert_ne!(seed("//Alice"), seed("//Bob"));
        assert_eq!(seed("//Alice"), seed("//Alice"));
    }
}
