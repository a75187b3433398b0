//! Tokenizer, chat template and generation settings of a checkpoint.

use super::{HfError, MAX_CONFIG, read_bounded, read_json_if_there};
use crate::{
    chat::{MAX_TEMPLATE, TextAssets},
    import::ImportError,
    tokenizer::{Generation, MAX_JSON, Tokenizer, TokenizerError},
};
use serde::Deserialize;
use std::{io, path::Path};

/// `tokenizer_config.json`, as far as it is needed.
#[derive(Default, Deserialize)]
struct TokenizerConfig {
    chat_template: Option<Templates>,
    bos_token: Option<TokenText>,
    eos_token: Option<TokenText>,
    add_bos_token: Option<bool>,
}

/// A token's text; older files have its settings beside it.
#[derive(Deserialize)]
#[serde(untagged)]
enum TokenText {
    Plain(String),
    Detailed { content: String },
}

impl TokenText {
    fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Detailed { content: text } => text,
        }
    }
}

/// One template, or several by name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

impl Templates {
    fn default_template(self) -> Option<String> {
        match self {
            Self::One(template) => Some(template),
            Self::Named(all) => all.into_iter().find(|one| one.name == "default").map(|one| one.template),
        }
    }
}

/// `generation_config.json`, as far as it is needed.
#[derive(Default, Deserialize)]
struct GenerationConfig {
    eos_token_id: Option<OneOrMore>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(u32),
    More(Vec<u32>),
}

/// Reads `tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja` and `generation_config.json`; all but the first may
/// be missing.
pub(super) fn read(folder: &Path) -> Result<TextAssets, ImportError> {
    let json = read_bounded(&folder.join("tokenizer.json"), MAX_JSON as u64)?;
    let tokenizer = Tokenizer::from_json(&json)?;
    let config: TokenizerConfig = read_json_if_there(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
    let generation: GenerationConfig = read_json_if_there(&folder.join("generation_config.json"))?.unwrap_or_default();

    let id = |what, token: &Option<TokenText>| match token.as_ref().map(TokenText::text) {
        Some(text) => tokenizer
            .id(text)
            .map(Some)
            .ok_or_else(|| TokenizerError::Unsupported { what, found: text.chars().take(64).collect() }),
        None => Ok(None),
    };
    let (bos, eos) =
        (id("beginning-of-sequence token", &config.bos_token)?, id("end-of-sequence token", &config.eos_token)?);
    let mut stop: Vec<u32> = match generation.eos_token_id {
        Some(OneOrMore::One(id)) => vec![id],
        Some(OneOrMore::More(ids)) => ids,
        None => Vec::new(),
    };
    stop.extend(eos);
    stop.sort_unstable();
    stop.dedup();
    let chat_template = match template_file(folder)? {
        Some(template) => Some(template),
        None => config.chat_template.and_then(Templates::default_template),
    };
    let generation = Generation { bos, eos, stop, add_bos: config.add_bos_token.unwrap_or(false) };
    Ok(TextAssets { tokenizer: json, chat_template, generation })
}

fn template_file(folder: &Path) -> Result<Option<String>, HfError> {
    // The template's own bound is checked where it is compiled; this one only keeps the file out of memory.
    const _: () = assert!(MAX_CONFIG > MAX_TEMPLATE as u64);
    let path = folder.join("chat_template.jinja");
    match read_bounded(&path, MAX_CONFIG) {
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| HfError::Utf8 { path }),
        Err(HfError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
