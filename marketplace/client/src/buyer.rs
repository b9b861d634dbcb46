//! A buyer's journey: look, quote, order, wait, open.
//!
//! What the server says is checked against the pinned marketplace key and
//! against the documents; the result key and the model never leave unsealed.
//!
//! Over 500 lines, a third of them tests of what is refused.

use crate::{
    ClientError, ResultError,
    market::{Session, id, text},
    query::Query,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use veilbourse_core::{
    budget::check_program,
    digest::Digest,
    manifest::Manifest,
    program::{Program, Weights},
};
use veilbourse_documents::{
    Bytes, Chain, DOCUMENT_VERSION, Delivery, EvaluationClass, Grant, Id, Key, MAX_RECEIPT_BYTES,
    Model, ModelContext, ModelVector, Nonce, OpenedOutput, OpenedResult, Order, Policy, Quote,
    Receipt, ResultContext, SealingSecret, Signed, SigningKey, marketplace_id, open_result,
    seal_model,
};
use veilbourse_verifier::field::fr_bytes;

/// Most bytes of the note beside a synthetic twin (UP-2).
const MAX_TWIN_NOTE: u64 = 1 << 20;
/// Most bytes of a sealed result.
const MAX_SEALED_RESULT: u64 = 64 << 20;

/// A listing as the buyer needs it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub id: Id,
    /// Title.
    pub title: String,
    /// The dataset.
    pub manifest: Manifest,
    /// Columns that rule DS-7 suppressed, from the twin's note.
    pub suppressed: Vec<String>,
}

/// Fetches a listing and checks that it is the one asked for, with a manifest
/// of the root it names.
pub async fn listing(session: &Session, listing: &str) -> Result<Listed, ClientError> {
    let asked = Id::parse(listing).ok_or_else(|| {
        ClientError::refused("listing", format!("{listing:?} is no listing's id"))
    })?;
    let document = "query($id: String!) { listing(id: $id) { id title dataset manifest } }";
    let l = session
        .server
        .graphql("listing", document, json!({ "id": listing }))
        .await?;
    let mut listed = listed(&asked, &l)?;
    let note = session
        .server
        .get_within(
            &format!("/v1/listings/{listing}/objects/twin.json"),
            MAX_TWIN_NOTE,
        )
        .await;
    listed.suppressed = match note {
        Ok(bytes) => {
            let note: Value =
                serde_json::from_slice(&bytes).map_err(|e| ClientError::refused("twin", e))?;
            suppressed(&note)?
        }
        Err(e) if e.code() == Some("NOT_FOUND") => Vec::new(),
        Err(e) => return Err(e),
    };
    Ok(listed)
}

/// The names that a twin's note says were suppressed: none where it says nothing.
fn suppressed(note: &Value) -> Result<Vec<String>, ClientError> {
    match note.get("suppressed") {
        None => Ok(Vec::new()),
        Some(names) => Vec::deserialize(names).map_err(|e| ClientError::refused("twin", e)),
    }
}

/// A listing as the server answered, held to the id asked for.
fn listed(asked: &Id, l: &Value) -> Result<Listed, ClientError> {
    let id = id("listing", l, "id")?;
    if id != *asked {
        return Err(ClientError::refused(
            "listing",
            format!("the server answered with listing {id}, asked for was {asked}"),
        ));
    }
    let manifest: Manifest = serde_json::from_value(l["manifest"].clone())
        .map_err(|e| ClientError::refused("manifest", e))?;
    manifest
        .validate()
        .map_err(|e| ClientError::refused("manifest", e))?;
    if manifest.root().to_string() != text("listing", l, "dataset")? {
        return Err(ClientError::refused(
            "manifest",
            "has another root than the listing names",
        ));
    }
    Ok(Listed {
        id,
        title: text("listing", l, "title")?.to_owned(),
        manifest,
        suppressed: Vec::new(),
    })
}

