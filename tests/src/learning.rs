//! A network that learns: a chain with the tiny model, sets of items, evaluators with bonds, and learners.

use crate::{Node, START, Worker, blyan, put_tiny};
use anyhow::{Context, Result, bail, ensure};
use blyan_chain::{
    Call, ChainClient, ChainOptions, Delta, Event, Key, LearningCall, Purpose, Round, RoundOutcome, RoundPhase, State,
    tx::{SubmissionId, TxManager, TxOptions},
};
use blyan_cli::genesis;
use blyan_learning::{
    block::ExpertDelta,
    delta::{Dense, Factors, LowRank, Shape, Update},
    fold::{WHOLE, fold},
    items,
    train::{Change, DataSet, Device, Manifest, Matrices, Settings, Trainer},
};
use blyan_model::{
    exec::{Model, ModelBlocks},
    expert::{Master, Matrix},
};
use blyan_primitives::{
    block::ExpertShape,
    hardware::HardwareProfile,
    ids::{ContentHash, SlotId, SpecId},
    learning::{DeltaHeader, ItemRange, RoundId},
    spec::{F32Bits, weights_id},
    worker::{Region, Roles, WorkerInfo},
};
use blyan_store::Store;
use blyan_tensorblock::{UnwrittenBlock, VerifiedBlock};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::timeout};

const BLY: u128 = 1_000_000_000_000_000_000;

/// Tokens of an item on this chain.
pub const ITEM_TOKENS: usize = 129;
/// Longest wait for a round to end: its submission, two epochs, and the phases of an evaluation with a dispute.
pub const ROUND: Duration = Duration::from_secs(900);
/// The accounts whose workers evaluate.
pub const EVALUATORS: [&str; 3] = ["//Bob", "//Charlie", "//Dave"];

/// Signs and sends for an account.
pub struct Hand {
    /// Its key.
    pub key: Key,
    transactions: TxManager,
    _journal: TempDir,
}

impl Hand {
    /// The hand of an account.
    pub async fn new(client: &ChainClient, uri: &str) -> Result<Self> {
        let (key, journal) = (Key::from_uri(uri)?, tempfile::tempdir()?);
        let transactions = TxManager::open(client, key.clone(), journal.path(), TxOptions::default()).await?;
        Ok(Self { key, transactions, _journal: journal })
    }

    /// Makes a call, and returns what it caused once it is final.
    pub async fn call(&self, name: &str, call: impl Into<Call>) -> Result<Vec<Event>> {
        let id = self.begin(name, call).await?;
        self.end(&id).await
    }

    /// Makes a call.
    async fn begin(&self, name: &str, call: impl Into<Call>) -> Result<SubmissionId> {
        let id = SubmissionId::new(name)?;
        self.transactions.submit(&id, call.into()).await?;
        Ok(id)
    }

    /// Waits until a call is final, and returns what it caused.
    async fn end(&self, id: &SubmissionId) -> Result<Vec<Event>> {
        let (_, events) = self.transactions.outcome(id).await?.success().with_context(|| id.to_string())?;
        Ok(events)
    }
}

/// Numbers that look random, the same each time.
pub struct Noise(u64);

impl Noise {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }
}

/// Texts in a language of few words, which is easy to learn: each letter says which two may follow. It begins with the letter
/// `first`.
pub fn language(first: u8, count: usize, seed: u64) -> Vec<Vec<u32>> {
    let mut noise = Noise::new(seed);
    let mut text = || {
        let mut letter = noise.draw() % 26;
        let mut next = || {
            letter = (letter * 7 + 3 + 11 * (noise.draw() % 2)) % 26;
            u32::from(first) + letter
        };
        (0..ITEM_TOKENS).map(|_| next()).collect()
    };
    (0..count).map(|_| text()).collect()
}

/// Texts in no language.
fn babble(count: usize, seed: u64) -> Vec<Vec<u32>> {
    let mut noise = Noise::new(seed);
    (0..count).map(|_| (0..ITEM_TOKENS).map(|_| 128 + noise.draw() % 128).collect()).collect()
}

/// Items of the training set in the one language, and as many in the other.
pub const TEXTS: u32 = 32;

