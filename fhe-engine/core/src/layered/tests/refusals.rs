//! Each refusal of a layered program, by variant.

use super::*;
use crate::wire::WireError;

const MODEL: NoiseModel = NoiseModel::BASE11_L3;

/// The refusal of the decision program after a change.
fn refused(change: impl FnOnce(&mut LayeredProgram)) -> LayeredError {
    let m = manifest();
    let mut p = decision(&m);
    change(&mut p);
    p.analyse(&m, &MODEL).unwrap_err()
}

fn linear(p: &mut LayeredProgram) -> (&mut u32, &mut Accumulator) {
    match &mut p.layers[0] {
        Layer::Linear {
            modulus_log2,
            cells,
        } => (modulus_log2, &mut cells[0]),
        _ => unreachable!(),
    }
}

#[test]
fn shapes() {
    // PRG-1.
    let shape = |e| match e {
        LayeredError::Shape(w) => w,
        e => panic!("{e:?}"),
    };
    assert!(matches!(
        shape(refused(|p| p.version = 2)),
        WireError::Version { found: 2, .. }
    ));
    let invalid = |e| match shape(e) {
        WireError::Invalid { field, .. } => field,
        e => panic!("{e:?}"),
    };
    assert_eq!(
        invalid(refused(|p| p.dataset = Digest([0; 32]))),
        "layered.dataset"
    );
    assert_eq!(invalid(refused(|p| p.over.reverse())), "layered.over");
    assert_eq!(invalid(refused(|p| p.over[1] = p.over[0])), "layered.over");
    assert_eq!(invalid(refused(|p| p.over[1].chunk = 2)), "layered.over");
    assert_eq!(invalid(refused(|p| p.over[1].segment = 1)), "layered.over");
    assert_eq!(invalid(refused(|p| p.over.clear())), "layered.over");
    assert_eq!(invalid(refused(|p| p.first.clear())), "layered.first");
    assert_eq!(invalid(refused(|p| p.layers.clear())), "layered.layers");
    assert_eq!(invalid(refused(|p| p.outputs.clear())), "layered.outputs");
    assert_eq!(
        invalid(refused(|p| linear(p).1.terms.clear())),
        "accumulator.terms"
    );
    assert_eq!(
        invalid(refused(|p| p.first[0] = vector(&[1, 2]))),
        "vector.weights"
    );
    assert_eq!(
        invalid(refused(|p| p.outputs[0].scale_log2 = 129)),
        "output.scale_log2"
    );
    let too_large = |e| match shape(e) {
        WireError::TooLarge { field, .. } => field,
        e => panic!("{e:?}"),
    };
    assert_eq!(
        too_large(refused(|p| p.layers = vec![p.layers[0].clone(); 65])),
        "layered.layers"
    );
    assert_eq!(
        too_large(refused(|p| linear(p).1.terms = vec![(0, 1); 4097])),
        "accumulator.terms"
    );
    assert_eq!(
        too_large(refused(|p| p.tables = vec![p.tables[0].clone(); 16_385])),
        "layered.tables"
    );
    assert_eq!(
        too_large(refused(|p| p.outputs[0].label = "x".repeat(129))),
        "output.label"
    );
    let lut = |p: &mut LayeredProgram| {
        p.layers[2] = Layer::Lut {
            modulus_log2: 14,
            cells: vec![LutCell { input: 2, table: 1 }],
        }
    };
    assert_eq!(invalid(refused(lut)), "lut.table");
}

#[test]
fn wires() {
    // PRG-2, PRG-6.
    assert_eq!(
        refused(|p| linear(p).1.terms[0].0 = 1),
        LayeredError::NoSuchWire {
            place: "layer 0, cell 0".into(),
            wire: 1,
            made: 1
        }
    );
    let wrong = |e| match e {
        LayeredError::WrongKind { found, .. } => found,
        e => panic!("{e:?}"),
    };
    let requantise = |p: &mut LayeredProgram, wire| {
        p.layers[1] = Layer::Requantise {
            digit_log2: 5,
            cells: vec![wire],
        }
    };
    assert_eq!(wrong(refused(|p| requantise(p, 0))), "a weight vector");
    // A table reads five bits, not an accumulator of ten.
    let read = |p: &mut LayeredProgram| {
        p.layers[2] = Layer::Lut {
            modulus_log2: 14,
            cells: vec![LutCell { input: 1, table: 0 }],
        }
    };
    assert_eq!(wrong(refused(read)), "an accumulator");
    // Columns are not added up here: that is a linear program.
    assert_eq!(
        wrong(refused(|p| p.layers[3] = Layer::Sum { cells: vec![1] })),
        "an accumulator"
    );
    assert_eq!(wrong(refused(|p| p.outputs[0].wire = 0)), "a weight vector");
    // A sum feeds nothing.
    let again = |p: &mut LayeredProgram| p.layers.push(Layer::Sum { cells: vec![4] });
    assert_eq!(wrong(refused(again)), "a sum over rows");
    assert_eq!(
        refused(|p| {
            p.outputs.remove(0);
        }),
        LayeredError::Unused { wire: 4 }
    );
    assert_eq!(
        refused(|p| p.tables.push(Table::not_negative(2))),
        LayeredError::SpareTable {
            table: 1,
            what: "named by no cell"
        }
    );
    assert_eq!(
        refused(|p| p.tables.push(Table::not_negative(1))),
        LayeredError::SpareTable {
            table: 1,
            what: "there twice"
        }
    );
}

