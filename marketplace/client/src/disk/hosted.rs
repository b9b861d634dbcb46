//! Files that a page lends (VLT-7): flat names, synchronous, every byte under
//! XChaCha20 with the vault's storage key and the file's own nonce, which is its
//! first 24 bytes.
//!
//! Secrecy is all that the cipher gives. What is read back is held to roots and
//! digests by whoever uses it; a page that could write here could change the
//! program itself.
//!
//! A position is written twice with other bytes in no file: files are new, or
//! replaced whole under a new nonce, or appended to with what a dealing's seeds
//! determine.

use chacha20::{
    XChaCha20,
    cipher::{KeyIvInit, StreamCipher, StreamCipherSeek},
};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    rc::Rc,
};
use zeroize::Zeroizing;

/// Bytes of a nonce.
const NONCE: usize = 24;
/// Bytes enciphered at once.
const BLOCK: usize = 1 << 16;

/// What a page lends: files by name. All of it is synchronous.
pub trait Host {
    /// A handle of a file; with `create`, of one made where there is none.
    fn open(&self, name: &str, create: bool) -> io::Result<u32>;
    /// Whether there is one.
    fn exists(&self, name: &str) -> bool;
    /// Bytes from a place, as many as there are.
    fn read(&self, file: u32, at: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Bytes to a place.
    fn write(&self, file: u32, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Its length.
    fn length(&self, file: u32) -> io::Result<u64>;
    /// Cuts it off.
    fn truncate(&self, file: u32, length: u64) -> io::Result<()>;
    /// On disk when this returns.
    fn sync(&self, file: u32) -> io::Result<()>;
    /// The handle is not used again.
    fn close(&self, file: u32);
    /// Removes a file; an error of kind `NotFound` where there is none.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// In place of what is there.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Names that begin so.
    fn list(&self, prefix: &str) -> Vec<String>;
    /// A fresh nonce.
    fn nonce(&self) -> [u8; NONCE];
}

struct Mounted {
    host: Rc<dyn Host>,
    key: Zeroizing<[u8; 32]>,
}

thread_local! {
    static MOUNTED: RefCell<Option<Mounted>> = const { RefCell::new(None) };
}

/// From now on, files are the host's, under this key.
pub fn mount(host: Rc<dyn Host>, key: Zeroizing<[u8; 32]>) {
    MOUNTED.with(|m| *m.borrow_mut() = Some(Mounted { host, key }));
}

/// Forgets host and key.
pub fn unmount() {
    MOUNTED.with(|m| *m.borrow_mut() = None);
}

fn mounted<T>(with: impl FnOnce(&Mounted) -> io::Result<T>) -> io::Result<T> {
    MOUNTED.with(|m| match m.borrow().as_ref() {
        Some(m) => with(m),
        None => Err(io::Error::other(
            "the vault is locked: its files are sealed",
        )),
    })
}

fn host() -> io::Result<Rc<dyn Host>> {
    mounted(|m| Ok(Rc::clone(&m.host)))
}

fn name(path: &Path) -> io::Result<&str> {
    path.to_str()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a name that is no text"))
}

/// A file with a place in it.
pub struct File {
    host: Rc<dyn Host>,
    handle: u32,
    cipher: RefCell<XChaCha20>,
    at: u64,
}

impl File {
    fn of(path: &Path, create: bool) -> io::Result<Self> {
        let name = name(path)?;
        mounted(|m| {
            let handle = m.host.open(name, create)?;
            let mut nonce = [0u8; NONCE];
            let there = m.host.length(handle)?;
            if there >= NONCE as u64 {
                m.host.read(handle, 0, &mut nonce)?;
            } else {
                nonce = m.host.nonce();
                m.host.write(handle, 0, &nonce)?;
            }
            let cipher = RefCell::new(XChaCha20::new((&*m.key).into(), (&nonce).into()));
            Ok(Self {
                host: Rc::clone(&m.host),
                handle,
                cipher,
                at: 0,
            })
        })
    }

    fn crypt(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut cipher = self.cipher.borrow_mut();
        let beyond = |_| io::Error::new(io::ErrorKind::InvalidInput, "beyond the longest file");
        cipher.try_seek(at).map_err(beyond)?;
        cipher
            .try_apply_keystream(bytes)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "beyond the longest file"))
    }

