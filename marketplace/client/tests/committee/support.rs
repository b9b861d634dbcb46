//! Custodians, a committee and a marketplace in one process. Nothing is proven:
//! receipts are checked by the verifier's tests.
#![allow(dead_code)] // each test file uses its part

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde_json::Value;
use std::{io::Cursor, path::Path};
use tempfile::TempDir;
use veilbourse_client::{
    buyer::{Handed, Listed, Offer, Ticket},
    custodian::{self, Dataset},
    dataset::DatasetFolder,
    dealing::{Asked, DealerFolder, PARTS, Planned, deal, read_proofs},
    http::Silent,
    query::Query,
};
use veilbourse_core::{
    ciphertext::OutputCiphertext,
    digest::{Digest, Domain},
    field::Fq,
    params::DATA_RING_DIMENSION as N,
    program::{MatrixRef, Weights},
    wire::Reader,
};
use veilbourse_documents::*;
use veilbourse_eval::SecretKey;
use veilbourse_protocol::{
    BatchCheck, BatchProof, DataKeyShare, Job, Live, MAX_CHECKED, MaskShare, Opened,
    Opening as Session, Package as Dealt, Progress, Share, TicketPath, TicketShare, Tree, leaf,
    party_key, phases, read_share,
};
use veilbourse_tabular::{Built, ColumnConfig, Kind, SchemaConfig, SecondMoments, build};
use veilbourse_ticket_store::{Dealing, Offer as PackageOffer};

pub const NOW: u64 = 1_800_000_000_000;
pub const MARKETPLACE: u8 = 1;
pub const BUYER: u8 = 3;
pub const POD: u8 = 4;

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub fn signer(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn key(k: &SigningKey) -> Key {
    Key(k.verifying_key().to_bytes())
}

pub fn id(n: u8) -> Id {
    Id::parse(&format!("0190a6c8-0000-7000-8000-0000000000{n:02x}")).unwrap()
}

pub fn marketplace_key() -> Key {
    key(&signer(MARKETPLACE))
}

pub fn marketplace() -> Digest {
    marketplace_id(&marketplace_key())
}

/// A folder that is quick to sync, where there is one.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(dir) = tempfile::tempdir_in(memory)
    {
        return dir;
    }
    tempfile::tempdir().unwrap()
}

/// n nodes, t of which open.
pub struct Committee {
    pub signing: Vec<SigningKey>,
    pub sealing: Vec<SealingSecret>,
    pub file: CommitteeFile,
}

impl Committee {
    pub fn new(nodes: u8, threshold: u8) -> Self {
        Self::of(nodes, threshold, 50)
    }

    /// Of nodes whose keys begin at a seed.
    pub fn of(nodes: u8, threshold: u8, from: u8) -> Self {
        let signing: Vec<_> = (0..nodes).map(|i| signer(from + i)).collect();
        let seed = |i: u8| u64::from(from) * 100 + u64::from(i);
        let sealing: Vec<_> = (0..nodes)
            .map(|i| SealingSecret::generate(&mut rng(seed(i))))
            .collect();
        let entry = |i: usize| {
            let public = Bytes(sealing[i].public().unwrap());
            let registration = MachineRegistration {
                version: DOCUMENT_VERSION,
                marketplace: marketplace(),
                sealing_key: Some(public.clone()),
            };
            MemberEntry {
                name: format!("node {i}"),
                signing_key: key(&signing[i]),
                sealing_key: public,
                sealing_signature: Signed::sign(registration, &signing[i]).unwrap().signature,
                address: format!("127.0.0.1:{}", 7000 + i),
            }
        };
        let file = CommitteeFile {
            marketplace: marketplace(),
            threshold,
            nodes: (0..signing.len()).map(entry).collect(),
        };
        file.check().unwrap();
        Self {
            signing,
            sealing,
            file,
        }
    }
}

/// Whose pieces all are here; which node takes whose is the node's (KEY-9).
pub fn dealt_by() -> Key {
    key(&signer(99))
}

/// A custodian with an encrypted table in a folder.
pub struct Custodian {
    pub folder: TempDir,
    pub signing: SigningKey,
    pub built: Built,
    pub dataset: Dataset,
    pub secret: SecretKey,
    pub data: DatasetFolder,
    pub listing: Id,
}

