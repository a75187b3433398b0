//! `blyan model router`: changes of routers folded into one block, and the specification that names it.

use crate::{
    governed::{command, proposal, with_all_rights},
    library::{Library, Shelves, StoreArg},
    out,
    round::active,
    submit::{Reading, Sender, Signing},
};
use anyhow::{Context, Result, anyhow, ensure};
use blyan_chain::Call;
use blyan_learning::{
    fold::WHOLE,
    router::{RouterDelta, fold_router},
};
use blyan_primitives::{
    ids::ContentHash,
    spec::ModelSpec,
    version::{SemVer, VersionRange},
};
use blyan_tensorblock::{Block, VerifiedBlock, default_threads};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::Path;

/// Most changes that are folded at once.
const MAX_DELTAS: usize = 1_024;

/// The model's router: where tokens are sent.
///
/// A router concerns all experts of its layer, so that it does not change in a slot's round: the model's specification names
/// it, and a successor names another one. `blyan train --router` trains an expert's row of it beside the expert; `fold` makes
/// a block of what several have trained; `blyan model evaluate --router` measures it; `publish` has it used.
#[derive(Subcommand, Debug)]
pub enum RouterCommand {
    /// Fold changes into the model's router, and put the new block into the store.
    ///
    /// It is the same block, to the last bit, for whoever folds the same changes in the same order.
    Fold(FoldArgs),
    /// Register a router's block and publish a successor of the model's specification that names it.
    ///
    /// On development chains the holder of the sudo key (`--key //Alice`) puts it into use at once; elsewhere this tells what
    /// is to be proposed. Experts stay where they are.
    Publish(PublishArgs),
}

/// Which changes.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  blyan model router fold run/router.block --store my-store")]
pub struct FoldArgs {
    /// Changes: files, as `blyan train --router` keeps them in a run's folder, or hashes of blocks.
    #[arg(required = true, value_name = "DELTA")]
    deltas: Vec<String>,
    /// What each counts for, in the order of the changes, from 0 to 1 [default: equal parts]
    #[arg(long, value_delimiter = ',', value_name = "W", value_parser = weight)]
    weights: Vec<u32>,
    #[command(flatten)]
    shelves: Shelves,
    #[command(flatten)]
    reading: Reading,
}

/// Which router.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  blyan model router publish 0x5c…e1 --store my-store --key //Alice")]
pub struct PublishArgs {
    /// The router's block, as `blyan model router fold` printed it.
    block: ContentHash,
    #[command(flatten)]
    store: StoreArg,
    #[command(flatten)]
    signing: Signing,
}

/// A weight in parts of 2^16.
fn weight(text: &str) -> Result<u32, String> {
    let weight: f64 = text.parse().map_err(|_| "it is no number; write one from 0 to 1")?;
    if (0.0..=1.0).contains(&weight) {
        Ok((weight * f64::from(WHOLE)).round() as u32)
    } else {
        Err("it is not from 0 to 1".to_owned())
    }
}

/// What each of so many changes counts for.
fn weights_of(given: &[u32], changes: usize) -> Result<Vec<u32>> {
    ensure!(
        given.is_empty() || given.len() == changes,
        "there are {changes} changes and {} --weights: give one for each, or none",
        given.len()
    );
    let equal = (WHOLE as usize / changes.max(1)) as u32;
    Ok(if given.is_empty() { vec![equal; changes] } else { given.to_vec() })
}

/// The specification that takes over from another, with another router.
pub(crate) fn successor(spec: &ModelSpec, router: ContentHash) -> Result<ModelSpec> {
    let SemVer { major, minor, patch } = spec.version;
    let patch = patch.checked_add(1).context("the specification has the last patch version that there is")?;
    let version = SemVer { major, minor, patch };
    let compatible = if spec.compatible.contains(version) { spec.compatible } else { VersionRange::caret(version) };
    Ok(ModelSpec { version, compatible, parent: Some(spec.id()), router, ..spec.clone() })
}

/// Runs the command.
pub async fn run(command: RouterCommand) -> Result<()> {
    match command {
        RouterCommand::Fold(args) => fold(&args).await,
        RouterCommand::Publish(args) => publish(args).await,
    }
}

async fn delta_block(library: &Library, named: &str) -> Result<VerifiedBlock> {
    let path = Path::new(named);
    if path.is_file() {
        return Ok(Block::open(path)?.verify(default_threads())?);
    }
    let hash = named.parse().map_err(|error| anyhow!("{named} is neither a file nor a block's hash: {error}"))?;
    library.one(hash).await
}