/// A quote, checked, with everything that is shown before paying.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The signed quote.
    pub quote: Signed<Quote>,
    /// The signed policy behind it.
    pub policy: Signed<Policy>,
    /// The answer as it came: precision by output, seats, private parts.
    pub details: Value,
}

impl Offer {
    /// Refuses the offer of any pod but the one with this signing key: the
    /// marketplace names pods, only their keys say who they are.
    pub fn require_pod(&self, key: &Key) -> Result<(), ClientError> {
        let pod = &self.quote.body.pod;
        if pod.signing_key == *key {
            return Ok(());
        }
        Err(ClientError::refused(
            "quote",
            format!(
                "is for pod {} with signing key {}, wanted was the pod with {key}",
                pod.id, pod.signing_key
            ),
        ))
    }
}

/// The pod quoted is the one asked for, where one was.
fn same_pod(quoted: &Id, wanted: Option<&Id>) -> Result<(), ClientError> {
    match wanted {
        Some(wanted) if wanted != quoted => Err(ClientError::refused(
            "quote",
            format!("is for pod {quoted}, asked for was {wanted}"),
        )),
        _ => Ok(()),
    }
}

const QUOTE: &str =
    "query($l: String!, $p: JSON!, $pod: String) { quote(listing: $l, program: $p, pod: $pod) {
    document policy digest expectedSeconds expiry values bits valuesLeft bitsLeft
    price { total fee pod custodian }
    work { weightedValues constraints bootstraps }
    outputs { index label segment rows values valueLimit scaleLog2 noiseSlackBits privateWeights }
    privateParts seats { seat learns } } }";

/// Asks for a quote and checks it: signed by the pinned marketplace, for this
/// listing, dataset and program. `pod` asks for one; the marketplace chooses
/// otherwise. Private weights are readable by the pod: see [`Offer::require_pod`].
pub async fn quote(
    session: &Session,
    marketplace: &Key,
    listed: &Listed,
    query: &Query,
    pod: Option<&Id>,
) -> Result<Offer, ClientError> {
    let variables =
        json!({ "l": listed.id.as_str(), "p": query.program, "pod": pod.map(Id::as_str) });
    let details = session.server.graphql("quote", QUOTE, variables).await?;
    let refused = |e: &dyn std::fmt::Display| ClientError::refused("quote", e);
    let quote: Signed<Quote> =
        serde_json::from_value(details["document"].clone()).map_err(|e| refused(&e))?;
    let policy: Signed<Policy> =
        serde_json::from_value(details["policy"].clone()).map_err(|e| refused(&e))?;
    quote
        .verify_by(&marketplace_id(marketplace), marketplace)
        .map_err(|e| refused(&e))?;
    let q = &quote.body;
    if q.listing != listed.id
        || q.dataset != listed.manifest.root()
        || q.program != query.program.shape()
    {
        return Err(refused(&"is for another listing, dataset or program"));
    }
    same_pod(&q.pod.id, pod)?;
    policy.verify_for(&q.marketplace).map_err(|e| refused(&e))?;
    if policy.digest().map_err(|e| refused(&e))? != q.policy {
        return Err(refused(&"names another policy than the one shown"));
    }
    Ok(Offer {
        quote,
        policy,
        details,
    })
}

/// An order with the secrets that open its result: kept by the buyer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// The server's id of the order, once placed.
    pub order_id: Option<Id>,
    /// The marketplace's key.
    pub marketplace: Key,
    /// The custodian's policy.
    pub policy: Signed<Policy>,
    /// The quote.
    pub quote: Signed<Quote>,
    /// The signed order.
    pub order: Signed<Order>,
    /// The dataset.
    pub manifest: Manifest,
    /// What opens the result.
    pub result_secret: Bytes,
    /// The model sealed to the pod.
    pub sealed_model: Option<Bytes>,
    /// Worst-case rounding error of each vector's weights, real units a row.
    pub max_error: Vec<f64>,
    /// Columns that rule DS-7 suppressed, as [`Listed::suppressed`] had them.
    #[serde(default)]
    pub suppressed: Vec<String>,
}

