//! Files of the dealer: for their owner alone, replaced whole.

use crate::{
    ClientError,
    disk::{self, File},
};
use std::{io::ErrorKind, path::Path};

/// A folder for its owner alone, made where it does not exist.
pub(super) fn folder(path: &Path) -> Result<(), ClientError> {
    disk::private_folder(path).map_err(|e| ClientError::file(path, e))
}

/// Names in a folder are durable only when the folder is synced.
pub(super) fn sync_folder(path: &Path) -> Result<(), ClientError> {
    disk::sync_folder(path).map_err(|e| ClientError::file(path, e))
}

/// A new file, on disk when this returns.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), ClientError> {
    disk::write_new(path, bytes, true)?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// In place of an older one: after a crash there is the one or the other, whole.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ClientError> {
    disk::replace(path, bytes)
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> Result<(), ClientError> {
    match disk::remove(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(ClientError::file(path, e)),
        _ => Ok(()),
    }
}

/// A file that is appended to from `length` on: what an earlier attempt left
/// beyond is cut off.
pub(super) fn append_from(path: &Path, length: u64) -> Result<File, ClientError> {
    disk::append_from(path, length).map_err(|e| ClientError::file(path, e))
}
