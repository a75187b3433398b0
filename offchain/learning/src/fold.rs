//! Folding deltas into an expert: what a round's candidate is, and what a delta by itself makes of the head.
//!
//! Whoever folds the same deltas into the same master gets the same two blocks, to the last bit: this is how a committee and
//! whoever publishes name the same candidate, and how a learner names what its delta makes of the head. Of the master's
//! element `w`, the deltas' changes `d_1`, `d_2`, … in the order in which they were submitted, and their weights `n_1`, `n_2`,
//! … in parts of 2^16, the new master has
//!
//! ```text
//! w' = w + ((c_1·d_1 + c_2·d_2) + c_3·d_3) + …)      c_j = n_j / 2^16
//! ```
//!
//! in f32, every operation rounded by itself; a delta of weight 0 is left out as if it were not there. `d_j` is what
//! [`Update::add_to`](crate::delta::Update::add_to) adds, and minus zero, which adds nothing to any number, for an element
//! that a codec did not keep. So a delta with all of the weight is what `add_to` makes of the master. The serving form follows
//! from the new master as [`ExpertBuilder`] has it.
//!
//! The master is in f32 because a fold can be smaller than the step of int8: folded into that alone, it would be lost.

use crate::{block::ExpertDelta, delta::DeltaError};
use blyan_model::expert::{ExpertBuilder, ExpertError, Forms, Master, Matrix};
use blyan_primitives::block::ExpertShape;

/// The whole of a weight.
pub const WHOLE: u32 = 1 << 16;
/// Largest change of an element. Weights of models are near one; the bound is where no sum of a round's changes can overflow,
/// so that deltas which can be folded alone can be folded together.
pub const MAX_CHANGE: f32 = (1u128 << 100) as f32;
/// Elements that are worked on at a time.
const BAND: usize = 1 << 16;

/// Why deltas cannot be folded.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// A delta is for an expert of another shape.
    #[error("delta {delta} is for an expert of {found:?}, the master is one of {expected:?}")]
    Shape {
        /// Which, in the order given.
        delta: usize,
        /// The master's.
        expected: ExpertShape,
        /// The delta's.
        found: ExpertShape,
    },
    /// A change is too large, or no number.
    #[error("delta {delta} changes an element of {name} by {change}: no more than {MAX_CHANGE:e} can be added", name = matrix.name())]
    TooLarge {
        /// Which, in the order given.
        delta: usize,
        /// The matrix.
        matrix: Matrix,
        /// By how much.
        change: f32,
    },
    /// A delta's matrix is not what its shape says.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// The result cannot be quantised.
    #[error(transparent)]
    Expert(#[from] ExpertError),
}

/// Folds deltas, each with its weight in parts of 2^16, into a master, and derives the serving form: see the
/// [module](self). Where no delta has a weight that is the expert as it was.
///
/// # Errors
/// When a delta is for another expert, or the result is not finite.
pub fn fold(master: &Master, deltas: &[(&ExpertDelta, u32)]) -> Result<Forms, FoldError> {
    let expected = master.shape();
    for (delta, (update, _)) in deltas.iter().enumerate() {
        let found = update.shape();
        if found != expected {
            return Err(FoldError::Shape { delta, expected, found });
        }
    }
    let mut builder = ExpertBuilder::new(expected);
    for matrix in Matrix::ALL {
        let mut weights = master.matrix(matrix).map_err(ExpertError::from)?.to_vec();
        let [_, k] = matrix.shape(expected).map(|dimension| dimension as usize);
        let rows = (BAND / k).max(1);
        let (mut change, mut sum) = (Vec::new(), Vec::new());
        for (band, weights) in weights.chunks_mut(rows * k).enumerate() {
            let first = band * rows;
            let rows = first..first + weights.len() / k;
            sum.clear();
            for (delta, (update, weight)) in deltas.iter().enumerate().filter(|(_, (_, weight))| *weight > 0) {
                change.clear();
                change.resize(weights.len(), -0.0f32);
                update.update(matrix).add_rows_to(rows.clone(), &mut change)?;
                if let Some(change) = too_large(&change) {
                    return Err(FoldError::TooLarge { delta, matrix, change });
                }
                add_part(&mut sum, &change, *weight);
            }
            weights.iter_mut().zip(&sum).for_each(|(weight, sum)| *weight += sum);
        }
        builder.push(weights)?;
    }
    Ok(builder.finish()?)
}

