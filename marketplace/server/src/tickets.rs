//! Tickets as people see them (ORD-7): what is dealt, spent and left of each
//! class, what it costs in privacy, and which class a quote is for.

use crate::App;
use veilbourse_core::{digest::Digest, manifest::Manifest, program::Program};
use veilbourse_documents::{Bytes, MachineRegistration, Signed, Tickets};
use veilbourse_domain::{
    DomainError, Result,
    access::MachineKind,
    admit::check_class,
    listing::Listing,
    terms::PolicyTerms,
    tickets::{check_tickets, count, views},
};
use veilbourse_graphql::{
    Dealing, DealingAnswer, KeyNode, ListingTickets, TicketClass, TicketOffer,
};
use veilbourse_privacy::{Mechanism, PrivacyError, conversion};

/// The delta at which a cost is told as epsilon.
const DELTA: f64 = 1e-9;

/// The law of the noise, for people.
fn law(mechanism: &Mechanism) -> String {
    let fraction = |n: u128, d: u64| match d {
        1 => n.to_string(),
        _ => format!("{n}/{d}"),
    };
    match mechanism {
        Mechanism::None => "none".into(),
        Mechanism::DiscreteLaplace { scale } => {
            let v = scale.value();
            let v = fraction(v.numerator(), v.denominator());
            format!("discrete Laplace of scale {v}")
        }
        Mechanism::DiscreteGaussian { variance } => {
            let v = variance.value();
            let v = fraction(v.numerator(), v.denominator());
            format!("discrete Gaussian of variance {v}")
        }
    }
}

/// What all noisy dealings together come to; none where the cut of the noise
/// leaves nothing of the delta, so that no epsilon can be said at it.
fn epsilon_dealt(tickets: &Tickets) -> Result<Option<f64>> {
    let cost = tickets.cost().map_err(DomainError::storage)?;
    let noisy = tickets.dealings.iter();
    let noisy = noisy.filter(|d| tickets.class(&d.class).is_some_and(|(_, c)| c.noisy()));
    let openings = noisy.fold(0u64, |sum, d| sum.saturating_add(d.count));
    match conversion::epsilon(cost, DELTA, openings) {
        Ok(epsilon) => Ok(Some(epsilon)),
        Err(PrivacyError::Cut { .. }) => Ok(None),
        Err(e) => Err(DomainError::storage(e)),
    }
}

impl App {
    /// The tickets of a listing in committee custody.
    pub(crate) async fn listing_tickets(&self, l: &Listing) -> Result<Option<ListingTickets>> {
        let Some((policy, tickets)) = l
            .policy
            .as_ref()
            .and_then(|p| Some((p, p.tickets.as_ref()?)))
        else {
            return Ok(None);
        };
        let facts = self.store.ticket_facts(l.id).await?;
        let mut classes = Vec::with_capacity(tickets.classes.len());
        for terms in &tickets.classes {
            let class = terms.class().map_err(DomainError::storage)?;
            let n = count(policy, &facts, &class.digest());
            let rho = match class.noisy() {
                true => class.mechanism().cost(class.sensitivity()),
                false => Ok(veilbourse_privacy::Rho::ZERO),
            };
            classes.push(TicketClass {
                digest: class.digest().to_string(),
                name: terms.name.clone(),
                offered: terms.offered,
                k: u32::from(class.k()),
                sensitivity: terms.sensitivity.to_string(),
                law: law(class.mechanism()),
                noise_deviation: class.mechanism().forecast().standard_deviation,
                rho_per_ticket: rho.map_err(DomainError::storage)?.to_f64(),
                dealt: n.dealt.to_string(),
                spent: n.spent.to_string(),
                left: n.left.to_string(),
                largest_order: n.largest.to_string(),
            });
        }
        let dealings = views(policy, &facts).into_iter().map(|v| Dealing {
            digest: v.terms.digest.to_string(),
            quorum: v.terms.quorum.iter().map(|n| u32::from(*n)).collect(),
            epoch: v.terms.epoch,
            class: v.terms.class.to_string(),
            first: v.terms.first.to_string(),
            count: v.terms.count.to_string(),
            next: v.next.to_string(),
            state: v.state.name().into(),
            answers: v
                .answers
                .iter()
                .map(|(node, a)| DealingAnswer {
                    node: u32::from(*node),
                    state: match a {
                        None => "waiting",
                        Some(a) if a.accepted => "accepted",
                        Some(_) => "refused",
                    }
                    .into(),
                    code: a.map(|a| a.code.clone()).unwrap_or_default(),
                    reason: a.map(|a| a.reason.clone()).unwrap_or_default(),
                })
                .collect(),
        });
        let cost = tickets.cost().map_err(DomainError::storage)?;
        Ok(Some(ListingTickets {
            dealings: dealings.collect(),
            classes,
            rho_limit: tickets.limit().to_f64(),
            rho_dealt: cost.to_f64(),
            epsilon_dealt: epsilon_dealt(tickets)?,
            delta: DELTA,
        }))
    }

    /// The class that a quote is for: the one wanted, or the first offered that
    /// fits and has tickets; none in custodian-held custody (DOC-4, ORD-7).
    pub(crate) async fn class_for(
        &self,
        listing: &Listing,
        policy: &PolicyTerms,
        wanted: Option<Digest>,
        manifest: &Manifest,
        program: &Program,
        values: u64,
    ) -> Result<Option<TicketOffer>> {
        let Some(tickets) = &policy.tickets else {
            check_class(policy, wanted, manifest, program, values)?;
            return Ok(None);
        };
        let facts = self.store.ticket_facts(listing.id).await?;
        let offered = tickets.classes.iter().filter(|c| c.offered);
        let offered = offered.filter_map(|c| Some(c.class().ok()?.digest()));
        let tried: Vec<Digest> = wanted.map_or_else(|| offered.collect(), |w| vec![w]);
        let mut first = None;
        for class in tried {
            let fits = check_class(policy, Some(class), manifest, program, values)
                .and_then(|_| check_tickets(policy, &facts, &class, values));
            if let Err(e) = fits {
                first.get_or_insert(e);
                continue;
            }
            let n = count(policy, &facts, &class);
            let found = tickets.offered(&class);
            let (_, terms) = found.ok_or_else(|| DomainError::TicketClassNotOffered {
                found: class.to_string(),
            })?;
            let forecast = terms.mechanism().forecast();
            return Ok(Some(TicketOffer {
                class,
                needed: values,
                left: n.left,
                largest_order: n.largest,
                noise_deviation: forecast.standard_deviation,
                noise_within_95: forecast.half_width_95 as f64,
            }));
        }
        Err(first.unwrap_or(DomainError::TicketClassNotOffered {
            found: "none".into(),
        }))
    }

    /// Approved key nodes that can be sealed to: those of committees.
    pub(crate) async fn sealing_nodes(&self) -> Result<Vec<KeyNode>> {
        let mut out = Vec::new();
        for node in self.approved(MachineKind::Node).await? {
            let signed = Signed::<MachineRegistration>::parse(node.registration.as_bytes())
                .map_err(DomainError::storage)?;
            let Some(Bytes(key)) = &signed.body.sealing_key else {
                continue;
            };
            let signature = serde_json::to_value(signed.signature).map_err(DomainError::storage)?;
            out.push(KeyNode::new(
                &node,
                key,
                signature.as_str().unwrap_or_default(),
            ));
        }
        Ok(out)
    }
}
