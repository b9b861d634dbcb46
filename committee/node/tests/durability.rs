//! What was spent is on disk before anything leaves (KEY-3), and the log keeps
//! it (KEY-4): the file is cut, damaged and locked at every place.

mod support;

use std::{path::PathBuf, sync::OnceLock};
use support::{terms::*, *};
use veilbourse_node::{KeyNode, Log, LogError, NodeError, Outcome};

/// Bytes of a frame before its record: length and its check.
const HEADER: usize = 8;
/// Bytes of the chain digest.
const CHAIN: usize = 32;

/// A node's log after two delivered orders.
struct Past {
    world: World,
    first: Case,
    second: Case,
    answers: [Outcome; 2],
    log: Vec<u8>,
}

fn past() -> &'static Past {
    static PAST: OnceLock<Past> = OnceLock::new();
    PAST.get_or_init(|| {
        let world = World::new();
        let first = Terms::of(&world, world.program()).proven(&world);
        let mut terms = Terms::of(&world, world.aggregate());
        terms.nonce = 2;
        let second = terms.proven(&world);
        let mut node = Node::new(world.config());
        let answers = [&first, &second].map(|case| process(&mut node.node, case, 1));
        let log = std::fs::read(node.folder.path().join("log")).unwrap();
        Past {
            world,
            first,
            second,
            answers,
            log,
        }
    })
}

fn process(node: &mut KeyNode, case: &Case, seed: u64) -> Outcome {
    node.process(&case.job, &case.parts, NOW, &mut rng(seed))
        .unwrap()
}

/// Where each frame begins, and where the last ends.
fn frames(log: &[u8]) -> Vec<usize> {
    let mut at = 8;
    let mut out = vec![at];
    while at < log.len() {
        let length = u32::from_le_bytes(log[at..at + 4].try_into().unwrap());
        at += HEADER + length as usize + CHAIN;
        out.push(at);
    }
    assert_eq!(at, log.len());
    out
}

/// The name of a frame's record.
fn record(log: &[u8], from: usize, to: usize) -> String {
    let json: serde_json::Value = serde_json::from_slice(&log[from + HEADER..to - CHAIN]).unwrap();
    json["record"].as_str().unwrap().to_owned()
}

struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        Self { folder: folder() }
    }
    fn path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
    fn write(&self, bytes: &[u8]) {
        std::fs::write(self.path(), bytes).unwrap();
    }
    fn open(&self) -> Result<KeyNode, NodeError> {
        KeyNode::open(past().world.config(), &self.path())
    }
}

fn damaged(got: &Result<KeyNode, NodeError>) -> bool {
    matches!(got, Err(NodeError::Log(LogError::Damaged { .. })))
}

#[test]
fn spending_is_recorded_before_delivery() {
    // KEY-3.
    let log = &past().log;
    let names: Vec<String> = frames(log)
        .windows(2)
        .map(|w| record(log, w[0], w[1]))
        .collect();
    assert_eq!(
        names,
        ["policy_seen", "spent", "delivered", "spent", "delivered"]
    );
}

#[test]
fn a_crash_anywhere_in_the_last_order_neither_forgets_nor_reveals_twice() {
    // KEY-3, KEY-4: the power fails at every byte of the last two records.
    let Past {
        world,
        first,
        second,
        answers,
        log,
    } = past();
    let starts = frames(log);
    let [spent, delivered, end] = starts[3..] else {
        panic!("{starts:?}")
    };
    let width = 63 - u64::from(world.dataset.manifest.message_log2);
    let disk = Disk::new();
    for cut in spent..=end {
        disk.write(&log[..cut]);
        let mut node = disk.open().unwrap();
        // A torn tail is cut off; what is whole stays.
        let whole = starts.iter().rev().find(|s| **s <= cut).unwrap();
        assert_eq!(std::fs::read(disk.path()).unwrap(), &log[..*whole]);
        // Never less than was revealed: the second order's result left the node
        // only after the last record was whole.
        let before = if cut >= delivered { VALUES + 1 } else { VALUES };
        let revealed = node.state().revealed(&world.root);
        assert_eq!((revealed.values, revealed.bits), (before, before * width));
        // Asked again, it answers.
        let outcome = process(&mut node, second, cut as u64);
        let opened = open(
            &outcome,
            &second.terms.result_secret(),
            second.order(),
            second.grant(),
        );
        assert_eq!(values(&opened), world.expected(&second.terms.program));
        let Outcome::Delivered { delivery, .. } = &outcome else {
            unreachable!()
        };
        let d = &delivery.body;
        assert_eq!(
            (d.values, d.counter_before, d.counter_after),
            (1, VALUES, VALUES + 1)
        );
        if cut == end {
            assert_eq!(outcome, answers[1], "delivered: the same bytes, from disk");
        }
        // Once delivered, always the same: here, and after another start.
        assert_eq!(process(&mut node, second, 7), outcome);
        assert_eq!(process(&mut node, first, 7), answers[0]);
        drop(node);
        let mut node = disk.open().unwrap();
        assert_eq!(process(&mut node, second, 8), outcome);
        let revealed = node.state().revealed(&world.root);
        assert_eq!(
            (revealed.values, revealed.bits),
            (VALUES + 1, (VALUES + 1) * width)
        );
    }
}

