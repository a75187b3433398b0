//! Files for tests, written here so that the readers are not tested against themselves.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod checkpoint;
pub(crate) mod gguf;
pub(crate) mod llama;

use blyan_primitives::{ids::ContentHash, spec::Name};
use blyan_tensorblock::{UnwrittenBlock, VerifiedBlock};
use std::{collections::BTreeMap, env, fs, path::PathBuf};

/// Blocks by hash.
pub(crate) type Blocks = BTreeMap<ContentHash, VerifiedBlock>;

/// A sink that keeps blocks in memory.
pub(crate) fn keep(
    blocks: &mut Blocks,
) -> impl FnMut(UnwrittenBlock<'static>) -> Result<(), blyan_model::import::SinkError> + '_ {
    |block| {
        let hash = block.hash();
        let first = blocks.insert(hash, block.into_block()?).is_none();
        assert!(first, "block {hash} came twice");
        Ok(())
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Reproducible numbers in [-1, 1).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(crate) fn take(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// The genesis model's file: where `scripts/setup` puts it.
pub(crate) fn genesis_file() -> PathBuf {
    let given = env::var_os("BLYAN_GENESIS_MODEL").map(PathBuf::from);
    let path = given.unwrap_or_else(|| cache().join("models/SmolLM2-135M-Instruct.Q4_1.gguf"));
    assert!(path.is_file(), "the genesis model is not at {}: run scripts/setup", path.display());
    path
}

/// The first texts of a genre of the Brown corpus, at least `bytes` in all, without their tags. `scripts/test` puts the
/// corpus where this looks.
pub(crate) fn brown(genre: &str, bytes: usize) -> String {
    let folder = env::var_os("BLYAN_BROWN").map_or_else(|| cache().join("brown"), PathBuf::from);
    let mut text = String::new();
    for number in 1.. {
        let path = folder.join(format!("c{genre}{number:02}"));
        let tagged = fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}: scripts/test installs the Brown corpus", path.display());
        });
        for word in tagged.split_whitespace().filter_map(|token| token.rsplit_once('/')).map(|(word, _)| word) {
            // Quotation marks are written as in TeX; punctuation is a token of its own.
            let word = if matches!(word, "``" | "''") { "\"" } else { word };
            if !text.is_empty() && !matches!(word, "." | "," | ";" | ":" | "?" | "!") {
                text.push(' ');
            }
            text.push_str(word);
        }
        if text.len() >= bytes {
            return text;
        }
    }
    unreachable!("numbers do not end")
}

fn cache() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache/blyan");
    env::var_os("BLYAN_CACHE").map_or_else(home, PathBuf::from)
}
