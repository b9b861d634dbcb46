//! TLS 1.3 between nodes, each known by its raw Ed25519 public key (RFC 7250):
//! PEER-2.
//!
//! There is no certificate, so nothing of X.509 is parsed or checked, and no
//! name and no date can be wrong: the bytes of the key are the pinned ones or
//! the handshake fails.

use crate::{
    error::{MembersError, UnknownKey},
    members::{Members, NodeKey, PublicKey},
};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    ServerConfig, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::{
        AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::TLS13,
};
use std::{collections::BTreeMap, sync::Arc};

/// The protocol and its version, agreed on in the handshake (ALPN).
pub const ALPN: &[u8] = b"veilbourse-peers/1";

/// X25519, and two of the suites of TLS 1.3.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.kx_groups = vec![ring::kx_group::X25519];
    provider.cipher_suites = vec![
        ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
    ];
    Arc::new(provider)
}

/// Accepts these keys and no others, on either side.
#[derive(Debug)]
struct Pinned {
    keys: Vec<PublicKey>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn check(&self, key: &[u8], more: usize) -> Result<(), Error> {
        if more == 0 && self.keys.iter().any(|k| k.spki() == key) {
            return Ok(());
        }
        let unknown = UnknownKey(PublicKey::of_spki(key));
        let other = OtherError(Arc::new(unknown));
        Err(Error::InvalidCertificate(CertificateError::Other(other)))
    }
    fn signed(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(key.as_ref()),
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }
}

/// The rest of both traits is the same for either side.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("TLS 1.2 is not spoken".into()))
        }
        fn verify_tls13_signature(
            &self,
            message: &[u8],
            key: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.signed(message, key, signature)
        }
        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }
        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(key, more.len())?;
        Ok(ServerCertVerified::assertion())
    }
    signatures!();
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(key, more.len())?;
        Ok(ClientCertVerified::assertion())
    }
    signatures!();
}

/// One node's configurations: to be called, and to call each other node.
pub(crate) struct Configs {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) clients: BTreeMap<u8, Arc<ClientConfig>>,
}

impl Configs {
    pub(crate) fn new(own: u8, key: &NodeKey, members: &Members) -> Result<Self, MembersError> {
        let failed = |e: Error| MembersError::OwnKey {
            what: e.to_string(),
        };
        let provider = provider();
        let pinned = |keys: Vec<PublicKey>| {
            Arc::new(Pinned {
                keys,
                provider: Arc::clone(&provider),
            })
        };
        let all = members.others(own).map(|m| m.key).collect();
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(failed)?
            .with_client_cert_verifier(pinned(all))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(
                key.certified(),
            )));
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        server.max_early_data_size = 0;
        let mut clients = BTreeMap::new();
        for peer in members.others(own) {
            let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[&TLS13])
                .map_err(failed)?
                .dangerous()
                .with_custom_certificate_verifier(pinned(vec![peer.key]))
                .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                    key.certified(),
                )));
            client.alpn_protocols = vec![ALPN.to_vec()];
            client.resumption = Resumption::disabled();
            client.enable_early_data = false;
            client.enable_sni = false;
            clients.insert(peer.number, Arc::new(client));
        }
        Ok(Self {
            server: Arc::new(server),
            clients,
        })
    }
}
