//! Quotes: price, time, precision, what stays private and who learns what,
//! before any money moves (DOC-4).

use crate::{
    App,
    convert::{id, quote_terms, refused, stored},
    limits::Kind,
};
use veilbourse_core::{
    budget,
    manifest::Manifest,
    params::DATA_RING_DIMENSION as N,
    program::{MatrixRef, Program, Weights},
};
use veilbourse_documents::{
    Custody, DOCUMENT_VERSION, EvaluationClass, MachineRegistration, Openers, PodRef, Policy,
    Price, Quote, Signed, Work,
};
use veilbourse_domain::{
    Digest, DomainError, MinorUnits, Result, Split,
    access::{MachineKind, Pass},
    admit::{self, check_demand, check_quota, quota_left},
    id::{ListingId, MachineId, QuoteId},
    listing::ListingState,
    money::BASIS_POINTS,
    records::{Decision, Machine, PageRequest, StoredQuote},
    terms::PolicyTerms,
};
use veilbourse_graphql::{OutputOffer, QuoteOffer, Seat, TicketOffer};
use veilbourse_verifier::linear::{CircuitKey, MatrixKind, PrivateArgument, required_circuits};

/// Seconds that a proof with hidden weights takes on two cores, measured.
const PRIVATE_SECONDS: u32 = 10;
/// Seconds of one with public weights.
const PUBLIC_SECONDS: u32 = 1;

impl App {
    /// The approved machines of a kind.
    pub(crate) async fn approved(&self, kind: MachineKind) -> Result<Vec<Machine>> {
        let mut out = Vec::new();
        let mut after = None;
        loop {
            let page = PageRequest::new(100, after)?;
            let found = self.store.machines(Some(kind), None, &page).await?;
            after = found.items.last().map(|(cursor, _)| cursor.clone());
            let more = found.more;
            out.extend(
                found
                    .into_items()
                    .into_iter()
                    .filter(|m| m.decision == Decision::Approved),
            );
            if !more {
                return Ok(out);
            }
        }
    }

    async fn choose_pod(&self, wanted: Option<MachineId>) -> Result<(Machine, PodRef)> {
        let pods = self.approved(MachineKind::Pod).await?;
        let pod = match wanted {
            Some(id) => pods.into_iter().find(|p| p.id == id),
            // The least busy would need load figures; the first is predictable.
            None => pods.into_iter().next(),
        };
        let pod = pod.ok_or(DomainError::NotFound {
            what: "approved pod",
        })?;
        let registration = Signed::<MachineRegistration>::parse(pod.registration.as_bytes())
            .map_err(DomainError::storage)?;
        let reference = PodRef {
            id: id(pod.id)?,
            signing_key: registration.key,
            sealing_key: registration.body.sealing_key.ok_or(DomainError::NotFound {
                what: "sealing key of the pod",
            })?,
            sealing_signature: registration.signature,
        };
        Ok((pod, reference))
    }

    /// The circuits that a program needs, from those accepted here.
    pub(crate) fn circuits_for(
        &self,
        manifest: &Manifest,
        program: &Program,
    ) -> Result<Vec<CircuitKey>> {
        required_circuits(manifest, program)
            .into_iter()
            .map(|(kind, class)| {
                self.circuits
                    .iter()
                    .find(|c| c.kind() == kind && c.class() == class)
                    .cloned()
                    .ok_or_else(|| {
                        let (released, rows) = match kind {
                            MatrixKind::Traced => ("one value a segment", "aggregate"),
                            MatrixKind::Chunk => ("a score a row", "each"),
                        };
                        DomainError::Program {
                            reason: format!(
                                "this marketplace holds no verifying key for private weights over up to {class} encrypted columns, {released} (its operator makes one: srs key --rows {rows} --class {class})"
                            ),
                        }
                    })
            })
            .collect()
    }

