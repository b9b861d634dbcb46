//! An order's folder: signed tickets, kept before anything is placed.

use super::Quoted;
use crate::{
    files::{self, signing_key},
    show::{credits, money},
};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};
use veilbourse_client::{
    buyer::{self, JointTicket, Part, Ticket, values::Orders},
    market::Session,
};
use veilbourse_core::{manifest::Manifest, program::Program};
use veilbourse_documents::Id;
use zeroize::Zeroizing;

/// Time that an order is given, in milliseconds.
const DEADLINE: u64 = 3_600_000;

/// What an order is placed with.
pub(crate) struct Terms<'a> {
    /// The signing key's file.
    pub key: &'a Path,
    /// Highest price accepted, in credits; of all orders of a joint one.
    pub max_price: Option<&'a str>,
    /// Folder of the orders' folders.
    pub out: &'a Path,
}

/// The tickets of an order's folder: `ticket.json`, or `joint.json` of a joint
/// order.
pub(crate) struct Kept {
    folder: PathBuf,
    pub joint: bool,
    /// The orders, by quote; one unless joint.
    pub tickets: Vec<Ticket>,
}

impl Kept {
    /// Reads them.
    pub fn read(folder: &Path) -> Result<Self> {
        let file = folder.join("joint.json");
        let joint = file.exists();
        let tickets = match joint {
            true => files::read_json::<JointTicket>(&file)?.orders,
            false => vec![files::read_json(&folder.join("ticket.json"))?],
        };
        let folder = folder.to_owned();
        Ok(Self {
            folder,
            joint,
            tickets,
        })
    }

    /// Writes them, durably: they hold the key that opens the result, so before
    /// placing.
    fn save(&self) -> Result<()> {
        let (name, text) = match (self.joint, self.tickets.as_slice()) {
            (false, [ticket]) => ("ticket.json", serde_json::to_string(ticket)?),
            _ => {
                let orders = self.tickets.clone();
                (
                    "joint.json",
                    serde_json::to_string(&JointTicket { orders })?,
                )
            }
        };
        files::replace(&self.folder.join(name), &Zeroizing::new(text))
    }

    /// Places the orders and notes their ids. The same orders again are answered
    /// with the same ids and cost nothing more (ORD-2): cut off anywhere between
    /// signing and here, this is how it goes on.
    async fn place(&mut self, session: &Session) -> Result<Vec<Id>> {
        let mut ids = Vec::new();
        for i in 0..self.tickets.len() {
            let Some(ticket) = self.tickets.get_mut(i) else {
                break;
            };
            let id = buyer::place(session, ticket).await?;
            ticket.order_id = Some(id.clone());
            ids.push(id);
            self.save()?;
        }
        Ok(ids)
    }

    /// The orders' ids, placed where they are not known to be.
    pub async fn placed(&mut self, session: &Session) -> Result<Vec<Id>> {
        let known: Option<Vec<Id>> = self.tickets.iter().map(|t| t.order_id.clone()).collect();
        match known {
            Some(ids) => Ok(ids),
            None => {
                let ids = self.place(session).await?;
                let said: Vec<String> = ids.iter().map(ToString::to_string).collect();
                let said = said.join(", ");
                note!("order {said}: signed, but not known to be placed; now it is");
                Ok(ids)
            }
        }
    }

    /// As the client reads their values.
    pub fn orders(&self) -> Orders<'_> {
        Orders {
            tickets: &self.tickets,
            joint: self.joint,
        }
    }

    /// What the opened values are decoded by: of a joint order the rows of all
    /// listings.
    pub fn decoding(&self) -> Result<(Manifest, Program)> {
        Ok(self.orders().decoding()?)
    }

    /// Standard deviation of the noise in an opened integer: of all orders.
    pub fn noise_deviation(&self) -> f64 {
        self.orders().noise_deviation()
    }

    /// Where an order's files go: the folder, or one of its own of a joint one.
    pub fn place_of(&self, index: usize) -> PathBuf {
        match self.joint {
            true => self.folder.join(index.to_string()),
            false => self.folder.clone(),
        }
    }
}

/// Signs the orders within their price limit, keeps their tickets and places
/// them; their ids and folder.
pub(crate) async fn signed_and_placed(
    quoted: Quoted,
    terms: &Terms<'_>,
    json: bool,
) -> Result<(Vec<Id>, PathBuf)> {
    let price = quoted.price();
    let Quoted {
        session,
        marketplace,
        parts,
    } = quoted;
    if let Some(limit) = terms.max_price {
        let limit = credits(limit).with_context(|| format!("--max-price {limit:?}"))?;
        if price > limit {
            bail!(
                "the price {} exceeds --max-price {}",
                money(price),
                money(limit)
            );
        }
    }
    let mut rng = crate::rng(None);
    let signing = signing_key(terms.key, &mut rng)?;
    let deadline = crate::clock()() + DEADLINE;
    let (joint, tickets) = match parts.as_slice() {
        [(listed, query, offer)] => {
            let (m, s) = (&marketplace, &signing);
            let ticket = buyer::prepare(m, offer, listed, query, s, deadline, &mut rng)?;
            (false, vec![ticket])
        }
        parts => {
            let parts: Vec<Part<'_>> = parts
                .iter()
                .map(|(listed, query, offer)| Part {
                    listed,
                    query,
                    offer,
                })
                .collect();
            let made = buyer::prepare_joint(&marketplace, &parts, &signing, deadline, &mut rng)?;
            (true, made.orders)
        }
    };
    let first = tickets.first().context("there is no order")?;
    let name = first.order.digest()?.to_string();
    let folder: PathBuf = terms.out.join(name.get(..16).unwrap_or(&name));
    fs::create_dir_all(&folder)
        .and_then(|()| files::sync_folder_of(&folder))
        .and_then(|()| files::sync_folder_of(terms.out))
        .with_context(|| folder.display().to_string())?;
    let mut kept = Kept {
        folder: folder.clone(),
        joint,
        tickets,
    };
    kept.save()?;
    let ids = kept.place(&session).await?;
    if !json {
        for id in &ids {
            out!("order {id} placed");
        }
        out!(
            "its ticket (keep it: it opens the result) is in {}",
            folder.display()
        );
    }
    Ok((ids, folder))
}
