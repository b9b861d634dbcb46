//! From a checked y to mask shares (QRM-4, QRM-5, OPN-3): all members sign, all
//! signatures are verified, and only then does this node release. What was
//! signed before a crash is finished after it.

use crate::{
    error::QuorumError,
    keeper::Keeper,
    meeting::{AGENDA_STEP, Agenda, FORGONE, Purpose, exchange, expect, name},
    request::Request,
};
use veilbourse_core::{digest::Digest, field::Fq};
use veilbourse_peers::{Exchange, Expected, Kind, Network, busy};
use veilbourse_protocol::{MaskShare, TicketPath, binding::Binding};
use veilbourse_ticket_store::{Disk, StoreError};

/// What is signed: a session, everything that it is about, and its y.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The digest of `binding`.
    pub session: Digest,
    /// Everything that the session is about.
    pub binding: Binding,
    /// One a value, output by output.
    pub y: Vec<Fq>,
}

/// Signs outcomes, and checks those of peers. What a signature says is the
/// caller's affair; the same outcome may be signed again.
pub trait Signer: Sync {
    /// Most bytes of a signature.
    fn limit(&self) -> u32;
    /// This node's signature.
    fn sign(&self, outcome: &Outcome) -> Result<Vec<u8>, String>;
    /// Whether `signature` is node `node`'s.
    fn check(&self, node: u8, outcome: &Outcome, signature: &[u8]) -> Result<(), String>;
}

/// An outcome with the signatures of all members, each verified. Only this
/// crate makes one.
#[derive(Debug, Clone)]
pub struct SignedOutcome {
    outcome: Outcome,
    signatures: Vec<Vec<u8>>,
}

impl SignedOutcome {
    /// What was signed.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
    /// The signatures, by party number.
    pub fn signatures(&self) -> &[Vec<u8>] {
        &self.signatures
    }
}

/// This node's part of one value, for the buyer alone.
#[derive(Debug, Clone)]
pub struct Released {
    /// The output's index in the order.
    pub output: u32,
    /// This party's share of the mask.
    pub mask: MaskShare,
    /// The ticket's commitments, and their path to the root.
    pub path: TicketPath,
}

/// Says how long signatures are, before any can come.
pub(crate) fn expect_signatures(
    channel: &mut impl Exchange,
    signer: &impl Signer,
) -> Result<(), QuorumError> {
    let expected = Expected {
        lengths: vec![signer.limit()],
        exact: false,
    };
    Ok(channel.expect(Kind::Signatures, expected)?)
}

/// Exchanges signatures of an outcome that is `signed` on disk (QRM-4).
pub(crate) async fn countersign<S: Exchange>(
    mut channel: S,
    signer: &impl Signer,
    outcome: Outcome,
) -> Result<SignedOutcome, QuorumError> {
    let own = signer.sign(&outcome);
    let own = own.map_err(|reason| QuorumError::Signing { reason })?;
    let signatures = channel.exchange(Kind::Signatures, 0, &own).await?;
    let party = usize::from(channel.party());
    let members = outcome.binding.quorum.iter().zip(&signatures).enumerate();
    for (_, (peer, signature)) in members.filter(|(p, _)| *p != party) {
        let checked = signer.check(*peer, &outcome, signature);
        let peer = *peer;
        checked.map_err(|reason| QuorumError::Signature { peer, reason })?;
    }
    channel.finish();
    Ok(SignedOutcome {
        outcome,
        signatures,
    })
}

impl<D: Disk> Keeper<D> {
    /// The session that this node has signed for a request, if it has.
    fn signed_for(&self, request: &Request) -> Result<Option<Outcome>, QuorumError> {
        let store = self.lock();
        let state = store.state();
        let Some(first) = request.outputs.first() else {
            return Ok(None);
        };
        let Some(session) = store.latest(&request.order, first.index) else {
            return Ok(None);
        };
        let digest = session.spent.session;
        let Ok(y) = store.signed_result(&digest) else {
            return Ok(None);
        };
        let unknown = StoreError::UnknownDealing {
            dealing: session.spent.dealing,
        };
        let d = state.dealing(&session.spent.dealing).ok_or(unknown)?;
        let (first, _) = session.spent.tickets();
        let binding = request.binding(&d.dealing, session.spent.attempt, first);
        // Of another request for the same outputs, or of another dealing.
        if binding.digest() != digest {
            return Ok(None);
        }
        Ok(Some(Outcome {
            session: digest,
            binding,
            y: y.iter().map(|w| Fq::reduce(*w)).collect(),
        }))
    }

