//! Attention over a session's cache, the same for every path but for the type of its vectors.

use super::kv::HeadCache;
use crate::math::{LANES, exp, tree};

/// 16 floats that are added and multiplied lane by lane, each operation rounded once.
///
/// The compiler turns arrays of floats into vectors in simple loops only; attention's loops are not.
pub(super) trait Vector: Copy {
    /// Vectors of values that fit the registers beside four queries' sums.
    const COLUMNS: usize;

    /// 16 times `x`.
    fn splat(x: f32) -> Self;

    /// From memory.
    fn load(x: &[f32; LANES]) -> Self;

    /// To memory.
    fn store(self, x: &mut [f32; LANES]);

    /// `self + other`
    fn add(self, other: Self) -> Self;

    /// `self · other`
    fn mul(self, other: Self) -> Self;

    /// Hints that the cache line of `x` will be read.
    fn prefetch(x: &f32);
}

/// Vectors for any machine.
#[derive(Clone, Copy)]
pub(super) struct Plain([f32; LANES]);

impl Vector for Plain {
    const COLUMNS: usize = 1;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    fn load(x: &[f32; LANES]) -> Self {
        Self(*x)
    }

    #[inline(always)]
    fn store(self, x: &mut [f32; LANES]) {
        *x = self.0;
    }

    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a += b;
        }
        self
    }

    #[inline(always)]
    fn mul(mut self, other: Self) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a *= b;
        }
        self
    }

    #[inline(always)]
    fn prefetch(_: &f32) {}
}

/// Queries that share what is read of keys and values.
const QUERIES: usize = 4;

/// Attention of some queries over one head's first `positions` positions, see [`crate::exec`].
///
/// `queries` and `out` are `[queries, head_dim]`; `scores` is scratch memory of at least 16 elements for each query and page.
#[inline(always)]
pub(super) fn attend<V: Vector>(
    queries: &[f32],
    cache: &HeadCache<'_>,
    positions: usize,
    scale: f32,
    scores: &mut [f32],
    out: &mut [f32],
) {
    let d = cache.head_dim();
    let attention = Attention { cache, positions, scale, pages: positions.div_ceil(LANES) };
    let scores = scores.as_chunks_mut::<LANES>().0;
    for (queries, out) in queries.chunks(QUERIES * d).zip(out.chunks_mut(QUERIES * d)) {
        match queries.len() / d {
            4 => attention.attend::<V, 4>(queries, scores, out),
            3 => attention.attend::<V, 3>(queries, scores, out),
            2 => attention.attend::<V, 2>(queries, scores, out),
            _ => attention.attend::<V, 1>(queries, scores, out),
        }
    }
}

/// The positions that some queries attend over.
struct Attention<'a> {
    cache: &'a HeadCache<'a>,
    positions: usize,
    scale: f32,
    pages: usize,
}

impl Attention<'_> {
    #[inline(always)]
    fn attend<V: Vector, const Q: usize>(&self, queries: &[f32], scores: &mut [[f32; LANES]], out: &mut [f32]) {
        let d = self.cache.head_dim();
        let scores = &mut scores[..Q * self.pages];
        for page in 0..self.pages {
            if Q == 1 && page + 1 < self.pages {
                prefetch::<V>(self.cache.page(page + 1).0);
            }
            let sums = page_scores::<V, Q>(queries, self.cache.page(page).0.as_chunks::<LANES>().0);
            for q in 0..Q {
                sums[q].mul(V::splat(self.scale)).store(&mut scores[q * self.pages + page]);
            }
        }
        let last = self.positions - (self.pages - 1) * LANES;
        let mut totals = [0.0; Q];
        for (scores, total) in scores.chunks_exact_mut(self.pages).zip(&mut totals) {
            scores[self.pages - 1][last..].fill(f32::NEG_INFINITY);
            *total = softmax_numerators(scores);
        }
        let mut from = 0;
        if V::COLUMNS > 1 {
            while d - from >= 4 * LANES {
                self.weighted_values::<V, Q, 4>(scores, totals, from, out);
                from += 4 * LANES;
            }
        }
        while d - from >= LANES {
            self.weighted_values::<V, Q, 1>(scores, totals, from, out);
            from += LANES;
        }
        for q in 0..Q {
            for column in from..d {
                let mut sum = 0.0;
                for page in 0..self.pages {
                    let weights = scores[q * self.pages + page];
                    for (value, w) in
                        self.cache.page(page).1.chunks_exact(d).zip(weights).take(self.positions - page * LANES)
                    {
                        sum += w * value[column];
                    }
                }
                out[q * d + column] = sum / totals[q];
            }
        }
    }

    /// `out[q] = (Σ_p weights[q][p] · value[p]) / totals[q]`, positions in ascending order, for the `C · 16` columns at
    /// `from`.
    #[inline(always)]
    fn weighted_values<V: Vector, const Q: usize, const C: usize>(
        &self,
        weights: &[[f32; LANES]],
        totals: [f32; Q],
        from: usize,
        out: &mut [f32],
    ) {
        let d = self.cache.head_dim();
        let mut sums = [[V::splat(0.0); C]; Q];
        for page in 0..self.pages {
            if Q == 1 && page + 1 < self.pages {
                prefetch::<V>(self.cache.page(page + 1).1);
            }
            let values = self.cache.page(page).1;
            let count = (self.positions - page * LANES).min(LANES);
            for j in 0..count {
                let value = &values[j * d + from..][..C * LANES].as_chunks::<LANES>().0[..C];
                for q in 0..Q {
                    let weight = V::splat(weights[q * self.pages + page][j]);
                    for c in 0..C {
                        sums[q][c] = sums[q][c].add(weight.mul(V::load(&value[c])));
                    }
                }
            }
        }
        for q in 0..Q {
            for c in 0..C {
                let mut sum = [0.0; LANES];
                sums[q][c].store(&mut sum);
                for (out, sum) in out[q * d + from + c * LANES..].iter_mut().zip(sum) {
                    *out = sum / totals[q];
                }
            }
        }
    }
}

