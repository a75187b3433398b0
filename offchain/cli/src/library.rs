//! The blocks that a command works on: those of the store, and what workers have of the others.

use crate::genesis;
use anyhow::{Context, Result, ensure};
use blyan_chain::{AccountId, State};
use blyan_learning::{evaluate::Blocks, hidden};
use blyan_model::exec::ModelBlocks;
use blyan_primitives::{ids::ContentHash, spec::ModelSpec, worker::Roles};
use blyan_store::Store;
use blyan_tensorblock::VerifiedBlock;
use blyan_worker::{
    fetch::{Fetcher, Peers},
    learn::urls,
    metrics::Metrics,
};
use clap::Args;
use std::{path::PathBuf, sync::Arc};

/// Most workers that are asked for blocks, and that are looked through for those that can be.
const MAX_PEERS: usize = 64;
const MAX_WORKERS: usize = 1_000;

/// Which store.
#[derive(Args, Clone, Debug)]
pub struct StoreArg {
    /// Folder of the block store.
    #[arg(long, env = "BLYAN_STORE", value_name = "DIR")]
    store: Option<PathBuf>,
}

impl StoreArg {
    /// Opens it.
    pub fn open(&self) -> Result<Store> {
        genesis::open_store(&self.store.clone().map_or_else(genesis::default_store, Ok)?)
    }
}

/// Where blocks come from.
#[derive(Args, Clone, Debug)]
pub struct Shelves {
    #[command(flatten)]
    store: StoreArg,
    /// Base URLs of workers to fetch missing blocks from, separated by commas; those on chain are asked after them.
    #[arg(long, value_delimiter = ',', value_name = "URL")]
    peers: Vec<String>,
}

impl Shelves {
    /// Opens the store alone.
    pub fn store(&self) -> Result<Store> {
        self.store.open()
    }
}

/// A store, and workers that are asked for what is not in it.
#[derive(Clone, Debug)]
pub struct Library {
    /// The store.
    pub store: Store,
    fetcher: Fetcher,
}

impl Library {
    /// Opens the store, and finds workers that serve blocks.
    pub async fn open(shelves: &Shelves, state: &State) -> Result<Self> {
        let store = shelves.store.open()?;
        let peers = Peers::new(&shelves.peers).context("cannot ask workers for blocks")?;
        let mut workers = state.workers(MAX_WORKERS).await?;
        // Those that are not online may just not have been heard of yet, as on a chain that has begun a minute ago.
        workers.sort_by_key(|(_, worker)| !worker.online);
        let serving =
            workers.iter().map(|(_, worker)| worker).filter(|worker| worker.info.roles.contains(Roles::SERVE));
        peers.add(&serving.flat_map(urls).collect::<Vec<_>>(), MAX_PEERS);
        let fetcher = Fetcher::new(store.clone(), Arc::new(peers), Arc::new(Metrics::new()?));
        Ok(Self { store, fetcher })
    }

    /// All of these, verified; what is not in the store is fetched.
    pub async fn all(&self, hashes: impl IntoIterator<Item = ContentHash>) -> Result<Blocks> {
        let mut names: Vec<_> = hashes.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let blocks = self.fetcher.ensure(&names).await?;
        Ok(blocks.into_iter().map(|block| (block.hash(), block)).collect())
    }

    /// One block, verified; fetched when it is not in the store.
    pub async fn one(&self, hash: ContentHash) -> Result<VerifiedBlock> {
        Ok(self.fetcher.ensure_one(hash).await?)
    }

    /// The block of a delta, from its learner's worker or from whoever else has it: no more than the chain lets a delta have.
    /// Its header can say less than there is, as one that names another learner's block; then that is what is found of it.
    pub async fn delta(&self, state: &State, learner: &AccountId, block: ContentHash) -> Result<VerifiedBlock> {
        let most = state.parameters()?.max_delta_size;
        let fetcher = self.asking_worker(state, learner).await?.at_most(most.into());
        Ok(fetcher.ensure_one(block).await?)
    }

    /// Makes sure that a hidden set is in the store, readable: decrypted by the key that its steward has revealed, where it is
    /// not there yet.
    pub async fn hidden(&self, state: &State, block: ContentHash) -> Result<()> {
        if self.store.contains(&block)? {
            return Ok(());
        }
        let set = state.hidden_set(block).await?;
        let set = set.with_context(|| format!("the chain has no hidden set {block} any more"))?;
        let key = set.key.with_context(|| format!("the key of hidden set {block} is not revealed"))?;
        let fetcher = self.asking_worker(state, &set.steward).await?;
        let encrypted = fetcher.ensure_one(set.encrypted).await.context("a hidden set is missing")?;
        let store = self.store.clone();
        let decrypt = move || {
            let items = hidden::decrypt(&encrypted, &key)?;
            ensure!(
                items.hash() == block,
                "hidden set {block} decrypts to {}: its key is not the right one",
                items.hash()
            );
            Ok(store.put(&items).map(drop)?)
        };
        tokio::task::spawn_blocking(decrypt).await.context("decrypting broke off")?
    }

    async fn asking_worker(&self, state: &State, account: &AccountId) -> Result<Fetcher> {
        let urls = state.worker(account).await?.as_ref().map(urls).unwrap_or_default();
        Ok(self.fetcher.asking(&urls))
    }
}

/// The model with these experts, `[layer][index]`, from blocks that are at hand.
pub(crate) fn model_blocks(spec: ModelSpec, experts: &[Vec<ContentHash>], blocks: &Blocks) -> Result<ModelBlocks> {
    let find = |hash: &ContentHash| blocks.get(hash).cloned().with_context(|| format!("block {hash} is not at hand"));
    let layer = |layer: &Vec<ContentHash>| layer.iter().map(find).collect::<Result<Vec<_>>>();
    let experts = experts.iter().map(layer).collect::<Result<Vec<_>>>()?;
    Ok(ModelBlocks { trunk: find(&spec.trunk)?, router: find(&spec.router)?, experts, spec })
}
