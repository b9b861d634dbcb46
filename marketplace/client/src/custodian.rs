//! From a quantised table to an encrypted, committed dataset (DS-1..6).
//!
//! Three steps, each long enough to show progress: encrypt, commit, prove the
//! listing. Plaintext and secret key stay with the caller.

use crate::{ClientError, http::Progress};
use rand_core::CryptoRng;
use veilbourse_core::{
    budget::choose_message_log2,
    ciphertext::{ChunkData, Glwe, PublicKey, SumData},
    digest::Digest,
    manifest::{ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, Manifest, Segment},
    params::DATA_RING_DIMENSION as N,
};
use veilbourse_eval::{SecretKey, SumAccumulator, encrypt_chunk, expand_chunk, public_key};
use veilbourse_prover::listing::prove_listing;
use veilbourse_tabular::Built;
use veilbourse_verifier::commitment::{FriSet, commit_root, glwe_columns, slices, traced_columns};

/// An encrypted table, before it is committed.
#[derive(Debug, Clone)]
pub struct Encrypted {
    /// k.
    pub message_log2: u32,
    /// `chunks[s][c]`: chunk c of segment s.
    pub chunks: Vec<Vec<ChunkData>>,
    /// The sums of each segment.
    pub sums: Vec<SumData>,
    /// The public key.
    pub public_key: PublicKey,
}

impl Encrypted {
    /// Bytes that are uploaded for the chunks.
    pub fn bytes(&self) -> u64 {
        self.chunks
            .iter()
            .flatten()
            .map(|c| ChunkData::encoded_len(c.columns.len()))
            .sum()
    }
}

/// Encrypts a table under a fresh key of the caller's.
pub fn encrypt(
    built: &Built,
    key: &SecretKey,
    rng: &mut impl CryptoRng,
    progress: &dyn Progress,
) -> Result<Encrypted, ClientError> {
    let message_log2 = message_log2(built)?;
    let mut label = Digest::default();
    rng.fill_bytes(&mut label.0);
    let public_key = public_key(key, label, rng);
    let total: usize = built
        .segments
        .iter()
        .map(|s| (s.rows as usize).div_ceil(N))
        .sum();
    let mut done = 0;
    let (mut chunks, mut sums) = (Vec::new(), Vec::new());
    for segment in &built.table.segments {
        let rows = segment.first().map_or(0, Vec::len);
        let mut of_segment = Vec::new();
        let mut sum = SumAccumulator::new(segment.len());
        for start in (0..rows).step_by(N) {
            let slice: Vec<&[i64]> = segment
                .iter()
                .map(|column| column.get(start..rows.min(start + N)).unwrap_or_default())
                .collect();
            let chunk = encrypt_chunk(key, message_log2, &slice, rng)
                .map_err(|e| ClientError::refused("table", e))?;
            sum.add_seeded(&chunk)
                .map_err(|e| ClientError::refused("table", e))?;
            of_segment.push(chunk);
            done += 1;
            progress.step("encrypt", done, total as u64);
        }
        chunks.push(of_segment);
        sums.push(sum.finish());
    }
    Ok(Encrypted {
        message_log2,
        chunks,
        sums,
        public_key,
    })
}

/// k for a table: the budget calculator's choice over all segments (BUD-1).
pub fn message_log2(built: &Built) -> Result<u32, ClientError> {
    let ranges = |model: bool| {
        built
            .columns
            .iter()
            .filter(|c| {
                !model || matches!(c.kind, ColumnKind::Numeric | ColumnKind::Category { .. })
            })
            .map(veilbourse_core::manifest::Column::max_abs)
            .max()
            .unwrap_or(1)
    };
    let rows = built.segments.iter().map(|s| s.rows).max().unwrap_or(1);
    choose_message_log2(
        rows,
        rows.div_ceil(N as u64),
        built.columns.len(),
        ranges(true),
        ranges(false),
    )
    .map_err(|e| ClientError::refused("budget", e))
}

/// A dataset with everything that [`crate::dataset::DatasetFolder`] keeps of it.
pub struct Prepared {
    /// S_D.
    pub key: SecretKey,
    /// The dataset.
    pub dataset: Dataset,
    /// The listing proof.
    pub proof: Vec<u8>,
    /// The synthetic twin's.
    pub twin_seed: [u8; 32],
    /// Seconds for the key, encryption, commitment and proof.
    pub seconds: [f64; 4],
}

