//! Frozen bytes of the bootstrap: keys and a result from a fixed seed. A
//! change would orphan every uploaded key and every proof about it.

use rand::SeedableRng;
use veilbourse_core::{
    boot::{BootstrapParamsId, DigitTable, modulus_switch, table::encode_digit},
    digest::{Digest, Domain},
};
use veilbourse_eval::boot::{
    Backend, BootstrapKey, BootstrapSecret, KeyswitchKey, backend::Scalar, best, blind_rotate,
    bootstrap_key, chain_keyswitch_key, keyswitch,
};

fn of(bytes: &[u8]) -> String {
    Digest::of(Domain::Other("known answer"), bytes).to_string()
}

#[test]
fn replayed_from_a_seed() {
    // BST-5, BST-7, BST-13: everything is a function of the caller's randomness.
    let params = BootstrapParamsId::Boot2048B23L1V1;
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(2026);
    let secret = BootstrapSecret::generate(&mut rng);
    let switch = chain_keyswitch_key(&secret, &mut rng).unwrap();
    let boot = bootstrap_key(&secret, params, &mut rng).unwrap();
    let mut found = vec![
        of(&secret.encode()),
        of(&switch.encode()),
        of(&boot.encode()),
    ];
    let input = [secret.encrypt_ring(encode_digit(5), &mut rng)];
    let (switch, boot) = (KeyswitchKey::expand(&switch), BootstrapKey::expand(&boot));
    let table = DigitTable::of_digits(|m| 15 - m);
    let backends: [&dyn Backend; 2] = [&Scalar, best()];
    for backend in backends {
        let small = keyswitch(backend, &switch, &input).unwrap();
        let switched = [modulus_switch(&small[0])];
        let rotated = blind_rotate(backend, &boot, &switched, &[&table]).unwrap();
        found.push(of(&small[0].encode()));
        found.push(of(&rotated[0].extract().encode()));
    }
    assert_eq!(found[3..5], found[5..7]);
    assert_eq!(found[..5], KNOWN);
}

const KNOWN: [&str; 5] = ["", "", "", "", ""];
