//! Conversations to tokens: the tokenizer block's chat template, its tokenizer, and what ends an answer.

mod mask;
mod template;

use crate::tokenizer::{Generation, Tokenizer, TokenizerError, control::Segment};
use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, PayloadType, Quantisation},
    ids::ContentHash,
};
use blyan_tensorblock::{BlockBuilder, BlockError, UnwrittenBlock, VerifiedBlock};
use mask::TextMask;
use serde::Serialize;
use std::{fmt, str::FromStr};
use template::ChatTemplate;

/// Longest chat template, in bytes.
pub const MAX_TEMPLATE: usize = 256 << 10;
/// Most messages of a conversation.
pub const MAX_MESSAGES: usize = 4096;
/// Most bytes of all messages' contents together.
pub const MAX_CONTENT: usize = crate::tokenizer::MAX_TEXT;
/// Longest rendered conversation, in bytes.
pub const MAX_RENDERED: usize = 2 * MAX_CONTENT;

/// Name of the tensor with the `tokenizer.json`.
const TOKENIZER: &str = "tokenizer.json";
/// Name of the tensor with the chat template; a model without one lacks it.
const TEMPLATE: &str = "chat_template";
/// Name of the tensor with the [`Generation`] settings.
const GENERATION: &str = "generation.json";

/// Why a conversation, or a tokenizer block, was refused.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The tokenizer, or a text.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The block.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A block of another kind where the tokenizer's is needed.
    #[error("block {hash} is a {found} block, not a tokenizer block")]
    Kind {
        /// The block.
        hash: ContentHash,
        /// What it is.
        found: BlockKind,
    },
    /// A tokenizer block whose bytes are not tensors.
    #[error("block {hash} has a payload of type {found}, which is not read here; needed is {needed}", needed = PayloadType::TensorBlock)]
    Payload {
        /// The block.
        hash: ContentHash,
        /// What it has.
        found: PayloadType,
    },
    /// The tokenizer block's template is not UTF-8.
    #[error("the chat template is not UTF-8")]
    TemplateUtf8,
    /// The template is longer than allowed.
    #[error("the chat template has {bytes} bytes, more than {MAX_TEMPLATE}")]
    TemplateTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The template does not compile.
    #[error("the chat template is malformed: {0}")]
    TemplateSyntax(String),
    /// Control tokens use more different punctuation than can be masked in users' texts.
    #[error("the control tokens use {found} different characters, more than can be told from users' texts")]
    ControlAlphabet {
        /// How many.
        found: usize,
    },
    /// The model has no chat template.
    #[error("this model has no chat template; send a plain prompt instead")]
    NoTemplate,
    /// A conversation without messages.
    #[error("a conversation needs at least one message")]
    NoMessages,
    /// Too many messages.
    #[error("the conversation has {found} messages, more than {MAX_MESSAGES}")]
    TooManyMessages {
        /// How many.
        found: usize,
    },
    /// Too much text.
    #[error("the messages have {bytes} bytes, more than {MAX_CONTENT}")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// A role that does not exist.
    #[error("'{0}' is no role; roles are system, developer, user, assistant and tool")]
    Role(String),
    /// A noncharacter, which Unicode keeps for programs' internal use, in a message.
    #[error("a message contains the noncharacter U+{:04X}", u32::from(*found))]
    Noncharacter {
        /// The noncharacter.
        found: char,
    },
    /// The template itself refuses the conversation, for example because roles do not alternate.
    #[error("the chat template refuses the conversation: {0}")]
    Refused(String),
    /// Rendering took too many steps.
    #[error("the chat template takes too many steps")]
    OutOfFuel,
    /// The rendered conversation is longer than allowed.
    #[error("the rendered conversation is longer than {MAX_RENDERED} bytes")]
    RenderedTooLong,
    /// The template failed.
    #[error("the chat template failed: {0}")]
    Render(String),
}

/// Who a message is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions of the application.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
}

impl FromStr for Role {
    type Err = ChatError;

    fn from_str(text: &str) -> Result<Self, ChatError> {
        Ok(match text {
            "system" | "developer" => Self::System,
            "user" => Self::User,
            "assistant" => Self::Assistant,
            "tool" => Self::Tool,
            other => return Err(ChatError::Role(other.chars().take(32).collect())),
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        })
    }
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who it is from.
    pub role: Role,
    /// What it says.
    pub content: String,
}

impl Message {
    /// A message.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// What a tokenizer block holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextAssets {
    /// A `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// A Jinja template.
    pub chat_template: Option<String>,
    /// Tokens with a meaning for generation.
    pub generation: Generation,
}