#[test]
fn what_was_spent_for_before_a_crash_is_delivered_and_never_refused() {
    // KEY-3, KEY-7: the power fails after "spent"; nothing had left the node.
    let past = past();
    let starts = frames(&past.log);
    let disk = Disk::new();
    disk.write(&past.log[..starts[4]]);
    let mut node = disk.open().unwrap();
    // A second grant of the same order does not open it, and does not get a
    // document with which the buyer is refunded, as its result is still to come.
    let log = std::fs::read(disk.path()).unwrap();
    let again = process(&mut node, &past.second.granted_again(), 1);
    assert_eq!(code(&again), "SECOND_OPENING");
    assert!(matches!(&again, Outcome::Refused(r) if r.body.revealed));
    // Nor do parts or documents that do not hold: they may be better next time.
    let mut broken = past.second.clone();
    broken.parts.ciphertexts[0][100] ^= 1;
    let outcome = process(&mut node, &broken, 1);
    assert_eq!(code(&outcome), "OUTPUT_DIGEST");
    assert!(matches!(&outcome, Outcome::Refused(r) if r.body.revealed));
    assert_eq!(std::fs::read(disk.path()).unwrap(), log, "not its end");
    // The custodian has tightened its policy meanwhile, and the grant is over:
    // the decision to open was made before.
    let mut tight = past.second.terms.clone();
    tight.policy_version += 1;
    tight.quota_values = 0;
    assert!(node.learn_policy(&tight.papers().policy, NOW).unwrap());
    let late = NOW + 5_000;
    let outcome = node
        .process(&past.second.job, &past.second.parts, late, &mut rng(1))
        .unwrap();
    let opened = open(
        &outcome,
        &past.second.terms.result_secret(),
        past.second.order(),
        past.second.grant(),
    );
    assert_eq!(
        values(&opened),
        past.world.expected(&past.second.terms.program)
    );
    // Counted once.
    assert_eq!(node.state().revealed(&past.world.root).values, VALUES + 1);
    assert_eq!(process(&mut node, &past.second, 2), outcome);
    let again = process(&mut node, &past.second.granted_again(), 2);
    assert!(matches!(&again, Outcome::Refused(r) if r.body.revealed));
    assert_eq!(node.state().revealed(&past.world.root).values, VALUES + 1);
    // A new order under the replaced policy is refused.
    let mut other = past.second.terms.clone();
    other.nonce = 77;
    let outcome = process(&mut node, &other.unproven(), 3);
    assert_eq!(code(&outcome), "POLICY_OLD");
}

#[test]
fn a_byte_changed_in_the_middle_refuses_to_start() {
    // KEY-4: every byte before the last record; every bit of each header. A
    // length that reaches beyond the file must not pass for a torn tail: that
    // would forget all that follows.
    let log = &past().log;
    let starts = frames(log);
    let last = starts[starts.len() - 2];
    let disk = Disk::new();
    for at in 0..last {
        let header = starts.iter().any(|s| (*s..*s + HEADER).contains(&at));
        let bits = if header || at < 8 {
            0..8
        } else {
            at % 8..at % 8 + 1
        };
        for bit in bits {
            let mut changed = log.clone();
            changed[at] ^= 1 << bit;
            disk.write(&changed);
            let got = disk.open();
            if at < 8 {
                assert!(
                    matches!(got, Err(NodeError::Log(LogError::Magic { .. }))),
                    "byte {at}: {got:?}"
                );
            } else {
                assert!(damaged(&got), "byte {at} bit {bit}: {got:?}");
            }
            drop(got);
            if header {
                // Refusing leaves the evidence as it was.
                assert_eq!(std::fs::read(disk.path()).unwrap(), changed);
            }
        }
    }
}

