//! The canonical int8 quantisation of weights, and the order that the dot-product kernels read them in.
//!
//! A serving form is a deterministic function of its master, so every machine has to quantise to the same bits. Only IEEE
//! 754 binary32 division, comparison and rounding are used, each of which is exact or correctly rounded everywhere:
//!
//! ```text
//! scale[row] = max |x| over the row / 127
//! q          = x / scale, rounded half to even, limited to ±127
//! ```
//!
//! A row whose scale rounds to zero (all zeros, or weights below 127 times the smallest subnormal's half) gets scale 0 and
//! values 0: it computes to exactly 0, where a division by that scale would give infinities.

use std::fmt;

/// Rows of a group in [`Layout::Rows16K4`](blyan_primitives::block::Layout::Rows16K4).
pub const GROUP_ROWS: usize = 16;
/// Consecutive elements along K of one row in that layout.
pub const GROUP_K: usize = 4;

/// Why weights cannot be quantised or packed.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum QuantError {
    /// The number of elements is not what the shape says.
    #[error("a matrix of {rows} rows and {k} columns does not have {len} elements")]
    Shape {
        /// Rows: output channels.
        rows: usize,
        /// Columns: the dimension that a dot product sums over.
        k: usize,
        /// Elements given.
        len: usize,
    },
    /// A weight is NaN or infinite.
    #[error("the weight in row {row}, column {column} is {value}: weights have to be finite")]
    NotFinite {
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// The weight.
        value: f32,
    },
}

/// A quantised matrix.
#[derive(Clone, PartialEq)]
pub struct QuantisedRows {
    /// `[rows, k]`, row-major, each in ±127.
    pub values: Vec<i8>,
    /// `[rows]`: a weight is its value times its row's scale.
    pub scales: Vec<f32>,
}

impl fmt::Debug for QuantisedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuantisedRows({} values, {} scales)", self.values.len(), self.scales.len())
    }
}

fn check(len: usize, rows: usize, k: usize) -> Result<(), QuantError> {
    if rows.checked_mul(k) == Some(len) { Ok(()) } else { Err(QuantError::Shape { rows, k, len }) }
}

/// Quantises `weights`, `[rows, k]` row-major, by row.
///
/// Refuses NaN and infinities, and a number of weights that is not `rows * k`.
pub fn quantise_rows(weights: &[f32], rows: usize, k: usize) -> Result<QuantisedRows, QuantError> {
    check(weights.len(), rows, k)?;
    let mut values = Vec::with_capacity(weights.len());
    let mut scales = Vec::with_capacity(rows);
    // A matrix with k = 0 has rows but no weights.
    for row in 0..rows {
        let row_weights = &weights[row * k..(row + 1) * k];
        if let Some((column, &value)) = row_weights.iter().enumerate().find(|(_, x)| !x.is_finite()) {
            return Err(QuantError::NotFinite { row, column, value });
        }
        let scale = row_weights.iter().fold(0f32, |max, x| max.max(x.abs())) / 127.0;
        if scale == 0.0 {
            values.resize(values.len() + k, 0);
        } else {
            values.extend(row_weights.iter().map(|x| round_half_even(x / scale) as i8));
        }
        scales.push(scale);
    }
    Ok(QuantisedRows { values, scales })
}

/// `x` limited to ±127 and rounded to an integer, half to even.
///
/// Adding 1.5 × 2^23 leaves no bits below one, so the addition itself rounds, half to even as IEEE 754 has it, and the
/// subtraction is exact. Unlike a call to the system's `rint` this can be vectorised on every target.
fn round_half_even(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    (x.clamp(-127.0, 127.0) + SHIFT) - SHIFT
}

/// Elements of a packed matrix, padding included.
pub const fn rows16k4_len(rows: usize, k: usize) -> usize {
    rows.next_multiple_of(GROUP_ROWS) * k.next_multiple_of(GROUP_K)
}

/// Place of element (`row`, `k_index`) in a packed matrix with `k` columns.
pub const fn rows16k4_index(row: usize, k_index: usize, k: usize) -> usize {
    let line = (row / GROUP_ROWS) * k.div_ceil(GROUP_K) + k_index / GROUP_K;
    line * (GROUP_ROWS * GROUP_K) + (row % GROUP_ROWS) * GROUP_K + k_index % GROUP_K
}