impl Custodian {
    /// `number` makes keys, listing and rows; columns and ranges are the same.
    pub fn new(number: u8) -> Self {
        let mut csv = String::from("age,visits\n18,0\n87,12\n");
        let n = u64::from(number);
        for i in 0..200u64 {
            csv += &format!("{},{}\n", 18 + (i * 37 + n * 11) % 70, (i * 7 + n) % 13);
        }
        Self::with(number, &csv)
    }

    pub fn with(number: u8, csv: &str) -> Self {
        let squares = SecondMoments::Squares(vec!["age".into()]);
        Self::made(number, csv, squares)
    }

    /// With every second moment that a regression needs.
    pub fn with_products(number: u8, csv: &str) -> Self {
        Self::made(number, csv, SecondMoments::All)
    }

    fn made(number: u8, csv: &str, moments: SecondMoments) -> Self {
        let mut config = SchemaConfig::new("clinic");
        for name in ["age", "visits"] {
            let column = ColumnConfig {
                kind: Some(Kind::Numeric),
                ..ColumnConfig::default()
            };
            config.columns.insert(name.into(), column);
        }
        config.second_moments = moments;
        let built = build(Cursor::new(csv.to_owned()), &config).unwrap();
        let mut rng = rng(u64::from(number));
        let secret = SecretKey::generate(&mut rng);
        let encrypted = custodian::encrypt(&built, &secret, &mut rng, &Silent).unwrap();
        let dataset = custodian::commit(&built, encrypted, &mut rng, &Silent).unwrap();
        let folder = folder();
        let path = folder.path().join("data");
        let data =
            DatasetFolder::create(&path, &built, &dataset, &secret, b"proof", [1; 32], 10).unwrap();
        Self {
            folder,
            signing: signer(100 + number),
            built,
            dataset,
            secret,
            data,
            listing: id(number),
        }
    }

    pub fn root(&self) -> Digest {
        self.data.manifest.root()
    }

    pub fn k(&self) -> u8 {
        self.data.manifest.message_log2 as u8
    }

    pub fn dealer(&self) -> DealerFolder {
        DealerFolder::open(&self.data, &mut rng(77)).unwrap()
    }

    /// Plans and deals.
    pub fn deal(&self, committee: &Committee, asked: &[Asked]) -> DealerFolder {
        let mut dealer = self.dealer();
        let none = Default::default();
        dealer.add(&committee.file, asked, &none, None).unwrap();
        self.go_on(committee, &mut dealer);
        dealer
    }

    pub fn go_on(&self, committee: &Committee, dealer: &mut DealerFolder) {
        let rng = &mut rng(5);
        let by = dealt_by();
        deal(dealer, &self.secret, &by, &committee.file, rng, &Silent).unwrap();
    }

    pub fn listed(&self) -> Listed {
        Listed {
            id: self.listing.clone(),
            title: "clinic".into(),
            manifest: self.data.manifest.clone(),
            suppressed: Vec::new(),
        }
    }

    /// The sums that unit weights open.
    pub fn expected(&self, query: &Query) -> Vec<Vec<i64>> {
        let program = &query.program;
        let of = |o: &veilbourse_core::program::ProgramOutput| {
            let (segment, column) = place(query, o);
            vec![self.built.table.segments[segment][column].iter().sum()]
        };
        program.outputs.iter().map(of).collect()
    }

    pub fn ciphertexts(&self, query: &Query) -> Vec<OutputCiphertext> {
        let of = |o: &veilbourse_core::program::ProgramOutput| {
            let (segment, column) = place(query, o);
            let traced = self.dataset.encrypted.sums[segment].trace();
            OutputCiphertext::Traced(traced[column].clone())
        };
        query.program.outputs.iter().map(of).collect()
    }

    pub fn policy(&self, committee: &Committee, tickets: Tickets) -> Signed<Policy> {
        let body = Policy {
            version: DOCUMENT_VERSION,
            marketplace: marketplace(),
            listing: self.listing.clone(),
            dataset: self.root(),
            policy_version: 1,
            openers: committee.file.openers(),
            tickets: Some(tickets),
            kinds: vec![QueryKind::AggregatePublic],
            min_cohort: 10,
            quota_values: 1000,
            quota_bits: 100_000,
            price_order: 3_000,
            price_output: 0,
            custodian_basis_points: 7_500,
            min_class: EvaluationClass::Proven,
            valid_from: NOW,
        };
        Signed::sign(body, &self.signing).unwrap()
    }

