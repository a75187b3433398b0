//! The scheduler's executor: canonical execution on this machine's processors.

use crate::scheduler::{Executor, TextStream};
use blyan_model::{
    chat::TextProcessor,
    exec::{Engine, ExecError},
    session::Session,
    tokenizer,
};
use blyan_primitives::{ids::Commitment, receipt::Sampling};
use std::sync::Arc;

/// An engine and the text side of its model.
pub struct Canonical {
    engine: Engine,
    text: Arc<TextProcessor>,
}

/// Text of tokens of one answer.
#[derive(Debug)]
pub struct Text {
    processor: Arc<TextProcessor>,
    stream: tokenizer::TextStream,
}

impl Text {
    /// The text of an answer that has no tokens yet.
    pub fn new(processor: Arc<TextProcessor>) -> Self {
        Self { processor, stream: tokenizer::TextStream::new() }
    }
}

impl Canonical {
    /// Executes `engine`'s model, whose text side is `text`.
    pub fn new(engine: Engine, text: Arc<TextProcessor>) -> Self {
        Self { engine, text }
    }
}

impl Executor for Canonical {
    type Session = Session;
    type Error = ExecError;
    type Text = Text;

    fn open(&mut self, prompt: &[u32], sampling: Sampling, max_output: u32) -> Result<Session, ExecError> {
        self.engine.session(prompt, sampling, max_output as usize)
    }

    fn prefill(&mut self, session: &mut Session, tokens: usize) -> Result<bool, ExecError> {
        Ok(self.engine.prefill(session, tokens)?.is_done())
    }

    fn decode(&mut self, sessions: &mut [&mut Session]) -> Vec<Result<(), ExecError>> {
        self.engine.decode(sessions).into_iter().map(|result| result.map(drop)).collect()
    }

    fn output<'a>(&self, session: &'a Session) -> &'a [u32] {
        session.output()
    }

    fn commitments<'a>(&self, session: &'a Session) -> &'a [Commitment] {
        session.commitments()
    }

    fn is_end(&self, token: u32) -> bool {
        self.text.generation().stop.contains(&token)
    }

    fn text(&self) -> Text {
        Text::new(self.text.clone())
    }
}

impl TextStream for Text {
    fn push(&mut self, token: u32) -> String {
        self.stream.push(self.processor.tokenizer(), token)
    }

    fn finish(&mut self) -> String {
        self.stream.finish()
    }
}