async fn fold(args: &FoldArgs) -> Result<()> {
    ensure!(args.deltas.len() <= MAX_DELTAS, "no more than {MAX_DELTAS} changes are folded at once");
    let weights = weights_of(&args.weights, args.deltas.len())?;
    let state = args.reading.state().await?;
    let spec = active(&state).await?.spec;
    let library = Library::open(&args.shelves, &state).await?;
    let mut deltas = Vec::new();
    for named in &args.deltas {
        let block = delta_block(&library, named).await?;
        let (delta, _) = RouterDelta::read(&block, &spec.dimensions).with_context(|| named.clone())?;
        deltas.push(delta);
    }
    let router = library.one(spec.router).await?;
    let weighted: Vec<_> = deltas.iter().zip(weights.iter().copied()).collect();
    let folded = fold_router(&router, &spec.dimensions, &weighted)?;
    let hash = folded.hash();
    ensure!(hash != spec.router, "the changes come to nothing: the router is the one that the model has");
    library.store.put(&folded)?;
    let successor = successor(&spec, hash)?;
    if args.reading.json {
        let rows: Vec<_> = weighted
            .iter()
            .map(|(delta, weight)| json!({ "row": delta.row().to_string(), "weight": f64::from(*weight) / f64::from(WHOLE) }))
            .collect();
        let value = json!({ "router": hash, "former": spec.router, "spec": successor.id(), "version": successor.version.to_string(), "changes": rows });
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    let rows: Vec<_> = deltas.iter().map(|delta| delta.row().to_string()).collect();
    out::line(format_args!("{hash}, the router with changes for {}, is in the store", rows.join(", ")))?;
    out::line("measure it before it is used:")?;
    out::line(format_args!("  blyan model evaluate --router {hash} --set BLOCK"))?;
    out::line(format_args!("  blyan model router publish {hash} --key KEY"))
}

async fn publish(args: PublishArgs) -> Result<()> {
    let block = args.store.open()?.get(&args.block)?;
    let mut sender = Sender::open(&args.signing).await?;
    let state = sender.state().await?;
    let spec = active(&state).await?.spec;
    ensure!(args.block != spec.router, "{} is the router that the model has", args.block);
    // That it is one of this model is refused here, before anything is paid for.
    fold_router(&block, &spec.dimensions, &[])?;
    let successor = successor(&spec, args.block)?;
    let mut registered = None;
    if state.block_entry(args.block).await?.is_none() {
        let call = Call::register_block(block.header_bytes().to_vec(), None, None)?;
        registered = Some(sender.send(call).await.context("registering the block")?);
    }
    let id = successor.id();
    let details = json!({ "router": args.block, "spec": id, "version": successor.version.to_string(), "registered": registered.is_some() });
    let publish = Call::PublishSpec { spec: successor };
    let activate = Call::ActivateSpec { spec: id };
    if with_all_rights(&mut sender, &state, &publish).await?.is_some() {
        let sent = with_all_rights(&mut sender, &state, &activate).await?.context("the sudo key has changed hands")?;
        return sender.report(&sent, format_args!("specification {id} is in use, with router {}", args.block), details);
    }
    let proposals = [proposal(&state, &publish)?, proposal(&state, &activate)?];
    if sender.is_json() {
        let mut details = details;
        details["proposals"] = json!(proposals);
        return out::line(serde_json::to_string_pretty(&details)?);
    }
    if let Some(sent) = registered {
        out::line(format_args!("the block is registered in block {}, final", sent.block))?;
    }
    out::line(
        "a specification is put into use by all members; propose it to them, the second once the first has passed:",
    )?;
    proposals.iter().try_for_each(|proposal| out::line(command(proposal)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_model::tiny;

    #[test]
    fn a_weight_is_a_part_of_the_whole() {
        assert_eq!([weight("0"), weight("0.5"), weight("1")], [Ok(0), Ok(WHOLE / 2), Ok(WHOLE)]);
        assert!(weight("1.1").is_err() && weight("-0.1").is_err() && weight("NaN").is_err() && weight("all").is_err());
    }

    #[test]
    fn changes_count_equally_unless_it_is_said_otherwise() {
        assert_eq!(weights_of(&[], 4).unwrap(), [WHOLE / 4; 4]);
        assert_eq!(weights_of(&[1, 2], 2).unwrap(), [1, 2]);
        assert!(weights_of(&[1], 2).unwrap_err().to_string().contains("one for each"));
    }

    #[test]
    fn a_successor_has_a_higher_version_and_the_same_experts() {
        let spec = tiny::build(0).unwrap().genesis.spec;
        let router = ContentHash([7; 32]);
        let next = successor(&spec, router).unwrap();
        assert!(next.version.succeeds(spec.version) && next.check().is_ok());
        assert_eq!((next.parent, next.router, next.trunk), (Some(spec.id()), router, spec.trunk));
        assert!(next.compatible.contains(spec.version));
        let last = ModelSpec { version: SemVer { patch: u16::MAX, ..spec.version }, ..spec };
        assert!(successor(&last, router).is_err());
    }
}
