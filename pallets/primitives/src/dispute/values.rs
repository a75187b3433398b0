//! What a value is computed from, found where it lies: in leaves of the trace, and in subtiles of blocks.

use super::Missing;
use crate::{
    block::{BlockHeader, BlockKind, DType, Layout, TensorInfo},
    ids::ContentHash,
    merkle::SUBTILE,
    trace::{Inputs, Part, Step, Tensor, Trace, Word, LEAF_WORDS},
};
use alloc::{borrow::Cow, rc::Rc, vec::Vec};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::ops::Range;
use scale_info::TypeInfo;

/// Tensor of a block of [items](BlockKind::Items) that has their tokens: u32, `[items, tokens]`.
pub const TOKENS: &str = "tokens";

/// The tokens that a model was measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Item {
    /// The block that has them.
    pub block: ContentHash,
    /// Which of its items.
    pub index: u32,
}

/// Who knows the blocks of the model that was measured.
pub trait Weights {
    /// The block that a part of the model is.
    fn block(&self, part: Part) -> Option<ContentHash>;
}

/// Who has leaves and blocks.
pub trait Access {
    /// Why something cannot be had.
    type Error: From<Missing>;

    /// The header of a block.
    fn header(&mut self, block: ContentHash) -> Result<Rc<BlockHeader>, Self::Error>;

    /// A subtile of a block.
    fn subtile(&mut self, block: ContentHash, index: u64) -> Result<Cow<'_, [u8]>, Self::Error>;

    /// The words of a leaf of the trace.
    fn leaf(&mut self, index: u64) -> Result<Cow<'_, [u32]>, Self::Error>;
}

/// The inputs of values of an evaluation.
#[derive(Debug)]
pub struct Values<'a, W, A> {
    shape: &'a Trace,
    weights: &'a W,
    item: Item,
    access: A,
}

impl<'a, W: Weights, A: Access> Values<'a, W, A> {
    /// Of an item, measured with these weights.
    pub fn new(shape: &'a Trace, weights: &'a W, item: Item, access: A) -> Self {
        Self { shape, weights, item, access }
    }

    /// What they are read from.
    pub fn access_mut(&mut self) -> &mut A {
        &mut self.access
    }

    /// The same, by itself.
    pub fn into_access(self) -> A {
        self.access
    }

    fn part(&self, part: Part) -> Result<ContentHash, Missing> {
        self.weights.block(part).ok_or(Missing::Part(part))
    }

    /// Bytes `range` of the data region of a block.
    fn bytes(&mut self, block: ContentHash, range: Range<u64>) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        for index in range.start / SUBTILE..range.end.div_ceil(SUBTILE) {
            let data = self.access.subtile(block, index)?;
            let start = index.saturating_mul(SUBTILE);
            let place = |byte: u64| byte.saturating_sub(start).min(data.len() as u64) as usize;
            bytes.extend_from_slice(data.get(place(range.start)..place(range.end)).unwrap_or_default());
        }
        // A tensor lies inside the data, which a header was checked to say.
        Ok(bytes)
    }

    /// Words `range` of a tensor of 32-bit elements.
    fn elements(&mut self, block: ContentHash, info: &TensorInfo, range: Range<u32>) -> Result<Vec<u32>, A::Error> {
        let place = |element: u32| info.offset.saturating_add(u64::from(element).saturating_mul(4));
        let bytes = self.bytes(block, place(range.start)..place(range.end))?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
    }

    fn element(&mut self, block: ContentHash, info: &TensorInfo, index: u32) -> Result<u32, A::Error> {
        let words = self.elements(block, info, index..index.saturating_add(1))?;
        words.first().copied().ok_or(Missing::Header(block).into())
    }
}

impl<W: Weights, A: Access> Inputs for Values<'_, W, A> {
    type Error = A::Error;

    fn words(&mut self, step: Step, row: u32, columns: Range<u32>) -> Result<Vec<u32>, A::Error> {
        let mut words = Vec::with_capacity(columns.len());
        let mut column = columns.start;
        while column < columns.end {
            let word = Word { step, row, column };
            let index = self.shape.leaf_of(word).ok_or(Missing::Word(word))?;
            let first = column % LEAF_WORDS;
            let end = column.saturating_sub(first).saturating_add(LEAF_WORDS).min(columns.end);
            let leaf = self.access.leaf(index)?;
            let own = leaf.iter().skip(first as usize).take(end.saturating_sub(column) as usize);
            words.extend(own);
            column = end;
        }
        Ok(words)
    }

    fn floats(&mut self, tensor: Tensor, elements: Range<u32>) -> Result<Vec<u32>, A::Error> {
        let block = self.part(tensor.place().part)?;
        let header = self.access.header(block)?;
        let (info, _) = tensor.find(self.shape.dimensions(), &header).ok_or(Missing::Header(block))?;
        self.elements(block, info, elements)
    }

    fn row(&mut self, tensor: Tensor, row: u32) -> Result<(Vec<i8>, u32), A::Error> {
        let block = self.part(tensor.place().part)?;
        let header = self.access.header(block)?;
        let (info, scales) = tensor.find(self.shape.dimensions(), &header).ok_or(Missing::Header(block))?;
        let (_, columns) = tensor.shape(self.shape.dimensions());
        let (k, scales) = columns.zip(scales).ok_or(Missing::Header(block))?;
        // A group of 16 rows lies in lines of 64 bytes, of which each has four of every row.
        let length = u64::from(k).next_multiple_of(4).saturating_mul(16);
        let start = info.offset.saturating_add(u64::from(row / 16).saturating_mul(length));
        let group = self.bytes(block, start..start.saturating_add(length))?;
        let lines = group.chunks(64).map(|line| line.iter().skip((row % 16).saturating_mul(4) as usize).take(4));
        let values = lines.flatten().take(k as usize).map(|byte| *byte as i8).collect();
        Ok((values, self.element(block, scales, row)?))
    }

    fn token(&mut self, index: u32) -> Result<u32, A::Error> {
        let block = self.item.block;
        let header = self.access.header(block)?;
        let place = token_place(&header, self.item.index, index).ok_or(Missing::Header(block))?;
        let (info, place) = place;
        self.element(block, info, place)
    }

    fn is_same_block(&mut self, layer: u16, one: u16, other: u16) -> Result<bool, A::Error> {
        let [one, other] = [one, other].map(|index| self.part(Part::Expert { layer, index }));
        Ok(one? == other?)
    }
}

/// The tokens in a block of items, how many items there are, and how many tokens each has.
pub fn tokens(header: &BlockHeader) -> Option<(&TensorInfo, u32, u32)> {
    let info = header.tensor(TOKENS).filter(|_| header.kind == BlockKind::Items)?;
    let is_theirs = info.dtype == DType::U32 && info.layout == Layout::RowMajor;
    match info.shape.as_slice() {
        &[items, tokens] if is_theirs => Some((info, items, tokens)),
        _ => None,
    }
}

/// Which element of which tensor a token of an item is.
fn token_place(header: &BlockHeader, item: u32, index: u32) -> Option<(&TensorInfo, u32)> {
    let (info, items, tokens) = tokens(header)?;
    let place = item.checked_mul(tokens)?.checked_add(index)?;
    (item < items && index < tokens).then_some((info, place))
}
