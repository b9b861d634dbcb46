//! A node that starts shows what it holds to every peer that it can reach, and
//! hears what they hold, before it opens anything (CST-11): so it learns whether
//! it was restored from an old copy. And what peers ask for unasked.

use super::{
    Inner, MemberError,
    rendezvous::{Said, What, name},
    stores::Served,
};
use futures::future::join_all;
use std::sync::Arc;
use tokio::{sync::watch, task::JoinSet, time::timeout};
use veilbourse_core::digest::Digest;
use veilbourse_peers::Note;

fn pair(a: u8, b: u8) -> [u8; 2] {
    [a.min(b), a.max(b)]
}

impl Inner {
    /// Greets every peer that is connected, once after a start.
    pub(super) async fn greet_all(&self, served: &Served) {
        let mut done = served.greeted.lock().await;
        if *done {
            return;
        }
        self.connected().await;
        let health = self.endpoint.health();
        // What was heard at a meeting is not asked for again.
        let heard = served.keeper.greeted();
        let there = health.iter();
        let there = there.filter(|h| h.connected && !heard.contains(&h.peer));
        let greeted = join_all(there.map(|h| self.greet(served, h.peer))).await;
        for e in greeted.into_iter().filter_map(Result::err) {
            // A peer without this dataset holds nothing of this node's.
            tracing::info!(error = %e, "a peer was not greeted");
        }
        *done = true;
    }

    /// Waits for the peers, once after a start, and not for long.
    async fn connected(&self) {
        let wait = || async {
            let all: Vec<u8> = self.endpoint.health().iter().map(|h| h.peer).collect();
            let _ = timeout(self.config.greeting, self.endpoint.connected(&all)).await;
        };
        self.waited.get_or_init(wait).await;
    }

    /// Greets one peer. One that asks for it has started again: what was shown
    /// to it before tells it nothing.
    async fn greet(&self, served: &Served, peer: u8) -> Result<(), MemberError> {
        let members = pair(self.endpoint.number(), peer);
        let name = name(What::Greet, &served.scope, &members, &served.dataset);
        if !self.at_work().insert(name) {
            // Both began: the other task does it.
            return Ok(());
        }
        let greeted = timeout(self.config.greeting, async {
            let met = self
                .meet(What::Greet, &served.scope, &members, &served.dataset)
                .await?;
            let keeper = &served.keeper;
            Ok::<_, MemberError>(keeper.greet(&self.endpoint, peer, met.trial).await?)
        })
        .await;
        self.at_work().remove(&name);
        greeted.unwrap_or_else(|_| {
            Err(MemberError::Absent {
                what: What::Greet.name(),
                members: members.to_vec(),
                seconds: self.config.greeting.as_secs(),
            })
        })
    }

    /// Hears the peers' notes until it is told to end; for one task.
    pub(super) async fn hear(self: Arc<Self>, mut over: watch::Receiver<bool>) {
        let mut answers = JoinSet::new();
        loop {
            let note = tokio::select! {
                _ = over.wait_for(|over| *over) => break,
                Some(_) = answers.join_next() => continue,
                note = self.endpoint.note() => note,
            };
            if self.rendezvous.hear(&note) == Some(Said::Ready) {
                self.invited(&note, &mut answers);
            }
        }
        while answers.join_next().await.is_some() {}
    }

    /// A peer is ready for what this node had not thought of: a greeting, or
    /// finishing what was signed here.
    fn invited(self: &Arc<Self>, note: &Note, answers: &mut JoinSet<()>) {
        let own = self.endpoint.number();
        let members = pair(own, note.from);
        let greeting =
            |s: &Arc<Served>| name(What::Greet, &s.scope, &members, &s.dataset) == note.session;
        if let Some(served) = self.stores.all().into_iter().find(greeting) {
            let (inner, peer) = (Arc::clone(self), note.from);
            answers.spawn(async move {
                if let Err(e) = inner.greet(&served, peer).await {
                    tracing::info!(peer, error = %e, "greeting");
                }
            });
            return;
        }
        let known = self
            .known()
            .iter()
            .find(|k| k.name == note.session)
            .cloned();
        let Some(known) = known.filter(|k| k.members.contains(&note.from)) else {
            return;
        };
        let name: Digest = known.name;
        if self.at_work().contains(&known.request.order) || !self.at_work().insert(name) {
            return;
        }
        let inner = Arc::clone(self);
        answers.spawn(async move {
            let finished = inner.finish_with(&known).await;
            inner.at_work().remove(&name);
            if let Err(e) = finished {
                tracing::info!(order = %known.request.order, error = %e, "finishing for a peer");
            }
        });
    }
}
