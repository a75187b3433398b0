//! `blyan model evaluate`: what the chain's model loses on texts, at one height or at two.

mod measure;
mod report;
mod sample;
mod version;

use crate::{
    library::{Library, Shelves},
    process::Interrupts,
    progress::Steps,
    round,
    slot::Place,
    submit::Reading,
};
use anyhow::{Context, Result, bail, ensure};
use blyan_chain::{BlockNumber, RoundOutcome, RoundPhase, SpecRecord, State};
use blyan_learning::evaluate::Blocks;
use blyan_model::exec::EngineConfig;
use blyan_primitives::{
    ids::{ContentHash, WeightsId},
    learning::RoundId,
    spec::ModelSpec,
};
use clap::{ArgGroup, Args};
use report::Report;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use version::Version;

const EXAMPLES: &str = "\
Examples:
  blyan model evaluate --set 0x5c…e1 --store my-store
  blyan model evaluate texts/ book.jsonl --limit 200 --store my-store
  blyan model evaluate --set 0x5c…e1 --since 1200 --store my-store
  blyan model evaluate --set 0x5c…e1 --round 7 --store my-store
  blyan model evaluate --set 0x5c…e1 --router 0x91…ab --store my-store

`blyan data list` shows the sets that the chain has. Blocks that are not in the store are fetched from the workers on chain
and from --peers. The weights that are named are those that a worker which serves the model names, in /v1/models and in its
receipts.

The chain remembers what a slot held for 30 days, if its head has not moved more than 128 times since.";

/// What to measure on, and which models.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("data").required(true).multiple(true).args(["set", "texts"])), after_help = EXAMPLES)]
pub struct EvaluateArgs {
    /// Files and folders of files, read as `blyan data pack` reads them, and cut into items as long as the chain's.
    #[arg(value_name = "FILE|FOLDER")]
    texts: Vec<PathBuf>,
    /// A block of items: a set of the chain's, or any other in the store. Can be given more than once.
    #[arg(long, value_name = "BLOCK")]
    set: Vec<ContentHash>,
    /// The model at the end of this block [default: the latest that is final]
    #[arg(long, value_name = "HEIGHT")]
    at: Option<BlockNumber>,
    /// Compare with the model at the end of this earlier block.
    #[arg(long, value_name = "HEIGHT")]
    since: Option<BlockNumber>,
    /// Compare the model into which this round has moved a head with the one that its deltas were measured in.
    #[arg(long, value_name = "ROUND", conflicts_with_all = ["at", "since"])]
    round: Option<RoundId>,
    /// Compare the model with another router with the one that there is: its block, as `blyan model router fold` printed it.
    #[arg(long, value_name = "BLOCK", conflicts_with_all = ["since", "round"])]
    router: Option<ContentHash>,
    /// Measure on no more than the first N items.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    limit: Option<u32>,
    /// Threads for the model [default: all]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    #[command(flatten)]
    shelves: Shelves,
    #[command(flatten)]
    reading: Reading,
}

/// Runs the command.
pub(crate) async fn run(args: EvaluateArgs) -> Result<()> {
    let mut interrupts = Interrupts::new()?;
    let steps = Arc::new(Steps::new());
    let cancelled = Arc::new(AtomicBool::new(false));
    let result = tokio::select! {
        result = evaluate(&args, steps.clone(), cancelled.clone()) => result,
        interrupted = interrupts.next() => {
            // The thread that measures looks at this between two items.
            cancelled.store(true, Ordering::Relaxed);
            Err(interrupted.into())
        },
    };
    steps.finish();
    result
}

/// Heights to measure at, the one that counts first, and the specification of the model.
async fn asked(args: &EvaluateArgs, state: &State) -> Result<(SpecRecord, Vec<BlockNumber>)> {
    let Some(id) = args.round else {
        let at = args.at.unwrap_or(state.block().number);
        if let Some(since) = args.since {
            ensure!(
                since < at,
                "--since {since} is not before block {at}, with which it is compared: name an earlier one"
            );
        }
        return Ok((round::active(state).await?, [at].into_iter().chain(args.since).collect()));
    };
    let judged = round::known(state, id).await?;
    let RoundPhase::Over { outcome: RoundOutcome::Committed(_), at } = judged.phase else {
        bail!(
            "round {id} has moved no head: it is {}; name heights with --at and --since instead",
            round::phase_text(&judged.phase)
        )
    };
    let evaluation = state.evaluation(id).await?;
    let evaluation = evaluation.with_context(|| {
        format!("the chain has forgotten the evaluation of round {id}; name heights with --at and --since instead")
    })?;
    let record = state.spec(evaluation.spec).await?;
    let record = record.with_context(|| format!("the chain has no spec {}: ask another node", evaluation.spec))?;
    Ok((record, vec![at, evaluation.at]))
}

