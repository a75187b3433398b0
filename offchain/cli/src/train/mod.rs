//! `blyan train`: from nothing to a submitted delta and its verdict.

mod aggregator;
mod course;
mod folder;
mod hand_in;
mod kept;
mod slots;

use crate::{
    genesis,
    library::{Library, Shelves},
    out,
    progress::Steps,
    round,
    slot::Place,
    submit::{Sender, Signing},
};
use aggregator::HandingIn;
use anyhow::{Context, Result, bail, ensure};
use blyan_chain::{AccountId, BlockNumber, ChainClient, Hash, Purpose, Round, RoundPhase, SpecRecord, State};
use blyan_learning::{
    block::ExpertDelta,
    items::Items,
    train::{DataSet, Device, MAX_ITEMS, Manifest, Method, Settings, expert_shares},
};
use blyan_model::exec::Model;
use blyan_primitives::{
    hash::blake2_256,
    ids::{ContentHash, SlotId},
    learning::{ItemRange, RoundId},
    spec::{F32Bits, weights_id},
};
use blyan_tensorblock::VerifiedBlock;
use clap::{Args, Subcommand, ValueEnum};
use course::{Budget, Course, Learned, Stop, StopOnDrop};
use folder::{About, Folder, Frame};
use hand_in::{Ready, Unfit};
use kept::{Kept, unfinished};
use serde_json::json;
use std::{
    collections::BTreeSet,
    convert::Infallible,
    fs::File,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Items that it is looked at where their tokens go, to choose a slot.
const SURVEYED: usize = 16;
/// Blocks before the end of a round's submission by which training ends: for encoding and submitting, and because what is
/// final lags behind.
const MARGIN: BlockNumber = 8;
/// The least that it is worth training for until then.
const LEAST: BlockNumber = 5;
/// How long a block takes.
const SLOT: Duration = Duration::from_secs(3);
/// Wait after the chain did not answer.
const PAUSE: Duration = Duration::from_secs(3);
/// Levels of the factors on either side of zero: measured to keep all of what was trained, at a quarter fewer bytes than 127.
const LEVELS: u8 = 31;

const EXAMPLES: &str = "\
Examples:
  blyan train --store my-store --key my.key
  blyan train --slot 20/1 --data 0x5c…e1 --minutes 10 --store my-store --key my.key
  blyan train --resume-from my-run --minutes 5 --store my-store --key my.key
  blyan train rebase my-run --store my-store --key my.key

The account's worker has to train, and to serve from the store: blyan-worker --roles serve,train --store my-store. An
aggregator that has taken the delta over, which is told, serves it while the worker is away.
Training begins with the head of the slot, and a round is opened on the slot when the delta is ready. Where one is open
already, training ends in time for it, if half of it is done by then. Ctrl-C keeps what was trained. After that, or should
the command be killed, the same command goes on where it was, and submits nothing twice.";

/// Train an expert of the model, submit what it has learned, and wait for the verdict.
///
/// Trains the expert of one slot on a training set of the chain, all else frozen, on this machine. What it has learned is
/// encoded as a delta, whose header is submitted to a round on the slot with a bond; evaluators fetch the delta from your
/// worker and measure it on data that nobody has seen. What helps is merged and paid.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = EXAMPLES)]
pub struct TrainArgs {
    #[command(subcommand)]
    command: Option<TrainCommand>,
    #[command(flatten)]
    begin: BeginArgs,
}

/// What is done with a delta that there is already.
#[derive(Subcommand, Debug)]
pub enum TrainCommand {
    /// Put a delta that came too late onto the slot's present head, and submit it again.
    ///
    /// The delta is added to the new head's weights as it is; nothing is trained. Its manifest is still that of the run which
    /// made it. Whether it helps there, too, is measured like any other.
    Rebase(RebaseArgs),
}

/// What to train, and on what.
#[derive(Args, Debug)]
pub struct BeginArgs {
    /// The slot, as LAYER/EXPERT [default: the one whose expert gets most tokens of the data, in the upper half of layers]
    #[arg(long, value_name = "L/I")]
    slot: Option<Place>,
    /// A training set, see `blyan data list` [default: the only one]
    #[arg(long, value_name = "BLOCK")]
    data: Option<ContentHash>,
    /// Train for so many minutes [default: 5]
    #[arg(long, value_name = "N", conflicts_with = "steps", value_parser = clap::value_parser!(u32).range(1..=10_080))]
    minutes: Option<u32>,
    /// Train until so many steps are taken, those of a run that is resumed among them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Train so many components for each matrix (LoRA): few learn quickly, and are small to send [default: 8]
    #[arg(long, value_name = "R", conflicts_with = "full", value_parser = clap::value_parser!(u8).range(1..))]
    rank: Option<u8>,
    /// Train every weight instead; such a delta is a hundred times larger.
    #[arg(long)]
    full: bool,
    /// How far a step goes [default: 0.005; with --full 0.0001]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    learning_rate: Option<f32>,
    /// Items a step.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// Decides the order of the data, and where factors start [default: your account's own]
    ///
    /// With the same seed on the same data two learners find the same, and the second is refused as a copy.
    #[arg(long)]
    seed: Option<u64>,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    device: DeviceName,
    /// Folder of the run: checkpoints, manifest, delta [default: one beside the default store, named by the run]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Go on with the run in this folder.
    #[arg(
        long, value_name = "DIR",
        conflicts_with_all = ["slot", "data", "rank", "full", "learning_rate", "seed", "run"],
    )]
    resume_from: Option<PathBuf>,
    /// Write the loss curve to this file, a line of JSON for each step [default: loss.jsonl in the run's folder]
    #[arg(long, value_name = "FILE")]
    curve: Option<PathBuf>,
    #[command(flatten)]
    handing_in: HandingIn,
    #[command(flatten)]
    shelves: Shelves,
    // Required by what it holds, but not with a command for a delta that there is, which has its own.
    #[command(flatten)]
    signing: Option<Signing>,
}

