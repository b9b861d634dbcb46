//! Tickets and committee nodes as the API shows them (ORD-7). 64-bit integers
//! are decimal strings.

use async_graphql::SimpleObject;
use base64::{Engine, engine::general_purpose::STANDARD};
use veilbourse_domain::{Digest, records::Machine};

/// The tickets of a listing in committee custody.
#[derive(Debug, Clone, SimpleObject)]
pub struct ListingTickets {
    /// The policy's classes.
    pub classes: Vec<TicketClass>,
    /// Every dealing that the policy lists.
    pub dealings: Vec<Dealing>,
    /// The most that all dealings together may cost, in zCDP.
    pub rho_limit: f64,
    /// What they cost, spent or not.
    pub rho_dealt: f64,
    /// The same as epsilon at `delta`; null where the cut of the noise leaves
    /// nothing of that delta.
    pub epsilon_dealt: Option<f64>,
    /// The delta.
    pub delta: f64,
}

/// A class of tickets.
#[derive(Debug, Clone, SimpleObject)]
pub struct TicketClass {
    /// Names it in quotes and orders.
    pub digest: String,
    /// For people.
    pub name: String,
    /// Whether orders may use it.
    pub offered: bool,
    /// The dataset's k.
    pub k: u32,
    /// The most that one row may move a value.
    pub sensitivity: String,
    /// The law of the noise in every value.
    pub law: String,
    /// Its standard deviation, in opened integers.
    pub noise_deviation: f64,
    /// What one value costs in zCDP; 0 without noise.
    pub rho_per_ticket: f64,
    /// Tickets dealt, over all quorums.
    pub dealt: String,
    /// Spent of them.
    pub spent: String,
    /// Left in dealings that their quorums accepted.
    pub left: String,
    /// The most values that an order may have now.
    pub largest_order: String,
}

/// A dealing of tickets to a quorum.
#[derive(Debug, Clone, SimpleObject)]
pub struct Dealing {
    /// Digest of its announcement.
    pub digest: String,
    /// The quorum's nodes, by number.
    pub quorum: Vec<u32>,
    /// Counts the quorum's keys.
    pub epoch: u32,
    /// Digest of its class.
    pub class: String,
    /// Number of the first ticket.
    pub first: String,
    /// Tickets.
    pub count: String,
    /// The next ticket to be spent.
    pub next: String,
    /// waiting, accepted or refused.
    pub state: String,
    /// What each node said of it.
    pub answers: Vec<DealingAnswer>,
}

/// What a node said of a dealing.
#[derive(Debug, Clone, SimpleObject)]
pub struct DealingAnswer {
    /// The node's number.
    pub node: u32,
    /// waiting, accepted or refused.
    pub state: String,
    /// A refusal's code.
    pub code: String,
    /// In words.
    pub reason: String,
}

/// A key node that can be in a committee.
#[derive(Debug, Clone, SimpleObject)]
pub struct KeyNode {
    /// Its machine id.
    pub id: String,
    /// Name shown.
    pub name: String,
    /// Its Ed25519 key, hex.
    pub signing_key: String,
    /// What is sealed to it, X-Wing, base64.
    pub sealing_key: String,
    /// Its own signature of the sealing key for this marketplace, as documents
    /// write it.
    pub sealing_signature: String,
}

impl KeyNode {
    /// From a machine and its registration.
    pub fn new(machine: &Machine, sealing_key: &[u8], sealing_signature: &str) -> Self {
        Self {
            id: machine.id.to_string(),
            name: machine.name.clone(),
            signing_key: machine.signing_key.to_string(),
            sealing_key: STANDARD.encode(sealing_key),
            sealing_signature: sealing_signature.to_owned(),
        }
    }
}

/// The tickets of a quote, as the server offers them.
#[derive(Debug, Clone)]
pub struct TicketOffer {
    /// The class.
    pub class: Digest,
    /// Tickets that the order needs: one a value.
    pub needed: u64,
    /// Left in the class.
    pub left: u64,
    /// The most values that an order may have now.
    pub largest_order: u64,
    /// Standard deviation of the noise, in opened integers.
    pub noise_deviation: f64,
    /// At least 95 of 100 values are within plus or minus this.
    pub noise_within_95: f64,
}

/// The tickets of a quote.
#[derive(Debug, SimpleObject)]
pub struct QuotedTickets {
    /// Tickets that the order needs: one a value.
    pub needed: String,
    /// Left in the class.
    pub left: String,
    /// The most values that an order may have now.
    pub largest_order: String,
}

impl From<&TicketOffer> for QuotedTickets {
    fn from(t: &TicketOffer) -> Self {
        Self {
            needed: t.needed.to_string(),
            left: t.left.to_string(),
            largest_order: t.largest_order.to_string(),
        }
    }
}
