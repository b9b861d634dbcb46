//! Spending tickets, and what becomes of a session (CST-6, OPN-6). Each step is
//! on disk before what it allows leaves the node.

use crate::{
    dealing::QuorumSet,
    disk::Disk,
    error::StoreError,
    record::{MAX_OUTPUTS, Record, Spent, SpentOutput},
    state::{DealingState, Session, SessionStage, Stage},
    store::Store,
};
use veilbourse_core::{digest::Digest, field::Fq};
use veilbourse_protocol::{MAX_BATCH, binding::Binding};

impl<D: Disk> Store<D> {
    /// The ticket that the next session of a dealing begins with: the first one
    /// that no member of its quorum has spent, by the counters it signed. After
    /// an exchange of counters (CST-11) all members say the same.
    pub fn next_ticket(&self, dealing: &Digest) -> Result<u64, StoreError> {
        let d = self.dealing(dealing, &[Stage::Usable], Stage::Usable.name())?;
        Ok(self.furthest(dealing, d))
    }

    fn furthest(&self, dealing: &Digest, d: &DealingState) -> u64 {
        let members = d.dealing.quorum.members();
        let peers = members.iter().filter_map(|m| self.state.peers.get(m));
        let said = peers.filter_map(|p| p.said.as_ref());
        let known = said.filter_map(|p| p.statement.counter(dealing));
        let known = known.map(|c| c.next.min(d.dealing.end()));
        known.fold(d.next, u64::max)
    }

    /// Whether the tickets of a session could be spent now, but for the exchange
    /// of counters; the session's digest.
    pub fn may_spend(&self, binding: &Binding) -> Result<Digest, StoreError> {
        self.spendable(binding).map(|(spent, _)| spent.session)
    }

    fn spendable(&self, binding: &Binding) -> Result<(Spent, QuorumSet), StoreError> {
        self.serving()?;
        let session = binding.digest();
        let d = self.dealing(&binding.dealing, &[Stage::Usable], Stage::Usable.name())?;
        let quorum = d.dealing.quorum;
        self.bound_to(binding, d)?;
        let outputs = outputs(binding)?;
        let spent = Spent {
            session,
            dealing: binding.dealing,
            order: binding.order,
            grant: binding.grant,
            attempt: binding.attempt,
            outputs,
        };
        self.admits_opening(&spent, quorum)?;
        let (first, end) = spent.tickets();
        let expected = self.furthest(&binding.dealing, d);
        if first != expected {
            return Err(StoreError::Spent { first, expected });
        }
        if end > d.dealing.end() {
            return Err(StoreError::Ticket {
                ticket: end.saturating_sub(1),
                first: d.dealing.first,
                end: d.dealing.end(),
            });
        }
        Ok((spent, quorum))
    }

    /// Spends the tickets of a session (CST-6), before its first share leaves.
    /// The session's digest.
    pub fn spend(&mut self, binding: &Binding) -> Result<Digest, StoreError> {
        let (spent, quorum) = self.spendable(binding)?;
        let session = spent.session;
        self.met_all(quorum)?;
        self.commit(Record::Spent(spent))?;
        self.live.insert(session);
        Ok(session)
    }

    /// CST-11: all members' counters were exchanged for this session; the next
    /// one needs an exchange of its own.
    fn met_all(&mut self, quorum: QuorumSet) -> Result<(), StoreError> {
        for peer in quorum.members() {
            let at = (quorum, peer);
            let met = self.met.contains(&at) && self.recalled.contains(&at);
            if peer != self.config.node && !met {
                return Err(StoreError::NotMet { peer });
            }
        }
        for peer in quorum.members() {
            self.met.remove(&(quorum, peer));
            self.recalled.remove(&(quorum, peer));
        }
        Ok(())
    }

    /// Spends tickets of a dealing for the check of the public key (CST-13),
    /// which its epoch needs before it is usable. Its tickets begin where the
    /// members said, or later.
    pub fn spend_for_key(&mut self, binding: &Binding) -> Result<Digest, StoreError> {
        self.serving()?;
        let session = binding.digest();
        let stages = [Stage::Verified, Stage::Usable];
        let d = self.dealing(&binding.dealing, &stages, "verified")?;
        let quorum = d.dealing.quorum;
        self.bound_to(binding, d)?;
        if d.dealing.class.noisy() {
            return Err(StoreError::Noisy {
                dealing: binding.dealing,
            });
        }
        self.verified_key(quorum, d.dealing.epoch)?;
        let spent = Spent {
            session,
            dealing: binding.dealing,
            order: binding.order,
            grant: binding.grant,
            attempt: binding.attempt,
            outputs: outputs(binding)?,
        };
        if let Some(s) = self.state.sessions.get(&session) {
            return Err(StoreError::Session {
                session,
                found: s.stage.name(),
                expected: "not begun",
            });
        }
        let (first, end) = spent.tickets();
        let expected = self.furthest(&binding.dealing, d);
        if first < expected {
            return Err(StoreError::Spent { first, expected });
        }
        if end > d.dealing.end() {
            return Err(StoreError::Ticket {
                ticket: end.saturating_sub(1),
                first: d.dealing.first,
                end: d.dealing.end(),
            });
        }
        self.met_all(quorum)?;
        self.commit(Record::KeyTest(spent))?;
        self.live.insert(session);
        Ok(session)
    }

