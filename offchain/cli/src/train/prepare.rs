//! How a run begins: the data, the slot, the model, and the folder that all of it is noted in.

use super::{
    Run,
    args::{BeginArgs, budget, seed_of, settings},
    folder::{Folder, Frame},
    hand_in,
    joining::{is_joinable, least, occupied},
    open, slots,
};
use crate::{genesis, library::Library, out, progress::Steps, round, slot::Place, submit::Sender};
use anyhow::{Context, Result, bail, ensure};
use blyan_chain::{BlockNumber, Hash, Purpose, SpecRecord, State};
use blyan_learning::train::{DataSet, Device, MAX_ITEMS, Manifest, expert_shares};
use blyan_model::exec::Model;
use blyan_primitives::{hash::blake2_256, ids::ContentHash, learning::ItemRange, spec::weights_id};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

/// Items that it is looked at where their tokens go, to choose a slot.
const SURVEYED: usize = 16;

/// Begins a run: what it is trained on, where, and from what.
pub(super) async fn prepare(sender: &mut Sender, library: &Library, args: &BeginArgs, device: &Device) -> Result<Run> {
    let state = sender.state().await?;
    let data = data_set(&state, args.data).await?;
    let (mut slot, least) = (args.slot, least(budget(args)));
    loop {
        let state = sender.state().await?;
        let record = round::active(&state).await?;
        if let Some(slot) = slot {
            slot.check(&record.spec.dimensions)?;
            if let Some((id, round)) = occupied(&state, slot.of(record.lineage), least).await? {
                eprintln!("round {id} on slot {slot} is {}; it is waited for", round::phase_text(&round.phase));
                hand_in::wait_for_slot(sender, id, state.block()).await?;
                continue;
            }
        }
        let experts = heads(&state, &record).await?;
        let (chain, learner) = (sender.client.genesis(), sender.account());
        let frame = Frame { chain, learner, spec: record.id, experts, data };
        let (model, documents) = sender.unless_interrupted(open(library, &record, &frame)).await?;
        let place = match slot {
            Some(slot) => slot,
            None => choose(sender, &state, &record, model.clone(), &documents, device, least).await?,
        };
        // What was loaded may be old by now; and a slot that was chosen may be in a round.
        slot = Some(place);
        let now = sender.state().await?;
        let base = hand_in::head_of(&now, &record, place).await?;
        let is_free = occupied(&now, place.of(record.lineage), least).await?.is_none();
        if !is_free || model.block_of(place.layer, place.index) != Some(base) {
            continue;
        }
        let master = now.head_master(place.of(record.lineage)).await?;
        let weights = weights_id(record.id, frame.experts.iter().flatten());
        let seed = args.seed.unwrap_or_else(|| seed_of(&sender.account()));
        let context = record.spec.dimensions.context;
        let manifest = Manifest {
            slot: place.of(record.lineage),
            base,
            master,
            weights,
            data: vec![DataSet { root: data.block.0, items: (data.first..data.first + data.count).collect() }],
            seed,
            settings: settings(args, &documents, context),
        };
        manifest.check()?;
        let folder = match &args.run {
            Some(folder) => Folder::new(folder.clone()),
            None => Folder::new(default_run(place, &manifest, chain)?),
        };
        let claim = folder.claim()?;
        note(&folder, &frame, &manifest)?;
        return Ok(Run { folder, claim, frame, manifest, record, documents, model });
    }
}

/// Notes what a run is about; refuses a folder of another one.
fn note(folder: &Folder, frame: &Frame, manifest: &Manifest) -> Result<()> {
    if !folder.is_begun() {
        return folder.begin(frame, manifest);
    }
    let (of, other) = folder.resume()?;
    ensure!(
        other.id() == manifest.id() && (of.chain, of.learner) == (frame.chain, frame.learner),
        "{} is the folder of another run: name another with --run, or go on with that one with --resume-from",
        folder.path().display()
    );
    Ok(())
}

/// Where runs are kept whose folders nobody names: beside the store that commands share.
pub(super) fn default_runs() -> Result<PathBuf> {
    let store = genesis::default_store()?;
    let cache = store.parent().context("the default store is in no folder; name one for the run with --run")?;
    Ok(cache.join("runs"))
}

/// Where this one is kept.
fn default_run(slot: Place, manifest: &Manifest, chain: Hash) -> Result<PathBuf> {
    let name = blake2_256(&[manifest.id(), chain.0].concat());
    let name = hex::encode(name.first_chunk::<6>().unwrap_or(&[0; 6]));
    Ok(default_runs()?.join(format!("{}-{}-{name}", slot.layer, slot.index)))
}

