//! The engine: a model on this machine's processors.

use super::{
    KvCache,
    cpu::{Cpu, CpuError, CpuPath, check_floats},
    forward::{Executor, Failure, LOGIT_ROWS, Run, Workspace},
    model::Model,
    pool::{Chunks, Pool},
};
use crate::{
    sampler::{Sampler, SamplingError},
    session::{PrefillProgress, Session},
};
use blyan_primitives::{ids::WeightsId, receipt::Sampling};
use core::{
    ops::{ControlFlow, Range},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};
use parking_lot::Mutex;
use std::{io, sync::Arc};

/// Most threads of an engine.
pub const MAX_THREADS: usize = 256;
/// Most tokens of a pass.
pub const MAX_PASS_TOKENS: usize = 4096;

/// How an engine uses the machine. No setting changes a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Threads, 1 to [`MAX_THREADS`]; 0 takes one for each processor.
    pub threads: usize,
    /// Code path; `None` takes what `BLYAN_CPU` names, or else the machine's best.
    pub cpu: Option<CpuPath>,
    /// Most tokens that pass through the model together, 1 to [`MAX_PASS_TOKENS`]: more make prefill faster and take more
    /// memory.
    pub pass_tokens: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { threads: 0, cpu: None, pass_tokens: 128 }
    }
}

impl EngineConfig {
    /// Checks the configuration, chooses the code path and starts threads that compute as canonical execution needs it.
    pub(crate) fn start(&self) -> Result<(Cpu, Pool), EngineError> {
        let threads = match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS),
            threads if threads <= MAX_THREADS => threads,
            threads => return Err(EngineError::Threads(threads)),
        };
        if !(1..=MAX_PASS_TOKENS).contains(&self.pass_tokens) {
            return Err(EngineError::PassTokens(self.pass_tokens));
        }
        let path = self.cpu.map_or_else(CpuPath::from_env, Ok)?;
        let cpu = Cpu::new(path)?;
        let mut pool = Pool::new(threads).map_err(EngineError::Spawn)?;
        let unsound = AtomicBool::new(false);
        pool.on_every_worker(&|| {
            unsound.fetch_or(check_floats().is_err(), Relaxed);
        });
        if unsound.into_inner() {
            return Err(CpuError::FloatMode.into());
        }
        Ok((cpu, pool))
    }
}

/// Why an engine could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The code path cannot be used.
    #[error(transparent)]
    Cpu(#[from] CpuError),
    /// The number of threads is out of bounds.
    #[error("{0} threads are more than {MAX_THREADS}")]
    Threads(usize),
    /// The number of tokens in a pass is out of bounds.
    #[error("{0} tokens a pass are not 1 to {MAX_PASS_TOKENS}")]
    PassTokens(usize),
    /// The system did not start a thread.
    #[error("cannot start a thread: {0}")]
    Spawn(#[source] io::Error),
}

/// Why a request was refused, or a session cannot go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExecError {
    /// The calling thread computes in another floating-point mode than canonical execution.
    #[error(transparent)]
    Cpu(#[from] CpuError),
    /// There is nothing to answer.
    #[error("the prompt has no tokens")]
    EmptyPrompt,
    /// No token may be produced.
    #[error("max_tokens is 0")]
    NoOutput,
    /// A token is not in the vocabulary.
    #[error("token {token} at position {position} is not in the vocabulary of {vocab}")]
    UnknownToken {
        /// Position in the sequence.
        position: usize,
        /// The token.
        token: u32,
        /// Tokens of the vocabulary.
        vocab: u32,
    },
    /// Prompt and answer together do not fit the context.
    #[error("{prompt} tokens of prompt and up to {max_tokens} of answer do not fit the context of {context}")]
    TooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Most tokens of the answer.
        max_tokens: usize,
        /// Tokens of the context.
        context: usize,
    },
    /// The sampling parameters make no sense.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// The session was made for other weights.
    #[error("the session is for weights {session}, this engine has {engine}")]
    OtherWeights {
        /// The session's.
        session: WeightsId,
        /// The engine's.
        engine: WeightsId,
    },
    /// The prompt has to be consumed first.
    #[error("{} of {} prompt tokens are consumed; prefill first", .0.consumed, .0.total)]
    NotPrefilled(PrefillProgress),
    /// The answer has its most tokens.
    #[error("the answer already has its {0} tokens")]
    Full(usize),
    /// The weights lead to infinities or to no numbers.
    #[error("the {what} after {layer} layers is not finite at position {position}: the weights cannot be executed")]
    NotFinite {
        /// Position in the sequence.
        position: usize,
        /// Layers passed.
        layer: usize,
        /// What was computed.
        what: &'static str,
    },
}

