//! What a quorum is asked to open (QRM-1). That it may be opened is the gate's
//! affair, before.

use crate::error::QuorumError;
use veilbourse_core::{
    ciphertext::OutputCiphertext,
    digest::{Digest, Domain},
    wire::Writer,
};
use veilbourse_protocol::{
    MAX_BATCH,
    binding::{Binding, OutputBinding},
};
use veilbourse_ticket_store::{Dealing, MAX_OUTPUTS};

/// Most values of a request.
pub const MAX_VALUES: usize = MAX_BATCH;

/// One output to open.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its index in the order.
    pub index: u32,
    /// The digest of its proven ciphertext.
    pub digest: Digest,
    /// The ciphertext.
    pub ciphertext: OutputCiphertext,
}

/// Outputs of one order, to be opened by the quorum of a dealing.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whose tickets are spent: quorum, epoch and class follow.
    pub dealing: Digest,
    /// The signed order.
    pub order: Digest,
    /// The signed grant.
    pub grant: Digest,
    /// The signed policy.
    pub policy: Digest,
    /// The outputs, by ascending index.
    pub outputs: Vec<Output>,
    /// Names the meeting; the same at all members, and another each time.
    pub trial: u64,
}

impl Request {
    /// QRM-1.
    pub(crate) fn check(&self) -> Result<(), QuorumError> {
        let within = |field, value: u64, min: u64, max: u64| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(QuorumError::Request {
                field,
                value,
                min,
                max,
            })
        };
        within("outputs", self.outputs.len() as u64, 1, MAX_OUTPUTS.into())?;
        let mut least = 0;
        for o in &self.outputs {
            within("output index", o.index.into(), least, u32::MAX.into())?;
            least = u64::from(o.index) + 1;
            let values = o.ciphertext.values().into();
            within("values of an output", values, 1, MAX_VALUES as u64)?;
        }
        within("values", self.values(), 1, MAX_VALUES as u64)
    }

    /// Values of all outputs.
    pub fn values(&self) -> u64 {
        let values = self.outputs.iter().map(|o| o.ciphertext.values());
        values.map(u64::from).sum()
    }

    /// What all members must mean by it; not the trial.
    pub fn digest(&self) -> Digest {
        let mut out = Writer::new();
        for d in [self.dealing, self.order, self.grant, self.policy] {
            out.raw(&d.0);
        }
        out.len(self.outputs.len());
        for o in &self.outputs {
            out.u32(o.index).raw(&o.digest.0);
            out.u32(o.ciphertext.values());
        }
        Digest::of(Domain::Other("veilbourse v1 quorum request"), &out.finish())
    }

    /// OPN-4: everything that the session is about.
    pub(crate) fn binding(&self, dealing: &Dealing, attempt: u32, first: u64) -> Binding {
        let mut next = first;
        let outputs = self.outputs.iter().map(|o| {
            let values = o.ciphertext.values();
            let first_ticket = next;
            next = next.saturating_add(values.into());
            OutputBinding {
                output: o.index,
                ciphertext: o.digest,
                first_ticket,
                values,
            }
        });
        Binding {
            dataset: dealing.dataset,
            order: self.order,
            grant: self.grant,
            policy: self.policy,
            quorum: dealing.quorum.members(),
            dealing: self.dealing,
            class: dealing.class.digest(),
            attempt,
            outputs: outputs.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use veilbourse_core::ciphertext::Glwe;

    fn request(outputs: &[(u32, u32)]) -> Request {
        let output = |(index, rows): &(u32, u32)| Output {
            index: *index,
            digest: Digest([3; 32]),
            ciphertext: OutputCiphertext::Rows {
                glwe: Glwe::default(),
                rows: *rows,
            },
        };
        Request {
            dealing: Digest([1; 32]),
            order: Digest([2; 32]),
            grant: Digest([4; 32]),
            policy: Digest([5; 32]),
            outputs: outputs.iter().map(output).collect(),
            trial: 0,
        }
    }

    #[test]
    fn requests_have_limits() {
        // QRM-1
        assert!(request(&[(0, 1), (7, 4096)]).check().is_ok());
        let many: Vec<_> = (0..=MAX_OUTPUTS).map(|i| (i, 1)).collect();
        for (outputs, what) in [
            (&[][..], "outputs"),
            (&many, "outputs"),
            (&[(3, 1), (3, 1)], "output index"),
            (&[(3, 1), (2, 1)], "output index"),
            (&[(3, 0)], "values of an output"),
            (&[(0, MAX_VALUES as u32 + 1)], "values of an output"),
            (&[(0, MAX_VALUES as u32), (1, 1)], "values"),
        ] {
            let e = request(outputs).check().unwrap_err();
            assert!(
                matches!(e, QuorumError::Request { field, .. } if field == what),
                "{e}"
            );
        }
    }

    #[test]
    fn members_mean_every_field() {
        // QRM-2
        let base = request(&[(0, 1), (1, 2)]);
        let changes: [&dyn Fn(&mut Request); 7] = [
            &|r| r.dealing = Digest([9; 32]),
            &|r| r.order = Digest([9; 32]),
            &|r| r.grant = Digest([9; 32]),
            &|r| r.policy = Digest([9; 32]),
            &|r| r.outputs[1].index = 5,
            &|r| r.outputs[1].digest = Digest([9; 32]),
            &|r| drop(r.outputs.pop()),
        ];
        let mut seen = vec![base.digest()];
        for change in changes {
            let mut other = base.clone();
            change(&mut other);
            assert!(!seen.contains(&other.digest()));
            seen.push(other.digest());
        }
        let mut later = base.clone();
        later.trial = 1;
        assert_eq!(later.digest(), base.digest());
    }
}
