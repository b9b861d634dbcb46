//! VLT-1..6.

use super::*;
use crate::vault::{Secret, SigningEntry};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use veilbourse_documents::Id;

const PASS: &str = "correct horse battery";
/// So that a test opens a file often.
const QUICK: Kdf = Kdf {
    memory_kib: 8 << 10,
    passes: 1,
    lanes: 1,
};

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

fn vault(kdf: Kdf) -> (Vault, Vec<u8>) {
    let mut rng = rng();
    let mut contents = Contents::new(&mut rng);
    contents.keys.push(SigningEntry::fresh("mine", 5, &mut rng));
    let key = Zeroizing::new(random(&mut rng));
    let vault = Vault::wrap(PASS, kdf, key, contents, &mut rng).expect("made");
    let file = vault.seal(&mut rng).expect("sealed");
    (vault, file)
}

fn refused(file: &[u8], passphrase: &str) -> VaultError {
    Vault::open(file, passphrase).err().expect("refused")
}

#[test]
fn a_vault_opens_with_its_passphrase_alone() {
    // VLT-2: what new vaults take.
    let mut rng = rng();
    let made = Vault::create(PASS, Contents::new(&mut rng), &mut rng).expect("made");
    assert_eq!(made.kdf(), Kdf::NEW);
    assert_eq!(Kdf::NEW.check(), Ok(Kdf::NEW));
    let file = made.seal(&mut rng).expect("sealed");
    assert_eq!(Vault::kdf_of(&file), Ok(Kdf::NEW));
    let open = Vault::open(&file, PASS).expect("opens");
    assert_eq!(open.contents.storage_key, made.contents.storage_key);
    // VLT-4
    assert_eq!(refused(&file, "correct horse batterz"), VaultError::Refused);
}

#[test]
fn every_byte_is_authentic() {
    // VLT-4: the same refusal wherever a byte is changed after the plain words.
    let (vault, file) = vault(QUICK);
    let open = Vault::open(&file, PASS).expect("opens");
    assert_eq!(open.contents.keys, vault.contents.keys);
    let places = (30..BOUND).chain([BOUND, BOUND + 1, file.len() - 1]);
    for at in places.step_by(3) {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert_eq!(refused(&changed, PASS), VaultError::Refused, "byte {at}");
    }
    for cut in [1, 17, 100] {
        assert_eq!(
            refused(&file[..file.len() - cut], PASS),
            VaultError::Refused
        );
    }
    let mut longer = file.clone();
    longer.push(0);
    assert_eq!(refused(&longer, PASS), VaultError::Refused);
    // Parameters within the limits, and not those that it was sealed with.
    let mut changed = file.clone();
    changed[22] = 2;
    assert_eq!(refused(&changed, PASS), VaultError::Refused);
}

#[test]
fn what_is_no_vault_says_so() {
    // VLT-1, VLT-2
    let (_, file) = vault(QUICK);
    for bad in [&b""[..], b"veilbourse vault", &file[..BOUND], &[0; 300]] {
        assert_eq!(refused(bad, PASS), VaultError::NoVault);
    }
    let with = |at: usize, word: u32| {
        let mut changed = file.clone();
        changed[at..at + 4].copy_from_slice(&word.to_le_bytes());
        refused(&changed, PASS)
    };
    for (at, name, value) in [
        (18, "memory in KiB", (256 << 10) + 1),
        (18, "memory in KiB", 0),
        (22, "passes", 17),
        (26, "lanes", 0),
        (26, "lanes", u32::MAX),
    ] {
        match with(at, value) {
            VaultError::Parameter {
                field, value: v, ..
            } => assert_eq!((field, v), (name, value)),
            other => panic!("{other}"),
        }
    }
    let mut changed = file.clone();
    changed[16] = 2;
    assert_eq!(
        refused(&changed, PASS),
        VaultError::Version {
            field: "the vault",
            expected: 1,
            found: 2
        }
    );
    let large = vec![0; MAX_VAULT_BYTES as usize + 1];
    assert!(matches!(refused(&large, PASS), VaultError::TooLarge { .. }));
}

#[test]
fn a_new_passphrase_is_long_and_shuts_the_old_file_out() {
    // VLT-3
    // Not what the vault below draws from.
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let weak = Vault::create("short", Contents::new(&mut rng), &mut rng);
    assert_eq!(
        weak.err(),
        Some(VaultError::Passphrase {
            limit: 12,
            value: 5
        })
    );
    let (mut vault, old) = vault(QUICK);
    let before = vault.key.clone();
    vault
        .change_passphrase("another passphrase", &mut rng)
        .expect("changed");
    assert_ne!(before, vault.key);
    let file = vault.seal(&mut rng).expect("sealed");
    assert_eq!(refused(&file, PASS), VaultError::Refused);
    assert!(Vault::open(&file, "another passphrase").is_ok());
    assert!(Vault::open(&old, PASS).is_ok());
    // The same contents are never sealed twice alike.
    assert_ne!(vault.seal(&mut rng), Ok(file));
}

