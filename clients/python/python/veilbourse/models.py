"""Linear and logistic models: from JSON, or from a fitted scikit-learn estimator.

score = intercept + sum of weight times column, in the table's real units. A
scaler before the estimator is folded into weights and intercept. scikit-learn is
not imported: estimators are known by name and by what fitting left in them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .errors import ModelRefused

__all__ = ["Model", "as_model"]

ModelKind = Literal["linear", "logistic"]

#: Estimators whose prediction is a linear score, by class name.
_LINEAR = frozenset(
    {
        "LinearRegression",
        "Ridge",
        "RidgeCV",
        "Lasso",
        "LassoCV",
        "ElasticNet",
        "ElasticNetCV",
        "BayesianRidge",
        "HuberRegressor",
        "SGDRegressor",
        "Lars",
        "LassoLars",
    }
)
#: Classifiers of two classes whose probability is the logistic function of a score.
_LOGISTIC = frozenset({"LogisticRegression", "LogisticRegressionCV"})


def _refused(message: str, **details: Any) -> ModelRefused:
    return ModelRefused("MODEL_REFUSED", f"model: {message}", {"what": "model", **details})


@dataclass(frozen=True)
class Model:
    """A linear score, and what it means."""

    kind: ModelKind
    columns: tuple[str, ...]
    weights: tuple[float, ...]
    intercept: float

    def __post_init__(self) -> None:
        if self.kind not in ("linear", "logistic"):
            raise _refused(
                f"kind {self.kind!r}, expected linear or logistic", field="kind", value=self.kind
            )
        if len(self.columns) != len(self.weights):
            raise _refused(
                f"{len(self.columns)} columns, {len(self.weights)} weights",
                field="weights",
                limit=len(self.columns),
                value=len(self.weights),
            )
        seen: set[str] = set()
        for name, weight in zip(self.columns, self.weights, strict=True):
            if name in seen:
                raise _refused(f"column {name!r} is there twice", field="columns", value=name)
            seen.add(name)
            if not math.isfinite(weight):
                raise _refused(f"the weight of {name!r} is {weight}", field="weights", value=name)
        if not math.isfinite(self.intercept):
            raise _refused(f"the intercept is {self.intercept}", field="intercept")

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Model:
        """From the same object as the command line's model file."""
        unknown = sorted(set(d) - {"kind", "columns", "weights", "intercept"})
        if unknown:
            raise _refused(f"unknown fields {', '.join(unknown)}", field=unknown[0])
        try:
            return cls(
                kind=d["kind"],
                columns=tuple(str(c) for c in d["columns"]),
                weights=tuple(float(w) for w in d["weights"]),
                intercept=float(d.get("intercept", 0.0)),
            )
        except KeyError as e:
            raise _refused(f"{e.args[0]} is missing", field=str(e.args[0])) from None
        except (TypeError, ValueError) as e:
            raise _refused(str(e)) from None

    @classmethod
    def from_json(cls, text: str | bytes) -> Model:
        """From JSON text."""
        try:
            read = json.loads(text)
        except ValueError as e:
            raise _refused(f"no JSON: {e}") from None
        if not isinstance(read, dict):
            raise _refused("expected an object")
        return cls.from_dict(read)

    @classmethod
    def from_sklearn(
        cls,
        estimator: Any,
        columns: Sequence[str] | None = None,
        rename: Mapping[str, str] | None = None,
    ) -> Model:
        """From a fitted estimator, or a pipeline of scalers that ends with one.

        ``columns`` names the features where the estimator was fitted on an array;
        ``rename`` maps its names to the listing's (``{"sex_f": "sex=f"}``).
        """
        scalers, last = _steps(estimator)
        name = type(last).__name__
        if name in _LINEAR:
            kind: ModelKind = "linear"
        elif name in _LOGISTIC:
            kind = "logistic"
            classes = len(getattr(last, "classes_", ()))
            if classes != 2:
                raise _refused(
                    f"{name} of {classes} classes; a score is of two",
                    field="classes",
                    limit=2,
                    value=classes,
                )
        else:
            known = ", ".join(sorted(_LINEAR | _LOGISTIC))
            raise _refused(f"{name} is no linear score; known: {known}", field="estimator")
        if not hasattr(last, "coef_"):
            raise _refused(f"{name} is not fitted", field="estimator")
        weights = _row(last.coef_, name)
        intercept = _scalar(getattr(last, "intercept_", 0.0), name)
        for scaler in reversed(scalers):
            weights, intercept = _folded(scaler, weights, intercept)
        names = _names(columns, [*scalers, last], len(weights))
        names = [(rename or {}).get(n, n) for n in names]
        return cls(kind, tuple(names), tuple(weights), intercept)

    def to_dict(self) -> dict[str, Any]:
        """As the command line's model file has it."""
        return {
            "kind": self.kind,
            "columns": list(self.columns),
            "weights": list(self.weights),
            "intercept": self.intercept,
        }

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def save(self, path: str | Path) -> None:
        """Writes the file that ``veilbourse buyer order --model`` takes."""
        Path(path).write_text(self.to_json() + "\n", encoding="utf-8")

    def score(self, row: Mapping[str, Any]) -> float:
        """The score of a row in the clear: to try a model on the twin."""
        terms = (
            w * float(row[c]) for c, w in zip(self.columns, self.weights, strict=True) if w != 0.0
        )
        return self.intercept + math.fsum(terms)

    def mean_score(self, rows: Iterable[Mapping[str, Any]]) -> float:
        """The mean score of rows in the clear."""
        scores = [self.score(r) for r in rows]
        if not scores:
            raise _refused("no rows", field="rows")
        return math.fsum(scores) / len(scores)


