//! Identifiers: UUID version 7 newtypes, so that an order's id is not taken
//! for a listing's and rows sort by the time they were made.

use crate::{DomainError, Millis};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident, $what:literal;)*) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A version 7 id of a time and 10 random bytes.
            pub fn new(now: Millis, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(now, &random).into_uuid())
            }
            /// The UUID.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }
        impl From<Uuid> for $name {
            fn from(v: Uuid) -> Self {
                Self(v)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = DomainError;
            fn from_str(s: &str) -> Result<Self, DomainError> {
                let id = Uuid::try_parse(s).map_err(|_| DomainError::invalid($what, "not a UUID"))?;
                if id.to_string() != s {
                    return Err(DomainError::invalid($what, "not the canonical form of a UUID"));
                }
                Ok(Self(id))
            }
        }
    )*};
}

ids! {
    /// An account.
    AccountId, "account id";
    /// A session: the family of one refresh token.
    SessionId, "session id";
    /// A pod or key node.
    MachineId, "machine id";
    /// A listing.
    ListingId, "listing id";
    /// A quote.
    QuoteId, "quote id";
    /// An order.
    OrderId, "order id";
    /// A transfer in the ledger.
    TransferId, "transfer id";
    /// A letter.
    MailId, "mail id";
    /// A deposit or withdrawal request.
    CashRequestId, "cash request id";
    /// An API key (PAR-1).
    ApiKeyId, "API key id";
    /// A webhook (PAR-9).
    WebhookId, "webhook id";
    /// A delivery to a webhook, the same in each attempt (PAR-11).
    DeliveryId, "delivery id";
}

macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $name:ident;)*) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl FromStr for $name {
            type Err = DomainError;
            fn from_str(s: &str) -> Result<Self, DomainError> {
                veilbourse_core::digest::Digest::from_hex(s).map(|d| Self(d.0)).ok_or_else(|| {
                    DomainError::invalid(stringify!($name), "expected 64 lower-case hex digits")
                })
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

keys! {
    /// An Ed25519 public key.
    PublicKey;
    /// A number used once.
    Nonce;
    /// The secret half of a lease: who shows it holds the lease.
    LeaseToken;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_parse_canonically() {
        let a = OrderId::new(1_000, [0xff; 10]);
        let b = OrderId::new(1_001, [0; 10]);
        assert!(a < b && a.to_string() < b.to_string());
        assert_eq!(a.to_string().parse::<OrderId>(), Ok(a));
        let upper = a.to_string().to_uppercase();
        assert!(matches!(
            upper.parse::<OrderId>(),
            Err(DomainError::Invalid { .. })
        ));
        assert!(matches!(
            "".parse::<OrderId>(),
            Err(DomainError::Invalid { .. })
        ));
    }

    #[test]
    fn keys_are_lower_case_hex() {
        let k = PublicKey([0xab; 32]);
        assert_eq!(k.to_string().parse::<PublicKey>(), Ok(k));
        assert!(matches!(
            "AB".repeat(32).parse::<PublicKey>(),
            Err(DomainError::Invalid { .. })
        ));
        let json = serde_json::to_string(&k).expect("serialises");
        assert_eq!(serde_json::from_str::<PublicKey>(&json).expect("parses"), k);
    }
}
