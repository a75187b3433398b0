//! Chat templates: Jinja, as models carry it, within bounds.

use super::{ChatError, MAX_RENDERED, MAX_TEMPLATE, Message};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, context};
use std::{
    fmt,
    io::{self, Write},
};

const NAME: &str = "chat_template";
/// Instructions that rendering may take, and more for each message.
const FUEL: u64 = 100_000;
const FUEL_PER_MESSAGE: u64 = 20_000;
/// Longest part of a template's own message that an error repeats, in characters.
const MAX_REASON: usize = 300;

/// A compiled chat template.
///
/// It runs as Hugging Face's libraries run it: blocks take their line's white space and line break, strings have Python's
/// methods, and `raise_exception(reason)` refuses a conversation. It has no clock, no randomness and no access to files.
/// Steps and output are bounded; what it holds in variables meanwhile is not, because the library has no hook for that. A
/// template is part of the tokenizer block, which whoever published the spec vouches for.
#[derive(Debug)]
pub(super) struct ChatTemplate {
    env: Environment<'static>,
}

/// What `raise_exception` was called with.
#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

fn raise_exception(reason: String) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "the template refused").with_source(Raised(reason)))
}

/// Collects output up to [`MAX_RENDERED`] bytes.
#[derive(Default)]
struct Output(Vec<u8>);

/// More output than [`MAX_RENDERED`].
#[derive(Debug)]
struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the output is too long")
    }
}

impl std::error::Error for TooLong {}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_RENDERED {
            return Err(io::Error::other(TooLong));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ChatTemplate {
    /// Compiles `source`; refuses one that is longer than [`MAX_TEMPLATE`] or is no template.
    pub(super) fn new(source: &str) -> Result<Self, ChatError> {
        if source.len() > MAX_TEMPLATE {
            return Err(ChatError::TemplateTooLong { bytes: source.len() });
        }
        let mut env = Environment::new();
        env.set_trim_blocks(true);
        env.set_lstrip_blocks(true);
        env.set_undefined_behavior(UndefinedBehavior::Lenient);
        env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        env.add_function("raise_exception", raise_exception);
        env.add_template_owned(NAME, source.to_owned()).map_err(|error| ChatError::TemplateSyntax(describe(&error)))?;
        Ok(Self { env })
    }

    /// The text of a conversation. `bos` and `eos` are what the template knows as `bos_token` and `eos_token`.
    pub(super) fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        bos: &str,
        eos: &str,
    ) -> Result<String, ChatError> {
        // Fuel belongs to an environment; cloning one shares the compiled templates.
        let mut env = self.env.clone();
        env.set_fuel(Some(FUEL.saturating_add(FUEL_PER_MESSAGE.saturating_mul(messages.len() as u64))));
        let template = env.get_template(NAME).map_err(|error| ChatError::TemplateSyntax(describe(&error)))?;
        let context = context! { messages, add_generation_prompt, bos_token => bos, eos_token => eos };
        let mut output = Output::default();
        template.render_captured_to(context, &mut output).map_err(|error| refusal(&error))?;
        String::from_utf8(output.0).map_err(|_| ChatError::Render("the output is not UTF-8".to_owned()))
    }
}

fn refusal(error: &Error) -> ChatError {
    if error.kind() == ErrorKind::OutOfFuel {
        return ChatError::OutOfFuel;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(found) = cause {
        if let Some(Raised(reason)) = found.downcast_ref() {
            return ChatError::Refused(shorten(reason));
        }
        if found.downcast_ref::<io::Error>().and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<TooLong>()) {
            return ChatError::RenderedTooLong;
        }
        cause = found.source();
    }
    ChatError::Render(describe(error))
}

fn describe(error: &Error) -> String {
    shorten(&error.to_string())
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_REASON).collect()
}
