//! A product of two thin matrices, as LoRA (arXiv:2106.09685) trains it, with int8 factors.

use super::{DeltaError, Reader, Shape, check, check_finite, check_values, is_scale, rans};

/// Most components.
pub const MAX_RANK: usize = 255;
/// Largest value of a factor.
const MAX_LEVEL: i8 = 127;

/// A change `Σ_r b_r a_r` in floats: what LoRA trains.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// `[rank, k]`.
    pub a: Vec<f32>,
    /// `[rank, rows]`: the columns of `B`, one after the other.
    pub b: Vec<f32>,
}

/// A change `Σ_r scale_r · b_r a_r` with integer factors.
#[derive(Clone, PartialEq)]
pub struct LowRank {
    shape: Shape,
    /// `[rank]`.
    scales: Vec<f32>,
    /// `[rank, k]`, each in ±127.
    a: Vec<i8>,
    /// `[rank, rows]`, each in ±127.
    b: Vec<i8>,
}

impl std::fmt::Debug for LowRank {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LowRank({:?}, rank {})", self.shape, self.scales.len())
    }
}

impl LowRank {
    pub(super) const ID: u8 = 0;

    /// Quantises factors to `levels` steps on either side of zero, at most 127. Fewer make the change smaller: its coded size
    /// follows what the steps that occur tell, about 6 bits an element with 31.
    ///
    /// # Errors
    /// When the factors are not those of a matrix of this shape, or not finite, or there are no levels or more than 127.
    pub fn quantise(factors: &Factors, shape: Shape, levels: u8) -> Result<Self, DeltaError> {
        check(shape, shape.elements().unwrap_or_default())?;
        let rank = factors.a.len() / shape.k;
        if rank > MAX_RANK || rank * shape.k != factors.a.len() || rank * shape.rows != factors.b.len() {
            return Err(DeltaError::Parameters("the factors do not have one length for each of 1 to 255 components"));
        }
        if rank == 0 || rank > shape.rows.min(shape.k) {
            return Err(DeltaError::Parameters("there are no components, or more than the matrix has rows or columns"));
        }
        if levels == 0 || levels > MAX_LEVEL as u8 {
            return Err(DeltaError::Parameters("levels are 1 to 127"));
        }
        check_finite(&factors.a)?;
        check_finite(&factors.b)?;
        let mut quantised = Self { shape, scales: Vec::new(), a: Vec::new(), b: Vec::new() };
        for (a, b) in factors.a.chunks_exact(shape.k).zip(factors.b.chunks_exact(shape.rows)) {
            let steps = [a, b].map(|row| absmax(row) / f32::from(levels));
            let scale = steps[0] * steps[1];
            // A component that is too small for its scale, or too large, is none.
            let is_usable = scale > 0.0 && scale.is_finite();
            let level = |value: &f32, step: f32| match is_usable {
                true => (value / step).round_ties_even().clamp(-f32::from(levels), f32::from(levels)) as i8,
                false => 0,
            };
            quantised.scales.push(if is_usable { scale } else { 0.0 });
            quantised.a.extend(a.iter().map(|value| level(value, steps[0])));
            quantised.b.extend(b.iter().map(|value| level(value, steps[1])));
        }
        Ok(quantised)
    }

