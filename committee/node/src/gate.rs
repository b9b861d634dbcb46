//! The gate (KEY-2): everything that must hold before the secret key is
//! touched, in order, each failure its own refusal with a stable code.

use crate::{
    node::NodeConfig,
    state::{Standing, State},
};
use rand_core::CryptoRng;
use thiserror::Error;
use veilbourse_core::{
    ciphertext::{OutputCiphertext, PublicKey},
    digest::Digest,
    program::MAX_OUTPUTS,
    wire::WireError,
};
use veilbourse_documents::{
    Chain, Demand, DemandError, DocumentError, Id, OpenedResult, Policy, ResultContext, Signed,
    SrsProvenance, SrsRef, SubmittedDigest, api::NodeJob, demand, marketplace_id, seal_result,
};
use veilbourse_verifier::{
    Envelope, Kind, Refusal,
    linear::{
        CircuitKey, OrderContext, PrivateArgument, check_public_key, linear_body_limit,
        required_circuits,
    },
};

/// The binary parts of a job, all at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// The dataset's public key.
    pub public_key: Vec<u8>,
    /// Each output's ciphertext.
    pub ciphertexts: Vec<Vec<u8>>,
    /// Each output's envelope.
    pub envelopes: Vec<Vec<u8>>,
}

macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $name:ident $({ $($field:ident : $ty:ty),* })? => $code:literal, $message:literal;)*) => {
        /// Why the gate stays shut.
        #[derive(Debug, Error, Clone, PartialEq)]
        pub enum GateRefusal {
            $($(#[doc = $doc])+ #[error($message)] $name $({ $(#[doc = "Named in the message."] $field: $ty),* })?,)*
        }
        impl GateRefusal {
            /// The stable code that a non-delivery carries.
            pub fn code(&self) -> &'static str {
                match self { $(Self::$name $({ $($field: _),* })? => $code,)* }
            }
        }
    };
}

