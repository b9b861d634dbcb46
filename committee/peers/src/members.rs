//! Who the nodes of a committee are to each other: number, pinned public key,
//! address (PEER-1).

use crate::error::MembersError;
use rustls::{
    pki_types::PrivatePkcs8KeyDer,
    sign::{CertifiedKey, SigningKey},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, sync::Arc};
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::Writer,
};
use veilbourse_protocol::MAX_NODES;
use zeroize::Zeroizing;

/// DER of a SubjectPublicKeyInfo of Ed25519 before the key (RFC 8410).
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// DER of a private key of Ed25519 before the seed (RFC 8410, version 1).
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// An Ed25519 public key; 64 lower-case hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// The key as rustls shows it: a SubjectPublicKeyInfo. There is one encoding,
    /// so keys are compared as bytes and nothing of a peer's is parsed.
    pub(crate) fn spki(&self) -> Vec<u8> {
        [&SPKI[..], &self.0].concat()
    }
    /// The key in a SubjectPublicKeyInfo, if it is one of Ed25519.
    pub(crate) fn of_spki(spki: &[u8]) -> Option<Self> {
        let key = spki.strip_prefix(&SPKI)?;
        key.try_into().ok().map(Self)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = MembersError;
    fn try_from(text: String) -> Result<Self, MembersError> {
        Digest::from_hex(&text)
            .map(|d| Self(d.0))
            .ok_or(MembersError::KeyText { found: text })
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// A node's own key.
#[derive(Clone)]
pub struct NodeKey {
    public: PublicKey,
    certified: Arc<CertifiedKey>,
}

impl NodeKey {
    /// From the seed of RFC 8032.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, MembersError> {
        let der = Zeroizing::new([&PKCS8[..], seed].concat());
        let der = PrivatePkcs8KeyDer::from(der.as_slice());
        let unusable = |what: String| MembersError::OwnKey { what };
        let key = rustls::crypto::ring::sign::any_eddsa_type(&der)
            .map_err(|e| unusable(e.to_string()))?;
        let spki = SigningKey::public_key(&*key).ok_or_else(|| unusable("no public key".into()))?;
        let public = PublicKey::of_spki(spki.as_ref())
            .ok_or_else(|| unusable("its public key is not one of Ed25519".into()))?;
        let chain = vec![public.spki().into()];
        Ok(Self {
            public,
            certified: Arc::new(CertifiedKey::new(chain, key)),
        })
    }
    /// The public key.
    pub fn public(&self) -> PublicKey {
        self.public
    }
    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.public)
    }
}

/// One node of a committee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its number in the committee.
    pub number: u8,
    /// Its public key.
    pub key: PublicKey,
    /// Where it listens: host and port.
    pub address: String,
}

/// All nodes of a committee, by ascending number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members(Vec<Member>);

impl Members {
    /// PEER-1: two to five nodes, no number and no key twice.
    pub fn new(mut members: Vec<Member>) -> Result<Self, MembersError> {
        members.sort_by_key(|m| m.number);
        if !(2..=usize::from(MAX_NODES)).contains(&members.len()) {
            return Err(MembersError::Count {
                value: members.len(),
                max: MAX_NODES,
            });
        }
        let (mut numbers, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for m in &members {
            if m.number >= MAX_NODES || !numbers.insert(m.number) {
                return Err(MembersError::Number {
                    value: m.number,
                    max: MAX_NODES - 1,
                });
            }
            if !keys.insert(m.key) {
                return Err(MembersError::KeyTwice { key: m.key });
            }
        }
        Ok(Self(members))
    }
    /// All of them.
    pub fn all(&self) -> &[Member] {
        &self.0
    }
    /// One by its number.
    pub fn get(&self, number: u8) -> Option<&Member> {
        self.0.iter().find(|m| m.number == number)
    }
    /// One by its key.
    pub fn by_key(&self, key: &PublicKey) -> Option<&Member> {
        self.0.iter().find(|m| m.key == *key)
    }
    /// All but one.
    pub fn others(&self, own: u8) -> impl Iterator<Item = &Member> {
        self.0.iter().filter(move |m| m.number != own)
    }
    /// A digest of numbers and keys: two nodes that disagree about it have
    /// different committees (PEER-3). Addresses are each node's own affair.
    pub fn digest(&self) -> Digest {
        let mut out = Writer::new();
        out.len(self.0.len());
        for m in &self.0 {
            out.u8(m.number).raw(&m.key.0);
        }
        Digest::of(
            Domain::Other("veilbourse v1 committee members"),
            &out.finish(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(number: u8, key: u8) -> Member {
        Member {
            number,
            key: PublicKey([key; 32]),
            address: String::new(),
        }
    }

    #[test]
    fn a_list_names_each_number_and_key_once() {
        // PEER-1
        let ok = Members::new(vec![member(1, 1), member(0, 2)]).unwrap();
        assert_eq!(ok.all()[0].number, 0);
        assert_eq!(ok.by_key(&PublicKey([1; 32])).unwrap().number, 1);
        let refused = |m: Vec<Member>| Members::new(m).unwrap_err();
        assert_eq!(
            refused(vec![member(0, 1)]),
            MembersError::Count { value: 1, max: 5 }
        );
        assert_eq!(
            refused((0..6).map(|i| member(i, i)).collect()),
            MembersError::Count { value: 6, max: 5 }
        );
        assert_eq!(
            refused(vec![member(0, 1), member(0, 2)]),
            MembersError::Number { value: 0, max: 4 }
        );
        assert_eq!(
            refused(vec![member(0, 1), member(5, 2)]),
            MembersError::Number { value: 5, max: 4 }
        );
        let key = PublicKey([1; 32]);
        assert_eq!(
            refused(vec![member(0, 1), member(1, 1)]),
            MembersError::KeyTwice { key }
        );
    }

    #[test]
    fn keys_of_rfc_8032() {
        let mut seed = [0; 32];
        let text = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        hex::decode_to_slice(text, &mut seed).unwrap();
        let key = NodeKey::from_seed(&seed).unwrap();
        assert_eq!(
            key.public().to_string(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        let text = key.public().to_string();
        assert_eq!(PublicKey::try_from(text.clone()), Ok(key.public()));
        for found in [text.to_uppercase(), text[1..].into(), format!("{text} ")] {
            let refused = PublicKey::try_from(found.clone());
            assert_eq!(refused, Err(MembersError::KeyText { found }));
        }
    }

    #[test]
    fn the_digest_covers_numbers_and_keys() {
        // PEER-3
        let of = |a, b| Members::new(vec![a, b]).unwrap().digest();
        let base = of(member(0, 1), member(1, 2));
        assert_ne!(base, of(member(0, 1), member(2, 2)));
        assert_ne!(base, of(member(0, 1), member(1, 3)));
        assert_ne!(base, of(member(0, 2), member(1, 1)));
        let mut moved = member(1, 2);
        moved.address = "elsewhere:1".into();
        assert_eq!(base, of(member(0, 1), moved));
    }
}
