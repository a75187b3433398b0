//! Continuous batching: one thread owns the model and computes many answers side by side.
//!
//! Each turn of the [loop](engine) lets waiting requests in while the batch has room, computes one piece of one prompt, and
//! then one token for every answer that is past its prompt. So a long prompt delays running answers by one piece at most,
//! and a short answer leaves the batch as soon as it is done.
//!
//! Execution is bit-exact: whom an answer shares its batch with changes its speed and nothing else.

mod engine;
mod queue;
mod text;

pub use engine::start;
pub use queue::{Engines, Handle, Refused};
pub use text::{AnswerText, Step};

use crate::{payment::Reservation, receipts::journal::Answer};
use blyan_primitives::{
    ids::{Commitment, ReceiptId},
    receipt::Sampling,
};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What computes. The product implements it once, on the canonical execution.
pub trait Executor: Send + 'static {
    /// One answer in the making.
    type Session: Send;
    /// Why it could not be computed.
    type Error: std::error::Error;
    /// Turns tokens into text.
    type Text: TextStream;

    /// A new answer of at most `max_output` tokens.
    fn open(&mut self, prompt: &[u32], sampling: Sampling, max_output: u32) -> Result<Self::Session, Self::Error>;

    /// Computes up to `tokens` tokens of the prompt; `true` once the answer can be decoded.
    fn prefill(&mut self, session: &mut Self::Session, tokens: usize) -> Result<bool, Self::Error>;

    /// Computes the next token of each answer. One that cannot go on gets an error; the others are not harmed by it.
    fn decode(&mut self, sessions: &mut [&mut Self::Session]) -> Vec<Result<(), Self::Error>>;

    /// The answer's tokens so far.
    fn output<'a>(&self, session: &'a Self::Session) -> &'a [u32];

    /// The rolling commitment after each position so far.
    fn commitments<'a>(&self, session: &'a Self::Session) -> &'a [Commitment];

    /// Whether `token` ends an answer.
    fn is_end(&self, token: u32) -> bool;

    /// A new text.
    fn text(&self) -> Self::Text;
}

/// Text of tokens, in whole characters.
pub trait TextStream: Send {
    /// The text that `token` completes; empty while a character is incomplete.
    fn push(&mut self, token: u32) -> String;

    /// What is left at the end.
    fn finish(&mut self) -> String;
}

/// A request for an answer.
#[derive(Debug)]
pub struct Job {
    /// Tokens of the prompt, at least one.
    pub prompt: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens of the answer, at least one.
    pub max_tokens: u32,
    /// Sequences that end the answer.
    pub stop: Vec<String>,
    /// What it may cost.
    pub reservation: Option<Reservation>,
    /// Cancelled when the client goes away.
    pub cancel: CancellationToken,
    /// Where the answer goes.
    pub events: mpsc::Sender<Event>,
    /// When the request arrived.
    pub arrived: Instant,
}

impl Job {
    /// A channel that can hold every event of an answer of `max_tokens`, so that the engine never waits for a client.
    pub fn channel(max_tokens: u32) -> (mpsc::Sender<Event>, mpsc::Receiver<Event>) {
        mpsc::channel(max_tokens as usize + 2)
    }
}

/// What happens to an answer.
#[derive(Debug)]
pub enum Event {
    /// More text.
    Text(String),
    /// It is complete, and its receipt is on disk.
    Done(Box<Done>),
    /// It is lost.
    Failed(Failure),
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Done {
    /// The last piece of text, held back until the receipt was on disk.
    pub tail: String,
    /// The receipt.
    pub receipt: ReceiptId,
    /// Why it ended.
    pub finish: crate::receipts::journal::Finish,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens of the answer.
    pub output_tokens: u32,
    /// What was charged.
    pub price: u128,
    /// How long it took.
    pub timings: Timings,
}

/// Why an answer was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The model refused.
    #[error("the model could not compute the answer: {0}")]
    Execution(String),
    /// The engine's thread is gone.
    #[error("the model's thread stopped: {0}")]
    Panicked(String),
    /// The receipt could not be stored, so that the answer's end was not sent.
    #[error("the receipt could not be stored: {0}")]
    Receipt(String),
    /// The worker stopped first.
    #[error("the worker stopped before the answer was complete")]
    Stopped,
    /// The bytes that it was computed on are not those that were verified.
    #[error("a block of the model was damaged while the answer was computed; it is discarded")]
    Damaged,
}

/// When things happened, from the request's arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// Wait for a place in the batch.
    pub queued: Duration,
    /// From there to the first token.
    pub prefill: Duration,
    /// From the first token to the last.
    pub decode: Duration,
}

impl Timings {
    /// Prompt tokens a second.
    pub fn prefill_rate(&self, prompt_tokens: u32) -> f64 {
        rate(f64::from(prompt_tokens), self.prefill)
    }

    /// Tokens a second after the first one; 0 for an answer of a single token.
    pub fn decode_rate(&self, output_tokens: u32) -> f64 {
        rate(f64::from(output_tokens.saturating_sub(1)), self.decode)
    }
}

fn rate(count: f64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { count / seconds } else { 0.0 }
}

/// What the engine hands over to be written down.
#[derive(Debug)]
pub enum Finished {
    /// An answer, whole or cut short.
    Answer(Box<Completion>),
    /// A prompt whose client left before the first token. Without a token there is nothing to sign; it was computed all the
    /// same, and is charged.
    Prompt {
        /// Tokens that were computed.
        tokens: u64,
        /// What pays for them.
        reservation: Reservation,
    },
}

/// An answer that has been computed and waits for its receipt.
#[derive(Debug)]
pub struct Completion {
    /// The answer; its charge is set when it is stored.
    pub answer: Answer,
    /// The last piece of text.
    pub tail: String,
    /// How long it took.
    pub timings: Timings,
    /// What it may cost.
    pub reservation: Option<Reservation>,
    /// Where it goes.
    pub events: mpsc::Sender<Event>,
}

/// How the batch is run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Answers side by side.
    pub max_batch: usize,
    /// Requests that wait.
    pub max_queue: usize,
    /// Prompt tokens in one piece while other answers run.
    pub shared_chunk: usize,
    /// Prompt tokens in one piece while nothing else runs.
    pub alone_chunk: usize,
}

impl Limits {
    /// Pieces that keep running answers flowing and are still large enough to be computed at full speed.
    pub const fn new(max_batch: usize, max_queue: usize) -> Self {
        Self { max_batch, max_queue, shared_chunk: 64, alone_chunk: 256 }
    }
}
