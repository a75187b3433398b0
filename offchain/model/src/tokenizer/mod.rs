//! Text to tokens and back.
//!
//! A tokenizer is a `tokenizer.json` of the `tokenizers` crate, which travels in the model's tokenizer block. What people
//! write is encoded as plain text: a control token such as `<|im_start|>` that stands in it becomes the tokens of its
//! characters, never the control token itself. Only [`crate::chat`] puts control tokens where a template has them.

pub(crate) mod alphabet;
pub(crate) mod control;
mod gguf;
pub(crate) mod json;
mod reader;
mod stream;

pub(crate) use gguf::from_gguf;
pub use stream::TextStream;

use crate::gguf::GgufError;
use control::{ControlToken, ControlTokens};
use reader::{Added, Decoder, TokenizerFile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Largest `tokenizer.json`, in bytes.
pub const MAX_JSON: usize = 64 << 20;
/// Most tokens in a vocabulary.
pub const MAX_VOCAB: u64 = 1 << 20;
/// Longest text that is encoded at once, in bytes.
pub const MAX_TEXT: usize = 4 << 20;

/// Why a tokenizer or a text was refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The file's metadata.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A `tokenizer.json` or `generation.json` is not JSON of the right shape.
    #[error("the tokenizer's JSON is malformed: {0}")]
    Json(serde_json::Error),
    /// A `tokenizer.json` is larger than allowed.
    #[error("the tokenizer's JSON has {bytes} bytes, more than {MAX_JSON}")]
    JsonTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The `tokenizers` crate refused it.
    #[error("the tokenizer is unusable: {0}")]
    Unusable(String),
    /// A kind of tokenizer, or a setting of one, that is not supported.
    #[error("{what} '{found}' is not supported")]
    Unsupported {
        /// What it is a kind of.
        what: &'static str,
        /// What was found.
        found: String,
    },
    /// A vocabulary that is too large, or has not one type for each token.
    #[error(
        "the vocabulary has {tokens} tokens and {types} token types; at most {MAX_VOCAB} of each are allowed, as many of one as of the other"
    )]
    VocabularySize {
        /// Tokens.
        tokens: u64,
        /// Token types.
        types: u64,
    },
    /// A token without text.
    #[error("token {id} is empty")]
    EmptyToken {
        /// Its id.
        id: u32,
    },
    /// Two ids have the same text.
    #[error("'{token}' is both token {first} and token {second}")]
    DuplicateToken {
        /// The text.
        token: String,
        /// The lower id.
        first: u32,
        /// The other id.
        second: u32,
    },
    /// Two texts have the same id: which of them it stands for would be chance.
    #[error("token {id} is both '{first}' and '{second}'")]
    DuplicateId {
        /// The id.
        id: u32,
        /// One text.
        first: String,
        /// The other text.
        second: String,
    },
    /// A merge that is not two tokens, makes none, makes a control token, or is listed twice.
    #[error("merge {index}, '{merge}', is not a pair of tokens that makes another plain token")]
    Merge {
        /// Its place in the list.
        index: usize,
        /// Its text, shortened.
        merge: String,
    },
    /// An id outside the vocabulary.
    #[error("{what} is {id}, which is no token")]
    UnknownId {
        /// What names it.
        what: &'static str,
        /// The id.
        id: u32,
    },
    /// An added token has another id than its JSON says.
    #[error("'{token}' should be token {expected}, but the vocabulary makes it {found:?}")]
    AddedTokenId {
        /// Its text.
        token: String,
        /// What the JSON says.
        expected: u32,
        /// What it would be.
        found: Option<u32>,
    },
    /// A text that is too long to be encoded.
    #[error("the text has {bytes} bytes; at most {MAX_TEXT} are encoded at once")]
    TextTooLong {
        /// Its length.
        bytes: usize,
    },
    /// Plain text led to a control token: the vocabulary reaches it by merges.
    #[error("plain text led to the control token '{token}'; the tokenizer cannot keep them apart")]
    ControlFromText {
        /// The control token.
        token: String,
    },
}

/// Tokens with a meaning for generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// Begins a sequence.
    pub bos: Option<u32>,
    /// Ends a sequence.
    pub eos: Option<u32>,
    /// All tokens after which an answer is complete, in ascending order; contains `eos`.
    pub stop: Vec<u32>,
    /// Whether a plain prompt starts with `bos`. A chat template says so itself.
    pub add_bos: bool,
}

/// How a token's text becomes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decoding {
    /// Characters of the byte-level alphabet.
    ByteLevel,
    /// SentencePiece: `▁` is a space, `<0x0A>` a byte, and the first space of a text is not part of it.
    SentencePiece,
}

impl Decoding {
    fn of(decoder: Option<&Decoder>) -> Result<Self, TokenizerError> {
        let unsupported = |found: &str| TokenizerError::Unsupported { what: "decoder", found: found.to_owned() };
        let decoder = decoder.ok_or_else(|| unsupported("none"))?;
        let parts: Vec<&str> = decoder.decoders.iter().map(|part| part.ty.as_str()).collect();
        match (decoder.ty.as_str(), parts.as_slice()) {
            ("ByteLevel", _) | ("Sequence", ["ByteLevel"]) => Ok(Self::ByteLevel),
            ("Sequence", ["Replace", "ByteFallback", "Fuse", "Strip"]) => Ok(Self::SentencePiece),
            (other, _) => Err(unsupported(other)),
        }
    }