/// The training set that is asked for, or the only one there is.
async fn data_set(state: &State, wanted: Option<ContentHash>) -> Result<ItemRange> {
    let sets = state.sets(Purpose::Training).await?;
    let set = match wanted {
        Some(block) => match sets.iter().find(|set| set.block == block) {
            Some(set) => *set,
            None => match state.set(block).await? {
                Some(set) => bail!("{block} is a {} set: deltas that were trained on it are found out", set.purpose),
                None => bail!("the chain has no set {block}: `blyan data list` shows those there are"),
            },
        },
        None => match sets.as_slice() {
            [] => bail!("the chain has no training set yet: `blyan data pack` and `blyan data add` make one"),
            [set] => *set,
            several => {
                bail!("there are {} training sets: name one of them with --data, see `blyan data list`", several.len())
            },
        },
    };
    // More than a run can have are left out.
    let count = set.items.min(MAX_ITEMS as u32);
    let least = state.pact().await?.rounds.own_items;
    ensure!(
        count >= least,
        "the set has {count} items, a delta has to be trained on {least} at least: name a larger one"
    );
    Ok(ItemRange { block: set.block, first: 0, count })
}

/// What every slot of a spec holds.
async fn heads(state: &State, record: &SpecRecord) -> Result<Vec<Vec<ContentHash>>> {
    let head =
        |head: Option<blyan_chain::SlotHead>| head.map(|head| head.block).context("a slot of the model is empty");
    let layers = state.slot_heads(record).await?.into_iter();
    layers.map(|layer| layer.into_iter().map(head).collect()).collect()
}

/// Chooses a slot, and says why.
async fn choose(
    sender: &mut Sender,
    state: &State,
    record: &SpecRecord,
    model: Arc<Model>,
    documents: &[Vec<u32>],
    device: &Device,
    least: BlockNumber,
) -> Result<Place> {
    let now = state.block().number;
    let ongoing = state.ongoing_rounds().await?;
    let busy = ongoing.iter().filter(|(_, round)| round.slot.lineage == record.lineage);
    let busy = busy.filter(|(_, round)| !is_joinable(&round.phase, now, least));
    let busy: BTreeSet<Place> = busy.map(|(_, round)| round.slot.into()).collect();
    let texts = spread(documents, SURVEYED);
    let steps = Steps::new();
    steps.begin("looking where the tokens of the data go");
    let device = device.clone();
    let survey = async {
        let shares = tokio::task::spawn_blocking(move || expert_shares(&model, &texts, &device));
        Ok(shares.await.context("the survey broke off")??)
    };
    let shares = sender.unless_interrupted(survey).await;
    steps.finish();
    let choice = slots::choose(&shares?, &busy);
    let choice =
        choice.context("every slot of the upper layers is in a round: name one with --slot, it is waited for")?;
    if !sender.is_json() {
        out::line(choice)?;
    }
    Ok(choice.place)
}

/// At most so many documents, from all over.
fn spread(documents: &[Vec<u32>], most: usize) -> Vec<Vec<u32>> {
    let step = documents.len().div_ceil(most.max(1)).max(1);
    documents.iter().step_by(step).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_learning::train::Settings;

    #[test]
    fn a_survey_looks_at_items_from_all_over() {
        let documents: Vec<Vec<u32>> = (0..100).map(|item| vec![item]).collect();
        let firsts = |most| spread(&documents, most).into_iter().map(|item| item[0]).collect::<Vec<_>>();
        assert_eq!(firsts(4), [0, 25, 50, 75]);
        assert_eq!(firsts(200).len(), 100);
        assert!(firsts(16).len() <= 16);
        assert!(spread(&[], 4).is_empty());
    }

    #[test]
    fn a_folder_is_for_one_run() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::new(base.path().join("run"));
        let data = ItemRange { block: ContentHash([5; 32]), first: 0, count: 3 };
        let learner = blyan_chain::Key::from_uri("//Alice").unwrap().account();
        let chain = Hash([9; 32]);
        let frame = Frame { chain, learner, spec: blyan_primitives::ids::SpecId([1; 32]), experts: Vec::new(), data };
        let manifest = Manifest {
            slot: Place { layer: 1, index: 2 }.of(frame.spec),
            base: ContentHash([2; 32]),
            master: None,
            weights: blyan_primitives::ids::WeightsId([4; 32]),
            data: vec![DataSet { root: [5; 32], items: vec![0, 1, 2] }],
            seed: 7,
            settings: Settings::new(u32::MAX, None),
        };
        note(&folder, &frame, &manifest).unwrap();
        note(&folder, &frame, &manifest).unwrap();
        let other = Manifest { seed: 8, ..manifest.clone() };
        let error = note(&folder, &frame, &other).unwrap_err().to_string();
        assert!(error.contains("another run") && error.contains("--resume-from"), "{error}");
        assert!(note(&folder, &Frame { chain: Hash([0; 32]), ..frame }, &manifest).is_err());
    }
}
