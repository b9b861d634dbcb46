//! Dealing (TKT-2..5): tickets to files block by block, on all cores, then the
//! announcement, the proofs, and every stream sealed to its node.
//!
//! A dealing cut off goes on after the last block that is on disk. Values and
//! shares in the clear are in `work/` only while a dealing is made: the folder
//! beside it holds S_D itself.

use super::{
    DealerFolder, DealingError, Dealt, Planned, files, folder::Seeds, pieces::Sealer, proof,
};
use crate::{
    ClientError,
    disk::{self, File},
    http::Progress,
};
use rand_core::CryptoRng;
use rayon::prelude::*;
use std::{
    io::{BufReader, Read, Write},
    path::{Path, PathBuf},
};
use veilbourse_core::{digest::Digest, field::Fq, wire::Writer};
use veilbourse_documents::{CommitteeFile, DealingTerms, Key};
use veilbourse_eval::SecretKey;
use veilbourse_protocol::{
    BatchProof, Dealer, Shape, TicketClass, Tree, leaf, quorum_name, write_share,
};
use veilbourse_ticket_store::{Dealing, Offer, Package, QuorumSet, Stream, StreamDigest};
use zeroize::Zeroizing;

/// Tickets dealt at once, 11 kB each.
const BLOCK: u64 = 1024;
/// Blocks between two syncs of the files.
const SYNC_BLOCKS: u64 = 4;
/// Batches proven at once, about 150 MB each.
const PROVEN: usize = 4;
/// Bytes of a commitment.
const COMMITMENT: usize = 32;

/// Deals everything that is planned and not dealt yet; what was dealt by now.
/// Calling it again after any interruption goes on. `custodian` signs the
/// policies: under no other key does a node take what is dealt here (DOC-14).
pub fn deal(
    folder: &mut DealerFolder,
    key: &SecretKey,
    custodian: &Key,
    committee: &CommitteeFile,
    rng: &mut impl CryptoRng,
    progress: &dyn Progress,
) -> Result<Vec<DealingTerms>, ClientError> {
    let total = left(folder);
    while next(folder, (key, custodian), committee, rng, total, progress)? {}
    Ok(folder.dealt())
}

/// The next dealing that is planned and not dealt, from wherever it was cut off;
/// false when there is none. What is done can be uploaded before the next is made.
pub fn deal_next(
    folder: &mut DealerFolder,
    key: &SecretKey,
    custodian: &Key,
    committee: &CommitteeFile,
    rng: &mut impl CryptoRng,
    progress: &dyn Progress,
) -> Result<bool, ClientError> {
    let total = folder.plan().dealings.iter().map(|d| d.count).sum();
    next(folder, (key, custodian), committee, rng, total, progress)
}

/// Tickets still to be dealt.
fn left(folder: &DealerFolder) -> u64 {
    let all = folder.plan().dealings.iter();
    all.filter(|d| d.dealt.is_none()).map(|d| d.count).sum()
}

fn next(
    folder: &mut DealerFolder,
    by: (&SecretKey, &Key),
    committee: &CommitteeFile,
    rng: &mut impl CryptoRng,
    total: u64,
    progress: &dyn Progress,
) -> Result<bool, ClientError> {
    let before = total.saturating_sub(left(folder));
    let mut all = folder.plan().dealings.iter().enumerate();
    let found = all.find(|(_, d)| d.dealt.is_none());
    if let Some((index, planned)) = found.map(|(i, d)| (i, d.clone())) {
        let step = |done: u64| progress.step("deal", before + done, total);
        let dealt = one(folder, &planned, by, committee, rng, &step)?;
        folder.done(index, dealt)?;
        return Ok(true);
    }
    // Also what a crash left after the last was done.
    let work = folder.work();
    match disk::remove_folder(&work) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(ClientError::file(&work, e)),
        _ => Ok(false),
    }
}

/// The dealer of a planned dealing: the same whenever it is asked for.
pub fn dealer_of(folder: &DealerFolder, planned: &Planned) -> Result<Dealer, ClientError> {
    let (class, seeds) = (class_of(folder, planned)?, folder.seeds(planned));
    Ok(dealer(folder, planned, class, seeds))
}

