//! The dealer's folder, inside the dataset's: its secret (mode 0600), the plan,
//! and what is dealt, sealed to its nodes.
//!
//! `dealer/dealer.key`, `dealer/plan.json`, `dealer/dealings/DIGEST/`, and while
//! dealing `dealer/work/`.

use super::{Asked, DealingError, Plan, Planned, files};
use crate::{ClientError, dataset::DatasetFolder, disk};
use rand_core::CryptoRng;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use veilbourse_core::{
    digest::{Digest, Domain},
    wire::{Reader, Writer},
};
use veilbourse_documents::{CommitteeFile, DealingTerms, Tickets};
use veilbourse_privacy::Rho;
use veilbourse_protocol::quorum_name;
use veilbourse_ticket_store::Dealing;
use zeroize::Zeroizing;

const SECRET: &str = "dealer.key";
const PLAN: &str = "plan.json";

/// A dealer's folder.
pub struct DealerFolder {
    path: PathBuf,
    secret: Zeroizing<[u8; 32]>,
    plan: Plan,
}

impl DealerFolder {
    /// Whether a dataset was ever dealt.
    pub fn exists(dataset: &DatasetFolder) -> bool {
        disk::exists(&dataset.path().join("dealer").join(PLAN))
    }

    /// The folder of a dataset; made, with a fresh secret, where there is none.
    pub fn open(dataset: &DatasetFolder, rng: &mut impl CryptoRng) -> Result<Self, ClientError> {
        let path = dataset.path().join("dealer");
        files::folder(&path)?;
        let (secret, plan) = (path.join(SECRET), path.join(PLAN));
        let root = dataset.manifest.root();
        if !disk::exists(&plan) {
            // Without a plan nothing was dealt: a secret left by a crash is as
            // good as a new one.
            if !disk::exists(&secret) {
                let mut fresh = Zeroizing::new([0u8; 32]);
                rng.fill_bytes(&mut *fresh);
                files::write_new(&secret, Zeroizing::new(hex::encode(*fresh)).as_bytes())?;
            }
            let k = u8::try_from(dataset.manifest.message_log2).unwrap_or(u8::MAX);
            save(&plan, &Plan::new(root, k))?;
        }
        let text = disk::read_to_string(&secret).map_err(|e| ClientError::file(&secret, e))?;
        let text = Zeroizing::new(text);
        let mut key = Zeroizing::new([0u8; 32]);
        hex::decode_to_slice(text.trim(), &mut *key)
            .map_err(|e| ClientError::refused("dealer's secret", e))?;
        let bytes = disk::read(&plan).map_err(|e| ClientError::file(&plan, e))?;
        let plan: Plan =
            serde_json::from_slice(&bytes).map_err(|e| ClientError::refused("dealer's plan", e))?;
        plan.check(&root)?;
        Ok(Self {
            path,
            secret: key,
            plan,
        })
    }

    /// What is planned and dealt.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Plans more ([`Plan::add`]); on disk when this returns.
    pub fn add(
        &mut self,
        committee: &CommitteeFile,
        asked: &[Asked],
        anew: &BTreeSet<Vec<u8>>,
        only: Option<&BTreeSet<Vec<u8>>>,
    ) -> Result<(), ClientError> {
        let mut plan = self.plan.clone();
        plan.add(committee, asked, anew, only)?;
        save(&self.path.join(PLAN), &plan)?;
        self.plan = plan;
        Ok(())
    }

    /// What a policy says of the tickets.
    pub fn tickets(&self, limit: Option<Rho>) -> Result<Tickets, ClientError> {
        Ok(self.plan.tickets(limit)?)
    }

    /// Every dealing that is done.
    pub fn dealt(&self) -> Vec<DealingTerms> {
        self.plan
            .dealings
            .iter()
            .filter_map(Planned::terms)
            .collect()
    }

    /// The announcement of a dealing that is done, as its bytes.
    pub fn announcement(&self, dealing: &Digest) -> Result<Vec<u8>, ClientError> {
        let path = self.of(dealing).join("announcement");
        disk::read(&path).map_err(|e| ClientError::file(&path, e))
    }

    /// The same, read.
    pub fn announced(&self, dealing: &Digest) -> Result<Dealing, ClientError> {
        let bytes = self.announcement(dealing)?;
        let mut input = Reader::new(&bytes);
        Dealing::decode(&mut input).map_err(|e| ClientError::refused("announcement", e))
    }

    /// A sealed piece; none where the part ends before it.
    pub fn piece(
        &self,
        dealing: &Digest,
        party: u8,
        part: &str,
        piece: u64,
    ) -> Result<Option<Vec<u8>>, ClientError> {
        let path = self
            .of(dealing)
            .join(super::pieces::name(party, part, piece));
        match disk::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(ClientError::file(&path, e)),
        }
    }

    /// How many pieces a part has.
    pub fn pieces(&self, dealing: &Digest, party: u8, part: &str) -> u64 {
        let folder = self.of(dealing);
        let there = |n: &u64| disk::exists(&folder.join(super::pieces::name(party, part, *n)));
        (0..).take_while(there).count() as u64
    }

    /// Where a dealing that is done lies.
    pub(super) fn of(&self, dealing: &Digest) -> PathBuf {
        self.path.join("dealings").join(dealing.to_string())
    }

    /// What a dealing in the making is made in.
    pub(super) fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// Notes that a planned dealing is done.
    pub(super) fn done(&mut self, index: usize, dealt: super::Dealt) -> Result<(), ClientError> {
        let mut plan = self.plan.clone();
        if let Some(d) = plan.dealings.get_mut(index) {
            d.dealt = Some(dealt);
        }
        save(&self.path.join(PLAN), &plan)?;
        self.plan = plan;
        Ok(())
    }

    /// The seed of each party of a quorum in an epoch, and the dealer's own
    /// secret there: from the folder's secret, the quorum's keys' name and its
    /// nodes (SHR-3; a node that replaces another gets no seed of its
    /// predecessor's).
    pub(super) fn seeds(&self, planned: &Planned) -> Seeds {
        let keys = quorum_name(&self.plan.dataset, &planned.quorum, planned.epoch);
        let derive = |purpose: u8, index: u8| {
            let mut input = Writer::new();
            input.raw(&*self.secret).raw(&keys.0).u8(purpose).u8(index);
            for key in &planned.parties {
                input.raw(&key.0);
            }
            let input = Zeroizing::new(input.finish());
            Digest::of(Domain::Other("veilbourse v1 dealer seed"), &input).0
        };
        let parties = u8::try_from(planned.quorum.len()).unwrap_or(u8::MAX);
        Seeds {
            parties: Zeroizing::new((0..parties).map(|p| derive(0, p)).collect()),
            own: Zeroizing::new(derive(1, 0)),
        }
    }
}

/// Seeds of a quorum in an epoch.
pub(super) struct Seeds {
    pub parties: Zeroizing<Vec<[u8; 32]>>,
    pub own: Zeroizing<[u8; 32]>,
}

fn save(path: &Path, plan: &Plan) -> Result<(), ClientError> {
    let text =
        serde_json::to_vec_pretty(plan).map_err(|e| ClientError::refused("dealer's plan", e))?;
    files::replace(path, &text)
}

impl From<DealingError> for ClientError {
    fn from(cause: DealingError) -> Self {
        Self::Dealing(Box::new(cause))
    }
}
