//! Taking a dealing in (CST-2..4): streams go to disk as they come, and nothing
//! of a dealing is used before all of it was there, was what was announced, and
//! passed its check.

use crate::{
    dealing::{Dealing, Offer, Package, Stream, StreamDigest},
    disk::Disk,
    error::StoreError,
    record::{MAX_ACTIVATED, Record},
    state::{DealingState, Stage},
    statement::MAX_COUNTERS,
    store::{BLOCK, SEED, Store, file, shorten, shorten_file},
};
use std::collections::BTreeSet;
use veilbourse_core::digest::Digest;

/// How often streams of a dealing may be sent again: each time all of it is
/// read anew, and the log grows.
pub const MAX_RESENT: u32 = 8;

impl<D: Disk> Store<D> {
    /// Begins a dealing (CST-2), or goes on with one that was cut off. That its
    /// root is in the custodian's signed policy is the caller's to check.
    pub fn begin(&mut self, dealing: &Dealing, offer: &Offer) -> Result<Digest, StoreError> {
        self.serving()?;
        let digest = dealing.digest();
        if let Some(d) = self.state.dealings.get(&digest) {
            if d.stage != Stage::Receiving {
                return Err(stage(&digest, d, Stage::Receiving.name()));
            }
            self.own_package(dealing, d.party, offer)?;
            return Ok(digest);
        }
        let party = self.admits(dealing, offer)?;
        let shape = dealing.shape();
        let bytes = |s| dealing.stream_bytes(s, &shape, party, offer.package.proof_bytes);
        let seed = file(&digest, SEED);
        self.guard(|disk| {
            // What an earlier attempt left of them is not the log's.
            for name in Stream::ALL.iter().filter(|s| bytes(**s) > 0) {
                let name = file(&digest, name.suffix());
                disk.create(&name)?;
                disk.truncate(&name, 0)?;
                disk.sync(&name)?;
            }
            disk.create(&seed)?;
            disk.write(&seed, 0, &*offer.seed)?;
            disk.sync(&seed)?;
            disk.sync_folder()
        })?;
        self.commit(Record::Begun {
            dealing: Box::new(dealing.clone()),
            package: offer.package.clone(),
        })?;
        Ok(digest)
    }

    /// CST-2: whether the dealing may be dealt to this node.
    fn admits(&self, dealing: &Dealing, offer: &Offer) -> Result<u8, StoreError> {
        dealing.check()?;
        let foreign = |field, found: String, expected: String| {
            Err(StoreError::Foreign {
                field,
                found,
                expected,
            })
        };
        let config = &self.config;
        if dealing.dataset != config.dataset {
            let expected = config.dataset.to_string();
            return foreign("dataset", dealing.dataset.to_string(), expected);
        }
        let (quorum, epoch) = (dealing.quorum, dealing.epoch);
        let members = quorum.members();
        let of = |m: &[u8]| format!("{m:?}");
        let quorums = config.committee.quorums();
        let Some(party) = quorum
            .party_of(config.node)
            .filter(|_| quorums.iter().any(|q| q.members() == members))
        else {
            let expected = format!("one of the committee with node {}", config.node);
            return foreign("quorum", of(&members), expected);
        };
        for (member, found) in members.iter().zip(&dealing.parties) {
            let expected = config.key(*member).copied().unwrap_or_default();
            if *found != expected {
                let [found, expected] = [*found, expected].map(|k| Digest(k).to_string());
                return foreign("party key", found, expected);
            }
        }
        self.own_package(dealing, party, offer)?;
        let floor = self.state.floors.get(&quorum).copied().unwrap_or_default();
        if epoch < floor {
            return Err(StoreError::Destroyed {
                quorum: quorum.bits(),
                epoch,
                least: floor,
            });
        }
        self.admits_seed(dealing, &offer.package)?;
        self.admits_numbers(dealing)?;
        Ok(party)
    }

    /// That the offer is the announced one.
    fn own_package(&self, dealing: &Dealing, party: u8, offer: &Offer) -> Result<(), StoreError> {
        let package = &offer.package;
        let foreign = |field, found: Digest, expected: Digest| StoreError::Foreign {
            field,
            found: found.to_string(),
            expected: expected.to_string(),
        };
        let expected = dealing.packages.get(usize::from(party));
        let (expected, found) = (expected.copied().unwrap_or_default(), package.digest());
        if found != expected {
            return Err(foreign("package", found, expected));
        }
        let expected = dealing.bases.get(usize::from(party));
        let (expected, found) = (expected.copied().unwrap_or_default(), package.base());
        if found != expected {
            return Err(foreign("package without its proof", found, expected));
        }
        let found = Package::seed_id(&offer.seed);
        if found != package.seed {
            return Err(foreign("seed", found, package.seed));
        }
        let (fixed, each) = crate::dealing::MAX_PROOF;
        let max = fixed + each * dealing.count;
        if package.proof_bytes > max {
            return Err(StoreError::Limit {
                field: "proof bytes",
                value: package.proof_bytes,
                min: 0,
                max,
            });
        }
        Ok(())
    }

