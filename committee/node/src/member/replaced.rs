//! What was signed under an epoch that is replaced (QRM-8, CST-9). It is to be
//! finished first; but a member that is gone, or withholds its signature, must not
//! keep the quorum from new keys for ever. So it is waited for, and then the
//! session is forgone (OPN-6): nothing of it is ever released, and its order may be
//! opened by others.

use super::{
    Inner, MemberError, lock,
    opening::{UnderWay, signed},
    stores::Served,
};
use std::time::Instant;
use veilbourse_core::digest::Digest;
use veilbourse_ticket_store::{QuorumSet, Stage};

/// How often a session's members could have been waited for before it is forgone.
const WAITS: u32 = 4;

impl Inner {
    /// Before an epoch is activated: what keeps it from that, has done so for a
    /// while, and is not at work, is forgone.
    pub(super) fn forgo_replaced(
        &self,
        served: &Served,
        quorum: QuorumSet,
        epoch: u32,
    ) -> Result<(), MemberError> {
        let owed: Vec<(Digest, Digest)> = served.keeper.read(|store| {
            let state = store.state();
            let earlier = |dealing: &Digest| {
                let d = state.dealing(dealing);
                d.is_some_and(|d| d.stage == Stage::Usable && d.dealing.epoch < epoch)
            };
            let withheld = store.withheld(quorum).into_iter();
            let spent = withheld.filter_map(|d| Some((d, &state.session_of(&d)?.spent)));
            let spent = spent.filter(|(_, spent)| earlier(&spent.dealing));
            spent.map(|(d, spent)| (d, spent.order)).collect()
        });
        let wait = self.config.patience * WAITS;
        for (session, order) in owed {
            let since = *lock(&self.owed).entry(session).or_insert_with(Instant::now);
            if since.elapsed() < wait {
                continue;
            }
            let joint = self.node().state().spent(&order).map(|s| s.joint.clone());
            let joint = joint.filter(|j| !j.is_empty());
            let company = joint.unwrap_or_else(|| vec![order]);
            if let Some(_under_way) = UnderWay::begin(self, company.clone()) {
                self.forgo_all(&company)?;
            }
        }
        Ok(())
    }

    /// KEY-13: of orders that are opened together all sessions or none, and none
    /// where one was released.
    fn forgo_all(&self, orders: &[Digest]) -> Result<(), MemberError> {
        let all = self.stores.all();
        let released = |o: &Digest| {
            let mut signed = all.iter().filter_map(|s| signed(s, o));
            signed.any(|s| s.released)
        };
        if orders.iter().any(released) {
            return Ok(());
        }
        for order in orders {
            self.forgo(order, None, "its epoch is replaced")?;
        }
        Ok(())
    }
}
