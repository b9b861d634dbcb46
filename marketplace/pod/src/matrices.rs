//! The matrices that a program touches, fetched as the work comes to them
//! (POD-6): what a pod holds is bounded, whatever a listing says it has.

use crate::{PodError, PollError};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::runtime::Handle;
use veilbourse_core::{
    ciphertext::{ChunkData, POLY_BYTES, SumData},
    program::{MatrixRef, Program},
};
use veilbourse_documents::Id;
use veilbourse_eval::expand_chunk;
use veilbourse_machine::Machine;
use veilbourse_verifier::commitment::{glwe_columns, traced_columns};

/// Most bytes of matrices that a pod holds for a job, besides the one that it
/// evaluates.
pub(crate) const MAX_HELD: u64 = 2 << 30;

type Words = Vec<Vec<u64>>;

fn path(order: &Id, name: &str) -> String {
    format!("/v1/pod/jobs/{order}/objects/{name}")
}

/// The traced forms that a program touches: of the sums, one segment at a time
/// is held, none after the last one touched is read.
async fn traced(
    machine: &Machine,
    order: &Id,
    columns: usize,
    program: &Program,
) -> Result<HashMap<MatrixRef, Words>, PollError> {
    let touched: BTreeSet<u32> = program
        .outputs
        .iter()
        .filter_map(|o| match o.over {
            MatrixRef::Traced { segment } => Some(segment),
            MatrixRef::Chunk { .. } => None,
        })
        .collect();
    let mut out = HashMap::new();
    let Some(last) = touched.last().copied() else {
        return Ok(out);
    };
    let value = (touched.len() as u64).saturating_mul((columns * POLY_BYTES) as u64);
    if value > MAX_HELD {
        return Err(PollError::TooLarge {
            limit: MAX_HELD,
            value,
        });
    }
    let mut failed = None;
    let one = SumData::encoded_len(columns);
    let path = path(order, "sums");
    let mut segment = 0u32;
    machine
        .get_parts(&path, one, |part| {
            if touched.contains(&segment) {
                match SumData::decode(part, columns) {
                    Ok(sums) => {
                        let words = traced_columns(&sums.trace());
                        out.insert(MatrixRef::Traced { segment }, words);
                    }
                    Err(e) => failed = Some(e),
                }
            }
            segment += 1;
            segment <= last && failed.is_none()
        })
        .await?;
    match failed {
        Some(e) => Err(e.into()),
        None => Ok(out),
    }
}

/// What is held, and how often each matrix is still asked for.
#[derive(Debug)]
struct Held {
    words: HashMap<MatrixRef, Words>,
    uses: HashMap<MatrixRef, u32>,
    left: u64,
    failed: Option<PollError>,
}

/// The matrices of one job.
#[derive(Debug)]
pub(crate) struct Matrices {
    machine: Arc<Machine>,
    order: Id,
    columns: usize,
    held: Mutex<Held>,
}

