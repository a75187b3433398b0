//! From a delta to its verdict: onto the slot's head, into a round, to whoever measures it.

use super::{
    aggregator::{self, Choice},
    folder::{About, Folder, Judged},
};
use crate::{
    library::Library,
    out,
    round::{self, watch},
    slot::Place,
    submit::Sender,
    units::{Bly, nats},
    verdict,
};
use anyhow::{Context, Result, bail, ensure};
use blyan_chain::{
    AccountId, BlockNumber, BlockRef, ChainClient, Delta, DispatchError, Event, Lateness, LearningCall, LearningEvent,
    Round, RoundOutcome, RoundPhase, SpecRecord, State, Work, tx::SubmissionError,
};
use blyan_learning::{
    block::ExpertDelta,
    fold::{WHOLE, fold},
};
use blyan_model::expert::Master;
use blyan_primitives::{
    block::ExpertShape,
    ids::{ContentHash, SlotId},
    learning::{DeltaHeader, DeltaOutcome, RoundId},
    spec::ModelSpec,
    worker::Roles,
};
use blyan_tensorblock::VerifiedBlock;
use blyan_worker::{fetch::Peers, learn::urls};
use serde_json::{Value, json};
use std::{fmt, time::Duration};
use tokio::time::sleep;

/// How often a worker is asked whether it serves a delta, and how long between.
const ASK: u32 = 5;
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often a round is looked for: others can be quicker.
const TRIES: u32 = 8;
/// Most rounds that are looked through for a delta that was submitted, from the newest.
const MAX_ROUNDS: u32 = 10_000;
/// What the chain says when somebody else was quicker, or this account with the same delta: it is looked again then.
const OUTRUN: [&str; 4] = ["RoundInProgress", "RoundFull", "AlreadySubmitted", "AggregatorDoesNotStand"];

/// A delta that is to be submitted.
pub(super) struct Ready {
    pub(super) record: SpecRecord,
    pub(super) delta: ExpertDelta,
    pub(super) block: VerifiedBlock,
    pub(super) about: About,
    /// The head that it is submitted on.
    pub(super) base: ContentHash,
    pub(super) folder: Folder,
    /// What else is told of it.
    pub(super) details: Value,
}

/// A delta that was submitted.
pub(super) struct Submitted {
    round: RoundId,
    index: u32,
    header: DeltaHeader,
    /// Who takes it over.
    aggregator: Option<AccountId>,
    /// The block from which on it is followed.
    after: BlockRef,
    /// The block that it is in; nothing when another command submitted it.
    block: Option<BlockNumber>,
}

/// Why the chain has no use for a delta as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It has too many bytes.
    Size {
        /// Its bytes.
        bytes: u64,
        /// The most that there can be.
        most: u32,
    },
    /// Its changes are lost where weights are rounded.
    ChangesNothing,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { bytes, most } => {
                write!(
                    f,
                    "the delta has {bytes} bytes, the chain takes {most}: train fewer components, with a lower --rank"
                )
            },
            Self::ChangesNothing => {
                f.write_str("the delta changes nothing: train longer, or with a higher --learning-rate")
            },
        }
    }
}

impl std::error::Error for Unfit {}

/// The shape of a model's experts.
pub(super) fn shape(spec: &ModelSpec) -> ExpertShape {
    ExpertShape { ffn: spec.dimensions.ffn, hidden: spec.dimensions.hidden }
}

/// Refuses an account that the chain takes no delta of.
pub(super) async fn check_learner(state: &State, account: &AccountId) -> Result<()> {
    let worker = state.worker(account).await?;
    let worker = worker.with_context(|| {
        format!(
            "{account} has no worker, which serves its deltas to those who measure them: start one with this account, \
             blyan-worker --roles serve,train"
        )
    })?;
    ensure!(
        worker.info.roles.contains(Roles::TRAIN),
        "the worker of {account} does not train: start it with --roles serve,train, with others that it has"
    );
    Ok(())
}

/// The block that a slot holds.
pub(super) async fn head_of(state: &State, record: &SpecRecord, slot: Place) -> Result<ContentHash> {
    let heads = state.heads_of_layer_at(record.id, slot.layer, state.block().number).await?;
    let head = heads.get(usize::from(slot.index)).copied().flatten();
    head.with_context(|| format!("slot {slot} holds nothing"))
}

/// The master that a slot's head was made of.
pub(super) async fn master_of(state: &State, library: &Library, slot: SlotId) -> Result<VerifiedBlock> {
    let place = Place::from(slot);
    let master = state.head_master(slot).await?;
    let master =
        master.with_context(|| format!("the chain does not know what the head of slot {place} was made of"))?;
    library.one(master).await.with_context(|| {
        format!(
            "the master of slot {place} is not in the store: `blyan model master --slot {place} --source FILE.gguf` makes that \
             of a slot which has not moved yet, others come from workers that aggregate, with --peers"
        )
    })
}