    /// The public key of a dealing's epoch was opened and is S_D's (CST-13).
    pub fn key_checked(&mut self, dealing: &Digest, key: &Digest) -> Result<(), StoreError> {
        self.serving()?;
        let stages = [Stage::Verified, Stage::Usable];
        let d = self.dealing(dealing, &stages, "verified")?;
        let (quorum, epoch) = (d.dealing.quorum, d.dealing.epoch);
        self.verified_key(quorum, epoch)?;
        match self.state.key_checked(quorum, epoch) {
            Some(found) if found == key => Ok(()),
            Some(found) => Err(StoreError::Foreign {
                field: "public key",
                found: key.to_string(),
                expected: found.to_string(),
            }),
            None => self.commit(Record::KeyChecked {
                quorum,
                epoch,
                key: *key,
            }),
        }
    }

    /// CST-13: the check is of shares that passed their own.
    fn verified_key(&self, quorum: QuorumSet, epoch: u32) -> Result<(), StoreError> {
        let key = self.state.key_of(quorum, epoch);
        if key.is_some_and(|(_, d)| d.stage >= Stage::Verified) {
            return Ok(());
        }
        Err(StoreError::Seed {
            quorum: quorum.bits(),
            epoch,
            reason: "the epoch's key is not verified",
        })
    }

    /// The least attempt of an order that a quorum may begin (OPN-6).
    pub fn least_attempt(&self, order: &Digest, quorum: QuorumSet) -> u32 {
        let least = self.state.attempts.get(&(*order, quorum));
        least.copied().unwrap_or_default()
    }

    /// The latest session of an output, if any spent for it here.
    pub fn latest(&self, order: &Digest, output: u32) -> Option<&Session> {
        let session = self.state.openings.get(&(*order, output))?;
        self.state.sessions.get(session)
    }

    /// A use of a quorum's keys was cut off: what it had not signed is over, and
    /// a check that was pending freezes the quorum (CST-7, OPN-4). Otherwise the
    /// keys are free.
    pub fn cut_off(&mut self, quorum: QuorumSet, why: &str) -> Result<(), StoreError> {
        self.serving()?;
        let dealings = self.state.dealings.values();
        let mut pending = dealings
            .filter(|d| d.dealing.quorum == quorum)
            .any(|d| d.stage == Stage::Checking);
        let mut over = Vec::new();
        for (digest, s) in &self.state.sessions {
            if s.stage.unsigned() && self.quorum_of(s).is_ok_and(|q| q == quorum) {
                pending |= s.stage == SessionStage::CheckPending;
                over.push(*digest);
            }
        }
        if pending {
            self.freeze(quorum, why)?;
        } else {
            for session in over {
                self.commit(Record::Abandoned(session))?;
            }
        }
        self.out.remove(&quorum);
        Ok(())
    }

    /// That the session is about this dataset and this dealing.
    fn bound_to(&self, binding: &Binding, d: &DealingState) -> Result<(), StoreError> {
        let foreign = |field, found: String, expected: String| {
            Err(StoreError::Foreign {
                field,
                found,
                expected,
            })
        };
        let dataset = self.config.dataset;
        if binding.dataset != dataset {
            return foreign("dataset", binding.dataset.to_string(), dataset.to_string());
        }
        let class = d.dealing.class.digest();
        if binding.class != class {
            return foreign("class", binding.class.to_string(), class.to_string());
        }
        let members = d.dealing.quorum.members();
        if binding.quorum != members {
            let found = format!("{:?}", binding.quorum);
            return foreign("quorum", found, format!("{members:?}"));
        }
        // A member that was replaced since holds nothing of this dealing.
        for (member, expected) in members.iter().zip(&d.dealing.parties) {
            let found = self.config.key(*member).copied().unwrap_or_default();
            if found != *expected {
                let [found, expected] = [found, *expected].map(|k| Digest(k).to_string());
                return foreign("party key", found, expected);
            }
        }
        Ok(())
    }

