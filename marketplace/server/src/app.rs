//! Everything that the server holds.

use crate::{
    auth::TokenKeys,
    config::ServerConfig,
    keys::read_or_make_key,
    limits::{Held, Limiters},
    partners::PartnerState,
    people::PeopleState,
    postman::Post,
};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{Notify, Semaphore, broadcast};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{Key, SigningKey, api::AcceptedKeys, marketplace_id};
use veilbourse_domain::{
    DomainError, Millis, Result,
    id::{OrderId, PublicKey},
    ports::{ObjectStorage, Store},
};
use veilbourse_store::{FileObjects, SqlStore};
use veilbourse_verifier::{ceremony::backed, linear::CircuitKey};

/// Milliseconds since the epoch, asked for when needed.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// A key node that asked for nothing for so long is not heard of: none is granted
/// an order while there is a quorum without it. Nodes ask every few seconds.
const HEARD_MILLIS: Millis = 30_000;
/// After so long a grant to it is given up, if another quorum is there.
const SILENT_MILLIS: Millis = 60_000;

/// The application.
pub struct App {
    /// What it was told.
    pub config: ServerConfig,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) objects: Arc<dyn ObjectStorage>,
    clock: Clock,
    rng: Mutex<ChaCha20Rng>,
    pub(crate) signing: SigningKey,
    pub(crate) key: Key,
    pub(crate) id: Digest,
    pub(crate) tokens: TokenKeys,
    pub(crate) accepted: AcceptedKeys,
    pub(crate) circuits: Vec<CircuitKey>,
    pub(crate) limits: Limiters,
    /// Orders that changed, for subscriptions.
    pub(crate) changes: broadcast::Sender<OrderId>,
    /// Wakes the settlement task.
    pub(crate) settle: Notify,
    /// What accounts have open at once.
    pub(crate) held: Held,
    /// Verification of submissions to orders at once: bounded memory. Nobody
    /// but the settlement takes these.
    pub(crate) heavy: Arc<Semaphore>,
    /// Masked results checked at once.
    pub(crate) checking: Arc<Semaphore>,
    /// Password hashing at once.
    pub(crate) hashing: Arc<Semaphore>,
    /// Objects of listings verified at once.
    pub(crate) submitting: Arc<Semaphore>,
    /// About people: keys, guesses, who was seen.
    pub(crate) people: PeopleState,
    /// When it was started.
    started: Millis,
    /// When key nodes last asked for something (SET-7); those of before the start
    /// are heard of within seconds.
    heard: Mutex<HashMap<PublicKey, Millis>>,
    /// Manifests by listing: they never change.
    pub(crate) manifests: crate::convert::ManifestCache,
    /// Letters' way out (MAIL).
    pub(crate) post: Post,
    /// What platforms that integrate need (PAR).
    pub(crate) partners: PartnerState,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("id", &self.id)
            .field("config", &self.config)
            .finish()
    }
}

impl App {
    /// Opens database, objects and keys in the configured folder. `accepted`
    /// are the verifying keys that proofs are checked with.
    pub async fn open(
        config: ServerConfig,
        accepted: AcceptedKeys,
        clock: Clock,
        mut rng: ChaCha20Rng,
    ) -> Result<Arc<Self>> {
        config.check()?;
        std::fs::create_dir_all(&config.dir).map_err(DomainError::storage)?;
        let store = SqlStore::connect(&config.database_url(), config.readers).await?;
        let objects = FileObjects::new(&config.dir.join("objects"))?;
        let file = |name: &str| config.dir.join(name);
        let signing =
            read_or_make_key(&file("marketplace.key"), &mut rng).map_err(DomainError::storage)?;
        let tokens =
            read_or_make_key(&file("tokens.key"), &mut rng).map_err(DomainError::storage)?;
        Self::assemble(
            config,
            Arc::new(store),
            Arc::new(objects),
            signing,
            &tokens,
            accepted,
            clock,
            rng,
        )
    }

