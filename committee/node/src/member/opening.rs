//! From a lease to a delivery (KEY-11): this node's gate, then the quorum's
//! session, the signatures of all, the mask shares sealed to the buyer, the
//! delivery on disk, and the delivery sent.

use super::{
    Inner, MemberError,
    finish::opened_request,
    ledger::{Facts, Judged},
    rendezvous::What,
    signer::OpeningSigner,
    stores::{Served, usable},
};
use crate::{admitted::Admitted, refusal::GateRefusal, run::fetch, series, state::Released};
use futures::future::join_all;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    Id, NonDelivery, Opener, Signed,
    api::{NodeJob, NodeJobs, Refuse},
};
use veilbourse_peers::busy;
use veilbourse_quorum::{Output, Request, SignedOutcome};
use veilbourse_ticket_store::SessionStage;

/// How often a lease's sessions are tried again; then with the next lease.
const AGAIN: u32 = 3;

/// How a lease ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Delivered; the marketplace has it, or gets it later.
    Delivered,
    /// Refused: code and reason.
    Refused(String, String),
    /// This node is at work on the order already.
    UnderWay,
}

/// The orders that a task is at work on.
pub(super) struct UnderWay<'a> {
    inner: &'a Inner,
    orders: Vec<Digest>,
}

impl<'a> UnderWay<'a> {
    /// Until it is dropped nobody else begins with these; none, where somebody is
    /// at work on one of them.
    pub(super) fn begin(inner: &'a Inner, orders: Vec<Digest>) -> Option<Self> {
        let mut at_work = inner.at_work();
        if orders.iter().any(|o| at_work.contains(o)) {
            return None;
        }
        at_work.extend(orders.iter().copied());
        drop(at_work);
        Some(Self { inner, orders })
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut at_work = self.inner.at_work();
        at_work.retain(|o| !self.orders.contains(o));
    }
}

impl Inner {
    /// Asks for work; none when there is none.
    pub(super) async fn lease(&self) -> Result<Option<NodeJobs>, MemberError> {
        let none = serde_json::json!({});
        Ok(self.machine.post("/v1/node/lease", &none).await?)
    }

    /// Does the jobs of one lease.
    pub(super) async fn work(&self, jobs: Vec<NodeJob>) -> Result<End, MemberError> {
        let orders = jobs.iter().map(|j| Ok(j.order.digest()?));
        let orders: Vec<Digest> = orders.collect::<Result<_, MemberError>>()?;
        let Some(first) = orders.first().copied() else {
            return Ok(End::UnderWay);
        };
        let Some(_under_way) = UnderWay::begin(self, orders) else {
            return Ok(End::UnderWay);
        };
        let mut admitted = match self.judge(&jobs)? {
            Judged::Released(released) => return self.hand_in(first, &released).await,
            Judged::Refused(refusals) => return self.tell(&jobs, refusals).await,
            Judged::Admitted(admitted) => admitted,
        };
        for one in &mut admitted {
            if let Err(refusal) = fetch(&self.machine, one.job, one).await? {
                return self.refuse(&jobs, &refusal).await;
            }
        }
        for one in &admitted {
            let served = self.served(one)?;
            self.greet_all(&served).await;
        }
        let mut again = AGAIN;
        let opened = loop {
            // Fetching took its time, and so does a session: a grant may be over,
            // a policy replaced, a quota spent for another order. Judged again and
            // counted, in one.
            match self.judge_and_spend(&jobs, &admitted)? {
                Judged::Released(released) => return self.hand_in(first, &released).await,
                Judged::Refused(refusals) => return self.tell(&jobs, refusals).await,
                Judged::Admitted(_) => {}
            }
            // KEY-11, KEY-13: of all orders of the lease, before any is opened again.
            // The gate has let the later grant through, and it is on disk that it has.
            for one in &admitted {
                self.forgo(&one.order, Some(&one.grant), "for a later grant")?;
            }
            // All to their end: a session that is cut off may freeze its quorum.
            let opened = join_all(admitted.iter().map(|one| self.open(one))).await;
            match opened.into_iter().collect::<Result<Vec<_>, _>>() {
                Ok(opened) => break opened,
                // A session that ended: the members are there, and try again.
                Err(MemberError::Quorum(e)) if again > 0 => {
                    again -= 1;
                    tracing::warn!(order = %first, error = %e, "session: tried again");
                }
                Err(e) => return Err(e),
            }
        };
        let deliver = self.seal(&admitted, &opened)?;
        let released = {
            let order_id = order_id(&jobs)?;
            let requests = admitted.iter().map(|one| opened_request(one));
            let requests: Vec<_> = requests.collect::<Result<_, _>>()?;
            let (id, said) = (order_id.clone(), deliver.clone());
            busy(|| self.node().released(id, said, requests))?;
            Released {
                order_id,
                deliver: Box::new(deliver),
                requests: Vec::new(),
                handed: false,
            }
        };
        self.hand_in(first, &released).await
    }

