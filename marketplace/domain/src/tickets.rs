//! The tickets of a listing in committee custody: which dealings count, what is
//! left of them beside the orders under way (ORD-7), and which quorum is granted
//! next (SET-7). Pure: the facts are the store's, the terms the policy's.

use crate::{
    DomainError, Result,
    id::PublicKey,
    terms::{DealingTerms, PolicyTerms, Tickets},
};
use std::cmp::Reverse;
use veilbourse_core::digest::Digest;

/// What a key node said of a dealing (DOC-14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAnswer {
    /// The node.
    pub node: PublicKey,
    /// Accepted, or refused.
    pub accepted: bool,
    /// A refusal's code.
    pub code: String,
    /// In words.
    pub reason: String,
}

/// What is stored of a dealing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DealingFacts {
    /// Digest of the announcement.
    pub digest: Digest,
    /// Whether the announcement is here.
    pub announced: bool,
    /// The next ticket, as its nodes say; none has said so.
    pub next: Option<u64>,
    /// The nodes' answers.
    pub answers: Vec<NodeAnswer>,
}

/// An order under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnderWay {
    /// Its ticket class.
    pub class: Digest,
    /// Tickets that it needs.
    pub values: u64,
    /// The dealing of its present grant.
    pub dealing: Option<Digest>,
}

/// What is stored of a listing's tickets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TicketFacts {
    /// Its dealings, whether or not the newest policy lists them.
    pub dealings: Vec<DealingFacts>,
    /// Its orders under way, oldest first.
    pub under_way: Vec<UnderWay>,
}

/// Where a dealing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DealingState {
    /// Some node of its quorum has not answered.
    Waiting,
    /// All have accepted it.
    Accepted,
    /// Some node refuses it, or no longer opens under it.
    Refused,
}

impl DealingState {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }
}

/// A dealing that the policy lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DealingView<'a> {
    /// As the policy lists it.
    pub terms: &'a DealingTerms,
    /// Where it stands.
    pub state: DealingState,
    /// Its next ticket.
    pub next: u64,
    /// Each node of the quorum with its answer.
    pub answers: Vec<(u8, Option<&'a NodeAnswer>)>,
    /// Tickets left, those of grants that are out taken off; none while it is not
    /// accepted.
    pub left: u64,
}

/// The dealings of a policy, in its order.
pub fn views<'a>(policy: &'a PolicyTerms, facts: &'a TicketFacts) -> Vec<DealingView<'a>> {
    let listed = policy.tickets.iter().flat_map(|t| &t.dealings);
    listed.map(|d| view(policy, facts, d)).collect()
}

fn view<'a>(
    policy: &'a PolicyTerms,
    facts: &'a TicketFacts,
    terms: &'a DealingTerms,
) -> DealingView<'a> {
    let keys = policy.openers.keys();
    let stored = facts.dealings.iter().find(|f| f.digest == terms.digest);
    let answer = |number: &u8| {
        let key = keys.get(usize::from(*number))?;
        stored?.answers.iter().find(|a| a.node.0 == key.0)
    };
    let answers: Vec<_> = terms.quorum.iter().map(|n| (*n, answer(n))).collect();
    let said = |accepted: bool| {
        move |(_, a): &(u8, Option<&NodeAnswer>)| a.is_some_and(|a| a.accepted == accepted)
    };
    let state = if answers.iter().any(said(false)) {
        DealingState::Refused
    } else if answers.iter().all(said(true)) {
        DealingState::Accepted
    } else {
        DealingState::Waiting
    };
    let next = stored.and_then(|s| s.next).unwrap_or(terms.first);
    let next = next.clamp(terms.first, terms.end());
    let out = facts.under_way.iter();
    let out = out.filter(|o| o.dealing == Some(terms.digest));
    let taken = out.fold(0u64, |sum, o| sum.saturating_add(o.values));
    let left = match state {
        DealingState::Accepted => (terms.end() - next).saturating_sub(taken),
        _ => 0,
    };
    DealingView {
        terms,
        state,
        next,
        answers,
        left,
    }
}

/// What people may know of a class's tickets (ORD-7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassCount {
    /// Dealt, over all quorums.
    pub dealt: u64,
    /// Spent of them.
    pub spent: u64,
    /// Left in accepted dealings, those of grants that are out taken off.
    pub left: u64,
    /// The most values that an order may have now.
    pub largest: u64,
}

/// Counts a class.
pub fn count(policy: &PolicyTerms, facts: &TicketFacts, class: &Digest) -> ClassCount {
    let mut sum = ClassCount::default();
    for v in views(policy, facts) {
        if v.terms.class != *class {
            continue;
        }
        sum.dealt = sum.dealt.saturating_add(v.terms.count);
        sum.spent = sum.spent.saturating_add(v.next - v.terms.first);
        sum.left = sum.left.saturating_add(v.left);
    }
    sum.largest = largest(policy, facts, class);
    sum
}

