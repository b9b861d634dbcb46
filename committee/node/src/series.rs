//! What a key node counts and measures, for its operator: names, and what they
//! say. A refusal's code is the only label; nothing is told of an order, a buyer
//! or a value.

use metrics::{counter, describe_counter, describe_gauge, gauge};

/// Orders delivered since the node started.
pub const ORDERS_DELIVERED: &str = "key_node_orders_delivered_total";
/// Orders refused since the node started; label `code`.
pub const ORDERS_REFUSED: &str = "key_node_orders_refused_total";
/// As `MemberHealth::tickets`; this and the following of a committee's node.
pub const TICKETS_LEFT: &str = "key_node_tickets_left";
/// As `MemberHealth::withheld`.
pub const SESSIONS_WITHHELD: &str = "key_node_sessions_withheld";
/// As `MemberHealth::frozen`.
pub const QUORUMS_FROZEN: &str = "key_node_quorums_frozen";
/// Other nodes of the committee that are connected.
pub const PEERS_CONNECTED: &str = "key_node_peers_connected";
/// As `MemberHealth::undelivered`.
pub const DELIVERIES_WAITING: &str = "key_node_deliveries_waiting";
/// As `MemberHealth::orders`.
pub const ORDERS_AT_WORK: &str = "key_node_orders_at_work";

/// Says what the counters are, and begins them at nothing.
pub(crate) fn counters() {
    describe_counter!(ORDERS_DELIVERED, "Orders delivered since the start");
    describe_counter!(ORDERS_REFUSED, "Orders refused since the start, by code");
    counter!(ORDERS_DELIVERED).increment(0);
}

/// Says what a committee's node measures.
pub(crate) fn gauges() {
    for (name, what) in [
        (TICKETS_LEFT, "Tickets left, of all dealings"),
        (SESSIONS_WITHHELD, "Sessions signed and not released"),
        (QUORUMS_FROZEN, "Quorums frozen until they are dealt anew"),
        (PEERS_CONNECTED, "Other nodes that are connected"),
        (DELIVERIES_WAITING, "Deliveries the marketplace has not yet"),
        (ORDERS_AT_WORK, "Orders at work"),
    ] {
        describe_gauge!(name, what);
    }
}

pub(crate) fn measured(name: &'static str, value: u64) {
    gauge!(name).set(value as f64);
}

pub(crate) fn delivered(orders: usize) {
    counter!(ORDERS_DELIVERED).increment(orders as u64);
}

pub(crate) fn refused(code: String) {
    counter!(ORDERS_REFUSED, "code" => code).increment(1);
}