    fn judge<'a>(&self, jobs: &'a [NodeJob]) -> Result<Judged<'a>, MemberError> {
        let facts = self.facts(jobs)?;
        let (now, mut rng) = (self.machine.now(), self.fork());
        Ok(busy(|| self.node().judge(jobs, &facts, now, &mut rng))?)
    }

    fn judge_and_spend<'a>(
        &self,
        jobs: &'a [NodeJob],
        admitted: &[Box<Admitted<'_>>],
    ) -> Result<Judged<'a>, MemberError> {
        let facts = self.facts(jobs)?;
        let (now, mut rng) = (self.machine.now(), self.fork());
        busy(|| {
            let mut node = self.node();
            let judged = node.judge(jobs, &facts, now, &mut rng)?;
            if let Judged::Admitted(_) = &judged {
                node.spend(admitted)?;
            }
            Ok(judged)
        })
    }

    /// What the stores say of the jobs. Whatever a job says of its policy: an
    /// opening that was signed is one, in whichever store.
    fn facts(&self, jobs: &[NodeJob]) -> Result<Vec<Facts>, MemberError> {
        let all = self.stores.all();
        let facts = jobs.iter().map(|job| {
            let order = job.order.digest()?;
            let grant = job.grant.digest()?;
            let signed = all.iter().find_map(|s| signed(s, &order));
            let forgone = all.iter().any(|s| forwent(s, &order, &grant));
            let scope = crate::dealt_by(&job.order.body.dataset, &job.policy.key);
            let tickets = match &job.grant.body.opener {
                Opener::Committee { dealing, .. } => {
                    let served = all.iter().find(|s| s.scope == scope);
                    served.and_then(|s| usable(s, dealing))
                }
                Opener::CustodianHeld { .. } => None,
            };
            Ok(Facts {
                signed: signed.map(|s| s.grant),
                released: signed.is_some_and(|s| s.released),
                forgone,
                tickets,
            })
        });
        facts.collect()
    }

    /// OPN-6: what this node signed of an order and did not release, it gives up
    /// for good, but what is under the grant to `keep`.
    pub(super) fn forgo(
        &self,
        order: &Digest,
        keep: Option<&Digest>,
        why: &str,
    ) -> Result<(), MemberError> {
        for served in self.stores.all() {
            let owed: Vec<(Digest, Digest)> = served.keeper.read(|store| {
                let owed = store.owed(order).into_iter();
                owed.map(|s| (s.spent.session, s.spent.grant)).collect()
            });
            for (session, _) in owed.into_iter().filter(|(_, g)| Some(g) != keep) {
                served.keeper.forgo(&session)?;
                tracing::info!(%order, %session, why, "forgone");
            }
        }
        Ok(())
    }

    pub(super) fn served(&self, one: &Admitted<'_>) -> Result<Arc<Served>, MemberError> {
        let scope = one.scope;
        self.stores
            .get(&scope)
            .ok_or(MemberError::NoStore { scope })
    }

    async fn refuse(&self, jobs: &[NodeJob], refusal: &GateRefusal) -> Result<End, MemberError> {
        let facts = self.facts(jobs)?;
        let refusals = busy(|| self.node().refuse_all(jobs, &facts, refusal))?;
        self.tell(jobs, refusals).await
    }

    /// Each order's refusal by itself.
    async fn tell(
        &self,
        jobs: &[NodeJob],
        refusals: Vec<Signed<NonDelivery>>,
    ) -> Result<End, MemberError> {
        let first = refusals.first().map(|r| &r.body);
        let (code, reason) =
            first.map_or_else(Default::default, |r| (r.code.clone(), r.reason.clone()));
        for (job, refusal) in jobs.iter().zip(refusals) {
            let path = format!("/v1/node/jobs/{}/non-delivery", job.order_id);
            let code = refusal.body.code.clone();
            let _: Option<Value> = self.machine.post(&path, &Refuse { refusal }).await?;
            series::refused(code);
        }
        Ok(End::Refused(code, reason))
    }

    /// One order, opened and signed by its quorum.
    async fn open(&self, one: &Admitted<'_>) -> Result<SignedOutcome, MemberError> {
        let served = self.served(one)?;
        let mut request = request(one)?;
        let members = match &one.job.grant.body.opener {
            Opener::Committee { quorum, .. } => quorum.clone(),
            Opener::CustodianHeld { .. } => Vec::new(),
        };
        let about = request.digest();
        self.remember(&opened_request(one)?);
        let what = match signed(&served, &one.order) {
            Some(_) => What::Resume,
            None => What::Open,
        };
        // What is not signed is begun while the grant lasts, and not after.
        let left = one
            .job
            .grant
            .body
            .expires
            .saturating_sub(self.machine.now());
        let patience = match what {
            What::Open => self.config.patience.min(Duration::from_millis(left)),
            _ => self.config.patience,
        };
        let met = self
            .meet_within(what, &served.scope, &members, &about, patience)
            .await?;
        request.trial = met.trial;
        if what == What::Open {
            // The marketplace chooses when the others are there: the next lease
            // is refused for what has changed meanwhile.
            let now = self.machine.now();
            let still = busy(|| self.node().still(one, now));
            still.map_err(MemberError::Gate)?;
        }
        let signer = self.signer();
        let opened = match what {
            What::Resume => {
                served
                    .keeper
                    .resume(&self.endpoint, &signer, &request)
                    .await
            }
            _ => {
                let entropy = self.entropy();
                let keeper = &served.keeper;
                keeper
                    .open(&self.endpoint, &signer, &request, entropy)
                    .await
            }
        };
        drop(met);
        Ok(opened?)
    }

    pub(super) fn signer(&self) -> OpeningSigner<'_> {
        OpeningSigner {
            committee: &self.committee,
            signing: &self.signing,
        }
    }
}

