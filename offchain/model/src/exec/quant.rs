//! Quantised activations: what linear layers multiply with.
//!
//! See [`crate::exec`] for the definition. A token's row of `k` values is cut into blocks; each block has a power-of-two
//! scale `2^(e_min + shift)` and integers in [-127, 127].

use super::pool::Chunks;

/// What a token's row needs besides its blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RowScale {
    /// `2^e_min`, the unit of the token's integers.
    pub(crate) unit: f32,
    /// `-128 Σ_b 2^shift_b Σ q`: where a path starts that adds 128 to each weight.
    pub(crate) offset: i64,
    /// Whether the dot product with any int8 weights fits 32 bits.
    pub(crate) narrow: bool,
}

/// A value is infinite or not a number where a finite one is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotFinite;

/// One token's quantised row.
///
/// A block of `B` activations is a record of `B / 4 + 1` words: each of the first holds 4 integers, the earliest in the lowest
/// byte, and the last holds the left shift of the block's dot product. The last block is padded with zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// Records.
    pub(crate) words: &'a [u32],
    /// The rest.
    pub(crate) scale: RowScale,
}

impl Row<'_> {
    /// A row of nothing.
    pub(crate) const EMPTY: Self = Self { words: &[], scale: RowScale { unit: 0.0, offset: 0, narrow: true } };
}

/// One token's row, to be written: words, and a slice of one scale.
pub(crate) type RowMut<'a> = (&'a mut [u32], &'a mut [RowScale]);

/// Quantised activations of several tokens, `[tokens, k]`.
#[derive(Debug)]
pub(crate) struct Activations {
    k: usize,
    block: usize,
    words: Vec<u32>,
    scales: Vec<RowScale>,
}

impl Activations {
    /// Room for `tokens` rows of `k` values in blocks of `block`.
    pub(crate) fn new(tokens: usize, k: usize, block: usize) -> Self {
        let row = Self { k, block, words: Vec::new(), scales: Vec::new() };
        Self { words: vec![0; tokens * row.row_words()], scales: vec![RowScale::default(); tokens], ..row }
    }

    /// Values in a block.
    pub(crate) fn block(&self) -> usize {
        self.block
    }

    /// Values in a row, without padding.
    pub(crate) fn k(&self) -> usize {
        self.k
    }

    /// Token `index`.
    #[inline(always)]
    pub(crate) fn row(&self, index: usize) -> Row<'_> {
        let words = self.row_words();
        Row { words: &self.words[index * words..][..words], scale: self.scales[index] }
    }

    /// The first `tokens` rows as parts for [`super::pool::Pool::each`], each a [`RowMut`].
    pub(crate) fn parts(&mut self, tokens: usize) -> (Chunks<'_, u32>, Chunks<'_, RowScale>) {
        let words = self.row_words();
        (Chunks::new(&mut self.words[..tokens * words], words), Chunks::new(&mut self.scales[..tokens], 1))
    }

    #[inline(always)]
    fn row_words(&self) -> usize {
        self.k.div_ceil(self.block) * (self.block / 4 + 1)
    }
}

/// The first `count` records of each row. Inlined before anything else, so that the caller's instructions apply.
#[inline(always)]
pub(super) fn records<'a, const N: usize, const RECORD: usize>(
    rows: &[Row<'a>; N],
    count: usize,
) -> [&'a [[u32; RECORD]]; N] {
    let mut records: [&[[u32; RECORD]]; N] = [&[]; N];
    for n in 0..N {
        records[n] = &rows[n].words.as_chunks::<RECORD>().0[..count];
    }
    records
}

/// Record `b` of each row.
#[inline(always)]
pub(super) fn at<const N: usize, const RECORD: usize>(records: [&[[u32; RECORD]]; N], b: usize) -> [&[u32; RECORD]; N] {
    let mut record: [&[u32; RECORD]; N] = [&[0; RECORD]; N];
    for n in 0..N {
        record[n] = &records[n][b];
    }
    record
}

/// Whether every dot product with these rows fits 32 bits.
#[inline(always)]
pub(super) fn all_narrow(rows: &[Row<'_>]) -> bool {
    rows.iter().all(|row| row.scale.narrow)
}
