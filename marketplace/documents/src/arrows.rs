//! The arrows of the flow: who tells whom what, what binds it, and whether it
//! is proven, attested or assumed (REC-2). Receipts and `verify` print this
//! one table.

use crate::Custody;
use serde::Serialize;
use veilbourse_core::program::{Program, Weights};

/// How an arrow is backed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// By a proof that the receipt's reader checks.
    Proven,
    /// By a signature that the receipt's reader checks.
    Attested,
    /// By nothing in the receipt.
    Assumed,
}

impl Binding {
    /// The name in receipts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Attested => "attested",
            Self::Assumed => "assumed",
        }
    }
}

/// One arrow of the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Arrow {
    /// Who says it.
    pub from: &'static str,
    /// To whom.
    pub to: &'static str,
    /// What.
    pub what: &'static str,
    /// What binds it.
    pub bound_by: &'static str,
    /// How it is backed.
    pub binding: Binding,
}

const fn arrow(
    from: &'static str,
    to: &'static str,
    what: &'static str,
    bound_by: &'static str,
    binding: Binding,
) -> Arrow {
    Arrow {
        from,
        to,
        what,
        bound_by,
        binding,
    }
}

/// The arrows of a program in a custody: without hidden weights there is no
/// model to seal and no SNARK whose keys or reference string anything rests on.
pub fn arrows(program: &Program, custody: Custody) -> Vec<Arrow> {
    let hidden = program
        .vectors
        .iter()
        .any(|v| matches!(v.weights, Weights::Private { .. }));
    let (policy, opening) = match custody {
        Custody::CustodianHeld => (&HELD_POLICY, HELD),
        Custody::Committee => (&COMMITTEE_POLICY, COMMITTEE),
    };
    let asked = LISTED.iter().chain([policy]).chain(ASKED);
    let all = asked.chain(opening).chain(SETTLED);
    all.filter(|a| hidden || !HIDDEN_ONLY.contains(&a.what))
        .copied()
        .collect()
}

const PRIVATE_WEIGHTS: &str = "private weights";
const KEYS_ARE_THE_CIRCUITS: &str = "the verifying keys are those of the circuits";
const TRAPDOOR: &str = "nobody knows the trapdoor of the reference string";
const HIDDEN_ONLY: [&str; 3] = [PRIVATE_WEIGHTS, KEYS_ARE_THE_CIRCUITS, TRAPDOOR];

impl Arrow {
    /// Whether it is the one about the reference string's trapdoor.
    pub fn is_about_trapdoor(&self) -> bool {
        self.what == TRAPDOOR
    }

    /// Whether it is the one that recomputed keys turn from assumed to proven.
    pub fn is_about_keys(&self) -> bool {
        self.what == KEYS_ARE_THE_CIRCUITS
    }
}

/// The data.
const LISTED: &[Arrow] = &[
    arrow(
        "custodian",
        "everybody",
        "the data behind the ciphertexts are true",
        "the custodian's word",
        Binding::Assumed,
    ),
    arrow(
        "custodian",
        "everybody",
        "dataset: schema, ranges, rows, ciphertext and sum roots",
        "root D, under the custodian's signature of the policy",
        Binding::Attested,
    ),
    arrow(
        "custodian",
        "everybody",
        "sums and traced aggregates are those of the committed rows",
        "listing proof, verified by the marketplace when it was listed",
        Binding::Attested,
    ),
];

const HELD_POLICY: Arrow = arrow(
    "custodian",
    "everybody",
    "policy: query kinds, cohort, quotas, price, key node",
    "custodian's signature",
    Binding::Attested,
);

const COMMITTEE_POLICY: Arrow = arrow(
    "custodian",
    "everybody",
    "policy: query kinds, cohort, quotas, price, key nodes, tickets and their cost",
    "custodian's signature",
    Binding::Attested,
);

