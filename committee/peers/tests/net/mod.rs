//! Nodes whose streams are pipes in memory, so that time may be paused, with
//! somebody in the middle who may do anything to the bytes; and a stranger who
//! speaks TLS with settings of its own.

#![allow(dead_code)]

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion,
    client::{
        AlwaysResolvesClientRawPublicKeys,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    sign::CertifiedKey,
};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use veilbourse_core::digest::Digest;
use veilbourse_peers::{frame::encode, *};

pub fn seed(number: u8) -> [u8; 32] {
    blake3::derive_key("veilbourse test node key", &[number])
}

pub fn key(number: u8) -> NodeKey {
    NodeKey::from_seed(&seed(number)).unwrap()
}

pub fn members(n: u8) -> Members {
    let member = |number| Member {
        number,
        key: key(number).public(),
        address: number.to_string(),
    };
    Members::new((0..n).map(member).collect()).unwrap()
}

pub fn identity(number: u8, n: u8) -> Identity {
    Identity::new(number, &key(number), members(n)).unwrap()
}

pub fn timing() -> Timing {
    let s = Duration::from_secs;
    Timing {
        handshake: s(2),
        idle: s(3),
        frame: s(3),
        start: s(40),
        round: s(20),
        backoff: Duration::from_millis(100),
        backoff_most: s(1),
        bar: s(60),
    }
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToCalled,
    ToCaller,
}

/// Sees every piece of a connection; false cuts it. Caller, called and how many
/// connections the pair had before; way; bytes of this way before.
pub type Middle = dyn FnMut(u8, u8, usize, Way, usize, &mut Vec<u8>) -> bool + Send;

pub struct Net {
    doors: Mutex<BTreeMap<String, mpsc::UnboundedSender<BoxIo>>>,
    calls: Mutex<BTreeMap<(u8, u8), usize>>,
    middle: Mutex<Box<Middle>>,
}

impl Net {
    pub fn new() -> Arc<Self> {
        Self::with(|_, _, _, _, _, _| true)
    }
    pub fn with(
        middle: impl FnMut(u8, u8, usize, Way, usize, &mut Vec<u8>) -> bool + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            doors: Mutex::default(),
            calls: Mutex::default(),
            middle: Mutex::new(Box::new(middle)),
        })
    }
    pub fn calls(&self, from: u8, to: u8) -> usize {
        *self.calls.lock().unwrap().get(&(from, to)).unwrap_or(&0)
    }
    /// A stream to a node's door, past nobody.
    pub fn knock(&self, to: u8) -> tokio::io::DuplexStream {
        let (ours, theirs) = duplex(1 << 16);
        let doors = self.doors.lock().unwrap();
        doors[&to.to_string()].send(Box::new(theirs)).unwrap();
        ours
    }
}

struct Pipes(Arc<Net>, u8);

impl Dial for Pipes {
    fn dial(&self, member: &Member) -> Dialled {
        let (net, from) = (Arc::clone(&self.0), self.1);
        let (address, to) = (member.address.clone(), member.number);
        Box::pin(async move {
            let door = net.doors.lock().unwrap().get(&address).cloned();
            let door = door.ok_or(io::ErrorKind::ConnectionRefused)?;
            let (caller, near) = duplex(1 << 16);
            let (far, called) = duplex(1 << 16);
            let refused = |_| io::Error::from(io::ErrorKind::ConnectionRefused);
            door.send(Box::new(called)).map_err(refused)?;
            let mut calls = net.calls.lock().unwrap();
            let before = calls.entry((from, to)).or_default();
            let nth = *before;
            *before += 1;
            drop(calls);
            tokio::spawn(relay(Arc::clone(&net), (from, to, nth), near, far));
            Ok(Box::new(caller) as BoxIo)
        })
    }
}

/// Carries bytes both ways until either side ends or the middle cuts.
async fn relay(
    net: Arc<Net>,
    (from, to, nth): (u8, u8, usize),
    near: tokio::io::DuplexStream,
    far: tokio::io::DuplexStream,
) {
    let (near_in, near_out) = tokio::io::split(near);
    let (far_in, far_out) = tokio::io::split(far);
    let carry = async |way, mut input: tokio::io::ReadHalf<_>, mut out: tokio::io::WriteHalf<_>| {
        let mut before = 0;
        let mut buffer = vec![0; 4096];
        while let Ok(n @ 1..) = input.read(&mut buffer).await {
            let mut piece = buffer[..n].to_vec();
            let go = {
                let mut middle = net.middle.lock().unwrap();
                middle(from, to, nth, way, before, &mut piece)
            };
            if !go || out.write_all(&piece).await.is_err() {
                return;
            }
            before += n;
        }
    };
    tokio::select! {
        () = carry(Way::ToCalled, near_in, far_out) => {}
        () = carry(Way::ToCaller, far_in, near_out) => {}
    }
}

