//! Byte-level BPE from the metadata of a GGUF file.
//!
//! The file has the vocabulary, the merges and the name of the pre-tokeniser; how each named pre-tokeniser cuts text is
//! convention.

use super::{
    Generation, MAX_VOCAB, TokenizerError,
    json::{ByteLevelBpe, PreTokeniser},
};
use crate::gguf::{Array, Gguf};
use std::collections::{BTreeMap, BTreeSet};

const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";
const BOS: &str = "tokenizer.ggml.bos_token_id";
const EOS: &str = "tokenizer.ggml.eos_token_id";
const EOT: &str = "tokenizer.ggml.eot_token_id";
const EOM: &str = "tokenizer.ggml.eom_token_id";
const ADD_BOS: &str = "tokenizer.ggml.add_bos_token";

/// Control tokens that end an answer under whatever id: not every file names its end-of-turn token.
const ENDINGS: [&str; 6] = ["<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "</s>"];

/// `tokenizer.ggml.token_type` of a token that stands for the bytes of its text.
const NORMAL: i64 = 1;
/// Of the token for what has none.
const UNKNOWN: i64 = 2;
/// Of a control token.
const CONTROL: i64 = 3;
/// Of a token that is found in text before anything is cut.
const USER_DEFINED: i64 = 4;
/// Of a place that no text leads to.
const UNUSED: i64 = 5;

/// The `tokenizer.json` and the generation settings that a file's metadata describe.
pub(crate) fn from_gguf<B: AsRef<[u8]>>(file: &Gguf<B>) -> Result<(Vec<u8>, Generation), TokenizerError> {
    let model: &str = file.require(MODEL)?;
    if model != "gpt2" {
        return Err(TokenizerError::Unsupported { what: "tokenizer model", found: model.to_owned() });
    }
    let name: &str = file.require(PRE)?;
    let pre = PreTokeniser::named(name)
        .ok_or_else(|| TokenizerError::Unsupported { what: "pre-tokeniser", found: name.to_owned() })?;
    let bpe = read_bpe(file, pre)?;
    let generation = read_generation(file, &bpe)?;
    Ok((bpe.into_json()?, generation))
}

fn read_bpe<B: AsRef<[u8]>>(file: &Gguf<B>, pre: PreTokeniser) -> Result<ByteLevelBpe, TokenizerError> {
    let tokens: Array<'_> = file.require(TOKENS)?;
    let types: Array<'_> = file.require(TYPES)?;
    if tokens.len() > MAX_VOCAB || types.len() != tokens.len() {
        return Err(TokenizerError::VocabularySize { tokens: tokens.len(), types: types.len() });
    }
    let (mut vocab, mut added) = (BTreeMap::new(), BTreeMap::new());
    for (id, (token, ty)) in (0u32..).zip(tokens.items::<&str>(TOKENS).zip(types.items::<i64>(TYPES))) {
        let token = token?.to_owned();
        match ty? {
            NORMAL => (),
            UNUSED => continue,
            ty @ (UNKNOWN | CONTROL | USER_DEFINED) => {
                added.insert(id, (token.clone(), ty != USER_DEFINED));
            },
            other => {
                return Err(TokenizerError::Unsupported {
                    what: "token type",
                    found: format!("{other} of token {id}"),
                });
            },
        }
        if token.is_empty() {
            return Err(TokenizerError::EmptyToken { id });
        }
        if let Some(first) = vocab.insert(token.clone(), id) {
            return Err(TokenizerError::DuplicateToken { token, first, second: id });
        }
    }

    let listed: Array<'_> = file.require(MERGES)?;
    let mut merges = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, merge) in listed.items::<&str>(MERGES).enumerate() {
        let merge = merge?;
        let bad = || TokenizerError::Merge { index, merge: merge.chars().take(64).collect() };
        let (left, right) = merge.split_once(' ').ok_or_else(bad)?;
        let known = vocab.contains_key(left) && vocab.contains_key(right);
        let joined = vocab.get(&format!("{left}{right}"));
        // A merge that builds a control token would let a user's text steer the model.
        let plain = joined.is_some_and(|id| !added.contains_key(id));
        if !known || !plain || !seen.insert((left, right)) {
            return Err(bad());
        }
        merges.push((left.to_owned(), right.to_owned()));
    }
    Ok(ByteLevelBpe { pre, vocab, merges, added })
}

fn read_generation<B: AsRef<[u8]>>(file: &Gguf<B>, bpe: &ByteLevelBpe) -> Result<Generation, TokenizerError> {
    let token = |key: &'static str| -> Result<Option<u32>, TokenizerError> {
        let id: Option<u32> = file.get(key)?;
        match id {
            Some(id) if !bpe.vocab.values().any(|known| *known == id) => {
                Err(TokenizerError::UnknownId { what: key, id })
            },
            id => Ok(id),
        }
    };
    let (bos, eos) = (token(BOS)?, token(EOS)?);
    let mut stop: BTreeSet<u32> = [eos, token(EOT)?, token(EOM)?].into_iter().flatten().collect();
    let controls = bpe.added.iter().filter(|(_, (_, special))| *special);
    stop.extend(controls.filter(|(_, (text, _))| ENDINGS.contains(&text.as_str())).map(|(id, _)| *id));
    let add_bos = file.get(ADD_BOS)?.unwrap_or(bpe.pre == PreTokeniser::Llama3);
    Ok(Generation { bos, eos, stop: stop.into_iter().collect(), add_bos })
}
