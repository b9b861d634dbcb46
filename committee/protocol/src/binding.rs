//! What an opening is for (OPN-4): every message of a session carries this
//! digest, so nothing said for one order, output, ticket or class counts for
//! another.

use crate::error::ProtocolError;
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::Writer,
};

/// One output that a session opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputBinding {
    /// Its index in the order.
    pub output: u32,
    /// The digest of its proven ciphertext.
    pub ciphertext: Digest,
    /// The first ticket; one a value from here on.
    pub first_ticket: u64,
    /// Values.
    pub values: u32,
}

/// Everything that a session is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The dataset root D.
    pub dataset: Digest,
    /// The signed order.
    pub order: Digest,
    /// The signed grant.
    pub grant: Digest,
    /// The signed policy.
    pub policy: Digest,
    /// The quorum's nodes, by number in the committee.
    pub quorum: Vec<u8>,
    /// The dealing: root over mask commitments and packages, hence class and k.
    pub dealing: Digest,
    /// The ticket class.
    pub class: Digest,
    /// Which attempt of this order in this quorum, from 0.
    pub attempt: u32,
    /// The outputs, ascending.
    pub outputs: Vec<OutputBinding>,
}

impl Binding {
    /// OPN-4, OPN-6: outputs ascending, and every ticket stands for one value.
    pub fn check(&self) -> Result<(), ProtocolError> {
        let mut next = 0u64;
        let mut output = None;
        for o in &self.outputs {
            let end = o.first_ticket.checked_add(o.values.into());
            match end {
                Some(end) if o.first_ticket >= next && o.values > 0 => next = end,
                _ => {
                    let ticket = o.first_ticket;
                    return Err(ProtocolError::TicketTwice { ticket });
                }
            }
            if output >= Some(o.output) {
                return Err(ProtocolError::Misdirected {
                    what: "output",
                    found: o.output.to_string(),
                    expected: "one above the one before".into(),
                });
            }
            output = Some(o.output);
        }
        Ok(())
    }

    /// The session's digest.
    pub fn digest(&self) -> Digest {
        let Self {
            dataset,
            order,
            grant,
            policy,
            quorum,
            dealing,
            class,
            attempt,
            outputs,
        } = self;
        let mut out = Writer::new();
        for d in [dataset, order, grant, policy, dealing, class] {
            out.raw(&d.0);
        }
        out.bytes(quorum).u32(*attempt).len(outputs.len());
        for OutputBinding {
            output,
            ciphertext,
            first_ticket,
            values,
        } in outputs
        {
            out.u32(*output).raw(&ciphertext.0);
            out.u64(*first_ticket).u32(*values);
        }
        Digest::of(
            Domain::Other("veilbourse v1 opening session"),
            &out.finish(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_stands_for_one_value() {
        // OPN-4
        let output = |output, first_ticket, values| OutputBinding {
            output,
            ciphertext: Digest::default(),
            first_ticket,
            values,
        };
        let check = |outputs: Vec<OutputBinding>| {
            let d = Digest::default();
            let binding = Binding {
                dataset: d,
                order: d,
                grant: d,
                policy: d,
                quorum: vec![0, 1],
                dealing: d,
                class: d,
                attempt: 0,
                outputs,
            };
            binding.check()
        };
        assert_eq!(
            check(vec![output(0, 3, 2), output(2, 5, 1), output(3, 9, 1)]),
            Ok(())
        );
        for (outputs, ticket) in [
            (vec![output(0, 3, 2), output(1, 4, 1)], 4),
            (vec![output(0, 3, 0)], 3),
            (vec![output(0, u64::MAX, 1)], u64::MAX),
        ] {
            assert_eq!(check(outputs), Err(ProtocolError::TicketTwice { ticket }));
        }
        for second in [0, 1] {
            let e = check(vec![output(1, 0, 1), output(second, 1, 1)]).unwrap_err();
            assert!(matches!(
                e,
                ProtocolError::Misdirected { what: "output", .. }
            ));
        }
    }

    #[test]
    fn every_field_counts() {
        // OPN-4
        let d = |n| Digest([n; 32]);
        let base = Binding {
            dataset: d(1),
            order: d(2),
            grant: d(3),
            policy: d(4),
            quorum: vec![0, 2],
            dealing: d(5),
            class: d(6),
            attempt: 0,
            outputs: vec![OutputBinding {
                output: 1,
                ciphertext: d(7),
                first_ticket: 8,
                values: 9,
            }],
        };
        let changes: [&dyn Fn(&mut Binding); 13] = [
            &|b| b.dataset = d(9),
            &|b| b.order = d(9),
            &|b| b.grant = d(9),
            &|b| b.policy = d(9),
            &|b| b.quorum = vec![0, 1],
            &|b| b.dealing = d(9),
            &|b| b.class = d(9),
            &|b| b.attempt = 1,
            &|b| b.outputs[0].output = 2,
            &|b| b.outputs[0].ciphertext = d(9),
            &|b| b.outputs[0].first_ticket = 9,
            &|b| b.outputs[0].values = 8,
            &|b| b.outputs.clear(),
        ];
        let mut seen = vec![base.digest()];
        for change in changes {
            let mut other = base.clone();
            change(&mut other);
            assert!(!seen.contains(&other.digest()));
            seen.push(other.digest());
        }
    }
}