    /// Finishes what was signed, in a session of its own: every member signs the
    /// y that is on its disk again (QRM-5). All members call it, with the same
    /// request. What they hold of each other is shown first (CST-11): an old copy
    /// may have forgone what it still holds as signed.
    pub async fn resume<N: Network>(
        &self,
        network: &N,
        signer: &impl Signer,
        request: &Request,
    ) -> Result<SignedOutcome, QuorumError> {
        request.check()?;
        let signed = self.signed_for(request)?;
        let forwent = self.read(|s| s.forwent(&request.order, &request.grant));
        let (dataset, own, members) = self.read(|s| {
            let unknown = StoreError::UnknownDealing {
                dealing: request.dealing,
            };
            let d = s.state().dealing(&request.dealing).ok_or(unknown)?;
            Ok::<_, StoreError>((
                s.config().dataset,
                s.config().node,
                d.dealing.quorum.members(),
            ))
        })?;
        let about = request.digest();
        let name = name(Purpose::Resume, &dataset, &members, &about, request.trial);
        let agenda = Agenda {
            purpose: Purpose::Resume,
            about,
            attempt: 0,
            next: 0,
            session: match &signed {
                Some(outcome) => outcome.session,
                None if forwent => FORGONE,
                None => Digest::default(),
            },
        };
        let mut channel = network.session(name, &members)?;
        expect(&mut channel)?;
        expect_signatures(&mut channel, signer)?;
        let first = agenda.encode();
        let said = exchange(&mut channel, Kind::Meeting, AGENDA_STEP, &first, &members).await?;
        let outcome = signed.ok_or(match forwent {
            true => QuorumError::Forgone { peer: own },
            false => QuorumError::NotSigned { peer: own },
        })?;
        for (peer, bytes) in said {
            let theirs = agenda.read(peer, &bytes)?.session;
            if theirs == Digest::default() {
                return Err(QuorumError::NotSigned { peer });
            }
            if theirs == FORGONE {
                return Err(QuorumError::Forgone { peer });
            }
            if theirs != outcome.session {
                return Err(QuorumError::Agenda {
                    peer,
                    what: "the session signed",
                    found: theirs,
                    expected: outcome.session,
                });
            }
        }
        self.hear(&mut channel, &members).await?;
        countersign(channel, signer, outcome).await
    }

    /// Gives up what this node signed and did not release (OPN-6): on disk when
    /// it returns, and from then on nothing of the session is released here,
    /// whatever signatures come. Another session may then open its outputs.
    pub fn forgo(&self, session: &Digest) -> Result<(), QuorumError> {
        Ok(busy(|| self.lock().forgo(session))?)
    }

    /// Releases this node's part of every value (OPN-3): `released` is on disk
    /// first. Again is no harm.
    pub fn release(&self, signed: &SignedOutcome) -> Result<Vec<Released>, QuorumError> {
        let Outcome {
            session, binding, ..
        } = &signed.outcome;
        busy(|| {
            let mut store = self.lock();
            store.released(session)?;
            let masks = store.masks(session)?;
            let mut out = Vec::with_capacity(masks.len());
            let mut masks = masks.into_iter();
            for o in &binding.outputs {
                for ticket in (o.first_ticket..).take(o.values as usize) {
                    let Some(mask) = masks.next() else { break };
                    let path = store.path(&binding.dealing, ticket)?;
                    out.push(Released {
                        output: o.output,
                        mask,
                        path,
                    });
                }
            }
            Ok(out)
        })
    }
}
