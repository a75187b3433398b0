//! Error feedback (arXiv:1901.09847): what a codec left out of one change is added to the next.

use super::{DeltaError, Shape, Update, check_values};

/// What was left out so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Feedback {
    shape: Shape,
    left: Vec<f32>,
}

impl Feedback {
    /// Of a learner that has sent nothing yet.
    ///
    /// # Errors
    /// When the shape is empty or too large.
    pub fn new(shape: Shape) -> Result<Self, DeltaError> {
        let none = DeltaError::Shape { rows: shape.rows, k: shape.k, elements: 0 };
        Ok(Self { shape, left: vec![0.0; shape.elements().ok_or(none)?] })
    }

    /// What was left out, `[rows, k]` row-major.
    pub fn left(&self) -> &[f32] {
        &self.left
    }

    /// Compresses `change` with what was left out before, and keeps what is left out now. Nothing changes when that fails.
    ///
    /// # Errors
    /// When the change does not have this shape or is not finite, or `compress` fails.
    pub fn compress(
        &mut self,
        change: &[f32],
        compress: impl FnOnce(&[f32], Shape) -> Result<Update, DeltaError>,
    ) -> Result<Update, DeltaError> {
        check_values(self.shape, change)?;
        let wanted: Vec<f32> = self.left.iter().zip(change).map(|(left, change)| left + change).collect();
        let update = compress(&wanted, self.shape)?;
        let sent = update.to_dense();
        self.left = wanted.iter().zip(&sent).map(|(wanted, sent)| wanted - sent).collect();
        Ok(update)
    }
}
