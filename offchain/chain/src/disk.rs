//! Small files that are either the old or the new content after a crash, never a part of it.

use crate::{ChainError, Result};
use std::{io::Write, path::Path};

/// Replaces the content of `path`: temporary file in the same folder, fsync, rename, fsync of the folder.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let failed = |source| ChainError::Io { doing: "writing", path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    // Without this the rename itself may be lost with the power.
    #[cfg(unix)]
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(())
}

/// The content of `path`, or `None` when there is no such file. Longer files than `limit` bytes are corrupt.
pub(crate) fn read_small(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    use std::io::Read;
    let failed = |source| ChainError::Io { doing: "reading", path: path.to_owned(), source };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut content = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > limit {
        return Err(ChainError::Corrupt { path: path.to_owned(), reason: format!("longer than {limit} bytes") });
    }
    Ok(Some(content))
}
