"""Queries: what a buyer asks of a listing, before it is fitted to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from . import _core
from .errors import ArgumentError, ModelRefused
from .models import Model, as_model

if TYPE_CHECKING:
    from .schema import Schema

__all__ = ["Query", "Statistic"]

StatisticName = Literal["mean", "sum", "count", "variance"]
Rows = Literal["mean", "each"]


@dataclass(frozen=True)
class Statistic:
    """One number of each segment."""

    name: StatisticName
    column: str

    def columns(self, schema: Schema) -> list[str]:
        """The encrypted columns whose sums it needs."""
        column = schema.column(self.column)
        if self.name == "count" and column.kind != "category":
            raise ModelRefused(
                "COLUMN_REFUSED",
                f"count of {self.column!r}: only categories (column=value) are counted; the rows "
                "of each segment are public, in listing.schema.segments",
                {"field": "columns", "value": self.column},
            )
        if self.name != "variance":
            return [self.column]
        square = f"{self.column}^2"
        if square not in schema:
            raise ModelRefused(
                "COLUMN_REFUSED",
                f"variance of {self.column!r}: the custodian has not listed {square!r}",
                {"field": "columns", "value": square},
            )
        return [self.column, square]

    def __str__(self) -> str:
        return f"{self.name} of {self.column}"


@dataclass(frozen=True)
class Query:
    """A question: statistics of columns, or a linear or logistic model.

    Statistics can be added: ``Query.mean("age") + Query.variance("income")`` is one
    order. ``segments`` limits it to some groups, by label; each is paid for.
    """

    statistics: tuple[Statistic, ...] = ()
    scored: Model | None = None
    rows: Rows = "mean"
    private: bool = False
    segments: tuple[str, ...] | None = None

    @classmethod
    def _of(
        cls, name: StatisticName, columns: tuple[str, ...], segments: Sequence[str] | None
    ) -> Query:
        if not columns:
            raise ArgumentError(
                "ARGUMENT", f"{name}: name one column at least", {"field": "columns"}
            )
        return cls(tuple(Statistic(name, c) for c in columns), segments=_labels(segments))

    @classmethod
    def mean(cls, *columns: str, segments: Sequence[str] | None = None) -> Query:
        """The mean of each column in each segment."""
        return cls._of("mean", columns, segments)

    @classmethod
    def sum(cls, *columns: str, segments: Sequence[str] | None = None) -> Query:
        """The sum of each column in each segment."""
        return cls._of("sum", columns, segments)

    @classmethod
    def count(cls, *columns: str, segments: Sequence[str] | None = None) -> Query:
        """How many rows of each segment have a category (``"column=value"``)."""
        return cls._of("count", columns, segments)

    @classmethod
    def variance(cls, *columns: str, segments: Sequence[str] | None = None) -> Query:
        """The variance of each column in each segment, divided by the number of rows;
        the mean comes with it. Needs the listed column ``column^2``."""
        return cls._of("variance", columns, segments)

    @classmethod
    def linear(
        cls,
        model: Any,
        rows: Rows = "mean",
        private: bool = True,
        *,
        columns: Sequence[str] | None = None,
        segments: Sequence[str] | None = None,
    ) -> Query:
        """The prediction of a linear model: its mean in each segment, or of each row
        where the policy allows it. ``model`` is a :class:`Model`, a dict, JSON, a
        path, or a fitted scikit-learn estimator (``columns`` names its features)."""
        return cls._model("linear", model, rows, private, columns, segments)

    @classmethod
    def logistic(
        cls,
        model: Any,
        rows: Rows = "mean",
        private: bool = True,
        *,
        columns: Sequence[str] | None = None,
        segments: Sequence[str] | None = None,
    ) -> Query:
        """The same of a logistic model. Results are scores: the mean score of a segment
        is not its mean probability; of each row, ``Result.probabilities`` applies the
        logistic function here."""
        return cls._model("logistic", model, rows, private, columns, segments)

    @classmethod
    def _model(
        cls,
        kind: Literal["linear", "logistic"],
        model: Any,
        rows: Rows,
        private: bool,
        columns: Sequence[str] | None,
        segments: Sequence[str] | None,
    ) -> Query:
        if rows not in ("mean", "each"):
            raise ArgumentError(
                "ARGUMENT", f"rows={rows!r}: expected 'mean' or 'each'", {"field": "rows"}
            )
        found = as_model(model, columns)
        if found.kind != kind:
            raise ModelRefused(
                "MODEL_REFUSED",
                f"model: is {found.kind}, asked for was Query.{kind}",
                {"field": "kind", "limit": kind, "value": found.kind},
            )
        return cls(scored=found, rows=rows, private=private, segments=_labels(segments))

    def __add__(self, other: Query) -> Query:
        if self.scored is not None or other.scored is not None:
            raise ArgumentError(
                "ARGUMENT", "a model is an order of its own: only statistics can be added"
            )
        if self.segments != other.segments:
            raise ArgumentError("ARGUMENT", "queries over other segments are orders of their own")
        more = tuple(s for s in other.statistics if s not in self.statistics)
        return replace(self, statistics=self.statistics + more)

    @property
    def kind(self) -> str:
        """``statistics``, ``linear`` or ``logistic``."""
        return "statistics" if self.scored is None else self.scored.kind

    def fit(self, listed: _core.Listed, schema: Schema) -> _core.Query:
        """The program for a listing, with integer weights that fit its budget."""
        segments = None if self.segments is None else list(self.segments)
        if self.scored is not None:
            return _core.Query.model(
                listed, self.scored.to_json(), self.rows == "each", self.private, segments
            )
        columns: dict[str, None] = {}
        for statistic in self.statistics:
            columns.update(dict.fromkeys(statistic.columns(schema)))
        return _core.Query.sums(listed, list(columns), segments)

    def note(self) -> dict[str, Any]:
        """What is kept beside an order: no weights."""
        return {
            "kind": self.kind,
            "statistics": [[s.name, s.column] for s in self.statistics],
            "rows": self.rows,
            "private": self.private,
        }

    def __str__(self) -> str:
        over = "" if self.segments is None else f" in {', '.join(self.segments)}"
        if self.scored is None:
            return ", ".join(str(s) for s in self.statistics) + over
        weights = "private" if self.private else "public"
        rows = "each row" if self.rows == "each" else "the mean of each segment"
        return f"{self.scored.kind} model ({weights} weights), {rows}{over}"


def _labels(segments: Sequence[str] | None) -> tuple[str, ...] | None:
    if segments is None:
        return None
    if isinstance(segments, str):
        return (segments,)
    return tuple(segments)
