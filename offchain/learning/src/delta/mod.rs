//! A change to one matrix of weights, in compressed form.
//!
//! What training proposes is a matrix of differences, as large as the weights themselves. A codec keeps what matters of it:
//!
//! | codec | what is kept | for |
//! |---|---|---|
//! | [`LowRank`] | int8 factors of a product of two thin matrices | what was trained as one (LoRA), or is close to one |
//! | [`Sparse`] | the largest elements of each chunk, in one of two magnitudes and a sign | full-rank updates over many rounds, with [`Feedback`] |
//! | [`Dense`] | every element, int8 with a scale for each row | reference, small matrices |
//!
//! ```text
//! LowRank  0  rank u8   scales [rank] f32   a [rank, k] and b [rank, rows] as one coded stream
//! Sparse   1  log2 of chunk u8   keep u16   lo and hi [chunks] f16   gaps as one coded stream   their low bits   codes, 2 bits each
//! Dense    2  scales [rows] f32   values [rows, k] as one coded stream
//! ```
//!
//! Numbers are little-endian; a *coded stream* is what [`rans`] makes of bytes. Shapes are not part of it: who decodes knows
//! the shape from the weights that the change is for, and nothing larger than that is ever allocated.
//!
//! **Canonical.** What a codec kept has one encoding: whatever [`Update::decode`] accepts, [`Update::encode`] gives back byte
//! for byte, so that the bytes around it cannot be varied. The same matrix can still be kept in more than one way, as
//! components in another order or with both signs turned: a copy is not found by its name alone, but by what it changes.
//!
//! **Exact.** [`Update::add_to`] uses integer products and f32 additions and multiplications in the order that it documents,
//! each of which is correctly rounded everywhere: all machines get the same bits.

mod bits;
mod dense;
mod feedback;
mod low_rank;
pub mod rans;
mod reader;
mod sparse;
#[cfg(test)]
mod tests;

pub use dense::Dense;
pub use feedback::Feedback;
pub use low_rank::{Factors, LowRank, MAX_RANK};
pub use sparse::{CHUNK_LOG2, Sparse};

use blyan_primitives::learning::Codec;
use reader::Reader;
use std::ops::Range;

/// Most elements of a matrix that a change can be for: 2^28, a gigabyte of f32.
pub const MAX_ELEMENTS: usize = 1 << 28;

/// Rows and columns of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows: output channels.
    pub rows: usize,
    /// Columns: the dimension that a dot product sums over.
    pub k: usize,
}

impl Shape {
    /// Elements of a matrix, `None` when that is nothing, or more than [`MAX_ELEMENTS`].
    pub fn elements(self) -> Option<usize> {
        self.rows.checked_mul(self.k).filter(|elements| (1..=MAX_ELEMENTS).contains(elements))
    }
}

/// Why a change cannot be made, read or applied.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum DeltaError {
    /// The shape is empty or too large, or the elements are not as many as it says.
    #[error(
        "{elements} elements do not make a matrix of {rows} rows and {k} columns with 1 to {MAX_ELEMENTS} elements"
    )]
    Shape {
        /// Rows.
        rows: usize,
        /// Columns.
        k: usize,
        /// Elements given.
        elements: usize,
    },
    /// An element is NaN or infinite.
    #[error("element {index} of the change is {value}: it has to be finite")]
    NotFinite {
        /// Its place, row by row.
        index: usize,
        /// The element.
        value: f32,
    },
    /// The codec's parameters contradict the shape or each other.
    #[error("the codec cannot be used with these parameters: {0}")]
    Parameters(&'static str),
    /// The bytes end too early.
    #[error("the encoded change ends too early")]
    Truncated,
    /// Bytes follow the change.
    #[error("{0} bytes follow the encoded change")]
    Trailing(usize),
    /// No codec has this number.
    #[error("there is no codec {0}: a newer version may know it")]
    UnknownCodec(u8),
    /// The bytes say something that no encoder says.
    #[error("the encoded change is malformed: {0}")]
    Malformed(&'static str),
}

/// A change to a matrix, as its codec kept it.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// A product of two thin matrices.
    LowRank(LowRank),
    /// A few elements.
    Sparse(Sparse),
    /// All elements.
    Dense(Dense),
}