impl Matrices {
    /// Fetches the traced forms; chunks come when they are asked for. That all
    /// is what the root covers shows when the pod verifies its own proof.
    pub async fn new(
        machine: Arc<Machine>,
        order: Id,
        columns: usize,
        program: &Program,
    ) -> Result<Self, PollError> {
        let words = traced(&machine, &order, columns, program).await?;
        let bytes: u64 = words.values().map(bytes).sum();
        let mut uses = HashMap::new();
        for o in &program.outputs {
            *uses.entry(o.over).or_insert(0) += 1;
        }
        let held = Mutex::new(Held {
            words,
            uses,
            left: MAX_HELD.saturating_sub(bytes),
            failed: None,
        });
        Ok(Self {
            machine,
            order,
            columns,
            held,
        })
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        // A panic elsewhere leaves it whole enough: what is missing is fetched.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the last matrix was missing.
    pub fn failure(&self) -> Option<PollError> {
        self.held().failed.take()
    }

    /// A matrix's words, from what is held or from the server. Blocks: not for
    /// a thread of the runtime.
    pub fn words(&self, runtime: &Handle, over: MatrixRef) -> Option<Words> {
        let mut held = self.held();
        let uses = held.uses.entry(over).or_insert(1);
        *uses = uses.saturating_sub(1);
        let again = *uses > 0;
        if again && let Some(words) = held.words.get(&over) {
            return Some(words.clone());
        }
        if let Some(words) = held.words.remove(&over) {
            held.left = held.left.saturating_add(bytes(&words));
            return Some(words);
        }
        let words = match runtime.block_on(self.fetch(over)) {
            Ok(words) => words,
            Err(e) => {
                held.failed = Some(e);
                return None;
            }
        };
        if again && let Some(left) = held.left.checked_sub(bytes(&words)) {
            held.left = left;
            held.words.insert(over, words.clone());
        }
        Some(words)
    }

    async fn fetch(&self, over: MatrixRef) -> Result<Words, PollError> {
        let MatrixRef::Chunk { segment, chunk } = over else {
            // The sums ended before this segment.
            return Err(PodError::Matrix { over }.into());
        };
        let path = path(&self.order, &format!("chunk-{segment}-{chunk}"));
        let limit = ChunkData::encoded_len(self.columns);
        let data = self.machine.get(&path, limit).await?;
        let chunk = ChunkData::decode(&data, self.columns)?;
        Ok(glwe_columns(&expand_chunk(&chunk)))
    }
}

fn bytes(words: &Words) -> u64 {
    words.iter().map(|w| 8 * w.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::SeedableRng;
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        sync::atomic::{AtomicU64, Ordering},
    };
    use veilbourse_core::{
        ciphertext::{Glwe, SeededGlwe},
        digest::Digest,
        program::{PROGRAM_VERSION, ProgramOutput},
        ring::Poly,
    };
    use veilbourse_documents::{Key, SigningKey, api::TokenAnswer};
    use veilbourse_machine::{Identity, MachineError};

    const COLUMNS: usize = 2;

    fn order() -> Id {
        Id::parse("01900000-0000-7000-8000-000000000000").unwrap()
    }

    /// The sums of a segment: told apart by their words.
    fn sums(segment: u64) -> SumData {
        let one = |n: u64| {
            let mut a = Poly::default();
            a[0] = veilbourse_core::field::Fq::reduce(n);
            Glwe {
                a,
                b: Poly::default(),
            }
        };
        SumData {
            columns: vec![one(100 + segment), one(200 + segment)],
        }
    }

    fn chunk(n: u8) -> ChunkData {
        let one = |i: u8| SeededGlwe {
            seed: [i; 32],
            body: Poly::default(),
        };
        ChunkData {
            columns: vec![one(n), one(n + 1)],
        }
    }

    fn program(over: &[MatrixRef]) -> Program {
        Program {
            version: PROGRAM_VERSION,
            dataset: Digest::default(),
            vectors: Vec::new(),
            outputs: over
                .iter()
                .map(|over| ProgramOutput {
                    over: *over,
                    vector: 0,
                })
                .collect(),
        }
    }

    fn segment(segment: u32) -> MatrixRef {
        MatrixRef::Traced { segment }
    }

    fn of_chunk(chunk: u32) -> MatrixRef {
        MatrixRef::Chunk { segment: 0, chunk }
    }

    /// A server whose sums have `segments` segments, never the one after
    /// `cut` in whole; counts requests for objects.
    fn server(segments: u64, cut: Option<u64>) -> (Arc<Machine>, Arc<AtomicU64>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicU64::new(0));
        let count = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let count = count.clone();
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let mut path = String::new();
                    reader.read_line(&mut path).unwrap();
                    let mut line = String::new();
                    while reader.read_line(&mut line).unwrap() > 2 {
                        line.clear();
                    }
                    let head = |n: u64| {
                        format!(
                            "HTTP/1.1 200 OK\r\ncontent-length: {n}\r\nconnection: close\r\n\r\n"
                        )
                    };
                    let path = path.split(' ').nth(1).unwrap();
                    let name = path.rsplit('/').next().unwrap();
                    if name == "token" {
                        let token = TokenAnswer {
                            token: "token".into(),
                            expires: u64::MAX,
                        };
                        let body = serde_json::to_vec(&token).unwrap();
                        stream
                            .write_all(head(body.len() as u64).as_bytes())
                            .unwrap();
                        stream.write_all(&body).unwrap();
                        return;
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                    // The client may hang up when it has what it wants.
                    if name == "sums" {
                        let one = SumData::encoded_len(COLUMNS);
                        let whole = cut.unwrap_or(segments);
                        let more = if cut.is_some() { 100 } else { 0 };
                        let _ = stream.write_all(head(whole * one + more).as_bytes());
                        for s in 0..whole {
                            if stream.write_all(&sums(s).encode()).is_err() {
                                return;
                            }
                        }
                        let _ = stream.write_all(&vec![0; more as usize]);
                    } else {
                        let n: u8 = name.rsplit('-').next().unwrap().parse().unwrap();
                        let body = chunk(n).encode();
                        let _ = stream.write_all(head(body.len() as u64).as_bytes());
                        let _ = stream.write_all(&body);
                    }
                });
            }
        });
        let key = SigningKey::from_bytes(&[1; 32]);
        let identity = Identity {
            id: order(),
            marketplace: Key(key.verifying_key().to_bytes()),
            key,
        };
        let rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let machine = Machine::new(identity, &base, Arc::new(|| 0), rng);
        (Arc::new(machine), asked)
    }

    async fn matrices(
        machine: &Arc<Machine>,
        columns: usize,
        over: &[MatrixRef],
    ) -> Result<Matrices, PollError> {
        Matrices::new(machine.clone(), order(), columns, &program(over)).await
    }

    async fn ask(m: &Arc<Matrices>, over: MatrixRef) -> Option<Words> {
        let (m, runtime) = (m.clone(), Handle::current());
        tokio::task::spawn_blocking(move || m.words(&runtime, over))
            .await
            .unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_the_segments_touched_are_kept_and_read() {
        // POD-6: a listing that says it has 1,000,000 segments more.
        let (machine, asked) = server(1_000_000, None);
        let over = [segment(3), segment(1), segment(3)];
        let m = matrices(&machine, COLUMNS, &over).await.unwrap();
        let m = Arc::new(m);
        assert_eq!(m.held().words.len(), 2);
        for o in over {
            let MatrixRef::Traced { segment } = o else {
                unreachable!()
            };
            let expected = traced_columns(&sums(u64::from(segment)).trace());
            assert_eq!(ask(&m, o).await, Some(expected));
        }
        assert!(m.held().words.is_empty(), "used up");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn more_than_a_pod_holds_is_refused_before_it_is_fetched() {
        // POD-6: 1,024 segments of 256 columns are 8 GiB of traced forms.
        let (machine, asked) = server(1024, None);
        let all: Vec<_> = (0..1024).map(segment).collect();
        let got = matrices(&machine, 256, &all).await;
        assert!(
            matches!(got, Err(PollError::TooLarge { limit: MAX_HELD, value }) if value == 8 << 30),
            "{got:?}"
        );
        assert_eq!(asked.load(Ordering::SeqCst), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sums_that_end_too_early_are_missed() {
        // POD-2.
        let (machine, _) = server(9, Some(2));
        assert!(matrices(&machine, COLUMNS, &[segment(1)]).await.is_ok());
        let got = matrices(&machine, COLUMNS, &[segment(2)]).await;
        assert!(
            matches!(got, Err(PollError::Machine(MachineError::Answer { .. }))),
            "{got:?}"
        );
        let (machine, _) = server(2, None);
        let m = Arc::new(matrices(&machine, COLUMNS, &[segment(2)]).await.unwrap());
        assert_eq!(ask(&m, segment(2)).await, None);
        let failure = m.failure();
        assert!(
            matches!(failure, Some(PollError::Pod(PodError::Matrix { .. }))),
            "{failure:?}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn chunks_come_when_they_are_asked_for() {
        // POD-6: held while they are needed again, otherwise not at all.
        let (machine, asked) = server(0, None);
        let over = [of_chunk(4), of_chunk(7), of_chunk(4)];
        let m = Arc::new(matrices(&machine, COLUMNS, &over).await.unwrap());
        assert_eq!(asked.load(Ordering::SeqCst), 0);
        let expected = |n| glwe_columns(&expand_chunk(&chunk(n)));
        for (o, n, fetched, held) in [(over[0], 4, 1, 1), (over[1], 7, 2, 1), (over[2], 4, 2, 0)] {
            assert_eq!(ask(&m, o).await, Some(expected(n)));
            assert_eq!(asked.load(Ordering::SeqCst), fetched);
            assert_eq!(m.held().words.len(), held);
        }
        assert_eq!(m.held().left, MAX_HELD);
        // With no room left it is fetched again.
        let m = Arc::new(matrices(&machine, COLUMNS, &over).await.unwrap());
        m.held().left = 1000;
        for o in over {
            assert!(ask(&m, o).await.is_some());
            assert!(m.held().words.is_empty());
        }
        assert_eq!(asked.load(Ordering::SeqCst), 5);
    }
}