impl Ticket {
    /// The listing as it was when ordered from (TRN-6).
    pub fn listed(&self) -> Listed {
        Listed {
            id: self.order.body.listing.clone(),
            title: self.manifest.name.clone(),
            manifest: self.manifest.clone(),
            suppressed: self.suppressed.clone(),
        }
    }
}

/// Signs an order for an offer and seals the model to the quoted pod.
pub fn prepare(
    marketplace: &Key,
    offer: &Offer,
    listed: &Listed,
    query: &Query,
    signing: &SigningKey,
    deadline: u64,
    rng: &mut impl CryptoRng,
) -> Result<Ticket, ClientError> {
    let refused = |e: &dyn std::fmt::Display| ClientError::refused("order", e);
    let q = &offer.quote.body;
    let mut vectors = Vec::new();
    for (((v, weights), blinder), vector) in query
        .program
        .vectors
        .iter()
        .zip(&query.weights)
        .zip(&query.blinders)
        .zip(0u32..)
    {
        if let (Weights::Private { .. }, Some(b)) = (&v.weights, blinder) {
            vectors.push(ModelVector {
                vector,
                weights: weights.clone(),
                blinder: fr_bytes(b),
            });
        }
    }
    let result_secret = SealingSecret::generate(rng);
    let result_key = result_secret.public().map_err(|e| refused(&e))?;
    let mut nonce = Nonce([0u8; 32]);
    rng.fill_bytes(&mut nonce.0);
    let sealed = if vectors.is_empty() {
        None
    } else {
        let context = ModelContext {
            dataset: &q.dataset,
            program: &query.program.shape(),
            pod: &q.pod.id,
            buyer: &Key(signing.verifying_key().to_bytes()),
            result_key: &result_key,
            nonce: &nonce,
        };
        let model = Model { vectors };
        let sealed = seal_model(&model, &q.pod.sealing_key.0, &context, rng);
        Some(sealed.map_err(|e| refused(&e))?)
    };
    let body = Order {
        version: DOCUMENT_VERSION,
        marketplace: q.marketplace,
        quote: offer.quote.digest().map_err(|e| refused(&e))?,
        listing: q.listing.clone(),
        dataset: q.dataset,
        policy_version: q.policy_version,
        program: query.program.clone(),
        pod: q.pod.id.clone(),
        pod_key: q.pod.signing_key,
        custody: q.custody,
        node_key: q.node_key,
        min_class: EvaluationClass::Proven,
        verifying_keys: q.verifying_keys.clone(),
        srs: q.srs.clone(),
        price: q.price.total,
        result_key: Bytes(result_key),
        nonce,
        deadline,
        sealed_model: sealed.as_deref().map(Order::digest_of_sealed_model),
    };
    let order = Signed::sign(body, signing).map_err(|e| refused(&e))?;
    Chain {
        marketplace,
        policy: &offer.policy,
        quote: &offer.quote,
        order: &order,
    }
    .check()
    .map_err(|e| refused(&e))?;
    Ok(Ticket {
        order_id: None,
        marketplace: *marketplace,
        policy: offer.policy.clone(),
        quote: offer.quote.clone(),
        order,
        manifest: listed.manifest.clone(),
        result_secret: Bytes(result_secret.as_bytes().to_vec()),
        sealed_model: sealed.map(Bytes),
        max_error: query.max_error.clone(),
        suppressed: listed.suppressed.clone(),
    })
}

/// Places the order; the same ticket again answers with the same order (ORD-2).
pub async fn place(session: &Session, ticket: &Ticket) -> Result<Id, ClientError> {
    let document =
        "mutation($o: JSON!, $m: String) { placeOrder(order: $o, sealedModel: $m) { id state } }";
    let sealed = ticket.sealed_model.as_ref().map(|b| STANDARD.encode(&b.0));
    let variables = json!({ "o": ticket.order, "m": sealed });
    let placed = session
        .server
        .graphql("placeOrder", document, variables)
        .await?;
    id("placeOrder", &placed, "id")
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The state's name.
    pub state: String,
    /// Why it was refunded: reason and detail.
    pub refund: Option<(String, String)>,
    /// What the pod is doing.
    pub stage: String,
    /// Per mille of the pod's work.
    pub per_mille: u64,
}

