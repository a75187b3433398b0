//! Reads little-endian numbers from hostile bytes.

use super::{DeltaError, rans};
use half::f16;

/// What is left to read.
pub(super) struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], DeltaError> {
        let (taken, left) = self.left.split_at_checked(len).ok_or(DeltaError::Truncated)?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DeltaError> {
        let (taken, left) = self.left.split_first_chunk().ok_or(DeltaError::Truncated)?;
        self.left = left;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, DeltaError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DeltaError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn f32s(&mut self, count: usize) -> Result<Vec<f32>, DeltaError> {
        let bytes = self.take(count.checked_mul(4).ok_or(DeltaError::Truncated)?)?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    pub(super) fn f16s(&mut self, count: usize) -> Result<Vec<f16>, DeltaError> {
        let bytes = self.take(count.checked_mul(2).ok_or(DeltaError::Truncated)?)?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes)).collect())
    }

    /// `count` bytes out of a coded stream.
    pub(super) fn coded(&mut self, count: usize) -> Result<Vec<u8>, DeltaError> {
        let (values, used) = rans::decode(self.left, count)?;
        self.take(used)?;
        Ok(values)
    }

    pub(super) fn end(self) -> Result<(), DeltaError> {
        match self.left.len() {
            0 => Ok(()),
            more => Err(DeltaError::Trailing(more)),
        }
    }
}
