//! 64-bit Arm with Advanced SIMD.
//!
//! A quarter of a 64-byte line holds 4 weights of each of 4 rows. `smull` multiplies bytes into 16 bits, where a product of at
//! most 128 · 127 fits, and `sadalp` adds pairs of products to sums of 32 bits: two for each row, which are added at the end
//! of a block.

use super::{
    attention::Vector,
    quant::{Row, all_narrow, at, records},
};
use core::arch::aarch64::*;

super::cpu::kernels!([2, 1], Quads, "neon");

#[inline]
#[target_feature(enable = "neon")]
fn load(quarter: &[i8; 16]) -> int8x16_t {
    // SAFETY: reads the 16 bytes of the reference.
    unsafe { vld1q_s8(quarter.as_ptr()) }
}

/// Sums of one block, for each four rows.
#[inline]
#[target_feature(enable = "neon")]
fn block<const N: usize, const RECORD: usize>(lines: &[[i8; 64]], records: [&[u32; RECORD]; N]) -> [[int32x4_t; 4]; N] {
    let mut sums = [[[vdupq_n_s32(0); 2]; 4]; N];
    for i in 0..lines.len().min(RECORD - 1) {
        let quarters = lines[i].as_chunks::<16>().0;
        for n in 0..N {
            let values = vreinterpretq_s8_u32(vdupq_n_u32(records[n][i]));
            for h in 0..4 {
                let weights = load(&quarters[h]);
                let low = vmull_s8(vget_low_s8(weights), vget_low_s8(values));
                let high = vmull_high_s8(weights, values);
                sums[n][h][0] = vpadalq_s16(sums[n][h][0], low);
                sums[n][h][1] = vpadalq_s16(sums[n][h][1], high);
            }
        }
    }
    let mut rows = [[vdupq_n_s32(0); 4]; N];
    for n in 0..N {
        for h in 0..4 {
            rows[n][h] = vpaddq_s32(sums[n][h][0], sums[n][h][1]);
        }
    }
    rows
}

/// Dot products of 16 rows with `N` tokens, as f32 times the token's unit.
#[inline]
#[target_feature(enable = "neon")]
fn tile<const N: usize, const LINES: usize, const RECORD: usize>(
    lines: &[[i8; 64]],
    rows: [Row<'_>; N],
) -> [[f32; 16]; N] {
    let (blocks, tail) = lines.as_chunks::<LINES>();
    let records = records::<N, RECORD>(&rows, lines.len().div_ceil(LINES));
    let mut out = [[0.0; 16]; N];
    if all_narrow(&rows) {
        let mut sums = [[vdupq_n_s32(0); 4]; N];
        for b in 0..records[0].len() {
            let records = at(records, b);
            let add = if b < blocks.len() { block(&blocks[b], records) } else { block(tail, records) };
            for n in 0..N {
                let shift = vdupq_n_s32(records[n][RECORD - 1] as i32);
                for h in 0..4 {
                    sums[n][h] = vaddq_s32(sums[n][h], vshlq_s32(add[n][h], shift));
                }
            }
        }
        for n in 0..N {
            for h in 0..4 {
                let y = vmulq_n_f32(vcvtq_f32_s32(sums[n][h]), rows[n].scale.unit);
                // SAFETY: writes one quarter of the array's 64 bytes.
                unsafe { vst1q_f32(out[n].as_mut_ptr().add(4 * h), y) };
            }
        }
    } else {
        let mut sums = [[0i64; 16]; N];
        for b in 0..records[0].len() {
            let records = at(records, b);
            let add = if b < blocks.len() { block(&blocks[b], records) } else { block(tail, records) };
            for n in 0..N {
                let mut block = [0i32; 16];
                for h in 0..4 {
                    // SAFETY: writes one quarter of the array's 64 bytes.
                    unsafe { vst1q_s32(block.as_mut_ptr().add(4 * h), add[n][h]) };
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

/// 16 floats in four registers.
///
/// Private to this module, where only functions use it that are compiled for, and called with, Advanced SIMD: that is why its
/// operations, which are inlined into those, are sound.
#[derive(Clone, Copy)]
struct Quads([float32x4_t; 4]);

impl Vector for Quads {
    const COLUMNS: usize = 1;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: see the type.
        unsafe { Self([vdupq_n_f32(x); 4]) }
    }

    #[inline(always)]
    fn load(x: &[f32; 16]) -> Self {
        let p = x.as_ptr();
        // SAFETY: see the type; reads the four quarters of the reference's 64 bytes.
        unsafe { Self([vld1q_f32(p), vld1q_f32(p.add(4)), vld1q_f32(p.add(8)), vld1q_f32(p.add(12))]) }
    }

    #[inline(always)]
    fn store(self, x: &mut [f32; 16]) {
        for (i, quad) in self.0.into_iter().enumerate() {
            // SAFETY: see the type; writes one quarter of the reference's 64 bytes.
            unsafe { vst1q_f32(x.as_mut_ptr().add(4 * i), quad) }
        }
    }

    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for i in 0..4 {
            // SAFETY: see the type.
            self.0[i] = unsafe { vaddq_f32(self.0[i], other.0[i]) };
        }
        self
    }

    #[inline(always)]
    fn mul(mut self, other: Self) -> Self {
        for i in 0..4 {
            // SAFETY: see the type.
            self.0[i] = unsafe { vmulq_f32(self.0[i], other.0[i]) };
        }
        self
    }

    #[inline(always)]
    fn prefetch(_: &f32) {}
}
