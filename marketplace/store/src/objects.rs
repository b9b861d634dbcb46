//! Uploaded objects on the local disk (UP-1, UP-5).
//!
//! An object grows in `staging/LISTING/NAME` and is on disk (fsync of file and
//! folder) before its new offset is answered. When its length is reached it is
//! renamed to `objects/LISTING/NAME`, which never changes again; reading goes
//! through `object_store`. A crash at any byte leaves a staged file whose
//! length is the offset to resume at, or a complete object; one between the
//! last byte and the renaming is made good when the digest is asked for.

use async_trait::async_trait;
use object_store::{ObjectStoreExt, local::LocalFileSystem, path::Path as ObjectPath};
use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::Mutex;
use veilbourse_domain::{Digest, Domain, DomainError, Result, id::ListingId, ports::ObjectStorage};

/// Longest object name.
const MAX_NAME: usize = 64;
/// Locks that appends share; two appends to one object always meet.
const LOCKS: usize = 64;

/// Objects in a folder.
#[derive(Debug)]
pub struct FileObjects {
    root: PathBuf,
    complete: LocalFileSystem,
    locks: Arc<[Mutex<()>; LOCKS]>,
}

impl FileObjects {
    /// Keeps objects under `root`, which is made if missing.
    pub fn new(root: &Path) -> Result<Self> {
        for part in ["staging", "objects"] {
            std::fs::create_dir_all(root.join(part)).map_err(DomainError::storage)?;
        }
        let complete =
            LocalFileSystem::new_with_prefix(root.join("objects")).map_err(DomainError::storage)?;
        let locks = Arc::new(std::array::from_fn(|_| Mutex::new(())));
        Ok(Self {
            root: root.into(),
            complete,
            locks,
        })
    }

    /// Lower-case letters, digits, `-` and single dots: nothing that leaves the folder.
    fn check_name(name: &str) -> Result<()> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.';
        if name.len() > MAX_NAME {
            let (limit, value) = (MAX_NAME as u64, name.len() as u64);
            return Err(DomainError::TooLarge {
                field: "object name",
                limit,
                value,
            });
        }
        if name.is_empty()
            || !name.bytes().all(plain)
            || name.starts_with('.')
            || name.contains("..")
        {
            return Err(DomainError::invalid(
                "object name",
                format!("{name:?} is not a name"),
            ));
        }
        Ok(())
    }

    fn staged(&self, listing: ListingId, name: &str) -> PathBuf {
        self.root
            .join("staging")
            .join(listing.to_string())
            .join(name)
    }
    fn finished(&self, listing: ListingId, name: &str) -> PathBuf {
        self.root
            .join("objects")
            .join(listing.to_string())
            .join(name)
    }

    /// Renames an object whose `total` bytes are all on disk but which a crash
    /// left staged; else nothing happens.
    pub async fn finish_if_whole(&self, listing: ListingId, name: &str, total: u64) -> Result<()> {
        Self::check_name(name)?;
        let _guard = self.lock(listing, name).await;
        let (staged, done) = (self.staged(listing, name), self.finished(listing, name));
        if length(&done)?.is_some() || length(&staged)? != Some(total) {
            return Ok(());
        }
        tokio::task::spawn_blocking(move || {
            // The append that wrote the last byte may not have come to its fsync.
            File::open(&staged)?.sync_all()?;
            finish(&staged, &done)
        })
        .await
        .map_err(DomainError::storage)?
        .map_err(DomainError::storage)
    }

    async fn lock(&self, listing: ListingId, name: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let d = blake3::hash(format!("{listing}/{name}").as_bytes());
        let slot = d.as_bytes().first().map_or(0, |b| usize::from(*b) % LOCKS);
        match self.locks.get(slot) {
            Some(l) => l.lock().await,
            None => self.locks[0].lock().await,
        }
    }
}

fn length(path: &Path) -> Result<Option<u64>> {
    match std::fs::metadata(path) {
        Ok(m) => Ok(Some(m.len())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(DomainError::storage(e)),
    }
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(p) => File::open(p)?.sync_all(),
        None => Ok(()),
    }
}

fn make_folder(path: &Path) -> std::io::Result<()> {
    if let Some(p) = path.parent() {
        std::fs::create_dir_all(p)?;
        sync_folder(p)?;
    }
    Ok(())
}