async fn evaluate(args: &EvaluateArgs, steps: Arc<Steps>, cancelled: Arc<AtomicBool>) -> Result<()> {
    steps.begin("reading the model from the chain");
    let state = args.reading.state().await?;
    let (record, heights) = asked(args, &state).await?;
    let mut versions = Vec::new();
    for height in heights {
        versions.push(Version::of(&state, &record, height).await?);
    }
    let library = Library::open(&args.shelves, &state).await?;
    // Bringing blocks has a bar of its own.
    steps.finish();
    let items = sample::gather(args, &state, &library, &record.spec, &steps, &cancelled).await?;
    let names = versions.iter().flat_map(|version| version.blocks(&record.spec)).chain(args.router);
    let blocks = library.all(names).await;
    let blocks = blocks.context(
        "blocks of the model are missing: give the store of a worker that has them, or its address with --peers",
    )?;
    steps.begin_counted("evaluating");
    let config = EngineConfig::default();
    let threads = args.threads.map_or(config.threads, usize::from);
    let work = Work {
        spec: record.spec,
        versions,
        router: args.router,
        blocks,
        items,
        config: EngineConfig { threads, ..config },
        steps: steps.clone(),
        cancelled,
    };
    let report = tokio::task::spawn_blocking(move || work.run()).await.context("the evaluation broke off")??;
    steps.finish();
    report.print(args.reading.json)
}

/// An evaluation on a thread of its own.
struct Work {
    spec: ModelSpec,
    /// The one that counts first.
    versions: Vec<Version>,
    /// What is compared with the router that there is.
    router: Option<ContentHash>,
    blocks: Blocks,
    items: Vec<Vec<u32>>,
    config: EngineConfig,
    steps: Arc<Steps>,
    cancelled: Arc<AtomicBool>,
}

impl Work {
    fn run(self) -> Result<Report> {
        let Self { spec, mut versions, router, blocks, items, config, steps, cancelled } = self;
        let mut models = version::load(&spec, &versions, &blocks)?;
        let apart: Vec<Place> = match versions.as_slice() {
            [now, since] => since.differing(now).into_iter().map(|(slot, _)| slot).collect(),
            _ => Vec::new(),
        };
        let mut told: Vec<String> = apart.iter().map(Place::to_string).collect();
        if let (Some(router), [now]) = (router, versions.as_slice()) {
            models.insert(0, now.with_router(&spec, router, &blocks)?);
            versions.push(now.clone());
            told.push("router".to_owned());
        }
        let began = Instant::now();
        let mut progress = |done, total| steps.set_of(done, total);
        let scores =
            measure::scores(&models, &apart, &items, &config, &mut progress, &|| cancelled.load(Ordering::Relaxed))?;
        let weights = models.iter().map(|model| model.weights_id());
        let measured: Vec<(BlockNumber, WeightsId, Vec<u64>)> = versions
            .iter()
            .zip(weights)
            .zip(scores)
            .map(|((version, weights), scores)| (version.block, weights, scores))
            .collect();
        let tokens = items.first().map(Vec::len).unwrap_or_default();
        Report::new(spec.id(), &measured, told, tokens, began.elapsed().as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Words {
        #[command(flatten)]
        args: EvaluateArgs,
    }

    const SET: &str = "0x0101010101010101010101010101010101010101010101010101010101010101";

    fn parse(words: &[&str]) -> Result<EvaluateArgs, clap::Error> {
        Words::try_parse_from([&["blyan"], words].concat()).map(|words| words.args)
    }

    #[test]
    fn what_is_measured_on_is_sets_or_texts_or_both() {
        let args = parse(&["--set", SET, "--set", SET, "a.txt", "b", "--limit", "9", "--threads", "2"]).unwrap();
        assert_eq!((args.set.len(), args.texts.len(), args.limit, args.threads), (2, 2, Some(9), Some(2)));
        assert_eq!((args.at, args.since, args.round), (None, None, None));
        assert!(parse(&["a.txt"]).is_ok() && parse(&["--set", SET, "--store", "s", "--peers", "http://a"]).is_ok());
        let error = parse(&[]).unwrap_err().to_string();
        assert!(error.contains("--set") && error.contains("FILE|FOLDER"), "{error}");
        assert!(parse(&["--set", "texts"]).is_err());
    }

    #[test]
    fn models_are_named_by_heights_or_by_a_round() {
        let args = parse(&["a", "--at", "900", "--since", "640"]).unwrap();
        assert_eq!((args.at, args.since), (Some(900), Some(640)));
        assert_eq!(parse(&["a", "--round", "7"]).unwrap().round, Some(7));
        assert_eq!(parse(&["a", "--router", SET]).unwrap().router, Some(ContentHash([1; 32])));
        for words in [["--round", "7", "--router", SET], ["--since", "7", "--router", SET]] {
            assert!(parse(&[&["a"], &words[..]].concat()).is_err(), "{words:?}");
        }
        for words in [["--round", "7", "--at", "9"], ["--round", "7", "--since", "9"]] {
            assert!(parse(&[&["a"], &words[..]].concat()).is_err(), "{words:?}");
        }
        for words in [["--limit", "1"], ["--threads", "0"], ["--since", "-1"], ["--at", "head"]] {
            assert!(parse(&[&["a"], &words[..]].concat()).is_err(), "{words:?}");
        }
    }
}