    pub(crate) async fn make_quote(
        &self,
        pass: &Pass,
        listing_id: ListingId,
        program: Program,
        pod: Option<MachineId>,
        ticket_class: Option<Digest>,
    ) -> Result<QuoteOffer> {
        self.limits
            .take(Kind::Quote, &pass.viewer().account()?.to_string())?;
        let listing = self.store.listing(listing_id).await?;
        let ListingState::Published { .. } = listing.state else {
            if !listing.state.public() {
                return Err(DomainError::NotFound { what: "listing" });
            }
            return Err(DomainError::ListingClosed {
                state: listing.state.name(),
            });
        };
        let Some(terms) = &listing.policy else {
            return Err(DomainError::ListingClosed {
                state: "without a policy",
            });
        };
        let policy = self.store.policy(listing_id, terms.version).await?;
        let signed_policy =
            Signed::<Policy>::parse(policy.text.as_bytes()).map_err(|e| refused(&e))?;
        let terms = PolicyTerms::of(&signed_policy.body)?;
        let manifest = self.manifest(listing_id).await?;
        let demand = check_demand(&manifest, &program, &terms)?;
        let usage = self.store.usage(listing_id).await?;
        check_quota(&terms, &usage, demand.values, demand.bits)?;
        let circuits = self.circuits_for(&manifest, &program)?;
        let (pod, reference) = self.choose_pod(pod).await?;
        // A committee's nodes have accepted a dealing, else there are no tickets.
        if let Openers::CustodianHeld { node_key } = &terms.openers {
            let nodes = self.approved(MachineKind::Node).await?;
            if !nodes.iter().any(|n| n.signing_key.0 == node_key.0) {
                return Err(DomainError::NotFound {
                    what: "approved key node of the policy",
                });
            }
        }
        let values = demand.values;
        let tickets = self
            .class_for(&listing, &terms, ticket_class, &manifest, &program, values)
            .await?;
        let total = admit::price(&terms, &demand)?;
        let pod_part = i128::from(total.get()) * i128::from(self.config.pod_basis_points)
            / i128::from(BASIS_POINTS);
        let pod_part = MinorUnits::new(i64::try_from(pod_part).unwrap_or(i64::MAX))?;
        let split = Split::of(total, self.config.fee_basis_points, pod_part)?;
        let least = signed_policy.body.custodian_part(total.get());
        if split.custodian.get() < least {
            return Err(DomainError::invalid(
                "policy.custodian_basis_points",
                format!(
                    "asks for {least}; this marketplace's split leaves {}",
                    split.custodian
                ),
            ));
        }
        let expected_seconds = expected(&program);
        let now = self.now();
        let quote = Signed::sign(
            Quote {
                version: DOCUMENT_VERSION,
                marketplace: self.id,
                id: id(QuoteId::new(now, self.random()))?,
                listing: id(listing_id)?,
                dataset: listing.dataset,
                policy: policy.digest,
                policy_version: terms.version,
                program: program.shape(),
                pod: reference,
                price: Price {
                    total: total.get(),
                    fee: split.fee.get(),
                    pod: split.pod.get(),
                    custodian: split.custodian.get(),
                },
                verifying_keys: circuits.iter().map(PrivateArgument::digest).collect(),
                srs: self.accepted.srs.clone(),
                openers: terms.openers.clone(),
                ticket_class: tickets.as_ref().map(|t| t.class),
                class: EvaluationClass::Proven,
                expected_seconds,
                expiry: now.saturating_add(1000 * u64::from(self.config.quote_seconds)),
            },
            &self.signing,
        )
        .map_err(|e| refused(&e))?;
        let signed = stored(&quote)?;
        let program_text = serde_json::to_string(&program).map_err(DomainError::storage)?;
        self.store
            .save_quote(&StoredQuote {
                terms: quote_terms(&quote, pod.operator)?,
                signed: signed.clone(),
                program: program_text,
            })
            .await?;
        let left = quota_left(&terms, &usage);
        Ok(QuoteOffer {
            signed,
            policy,
            price: [total, split.fee, split.pod, split.custodian],
            expected_seconds: u64::from(expected_seconds),
            expiry: quote.body.expiry,
            values: demand.values,
            bits: demand.bits,
            values_left: left.values,
            bits_left: left.bits,
            work: expected_work(&manifest, &program, &circuits),
            outputs: outputs(&manifest, &program, tickets.as_ref())?,
            private_parts: private_parts(&program, terms.openers.custody()),
            seats: seats(&program, &terms.openers),
            openers: serde_json::to_string(&terms.openers).map_err(DomainError::storage)?,
            tickets,
        })
    }
}

fn is_private(program: &Program, vector: u32) -> bool {
    program
        .vectors
        .get(vector as usize)
        .is_some_and(|v| matches!(v.weights, Weights::Private { .. }))
}

fn expected(program: &Program) -> u32 {
    program.outputs.iter().fold(5u32, |s, o| {
        s.saturating_add(if is_private(program, o.vector) {
            PRIVATE_SECONDS
        } else {
            PUBLIC_SECONDS
        })
    })
}

fn expected_work(manifest: &Manifest, program: &Program, circuits: &[CircuitKey]) -> Work {
    let columns = manifest.columns.len() as u64;
    let mut work = Work::default();
    for o in &program.outputs {
        work.weighted_values += columns * N as u64;
        if is_private(program, o.vector) {
            let traced = matches!(o.over, MatrixRef::Traced { .. });
            let kind = |c: &&CircuitKey| (c.kind() == MatrixKind::Traced) == traced;
            work.constraints += circuits.iter().find(kind).map_or(0, CircuitKey::rows);
        }
    }
    work
}

