//! A member with a program of its own, on the folder of a node that it was: it
//! meets, spends and opens with the others, and keeps its signature to itself.

use crate::support::{
    SEEDED,
    committee::{Nodes, SEEDS},
    signer,
    terms::Case,
};
use futures::future::join_all;
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;
use veilbourse_core::{
    ciphertext::OutputCiphertext,
    digest::{Digest, Domain},
    wire::Writer,
};
use veilbourse_documents::{Key, Opener};
use veilbourse_node::dealt_by;
use veilbourse_peers::{
    Endpoint, Identity, Kind, Limits, Member, Members, NodeKey, PublicKey, Tcp, Timing,
};
use veilbourse_quorum::{Keeper, Outcome, Output, QuorumError, Request, SignedOutcome, Signer};
use veilbourse_ticket_store::Folder;

/// What it does together with another (KEY-12).
const OPEN: u8 = 1;
const RESUME: u8 = 2;

struct Mute;

impl Signer for Mute {
    fn limit(&self) -> u32 {
        64
    }
    fn sign(&self, _: &Outcome) -> Result<Vec<u8>, String> {
        Err("withheld".into())
    }
    fn check(&self, _: u8, _: &Outcome, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

pub struct Withholding {
    endpoint: Endpoint,
    stores: Vec<(Digest, Keeper<Folder>)>,
}

fn scope(case: &Case) -> Digest {
    dealt_by(&case.job.order.body.dataset, &case.job.policy.key)
}

fn members(case: &Case) -> Vec<u8> {
    match &case.job.grant.body.opener {
        Opener::Committee { quorum, .. } => quorum.clone(),
        Opener::CustodianHeld { .. } => panic!("no committee's"),
    }
}

fn request(case: &Case) -> Request {
    let grant = &case.job.grant.body;
    let Opener::Committee { dealing, .. } = &grant.opener else {
        panic!("no committee's")
    };
    let outputs = case.parts.ciphertexts.iter().zip(&grant.outputs).zip(0..);
    Request {
        dealing: *dealing,
        order: case.order(),
        grant: case.grant(),
        policy: grant.policy,
        outputs: outputs
            .map(|((bytes, granted), index)| Output {
                index,
                digest: granted.ciphertext,
                ciphertext: OutputCiphertext::decode(bytes).unwrap(),
            })
            .collect(),
        trial: 0,
    }
}

impl Withholding {
    /// In the place of node `node`, with its stores of these datasets.
    pub async fn new(nodes: &mut Nodes, node: usize, datasets: &[(Digest, Key)]) -> Self {
        nodes.stop(node).await;
        let all = nodes.file.nodes.iter().zip(0..);
        let all = all.map(|(n, number)| Member {
            number,
            key: PublicKey(n.signing_key.0),
            address: n.address.clone(),
        });
        let key = NodeKey::from_seed(&signer(SEEDS[node]).to_bytes()).unwrap();
        let members = Members::new(all.collect()).unwrap();
        let identity = Identity::new(node as u8, &key, members).unwrap();
        let mut endpoint = Endpoint::start(
            identity,
            Arc::new(Tcp),
            Timing::default(),
            Limits::default(),
        );
        endpoint.listen(TcpListener::bind(nodes.listen[node]).await.unwrap());
        let keeper = |(dataset, custodian): &(Digest, Key)| {
            let store = nodes.store(node, dataset, custodian);
            let keeper = Keeper::new(store, signer(SEEDS[node]));
            (dealt_by(dataset, custodian), keeper)
        };
        Self {
            stores: datasets.iter().map(keeper).collect(),
            endpoint,
        }
    }

    fn keeper(&self, case: &Case) -> &Keeper<Folder> {
        let scope = scope(case);
        let of = self.stores.iter().find(|(s, _)| *s == scope);
        &of.unwrap().1
    }

    /// Says that it is ready until the first member has said when, for all.
    async fn met(&self, what: u8, cases: &[&Case]) -> Vec<Request> {
        let name = |case: &Case| {
            let mut out = Writer::new();
            out.u8(what).raw(&scope(case).0).bytes(&members(case));
            out.raw(&request(case).digest().0);
            Digest::of(Domain::Other("veilbourse v1 rendezvous"), &out.finish())
        };
        let names: Vec<Digest> = cases.iter().map(|c| name(c)).collect();
        let mut trials = vec![None; cases.len()];
        while trials.contains(&None) {
            for (name, (case, trial)) in names.iter().zip(cases.iter().zip(&trials)) {
                if trial.is_none() {
                    let first = members(case)[0];
                    let _ = self.endpoint.tell(first, Kind::Proposal, name, &[0; 9]);
                }
            }
            let heard = tokio::time::timeout(Duration::from_millis(100), self.endpoint.note());
            let Ok(note) = heard.await else { continue };
            let at = names.iter().position(|n| *n == note.session);
            if let (Some(at), [1, trial @ ..]) = (at, &note.payload[..]) {
                trials[at] = Some(u64::from_le_bytes(trial.try_into().unwrap()));
            }
        }
        let all = cases.iter().zip(trials);
        all.map(|(case, trial)| Request {
            trial: trial.unwrap(),
            ..request(case)
        })
        .collect()
    }

    /// Opens these with the others, gives up what it has signed of them before,
    /// and signs nothing.
    pub async fn opens(&self, cases: &[&Case]) {
        for case in cases {
            let keeper = self.keeper(case);
            let owed: Vec<Digest> = keeper.read(|s| {
                let owed = s.owed(&case.order()).into_iter();
                owed.map(|s| s.spent.session).collect()
            });
            for session in owed {
                keeper.forgo(&session).unwrap();
            }
        }
        let requests = self.met(OPEN, cases).await;
        let all = cases.iter().zip(&requests);
        let ends = join_all(all.map(|(case, request)| {
            let keeper = self.keeper(case);
            keeper.open(&self.endpoint, &Mute, request, SEEDED)
        }));
        for e in ends.await {
            assert!(matches!(e, Err(QuorumError::Signing { .. })), "{e:?}");
        }
    }

    /// Finishes what it has signed, as far as the others go along.
    pub async fn finishes(&self, cases: &[&Case]) -> Vec<Result<SignedOutcome, QuorumError>> {
        let requests = self.met(RESUME, cases).await;
        let all = cases.iter().zip(&requests);
        join_all(all.map(|(case, request)| {
            let keeper = self.keeper(case);
            keeper.resume(&self.endpoint, &Mute, request)
        }))
        .await
    }

    pub async fn close(self) {
        self.endpoint.close().await;
    }
}