/// A node; dropped, it is dead.
pub struct Node {
    pub end: Endpoint,
    door: JoinHandle<()>,
    address: String,
    net: Arc<Net>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.net.doors.lock().unwrap().remove(&self.address);
        self.door.abort();
    }
}

pub fn node_with(net: &Arc<Net>, number: u8, n: u8, timing: Timing, limits: Limits) -> Arc<Node> {
    let dial = Arc::new(Pipes(Arc::clone(net), number));
    let end = Endpoint::start(identity(number, n), dial, timing, limits);
    let (door, mut calls) = mpsc::unbounded_channel();
    let address = number.to_string();
    net.doors.lock().unwrap().insert(address.clone(), door);
    // `take` wants the endpoint, which lives in the node.
    Arc::new_cyclic(|weak: &std::sync::Weak<Node>| {
        let weak = weak.clone();
        let door = tokio::spawn(async move {
            let mut taken = JoinSet::new();
            while let Some(io) = calls.recv().await {
                if let Some(node) = weak.upgrade() {
                    taken.spawn(async move {
                        let call = node.end.take(io);
                        drop(node);
                        let _ = call.await;
                    });
                }
            }
        });
        Node {
            end,
            door,
            address,
            net: Arc::clone(net),
        }
    })
}

pub fn nodes(net: &Arc<Net>, n: u8) -> Vec<Arc<Node>> {
    (0..n)
        .map(|i| node_with(net, i, n, timing(), Limits::default()))
        .collect()
}

// --- a stranger ---------------------------------------------------------------

/// Believes everybody.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// How a stranger calls.
pub struct Stranger {
    pub seed: Option<[u8; 32]>,
    pub version: &'static SupportedProtocolVersion,
    pub alpn: Vec<Vec<u8>>,
}

impl Stranger {
    /// One that does as node `number` does.
    pub fn like(number: u8) -> Self {
        Self {
            seed: Some(seed(number)),
            version: &rustls::version::TLS13,
            alpn: vec![ALPN.to_vec()],
        }
    }
    pub async fn call(self, io: impl Io + 'static) -> io::Result<TlsStream<BoxIo>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[self.version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Credulous));
        let mut client = match self.seed {
            None => client.with_no_client_auth(),
            Some(seed) => {
                let prefix = hex::decode("302e020100300506032b657004220420").unwrap();
                let der = [&prefix[..], &seed].concat();
                let der = PrivatePkcs8KeyDer::from(der);
                let key = rustls::crypto::ring::sign::any_eddsa_type(&der).unwrap();
                let public = key.public_key().unwrap().to_vec();
                let key = CertifiedKey::new(vec![public.into()], key);
                let resolver = AlwaysResolvesClientRawPublicKeys::new(Arc::new(key));
                client.with_client_cert_resolver(Arc::new(resolver))
            }
        };
        client.alpn_protocols = self.alpn;
        let name = ServerName::try_from("node").unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        connector.connect(name, Box::new(io) as BoxIo).await
    }
}

pub fn hello(members: &Members, from: u8, to: u8) -> Arc<[u8]> {
    let mut payload = members.digest().0.to_vec();
    payload.extend([from, to]);
    encode(Kind::Hello, 0, &Digest::default(), &payload)
}

/// A peer with its own key and no manners, connected to a node.
pub async fn rogue(net: &Net, from: u8, to: u8, n: u8) -> TlsStream<BoxIo> {
    let mut stream = Stranger::like(from).call(net.knock(to)).await.unwrap();
    stream
        .write_all(&hello(&members(n), from, to))
        .await
        .unwrap();
    stream.flush().await.unwrap();
    let mut answer = vec![0; frame::HEADER_BYTES + 34];
    stream.read_exact(&mut answer).await.unwrap();
    stream
}

/// All that a stream still says, until it ends one way or another.
pub async fn drain(stream: &mut TlsStream<BoxIo>) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = vec![0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        all.extend(&buffer[..n]);
    }
    all
}
