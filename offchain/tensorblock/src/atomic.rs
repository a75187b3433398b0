//! Files that appear whole or not at all.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{self, BufWriter, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// End of the names of files that are being written. Their writer holds a lock on them: one that can be locked belongs to
/// nobody and can go.
pub const TEMP_SUFFIX: &str = ".tmp";

/// Writes `path` through a temporary file in the same folder: content to disk, then rename, then the folder to disk. After
/// a crash at any instant `path` is absent, or as it was, or complete.
pub fn write(path: &Path, content: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
    let folder = parent(path);
    let temp = locked_temp(folder)?;
    let mut writer = BufWriter::new(temp.as_file());
    content(&mut writer)?;
    writer.flush()?;
    drop(writer);
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|refused| refused.error)?;
    sync_folder(folder)
}

/// Makes renames and removals in `folder` durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes the temporary files in `folder` whose writers are gone; returns how many.
pub fn remove_stale(folder: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.to_str().is_some_and(|name| name.ends_with(TEMP_SUFFIX)) {
            continue;
        }
        match lock(&path, false) {
            // The lock is kept until after the removal: its writer, if it has only just made the file, then sees that its
            // file is gone and makes another.
            Ok(Some(_locked)) => {
                fs::remove_file(&path)?;
                removed += 1;
            },
            Ok(None) => {},
            Err(error) if error.kind() == io::ErrorKind::NotFound => {},
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}

/// Opens `path` for reading and writing and locks it against other handles in this and other processes; the lock ends with
/// the handle. `None` when somebody else holds it. With `create`, an absent file is made.
///
/// The file that was locked is the one that `path` names: a file that was renamed or removed while the lock was awaited is
/// let go.
pub fn lock(path: &Path, create: bool) -> io::Result<Option<File>> {
    loop {
        let file = File::options().read(true).write(true).create(create).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {},
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if names(path, &file)? {
            return Ok(Some(file));
        }
    }
}

fn locked_temp(folder: &Path) -> io::Result<NamedTempFile> {
    loop {
        let temp = tempfile::Builder::new()
            .prefix(".")
            .suffix(TEMP_SUFFIX)
            // The user's mask still applies: a block is as readable as any other file of theirs.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
        let locked = match temp.as_file().try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        if locked && names(temp.path(), temp.as_file())? {
            return Ok(temp);
        }
    }
}

/// Whether `path` still names the file behind `file`.
fn names(path: &Path, file: &File) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The folder that holds `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `path` with `suffix` after its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
