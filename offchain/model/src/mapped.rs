//! Files mapped into memory: the one place of the importers that the compiler cannot check.

use memmap2::Mmap;
use std::{fs::File, io};

/// Maps a whole file for reading.
///
/// Nobody may change or shorten the file while it is mapped: an importer reads each page when it needs it, and a page that
/// is gone ends the process. That is so for every program that maps files; a changed page yields other numbers, never
/// undefined behaviour of ours, because the bytes are only ever read as plain integers.
pub(crate) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is private and read-only; the bytes are used as `u8` alone, for which every value is valid.
    unsafe { Mmap::map(file) }
}