    /// Components.
    pub fn rank(&self) -> usize {
        self.scales.len()
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Adds to the weights of the rows from `first` on.
    pub(super) fn add_to(&self, first: usize, weights: &mut [f32]) {
        let Shape { rows, k } = self.shape;
        let mut change = vec![0.0f32; k];
        for (row, weights) in (first..).zip(weights.chunks_exact_mut(k)) {
            for (r, (a, scale)) in self.a.chunks_exact(k).zip(&self.scales).enumerate() {
                let b = i32::from(self.b[r * rows + row]);
                for (change, a) in change.iter_mut().zip(a) {
                    let term = scale * (b * i32::from(*a)) as f32;
                    // Adding to a zero that was there before would turn minus zero into zero.
                    *change = if r == 0 { term } else { *change + term };
                }
            }
            for (weight, change) in weights.iter_mut().zip(&change) {
                *weight += change;
            }
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![Self::ID, self.rank() as u8];
        out.extend(self.scales.iter().flat_map(|scale| scale.to_le_bytes()));
        let values: Vec<u8> = self.a.iter().chain(&self.b).map(|value| *value as u8).collect();
        rans::encode(&values, &mut out);
        out
    }

    pub(super) fn decode(reader: &mut Reader<'_>, shape: Shape) -> Result<Self, DeltaError> {
        let rank = usize::from(reader.byte()?);
        // So that the factors are never much larger than the matrix.
        if rank == 0 || rank > shape.rows.min(shape.k) {
            return Err(DeltaError::Malformed("there are no components, or more than the matrix has rows or columns"));
        }
        let scales = reader.f32s(rank)?;
        if !scales.iter().all(|scale| is_scale(*scale)) {
            return Err(DeltaError::Malformed("a scale is negative or not finite"));
        }
        let (len, of_a) = (rank * (shape.rows + shape.k), rank * shape.k);
        let values: Vec<i8> = reader.coded(len)?.into_iter().map(|value| value as i8).collect();
        if values.contains(&i8::MIN) {
            return Err(DeltaError::Malformed("a factor is -128"));
        }
        let (a, b) = values.split_at(of_a);
        Ok(Self { shape, scales, a: a.to_vec(), b: b.to_vec() })
    }
}

fn absmax(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |max: f32, value| max.max(value.abs()))
}

impl Factors {
    /// The best approximation of `change`, `[rows, k]` row-major, by `rank` components, each of both factors with the same
    /// norm. By orthogonal iteration from a fixed start, in f64; enough of it for changes to weights, whose spectra fall.
    ///
    /// # Errors
    /// When the change does not have this shape or is not finite, or its rank cannot be as high.
    pub fn of(change: &[f32], shape: Shape, rank: usize) -> Result<Self, DeltaError> {
        const ITERATIONS: usize = 12;
        check_values(shape, change)?;
        let Shape { rows, k } = shape;
        if rank == 0 || rank > MAX_RANK.min(rows).min(k) {
            return Err(DeltaError::Parameters("the rank is 1 to 255, and no more than rows or columns"));
        }
        // A start that is orthogonal to none of the components but by chance.
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        let mut right: Vec<Vec<f64>> = (0..rank).map(|_| (0..k).map(|_| next()).collect()).collect();
        orthonormalise(&mut right);
        let mut left = times(change, shape, &right);
        for _ in 0..ITERATIONS {
            orthonormalise(&mut left);
            right = transposed_times(change, shape, &left);
            orthonormalise(&mut right);
            left = times(change, shape, &right);
        }
        let mut factors = Self { a: Vec::with_capacity(rank * k), b: Vec::with_capacity(rank * rows) };
        for (left, right) in left.iter().zip(&right) {
            // Half of the component's size for each: neither factor is much coarser than the other.
            let size = norm(left);
            let half = if size > 0.0 { size.sqrt() } else { 1.0 };
            factors.a.extend(right.iter().map(|value| (value * half) as f32));
            factors.b.extend(left.iter().map(|value| (value / half) as f32));
        }
        Ok(factors)
    }
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Makes vectors orthonormal (modified Gram-Schmidt, twice); what is nothing but rounding beside the first becomes zero.
fn orthonormalise(vectors: &mut [Vec<f64>]) {
    let largest = vectors.iter().map(|vector| norm(vector)).fold(0.0, f64::max);
    for index in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(index);
        let vector = &mut rest[0];
        for _ in 0..2 {
            for other in before.iter() {
                let along = dot(vector, other);
                vector.iter_mut().zip(other).for_each(|(value, other)| *value -= along * other);
            }
        }
        let size = norm(vector);
        let factor = if size > largest * 1e-12 { 1.0 / size } else { 0.0 };
        vector.iter_mut().for_each(|value| *value *= factor);
    }
}

/// `M v` for each `v`.
fn times(matrix: &[f32], shape: Shape, vectors: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let product = |vector: &Vec<f64>| {
        let rows = matrix.chunks_exact(shape.k);
        rows.map(|row| row.iter().zip(vector).map(|(m, v)| f64::from(*m) * v).sum()).collect()
    };
    vectors.iter().map(product).collect()
}

/// `Mᵀ v` for each `v`.
fn transposed_times(matrix: &[f32], shape: Shape, vectors: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let product = |vector: &Vec<f64>| {
        let mut sum = vec![0.0; shape.k];
        for (row, v) in matrix.chunks_exact(shape.k).zip(vector) {
            sum.iter_mut().zip(row).for_each(|(sum, m)| *sum += f64::from(*m) * v);
        }
        sum
    };
    vectors.iter().map(product).collect()
}
