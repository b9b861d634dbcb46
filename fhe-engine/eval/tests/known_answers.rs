//! Frozen bytes: a key, a chunk and a public key from a fixed seed. A change
//! would orphan every uploaded dataset or every key file.

use rand::SeedableRng;
use veilbourse_core::digest::{Digest, Domain};
use veilbourse_eval::{SecretKey, encrypt_chunk, public_key};

#[test]
fn replayed_from_a_seed() {
    // DS-1, DS-6: everything is a function of the caller's randomness.
    let make = || {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(2026);
        let key = SecretKey::generate(&mut rng);
        let p = public_key(&key, Digest([8; 32]), &mut rng);
        let rows: Vec<i64> = (0..100).map(|i| i * 37 % 101 - 50).collect();
        let chunk = encrypt_chunk(&key, 30, &[&rows, &rows], &mut rng).unwrap();
        let of = |bytes: &[u8]| Digest::of(Domain::Other("known answer"), bytes).to_string();
        [of(&key.encode()), of(&p.encode()), of(&chunk.encode())]
    };
    assert_eq!(make(), make());
    assert_eq!(make(), KNOWN);
}

const KNOWN: [&str; 3] = [
    "fcfb9a05f5e31a461f4ad949762543dede45e25bd4ebbcc441ca8a788074c2a9",
    "c24d678e60c75546bf218854521d4aa3256e1e6a013135ad5e970e2935865cdc",
    "b80f189d9aea9eba2d2123c7ce5ccafdf95841f31668655ae6dc51607525442f",
];