/// Asks where an order stands.
pub async fn standing(session: &Session, order: &Id) -> Result<Standing, ClientError> {
    let document = "query($id: String!) { order(id: $id) { state refundReason refundDetail progress { stage perMille } } }";
    let o = session
        .server
        .graphql("order", document, json!({ "id": order.as_str() }))
        .await?;
    let refund = o["refundReason"].as_str().map(|r| {
        (
            r.to_owned(),
            o["refundDetail"].as_str().unwrap_or_default().to_owned(),
        )
    });
    Ok(Standing {
        state: text("order", &o, "state")?.to_owned(),
        refund,
        stage: o["progress"]["stage"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        per_mille: o["progress"]["perMille"].as_u64().unwrap_or(0),
    })
}

/// Waits until the order ends, reporting each change.
pub async fn wait(
    session: &Session,
    order: &Id,
    mut report: impl FnMut(&Standing),
) -> Result<Standing, ClientError> {
    let mut last = None;
    loop {
        let now = standing(session, order).await?;
        if last.as_ref() != Some(&now) {
            report(&now);
        }
        if matches!(now.state.as_str(), "released" | "refunded") {
            return Ok(now);
        }
        last = Some(now);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the buyer gets.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The integers, by output.
    pub values: Vec<Vec<i64>>,
    /// The receipt's bytes.
    pub receipt: Vec<u8>,
}

/// Fetches receipt and sealed result, checks that they belong to this ticket,
/// and opens the result with the ticket's key (DOC-9, DOC-10, REC-5). The
/// receipt's proofs are checked by `veilbourse verify`.
pub async fn open(session: &Session, order: &Id, ticket: &Ticket) -> Result<Opened, ClientError> {
    let receipt = session
        .server
        .get_within(
            &format!("/v1/orders/{order}/receipt"),
            MAX_RECEIPT_BYTES as u64,
        )
        .await?;
    let sealed = session
        .server
        .get_within(&format!("/v1/orders/{order}/result"), MAX_SEALED_RESULT)
        .await?;
    let refused = |e: &dyn std::fmt::Display| ClientError::refused("receipt", e);
    let signed = Signed::<Receipt>::parse(&receipt).map_err(|e| refused(&e))?;
    let body = &signed.body;
    if body.order != ticket.order {
        return Err(refused(&"is of another order"));
    }
    let chain = Chain {
        marketplace: &ticket.marketplace,
        policy: &ticket.policy,
        quote: &ticket.quote,
        order: &ticket.order,
    };
    chain
        .check_grant(&body.submission, &body.grant)
        .map_err(|e| refused(&e))?;
    chain
        .check_delivery(&body.grant, &body.delivery)
        .map_err(|e| refused(&e))?;
    if Delivery::digest_of_sealed_result(&sealed) != body.delivery.body.sealed_result {
        return Err(ClientError::refused(
            "result",
            "is not what the key node signed",
        ));
    }
    let result = open_with(ticket, &body.grant, &sealed)?;
    check_result(
        &ticket.manifest,
        &ticket.order.body.program,
        body.delivery.body.values,
        &result.outputs,
    )?;
    Ok(Opened {
        values: result.outputs.into_iter().map(|o| o.values).collect(),
        receipt,
    })
}

fn open_with(
    ticket: &Ticket,
    grant: &Signed<Grant>,
    sealed: &[u8],
) -> Result<OpenedResult, ClientError> {
    let refused = |e: &dyn std::fmt::Display| ClientError::refused("result", e);
    let secret: [u8; 32] = ticket
        .result_secret
        .0
        .as_slice()
        .try_into()
        .map_err(|_| refused(&"the ticket's result key has not 32 bytes"))?;
    let order: Digest = ticket.order.digest().map_err(|e| refused(&e))?;
    let context = ResultContext {
        order,
        grant: grant.digest().map_err(|e| refused(&e))?,
        node_key: ticket.order.body.node_key,
    };
    let opened = open_result(sealed, &SealingSecret::from_bytes(secret), &context)
        .map_err(|e| refused(&e))?;
    Ok(opened)
}

/// Values kept from an order's result have the shape and ranges that its
/// program has (BUD-1, DOC-9).
pub fn check_opened(ticket: &Ticket, values: &[Vec<i64>]) -> Result<(), ClientError> {
    let outputs: Vec<OpenedOutput> = values
        .iter()
        .map(|v| OpenedOutput { values: v.clone() })
        .collect();
    let count = values.iter().map(|v| v.len() as u64).sum();
    check_result(
        &ticket.manifest,
        &ticket.order.body.program,
        count,
        &outputs,
    )
}

/// A result has the shape that the program has by the manifest (BUD-1, DOC-9,
/// DOC-10): as many outputs, in each as many values, within what the message
/// can reach, together as many as the key node signed.
fn check_result(
    manifest: &Manifest,
    program: &Program,
    delivered: u64,
    outputs: &[OpenedOutput],
) -> Result<(), ClientError> {
    let budgets =
        check_program(manifest, program).map_err(|e| ClientError::refused("program", e))?;
    if outputs.len() != budgets.len() {
        Err(ResultError::Outputs {
            expected: budgets.len(),
            found: outputs.len(),
        })?;
    }
    let mut values = 0;
    for (output, (o, budget)) in outputs.iter().zip(&budgets).enumerate() {
        let found = o.values.len();
        if found != budget.values as usize {
            Err(ResultError::Values {
                output,
                expected: budget.values,
                found,
            })?;
        }
        let limit = budget.message_bound;
        if let Some((index, value)) = o
            .values
            .iter()
            .enumerate()
            .find(|(_, v)| u128::from(v.unsigned_abs()) > limit)
        {
            Err(ResultError::Range {
                output,
                index,
                value: *value,
                limit,
            })?;
        }
        values += found as u64;
    }
    if values != delivered {
        Err(ResultError::Delivered {
            signed: delivered,
            found: values,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use veilbourse_core::{
        manifest::{
            Column, ColumnKind, CommitmentParamsId, DataParamsId, MANIFEST_VERSION, PublicColumn,
            Segment,
        },
        program::{MatrixRef, PROGRAM_VERSION, ProgramOutput, WeightVector},
    };

    /// 5,000 rows (two chunks) of one column within 10.
    fn manifest() -> Manifest {
        Manifest {
            version: MANIFEST_VERSION,
            name: "t".into(),
            params: DataParamsId::Data4096Tu3V1,
            commitment: CommitmentParamsId::FriBlake3V1,
            message_log2: 30,
            columns: vec![Column {
                name: "c".into(),
                kind: ColumnKind::Numeric,
                unit: String::new(),
                scale_log2: 0,
                min: -10,
                max: 10,
            }],
            public_columns: vec![PublicColumn {
                name: "1".into(),
                scale_log2: 0,
                values: vec![1],
            }],
            segments: vec![Segment {
                label: "all".into(),
                rows: 5_000,
                chunks: vec![Digest([1; 32]); 2],
                sum: Digest([2; 32]),
                traced: Digest([3; 32]),
                traced_bodies: vec![0],
            }],
            public_key_label: Digest([4; 32]),
            public_key_body: Digest([5; 32]),
            nonce: Digest([6; 32]),
        }
    }

    const LISTING: &str = "01900000-0000-7000-8000-000000000001";
    const OTHER: &str = "01900000-0000-7000-8000-000000000002";

    fn parsed(id: &str) -> Id {
        Id::parse(id).expect("an id")
    }

    #[test]
    fn a_listing_is_the_one_asked_for() {
        let m = manifest();
        let answer = |id: &str, root: Digest| json!({ "id": id, "title": "t", "dataset": root, "manifest": m });
        let good = listed(&parsed(LISTING), &answer(LISTING, m.root())).expect("good");
        assert_eq!(good.manifest.root(), m.root());
        let e = listed(&parsed(LISTING), &answer(OTHER, m.root())).unwrap_err();
        let said = e.to_string();
        assert!(said.contains(LISTING) && said.contains(OTHER), "{said}");
        assert!(listed(&parsed(LISTING), &answer(LISTING, Digest([9; 32]))).is_err());
    }

    #[test]
    fn a_pod_is_the_one_asked_for() {
        let (a, b) = (parsed(LISTING), parsed(OTHER));
        assert!(same_pod(&a, None).is_ok() && same_pod(&a, Some(&a)).is_ok());
        let said = same_pod(&a, Some(&b)).unwrap_err().to_string();
        assert!(said.contains(LISTING) && said.contains(OTHER), "{said}");
    }

    #[test]
    fn a_result_has_the_programs_shape() {
        // DOC-9, DOC-10, BUD-1: a sum and the scores of a short second chunk.
        let m = manifest();
        let over = [
            MatrixRef::Traced { segment: 0 },
            MatrixRef::Chunk {
                segment: 0,
                chunk: 1,
            },
        ];
        let program = Program {
            version: PROGRAM_VERSION,
            dataset: m.root(),
            vectors: vec![WeightVector {
                label: "v".into(),
                scale_log2: 0,
                weights: Weights::Public { values: vec![3, 1] },
            }],
            outputs: over.map(|over| ProgramOutput { over, vector: 0 }).to_vec(),
        };
        let rows = 5_000 - 4_096;
        let check = |sum: Vec<i64>, scores: Vec<i64>, delivered| {
            let outputs = [sum, scores].map(|values| OpenedOutput { values });
            match check_result(&m, &program, delivered, &outputs) {
                Err(ClientError::Result(e)) => Some(e),
                Err(other) => panic!("{other}"),
                Ok(()) => None,
            }
        };
        let all = 1 + rows as u64;
        // |3 x + 1| <= 31 a row: at the limit it is good.
        let (most, scores) = (5_000 * 31, vec![-31; rows]);
        assert_eq!(check(vec![most], scores.clone(), all), None);
        assert_eq!(check(vec![-most], scores.clone(), all), None);
        let range = |output, index, value, limit| ResultError::Range {
            output,
            index,
            value,
            limit,
        };
        for value in [most + 1, i64::MIN, i64::MAX] {
            let limit = most as u128;
            let found = check(vec![value], scores.clone(), all);
            assert_eq!(found, Some(range(0, 0, value, limit)));
        }
        let mut wide = scores.clone();
        wide[rows - 1] = 32;
        let found = check(vec![0], wide, all);
        assert_eq!(found, Some(range(1, rows - 1, 32, 31)));
        for found in [0, rows - 1, rows + 1, 4_096] {
            let expected = rows as u32;
            let short_or_long = check(vec![0], vec![0; found], all);
            let named = ResultError::Values {
                output: 1,
                expected,
                found,
            };
            assert_eq!(short_or_long, Some(named));
        }
        let named = ResultError::Values {
            output: 0,
            expected: 1,
            found: 2,
        };
        assert_eq!(check(vec![0, 0], scores.clone(), all), Some(named));
        let named = ResultError::Delivered {
            signed: all + 1,
            found: all,
        };
        assert_eq!(check(vec![0], scores, all + 1), Some(named));
        let one = [OpenedOutput { values: vec![0] }];
        let e = check_result(&m, &program, all, &one).unwrap_err();
        let named = ResultError::Outputs {
            expected: 2,
            found: 1,
        };
        assert!(matches!(e, ClientError::Result(e) if e == named));
    }
}
