//! `blyan train`: from nothing to a submitted delta and its verdict.

mod aggregator;
mod args;
mod course;
mod folder;
mod hand_in;
mod joining;
mod kept;
mod prepare;
mod rebase;
mod session;
mod slots;

use crate::{
    library::{Library, model_blocks},
    out,
    slot::Place,
    submit::Sender,
};
use anyhow::{Context, Result, ensure};
use blyan_chain::SpecRecord;
use blyan_learning::{block::ExpertDelta, items::Items, train::Manifest};
use blyan_model::exec::Model;
use blyan_primitives::learning::ItemRange;
use blyan_tensorblock::VerifiedBlock;
use folder::{About, Folder, Frame};
use hand_in::{Ready, Unfit};
use kept::{Kept, unfinished};
use serde_json::json;
use std::{fs::File, sync::Arc};

pub use args::{BeginArgs, RebaseArgs, TrainArgs, TrainCommand};

/// Runs the command.
pub async fn run(args: TrainArgs) -> Result<()> {
    match args.command {
        Some(TrainCommand::Rebase(args)) => rebase::run(args).await,
        None => begin(args.begin).await,
    }
}

/// What a run needs to go on: where it is, what it is about, and the model.
struct Run {
    folder: Folder,
    /// Nobody else is at work in the folder.
    claim: File,
    frame: Frame,
    manifest: Manifest,
    record: SpecRecord,
    documents: Vec<Vec<u32>>,
    model: Arc<Model>,
}

impl Run {
    fn slot(&self) -> Place {
        Place::from(self.manifest.slot)
    }
}

async fn begin(args: BeginArgs) -> Result<()> {
    let device = args.device.open()?;
    let signing = args.signing.as_ref().context("who learns? Give --key; `blyan train --help` has examples")?;
    let mut sender = Sender::open(signing).await?;
    let state = sender.state().await?;
    let library = Library::open(&args.shelves, &state).await?;
    let kept = match &args.resume_from {
        Some(folder) => {
            let kept = Kept::open(Folder::new(folder.clone()), sender.client.genesis())?;
            kept.check(sender.client.genesis(), &sender.account())?;
            Some(kept)
        },
        None => unfinished(&state, &sender, &args).await?,
    };
    if let Some(kept) = &kept {
        if !sender.is_json() {
            out::line(format_args!("going on with the run in {}", kept.folder.path().display()))?;
        }
        if let Some((submitted, block)) = kept.submitted(&state, &sender).await? {
            library.store.put_verified(block)?;
            let details = json!({ "manifest": kept.made.as_ref().map(|(_, about)| about.manifest) });
            return hand_in::follow(&mut sender, &kept.folder, kept.manifest.slot, submitted, &details).await;
        }
    }
    hand_in::check_learner(&state, &sender.account()).await?;
    let (run, made) = match kept {
        Some(mut kept) => {
            let made = kept.made.take();
            (resume(&mut sender, &library, kept).await?, made)
        },
        None => (prepare::prepare(&mut sender, &library, &args, &device).await?, None),
    };
    let state = sender.state().await?;
    let slot = run.slot();
    ensure!(
        hand_in::head_of(&state, &run.record, slot).await? == run.manifest.base,
        "the head of slot {slot} has moved since the run was begun: train anew; what it had learned before can be put on the \
         new head with `blyan train rebase {}`, if it made a delta",
        run.folder.path().display()
    );
    // What was made and not submitted is submitted before the run is trained on.
    let (ready, _claim) = match made {
        Some((block, about)) => taken_up(run, block, about)?,
        None => {
            let learned = session::train(&mut sender, &library, &args, &run, device).await?;
            session::encode(&sender, run, &learned)?
        },
    };
    let result = hand_in::run(&mut sender, &library, &ready, args.handing_in.aggregator).await;
    if result.as_ref().is_err_and(|error| error.is::<Unfit>()) {
        // Otherwise it would be submitted again before the run is trained on.
        ready.folder.drop_delta()?;
    }
    result
}

/// Takes a run up.
async fn resume(sender: &mut Sender, library: &Library, kept: Kept) -> Result<Run> {
    let state = sender.state().await?;
    let record = state.spec(kept.frame.spec).await?;
    let record =
        record.with_context(|| format!("the chain has no spec {}: the run is of another chain", kept.frame.spec))?;
    let opened = sender.unless_interrupted(open(library, &record, &kept.frame)).await;
    let (model, documents) = opened?;
    let Kept { folder, claim, frame, manifest, .. } = kept;
    Ok(Run { folder, claim, frame, manifest, record, documents, model })
}

/// What is submitted of a run that has made a delta.
fn taken_up(run: Run, block: VerifiedBlock, about: About) -> Result<(Ready, File)> {
    let Run { folder, claim, record, manifest, .. } = run;
    let (delta, _) = ExpertDelta::read(&block, hand_in::shape(&record.spec))?;
    let details = json!({ "manifest": about.manifest });
    Ok((Ready { record, delta, block, about, base: manifest.base, folder, details }, claim))
}

/// The model of a frame, and the items that are trained on.
async fn open(library: &Library, record: &SpecRecord, frame: &Frame) -> Result<(Arc<Model>, Vec<Vec<u32>>)> {
    let spec = &record.spec;
    let experts = frame.experts.iter().flatten().copied();
    let names = experts.chain([spec.trunk, spec.router, frame.data.block]);
    let blocks = library.all(names).await.context("blocks of the model or of the data are missing")?;
    let data = blocks.get(&frame.data.block).context("the data is not at hand")?.clone();
    let (spec, range, frame) = (spec.clone(), frame.data, frame.clone());
    let work = move || {
        let model = Model::load(model_blocks(spec, &frame.experts, &blocks)?)?;
        Ok::<_, anyhow::Error>((Arc::new(model), documents(&Items::new(data)?, &range)?))
    };
    tokio::task::spawn_blocking(work).await.context("loading broke off")?
}

/// The items of a range.
fn documents(items: &Items, range: &ItemRange) -> Result<Vec<Vec<u32>>> {
    let item = |place: u32| {
        let index = range.first.saturating_add(place);
        let tokens = items.item(index)?.with_context(|| format!("the data has no item {index}"))?;
        Ok(tokens.to_vec())
    };
    (0..range.count).map(item).collect()
}
