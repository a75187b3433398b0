//! A checked walk over a file's bytes.

use super::GgufError;

/// Reads little-endian values from front to back; every read says what it was for when the file ends inside it.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor over `bytes`, standing at `at`.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// All of the file's bytes.
    pub(super) fn file(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where the next read starts.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes of the whole file.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    fn left(&self) -> u64 {
        self.bytes.len().saturating_sub(self.at) as u64
    }

    /// Fails unless `need` more bytes are there.
    pub(super) fn expect(&self, need: u64, what: &'static str) -> Result<(), GgufError> {
        let left = self.left();
        if need <= left { Ok(()) } else { Err(GgufError::Truncated { what, at: self.at as u64, need, left }) }
    }

    /// The next `n` bytes.
    pub(super) fn take(&mut self, n: u64, what: &'static str) -> Result<&'a [u8], GgufError> {
        self.expect(n, what)?;
        let end = self.at + n as usize;
        let taken = self.bytes.get(self.at..end).unwrap_or_default();
        self.at = end;
        Ok(taken)
    }

    /// The next `N` bytes, as an array.
    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], GgufError> {
        let at = self.at as u64;
        let taken = self.take(N as u64, what)?;
        taken.try_into().map_err(|_| GgufError::Truncated { what, at, need: N as u64, left: taken.len() as u64 })
    }

    /// The next u32.
    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// The next u64.
    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A u64 count of things of at least `size` bytes each: within `limit`, and no more than the rest of the file can hold.
    pub(super) fn count(&mut self, what: &'static str, limit: u64, size: u64) -> Result<u64, GgufError> {
        let at = self.at as u64;
        let found = self.u64(what)?;
        if found > limit {
            return Err(GgufError::TooMany { what, at, found, limit });
        }
        self.expect(found.saturating_mul(size), what)?;
        Ok(found)
    }

    /// A string of at most `limit` bytes, in place.
    pub(super) fn string(&mut self, what: &'static str, limit: u64) -> Result<&'a str, GgufError> {
        let length = self.count(what, limit, 1)?;
        let at = self.at as u64;
        std::str::from_utf8(self.take(length, what)?).map_err(|_| GgufError::Utf8 { what, at })
    }
}