    /// OPN-6: every earlier session of each output is abandoned or forgone, and
    /// the attempt is later than all before in this quorum.
    fn admits_opening(&self, spent: &Spent, quorum: QuorumSet) -> Result<(), StoreError> {
        if let Some(s) = self.state.sessions.get(&spent.session) {
            return Err(StoreError::Session {
                session: spent.session,
                found: s.stage.name(),
                expected: "not begun",
            });
        }
        for o in &spent.outputs {
            let earlier = self.state.openings.get(&(spent.order, o.output));
            let earlier = earlier.and_then(|s| self.state.sessions.get(s));
            if let Some(s) = earlier
                && !s.stage.given_up()
            {
                return Err(StoreError::SecondOpening {
                    order: spent.order,
                    output: o.output,
                    session: s.spent.session,
                    found: s.stage.name(),
                });
            }
        }
        // The one after it must be a number, or it could be used again.
        if spent.attempt == u32::MAX {
            return Err(StoreError::Limit {
                field: "attempt",
                value: spent.attempt.into(),
                min: 0,
                max: u64::from(u32::MAX) - 1,
            });
        }
        let expected = self.state.attempts.get(&(spent.order, quorum));
        let expected = expected.copied().unwrap_or_default();
        if spent.attempt < expected {
            return Err(StoreError::Attempt {
                order: spent.order,
                found: spent.attempt,
                expected,
            });
        }
        Ok(())
    }

    pub(crate) fn session(&self, session: &Digest) -> Result<&Session, StoreError> {
        self.state.sessions.get(session).ok_or(StoreError::Session {
            session: *session,
            found: "unknown",
            expected: "spent",
        })
    }

    fn step(
        &mut self,
        session: &Digest,
        from: &SessionStage,
        record: Record,
    ) -> Result<(), StoreError> {
        self.serving()?;
        let found = &self.session(session)?.stage;
        if found != from {
            return Err(StoreError::Session {
                session: *session,
                found: found.name(),
                expected: from.name(),
            });
        }
        self.commit(record)
    }

    /// Before sigma leaves (OPN-4): a check that is not seen to pass from here
    /// on freezes the quorum.
    pub fn check_pending(&mut self, session: &Digest) -> Result<(), StoreError> {
        let record = Record::CheckPending(*session);
        self.step(session, &SessionStage::Spent, record)
    }

    /// The check passed.
    pub fn check_passed(&mut self, session: &Digest) -> Result<(), StoreError> {
        let record = Record::CheckPassed(*session);
        self.step(session, &SessionStage::CheckPending, record)
    }

    /// Before this node's signature of (session, y) leaves: from here on the
    /// output is not opened a second time unless this session is forgone (OPN-6). Signing the same y again is
    /// no harm; another y is refused.
    pub fn signed(&mut self, session: &Digest, y: &[Fq]) -> Result<(), StoreError> {
        let y: Vec<u64> = y.iter().map(|y| y.word()).collect();
        let s = self.session(session)?;
        let (first, end) = s.spent.tickets();
        if y.len() as u64 != end - first {
            return Err(StoreError::Limit {
                field: "values of a result",
                value: y.len() as u64,
                min: end - first,
                max: end - first,
            });
        }
        if s.stage == SessionStage::Signed(y.clone()) {
            return self.serving();
        }
        let record = Record::Signed {
            session: *session,
            y,
        };
        self.step(session, &SessionStage::CheckPassed, record)
    }

    /// Before this node's mask shares leave for the buyer; again is no harm.
    pub fn released(&mut self, session: &Digest) -> Result<(), StoreError> {
        self.serving()?;
        let s = self.session(session)?;
        let dealing = s.spent.dealing;
        self.dealing(&dealing, s.stages(), Stage::Usable.name())?;
        let found = &s.stage;
        match found {
            SessionStage::Released(_) => Ok(()),
            SessionStage::Signed(_) => self.commit(Record::Released(*session)),
            _ => Err(StoreError::Session {
                session: *session,
                found: found.name(),
                expected: "signed",
            }),
        }
    }

    /// A session ends without a result (CST-6). Before its check and between
    /// check and signature it is abandoned, and its outputs may be opened by
    /// another; while the check is pending its quorum is frozen (OPN-4); once
    /// signed it cannot be abandoned.
    pub fn abandon(&mut self, session: &Digest, why: &str) -> Result<(), StoreError> {
        self.serving()?;
        let s = self.session(session)?;
        match s.stage {
            SessionStage::Spent | SessionStage::CheckPassed => {
                self.commit(Record::Abandoned(*session))
            }
            SessionStage::CheckPending => {
                let quorum = self.quorum_of(s)?;
                self.freeze(quorum, why)
            }
            _ => Err(StoreError::Session {
                session: *session,
                found: s.stage.name(),
                expected: "not signed",
            }),
        }
    }

