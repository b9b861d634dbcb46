"""Listings: what is on offer, its schema, its synthetic twin."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import _core
from .money import Money
from .schema import Policy, Schema, TicketClass

if TYPE_CHECKING:
    import pandas

    from .market import Market

__all__ = ["Listing"]

#: What is asked of each listing of a page.
SUMMARY = """id title description state dataset owner createdAt priceOrder priceOutput
    reveals { values valuesLeft bitsLeft }"""
_DETAILS = """query($id: String!) { listing(id: $id) { policy tickets { classes {
    digest name offered law noiseDeviation left largestOrder } } } }"""
#: Most bytes of a twin.
MAX_TWIN = 64 << 20


class Listing:
    """A listing of the catalogue. The manifest, the policy and the twin are fetched
    when they are first asked for."""

    def __init__(self, market: Market, summary: dict[str, Any]) -> None:
        self._market = market
        self._summary = summary

    @property
    def id(self) -> str:
        """Its id."""
        return str(self._summary["id"])

    @property
    def title(self) -> str:
        """Title."""
        return str(self._summary["title"])

    @property
    def description(self) -> str:
        """Description."""
        return str(self._summary["description"])

    @property
    def state(self) -> str:
        """draft, submitted, published, rejected, paused or withdrawn."""
        return str(self._summary["state"])

    @property
    def dataset(self) -> str:
        """The dataset root D, to which the manifest is held."""
        return str(self._summary["dataset"])

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        return datetime.fromtimestamp(int(self._summary["createdAt"]) / 1000, timezone.utc)

    @property
    def price_order(self) -> Money | None:
        """Price of an order."""
        return _money(self._summary["priceOrder"])

    @property
    def price_output(self) -> Money | None:
        """Price of each value on top."""
        return _money(self._summary["priceOutput"])

    @property
    def values_left(self) -> int | None:
        """Values left of the quota."""
        reveals = self._summary["reveals"]
        return None if reveals is None else int(reveals["valuesLeft"])

    @cached_property
    def native(self) -> _core.Listed:
        """The listing as queries are fitted to it, its manifest held to the root."""
        return self._market.connection.listing(self.id)

    @cached_property
    def schema(self) -> Schema:
        """Columns, ranges and segments."""
        return Schema.of(self.native.manifest(), self.native.suppressed)

    @cached_property
    def _details(self) -> dict[str, Any]:
        found: dict[str, Any] = self._market.graphql("listing", _DETAILS, id=self.id)
        return found

    @property
    def policy(self) -> Policy | None:
        """What the custodian allows, as the server shows it (a quote's is checked)."""
        signed = self._details["policy"]
        return None if signed is None else Policy.of(signed)

    @property
    def ticket_classes(self) -> list[TicketClass]:
        """Classes of opening tickets that orders may use; none in custodian-held custody."""
        tickets = self._details["tickets"]
        classes = [] if tickets is None else tickets["classes"]
        return [c for c in map(TicketClass.of, classes) if c.offered]

    def twin_csv(self) -> str:
        """The synthetic twin as CSV: rows of the same shape, sampled from published
        marginals. No row of the data is in it, and no joint property."""
        path = f"/v1/listings/{self.id}/objects/twin.csv"
        return self._market.connection.get(path, MAX_TWIN).decode("utf-8")

    def twin(self) -> list[dict[str, float | str]]:
        """The twin's rows; numbers where a column has nothing else."""
        rows = list(csv.DictReader(io.StringIO(self.twin_csv())))
        numeric = {
            name for name in (rows[0] if rows else {}) if all(_is_number(r[name]) for r in rows)
        }
        return [{k: float(v) if k in numeric else v for k, v in r.items()} for r in rows]

    def twin_frame(self) -> pandas.DataFrame:
        """The twin as a data frame. Needs pandas."""
        import pandas

        return pandas.read_csv(io.StringIO(self.twin_csv()))

    def twin_note(self) -> dict[str, Any]:
        """What the twin was sampled from, and what is suppressed."""
        path = f"/v1/listings/{self.id}/objects/twin.json"
        note: dict[str, Any] = json.loads(self._market.connection.get(path, 1 << 20))
        return note

    def __repr__(self) -> str:
        return f"Listing({self.id}, {self.title!r}, {self.state})"


def _money(text: str | None) -> Money | None:
    return None if text is None else Money(int(text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True
