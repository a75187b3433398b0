//! Reading a `tokenizer.json` that anybody may have written.
//!
//! The `tokenizers` crate reads such files itself, every kind of part there is, and some kinds panic: a `Precompiled`
//! normaliser without a sound table while it is read, a `FixedLength` of 0, or tokens that strip the white space around
//! them, while a text is encoded. So the file is read here, into the kinds and settings that Llama-, Mixtral- and
//! Qwen-shaped models use, each of them examined, and the crate is given these parts and never the file. What padding,
//! truncation and post-processor say is about calls that are not made here.

use super::{MAX_VOCAB, TokenizerError};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use tokenizers::{
    AddedToken, SplitDelimiterBehavior,
    models::bpe::BPE,
    normalizers::{self, NFC, NormalizerWrapper},
    pre_tokenizers::{
        PreTokenizerWrapper,
        byte_level::ByteLevel,
        digits::Digits,
        metaspace::{Metaspace, PrependScheme},
        sequence,
        split::{Split, SplitPattern},
    },
};

/// The `version` of the files that are understood.
const VERSION: &str = "1.0";
/// Most steps of a normaliser or a pre-tokeniser.
const MAX_STEPS: usize = 16;
/// Longest expression at which text is cut, in bytes.
const MAX_PATTERN: usize = 4096;
/// Most added tokens, and the longest of them in bytes: they become one automaton, whose size this bounds.
const MAX_ADDED: usize = 1 << 14;
const MAX_ADDED_LEN: usize = 256;

/// A file, as far as it has a meaning here.
#[derive(Deserialize)]
pub(super) struct TokenizerFile {
    version: Option<String>,
    #[serde(default)]
    pub(super) added_tokens: Vec<Added>,
    normalizer: Option<Step>,
    pre_tokenizer: Option<Step>,
    pub(super) decoder: Option<Decoder>,
    pub(super) model: Bpe,
}

/// A token that is found in text before anything is cut.
#[derive(Clone, Deserialize)]
pub(super) struct Added {
    pub(super) id: u32,
    pub(super) content: String,
    single_word: bool,
    pub(super) lstrip: bool,
    pub(super) rstrip: bool,
    normalized: bool,
    /// Whether it is a control token.
    pub(super) special: bool,
}

/// The kind of a decoder, and of those that it is a sequence of.
#[derive(Deserialize)]
pub(super) struct Decoder {
    #[serde(rename = "type")]
    pub(super) ty: String,
    #[serde(default)]
    pub(super) decoders: Vec<Decoder>,
}

/// Looked at before the model's own fields, which have other types in other kinds of models.
#[derive(Deserialize)]
struct Kind {
    model: ModelKind,
}

#[derive(Deserialize)]
struct ModelKind {
    #[serde(rename = "type")]
    ty: Option<String>,
}

/// A vocabulary and the pairs of its tokens that are joined.
#[derive(Deserialize)]
pub(super) struct Bpe {
    dropout: Option<f32>,
    pub(super) unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
    vocab: BTreeMap<String, u32>,
    merges: Merges,
}

/// Older files have each pair as one string, with a space between its tokens.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merges {
    Pairs(Vec<(String, String)>),
    Joined(Vec<String>),
}

