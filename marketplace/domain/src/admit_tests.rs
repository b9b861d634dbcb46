//! ORD-1, ORD-3, ORD-4: every difference is its own refusal.

use crate::{
    DomainError, MinorUnits, Split,
    admit::{Admission, Usage, admit_order, price, quota_left},
    id::{AccountId, ListingId, MachineId, Nonce, PublicKey, QuoteId},
    joint::JointPart,
    listing::{Listing, ListingState},
    terms::{EvaluationClass, Openers, OrderTerms, PolicyTerms, QueryKind, QuoteTerms},
    tickets::TicketFacts,
};
use veilbourse_core::{
    digest::Digest,
    manifest::{
        Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, Manifest,
        PublicColumn, Segment,
    },
    program::{MatrixRef, PROGRAM_VERSION, Program, ProgramOutput, WeightVector, Weights},
};

fn id(n: u8) -> AccountId {
    AccountId::new(u64::from(n), [n; 10])
}

pub(crate) fn held(node: u8) -> Openers {
    Openers::CustodianHeld {
        node_key: veilbourse_documents::Key([node; 32]),
    }
}

pub(crate) fn manifest() -> Manifest {
    let column = |name: &str| Column {
        name: name.into(),
        kind: ColumnKind::Numeric,
        scale_log2: 0,
        unit: String::new(),
        min: 0,
        max: 100,
    };
    let segment = |rows: u64, n: u8| Segment {
        label: format!("s{n}"),
        rows,
        chunks: vec![Digest([n; 32])],
        sum: Digest([n + 1; 32]),
        traced: Digest([n + 2; 32]),
        traced_bodies: vec![1, 2],
    };
    Manifest {
        version: MANIFEST_VERSION,
        name: "t".into(),
        params: DataParamsId::Data4096Tu3V1,
        commitment: CommitmentParamsId::FriBlake3V1,
        message_log2: 24,
        columns: vec![column("a"), column("b")],
        public_columns: vec![PublicColumn {
            name: "1".into(),
            scale_log2: 0,
            values: vec![1, 1],
        }],
        segments: vec![segment(100, 10), segment(5, 20)],
        public_key_label: Digest([1; 32]),
        public_key_body: Digest([2; 32]),
        nonce: Digest([3; 32]),
    }
}

pub(crate) fn program() -> Program {
    Program {
        version: PROGRAM_VERSION,
        dataset: manifest().root(),
        vectors: vec![WeightVector {
            label: "sum".into(),
            scale_log2: 0,
            weights: Weights::Public {
                values: vec![1, 2, 0],
            },
        }],
        outputs: vec![ProgramOutput {
            over: MatrixRef::Traced { segment: 0 },
            vector: 0,
        }],
    }
}

pub(crate) fn policy() -> PolicyTerms {
    PolicyTerms {
        listing: ListingId::new(3, [3; 10]),
        dataset: manifest().root(),
        version: 1,
        openers: held(4),
        tickets: None,
        kinds: vec![QueryKind::AggregatePublic],
        min_cohort: 10,
        quota_values: 10,
        quota_bits: 1_000,
        price_order: MinorUnits::new(100).expect("in range"),
        price_output: MinorUnits::new(7).expect("in range"),
        min_class: EvaluationClass::Proven,
        valid_from: 0,
    }
}

pub(crate) fn listing() -> Listing {
    Listing {
        id: policy().listing,
        owner: id(1),
        title: "t".into(),
        description: String::new(),
        dataset: manifest().root(),
        created_at: 0,
        updated_at: 0,
        policy: Some(policy()),
        state: ListingState::Published { at: 1, by: id(9) },
    }
}

fn quote() -> QuoteTerms {
    let price = MinorUnits::new(107).expect("in range");
    QuoteTerms {
        id: QuoteId::new(1, [1; 10]),
        digest: Digest([7; 32]),
        marketplace: Digest([8; 32]),
        listing: policy().listing,
        dataset: manifest().root(),
        policy: Digest([6; 32]),
        policy_version: 1,
        program: program().shape(),
        pod: MachineId::new(5, [5; 10]),
        pod_operator: id(5),
        price,
        split: Split::of(price, 250, MinorUnits::new(40).expect("in range")).expect("fits"),
        verifying_key: Digest([11; 32]),
        srs: Digest([12; 32]),
        openers: held(4),
        ticket_class: None,
        class: EvaluationClass::Proven,
        expected_seconds: 10,
        expiry: 1_000,
    }
}

