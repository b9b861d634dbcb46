//! Receipts (DOC-11, REC): made from what is stored once the order is
//! released; the same whenever it is made.

use crate::{
    App,
    convert::{id, refused, stored},
};
use veilbourse_documents::{
    Assurance, Bytes, Custody, DOCUMENT_VERSION, DecryptionClass, Delivery, Document,
    EvaluationClass, Grant, Opening, Policy, Quote, Receipt, ReceiptOutput, Settlement, Signed,
    SrsRef,
};
use veilbourse_domain::{
    DomainError, Result,
    id::OrderId,
    order::OrderState,
    records::{BlobKind, DocumentKind, SignedText},
};

impl App {
    async fn read_document<T: Document>(
        &self,
        id: OrderId,
        kind: DocumentKind,
    ) -> Result<Signed<T>> {
        let text = self.store.document(id, kind).await?.text;
        Signed::parse(text.as_bytes()).map_err(|e| refused(&e))
    }

    /// The transcript of the ceremony that an order's SRS names (CER-9): the
    /// accepted keys' own, since an order is proven under no other.
    fn transcript_of(&self, srs: &SrsRef) -> Result<Option<Bytes>> {
        if srs.provenance.ceremony().is_none() {
            return Ok(None);
        }
        if *srs != self.accepted.srs {
            return Err(DomainError::invalid(
                "srs",
                format!(
                    "the order is of SRS {}, this marketplace has {}",
                    srs.digest, self.accepted.srs.digest
                ),
            ));
        }
        Ok(self.accepted.ceremony.clone())
    }

    /// What each node of a quorum signed, by its number (REC-7).
    async fn quorums_word(
        &self,
        id: OrderId,
        grant: u32,
    ) -> Result<(Vec<Signed<Opening>>, Vec<Signed<Delivery>>)> {
        let (mut openings, mut deliveries) = (Vec::new(), Vec::new());
        for part in self.store.openings(id).await? {
            let Some((opening, delivery)) = part.delivered.filter(|_| part.number == grant) else {
                continue;
            };
            openings.push(Signed::parse(opening.text.as_bytes()).map_err(|e| refused(&e))?);
            deliveries.push(Signed::parse(delivery.text.as_bytes()).map_err(|e| refused(&e))?);
        }
        Ok((openings, deliveries))
    }

    /// The receipt of a released order: stored, or made now.
    pub(crate) async fn receipt(&self, order_id: OrderId) -> Result<SignedText> {
        match self.store.document(order_id, DocumentKind::Receipt).await {
            Err(DomainError::NotFound { .. }) => {}
            found => return found,
        }
        let order = self.store.order(order_id).await?;
        let OrderState::Released(released) = &order.state else {
            return Err(DomainError::OrderState {
                found: order.state.name(),
                wanted: "released",
            });
        };
        let signed = self.signed_order(order_id).await?;
        let submission = self.signed_submission(order_id).await?;
        let quote = self.store.quote(signed.body.quote).await?.signed.text;
        let quote = Signed::<Quote>::parse(quote.as_bytes()).map_err(|e| refused(&e))?;
        let policy = self
            .store
            .policy(order.listing, order.terms.policy_version)
            .await?
            .text;
        let policy = Signed::<Policy>::parse(policy.as_bytes()).map_err(|e| refused(&e))?;
        let manifest = self.manifest(order.listing).await?;
        let circuits = self.circuits_for(&manifest, &signed.body.program)?;
        let mut outputs = Vec::new();
        for (index, _) in (0u32..).zip(&submission.body.outputs) {
            outputs.push(ReceiptOutput {
                ciphertext: Bytes(
                    self.store
                        .blob(order_id, BlobKind::Ciphertext, index)
                        .await?,
                ),
                envelope: Bytes(self.store.blob(order_id, BlobKind::Envelope, index).await?),
            });
        }
        let custody = order.terms.openers.custody();
        let (openings, deliveries) = match custody {
            Custody::CustodianHeld => {
                let one = self.read_document::<Delivery>(order_id, DocumentKind::Delivery);
                (Vec::new(), vec![one.await?])
            }
            Custody::Committee => self.quorums_word(order_id, released.number).await?,
        };
        let body = Receipt {
            version: DOCUMENT_VERSION,
            marketplace: self.id,
            grant: self
                .read_document::<Grant>(order_id, DocumentKind::Grant)
                .await?,
            openings,
            deliveries,
            manifest: (*manifest).clone(),
            public_key: Bytes(self.objects.read(order.listing, "public-key").await?),
            verifying_keys: circuits.iter().map(|c| Bytes(c.encode())).collect(),
            ceremony: self.transcript_of(&signed.body.srs)?,
            outputs,
            assurance: Assurance {
                evaluation: EvaluationClass::Proven,
                decryption: DecryptionClass::of(custody),
                srs: signed.body.srs.provenance,
            },
            arrows: Receipt::arrow_lines(&signed.body.program, custody),
            work: submission.body.work,
            settlement: Settlement {
                order_id: id(order_id)?,
                transfer: id(released.escrow)?,
                price: quote.body.price.clone(),
                at: released.at,
            },
            policy,
            quote,
            order: signed,
            submission,
        };
        let receipt = Signed::sign(body, &self.signing).map_err(|e| refused(&e))?;
        let text = stored(&receipt)?;
        self.store
            .save_receipt(order_id, text.clone(), self.now())
            .await?;
        Ok(text)
    }
}
