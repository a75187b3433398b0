//! Bits in bytes, the lowest first.

use super::DeltaError;

/// Collects bits.
#[derive(Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    filled: u32,
}

impl BitWriter {
    /// Adds the lowest `count` bits of `value`, at most 32.
    pub(super) fn put(&mut self, value: u32, count: u32) {
        self.pending |= (u64::from(value) & ((1 << count) - 1)) << self.filled;
        self.filled += count;
        while self.filled >= 8 {
            self.bytes.push(self.pending as u8);
            self.pending >>= 8;
            self.filled -= 8;
        }
    }

    /// All bits, and zeros up to a whole byte.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.bytes.push(self.pending as u8);
        }
        self.bytes
    }
}

/// Takes bits out of bytes that are known to suffice.
pub(super) struct BitReader<'a> {
    bytes: std::slice::Iter<'a, u8>,
    pending: u64,
    filled: u32,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter(), pending: 0, filled: 0 }
    }

    /// The next `count` bits, at most 32.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, DeltaError> {
        while self.filled < count {
            let byte = self.bytes.next().ok_or(DeltaError::Truncated)?;
            self.pending |= u64::from(*byte) << self.filled;
            self.filled += 8;
        }
        let value = self.pending & ((1 << count) - 1);
        self.pending >>= count;
        self.filled -= count;
        Ok(value as u32)
    }

    /// Whether nothing is left but zeros up to a whole byte.
    pub(super) fn end(self) -> Result<(), DeltaError> {
        match self.pending == 0 && self.filled < 8 && self.bytes.as_slice().is_empty() {
            true => Ok(()),
            false => Err(DeltaError::Malformed("bits follow the last")),
        }
    }
}
