//! Hidden sets: items that everybody can have before anybody but their steward can read them.
//!
//! Each token as four bytes, little-endian, encrypted with ChaCha20 (RFC 8439), the counter and the nonce zero. A key is for one
//! block. Nothing more is needed: the plain block is on chain by its name, which whoever decrypts compares.

use crate::items::{Items, ItemsError};
use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, Quantisation},
    dispute::TOKENS,
    ids::ContentHash,
    trace::MAX_ITEM_TOKENS,
};
use blyan_tensorblock::{BlockBuilder, BlockError, UnwrittenBlock, VerifiedBlock};
use chacha20::{
    ChaCha20,
    cipher::{KeyIvInit, StreamCipher},
};

/// The tensor with encrypted tokens, u8 `[items, tokens, 4]`.
const ENCRYPTED: &str = "encrypted";

/// Why items are not encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum HiddenError {
    /// The block has no encrypted items.
    #[error(
        "block {0} has no encrypted items: needed is a block of kind items with a tensor `{ENCRYPTED}`, u8 [items, tokens, 4]"
    )]
    NotEncrypted(ContentHash),
    /// The items cannot be read.
    #[error(transparent)]
    Items(#[from] ItemsError),
    /// The block cannot be built or read.
    #[error(transparent)]
    Block(#[from] BlockError),
}

fn apply(key: &[u8; 32], bytes: &mut [u8]) {
    ChaCha20::new(key.into(), &[0; 12].into()).apply_keystream(bytes);
}

/// The block of these items, encrypted.
///
/// # Errors
/// When the items cannot be read.
pub fn encrypt(items: &Items, key: &[u8; 32]) -> Result<UnwrittenBlock<'static>, HiddenError> {
    let mut bytes = Vec::new();
    for index in 0..items.count() {
        let tokens = items.item(index)?.unwrap_or_default();
        bytes.extend(tokens.iter().flat_map(|token| token.to_le_bytes()));
    }
    apply(key, &mut bytes);
    let mut builder = BlockBuilder::new(BlockKind::Items, Form::Serving, Quantisation::None);
    builder.tensor(ENCRYPTED, DType::U8, Layout::RowMajor, &[items.count(), items.tokens(), 4], bytes)?;
    Ok(builder.finish()?)
}

/// The block that was encrypted. Its name shows whether the key was the right one.
///
/// # Errors
/// When the block is none that [`encrypt`] makes.
pub fn decrypt(block: &VerifiedBlock, key: &[u8; 32]) -> Result<UnwrittenBlock<'static>, HiddenError> {
    let refused = || HiddenError::NotEncrypted(block.hash());
    let [info] = block.header().tensors.as_slice() else { return Err(refused()) };
    let is_bytes = info.name == ENCRYPTED && info.dtype == DType::U8 && info.layout == Layout::RowMajor;
    let &[count, tokens, 4] = info.shape.as_slice() else { return Err(refused()) };
    if block.header().kind != BlockKind::Items || !is_bytes || !(2..=MAX_ITEM_TOKENS).contains(&tokens) {
        return Err(refused());
    }
    let mut bytes = block.tensor(ENCRYPTED)?.u8()?.to_vec();
    apply(key, &mut bytes);
    let (words, _) = bytes.as_chunks();
    let all: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let mut builder = BlockBuilder::new(BlockKind::Items, Form::Serving, Quantisation::None);
    builder.tensor(TOKENS, DType::U32, Layout::RowMajor, &[count, tokens], all)?;
    Ok(builder.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::write;
    use proptest::prelude::*;

    const KEY: [u8; 32] = [0x4b; 32];

    fn plain(count: u32, tokens: u32) -> VerifiedBlock {
        let items: Vec<Vec<u32>> =
            (0..count).map(|item| (0..tokens).map(|token| item * 1000 + token).collect()).collect();
        write(&items, tokens).unwrap().into_block().unwrap()
    }

    fn hidden(block: &VerifiedBlock) -> VerifiedBlock {
        encrypt(&Items::new(block.clone()).unwrap(), &KEY).unwrap().into_block().unwrap()
    }

    #[test]
    fn whoever_has_the_key_gets_the_very_block() {
        for (count, tokens) in [(1, 2), (3, 129), (100, 7)] {
            let block = plain(count, tokens);
            let hidden = hidden(&block);
            assert_eq!(decrypt(&hidden, &KEY).unwrap().hash(), block.hash());
            assert_ne!(decrypt(&hidden, &[0; 32]).unwrap().hash(), block.hash());
            assert!(Items::new(hidden).is_err(), "what is encrypted are no items");
        }
    }

    #[test]
    fn the_cipher_is_pinned() {
        // A part of the protocol. The key stream of RFC 8439's first test vector: key, nonce and counter zero.
        let mut bytes = [0; 8];
        apply(&[0; 32], &mut bytes);
        assert_eq!(bytes, [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]);
    }

    proptest! {
        #[test]
        fn any_block_is_decrypted_or_refused(
            kind in prop::sample::select(vec![BlockKind::Items, BlockKind::Delta]),
            name in prop::sample::select(vec!["encrypted", "tokens"]),
            shape in prop::collection::vec(1u32..6, 1..5), more: bool,
        ) {
            let mut builder = BlockBuilder::new(kind, Form::Serving, Quantisation::None);
            let bytes = vec![7u8; shape.iter().product::<u32>() as usize];
            builder.tensor(name, DType::U8, Layout::RowMajor, &shape, bytes.clone()).unwrap();
            if more {
                builder.tensor("other", DType::U8, Layout::RowMajor, &shape, bytes).unwrap();
            }
            let is_theirs = kind == BlockKind::Items
                && name == ENCRYPTED
                && matches!(shape[..], [_, tokens, 4] if tokens >= 2)
                && !more;
            match decrypt(&builder.finish().unwrap().into_block().unwrap(), &KEY) {
                Ok(_) => prop_assert!(is_theirs),
                Err(error) => prop_assert!(!is_theirs && matches!(error, HiddenError::NotEncrypted(_))),
            }
        }
    }
}