/// The most values that an order of a class may have, beside those of orders
/// under way (ORD-7): those without a grant get theirs first, oldest first, each
/// from the dealing with most left, as they would be granted.
pub fn largest(policy: &PolicyTerms, facts: &TicketFacts, class: &Digest) -> u64 {
    let all = views(policy, facts);
    let of_class = all.iter().filter(|v| v.terms.class == *class);
    let mut left: Vec<u64> = of_class.map(|v| v.left).collect();
    let waiting = facts.under_way.iter();
    for o in waiting.filter(|o| o.dealing.is_none() && o.class == *class) {
        if let Some(most) = left.iter_mut().max() {
            *most = most.saturating_sub(o.values);
        }
    }
    left.into_iter().max().unwrap_or(0)
}

/// ORD-7: one quorum has tickets enough beside those of orders under way.
pub fn check_tickets(
    policy: &PolicyTerms,
    facts: &TicketFacts,
    class: &Digest,
    needed: u64,
) -> Result<()> {
    let largest = largest(policy, facts, class);
    if needed > largest {
        return Err(DomainError::TicketsUsedUp { largest, needed });
    }
    Ok(())
}

/// DOC-12: every dealing of the policy before is in the later one, as it was.
pub fn check_kept(before: &Tickets, later: Option<&Tickets>) -> Result<()> {
    if later.is_some_and(|l| before.kept_by(l)) {
        return Ok(());
    }
    let kept = |d: &DealingTerms| later.is_some_and(|l| l.dealings.contains(d));
    match before.dealings.iter().find(|d| !kept(d)) {
        Some(lost) => Err(DomainError::DealingsNotKept {
            found: lost.digest.to_string(),
        }),
        None => Ok(()),
    }
}

/// A quorum that an order could be granted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its nodes.
    pub quorum: Vec<u8>,
    /// The dealing.
    pub dealing: Digest,
    /// Tickets left in it.
    pub left: u64,
}

/// The quorums that an order of `values` values may be granted to now: accepted
/// dealings of its class with tickets enough, of a quorum that had no grant, all
/// of whose nodes may still open it.
pub fn candidates(
    policy: &PolicyTerms,
    facts: &TicketFacts,
    class: &Digest,
    values: u64,
    excluded: &Excluded,
) -> Vec<Candidate> {
    let all = views(policy, facts).into_iter();
    all.filter(|v| v.terms.class == *class && v.left >= values)
        .filter(|v| v.state == DealingState::Accepted && excluded.admits(&v.terms.quorum))
        .map(|v| Candidate {
            quorum: v.terms.quorum.clone(),
            dealing: v.terms.digest,
            left: v.left,
        })
        .collect()
}

/// Who is not granted an order any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excluded {
    /// Quorums that had a grant of it.
    pub quorums: Vec<Vec<u8>>,
    /// Nodes that delivered it in another quorum: they open it in none again (KEY-11).
    pub nodes: Vec<u8>,
}

impl Excluded {
    fn admits(&self, quorum: &[u8]) -> bool {
        let granted = self.quorums.iter().any(|q| q == quorum);
        !granted && !quorum.iter().any(|n| self.nodes.contains(n))
    }
}

/// How good a quorum is for an order: all of its nodes were `heard` of lately, then
/// few of them `failed` the order before, by a grant for which they did not
/// deliver. A node that fails its quorums one after the other takes honest ones
/// with it: who has delivered opens the order in no other.
pub fn rank(quorum: &[u8], heard: bool, failed: &[u8]) -> (bool, Reverse<usize>) {
    let again = quorum.iter().filter(|n| failed.contains(n));
    (heard, Reverse(again.count()))
}

/// Chooses one quorum for an order, or for every order of a joint one, by their
/// candidates (SET-7, SET-8): one of the highest rank; of several the one with
/// most tickets left (where an order has least). The candidate of each order.
pub fn choose<R: Ord>(
    orders: &[Vec<Candidate>],
    rank: impl Fn(&[u8]) -> R,
) -> Option<Vec<Candidate>> {
    let (first, _) = orders.split_first()?;
    let mut best: Option<((R, u64), Vec<Candidate>)> = None;
    for c in first {
        let same = |all: &Vec<Candidate>| {
            let of_quorum = all.iter().filter(|o| o.quorum == c.quorum);
            of_quorum.max_by_key(|o| o.left).cloned()
        };
        let Some(each) = orders.iter().map(same).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let least = each.iter().map(|o| o.left).min().unwrap_or(0);
        let rank = (rank(&c.quorum), least);
        // The first of equals: the policy's order decides.
        if best.as_ref().is_none_or(|(r, _)| rank > *r) {
            best = Some((rank, each));
        }
    }
    best.map(|(_, each)| each)
}
