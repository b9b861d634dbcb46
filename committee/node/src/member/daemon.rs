//! A committee's node from start to stop: the peers' endpoint, a look at the
//! server for dealings and for jobs, what is still to be delivered.

use super::{
    End, Inner, MemberConfig, MemberError, finish::known, lock, rendezvous::Rendezvous,
    stores::Stores,
};
use crate::{config::NodeConfig, node::KeyNode, series};
use rand_chacha::ChaCha20Rng;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{OnceCell, Semaphore, watch},
    task::JoinSet,
};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{Policy, SealingSecret, Signed, api::NodeJobs};
use veilbourse_machine::Machine;
use veilbourse_peers::{
    Endpoint, Health, Identity, Member as Peer, Members, NodeKey, PublicKey, Tcp, busy,
};
use veilbourse_ticket_store::QuorumSet;

/// How a node is, for its operator.
#[derive(Debug, Clone)]
pub struct MemberHealth {
    /// Head of the node's log (KEY-4).
    pub log_head: Digest,
    /// The other nodes.
    pub peers: Vec<Health>,
    /// Tickets left, of all dealings.
    pub tickets: u64,
    /// Sessions that are signed and not released.
    pub withheld: u64,
    /// Quorums that are frozen until they are dealt to anew.
    pub frozen: u64,
    /// Deliveries that the marketplace does not have yet.
    pub undelivered: u64,
    /// Orders at work.
    pub orders: u64,
}

/// A running node.
pub struct Member {
    inner: Arc<Inner>,
    tasks: JoinSet<()>,
    /// Hears the peers; ends after everything else.
    hearing: JoinSet<()>,
    hush: watch::Sender<bool>,
    listening: std::net::SocketAddr,
}

impl Member {
    /// Starts the node: opens its log and every ticket store, calls its peers,
    /// and asks the server for work until [`Member::stop`]. `rng` is fresh.
    pub async fn start(
        config: MemberConfig,
        node: NodeConfig,
        sealing: SealingSecret,
        machine: Machine,
        rng: ChaCha20Rng,
    ) -> Result<Self, MemberError> {
        let listener = TcpListener::bind(config.listen).await;
        let listener = listener.map_err(|cause| MemberError::Io {
            what: format!("listening at {}", config.listen),
            cause,
        })?;
        Self::start_on(listener, config, node, sealing, machine, rng).await
    }

    /// The same on a socket that is open already.
    pub async fn start_on(
        listener: TcpListener,
        config: MemberConfig,
        node: NodeConfig,
        sealing: SealingSecret,
        machine: Machine,
        rng: ChaCha20Rng,
    ) -> Result<Self, MemberError> {
        let seat = node.seat.clone().ok_or(MemberError::NoSeat)?;
        let (signing, node_key) = (node.signing.clone(), node.node_key());
        let opened = busy(|| {
            let node = KeyNode::open(node, &config.log())?;
            let stores = Stores::open(&config.folder, config.datasets, &node)?;
            Ok::<_, MemberError>((node, stores))
        });
        let (node, stores) = opened?;
        let known = known(node.state());
        let peers = seat.committee.nodes.iter().zip(0u8..);
        let peers = peers.map(|(m, number)| Peer {
            number,
            key: PublicKey(m.signing_key.0),
            address: m.address.clone(),
        });
        let members = Members::new(peers.collect())?;
        let key = NodeKey::from_seed(&signing.to_bytes())?;
        let identity = Identity::new(seat.number, &key, members)?;
        let listening = listener.local_addr().map_err(|cause| MemberError::Io {
            what: "the address that is listened at".into(),
            cause,
        })?;
        let mut endpoint = Endpoint::start(identity, Arc::new(Tcp), config.timing, config.limits);
        endpoint.listen(listener);
        let inner = Arc::new(Inner {
            node: Mutex::new(node),
            committee: seat.committee,
            signing,
            node_key,
            sealing,
            machine,
            endpoint,
            stores,
            rendezvous: Rendezvous::default(),
            config,
            rng: Mutex::new(rng),
            at_work: Mutex::new(HashSet::new()),
            known: Mutex::new(known),
            resent: Mutex::new(HashMap::new()),
            told: Mutex::new(HashSet::new()),
            owed: Mutex::new(HashMap::new()),
            waited: OnceCell::new(),
            stop: watch::channel(false).0,
        });
        series::gauges();
        let mut tasks = JoinSet::new();
        tasks.spawn(greetings(Arc::clone(&inner), inner.stop.subscribe()));
        tasks.spawn(dealings(Arc::clone(&inner), inner.stop.subscribe()));
        tasks.spawn(jobs(Arc::clone(&inner), inner.stop.subscribe()));
        tasks.spawn(deliveries(Arc::clone(&inner), inner.stop.subscribe()));
        let (hush, hushed) = watch::channel(false);
        let mut hearing = JoinSet::new();
        hearing.spawn(Arc::clone(&inner).hear(hushed));
        Ok(Self {
            inner,
            tasks,
            hearing,
            hush,
            listening,
        })
    }

