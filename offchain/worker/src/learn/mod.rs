//! Rounds of learning: what a worker does in them beside training.
//!
//! - With the role *evaluate* it is enrolled, and serves on the committees that it is drawn for: see [`member`].
//! - With the role *aggregate* it stands for election as a primary. What is submitted to rounds that it is one of, and what names
//!   it as the aggregator, it takes over: see [`keeper`]. It publishes what a committee has accepted when it is its turn: see
//!   [`publisher`]. With either role it publishes what primaries have not.
//!
//! Everything follows from the finalized chain and from what is on disk: a worker that was ended goes on where it was.

mod blocks;
mod dispute;
mod evaluation;
mod keeper;
pub mod member;
mod memory;
pub mod publisher;

pub use blocks::urls;
pub use memory::{Found, Memory};

use crate::{
    assignment::AssignmentError,
    fetch::{FetchError, Fetcher},
    onchain::{Onchain, OnchainError},
    retry,
};
use blyan_chain::{
    AccountId, Call, ChainClient, ChainError, EvaluationPhase as Phase, LearningCall, RoundPhase, State,
};
use blyan_learning::{block::DeltaBlockError, evaluate::EvaluateError, fold::FoldError, referee::PlayError};
use blyan_model::{expert::ExpertError, trace::TraceError};
use blyan_primitives::{hash::blake2_256, ids::ContentHash, learning::RoundId, worker::Roles};
use blyan_store::{Store, StoreError};
use blyan_tensorblock::BlockError;
use codec::Encode;
use std::{collections::HashMap, io, sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Wait after the chain did not answer.
const PAUSE: Duration = Duration::from_secs(5);
/// Blocks after which it is looked again whether the worker is drawn and elected by what it has at stake.
const LOOK_EVERY: u32 = 20;
/// The same, while it has too little: somebody may be about to bond more.
const LOOK_FOR_BOND_EVERY: u32 = 4;
/// Most workers whose addresses are asked for blocks.
pub(crate) const MAX_DIRECTORY: usize = 64;

/// Why something of a round is not done.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The chain refused a call.
    #[error(transparent)]
    Onchain(#[from] OnchainError),
    /// A block is not here.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the committee is to evaluate cannot be told, or its model not be loaded.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// The round cannot be evaluated here.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// A delta of a round with a verdict is none.
    #[error(transparent)]
    Delta(#[from] DeltaBlockError),
    /// A master is none.
    #[error(transparent)]
    Master(#[from] ExpertError),
    /// Deltas cannot be merged.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// A block cannot be built.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A trace cannot be computed.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// There is no move.
    #[error(transparent)]
    Play(#[from] PlayError),
    /// The disk failed.
    #[error("the folder of rounds cannot be used: {0}")]
    Disk(#[from] io::Error),
    /// The chain does not know what it speaks of any more.
    #[error("the chain has no {0} any more")]
    Gone(&'static str),
    /// What was made is not what was accepted.
    #[error(
        "the deltas that were accepted merge into {found} here, not into {expected}: this program has a defect, or the chain"
    )]
    OtherCandidate {
        /// What was accepted.
        expected: ContentHash,
        /// What was made.
        found: ContentHash,
    },
    /// No randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// A task was cut short.
    #[error("the task was cut short: {0}")]
    Cut(String),
}

/// What tasks of rounds work with.
#[derive(Clone, Debug)]
pub struct Context {
    /// The chain.
    pub chain: ChainClient,
    /// The worker's hand on it.
    pub onchain: Onchain,
    /// Whose worker it is.
    pub account: AccountId,
    /// What it does.
    pub roles: Roles,
    /// Brings blocks.
    pub fetcher: Fetcher,
    /// Where they are.
    pub store: Store,
    /// What was found.
    pub memory: Memory,
    /// Threads for the model.
    pub threads: usize,
}

impl Context {
    /// Carries out a call of a round, once.
    async fn call(&self, round: RoundId, call: LearningCall) -> Result<(), LearnError> {
        let digest = blake2_256(&call.encode());
        let id = format!("round/{round}/{}", hex::encode(digest.first_chunk::<12>().unwrap_or(&[0; 12])));
        Ok(self.onchain.carry_out_named(id, Call::Learning(call)).await.map(drop)?)
    }

    /// Runs work that computes, or waits for the disk.
    async fn blocking<T: Send + 'static>(
        work: impl FnOnce() -> Result<T, LearnError> + Send + 'static,
    ) -> Result<T, LearnError> {
        tokio::task::spawn_blocking(work).await.map_err(|error| LearnError::Cut(error.to_string()))?
    }
}

/// Takes part in rounds.
#[derive(Debug)]
pub struct Rounds {
    context: Context,
    /// What is at work, by round.
    members: HashMap<RoundId, Task>,
    publishers: HashMap<RoundId, Task>,
    keepers: HashMap<RoundId, Task>,
    /// When it is looked again whether the worker is drawn and elected by what it has at stake.
    next_look: u32,
    asked_for_bond: bool,
}

/// A task that ends when it is dropped.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Rounds {
    /// With these.
    pub fn new(context: Context) -> Self {
        Self {
            context,
            members: HashMap::new(),
            publishers: HashMap::new(),
            keepers: HashMap::new(),
            next_look: 0,
            asked_for_bond: false,
        }
    }

    /// Whether a worker with these roles has anything to do in rounds.
    pub fn has_part(roles: Roles) -> bool {
        roles.contains(Roles::EVALUATE) || roles.contains(Roles::AGGREGATE)
    }

    /// Looks at each finalized head until `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut seen = 0;
        loop {
            let work = async {
                let head = self.context.chain.wait_finalized(seen).await?;
                seen = head.number.saturating_add(1);
                self.look().await
            };
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = work => result,
            };
            if let Err(error) = result {
                tracing::warn!(%error, "rounds cannot be looked at");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(retry::jittered(PAUSE)) => {},
                }
            }
        }
    }

    async fn look(&mut self) -> Result<(), LearnError> {
        let state = self.context.chain.at_finalized().await?;
        let now = state.block().number;
        let roles = self.context.roles;
        if now >= self.next_look {
            let is_candidate = self.keep_candidate(&state).await?;
            self.next_look = now.saturating_add(if is_candidate { LOOK_EVERY } else { LOOK_FOR_BOND_EVERY });
        }
        let rounds = state.ongoing_rounds().await?;
        self.members.retain(|_, task| !task.0.is_finished());
        self.publishers.retain(|_, task| !task.0.is_finished());
        self.keepers.retain(|_, task| !task.0.is_finished());
        for (id, round) in &rounds {
            if roles.contains(Roles::AGGREGATE) && !self.keepers.contains_key(id) {
                let (context, id) = (self.context.clone(), *id);
                let task = tokio::spawn(async move { keeper::keep(context, id).await });
                self.keepers.insert(id, Task(task));
            }
            match round.phase {
                RoundPhase::Evaluating if roles.contains(Roles::EVALUATE) => {
                    if self.members.contains_key(id) || !self.is_seated(&state, *id).await? {
                        continue;
                    }
                    let (context, id) = (self.context.clone(), *id);
                    let task = tokio::spawn(async move { member::serve(context, id).await });
                    self.members.insert(id, Task(task));
                },
                RoundPhase::Accepted { .. } if !self.publishers.contains_key(id) => {
                    // What is sent now is in the next block at the earliest.
                    let turn = state.turn(*id, &self.context.account).await?;
                    if turn.is_some_and(|turn| turn <= now.saturating_add(1)) {
                        let (context, id) = (self.context.clone(), *id);
                        let task = tokio::spawn(async move { publisher::publish(context, id).await });
                        self.publishers.insert(id, Task(task));
                    }
                },
                _ => {},
            }
        }
        self.context.memory.retain(|round| rounds.iter().any(|(id, _)| *id == round))?;
        Ok(())
    }

    async fn is_seated(&self, state: &State, round: RoundId) -> Result<bool, LearnError> {
        let goes_on = state.evaluation(round).await?.is_some_and(|evaluation| evaluation.phase != Phase::Over);
        Ok(goes_on && state.seat(round, &self.context.account).await?.is_some())
    }

    /// Has the account drawn for committees, and stand for election, by what it has at stake now. Returns whether that is enough.
    async fn keep_candidate(&mut self, state: &State) -> Result<bool, LearnError> {
        let Some(worker) = state.worker(&self.context.account).await? else { return Ok(false) };
        let least = state.pact().await?.staking.min_worker_bond;
        let has_enough = worker.bond >= least;
        if !has_enough && !self.asked_for_bond {
            self.asked_for_bond = true;
            tracing::warn!(
                bond = worker.bond,
                least,
                "the worker has too little at stake to take part in rounds: bond more with `blyan stake worker`"
            );
        }
        if self.context.roles.contains(Roles::EVALUATE) {
            self.keep_enrolled(state, worker.bond, has_enough).await?;
        }
        if self.context.roles.contains(Roles::AGGREGATE) && has_enough {
            self.keep_standing(state).await?;
        }
        Ok(has_enough)
    }

    async fn keep_standing(&self, state: &State) -> Result<(), LearnError> {
        let account = self.context.account;
        if state.candidacy(&account).await?.is_some() {
            return Ok(());
        }
        // It may stand down, and stand again.
        let id = format!("primary/{}", state.block().number);
        match self.context.onchain.carry_out_named(id, Call::Learning(LearningCall::Stand)).await {
            Ok(_) => tracing::info!(%account, "the worker stands for election as a primary"),
            // As many stand as can, each with as much at stake. It is tried again later.
            Err(error) => tracing::warn!(%account, %error, "the worker cannot stand for election as a primary"),
        }
        Ok(())
    }

    async fn keep_enrolled(&self, state: &State, bond: u128, has_enough: bool) -> Result<(), LearnError> {
        let account = self.context.account;
        let call = match state.evaluator(&account).await? {
            None if !has_enough => return Ok(()),
            None => LearningCall::Enrol,
            Some(enrolment) if enrolment.stake != bond => LearningCall::Refresh { who: account },
            Some(_) => return Ok(()),
        };
        // The same may be due again later.
        let id = format!("evaluator/{}", state.block().number);
        self.context.onchain.carry_out_named(id, Call::Learning(call)).await?;
        tracing::info!(%account, bond, "the worker can be drawn for committees");
        Ok(())
    }
}

/// A flag that is raised when this is dropped: for work on a thread that somebody waits for.
#[derive(Debug, Default)]
struct Cancel(Arc<std::sync::atomic::AtomicBool>);

impl Cancel {
    fn flag(&self) -> impl Fn() -> bool + Send + 'static {
        let flag = self.0.clone();
        move || flag.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
