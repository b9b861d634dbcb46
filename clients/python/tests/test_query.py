import json
from typing import Any

import pytest

import samples
from veilbourse import ArgumentError, Model, ModelRefused, Query

LINEAR = {"kind": "linear", "columns": ["age", "plan"], "weights": [0.25, 1.5], "intercept": 2.0}


def fit(query: Query) -> Any:
    return query.fit(samples.listed(), samples.schema())


def program(query: Query) -> Any:
    return json.loads(fit(query).program())


def test_the_schema_is_the_manifests() -> None:
    s = samples.schema(["sex=x"])
    assert [c.name for c in s.columns] == ["age", "visits", "sex=f", "visits^2"]
    age, sex = s.column("age"), s.column("sex=f")
    assert (age.minimum, age.maximum, age.resolution) == (0.0, 100.0, 0.125)
    assert (sex.kind, sex.sources, sex.category) == ("category", ("sex",), "f")
    assert s.public_columns[0].values == (0.0, 1.0)
    assert [(g.label, g.rows) for g in s.segments] == [("plan = 0", 600), ("plan = 1", 5_000)]
    assert s.rows == 5_600
    assert "age" in s
    for name, reason in [
        ("sex=x", "suppressed"),
        ("plan", "public segment key"),
        ("height", "not listed"),
    ]:
        with pytest.raises(ModelRefused, match=reason) as e:
            s.column(name)
        assert (e.value.code, e.value.field, e.value.value) == ("COLUMN_REFUSED", "columns", name)


def test_statistics_are_sums_with_public_unit_weights() -> None:
    made = program(Query.mean("age") + Query.variance("visits") + Query.sum("age"))
    labels = [v["label"] for v in made["vectors"]]
    assert labels == ["sum of age", "sum of visits", "sum of visits^2"]
    assert made["dataset"] == samples.listed().dataset
    first = made["vectors"][0]["weights"]
    assert first == {"visibility": "public", "values": ["1", "0", "0", "0", "0", "0"]}
    assert len(made["outputs"]) == 6
    assert made["outputs"][0] == {"over": {"matrix": "traced", "segment": 0}, "vector": 0}


def test_segments_are_chosen_by_label() -> None:
    made = program(Query.mean("age", segments=["plan = 1"]))
    assert [o["over"]["segment"] for o in made["outputs"]] == [1]
    scored = program(Query.linear(LINEAR, private=False, segments=["plan = 1"]))
    assert [o["over"]["segment"] for o in scored["outputs"]] == [1]
    with pytest.raises(ModelRefused) as e:
        fit(Query.mean("age", segments=["plan = 2"]))
    assert (e.value.code, e.value.value) == ("SEGMENT_REFUSED", "plan = 2")
    with pytest.raises(ArgumentError):
        fit(Query.mean("age", segments=[]))


def test_what_is_not_listed_is_refused_by_name() -> None:
    with pytest.raises(ModelRefused) as e:
        fit(Query.variance("age"))
    assert e.value.value == "age^2"
    with pytest.raises(ModelRefused) as e:
        fit(Query.count("visits"))
    assert e.value.value == "visits"
    assert fit(Query.count("sex=f")).labels == ["sum of sex=f"]
    with pytest.raises(ModelRefused, match="height") as e:
        fit(Query.linear({**LINEAR, "columns": ["height", "plan"]}))
    assert e.value.code == "MODEL_REFUSED"


def test_private_weights_are_committed_to() -> None:
    query = Query.linear(LINEAR)
    assert query.private
    made = program(query)
    weights = made["vectors"][0]["weights"]
    assert weights["visibility"] == "private"
    assert set(weights) == {"visibility", "commitment", "l1_bound", "l2_bound"}
    # A fresh blinder each time: the same model shows another commitment.
    assert weights["commitment"] != program(query)["vectors"][0]["weights"]["commitment"]
    assert fit(query).private
    assert not fit(Query.linear(LINEAR, private=False)).private
    assert "weights" not in json.dumps(query.note())


def test_each_row_is_over_chunks() -> None:
    made = program(Query.logistic({**LINEAR, "kind": "logistic"}, rows="each", private=False))
    over = [
        (o["over"]["matrix"], o["over"]["segment"], o["over"]["chunk"]) for o in made["outputs"]
    ]
    assert over == [("chunk", 0, 0), ("chunk", 1, 0), ("chunk", 1, 1)]


def test_rounding_is_bounded() -> None:
    made = fit(Query.mean("age", "sex=f") + Query.variance("visits"))
    assert made.weight_error == [0.0] * 4
    # Half a step; nothing of a category; of a square |x| and a quarter of steps of x.
    step = 2.0**-2
    square = (40 / step + 0.25) * step**2
    assert made.data_error == pytest.approx([0.5 / 8, 0.0, step / 2, square])
    scored = fit(Query.linear(LINEAR, private=False))
    assert 0 <= scored.weight_error[0] < 0.1
    # 0.25 a year, which is held in eighths; 1.5 of a key held in 1024ths.
    assert scored.data_error[0] == pytest.approx(0.25 / 16 + 1.5 / 2048, rel=0.02)


def test_kinds_and_rows_are_said() -> None:
    with pytest.raises(ModelRefused) as e:
        Query.logistic(LINEAR)
    assert (e.value.field, e.value.limit, e.value.value) == ("kind", "logistic", "linear")
    with pytest.raises(ArgumentError):
        Query.linear(LINEAR, rows="all")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError):
        Query.mean()


def test_only_statistics_over_the_same_segments_are_added() -> None:
    both = Query.mean("age") + Query.mean("age", "visits")
    assert str(both) == "mean of age, mean of visits"
    with pytest.raises(ArgumentError):
        Query.mean("age") + Query.linear(LINEAR)
    with pytest.raises(ArgumentError):
        Query.mean("age") + Query.mean("visits", segments=["plan = 0"])
    assert "private weights" in str(Query.linear(Model.from_dict(LINEAR)))


def test_a_manifest_is_held_to_its_rules() -> None:
    from veilbourse import Refused
    from veilbourse._core import Listed

    broken = samples.manifest()
    broken["segments"][1]["rows"] = "9000"
    with pytest.raises(Refused, match=r"segment\.rows") as e:
        Listed.from_manifest(samples.LISTING, "t", json.dumps(broken))
    assert e.value.code == "MANIFEST_REFUSED"
    with pytest.raises(ArgumentError) as a:
        Listed.from_manifest("no id", "t", json.dumps(samples.manifest()))
    assert a.value.field == "id"
