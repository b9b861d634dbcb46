//! What a vault holds (VLT-5, VLT-6).

use super::VaultError;
use crate::buyer::Ticket;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;
use std::{collections::BTreeMap, fmt};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{Id, Key, SigningKey};
use veilbourse_eval::SecretKey;
use zeroize::Zeroizing;

/// Of the contents.
pub const CONTENTS_VERSION: u16 = 1;

/// Secret bytes: hex in the vault, erased when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Zeroizing<Vec<u8>>);

impl Secret {
    /// Fresh, of 32 bytes.
    pub fn fresh(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new(vec![0u8; 32]);
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// As exactly 32 bytes.
    pub fn array(&self) -> Option<Zeroizing<[u8; 32]>> {
        self.0.as_slice().try_into().ok().map(Zeroizing::new)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&Zeroizing::new(hex::encode(&*self.0)))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(d)?);
        let bytes = hex::decode(&*text).map_err(D::Error::custom)?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

/// A signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningEntry {
    /// The public half.
    pub key: Key,
    /// The secret half.
    pub seed: Secret,
    /// For people.
    pub name: String,
    /// Milliseconds since the epoch.
    pub created: u64,
    /// Accounts that it was registered for from here.
    pub accounts: Vec<Id>,
}

impl SigningEntry {
    /// A fresh key.
    pub fn fresh(name: &str, created: u64, rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0u8; 32]);
        rng.fill_bytes(&mut *seed);
        let key = SigningKey::from_bytes(&seed);
        Self::of(name, created, &key)
    }

    /// Of a key that there is.
    pub fn of(name: &str, created: u64, key: &SigningKey) -> Self {
        Self {
            key: Key(key.verifying_key().to_bytes()),
            seed: Secret(Zeroizing::new(key.to_bytes().to_vec())),
            name: name.to_owned(),
            created,
            accounts: Vec::new(),
        }
    }

    /// What signs.
    pub fn signing(&self) -> Result<SigningKey, VaultError> {
        let seed = self.seed.array().ok_or_else(|| VaultError::Contents {
            reason: format!("key {}: its seed has not 32 bytes", self.key),
        })?;
        let key = SigningKey::from_bytes(&seed);
        if key.verifying_key().to_bytes() != self.key.0 {
            return Err(VaultError::Contents {
                reason: format!("key {}: its seed is another key's", self.key),
            });
        }
        Ok(key)
    }
}

/// A dataset's secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetEntry {
    /// D.
    pub root: Digest,
    /// For people.
    pub name: String,
    /// Milliseconds since the epoch.
    pub created: u64,
    /// S_D, as a key file's bytes.
    pub data_key: Secret,
    /// What everything dealt follows from.
    pub dealer_key: Option<Secret>,
    /// What is planned and dealt.
    pub dealer_plan: Option<Value>,
    /// Its listing.
    pub listing: Option<Id>,
}

/// An order with what opens its result.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderEntry {
    /// The ticket.
    pub ticket: Ticket,
    /// statistics, linear, logistic or train.
    pub kind: String,
    /// Milliseconds since the epoch.
    pub created: u64,
    /// Whether its result was opened here.
    pub opened: bool,
    /// Of a training: what was asked.
    pub ask: Option<Value>,
}

impl OrderEntry {
    /// Digest of the signed order: names it.
    pub fn digest(&self) -> Result<Digest, VaultError> {
        self.ticket
            .order
            .digest()
            .map_err(|e| VaultError::Contents {
                reason: format!("an order: {e}"),
            })
    }
}

/// Everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// Of this form.
    pub version: u16,
    /// What files in a page's storage are sealed under (VLT-7).
    pub storage_key: Secret,
    /// Signing keys; the last signs.
    pub keys: Vec<SigningEntry>,
    /// Marketplace keys by server.
    pub pins: BTreeMap<String, Key>,
    /// Datasets.
    pub datasets: Vec<DatasetEntry>,
    /// Orders.
    pub orders: Vec<OrderEntry>,
    /// Changes since it was last given out as a backup.
    pub unsaved: u64,
}

