//! Every element, int8 with a scale for each row: the reference that other codecs are measured against.

use super::{DeltaError, Reader, Shape, check_values, is_scale, rans};
use blyan_tensorblock::quant::{QuantisedRows, quantise_rows};

/// A change that keeps every element.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    shape: Shape,
    rows: QuantisedRows,
}

impl Dense {
    pub(super) const ID: u8 = 2;

    /// Quantises a change, `[rows, k]` row-major, as weights are quantised.
    ///
    /// # Errors
    /// When the change does not have this shape or is not finite.
    pub fn quantise(change: &[f32], shape: Shape) -> Result<Self, DeltaError> {
        check_values(shape, change)?;
        let rows = quantise_rows(change, shape.rows, shape.k)
            .map_err(|_| DeltaError::Parameters("the change cannot be quantised by rows"))?;
        Ok(Self { shape, rows })
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Adds to the weights of the rows from `first` on.
    pub(super) fn add_to(&self, first: usize, weights: &mut [f32]) {
        let k = self.shape.k;
        let rows = self.rows.values.chunks_exact(k).zip(&self.rows.scales).skip(first);
        for (weights, (values, scale)) in weights.chunks_exact_mut(k).zip(rows) {
            for (weight, value) in weights.iter_mut().zip(values) {
                *weight += f32::from(*value) * scale;
            }
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![Self::ID];
        out.extend(self.rows.scales.iter().flat_map(|scale| scale.to_le_bytes()));
        let values: Vec<u8> = self.rows.values.iter().map(|value| *value as u8).collect();
        rans::encode(&values, &mut out);
        out
    }

    pub(super) fn decode(reader: &mut Reader<'_>, shape: Shape) -> Result<Self, DeltaError> {
        let scales = reader.f32s(shape.rows)?;
        if !scales.iter().all(|scale| is_scale(*scale)) {
            return Err(DeltaError::Malformed("a scale is negative or not finite"));
        }
        let values: Vec<i8> = reader.coded(shape.rows * shape.k)?.into_iter().map(|value| value as i8).collect();
        if values.contains(&i8::MIN) {
            return Err(DeltaError::Malformed("a value is -128"));
        }
        Ok(Self { shape, rows: QuantisedRows { values, scales } })
    }
}