#[test]
fn records_lost_exchanged_or_foreign_refuse_to_start() {
    // KEY-4: the chain of digests.
    let log = &past().log;
    let s = frames(log);
    let frame = |i: usize| &log[s[i]..s[i + 1]];
    let disk = Disk::new();
    let join = |order: &[usize]| {
        let mut out = log[..8].to_vec();
        order.iter().for_each(|i| out.extend(frame(*i)));
        out
    };
    for order in [
        &[1, 2, 3, 4][..],
        &[0, 2, 3, 4],
        &[0, 1, 3, 4],
        &[0, 2, 1, 3, 4],
        &[0, 1, 1, 2, 3, 4],
        &[3, 4, 0, 1, 2],
    ] {
        disk.write(&join(order));
        assert!(damaged(&disk.open()), "{order:?}");
    }
    // All of them in order is the log itself.
    assert_eq!(&join(&[0, 1, 2, 3, 4]), log);
    // A page of zeros in the middle, and one that the file was extended by.
    let mut zeros = log.clone();
    zeros[s[2] + 40..s[2] + 140].fill(0);
    disk.write(&zeros);
    assert!(damaged(&disk.open()));
}

#[test]
fn a_log_torn_while_it_was_made_starts_empty() {
    // KEY-4.
    let past = past();
    let disk = Disk::new();
    for cut in 0..=8 {
        disk.write(&past.log[..cut]);
        let mut node = disk.open().unwrap();
        // The start finished what was cut off.
        assert_eq!(std::fs::read(disk.path()).unwrap(), &past.log[..8]);
        assert_eq!(node.state().revealed(&past.world.root).values, 0);
        if cut % 4 == 0 {
            let outcome = process(&mut node, &past.second, 3);
            drop(node);
            let mut node = disk.open().unwrap();
            assert_eq!(process(&mut node, &past.second, 4), outcome);
        }
    }
    disk.write(b"VBNLOG9");
    assert!(matches!(
        disk.open(),
        Err(NodeError::Log(LogError::Magic { .. }))
    ));
}

#[test]
fn a_log_that_is_gone_is_not_made_anew() {
    // KEY-4: an initialised node whose log was deleted would count from zero.
    let disk = Disk::new();
    Log::create(&disk.path()).unwrap();
    drop(disk.open().unwrap());
    std::fs::remove_file(disk.path()).unwrap();
    for _ in 0..2 {
        let got = disk.open();
        assert!(
            matches!(&got, Err(NodeError::Log(LogError::Missing { path })) if *path == disk.path()),
            "{got:?}"
        );
        assert!(!disk.path().exists(), "refusing makes nothing");
    }
}

#[test]
fn a_log_is_made_once_and_never_over_another() {
    // KEY-4.
    let past = past();
    let disk = Disk::new();
    Log::create(&disk.path()).unwrap();
    // Made and not yet used: the same again, also where making it was cut off.
    Log::create(&disk.path()).unwrap();
    disk.write(b"");
    Log::create(&disk.path()).unwrap();
    assert_eq!(std::fs::read(disk.path()).unwrap(), &past.log[..8]);
    disk.write(&past.log);
    let got = Log::create(&disk.path());
    assert!(matches!(got, Err(LogError::Exists { .. })), "{got:?}");
    assert_eq!(std::fs::read(disk.path()).unwrap(), past.log);
    assert_eq!(
        disk.open()
            .unwrap()
            .state()
            .revealed(&past.world.root)
            .values,
        VALUES + 1
    );
}

#[test]
fn the_head_covers_every_record() {
    // KEY-4: what the operator notes; all zero before the first record.
    let past = past();
    let disk = Disk::new();
    let mut heads = std::collections::HashSet::new();
    for at in frames(&past.log) {
        disk.write(&past.log[..at]);
        let head = disk.open().unwrap().log_head();
        assert_eq!(head.0 == [0; 32], at == 8);
        if at > 8 {
            assert_eq!(head.0, past.log[at - CHAIN..at], "the last chain digest");
        }
        assert!(heads.insert(head));
    }
}

#[test]
fn one_node_at_a_time() {
    // KEY-3: two would each spend what the other does not see.
    let disk = Disk::new();
    Log::create(&disk.path()).unwrap();
    let node = disk.open().unwrap();
    let second = disk.open();
    assert!(
        matches!(&second, Err(NodeError::Log(LogError::Io(e))) if e.to_string().contains("locked")),
        "{second:?}"
    );
    drop(node);
    disk.open().unwrap();
}
