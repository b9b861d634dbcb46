//! The check of the public key (QRM-7, TKT-4, CST-13): eight of its coefficients,
//! chosen by a coin of all members, are opened under tickets without noise, and
//! each must be 0.
//!
//! Nodes open to each other here, not to a buyer: the openings of the masks go
//! from member to member, and each checks them against the dealer's commitments.
//! Nothing secret is opened: a good key's coefficients are 0.

use crate::{
    error::QuorumError,
    keeper::Keeper,
    meeting::{Agenda, COIN_STEP, COMMIT_STEP, Purpose, exchange, name},
    turn::Turn,
};
use veilbourse_core::{
    ciphertext::{Glwe, OutputCiphertext},
    digest::{Digest, Domain},
    field::Fq,
    params::DATA_RING_DIMENSION as N,
    wire::{Reader, Writer},
};
use veilbourse_peers::{Exchange, Expected, Kind, Network, busy};
use veilbourse_protocol::{
    Job, MaskShare, Masked, OPENING_BYTES, ProtocolError,
    binding::{Binding, OutputBinding},
    commitments, phases, unmask,
};
use veilbourse_ticket_store::{Disk, Stage, StoreError};

/// Coefficients of the public key that are opened.
pub const COEFFICIENTS: usize = 8;

/// Names a public key: mask and body.
pub fn public_key_digest(key: &Glwe) -> Digest {
    let bytes = [key.a.to_bytes(), key.b.to_bytes()].concat();
    Digest::of(Domain::Other("veilbourse v1 quorum public key"), &bytes)
}

fn commitment(meeting: &Digest, node: u8, coin: &[u8; 32]) -> Digest {
    let mut out = Writer::new();
    out.raw(&meeting.0).u8(node).raw(coin);
    Digest::of(Domain::Other("veilbourse v1 quorum coin"), &out.finish())
}

/// The coefficients that a joint coin chooses, each once.
fn chosen(coin: &Digest) -> Vec<u32> {
    let mut out = Vec::with_capacity(COEFFICIENTS);
    let mut stream = blake3::Hasher::new_derive_key("veilbourse v1 quorum coefficients");
    stream.update(&coin.0);
    let mut words = stream.finalize_xof();
    while out.len() < COEFFICIENTS {
        let mut word = [0; 4];
        words.fill(&mut word);
        // N is a power of two.
        let at = u32::from_le_bytes(word) % N as u32;
        if !out.contains(&at) {
            out.push(at);
        }
    }
    out
}

impl<D: Disk> Keeper<D> {
    /// Checks the public key of a verified dealing's epoch with the other members
    /// of its quorum, all of whom call this with the same key and trial; the
    /// dealing's class has no noise. When all coefficients are 0 this node has
    /// it on disk, and the epoch's dealings may be activated. A key that is not
    /// S_D's freezes the quorum.
    pub async fn key_check<N: Network>(
        &self,
        network: &N,
        dealing: &Digest,
        key: &Glwe,
        trial: u64,
        entropy: [u8; 32],
    ) -> Result<(), QuorumError> {
        for part in [&key.a, &key.b] {
            if part.len() != N {
                return Err(ProtocolError::Length {
                    what: "coefficients of a public key",
                    found: part.len() as u64,
                    expected: N as u64,
                }
                .into());
            }
        }
        let stages = [Stage::Verified, Stage::Usable];
        let mut turn = self.turn(dealing, &stages, "verified").await?;
        let checked = self
            .key_opened(&mut turn, network, dealing, key, trial, &entropy)
            .await;
        if let Err(QuorumError::PublicKey { .. }) = &checked {
            let quorum = turn.quorum();
            let why = "the public key is not that of the shared key";
            if let Err(e) = busy(|| self.lock().freeze(quorum, why)) {
                return turn.end(Err(e.into()));
            }
        }
        turn.end(checked)
    }

    async fn key_opened<N: Network>(
        &self,
        turn: &mut Turn<'_, D>,
        network: &N,
        dealing: &Digest,
        key: &Glwe,
        trial: u64,
        entropy: &[u8; 32],
    ) -> Result<(), QuorumError> {
        let announced = turn.announced().clone();
        if announced.class.noisy() {
            return Err(StoreError::Noisy { dealing: *dealing }.into());
        }
        let members = turn.members();
        let named = busy(|| public_key_digest(key));
        let meeting = name(Purpose::Key, &announced.dataset, &members, dealing, trial);
        let mut about = Writer::new();
        about.raw(&dealing.0).raw(&named.0);
        let agenda = Agenda {
            purpose: Purpose::Key,
            about: Digest::of(
                Domain::Other("veilbourse v1 quorum key check"),
                &about.finish(),
            ),
            attempt: 0,
            // Counters of a dealing that is not usable yet are not signed.
            next: turn.dealing.next,
            session: Digest::default(),
        };
        let about = agenda.about;
        let session = |_, _| Ok(about);
        let met = self.meet(network, meeting, &announced, agenda, session);
        let mut met = met.await?;
        let joint = toss(&mut met.channel, &members, &meeting, entropy).await?;
        met.channel.finish();

        let coefficients = chosen(&joint);
        let mut opened = Writer::new();
        opened.raw(&named.0).raw(&joint.0);
        let binding = Binding {
            dataset: announced.dataset,
            order: about,
            grant: meeting,
            policy: named,
            quorum: members.clone(),
            dealing: *dealing,
            class: announced.class.digest(),
            attempt: 0,
            outputs: vec![OutputBinding {
                output: 0,
                ciphertext: Digest::of(
                    Domain::Other("veilbourse v1 quorum key coefficients"),
                    &opened.finish(),
                ),
                first_ticket: met.next,
                values: COEFFICIENTS as u32,
            }],
        };
        let session = binding.digest();
        let mut channel = network.session(session, &members)?;
        let masks = Expected {
            lengths: vec![(COEFFICIENTS * OPENING_BYTES) as u32],
            exact: true,
        };
        channel.expect(Kind::Signatures, masks)?;
        let live = turn.take()?;
        let job = busy(|| {
            let mut store = self.lock();
            store.spend_for_key(&binding)?;
            let tickets = store.tickets(&session)?;
            let shares = store.data_key(dealing)?;
            drop(store);
            let whole = OutputCiphertext::Rows {
                glwe: key.clone(),
                rows: N as u32,
            };
            let all = phases(&shares, live.key(), &whole)?;
            let of = |at: &u32| all.get(*at as usize).copied().unwrap_or_default();
            Ok::<_, QuorumError>(Job {
                session,
                live,
                shape: turn.dealing.shape.clone(),
                tickets,
                phases: coefficients.iter().map(of).collect(),
                entropy: blake3::derive_key("veilbourse v1 quorum key check session", entropy),
            })
        })?;
        let y = self.rounds(turn, job, &mut channel).await?;
        let own = busy(|| {
            let mut store = self.lock();
            store.signed(&session, &y)?;
            store.released(&session)?;
            store.masks(&session)
        })?;
        self.zeros(&mut channel, &binding, &own, &y, (named, &coefficients))
            .await?;
        channel.finish();
        busy(|| self.lock().key_checked(dealing, &named))?;
        Ok(())
    }