    /// Where it takes its peers' calls.
    pub fn listening(&self) -> std::net::SocketAddr {
        self.listening
    }

    /// How it is. Sets the metrics, too.
    pub fn health(&self) -> MemberHealth {
        self.inner.health()
    }

    /// The head of its log, for the operator to note (KEY-4).
    pub fn log_head(&self) -> Digest {
        self.inner.node().log_head()
    }

    /// Tells the node a policy (KEY-6).
    pub fn learn_policy(&self, policy: &Signed<Policy>) -> Result<bool, MemberError> {
        let now = self.inner.machine.now();
        Ok(busy(|| self.inner.node().learn_policy(policy, now))?)
    }

    /// Freezes a quorum of a dataset, as every custodian deals it here: what it
    /// was dealt is destroyed (CST-8). Returns how many stores that touched.
    pub fn freeze(&self, dataset: &Digest, quorum: &[u8], why: &str) -> Result<usize, MemberError> {
        let Some(quorum) = QuorumSet::of_members(quorum) else {
            return Ok(0);
        };
        self.inner.each(dataset, |s| s.keeper.freeze(quorum, why))
    }

    /// Retires this node for a dataset: everything is destroyed, for good (CST-9).
    pub fn retire(&self, dataset: &Digest) -> Result<usize, MemberError> {
        self.inner.each(dataset, |s| s.keeper.retire())
    }

    /// Takes no more work, finishes the sessions and checks that have begun, and
    /// ends: one that is cut off may freeze its quorum. How long that takes is
    /// bounded by the peers' timing.
    pub async fn stop(self) {
        let Self {
            inner,
            mut tasks,
            mut hearing,
            hush,
            ..
        } = self;
        inner.stop.send_replace(true);
        while tasks.join_next().await.is_some() {}
        hush.send_replace(true);
        while hearing.join_next().await.is_some() {}
        // The last one: log, stores and sockets are free when this returns.
        if let Some(inner) = Arc::into_inner(inner) {
            inner.endpoint.close().await;
        }
    }
}

impl Inner {
    fn each(
        &self,
        dataset: &Digest,
        act: impl Fn(&super::stores::Served) -> Result<(), veilbourse_quorum::QuorumError>,
    ) -> Result<usize, MemberError> {
        let of = self.stores.all().into_iter();
        let of: Vec<_> = of.filter(|s| s.dataset == *dataset).collect();
        of.iter().try_for_each(|s| act(s))?;
        Ok(of.len())
    }

    fn health(&self) -> MemberHealth {
        let (tickets, withheld, frozen) = self.stores.counts();
        let peers = self.endpoint.health();
        let connected = peers.iter().filter(|p| p.connected).count();
        let (undelivered, log_head) = {
            let node = self.node();
            (node.state().unhanded().count() as u64, node.log_head())
        };
        let orders = self.at_work().len() as u64;
        for (name, value) in [
            (series::TICKETS_LEFT, tickets),
            (series::SESSIONS_WITHHELD, withheld),
            (series::QUORUMS_FROZEN, frozen),
            (series::PEERS_CONNECTED, connected as u64),
            (series::DELIVERIES_WAITING, undelivered),
            (series::ORDERS_AT_WORK, orders),
        ] {
            series::measured(name, value);
        }
        MemberHealth {
            log_head,
            peers,
            tickets,
            withheld,
            frozen,
            undelivered,
            orders,
        }
    }
}

