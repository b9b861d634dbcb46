//! From an outcome that all members signed to what leaves this node: mask shares
//! sealed to the buyer (OPN-3, OPN-9), documents of each order, and their way to
//! the marketplace (KEY-11).

use super::{Inner, MemberError, opening::End};
use crate::{admitted::Admitted, series, state::Released};
use serde_json::Value;
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    Bytes, MaskedResult, SealedMasks,
    api::{Deliver, Delivered, OpenedByQuorum},
    seal_masks,
};
use veilbourse_peers::busy;
use veilbourse_protocol::{MaskShare, TicketPath};
use veilbourse_quorum::SignedOutcome;

impl Inner {
    /// Mask shares, alone or summed (OPN-9), sealed to the buyer; and what this
    /// node says of each order.
    pub(super) fn seal(
        &self,
        admitted: &[Box<Admitted<'_>>],
        opened: &[SignedOutcome],
    ) -> Result<Deliver, MemberError> {
        let signer = self.signer();
        let (mut shares, mut said) = (Vec::new(), Vec::new());
        for (one, signed) in admitted.iter().zip(opened) {
            let released = busy(|| {
                self.served(one)?
                    .keeper
                    .release(signed)
                    .map_err(MemberError::from)
            })?;
            let (mut masks, mut paths): (Vec<MaskShare>, Vec<TicketPath>) = Default::default();
            for r in released {
                masks.push(r.mask);
                paths.push(r.path);
            }
            let outcome = signed.outcome();
            let masked = MaskedResult::new(&outcome.y, &paths);
            let masked = masked.ok_or(MemberError::Masked { order: one.order })?;
            let opening = signer.opening(outcome);
            let opening = opening.map_err(|reason| MemberError::Signing { reason })?;
            shares.push(masks);
            said.push((
                outcome.session,
                OpenedByQuorum {
                    opening,
                    masked: Bytes(masked.encode()),
                },
            ));
        }
        let masks = sums(&shares);
        let sessions: Vec<Digest> = said.iter().map(|(s, _)| *s).collect();
        let context = SealedMasks {
            sessions: &sessions,
            node_key: self.node_key,
        };
        let key = admitted.first().map(|a| &a.job.order.body.result_key.0);
        let key = key.map_or(&[][..], |k| k);
        let sealed = seal_masks(&masks, key, &context, &mut self.fork())?;
        let node = self.node();
        let orders = admitted.iter().zip(said).map(|(one, (session, opened))| {
            Ok(Delivered {
                delivery: node.delivery(one, session, &sealed)?,
                opened: Some(opened),
            })
        });
        Ok(Deliver {
            orders: orders.collect::<Result<_, MemberError>>()?,
            sealed_result: Bytes(sealed),
        })
    }

    /// Sends what is on disk. The marketplace has it, does not want it any more,
    /// or cannot be reached: then it is sent again later.
    pub(super) async fn hand_in(
        &self,
        first: Digest,
        released: &Released,
    ) -> Result<End, MemberError> {
        let path = format!("/v1/node/jobs/{}/delivery", released.order_id);
        let sent: Result<Option<Value>, _> = self.machine.post(&path, &*released.deliver).await;
        match sent {
            // Once, however often it was sent.
            Ok(_) if !released.handed => series::delivered(released.deliver.orders.len()),
            Ok(_) => {}
            Err(e) if e.transient() || e.code().is_none() => return Err(e.into()),
            Err(e) => tracing::warn!(order = %first, error = %e, "delivery not taken"),
        }
        if !released.handed {
            busy(|| self.node().handed(first))?;
        }
        Ok(End::Delivered)
    }
}

/// Value by value over the orders (OPN-9).
fn sums(shares: &[Vec<MaskShare>]) -> Vec<MaskShare> {
    let count = shares.iter().map(Vec::len).min().unwrap_or_default();
    let of = |i: usize| MaskShare::sum(shares.iter().filter_map(|s| s.get(i)));
    (0..count).map(of).collect()
}
