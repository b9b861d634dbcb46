//! Who opens in the demo: a committee that the custodian deals to, or the
//! custodian's own key node.

use super::world::{Person, World};
use crate::{
    args::CommitteeSize, custodian::Opening, deal::rho, files::NodeFolder, progress::Bars,
};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;
use veilbourse_client::{
    buyer::{self, ClassView},
    dataset::DatasetFolder,
    dealing::{
        self, Asked, DealerFolder, Noise, PersonRows, decimal, exact, noisy,
        statistics_sensitivity, weights_sensitivity,
    },
    market::{self, Session},
};
use veilbourse_core::program::{Program, Weights};
use veilbourse_documents::{ClassTerms, CommitteeFile, Id, Key, MemberEntry};
use veilbourse_machine::{Identity, Machine};
use veilbourse_node::{Member, MemberConfig};
use veilbourse_privacy::{Rho, conversion};
use veilbourse_server::Clock;

/// Tickets beyond those that the demo's own orders use: what its attackers order
/// is reserved until it is refused.
const SPARE: u64 = 64;
/// How long nodes may take to check what was dealt to them.
const PATIENCE: Duration = Duration::from_secs(600);
/// Epsilon is said at this delta.
const DELTA: f64 = 1e-9;

/// A running committee.
pub struct Committee {
    /// The file that names it.
    pub file: CommitteeFile,
    members: Vec<Option<Member>>,
}

impl Committee {
    /// Makes, registers, approves and starts its nodes, each in a folder of its
    /// own, reached over loopback only.
    pub async fn start(world: &World, size: CommitteeSize) -> Result<Self> {
        Self::start_at(world, size, &world.url).await
    }

    /// The same with nodes that are told another address of the server.
    pub async fn start_at(world: &World, size: CommitteeSize, url: &str) -> Result<Self> {
        let mut rng = crate::rng(None);
        let operator = &world.operator;
        let (mut folders, mut nodes): (Vec<(NodeFolder, TcpListener)>, Vec<MemberEntry>) =
            Default::default();
        for n in 0..size.nodes {
            let name = format!("key node {n}");
            let path = world.dir.join(format!("key-node-{n}"));
            let folder = NodeFolder::create_member(&path, world.marketplace, &mut rng)?;
            folder.accept(&crate::files::read_json(
                &world.dir.join("accepted-keys.json"),
            )?)?;
            let (signing, sealing) = (folder.signing(&mut rng)?, folder.sealing()?.public()?);
            let key = &world.marketplace;
            let id =
                market::register_machine(operator, "NODE", &name, key, &signing, Some(sealing))
                    .await?;
            folder.set_machine(id.clone())?;
            world.approve(&id).await?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = listener.local_addr()?.to_string();
            nodes.push(folder.entry(&name, &address, &mut rng)?);
            folders.push((folder, listener));
        }
        let file = CommitteeFile {
            marketplace: market::marketplace_of(&world.marketplace),
            threshold: size.threshold,
            nodes,
        };
        file.check()?;
        let path = world.dir.join("committee.json");
        crate::files::put_whole(&path, &serde_json::to_vec_pretty(&file)?)?;
        let mut members = Vec::new();
        for (folder, listener) in folders {
            folder.seat(&file)?;
            let (clock, poll) = (world.clock.clone(), super::world::IDLE * 4);
            members.push(Some(
                start(&folder, listener, url, clock, (poll, poll)).await?,
            ));
        }
        Ok(Self { file, members })
    }

    /// A node that runs.
    pub fn member(&self, number: u8) -> Option<&Member> {
        self.members.get(usize::from(number))?.as_ref()
    }

    /// Stops one node, for good.
    pub async fn stop_node(&mut self, number: u8) {
        let member = self.members.get_mut(usize::from(number));
        if let Some(member) = member.and_then(Option::take) {
            member.stop().await;
        }
    }

    /// Stops its nodes.
    pub async fn stop(self) {
        for m in self.members.into_iter().flatten() {
            m.stop().await;
        }
    }
}

