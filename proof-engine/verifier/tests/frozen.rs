//! Proofs once emitted must still verify, from the manifest, the output and
//! the envelope alone: this test process has no dataset (LES-11).

use veilbourse_core::{
    ciphertext::OutputCiphertext, digest::Digest, manifest::Manifest, program::MatrixRef,
};
use veilbourse_verifier::{
    Evidence, Refusal, Statement,
    commitment::CommitmentError,
    linear::{LinearStatement, Visibility},
    verify,
};

fn public_v1() -> (Manifest, LinearStatement, &'static [u8]) {
    let manifest = Manifest::decode(include_bytes!("fixtures/public-v1.manifest")).unwrap();
    let output = include_bytes!("fixtures/public-v1.output");
    let statement = LinearStatement {
        dataset: manifest.root(),
        over: MatrixRef::Traced { segment: 0 },
        order: Digest([6; 32]),
        output: 3,
        visibility: Visibility::Public {
            weights: vec![5, -7, 11, 13],
        },
        public_key: manifest.public_key_body,
        ciphertext: OutputCiphertext::decode(output).unwrap(),
    };
    (
        manifest,
        statement,
        include_bytes!("fixtures/public-v1.envelope"),
    )
}

#[test]
fn public_v1_still_verifies() {
    let (manifest, statement, envelope) = public_v1();
    let evidence = Evidence {
        manifest: &manifest,
        sums: None,
        private: None,
    };
    let statement = Statement::Linear(Box::new(statement));
    assert_eq!(
        statement.digest().to_string(),
        include_str!("fixtures/public-v1.digest").trim_end()
    );
    let verified = verify(statement.clone(), &evidence, envelope).unwrap();
    assert_eq!(verified.into_statement(), statement);
}

#[test]
fn public_v1_changed_is_refused() {
    let (manifest, statement, envelope) = public_v1();
    let evidence = Evidence {
        manifest: &manifest,
        sums: None,
        private: None,
    };
    let statement = Statement::Linear(Box::new(statement));
    let mut bad = envelope.to_vec();
    *bad.last_mut().unwrap() ^= 1;
    assert!(matches!(
        verify(statement, &evidence, &bad).unwrap_err(),
        Refusal::Opening(CommitmentError::Fri(_))
    ));
}
