//! `blyan train rebase`: a delta that came too late, on the head that its slot has now.

use super::{
    RebaseArgs,
    folder::Folder,
    hand_in::{self, Ready},
};
use crate::{library::Library, out, round, slot::Place, submit::Sender};
use anyhow::{Context, Result, ensure};
use blyan_chain::AccountId;
use blyan_learning::block::ExpertDelta;
use serde_json::json;

/// Submits a delta on the head that its slot has now.
pub(super) async fn run(args: RebaseArgs) -> Result<()> {
    let folder = Folder::new(args.run);
    let path = folder.path().display();
    ensure!(folder.is_begun(), "{path} is not the folder of a run");
    let _claim = folder.claim()?;
    let made = folder.delta()?;
    let (block, about) = made.with_context(|| {
        format!("there is no delta in {path}: `blyan train --resume-from {path}` goes on until there is one")
    })?;
    let mut sender = Sender::open(&args.signing).await?;
    let state = sender.state().await?;
    let judged = folder.judged(sender.client.genesis())?;
    // As it is found in a round whose end was not told, a former command has submitted it.
    let found = hand_in::find(&state, &sender.account(), about.slot, block.hash(), judged).await?;
    if let Some(submitted) = found {
        args.shelves.store()?.put_verified(&block)?;
        let details = json!({ "manifest": about.manifest });
        return hand_in::follow(&mut sender, &folder, about.slot, submitted, &details).await;
    }
    hand_in::check_learner(&state, &sender.account()).await?;
    let record = round::active(&state).await?;
    ensure!(
        record.lineage == about.slot.lineage,
        "the delta is for a model of lineage {}, the chain's is of {}: it cannot be put on it",
        about.slot.lineage,
        record.lineage
    );
    let (delta, learner) = ExpertDelta::read(&block, hand_in::shape(&record.spec))?;
    ensure!(
        learner == sender.account().0,
        "the delta in {} names {} as its learner: submit it with that account's key",
        folder.path().display(),
        AccountId::from(learner)
    );
    let library = Library::open(&args.shelves, &state).await?;
    let head = hand_in::head_of(&state, &record, Place::from(about.slot)).await?;
    if !sender.is_json() {
        let what = if head == about.trained_on { "the head that it was trained on" } else { "another head" };
        out::line(format_args!("the delta goes on {what}, {head}"))?;
    }
    let details = json!({ "manifest": about.manifest, "rebased": head != about.trained_on });
    let ready = Ready { record, delta, block, about, base: head, folder, details };
    hand_in::run(&mut sender, &library, &ready, args.handing_in.aggregator).await
}
