"""Quotes: everything that should be seen before paying."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from . import _core
from .errors import ArgumentError, PriceTooHigh
from .money import Money
from .order import Order
from .query import Query
from .result import table
from .schema import Openers, Policy

if TYPE_CHECKING:
    from .listing import Listing
    from .market import Market

__all__ = ["Quote", "QuotedOutput"]

#: Seconds that an order is given, unless said otherwise.
DEADLINE = 3600


@dataclass(frozen=True)
class QuotedOutput:
    """One output of a quote, and how precise its values will be."""

    label: str
    segment: str
    rows: int
    #: Values opened.
    values: int
    #: The unit of an opened integer, of the sum over the rows.
    resolution: float
    #: Standard deviation of the tickets' noise in a value, as it will be shown.
    noise_deviation: float
    #: Half-width of the noise at 95 %.
    noise_within_95: float
    #: Rounding of data and weights moves a value by this at most.
    rounding: float
    #: Whether the weights are hidden from all but the pod.
    private: bool

    @property
    def error_bar(self) -> float:
        """Half-width: noise at 95 %, and rounding at its worst."""
        return self.noise_within_95 + self.rounding


@dataclass(frozen=True)
class PriceSplit:
    """What is paid, and exactly who gets what."""

    total: Money
    fee: Money
    pod: Money
    custodian: Money


class Quote:
    """A quote, checked: signed by the pinned marketplace, for this listing and program,
    under the custodian's policy."""

    def __init__(
        self,
        market: Market,
        listing: Listing,
        query: Query,
        fitted: _core.Query,
        offer: _core.Offer,
    ) -> None:
        self._market = market
        self.listing = listing
        self.query = query
        self._fitted = fitted
        self._offer = offer
        facts = json.loads(offer.facts())
        self._details: dict[str, Any] = json.loads(offer.details())
        #: Its digest: what the order names.
        self.digest: str = facts["digest"]
        price = facts["price"]
        self.price = PriceSplit(
            Money(price["total"]),
            Money(price["fee"]),
            Money(price["pod"]),
            Money(price["custodian"]),
        )
        #: Seconds that it is expected to take.
        self.seconds = int(facts["expected_seconds"])
        #: Not after.
        self.expires_at = datetime.fromtimestamp(int(facts["expiry"]) / 1000, timezone.utc)
        self.pod_id: str = facts["pod"]["id"]
        #: Who evaluates, and reads private weights: only its key says who it is.
        self.pod_key: str = facts["pod"]["signing_key"]
        #: Who opens.
        self.openers = Openers.of(facts["openers"])
        #: The class of tickets; none in custodian-held custody.
        self.ticket_class: str | None = facts["ticket_class"]
        #: Provenance of the reference string behind private weights.
        self.srs: str = facts["srs"]
        #: The custodian's signed policy.
        self.policy = Policy.of(json.loads(offer.policy()))
        #: The most that rounding the weights moves a value, a row, of each vector.
        self.weight_error = tuple(fitted.weight_error)
        #: The most that rounding the data moves a value, a row, of each vector.
        self.data_error = tuple(fitted.data_error)
        self._noise: dict[str, float] = facts["noise"] or {}
        program = json.loads(fitted.program())
        self.outputs = tuple(
            self._output(o, at)
            for o, at in zip(self._details["outputs"], program["outputs"], strict=True)
        )

    def _output(self, o: dict[str, Any], at: dict[str, Any]) -> QuotedOutput:
        step = 2.0 ** -int(o["scaleLog2"])
        rows = int(o["rows"])
        # A sum is shown as a mean.
        unit = step / max(rows, 1) if at["over"]["matrix"] == "traced" else step
        vector = int(at["vector"])
        return QuotedOutput(
            label=o["label"],
            segment=o["segment"],
            rows=rows,
            values=int(o["values"]),
            resolution=step,
            noise_deviation=float(self._noise.get("standard_deviation", 0.0)) * unit,
            noise_within_95=float(self._noise.get("within_95", 0)) * unit,
            rounding=self.weight_error[vector] + self.data_error[vector],
            private=bool(o["privateWeights"]),
        )

    @property
    def values(self) -> int:
        """Values opened."""
        return sum(o.values for o in self.outputs)

    @property
    def values_left(self) -> int:
        """What is left of the listing's quota before this order, by the server."""
        return int(self._details["valuesLeft"])

    @property
    def private_parts(self) -> tuple[str, ...]:
        """What stays private, in words of the marketplace."""
        return tuple(self._details["privateParts"])

    @property
    def seats(self) -> tuple[tuple[str, str], ...]:
        """Who learns what, in words of the marketplace."""
        return tuple((s["seat"], s["learns"]) for s in self._details["seats"])

    @property
    def expired(self) -> bool:
        """Whether it is too late to order, by this machine's clock."""
        return datetime.now(timezone.utc) >= self.expires_at

    def order(
        self,
        max_price: Money | Decimal | str | int | None = None,
        deadline: float = DEADLINE,
    ) -> Order:
        """Signs the order, keeps its ticket in the keyring, then places it: the price
        goes into escrow. Refused above ``max_price`` credits, before anything is
        signed. ``deadline`` is in seconds from now."""
        if max_price is not None and self.price.total > Money.of(max_price):
            limit = Money.of(max_price)
            raise PriceTooHigh(
                "PRICE_TOO_HIGH",
                f"the price {self.price.total} exceeds max_price {limit}",
                {"field": "max_price", "limit": limit.minor, "value": self.price.total.minor},
            )
        if not deadline > 0:
            raise ArgumentError(
                "ARGUMENT", f"deadline {deadline}: expected seconds from now", {"field": "deadline"}
            )
        market = self._market
        market.ready_to_sign()
        ticket = _core.prepare(
            market.marketplace_key,
            self._offer,
            self.listing.native,
            self._fitted,
            market.keyring.signing_key(),
            int((time.time() + deadline) * 1000),
        )
        note = {**self.query.note(), "data_error": list(self.data_error), "quote": self.digest}
        # The only key that opens the result: on the disk before anybody knows of it.
        kept = market.keyring.keep(ticket, note)
        return Order(market, kept).place()

    def __str__(self) -> str:
        p = self.price
        lines = [
            f"{self.query}",
            f"price {p.total} credits (custodian {p.custodian}, pod {p.pod}, fee {p.fee}); about "
            f"{self.seconds} s; {self.values} values ({self.values_left} left)",
            f"opened by {self.openers}",
            f"pod {self.pod_id}, signing key {self.pod_key}",
        ]
        if self.ticket_class is not None:
            lines.append(f"tickets {self.ticket_class!r}")
        rows = [
            (
                o.label,
                o.segment,
                str(o.rows),
                str(o.values),
                f"±{o.noise_within_95:.2e}" if o.noise_within_95 else "none",
                f"{o.rounding:.2e}",
                "hidden" if o.private else "public",
            )
            for o in self.outputs[:50]
        ]
        head = ("output", "segment", "rows", "values", "noise (95 %)", "rounding", "weights")
        lines.append(table(head, rows))
        if len(self.outputs) > 50:
            lines.append(f"  ... and {len(self.outputs) - 50} more outputs")
        lines.append("who learns what:")
        lines.append(table(("seat", "learns"), list(self.seats)))
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Quote({self.price.total} credits, {self.values} values, {self.digest[:16]})"


def check_wishes(offer: _core.Offer, pod: str | None, nodes: Sequence[str] | None) -> None:
    """Holds an offer to the keys that the buyer named."""
    if pod is not None:
        offer.require_pod(pod)
    if nodes:
        offer.require_nodes(list(nodes))
