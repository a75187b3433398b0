//! A session of training: as long as it is worth it, and what came of it as a delta.

use super::{
    Run,
    args::{BeginArgs, budget},
    course::{Course, Learned, Stop, StopOnDrop},
    folder::About,
    hand_in::{self, Ready},
    joining,
};
use crate::{library::Library, out, progress::Steps, submit::Sender};
use anyhow::{Context, Result, bail, ensure};
use blyan_chain::{ChainClient, State};
use blyan_learning::{
    block::ExpertDelta,
    router::{RouterDelta, Row},
    train::Device,
};
use blyan_primitives::ids::{ContentHash, SlotId};
use serde_json::json;
use std::{convert::Infallible, fs::File, sync::Arc, time::Duration};
use tokio::time::sleep;

/// Wait after the chain did not answer.
const PAUSE: Duration = Duration::from_secs(3);
/// Levels of the factors on either side of zero: measured to keep all of what was trained, at a quarter fewer bytes than 127.
const LEVELS: u8 = 31;

/// Trains, in time for a round that takes deltas on the slot.
pub(super) async fn train(
    sender: &mut Sender,
    library: &Library,
    args: &BeginArgs,
    run: &Run,
    device: Device,
) -> Result<Learned> {
    let (slot, state) = (run.slot(), sender.state().await?);
    let master = sender.unless_interrupted(hand_in::master_of(&state, library, run.manifest.slot)).await?;
    if !sender.is_json() {
        out::line(format_args!("training slot {slot} on {} items of {}", run.frame.data.count, run.frame.data.block))?;
        out::line(format_args!("the run is kept in {}", run.folder.path().display()))?;
    }
    let course = Course {
        model: run.model.clone(),
        master,
        manifest: run.manifest.clone(),
        documents: run.documents.clone(),
        device,
        folder: run.folder.path().to_owned(),
        log: args.curve.clone().unwrap_or_else(|| run.folder.log()),
        budget: budget(args),
    };
    let (stop, steps) = (Arc::new(Stop::default()), Arc::new(Steps::new()));
    steps.begin_counted("training");
    let client = sender.client.clone();
    let training = {
        let (stop, steps) = (stop.clone(), steps.clone());
        async move {
            let _stop = StopOnDrop(stop.clone());
            let (thread_stop, thread_steps) = (stop.clone(), steps.clone());
            let thread = tokio::task::spawn_blocking(move || course.run(&thread_stop, &thread_steps));
            tokio::select! {
                learned = thread => learned.context("training broke off")?,
                never = watch_slot(&client, run, &stop) => match never {},
            }
        }
    };
    let learned = sender.unless_interrupted(training).await;
    steps.finish();
    if learned.is_err() {
        let folder = run.folder.path().display();
        eprintln!("what was trained is kept: blyan train --resume-from {folder}");
    }
    let learned = learned?;
    if !sender.is_json() {
        let taken = learned.trained.manifest.settings.steps;
        let losses = learned.losses.map_or_else(String::new, |[first, last]| {
            format!("; the loss went from {first:.3} to {last:.3} nats a token on what it was trained on")
        });
        let (now, seconds) = (learned.steps, learned.seconds);
        out::line(format_args!("{taken} steps are taken, {now} of them now, in {seconds:.0} s{losses}"))?;
    }
    Ok(learned)
}

/// Looks at each finalized block until when it is worth training on the slot.
async fn watch_slot(client: &ChainClient, run: &Run, stop: &Stop) -> Infallible {
    let mut next = 0;
    loop {
        let look = async {
            next = client.wait_finalized(next).await?.number.saturating_add(1);
            look(&client.at_finalized().await?, run, stop).await
        };
        if let Err(error) = look.await {
            tracing::warn!(%error, "the slot cannot be looked at");
            sleep(PAUSE).await;
        }
    }
}

/// Sets when training has to end: in time for a round that takes deltas, and at once when the slot's head is another.
async fn look(state: &State, run: &Run, stop: &Stop) -> Result<()> {
    if hand_in::head_of(state, &run.record, run.slot()).await? != run.manifest.base {
        stop.ask();
    }
    stop.by(joining::deadline(state, run.manifest.slot).await?);
    Ok(())
}

/// Makes a delta of what was learned.
pub(super) fn encode(sender: &Sender, run: Run, learned: &Learned) -> Result<(Ready, File)> {
    let Run { folder, claim, frame, record, .. } = run;
    let trained = &learned.trained;
    let manifest = &trained.manifest;
    let base = manifest.base;
    ensure!(manifest.settings.steps > 0, "no step was taken: there was no time for one; give --minutes more");
    let (delta, block) = tokio::task::block_in_place(|| {
        let updates = trained.to_updates(LEVELS)?;
        let delta = ExpertDelta::new(hand_in::shape(&record.spec), updates)?;
        let block = delta.to_block(&sender.account().0)?;
        Ok::<_, anyhow::Error>((delta, block))
    })?;
    let judged = folder.judged(sender.client.genesis())?;
    if let Some(judged) = judged.filter(|judged| judged.block == block.hash()) {
        bail!(
            "nothing was learned since round {}, which has judged this very delta: give more --steps or --minutes, or submit it \
             again as it is with `blyan train rebase {}`",
            judged.round,
            folder.path().display()
        );
    }
    let id = ContentHash(manifest.id());
    let about =
        About { block: block.hash(), slot: manifest.slot, manifest: id, data: frame.data, trained_on: manifest.base };
    let block = folder.keep(manifest, &block, &about)?;
    let router = match &trained.router {
        Some(change) => {
            let SlotId { layer, index, .. } = manifest.slot;
            let change = RouterDelta::quantise(Row { layer, index }, change)?;
            let path = folder.keep_router(&change.to_block(&sender.account().0)?)?;
            if !sender.is_json() {
                let path = path.display();
                out::line(format_args!("what was trained of the router is in {path}: see blyan model router --help"))?;
            }
            Some(path)
        },
        None => None,
    };
    let details = json!({
        "manifest": id, "steps": manifest.settings.steps, "seconds": learned.seconds, "losses": learned.losses,
        "router": router,
    });
    Ok((Ready { record, delta, block, about, base, folder, details }, claim))
}
