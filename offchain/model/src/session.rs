//! A prompt and the answer that grows from it.

use crate::{
    exec::{ExecError, KvCache},
    sampler::Sampler,
};
use blyan_primitives::{
    ids::{Commitment, WeightsId},
    receipt::Sampling,
};

/// One answer in the making: its tokens, its keys and values, and its rolling commitment.
///
/// Made by [`crate::exec::Engine::session`], advanced by [`crate::exec::Engine::prefill`] and
/// [`crate::exec::Engine::decode`]. Position `p` *consumes* token `p`; consuming the last one of prompt and output chooses
/// the next.
#[derive(Debug)]
pub struct Session {
    pub(crate) weights: WeightsId,
    pub(crate) sampler: Sampler,
    pub(crate) tokens: Vec<u32>,
    prompt_len: usize,
    max_tokens: usize,
    pub(crate) cache: KvCache,
    pub(crate) chain: Chain,
}

/// A rolling commitment and all its steps.
#[derive(Debug)]
pub(crate) struct Chain {
    start: Commitment,
    steps: Vec<Commitment>,
}

impl Chain {
    /// Before the first position.
    pub(crate) fn new(start: Commitment, capacity: usize) -> Self {
        Self { start, steps: Vec::with_capacity(capacity) }
    }

    /// After the last position.
    pub(crate) fn last(&self) -> Commitment {
        self.steps.last().copied().unwrap_or(self.start)
    }

    /// Adds the next position, whose hidden bits are `hidden`, and which `next` follows.
    pub(crate) fn extend(&mut self, hidden: &[u8], next: u32) -> Commitment {
        let step = self.last().next(self.steps.len() as u32, hidden, next);
        self.steps.push(step);
        step
    }
}

/// How far the prompt of a session is consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefillProgress {
    /// Tokens consumed.
    pub consumed: usize,
    /// Tokens to consume before decoding: all of the prompt but its last, which the first decoding step consumes.
    pub total: usize,
}

impl PrefillProgress {
    /// Whether the session can be decoded.
    pub fn is_done(self) -> bool {
        self.consumed >= self.total
    }
}

impl Session {
    /// `prompt` is not empty; the caller checked all numbers.
    pub(crate) fn new(
        weights: WeightsId,
        sampler: Sampler,
        prompt: &[u32],
        max_tokens: usize,
        cache: KvCache,
    ) -> Result<Self, ExecError> {
        let first = *prompt.first().ok_or(ExecError::EmptyPrompt)?;
        let mut tokens = Vec::with_capacity(prompt.len() + max_tokens);
        tokens.extend_from_slice(prompt);
        let start = Commitment::start(weights, sampler.sampling(), first);
        let chain = Chain::new(start, prompt.len() + max_tokens);
        Ok(Self { weights, sampler, tokens, prompt_len: prompt.len(), max_tokens, cache, chain })
    }

    /// Prompt and output.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Tokens of the prompt, at least 1.
    pub fn prompt_len(&self) -> usize {
        self.prompt_len
    }

    /// The prompt.
    pub fn prompt(&self) -> &[u32] {
        &self.tokens[..self.prompt_len]
    }

    /// The answer so far.
    pub fn output(&self) -> &[u32] {
        &self.tokens[self.prompt_len..]
    }

    /// Most tokens of the answer.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Whether the answer has its most tokens.
    pub fn is_full(&self) -> bool {
        self.output().len() >= self.max_tokens
    }

    /// How tokens are chosen.
    pub fn sampling(&self) -> &Sampling {
        self.sampler.sampling()
    }

    /// The weights that the answer is computed with.
    pub fn weights_id(&self) -> WeightsId {
        self.weights
    }

    /// The rolling commitment after each consumed position.
    pub fn commitments(&self) -> &[Commitment] {
        &self.chain.steps
    }

    /// The rolling commitment after the last consumed position; with an output, what a receipt holds.
    pub fn commitment(&self) -> Commitment {
        self.chain.last()
    }

    /// How far the prompt is consumed.
    pub fn prefill_progress(&self) -> PrefillProgress {
        PrefillProgress { consumed: self.consumed().min(self.prompt_len - 1), total: self.prompt_len - 1 }
    }

    /// Bytes of keys and values that the session holds.
    pub fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Positions consumed.
    pub(crate) fn consumed(&self) -> usize {
        self.chain.steps.len()
    }

    /// The next token, from the logits of the last one.
    pub(crate) fn choose(&self, logits: &[f32]) -> u32 {
        self.sampler.choose(logits, self.consumed() as u32)
    }

    /// Consumes the last token, whose hidden bits are `hidden`, and appends `token`.
    pub(crate) fn advance(&mut self, hidden: &[u8], token: u32) {
        self.chain.extend(hidden, token);
        self.tokens.push(token);
    }
}
