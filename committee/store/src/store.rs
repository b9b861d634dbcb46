//! A node's folder for one dataset (CST-1): opening it after whatever happened,
//! and destroying what is to be destroyed (CST-8).

use crate::{
    dealing::{QuorumSet, Stream},
    disk::Disk,
    error::StoreError,
    frames::{Frames, LogError},
    paths::tree_bytes,
    record::{FORMAT, Record},
    state::{Owner, SessionStage, Stage, State},
};
use std::collections::{BTreeMap, BTreeSet};
use veilbourse_core::digest::Digest;
use veilbourse_protocol::Committee;

/// The log's file.
pub(crate) const LOG: &str = "log";
/// Bytes overwritten, read or hashed at a time.
pub(crate) const BLOCK: usize = 1 << 16;

/// Who the node is, and whom it knows.
#[derive(Debug, Clone)]
pub struct Config {
    /// D: a folder serves one dataset.
    pub dataset: Digest,
    /// Who deals it: another one's dealings of the same D have a store, a log and
    /// counters of their own (KEY-9).
    pub custodian: [u8; 32],
    /// n and t.
    pub committee: Committee,
    /// This node's number.
    pub node: u8,
    /// Every node's Ed25519 key, by number.
    pub keys: Vec<[u8; 32]>,
    /// A stream is made durable after so many bytes.
    pub sync_every: u64,
}

impl Config {
    /// A node's key.
    pub(crate) fn key(&self, node: u8) -> Option<&[u8; 32]> {
        self.keys.get(usize::from(node))
    }
    fn owner(&self) -> Result<Owner, StoreError> {
        let missing = || StoreError::Identity {
            field: "keys",
            found: self.keys.len().to_string(),
            expected: self.committee.nodes().to_string(),
        };
        if self.keys.len() != usize::from(self.committee.nodes()) {
            return Err(missing());
        }
        Ok(Owner {
            dataset: self.dataset,
            nodes: self.committee.nodes(),
            threshold: self.committee.threshold(),
            node: self.node,
            key: *self.key(self.node).ok_or_else(missing)?,
        })
    }
}

/// The durable state of one key node for one dataset.
#[derive(Debug)]
pub struct Store<D> {
    pub(crate) disk: D,
    pub(crate) log: Frames,
    pub(crate) state: State,
    pub(crate) config: Config,
    /// The log's head after each record.
    pub(crate) heads: Vec<Digest>,
    /// Bytes of streams that are written and not yet durable.
    pub(crate) written: BTreeMap<(Digest, Stream), u64>,
    /// Peers whose counters were exchanged since a quorum last spent.
    pub(crate) met: BTreeSet<(QuorumSet, u8)>,
    /// Peers that have shown what they hold, since then.
    pub(crate) recalled: BTreeSet<(QuorumSet, u8)>,
    /// Quorums whose keys are in use, and the name of the keys (OPN-4).
    pub(crate) out: BTreeMap<QuorumSet, Digest>,
    /// Sessions begun since the store was opened.
    pub(crate) live: BTreeSet<Digest>,
    stopped: bool,
}

/// The name of a file of a dealing.
pub(crate) fn file(dealing: &Digest, suffix: &str) -> String {
    format!("{dealing}.{suffix}")
}

/// The seed's file, the tree's file.
pub(crate) const SEED: &str = "seed";
pub(crate) const TREE: &str = "tree";

impl<D: Disk> Store<D> {
    /// Makes the folder's log (CST-1): once, when the node is initialised for
    /// the dataset. One without records will do; another is never overwritten.
    pub fn create(mut disk: D, config: Config) -> Result<Self, StoreError> {
        Frames::create(&mut disk, LOG, FORMAT)?;
        Self::open(disk, config)
    }

    /// Opens the folder after whatever happened: replays the log, freezes what
    /// has a pending check (CST-7), gives up sessions that were cut off, and
    /// destroys what is to be destroyed (CST-8). A missing log is not made.
    pub fn open(mut disk: D, config: Config) -> Result<Self, StoreError> {
        let owner = config.owner()?;
        let (mut state, mut heads) = (State::default(), Vec::new());
        let log = Frames::open(&mut disk, LOG, FORMAT, |bytes, head| {
            heads.push(head);
            let record = Record::decode(bytes).map_err(|e| e.to_string())?;
            state.apply(record)
        })?;
        let mut store = Self {
            disk,
            log,
            state,
            config,
            heads,
            written: BTreeMap::new(),
            met: BTreeSet::new(),
            recalled: BTreeSet::new(),
            out: BTreeMap::new(),
            live: BTreeSet::new(),
            stopped: false,
        };
        match &store.state.owner {
            // Cut off while it was made: nothing was ever recorded.
            None => store.commit(Record::Initialised {
                dataset: owner.dataset,
                nodes: owner.nodes,
                threshold: owner.threshold,
                node: owner.node,
                key: owner.key,
            })?,
            Some(found) if *found == owner => {}
            Some(found) => {
                return Err(StoreError::Identity {
                    field: "owner",
                    found: format!("{found:?}"),
                    expected: format!("{owner:?}"),
                });
            }
        }
        store.recover()?;
        Ok(store)
    }

