//! Why a node or a buyer goes no further, one variant a rule.

use thiserror::Error;
use veilbourse_core::wire::WireError;

/// A refusal or an abort of the committee's protocol.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum ProtocolError {
    /// Bytes that are no message (WIRE-1..4).
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A class's mechanism or sensitivity (PRV).
    #[error(transparent)]
    Privacy(#[from] veilbourse_privacy::PrivacyError),
    /// SHR-1: no committee or quorum of these numbers.
    #[error("{field}: {value} is outside {min}..={max} (SHR-1)")]
    Quorum {
        /// What.
        field: &'static str,
        /// Found.
        value: u64,
        /// Least.
        min: u64,
        /// Greatest.
        max: u64,
    },
    /// TKT-1: no class of these parameters.
    #[error("ticket class: {field} {value} is outside {min}..={max} (TKT-1)")]
    Class {
        /// What.
        field: &'static str,
        /// Found.
        value: u64,
        /// Least.
        min: u64,
        /// Greatest.
        max: u64,
    },
    /// A list has another length than it must have.
    #[error("{what}: {found} elements, expected {expected}")]
    Length {
        /// What.
        what: &'static str,
        /// Found.
        found: u64,
        /// Expected.
        expected: u64,
    },
    /// OPN-4: a message of another session, round or sender.
    #[error("message of {what} {found}, expected {expected} (OPN-4)")]
    Misdirected {
        /// Session, round or sender.
        what: &'static str,
        /// Found.
        found: String,
        /// Expected.
        expected: String,
    },
    /// OPN-4: a second message of one sender in one round.
    #[error("party {party} sent two messages in round {round} (OPN-4)")]
    Repeated {
        /// Who.
        party: u8,
        /// When.
        round: u8,
    },
    /// OPN-4: the opening is over, for good or ill.
    #[error("the opening is over (OPN-4)")]
    Ended,
    /// OPN-4: what was opened was not the same everywhere.
    #[error("party {party} saw other openings than this node (OPN-4)")]
    Equivocation {
        /// Who.
        party: u8,
    },
    /// OPN-4: a revealed value is not the one committed to.
    #[error("party {party} revealed another {what} than it had committed to (OPN-4)")]
    Commitment {
        /// Who.
        party: u8,
        /// Coin or check.
        what: &'static str,
    },
    /// OPN-4: the MAC check failed: the quorum is frozen.
    #[error("the check of what was opened failed: the quorum is frozen (OPN-4)")]
    MacCheck,
    /// TKT-4: a dealing that is not what it says.
    #[error("dealing refused: {0} (TKT-4)")]
    Dealing(&'static str),
    /// OPN-3: a share of the output mask that its dealer did not commit to.
    #[error(
        "party {party}: the mask's share of value {value} does not open the dealer's commitment (OPN-3)"
    )]
    MaskShare {
        /// Who lied.
        party: u8,
        /// Which value.
        value: u64,
    },
    /// TKT-5: a ticket that the dealer's root does not hold.
    #[error("ticket {ticket} is not under the dealer's root (TKT-5)")]
    Membership {
        /// The ticket.
        ticket: u64,
    },
    /// OPN-9: what is added up may be greater than residues can tell.
    #[error("values up to {bound} do not fit {limit} (OPN-9)")]
    Bound {
        /// Greatest magnitude.
        bound: u64,
        /// Greatest that fits.
        limit: u64,
    },
    /// OPN-4: a ticket stands for two values.
    #[error("ticket {ticket} is not above the one before it: each opens one value (OPN-4)")]
    TicketTwice {
        /// The ticket.
        ticket: u64,
    },
    /// OPN-3: an unmasked value outside the range of its class.
    #[error("value {value} is outside the range of its class (OPN-3)")]
    Range {
        /// Which value.
        value: u64,
    },
}
