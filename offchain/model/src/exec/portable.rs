//! The kernels of canonical execution in plain Rust.
//!
//! [`tile`] is the scalar path's dot product and the definition that the vector paths are tested against. The others are
//! compiled once for each path with that path's instructions ([`super::cpu::kernels`]): they work on arrays of 16 lanes, which
//! the compiler turns into whatever vectors it may use, with the same bits.

use super::quant::{NotFinite, Row, RowMut, RowScale};
use crate::math::{dot, pow2, rsqrt, silu};

/// Dot products of 16 rows with `N` tokens, as f32 times the token's unit. `lines` are a group of rows in the layout
/// `Rows16K4`; `LINES` of them make a block of activations, and `RECORD` is one more.
pub(super) fn tile<const N: usize, const LINES: usize, const RECORD: usize>(
    lines: &[[i8; 64]],
    rows: [Row<'_>; N],
) -> [[f32; 16]; N] {
    rows.map(|row| {
        let mut sums = [0i64; 16];
        for (lines, record) in lines.chunks(LINES).zip(row.words.as_chunks::<RECORD>().0) {
            let mut block = [0i32; 16];
            for (line, word) in lines.iter().zip(record) {
                let values = word.to_le_bytes().map(|byte| i32::from(byte as i8));
                for (sum, weights) in block.iter_mut().zip(line.as_chunks::<4>().0) {
                    *sum += weights.iter().zip(values).map(|(w, v)| i32::from(*w) * v).sum::<i32>();
                }
            }
            for (sum, block) in sums.iter_mut().zip(block) {
                *sum += i64::from(block) << record[LINES];
            }
        }
        sums.map(|sum| sum as f32 * row.scale.unit)
    })
}

/// Bias of an f32's exponent field, and the bits of a quantised value's magnitude.
const EXPONENT_BIAS: i32 = 127 + 6;
/// Smallest exponent of a block's unit: its power of two, and the power that undoes it, are normal numbers.
const MIN_EXPONENT: i32 = -126;
/// A block's unit is at most this many powers of two below the token's largest.
const MAX_SPREAD: i32 = 24;

/// Quantises one token's row, see [`crate::exec`]. A row that is not finite becomes a row of zeros.
#[inline(always)]
pub(super) fn quantise(x: &[f32], block: usize, (words, scale): RowMut<'_>) -> Result<(), NotFinite> {
    let quantised = match block {
        16 => quantise_blocks::<16, 5>(x, words),
        32 => quantise_blocks::<32, 9>(x, words),
        _ => quantise_blocks::<64, 17>(x, words),
    };
    if quantised.is_err() {
        words.fill(0);
    }
    scale.fill(quantised.unwrap_or(RowScale { unit: 1.0, offset: 0, narrow: true }));
    quantised.map(|_| ())
}

/// Blocks of `B`, records of `RECORD = B / 4 + 1` words.
#[inline(always)]
fn quantise_blocks<const B: usize, const RECORD: usize>(x: &[f32], words: &mut [u32]) -> Result<RowScale, NotFinite> {
    let (blocks, tail) = x.as_chunks::<B>();
    let mut padded = [0.0; B];
    padded[..tail.len()].copy_from_slice(tail);
    let records = words.as_chunks_mut::<RECORD>().0;

    // The largest magnitude of each block, by its bits, which order as the magnitudes do.
    let (mut most, mut least) = (0u32, u32::MAX);
    let mut measure = |block: &[f32; B], record: &mut [u32; RECORD]| {
        let largest = block.iter().fold(0, |largest, v| largest.max(v.to_bits() & 0x7fff_ffff));
        most = most.max(largest);
        least = least.min(if largest == 0 { u32::MAX } else { largest });
        record[RECORD - 1] = largest;
    };
    for (block, record) in blocks.iter().zip(records.iter_mut()) {
        measure(block, record);
    }
    if let Some(record) = records.get_mut(blocks.len()) {
        measure(&padded, record);
    }
    if most >= f32::INFINITY.to_bits() {
        return Err(NotFinite);
    }
    let exponent = |largest: u32| ((largest >> 23) as i32 - EXPONENT_BIAS).max(MIN_EXPONENT);
    let floor = exponent(most) - MAX_SPREAD;
    // A row of zeros has no least block; its unit could be any.
    let unit = if most == 0 { 0 } else { exponent(least).max(floor) };

    let (mut offset, mut bound) = (0i64, 0u64);
    let mut encode = |block: &[f32; B], record: &mut [u32; RECORD]| {
        let largest = record[RECORD - 1];
        let own = if largest == 0 { unit } else { exponent(largest).max(floor) };
        let shift = (own - unit) as u32;
        let inverse: f32 = pow2(-own);
        let (mut sum, mut magnitude) = (0i32, 0i32);
        let mut integers = [0i8; B];
        for (v, q) in block.iter().zip(&mut integers) {
            /// 1.5 · 2^23: adding it rounds to an integer, half to even, and leaves that integer in the low bits.
            const ROUND: f32 = 12_582_912.0;
            let rounded = (v * inverse + ROUND).to_bits() as i32 - ROUND.to_bits() as i32;
            let rounded = rounded.clamp(-127, 127);
            sum += rounded;
            magnitude += rounded.abs();
            *q = rounded as i8;
        }
        for (word, integers) in record.iter_mut().zip(integers.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(integers.map(|q| q as u8));
        }
        record[RECORD - 1] = shift;
        offset -= i64::from(sum) << (shift + 7);
        bound += (magnitude as u64) << (shift + 7);
    };
    for (block, record) in blocks.iter().zip(records.iter_mut()) {
        encode(block, record);
    }
    if let Some(record) = records.get_mut(blocks.len()) {
        encode(&padded, record);
    }
    Ok(RowScale { unit: pow2(unit), offset, narrow: bound <= i32::MAX as u64 })
}

/// `out[i] = x[i] · (1 / sqrt(mean(x²) + eps)) · gain[i]`.
#[inline(always)]
pub(super) fn rms_norm(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) {
    let r = rsqrt(dot(x, x) / x.len() as f32 + eps);
    for ((x, g), out) in x.iter().zip(gain).zip(out) {
        *out = (x * r) * g;
    }
}

/// Turns pair `(i, i + d/2)` of a head of `d` values by the angle with cosine `cos[i]` and sine `sin[i]`.
#[inline(always)]
pub(super) fn rotate(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (first, second) = head.split_at_mut(head.len() / 2);
    for (((a, b), c), s) in first.iter_mut().zip(second).zip(cos).zip(sin) {
        (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
    }
}

/// `gate[i] = silu(gate[i]) · up[i]`.
#[inline(always)]
pub(super) fn swiglu(gate: &mut [f32], up: &[f32]) {
    for (g, u) in gate.iter_mut().zip(up) {
        *g = silu(*g) * u;
    }
}