/// The network.
pub struct School {
    /// The node.
    pub node: Node,
    /// A connection to it.
    pub client: ChainClient,
    /// Workers that evaluate, by their accounts.
    pub evaluators: BTreeMap<&'static str, Worker>,
    /// Has all rights.
    pub sudo: Hand,
    /// The training set, and its texts.
    pub training: (ContentHash, Vec<Vec<u32>>),
    /// A training set that nobody can learn.
    pub babble: ContentHash,
    /// The held-out set, and its texts.
    pub held_out: (ContentHash, Vec<Vec<u32>>),
    /// Where everything is.
    pub base: PathBuf,
}

impl School {
    /// Starts a node and workers of `evaluators`, which aggregate too, and registers sets of items. Everybody has all blocks that
    /// are there at first.
    pub async fn open(base: &Path, evaluators: &[&'static str]) -> Result<Self> {
        Self::open_with(base, evaluators, "serve,gateway,evaluate,aggregate").await
    }

    /// The same, with these roles of evaluators' workers.
    pub async fn open_with(base: &Path, evaluators: &[&'static str], roles: &str) -> Result<Self> {
        let node = Node::tiny(base).await?;
        let client = ChainClient::connect(&node.rpc, ChainOptions::default()).await?;
        let sudo = Hand::new(&client, "//Alice").await?;
        let texts = [language(b'a', TEXTS as usize, 1), language(b'A', TEXTS as usize, 2)].concat();
        // What is asked for is the one language; the other is what the model must not get worse at.
        let held_out = language(b'a', 80, 4);
        let block = |texts: &[Vec<u32>]| items::write(texts, ITEM_TOKENS as u32);
        let sets = [
            (Purpose::Training, block(&texts)?),
            (Purpose::Training, block(&babble(32, 3))?),
            (Purpose::HeldOut, block(&held_out)?),
            (Purpose::General, block(&language(b'A', 32, 6))?),
        ];
        let mut workers = BTreeMap::new();
        for account in evaluators {
            let folder = base.join(&account[2..]);
            workers.insert(*account, Self::worker(&node, &folder, account, &["--roles", roles], &sets).await?);
        }
        let mut calls = Vec::new();
        for (number, (purpose, block)) in sets.iter().enumerate() {
            let header = Call::register_block(block.header_bytes().to_vec(), None, None)?;
            calls.push(sudo.begin(&format!("register/{number}"), header).await?);
            let add = LearningCall::AddSet { block: block.hash(), purpose: *purpose };
            calls.push(sudo.begin(&format!("add/{number}"), Call::from(add).sudo()).await?);
        }
        let mut bonds = JoinSet::new();
        for account in evaluators {
            bonds.spawn(bond(node.rpc.clone(), account));
        }
        for id in calls {
            sudo.end(&id).await?;
        }
        while let Some(bonded) = bonds.join_next().await {
            bonded??;
        }
        let [(_, training), (_, babble), (_, held_out_block), _] = sets;
        let school = Self {
            node,
            client,
            evaluators: workers,
            sudo,
            training: (training.hash(), texts),
            babble: babble.hash(),
            held_out: (held_out_block.hash(), held_out),
            base: base.to_owned(),
        };
        for account in evaluators {
            let key = Key::from_uri(account)?.account();
            school.wait(START, "an evaluator to be enrolled", async |state| Ok(state.evaluator(&key).await?)).await?;
        }
        Ok(school)
    }

    /// A worker whose store has the tiny model and these sets.
    async fn worker(
        node: &Node,
        folder: &Path,
        account: &str,
        args: &[&str],
        sets: &[(Purpose, UnwrittenBlock<'static>)],
    ) -> Result<Worker> {
        let store = folder.join("store");
        put_tiny(&store)?;
        let store = genesis::open_store(&store)?;
        for (_, block) in sets {
            store.put(block)?;
        }
        drop(store);
        Worker::start(node, folder, account, args).await
    }

    /// A worker that serves what its learner, and others whose address is the same, submit.
    pub async fn learner(&self, account: &str) -> Result<Worker> {
        let folder = self.base.join(&account[2..]);
        let worker = Self::worker(&self.node, &folder, account, &["--roles", "serve,gateway,train"], &[]).await?;
        let key = Key::from_uri(account)?.account();
        self.wait(START, "a learner to be registered", async |state| Ok(state.worker(&key).await?)).await?;
        Ok(worker)
    }

    /// Starts workers that only aggregate, and waits until they can be elected.
    pub async fn aggregators(&self, accounts: &[&'static str]) -> Result<Vec<(&'static str, Worker)>> {
        let mut workers = Vec::new();
        for account in accounts {
            let args = ["--roles", "serve,gateway,aggregate"];
            let folder = self.base.join(&account[2..]);
            workers.push((*account, Self::worker(&self.node, &folder, account, &args, &[]).await?));
        }
        let mut bonds: JoinSet<_> = accounts.iter().map(|account| bond(self.node.rpc.clone(), account)).collect();
        while let Some(bonded) = bonds.join_next().await {
            bonded??;
        }
        for account in accounts {
            let key = Key::from_uri(account)?.account();
            let is_there = async |state: &State| {
                let is_online = state.worker(&key).await?.is_some_and(|worker| worker.online);
                Ok(state.candidacy(&key).await?.filter(|_| is_online))
            };
            self.wait(2 * START, "an aggregator to stand, and to be online", is_there).await?;
        }
        Ok(workers)
    }

    /// Gives accounts money, and each a worker on chain with these roles that is reached at `url`.
    pub async fn enlist(&self, uris: &[&str], roles: Roles, url: &str) -> Result<Vec<Hand>> {
        // All at once: a block can have them all.
        let mut endowed = Vec::new();
        for uri in uris {
            let transfer = Call::Transfer { to: Key::from_uri(uri)?.account(), amount: 5_000 * BLY };
            endowed.push(self.sudo.begin(&format!("endow/{uri}"), transfer).await?);
        }
        for id in endowed {
            self.sudo.end(&id).await?;
        }
        let (mut hands, mut registered) = (Vec::new(), Vec::new());
        for uri in uris {
            let hand = Hand::new(&self.client, uri).await?;
            let info = worker_info(&hand.key, uri, roles, url)?;
            let call = Call::register_worker(self.client.genesis(), &hand.key.account(), info, &hand.key)?;
            registered.push(hand.begin("register", call).await?);
            hands.push(hand);
        }
        for (hand, id) in hands.iter().zip(registered) {
            hand.end(&id).await?;
        }
        Ok(hands)
    }

    /// Waits until all evaluators' workers have a block.
    pub async fn everybody_has(&self, block: &ContentHash) -> Result<()> {
        let stores: Vec<Store> =
            self.evaluators.values().map(|worker| genesis::open_store(&worker.store)).collect::<Result<_>>()?;
        self.wait(START, "workers to have the new head", async |_| {
            let there = stores.iter().map(|store| store.contains(block)).collect::<Result<Vec<_>, _>>()?;
            Ok(there.into_iter().all(|there| there).then_some(()))
        })
        .await
    }

    /// Looks at each finalized block until there is something.
    pub async fn wait<T>(
        &self,
        limit: Duration,
        what: &str,
        look: impl AsyncFn(&State) -> Result<Option<T>>,
    ) -> Result<T> {
        let search = async {
            loop {
                let state = self.client.at_finalized().await?;
                if let Some(found) = look(&state).await? {
                    return Ok(found);
                }
                self.client.wait_finalized(state.block().number + 1).await?;
            }
        };
        timeout(limit, search).await.with_context(|| format!("waiting for {what} for {limit:?}"))?
    }

    /// The slot of an expert, and the spec that it is evaluated in.
    pub async fn slot(&self, layer: u16, index: u16) -> Result<(SlotId, SpecId)> {
        let state = self.client.at_finalized().await?;
        let record = state.active_specs().await?.into_iter().next().context("no spec is active")?;
        Ok((SlotId { lineage: record.lineage, layer, index }, record.id))
    }

    /// Opens a round on a slot.
    pub async fn open_round(&self, slot: SlotId, spec: SpecId) -> Result<RoundId> {
        let name = format!("open/{}", self.client.finalized()?.number);
        self.sudo.call(&name, LearningCall::OpenRound { slot, spec }).await?;
        let state = self.client.at_finalized().await?;
        Ok(state.round_of(slot).await?.context("the slot has no round")?.0)
    }

    /// Waits until a round has ended, and says how, with what was found of its deltas.
    pub async fn ended(&self, id: RoundId) -> Result<(RoundOutcome, Vec<Delta>)> {
        self.wait(ROUND, "a round to end", async |state| {
            let round = state.round(id).await?.context("the round is gone")?;
            let RoundPhase::Over { outcome, .. } = round.phase else { return Ok(None) };
            Ok(Some((outcome, state.deltas(id).await?)))
        })
        .await
    }

    /// The round, as it is now.
    pub async fn round(&self, id: RoundId) -> Result<Round> {
        self.client.at_finalized().await?.round(id).await?.context("the round is gone")
    }
}

/// What a learner has of a slot: the model, and the expert's master.
pub struct Desk {
    /// The model.
    pub model: Model,
    /// The master.
    pub master: Master,
    /// Its block.
    pub master_block: VerifiedBlock,
    /// The slot.
    pub slot: SlotId,
    /// The slot's head.
    pub base: ContentHash,
    /// The expert's shape.
    pub shape: ExpertShape,
}

impl Desk {
    /// Of the model that the chain names, from the blocks in `store`.
    pub async fn new(school: &School, store: &Store, slot: SlotId) -> Result<Self> {
        let state = school.client.at_finalized().await?;
        let record = state.active_specs().await?.into_iter().next().context("no spec is active")?;
        let heads = state.slot_heads(&record).await?;
        let block = |hash: &ContentHash| Ok::<_, anyhow::Error>(store.get(hash)?);
        let mut experts = Vec::new();
        for layer in &heads {
            let layer = layer.iter().map(|head| block(&head.as_ref().context("a slot is empty")?.block));
            experts.push(layer.collect::<Result<Vec<_>>>()?);
        }
        let base = experts[usize::from(slot.layer)][usize::from(slot.index)].hash();
        let (trunk, router) = (block(&record.spec.trunk)?, block(&record.spec.router)?);
        let spec = record.spec.clone();
        let shape = ExpertShape { ffn: spec.dimensions.ffn, hidden: spec.dimensions.hidden };
        let model = Model::load(ModelBlocks { spec, trunk, router, experts })?;
        let master_block = block(&state.head_master(slot).await?.context("the head has no master")?)?;
        let master = Master::new(master_block.clone(), shape)?;
        Ok(Self { model, master, master_block, slot, base, shape })
    }

    /// Trains on texts.
    pub fn train(&self, set: ContentHash, texts: &[Vec<u32>], steps: u32, seed: u64) -> Result<ExpertDelta> {
        let mut settings = Settings::new(steps, 0);
        settings.window = ITEM_TOKENS as u32 - 1;
        settings.batch = 4;
        settings.learning_rate = F32Bits::new(0.02);
        settings.warm_up = 2;
        let manifest = Manifest {
            slot: self.slot,
            base: self.base,
            master: Some(self.master_block.hash()),
            weights: weights_id(self.model.spec().id(), heads(&self.model).iter()),
            data: vec![DataSet { root: set.0, items: (0..texts.len() as u32).collect() }],
            seed,
            settings,
        };
        let mut trainer = Trainer::new(&self.model, Some(&self.master_block), manifest, texts, &Device::Cpu)?;
        trainer.run(&mut |_| (), &|| false)?;
        let trained = trainer.trained()?;
        let Matrices { gate, up, down } = trained.shapes;
        let update = |change: &Change, shape: Shape| change.to_update(shape, 127);
        let expert = &trained.expert;
        let updates = [update(&expert.gate, gate)?, update(&expert.up, up)?, update(&expert.down, down)?];
        Ok(ExpertDelta::new(self.shape, updates)?)
    }

    /// What one delta changes, and the opposite of what another does.
    pub fn without(&self, one: &ExpertDelta, other: &ExpertDelta) -> Result<ExpertDelta> {
        let updates = Matrix::ALL.map(|matrix| {
            let [rows, k] = matrix.shape(self.shape).map(|dimension| dimension as usize);
            let (mut change, mut less) = (vec![0.0; rows * k], vec![0.0; rows * k]);
            one.update(matrix).add_to(&mut change)?;
            other.update(matrix).add_to(&mut less)?;
            change.iter_mut().zip(less).for_each(|(change, less)| *change -= less);
            Dense::quantise(&change, Shape { rows, k }).map(Update::Dense)
        });
        let [gate, up, down] = updates;
        Ok(ExpertDelta::new(self.shape, [gate?, up?, down?])?)
    }

    /// A change that nobody has trained.
    pub fn random(&self, seed: u64, size: f32) -> Result<ExpertDelta> {
        let mut noise = Noise::new(seed);
        let mut draw = |count: usize| -> Vec<f32> {
            (0..count).map(|_| (noise.draw() as f32 / (1u32 << 30) as f32 - 1.0) * size).collect()
        };
        let updates = Matrix::ALL.map(|matrix| {
            let [rows, k] = matrix.shape(self.shape).map(|dimension| dimension as usize);
            let factors = Factors { a: draw(2 * k), b: draw(2 * rows) };
            LowRank::quantise(&factors, Shape { rows, k }, 127).map(Update::LowRank)
        });
        let [gate, up, down] = updates;
        Ok(ExpertDelta::new(self.shape, [gate?, up?, down?])?)
    }

    /// A delta's block and header, as `learner` submits it.
    pub fn pack(&self, delta: &ExpertDelta, learner: &Key, data: ItemRange) -> Result<(DeltaHeader, VerifiedBlock)> {
        let block = delta.to_block(&learner.account().0)?.into_block()?;
        let serving = fold(&self.master, &[(delta, WHOLE)])?.serving.into_block()?;
        let header = DeltaHeader {
            base: self.base,
            block: block.hash(),
            serving: serving.hash(),
            size: u32::try_from(block.header().data_len)?,
            codec: delta.codec(),
            manifest: [7; 32],
            data,
        };
        Ok((header, block))
    }
}

/// Puts at stake what a worker needs to take part in rounds.
async fn bond(rpc: String, account: &'static str) -> Result<String> {
    blyan(&["stake", "worker", "1000", "--key", account, "--rpc", &rpc]).await
}

fn worker_info(key: &Key, machine: &str, roles: Roles, url: &str) -> Result<WorkerInfo> {
    let peer_id: Vec<u8> = [0x00, 36].into_iter().chain([7; 36]).collect();
    let address = url.as_bytes().to_vec().try_into().map_err(|_| anyhow::anyhow!("{url} is too long"))?;
    Ok(WorkerInfo {
        key: key.public(),
        peer_id: peer_id.try_into().map_err(|_| anyhow::anyhow!("the peer id is too long"))?,
        addresses: vec![address].try_into().map_err(|_| anyhow::anyhow!("too many addresses"))?,
        region: Region::new("DE").context("DE is a region")?,
        hardware: HardwareProfile { ram_mib: 1024, cpu_threads: 8, ..Default::default() },
        hardware_id: blyan_chain::hardware_id(machine.as_bytes()),
        roles,
    })
}

fn heads(model: &Model) -> Vec<ContentHash> {
    let d = &model.spec().dimensions;
    let slots = (0..d.layers).flat_map(|layer| (0..d.experts).map(move |index| (layer, index)));
    slots.filter_map(|(layer, index)| model.block_of(layer, index)).collect()
}

/// Submits a delta, and lets the learner's worker serve it once that is final.
pub async fn submit(
    hand: &Hand,
    round: RoundId,
    header: &DeltaHeader,
    block: Option<(&VerifiedBlock, &Store)>,
) -> Result<Vec<Event>> {
    let call = LearningCall::SubmitDelta { round, header: header.clone(), aggregator: None };
    let events = hand.call(&format!("submit/{round}/{}", header.block), call).await?;
    if let Some((block, store)) = block {
        store.put_verified(block)?;
    }
    Ok(events)
}

/// The outcome of a learner's delta.
pub fn outcome_of(deltas: &[Delta], learner: &Key) -> Result<blyan_primitives::learning::DeltaOutcome> {
    let Some(delta) = deltas.iter().find(|delta| delta.learner == learner.account()) else {
        bail!("the learner has no delta");
    };
    ensure!(delta.outcome.is_some(), "the delta is not judged");
    delta.outcome.context("the delta is not judged")
}
