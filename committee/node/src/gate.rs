//! The gate (KEY-2): everything that must hold before anything is opened, in
//! order, each failure its own refusal with a stable code. The same in both
//! custodies but for who opens: the dataset's key here, or a quorum's tickets
//! (KEY-8).

use crate::{
    admitted::Admitted,
    config::NodeConfig,
    quorum_gate::{self, Usable},
    refusal::GateRefusal,
    state::{Standing, State},
};
use rand_core::CryptoRng;
use veilbourse_core::{digest::Digest, program::MAX_OUTPUTS};
use veilbourse_documents::{
    Chain, OpenedResult, Openers, Policy, ResultContext, Signed, SrsProvenance, SrsRef,
    SubmittedDigest, api::NodeJob, demand, marketplace_id, seal_result,
};
use veilbourse_verifier::linear::{CircuitKey, PrivateArgument, required_circuits};

/// What this node knows of an order from before (KEY-7, KEY-11).
#[derive(Debug, Clone, Copy, Default)]
pub struct Past<'a> {
    /// The grant and outputs that it is opened for and no others: what it was
    /// spent for, or, of a committee's node, what it has signed an opening of.
    pub decided: Option<(&'a Digest, &'a [SubmittedDigest])>,
    /// Whether its values are counted already.
    pub counted: bool,
    /// What is left of the granted dealing, where it is usable here.
    pub tickets: Option<&'a Usable>,
}

/// Whether the node may act on a policy (KEY-6): of a dataset and custodian that
/// it serves, replaced by none seen before, valid by now.
/// Returns whether it is newer than those seen.
pub fn policy(
    config: &NodeConfig,
    state: &State,
    policy: &Signed<Policy>,
    now: u64,
) -> Result<bool, GateRefusal> {
    policy.verify_for(&marketplace_id(&config.marketplace))?;
    let body = &policy.body;
    config.serves(policy)?;
    let scope = config.scope(&body.dataset, &policy.key);
    let found = body.policy_version;
    let new = match state.standing(&scope, body, &policy.digest()?) {
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
    // DOC-12: what was dealt was paid for, and stays listed.
    match state.left_out(&scope, body) {
        Some(dealing) if new => Err(GateRefusal::DealingLeftOut { dealing }),
        _ => Ok(new),
    }
}

/// Checks everything that needs no part (KEY-2), before any is fetched.
pub fn admit<'a>(
    config: &NodeConfig,
    state: &State,
    job: &'a NodeJob,
    past: &Past<'_>,
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
    // KEY-8: whose orders this node opens at all.
    match (&config.seat, &order.openers) {
        (None, Openers::CustodianHeld { node_key }) if *node_key == here => {}
        (None, found) => {
            let found = found.to_string();
            return Err(GateRefusal::NodeKey { found });
        }
        (Some(seat), found) if *found == *seat.openers() => {}
        (Some(seat), found) => {
            return Err(GateRefusal::Committee {
                expected: seat.openers().to_string(),
                found: found.to_string(),
            });
        }
    }
    // A custodian's own node opens each order by itself: no sum would hide it.
    if config.seat.is_none() && !order.joint.is_empty() {
        return Err(GateRefusal::Joint {
            reason: "is for a committee".into(),
        });
    }
    // KEY-7: the decision to open was made in time: what only time has changed
    // since does not undo it.
    let decided = past.decided.is_some_and(|(g, _)| *g == grant_digest);
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
    if let Some((granted, outputs)) = past.decided
        && (*granted != grant_digest || outputs != grant.outputs)
    {
        return Err(GateRefusal::SecondOpening);
    }
    let scope = config.scope(&order.dataset, &job.policy.key);
    if !past.counted {
        let used = state.revealed(&scope);
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
    let class = match &config.seat {
        None => None,
        Some(seat) => Some(quorum_gate::check(seat, job, &demand, past)?),
    };
    let circuits = accepted_circuits(config, job)?;
    Ok(Admitted {
        job,
        order: order_digest,
        grant: grant_digest,
        demand,
        class,
        scope,
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