/// A head that has moved while a delta on it was made.
fn stale(slot: Place, folder: &Folder) -> anyhow::Error {
    anyhow::anyhow!(
        "the head of slot {slot} has moved meanwhile; the delta is kept, and put on the new head by: blyan train rebase {}",
        folder.path().display()
    )
}

/// Submits a delta where it is not yet in a round, and waits for the verdict.
pub(super) async fn run(sender: &mut Sender, library: &Library, ready: &Ready, aggregator: Choice) -> Result<()> {
    let slot = Place::from(ready.about.slot);
    let state = sender.state().await?;
    // So that the master is that of the same head.
    if head_of(&state, &ready.record, slot).await? != ready.base {
        return Err(stale(slot, &ready.folder));
    }
    let master = sender.unless_interrupted(master_of(&state, library, ready.about.slot)).await?;
    let header = header(&state, ready, master)?;
    // Before it is submitted: a command that is killed right after would leave a delta in a round that nobody can fetch, which
    // costs a part of the bond. Its bytes name their learner, and are of no use to others.
    library.store.put_verified(&ready.block)?;
    let submitted = submit(sender, ready, &header, aggregator).await?;
    follow(sender, &ready.folder, ready.about.slot, submitted, &ready.details).await
}

/// Waits for the end of a round with a delta of the account, and tells what came of it.
pub(super) async fn follow(
    sender: &mut Sender,
    folder: &Folder,
    slot: SlotId,
    submitted: Submitted,
    details: &Value,
) -> Result<()> {
    let Submitted { round: id, index, header, aggregator, after, block } = &submitted;
    if !sender.is_json() {
        let when = block.map_or_else(|| "by a former command".to_owned(), |block| format!("in block {block}, final"));
        let slot = Place::from(slot);
        out::line(format_args!(
            "delta {index} of round {id} on slot {slot} is submitted, {} bytes, {when}",
            header.size
        ))?;
        if let Some(aggregator) = aggregator {
            out::line(format_args!("{aggregator} is to take it over"))?;
        }
    }
    let ended = wait(sender, &submitted, *after).await;
    if ended.is_err() {
        eprintln!(
            "the delta is submitted: the same command again waits for the verdict, as does `blyan round watch {id}`"
        );
    }
    let (state, round) = ended?;
    let delta = state.deltas(*id).await?.into_iter().nth(*index as usize);
    let outcome = delta.and_then(|delta| delta.outcome);
    let paid = verdict::rewards(&sender.client, *id, &round.phase).await?;
    let account = sender.account();
    let own = |paid: Vec<verdict::Paid>| {
        let own = paid.iter().filter(|paid| paid.who == account && paid.work == Work::Delta);
        own.fold(0u128, |sum, paid| sum.saturating_add(paid.amount))
    };
    report(sender, folder, &submitted, &round, outcome, paid.map(own), details)?;
    folder.note_judged(&Judged { chain: sender.client.genesis(), round: *id, block: header.block })
}

/// The last round that a delta of an account was submitted to, unless its end was told: that of `judged`.
pub(super) async fn find(
    state: &State,
    account: &AccountId,
    slot: SlotId,
    block: ContentHash,
    judged: Option<Judged>,
) -> Result<Option<Submitted>> {
    let rounds = state.rounds(MAX_ROUNDS).await?;
    for (id, _) in rounds.into_iter().filter(|(_, round)| round.slot == slot) {
        let own = |(_, delta): &(u32, Delta)| delta.learner == *account && delta.header.block == block;
        let Some((index, delta)) = (0..).zip(state.deltas(id).await?).find(own) else { continue };
        if judged.is_some_and(|judged| (judged.round, judged.block) == (id, block)) {
            return Ok(None);
        }
        let Delta { header, aggregator, .. } = delta;
        return Ok(Some(Submitted { round: id, index, header, aggregator, after: state.block(), block: None }));
    }
    Ok(None)
}

/// What is said of a delta on a head.
fn header(state: &State, ready: &Ready, master: VerifiedBlock) -> Result<DeltaHeader> {
    let base = ready.base;
    let most = state.parameters()?.max_delta_size;
    let bytes = ready.block.header().data_len;
    let size = u32::try_from(bytes).ok().filter(|size| *size <= most).ok_or(Unfit::Size { bytes, most })?;
    let master = Master::new(master, shape(&ready.record.spec))?;
    let serving = tokio::task::block_in_place(|| fold(&master, &[(&ready.delta, WHOLE)]))?.serving.hash();
    if serving == base {
        return Err(Unfit::ChangesNothing.into());
    }
    let (block, codec) = (ready.block.hash(), ready.delta.codec());
    let About { manifest, data, .. } = &ready.about;
    Ok(DeltaHeader { base, block, serving, size, codec, manifest: manifest.0, data: *data })
}