impl Contents {
    /// Nothing yet.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        Self {
            version: CONTENTS_VERSION,
            storage_key: Secret::fresh(rng),
            keys: Vec::new(),
            pins: BTreeMap::new(),
            datasets: Vec::new(),
            orders: Vec::new(),
            unsaved: 0,
        }
    }

    /// VLT-5: of this version, every secret of its length, every key its seed's.
    pub(super) fn check(&self) -> Result<(), VaultError> {
        if self.version != CONTENTS_VERSION {
            return Err(VaultError::Version {
                field: "the vault's contents",
                expected: CONTENTS_VERSION,
                found: self.version,
            });
        }
        if self.storage_key.array().is_none() {
            return Err(VaultError::Contents {
                reason: "the storage key has not 32 bytes".into(),
            });
        }
        for key in &self.keys {
            key.signing()?;
        }
        for d in &self.datasets {
            let wrong = |what: &str| VaultError::Contents {
                reason: format!("dataset {}: {what}", d.root),
            };
            SecretKey::decode(&d.data_key.0).map_err(|e| wrong(&format!("its key: {e}")))?;
            if d.dealer_key.as_ref().is_some_and(|k| k.array().is_none()) {
                return Err(wrong("its dealer's secret has not 32 bytes"));
            }
        }
        for order in &self.orders {
            let digest = order.digest()?;
            if order.ticket.result_secret.0.len() != 32 {
                return Err(VaultError::Contents {
                    reason: format!("order {digest}: its result key has not 32 bytes"),
                });
            }
        }
        Ok(())
    }

    /// Adds what another vault holds and this does not (VLT-6): nothing here is
    /// replaced but by what says more of the same thing. A backup from this
    /// browser brings back the storage key by replacing the vault, not by this.
    pub fn merge(&mut self, other: Self) -> Result<(), VaultError> {
        // The newest of one's own goes on signing: a file that is added must not put
        // its key in that place.
        let mut added = Vec::new();
        for key in other.keys {
            match self.keys.iter_mut().find(|k| k.key == key.key) {
                None => added.push(key),
                Some(known) => {
                    for account in key.accounts {
                        if !known.accounts.contains(&account) {
                            known.accounts.push(account);
                        }
                    }
                }
            }
        }
        self.keys.splice(..0, added);
        for (server, key) in other.pins {
            self.pins.entry(server).or_insert(key);
        }
        for dataset in other.datasets {
            match self.datasets.iter_mut().find(|d| d.root == dataset.root) {
                None => self.datasets.push(dataset),
                Some(known) => {
                    // A plan goes with its key.
                    if known.dealer_key.is_none() || known.dealer_key == dataset.dealer_key {
                        known.dealer_key = known.dealer_key.take().or(dataset.dealer_key);
                        known.dealer_plan = known.dealer_plan.take().or(dataset.dealer_plan);
                    }
                    known.listing = known.listing.take().or(dataset.listing);
                }
            }
        }
        for order in other.orders {
            let digest = order.digest()?;
            let mut known = None;
            for (i, o) in self.orders.iter().enumerate() {
                if o.digest()? == digest {
                    known = Some(i);
                }
            }
            match known.and_then(|i| self.orders.get_mut(i)) {
                None => self.orders.push(order),
                Some(o) => {
                    o.ticket.order_id = o.ticket.order_id.take().or(order.ticket.order_id);
                    o.opened |= order.opened;
                }
            }
        }
        self.unsaved = self.unsaved.saturating_add(1);
        Ok(())
    }

    /// The dataset of a root.
    pub fn dataset(&self, root: &Digest) -> Option<&DatasetEntry> {
        self.datasets.iter().find(|d| d.root == *root)
    }
}