/// A step of a normaliser or pre-tokeniser.
#[derive(Deserialize)]
struct Step {
    #[serde(rename = "type")]
    ty: String,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoSettings {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrependSettings {
    prepend: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplaceSettings {
    pattern: Pattern,
    content: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByteLevelSettings {
    add_prefix_space: bool,
    /// Of no meaning where only tokens are asked for, not their places.
    #[serde(rename = "trim_offsets", default)]
    _trim_offsets: bool,
    use_regex: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DigitsSettings {
    individual_digits: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SplitSettings {
    pattern: Pattern,
    behavior: SplitDelimiterBehavior,
    invert: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetaspaceSettings {
    replacement: char,
    prepend_scheme: Option<PrependScheme>,
    /// What older files have instead of the scheme.
    add_prefix_space: Option<bool>,
    split: Option<bool>,
    /// The replacement once more, in older files.
    #[serde(rename = "str_rep")]
    _str_rep: Option<String>,
}

#[derive(Deserialize)]
enum Pattern {
    String(String),
    Regex(String),
}

fn unsupported<T>(what: &'static str, found: impl Into<String>) -> Result<T, TokenizerError> {
    // Whatever a stranger's file has there, a message stays a line.
    Err(TokenizerError::Unsupported { what, found: found.into().chars().take(64).collect() })
}

impl TokenizerFile {
    /// Reads a file, and refuses kinds of models and settings that are not supported.
    pub(super) fn read(json: &[u8]) -> Result<Self, TokenizerError> {
        let kind: Kind = serde_json::from_slice(json).map_err(TokenizerError::Json)?;
        if let Some(other) = kind.model.ty.filter(|ty| ty != "BPE") {
            return unsupported("tokenizer model", other);
        }
        let file: Self = serde_json::from_slice(json).map_err(TokenizerError::Json)?;
        if let Some(other) = file.version.as_ref().filter(|version| *version != VERSION) {
            return unsupported("version of tokenizer.json", other);
        }
        if file.added_tokens.len() > MAX_ADDED {
            return unsupported("number of added tokens", file.added_tokens.len().to_string());
        }
        file.added_tokens.iter().try_for_each(Added::check)?;
        file.model.check()?;
        Ok(file)
    }

    /// The tokenizer. It takes control tokens in a text for such until it is told otherwise.
    pub(super) fn build(self) -> Result<tokenizers::Tokenizer, TokenizerError> {
        let mut tokenizer = tokenizers::Tokenizer::new(self.model.build()?);
        // Before added tokens: some of them are matched in their normalised form.
        tokenizer.with_normalizer(self.normalizer.map(normaliser).transpose()?);
        tokenizer.with_pre_tokenizer(self.pre_tokenizer.map(pre_tokeniser).transpose()?);
        let added = self.added_tokens.into_iter().map(|token| AddedToken {
            content: token.content,
            single_word: token.single_word,
            lstrip: token.lstrip,
            rstrip: token.rstrip,
            normalized: token.normalized,
            special: token.special,
        });
        tokenizer.add_tokens(&added.collect::<Vec<_>>());
        Ok(tokenizer)
    }
}

impl Added {
    fn check(&self) -> Result<(), TokenizerError> {
        if self.content.is_empty() {
            return Err(TokenizerError::EmptyToken { id: self.id });
        }
        if self.content.len() > MAX_ADDED_LEN {
            return unsupported("added token", self.content.clone());
        }
        if self.single_word {
            return unsupported("single-word added token", self.content.clone());
        }
        // Two of them can claim the same white space, which the crate does not expect. Control tokens are not its to find.
        if !self.special && (self.lstrip || self.rstrip) {
            return unsupported("stripping token that is no control token", self.content.clone());
        }
        Ok(())
    }
}

impl Bpe {
    fn check(&self) -> Result<(), TokenizerError> {
        if let Some(prefix) = self.continuing_subword_prefix.as_ref().filter(|prefix| !prefix.is_empty()) {
            return unsupported("continuing subword prefix", prefix);
        }
        if let Some(suffix) = self.end_of_word_suffix.as_ref().filter(|suffix| !suffix.is_empty()) {
            return unsupported("end-of-word suffix", suffix);
        }
        if let Some(dropout) = self.dropout.filter(|dropout| *dropout != 0.0) {
            return unsupported("dropout", dropout.to_string());
        }
        let mut texts = BTreeMap::new();
        for (text, id) in &self.vocab {
            if u64::from(*id) >= MAX_VOCAB {
                let tokens = u64::from(*id) + 1;
                return Err(TokenizerError::VocabularySize { tokens, types: tokens });
            }
            if let Some(first) = texts.insert(*id, text) {
                return Err(TokenizerError::DuplicateId { id: *id, first: first.clone(), second: text.clone() });
            }
        }
        Ok(())
    }

    fn build(self) -> Result<BPE, TokenizerError> {
        let merges = match self.merges {
            Merges::Pairs(pairs) => pairs,
            Merges::Joined(lines) => {
                let lines = lines.into_iter().enumerate().filter(|(_, line)| !line.starts_with("#version"));
                let pairs = lines.map(|(index, line)| match line.split(' ').collect::<Vec<_>>()[..] {
                    [left, right] => Ok((left.to_owned(), right.to_owned())),
                    _ => Err(TokenizerError::Merge { index, merge: line.chars().take(64).collect() }),
                });
                pairs.collect::<Result<_, _>>()?
            },
        };
        let vocab: tokenizers::models::bpe::Vocab = self.vocab.into_iter().collect();
        let mut builder = BPE::builder()
            .vocab_and_merges(vocab, merges)
            .fuse_unk(self.fuse_unk.unwrap_or(false))
            .byte_fallback(self.byte_fallback.unwrap_or(false))
            .ignore_merges(self.ignore_merges.unwrap_or(false));
        if let Some(unknown) = self.unk_token {
            builder = builder.unk_token(unknown);
        }
        builder.build().map_err(|error| TokenizerError::Unusable(error.to_string()))
    }
}

impl Step {
    fn settings<T: DeserializeOwned>(self) -> Result<T, TokenizerError> {
        serde_json::from_value(Value::Object(self.settings)).map_err(TokenizerError::Json)
    }

    /// This step, or those that it is a sequence of under the key `list`, in order.
    ///
    /// Every kind in `once` may occur once: each of them can make a text several times longer.
    fn flatten(self, what: &'static str, list: &str, once: &[&str]) -> Result<Vec<Self>, TokenizerError> {
        let mut steps = Vec::new();
        // The next one is the last; JSON itself bounds how deep sequences lie in each other.
        let mut waiting = vec![self];
        while let Some(step) = waiting.pop() {
            if step.ty != "Sequence" {
                steps.push(step);
            } else {
                let mut lists: BTreeMap<String, Vec<Self>> = step.settings()?;
                match (lists.remove(list), lists.is_empty()) {
                    (Some(inner), true) => waiting.extend(inner.into_iter().rev()),
                    _ => return unsupported(what, "Sequence of something else"),
                }
            }
            if steps.len() + waiting.len() > MAX_STEPS {
                return unsupported(what, format!("Sequence of more than {MAX_STEPS}"));
            }
        }
        let mut seen = BTreeSet::new();
        match steps.iter().find(|step| once.contains(&step.ty.as_str()) && !seen.insert(step.ty.as_str())) {
            Some(twice) => unsupported(what, format!("{} twice", twice.ty)),
            None => Ok(steps),
        }
    }
}

/// NFC, and what SentencePiece does: white space to `▁`, and one in front.
///
/// A text stays at least as long in characters as the places of its parts need: nothing is replaced by nothing, and what is
/// replaced is a fixed string, which is not empty. So no added token, once normalised, is empty either.
fn normaliser(step: Step) -> Result<NormalizerWrapper, TokenizerError> {
    const WHAT: &str = "normalizer";
    let one_character = |text: &str| text.chars().count() == 1;
    let convert = |step: Step| -> Result<NormalizerWrapper, TokenizerError> {
        match step.ty.as_str() {
            "NFC" => step.settings().map(|NoSettings {}| NFC.into()),
            "Prepend" => {
                let PrependSettings { prepend } = step.settings()?;
                if one_character(&prepend) {
                    Ok(normalizers::Prepend::new(prepend).into())
                } else {
                    unsupported(WHAT, format!("Prepend of {prepend:?}"))
                }
            },
            "Replace" => {
                let ReplaceSettings { pattern, content } = step.settings()?;
                match pattern {
                    Pattern::String(text)
                        if !text.is_empty() && text.len() <= MAX_PATTERN && one_character(&content) =>
                    {
                        normalizers::Replace::new(text, content)
                            .map(Into::into)
                            .map_err(|error| TokenizerError::Unusable(error.to_string()))
                    },
                    Pattern::String(text) | Pattern::Regex(text) => {
                        unsupported(WHAT, format!("Replace of {text:?} by {content:?}"))
                    },
                }
            },
            other => unsupported(WHAT, other),
        }
    };
    let steps = step.flatten(WHAT, "normalizers", &["NFC", "Prepend", "Replace"])?;
    let steps = steps.into_iter().map(convert).collect::<Result<Vec<_>, _>>()?;
    Ok(normalizers::Sequence::new(steps).into())
}

/// Cutting at expressions and digits, bytes as characters, and SentencePiece's white space.
fn pre_tokeniser(step: Step) -> Result<PreTokenizerWrapper, TokenizerError> {
    const WHAT: &str = "pre-tokenizer";
    let convert = |step: Step| -> Result<PreTokenizerWrapper, TokenizerError> {
        match step.ty.as_str() {
            "ByteLevel" => {
                let ByteLevelSettings { add_prefix_space, use_regex, .. } = step.settings()?;
                Ok(ByteLevel::new(add_prefix_space, true, use_regex.unwrap_or(true)).into())
            },
            "Digits" => {
                step.settings().map(|DigitsSettings { individual_digits }| Digits::new(individual_digits).into())
            },
            "Split" => {
                let SplitSettings { pattern, behavior, invert } = step.settings()?;
                let pattern = match pattern {
                    Pattern::String(text) => SplitPattern::String(text),
                    Pattern::Regex(text) => SplitPattern::Regex(text),
                };
                let (SplitPattern::String(text) | SplitPattern::Regex(text)) = &pattern;
                if text.is_empty() || text.len() > MAX_PATTERN {
                    return unsupported(WHAT, format!("Split at {} bytes", text.len()));
                }
                Split::new(pattern, behavior, invert)
                    .map(Into::into)
                    .map_err(|error| TokenizerError::Unusable(error.to_string()))
            },
            "Metaspace" => {
                let MetaspaceSettings { replacement, prepend_scheme, add_prefix_space, split, .. } = step.settings()?;
                let scheme = match (prepend_scheme, add_prefix_space) {
                    (None, Some(false)) => PrependScheme::Never,
                    (Some(scheme), Some(false)) if scheme != PrependScheme::Never => {
                        return unsupported(WHAT, format!("Metaspace without a prefix space, but {scheme:?}"));
                    },
                    (scheme, _) => scheme.unwrap_or(PrependScheme::Always),
                };
                Ok(Metaspace::new(replacement, scheme, split.unwrap_or(true)).into())
            },
            other => unsupported(WHAT, other),
        }
    };
    let steps = step.flatten(WHAT, "pretokenizers", &["ByteLevel", "Metaspace"])?;
    let steps = steps.into_iter().map(convert).collect::<Result<Vec<_>, _>>()?;
    Ok(sequence::Sequence::new(steps).into())
}