    /// CST-7, CST-8. What is to be destroyed goes first: nothing that is wrong
    /// with other files, or a disk that is full, keeps secrets.
    fn recover(&mut self) -> Result<(), StoreError> {
        self.sweep()?;
        let mut pending = BTreeSet::new();
        let mut lost = Vec::new();
        for (digest, s) in &self.state.sessions {
            match s.stage {
                SessionStage::CheckPending => {
                    let d = self.state.dealings.get(&s.spent.dealing);
                    pending.extend(d.map(|d| d.dealing.quorum));
                }
                SessionStage::Spent | SessionStage::CheckPassed => {
                    lost.push((*digest, s.spent.dealing));
                }
                _ => {}
            }
        }
        let checking = self.state.dealings.values();
        let checking = checking.filter(|d| d.stage == Stage::Checking);
        pending.extend(checking.map(|d| d.dealing.quorum));
        for quorum in &pending {
            let why = "a check was pending when the node stopped".to_owned();
            self.commit(Record::Frozen {
                quorum: *quorum,
                why,
            })?;
        }
        for (session, dealing) in lost {
            let d = self.state.dealings.get(&dealing);
            if d.is_some_and(|d| !pending.contains(&d.dealing.quorum)) {
                self.commit(Record::Abandoned(session))?;
            }
        }
        self.sweep()?;
        self.check_files()
    }

    /// Streams are cut to what the log says of them; whatever else a living
    /// dealing needs must be there.
    fn check_files(&mut self) -> Result<(), StoreError> {
        let mut sizes = Vec::new();
        for (digest, d) in &self.state.dealings {
            if !d.stage.alive() {
                continue;
            }
            sizes.push((file(digest, SEED), 32, false));
            if d.stage > Stage::Receiving {
                let bytes = tree_bytes(d.dealing.first, d.dealing.end());
                sizes.push((file(digest, TREE), bytes, false));
            }
            for stream in Stream::ALL {
                let received = d.received.get(stream.index()).copied().unwrap_or_default();
                let name = file(digest, stream.suffix());
                let proof_over = stream == Stream::Proof && d.stage >= Stage::Verified;
                if d.total(stream) > 0 && !proof_over {
                    sizes.push((name, received, d.stage == Stage::Receiving));
                }
            }
        }
        for (name, expected, cut) in sizes {
            let size = self.disk.size(&name)?;
            let found = size.unwrap_or_default();
            if found > expected && cut {
                shorten_file(&mut self.disk, &name, expected)?;
            } else if size != Some(expected) {
                return Err(StoreError::File {
                    name,
                    found,
                    expected,
                });
            }
        }
        Ok(())
    }

    /// CST-8: overwrites and deletes every file of a dealing that is not to be
    /// there. Done again it does no harm; it is done again at every opening.
    pub(crate) fn sweep(&mut self) -> Result<(), StoreError> {
        let mut gone = Vec::new();
        for name in self.guard(|d| d.list())? {
            let Some((digest, suffix)) = name.split_once('.') else {
                continue;
            };
            let Some(digest) = Digest::from_hex(digest) else {
                continue;
            };
            let stage = self.state.dealings.get(&digest).map(|d| d.stage);
            let stage = stage.filter(|s| s.alive());
            let streams = Stream::ALL.map(Stream::suffix);
            let keep = match suffix {
                TREE => stage.is_some_and(|s| s > Stage::Receiving),
                s if s == Stream::Proof.suffix() => stage.is_some_and(|s| s < Stage::Verified),
                s if s == SEED || streams.contains(&s) => stage.is_some(),
                // Not a file of this store.
                _ => true,
            };
            if !keep {
                gone.push(name);
            }
        }
        // What is short and tells most goes first, and no file waits for another
        // that the disk fails on.
        gone.sort_by_key(|name| {
            let kinds = [SEED, Stream::Key.suffix(), Stream::Explicit.suffix()];
            kinds
                .iter()
                .position(|k| name.ends_with(k))
                .unwrap_or(kinds.len())
        });
        self.guard(|disk| {
            let all = gone.iter().map(|name| destroy(disk, name));
            all.fold(Ok(()), std::io::Result::and)
        })?;
        let dealings = &self.state.dealings;
        self.written
            .retain(|(d, _), _| dealings.get(d).is_some_and(|d| d.stage.alive()));
        if gone.is_empty() {
            return Ok(());
        }
        self.guard(Disk::sync_folder)
    }