    /// CST-2: an epoch has one seed and one key, a seed one epoch.
    fn admits_seed(&self, dealing: &Dealing, package: &Package) -> Result<(), StoreError> {
        let (quorum, epoch) = (dealing.quorum, dealing.epoch);
        let refuse = |reason| {
            Err(StoreError::Seed {
                quorum: quorum.bits(),
                epoch,
                reason,
            })
        };
        for (at, seed) in &self.state.seeds {
            let same = *at == (quorum, epoch);
            if same && *seed != package.seed {
                return refuse("the epoch has another seed");
            }
            if !same && *seed == package.seed {
                return refuse("the seed served another epoch");
            }
        }
        if dealing.with_key && self.state.key_of(quorum, epoch).is_some() {
            return refuse("the epoch has its key already");
        }
        Ok(())
    }

    /// CST-2: a number is dealt once an epoch, also where that dealing failed.
    fn admits_numbers(&self, dealing: &Dealing) -> Result<(), StoreError> {
        let (first, end) = (dealing.first, dealing.end());
        let epoch = self.state.of_epoch(dealing.quorum, dealing.epoch);
        let mut epoch = epoch.map(|(_, d)| &d.dealing);
        if epoch.any(|d| d.first < end && first < d.end()) {
            return Err(StoreError::Numbers { first, end });
        }
        let alive = self.state.dealings.values().filter(|d| d.stage.alive());
        let value = alive.count() as u64 + 1;
        if value > MAX_COUNTERS.into() {
            return Err(StoreError::Limit {
                field: "dealings at once",
                value,
                min: 0,
                max: MAX_COUNTERS.into(),
            });
        }
        Ok(())
    }

    pub(crate) fn dealing(
        &self,
        dealing: &Digest,
        stages: &[Stage],
        expected: &'static str,
    ) -> Result<&DealingState, StoreError> {
        let unknown = StoreError::UnknownDealing { dealing: *dealing };
        let d = self.state.dealings.get(dealing).ok_or(unknown)?;
        if !stages.contains(&d.stage) {
            return Err(stage(dealing, d, expected));
        }
        Ok(d)
    }

    /// Bytes of a stream that are here, and in all: the next piece begins there.
    pub fn received(&self, dealing: &Digest, stream: Stream) -> Result<(u64, u64), StoreError> {
        let unknown = StoreError::UnknownDealing { dealing: *dealing };
        let d = self.state.dealings.get(dealing).ok_or(unknown)?;
        let durable = d.received.get(stream.index()).copied().unwrap_or_default();
        let written = self.written.get(&(*dealing, stream));
        Ok((written.copied().unwrap_or(durable), d.total(stream)))
    }

    /// The next piece of a stream (CST-3).
    pub fn put(
        &mut self,
        dealing: &Digest,
        stream: Stream,
        offset: u64,
        piece: &[u8],
    ) -> Result<(), StoreError> {
        self.serving()?;
        let d = self.dealing(dealing, &[Stage::Receiving], Stage::Receiving.name())?;
        let durable = d.received.get(stream.index()).copied().unwrap_or_default();
        let (expected, total) = self.received(dealing, stream)?;
        if offset != expected {
            return Err(StoreError::Offset {
                stream,
                offset,
                expected,
                total,
            });
        }
        let end = offset.saturating_add(piece.len() as u64);
        if end > total {
            return Err(StoreError::TooLong {
                stream,
                limit: total,
                value: end,
            });
        }
        if piece.is_empty() {
            return Ok(());
        }
        let name = file(dealing, stream.suffix());
        self.guard(|disk| disk.write(&name, offset, piece))?;
        self.written.insert((*dealing, stream), end);
        if end == total || end - durable >= self.config.sync_every {
            self.flush(dealing, stream, end)?;
        }
        Ok(())
    }

    fn flush(&mut self, dealing: &Digest, stream: Stream, bytes: u64) -> Result<(), StoreError> {
        let name = file(dealing, stream.suffix());
        self.guard(|disk| disk.sync(&name))?;
        self.commit(Record::Progress {
            dealing: *dealing,
            stream,
            bytes,
        })?;
        self.written.remove(&(*dealing, stream));
        Ok(())
    }

