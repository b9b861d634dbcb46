//! A disk that loses power: writes and names that were not synced survive as a
//! random beginning of them, the last write torn.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::{
    collections::BTreeMap,
    io::{Error, Result},
    sync::{Arc, Mutex},
};
use veilbourse_ticket_store::Disk;

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Clone, Default)]
struct Inode {
    durable: Vec<u8>,
    now: Vec<u8>,
    pending: Vec<Change>,
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, new) => {
            if bytes.len() < at + new.len() {
                bytes.resize(at + new.len(), 0);
            }
            bytes[*at..at + new.len()].copy_from_slice(new);
        }
        Change::Truncate(length) => bytes.resize(*length, 0),
    }
}

#[derive(Clone, Default)]
struct Inner {
    inodes: BTreeMap<usize, Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    changes: Vec<(String, Option<usize>)>,
    next: usize,
    steps: u64,
    cut: Option<u64>,
    dead: bool,
    /// Cuts of files that left what was legible to the disk.
    legible_cuts: usize,
    /// Files whose writes fail.
    failing: Vec<String>,
}

/// A handle: clones are the same disk.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<Inner>>);

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// What of a disk survives.
#[derive(Clone)]
pub struct Copy(BTreeMap<String, Vec<u8>>);

impl Inner {
    /// One step that may be cut; what it does is pending in either case.
    fn step(&mut self) -> Result<bool> {
        if self.dead {
            return Err(Error::other("power is off"));
        }
        self.steps += 1;
        self.dead = self.cut == Some(self.steps);
        Ok(self.dead)
    }
    fn end(&self) -> Result<()> {
        if self.dead {
            return Err(Error::other("power fails"));
        }
        Ok(())
    }
    fn inode(&mut self, name: &str) -> Result<&mut Inode> {
        let missing = || Error::new(std::io::ErrorKind::NotFound, name.to_owned());
        let id = self.names.get(name).copied().ok_or_else(missing)?;
        Ok(self.inodes.get_mut(&id).unwrap())
    }
    fn change(&mut self, name: &str, change: Change) -> Result<()> {
        self.step()?;
        if self.failing.iter().any(|f| name.ends_with(f)) {
            return Err(Error::other("a bad block"));
        }
        if let Change::Truncate(length) = change {
            let inode = self.inode(name)?;
            let all = [&inode.now, &inode.durable];
            let lost = |b: &Vec<u8>| b.iter().skip(length).any(|b| *b != 0);
            let legible = name != "log" && all.into_iter().any(lost);
            self.legible_cuts += usize::from(legible);
        }
        let inode = self.inode(name)?;
        apply(&mut inode.now, &change);
        inode.pending.push(change);
        self.end()
    }
}

