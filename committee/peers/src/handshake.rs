//! From a stream of bytes to a peer known by number and key (PEER-2, PEER-3).
//!
//! TLS says whose key it is. Then the caller says hello, and the called one
//! answers: who is calling, who is meant, and which committee it is. Only after
//! that does a connection exist for the rest of the node; the answer also tells
//! the caller that its own key was accepted.

use crate::{
    error::{MembersError, Refused, Violation},
    frame::{HEADER_BYTES, Header, Kind, encode, read_header, read_payload},
    members::{Members, NodeKey, PublicKey},
    tls::{ALPN, Configs},
};
use rustls::{
    CommonState,
    pki_types::{IpAddr, Ipv4Addr, ServerName},
};
use std::{fmt, sync::Arc};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use veilbourse_core::digest::Digest;

/// A stream of bytes in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
/// Any of them.
pub type BoxIo = Box<dyn Io>;

/// Members, digest of members, from, to.
const HELLO_BYTES: u32 = 34;

/// One node as its peers know it: number, key, and whom it knows.
#[derive(Clone)]
pub struct Identity {
    number: u8,
    key: PublicKey,
    members: Arc<Members>,
    digest: Digest,
    configs: Arc<Configs>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, {})", self.number, self.key)
    }
}

/// A connection to a peer whose number and key are known.
pub struct Channel {
    /// Its number in the committee.
    pub peer: u8,
    pub(crate) stream: TlsStream<BoxIo>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({})", self.peer)
    }
}

impl Identity {
    /// PEER-1: a member by that number, with that key.
    pub fn new(number: u8, key: &NodeKey, members: Members) -> Result<Self, MembersError> {
        if members.get(number).map(|m| m.key) != Some(key.public()) {
            return Err(MembersError::NotAMember {
                number,
                key: key.public(),
            });
        }
        Ok(Self {
            number,
            key: key.public(),
            digest: members.digest(),
            configs: Arc::new(Configs::new(number, key, &members)?),
            members: Arc::new(members),
        })
    }
    /// This node's number.
    pub fn number(&self) -> u8 {
        self.number
    }
    /// The committee.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Takes a call. A deadline is the caller's affair.
    pub async fn accept(&self, io: BoxIo) -> Result<Channel, Refused> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.configs.server));
        let stream = TlsStream::from(acceptor.accept(io).await?);
        let (key, mut stream) = authenticated(stream)?;
        let pinned = self.members.by_key(&key);
        let pinned = pinned.ok_or(Refused::UnknownKey(Some(key)))?.number;
        self.hear(&mut stream, pinned).await?;
        self.say(&mut stream, pinned).await?;
        Ok(Channel {
            peer: pinned,
            stream,
        })
    }

    /// Calls a peer over a stream that leads to it.
    pub async fn connect(&self, io: BoxIo, peer: u8) -> Result<Channel, Refused> {
        let config = self.configs.clients.get(&peer);
        let connector = TlsConnector::from(Arc::clone(config.ok_or(Refused::NoPeer(peer))?));
        // The name is neither sent nor looked at; the type wants one.
        let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([127, 0, 0, 1])));
        let stream = TlsStream::from(connector.connect(name, io).await?);
        let (key, mut stream) = authenticated(stream)?;
        if self.members.get(peer).map(|m| m.key) != Some(key) {
            return Err(Refused::UnknownKey(Some(key)));
        }
        self.say(&mut stream, peer).await?;
        self.hear(&mut stream, peer).await?;
        Ok(Channel { peer, stream })
    }

    /// PEER-3: who speaks, to whom, of which committee.
    async fn say(&self, stream: &mut TlsStream<BoxIo>, to: u8) -> Result<(), Refused> {
        let mut hello = self.digest.0.to_vec();
        hello.extend([self.number, to]);
        let frame = encode(Kind::Hello, 0, &Digest::default(), &hello);
        stream.write_all(&frame).await?;
        stream.flush().await?;
        Ok(())
    }

    async fn hear(&self, stream: &mut TlsStream<BoxIo>, pinned: u8) -> Result<(), Refused> {
        let bytes: [u8; HEADER_BYTES] = read_header(stream).await?;
        let header = Header::read(&bytes)?;
        if header.kind != Kind::Hello {
            return Err(Violation::Unexpected { kind: header.kind }.into());
        }
        if header.length != HELLO_BYTES {
            return Err(header.too_long(HELLO_BYTES).into());
        }
        let payload = read_payload(stream, header.length).await?;
        let [digest @ .., from, to] = payload.as_slice() else {
            return Err(header.too_long(HELLO_BYTES).into());
        };
        let digest = Digest(digest.try_into().unwrap_or_default());
        if digest != self.digest {
            return Err(Refused::Members {
                found: digest,
                expected: self.digest,
            });
        }
        if *from != pinned {
            return Err(Refused::Number {
                claimed: *from,
                pinned,
            });
        }
        if *to != self.number {
            return Err(Refused::Addressee {
                found: *to,
                own: self.number,
            });
        }
        Ok(())
    }
}

/// PEER-2: the protocol was agreed on and the peer has shown one raw key.
fn authenticated(stream: TlsStream<BoxIo>) -> Result<(PublicKey, TlsStream<BoxIo>), Refused> {
    let state: &CommonState = match &stream {
        TlsStream::Client(s) => s.get_ref().1,
        TlsStream::Server(s) => s.get_ref().1,
    };
    if state.alpn_protocol() != Some(ALPN) {
        let found = state.alpn_protocol();
        return Err(Refused::Protocol {
            found: found.map(|p| String::from_utf8_lossy(p).into_owned()),
        });
    }
    let key = match state.peer_certificates() {
        Some([key]) => PublicKey::of_spki(key),
        _ => None,
    };
    let key = key.ok_or(Refused::UnknownKey(None))?;
    Ok((key, stream))
}