/// Appends and syncs; a failed append is cut off again.
fn write(path: &Path, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
    make_folder(path)?;
    let mut f = OpenOptions::new().create(true).append(true).open(path)?;
    if let Err(e) = f.write_all(bytes).and_then(|()| f.sync_all()) {
        let _ = f.set_len(offset);
        return Err(e);
    }
    sync_folder(path)
}

fn finish(from: &Path, to: &Path) -> std::io::Result<()> {
    make_folder(to)?;
    std::fs::rename(from, to)?;
    sync_folder(to)?;
    sync_folder(from)
}

#[async_trait]
impl ObjectStorage for FileObjects {
    async fn offset(&self, listing: ListingId, name: &str) -> Result<u64> {
        Self::check_name(name)?;
        if let Some(n) = length(&self.finished(listing, name))? {
            return Ok(n);
        }
        Ok(length(&self.staged(listing, name))?.unwrap_or(0))
    }

    async fn append(
        &self,
        listing: ListingId,
        name: &str,
        offset: u64,
        total: u64,
        bytes: &[u8],
    ) -> Result<u64> {
        Self::check_name(name)?;
        let _guard = self.lock(listing, name).await;
        let (staged, done) = (self.staged(listing, name), self.finished(listing, name));
        if length(&done)?.is_some() {
            return Err(DomainError::ObjectImmutable { name: name.into() }); // UP-5
        }
        let held = length(&staged)?.unwrap_or(0);
        if held != offset {
            return Err(DomainError::UploadOffset {
                expected: held,
                found: offset,
            }); // UP-1
        }
        let end = offset.saturating_add(bytes.len() as u64);
        if end > total {
            // UP-2: before a byte is stored.
            return Err(DomainError::UploadLength {
                name: name.into(),
                expected: total,
                found: end,
            });
        }
        let bytes = bytes.to_vec();
        tokio::task::spawn_blocking(move || {
            write(&staged, offset, &bytes)?;
            if end == total {
                finish(&staged, &done)
            } else {
                Ok(())
            }
        })
        .await
        .map_err(DomainError::storage)?
        .map_err(DomainError::storage)?;
        Ok(end)
    }

    async fn digest(&self, listing: ListingId, name: &str) -> Result<Digest> {
        let total = self.offset(listing, name).await?;
        self.finish_if_whole(listing, name, total).await?;
        let bytes = self.read(listing, name).await?;
        Ok(Digest::of(
            Domain::Other("veilbourse v1 uploaded object"),
            &bytes,
        ))
    }

    async fn put(&self, listing: ListingId, name: &str, bytes: &[u8]) -> Result<()> {
        Self::check_name(name)?;
        let _guard = self.lock(listing, name).await;
        let (staged, done) = (self.staged(listing, name), self.finished(listing, name));
        if length(&done)? == Some(bytes.len() as u64) {
            return Ok(());
        }
        let bytes = bytes.to_vec();
        tokio::task::spawn_blocking(move || {
            make_folder(&staged)?;
            // What a crash left of it is written over.
            let mut f = File::create(&staged)?;
            f.write_all(&bytes)?;
            f.sync_all()?;
            finish(&staged, &done)
        })
        .await
        .map_err(DomainError::storage)?
        .map_err(DomainError::storage)
    }

    async fn read(&self, listing: ListingId, name: &str) -> Result<Vec<u8>> {
        Self::check_name(name)?;
        let path = ObjectPath::from(format!("{listing}/{name}"));
        match self.complete.get(&path).await {
            Ok(found) => Ok(found.bytes().await.map_err(DomainError::storage)?.to_vec()),
            Err(object_store::Error::NotFound { .. }) => {
                Err(DomainError::ObjectIncomplete { name: name.into() })
            }
            Err(e) => Err(DomainError::storage(e)),
        }
    }

    async fn read_part(
        &self,
        listing: ListingId,
        name: &str,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>> {
        Self::check_name(name)?;
        let path = ObjectPath::from(format!("{listing}/{name}"));
        let range = offset..offset.saturating_add(length);
        let part = self.complete.get_range(&path, range).await;
        Ok(part.map_err(DomainError::storage)?.to_vec())
    }
}
