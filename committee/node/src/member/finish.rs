//! What was signed here, and perhaps released, is finished with a member that
//! crashed (QRM-5, KEY-12): it says that it is ready, and this node knows from
//! its log what for.

use super::{
    Inner, MemberError,
    opening::{forwent, request, signed},
    rendezvous::{What, name},
};
use crate::{admitted::Admitted, log::OpenedRequest, state::State};
use std::{collections::VecDeque, sync::Arc};
use veilbourse_core::{
    ciphertext::{Glwe, OutputCiphertext},
    digest::Digest,
};
use veilbourse_documents::Opener;
use veilbourse_quorum::{Output, Request};

/// An order that a quorum opened or is to open, as a peer may ask for it again
/// (QRM-5).
pub(super) struct Known {
    pub(super) name: Digest,
    pub(super) scope: Digest,
    pub(super) members: Vec<u8>,
    pub(super) request: Request,
}

impl Known {
    fn new(opened: &OpenedRequest) -> Self {
        let outputs = opened.outputs.iter().zip(0u32..);
        let request = Request {
            dealing: opened.dealing,
            order: opened.order,
            grant: opened.grant,
            policy: opened.policy,
            outputs: outputs
                .map(|((digest, values), index)| Output {
                    index,
                    digest: *digest,
                    // Of a ciphertext a request's digest has its values alone.
                    ciphertext: OutputCiphertext::Rows {
                        glwe: Glwe::default(),
                        rows: *values,
                    },
                })
                .collect(),
            trial: 0,
        };
        let about = request.digest();
        Self {
            name: name(What::Resume, &opened.scope, &opened.quorum, &about),
            scope: opened.scope,
            members: opened.quorum.clone(),
            request,
        }
    }
}

/// What was released before the node started.
pub(super) fn known(state: &State) -> VecDeque<Arc<Known>> {
    let all = state.all_released().flat_map(|r| &r.requests);
    all.take(super::KNOWN)
        .map(|r| Arc::new(Known::new(r)))
        .collect()
}

impl Inner {
    /// Keeps what a peer may need to finish after a crash.
    pub(super) fn remember(&self, opened: &OpenedRequest) {
        let known = Known::new(opened);
        let mut all = self.known();
        all.retain(|k| k.name != known.name);
        if all.len() >= super::KNOWN {
            all.pop_front();
        }
        all.push_back(Arc::new(known));
    }

    /// A peer finishes what this node has signed, and perhaps released, already.
    pub(super) async fn finish_with(&self, known: &Known) -> Result<(), MemberError> {
        let scope = known.scope;
        let served = self
            .stores
            .get(&scope)
            .ok_or(MemberError::NoStore { scope })?;
        let order = known.request.order;
        // What was forgone is said to who asks (QRM-5).
        let known_of =
            signed(&served, &order).is_some() || forwent(&served, &order, &known.request.grant);
        if !known_of || self.at_work().contains(&order) {
            return Ok(());
        }
        let about = known.request.digest();
        let met = self
            .meet(What::Resume, &scope, &known.members, &about)
            .await?;
        let mut request = known.request.clone();
        request.trial = met.trial;
        let signer = self.signer();
        served
            .keeper
            .resume(&self.endpoint, &signer, &request)
            .await?;
        Ok(())
    }
}

/// The same without the ciphertexts.
pub(super) fn opened_request(one: &Admitted<'_>) -> Result<OpenedRequest, MemberError> {
    let request = request(one)?;
    let quorum = match &one.job.grant.body.opener {
        Opener::Committee { quorum, .. } => quorum.clone(),
        Opener::CustodianHeld { .. } => Vec::new(),
    };
    let outputs = request.outputs.iter();
    Ok(OpenedRequest {
        scope: one.scope,
        quorum,
        dealing: request.dealing,
        order: request.order,
        grant: request.grant,
        policy: request.policy,
        outputs: outputs.map(|o| (o.digest, o.ciphertext.values())).collect(),
    })
}
