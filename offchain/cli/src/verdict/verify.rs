//! `blyan verdict verify`: a stranger's own evaluation of a round, beside the committee's.

use super::{
    Judged,
    compare::{Chain, Said, compare, verdict_text},
};
use crate::{
    library::{Library, Shelves},
    out,
    process::Interrupts,
    progress::Steps,
    submit::Reading,
};
use anyhow::{Context, Result, bail};
use blyan_chain::{RoundOutcome, RoundPhase, State};
use blyan_learning::evaluate::{Blocks, Evaluation, Outcome, Progress, ScoreCache, Stage};
use blyan_model::exec::EngineConfig;
use blyan_primitives::learning::RoundId;
use blyan_worker::assignment::Assignment;
use clap::Args;
use serde_json::json;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// Which verdict, and where its blocks are.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The round's number.
    round: RoundId,
    /// Keep scores in this file: what was measured is not measured again.
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Threads for the model [default: all]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    #[command(flatten)]
    shelves: Shelves,
    #[command(flatten)]
    reading: Reading,
}

pub(super) async fn run(args: VerifyArgs) -> Result<()> {
    let mut interrupts = Interrupts::new()?;
    let steps = Arc::new(Steps::new());
    let cancelled = Arc::new(AtomicBool::new(false));
    let result = tokio::select! {
        result = verify(&args, steps.clone(), cancelled.clone()) => result,
        interrupted = interrupts.next() => {
            // The thread that evaluates looks at this between two items.
            cancelled.store(true, Ordering::Relaxed);
            Err(interrupted.into())
        },
    };
    steps.finish();
    result
}

/// What the chain says of a round that was judged.
fn chain<'a>(judged: &'a Judged, deltas: &[blyan_chain::Delta]) -> Chain<'a> {
    let Judged { round, evaluation, reveal } = judged;
    let outcome = |index: u32| deltas.get(index as usize).and_then(|delta| delta.outcome);
    let verdict = match &round.phase {
        RoundPhase::Accepted { .. } => Ok(()),
        RoundPhase::Over { outcome, .. } => match outcome {
            RoundOutcome::Lapsed(_) | RoundOutcome::Committed(_) => Ok(()),
            RoundOutcome::Rejected(refusal) => Err(format!("refused: {refusal}")),
            other => Err(crate::round::outcome_text(other)),
        },
        phase => Err(crate::round::phase_text(phase)),
    };
    let accepted = match &round.phase {
        RoundPhase::Accepted { accepted, .. }
        | RoundPhase::Over { outcome: RoundOutcome::Lapsed(accepted) | RoundOutcome::Committed(accepted), .. } => {
            Some(*accepted)
        },
        _ => None,
    };
    let is_measured = |index: &u32| evaluation.deltas.iter().any(|measured| measured.index == *index);
    let others = (0..).zip(deltas).filter(|(index, _)| !is_measured(index));
    Chain {
        reveal,
        deltas: evaluation.deltas.iter().map(|measured| (measured.index, outcome(measured.index))).collect(),
        others: others.map(|(index, delta)| (index, delta.outcome)).collect(),
        verdict: verdict.map_or_else(|refused| refused, |()| "accepted".to_owned()),
        accepted,
    }
}

/// Brings the blocks of an evaluation.
async fn bring(library: &Library, state: &State, assignment: &Assignment) -> Result<Blocks> {
    let task = &assignment.task;
    // First what the state is asked about, which nodes forget: the rest can take long.
    if let Some(set) = &task.sources.hidden {
        library.hidden(state, set.block).await?;
    }
    let mut deltas = Blocks::new();
    for delta in &task.deltas {
        let (learner, block) = (delta.learner.into(), delta.header.block);
        let found = library.delta(state, &learner, block).await;
        let found = found
            .with_context(|| format!("the delta of {learner} is missing: give a worker that has it with --peers"))?;
        deltas.insert(block, found);
    }
    let mut blocks = library.all(assignment.blocks()).await.context(
        "blocks of the evaluation are missing: give the store of a worker that has them, or its address with --peers",
    )?;
    blocks.append(&mut deltas);
    Ok(blocks)
}

