//! What an opening is for (OPN-4): every message of a session carries this
//! digest, so nothing said for one order, output, ticket or class counts for
//! another.

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
