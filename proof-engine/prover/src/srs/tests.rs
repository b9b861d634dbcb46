use super::*;
use ark_ec::AffineRepr;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

#[test]
fn files_are_verified_when_loaded() {
    // MAR-11
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let srs = Srs::dev(3, &mut rng).unwrap();
    let bytes = srs.encode();
    assert_eq!(Srs::decode(&bytes, &mut rng).unwrap(), srs);
    for at in [0, 9, 40, 41, 60, 2000, bytes.len() - 1] {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        assert!(Srs::decode(&bad, &mut rng).is_err(), "byte {at}");
    }
    for cut in [0, 7, 39, 48, bytes.len() - 1] {
        assert!(Srs::decode(&bytes[..cut], &mut rng).is_err());
    }
    // With a right digest, the powers themselves are checked.
    let reject = |change: &dyn Fn(&mut Points), field: &str| {
        let mut points = srs.points.clone();
        change(&mut points);
        let bad = Srs::new(Provenance::Dev, points).encode();
        let e = Srs::decode(&bad, &mut ChaCha20Rng::seed_from_u64(2)).unwrap_err();
        assert!(e.to_string().starts_with(field), "{e} is not about {field}");
    };
    reject(&|s| s.powers.swap(3, 4), "srs.powers");
    reject(&|s| s.hiding.swap(1, 2), "srs.powers");
    reject(&|s| s.shifts.swap(0, 1), "srs.shifts");
    reject(&|s| s.tau_h = s.h, "srs.powers");
    reject(&|s| s.powers[0] = G1Affine::zero(), "srs");
    assert!(Srs::dev(1, &mut rng).is_err());
}