async fn verify(args: &VerifyArgs, steps: Arc<Steps>, cancelled: Arc<AtomicBool>) -> Result<()> {
    steps.begin("reading the round from the chain");
    let state = args.reading.state().await?;
    let judged = Judged::of(&state, args.round).await?;
    let deltas = state.deltas(args.round).await?;
    let assignment = Assignment::new(&state, args.round, &judged.evaluation).await?;
    let library = Library::open(&args.shelves, &state).await?;
    // Bringing blocks has a bar of its own.
    steps.finish();
    let blocks = bring(&library, &state, &assignment).await?;
    steps.begin_counted("evaluating");
    let config = EngineConfig::default();
    let threads = args.threads.map_or(config.threads, usize::from);
    let work = Work {
        assignment,
        blocks,
        scores: args.scores.clone(),
        config: EngineConfig { threads, ..config },
        steps: steps.clone(),
        cancelled,
    };
    let began = Instant::now();
    let (outcome, faults) =
        tokio::task::spawn_blocking(move || work.run()).await.context("the evaluation broke off")??;
    let seconds = began.elapsed().as_secs_f64();
    steps.finish();
    let (layout, rules) = (&judged.evaluation.layout, &judged.evaluation.learning);
    let said = compare(&chain(&judged, &deltas), &outcome.reveal, layout, rules);
    report(args, &judged, &said, &faults, seconds)
}

/// An evaluation on a thread of its own.
struct Work {
    assignment: Assignment,
    blocks: Blocks,
    scores: Option<PathBuf>,
    config: EngineConfig,
    steps: Arc<Steps>,
    cancelled: Arc<AtomicBool>,
}

impl Work {
    /// What it comes to, and what is wrong with deltas that are malformed.
    fn run(self) -> Result<(Outcome, Vec<String>)> {
        let Self { assignment, blocks, scores, config, steps, cancelled } = self;
        let is_cancelled = || cancelled.load(Ordering::Relaxed);
        let mut progress = |progress: Progress| {
            if progress.stage == Stage::Cells {
                steps.set_of(progress.done.into(), progress.total.into());
            }
        };
        let model = Arc::new(assignment.load(&blocks)?);
        let evaluation = Evaluation::new(assignment.task, model, &blocks, &mut progress, &is_cancelled)?;
        let mut cache = match &scores {
            Some(path) => ScoreCache::open(path)?,
            None => ScoreCache::in_memory(),
        };
        let outcome = evaluation.run(&config, &mut cache, &mut progress, &is_cancelled)?;
        let fault = |(number, delta): (usize, &blyan_learning::evaluate::CheckedDelta)| {
            delta.fault().map(|fault| format!("measured delta {number} is malformed: {fault}"))
        };
        let faults = evaluation.deltas().iter().enumerate().filter_map(fault).collect();
        Ok((outcome, faults))
    }
}

fn report(args: &VerifyArgs, judged: &Judged, said: &[Said], faults: &[String], seconds: f64) -> Result<()> {
    let differing = said.iter().filter(|said| !said.same).count();
    if args.reading.json {
        let value = json!({
            "id": args.round, "same": differing == 0, "numbers": said, "faults": faults, "seconds": seconds,
        });
        out::line(serde_json::to_string_pretty(&value)?)?;
    } else {
        let row = |said: &Said| {
            let same = if said.same { "same" } else { "DIFFERENT" };
            [said.what.clone(), said.chain.clone(), said.here.clone(), same.to_owned()]
        };
        out::line("sums are of gains, in units of 2^-20 nats over all positions, and of their squares\n")?;
        out::table(["", "on chain", "here", ""], &said.iter().map(row).collect::<Vec<_>>())?;
        faults.iter().try_for_each(out::line)?;
    }
    let Judged { evaluation, reveal, .. } = judged;
    let verdict = verdict_text(reveal, &evaluation.layout, &evaluation.learning);
    match differing {
        0 if args.reading.json => Ok(()),
        0 => out::line(format_args!(
            "\nthe verdict on round {} ({verdict}) is right: all {} numbers are the same here, after {seconds:.0} s",
            args.round,
            said.len()
        )),
        _ => bail!("the verdict on round {} is not what this machine finds: {differing} numbers differ", args.round),
    }
}
