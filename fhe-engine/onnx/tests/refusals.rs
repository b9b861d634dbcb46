//! PRG-13: hostile and unsupported files, each refusal by variant and place.

use prost::Message;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use veilbourse_onnx::{Graph, OnnxError, gate, proto::*};

fn input(name: &str, width: i64) -> ValueInfoProto {
    let dim = [0, width]
        .map(|dim_value| DimensionProto { dim_value })
        .to_vec();
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: 1,
                shape: Some(TensorShapeProto { dim }),
            }),
        }),
    }
}

fn tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: format!("the {op}"),
        op_type: op.into(),
        input: inputs.iter().map(|s| s.to_string()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

/// x W + b, then a sigmoid.
fn small() -> GraphProto {
    GraphProto {
        node: vec![
            node("MatMul", &["x", "w"], "h"),
            node("Add", &["h", "b"], "s"),
            node("Sigmoid", &["s"], "y"),
        ],
        initializer: vec![
            tensor("w", &[2, 1], &[1.0, -2.0]),
            tensor("b", &[1], &[0.5]),
        ],
        input: vec![input("x", 2)],
        output: vec![input("y", 1)],
    }
}

fn encode(graph: GraphProto) -> Vec<u8> {
    ModelProto {
        ir_version: 8,
        producer_name: "test".into(),
        graph: Some(graph),
        opset_import: vec![],
    }
    .encode_to_vec()
}

fn refused(change: impl FnOnce(&mut GraphProto)) -> OnnxError {
    let mut g = small();
    change(&mut g);
    match Graph::read(&encode(g)).and_then(|g| {
        g.evaluate(&vec![1.0; g.features()])?;
        g.model()
    }) {
        Ok(m) => panic!("accepted: {m:?}"),
        Err(e) => e,
    }
}

fn attribute(name: &str, r#type: i32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type,
        ..AttributeProto::default()
    }
}

#[test]
fn the_small_graph_is_read() {
    let g = Graph::read(&encode(small())).unwrap();
    assert_eq!((g.features(), g.producer.as_str()), (2, "test"));
    assert!(g.model().unwrap().decide(&[1.0, 0.5]));
    assert!(matches!(
        g.evaluate(&[1.0]),
        Err(OnnxError::Count {
            expected: 2,
            found: 1,
            ..
        })
    ));
}