/// Key, ciphertexts, commitments and proof, every draw in this order: the same
/// table, settings and randomness give the same root on every machine (DS-10).
/// `clock` counts seconds.
pub fn prepare(
    built: &Built,
    rng: &mut impl CryptoRng,
    clock: &dyn Fn() -> f64,
    progress: &dyn Progress,
) -> Result<Prepared, ClientError> {
    let mut last = clock();
    let mut lap = || {
        let now = clock();
        now - std::mem::replace(&mut last, now)
    };
    let key = SecretKey::generate(rng);
    let keygen = lap();
    let encrypted = encrypt(built, &key, rng, progress)?;
    let encryption = lap();
    let dataset = commit(built, encrypted, rng, progress)?;
    let commitment = lap();
    progress.step("prove", 0, 1);
    let proof = dataset.prove_listing()?;
    progress.step("prove", 1, 1);
    let proving = lap();
    let mut twin_seed = [0u8; 32];
    rng.fill_bytes(&mut twin_seed);
    Ok(Prepared {
        key,
        dataset,
        proof,
        twin_seed,
        seconds: [keygen, encryption, commitment, proving],
    })
}

/// A committed dataset: what is listed.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Everything the root D covers.
    pub manifest: Manifest,
    /// The ciphertexts.
    pub encrypted: Encrypted,
}

/// Commits every matrix and writes the manifest (DS-2, DS-5).
pub fn commit(
    built: &Built,
    encrypted: Encrypted,
    rng: &mut impl CryptoRng,
    progress: &dyn Progress,
) -> Result<Dataset, ClientError> {
    let set = FriSet::of(CommitmentParamsId::FriBlake3V1);
    let root = |words: &[Vec<u64>]| {
        commit_root(set, &slices(words)).map_err(|e| ClientError::refused("commitment", e))
    };
    let total: usize = encrypted.chunks.iter().map(|c| c.len() + 2).sum();
    let mut done = 0;
    let mut step = || {
        done += 1;
        progress.step("commit", done, total as u64);
    };
    let mut segments = Vec::new();
    for ((rows, chunks), sums) in built
        .segments
        .iter()
        .zip(&encrypted.chunks)
        .zip(&encrypted.sums)
    {
        let mut roots = Vec::new();
        for chunk in chunks {
            roots.push(root(&glwe_columns(&expand_chunk(chunk)))?);
            step();
        }
        let sum = root(&glwe_columns(&sums.columns))?;
        step();
        let traced = sums.trace();
        segments.push(Segment {
            label: rows.label.clone(),
            rows: rows.rows,
            chunks: roots,
            sum,
            traced: root(&traced_columns(&traced))?,
            traced_bodies: traced.iter().map(|t| t.b.word()).collect(),
        });
        step();
    }
    let mut nonce = Digest::default();
    rng.fill_bytes(&mut nonce.0);
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        name: built.name.clone(),
        params: DataParamsId::Data4096Tu3V1,
        commitment: CommitmentParamsId::FriBlake3V1,
        message_log2: encrypted.message_log2,
        columns: built.columns.clone(),
        public_columns: built.public_columns.clone(),
        segments,
        public_key_label: encrypted.public_key.label,
        public_key_body: encrypted.public_key.body_digest(),
        nonce,
    };
    manifest
        .validate()
        .map_err(|e| ClientError::refused("manifest", e))?;
    Ok(Dataset {
        manifest,
        encrypted,
    })
}

impl Dataset {
    /// The listing proof (DS-4): the envelope's bytes.
    pub fn prove_listing(&self) -> Result<Vec<u8>, ClientError> {
        let words: Vec<Vec<Vec<Vec<u64>>>> = self
            .encrypted
            .chunks
            .iter()
            .map(|chunks| {
                // Segments of one chunk are their own sum and are not opened.
                let opened = if chunks.len() > 1 {
                    chunks.as_slice()
                } else {
                    &[]
                };
                opened
                    .iter()
                    .map(|c| glwe_columns(&expand_chunk(c)))
                    .collect()
            })
            .collect();
        let views: Vec<Vec<Vec<&[u64]>>> = words
            .iter()
            .map(|s| s.iter().map(|c| slices(c)).collect())
            .collect();
        prove_listing(&self.manifest, &views).map_err(|e| ClientError::refused("listing", e))
    }

    /// The expanded ciphertexts of one chunk.
    pub fn chunk(&self, segment: u32, chunk: u32) -> Option<Vec<Glwe>> {
        let c = self
            .encrypted
            .chunks
            .get(segment as usize)?
            .get(chunk as usize)?;
        Some(expand_chunk(c))
    }
}