/// Puts a delta into the slot's round, which is opened where there is none.
async fn submit(sender: &mut Sender, ready: &Ready, header: &DeltaHeader, choice: Choice) -> Result<Submitted> {
    let slot = ready.about.slot;
    let judged = ready.folder.judged(sender.client.genesis())?;
    for _ in 0..TRIES {
        // Each time anew: what a command that was killed had sent can be in a block by now.
        let state = sender.state().await?;
        if let Some(found) = find(&state, &sender.account(), slot, header.block, judged).await? {
            return Ok(found);
        }
        let Some(round) = place(sender, ready, &state).await? else { continue };
        let account = sender.account();
        let chosen = aggregator::choose(&state, choice, &account);
        let aggregator = sender.unless_interrupted(chosen).await?;
        let call = LearningCall::SubmitDelta { round, header: header.clone(), aggregator };
        let sent = match sender.send(call).await {
            Err(error) if is_outrun(&error) => continue,
            sent => sent.with_context(|| format!("submitting the delta to round {round}"))?,
        };
        let what = sent.event(|event| match event {
            Event::Learning(LearningEvent::DeltaSubmitted { index, .. }) => Some(Ok(*index)),
            Event::Learning(LearningEvent::DeltaRefused { reason, .. }) => Some(Err(*reason)),
            _ => None,
        })?;
        match what {
            Ok(index) => {
                let (after, block) = (sent.block, Some(sent.block.number));
                return Ok(Submitted { round, index, header: header.clone(), aggregator, after, block });
            },
            Err(Lateness::StaleBase) => return Err(stale(Place::from(slot), &ready.folder)),
            // It was closed just before: the next one, if the head stays.
            Err(Lateness::Closed) => {},
        }
    }
    bail!(
        "no round on slot {} took the delta, which is kept: try again with `blyan train rebase {}`",
        Place::from(slot),
        ready.folder.path().display()
    )
}

/// A round that takes the delta; nothing where somebody was quicker, and it has to be looked again.
async fn place(sender: &mut Sender, ready: &Ready, state: &State) -> Result<Option<RoundId>> {
    let slot = Place::from(ready.about.slot);
    if head_of(state, &ready.record, slot).await? != ready.base {
        return Err(stale(slot, &ready.folder));
    }
    let Some((id, round)) = state.round_of(ready.about.slot).await? else {
        return match round::begin(sender, slot, &ready.record).await {
            Ok((opened, _)) => Ok(Some(opened.round)),
            Err(error) if is_outrun(&error) => Ok(None),
            Err(error) => Err(error),
        };
    };
    let deltas = state.deltas(id).await?;
    let is_open = matches!(round.phase, RoundPhase::Open { until } if state.block().number.saturating_add(1) < until);
    let has_room = (deltas.len() as u64) < u64::from(round.terms.max_deltas);
    let account = sender.account();
    // A delta of this account that is another one.
    let is_first = deltas.iter().all(|delta| delta.learner != account);
    if is_open && has_room && is_first {
        return Ok(Some(id));
    }
    let why = match (is_open, has_room) {
        (false, _) => round::phase_text(&round.phase),
        (true, false) => "full".to_owned(),
        (true, true) => "one that your account has a delta in already".to_owned(),
    };
    eprintln!("round {id} on slot {slot} is {why}; the delta is for the next one, so the end of it is waited for");
    wait_for_slot(sender, id, state.block()).await?;
    Ok(None)
}

/// Waits until a round that takes no deltas any more is over.
pub(super) async fn wait_for_slot(sender: &mut Sender, round: RoundId, after: BlockRef) -> Result<()> {
    let client = sender.client.clone();
    let steps = crate::progress::Steps::new();
    let mut quiet = |_, _: &LearningEvent| Ok(());
    let over = watch::until_over(&client, round, after, &steps, &mut quiet);
    let result = sender.unless_interrupted(over).await.map(drop);
    steps.finish();
    result
}

fn is_outrun(error: &anyhow::Error) -> bool {
    let Some(SubmissionError::Dispatch { error, .. }) = error.downcast_ref() else { return false };
    matches!(&**error, DispatchError::Pallet { pallet, name, .. } if pallet == "Experts" && OUTRUN.contains(&&**name))
}