#[test]
fn sizes_and_parts() {
    let big = vec![0; gate::MAX_MODEL_BYTES + 1];
    assert!(matches!(
        Graph::read(&big),
        Err(OnnxError::TooLarge { field: "model", .. })
    ));
    assert!(matches!(
        Graph::read(b"\x3a\xff"),
        Err(OnnxError::Protobuf(_))
    ));
    assert!(matches!(
        Graph::read(b"not a model at all"),
        Err(OnnxError::Protobuf(_))
    ));
    assert!(matches!(Graph::read(b""), Err(OnnxError::Missing("graph"))));
    assert_eq!(refused(|g| g.input.clear()), OnnxError::Missing("input"));
    assert_eq!(refused(|g| g.output.clear()), OnnxError::Missing("output"));
    assert!(matches!(
        refused(|g| g.input[0].r#type = None),
        OnnxError::Missing(_)
    ));
    assert!(matches!(
        refused(|g| g.input = vec![input("x", 1_025)]),
        OnnxError::TooLarge {
            field: "features",
            limit: 1024,
            value: 1025
        }
    ));
    assert!(matches!(
        refused(|g| g.node = vec![node("Relu", &["x"], "y"); 4_097]),
        OnnxError::TooLarge {
            field: "nodes",
            limit: 4096,
            ..
        }
    ));
    assert!(matches!(
        refused(|g| g.node[0].attribute = vec![attribute("a", 2); 65]),
        OnnxError::TooLarge {
            field: "attributes of a node",
            ..
        }
    ));
    assert!(matches!(
        refused(|g| g.initializer = vec![tensor("w", &[1], &[1.0]); 4_097]),
        OnnxError::TooLarge {
            field: "constants",
            ..
        }
    ));
    // A tensor that doubles at each of twenty nodes.
    let doubling = |g: &mut GraphProto| {
        g.node = (0..20)
            .map(|i| {
                let from = if i == 0 {
                    "x".to_owned()
                } else {
                    format!("t{i}")
                };
                let mut n = node("Concat", &[&from, &from], &format!("t{}", i + 1));
                n.attribute = vec![AttributeProto {
                    i: 1,
                    ..attribute("axis", 2)
                }];
                n
            })
            .collect();
        g.output = vec![input("t20", 1)];
    };
    assert!(matches!(
        refused(doubling),
        OnnxError::TooLarge {
            field: "width of a tensor",
            limit: 4096,
            ..
        }
    ));
}

#[test]
fn operators_and_attributes_by_place() {
    let operator = |e| match e {
        OnnxError::Operator { place, .. } => (place.node, place.operator),
        e => panic!("{e}"),
    };
    let named = |n: &str, o: &str| (n.to_owned(), o.to_owned());
    assert_eq!(
        operator(refused(|g| g.node[2] = node("Loop", &["s"], "y"))),
        named("the Loop", "Loop")
    );
    let other = |g: &mut GraphProto| {
        g.node[1].domain = "com.example".into();
        g.node[1].name.clear();
    };
    assert_eq!(operator(refused(other)), named("#1", "com.example.Add"));
    let attributes = |e| match e {
        OnnxError::Attribute {
            place, attribute, ..
        } => (place.operator, attribute),
        e => panic!("{e}"),
    };
    let unknown = |g: &mut GraphProto| g.node[2].attribute = vec![attribute("alpha", 1)];
    assert_eq!(attributes(refused(unknown)), named("Sigmoid", "alpha"));
    let twice = |g: &mut GraphProto| {
        g.node[2] = node("Softmax", &["s"], "y");
        g.node[2].attribute = vec![attribute("axis", 2); 2];
    };
    assert_eq!(attributes(refused(twice)), named("Softmax", "axis"));
    let axis = |g: &mut GraphProto| {
        g.node[2] = node("Softmax", &["s"], "y");
        g.node[2].attribute = vec![attribute("axis", 2)];
    };
    assert_eq!(attributes(refused(axis)), named("Softmax", "axis"));
    let wrong_type = |g: &mut GraphProto| {
        g.node[2] = node("Softmax", &["s"], "y");
        g.node[2].attribute = vec![attribute("axis", 1)];
    };
    assert_eq!(attributes(refused(wrong_type)), named("Softmax", "axis"));
    let transposed = |g: &mut GraphProto| {
        g.node[0] = node("Gemm", &["x", "w"], "h");
        g.node[0].attribute = vec![AttributeProto {
            i: 1,
            ..attribute("transA", 2)
        }];
    };
    assert_eq!(attributes(refused(transposed)), named("Gemm", "transA"));
    let infinite = |g: &mut GraphProto| {
        g.node[0] = node("Gemm", &["x", "w"], "h");
        g.node[0].attribute = vec![AttributeProto {
            f: f32::NAN,
            ..attribute("alpha", 1)
        }];
    };
    assert!(matches!(refused(infinite), OnnxError::NotFinite { .. }));
}

#[test]
fn constants_and_shapes() {
    let constant = |e| match e {
        OnnxError::Constant { name, .. } => name,
        e => panic!("{e}"),
    };
    assert_eq!(
        constant(refused(|g| g.initializer[0].data_location = 1)),
        "w"
    );
    assert_eq!(constant(refused(|g| g.initializer[0].data_type = 10)), "w");
    assert_eq!(
        constant(refused(|g| g.initializer[0].dims = vec![3, 1])),
        "w"
    );
    assert_eq!(
        constant(refused(|g| g.initializer[0].dims = vec![-2, 1])),
        "w"
    );
    assert_eq!(
        constant(refused(|g| g.initializer[0].dims = vec![1 << 40, 1 << 40])),
        "w"
    );
    assert!(matches!(
        refused(|g| g.initializer[1].float_data = vec![f32::INFINITY]),
        OnnxError::NotFinite { .. }
    ));
    assert!(matches!(
        refused(|g| g.node[1].input[1] = "gone".into()),
        OnnxError::NoTensor { tensor, .. } if tensor == "gone"
    ));
    assert!(matches!(
        refused(|g| g.node.reverse()),
        OnnxError::NoTensor { .. }
    ));
    for change in [
        |g: &mut GraphProto| g.initializer[0] = tensor("w", &[3, 1], &[1.0; 3]),
        |g: &mut GraphProto| g.initializer[0] = tensor("w", &[2], &[1.0; 2]),
        |g: &mut GraphProto| g.initializer[1] = tensor("b", &[2, 2], &[1.0; 4]),
        |g: &mut GraphProto| g.node[0].input.truncate(1),
    ] {
        assert!(matches!(refused(change), OnnxError::Shape { .. }));
    }
    assert!(matches!(
        refused(|g| g.output = vec![input("nothing", 1)]),
        OnnxError::NoScore { output, .. } if output == "nothing"
    ));
    assert!(matches!(
        refused(|g| g.node[2] = node("Tanh", &["s"], "y")),
        OnnxError::NoScore { .. }
    ));
}

/// Attributes of one tree of one comparison.
fn tree() -> GraphProto {
    let ints = |name: &str, v: &[i64]| AttributeProto {
        ints: v.to_vec(),
        ..attribute(name, 7)
    };
    let floats = |name: &str, v: &[f32]| AttributeProto {
        floats: v.to_vec(),
        ..attribute(name, 6)
    };
    let modes = ["BRANCH_LEQ", "LEAF", "LEAF"].map(|s| s.as_bytes().to_vec());
    let mut n = node("TreeEnsembleRegressor", &["x"], "y");
    n.domain = "ai.onnx.ml".into();
    n.attribute = vec![
        ints("nodes_treeids", &[0, 0, 0]),
        ints("nodes_nodeids", &[0, 1, 2]),
        ints("nodes_featureids", &[1, 0, 0]),
        floats("nodes_values", &[0.5, 0.0, 0.0]),
        ints("nodes_truenodeids", &[1, 0, 0]),
        ints("nodes_falsenodeids", &[2, 0, 0]),
        AttributeProto {
            strings: modes.to_vec(),
            ..attribute("nodes_modes", 8)
        },
        ints("target_treeids", &[0, 0]),
        ints("target_nodeids", &[1, 2]),
        ints("target_ids", &[0, 0]),
        floats("target_weights", &[1.0, 2.0]),
    ];
    GraphProto {
        node: vec![n],
        initializer: vec![],
        input: vec![input("x", 2)],
        output: vec![input("y", 1)],
    }
}

#[test]
fn trees_that_are_none() {
    let g = Graph::read(&encode(tree())).unwrap();
    assert_eq!(g.model().unwrap().score(&[9.0, 0.5]), 1.0);
    let refused = |change: fn(&mut Vec<AttributeProto>)| {
        let mut g = tree();
        change(&mut g.node[0].attribute);
        match Graph::read(&encode(g)).and_then(|g| g.evaluate(&[0.0, 0.0])) {
            Err(OnnxError::Attribute { attribute, .. }) => attribute,
            other => panic!("{other:?}"),
        }
    };
    // A circle, a missing child, a node twice, counts that differ.
    assert_eq!(refused(|a| a[4].ints[0] = 0), "nodes_truenodeids");
    assert_eq!(refused(|a| a[5].ints[0] = 1), "nodes_truenodeids");
    assert_eq!(refused(|a| a[5].ints[0] = 7), "nodes_truenodeids");
    assert_eq!(refused(|a| a[1].ints[2] = 1), "nodes_nodeids");
    assert_eq!(refused(|a| a[3].floats.truncate(2)), "nodes_nodeids");
    assert_eq!(refused(|a| a[2].ints[0] = -1), "nodes_featureids");
    assert_eq!(refused(|a| a[2].ints[0] = 5000), "nodes_featureids");
    assert_eq!(
        refused(|a| a[6].strings[0] = b"BRANCH_EQ".to_vec()),
        "nodes_modes"
    );
    assert_eq!(refused(|a| a[9].ints[0] = 1), "target_ids");
    assert_eq!(refused(|a| a[10].floats.truncate(1)), "target_weights");
    let aggregate = |a: &mut Vec<AttributeProto>| {
        a.push(AttributeProto {
            s: b"MAX".to_vec(),
            ..attribute("aggregate_function", 3)
        });
    };
    assert_eq!(refused(aggregate), "aggregate_function");
    assert_eq!(
        refused(|a| a.push(attribute("base_values_as_tensor", 4))),
        "base_values_as_tensor"
    );
    // A feature that a row does not have.
    let mut g = tree();
    g.node[0].attribute[2].ints[0] = 2;
    let g = Graph::read(&encode(g)).unwrap();
    assert!(matches!(
        g.evaluate(&[0.0, 0.0]),
        Err(OnnxError::Shape { .. })
    ));
    assert!(matches!(g.model(), Err(OnnxError::Shape { .. })));
    // A chain deeper than 64.
    let mut g = tree();
    let a = &mut g.node[0].attribute;
    let n = 200i64;
    for i in [0, 2, 4, 5] {
        a[i].ints = vec![0; n as usize];
    }
    a[1].ints = (0..n).collect();
    a[3].floats = vec![0.0; n as usize];
    a[6].strings = (0..n)
        .map(|i| {
            if i % 2 == 0 && i + 2 < n {
                b"BRANCH_LEQ".to_vec()
            } else {
                b"LEAF".to_vec()
            }
        })
        .collect();
    a[4].ints = (0..n).map(|i| i + 1).collect();
    a[5].ints = (0..n).map(|i| i + 2).collect();
    assert!(matches!(
        Graph::read(&encode(g)),
        Err(OnnxError::TooLarge {
            field: "depth of a tree",
            ..
        })
    ));
}

#[test]
fn mutated_files_never_panic() {
    let mut rng = ChaCha20Rng::seed_from_u64(13);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let mut files = 0;
    let (mut read, mut refused) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "onnx") {
            continue;
        }
        files += 1;
        let bytes = std::fs::read(path).unwrap();
        for _ in 0..300 {
            let mut b = bytes.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..b.len());
                match rng.random_range(0..3) {
                    0 => b[at] = rng.random(),
                    1 => b.truncate(at),
                    _ => b.insert(at, rng.random()),
                }
                if b.is_empty() {
                    b.push(0);
                }
            }
            match Graph::read(&b) {
                Ok(g) => {
                    read += 1;
                    let _ = g.evaluate(&vec![1.0; g.features()]);
                    if let Ok(m) = g.model() {
                        m.score(&vec![1.0; m.features]);
                    }
                }
                Err(e) => {
                    refused += 1;
                    assert!(!e.to_string().is_empty());
                }
            }
        }
    }
    assert!(
        files > 20 && read > 100 && refused > 100,
        "{files} {read} {refused}"
    );
}