#[test]
fn authentic_contents_are_still_held_to_their_form() {
    // VLT-5
    let seal_of = |change: &dyn Fn(&mut Contents)| {
        let (mut vault, _) = vault(QUICK);
        change(&mut vault.contents);
        vault.seal(&mut rng()).expect("sealed")
    };
    let other_version = seal_of(&|c| c.version = 2);
    assert!(matches!(
        refused(&other_version, PASS),
        VaultError::Version { found: 2, .. }
    ));
    let anothers_seed = seal_of(&|c| {
        c.keys[0].seed = Secret(Zeroizing::new(vec![9; 32]));
    });
    let short = seal_of(&|c| c.storage_key = Secret(Zeroizing::new(vec![1; 31])));
    let with = |data: usize, dealer: usize| {
        seal_of(&|c| {
            let mut key = vec![0; data];
            if let Some(version) = key.first_mut() {
                *version = 1;
            }
            c.datasets.push(super::super::DatasetEntry {
                root: veilbourse_core::digest::Digest([3; 32]),
                name: "d".into(),
                created: 1,
                data_key: Secret(Zeroizing::new(key)),
                dealer_key: Some(Secret(Zeroizing::new(vec![8; dealer]))),
                dealer_plan: None,
                listing: None,
            });
        })
    };
    assert!(Vault::open(&with(514, 32), PASS).is_ok());
    for bad in [
        anothers_seed,
        short,
        with(513, 32),
        with(515, 32),
        with(514, 31),
    ] {
        assert!(matches!(refused(&bad, PASS), VaultError::Contents { .. }));
    }
}

#[test]
fn merging_adds_and_replaces_nothing() {
    // VLT-6
    let mut rng = rng();
    let id = |n: u8| Id::parse(&format!("01900000-0000-7000-8000-00000000000{n}")).expect("an id");
    let (mut a, mut b) = (Contents::new(&mut rng), Contents::new(&mut rng));
    let shared = SigningEntry::fresh("shared", 1, &mut rng);
    let other = SigningEntry::fresh("other", 2, &mut rng);
    a.keys.push(shared.clone());
    b.keys = vec![
        SigningEntry {
            accounts: vec![id(1)],
            ..shared.clone()
        },
        other.clone(),
    ];
    a.pins.insert("here".into(), shared.key);
    b.pins.insert("here".into(), other.key);
    b.pins.insert("there".into(), other.key);
    let dataset = |plan: bool| super::super::DatasetEntry {
        root: veilbourse_core::digest::Digest([3; 32]),
        name: "d".into(),
        created: 1,
        data_key: Secret(Zeroizing::new(vec![7; 514])),
        dealer_key: plan.then(|| Secret(Zeroizing::new(vec![8; 32]))),
        dealer_plan: plan.then(|| serde_json::json!({ "version": 1 })),
        listing: Some(id(2)),
    };
    a.datasets.push(dataset(false));
    b.datasets.push(dataset(true));
    let storage = a.storage_key.clone();
    a.merge(b).expect("merged");
    assert_eq!(a.storage_key, storage);
    assert_eq!(a.keys.len(), 2);
    // Whoever made the other file does not sign from here.
    assert_eq!((&a.keys[0], a.keys[1].key), (&other, shared.key));
    assert_eq!(a.keys[1].accounts, [id(1)]);
    assert_eq!((a.pins["here"], a.pins["there"]), (shared.key, other.key));
    assert_eq!(a.datasets, [dataset(true)]);
    assert_eq!(a.unsaved, 1);
    // Where there was no key, the newest of theirs signs.
    let (mut none, mut theirs) = (Contents::new(&mut rng), Contents::new(&mut rng));
    theirs.keys = vec![shared.clone(), other.clone()];
    none.merge(theirs).expect("merged");
    assert_eq!(none.keys, [shared, other]);
    // A plan goes with its key alone.
    let mut keyed = dataset(true);
    keyed.dealer_plan = None;
    let mut anothers = dataset(true);
    anothers.dealer_key = Some(Secret(Zeroizing::new(vec![9; 32])));
    let (mut mine, mut theirs) = (Contents::new(&mut rng), Contents::new(&mut rng));
    mine.datasets.push(keyed.clone());
    theirs.datasets.push(anothers);
    mine.merge(theirs).expect("merged");
    assert_eq!(mine.datasets, [keyed]);
}

#[test]
fn secrets_are_not_printed() {
    let (vault, _) = vault(QUICK);
    let said = format!("{:?}", vault.contents);
    assert!(!said.contains(&hex::encode(&*vault.contents.keys[0].seed.0)));
    assert!(said.contains("Secret(32 bytes)"));
}
