//! The system's files.

use std::{
    fs::{self, OpenOptions},
    io,
    path::Path,
};

pub(crate) use std::fs::File;

fn options(secret: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    if secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    options
}

/// To be read.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// A file that was not there.
pub(crate) fn create_new(path: &Path, secret: bool) -> io::Result<File> {
    options(secret).write(true).create_new(true).open(path)
}

/// A file for its owner alone that is appended to from `length` on: what an earlier
/// attempt left beyond is cut off.
pub(crate) fn append_from(path: &Path, length: u64) -> io::Result<File> {
    let mut file = options(true)
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.set_len(length)?;
    io::Seek::seek(&mut file, io::SeekFrom::Start(length))?;
    Ok(file)
}

/// The whole file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

/// Its bytes.
pub(crate) fn length(path: &Path) -> io::Result<u64> {
    Ok(fs::metadata(path)?.len())
}

/// Its bytes.
pub(crate) fn length_of(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

/// Whether there is one.
pub(crate) fn exists(path: &Path) -> bool {
    path.exists()
}

/// In place of what is there.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// A folder that was not there.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// A folder for its owner alone, made where it does not exist.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Removes a folder and all that is in it.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path)
}

/// Names in a folder are durable only when the folder is synced.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Names of the folders in it, sorted.
pub(crate) fn folders_in(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort_unstable();
    Ok(names)
}