/// Packs `values`, `[rows, k]` row-major, into the Rows16K4 layout; padding is zero.
///
/// Refuses a number of values that is not `rows * k`.
pub fn pack_rows16k4(values: &[i8], rows: usize, k: usize) -> Result<Vec<i8>, QuantError> {
    check(values.len(), rows, k)?;
    let mut packed = vec![0; rows16k4_len(rows, k)];
    for row in 0..rows {
        for (run, from) in values[row * k..(row + 1) * k].chunks(GROUP_K).enumerate() {
            packed[rows16k4_index(row, run * GROUP_K, k)..][..from.len()].copy_from_slice(from);
        }
    }
    Ok(packed)
}

/// Place of the first padding element of a packed matrix that is not zero, should there be one: of rows beyond the last, or of
/// columns beyond `k`. Places past the end of `packed` are not looked at.
pub fn first_padding_rows16k4(packed: &[i8], rows: usize, k: usize) -> Option<usize> {
    const LINE: usize = GROUP_ROWS * GROUP_K;
    let (lines, used) = (k.div_ceil(GROUP_K), rows % GROUP_ROWS * GROUP_K);
    // Of every line of the last group, where that group is not full.
    let last = rows / GROUP_ROWS * lines;
    let below = (last..last + if used > 0 { lines } else { 0 }).map(|line| line * LINE + used..(line + 1) * LINE);
    // Of the last line of every row, where that line is not full.
    let narrow = if k.is_multiple_of(GROUP_K) { 0 } else { rows };
    let beside = (0..narrow).map(|row| rows16k4_index(row, k, k)..rows16k4_index(row, k, k) + GROUP_K - k % GROUP_K);
    let bad = |range: std::ops::Range<usize>| {
        packed.get(range.clone())?.iter().position(|element| *element != 0).map(|at| range.start + at)
    };
    below.chain(beside).filter_map(bad).min()
}

