//! Models as JSON: what is refused, by variant, and what weights become.

use std::io::Cursor;
use veilbourse_tabular::{Coverage, LinearModel, SchemaConfig, TabularError as E, build};

#[test]
fn models_are_refused_by_name_and_mapped_by_scale() {
    let mut config = SchemaConfig::new("t");
    config.suppression.k_min = 0;
    config.suppression.max_share_percent = 100;
    let b = build(Cursor::new("a,b,c\n1,2,x\n3,5,y\n"), &config).expect("builds");
    let parse = |s: &str| LinearModel::from_json(s.as_bytes());
    let model = |columns: &str, weights: &str| {
        parse(&format!(
            "{{\"kind\": \"linear\", \"columns\": {columns}, \"weights\": {weights}, \"intercept\": 0.5}}"
        ))
    };
    assert!(matches!(parse("{"), Err(E::ModelSyntax(_))));
    assert!(matches!(
        parse("{\"kind\":\"linear\",\"columns\":[],\"weights\":[],\"intercept\":0,\"x\":1}"),
        Err(E::ModelSyntax(_))
    ));
    assert!(matches!(
        parse(&" ".repeat((1 << 20) + 1)),
        Err(E::ModelTooLarge { .. })
    ));
    assert!(matches!(
        model("[\"a\"]", "[1, 2]"),
        Err(E::ModelShape {
            columns: 1,
            weights: 2
        })
    ));
    assert!(matches!(
        model("[\"a\", \"b\"]", "[1]"),
        Err(E::ModelShape {
            columns: 2,
            weights: 1
        })
    ));
    assert!(
        matches!(model("[\"a\", \"a\"]", "[1, 2]"), Err(E::ModelDuplicate { name }) if name == "a")
    );
    let bind = |m: &LinearModel, coverage| m.bind(&b.columns, &b.public_columns, &[], coverage);
    let mut m = model("[\"a\", \"c=x\"]", "[2, 3]").expect("model");
    // a: 0..4 at 10 bits, scale 2^8; c=x: scale 2^10; intercept on the constant.
    let w = bind(&m, Coverage::Any).expect("binds").weights;
    assert_eq!(w, [2.0 / 256.0, 0.0, 3.0 / 1024.0, 0.0, 0.5]);
    assert!(
        matches!(bind(&m, Coverage::AllBut("a")), Err(E::ModelMissing { names }) if names == ["b"])
    );
    assert!(bind(&m, Coverage::AllBut("b")).is_ok());
    assert!(matches!(
        bind(&m, Coverage::AllBut("z")),
        Err(E::UnknownColumn {
            field: "target",
            ..
        })
    ));
    m.weights = vec![0.0, 0.0];
    assert!(matches!(bind(&m, Coverage::Any), Err(E::ModelEmpty)));
    m.weights = vec![0.0, f64::NAN];
    assert!(matches!(bind(&m, Coverage::Any), Err(E::ModelNonFinite { name }) if name == "c=x"));
    m.weights = vec![1.0, 1.0];
    m.intercept = f64::INFINITY;
    assert!(
        matches!(bind(&m, Coverage::Any), Err(E::ModelNonFinite { name }) if name == "intercept")
    );
    let m = model("[\"a\", \"z\", \"1\"]", "[1, 1, 1]").expect("model");
    assert!(matches!(bind(&m, Coverage::Any), Err(E::ModelExtra { names }) if names == ["z", "1"]));
}
