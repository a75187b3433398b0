//! x86-64 with AVX-512 F, BW, DQ, VL and VNNI.
//!
//! One 64-byte line of a matrix holds 4 weights of each of 16 rows. `vpdpbusd` multiplies it with 4 activations, broadcast,
//! and adds each row's 4 products to one of 16 sums of 32 bits. The instruction takes one unsigned operand: the weights,
//! with 128 added by flipping their top bit; [`RowScale::offset`](super::quant::RowScale::offset) takes the 128 out again,
//! once a token.

use super::{
    attention::Vector,
    quant::{Row, all_narrow, at, records},
};
use core::arch::x86_64::*;

super::cpu::kernels!([8, 4, 2, 1], Zmm, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni");

/// Bytes that weights are fetched ahead of their use.
const PREFETCH: usize = 1536;

#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &[i8; 64]) -> __m512i {
    // SAFETY: reads the 64 bytes of the reference; no alignment is needed.
    unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
}

/// Sums of one block: 16 rows, `N` tokens, without shifts and with 128 too much in each weight.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn block<const N: usize, const LINES: usize, const RECORD: usize>(
    lines: &[[i8; 64]; LINES],
    records: [&[u32; RECORD]; N],
) -> [__m512i; N] {
    let mut sums = [_mm512_setzero_si512(); N];
    let flip = _mm512_set1_epi8(-128);
    for i in 0..LINES {
        if N <= 2 {
            _mm_prefetch::<_MM_HINT_T0>(lines[i].as_ptr().wrapping_add(PREFETCH));
        }
        let weights = _mm512_xor_si512(load(&lines[i]), flip);
        for n in 0..N {
            sums[n] = _mm512_dpbusd_epi32(sums[n], weights, _mm512_set1_epi32(records[n][i] as i32));
        }
    }
    sums
}

/// A last block of fewer lines.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn short_block<const N: usize, const RECORD: usize>(lines: &[[i8; 64]], records: [&[u32; RECORD]; N]) -> [__m512i; N] {
    let mut sums = [_mm512_setzero_si512(); N];
    for i in 0..lines.len().min(RECORD - 1) {
        let weights = _mm512_xor_si512(load(&lines[i]), _mm512_set1_epi8(-128));
        for n in 0..N {
            sums[n] = _mm512_dpbusd_epi32(sums[n], weights, _mm512_set1_epi32(records[n][i] as i32));
        }
    }
    sums
}

/// Sums of 32 bits, shifted and added in 32 bits.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_narrow<const N: usize, const RECORD: usize>(
    sums: &mut [__m512i; N],
    block: [__m512i; N],
    records: [&[u32; RECORD]; N],
) {
    for n in 0..N {
        let shift = _mm_cvtsi32_si128(records[n][RECORD - 1] as i32);
        sums[n] = _mm512_add_epi32(sums[n], _mm512_sll_epi32(block[n], shift));
    }
}

/// Sums of 32 bits, shifted and added in 64 bits: rows 0 to 7, rows 8 to 15.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_wide<const N: usize, const RECORD: usize>(
    sums: &mut [[__m512i; 2]; N],
    block: [__m512i; N],
    records: [&[u32; RECORD]; N],
) {
    for n in 0..N {
        let shift = _mm_cvtsi32_si128(records[n][RECORD - 1] as i32);
        let low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(block[n]));
        let high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64::<1>(block[n]));
        sums[n][0] = _mm512_add_epi64(sums[n][0], _mm512_sll_epi64(low, shift));
        sums[n][1] = _mm512_add_epi64(sums[n][1], _mm512_sll_epi64(high, shift));
    }
}

/// Dot products of 16 rows with `N` tokens, as f32 times the token's unit.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn tile<const N: usize, const LINES: usize, const RECORD: usize>(
    lines: &[[i8; 64]],
    rows: [Row<'_>; N],
) -> [[f32; 16]; N] {
    let (blocks, tail) = lines.as_chunks::<LINES>();
    let records = records::<N, RECORD>(&rows, lines.len().div_ceil(LINES));
    let mut out = [[0.0; 16]; N];
    if all_narrow(&rows) {
        let mut sums = [_mm512_setzero_si512(); N];
        for n in 0..N {
            // Wraps, and unwraps when the blocks are added: the sum itself fits.
            sums[n] = _mm512_set1_epi32(rows[n].scale.offset as i32);
        }
        for b in 0..blocks.len() {
            let records = at(records, b);
            add_narrow(&mut sums, block(&blocks[b], records), records);
        }
        if !tail.is_empty() {
            let records = at(records, blocks.len());
            add_narrow(&mut sums, short_block(tail, records), records);
        }
        for n in 0..N {
            let y = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[n]), _mm512_set1_ps(rows[n].scale.unit));
            // SAFETY: writes the 64 bytes of the array.
            unsafe { _mm512_storeu_ps(out[n].as_mut_ptr(), y) };
        }
    } else {
        let mut sums = [[_mm512_setzero_si512(); 2]; N];
        for n in 0..N {
            sums[n] = [_mm512_set1_epi64(rows[n].scale.offset); 2];
        }
        for b in 0..blocks.len() {
            let records = at(records, b);
            add_wide(&mut sums, block(&blocks[b], records), records);
        }
        if !tail.is_empty() {
            let records = at(records, blocks.len());
            add_wide(&mut sums, short_block(tail, records), records);
        }
        for n in 0..N {
            let unit = _mm256_set1_ps(rows[n].scale.unit);
            for h in 0..2 {
                let y = _mm256_mul_ps(_mm512_cvtepi64_ps(sums[n][h]), unit);
                // SAFETY: writes one half of the array's 64 bytes.
                unsafe { _mm256_storeu_ps(out[n].as_mut_ptr().add(8 * h), y) };
            }
        }
    }
    out
}

/// 16 floats in a register.
///
/// Private to this module, where only functions use it that are compiled for, and called with, AVX-512: that is why its
/// operations, which are inlined into those, are sound.
#[derive(Clone, Copy)]
struct Zmm(__m512);

impl Vector for Zmm {
    const COLUMNS: usize = 4;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: see the type.
        unsafe { Self(_mm512_set1_ps(x)) }
    }

    #[inline(always)]
    fn load(x: &[f32; 16]) -> Self {
        // SAFETY: see the type; reads the 64 bytes of the reference.
        unsafe { Self(_mm512_loadu_ps(x.as_ptr())) }
    }

    #[inline(always)]
    fn store(self, x: &mut [f32; 16]) {
        // SAFETY: see the type; writes the 64 bytes of the reference.
        unsafe { _mm512_storeu_ps(x.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe { Self(_mm512_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: see the type.
        unsafe { Self(_mm512_mul_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn prefetch(x: &f32) {
        // SAFETY: see the type.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(x).cast()) }
    }
}