pub(crate) fn order() -> OrderTerms {
    let q = quote();
    OrderTerms {
        digest: Digest([20; 32]),
        marketplace: q.marketplace,
        quote: q.digest,
        signer: PublicKey([21; 32]),
        listing: q.listing,
        dataset: q.dataset,
        policy_version: 1,
        program: q.program,
        pod: q.pod,
        price: q.price,
        verifying_key: q.verifying_key,
        srs: q.srs,
        openers: q.openers,
        ticket_class: None,
        joint: Vec::new(),
        result_key: Digest([23; 32]),
        min_class: EvaluationClass::Proven,
        nonce: Nonce([22; 32]),
        deadline: 100_000,
    }
}

const HORIZON: u64 = 99_990;

pub(crate) struct Case {
    pub(crate) now: u64,
    pub(crate) marketplace: Digest,
    pub(crate) listing: Listing,
    pub(crate) quote: QuoteTerms,
    pub(crate) order: OrderTerms,
    pub(crate) program: Program,
    pub(crate) manifest: Manifest,
    pub(crate) buyer: AccountId,
    pub(crate) key: bool,
    pub(crate) usage: Usage,
    pub(crate) tickets: TicketFacts,
    pub(crate) joint: Vec<JointPart>,
}

pub(crate) fn decide(change: impl FnOnce(&mut Case)) -> Result<u64, DomainError> {
    let mut c = Case {
        now: 10,
        marketplace: Digest([8; 32]),
        listing: listing(),
        quote: quote(),
        order: order(),
        program: program(),
        manifest: manifest(),
        buyer: id(2),
        key: true,
        usage: Usage::default(),
        tickets: TicketFacts::default(),
        joint: Vec::new(),
    };
    change(&mut c);
    admit_order(&Admission {
        now: c.now,
        marketplace: c.marketplace,
        listing: &c.listing,
        quote: &c.quote,
        order: &c.order,
        program: &c.program,
        manifest: &c.manifest,
        buyer: c.buyer,
        key_registered: c.key,
        usage: &c.usage,
        tickets: &c.tickets,
        joint: &c.joint,
        horizon: HORIZON,
    })
    .map(|d| d.values)
}

/// Changes program in order, quote and text alike.
fn with_program(c: &mut Case, p: Program) {
    c.order.program = p.shape();
    c.quote.program = p.shape();
    c.program = p;
}

pub(crate) fn with_policy(c: &mut Case, f: impl FnOnce(&mut PolicyTerms)) {
    f(c.listing.policy.as_mut().expect("there is one"));
}

#[test]
fn a_good_order_is_admitted() {
    assert_eq!(decide(|_| ()), Ok(1));
    let demand = crate::admit::check_demand(&manifest(), &program(), &policy()).expect("fits");
    assert_eq!(demand.bits, 63 - 24);
    assert_eq!(price(&policy(), &demand), MinorUnits::new(107));
}

#[test]
fn each_difference_is_its_own_refusal() {
    // ORD-1
    use DomainError as E;
    let other = Digest([99; 32]);
    assert_eq!(
        decide(|c| c.order.marketplace = other),
        Err(E::QuoteUnknown)
    );
    assert_eq!(decide(|c| c.marketplace = other), Err(E::QuoteUnknown));
    assert_eq!(decide(|c| c.order.quote = other), Err(E::QuoteUnknown));
    assert_eq!(
        decide(|c| c.now = 1_000),
        Err(E::QuoteExpired {
            expiry: 1_000,
            now: 1_000
        })
    );
    let l = ListingId::new(9, [9; 10]);
    assert_eq!(decide(|c| c.order.listing = l), Err(E::ListingDiffers));
    assert_eq!(decide(|c| c.listing.id = l), Err(E::ListingDiffers));
    assert_eq!(decide(|c| c.order.dataset = other), Err(E::DatasetDiffers));
    assert_eq!(
        decide(|c| c.order.policy_version = 2),
        Err(E::PolicyVersionDiffers {
            expected: 1,
            found: 2
        })
    );
    assert_eq!(
        decide(|c| with_policy(c, |p| p.version = 2)),
        Err(E::PolicyVersionDiffers {
            expected: 2,
            found: 1
        })
    );
    assert_eq!(decide(|c| c.order.program = other), Err(E::ProgramDiffers));
    assert_eq!(
        decide(|c| c.program.vectors[0].label = "x".into()),
        Err(E::ProgramDiffers)
    );
    let cheap = MinorUnits::new(1).expect("in range");
    assert!(matches!(
        decide(|c| c.order.price = cheap),
        Err(E::PriceDiffers { .. })
    ));
    assert!(matches!(
        decide(|c| c.quote.split.fee = cheap),
        Err(E::PriceDiffers { .. })
    ));
    assert_eq!(
        decide(|c| c.order.pod = MachineId::new(1, [0; 10])),
        Err(E::PodDiffers)
    );
    assert_eq!(
        decide(|c| c.order.verifying_key = other),
        Err(E::VerifyingKeyDiffers)
    );
    assert_eq!(decide(|c| c.order.srs = other), Err(E::SrsDiffers));
    assert_eq!(decide(|c| c.order.openers = held(5)), Err(E::OpenersDiffer));
    assert_eq!(
        decide(|c| with_policy(c, |p| p.openers = held(5))),
        Err(E::OpenersDiffer)
    );
    assert_eq!(
        decide(|c| c.order.ticket_class = Some(other)),
        Err(E::TicketClassDiffers)
    );
    assert_eq!(
        decide(|c| c.quote.class = EvaluationClass::Replicated),
        Err(E::AssuranceTooLow { minimum: "proven" })
    );
    assert!(matches!(
        decide(|c| c.order.deadline = 10_010),
        Err(E::DeadlineTooSoon { .. })
    ));
    // At now = 10 the deadline may be 100,000, which the good order's is.
    assert_eq!(
        decide(|c| c.order.deadline = 100_001),
        Err(E::DeadlineTooLate {
            latest: 100_000,
            deadline: 100_001
        })
    );
    assert_eq!(
        decide(|c| c.order.deadline = u64::MAX),
        Err(E::DeadlineTooLate {
            latest: 100_000,
            deadline: u64::MAX
        })
    );
    assert_eq!(
        decide(|c| c.listing.state = ListingState::Paused { at: 1, by: id(9) }),
        Err(E::ListingClosed { state: "paused" })
    );
    assert!(matches!(
        decide(|c| with_policy(c, |p| p.valid_from = 11)),
        Err(E::ListingClosed { .. })
    ));
}