refusals! {
    /// Form, signature or link of a document.
    Document { cause: DocumentError } => "DOCUMENT", "{cause}";
    /// A dataset whose key is not here.
    DatasetUnknown { dataset: Digest } => "DATASET_UNKNOWN", "this node holds no key of dataset {dataset}";
    /// The policy is not signed by the custodian pinned here.
    CustodianKey { expected: String, found: String } => "CUSTODIAN_KEY", "policy signed by {found}, the custodian pinned here is {expected}";
    /// Older than one seen before.
    PolicyOld { seen: u32, found: u32 } => "POLICY_OLD", "policy version {found}, version {seen} was seen before";
    /// The custodian signed another one of the same version.
    PolicyConflict { version: u32 } => "POLICY_CONFLICT", "another policy of version {version} was seen before";
    /// Another listing of the dataset has a newer policy.
    PolicyReplaced { listing: Id, seen: u64, found: u64 } => "POLICY_OLD", "policy valid from {found}, one of listing {listing} valid from {seen} was seen before";
    /// Not valid yet.
    PolicyEarly { valid_from: u64, now: u64 } => "POLICY_EARLY", "policy is valid from {valid_from} (now {now})";
    /// The manifest breaks its own rules.
    Manifest { cause: WireError } => "MANIFEST", "manifest: {cause}";
    /// The manifest is of another dataset.
    ManifestRoot { expected: Digest, found: Digest } => "MANIFEST_ROOT", "the manifest has root {found}, the order names {expected}";
    /// Another node is named.
    NodeKey { found: String } => "NODE_KEY", "the order names node key {found}, not this node's";
    /// The grant is over.
    GrantExpired { expires: u64, now: u64 } => "GRANT_EXPIRED", "the grant expired at {expires} (now {now})";
    /// The nonce was spent for another order.
    NonceReplayed { order: Digest } => "NONCE_REPLAYED", "the nonce was spent for order {order}";
    /// Another grant or other outputs than the values were spent for.
    SecondOpening => "SECOND_OPENING", "this order was spent for another grant or other outputs";
    /// Query kind, cohort, conformance or budget.
    Program { cause: DemandError } => "PROGRAM", "program: {cause}";
    /// A result key that nothing can be sealed to.
    ResultKey => "RESULT_KEY", "nothing can be sealed to the order's result key";
    /// Not the price that the custodian's policy asks.
    Price { expected: i64, found: i64 } => "PRICE", "quoted at {found} minor units, the policy asks {expected}";
    /// Beyond the policy's quota, by this node's own count.
    Quota { what: &'static str, left: u64, needed: u64 } => "QUOTA", "{what} left {left}, needed {needed}";
    /// A reference string that this node does not accept.
    SrsNotAccepted { found: Digest } => "SRS_NOT_ACCEPTED", "SRS {found} is not accepted here";
    /// A local reference string, where this node wants a ceremony.
    SrsDev => "SRS_DEV", "a dev SRS is refused here";
    /// A verifying key that this node does not accept, or not what the program needs.
    VerifyingKey { reason: String } => "VERIFYING_KEY", "verifying keys: {reason}";
    /// The public key.
    PublicKey { reason: String } => "PUBLIC_KEY", "public key: {reason}";
    /// Another number of outputs than granted.
    OutputCount { expected: usize, found: usize } => "OUTPUT_COUNT", "{found} outputs, granted {expected}";
    /// More outputs than a program can have.
    OutputLimit { limit: usize, found: usize } => "OUTPUT_COUNT", "{found} outputs, a program has at most {limit}";
    /// A ciphertext or envelope that is not the granted one.
    OutputDigest { index: u32, what: &'static str } => "OUTPUT_DIGEST", "output {index}: the {what} is not the granted one";
    /// A proof does not verify.
    Proof { index: u32, cause: Refusal } => "PROOF", "output {index}: {cause}";
    /// A value outside its proven range: never within the budget.
    Decryption { reason: String } => "DECRYPTION", "decryption: {reason}";
}

impl From<DocumentError> for GateRefusal {
    fn from(cause: DocumentError) -> Self {
        Self::Document { cause }
    }
}

/// An order that may be opened once its parts hold: every check of the gate that
/// needs no part has passed. Parts are taken one by one, so that the node holds
/// one envelope and the ciphertexts proven so far, at most 64 MiB.
#[derive(Debug)]
pub struct Admitted<'a> {
    pub(crate) job: &'a NodeJob,
    /// Digest of the order.
    pub(crate) order: Digest,
    /// Digest of the grant.
    pub(crate) grant: Digest,
    /// What it opens.
    pub(crate) demand: Demand,
    circuits: Vec<CircuitKey>,
    public_key: Option<PublicKey>,
    /// The ciphertext whose proof comes next.
    pending: Option<Vec<u8>>,
    proven: Vec<OutputCiphertext>,
}

impl GateRefusal {
    /// Refused for a policy that was replaced meanwhile, or by the clock.
    fn is_of_time(&self) -> bool {
        matches!(
            self,
            Self::PolicyOld { .. }
                | Self::PolicyConflict { .. }
                | Self::PolicyReplaced { .. }
                | Self::PolicyEarly { .. }
        )
    }
}

/// Whether the node may act on a policy (KEY-6): its own dataset's, signed by
/// the custodian pinned here, replaced by none seen before, valid by now.
/// Returns whether it is newer than those seen.
pub fn policy(
    config: &NodeConfig,
    state: &State,
    policy: &Signed<Policy>,
    now: u64,
) -> Result<bool, GateRefusal> {
    policy.verify_for(&marketplace_id(&config.marketplace))?;
    let body = &policy.body;
    let dataset = body.dataset;
    let held = config
        .datasets
        .get(&dataset)
        .ok_or(GateRefusal::DatasetUnknown { dataset })?;
    if policy.key != held.custodian {
        return Err(GateRefusal::CustodianKey {
            expected: held.custodian.to_string(),
            found: policy.key.to_string(),
        });
    }
    let found = body.policy_version;
    let new = match state.standing(body, &policy.digest()?) {
        Standing::New => true,
        Standing::Current => false,
        Standing::Older { seen } => return Err(GateRefusal::PolicyOld { seen, found }),
        Standing::Conflicting => return Err(GateRefusal::PolicyConflict { version: found }),
        Standing::Replaced {
            listing,
            valid_from: seen,
        } => {
            return Err(GateRefusal::PolicyReplaced {
                listing,
                seen,
                found: body.valid_from,
            });
        }
    };
    if now < body.valid_from {
        return Err(GateRefusal::PolicyEarly {
            valid_from: body.valid_from,
            now,
        });
    }
    Ok(new)
}

/// Checks everything that needs no part (KEY-2), before any is fetched.
pub fn admit<'a>(
    config: &NodeConfig,
    state: &State,
    job: &'a NodeJob,
    now: u64,
    rng: &mut impl CryptoRng,
) -> Result<Admitted<'a>, GateRefusal> {
    // Lists first: nothing below takes long on what has their length.
    let limit = MAX_OUTPUTS as usize;
    for found in [
        job.order.body.program.outputs.len(),
        job.submission.body.outputs.len(),
        job.grant.body.outputs.len(),
    ] {
        if found > limit {
            return Err(GateRefusal::OutputLimit { limit, found });
        }
    }
    // Documents, under the marketplace's pinned key.
    let chain = Chain {
        marketplace: &config.marketplace,
        policy: &job.policy,
        quote: &job.quote,
        order: &job.order,
    };
    let order_digest = chain.check()?;
    let grant_digest = chain.check_grant(&job.submission, &job.grant)?;
    let (policy, order, grant) = (&job.policy.body, &job.order.body, &job.grant.body);
    let here = config.node_key();
    if order.node_key != here {
        return Err(GateRefusal::NodeKey {
            found: order.node_key.to_string(),
        });
    }
    // KEY-7: the decision to open was made in time, when it was spent for: what
    // only time has changed since does not undo it.
    let spent = state.spent(&order_digest);
    let decided = spent.is_some_and(|s| s.grant == grant_digest);
    match self::policy(config, state, &job.policy, now) {
        Err(e) if !(decided && e.is_of_time()) => return Err(e),
        _ => {}
    }
    job.manifest
        .validate()
        .map_err(|cause| GateRefusal::Manifest { cause })?;
    let root = job.manifest.root();
    if root != order.dataset {
        return Err(GateRefusal::ManifestRoot {
            expected: order.dataset,
            found: root,
        });
    }
    if now >= grant.expires && !decided {
        return Err(GateRefusal::GrantExpired {
            expires: grant.expires,
            now,
        });
    }
    // Once, and only this.
    if let Some(spent_for) = state.nonce(&order.nonce)
        && *spent_for != order_digest
    {
        return Err(GateRefusal::NonceReplayed { order: *spent_for });
    }
    let demand = demand(
        &job.manifest,
        &order.program,
        &policy.kinds,
        policy.min_cohort,
    )
    .map_err(|cause| GateRefusal::Program { cause })?;
    // Marketplace and buyer may not agree a price between themselves.
    let found = job.quote.body.price.total;
    let expected = policy.price_of(demand.values);
    if found != expected {
        return Err(GateRefusal::Price { expected, found });
    }
    // Whatever would keep a decrypted result from its buyer is found before
    // anything is spent.
    let context = ResultContext {
        order: order_digest,
        grant: grant_digest,
        node_key: here,
    };
    let nothing = OpenedResult {
        outputs: Vec::new(),
    };
    seal_result(&nothing, &order.result_key.0, &context, rng)
        .map_err(|_| GateRefusal::ResultKey)?;
    match spent {
        Some(spent) if spent.grant != grant_digest || spent.outputs != grant.outputs => {
            return Err(GateRefusal::SecondOpening);
        }
        Some(_) => {}
        None => {
            let used = state.revealed(&order.dataset);
            for (what, quota, used, needed) in [
                ("values", policy.quota_values, used.values, demand.values),
                ("bits", policy.quota_bits, used.bits, demand.bits),
            ] {
                let left = quota.saturating_sub(used);
                if needed > left {
                    return Err(GateRefusal::Quota { what, left, needed });
                }
            }
        }
    }
    let circuits = accepted_circuits(config, job)?;
    Ok(Admitted {
        job,
        order: order_digest,
        grant: grant_digest,
        demand,
        circuits,
        public_key: None,
        pending: None,
        proven: Vec::new(),
    })
}

