//! What a development network learns with: sets of texts on chain, and evaluators with something at stake.

use crate::{
    data::{Made, PurposeName, Split, Texts, pack},
    genesis,
    progress::Steps,
    units::BLY,
};
use anyhow::{Result, bail};
use blyan_chain::{
    Call, ChainClient, ChainOptions, Key, LearningCall, StakingCall, State,
    tx::{SubmissionId, TxManager, TxOptions},
};
use blyan_primitives::pact::Ppm;
use blyan_store::Store;
use blyan_worker::loader::resolve;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::timeout;

/// Decides what sets are for; its account is endowed on development chains.
const SUDO: &str = "//Alice";
/// What each evaluator has at stake.
const STAKE: u128 = 1_000 * BLY;
/// What is not trained on.
const HELD_OUT: Split = Split { purpose: PurposeName::HeldOut, share: Ppm(200_000) };
/// The same, where no other texts stand for what the model could do before.
const GENERAL: Split = Split { purpose: PurposeName::General, share: Ppm(100_000) };
/// Longest wait for all of it to be final.
const LIMIT: Duration = Duration::from_secs(180);

/// Makes sets of texts and registers them, and gives each evaluator something at stake. What a chain has already stays as it is.
/// General items come from texts of their own where there are any.
pub(super) async fn open(
    rpc: &str,
    store: &Path,
    texts: &[PathBuf],
    general: &[PathBuf],
    evaluators: &[&str],
    steps: &Steps,
) -> Result<Vec<Made>> {
    let client = ChainClient::connect(rpc, ChainOptions::default()).await?;
    let store = genesis::open_store(store)?;
    let sets = make(&client, &store, texts, general, steps).await?;
    steps.begin("registering sets, and bonding evaluators");
    let work = async {
        let state = client.at_finalized().await?;
        let mut hands = vec![register(&client, &state, &store, &sets).await?];
        for account in evaluators {
            hands.push(bond(&client, &state, account).await?);
        }
        for hand in hands {
            hand.end().await?;
        }
        for account in evaluators {
            enrolled(&client, &Key::from_uri(account)?).await?;
        }
        Ok(sets)
    };
    match timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => bail!("the chain did not take the sets and bonds within {LIMIT:?}: its log says why"),
    }
}

/// Makes sets of texts, for the model that the chain names.
async fn make(
    client: &ChainClient,
    store: &Store,
    texts: &[PathBuf],
    general: &[PathBuf],
    steps: &Steps,
) -> Result<Vec<Made>> {
    let tokens = client.at_finalized().await?.parameters()?.item_tokens;
    let tokenizer = store.get(&resolve(client, None).await?.spec.tokenizer)?;
    steps.begin_counted("making items of the texts");
    let mut splits = vec![HELD_OUT];
    if general.is_empty() {
        splits.push(GENERAL);
    }
    let texts = Texts { all: texts, splits: &splits, general };
    let (made, _) = tokio::task::block_in_place(|| pack(&texts, &tokenizer, tokens, store, steps))?;
    Ok(made)
}

/// Signs for an account until what it has sent is final.
struct Hand {
    manager: TxManager,
    sent: Vec<SubmissionId>,
    _journal: TempDir,
}

impl Hand {
    async fn new(client: &ChainClient, uri: &str) -> Result<Self> {
        let journal = tempfile::Builder::new().prefix("blyan-").tempdir()?;
        let manager = TxManager::open(client, Key::from_uri(uri)?, journal.path(), TxOptions::default()).await?;
        Ok(Self { manager, sent: Vec::new(), _journal: journal })
    }

    async fn send(&mut self, call: impl Into<Call>) -> Result<()> {
        let id = SubmissionId::new(self.sent.len().to_string())?;
        self.manager.submit(&id, call.into()).await?;
        self.sent.push(id);
        Ok(())
    }

    async fn end(self) -> Result<()> {
        for id in &self.sent {
            self.manager.outcome(id).await?.success()?;
        }
        self.manager.close().await;
        Ok(())
    }
}

async fn register(client: &ChainClient, state: &State, store: &Store, sets: &[Made]) -> Result<Hand> {
    let mut hand = Hand::new(client, SUDO).await?;
    for set in sets {
        if state.block_entry(set.block).await?.is_none() {
            let header = store.get(&set.block)?.header_bytes().to_vec();
            hand.send(Call::register_block(header, None, None)?).await?;
        }
        if state.set(set.block).await?.is_none() {
            let add = LearningCall::AddSet { block: set.block, purpose: set.purpose.into() };
            hand.send(Call::from(add).sudo()).await?;
        }
    }
    Ok(hand)
}

async fn bond(client: &ChainClient, state: &State, account: &str) -> Result<Hand> {
    let mut hand = Hand::new(client, account).await?;
    let missing = STAKE.saturating_sub(state.ledger(&Key::from_uri(account)?.account()).await?.worker.active);
    if missing > 0 {
        hand.send(StakingCall::BondWorker { amount: missing }).await?;
    }
    Ok(hand)
}

/// Waits until an evaluator's worker can be drawn into committees.
async fn enrolled(client: &ChainClient, key: &Key) -> Result<()> {
    loop {
        let state = client.at_finalized().await?;
        if state.evaluator(&key.account()).await?.is_some() {
            return Ok(());
        }
        client.wait_finalized(state.block().number.saturating_add(1)).await?;
    }
}