/// Why evaluators cannot fetch a block from its learner's worker; nothing where they can.
async fn is_served(client: &ChainClient, account: &AccountId, block: ContentHash) -> Result<Option<String>> {
    let state = client.at_finalized().await?;
    let urls = state.worker(account).await?.as_ref().map(urls).unwrap_or_default();
    if urls.is_empty() {
        return Ok(Some(format!(
            "the worker of {account} has no address on chain that blocks are fetched from: give it one, see blyan-worker \
             --public-url"
        )));
    }
    let peers = Peers::new(&urls)?;
    for attempt in 0..ASK {
        for peer in peers.ranked() {
            if peer.header(&block).await.is_ok() {
                return Ok(None);
            }
        }
        if attempt.saturating_add(1) < ASK {
            sleep(ASK_EVERY).await;
        }
    }
    Ok(Some(format!(
        "the worker of {account} does not serve the delta at {}: has --store to be the folder that it serves from? Without it \
         nobody can measure the delta, and a part of the bond is lost",
        urls.join(", ")
    )))
}

/// Waits for the end of a round; says before whether evaluators can fetch the delta.
async fn wait(sender: &mut Sender, submitted: &Submitted, after: BlockRef) -> Result<(State, Round)> {
    let Submitted { round, header, aggregator, .. } = submitted;
    let (client, account, is_json) = (sender.client.clone(), sender.account(), sender.is_json());
    let steps = crate::progress::Steps::new();
    let mut tell = |block: BlockRef, event: &LearningEvent| match watch::told(event) {
        Some(text) if !is_json => out::line(format_args!("block {}  {text}", block.number)),
        _ => Ok(()),
    };
    let over = async {
        let state = client.at_finalized().await?;
        let is_over = round::known(&state, *round).await?.is_over();
        if !is_over && let Some(problem) = is_served(&client, &account, header.block).await? {
            eprintln!("warning: {problem}");
        }
        let kept = async {
            if !is_over && !is_json {
                let told = aggregator::tell_taken_over(&state, *round, header.block, *aggregator, &account).await;
                told.unwrap_or_else(|error| eprintln!("whether the delta is taken over cannot be told: {error:#}"));
            }
            // It ends with the round.
            std::future::pending().await
        };
        tokio::select! {
            over = watch::until_over(&client, *round, after, &steps, &mut tell) => over,
            never = kept => never,
        }
    };
    let result = sender.unless_interrupted(over).await;
    steps.finish();
    result
}

/// Tells what came of it.
fn report(
    sender: &Sender,
    folder: &Folder,
    submitted: &Submitted,
    round: &Round,
    outcome: Option<DeltaOutcome>,
    paid: Option<u128>,
    details: &Value,
) -> Result<()> {
    let Submitted { round: id, index, header, aggregator, block, .. } = submitted;
    let slot = Place::from(round.slot);
    let (ended, at) = match &round.phase {
        RoundPhase::Over { outcome, at } => (Some(*outcome), Some(*at)),
        _ => (None, None),
    };
    if sender.is_json() {
        let mut value = json!({
            "round": id, "delta": index, "outcome": outcome, "round_outcome": ended, "ended_at": at,
            "reward": paid.map(|paid| paid.to_string()), "header": header, "aggregator": aggregator,
            "submitted_in": block, "slot": round.slot,
            "run": folder.path(),
        });
        if let (Some(value), Value::Object(details)) = (value.as_object_mut(), details.clone()) {
            value.extend(details);
        }
        return out::line(serde_json::to_string_pretty(&value)?);
    }
    let own = match outcome {
        None => "not judged".to_owned(),
        Some(outcome) => round::delta_text(Some(&outcome)),
    };
    out::line(format_args!("\nyour delta: {own}"))?;
    match ended {
        Some(RoundOutcome::Committed(accepted)) => {
            out::line(format_args!(
                "the head of slot {slot} has moved to {} in block {}: {}",
                accepted.serving,
                at.unwrap_or_default(),
                nats(accepted.gain)
            ))?;
            match (outcome, paid) {
                (Some(DeltaOutcome::Merged(_)), Some(paid)) => {
                    out::line(format_args!("you are paid {}", Bly(paid).short()))?;
                },
                (Some(DeltaOutcome::Merged(_)), None) => {
                    out::line("what you are paid the node has forgotten; a node that keeps all blocks has it")?;
                },
                _ => {},
            }
        },
        Some(outcome) => out::line(format_args!("the head of slot {slot} stays: {}", round::outcome_text(&outcome)))?,
        None => {},
    }
    // Nothing was found against it.
    let is_blameless = matches!(outcome, None | Some(DeltaOutcome::Withheld));
    if is_blameless || matches!(ended, Some(RoundOutcome::Lapsed(_))) {
        out::line(format_args!("submit it again: blyan train rebase {}", folder.path().display()))?;
    }
    match outcome {
        Some(_) => out::line(format_args!("all numbers: blyan verdict show {id}")),
        None => Ok(()),
    }
}
