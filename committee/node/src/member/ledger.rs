//! A committee's node and its log (KEY-8, KEY-11): which jobs it may open, what
//! is counted before it does, what it refuses, what it delivers. No network: the
//! ticket store's answers come as [`Facts`].

use crate::{
    admitted::Admitted,
    gate::{self, Past},
    log::{OpenedRequest, Record},
    node::{KeyNode, NodeError},
    quorum_gate::{self, Usable},
    refusal::GateRefusal,
    state::Released,
};
use rand_core::CryptoRng;
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    DOCUMENT_VERSION, Delivery, Id, Key, NonDelivery, Signed,
    api::{Deliver, NodeJob},
    marketplace_id,
};

/// What the ticket store says of one job.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The grant under which this node has signed an opening of the order that it
    /// did not forgo.
    pub signed: Option<Digest>,
    /// Whether mask shares of it were released.
    pub released: bool,
    /// Whether what was signed under the job's own grant was forgone.
    pub forgone: bool,
    /// The granted dealing, where it is usable.
    pub tickets: Option<Usable>,
}

impl Facts {
    /// Whether something of the order may be revealed, as far as a refusal of the
    /// job's grant is concerned (KEY-11). What was forgone never is.
    fn revealed(&self) -> bool {
        self.signed.is_some() && (self.released || !self.forgone)
    }
}

/// What becomes of the jobs of a lease.
#[derive(Debug)]
pub enum Judged<'a> {
    /// Delivered before: the same again.
    Released(Box<Released>),
    /// Refused, each order by its own document.
    Refused(Vec<Signed<NonDelivery>>),
    /// May be opened once their parts hold.
    Admitted(Vec<Box<Admitted<'a>>>),
}

impl KeyNode {
    /// KEY-9: a store is there for this dataset and custodian.
    pub(crate) fn serve(&mut self, dataset: &Digest, custodian: &Key) -> Result<(), NodeError> {
        self.record(Record::Served {
            dataset: *dataset,
            custodian: *custodian,
        })
    }

