//! The one way to the disk (CST-1): a folder of flat files behind a small trait,
//! so that a test can cut power at every write, sync, rename and delete.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fs::{File, OpenOptions},
    io::{Error, ErrorKind, Read, Result, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// A folder of files. What was written is durable once the file was synced; a
/// file's being there or not, once the folder was.
pub trait Disk {
    /// Names of all files.
    fn list(&self) -> Result<Vec<String>>;
    /// Bytes of a file; nothing when there is none.
    fn size(&self, name: &str) -> Result<Option<u64>>;
    /// Fills `into` from `offset`; an error when the file ends before.
    fn read(&mut self, name: &str, offset: u64, into: &mut [u8]) -> Result<()>;
    /// Makes an empty file; one that is there stays as it is.
    fn create(&mut self, name: &str) -> Result<()>;
    /// Writes at `offset`, at most the file's end.
    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<()>;
    /// Cuts a file to a length.
    fn truncate(&mut self, name: &str, length: u64) -> Result<()>;
    /// Makes a file's bytes and length durable.
    fn sync(&mut self, name: &str) -> Result<()>;
    /// Deletes a file; none is no error.
    fn delete(&mut self, name: &str) -> Result<()>;
    /// Makes durable which files there are.
    fn sync_folder(&mut self) -> Result<()>;
    /// Takes a file for this process alone, until the disk is dropped.
    fn lock(&mut self, name: &str) -> Result<()>;
}

/// Files kept open at most: a dealer's many dealings must not use up the
/// process's.
const MAX_OPEN: usize = 64;

/// A real folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    open: BTreeMap<String, Open>,
    locked: BTreeSet<String>,
    uses: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Written and not synced.
    dirty: bool,
    used: u64,
}

impl Folder {
    /// A folder that is there.
    pub fn new(root: &Path) -> Self {
        let root = if root.as_os_str().is_empty() {
            Path::new(".")
        } else {
            root
        };
        Self {
            root: root.to_owned(),
            open: BTreeMap::new(),
            locked: BTreeSet::new(),
            uses: 0,
        }
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        // Names are this crate's own; a separator in one is a mistake of ours.
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with("..") {
            let message = format!("no name of a file: {name}");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(self.root.join(name))
    }

    fn file(&mut self, name: &str) -> Result<&mut Open> {
        self.open(name, OpenOptions::new().read(true).write(true))
    }

    fn open(&mut self, name: &str, options: &OpenOptions) -> Result<&mut Open> {
        let path = self.path(name)?;
        if !self.open.contains_key(name) && self.open.len() >= MAX_OPEN {
            let idle = self.open.iter();
            let idle = idle.filter(|(n, _)| !self.locked.contains(*n));
            // Ones that are synced first; of any other its sync tells.
            let oldest = idle.min_by_key(|(_, o)| (o.dirty, o.used));
            if let Some((oldest, open)) = oldest.map(|(n, o)| (n.clone(), o)) {
                if open.dirty {
                    open.file.sync_all()?;
                }
                self.open.remove(&oldest);
            }
        }
        self.uses += 1;
        let open = match self.open.entry(name.to_owned()) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => place.insert(Open {
                file: options.open(path)?,
                dirty: false,
                used: 0,
            }),
        };
        open.used = self.uses;
        Ok(open)
    }
}

impl Disk for Folder {
    fn list(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }
    fn size(&self, name: &str) -> Result<Option<u64>> {
        match std::fs::metadata(self.path(name)?) {
            Ok(m) => Ok(Some(m.len())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
    fn read(&mut self, name: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        let file = &mut self.file(name)?.file;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(into)
    }
    fn create(&mut self, name: &str) -> Result<()> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        self.open(name, &options)?.dirty = true;
        Ok(())
    }
    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        let open = self.file(name)?;
        open.dirty = true;
        open.file.seek(SeekFrom::Start(offset))?;
        open.file.write_all(bytes)
    }
    fn truncate(&mut self, name: &str, length: u64) -> Result<()> {
        let open = self.file(name)?;
        open.dirty = true;
        open.file.set_len(length)
    }
    fn sync(&mut self, name: &str) -> Result<()> {
        let open = self.file(name)?;
        open.file.sync_all()?;
        open.dirty = false;
        Ok(())
    }
    fn delete(&mut self, name: &str) -> Result<()> {
        self.open.remove(name);
        match std::fs::remove_file(self.path(name)?) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }
    fn sync_folder(&mut self) -> Result<()> {
        File::open(&self.root)?.sync_all()
    }
    fn lock(&mut self, name: &str) -> Result<()> {
        if !self.locked.contains(name) {
            let locked = self.file(name)?.file.try_lock();
            locked.map_err(|e| Error::other(format!("locked: {e}")))?;
            self.locked.insert(name.to_owned());
        }
        Ok(())
    }
}