    /// Does something with the disk; after a failure the store stops (CST-1).
    pub(crate) fn guard<T>(
        &mut self,
        f: impl FnOnce(&mut D) -> std::io::Result<T>,
    ) -> Result<T, StoreError> {
        self.running()?;
        let result = f(&mut self.disk);
        self.stopped |= result.is_err();
        Ok(result?)
    }

    pub(crate) fn running(&self) -> Result<(), StoreError> {
        if self.stopped {
            return Err(StoreError::Stopped);
        }
        Ok(())
    }

    /// Refuses where nothing is ever to be opened again.
    pub(crate) fn serving(&self) -> Result<(), StoreError> {
        self.running()?;
        if let Some((signed, head)) = self.state.rolled_back {
            let records = self.log.records();
            return Err(StoreError::RolledBack {
                signed,
                head,
                records,
            });
        }
        if self.state.retired {
            return Err(StoreError::Retired);
        }
        Ok(())
    }

    /// Puts a record on disk, then takes it in.
    pub(crate) fn commit(&mut self, record: Record) -> Result<(), StoreError> {
        self.running()?;
        if let Err(e) = self.log.append(&mut self.disk, &record.encode()) {
            self.stopped |= !matches!(e, LogError::TooLarge { .. });
            return Err(e.into());
        }
        self.heads.push(self.log.head());
        // Callers have checked that it applies: otherwise a replay would refuse.
        self.state.apply(record).map_err(|reason| {
            self.stopped = true;
            StoreError::Log(LogError::Damaged { offset: 0, reason })
        })
    }

    /// Freezes a quorum (CST-8, OPN-4): everything it was dealt so far is
    /// destroyed, here; nothing of it is used again.
    pub fn freeze(&mut self, quorum: QuorumSet, why: &str) -> Result<(), StoreError> {
        self.serving()?;
        let why = shorten(why);
        self.commit(Record::Frozen { quorum, why })?;
        self.sweep()
    }

    /// Retires the node for this dataset (CST-9): everything it was dealt is
    /// destroyed, and it takes nothing any more.
    pub fn retire(&mut self) -> Result<(), StoreError> {
        self.serving()?;
        self.commit(Record::Retired)?;
        self.sweep()
    }

    /// Who the node is.
    pub fn config(&self) -> &Config {
        &self.config
    }
    /// What the log adds up to.
    pub fn state(&self) -> &State {
        &self.state
    }
    /// The log's head: covers every record.
    pub fn head(&self) -> Digest {
        self.log.head()
    }
    /// Records of the log.
    pub fn records(&self) -> u64 {
        self.log.records()
    }
    /// The disk.
    pub fn disk(&self) -> &D {
        &self.disk
    }
}

/// A reason that fits a record.
pub(crate) fn shorten(why: &str) -> String {
    let mut out = String::new();
    for c in why.chars() {
        if out.len() + c.len_utf8() > crate::record::MAX_REASON as usize {
            break;
        }
        out.push(c);
    }
    out
}

/// Overwrites a file with zeros from a place on; a block that fails does not
/// keep the others.
fn overwrite(disk: &mut impl Disk, name: &str, from: u64) -> std::io::Result<()> {
    let size = disk.size(name)?.unwrap_or_default();
    let mut done = Ok(());
    let mut at = from;
    while at < size {
        let zeros = vec![0; (size - at).min(BLOCK as u64) as usize];
        done = done.and(disk.write(name, at, &zeros));
        at += zeros.len() as u64;
    }
    done.and(disk.sync(name))
}

/// Overwrites a file with zeros, and deletes it.
fn destroy(disk: &mut impl Disk, name: &str) -> std::io::Result<()> {
    overwrite(disk, name, 0)?;
    disk.delete(name)
}

/// Cuts a file, and leaves nothing legible of what is cut off (CST-8).
pub(crate) fn shorten_file(disk: &mut impl Disk, name: &str, to: u64) -> std::io::Result<()> {
    overwrite(disk, name, to)?;
    disk.truncate(name, to)?;
    disk.sync(name)
}
