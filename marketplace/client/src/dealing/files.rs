//! Files of the dealer: for their owner alone, replaced whole.

use crate::ClientError;
use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::Path,
};

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A folder for its owner alone, made where it does not exist.
pub(super) fn folder(path: &Path) -> Result<(), ClientError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|e| ClientError::file(path, e))
}

/// Names in a folder are durable only when the folder is synced.
pub(super) fn sync_folder(path: &Path) -> Result<(), ClientError> {
    #[cfg(unix)]
    File::open(path)
        .and_then(|f| f.sync_all())
        .map_err(|e| ClientError::file(path, e))?;
    Ok(())
}

/// A new file, on disk when this returns.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), ClientError> {
    let put = || {
        let mut file = options().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    put().map_err(|e| ClientError::file(path, e))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// In place of an older one: after a crash there is the one or the other, whole.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ClientError> {
    let next = path.with_extension("new");
    remove(&next)?;
    let put = || {
        let mut file = options().write(true).create_new(true).open(&next)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&next, path)
    };
    put().map_err(|e| ClientError::file(path, e))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> Result<(), ClientError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(ClientError::file(path, e)),
        _ => Ok(()),
    }
}

/// A file that is appended to from `length` on: what an earlier attempt left
/// beyond is cut off.
pub(super) fn append_from(path: &Path, length: u64) -> Result<File, ClientError> {
    let open = || {
        let mut file = options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.set_len(length)?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(length))?;
        Ok(file)
    };
    open().map_err(|e| ClientError::file(path, e))
}