fn outputs(
    manifest: &Manifest,
    program: &Program,
    tickets: Option<&TicketOffer>,
) -> Result<Vec<OutputOffer>> {
    let budgets = budget::check_program(manifest, program).map_err(|e| DomainError::Program {
        reason: e.to_string(),
    })?;
    Ok(program
        .outputs
        .iter()
        .zip(&budgets)
        .zip(0u32..)
        .map(|((o, b), index)| {
            let (MatrixRef::Traced { segment } | MatrixRef::Chunk { segment, .. }) = o.over;
            let vector = program.vectors.get(o.vector as usize);
            let segment = manifest.segments.get(segment as usize);
            OutputOffer {
                index,
                label: vector.map(|v| v.label.clone()).unwrap_or_default(),
                segment: segment.map(|s| s.label.clone()).unwrap_or_default(),
                rows: match o.over {
                    MatrixRef::Traced { .. } => segment.map_or(0, |s| s.rows),
                    MatrixRef::Chunk { .. } => u64::from(b.values),
                },
                values: u64::from(b.values),
                value_limit: b.value_limit(),
                scale_log2: vector.map_or(0, |v| v.scale_log2),
                noise_slack_bits: b.slack_bits().1,
                private_weights: is_private(program, o.vector),
                noise_deviation: tickets.map(|t| t.noise_deviation),
                noise_within_95: tickets.map(|t| t.noise_within_95),
            }
        })
        .collect())
}

fn private_parts(program: &Program, custody: Custody) -> Vec<String> {
    let opened = match custody {
        Custody::CustodianHeld => {
            "the opened values, from everybody but you and the custodian's key node"
        }
        Custody::Committee => {
            "the opened values, from everybody but you, unless all nodes of a quorum conspire, or the custodian with one of them"
        }
    };
    let mut out = vec![
        "every row of the dataset, from everybody but the custodian".to_owned(),
        opened.to_owned(),
    ];
    let mut public = Vec::new();
    for v in &program.vectors {
        if let Weights::Private {
            l1_bound, l2_bound, ..
        } = &v.weights
        {
            out.push(format!(
                "weights of \"{}\", from everybody but you and the pod; public are only the bounds sum |w| range <= {l1_bound} and sum w^2 <= {l2_bound}",
                v.label
            ));
        } else {
            public.push(v.label.as_str());
        }
    }
    // A training has dozens of moments: one line says it of all.
    match public.as_slice() {
        [] => {}
        [one] => out.push(format!(
            "nothing of the weights of \"{one}\": they are public"
        )),
        [first, .., last] => out.push(format!(
            "nothing of the weights of \"{first}\" to \"{last}\" ({} vectors): they are public",
            public.len()
        )),
    }
    out
}

fn seats(program: &Program, openers: &Openers) -> Vec<Seat> {
    let private = program
        .vectors
        .iter()
        .any(|v| matches!(v.weights, Weights::Private { .. }));
    let rows = program
        .outputs
        .iter()
        .any(|o| matches!(o.over, MatrixRef::Chunk { .. }));
    let weights = |yes: &str, no: &str| (if private { yes } else { no }).to_owned();
    let (opens, receipt) = match openers {
        Openers::CustodianHeld { .. } => (
            vec![Seat {
                seat: "custodian",
                learns: format!(
                    "the opened values (its key node decrypts them){}",
                    match (private, rows) {
                        (true, true) => ", and with per-row results it can solve for your weights",
                        _ => "",
                    }
                ),
            }],
            "the encrypted outputs and their proofs; a custodian who holds the data key can read results from them",
        ),
        Openers::Committee { threshold, .. } => (
            vec![
                Seat {
                    seat: "custodian",
                    learns: "what was ordered and paid, the tickets spent; nothing of the result, unless it conspires with a node of the quorum: it dealt the masks"
                        .into(),
                },
                Seat {
                    seat: "key nodes",
                    learns: format!(
                        "the public program and masked values, which fewer than {threshold} nodes cannot read; {threshold} nodes of a quorum together could, and the custodian with one of them"
                    ),
                },
            ],
            "the encrypted outputs and their proofs; a custodian who holds the data key can read results from them",
        ),
    };
    let mut seats = vec![Seat {
        seat: "you",
        learns: "the opened values; nothing else of the rows".into(),
    }];
    seats.extend(opens);
    seats.extend([
        Seat {
            seat: "pod",
            learns: weights(
                "your weights, which you seal to it; no row and no result",
                "the public program; no row and no result",
            ),
        },
        Seat {
            seat: "marketplace",
            learns:
                "program shape, price and proofs; no weights that are private, no row, no result"
                    .into(),
        },
        Seat {
            seat: "whoever you show the receipt",
            learns: receipt.into(),
        },
    ]);
    seats
}