/// Which delta.
#[derive(Args, Debug)]
pub struct RebaseArgs {
    /// The folder of the run that made the delta.
    run: PathBuf,
    #[command(flatten)]
    handing_in: HandingIn,
    #[command(flatten)]
    shelves: Shelves,
    #[command(flatten)]
    signing: Signing,
}

/// What is computed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DeviceName {
    /// The processor; RAYON_NUM_THREADS says how many threads.
    Cpu,
    /// The first Nvidia card, in programs that were built with the feature cuda.
    Cuda,
}

impl DeviceName {
    fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => Device::new_cuda(0)
                .context("no Nvidia card can be used: build blyan with --features cuda, on a machine with one"),
        }
    }
}

fn rate(text: &str) -> Result<f32, String> {
    let rate: Option<f32> = text.parse().ok();
    rate.filter(|rate| *rate > 0.0 && *rate <= 1.0).ok_or_else(|| "it is no number above 0 and up to 1".to_owned())
}

/// Runs the command.
pub async fn run(args: TrainArgs) -> Result<()> {
    match args.command {
        Some(TrainCommand::Rebase(args)) => rebase(args).await,
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
        None => (prepare(&mut sender, &library, &args, &device).await?, None),
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
            let learned = train(&mut sender, &library, &args, &run, device).await?;
            encode(&sender, run, &learned)?
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
        let model = Model::load(folder::model_blocks(&frame, spec, &blocks)?)?;
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

/// Begins a run: what it is trained on, where, and from what.
async fn prepare(sender: &mut Sender, library: &Library, args: &BeginArgs, device: &Device) -> Result<Run> {
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

/// The settings of a run. How long it is does not matter to it: each step is the same in a longer one.
fn settings(args: &BeginArgs, documents: &[Vec<u32>], context: u32) -> Settings {
    let longest = documents.iter().map(Vec::len).max().unwrap_or_default();
    let window = u32::try_from(longest.saturating_sub(1)).unwrap_or(u32::MAX).clamp(1, context.max(1));
    // Items are parts of texts: they do not end where they end.
    let recipe = Settings::new(u32::MAX, None);
    let (method, learning_rate) = method(args);
    Settings { method, batch: args.batch, window, learning_rate, ..recipe }
}

/// What is trained of the expert, and how far a step goes.
fn method(args: &BeginArgs) -> (Method, F32Bits) {
    let recipe = Settings::new(u32::MAX, None);
    let (method, usual) = match args.full {
        true => (Method::Full, F32Bits::new(1e-4)),
        false => (args.rank.map_or(recipe.method, |rank| Method::LowRank { rank }), recipe.learning_rate),
    };
    (method, args.learning_rate.map_or(usual, F32Bits::new))
}

/// How much is enough.
fn budget(args: &BeginArgs) -> Budget {
    match args.steps {
        Some(steps) => Budget::Steps(steps),
        None => Budget::Time(Duration::from_secs(60 * u64::from(args.minutes.unwrap_or(5)))),
    }
}

/// Blocks that it takes at least to train what is worth submitting: half of what is asked for. Nobody knows how long a step
/// takes.
fn least(budget: Budget) -> BlockNumber {
    let blocks = match budget {
        Budget::Steps(_) => 0,
        Budget::Time(time) => (time / 2).as_secs().div_ceil(SLOT.as_secs()),
    };
    BlockNumber::try_from(blocks).unwrap_or(BlockNumber::MAX).max(LEAST)
}

/// A seed that no other account has.
fn seed_of(account: &AccountId) -> u64 {
    account.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Where runs are kept whose folders nobody names: beside the store that commands share.
fn default_runs() -> Result<PathBuf> {
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

/// The round on a slot that takes no delta of a run which begins now.
async fn occupied(state: &State, slot: SlotId, least: BlockNumber) -> Result<Option<(RoundId, Round)>> {
    let round = state.round_of(slot).await?;
    Ok(round.filter(|(_, round)| !is_joinable(&round.phase, state.block().number, least)))
}

/// Whether there are `least` blocks to train before a round takes no delta any more.
fn is_joinable(phase: &RoundPhase, now: BlockNumber, least: BlockNumber) -> bool {
    matches!(phase, RoundPhase::Open { until } if now.saturating_add(MARGIN).saturating_add(least) < *until)
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

/// Trains, in time for a round that takes deltas on the slot.
async fn train(sender: &mut Sender, library: &Library, args: &BeginArgs, run: &Run, device: Device) -> Result<Learned> {
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
    let deadline = match state.round_of(run.manifest.slot).await? {
        Some((_, Round { phase: RoundPhase::Open { until }, .. })) => {
            let blocks = until.saturating_sub(state.block().number).saturating_sub(MARGIN);
            Some(Instant::now() + SLOT.saturating_mul(blocks))
        },
        // What takes none any more ends without it: the next one is waited for.
        _ => None,
    };
    stop.by(deadline);
    Ok(())
}

/// Makes a delta of what was learned.
fn encode(sender: &Sender, run: Run, learned: &Learned) -> Result<(Ready, File)> {
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
    let details = json!({
        "manifest": id, "steps": manifest.settings.steps, "seconds": learned.seconds, "losses": learned.losses,
    });
    Ok((Ready { record, delta, block, about, base, folder, details }, claim))
}

/// Submits a delta on the head that its slot has now.
async fn rebase(args: RebaseArgs) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Words {
        #[command(subcommand)]
        command: Top,
    }

    #[derive(Subcommand, Debug)]
    enum Top {
        Train(TrainArgs),
    }

    fn parse(words: &[&str]) -> Result<TrainArgs, clap::Error> {
        let Top::Train(args) = Words::try_parse_from([&["blyan", "train"], words].concat())?.command;
        Ok(args)
    }

    pub(super) fn begun(words: &[&str]) -> BeginArgs {
        let begin = parse(&[words, &["--key", "//Alice"]].concat()).unwrap().begin;
        assert!(begin.signing.is_some());
        begin
    }

    #[test]
    fn a_key_is_enough_to_begin_with() {
        let args = begun(&[]);
        assert_eq!((args.slot, args.data, args.minutes, args.steps, args.batch), (None, None, None, None, 4));
        let args = begun(&["--slot", "20/1", "--minutes", "3", "--rank", "4", "--curve", "x", "--store", "s"]);
        assert_eq!((args.slot.unwrap().to_string(), args.minutes, args.rank), ("20/1".to_owned(), Some(3), Some(4)));
        assert!(parse(&["--slot", "20/1"]).is_err_and(|error| error.to_string().contains("--key")));
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        for words in [
            &["--minutes", "3", "--steps", "9"][..],
            &["--rank", "4", "--full"],
            &["--resume-from", "x", "--slot", "1/1"],
            &["--resume-from", "x", "--run", "y"],
            &["--minutes", "0"],
            &["--steps", "0"],
            &["--rank", "0"],
            &["--learning-rate", "0"],
            &["--learning-rate", "nan"],
        ] {
            assert!(parse(&[words, &["--key", "//Alice"]].concat()).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_delta_is_rebased_by_its_folder() {
        let args = parse(&["rebase", "my-run", "--key", "//Alice", "--store", "s"]).unwrap();
        let Some(TrainCommand::Rebase(args)) = args.command else { panic!("it is not understood") };
        assert_eq!(args.run, PathBuf::from("my-run"));
        assert!(parse(&["rebase", "--key", "//Alice"]).is_err() && parse(&["rebase", "my-run"]).is_err());
    }

    #[test]
    fn settings_are_the_recipe_but_for_what_is_asked() {
        let documents = vec![vec![0; 129]; 3];
        let recipe = Settings::new(u32::MAX, None);
        let usual = settings(&begun(&[]), &documents, 2_048);
        assert_eq!(usual, Settings { batch: 4, window: 128, ..recipe });
        let full = settings(&begun(&["--full"]), &documents, 64);
        assert_eq!((full.method, full.learning_rate, full.window), (Method::Full, F32Bits::new(1e-4), 64));
        let rate = settings(&begun(&["--rank", "3", "--learning-rate", "0.01"]), &documents, 64);
        assert_eq!((rate.method, rate.learning_rate), (Method::LowRank { rank: 3 }, F32Bits::new(0.01)));
    }

    #[test]
    fn rounds_are_joined_while_there_is_time() {
        let open = |until| RoundPhase::Open { until };
        assert!(is_joinable(&open(114), 100, 5) && !is_joinable(&open(113), 100, 5));
        assert!(!is_joinable(&open(114), 100, 6) && !is_joinable(&RoundPhase::Evaluating, 100, 0));
        // Two and a half minutes of five are 50 blocks.
        assert_eq!((least(budget(&begun(&[]))), least(budget(&begun(&["--steps", "9"])))), (50, LEAST));
    }

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
    fn two_accounts_have_two_seeds() {
        let seed = |uri| seed_of(&blyan_chain::Key::from_uri(uri).unwrap().account());
        assert_ne!(seed("//Alice"), seed("//Bob"));
        assert_eq!(seed("//Alice"), seed("//Alice"));
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