def as_model(model: Any, columns: Sequence[str] | None = None) -> Model:
    """A model from whatever describes one: a Model, a dict, JSON text, the path of a
    JSON file, or a fitted scikit-learn estimator."""
    if isinstance(model, Model):
        return model
    if isinstance(model, Mapping):
        return Model.from_dict(model)
    if isinstance(model, bytes):
        return Model.from_json(model)
    if isinstance(model, Path):
        return Model.from_json(model.read_bytes())
    if isinstance(model, str):
        if model.lstrip().startswith("{"):
            return Model.from_json(model)
        return Model.from_json(Path(model).read_bytes())
    return Model.from_sklearn(model, columns)


def _steps(estimator: Any) -> tuple[list[Any], Any]:
    """Scalers, and the estimator at the end."""
    if not hasattr(estimator, "steps"):
        return [], estimator
    found: list[Any] = []
    for name, step in estimator.steps:
        if step is None or step == "passthrough":
            continue
        if hasattr(step, "steps"):
            scalers, last = _steps(step)
            found += [*scalers, last]
        else:
            found.append(step)
        if found and not _is_scaler(found[-1]) and name != estimator.steps[-1][0]:
            raise _refused(
                f"step {name!r} ({type(step).__name__}) cannot be folded into weights",
                field="steps",
                value=name,
            )
    if not found:
        raise _refused("an empty pipeline", field="steps")
    return found[:-1], found[-1]


def _is_scaler(step: Any) -> bool:
    return type(step).__name__ in ("StandardScaler", "MinMaxScaler", "MaxAbsScaler")


def _list(values: Any) -> list[float]:
    if hasattr(values, "toarray"):  # A sparse vector.
        values = values.toarray()
    if hasattr(values, "ravel"):
        values = values.ravel()
    return [float(v) for v in values]


def _row(coef: Any, name: str) -> list[float]:
    shape = getattr(coef, "shape", (len(coef),))
    if len(shape) == 2 and shape[0] != 1:
        raise _refused(
            f"{name} of {shape[0]} targets; a model has one",
            field="coef_",
            limit=1,
            value=int(shape[0]),
        )
    return _list(coef)


def _scalar(intercept: Any, name: str) -> float:
    values = _list(intercept) if hasattr(intercept, "__len__") else None
    if values is None:
        return float(intercept)
    if len(values) != 1:
        raise _refused(f"{name} has {len(values)} intercepts", field="intercept_", limit=1)
    return values[0]


def _folded(scaler: Any, weights: list[float], intercept: float) -> tuple[list[float], float]:
    """Weights and intercept on what goes into the scaler."""
    kind, n = type(scaler).__name__, len(weights)
    if kind == "StandardScaler":
        # x' = (x - mean) / scale; the mean is there even where it is not taken off.
        scale = _fitted(scaler, "scale_", n, 1.0)
        mean = _fitted(scaler, "mean_", n, 0.0) if scaler.with_mean else [0.0] * n
        shift = [-m / s for m, s in zip(mean, scale, strict=True)]
        factor = [1.0 / s for s in scale]
    elif kind == "MinMaxScaler":
        if getattr(scaler, "clip", False):
            raise _refused("MinMaxScaler(clip=True) is not linear", field="steps", value=kind)
        # x' = x * scale + min
        factor, shift = _fitted(scaler, "scale_", n, None), _fitted(scaler, "min_", n, None)
    else:
        if getattr(scaler, "clip", False):
            raise _refused("MaxAbsScaler(clip=True) is not linear", field="steps", value=kind)
        factor, shift = [1.0 / s for s in _fitted(scaler, "scale_", n, None)], [0.0] * n
    moved = math.fsum(w * s for w, s in zip(weights, shift, strict=True))
    return [w * f for w, f in zip(weights, factor, strict=True)], intercept + moved


def _fitted(scaler: Any, attribute: str, n: int, absent: float | None) -> list[float]:
    kind = type(scaler).__name__
    if not hasattr(scaler, attribute):
        raise _refused(f"{kind} is not fitted", field="steps", value=kind)
    found = getattr(scaler, attribute)
    if found is None and absent is not None:  # with_mean=False, with_std=False
        return [absent] * n
    values = _list(found)
    if len(values) != n:
        raise _refused(
            f"{kind} has {len(values)} features, the estimator {n}",
            field="steps",
            limit=n,
            value=len(values),
        )
    return values


def _names(columns: Sequence[str] | None, steps: list[Any], n: int) -> list[str]:
    if columns is None:
        found = next((s.feature_names_in_ for s in steps if hasattr(s, "feature_names_in_")), None)
        if found is None:
            raise _refused(
                "fitted on an array: give columns=[...], the listing's names in its order",
                field="columns",
            )
        columns = [str(c) for c in found]
    if len(columns) != n:
        raise _refused(
            f"{len(columns)} columns named, the estimator has {n}",
            field="columns",
            limit=n,
            value=len(columns),
        )
    return list(columns)