    /// Gives up for good what was signed and not released (OPN-6): when this
    /// returns, no mask share of the session leaves this node ever, whoever
    /// signs it later, and another session may open its outputs. Again is no
    /// harm; also where its masks are destroyed already.
    pub fn forgo(&mut self, session: &Digest) -> Result<(), StoreError> {
        self.serving()?;
        let s = self.session(session)?;
        match (&s.stage, s.key) {
            (SessionStage::Forgone, _) => Ok(()),
            (SessionStage::Signed(_), false) => self.commit(Record::Forgone(*session)),
            (stage, key) => Err(StoreError::Session {
                session: *session,
                found: if key {
                    "of a key's check"
                } else {
                    stage.name()
                },
                expected: "an opening signed and not released",
            }),
        }
    }

    fn quorum_of(&self, session: &Session) -> Result<QuorumSet, StoreError> {
        let dealing = session.spent.dealing;
        let d = self.state.dealings.get(&dealing);
        d.map(|d| d.dealing.quorum)
            .ok_or(StoreError::UnknownDealing { dealing })
    }

    /// The y that this node signed, released or not.
    pub fn signed_result(&self, session: &Digest) -> Result<&[u64], StoreError> {
        let s = self.session(session)?;
        match &s.stage {
            SessionStage::Signed(y) | SessionStage::Released(y) => Ok(y),
            other => Err(StoreError::Session {
                session: *session,
                found: other.name(),
                expected: "signed",
            }),
        }
    }

    /// Sessions of an order that are signed and neither released nor forgone,
    /// of whatever quorum.
    pub fn owed(&self, order: &Digest) -> Vec<&Session> {
        let latest = self.state.openings.range((*order, 0)..=(*order, u32::MAX));
        let mut out: Vec<&Session> = Vec::new();
        for s in latest.filter_map(|(_, s)| self.state.sessions.get(s)) {
            let seen = out.iter().any(|o| o.spent.session == s.spent.session);
            if matches!(s.stage, SessionStage::Signed(_)) && !seen {
                out.push(s);
            }
        }
        out
    }

    /// Whether a session of an order under this grant was forgone here.
    pub fn forwent(&self, order: &Digest, grant: &Digest) -> bool {
        let of = |s: &Session| s.spent.order == *order && s.spent.grant == *grant;
        let mut all = self.state.sessions.values();
        all.any(|s| s.stage == SessionStage::Forgone && of(s))
    }

    /// Sessions of a quorum that are signed and not released: to be ended before
    /// an epoch is replaced, which would destroy their mask shares (CST-9).
    pub fn withheld(&self, quorum: QuorumSet) -> Vec<Digest> {
        let all = self.state.sessions.iter();
        let signed = all.filter(|(_, s)| !s.key && matches!(s.stage, SessionStage::Signed(_)));
        let of = signed.filter(|(_, s)| self.quorum_of(s).is_ok_and(|q| q == quorum));
        of.map(|(digest, _)| *digest).collect()
    }
}

/// A session's outputs: ascending, their tickets one after the other.
fn outputs(binding: &Binding) -> Result<Vec<SpentOutput>, StoreError> {
    let count = binding.outputs.len() as u64;
    if count == 0 || count > MAX_OUTPUTS.into() {
        return Err(StoreError::Limit {
            field: "outputs of a session",
            value: count,
            min: 1,
            max: MAX_OUTPUTS.into(),
        });
    }
    let mut out: Vec<SpentOutput> = Vec::new();
    let mut values = 0u64;
    for o in &binding.outputs {
        let output = o.output;
        let wrong = |reason| Err(StoreError::Outputs { output, reason });
        if o.values == 0 {
            return wrong("no values");
        }
        if let Some(before) = out.last() {
            if before.output >= output {
                return wrong("not ascending");
            }
            if before.first.checked_add(before.values.into()) != Some(o.first_ticket) {
                return wrong("its tickets do not follow those before");
            }
        }
        if o.first_ticket.checked_add(o.values.into()).is_none() {
            return wrong("ticket numbers without end");
        }
        values += u64::from(o.values);
        out.push(SpentOutput {
            output,
            first: o.first_ticket,
            values: o.values,
        });
    }
    if values > MAX_BATCH as u64 {
        return Err(StoreError::Limit {
            field: "values of a session",
            value: values,
            min: 1,
            max: MAX_BATCH as u64,
        });
    }
    Ok(out)
}
