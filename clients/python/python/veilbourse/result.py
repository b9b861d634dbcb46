"""Opened values, in real units, with their error bars."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import ArgumentError, ResultRefused

if TYPE_CHECKING:
    import pandas

__all__ = ["Result", "Value"]

#: The upper 97.5 % point of the normal law.
NORMAL_97_5 = 1.959963985
#: Rows of a chunk: a score's place among its segment's rows.
CHUNK_ROWS = 4096


@dataclass(frozen=True)
class Value:
    """One number."""

    #: ``mean``, ``sum``, ``count``, ``variance``, ``mean score`` or ``score``.
    statistic: str
    #: The column, or the vector's label of a model.
    column: str
    segment: str
    #: Rows it is over; 1 for a row's score.
    rows: int
    value: float
    #: Standard deviation of the noise that the tickets added.
    noise_deviation: float = 0.0
    #: At least 95 of 100 values are within plus or minus this of what they would be
    #: without noise.
    noise_within_95: float = 0.0
    #: Rounding of data and weights moves the value by this at most.
    rounding: float = 0.0
    #: The row's place in its segment, of a row's score.
    row: int | None = None

    @property
    def error_bar(self) -> float:
        """Half-width: noise at 95 %, and rounding at its worst."""
        return self.noise_within_95 + self.rounding

    @property
    def low(self) -> float:
        """The lower end of the error bar."""
        return self.value - self.error_bar

    @property
    def high(self) -> float:
        """The upper end of the error bar."""
        return self.value + self.error_bar

    def to_dict(self) -> dict[str, Any]:
        """For tables."""
        found: dict[str, Any] = {
            "statistic": self.statistic,
            "column": self.column,
            "segment": self.segment,
            "rows": self.rows,
            "value": self.value,
            "error_bar": self.error_bar,
            "noise_deviation": self.noise_deviation,
            "rounding": self.rounding,
        }
        if self.row is not None:
            found["row"] = self.row
        return found

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        bar = f" ± {self.error_bar:.3g}" if self.error_bar else ""
        return f"{self.statistic} of {self.column} in {self.segment}: {self.value:.6g}{bar}"


class Result:
    """What an order opened."""

    def __init__(
        self, outputs: list[dict[str, Any]], note: dict[str, Any], folder: str | None = None
    ) -> None:
        #: Outputs of the program as they were decoded, integers among them.
        self.outputs = outputs
        #: The order's folder.
        self.folder = folder
        self._kind = str(note.get("kind", ""))
        if note.get("kind") == "statistics":
            self.values = _statistics(outputs, note)
        else:
            # A model, or an order of the command line.
            self.values = _scores(outputs, note)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dictionary a value."""
        return [v.to_dict() for v in self.values]

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame, a row a value. Needs pandas."""
        import pandas

        frame: pandas.DataFrame = pandas.DataFrame(self.to_dicts())
        return frame

    def one(
        self,
        statistic: str | None = None,
        column: str | None = None,
        segment: str | None = None,
    ) -> Value:
        """The one value that is meant."""
        found = [
            v
            for v in self.values
            if statistic in (None, v.statistic)
            and column in (None, v.column)
            and segment in (None, v.segment)
        ]
        if len(found) != 1:
            raise ArgumentError(
                "ARGUMENT",
                f"{len(found)} values are meant by this, expected 1",
                {"limit": 1, "value": len(found)},
            )
        return found[0]

    def probabilities(self) -> list[Value]:
        """The logistic function of each row's score. The error bars' ends are
        transformed, and the wider side is given."""
        if self._kind != "logistic" or any(v.row is None for v in self.values):
            raise ArgumentError(
                "ARGUMENT",
                "probabilities are of a logistic model with rows='each': the mean score of a "
                "segment is not its mean probability",
                {"field": "rows"},
            )
        return [_probability(v) for v in self.values]

    def __iter__(self) -> Iterator[Value]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __str__(self) -> str:
        head = ("statistic", "column", "segment", "rows", "value", "± (95 %)")
        rows = [
            (v.statistic, v.column, v.segment, str(v.rows), f"{v.value:.6f}", f"{v.error_bar:.2e}")
            for v in self.values[:50]
        ]
        text = table(head, rows)
        more = len(self.values) - 50
        return f"{text}\n  ... and {more} more" if more > 0 else text


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned, for people."""
    clean = [tuple("".join(c if c.isprintable() else "�" for c in x) for x in r) for r in rows]
    widths = [max(len(r[i]) for r in [head, *clean]) for i in range(len(head))]
    lines = [head, tuple("─" * w for w in widths), *clean]
    return "\n".join(
        "  ".join(x.ljust(w) for x, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _rounding(output: dict[str, Any], note: dict[str, Any]) -> float:
    """What rounding of weights and data moves a row's value by, at most."""
    data = note.get("data_error")
    vector = int(output["vector"])
    of_data = float(data[vector]) if isinstance(data, list) and vector < len(data) else 0.0
    return float(output["weight_error"] or 0.0) + of_data


def _mean(output: dict[str, Any], note: dict[str, Any], statistic: str, column: str) -> Value:
    return Value(
        statistic=statistic,
        column=column,
        segment=output["segment"],
        rows=int(output["rows"]),
        value=float(output["values"][0]),
        noise_deviation=float(output["noise_deviation"]),
        noise_within_95=float(output["noise_within_95"]),
        rounding=_rounding(output, note),
    )


def _total(mean: Value, statistic: str) -> Value:
    """A sum from a mean: whatever is known of it, times the rows."""
    n = mean.rows
    value = mean.value * n
    return Value(
        statistic=statistic,
        column=mean.column,
        segment=mean.segment,
        rows=n,
        value=value,
        noise_deviation=mean.noise_deviation * n,
        noise_within_95=mean.noise_within_95 * n,
        rounding=mean.rounding * n,
    )


def variance_of(mean: Value, second: Value) -> Value:
    """m2 - mean^2, with the noise of both: (mean + e)^2 of a Gaussian e."""
    m, s = mean.value, mean.noise_deviation
    deviation = math.sqrt(second.noise_deviation**2 + 4 * m**2 * s**2 + 2 * s**4)
    r = mean.rounding
    return Value(
        statistic="variance",
        column=mean.column,
        segment=mean.segment,
        rows=mean.rows,
        value=second.value - m * m,
        noise_deviation=deviation,
        noise_within_95=NORMAL_97_5 * deviation,
        rounding=second.rounding + 2 * abs(m) * r + r * r,
    )


def _statistics(outputs: list[dict[str, Any]], note: dict[str, Any]) -> list[Value]:
    found = {(o["label"], o["segment"]): o for o in outputs}
    segments = list(dict.fromkeys(o["segment"] for o in outputs))

    def opened(column: str, segment: str, statistic: str) -> Value:
        output = found.get((f"sum of {column}", segment))
        if output is None or output["kind"] != "mean":
            raise ResultRefused(
                "RESULT_OUTPUTS",
                f"the order opened no sum of {column!r} in {segment!r}",
                {"field": "outputs", "value": column},
            )
        return _mean(output, note, statistic, column)

    values: list[Value] = []
    asked = [(name, column) for name, column in note["statistics"]]
    for name, column in asked:
        for segment in segments:
            mean = opened(column, segment, "mean")
            if name == "mean":
                values.append(mean)
            elif name in ("sum", "count"):
                values.append(_total(mean, name))
            else:
                if ("mean", column) not in asked:
                    # Bought with it.
                    values.append(mean)
                values.append(variance_of(mean, opened(f"{column}^2", segment, "mean")))
    return values


def _scores(outputs: list[dict[str, Any]], note: dict[str, Any]) -> list[Value]:
    values: list[Value] = []
    for o in outputs:
        if o["kind"] == "mean":
            label = str(o["label"])
            plain = label.removeprefix("sum of ")
            statistic = "mean score" if plain == label else "mean"
            values.append(_mean(o, note, statistic, plain))
            continue
        begin = int(o["chunk"]) * CHUNK_ROWS
        rounding = _rounding(o, note)
        values += [
            Value(
                statistic="score",
                column=o["label"],
                segment=o["segment"],
                rows=1,
                value=float(v),
                noise_deviation=float(o["noise_deviation"]),
                noise_within_95=float(o["noise_within_95"]),
                rounding=rounding,
                row=begin + i,
            )
            for i, v in enumerate(o["values"])
        ]
    return values


def _logistic(x: float) -> float:
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def _probability(v: Value) -> Value:
    p = _logistic(v.value)

    def widest(half: float) -> float:
        return max(p - _logistic(v.value - half), _logistic(v.value + half) - p)

    within = widest(v.noise_within_95)
    return Value(
        statistic="probability",
        column=v.column,
        segment=v.segment,
        rows=v.rows,
        value=p,
        noise_deviation=v.noise_deviation * p * (1 - p),
        noise_within_95=within,
        rounding=widest(v.noise_within_95 + v.rounding) - within,
        row=v.row,
    )