    fn bytes(self, token: &str) -> Vec<u8> {
        match self {
            Self::ByteLevel => match token.chars().map(alphabet::decode).collect() {
                Some(bytes) => bytes,
                None => token.as_bytes().to_vec(),
            },
            Self::SentencePiece => match byte_fallback(token) {
                Some(byte) => vec![byte],
                None => token.replace('▁', " ").into_bytes(),
            },
        }
    }
}

fn byte_fallback(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// A tokenizer: plain text to tokens, tokens to text.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    decoding: Decoding,
    control: ControlTokens,
    /// Texts of added tokens that are no control tokens.
    user_defined: Vec<String>,
    unknown: Option<u32>,
    /// Bytes of all tokens, one after another; token `i` ends at `ends[i]`.
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// Refuses what would make encoding random or ambiguous (dropout, added tokens that move, tokens that share an id),
    /// models other than byte-pair encoding, and normalisers, pre-tokenisers and decoders other than those of byte-level
    /// BPE and SentencePiece.
    pub fn from_json(json: &[u8]) -> Result<Self, TokenizerError> {
        if json.len() > MAX_JSON {
            return Err(TokenizerError::JsonTooLarge { bytes: json.len() });
        }
        let file = TokenizerFile::read(json)?;
        let decoding = Decoding::of(file.decoder.as_ref())?;
        let (added_tokens, unknown) = (file.added_tokens.clone(), file.model.unk_token.clone());
        let mut inner = file.build()?;
        // Plain text: control tokens are characters like any others.
        inner.set_encode_special_tokens(true);

        let mut texts = BTreeSet::new();
        let (mut control, mut user_defined) = (Vec::new(), Vec::new());
        for Added { id, content, lstrip, rstrip, special, .. } in added_tokens {
            let found = inner.token_to_id(&content);
            if found != Some(id) || !texts.insert(content.clone()) {
                return Err(TokenizerError::AddedTokenId { token: content, expected: id, found });
            }
            if special {
                control.push(ControlToken { content, id, lstrip, rstrip });
            } else {
                user_defined.push(content);
            }
        }
        let unknown = unknown.and_then(|token| inner.token_to_id(&token));
        let (bytes, ends) = token_bytes(&inner, decoding, &texts)?;
        Ok(Self { inner, decoding, control: ControlTokens::new(control), user_defined, unknown, bytes, ends })
    }

    /// Number of ids: one more than the highest.
    pub fn vocab_size(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Encodes `text` as plain text, without beginning or end of sequence.
    ///
    /// Refuses texts longer than [`MAX_TEXT`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        if text.len() > MAX_TEXT {
            return Err(TokenizerError::TextTooLong { bytes: text.len() });
        }
        let encoding =
            self.inner.encode_fast(text, false).map_err(|error| TokenizerError::Unusable(error.to_string()))?;
        let tokens = encoding.get_ids().to_vec();
        let stray = tokens.iter().filter(|id| Some(**id) != self.unknown).find_map(|id| self.control.content(*id));
        match stray {
            Some(token) => Err(TokenizerError::ControlFromText { token: token.to_owned() }),
            None => Ok(tokens),
        }
    }

    /// The text of `tokens`; control tokens have none, and bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let mut stream = TextStream::new();
        let mut text: String = tokens.iter().map(|token| stream.push(self, *token)).collect();
        text.push_str(&stream.finish());
        text
    }

    /// The id of the token that is written `text` in the vocabulary.
    pub fn id(&self, text: &str) -> Option<u32> {
        self.inner.token_to_id(text)
    }

    /// The text of control token `id`.
    pub fn control_text(&self, id: u32) -> Option<&str> {
        self.control.content(id)
    }

    /// Whether `id` is a control token.
    pub fn is_control(&self, id: u32) -> bool {
        self.control.content(id).is_some()
    }

    /// The bytes that token `id` stands for; none for an id outside the vocabulary.
    pub fn bytes(&self, id: u32) -> &[u8] {
        let at = id as usize;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(at).and_then(|end| self.bytes.get(start as usize..*end as usize)).unwrap_or_default()
    }

    pub(crate) fn control(&self) -> &ControlTokens {
        &self.control
    }

    pub(crate) fn user_defined(&self) -> &[String] {
        &self.user_defined
    }

    fn strips_first_space(&self) -> bool {
        self.decoding == Decoding::SentencePiece
    }
}

/// The bytes of every token, and where each one's end; `added` tokens stand for their own text.
fn token_bytes(
    inner: &tokenizers::Tokenizer,
    decoding: Decoding,
    added: &BTreeSet<String>,
) -> Result<(Vec<u8>, Vec<u32>), TokenizerError> {
    let highest = inner.get_vocab(true).into_values().max().ok_or(TokenizerError::EmptyToken { id: 0 })?;
    if u64::from(highest) >= MAX_VOCAB {
        return Err(TokenizerError::VocabularySize { tokens: u64::from(highest) + 1, types: u64::from(highest) + 1 });
    }
    let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(highest as usize + 1));
    for id in 0..=highest {
        if let Some(token) = inner.id_to_token(id) {
            bytes.extend(if added.contains(&token) { token.into_bytes() } else { decoding.bytes(&token) });
        }
        // The JSON's own bound keeps this far below 2^32.
        ends.push(bytes.len() as u32);
    }
    Ok((bytes, ends))
}