/// From the quote to what is handed in.
const ASKED: &[Arrow] = &[
    arrow(
        "marketplace",
        "buyer",
        "quote: price and split, pod, verifying keys, SRS",
        "marketplace's signature, policy digest",
        Binding::Attested,
    ),
    arrow(
        "buyer",
        "marketplace",
        "order: program, commitments to private weights, price, result key",
        "buyer's signature, quote digest, nonce, deadline",
        Binding::Attested,
    ),
    arrow(
        "buyer",
        "pod",
        PRIVATE_WEIGHTS,
        "commitment M in the order, opened inside the proof",
        Binding::Proven,
    ),
    arrow(
        "pod",
        "everybody",
        "each output ciphertext is the program's value on the committed data",
        "linear proof: FRI openings against D, Marlin for hidden weights, over the order's digest",
        Binding::Proven,
    ),
    arrow(
        "pod",
        "marketplace",
        "submission: outputs, envelopes, metered work",
        "pod's signature, order digest",
        Binding::Attested,
    ),
];

/// One key node opens.
const HELD: &[Arrow] = &[
    arrow(
        "marketplace",
        "key node",
        "grant to open, once",
        "marketplace's signature, order, policy and submission digests, expiry",
        Binding::Attested,
    ),
    arrow(
        "key node",
        "buyer",
        "the opened integers are the decryption of the proven ciphertexts",
        "key node's signature of the sealed result's digest",
        Binding::Attested,
    ),
    arrow(
        "key node",
        "everybody",
        "values revealed, counted durably",
        "key node's signature of the counters",
        Binding::Attested,
    ),
];

/// A quorum of a committee opens.
const COMMITTEE: &[Arrow] = &[
    arrow(
        "custodian",
        "key nodes",
        "tickets: sharing of the key, products, noise within its bound",
        "checked by the quorum when dealt, root under the custodian's signature",
        Binding::Attested,
    ),
    arrow(
        "custodian",
        "everybody",
        "the noise in the tickets has its declared law",
        "the custodian's word",
        Binding::Assumed,
    ),
    arrow(
        "marketplace",
        "key nodes",
        "grant to open, for one quorum and dealing",
        "marketplace's signature, order, policy and submission digests, expiry",
        Binding::Attested,
    ),
    arrow(
        "key nodes",
        "buyer",
        "the opened words are the rounded decryption of the proven ciphertexts, masked",
        "every quorum node's signature of session and words, after the check of all that was opened",
        Binding::Attested,
    ),
    arrow(
        "key nodes",
        "buyer",
        "mask shares",
        "dealt commitments under the signed root, checked by the buyer",
        Binding::Attested,
    ),
    arrow(
        "key nodes",
        "everybody",
        "tickets spent and values revealed, counted durably",
        "every quorum node's signature of ticket numbers and counters",
        Binding::Attested,
    ),
    arrow(
        "key nodes",
        "everybody",
        "the nodes of the quorum do not all conspire, nor one of them with the custodian",
        "nothing; fewer than the threshold learn nothing",
        Binding::Assumed,
    ),
];

