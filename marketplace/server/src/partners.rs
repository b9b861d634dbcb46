//! What platforms that integrate need of the process (PAR): secrets of webhooks,
//! recent documents, who revoked a key, which pods are live; and their acts as
//! GraphQL asks for them.

use crate::{App, ServerConfig, post::Sender, service::Market};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Mutex, PoisonError},
};
use tokio::sync::watch;
use veilbourse_documents::SigningKey;
use veilbourse_domain::{
    Digest, Domain, Millis, Result,
    access::Pass,
    id::{ApiKeyId, DeliveryId, MachineId, WebhookId},
    partners::{ApiKey, PersistedQuery},
    records::{Page, PageRequest},
    webhooks::{Webhook, WebhookChange, WebhookEvent},
};
use veilbourse_graphql::{Delivered, KeyWanted, Partners, WithSecret};
use zeroize::Zeroizing;

/// A pod that asked for nothing for so long is not live: pods ask every second
/// or so, and say that they work every few.
const LIVE_MILLIS: Millis = 60_000;
/// Most bytes of documents that anybody sent with their digest (PAR-6).
const RECENT_BYTES: usize = 16 << 20;
/// What a document costs beside its text: two digests and their places.
const RECENT_OVERHEAD: usize = 400;

/// Documents by their digests, the oldest forgotten first.
#[derive(Debug, Default)]
struct Recent {
    documents: HashMap<String, (u64, String)>,
    ages: BTreeMap<u64, String>,
    bytes: usize,
    next: u64,
}

impl Recent {
    fn insert(&mut self, id: &str, document: &str) {
        if let Some((age, text)) = self.documents.remove(id) {
            self.ages.remove(&age);
            self.bytes -= cost(&text);
        }
        self.bytes += cost(document);
        self.next += 1;
        self.ages.insert(self.next, id.to_owned());
        let held = (self.next, document.to_owned());
        self.documents.insert(id.to_owned(), held);
        while self.bytes > RECENT_BYTES
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            if let Some((_, text)) = self.documents.remove(&oldest) {
                self.bytes -= cost(&text);
            }
        }
    }
}

fn cost(document: &str) -> usize {
    document.len() + RECENT_OVERHEAD
}

/// The part of the application that belongs to partners.
pub(crate) struct PartnerState {
    /// What secrets of webhooks are derived from.
    webhook_key: Zeroizing<[u8; 32]>,
    recent: Mutex<Recent>,
    /// Counts revocations, for what is open.
    revoked: watch::Sender<u64>,
    pods: Mutex<HashMap<MachineId, Millis>>,
    /// Sends to webhooks.
    pub(crate) sender: Sender,
}

impl fmt::Debug for PartnerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartnerState").finish_non_exhaustive()
    }
}

impl PartnerState {
    /// `tokens` is the server's key for tokens: the key here is another one.
    pub(crate) fn new(tokens: &SigningKey, config: &ServerConfig) -> Result<Self> {
        let key = Digest::of(
            Domain::Other("veilbourse v1 key of webhook secrets"),
            tokens.as_bytes(),
        );
        Ok(Self {
            webhook_key: Zeroizing::new(key.0),
            recent: Mutex::default(),
            revoked: watch::channel(0).0,
            pods: Mutex::default(),
            sender: Sender::new(
                config.webhook_allow_private,
                config.webhook_roots.as_deref(),
            )?,
        })
    }

    /// PAR-13: a secret of a webhook. The database holds the nonce alone.
    pub(crate) fn webhook_secret(&self, id: WebhookId, nonce: &str) -> String {
        let mut input = Zeroizing::new(self.webhook_key.to_vec());
        input.extend_from_slice(id.uuid().as_bytes());
        input.extend_from_slice(nonce.as_bytes());
        let secret = Digest::of(Domain::Other("veilbourse v1 webhook secret"), &input);
        format!("whsec_{}", URL_SAFE_NO_PAD.encode(secret.0))
    }

    /// Remembers a document that came with its digest.
    pub(crate) fn remember(&self, id: &str, document: &str) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.insert(id, document);
    }

    /// A document that somebody sent with this digest.
    pub(crate) fn recall(&self, id: &str) -> Option<String> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.documents.get(id).map(|(_, text)| text.clone())
    }

    /// A key was revoked or rotated: what is open looks at its token.
    pub(crate) fn key_ended(&self) {
        self.revoked.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Changes with each revocation from now on.
    pub(crate) fn revocations(&self) -> watch::Receiver<u64> {
        self.revoked.subscribe()
    }

    /// A pod asks for work, or says that it works.
    pub(crate) fn hear_pod(&self, pod: MachineId, now: Millis) {
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.insert(pod, now);
    }

    /// Pods heard of lately.
    pub(crate) fn live_pods(&self, now: Millis) -> u64 {
        let since = now.saturating_sub(LIVE_MILLIS);
        let mut pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.retain(|_, at| *at >= since);
        pods.len() as u64
    }
}