    /// All was sent (CST-3): every stream is the announced one, and the
    /// commitments have the announced root. A stream that is not is to be sent
    /// again; another root refuses the dealing.
    pub fn finish(&mut self, dealing: &Digest) -> Result<(), StoreError> {
        self.serving()?;
        let d = self.dealing(dealing, &[Stage::Receiving], Stage::Receiving.name())?;
        let (announced, root, resent) = (d.package.streams, d.dealing.root, d.resent);
        for stream in Stream::ALL {
            let (received, total) = self.received(dealing, stream)?;
            if received < total {
                return Err(StoreError::Incomplete {
                    stream,
                    received,
                    total,
                });
            }
        }
        for (stream, expected) in Stream::ALL.into_iter().zip(announced) {
            let (_, total) = self.received(dealing, stream)?;
            let found = self.digest_of(dealing, stream, total)?;
            if found == expected {
                continue;
            }
            if total == 0 {
                // An empty stream of another digest: no sending mends it.
                let why = format!("{stream:?} is empty, announced as {expected}");
                self.refused(dealing, &why)?;
            } else if resent >= MAX_RESENT {
                let why = format!("{stream:?} was another than announced {resent} times before");
                self.refused(dealing, &why)?;
            } else {
                // The log first: a shorter file than it says is refused.
                self.commit(Record::Progress {
                    dealing: *dealing,
                    stream,
                    bytes: 0,
                })?;
                let name = file(dealing, stream.suffix());
                self.guard(|disk| shorten_file(disk, &name, 0))?;
            }
            return Err(StoreError::StreamDigest {
                stream,
                found,
                expected,
            });
        }
        let found = self.build_tree(dealing)?;
        if found != root {
            let expected = root;
            let why = format!("its commitments have root {found}, announced {expected}");
            self.refused(dealing, &why)?;
            return Err(StoreError::Root { found, expected });
        }
        self.commit(Record::Received(*dealing))
    }

    fn digest_of(
        &mut self,
        dealing: &Digest,
        stream: Stream,
        total: u64,
    ) -> Result<Digest, StoreError> {
        let name = file(dealing, stream.suffix());
        let mut digest = StreamDigest::default();
        let mut at = 0;
        while at < total {
            let mut block =
                zeroize::Zeroizing::new(vec![0; (total - at).min(BLOCK as u64) as usize]);
            self.guard(|disk| disk.read(&name, at, &mut block))?;
            digest.update(&block);
            at += block.len() as u64;
        }
        Ok(digest.finish())
    }

    /// Before this node's answer to the MAC check of the dealing leaves (TKT-4):
    /// from here on a check that is not seen to pass freezes the quorum.
    pub fn checking(&mut self, dealing: &Digest) -> Result<(), StoreError> {
        self.serving()?;
        self.dealing(dealing, &[Stage::Received], Stage::Received.name())?;
        self.commit(Record::Checking(*dealing))
    }

    /// The dealing's check passed (TKT-4): its proof is not needed any more.
    pub fn verified(&mut self, dealing: &Digest) -> Result<(), StoreError> {
        self.serving()?;
        self.dealing(dealing, &[Stage::Checking], Stage::Checking.name())?;
        self.commit(Record::Verified(*dealing))?;
        self.sweep()
    }

    /// The dealing is not what it says, or is not wanted: destroyed. One whose
    /// MAC check was being answered freezes its quorum (CST-4).
    pub fn refuse(&mut self, dealing: &Digest, why: &str) -> Result<(), StoreError> {
        self.serving()?;
        let stages = [
            Stage::Receiving,
            Stage::Received,
            Stage::Checking,
            Stage::Verified,
        ];
        let d = self.dealing(dealing, &stages, "not yet usable")?;
        let quorum = d.dealing.quorum;
        if d.stage == Stage::Checking {
            return self.freeze(quorum, why);
        }
        self.refused(dealing, why)
    }

    fn refused(&mut self, dealing: &Digest, why: &str) -> Result<(), StoreError> {
        self.commit(Record::Refused {
            dealing: *dealing,
            why: shorten(why),
        })?;
        self.written.retain(|(d, _), _| d != dealing);
        self.sweep()
    }

    /// Makes verified dealings of one epoch usable, in one step (CST-9): earlier
    /// epochs of the quorum are destroyed.
    pub fn activate(&mut self, dealings: &[Digest]) -> Result<(), StoreError> {
        self.serving()?;
        let value = dealings.len() as u64;
        let all: BTreeSet<_> = dealings.iter().collect();
        if dealings.is_empty() || value > MAX_ACTIVATED.into() || all.len() != dealings.len() {
            return Err(StoreError::Limit {
                field: "dealings to activate, each once",
                value,
                min: 1,
                max: MAX_ACTIVATED.into(),
            });
        }
        let mut epoch = None;
        for digest in dealings {
            let d = self.dealing(digest, &[Stage::Verified], Stage::Verified.name())?;
            let at = (d.dealing.quorum, d.dealing.epoch);
            if *epoch.get_or_insert(at) != at {
                return Err(StoreError::Foreign {
                    field: "quorum and epoch",
                    found: format!("{at:?}"),
                    expected: format!("{epoch:?}"),
                });
            }
            let key = self.state.key_of(at.0, at.1);
            let usable = key.is_some_and(|(k, d)| d.stage == Stage::Usable || dealings.contains(k));
            if !usable {
                return Err(StoreError::Seed {
                    quorum: at.0.bits(),
                    epoch: at.1,
                    reason: "the epoch's key is not verified",
                });
            }
            if self.state.key_checked(at.0, at.1).is_none() {
                return Err(StoreError::KeyUnchecked {
                    quorum: at.0.bits(),
                    epoch: at.1,
                });
            }
        }
        self.commit(Record::Activated(dealings.to_vec()))?;
        self.sweep()
    }
}

fn stage(dealing: &Digest, found: &DealingState, expected: &'static str) -> StoreError {
    StoreError::Stage {
        dealing: *dealing,
        found: found.stage.name(),
        expected,
    }
}
