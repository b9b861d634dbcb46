//! Opening in custodian-held custody: spend, decrypt, round, seal (KEY-3, KEY-5).

use crate::{
    admitted::Admitted,
    log::Record,
    node::{KeyNode, NodeError, Outcome},
    refusal::GateRefusal,
};
use rand_core::CryptoRng;
use veilbourse_documents::{
    Bytes, DOCUMENT_VERSION, Delivery, OpenedOutput, OpenedResult, ResultContext, Signed,
    api::NodeJob, marketplace_id, seal_result,
};

impl KeyNode {
    pub(crate) fn open_outputs(
        &mut self,
        admitted: &Admitted<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Outcome, NodeError> {
        let Admitted {
            job,
            order,
            grant,
            demand,
            ..
        } = admitted;
        let (order, grant, body) = (*order, *grant, &job.order.body);
        // KEY-3: counted on disk before anything is decrypted.
        if self.state.spent(&order).is_none() {
            self.record(Record::Spent {
                order,
                grant,
                nonce: body.nonce,
                dataset: body.dataset,
                values: demand.values,
                bits: demand.bits,
                outputs: job.grant.body.outputs.clone(),
                custodian: None,
                joint: Vec::new(),
            })?;
        }
        let opened = match admitted.proven().and_then(|o| self.decrypt(job, o)) {
            Ok(o) => o,
            Err(refusal) => return self.refuse(order, grant, &refusal),
        };
        let context = ResultContext {
            order,
            grant,
            node_key: self.config.node_key(),
        };
        let sealed_result = seal_result(&opened, &body.result_key.0, &context, rng)?;
        let (before, values) = self
            .state
            .spent(&order)
            .map_or((0, demand.values), |s| (s.before.values, s.values));
        let delivery = Box::new(Signed::sign(
            Delivery {
                version: DOCUMENT_VERSION,
                marketplace: marketplace_id(&self.config.marketplace),
                order,
                grant,
                session: None,
                sealed_result: Delivery::digest_of_sealed_result(&sealed_result),
                values,
                counter_before: before,
                counter_after: before.saturating_add(values),
            },
            &self.config.signing,
        )?);
        self.record(Record::Delivered {
            order,
            delivery: delivery.clone(),
            sealed_result: Bytes(sealed_result.clone()),
        })?;
        Ok(Outcome::Delivered {
            delivery,
            sealed_result,
        })
    }

    /// KEY-5: rounded integers within their range, and nothing else.
    fn decrypt(
        &self,
        job: &NodeJob,
        outputs: &[veilbourse_core::ciphertext::OutputCiphertext],
    ) -> Result<OpenedResult, GateRefusal> {
        let dataset = job.order.body.dataset;
        let held = self
            .config
            .datasets
            .get(&dataset)
            .ok_or(GateRefusal::DatasetUnknown { dataset })?;
        let outputs = outputs
            .iter()
            .map(|o| {
                let values = held
                    .secret
                    .open(o, job.manifest.message_log2)
                    // KEY-5: nothing of what was found leaves, not even in a refusal.
                    .map_err(|_| GateRefusal::Decryption {
                        reason: "a value lies outside its proven range".into(),
                    })?;
                Ok(OpenedOutput { values })
            })
            .collect::<Result<_, GateRefusal>>()?;
        Ok(OpenedResult { outputs })
    }
}