    /// A quote of the marketplace's under a policy.
    pub fn offer(&self, policy: &Signed<Policy>, query: &Query, class: &Digest) -> Offer {
        let sealing = SealingSecret::generate(&mut rng(200)).public().unwrap();
        let registration = MachineRegistration {
            version: DOCUMENT_VERSION,
            marketplace: marketplace(),
            sealing_key: Some(Bytes(sealing.clone())),
        };
        let registration = Signed::sign(registration, &signer(POD)).unwrap();
        let quote = Quote {
            version: DOCUMENT_VERSION,
            marketplace: marketplace(),
            id: id(0x20),
            listing: self.listing.clone(),
            dataset: self.root(),
            policy: policy.digest().unwrap(),
            policy_version: 1,
            program: query.program.shape(),
            pod: PodRef {
                id: id(0x21),
                signing_key: key(&signer(POD)),
                sealing_key: Bytes(sealing),
                sealing_signature: registration.signature,
            },
            price: Price {
                total: 3_000,
                fee: 150,
                pod: 500,
                custodian: 2_350,
            },
            verifying_keys: Vec::new(),
            srs: SrsRef {
                digest: Digest([0x55; 32]),
                provenance: SrsProvenance::Dev,
            },
            openers: policy.body.openers.clone(),
            ticket_class: Some(*class),
            class: EvaluationClass::Proven,
            expected_seconds: 5,
            expiry: NOW + 5_000,
        };
        Offer {
            quote: Signed::sign(quote, &signer(MARKETPLACE)).unwrap(),
            policy: policy.clone(),
            details: Value::Null,
        }
    }
}

fn place(query: &Query, o: &veilbourse_core::program::ProgramOutput) -> (usize, usize) {
    let MatrixRef::Traced { segment } = o.over else {
        panic!("aggregates alone")
    };
    let Weights::Public { values } = &query.program.vectors[o.vector as usize].weights else {
        panic!("public weights alone")
    };
    (
        segment as usize,
        values.iter().position(|w| *w == 1).unwrap(),
    )
}

/// What a node reads of a dealing: pieces opened with its own key.
pub struct Received {
    pub offer: PackageOffer,
    /// By stream.
    pub streams: [Vec<u8>; 4],
}

pub fn receive(dealer: &DealerFolder, committee: &Committee, dealing: &Digest) -> Vec<Received> {
    let announced = dealer.announced(dealing).unwrap();
    let members = announced.quorum.members();
    let mut all = Vec::new();
    for (party, node) in (0u8..).zip(&members) {
        let secret = &committee.sealing[usize::from(*node)];
        let mut parts = PARTS.map(|part| {
            let mut bytes = Vec::new();
            for piece in 0..dealer.pieces(dealing, party, part) {
                let sealed = dealer.piece(dealing, party, part, piece).unwrap().unwrap();
                let context = PieceContext {
                    dealing,
                    dealer: &dealt_by(),
                    party,
                    part,
                    offset: piece * PIECE_BYTES as u64,
                };
                let plain = open_piece(&sealed, secret, &context).unwrap();
                assert!(plain.len() <= PIECE_BYTES);
                bytes.extend_from_slice(&plain);
            }
            bytes
        });
        let offer = PackageOffer::decode(&parts[0]).unwrap();
        assert_eq!(
            offer.package.digest(),
            announced.packages[usize::from(party)]
        );
        assert_eq!(offer.package.base(), announced.bases[usize::from(party)]);
        all.push(Received {
            offer,
            streams: [1, 2, 3, 4].map(|i: usize| std::mem::take(&mut parts[i])),
        });
    }
    all
}

/// One party's shares of a dealing's tickets and, in the dealing that carries
/// it, of the data key.
pub struct Shares {
    pub tickets: Vec<TicketShare>,
    pub key: Option<Vec<Share>>,
}

pub fn shares(announced: &Dealing, party: usize, received: &Received) -> Shares {
    let shape = announced.shape();
    let seed = &received.offer.seed;
    let last = party + 1 == announced.parties.len();
    let bytes = shape.layout.explicit_bytes();
    let tickets = (announced.first..announced.end()).map(|n| {
        if !last {
            return TicketShare::from_seed(&shape, seed, n);
        }
        let at = (n - announced.first) as usize * bytes;
        let explicit = &received.streams[1][at..at + bytes];
        TicketShare::from_explicit(&shape, seed, n, explicit).unwrap()
    });
    let tickets = tickets.collect();
    let key = announced.with_key.then(|| {
        if !last {
            return DataKeyShare::from_seed(seed, &shape.quorum, N)
                .shares
                .clone();
        }
        let mut input = Reader::new(&received.streams[2]);
        (0..N).map(|_| read_share(&mut input).unwrap()).collect()
    });
    Shares { tickets, key }
}