/// Undoes [`pack_rows16k4`]: `[rows, k]` row-major.
///
/// Refuses a number of elements that a matrix of this shape does not have packed. Padding is not looked at, see
/// [`first_padding_rows16k4`].
pub fn unpack_rows16k4(packed: &[i8], rows: usize, k: usize) -> Result<Vec<i8>, QuantError> {
    if packed.len() != rows16k4_len(rows, k) {
        return Err(QuantError::Shape { rows, k, len: packed.len() });
    }
    let mut values = vec![0; rows * k];
    for row in 0..rows {
        for (run, to) in values[row * k..(row + 1) * k].chunks_mut(GROUP_K).enumerate() {
            to.copy_from_slice(&packed[rows16k4_index(row, run * GROUP_K, k)..][..to.len()]);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_primitives::block::{DType, Layout, TensorInfo};
    use proptest::prelude::*;

    #[test]
    fn a_row_is_quantised_as_the_format_says() {
        // absmax 127 gives scale 1: values are the weights themselves, halves go to the even neighbour.
        let weights = [127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997];
        let rows = quantise_rows(&weights, 1, 8).unwrap();
        assert_eq!(rows.scales, [1.0]);
        assert_eq!(rows.values, [127, 0, 2, 2, 0, -2, -2, 0]);
    }

    #[test]
    fn quantised_bits_are_pinned() {
        // A part of the protocol: with other bits, serving forms on chain can no longer be derived from their masters.
        let weights: Vec<f32> = (0..24).map(|i| ((i * 7919 % 101) as f32 - 50.0) * 0.013).collect();
        let rows = quantise_rows(&weights, 3, 8).unwrap();
        assert_eq!(rows.scales.iter().map(|s| s.to_bits()).collect::<Vec<_>>(), [0x3ba7b5d3, 0x3b9395c4, 0x3b9395c4]);
        assert_eq!(
            rows.values,
            [
                -127, -23, 81, -71, 33, -119, -15, 89, -72, 46, -127, -9, 110, -63, 55, -118, 0, 118, -55, 63, -110, 9,
                127, -46
            ]
        );
    }

    #[test]
    fn rows_without_a_usable_scale_are_zero() {
        let tiny = f32::from_bits(1);
        let rows = quantise_rows(&[0.0, -0.0, tiny, -tiny, f32::MAX, f32::MIN], 3, 2).unwrap();
        assert_eq!(rows.scales, [0.0, 0.0, f32::MAX / 127.0]);
        assert_eq!(rows.values, [0, 0, 0, 0, 127, -127]);
    }

    #[test]
    fn weights_that_are_not_finite_are_named() {
        let refused = quantise_rows(&[0.0, 1.0, 2.0, f32::INFINITY], 2, 2).unwrap_err();
        assert_eq!(refused, QuantError::NotFinite { row: 1, column: 1, value: f32::INFINITY });
        assert!(quantise_rows(&[f32::NAN], 1, 1).is_err());
    }

    #[test]
    fn wrong_shapes_are_refused() {
        assert_eq!(quantise_rows(&[0.0; 5], 2, 3).unwrap_err(), QuantError::Shape { rows: 2, k: 3, len: 5 });
        assert!(pack_rows16k4(&[0; 5], 2, 3).is_err());
        assert!(unpack_rows16k4(&[0; 5], 2, 3).is_err());
        assert!(quantise_rows(&[0.0; 5], usize::MAX, 3).is_err());
    }

    #[test]
    fn a_line_holds_four_columns_of_sixteen_rows() {
        assert_eq!(rows16k4_index(0, 0, 8), 0);
        assert_eq!(rows16k4_index(0, 3, 8), 3);
        assert_eq!(rows16k4_index(1, 0, 8), 4);
        assert_eq!(rows16k4_index(15, 3, 8), 63);
        assert_eq!(rows16k4_index(0, 4, 8), 64);
        assert_eq!(rows16k4_index(16, 0, 8), 128);
    }

    proptest! {
        #[test]
        fn any_finite_row_follows_the_rule(bits in proptest::collection::vec(any::<u32>(), 1..40)) {
            let weights: Vec<f32> = bits.into_iter().map(f32::from_bits).filter(|x| x.is_finite()).collect();
            let rows = quantise_rows(&weights, 1, weights.len()).unwrap();
            let scale = weights.iter().fold(0f32, |max, x| max.max(x.abs())) / 127.0;
            prop_assert_eq!(rows.scales[0].to_bits(), scale.to_bits());
            for (x, q) in weights.iter().zip(rows.values) {
                let expected = if scale == 0.0 { 0.0 } else { (x / scale).round_ties_even().clamp(-127.0, 127.0) };
                prop_assert_eq!(f32::from(q), expected + 0.0);
            }
        }

        #[test]
        fn packing_round_trips_and_pads_with_zeros(rows in 0usize..40, k in 0usize..30) {
            let values: Vec<i8> = (0..rows * k).map(|i| (i % 127) as i8 + 1).collect();
            let packed = pack_rows16k4(&values, rows, k).unwrap();
            prop_assert_eq!(packed.len() as u64,
                TensorInfo::bytes(DType::Int8, Layout::Rows16K4, &[rows as u32, k as u32]).unwrap());
            for row in 0..rows {
                for column in 0..k {
                    prop_assert_eq!(packed[rows16k4_index(row, column, k)], values[row * k + column]);
                }
            }
            prop_assert_eq!(packed.iter().filter(|q| **q != 0).count(), rows * k);
            prop_assert_eq!(unpack_rows16k4(&packed, rows, k).unwrap(), values);
            prop_assert_eq!(first_padding_rows16k4(&packed, rows, k), None);
        }

        #[test]
        fn every_padding_element_is_looked_at(rows in 1usize..40, k in 1usize..30, at: prop::sample::Index) {
            let mut packed = pack_rows16k4(&vec![1; rows * k], rows, k).unwrap();
            let padding: Vec<usize> = (0..packed.len()).filter(|i| packed[*i] == 0).collect();
            if !padding.is_empty() {
                let at = padding[at.index(padding.len())];
                packed[at] = -7;
                prop_assert_eq!(first_padding_rows16k4(&packed, rows, k), Some(at));
            }
        }
    }
}
