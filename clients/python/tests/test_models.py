import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, PolynomialFeatures, StandardScaler

from veilbourse import Model, ModelRefused
from veilbourse.models import as_model

GOOD = {"kind": "linear", "columns": ["age"], "weights": [0.5], "intercept": 1.0}


def table(rows: int = 200) -> tuple[pd.DataFrame, Any]:
    draw = np.random.default_rng(3)
    x = pd.DataFrame(
        {
            "age": draw.uniform(18, 80, rows),
            "income": draw.uniform(0, 900, rows),
            "plan": draw.integers(0, 2, rows).astype(float),
        }
    )
    y = 2 + x["age"] / 8 - x["income"] / 250 + x["plan"] + draw.normal(0, 1, rows)
    return x, y


def records(x: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in x.to_dict("records")]


def scores(model: Model, x: pd.DataFrame) -> Any:
    return np.array([model.score(row) for row in records(x)])


@pytest.mark.parametrize("estimator", [LinearRegression(), Ridge(0.3), Lasso(0.1)])
@pytest.mark.parametrize(
    "scalers",
    [
        [],
        [StandardScaler()],
        [StandardScaler(with_mean=False)],
        [StandardScaler(with_std=False)],
        [MinMaxScaler((-1, 2))],
        [MaxAbsScaler()],
        [MinMaxScaler(), StandardScaler()],
        ["passthrough", StandardScaler()],
    ],
)
def test_scalers_are_folded_in(estimator: Any, scalers: list[Any]) -> None:
    x, y = table()
    fitted = make_pipeline(*scalers, estimator).fit(x, y)
    model = Model.from_sklearn(fitted)
    assert model.kind == "linear"
    assert model.columns == ("age", "income", "plan")
    np.testing.assert_allclose(scores(model, x), fitted.predict(x), rtol=1e-9, atol=1e-9)
    mean = model.mean_score(records(x))
    assert mean == pytest.approx(float(fitted.predict(x).mean()))


def test_a_pipeline_in_a_pipeline() -> None:
    x, y = table()
    fitted = make_pipeline(make_pipeline(StandardScaler(), MinMaxScaler()), Ridge()).fit(x, y)
    np.testing.assert_allclose(scores(Model.from_sklearn(fitted), x), fitted.predict(x), rtol=1e-9)


def test_a_classifier_gives_its_log_odds() -> None:
    x, y = table()
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y > y.mean())
    model = Model.from_sklearn(fitted)
    assert model.kind == "logistic"
    np.testing.assert_allclose(scores(model, x), fitted.decision_function(x), rtol=1e-9, atol=1e-9)


def test_an_array_needs_names() -> None:
    x, y = table()
    fitted = LinearRegression().fit(x.to_numpy(), y)
    with pytest.raises(ModelRefused) as e:
        Model.from_sklearn(fitted)
    assert e.value.field == "columns"
    named = Model.from_sklearn(fitted, columns=["age", "income", "plan"])
    np.testing.assert_allclose(scores(named, x), fitted.predict(x.to_numpy()))
    with pytest.raises(ModelRefused) as e:
        Model.from_sklearn(fitted, columns=["age"])
    assert (e.value.limit, e.value.value) == (3, 1)
    renamed = Model.from_sklearn(fitted, ["age", "income", "plan_1"], {"plan_1": "plan=1"})
    assert renamed.columns[2] == "plan=1"


def refused(estimator: Any) -> ModelRefused:
    with pytest.raises(ModelRefused) as e:
        Model.from_sklearn(estimator)
    assert e.value.code == "MODEL_REFUSED"
    return e.value


def test_what_is_no_score_is_refused() -> None:
    x, y = table()
    x = (x - x.mean()) / x.std()
    three = np.digitize(y, [3, 6])
    assert refused(RandomForestRegressor(2).fit(x, y)).field == "estimator"
    assert refused(LinearRegression()).field == "estimator"
    assert refused(LogisticRegression().fit(x, three)).limit == 2
    assert refused(LinearRegression().fit(x, np.stack([y, y], axis=1))).field == "coef_"
    bent = make_pipeline(PolynomialFeatures(2), LinearRegression()).fit(x, y)
    assert refused(bent).value == "polynomialfeatures"
    assert refused(make_pipeline(StandardScaler(), PCA(2), Ridge()).fit(x, y)).value == "pca"
    clipped = make_pipeline(MinMaxScaler(clip=True), Ridge()).fit(x, y)
    assert refused(clipped).value == "MinMaxScaler"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "tree"}, "kind"),
        ({"weights": [0.5, 1.0]}, "weights"),
        ({"weights": [float("nan")]}, "weights"),
        ({"columns": ["age", "age"], "weights": [1, 2]}, "columns"),
        ({"intercept": float("inf")}, "intercept"),
        ({"bias": 1}, "bias"),
    ],
)
def test_a_broken_file_names_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ModelRefused) as e:
        Model.from_dict({**GOOD, **change})
    assert e.value.field == field


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "linear", "columns": 3}'])
def test_what_is_no_model_is_refused(text: str) -> None:
    with pytest.raises(ModelRefused):
        Model.from_json(text)


def test_a_model_is_whatever_describes_one(tmp_path: Path) -> None:
    model = Model.from_dict(GOOD)
    path = tmp_path / "model.json"
    model.save(path)
    for same in (model, GOOD, json.dumps(GOOD), json.dumps(GOOD).encode(), path, str(path)):
        assert as_model(same) == model
    assert model.score({"age": 4}) == 3.0
    with pytest.raises(ModelRefused):
        model.mean_score([])
