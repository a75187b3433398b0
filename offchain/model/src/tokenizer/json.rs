//! A `tokenizer.json` of ours: byte-level BPE in the format of the `tokenizers` crate, the same bytes on every machine.

use super::TokenizerError;
use serde::Serialize;
use std::collections::BTreeMap;

/// Cuts runs of letters, up to three digits, or punctuation; contractions in either case.
const LLAMA3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
/// The same, every digit alone.
const QWEN2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

/// How text is cut into the pieces that merges work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreTokeniser {
    /// Not at all: every byte that merges do not join is a token.
    Bytes,
    /// GPT-2's expression.
    Gpt2,
    /// GPT-2's expression, every digit alone.
    SmolLm,
    /// Llama 3's expression; a piece that is a token as a whole is not built from merges.
    Llama3,
    /// Qwen 2's expression, after Unicode normalisation to NFC.
    Qwen2,
}

impl PreTokeniser {
    /// The pre-tokeniser that GGUF files call `name`.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "gpt2" | "gpt-2" => Self::Gpt2,
            "smollm" => Self::SmolLm,
            "llama-bpe" | "llama3" | "llama-v3" => Self::Llama3,
            "qwen2" => Self::Qwen2,
            _ => return None,
        })
    }

    fn step(self) -> Step {
        let byte_level = |use_regex| Step::ByteLevel { add_prefix_space: false, trim_offsets: true, use_regex };
        let split = |regex| Step::Split { pattern: Pattern::Regex(regex), behavior: "Isolated", invert: false };
        let sequence = |pretokenizers| Step::Sequence { pretokenizers };
        match self {
            Self::Bytes => byte_level(false),
            Self::Gpt2 => byte_level(true),
            Self::SmolLm => sequence(vec![Step::Digits { individual_digits: true }, byte_level(true)]),
            Self::Llama3 => sequence(vec![split(LLAMA3), byte_level(false)]),
            Self::Qwen2 => sequence(vec![split(QWEN2), byte_level(false)]),
        }
    }
}

/// What a byte-level BPE tokenizer is made of.
#[derive(Debug)]
pub(crate) struct ByteLevelBpe {
    pub(crate) pre: PreTokeniser,
    /// Tokens, written in the alphabet of byte-level BPE; added tokens as their own text.
    pub(crate) vocab: BTreeMap<String, u32>,
    /// Pairs of tokens, the first ones joined first.
    pub(crate) merges: Vec<(String, String)>,
    /// Tokens of `vocab` that are found in text before anything is cut: by id, and whether they are control tokens.
    pub(crate) added: BTreeMap<u32, (String, bool)>,
}

impl ByteLevelBpe {
    /// The `tokenizer.json`. Its bytes follow from the parts alone: maps are written in sorted order.
    pub(crate) fn into_json(self) -> Result<Vec<u8>, TokenizerError> {
        let added_tokens = self.added.into_iter().map(|(id, (content, special))| AddedToken {
            id,
            content,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special,
        });
        let json = TokenizerJson {
            version: "1.0",
            truncation: (),
            padding: (),
            added_tokens: added_tokens.collect(),
            normalizer: (self.pre == PreTokeniser::Qwen2).then_some(Step::Nfc),
            pre_tokenizer: self.pre.step(),
            post_processor: (),
            decoder: Step::ByteLevel { add_prefix_space: true, trim_offsets: true, use_regex: true },
            model: Bpe {
                ty: "BPE",
                dropout: (),
                unk_token: (),
                continuing_subword_prefix: (),
                end_of_word_suffix: (),
                fuse_unk: false,
                byte_fallback: false,
                ignore_merges: self.pre == PreTokeniser::Llama3,
                vocab: self.vocab,
                merges: self.merges,
            },
        };
        serde_json::to_vec(&json).map_err(TokenizerError::Json)
    }
}

#[derive(Serialize)]
struct TokenizerJson {
    version: &'static str,
    truncation: (),
    padding: (),
    added_tokens: Vec<AddedToken>,
    normalizer: Option<Step>,
    pre_tokenizer: Step,
    post_processor: (),
    decoder: Step,
    model: Bpe,
}

#[derive(Serialize)]
struct AddedToken {
    id: u32,
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

#[derive(Serialize)]
struct Bpe {
    #[serde(rename = "type")]
    ty: &'static str,
    dropout: (),
    /// Null: a byte without a token is left out. A stand-in would be a control token that a user's text put there.
    unk_token: (),
    continuing_subword_prefix: (),
    end_of_word_suffix: (),
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
    vocab: BTreeMap<String, u32>,
    merges: Vec<(String, String)>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Step {
    ByteLevel {
        add_prefix_space: bool,
        trim_offsets: bool,
        use_regex: bool,
    },
    Digits {
        individual_digits: bool,
    },
    Split {
        pattern: Pattern,
        behavior: &'static str,
        invert: bool,
    },
    Sequence {
        pretokenizers: Vec<Step>,
    },
    #[serde(rename = "NFC")]
    Nfc,
}

#[derive(Serialize)]
enum Pattern {
    Regex(&'static str),
}