    /// On disk when this returns.
    pub fn sync_all(&self) -> io::Result<()> {
        self.host.sync(self.handle)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.host.length(self.handle)?.saturating_sub(NONCE as u64))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.host.close(self.handle);
    }
}

impl Read for File {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self
            .host
            .read(self.handle, self.at.saturating_add(NONCE as u64), into)?;
        let read = into.get_mut(..n).unwrap_or_default();
        self.crypt(self.at, read)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let some = bytes.get(..bytes.len().min(BLOCK)).unwrap_or_default();
        let mut sealed = some.to_vec();
        self.crypt(self.at, &mut sealed)?;
        self.host
            .write(self.handle, self.at.saturating_add(NONCE as u64), &sealed)?;
        self.at += some.len() as u64;
        Ok(some.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::End(d) => self.len()?.checked_add_signed(d),
            SeekFrom::Current(d) => self.at.checked_add_signed(d),
        };
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "before the first byte");
        self.at = place.ok_or_else(before)?;
        Ok(self.at)
    }
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}

/// To be read.
pub fn open(path: &Path) -> io::Result<File> {
    match exists(path) {
        true => File::of(path, false),
        false => Err(missing(path)),
    }
}

/// A file that was not there.
pub fn create_new(path: &Path, _secret: bool) -> io::Result<File> {
    match exists(path) {
        true => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            path.display().to_string(),
        )),
        false => File::of(path, true),
    }
}

/// A file that is appended to from `length` on: what an earlier attempt left beyond
/// is cut off.
pub fn append_from(path: &Path, length: u64) -> io::Result<File> {
    if length == 0 && exists(path) {
        // Other bytes may come: under a nonce of their own.
        remove(path)?;
    }
    let mut file = File::of(path, true)?;
    file.host
        .truncate(file.handle, length.saturating_add(NONCE as u64))?;
    file.at = length;
    Ok(file)
}

/// The whole file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(length);
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Its bytes.
pub fn length(path: &Path) -> io::Result<u64> {
    open(path)?.len()
}

/// Its bytes.
pub fn length_of(file: &File) -> io::Result<u64> {
    file.len()
}

/// Whether there is one.
pub fn exists(path: &Path) -> bool {
    let Ok(name) = name(path) else { return false };
    host().is_ok_and(|h| h.exists(name))
}

/// In place of what is there.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    host()?.rename(name(from)?, name(to)?)
}

/// Removes a file.
pub fn remove(path: &Path) -> io::Result<()> {
    host()?.remove(name(path)?)
}

/// A folder is the beginning of names: one that holds anything is refused.
pub fn create_folder(path: &Path) -> io::Result<()> {
    match host()?.list(&inside(path)?).is_empty() {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            path.display().to_string(),
        )),
    }
}

/// Folders need not be made.
pub fn private_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Removes all that is in it.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    let host = host()?;
    for name in host.list(&inside(path)?) {
        host.remove(&name)?;
    }
    Ok(())
}

/// Nothing to do: a file's name lies with its bytes.
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Names of the folders in it, sorted.
pub fn folders_in(path: &Path) -> io::Result<Vec<String>> {
    let prefix = inside(path)?;
    let names = host()?.list(&prefix);
    let folder = |n: &String| Some(n.strip_prefix(&prefix)?.split_once('/')?.0.to_owned());
    let found: BTreeSet<String> = names.iter().filter_map(folder).collect();
    Ok(found.into_iter().collect())
}

fn inside(path: &Path) -> io::Result<String> {
    Ok(format!("{}/", name(path)?))
}

#[cfg(test)]
mod tests;
