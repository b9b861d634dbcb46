//! Files of datasets and dealings: the system's, or, in a browser, those that its
//! page lends (private to the page's origin, and sealed under the vault's key).
//!
//! Both have the same functions, so what is written to them is written once.

pub mod hosted;
#[cfg(not(target_family = "wasm"))]
mod native;

#[cfg(target_family = "wasm")]
pub(crate) use hosted::*;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::*;

use crate::ClientError;
use std::{
    io::{self, Write as _},
    path::Path,
};

/// A new file with these bytes, on disk when this returns. `secret`: for its owner
/// alone.
pub(crate) fn write_new(path: &Path, bytes: &[u8], secret: bool) -> Result<(), ClientError> {
    let put = || {
        let mut file = create_new(path, secret)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    put().map_err(|e| ClientError::file(path, e))
}

/// A file's text.
pub(crate) fn read_to_string(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// In place of an older one: after a crash there is the one or the other, whole.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), ClientError> {
    let next = path.with_extension("new");
    let put = || {
        match remove(&next) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = create_new(&next, true)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        rename(&next, path)?;
        path.parent().map_or(Ok(()), sync_folder)
    };
    put().map_err(|e| ClientError::file(path, e))
}

/// A file's bytes; none where there is no file.
pub fn load(path: &Path) -> Result<Option<Vec<u8>>, ClientError> {
    match read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(ClientError::file(path, e)),
    }
}

/// Names of the folders in a folder, sorted; none where there is no folder.
pub fn folders(path: &Path) -> Result<Vec<String>, ClientError> {
    folders_in(path).map_err(|e| ClientError::file(path, e))
}

/// Removes a folder and all that is in it; nothing where there is none.
pub fn erase_folder(path: &Path) -> Result<(), ClientError> {
    match remove_folder(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(ClientError::file(path, e)),
        _ => Ok(()),
    }
}

/// Makes a folder for its owner alone where there is none.
pub fn make_folder(path: &Path) -> Result<(), ClientError> {
    private_folder(path).map_err(|e| ClientError::file(path, e))
}

/// A file's bytes, counted.
pub fn length_in(path: &Path) -> Result<u64, ClientError> {
    length(path).map_err(|e| ClientError::file(path, e))
}