    /// The same over given storage, for tests with fail points.
    #[allow(clippy::too_many_arguments)] // one call site besides tests
    pub fn assemble(
        config: ServerConfig,
        store: Arc<dyn Store>,
        objects: Arc<dyn ObjectStorage>,
        signing: SigningKey,
        tokens: &SigningKey,
        accepted: AcceptedKeys,
        clock: Clock,
        rng: ChaCha20Rng,
    ) -> Result<Arc<Self>> {
        let key = Key(signing.verifying_key().to_bytes());
        let id = marketplace_id(&key);
        let circuits: Vec<CircuitKey> = accepted
            .keys
            .iter()
            .map(|k| CircuitKey::decode(&k.0))
            .collect::<std::result::Result<_, _>>()
            .map_err(|e| DomainError::invalid("verifying keys", e.to_string()))?;
        // CER-9.
        backed(
            &accepted.srs.digest,
            accepted.srs.provenance.ceremony().map(Into::into),
            accepted.ceremony.as_ref().map(|t| t.0.as_slice()),
            &circuits,
        )
        .map_err(|e| DomainError::invalid("srs", e.to_string()))?;
        let started = clock();
        Ok(Arc::new(Self {
            limits: Limiters::new(&config.limits),
            post: Post::new(&config)?,
            partners: PartnerState::new(tokens, &config)?,
            tokens: TokenKeys::new(tokens, &id),
            people: PeopleState::new(tokens),
            config,
            store,
            objects,
            clock,
            rng: Mutex::new(rng),
            signing,
            key,
            id,
            accepted,
            circuits,
            changes: broadcast::channel(1024).0,
            settle: Notify::new(),
            held: Held::default(),
            heavy: Arc::new(Semaphore::new(2)),
            checking: Arc::new(Semaphore::new(2)),
            hashing: Arc::new(Semaphore::new(2)),
            submitting: Arc::new(Semaphore::new(1)),
            heard: Mutex::default(),
            started,
            manifests: crate::convert::ManifestCache::default(),
        }))
    }

    /// The store.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// The marketplace's key.
    pub fn marketplace_key(&self) -> Key {
        self.key
    }

    /// Now.
    pub fn now(&self) -> Millis {
        (self.clock)()
    }

    /// A key node asks for something.
    pub(crate) fn hear(&self, node: PublicKey) {
        let now = self.now();
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.insert(node, now);
    }

    /// Whether all of these nodes were heard of lately (SET-7).
    pub(crate) fn heard(&self, nodes: &[Key]) -> bool {
        let since = self.now().saturating_sub(HEARD_MILLIS);
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = |k: &Key| heard.get(&PublicKey(k.0)).is_some_and(|at| *at >= since);
        nodes.iter().all(lately)
    }

    /// Whether a node asked for nothing for so long that a grant to it is given up
    /// (SET-7). Nobody is silent just after a start.
    pub(crate) fn silent(&self, node: PublicKey) -> bool {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let last = heard.get(&node).copied().unwrap_or(self.started);
        last.saturating_add(SILENT_MILLIS) < self.now()
    }

    /// Random bytes.
    pub(crate) fn random<const L: usize>(&self) -> [u8; L] {
        let mut out = [0u8; L];
        // A panic elsewhere leaves the generator whole.
        self.rng
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill_bytes(&mut out);
        out
    }

    /// Runs the settlement's long work off the workers, at most two at once.
    pub(crate) async fn heavy<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        off_the_workers(&self.heavy, f).await
    }

    /// Tells subscriptions that an order changed.
    pub(crate) fn changed(&self, id: OrderId) {
        // Nobody listening is no failure.
        let _ = self.changes.send(id);
    }
}

/// Runs something long off the workers, with one of the permits.
pub(crate) async fn off_the_workers<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let permit = permits
        .clone()
        .acquire_owned()
        .await
        .map_err(DomainError::storage)?;
    blocking(move || {
        let out = f();
        drop(permit);
        out
    })
    .await
}

/// The same under a permit that the caller holds.
pub(crate) async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(f)
        .await
        .map_err(DomainError::storage)
}