impl ExecError {
    fn not_finite(failure: Failure, position: usize) -> Self {
        Self::NotFinite { position, layer: failure.layer, what: failure.what }
    }
}

/// A model on this machine's processors.
///
/// Calls from several threads take turns: a pass uses all of the engine's threads.
pub struct Engine {
    model: Arc<Model>,
    cpu: Cpu,
    threads: usize,
    state: Mutex<State>,
}

struct State {
    pool: Pool,
    work: Workspace,
}

/// Called for each position: its number, its hidden bits, its logits.
pub(crate) type Visit<'a> = dyn FnMut(usize, &[u8], Option<&[f32]>) -> ControlFlow<()> + 'a;

impl Engine {
    /// Starts threads and allocates the memory of a pass.
    pub fn new(model: Arc<Model>, config: EngineConfig) -> Result<Self, EngineError> {
        let (cpu, pool) = config.start()?;
        let threads = pool.workers();
        let work = Workspace::new(&model, config.pass_tokens, threads);
        Ok(Self { model, cpu, threads, state: Mutex::new(State { pool, work }) })
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The code path.
    pub fn cpu(&self) -> CpuPath {
        self.cpu.path()
    }

    /// Threads that a pass uses.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Bytes of keys and values that a session of `tokens` tokens takes when it is complete.
    pub fn cache_bytes(&self, tokens: usize) -> usize {
        KvCache::bytes_for(self.model.dimensions(), tokens)
    }

    /// A session for `prompt` with an answer of at most `max_tokens` tokens.
    pub fn session(&self, prompt: &[u32], sampling: Sampling, max_tokens: usize) -> Result<Session, ExecError> {
        let sampler = Sampler::new(sampling)?;
        if max_tokens == 0 {
            return Err(ExecError::NoOutput);
        }
        self.check_tokens(prompt, max_tokens)?;
        let cache = KvCache::new(self.model.dimensions());
        Session::new(self.model.weights_id(), sampler, prompt, max_tokens, cache)
    }

    /// Checks that there are tokens, that they are in the vocabulary, and that they and `more` fit the context.
    pub(crate) fn check_tokens(&self, tokens: &[u32], more: usize) -> Result<(), ExecError> {
        let d = self.model.dimensions();
        if tokens.is_empty() {
            return Err(ExecError::EmptyPrompt);
        }
        let context = d.context as usize;
        if tokens.len().saturating_add(more) > context {
            return Err(ExecError::TooLong { prompt: tokens.len(), max_tokens: more, context });
        }
        match tokens.iter().enumerate().find(|(_, token)| **token >= d.vocab) {
            Some((position, token)) => Err(ExecError::UnknownToken { position, token: *token, vocab: d.vocab }),
            None => Ok(()),
        }
    }

    /// Consumes up to `max_tokens` tokens of the session's prompt, all but the last, which the first decoding step consumes.
    ///
    /// Call it until [`PrefillProgress::is_done`]; between calls the session can be dropped, or others be served.
    pub fn prefill(&self, session: &mut Session, max_tokens: usize) -> Result<PrefillProgress, ExecError> {
        self.check_session(session)?;
        let PrefillProgress { consumed, total } = session.prefill_progress();
        let range = consumed..total.min(consumed.saturating_add(max_tokens));
        let Session { tokens, cache, chain, .. } = session;
        self.walk(cache, tokens, range, usize::MAX, &mut |position, hidden, _| {
            chain.extend(hidden, tokens[position + 1]);
            ControlFlow::Continue(())
        })?;
        Ok(session.prefill_progress())
    }

    /// One step of every session of the batch: consumes its last token and chooses the next, which is returned in the
    /// sessions' order and appended to their tokens.
    ///
    /// Sessions do not influence each other: one that cannot go on gets its error and stays as it was, the others their tokens.
    pub fn decode(&self, batch: &mut [&mut Session]) -> Vec<Result<u32, ExecError>> {
        let mut results: Vec<Result<u32, ExecError>> =
            batch.iter().map(|s| self.check_decodable(s).map(|()| 0)).collect();
        let mut ready: Vec<(&mut Session, &mut Result<u32, ExecError>)> = Vec::with_capacity(batch.len());
        ready.extend(batch.iter_mut().map(|s| &mut **s).zip(&mut results).filter(|(_, result)| result.is_ok()));
        let State { pool, work } = &mut *self.state.lock();
        for sessions in ready.chunks_mut(work.tokens()) {
            let mut runs: Vec<Run<'_>> = Vec::with_capacity(sessions.len());
            runs.extend(sessions.iter_mut().map(|(session, _)| {
                let start = session.consumed();
                Run { cache: &mut session.cache, tokens: &session.tokens[start..], start }
            }));
            let mut executor = Executor { model: &self.model, cpu: self.cpu, pool, work };
            executor.pass(&mut runs);
            for (number, some) in sessions.chunks_mut(LOGIT_ROWS).enumerate() {
                let first = number * LOGIT_ROWS;
                executor.logits(first..first + some.len());
                let work = &*executor.work;
                let mut chosen = vec![Ok(0); some.len()];
                executor.pool.each(Chunks::new(&mut chosen, 1), |row, chosen| {
                    let session = &some[row].0;
                    chosen.fill(work.logits(row, first + row).map(|logits| session.choose(logits)));
                });
                for (row, ((session, result), chosen)) in some.iter_mut().zip(chosen).enumerate() {
                    **result = chosen.map_err(|failure| ExecError::not_finite(failure, session.consumed()));
                    if let Ok(token) = chosen {
                        session.advance(work.hidden_bits(first + row), token);
                    }
                }
            }
        }
        results
    }

    /// Passes `tokens` through the model and shows `visit` the logits, `[vocab]`, at each position from `from` on, in order:
    /// what the model expects after the tokens up to that position. This is how a text is scored.
    ///
    /// `visit` must not call the engine.
    pub fn logits(&self, tokens: &[u32], from: usize, visit: &mut dyn FnMut(usize, &[f32])) -> Result<(), ExecError> {
        self.check_tokens(tokens, 0)?;
        let mut cache = KvCache::new(self.model.dimensions());
        self.walk(&mut cache, tokens, 0..tokens.len(), from, &mut |position, _, logits| {
            if let Some(logits) = logits {
                visit(position, logits);
            }
            ControlFlow::Continue(())
        })
    }

    /// Consumes `tokens[positions]`, the earlier ones being in `cache`, and shows `visit` each position in order, its hidden
    /// bits, and from position `logits_from` on its logits, until it breaks.
    pub(crate) fn walk(
        &self,
        cache: &mut KvCache,
        tokens: &[u32],
        positions: Range<usize>,
        logits_from: usize,
        visit: &mut Visit<'_>,
    ) -> Result<(), ExecError> {
        check_floats()?;
        let mut start = positions.start;
        while start < positions.end {
            // One pass at a time, so that others get their turn.
            let State { pool, work } = &mut *self.state.lock();
            let end = positions.end.min(start + work.tokens());
            let mut executor = Executor { model: &self.model, cpu: self.cpu, pool, work };
            executor.pass(&mut [Run { cache, tokens: &tokens[start..end], start }]);
            for position in start..end {
                let token = position - start;
                let failed = |failure| ExecError::not_finite(failure, position);
                executor.work.check(token).map_err(failed)?;
                let logits = match position.checked_sub(logits_from.max(start)) {
                    Some(row) => {
                        let row = row % LOGIT_ROWS;
                        if row == 0 {
                            executor.logits(token..(end - start).min(token + LOGIT_ROWS));
                        }
                        Some(executor.work.logits(row, token).map_err(failed)?)
                    },
                    None => None,
                };
                if visit(position, executor.work.hidden_bits(token), logits).is_break() {
                    return Ok(());
                }
            }
            start = end;
        }
        Ok(())
    }

    fn check_session(&self, session: &Session) -> Result<(), ExecError> {
        if session.weights == self.model.weights_id() {
            return Ok(());
        }
        Err(ExecError::OtherWeights { session: session.weights, engine: self.model.weights_id() })
    }

    fn check_decodable(&self, session: &Session) -> Result<(), ExecError> {
        // Of the thread that calls: it computes too, and need not be the one that made the engine.
        check_floats()?;
        self.check_session(session)?;
        let progress = session.prefill_progress();
        if !progress.is_done() {
            return Err(ExecError::NotPrefilled(progress));
        }
        if session.is_full() { Err(ExecError::Full(session.max_tokens())) } else { Ok(()) }
    }
}