type Stopped = watch::Receiver<bool>;

/// Waits, or stops waiting; whether to go on.
async fn pause(stopped: &mut Stopped, time: Duration) -> bool {
    tokio::select! {
        _ = stopped.wait_for(|over| *over) => false,
        () = tokio::time::sleep(time) => true,
    }
}

/// QRM-9: of every dataset that it holds, so that the operator of an old copy
/// learns of it now and not at the next order.
async fn greetings(inner: Arc<Inner>, stopped: Stopped) {
    for served in inner.stores.all() {
        if *stopped.borrow() {
            return;
        }
        inner.greet_all(&served).await;
    }
}

async fn dealings(inner: Arc<Inner>, mut stopped: Stopped) {
    loop {
        if let Err(e) = inner.dealings().await {
            tracing::warn!(error = %e, "dealings");
        }
        inner.health();
        let wait = inner.config.poll.max(inner.config.idle);
        if !pause(&mut stopped, wait).await {
            return;
        }
    }
}

async fn jobs(inner: Arc<Inner>, mut stopped: Stopped) {
    let places = Arc::new(Semaphore::new(inner.config.jobs.max(1)));
    let (poll, mut under_way) = (inner.config.poll, JoinSet::new());
    let mut quiet = poll;
    loop {
        while under_way.try_join_next().is_some() {}
        let place = Arc::clone(&places).acquire_owned();
        let place = tokio::select! {
            _ = stopped.wait_for(|over| *over) => break,
            place = place => place,
        };
        let leased = match inner.lease().await {
            Ok(leased) => leased,
            Err(e) => {
                tracing::warn!(error = %e, "lease");
                None
            }
        };
        // A job that is at work here already is no reason to ask again at once.
        let fresh = leased.filter(|l| inner.free(l));
        let wait = match fresh {
            Some(NodeJobs { jobs }) => {
                let inner = Arc::clone(&inner);
                under_way.spawn(async move {
                    let order = jobs.first().map(|j| j.order_id.clone());
                    match inner.work(jobs).await {
                        Ok(end) => said(&inner, order, &end),
                        Err(e) => tracing::warn!(?order, error = %e, "order: tried again"),
                    }
                    drop(place);
                });
                quiet = poll;
                poll / 8
            }
            None => {
                let now = quiet;
                quiet = (quiet * 2).min(inner.config.idle).max(poll);
                now
            }
        };
        if !pause(&mut stopped, wait).await {
            break;
        }
    }
    while under_way.join_next().await.is_some() {}
}

fn said(inner: &Inner, order: Option<veilbourse_documents::Id>, end: &End) {
    let log_head = inner.node().log_head();
    match end {
        End::Delivered => {
            tracing::info!(?order, %log_head, "delivered");
        }
        End::Refused(code, reason) => {
            tracing::warn!(?order, code, reason, %log_head, "refused");
        }
        End::UnderWay => {}
    }
}

impl Inner {
    /// Whether no task is at work on these orders.
    fn free(&self, leased: &NodeJobs) -> bool {
        let at_work = lock(&self.at_work);
        let orders = leased.jobs.iter().map(|j| j.order.digest());
        let mut orders = orders.filter_map(Result::ok);
        orders.all(|o| !at_work.contains(&o))
    }
}

/// Sends again what the marketplace does not have (KEY-11).
async fn deliveries(inner: Arc<Inner>, mut stopped: Stopped) {
    loop {
        let waiting: Vec<_> = {
            let node = inner.node();
            let all = node.state().unhanded();
            all.map(|(first, r)| (*first, r.clone())).collect()
        };
        for (first, released) in waiting {
            if inner.at_work().contains(&first) {
                continue;
            }
            if let Err(e) = inner.hand_in(first, &released).await {
                tracing::warn!(order = %first, error = %e, "delivery: sent again later");
            }
        }
        if !pause(&mut stopped, inner.config.poll * 4).await {
            return;
        }
    }
}