    /// Everything that needs no part, of all jobs of a lease (KEY-11, ORD-8).
    pub fn judge<'a>(
        &mut self,
        jobs: &'a [NodeJob],
        facts: &[Facts],
        now: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Judged<'a>, NodeError> {
        let orders = orders(jobs)?;
        let released = orders.first().and_then(|o| self.state.released(o));
        if let Some(released) = released {
            return Ok(Judged::Released(Box::new(released.clone())));
        }
        // KEY-6: a policy counts from when it is seen.
        for job in jobs {
            match self.learn_policy(&job.policy, now) {
                Ok(_) | Err(NodeError::Policy(_)) => {}
                Err(e) => return Err(e),
            }
        }
        match self.admit_all(jobs, &orders, facts, now, rng) {
            Ok(admitted) => Ok(Judged::Admitted(admitted)),
            Err(refusal) => Ok(Judged::Refused(self.refuse_all(jobs, facts, &refusal)?)),
        }
    }

    fn admit_all<'a>(
        &self,
        jobs: &'a [NodeJob],
        orders: &[Digest],
        facts: &[Facts],
        now: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Box<Admitted<'a>>>, GateRefusal> {
        // KEY-11: what was refused under a grant stays refused under it.
        for job in jobs {
            if let Some(refusal) = self.state.over(&job.grant.digest()?) {
                return Err(GateRefusal::GrantOver {
                    code: refusal.body.code.clone(),
                });
            }
        }
        quorum_gate::together(jobs)?;
        let company = company(orders);
        // KEY-13: what is opened together is given up together, or not at all.
        let released = facts.iter().any(|f| f.released);
        let mut admitted = Vec::with_capacity(jobs.len());
        for ((job, order), at) in jobs.iter().zip(orders).zip(0usize..) {
            let facts = facts.get(at);
            let signed = facts.and_then(|f| f.signed);
            self.newest_grant(job, order)?;
            let number = job.grant.body.number;
            let earlier = |g: &Digest| self.state.number(g).is_some_and(|n| n < number);
            let signed = signed.filter(|g| released || !earlier(g));
            let outputs = job.grant.body.outputs.as_slice();
            let spent = self.state.spent(order);
            let past = Past {
                decided: signed.as_ref().map(|g| (g, outputs)),
                counted: spent.is_some(),
                tickets: facts.and_then(|f| f.tickets.as_ref()),
            };
            // OPN-9, KEY-13: a mask share goes into one sum, ever.
            if spent.is_some_and(|s| s.joint != company) {
                let reason = format!("order {at} was spent for in other company");
                return Err(GateRefusal::Joint { reason });
            }
            let one = gate::admit(&self.config, &self.state, job, &past, now, rng)?;
            admitted.push(Box::new(one));
        }
        quorum_gate::sums(&admitted)?;
        Ok(admitted)
    }

    /// KEY-11: grants of an order count up; a later one that was begun with is not
    /// given up for an earlier one, or for another of the same number.
    fn newest_grant(&self, job: &NodeJob, order: &Digest) -> Result<(), GateRefusal> {
        let Some(seen) = self.state.begun(order) else {
            return Ok(());
        };
        let (grant, found) = (job.grant.digest()?, job.grant.body.number);
        if found > seen.number || grant == seen.grant {
            return Ok(());
        }
        let seen = seen.number;
        Err(GateRefusal::GrantReplaced { seen, found })
    }

    /// What time may have changed since the gate let an order through: its policy
    /// is replaced (KEY-6), its grant is over.
    pub(crate) fn still(&self, one: &Admitted<'_>, now: u64) -> Result<(), GateRefusal> {
        gate::policy(&self.config, &self.state, &one.job.policy, now)?;
        let expires = one.job.grant.body.expires;
        match now >= expires {
            true => Err(GateRefusal::GrantExpired { expires, now }),
            false => Ok(()),
        }
    }

    /// Refuses all jobs of a lease for what is wrong with one. A refusal that
    /// reveals nothing ends this grant (KEY-11).
    pub fn refuse_all(
        &mut self,
        jobs: &[NodeJob],
        facts: &[Facts],
        refusal: &GateRefusal,
    ) -> Result<Vec<Signed<NonDelivery>>, NodeError> {
        let mut out = Vec::with_capacity(jobs.len());
        for (job, at) in jobs.iter().zip(0usize..) {
            let (order, grant) = (job.order.digest()?, job.grant.digest()?);
            let said = self.state.over(&grant).filter(|r| r.body.order == order);
            if let Some(said) = said {
                out.push(said.clone());
                continue;
            }
            let revealed = facts.get(at).is_some_and(Facts::revealed);
            let signed = self.non_delivery(order, grant, refusal, revealed)?;
            if !revealed {
                self.record(Record::GrantOver {
                    grant,
                    refusal: Box::new(signed.clone()),
                })?;
            }
            out.push(signed);
        }
        Ok(out)
    }

    /// KEY-3: values are counted on disk before anything of them is opened, and
    /// with them in which company each order is opened (OPN-9). They are counted
    /// once, whatever was forgone since: nothing of that is ever shown. Then the
    /// grants that the openings begin under are noted (KEY-11).
    pub fn spend(&mut self, admitted: &[Box<Admitted<'_>>]) -> Result<(), NodeError> {
        let orders: Vec<Digest> = admitted.iter().map(|a| a.order).collect();
        for a in admitted {
            if self.state.spent(&a.order).is_some() {
                continue;
            }
            let order = &a.job.order.body;
            self.record(Record::Spent {
                order: a.order,
                grant: a.grant,
                nonce: order.nonce,
                dataset: order.dataset,
                values: a.demand.values,
                bits: a.demand.bits,
                outputs: a.job.grant.body.outputs.clone(),
                custodian: Some(a.job.policy.key),
                joint: company(&orders),
            })?;
        }
        for a in admitted {
            let (order, grant) = (a.order, a.grant);
            if self.state.begun(&order).is_none_or(|b| b.grant != grant) {
                self.record(Record::Begun {
                    order,
                    grant,
                    number: a.job.grant.body.number,
                })?;
            }
        }
        Ok(())
    }

    /// This node's delivery of one order of those that it opened (DOC-9).
    pub fn delivery(
        &self,
        admitted: &Admitted<'_>,
        session: Digest,
        sealed: &[u8],
    ) -> Result<Signed<Delivery>, NodeError> {
        let spent = self.state.spent(&admitted.order);
        let before = spent.map_or(0, |s| s.before.values);
        let values = admitted.demand.values;
        Ok(Signed::sign(
            Delivery {
                version: DOCUMENT_VERSION,
                marketplace: marketplace_id(&self.config.marketplace),
                order: admitted.order,
                grant: admitted.grant,
                session: Some(session),
                sealed_result: Delivery::digest_of_sealed_result(sealed),
                values,
                counter_before: before,
                counter_after: before.saturating_add(values),
            },
            &self.config.signing,
        )?)
    }

    /// KEY-11: on disk before it leaves.
    pub fn released(
        &mut self,
        order_id: Id,
        deliver: Deliver,
        requests: Vec<OpenedRequest>,
    ) -> Result<(), NodeError> {
        self.record(Record::Released {
            order_id,
            deliver: Box::new(deliver),
            requests,
        })
    }

    /// The marketplace has what was released, or will not take it.
    pub fn handed(&mut self, order: Digest) -> Result<(), NodeError> {
        self.record(Record::Handed { order })
    }
}

fn orders(jobs: &[NodeJob]) -> Result<Vec<Digest>, NodeError> {
    let orders = jobs.iter().map(|j| Ok(j.order.digest()?));
    orders.collect()
}

/// What an order is opened with; nothing, where it is alone.
fn company(orders: &[Digest]) -> Vec<Digest> {
    match orders {
        [_] => Vec::new(),
        all => all.to_vec(),
    }
}
