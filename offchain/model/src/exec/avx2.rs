//! x86-64 with AVX2.
//!
//! `vpmaddubsw` multiplies unsigned with signed bytes and adds pairs in 16 bits; it gets the weights' magnitudes and the
//! activations with the weights' signs. A pair is at most 2 · 128 · 127 = 32,512, so nothing saturates, whatever a block of
//! weights holds. `vpmaddwd` with ones adds pairs again, into 32 bits.

use super::{
    attention::Vector,
    quant::{Row, all_narrow, at, records},
};
use core::arch::x86_64::*;

super::cpu::kernels!([2, 1], Ymm, "avx2");

/// Bytes that weights are fetched ahead of their use.
const PREFETCH: usize = 1536;

#[inline]
#[target_feature(enable = "avx2")]
fn load(half: &[i8; 32]) -> __m256i {
    // SAFETY: reads the 32 bytes of the reference; no alignment is needed.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}

/// Sums of one block, for rows 0 to 7 and rows 8 to 15.
#[inline]
#[target_feature(enable = "avx2")]
fn block<const N: usize, const RECORD: usize>(lines: &[[i8; 64]], records: [&[u32; RECORD]; N]) -> [[__m256i; 2]; N] {
    let ones = _mm256_set1_epi16(1);
    let mut sums = [[_mm256_setzero_si256(); 2]; N];
    for i in 0..lines.len().min(RECORD - 1) {
        _mm_prefetch::<_MM_HINT_T0>(lines[i].as_ptr().wrapping_add(PREFETCH));
        let halves = lines[i].as_chunks::<32>().0;
        for h in 0..2 {
            let weights = load(&halves[h]);
            let magnitudes = _mm256_abs_epi8(weights);
            for n in 0..N {
                let signed = _mm256_sign_epi8(_mm256_set1_epi32(records[n][i] as i32), weights);
                let pairs = _mm256_maddubs_epi16(magnitudes, signed);
                sums[n][h] = _mm256_add_epi32(sums[n][h], _mm256_madd_epi16(pairs, ones));
            }
        }
    }
    sums
}

/// Dot products of 16 rows with `N` tokens, as f32 times the token's unit.
#[inline]
#[target_feature(enable = "avx2")]
fn tile<const N: usize, const LINES: usize, const RECORD: usize>(
    lines: &[[i8; 64]],
    rows: [Row<'_>; N],
) -> [[f32; 16]; N] {
    let (blocks, tail) = lines.as_chunks::<LINES>();
    let records = records::<N, RECORD>(&rows, lines.len().div_ceil(LINES));
    let mut out = [[0.0; 16]; N];
    if all_narrow(&rows) {
        let mut sums = [[_mm256_setzero_si256(); 2]; N];
        for b in 0..records[0].len() {
            let records = at(records, b);
            let add = if b < blocks.len() { block(&blocks[b], records) } else { block(tail, records) };
            for n in 0..N {
                let shift = _mm_cvtsi32_si128(records[n][RECORD - 1] as i32);
                for h in 0..2 {
                    sums[n][h] = _mm256_add_epi32(sums[n][h], _mm256_sll_epi32(add[n][h], shift));
                }
            }
        }
        for n in 0..N {
            let unit = _mm256_set1_ps(rows[n].scale.unit);
            for h in 0..2 {
                let y = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[n][h]), unit);
                // SAFETY: writes one half of the array's 64 bytes.
                unsafe { _mm256_storeu_ps(out[n].as_mut_ptr().add(8 * h), y) };
            }
        }
    } else {
        let mut sums = [[0i64; 16]; N];
        for b in 0..records[0].len() {
            let records = at(records, b);
            let add = if b < blocks.len() { block(&blocks[b], records) } else { block(tail, records) };
            for n in 0..N {
                let mut block = [0i32; 16];
                for h in 0..2 {
                    // SAFETY: writes one half of the array's 64 bytes.
                    unsafe { _mm256_storeu_si256(block.as_mut_ptr().add(8 * h).cast(), add[n][h]) };
                }
                for r in 0..16 {
                    sums[n][r] += i64::from(block[r]) << records[n][RECORD - 1];
                }
            }
        }
        for n in 0..N {
            for r in 0..16 {
                out[n][r] = sums[n][r] as f32 * rows[n].scale.unit;
            }
        }
    }
    out
}

/// 16 floats in two registers.
///
/// Private to this module, where only functions use it that are compiled for, and called with, AVX2: that is why its
/// operations, which are inlined into those, are sound.
#[derive(Clone, Copy)]
struct Ymm([__m256; 2]);

impl Vector for Ymm {
    const COLUMNS: usize = 1;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: see the type.
        unsafe { Self([_mm256_set1_ps(x); 2]) }
    }

    #[inline(always)]
    fn load(x: &[f32; 16]) -> Self {
        // SAFETY: see the type; reads the two halves of the reference's 64 bytes.
        unsafe { Self([_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x.as_ptr().add(8))]) }
    }

    #[inline(always)]
    fn store(self, x: &mut [f32; 16]) {
        // SAFETY: see the type; writes the two halves of the reference's 64 bytes.
        unsafe {
            _mm256_storeu_ps(x.as_mut_ptr(), self.0[0]);
            _mm256_storeu_ps(x.as_mut_ptr().add(8), self.0[1]);
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe { Self([_mm256_add_ps(self.0[0], other.0[0]), _mm256_add_ps(self.0[1], other.0[1])]) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe { Self([_mm256_mul_ps(self.0[0], other.0[0]), _mm256_mul_ps(self.0[1], other.0[1])]) }
    }

    #[inline(always)]
    fn prefetch(x: &f32) {
        // SAFETY: see the type.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(x).cast()) }
    }
}