#[test]
fn who_buys() {
    // ORD-3
    assert_eq!(
        decide(|c| c.key = false),
        Err(DomainError::SigningKeyUnknown)
    );
    assert_eq!(decide(|c| c.buyer = id(1)), Err(DomainError::OwnListing));
}

#[test]
fn what_is_asked() {
    // ORD-4
    use DomainError as E;
    let twice = {
        let mut p = program();
        p.outputs.push(p.outputs[0]);
        p
    };
    // A conformance rule of the program may refuse repetition first.
    assert!(matches!(
        decide(|c| with_program(c, twice)),
        Err(E::DuplicateOutput { index: 1 } | E::Program { .. })
    ));
    let mut small = program();
    small.outputs[0].over = MatrixRef::Traced { segment: 1 };
    assert_eq!(
        decide(|c| with_program(c, small)),
        Err(E::CohortTooSmall {
            segment: 1,
            rows: 5,
            minimum: 10
        })
    );
    let mut rows = program();
    rows.outputs[0].over = MatrixRef::Chunk {
        segment: 0,
        chunk: 0,
    };
    assert_eq!(
        decide(|c| with_program(c, rows.clone())),
        Err(E::QueryKindDenied {
            kind: "rows_public"
        })
    );
    assert_eq!(
        decide(|c| {
            with_program(c, rows);
            with_policy(c, |p| p.kinds.push(QueryKind::RowsPublic));
        }),
        Err(E::QuotaExceeded {
            what: "values",
            left: 10,
            needed: 100
        })
    );
    let mut heavy = program();
    heavy.vectors[0].weights = Weights::Public {
        values: vec![1 << 23, 1 << 23, 1 << 39],
    };
    let k = {
        let mut m = manifest();
        m.message_log2 = 44;
        m
    };
    assert!(matches!(
        decide(|c| {
            heavy.dataset = k.root();
            with_program(c, heavy);
            c.manifest = k.clone();
            for d in [
                &mut c.listing.dataset,
                &mut c.quote.dataset,
                &mut c.order.dataset,
            ] {
                *d = k.root();
            }
            with_policy(c, |p| p.dataset = k.root());
        }),
        Err(E::Program { .. })
    ));
    assert!(matches!(
        decide(|c| c.manifest.nonce = Digest([0; 32])),
        Err(E::DatasetDiffers)
    ));
}

#[test]
fn quotas_count_orders_under_way() {
    // ORD-4
    let usage = Usage {
        values: 4,
        bits: 0,
        values_reserved: 6,
        bits_reserved: 0,
    };
    assert_eq!(quota_left(&policy(), &usage).values, 0);
    assert_eq!(
        decide(|c| c.usage = usage),
        Err(DomainError::QuotaExceeded {
            what: "values",
            left: 0,
            needed: 1
        })
    );
    let usage = Usage {
        values: 1,
        bits: 500,
        values_reserved: 1,
        bits_reserved: 480,
    };
    assert_eq!(
        decide(|c| c.usage = usage),
        Err(DomainError::QuotaExceeded {
            what: "bits",
            left: 20,
            needed: 39
        })
    );
}