fn order_id(jobs: &[NodeJob]) -> Result<Id, MemberError> {
    let first = jobs.first().map(|j| j.order_id.clone());
    first.ok_or(MemberError::NoJob)
}

/// An opening of an order that this node has signed and did not forgo.
#[derive(Debug, Clone, Copy)]
pub(super) struct SignedOpening {
    /// The grant that it is under.
    pub(super) grant: Digest,
    /// Whether its mask shares were released.
    pub(super) released: bool,
}

/// What this node has signed of an order in one store.
pub(super) fn signed(served: &Served, order: &Digest) -> Option<SignedOpening> {
    served.keeper.read(|store| {
        let session = store.latest(order, 0)?;
        let released = match session.stage {
            SessionStage::Signed(_) => false,
            SessionStage::Released(_) => true,
            _ => return None,
        };
        let grant = session.spent.grant;
        Some(SignedOpening { grant, released })
    })
}

/// Whether what it signed under a grant was forgone.
pub(super) fn forwent(served: &Served, order: &Digest, grant: &Digest) -> bool {
    served.keeper.read(|store| store.forwent(order, grant))
}

pub(super) fn request(one: &Admitted<'_>) -> Result<Request, MemberError> {
    let grant = &one.job.grant.body;
    let dealing = match &grant.opener {
        Opener::Committee { dealing, .. } => *dealing,
        Opener::CustodianHeld { .. } => Digest::default(),
    };
    let proven = one.proven().map_err(MemberError::Gate)?;
    let outputs = proven.iter().zip(&grant.outputs).zip(0u32..);
    Ok(Request {
        dealing,
        order: one.order,
        grant: one.grant,
        policy: grant.policy,
        outputs: outputs
            .map(|((ciphertext, granted), index)| Output {
                index,
                digest: granted.ciphertext,
                ciphertext: ciphertext.clone(),
            })
            .collect(),
        trial: 0,
    })
}