/// Starts a committee's node that is registered and has its seat.
pub(crate) async fn start(
    folder: &NodeFolder,
    listener: TcpListener,
    url: &str,
    clock: Clock,
    (poll, idle): (Duration, Duration),
) -> Result<Member> {
    let mut rng = crate::rng(None);
    let settings = folder.settings()?;
    // The SRS of demo and market is local, which they alone accept.
    let config = folder.config(true, &mut rng)?;
    let identity = Identity {
        id: settings.machine.context("the node is registered")?,
        key: config.signing.clone(),
        marketplace: settings.marketplace,
    };
    let config = config.seated(folder.committee()?, None)?;
    let mut member = MemberConfig::new(folder.0.clone(), listener.local_addr()?);
    (member.poll, member.idle) = (poll, idle);
    let machine = Machine::new(identity, url, clock, crate::rng(None));
    let sealing = folder.sealing()?;
    Ok(Member::start_on(listener, member, config, sealing, machine, rng).await?)
}

/// What the demo's custodian deals.
pub struct Wanted<'a> {
    /// The orders' programs: statistics first, then the model.
    pub programs: [&'a Program; 2],
    /// Values that each opens.
    pub values: [u64; 2],
    /// rho of every ticket, where there is noise.
    pub noise: Option<&'a str>,
}

/// What came of it, for the summary.
pub struct Dealt {
    /// Under what the policy opens.
    pub opening: Opening,
    /// The dealer's folder: to be uploaded.
    pub dealer: DealerFolder,
    /// The class of each order, by name.
    pub classes: [String; 2],
    /// Seconds.
    pub seconds: f64,
    /// Tickets of all quorums together.
    pub tickets: u64,
}

