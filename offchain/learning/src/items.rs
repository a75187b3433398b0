//! Blocks of items: token sequences that learners train on, and that deltas are measured on.
//!
//! All items of a block have as many tokens as each other; the chain says how many. One tensor has all of them,
//! [`TOKENS`], u32, `[items, tokens]`.

use blyan_primitives::{
    block::{BlockKind, DType, Form, Layout, Quantisation},
    dispute::{self, TOKENS},
    ids::ContentHash,
    trace::MAX_ITEM_TOKENS,
};
use blyan_tensorblock::{BlockBuilder, BlockError, UnwrittenBlock, VerifiedBlock};

/// Why there is no block of items, or a block is none.
#[derive(Debug, thiserror::Error)]
pub enum ItemsError {
    /// The block has something else.
    #[error("block {0} has no items: needed is a block of kind items with a tensor `{TOKENS}`, u32 [items, tokens]")]
    NotItems(ContentHash),
    /// There are no items, or more than can be counted.
    #[error("{0} items do not make a block: one has 1 to 2^32 - 1")]
    Count(usize),
    /// Items cannot have so many tokens.
    #[error("items of {0} tokens cannot be measured on: they have 2 to {MAX_ITEM_TOKENS}")]
    Tokens(u32),
    /// An item has more or fewer tokens than the others.
    #[error("item {item} has {found} tokens, those of this block have {expected}")]
    Length {
        /// Which.
        item: usize,
        /// Tokens of the block's items.
        expected: u32,
        /// Tokens of this one.
        found: usize,
    },
    /// The block cannot be built or read.
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// Makes a block of items with `tokens` tokens each.
///
/// # Errors
/// When there are none, or one of them has more or fewer tokens.
pub fn write<I: AsRef<[u32]>>(items: &[I], tokens: u32) -> Result<UnwrittenBlock<'static>, ItemsError> {
    if !(2..=MAX_ITEM_TOKENS).contains(&tokens) {
        return Err(ItemsError::Tokens(tokens));
    }
    let count = u32::try_from(items.len()).ok().filter(|count| *count > 0);
    let count = count.ok_or(ItemsError::Count(items.len()))?;
    let mut all = Vec::with_capacity(items.len() * tokens as usize);
    for (item, own) in items.iter().map(AsRef::as_ref).enumerate() {
        if own.len() != tokens as usize {
            return Err(ItemsError::Length { item, expected: tokens, found: own.len() });
        }
        all.extend_from_slice(own);
    }
    let mut builder = BlockBuilder::new(BlockKind::Items, Form::Serving, Quantisation::None);
    builder.tensor(TOKENS, DType::U32, Layout::RowMajor, &[count, tokens], all)?;
    Ok(builder.finish()?)
}

/// The items of a verified block.
#[derive(Clone, Debug)]
pub struct Items {
    block: VerifiedBlock,
    count: u32,
    tokens: u32,
}

impl Items {
    /// Takes a block as one of items: whatever the chain takes as one is.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(block: VerifiedBlock) -> Result<Self, ItemsError> {
        let (_, count, tokens) = dispute::tokens(block.header()).ok_or(ItemsError::NotItems(block.hash()))?;
        Ok(Self { block, count, tokens })
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Tokens of each.
    pub fn tokens(&self) -> u32 {
        self.tokens
    }

    /// The tokens of an item, in the mapped bytes; `None` where there is no such item.
    ///
    /// # Errors
    /// None, for what [`Self::new`] has checked.
    pub fn item(&self, index: u32) -> Result<Option<&[u32]>, ItemsError> {
        let all = self.block.tensor(TOKENS)?.u32()?;
        let tokens = self.tokens as usize;
        Ok((index < self.count).then(|| &all[index as usize * tokens..][..tokens]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(count: usize, tokens: u32) -> Vec<Vec<u32>> {
        (0..count as u32).map(|item| (0..tokens).map(|token| item * 1000 + token).collect()).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(count in 1usize..9, tokens in 2u32..9) {
            let items = items(count, tokens);
            let read = Items::new(write(&items, tokens).unwrap().into_block().unwrap()).unwrap();
            prop_assert_eq!((read.count() as usize, read.tokens()), (count, tokens));
            for (index, item) in (0..).zip(&items) {
                prop_assert_eq!(read.item(index).unwrap(), Some(&item[..]));
            }
            prop_assert_eq!(read.item(count as u32).unwrap(), None);
            prop_assert_eq!(read.item(u32::MAX).unwrap(), None);
        }

        #[test]
        fn any_block_is_read_or_refused(
            kind in prop::sample::select(vec![BlockKind::Items, BlockKind::Items, BlockKind::Delta]),
            name in prop::sample::select(vec!["tokens", "tokens", "token"]),
            dtype in prop::sample::select(vec![DType::U32, DType::U32, DType::F32, DType::U8]),
            shape in prop::collection::vec(1u32..5, 1..4), more: bool,
        ) {
            let bytes = |shape: &[u32]| vec![7u8; shape.iter().product::<u32>() as usize * dtype.size() as usize];
            let mut builder = BlockBuilder::new(kind, Form::Serving, Quantisation::None);
            builder.tensor(name, dtype, Layout::RowMajor, &shape, bytes(&shape)).unwrap();
            if more {
                builder.tensor("other", dtype, Layout::RowMajor, &shape, bytes(&shape)).unwrap();
            }
            let is_theirs = kind == BlockKind::Items && name == TOKENS && dtype == DType::U32 && shape.len() == 2;
            match Items::new(builder.finish().unwrap().into_block().unwrap()) {
                Ok(items) => {
                    prop_assert!(is_theirs);
                    prop_assert_eq!(items.item(shape[0] - 1).unwrap().unwrap(), vec![0x0707_0707; shape[1] as usize]);
                },
                Err(error) => prop_assert!(!is_theirs && matches!(error, ItemsError::NotItems(_))),
            }
        }
    }

    #[test]
    fn what_makes_no_block_is_refused() {
        let none: [Vec<u32>; 0] = [];
        assert!(matches!(write(&none, 5), Err(ItemsError::Count(0))));
        for tokens in [0, 1, MAX_ITEM_TOKENS + 1] {
            assert!(matches!(write(&items(2, tokens), tokens), Err(ItemsError::Tokens(_))));
        }
        let mut uneven = items(3, 4);
        uneven[2].pop();
        assert!(matches!(write(&uneven, 4), Err(ItemsError::Length { item: 2, expected: 4, found: 3 })));
    }

    #[test]
    fn names_are_pinned() {
        // A part of the protocol: sets that are registered are named so.
        let name = write(&items(3, 4), 4).unwrap().hash().to_string();
        assert_eq!(&name[..18], "0x3f9c7bcb98db3adf");
    }
}
