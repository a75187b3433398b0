//! Files mapped into memory: the one place of the importers that the compiler cannot check.

use memmap2::Mmap;
use std::{fs::File, io};

/// Maps a whole file for reading.
///
/// Nobody may change or shorten the file while it is mapped: an importer reads each page when it needs it, sees there what
/// anybody has written to the file by then, and a page that is gone ends the process. That is so for every program that maps
/// files, and it is on whoever runs an import to leave its source alone.
pub(crate) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is read-only for us and shared with the file, so that the slice is sound as long as nobody writes to
    // or shortens the file; that is asked of callers, and no program can enforce it. The bytes are used as `u8` alone, for
    // which every value is valid.
    unsafe { Mmap::map(file) }
}
