//! Getting the blocks that a chain names into the local store.

use crate::progress::Steps;
use anyhow::{Context, Result, bail};
use blyan_chain::{ChainClient, ChainOptions, State};
use blyan_model::{
    import::{ImportOptions, import_gguf},
    tiny,
};
use blyan_primitives::{
    genesis::GenesisModel,
    ids::{ContentHash, SlotId},
    spec::Name,
};
use blyan_store::{Config, Store};
use blyan_worker::loader::resolve;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Name that the genesis model has in its specification.
pub const GENESIS_NAME: &str = "smollm2-135m-moe";
/// The store that commands of one person share: `$BLYAN_CACHE/store`, else in the user's cache folder.
pub fn default_store() -> Result<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = folder("BLYAN_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("blyan")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/blyan")));
    Ok(cache.context("neither BLYAN_CACHE nor HOME is set; name the store with --store")?.join("store"))
}

/// Opens the store in `folder`.
pub fn open_store(folder: &Path) -> Result<Store> {
    let registry = prometheus::Registry::new();
    Store::open(Config::new(folder), &registry).with_context(|| format!("cannot open the store {}", folder.display()))
}

/// What of a model is to be in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// What it takes to serve it.
    Serving,
    /// The masters too, to which deltas apply.
    Masters,
}

/// Makes sure that the store holds every block of the chain's active specification, importing `model` where it does not.
pub async fn ensure_in_store(
    rpc: &str,
    store: &Path,
    model: Option<&Path>,
    tiny: bool,
    wanted: Wanted,
    steps: &Steps,
) -> Result<()> {
    let client = ChainClient::connect(rpc, ChainOptions::default()).await?;
    let mut blocks = resolve(&client, None).await?.blocks();
    if wanted == Wanted::Masters {
        blocks.extend(genesis_masters(&client.at_finalized().await?).await?);
    }
    let store = open_store(store)?;
    let mut missing = BTreeSet::new();
    for hash in &blocks {
        if !store.contains(hash)? {
            missing.insert(*hash);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let model = model.map(Path::to_owned);
    // Importing is work of seconds that would hold up everything else on this thread.
    let imported = if tiny {
        tokio::task::spawn_blocking({
            let store = store.clone();
            move || import_tiny(&store)
        })
        .await??
    } else {
        let Some(path) = model else {
            bail!(
                "{} blocks of the model are not in {}; give the genesis model's GGUF file with --model, or run \
                 scripts/setup",
                missing.len(),
                store.root().display()
            );
        };
        steps.begin_counted("importing the genesis model");
        let options = ImportOptions { masters: wanted == Wanted::Masters, ..ImportOptions::new(genesis_name()?) };
        tokio::task::block_in_place(|| import_file(&path, &options, &store, steps))?
    };
    let made: BTreeSet<_> = imported.blocks.keys().copied().collect();
    if let Some(hash) = missing.difference(&made).next() {
        bail!("the model given is not the one this chain starts with: it has no block {hash}");
    }
    Ok(())
}

/// Masters of the heads that no round has moved. Workers that aggregate have those of others.
async fn genesis_masters(state: &State) -> Result<BTreeSet<ContentHash>> {
    let mut masters = BTreeSet::new();
    for record in state.active_specs().await? {
        for (layer, heads) in (0..).zip(state.slot_heads(&record).await?) {
            for (index, _) in (0..).zip(heads).filter(|(_, head)| head.as_ref().is_some_and(|head| head.moves == 0)) {
                let slot = SlotId { lineage: record.lineage, layer, index };
                masters.extend(state.head_master(slot).await?);
            }
        }
    }
    Ok(masters)
}

fn genesis_name() -> Result<Name> {
    Name::new(GENESIS_NAME).context("the genesis model's name is no name")
}

/// Puts the tiny model into `store`.
pub fn import_tiny(store: &Store) -> Result<GenesisModel> {
    let model = tiny::build(tiny::GENESIS_SEED)?;
    for block in &model.blocks {
        store.put(block)?;
    }
    Ok(model.genesis)
}

/// Imports a GGUF file or a Hugging Face folder into `store`.
pub fn import_file(path: &Path, options: &ImportOptions, store: &Store, steps: &Steps) -> Result<GenesisModel> {
    let mut sink = |block: blyan_tensorblock::UnwrittenBlock<'static>| match store.put(&block) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    };
    let mut progress = |progress: blyan_model::import::Progress| steps.set_of(progress.done, progress.total);
    let imported = if path.is_dir() {
        blyan_model::import::import_hf(path, options, &mut sink, &mut progress)
    } else {
        import_gguf(path, options, &mut sink, &mut progress)
    };
    imported.with_context(|| format!("cannot import {}", path.display()))
}