impl SimDisk {
    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.0.lock().unwrap().steps
    }
    /// Power fails at this step from now (1: the next).
    pub fn cut_in(&self, steps: u64) {
        let mut inner = self.0.lock().unwrap();
        inner.cut = Some(inner.steps + steps);
    }
    /// Power fails no more.
    pub fn uncut(&self) {
        self.0.lock().unwrap().cut = None;
    }
    /// Power is off now.
    pub fn kill(&self) {
        self.0.lock().unwrap().dead = true;
    }
    pub fn dead(&self) -> bool {
        self.0.lock().unwrap().dead
    }
    /// Power is back: what was not synced is there in part.
    pub fn restart(&self, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let inner = self.0.lock().unwrap();
        let mut names = inner.durable_names.clone();
        let kept = rng.random_range(0..=inner.changes.len());
        for (name, id) in &inner.changes[..kept] {
            match id {
                Some(id) => names.insert(name.clone(), *id),
                None => names.remove(name),
            };
        }
        let mut files = BTreeMap::new();
        for (name, id) in names {
            let inode = &inner.inodes[&id];
            let mut bytes = inode.durable.clone();
            let kept = rng.random_range(0..=inode.pending.len());
            for change in &inode.pending[..kept] {
                apply(&mut bytes, change);
            }
            if let Some(Change::Write(at, new)) = inode.pending.get(kept) {
                let torn = rng.random_range(0..=new.len());
                // The file's length may be there before its bytes.
                if rng.random_range(0..4) == 0 {
                    let length = at + new.len();
                    if bytes.len() < length {
                        bytes.resize(length, 0);
                    }
                }
                apply(&mut bytes, &Change::Write(*at, new[..torn].to_vec()));
            }
            files.insert(name, bytes);
        }
        Self::of(&Copy(files))
    }
    /// A copy, as a backup would make it of what is on disk now.
    pub fn copy(&self) -> Copy {
        let inner = self.0.lock().unwrap();
        let names = inner.names.iter();
        Copy(
            names
                .map(|(name, id)| (name.clone(), inner.inodes[id].now.clone()))
                .collect(),
        )
    }
    /// A disk from a copy.
    pub fn of(copy: &Copy) -> Self {
        let mut inner = Inner::default();
        for (name, bytes) in &copy.0 {
            let inode = Inode {
                durable: bytes.clone(),
                now: bytes.clone(),
                pending: Vec::new(),
            };
            inner.inodes.insert(inner.next, inode);
            inner.names.insert(name.clone(), inner.next);
            inner.durable_names.insert(name.clone(), inner.next);
            inner.next += 1;
        }
        Self(Arc::new(Mutex::new(inner)))
    }
    /// A file's bytes.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let inner = self.0.lock().unwrap();
        let id = inner.names.get(name)?;
        Some(inner.inodes[id].now.clone())
    }
    /// Everything that was ever in a file that is still reachable by a name.
    pub fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().names.keys().cloned().collect()
    }
    /// Writes to files whose name ends so fail.
    pub fn fail(&self, suffix: &str) {
        self.0.lock().unwrap().failing.push(suffix.into());
    }
    /// Files deleted so far whose bytes are not all zero on disk, or that were
    /// cut and what was cut off was not.
    pub fn legible_remains(&self) -> usize {
        let inner = self.0.lock().unwrap();
        let named: Vec<_> = inner.durable_names.values().collect();
        let gone = inner.inodes.iter().filter(|(id, _)| !named.contains(id));
        let legible = gone.filter(|(_, i)| i.durable.iter().any(|b| *b != 0));
        legible.count() + inner.legible_cuts
    }
    /// Flips a bit of a file.
    pub fn damage(&self, name: &str, at: usize) {
        let mut inner = self.0.lock().unwrap();
        let inode = inner.inode(name).unwrap();
        inode.now[at] ^= 1;
        inode.durable = inode.now.clone();
    }
    /// Cuts a file.
    pub fn shorten(&self, name: &str, by: usize) {
        let mut inner = self.0.lock().unwrap();
        let inode = inner.inode(name).unwrap();
        let length = inode.now.len() - by;
        inode.now.truncate(length);
        inode.durable = inode.now.clone();
    }
}

impl Disk for SimDisk {
    fn list(&self) -> Result<Vec<String>> {
        if self.dead() {
            return Err(Error::other("power is off"));
        }
        Ok(self.names())
    }
    fn size(&self, name: &str) -> Result<Option<u64>> {
        Ok(self.bytes(name).map(|b| b.len() as u64))
    }
    fn read(&mut self, name: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        let mut inner = self.0.lock().unwrap();
        let inode = inner.inode(name)?;
        let at = offset as usize;
        let found = inode.now.get(at..at + into.len());
        let found = found.ok_or_else(|| Error::new(std::io::ErrorKind::UnexpectedEof, "end"))?;
        into.copy_from_slice(found);
        Ok(())
    }
    fn create(&mut self, name: &str) -> Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.step()?;
        if !inner.names.contains_key(name) {
            let id = inner.next;
            inner.next += 1;
            inner.inodes.insert(id, Inode::default());
            inner.names.insert(name.to_owned(), id);
            inner.changes.push((name.to_owned(), Some(id)));
        }
        inner.end()
    }
    fn write(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        let change = Change::Write(offset as usize, bytes.to_vec());
        self.0.lock().unwrap().change(name, change)
    }
    fn truncate(&mut self, name: &str, length: u64) -> Result<()> {
        let change = Change::Truncate(length as usize);
        self.0.lock().unwrap().change(name, change)
    }
    fn sync(&mut self, name: &str) -> Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.step()?;
        inner.end()?;
        let inode = inner.inode(name)?;
        inode.durable = inode.now.clone();
        inode.pending.clear();
        Ok(())
    }
    fn delete(&mut self, name: &str) -> Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.step()?;
        if inner.names.remove(name).is_some() {
            inner.changes.push((name.to_owned(), None));
        }
        inner.end()
    }
    fn sync_folder(&mut self) -> Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.step()?;
        inner.end()?;
        inner.durable_names = inner.names.clone();
        inner.changes.clear();
        Ok(())
    }
    fn lock(&mut self, _: &str) -> Result<()> {
        Ok(())
    }
}