impl Update {
    /// The encoding, see the [module](self).
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::LowRank(update) => update.encode(),
            Self::Sparse(update) => update.encode(),
            Self::Dense(update) => update.encode(),
        }
    }

    /// Reads the encoding of a change to a matrix of this shape. No more than a few times the memory of such a matrix is
    /// used, whatever the bytes say.
    ///
    /// # Errors
    /// When the bytes are not what [`Self::encode`] gives for some change of that shape.
    pub fn decode(bytes: &[u8], shape: Shape) -> Result<Self, DeltaError> {
        check(shape, shape.elements().unwrap_or_default())?;
        let mut reader = Reader::new(bytes);
        let update = match reader.byte()? {
            LowRank::ID => Self::LowRank(LowRank::decode(&mut reader, shape)?),
            Sparse::ID => Self::Sparse(Sparse::decode(&mut reader, shape)?),
            Dense::ID => Self::Dense(Dense::decode(&mut reader, shape)?),
            id => return Err(DeltaError::UnknownCodec(id)),
        };
        reader.end()?;
        Ok(update)
    }

    /// The shape of the matrix that this changes.
    pub fn shape(&self) -> Shape {
        match self {
            Self::LowRank(update) => update.shape(),
            Self::Sparse(update) => update.shape(),
            Self::Dense(update) => update.shape(),
        }
    }

    /// Adds the change to `weights`, `[rows, k]` row-major: `w = w + d`, where `d` is
    ///
    /// - low rank: `((s_0·p_0 + s_1·p_1) + s_2·p_2) + …` with the integer products `p_r = b[r, row]·a[r, column]`,
    /// - sparse: plus or minus the chunk's `lo` or `hi` where an element is kept; others stay as they are,
    /// - dense: `value·scale[row]`,
    ///
    /// in f32, every operation rounded by itself.
    ///
    /// # Errors
    /// When there are not as many weights as the shape says.
    pub fn add_to(&self, weights: &mut [f32]) -> Result<(), DeltaError> {
        check(self.shape(), weights.len())?;
        self.add(0, weights);
        Ok(())
    }

    /// Adds the change of rows `rows` to `weights`, `[rows.len(), k]` row-major, the same as [`Self::add_to`] does.
    ///
    /// # Errors
    /// When there are no such rows, or not as many weights.
    pub fn add_rows_to(&self, rows: Range<usize>, weights: &mut [f32]) -> Result<(), DeltaError> {
        let shape = self.shape();
        if rows.is_empty() || rows.end > shape.rows {
            return Err(DeltaError::Shape { rows: rows.end, k: shape.k, elements: weights.len() });
        }
        check(Shape { rows: rows.len(), ..shape }, weights.len())?;
        self.add(rows.start, weights);
        Ok(())
    }

    fn add(&self, first: usize, weights: &mut [f32]) {
        match self {
            Self::LowRank(update) => update.add_to(first, weights),
            Self::Sparse(update) => update.add_to(first, weights),
            Self::Dense(update) => update.add_to(first, weights),
        }
    }

    /// The change as a matrix, `[rows, k]` row-major.
    pub fn to_dense(&self) -> Vec<f32> {
        let Shape { rows, k } = self.shape();
        let mut dense = vec![0.0; rows * k];
        self.add(0, &mut dense);
        dense
    }

    /// The codec that kept it.
    pub fn codec(&self) -> Codec {
        match self {
            Self::LowRank(_) => Codec::LowRank,
            Self::Sparse(_) => Codec::Sparse,
            Self::Dense(_) => Codec::Dense,
        }
    }
}

/// Whether `elements` are what a matrix of this shape has.
fn check(shape: Shape, elements: usize) -> Result<(), DeltaError> {
    match shape.elements() == Some(elements) {
        true => Ok(()),
        false => Err(DeltaError::Shape { rows: shape.rows, k: shape.k, elements }),
    }
}

/// Whether `values` are what a matrix of this shape has, and all finite.
fn check_values(shape: Shape, values: &[f32]) -> Result<(), DeltaError> {
    check(shape, values.len())?;
    check_finite(values)
}

fn check_finite(values: &[f32]) -> Result<(), DeltaError> {
    match values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        Some((index, &value)) => Err(DeltaError::NotFinite { index, value }),
        None => Ok(()),
    }
}

/// A scale is not negative, and finite; minus zero would be a second encoding of zero.
fn is_scale(value: f32) -> bool {
    value.is_finite() && value.is_sign_positive()
}