fn class_of(folder: &DealerFolder, planned: &Planned) -> Result<TicketClass, ClientError> {
    let terms = folder.plan().class(&planned.class);
    let terms = terms.ok_or(DealingError::Unknown {
        dealing: planned.class,
    })?;
    terms.class().map_err(|cause| {
        let class = terms.name.clone();
        DealingError::Class { class, cause }.into()
    })
}

fn dealer(folder: &DealerFolder, d: &Planned, class: TicketClass, seeds: Seeds) -> Dealer {
    let keys = quorum_name(&folder.plan().dataset, &d.quorum, d.epoch);
    // Planned below 2^24.
    let serial = u32::try_from(d.first).unwrap_or(u32::MAX);
    Dealer::resume(Shape::new(class, keys, serial), seeds.parties, seeds.own)
}

/// A dealing in the making.
struct Work {
    folder: PathBuf,
    parties: usize,
    /// Bytes a ticket in each file.
    sizes: [(&'static str, usize); 3],
}

const DONE: &str = "done";

impl Work {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Tickets that are in all files, synced.
    fn done(&self, of: &Digest) -> u64 {
        let text = disk::read_to_string(&self.path(DONE)).unwrap_or_default();
        let mut words = text.split_whitespace();
        let same = words.next() == Some(&of.to_string());
        let done = words.next().and_then(|n| n.parse().ok()).filter(|_| same);
        let length = |name: &str| disk::length(&self.path(name)).unwrap_or(0);
        let there = |n: &u64| {
            let mut files = self.sizes.iter();
            files.all(|(name, bytes)| length(name) >= n.saturating_mul(*bytes as u64))
        };
        done.filter(there).unwrap_or(0)
    }

    fn mark(&self, of: &Digest, done: u64, files: &[File]) -> Result<(), ClientError> {
        for f in files {
            f.sync_all()
                .map_err(|e| ClientError::file(&self.folder, e))?;
        }
        files::replace(&self.path(DONE), format!("{of} {done}").as_bytes())
    }

    /// Deals the tickets that are not there yet.
    fn tickets(
        &self,
        dealer: &Dealer,
        planned: &Planned,
        step: &dyn Fn(u64),
    ) -> Result<(), ClientError> {
        let of = dealer.shape().dealing;
        let mut done = self.done(&of);
        let open = |(name, bytes): &(&str, usize)| {
            files::append_from(&self.path(name), done * *bytes as u64)
        };
        let mut files: Vec<File> = self.sizes.iter().map(open).collect::<Result<_, _>>()?;
        let mut blocks = 0;
        while done < planned.count {
            let end = planned.count.min(done + BLOCK);
            let numbers = planned.first + done..planned.first + end;
            let block: Vec<_> = numbers.into_par_iter().map(|n| dealer.ticket(n)).collect();
            let mut parts = [Vec::new(), Vec::new(), Vec::new()].map(Zeroizing::new);
            let [commitments, explicit, values] = &mut parts;
            for ticket in &block {
                commitments.extend(ticket.commitments.iter().flatten());
                explicit.extend(&ticket.explicit);
                for v in ticket.values.iter() {
                    values.extend(v.word().to_le_bytes());
                }
            }
            for (file, part) in files.iter_mut().zip(&parts) {
                file.write_all(part)
                    .map_err(|e| ClientError::file(&self.folder, e))?;
            }
            done = end;
            blocks += 1;
            if blocks % SYNC_BLOCKS == 0 || done == planned.count {
                self.mark(&of, done, &files)?;
            }
            step(done);
        }
        Ok(())
    }

    /// The root over the commitments (TKT-5).
    fn root(&self, dealing: &Digest, first: u64) -> Result<Digest, ClientError> {
        let path = self.path("commitments");
        let error = |e| ClientError::file(&path, e);
        let mut source = BufReader::new(disk::open(&path).map_err(error)?);
        let mut leaves = vec![Digest::default(); usize::try_from(first).unwrap_or(0)];
        let mut ticket = vec![[0u8; COMMITMENT]; self.parties];
        let mut left = disk::length_of(source.get_ref()).map_err(error)?;
        let size = (self.parties * COMMITMENT) as u64;
        for number in first.. {
            if left < size {
                break;
            }
            for c in &mut ticket {
                source.read_exact(c).map_err(error)?;
            }
            leaves.push(leaf(dealing, number, &ticket));
            left -= size;
        }
        Ok(Tree::new(leaves).root())
    }

    /// Values of tickets, by place.
    fn values(&self, from: &mut impl Read, count: u64) -> Result<Vec<Values>, ClientError> {
        let [.., (_, bytes)] = self.sizes;
        let mut buffer = Zeroizing::new(vec![0u8; bytes]);
        let mut out = Vec::new();
        for _ in 0..count {
            from.read_exact(&mut buffer)
                .map_err(|e| ClientError::file(&self.path("values"), e))?;
            let words = buffer.as_chunks::<8>().0.iter();
            let words = words.map(|w| Fq::reduce(u64::from_le_bytes(*w)));
            out.push(Zeroizing::new(words.collect()));
        }
        Ok(out)
    }

    /// The proofs of all batches, for the last party and for others.
    fn proofs(
        &self,
        dealer: &Dealer,
        context: &Digest,
        planned: &Planned,
        key: &[Fq],
    ) -> Result<(), ClientError> {
        let path = self.path("values");
        let source = disk::open(&path).map_err(|e| ClientError::file(&path, e))?;
        let mut source = BufReader::with_capacity(1 << 20, source);
        let (others, last) = (self.path("proof"), self.path("proof-last"));
        let mut others_file = files::append_from(&others, 0)?;
        let mut last_file = files::append_from(&last, 0)?;
        let all: Vec<_> = proof::batches(planned.first, planned.count).collect();
        for group in all.chunks(PROVEN) {
            let mut batches = Vec::new();
            for (first, count) in group {
                batches.push((*first, self.values(&mut source, *count)?));
            }
            let prove = |(first, values): &(u64, Vec<Values>)| {
                let with = *first == planned.first && planned.with_key;
                dealer.prove(context, *first, values, if with { key } else { &[] })
            };
            let proofs: Vec<BatchProof> = batches.par_iter().map(prove).collect();
            for p in &proofs {
                let put = |file: &mut File, path: &Path, is_last| {
                    file.write_all(&proof::encode(p, is_last))
                        .map_err(|e| ClientError::file(path, e))
                };
                put(&mut others_file, &others, false)?;
                put(&mut last_file, &last, true)?;
            }
        }
        Ok(())
    }
}

type Values = Zeroizing<Vec<Fq>>;

fn digest_of(path: &Path) -> Result<(Digest, u64), ClientError> {
    let error = |e| ClientError::file(path, e);
    let mut source = disk::open(path).map_err(error)?;
    let (mut digest, mut length) = (StreamDigest::default(), 0u64);
    let mut buffer = Zeroizing::new(vec![0u8; 1 << 20]);
    loop {
        let n = source.read(&mut buffer).map_err(error)?;
        let Some(piece) = buffer.get(..n).filter(|p| !p.is_empty()) else {
            return Ok((digest.finish(), length));
        };
        digest.update(piece);
        length += n as u64;
    }
}

/// One dealing, from wherever it was cut off.
fn one(
    folder: &DealerFolder,
    planned: &Planned,
    (key, custodian): (&SecretKey, &Key),
    committee: &CommitteeFile,
    rng: &mut impl CryptoRng,
    step: &dyn Fn(u64),
) -> Result<Dealt, ClientError> {
    let nodes: Option<Vec<_>> = planned
        .quorum
        .iter()
        .zip(&planned.parties)
        .map(|(m, key)| {
            let node = committee.nodes.get(usize::from(*m));
            node.filter(|n| n.signing_key == *key)
        })
        .collect();
    let quorum = || planned.quorum.clone();
    let nodes = nodes.ok_or_else(|| DealingError::Committee { quorum: quorum() })?;
    let set = QuorumSet::of_members(&planned.quorum)
        .ok_or_else(|| DealingError::Committee { quorum: quorum() })?;
    let class = class_of(folder, planned)?;
    let dealer = dealer(folder, planned, class, folder.seeds(planned));
    let shape = dealer.shape();
    let work = Work {
        folder: folder.work(),
        parties: nodes.len(),
        sizes: [
            ("commitments", nodes.len() * COMMITMENT),
            ("explicit", shape.layout.explicit_bytes()),
            ("values", shape.layout.values * 8),
        ],
    };
    files::folder(&work.folder)?;
    work.tickets(&dealer, planned, step)?;

    let words = key.expose_words();
    let bits: Zeroizing<Vec<Fq>> = Zeroizing::new(words.iter().map(|w| Fq::reduce(*w)).collect());
    let mut shares = Writer::new();
    if planned.with_key {
        for s in dealer.data_key(&bits) {
            write_share(&mut shares, &s);
        }
    }
    let shares = Zeroizing::new(shares.finish());
    let (key_file, none) = (work.path("key"), work.path("none"));
    for (path, bytes) in [(&key_file, &shares[..]), (&none, &[])] {
        files::remove(path)?;
        files::write_new(path, bytes)?;
    }
    let files_of = |last: bool| {
        let file = |name: &str| work.path(name);
        match last {
            true => [
                file("commitments"),
                file("explicit"),
                key_file.clone(),
                file("proof-last"),
            ],
            false => [
                file("commitments"),
                none.clone(),
                none.clone(),
                file("proof"),
            ],
        }
    };
    let parties = nodes.len();
    let mut packages = Vec::new();
    for (party, seed) in dealer.seeds().iter().enumerate() {
        let mut package = Package {
            seed: Package::seed_id(seed),
            proof_bytes: 0,
            streams: [Digest::default(); 4],
        };
        let of = files_of(party + 1 == parties);
        for (digest, path) in package.streams.iter_mut().zip(of).take(3) {
            *digest = digest_of(&path)?.0;
        }
        packages.push(package);
    }
    let mut dealing = Dealing {
        dataset: folder.plan().dataset,
        quorum: set,
        epoch: planned.epoch,
        class,
        first: planned.first,
        count: planned.count,
        with_key: planned.with_key,
        root: work.root(&shape.dealing, planned.first)?,
        parties: planned.parties.iter().map(|k| k.0).collect(),
        bases: packages.iter().map(Package::base).collect(),
        packages: Vec::new(),
    };
    work.proofs(&dealer, &dealing.context(), planned, &bits)?;
    for (party, package) in packages.iter_mut().enumerate() {
        let [.., proof] = files_of(party + 1 == parties);
        let (digest, length) = digest_of(&proof)?;
        package.proof_bytes = length;
        let [.., last] = &mut package.streams;
        *last = digest;
    }
    dealing.packages = packages.iter().map(Package::digest).collect();
    dealing
        .check()
        .map_err(|e| ClientError::refused("dealing", e))?;
    let digest = dealing.digest();
    let place = folder.of(&digest);
    files::folder(&place)?;
    for (((party, node), package), seed) in (0u8..).zip(&nodes).zip(&packages).zip(dealer.seeds()) {
        let mut sealer = Sealer {
            folder: &place,
            dealing: digest,
            dealer: custodian,
            party,
            key: &node.sealing_key.0,
            rng,
        };
        sealer.offer(&Offer {
            seed: Zeroizing::new(*seed),
            package: package.clone(),
        })?;
        let of = files_of(usize::from(party) + 1 == parties);
        for (part, path) in Stream::ALL.iter().zip(&of) {
            sealer.stream(part.suffix(), path)?;
        }
    }
    let mut announcement = Writer::new();
    dealing.encode(&mut announcement);
    let path = place.join("announcement");
    files::remove(&path)?;
    files::write_new(&path, &announcement.finish())?;
    Ok(Dealt {
        digest,
        root: dealing.root,
    })
}
