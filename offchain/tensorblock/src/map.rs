//! Mapped memory: the only unsafe code of the crate.

#![allow(unsafe_code)]

use memmap2::{Mmap, MmapMut};
use std::{fs::File, io, ops::Deref};

/// Read-only memory that begins at a page.
pub(crate) struct Mapping(Mmap);

impl Mapping {
    /// Maps a whole file.
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        // SAFETY: the slice is sound as long as nobody changes or truncates the file. Block files are immutable: they
        // appear by rename once they are complete and disappear by unlink or rename, neither of which touches a mapping
        // (see the crate's documentation). No reference handed out outlives the mapping.
        unsafe { Mmap::map(file) }.map(Self)
    }

    /// `len` bytes of memory without a file, as `fill` leaves them.
    pub(crate) fn anonymous(len: usize, fill: impl FnOnce(&mut [u8]) -> io::Result<()>) -> io::Result<Self> {
        let mut map = MmapMut::map_anon(len)?;
        fill(&mut map)?;
        map.make_read_only().map(Self)
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