    /// Members open their masks to each other; every value must be 0.
    async fn zeros(
        &self,
        channel: &mut impl Exchange,
        binding: &Binding,
        own: &[MaskShare],
        y: &[Fq],
        (key, coefficients): (Digest, &[u32]),
    ) -> Result<(), QuorumError> {
        let mut out = Writer::new();
        own.iter().for_each(|m| m.encode(&mut out));
        let all = channel.exchange(Kind::Signatures, 0, &out.finish()).await?;
        let mut parties = Vec::new();
        for (peer, bytes) in binding.quorum.iter().zip(&all) {
            let mut input = Reader::new(bytes);
            let openings = (0..y.len()).map(|_| MaskShare::decode(&mut input));
            let openings: Result<Vec<_>, _> = openings.collect();
            let peer = *peer;
            parties.push(openings.map_err(|source| QuorumError::Message { peer, source })?);
        }
        busy(|| {
            let mut store = self.lock();
            let unknown = StoreError::UnknownDealing {
                dealing: binding.dealing,
            };
            let d = store.state().dealing(&binding.dealing).ok_or(unknown)?;
            let (signed, bound) = (d.dealing.signed(), d.dealing.class.value_bound());
            let first = binding.outputs.first().map_or(0, |o| o.first_ticket);
            for (i, (y, at)) in y.iter().zip(coefficients).enumerate() {
                let path = store.path(&binding.dealing, first + i as u64)?;
                let points = commitments(&signed, binding.quorum.len() as u8, &path)?;
                let of = |p: &Vec<MaskShare>| p.get(i).cloned();
                let openings: Vec<_> = parties.iter().filter_map(of).collect();
                let value = unmask(
                    i as u64,
                    &Masked {
                        y: &[*y],
                        commitments: &[points],
                        openings: &openings,
                        bound,
                    },
                );
                match value {
                    Ok(0) => {}
                    Ok(_) | Err(ProtocolError::Range { .. }) => {
                        return Err(QuorumError::PublicKey {
                            key,
                            coefficient: *at,
                        });
                    }
                    Err(e) => return Err(e.into()),
                }
            }
            Ok(())
        })
    }
}

/// A coin of all members: committed to, then revealed.
async fn toss(
    channel: &mut impl Exchange,
    members: &[u8],
    meeting: &Digest,
    entropy: &[u8; 32],
) -> Result<Digest, QuorumError> {
    let coin = blake3::derive_key("veilbourse v1 quorum key check coin", entropy);
    let party = usize::from(channel.party());
    let own = members.get(party).copied().unwrap_or_default();
    let committed = commitment(meeting, own, &coin);
    let commitments = exchange(channel, Kind::Meeting, COMMIT_STEP, &committed.0, members).await?;
    let coins = exchange(channel, Kind::Meeting, COIN_STEP, &coin, members).await?;
    let mut all = vec![(own, coin)];
    for ((peer, committed), (_, coin)) in commitments.into_iter().zip(coins) {
        let array = |bytes: Vec<u8>| bytes.try_into().map_err(|_| QuorumError::Coin { peer });
        let (committed, coin): ([u8; 32], [u8; 32]) = (array(committed)?, array(coin)?);
        if commitment(meeting, peer, &coin).0 != committed {
            return Err(QuorumError::Coin { peer });
        }
        all.push((peer, coin));
    }
    all.sort_unstable();
    let mut out = Writer::new();
    out.raw(&meeting.0);
    for (_, coin) in all {
        out.raw(&coin);
    }
    Ok(Digest::of(
        Domain::Other("veilbourse v1 quorum joint coin"),
        &out.finish(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coin_chooses_eight_different_coefficients() {
        // QRM-7
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..200u8 {
            let at = chosen(&Digest([i; 32]));
            let mut sorted = at.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), COEFFICIENTS);
            assert!(at.iter().all(|c| *c < N as u32));
            seen.extend(at);
        }
        // 1,600 draws of 4,096: some 1,300 different ones.
        assert!(seen.len() > 1200, "{}", seen.len());
    }
}
