"""What a listing's manifest and policy say, as dataclasses."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .errors import ModelRefused
from .money import Money

__all__ = ["Column", "Openers", "Policy", "PublicColumn", "Schema", "Segment", "TicketClass"]


@dataclass(frozen=True)
class Column:
    """An encrypted column: queries can use it."""

    name: str
    #: ``numeric``, ``category``, ``square`` or ``product``.
    kind: str
    unit: str
    #: A real value x is held as round(x * 2**scale_log2).
    scale_log2: int
    #: Published range, real units.
    minimum: float
    maximum: float
    #: The source column of a category or square; both factors of a product.
    sources: tuple[str, ...] = ()
    #: A category's text.
    category: str | None = None

    @property
    def resolution(self) -> float:
        """The real step of a quantised value."""
        return float(2.0**-self.scale_log2)

    @classmethod
    def of(cls, c: dict[str, Any]) -> Column:
        """From the manifest's JSON."""
        kind = c["kind"]
        step = 2.0 ** -int(c["scale_log2"])
        sources = [kind[name] for name in ("source", "left", "right") if name in kind]
        return cls(
            name=c["name"],
            kind=kind["kind"],
            unit=c["unit"],
            scale_log2=int(c["scale_log2"]),
            minimum=int(c["min"]) * step,
            maximum=int(c["max"]) * step,
            sources=tuple(sources),
            category=kind.get("value"),
        )


@dataclass(frozen=True)
class PublicColumn:
    """A column that is constant in each segment, and public: the segment's key."""

    name: str
    #: Its value in each segment, real units.
    values: tuple[float, ...]

    @classmethod
    def of(cls, c: dict[str, Any]) -> PublicColumn:
        """From the manifest's JSON."""
        step = 2.0 ** -int(c["scale_log2"])
        return cls(c["name"], tuple(int(v) * step for v in c["values"]))


@dataclass(frozen=True)
class Segment:
    """A group of rows: the only groups that aggregates are taken over."""

    label: str
    rows: int


@dataclass(frozen=True)
class Schema:
    """Columns and segments of a dataset."""

    name: str
    columns: tuple[Column, ...]
    #: Without the constant 1, which is a model's intercept.
    public_columns: tuple[PublicColumn, ...]
    segments: tuple[Segment, ...]
    #: Columns that the custodian's rules left out.
    suppressed: tuple[str, ...] = ()
    _by_name: dict[str, Column] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, manifest: str, suppressed: list[str]) -> Schema:
        """From a manifest's JSON text."""
        m = json.loads(manifest)
        columns = tuple(Column.of(c) for c in m["columns"])
        return cls(
            name=m["name"],
            columns=columns,
            public_columns=tuple(PublicColumn.of(c) for c in m["public_columns"][1:]),
            segments=tuple(Segment(s["label"], int(s["rows"])) for s in m["segments"]),
            suppressed=tuple(suppressed),
            _by_name={c.name: c for c in columns},
        )

    @property
    def rows(self) -> int:
        """Rows of all segments."""
        return sum(s.rows for s in self.segments)

    def column(self, name: str) -> Column:
        """The encrypted column of this name."""
        found = self._by_name.get(name)
        if found is not None:
            return found
        if name in self.suppressed:
            reason = "was suppressed by the custodian's rules"
        elif any(c.name == name for c in self.public_columns):
            reason = "is a public segment key, not an encrypted column"
        else:
            reason = f"is not listed; listed: {', '.join(c.name for c in self.columns[:20])}"
        raise ModelRefused(
            "COLUMN_REFUSED", f"column {name!r} {reason}", {"field": "columns", "value": name}
        )

    def __contains__(self, name: object) -> bool:
        return name in self._by_name


@dataclass(frozen=True)
class Openers:
    """Who opens results."""

    #: ``committee`` or ``custodian_held``.
    custody: str
    #: Signing keys of the nodes.
    nodes: tuple[str, ...]
    #: How many of them open.
    threshold: int

    @classmethod
    def of(cls, o: dict[str, Any]) -> Openers:
        """From the documents' JSON."""
        if o["custody"] == "committee":
            return cls("committee", tuple(o["nodes"]), int(o["threshold"]))
        return cls(o["custody"], (o["node_key"],), 1)

    def __str__(self) -> str:
        if self.custody == "committee":
            return (
                f"any {self.threshold} of {len(self.nodes)} key nodes; only you learn the result, "
                f"unless {self.threshold} of them conspire, or the custodian with one"
            )
        return "the custodian's key node: the custodian can learn the result"


@dataclass(frozen=True)
class TicketClass:
    """Opening tickets with one law of noise."""

    name: str
    digest: str
    offered: bool
    #: The law, in words.
    law: str
    #: Standard deviation in opened integers.
    noise_deviation: float
    #: Values that can still be opened under it.
    left: int
    #: The most values that one order may have now.
    largest_order: int

    @classmethod
    def of(cls, c: dict[str, Any]) -> TicketClass:
        """From the API's JSON."""
        return cls(
            name=c["name"],
            digest=c["digest"],
            offered=bool(c["offered"]),
            law=c["law"],
            noise_deviation=float(c["noiseDeviation"]),
            left=int(c["left"]),
            largest_order=int(c["largestOrder"]),
        )


@dataclass(frozen=True)
class Policy:
    """What the custodian allows. Shown by the server: a quote's is checked."""

    version: int
    #: ``aggregate_public``, ``aggregate_private``, ``rows_public``, ``rows_private``.
    kinds: tuple[str, ...]
    min_cohort: int
    quota_values: int
    quota_bits: int
    price_order: Money
    price_output: Money
    openers: Openers
    #: The custodian's signing key.
    custodian_key: str

    @classmethod
    def of(cls, signed: dict[str, Any]) -> Policy:
        """From the signed document."""
        p = signed["body"]
        return cls(
            version=int(p["policy_version"]),
            kinds=tuple(p["kinds"]),
            min_cohort=int(p["min_cohort"]),
            quota_values=int(p["quota_values"]),
            quota_bits=int(p["quota_bits"]),
            price_order=Money(int(p["price_order"])),
            price_output=Money(int(p["price_output"])),
            openers=Openers.of(p["openers"]),
            custodian_key=signed["key"],
        )