/// Whether this node rests on a reference string (KEY-2): the one of its own
/// configuration, whose ceremony was checked there, and a dev string only where
/// its operator accepts that by name.
pub fn reference_string(config: &NodeConfig, found: &SrsRef) -> Result<(), GateRefusal> {
    if *found != config.accepted.srs {
        return Err(GateRefusal::SrsNotAccepted {
            found: found.digest,
        });
    }
    if found.provenance == SrsProvenance::Dev && !config.accept_dev_srs {
        return Err(GateRefusal::SrsDev);
    }
    Ok(())
}

/// The verifying keys come from this node's own configuration.
fn accepted_circuits(config: &NodeConfig, job: &NodeJob) -> Result<Vec<CircuitKey>, GateRefusal> {
    let order = &job.order.body;
    let required = required_circuits(&job.manifest, &order.program);
    if required.is_empty() {
        if order.verifying_keys.is_empty() {
            return Ok(Vec::new());
        }
        return Err(GateRefusal::VerifyingKey {
            reason: "none is needed, some are named".into(),
        });
    }
    reference_string(config, &order.srs)?;
    let mut circuits = Vec::new();
    for digest in &order.verifying_keys {
        let key = config
            .circuits
            .iter()
            .find(|c| c.digest() == *digest)
            .ok_or_else(|| GateRefusal::VerifyingKey {
                reason: format!("{digest} is not accepted here"),
            })?;
        circuits.push(key.clone());
    }
    let kinds: Vec<_> = circuits.iter().map(|c| (c.kind(), c.class())).collect();
    if kinds != required {
        return Err(GateRefusal::VerifyingKey {
            reason: format!("are for {kinds:?}, the program needs {required:?}"),
        });
    }
    Ok(circuits)
}