/// TKT-4: all parties check the proofs of a dealing in lock step.
pub fn check(announced: &Dealing, received: &[Received]) -> Result<(), String> {
    let (shape, context) = (announced.shape(), announced.context());
    let parties = received.len();
    let all: Vec<Shares> = (0..parties)
        .map(|p| shares(announced, p, &received[p]))
        .collect();
    let proofs: Vec<Vec<BatchProof>> = received
        .iter()
        .map(|r| read_proofs(&r.streams[3], announced.first, announced.count).unwrap())
        .collect();
    let proof = |party: usize, batch: usize| &proofs[party][batch];
    for batch in 0..proofs[0].len() {
        let from = batch * MAX_CHECKED;
        let mut checks = Vec::new();
        for (p, shares) in all.iter().enumerate() {
            let to = shares.tickets.len().min(from + MAX_CHECKED);
            let last = p + 1 == parties;
            let key = shares.key.as_deref().filter(|_| batch == 0);
            let package = Dealt {
                seed: &received[p].offer.seed,
                first: announced.first + from as u64,
                tickets: &shares.tickets[from..to],
                data_key: key.unwrap_or(&[]),
                levels: &proof(p, batch).levels,
                explicit: last.then_some(&proof(p, batch).explicit[..]),
            };
            let seed = &received[p].offer.seed;
            let live = Live::new(seed, &shape.quorum, p as u8, parties as u8);
            let check = BatchCheck::new(&shape, &context, live, &package, [p as u8; 32]);
            checks.push(check.map_err(|(e, _)| e.to_string())?);
        }
        let openings: Vec<_> = checks.iter().map(BatchCheck::opening).collect();
        let commitments = checks.iter_mut().map(|c| c.commitment(&openings));
        let commitments = commitments.collect::<Result<Vec<_>, _>>();
        let commitments = commitments.map_err(|e| e.to_string())?;
        let reveals = checks.iter_mut().map(|c| c.reveal(&commitments));
        let reveals = reveals.map(|r| r.map(|o| o.bytes));
        let reveals = reveals.collect::<Result<Vec<_>, _>>();
        let reveals = reveals.map_err(|e| e.to_string())?;
        for c in checks {
            c.finish(&reveals).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}

fn run(jobs: Vec<Job>) -> Vec<Opened> {
    let n = jobs.len() as u8;
    let mut ends: Vec<Option<Opened>> = jobs.iter().map(|_| None).collect();
    let (mut parties, mut outbox) = (Vec::new(), Vec::new());
    for (i, job) in jobs.into_iter().enumerate() {
        let (party, message) = Session::start(job).map_err(|(e, _)| e).unwrap();
        parties.push(party);
        outbox.push((i as u8, message));
    }
    while !outbox.is_empty() {
        let mut next = Vec::new();
        for (from, message) in outbox.drain(..) {
            for to in (0..n).filter(|t| *t != from) {
                match parties[usize::from(to)]
                    .receive(from, &message.bytes)
                    .unwrap()
                {
                    Progress::Wait => {}
                    Progress::Send(m) => next.push((to, m)),
                    Progress::Done(o) => ends[usize::from(to)] = Some(o),
                }
            }
        }
        outbox = next;
    }
    ends.into_iter().map(Option::unwrap).collect()
}

/// What a quorum opened of one order, signed.
#[derive(Clone)]
pub struct Answer {
    pub ticket: Ticket,
    pub submission: Signed<Submission>,
    pub grant: Signed<Grant>,
    pub openings: Vec<Signed<Opening>>,
    pub masked: MaskedResult,
    /// By party.
    pub masks: Vec<Vec<MaskShare>>,
}

/// Opens an order's outputs with a dealing, from ticket `first` on.
pub fn opened(
    custodian: &Custodian,
    committee: &Committee,
    dealer: &DealerFolder,
    ticket: &Ticket,
    query: &Query,
    dealing: &DealingTerms,
    first: u64,
) -> Answer {
    let envelopes = vec![Digest([9; 32]); query.program.outputs.len()];
    opened_with(
        custodian, committee, dealer, ticket, query, dealing, first, &envelopes,
    )
}

/// The same for outputs whose proofs have these digests.
#[allow(clippy::too_many_arguments)] // everything that an opening is about
pub fn opened_with(
    custodian: &Custodian,
    committee: &Committee,
    dealer: &DealerFolder,
    ticket: &Ticket,
    query: &Query,
    dealing: &DealingTerms,
    first: u64,
    envelopes: &[Digest],
) -> Answer {
    let announced = dealer.announced(&dealing.digest).unwrap();
    let shape = announced.shape();
    let received = receive(dealer, committee, &dealing.digest);
    let ciphertexts = custodian.ciphertexts(query);
    let outputs: Vec<GrantedOutput> = ciphertexts
        .iter()
        .zip(envelopes)
        .map(|(c, envelope)| SubmittedDigest {
            ciphertext: Digest::of(Domain::Output, &c.encode()),
            envelope: *envelope,
        })
        .collect();
    let order = ticket.order.digest().unwrap();
    let submission = Submission {
        version: DOCUMENT_VERSION,
        marketplace: marketplace(),
        order,
        outputs: outputs.clone(),
        work: Work::default(),
    };
    let submission = Signed::sign(submission, &signer(POD)).unwrap();
    let grant = Grant {
        version: DOCUMENT_VERSION,
        marketplace: marketplace(),
        order,
        policy: ticket.policy.digest().unwrap(),
        submission: submission.digest().unwrap(),
        outputs,
        number: 0,
        opener: Opener::Committee {
            quorum: dealing.quorum.clone(),
            dealing: dealing.digest,
        },
        expires: NOW + 1_000,
    };
    let grant = Signed::sign(grant, &signer(MARKETPLACE)).unwrap();
    let values = vec![1u32; ciphertexts.len()];
    let binding = ticket.chain().session(&grant, 0, first, &values).unwrap();
    binding.check().unwrap();
    let session = binding.digest();
    let parties = received.len();
    // The epoch's key comes with its first dealing.
    let carrier = carrier(dealer, dealing);
    let keys = receive(dealer, committee, &carrier);
    let carrier = dealer.announced(&carrier).unwrap();
    let from = (first - announced.first) as usize;
    let count = ciphertexts.len();
    let jobs = (0..parties).map(|p| {
        let own = shares(&announced, p, &received[p]);
        let key = shares(&carrier, p, &keys[p]).key.unwrap();
        let key = DataKeyShare::explicit(key, N).unwrap();
        let seed = &received[p].offer.seed;
        let party = party_key(seed, &shape.quorum, p as u8);
        let phases = ciphertexts
            .iter()
            .flat_map(|c| phases(&key, &party, c).unwrap())
            .collect();
        Job {
            session,
            live: Live::new(seed, &shape.quorum, p as u8, parties as u8),
            shape: shape.clone(),
            tickets: own.tickets[from..from + count].to_vec(),
            phases,
            entropy: [p as u8 + 1; 32],
        }
    });
    let opened = run(jobs.collect());
    let y: Vec<Fq> = opened[0].y.clone();
    assert!(opened.iter().all(|o| o.y == y));
    let masked = MaskedResult::new(&y, &paths(&announced, &received[0], first, count)).unwrap();
    let opening = Opening {
        version: DOCUMENT_VERSION,
        marketplace: marketplace(),
        order,
        grant: grant.digest().unwrap(),
        session,
        attempt: 0,
        first_ticket: first,
        values: count as u64,
        opened: Opening::digest_of_opened(&masked.words),
    };
    let sign = |node: &u8| {
        let key = &committee.signing[usize::from(*node)];
        Signed::sign(opening.clone(), key).unwrap()
    };
    Answer {
        ticket: ticket.clone(),
        submission,
        grant,
        openings: dealing.quorum.iter().map(sign).collect(),
        masked,
        masks: opened.into_iter().map(|o| o.masks.clone()).collect(),
    }
}

fn carrier(dealer: &DealerFolder, dealing: &DealingTerms) -> Digest {
    let of = |d: &&Planned| d.quorum == dealing.quorum && d.epoch == dealing.epoch && d.with_key;
    let found = dealer.plan().dealings.iter().find(of).unwrap();
    found.dealt.as_ref().unwrap().digest
}

/// Commitments and paths of tickets, from the stream of commitments.
fn paths(announced: &Dealing, received: &Received, first: u64, count: usize) -> Vec<TicketPath> {
    let parties = announced.parties.len();
    let all: Vec<Vec<[u8; 32]>> = received.streams[0]
        .as_chunks::<32>()
        .0
        .chunks(parties)
        .map(<[_]>::to_vec)
        .collect();
    let name = announced.shape().dealing;
    let mut leaves = vec![Digest::default(); announced.first as usize];
    leaves.extend(
        all.iter()
            .zip(announced.first..)
            .map(|(c, n)| leaf(&name, n, c)),
    );
    let tree = Tree::new(leaves);
    assert_eq!(tree.root(), announced.root);
    (first..first + count as u64)
        .map(|ticket| TicketPath {
            ticket,
            commitments: all[(ticket - announced.first) as usize].clone(),
            path: tree.path(ticket),
        })
        .collect()
}

/// Seals the masks (sums over the answers) and hands everything on.
pub fn handed(committee: &Committee, answers: &[Answer]) -> Handed {
    let quorum = quorum(&answers[0]);
    let sessions: Vec<Digest> = answers.iter().map(|a| a.openings[0].body.session).collect();
    let mut masks = Vec::new();
    let mut deliveries: Vec<Vec<Signed<Delivery>>> = vec![Vec::new(); answers.len()];
    for (party, node) in quorum.iter().enumerate() {
        let signing = &committee.signing[usize::from(*node)];
        let count = answers[0].masks[party].len();
        let sums: Vec<MaskShare> = (0..count)
            .map(|v| MaskShare::sum(answers.iter().map(|a| &a.masks[party][v])))
            .collect();
        let context = SealedMasks {
            sessions: &sessions,
            node_key: key(signing),
        };
        let result_key = &answers[0].ticket.order.body.result_key.0;
        let sealed = seal_masks(&sums, result_key, &context, &mut rng(9)).unwrap();
        for (a, out) in answers.iter().zip(&mut deliveries) {
            out.push(delivery(a, party, &sealed, signing));
        }
        masks.push(sealed);
    }
    Handed {
        receipts: answers
            .iter()
            .zip(deliveries)
            .map(|(a, d)| receipt(a, d))
            .collect(),
        masked: answers.iter().map(|a| a.masked.encode()).collect(),
        masks,
    }
}

pub fn quorum(answer: &Answer) -> Vec<u8> {
    match &answer.grant.body.opener {
        Opener::Committee { quorum, .. } => quorum.clone(),
        Opener::CustodianHeld { .. } => panic!("a committee"),
    }
}

pub fn delivery(
    answer: &Answer,
    party: usize,
    sealed: &[u8],
    signing: &SigningKey,
) -> Signed<Delivery> {
    let values = answer.masked.words.len() as u64;
    let body = Delivery {
        version: DOCUMENT_VERSION,
        marketplace: marketplace(),
        order: answer.ticket.order.digest().unwrap(),
        grant: answer.grant.digest().unwrap(),
        session: Some(answer.openings[party].body.session),
        sealed_result: Delivery::digest_of_sealed_result(sealed),
        values,
        counter_before: 0,
        counter_after: values,
    };
    Signed::sign(body, signing).unwrap()
}

/// The marketplace's receipt, without proofs.
pub fn receipt(answer: &Answer, deliveries: Vec<Signed<Delivery>>) -> Vec<u8> {
    let body = receipt_body(answer, deliveries);
    let signed = Signed::sign(body, &signer(MARKETPLACE)).unwrap();
    signed.text().unwrap().into_bytes()
}

/// Its body, to which proofs can be added.
pub fn receipt_body(answer: &Answer, deliveries: Vec<Signed<Delivery>>) -> Receipt {
    let t = &answer.ticket;
    Receipt {
        version: DOCUMENT_VERSION,
        marketplace: marketplace(),
        policy: t.policy.clone(),
        quote: t.quote.clone(),
        order: t.order.clone(),
        submission: answer.submission.clone(),
        grant: answer.grant.clone(),
        openings: answer.openings.clone(),
        deliveries,
        manifest: t.manifest.clone(),
        public_key: Bytes(Vec::new()),
        verifying_keys: Vec::new(),
        ceremony: None,
        outputs: Vec::new(),
        assurance: Assurance {
            evaluation: EvaluationClass::Proven,
            decryption: DecryptionClass::CommitteeAttested,
            srs: SrsProvenance::Dev,
        },
        arrows: Receipt::arrow_lines(&t.order.body.program, Custody::Committee),
        work: Work::default(),
        settlement: Settlement {
            order_id: id(0x30),
            transfer: id(0x31),
            price: t.quote.body.price.clone(),
            at: NOW,
        },
    }
}