/// The first change that cannot be added to anything.
pub(crate) fn too_large(changes: &[f32]) -> Option<f32> {
    changes.iter().copied().find(|change| change.is_nan() || change.abs() > MAX_CHANGE)
}

/// Adds changes with their weight to the sum of those before them; the first are the sum.
pub(crate) fn add_part(sum: &mut Vec<f32>, changes: &[f32], weight: u32) {
    // Exact: a weight has 17 bits at most.
    let part = weight as f32 / WHOLE as f32;
    let terms = changes.iter().map(|change| part * change);
    if sum.is_empty() {
        sum.extend(terms);
    } else {
        sum.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        block::shape_of,
        delta::{Dense, Factors, LowRank, Sparse, Update},
        noise,
    };
    use blyan_primitives::pol::merge_weights;
    use blyan_tensorblock::{
        VerifiedBlock,
        quant::{quantise_rows, unpack_rows16k4},
    };
    use proptest::prelude::*;

    /// Wide enough for several bands.
    const SHAPE: ExpertShape = ExpertShape { ffn: 300, hidden: 700 };

    fn small() -> ExpertShape {
        ExpertShape { ffn: 18, hidden: 10 }
    }

    fn master_of(shape: ExpertShape, weights: impl Fn(Matrix, usize) -> Vec<f32>) -> Master {
        let mut builder = ExpertBuilder::new(shape);
        for matrix in Matrix::ALL {
            let [rows, k] = matrix.shape(shape);
            builder.push(weights(matrix, (rows * k) as usize)).unwrap();
        }
        Master::new(builder.finish().unwrap().master.into_block().unwrap(), shape).unwrap()
    }

    /// An expert with zeros of both signs among its weights.
    fn master(shape: ExpertShape, seed: u64) -> Master {
        master_of(shape, |matrix, len| {
            let mut weights = noise::matrix(seed + matrix as u64, len, 0.05);
            weights.iter_mut().step_by(7).for_each(|weight| *weight = 0.0 * weight.signum());
            weights
        })
    }

    fn dense(shape: ExpertShape, change: impl Fn(Matrix, usize) -> Vec<f32>) -> ExpertDelta {
        let update = |matrix| {
            let Shape { rows, k } = shape_of(matrix, shape);
            Update::Dense(Dense::quantise(&change(matrix, rows * k), Shape { rows, k }).unwrap())
        };
        ExpertDelta::new(shape, Matrix::ALL.map(update)).unwrap()
    }

    use crate::delta::Shape;

    fn deltas(shape: ExpertShape, seed: u64) -> [ExpertDelta; 3] {
        let noise = |matrix: Matrix, len: usize| noise::matrix(seed * 10 + matrix as u64, len, 1e-3);
        let low_rank = |matrix| {
            let shape @ Shape { rows, k } = shape_of(matrix, shape);
            let factors = Factors { a: noise(matrix, 4 * k), b: noise(matrix, 4 * rows) };
            Update::LowRank(LowRank::quantise(&factors, shape, 63).unwrap())
        };
        let sparse = |matrix| {
            let shape @ Shape { rows, k } = shape_of(matrix, shape);
            Update::Sparse(Sparse::select(&noise(matrix, rows * k), shape, 6, 5).unwrap())
        };
        [
            ExpertDelta::new(shape, Matrix::ALL.map(low_rank)).unwrap(),
            ExpertDelta::new(shape, Matrix::ALL.map(sparse)).unwrap(),
            dense(shape, noise),
        ]
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    fn folded(master: &Master, deltas: &[(&ExpertDelta, u32)]) -> Master {
        let forms = fold(master, deltas).unwrap();
        Master::new(forms.master.into_block().unwrap(), master.shape()).unwrap()
    }

    #[test]
    fn a_delta_with_all_of_the_weight_is_simply_added() {
        let master = master(SHAPE, 1);
        for delta in &deltas(SHAPE, 2) {
            let folded = folded(&master, &[(delta, WHOLE)]);
            for matrix in Matrix::ALL {
                let mut weights = master.matrix(matrix).unwrap().to_vec();
                delta.update(matrix).add_to(&mut weights).unwrap();
                assert_eq!(bits(folded.matrix(matrix).unwrap()), bits(&weights), "{:?} {matrix:?}", delta.codec());
            }
        }
    }

    #[test]
    fn deltas_are_added_in_the_documented_order() {
        let master = master(SHAPE, 3);
        let all = deltas(SHAPE, 4);
        let weights = merge_weights(&[Some(5), None, Some(2)]);
        let merged: Vec<(&ExpertDelta, u32)> = all.iter().zip(weights.iter().copied()).collect();
        let forms = fold(&master, &merged).unwrap();
        let parts = weights.iter().map(|weight| *weight as f32 / 65536.0).collect::<Vec<_>>();
        let expected = master_of(SHAPE, |matrix, len| {
            let of = |delta: &ExpertDelta| {
                let mut change = vec![-0.0; len];
                delta.update(matrix).add_to(&mut change).unwrap();
                change
            };
            let (first, third) = (of(&all[0]), of(&all[2]));
            let sum = |(i, weight): (usize, &f32)| weight + (parts[0] * first[i] + parts[2] * third[i]);
            master.matrix(matrix).unwrap().iter().enumerate().map(sum).collect()
        });
        assert_eq!(forms.master.hash(), expected.hash());
        let other = fold(&master, &[merged[2], merged[1], merged[0]]).unwrap();
        // Two terms add up the same either way; the delta without a weight is as if it were not there.
        assert_eq!(other.master.hash(), forms.master.hash());
    }

    #[test]
    fn names_are_pinned() {
        // A part of the protocol: evaluators that fold in another way find another candidate.
        let all = deltas(small(), 6);
        let forms = fold(&master(small(), 5), &[(&all[0], 20_000), (&all[1], 40_000), (&all[2], 5_536)]).unwrap();
        let names = [&forms.master, &forms.serving].map(|block| block.hash().to_string()[..18].to_owned());
        assert_eq!(names, ["0xa347dfdfa6f389f8", "0x4954bbf656192505"]);
    }

    #[test]
    fn without_deltas_an_expert_is_as_it_was() {
        let master = master(small(), 1);
        let delta = &deltas(small(), 1)[0];
        for none in [&[][..], &[(delta, 0)]] {
            assert_eq!(fold(&master, none).unwrap().master.hash(), master.hash());
        }
    }

    /// The expert's weights as its serving form has them.
    fn dequantised(serving: &VerifiedBlock, matrix: Matrix) -> Vec<f32> {
        let view = serving.tensor(matrix.name()).unwrap();
        let (rows, k) = (view.info.shape[0] as usize, view.info.shape[1] as usize);
        let values = unpack_rows16k4(view.i8().unwrap(), rows, k).unwrap();
        let scales = serving.tensor(&format!("{}.scale", matrix.name())).unwrap().f32().unwrap();
        values.chunks(k).zip(scales).flat_map(|(row, scale)| row.iter().map(move |q| f32::from(*q) * scale)).collect()
    }

    #[test]
    fn fifty_small_folds_are_kept_where_int8_would_lose_them() {
        let shape = small();
        let start = master(shape, 8);
        // Each a hundredth of int8's step.
        let tiny: Vec<ExpertDelta> = (0..50)
            .map(|seed| dense(shape, |matrix, len| noise::matrix(100 + seed * 3 + matrix as u64, len, 2e-5)))
            .collect();
        let mut now = start.clone();
        for delta in &tiny {
            now = folded(&now, &[(delta, WHOLE)]);
        }
        let before = fold(&start, &[]).unwrap().serving.into_block().unwrap();
        for matrix in Matrix::ALL {
            let sum = |i: usize| {
                let change = |delta: &ExpertDelta| f64::from(delta.update(matrix).to_dense()[i]);
                f64::from(start.matrix(matrix).unwrap()[i]) + tiny.iter().map(change).sum::<f64>()
            };
            let mut moved = 0.0f64;
            for (i, weight) in now.matrix(matrix).unwrap().iter().enumerate() {
                // Each of the additions is off by half a unit in the last place at most.
                let most = 50.0 * f64::from(f32::EPSILON) / 2.0 * f64::from(weight.abs().max(0.01));
                assert!((f64::from(*weight) - sum(i)).abs() <= most, "{matrix:?} {i}");
                moved += (f64::from(*weight) - f64::from(start.matrix(matrix).unwrap()[i])).abs();
            }
            assert!(moved / now.matrix(matrix).unwrap().len() as f64 > 5e-5);

            // The same, folded into what is served.
            let served = dequantised(&before, matrix);
            let k = matrix.shape(shape)[1] as usize;
            let mut now = served.clone();
            for delta in &tiny {
                delta.update(matrix).add_to(&mut now).unwrap();
                let rows = quantise_rows(&now, now.len() / k, k).unwrap();
                let scaled = rows.values.chunks(k).zip(&rows.scales);
                now = scaled.flat_map(|(row, scale)| row.iter().map(move |q| f32::from(*q) * scale)).collect();
            }
            // Only the largest of a row, which is its scale, moves.
            let kept = |(now, served): (&f32, &f32)| (now / served - 1.0).abs() < 1e-2 || now == served;
            let count = now.iter().zip(&served).filter(|pair| kept(*pair)).count();
            assert!(count * 10 > served.len() * 9, "{matrix:?}: {count} of {}", served.len());
        }
    }

    #[test]
    fn what_cannot_be_folded_is_refused() {
        let master = master(small(), 1);
        let [good, ..] = deltas(small(), 1);
        let other = &deltas(ExpertShape { ffn: 10, hidden: 18 }, 1)[0];
        let refused = fold(&master, &[(&good, 1), (other, 1)]).unwrap_err();
        assert!(matches!(refused, FoldError::Shape { delta: 1, .. }), "{refused}");
        // A component whose products overflow, and two whose infinities cancel to no number.
        for (rank, scale) in [(1, f32::MAX), (1, 2.5e30), (2, f32::MAX)] {
            let huge = |matrix| {
                let shape @ Shape { rows, k } = shape_of(matrix, small());
                let mut bytes = vec![0, rank as u8];
                bytes.extend(vec![scale; rank].iter().flat_map(|scale| scale.to_le_bytes()));
                let sign = |i: usize| if i < k { 127u8 } else { 129 };
                let factors: Vec<u8> = (0..rank * k).map(sign).chain(vec![127; rank * rows]).collect();
                crate::delta::rans::encode(&factors, &mut bytes);
                Update::decode(&bytes, shape).unwrap()
            };
            let huge = ExpertDelta::new(small(), Matrix::ALL.map(huge)).unwrap();
            let refused = fold(&master, &[(&good, 1), (&huge, WHOLE)]).unwrap_err();
            assert!(matches!(refused, FoldError::TooLarge { delta: 1, matrix: Matrix::Gate, .. }), "{refused}");
        }
        let far = master_of(small(), |_, len| vec![f32::MAX; len]);
        let near = dense(small(), |_, len| vec![1e30; len]);
        assert!(fold(&far, &[(&near, 1)]).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        /// What can be folded alone can be folded together, with any weights that rounds have.
        #[test]
        fn changes_that_are_bounded_never_overflow_together(
            gains in prop::collection::vec(1i64..100, 1..6), signs in prop::collection::vec(any::<bool>(), 6),
        ) {
            let master = master(small(), 1);
            let sized = |sign: bool| dense(small(), |_, len| vec![if sign { 1e30 } else { -1e30 }; len]);
            let all: Vec<ExpertDelta> = signs.iter().map(|sign| sized(*sign)).collect();
            let weights = merge_weights(&gains.iter().copied().map(Some).collect::<Vec<_>>());
            let merged: Vec<(&ExpertDelta, u32)> = all.iter().zip(weights).collect();
            prop_assert!(fold(&master, &merged).is_ok());
        }
    }
}
