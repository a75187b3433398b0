//! Keys and values of the positions that a session has consumed.
//!
//! A page holds 16 positions of every layer and head, so that a session's memory grows with its length and a head's part of
//! a page is one run of memory. Keys lie transposed, `[head_dim, 16]`, so that one vector operation serves 16 positions;
//! values lie `[16, head_dim]`.

use blyan_primitives::spec::Dimensions;
use core::ops::Range;

/// Positions in a page.
pub(crate) const PAGE: usize = 16;

/// A session's keys and values.
#[derive(Debug)]
pub(crate) struct KvCache {
    kv_heads: usize,
    head_dim: usize,
    page_len: usize,
    pages: Vec<Page>,
}

/// 16 positions of every layer and head.
#[derive(Debug)]
pub(crate) struct Page(Box<[f32]>);

/// One head of one layer, to be read.
pub(crate) struct HeadCache<'a> {
    pages: &'a [Page],
    offset: usize,
    head_dim: usize,
}

impl KvCache {
    /// An empty cache.
    pub(crate) fn new(dimensions: &Dimensions) -> Self {
        let (kv_heads, head_dim) = (usize::from(dimensions.kv_heads), usize::from(dimensions.head_dim));
        Self { kv_heads, head_dim, page_len: page_len(dimensions), pages: Vec::new() }
    }

    /// Bytes that `positions` positions of a model take.
    pub(crate) fn bytes_for(dimensions: &Dimensions, positions: usize) -> usize {
        positions.div_ceil(PAGE) * page_len(dimensions) * size_of::<f32>()
    }

    /// Makes room for `positions` positions.
    pub(crate) fn grow(&mut self, positions: usize) {
        while self.pages.len() * PAGE < positions {
            self.pages.push(Page(vec![0.0; self.page_len].into_boxed_slice()));
        }
    }

    /// Bytes that the pages take.
    pub(crate) fn bytes(&self) -> usize {
        self.pages.len() * self.page_len * size_of::<f32>()
    }

    /// The pages that hold `positions`, for which there is room.
    pub(crate) fn pages_mut(&mut self, positions: Range<usize>) -> &mut [Page] {
        &mut self.pages[positions.start / PAGE..positions.end.div_ceil(PAGE)]
    }

    /// Offset in a page of one head of one layer.
    pub(crate) fn offset(&self, layer: usize, head: usize) -> usize {
        (layer * self.kv_heads + head) * 2 * PAGE * self.head_dim
    }

    /// One head of one layer.
    pub(crate) fn head(&self, layer: usize, head: usize) -> HeadCache<'_> {
        HeadCache { pages: &self.pages, offset: self.offset(layer, head), head_dim: self.head_dim }
    }
}

fn page_len(dimensions: &Dimensions) -> usize {
    let heads = usize::from(dimensions.layers) * usize::from(dimensions.kv_heads);
    heads * 2 * PAGE * usize::from(dimensions.head_dim)
}

impl Page {
    /// Stores keys and values, each `[kv_heads, head_dim]`, of position `slot` of the page. `offset` is that of the layer's
    /// first head.
    pub(crate) fn store(&mut self, offset: usize, slot: usize, head_dim: usize, keys: &[f32], values: &[f32]) {
        let heads = self.0[offset..].chunks_exact_mut(2 * PAGE * head_dim);
        for ((head, key), value) in heads.zip(keys.chunks_exact(head_dim)).zip(values.chunks_exact(head_dim)) {
            let (head_keys, head_values) = head.split_at_mut(PAGE * head_dim);
            for (column, k) in head_keys.as_chunks_mut::<PAGE>().0.iter_mut().zip(key) {
                column[slot] = *k;
            }
            head_values[slot * head_dim..][..head_dim].copy_from_slice(value);
        }
    }
}

impl HeadCache<'_> {
    /// Width of the head.
    #[inline(always)]
    pub(crate) fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Keys `[head_dim, 16]` and values `[16, head_dim]` of page `index`, which there has to be.
    #[inline(always)]
    pub(crate) fn page(&self, index: usize) -> (&[f32], &[f32]) {
        let half = PAGE * self.head_dim;
        self.pages[index].0[self.offset..][..2 * half].split_at(half)
    }
}