impl Admitted<'_> {
    /// Outputs granted.
    pub fn outputs(&self) -> usize {
        self.job.grant.body.outputs.len()
    }

    /// The dataset's public key: the manifest's.
    pub fn take_public_key(&mut self, bytes: &[u8]) -> Result<(), GateRefusal> {
        let key = PublicKey::decode(bytes).map_err(|e| GateRefusal::PublicKey {
            reason: e.to_string(),
        })?;
        check_public_key(&self.job.manifest, &key).map_err(|e| GateRefusal::PublicKey {
            reason: e.to_string(),
        })?;
        self.public_key = Some(key);
        Ok(())
    }

    /// The next output: its index and what was granted of it.
    fn next(&self) -> Result<(u32, &SubmittedDigest), GateRefusal> {
        let (expected, index) = (self.outputs(), self.proven.len());
        let granted = self.job.grant.body.outputs.get(index);
        granted
            .map(|g| (index as u32, g))
            .ok_or(GateRefusal::OutputCount {
                expected,
                found: index.saturating_add(1),
            })
    }

    fn context(&self) -> Result<OrderContext<'_>, GateRefusal> {
        let public_key = self.public_key.as_ref().ok_or(GateRefusal::PublicKey {
            reason: "not taken yet".into(),
        })?;
        Ok(OrderContext {
            manifest: &self.job.manifest,
            program: &self.job.order.body.program,
            order: self.order,
            public_key,
            circuits: &self.circuits,
            srs: self.job.order.body.srs.digest,
        })
    }

    /// The next output's ciphertext: the granted one. Returns the most bytes
    /// that its envelope can have.
    pub fn take_ciphertext(&mut self, bytes: Vec<u8>) -> Result<u64, GateRefusal> {
        let (index, granted) = self.next()?;
        let refuse = |cause| GateRefusal::Proof { index, cause };
        let decoded = OutputCiphertext::decode(&bytes).map_err(|e| refuse(Refusal::Wire(e)))?;
        if decoded.digest() != granted.ciphertext {
            return Err(GateRefusal::OutputDigest {
                index,
                what: "ciphertext",
            });
        }
        let statement = self.context()?.statement(index, decoded).map_err(refuse)?;
        let matrix = statement.conform(&self.job.manifest).map_err(refuse)?;
        let body = linear_body_limit(&statement.visibility, &matrix);
        let empty = Envelope {
            kind: Kind::Linear,
            statement: Digest::default(),
            body: Vec::new(),
        };
        self.pending = Some(bytes);
        Ok(body.saturating_add(empty.encode().len() as u64))
    }

    /// The envelope that proves the ciphertext just taken.
    pub fn take_envelope(&mut self, bytes: &[u8]) -> Result<(), GateRefusal> {
        let pending = self.pending.take().ok_or(GateRefusal::OutputCount {
            expected: self.outputs(),
            found: self.proven.len(),
        })?;
        let (index, granted) = self.next()?;
        if Envelope::digest(bytes) != granted.envelope {
            return Err(GateRefusal::OutputDigest {
                index,
                what: "envelope",
            });
        }
        let proven = self
            .context()?
            .verify_output(index, &pending, bytes)
            .map_err(|cause| GateRefusal::Proof { index, cause })?;
        self.proven.push(proven.into_statement().ciphertext);
        Ok(())
    }

    /// All parts at once.
    pub fn take(&mut self, parts: &Parts) -> Result<(), GateRefusal> {
        self.take_public_key(&parts.public_key)?;
        let expected = self.outputs();
        for found in [parts.ciphertexts.len(), parts.envelopes.len()] {
            if found != expected {
                return Err(GateRefusal::OutputCount { expected, found });
            }
        }
        for (ciphertext, envelope) in parts.ciphertexts.iter().zip(&parts.envelopes) {
            self.take_ciphertext(ciphertext.clone())?;
            self.take_envelope(envelope)?;
        }
        Ok(())
    }

    /// The ciphertexts, when every one is proven.
    pub(crate) fn proven(&self) -> Result<&[OutputCiphertext], GateRefusal> {
        let (expected, found) = (self.outputs(), self.proven.len());
        if found != expected {
            return Err(GateRefusal::OutputCount { expected, found });
        }
        Ok(&self.proven)
    }
}