/// Deals to the committee: tickets for the demo's two orders, under the policies
/// that `custodian` signs.
pub fn deal(
    committee: &CommitteeFile,
    custodian: &Key,
    folder: &DatasetFolder,
    wanted: &Wanted<'_>,
    progress: &Bars,
) -> Result<Dealt> {
    let started = Instant::now();
    let mut rng = crate::rng(None);
    let k = u8::try_from(folder.manifest.message_log2).context("k")?;
    let asked = match wanted.noise {
        None => {
            let tickets = wanted.values.iter().sum::<u64>() * 2 + SPARE;
            vec![Asked {
                class: exact("exact", k),
                tickets,
            }]
        }
        Some(each) => noisy_classes(folder, wanted, k, each)?,
    };
    let name = |i: usize| asked.get(i).or(asked.first()).map(|a| a.class.name.clone());
    let classes = [name(0).unwrap_or_default(), name(1).unwrap_or_default()];
    let mut dealer = DealerFolder::open(folder, &mut rng)?;
    dealer.add(committee, &asked, &BTreeSet::new(), None)?;
    let secret = folder.secret()?;
    dealing::deal(
        &mut dealer,
        &secret,
        custodian,
        committee,
        &mut rng,
        progress,
    )?;
    let opening = Opening::committee(committee, &dealer, None)?;
    let dealt = opening.tickets.iter().flat_map(|t| &t.dealings);
    Ok(Dealt {
        tickets: dealt.map(|d| d.count).sum(),
        opening,
        dealer,
        classes,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// A class for each order: its sensitivity is that of what the order asks.
fn noisy_classes(
    folder: &DatasetFolder,
    wanted: &Wanted<'_>,
    k: u8,
    each: &str,
) -> Result<Vec<Asked>> {
    let value = decimal(each).with_context(|| format!("--noise {each:?}: expected as 0.01"))?;
    rho(each)?;
    let noise = Noise::Rho(value);
    let mut classes = Vec::new();
    for ((name, program), values) in ["statistics", "model"]
        .into_iter()
        .zip(wanted.programs)
        .zip(wanted.values)
    {
        let bounds = program.vectors.iter().filter_map(|v| match v.weights {
            Weights::Private { l1_bound, .. } => Some(l1_bound),
            Weights::Public { .. } => None,
        });
        let people = PersonRows::default();
        let mut sensitivity = statistics_sensitivity(name, &folder.manifest, &[], people)?;
        if let Some(bound) = bounds.max() {
            sensitivity = weights_sensitivity(name, bound, people)?;
        } else if name == "model" {
            bail!(
                "--noise with --weights public: the sensitivity of public weights is not asked for in advance; use private weights"
            );
        }
        let class: ClassTerms = noisy(name, k, sensitivity, &noise)?;
        let tickets = values * 2 + SPARE;
        classes.push(Asked { class, tickets });
    }
    Ok(classes)
}

/// Waits until every quorum has checked what was dealt to it.
pub async fn accepted(session: &Session, listing: &Id, bars: &Bars) -> Result<Vec<ClassView>> {
    let started = Instant::now();
    let number = |t: &str| t.parse::<u64>().unwrap_or_default();
    loop {
        let document = "query($id: String!) { listing(id: $id) { tickets { dealings { state answers { node state code reason } } } } }";
        let l = session
            .server
            .graphql("listing", document, json!({ "id": listing }))
            .await?;
        let dealings = l["tickets"]["dealings"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let state = |d: &Value, s: &str| d["state"] == s;
        if let Some(refused) = dealings.iter().find(|d| state(d, "refused")) {
            bail!("a dealing was refused: {}", refused["answers"]);
        }
        let done = dealings.iter().filter(|d| state(d, "accepted")).count();
        let total = dealings.len().max(1) as u64;
        bars.set("check", done as u64, total, "quorums check what was dealt");
        if done == dealings.len() && !dealings.is_empty() {
            let classes = buyer::classes(session, listing).await?;
            if classes.iter().any(|c| c.offered && number(&c.left) > 0) {
                return Ok(classes);
            }
        }
        if started.elapsed() > PATIENCE {
            bail!("the committee did not accept its dealings in {PATIENCE:?}: {dealings:?}");
        }
        tokio::time::sleep(super::world::IDLE).await;
    }
}

/// What the JSON summary says of privacy: the law of the noise, what was paid.
pub fn privacy(opening: &Opening) -> Result<Value> {
    let Some(tickets) = &opening.tickets else {
        return Ok(json!({ "mechanism": "none" }));
    };
    let noisy = |c: &&ClassTerms| c.class().is_ok_and(|c| c.noisy());
    let classes: Vec<Value> = tickets
        .classes
        .iter()
        .filter(noisy)
        .map(|c| {
            let forecast = c.mechanism.forecast();
            json!({
                "class": c.name, "sensitivity": c.sensitivity.to_string(),
                "deviation": forecast.standard_deviation, "within_95": forecast.half_width_95,
            })
        })
        .collect();
    let cost: Rho = tickets.cost()?;
    let of = |c: &veilbourse_core::digest::Digest| tickets.class(c).is_some_and(|(_, c)| c.noisy());
    let openings: u64 = tickets
        .dealings
        .iter()
        .filter(|d| of(&d.class))
        .map(|d| d.count)
        .sum();
    let mechanism = if classes.is_empty() {
        "none"
    } else {
        "discrete_gaussian"
    };
    let epsilon = if classes.is_empty() {
        Value::Null
    } else {
        json!(conversion::epsilon(cost, DELTA, openings.max(1))?)
    };
    Ok(json!({
        "mechanism": mechanism, "classes": classes, "rho_dealt": cost.to_f64(),
        "rho_limit": tickets.limit().to_f64(), "epsilon_dealt": epsilon, "delta": DELTA,
    }))
}

/// The custodian's own key node; who opens then.
pub async fn held(
    world: &mut World,
    custodian: &Person,
    folder: &DatasetFolder,
) -> Result<Opening> {
    let (node, key) = world.new_node(custodian, folder).await?;
    world.start_node(&node)?;
    Ok(Opening::held_by(key))
}
