//! Which deltas change the same as others that were submitted before.
//!
//! A delta is a copy of another when both make the same serving form of the head, or when the cosine between the two changes,
//! over all weights of the expert, is at least [`COPY_COSINE`]. Names and bytes say nothing of that: a copy can be in another
//! codec, have its components in another order, be larger, or have a little noise. Changes that two learners find by themselves
//! are far from each other, because they start from different random factors or see data in another order.
//!
//! It is not every copy that is found so: the step of int8 is larger than what a round changes, so that noise which hides a
//! change from the cosine can be added at little loss.
//!
//! What a copy is has to be the same for all evaluators. The sums are in f64, in which products of f32 are exact. In each
//! matrix, in the order of [`Matrix::ALL`], elements are taken in bands of whole rows, as many as make 2^14 elements or
//! fewer, but at least one row; in a band element `i` is added to lane `i mod 8`, lanes are added by halves of 4, 2 and 1, and
//! bands are added one after the other.

use crate::{
    block::{ExpertDelta, shape_of},
    delta::{DeltaError, Shape},
};
use blyan_model::expert::Matrix;
use blyan_primitives::ids::ContentHash;

/// From this cosine on a delta is a copy.
pub const COPY_COSINE: f64 = 0.9;
/// Elements of a band.
const BAND: usize = 1 << 14;
const LANES: usize = 8;

fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0f64; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += f64::from(*a) * f64::from(*b);
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// For each delta, with the serving form that it makes of the head, the first before it that it is a copy of. Those that are
/// none are compared with nothing. All have to be of experts of one shape.
pub(super) fn copies(deltas: &[Option<(&ExpertDelta, ContentHash)>]) -> Result<Vec<Option<u32>>, DeltaError> {
    let count = deltas.len();
    // Products of each pair, those of a delta with itself on the diagonal.
    let mut products = vec![0.0f64; count * count];
    let Some(shape) = deltas.iter().flatten().next().map(|(delta, _)| delta.shape()) else {
        return Ok(vec![None; count]);
    };
    for matrix in Matrix::ALL {
        let Shape { rows, k } = shape_of(matrix, shape);
        let step = (BAND / k).max(1);
        for first in (0..rows).step_by(step) {
            let band = first..rows.min(first + step);
            let change = |delta: &ExpertDelta| {
                let mut change = vec![0.0; band.len() * k];
                delta.update(matrix).add_rows_to(band.clone(), &mut change).map(|()| change)
            };
            let changes: Vec<Option<Vec<f32>>> = deltas
                .iter()
                .map(|delta| delta.map(|(delta, _)| change(delta)).transpose())
                .collect::<Result<_, _>>()?;
            for (one, a) in changes.iter().enumerate() {
                for (other, b) in changes.iter().enumerate().take(one + 1) {
                    if let (Some(a), Some(b)) = (a, b) {
                        products[one * count + other] += dot(a, b);
                    }
                }
            }
        }
    }
    let square = |delta: usize| products[delta * count + delta];
    let serving = |delta: usize| deltas[delta].map(|(_, serving)| serving);
    let is_copy = |one: usize, other: usize| {
        let product = products[one * count + other];
        let is_near = product > 0.0 && product * product >= COPY_COSINE * COPY_COSINE * (square(one) * square(other));
        is_near || (serving(one).is_some() && serving(one) == serving(other))
    };
    // At most as many as a round has.
    Ok((0..count).map(|one| (0..one).find(|other| is_copy(one, *other)).map(|other| other as u32)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delta::{Dense, Factors, LowRank, Sparse, Update},
        noise,
    };
    use blyan_primitives::block::ExpertShape;

    /// The deltas, each of which makes something else of the head.
    fn with_servings(deltas: &[Option<&ExpertDelta>]) -> Vec<Option<u32>> {
        let numbered = |(number, delta): (u8, &Option<_>)| delta.map(|delta| (delta, ContentHash([number; 32])));
        copies(&(0..).zip(deltas).map(numbered).collect::<Vec<_>>()).unwrap()
    }

    const SHAPE: ExpertShape = ExpertShape { ffn: 130, hidden: 200 };

    fn change(matrix: Matrix, seed: u64) -> Vec<f32> {
        let Shape { rows, k } = shape_of(matrix, SHAPE);
        let [a, b] =
            [(k, 0), (rows, 1)].map(|(len, salt)| noise::matrix(seed * 6 + matrix as u64 * 2 + salt, 4 * len, 0.03));
        let mut sum = vec![0.0; rows * k];
        for (a, b) in a.chunks(k).zip(b.chunks(rows)) {
            sum.chunks_mut(k).zip(b).for_each(|(sum, b)| sum.iter_mut().zip(a).for_each(|(sum, a)| *sum += a * b));
        }
        sum
    }

    fn delta(update: impl Fn(Matrix, Shape) -> Update) -> ExpertDelta {
        ExpertDelta::new(SHAPE, Matrix::ALL.map(|matrix| update(matrix, shape_of(matrix, SHAPE)))).unwrap()
    }

    fn low_rank(seed: u64, scale: f32) -> ExpertDelta {
        delta(|matrix, shape| {
            let scaled: Vec<f32> = change(matrix, seed).iter().map(|value| value * scale).collect();
            Update::LowRank(LowRank::quantise(&Factors::of(&scaled, shape, 4).unwrap(), shape, 63).unwrap())
        })
    }

    fn found(deltas: &[ExpertDelta]) -> Vec<Option<u32>> {
        with_servings(&deltas.iter().map(Some).collect::<Vec<_>>())
    }

    #[test]
    fn copies_are_found_whatever_they_look_like() {
        let original = low_rank(1, 1.0);
        let noisy = |size: f32| {
            delta(|matrix, shape| {
                let noise = noise::matrix(50, shape.rows * shape.k, size);
                let sum: Vec<f32> = change(matrix, 1).iter().zip(noise).map(|(change, noise)| change + noise).collect();
                Update::Dense(Dense::quantise(&sum, shape).unwrap())
            })
        };
        // In another codec, larger, smaller, with a little noise, without the smaller half.
        let sparse = delta(|matrix, shape| Update::Sparse(Sparse::select(&change(matrix, 1), shape, 6, 32).unwrap()));
        let all = [original, noisy(0.0), low_rank(1, 3.0), low_rank(1, 0.1), noisy(5e-4), sparse];
        assert_eq!(found(&all), [None, Some(0), Some(0), Some(0), Some(0), Some(0)]);
    }

    #[test]
    fn what_learners_find_by_themselves_is_no_copy() {
        let opposite = low_rank(1, -1.0);
        let nothing =
            delta(|_, shape| Update::Dense(Dense::quantise(&vec![0.0; shape.rows * shape.k], shape).unwrap()));
        let all = [low_rank(1, 1.0), low_rank(2, 1.0), opposite.clone(), low_rank(3, 1.0), nothing.clone(), nothing];
        assert_eq!(found(&all), [None; 6]);
        // The first that it copies is named, and malformed ones are passed over.
        let (a, b) = (low_rank(1, 1.0), low_rank(1, 2.0));
        assert_eq!(
            with_servings(&[None, Some(&a), None, Some(&b), Some(&opposite), Some(&a)]),
            [None, None, None, Some(1), None, Some(1)]
        );
        assert_eq!(with_servings(&[None, None]), [None, None]);
        assert_eq!(with_servings(&[]), []);
    }

    #[test]
    fn what_makes_the_same_of_the_head_is_a_copy() {
        let (one, other) = (low_rank(1, 1.0), low_rank(2, 1.0));
        let of = |serving: u8| ContentHash([serving; 32]);
        let all = [None, Some((&one, of(1))), Some((&other, of(2))), Some((&other, of(1)))];
        assert_eq!(copies(&all[..3]).unwrap(), [None; 3]);
        assert_eq!(copies(&all).unwrap(), [None, None, None, Some(1)]);
    }

    #[test]
    fn products_are_pinned() {
        // A part of the protocol: with sums in another order, a delta at the edge is a copy for some and none for others.
        let [a, b] = [3, 4].map(|seed| noise::matrix(seed, 101, 1.0));
        assert_eq!(dot(&a, &b).to_bits(), 13_846_775_073_234_014_206);
    }
}