#[test]
fn numbers() {
    // PRG-3, PRG-4, PRG-5.
    let place = || "layer 0, cell 0".to_owned();
    let terms = |e| matches!(e, LayeredError::Terms { wire: 0, .. });
    assert!(terms(refused(|p| linear(p).1.terms = vec![(0, 1), (0, 1)])));
    assert!(terms(refused(|p| linear(p).1.terms = vec![(0, 0)])));
    assert_eq!(
        refused(|p| linear(p).1.terms = vec![(0, -(1 << 24))]),
        LayeredError::Magnitude {
            place: place(),
            what: "weight",
            value: -(1 << 24),
            limit_log2: 24
        }
    );
    assert!(matches!(
        refused(|p| linear(p).1.constant = 1 << 40),
        LayeredError::Magnitude {
            what: "constant",
            ..
        }
    ));
    assert!(matches!(
        refused(|p| p.tables[0] = Table::not_negative(1 << 14)),
        LayeredError::Magnitude {
            what: "entry",
            limit_log2: 14,
            ..
        }
    ));
    // Below what a table reads, and finer than the dataset's k = 26.
    for found in [4, 39] {
        let e = refused(|p| *linear(p).0 = found);
        assert!(
            matches!(e, LayeredError::Modulus { found: f, .. } if f == found),
            "{e:?}"
        );
    }
    for found in [0, 6] {
        let e = refused(|p| {
            p.layers[1] = Layer::Requantise {
                digit_log2: found,
                cells: vec![1],
            }
        });
        assert!(
            matches!(e, LayeredError::Digit { found: f, .. } if f == found),
            "{e:?}"
        );
    }
    assert_eq!(
        refused(|p| p.tables[0].entries[3] = 2),
        LayeredError::Parity { table: 0, entry: 3 }
    );
}

#[test]
fn noise_and_room() {
    // PRG-8: the first digit's second reading sees the first one's output.
    let m = manifest();
    let with = |p: u32, digit_log2: u32, model: NoiseModel| {
        let mut program = decision(&m);
        *linear(&mut program).0 = p;
        program.layers[1] = Layer::Requantise {
            digit_log2,
            cells: vec![1],
        };
        // Each row's answer alone: sums have limits of their own.
        program.layers.truncate(3);
        program.outputs.remove(0);
        program.analyse(&m, &model)
    };
    let reading = |r| matches!(r, Err(LayeredError::Reading { digit_log2: 5, .. }));
    assert!(with(17, 5, NoiseModel::BASE11_L3).is_ok());
    assert!(reading(with(18, 5, NoiseModel::BASE11_L3)));
    assert!(with(18, 4, NoiseModel::BASE11_L3).is_ok());
    assert!(with(14, 5, NoiseModel::BASE15_L2).is_ok());
    assert!(reading(with(15, 5, NoiseModel::BASE15_L2)));
    // Without mean compensation no five bits can be read at all.
    assert!(reading(with(10, 5, NoiseModel::BASE11_L3.uncompensated())));
    // PRG-9: sums of 4096 rows; at p = 13 the count 4096 exceeds 2^11, at
    // p = 15 its noise exceeds 2^48.
    let opened = |p: u32, model: NoiseModel| {
        let mut program = decision(&m);
        program.layers[2] = Layer::Lut {
            modulus_log2: p,
            cells: vec![LutCell { input: 2, table: 0 }],
        };
        program.analyse(&m, &model)
    };
    assert!(opened(14, NoiseModel::BASE11_L3).is_ok());
    assert!(matches!(
        opened(13, NoiseModel::BASE11_L3),
        Err(LayeredError::OutputMessage {
            output: 0,
            bound: 4096,
            limit_log2: 11
        })
    ));
    assert!(matches!(
        opened(15, NoiseModel::BASE11_L3),
        Err(LayeredError::OutputNoise {
            output: 0,
            limit_log2: 48,
            ..
        })
    ));
    assert!(matches!(
        opened(14, NoiseModel::BASE15_L2),
        Err(LayeredError::OutputNoise { .. })
    ));
}

#[test]
fn one_encoding() {
    // PRG-1.
    let m = manifest();
    let p = decision(&m);
    let bytes = p.encode();
    assert_eq!(LayeredProgram::decode(&bytes), Ok(p.clone()));
    let json = serde_json::to_string(&p).unwrap();
    assert_eq!(serde_json::from_str::<LayeredProgram>(&json).unwrap(), p);
    let mut long = bytes.clone();
    long.push(0);
    assert!(matches!(
        LayeredProgram::decode(&long),
        Err(WireError::Trailing { extra: 1, .. })
    ));
    for end in 0..bytes.len() {
        assert!(LayeredProgram::decode(&bytes[..end]).is_err());
    }
    let mut other = bytes.clone();
    other[0] = 2;
    assert!(matches!(
        LayeredProgram::decode(&other),
        Err(WireError::Version { found: 2, .. })
    ));
    // Every change of a byte is refused or another program, never a panic.
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut b = bytes.clone();
            b[at] ^= flip;
            if let Ok(q) = LayeredProgram::decode(&b) {
                assert_ne!(q, p, "byte {at}");
                assert_eq!(q.encode(), b, "byte {at}");
                let _ = q.analyse(&m, &MODEL);
            }
        }
    }
    assert_eq!(p.shape(), p.clone().shape());
}