/// Fetches a page that is read next. A page is too short for the processor to see a stream in it, and one query's work on
/// the page before too little to hide the way to memory; several queries' work is enough.
#[inline(always)]
fn prefetch<V: Vector>(page: &[f32]) {
    for line in page.chunks(LANES) {
        V::prefetch(&line[0]);
    }
}

/// Dot products of `Q` queries with the 16 keys of a page, each in the order of [`crate::math::dot`]: lane by lane over
/// the head's dimensions, for 16 keys at once.
#[inline(always)]
fn page_scores<V: Vector, const Q: usize>(queries: &[f32], keys: &[[f32; LANES]]) -> [V; Q] {
    let (even, odd) = (add(four::<V, Q>(queries, keys, 0), four(queries, keys, 2)), four::<V, Q>(queries, keys, 1));
    add(even, add(odd, four(queries, keys, 3)))
}

/// Lanes `j`, `j + 4`, `j + 8` and `j + 12`, folded twice.
#[inline(always)]
fn four<V: Vector, const Q: usize>(queries: &[f32], keys: &[[f32; LANES]], j: usize) -> [V; Q] {
    let first = add(lane::<V, Q>(queries, keys, j), lane(queries, keys, j + 8));
    add(first, add(lane::<V, Q>(queries, keys, j + 4), lane(queries, keys, j + 12)))
}

/// Lane `j` of the sums.
#[inline(always)]
fn lane<V: Vector, const Q: usize>(queries: &[f32], keys: &[[f32; LANES]], j: usize) -> [V; Q] {
    let d = keys.len();
    let queries = &queries[..Q * d];
    let mut sums = [V::splat(0.0); Q];
    for i in (j..d).step_by(LANES) {
        let key = V::load(&keys[i]);
        for q in 0..Q {
            sums[q] = sums[q].add(V::splat(queries[q * d + i]).mul(key));
        }
    }
    sums
}

#[inline(always)]
fn add<V: Vector, const Q: usize>(a: [V; Q], b: [V; Q]) -> [V; Q] {
    let mut sums = a;
    for q in 0..Q {
        sums[q] = a[q].add(b[q]);
    }
    sums
}

/// Replaces each score by `exp(score - largest)` and returns the sum of those, in the order of [`tree`].
#[inline(always)]
fn softmax_numerators(scores: &mut [[f32; LANES]]) -> f32 {
    let mut most = [f32::NEG_INFINITY; LANES];
    for page in scores.iter() {
        for j in 0..LANES {
            most[j] = if page[j] > most[j] { page[j] } else { most[j] };
        }
    }
    let most = most.iter().fold(f32::NEG_INFINITY, |most, v| if *v > most { *v } else { most });
    let mut lanes = [0.0; LANES];
    for page in scores {
        for j in 0..LANES {
            page[j] = exp(page[j] - most);
            lanes[j] += page[j];
        }
    }
    tree(lanes)
}