impl App {
    /// PAR-14: refuses an order while more wait for pods than the operator allows.
    /// Nothing has been taken yet.
    pub(crate) async fn room_in_queue(&self, expected_seconds: u64) -> Result<()> {
        let limit = self.config.queue_limit;
        if limit == 0 {
            return Ok(());
        }
        let pods = self.partners.live_pods(self.now());
        let queue = self.store.queue().await?;
        queue.check(limit, pods, expected_seconds)
    }
}

#[async_trait]
impl Partners for Market {
    fn time(&self) -> Millis {
        self.0.now()
    }

    async fn create_api_key(&self, pass: &Pass, wanted: KeyWanted) -> Result<WithSecret<ApiKey>> {
        self.0.new_key(pass, wanted).await
    }

    async fn rotate_api_key(
        &self,
        pass: &Pass,
        id: ApiKeyId,
        overlap_seconds: u32,
    ) -> Result<WithSecret<ApiKey>> {
        self.0.rotate_key(pass, id, overlap_seconds).await
    }

    async fn revoke_api_key(&self, pass: &Pass, id: ApiKeyId) -> Result<()> {
        let account = pass.viewer().account()?;
        let store = &self.0.store;
        store.revoke_api_key(account, id, self.0.now()).await?;
        self.0.partners.key_ended();
        Ok(())
    }

    async fn create_webhook(
        &self,
        pass: &Pass,
        url: &str,
        events: Vec<WebhookEvent>,
    ) -> Result<WithSecret<Webhook>> {
        self.0.new_webhook(pass, url, events).await
    }

    async fn update_webhook(
        &self,
        pass: &Pass,
        id: WebhookId,
        change: WebhookChange,
    ) -> Result<Webhook> {
        self.0.change_webhook(pass, id, change).await
    }

    async fn rotate_webhook_secret(
        &self,
        pass: &Pass,
        id: WebhookId,
    ) -> Result<WithSecret<Webhook>> {
        self.0.rotate_hook(pass, id).await
    }

    async fn delete_webhook(&self, pass: &Pass, id: WebhookId) -> Result<()> {
        let account = pass.viewer().account()?;
        let store = &self.0.store;
        store.delete_webhook(account, id, self.0.now()).await
    }

    async fn test_webhook(&self, pass: &Pass, id: WebhookId) -> Result<Delivered> {
        self.0.ping_webhook(pass, id).await
    }

    async fn redeliver_webhook(&self, pass: &Pass, id: DeliveryId) -> Result<Delivered> {
        self.0.deliver_again(pass, id).await
    }

    async fn webhook_deliveries(
        &self,
        pass: &Pass,
        id: WebhookId,
        page: &PageRequest,
    ) -> Result<Page<Delivered>> {
        self.0.told(pass, id, page).await
    }

    async fn register_persisted_query(
        &self,
        pass: &Pass,
        document: &str,
    ) -> Result<PersistedQuery> {
        self.0.register_document(pass, document).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_documents_are_forgotten() {
        // PAR-6
        let mut r = Recent::default();
        let text = "x".repeat(RECENT_BYTES / 4 - RECENT_OVERHEAD);
        for n in 0..4 {
            r.insert(&n.to_string(), &text);
        }
        assert_eq!((r.documents.len(), r.bytes), (4, RECENT_BYTES));
        r.insert("0", &text); // again: the youngest now
        r.insert("4", "y");
        assert_eq!(r.documents.len(), 4);
        assert!(r.documents.contains_key("0") && !r.documents.contains_key("1"));
        assert_eq!(r.bytes, RECENT_BYTES / 4 * 3 + 1 + RECENT_OVERHEAD);
        assert_eq!(r.ages.len(), r.documents.len());
        // Many that are short are no way around it.
        for n in 0..60_000 {
            r.insert(&format!("short {n}"), "{a}");
        }
        assert!(r.documents.len() <= RECENT_BYTES / RECENT_OVERHEAD);
    }
}