impl TextAssets {
    /// The block: u8 tensors `tokenizer.json`, `chat_template` (where there is one) and `generation.json`.
    pub fn into_block(self) -> Result<UnwrittenBlock<'static>, ChatError> {
        let generation = serde_json::to_vec(&self.generation).map_err(TokenizerError::Json)?;
        let template = self.chat_template.filter(|text| !text.is_empty()).map(String::into_bytes);
        let mut builder = BlockBuilder::new(BlockKind::Tokenizer, Form::Serving, Quantisation::None);
        let parts = [(TOKENIZER, Some(self.tokenizer)), (TEMPLATE, template), (GENERATION, Some(generation))];
        for (name, bytes) in parts {
            if let Some(bytes) = bytes {
                // A length that does not fit is far beyond what the readers of these tensors accept.
                let length =
                    u32::try_from(bytes.len()).map_err(|_| TokenizerError::JsonTooLarge { bytes: bytes.len() })?;
                builder.tensor(name, DType::U8, Layout::RowMajor, &[length], bytes)?;
            }
        }
        Ok(builder.finish()?)
    }
}

/// A model's text side: conversations and prompts to tokens, tokens to text.
///
/// Control tokens come from the template alone. Whatever a message says, it is plain text to the model: a message with
/// `<|im_end|>` in it does not end anything.
#[derive(Debug)]
pub struct TextProcessor {
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    generation: Generation,
    mask: TextMask,
}

impl TextProcessor {
    /// Reads a tokenizer block.
    pub fn from_block(block: &VerifiedBlock) -> Result<Self, ChatError> {
        let (hash, header) = (block.hash(), block.header());
        if header.kind != BlockKind::Tokenizer {
            return Err(ChatError::Kind { hash, found: header.kind });
        }
        if header.payload != PayloadType::TensorBlock {
            return Err(ChatError::Payload { hash, found: header.payload });
        }
        block.check_padding()?;
        let json = block.tensor(TOKENIZER)?.u8()?;
        let template = match block.header().tensor(TEMPLATE) {
            Some(_) => Some(std::str::from_utf8(block.tensor(TEMPLATE)?.u8()?).map_err(|_| ChatError::TemplateUtf8)?),
            None => None,
        };
        let generation = serde_json::from_slice(block.tensor(GENERATION)?.u8()?)
            .map_err(|e| ChatError::Tokenizer(TokenizerError::Json(e)))?;
        Self::new(json, template, generation)
    }

    /// A text side of these parts. Refuses generation settings that name tokens outside the vocabulary.
    pub fn new(tokenizer: &[u8], template: Option<&str>, generation: Generation) -> Result<Self, ChatError> {
        let tokenizer = Tokenizer::from_json(tokenizer)?;
        let ids = generation.stop.iter().chain(&generation.bos).chain(&generation.eos);
        if let Some(id) = ids.copied().find(|id| *id >= tokenizer.vocab_size()) {
            return Err(TokenizerError::UnknownId { what: "a token of generation.json", id }.into());
        }
        let control: Vec<&str> = tokenizer.control().contents().collect();
        let mask = TextMask::new(&control, tokenizer.user_defined())?;
        Ok(Self { template: template.map(ChatTemplate::new).transpose()?, tokenizer, generation, mask })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Tokens with a meaning for generation.
    pub fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Whether there is a chat template.
    pub fn has_template(&self) -> bool {
        self.template.is_some()
    }

    /// Tokens of a plain prompt, with the beginning of sequence in front where the model wants it.
    pub fn prompt(&self, text: &str) -> Result<Vec<u32>, ChatError> {
        let mut tokens: Vec<u32> = self.generation.bos.filter(|_| self.generation.add_bos).into_iter().collect();
        tokens.extend(self.tokenizer.encode(text)?);
        Ok(tokens)
    }

    /// Tokens of a conversation; `add_generation_prompt` ends them with the beginning of the model's answer.
    pub fn chat(&self, messages: &[Message], add_generation_prompt: bool) -> Result<Vec<u32>, ChatError> {
        let template = self.template.as_ref().ok_or(ChatError::NoTemplate)?;
        if messages.is_empty() {
            return Err(ChatError::NoMessages);
        }
        if messages.len() > MAX_MESSAGES {
            return Err(ChatError::TooManyMessages { found: messages.len() });
        }
        let bytes = messages.iter().fold(0usize, |sum, message| sum.saturating_add(message.content.len()));
        if bytes > MAX_CONTENT {
            return Err(ChatError::TooLong { bytes });
        }
        let masked = messages
            .iter()
            .map(|message| Ok(Message::new(message.role, self.mask.mask(&message.content)?)))
            .collect::<Result<Vec<_>, ChatError>>()?;
        let text_of = |id: Option<u32>| id.and_then(|id| self.tokenizer.control_text(id)).unwrap_or_default();
        let (bos, eos) = (text_of(self.generation.bos), text_of(self.generation.eos));
        let rendered = template.render(&masked, add_generation_prompt, bos, eos)?;

        let mut tokens = Vec::new();
        for segment in self.tokenizer.control().split(&rendered) {
            match segment {
                Segment::Control(id) => tokens.push(id),
                Segment::Text(text) => tokens.extend(self.tokenizer.encode(&self.mask.unmask(text))?),
            }
        }
        Ok(tokens)
    }
}