/// From the payment on.
const SETTLED: &[Arrow] = &[
    arrow(
        "marketplace",
        "everybody",
        "payment: the quoted split, posted once",
        "marketplace's signature of this receipt",
        Binding::Attested,
    ),
    arrow(
        "marketplace",
        "everybody",
        KEYS_ARE_THE_CIRCUITS,
        "recomputed only with --srs",
        Binding::Assumed,
    ),
    arrow(
        "SRS",
        "everybody",
        TRAPDOOR,
        "whoever made it: one machine (dev), or a contributor to its ceremony",
        Binding::Assumed,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use veilbourse_core::{
        digest::Digest,
        program::{PROGRAM_VERSION, WeightVector},
    };

    fn program(hidden: bool) -> Program {
        let weights = match hidden {
            true => Weights::Private {
                commitment: Digest([1; 32]),
                l1_bound: 1,
                l2_bound: 1,
            },
            false => Weights::Public { values: vec![1] },
        };
        let vector = WeightVector {
            label: "w".into(),
            scale_log2: 0,
            weights,
        };
        Program {
            version: PROGRAM_VERSION,
            dataset: Digest([2; 32]),
            vectors: vec![vector],
            outputs: vec![],
        }
    }

    fn texts(hidden: bool, custody: Custody) -> Vec<String> {
        let all = arrows(&program(hidden), custody);
        let text = |a: &Arrow| {
            let Arrow {
                from,
                to,
                what,
                bound_by,
                binding,
            } = a;
            format!("{from} -> {to}: {what}: {} [{bound_by}]", binding.name())
        };
        all.iter().map(text).collect()
    }

    #[test]
    fn receipts_of_custodian_held_custody_say_what_they_always_said() {
        // REC-2: receipts of before are still checked line by line.
        assert_eq!(texts(true, Custody::CustodianHeld), HELD_TEXT);
    }

    #[test]
    fn every_arrow_is_there_once() {
        // REC-2.
        for custody in Custody::ALL {
            let all = arrows(&program(true), *custody);
            let names: HashSet<_> = all.iter().map(|a| (a.from, a.to, a.what)).collect();
            assert_eq!(names.len(), all.len());
            // Without hidden weights three fewer, and all else in the same order.
            let mut rest = texts(true, *custody);
            rest.retain(|t| !HIDDEN_ONLY.iter().any(|h| t.contains(&format!(": {h}: "))));
            assert_eq!(rest.len(), all.len() - 3);
            assert_eq!(texts(false, *custody), rest);
            let about = |f: fn(&Arrow) -> bool| all.iter().filter(|a| f(a)).count();
            assert_eq!(about(Arrow::is_about_trapdoor), 1);
            assert_eq!(about(Arrow::is_about_keys), 1);
        }
    }

    #[test]
    fn custodies_differ_in_the_policy_and_the_opening_alone() {
        // REC-2, REC-3: what rests on one honest node of a quorum is assumed.
        let [held, shared] = [Custody::CustodianHeld, Custody::Committee].map(|c| texts(true, c));
        let common = held.iter().filter(|t| shared.contains(t)).count();
        assert_eq!(common, held.len() - 1 - HELD.len());
        assert_eq!(shared.len(), common + 1 + COMMITTEE.len());
        assert!(
            !shared
                .iter()
                .any(|t| t.contains("key node:") || t.contains("-> key node:"))
        );
        let assumed = COMMITTEE.iter().filter(|a| a.binding == Binding::Assumed);
        let assumed: Vec<_> = assumed.map(|a| a.what).collect();
        assert_eq!(
            assumed,
            [
                "the noise in the tickets has its declared law",
                "the nodes of the quorum do not all conspire, nor one of them with the custodian"
            ]
        );
    }

    const HELD_TEXT: &[&str] = &[
        "custodian -> everybody: the data behind the ciphertexts are true: assumed [the custodian's word]",
        "custodian -> everybody: dataset: schema, ranges, rows, ciphertext and sum roots: attested [root D, under the custodian's signature of the policy]",
        "custodian -> everybody: sums and traced aggregates are those of the committed rows: attested [listing proof, verified by the marketplace when it was listed]",
        "custodian -> everybody: policy: query kinds, cohort, quotas, price, key node: attested [custodian's signature]",
        "marketplace -> buyer: quote: price and split, pod, verifying keys, SRS: attested [marketplace's signature, policy digest]",
        "buyer -> marketplace: order: program, commitments to private weights, price, result key: attested [buyer's signature, quote digest, nonce, deadline]",
        "buyer -> pod: private weights: proven [commitment M in the order, opened inside the proof]",
        "pod -> everybody: each output ciphertext is the program's value on the committed data: proven [linear proof: FRI openings against D, Marlin for hidden weights, over the order's digest]",
        "pod -> marketplace: submission: outputs, envelopes, metered work: attested [pod's signature, order digest]",
        "marketplace -> key node: grant to open, once: attested [marketplace's signature, order, policy and submission digests, expiry]",
        "key node -> buyer: the opened integers are the decryption of the proven ciphertexts: attested [key node's signature of the sealed result's digest]",
        "key node -> everybody: values revealed, counted durably: attested [key node's signature of the counters]",
        "marketplace -> everybody: payment: the quoted split, posted once: attested [marketplace's signature of this receipt]",
        "marketplace -> everybody: the verifying keys are those of the circuits: assumed [recomputed only with --srs]",
        "SRS -> everybody: nobody knows the trapdoor of the reference string: assumed [whoever made it: one machine (dev), or a contributor to its ceremony]",
    ];
}
