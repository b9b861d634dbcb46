"""A marketplace, as its buyer sees it."""

from __future__ import annotations

import json
import secrets
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import _core
from .errors import (
    ArgumentError,
    ConnectionFailed,
    InsecureConnection,
    MarketplaceKeyChanged,
    NotFound,
    Unauthenticated,
)
from .keyring import Keyring, read_kept
from .listing import SUMMARY, Listing
from .money import Money
from .order import Order
from .query import Query
from .quote import Quote, check_wishes

__all__ = ["Balance", "Market", "Marketplace"]


@dataclass(frozen=True)
class Marketplace:
    """What everybody may know of the marketplace."""

    #: The digest of its key: what documents name.
    id: str
    #: Its key, as the server shows it; ``Market.marketplace_key`` is the pinned one.
    key: str
    fee_basis_points: int
    srs: str
    srs_provenance: str
    verifying_keys: tuple[str, ...]


@dataclass(frozen=True)
class Balance:
    """An account's money."""

    posted: Money
    reserved: Money
    incoming: Money
    available: Money


class Market:
    """A connection to a marketplace, with an API key, or signed in by mail and
    password, or neither (the catalogue is public).

    ``keyring`` is where the signing key, the pinned marketplace and the orders are
    kept (:meth:`Keyring.default` unless said otherwise). ``marketplace_key`` is the
    key that the operator told you; without it the first one seen is pinned.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        mail: str | None = None,
        password: str | None = None,
        code: str | None = None,
        keyring: Keyring | str | Path | None = None,
        marketplace_key: str | None = None,
    ) -> None:
        if api_key is not None and (mail is not None or password is not None):
            raise ArgumentError(
                "ARGUMENT", "api_key, or mail and password: not both", {"field": "api_key"}
            )
        if (mail is None) != (password is None):
            raise ArgumentError(
                "ARGUMENT",
                "mail and password go together",
                {"field": "mail" if mail is None else "password"},
            )
        _warn_if_readable(url, bool(api_key or password))
        #: The native connection.
        self.connection = _core.Connection(url)
        if keyring is None:
            self.keyring = Keyring.default()
        else:
            self.keyring = keyring if isinstance(keyring, Keyring) else Keyring(keyring)
        #: The account's id, when signed in by mail and password.
        self.account: str | None = None
        self._told = marketplace_key
        self._pinned: str | None = None
        self._registered: set[str] = set()
        if mail is not None and password is not None:
            self.account = self.connection.login(mail, password, code)
        elif api_key is not None:
            self.connection.use_api_key(api_key)

    @property
    def url(self) -> str:
        """The server's address."""
        return self.connection.url

    @property
    def marketplace_key(self) -> str:
        """The marketplace's key: the server's, held to the pinned or told one."""
        if self._pinned is None:
            shown = self.connection.marketplace_key()
            self._pinned = self.keyring.held(self.url, shown, self._told)
        return self._pinned

    @property
    def marketplace(self) -> Marketplace:
        """What everybody may know of it, its key held to the pinned one."""
        m = self.graphql(
            "marketplace",
            "{ marketplace { id key feeBasisPoints srs srsProvenance verifyingKeys } }",
        )
        pinned = self.marketplace_key
        if m["key"] != pinned or m["id"] != _core.marketplace_id(pinned):
            raise MarketplaceKeyChanged(
                "MARKETPLACE_KEY",
                f"pinned is {pinned}, the server now shows {m['key']} as {m['id']}",
                {"field": "marketplace key", "limit": pinned, "value": m["key"]},
            )
        return Marketplace(
            id=m["id"],
            key=m["key"],
            fee_basis_points=int(m["feeBasisPoints"]),
            srs=m["srs"],
            srs_provenance=m["srsProvenance"],
            verifying_keys=tuple(m["verifyingKeys"]),
        )

    def graphql(self, operation: str, document: str, **variables: Any) -> Any:
        """Any other operation of the API: the field of this name."""
        return json.loads(self.connection.graphql(operation, document, json.dumps(variables)))

    def pages(
        self, operation: str, selection: str, arguments: str = "", **variables: Any
    ) -> Iterator[dict[str, Any]]:
        """Every node of a list, page by page. ``arguments`` are those beside the page's;
        ``variables`` maps their names to ``(type, value)``."""
        declared = "".join(f", ${k}: {kind}" for k, (kind, _) in variables.items())
        document = (
            f"query($after: String{declared}) {{ {operation}(first: 50, after: $after{arguments}) "
            f"{{ nodes {{ {selection} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        )
        values = {k: v for k, (_, v) in variables.items()}
        after: str | None = None
        while True:
            page = self.graphql(operation, document, after=after, **values)
            yield from page["nodes"]
            info = page["pageInfo"]
            # A page that ends where it began would be asked for without end.
            if not info["hasNextPage"] or info["endCursor"] == after:
                return
            after = info["endCursor"]

    def listings(self, search: str | None = None, mine: bool = False) -> list[Listing]:
        """The catalogue, newest first."""
        arguments, variables = "", {}
        if search is not None:
            arguments, variables = ", search: $search", {"search": ("String", search)}
        if mine:
            arguments += ", filter: { mine: true }"
        found = self.pages("listings", SUMMARY, arguments, **variables)
        return [Listing(self, summary) for summary in found]

    def listing(self, id: str) -> Listing:
        """One listing."""
        document = f"query($id: String!) {{ listing(id: $id) {{ {SUMMARY} }} }}"
        summary = self.graphql("listing", document, id=id)
        if summary["id"] != id:
            raise ConnectionFailed(
                "ANSWER",
                f"listing: asked for {id}, answered was {summary['id']}",
                {"operation": "listing", "limit": id, "value": summary["id"]},
            )
        return Listing(self, summary)

    def quote(
        self,
        listing: Listing | str,
        query: Query,
        *,
        pod: str | None = None,
        pod_id: str | None = None,
        nodes: Sequence[str] | None = None,
        ticket_class: str | None = None,
    ) -> Quote:
        """Price, time, precision and who learns what, before any money moves.

        ``pod`` refuses any other pod than the one with this signing key (private weights
        are readable by the pod: name one that you trust); ``pod_id`` asks for one where
        there are several. ``nodes`` refuses any other key nodes than exactly these.
        ``ticket_class`` asks for a class of tickets by name. With public weights the
        server is told the weights even if you never order.
        """
        found = self.listing(listing) if isinstance(listing, str) else listing
        fitted = query.fit(found.native, found.schema)
        offer = self.connection.quote(
            self.marketplace_key, found.native, fitted, pod_id, ticket_class
        )
        check_wishes(offer, pod, nodes)
        return Quote(self, found, query, fitted, offer)

    def balance(self) -> Balance:
        """The account's money."""
        b = self.graphql("myBalance", "{ myBalance { posted reserved incoming available } }")
        return Balance(*(Money(int(b[k])) for k in ("posted", "reserved", "incoming", "available")))

    def deposit(self, amount: Money | Decimal | str | int, key: str | None = None) -> str:
        """Asks for a deposit, which an admin approves; its id. The same ``key`` again
        answers the same."""
        document = """mutation($amount: Money!, $key: String!) {
            requestDeposit(amount: $amount, idempotencyKey: $key) { id } }"""
        minor = str(Money.of(amount).minor)
        made = self.graphql(
            "requestDeposit", document, amount=minor, key=key or secrets.token_hex(16)
        )
        return str(made["id"])

    def register_signing_key(self) -> str:
        """Registers the keyring's signing key for the account, once; its public half.
        Needs mail and password: an API key may not."""
        signing = self.keyring.signing_key()
        if signing.public in self._registered:
            return signing.public
        keys = self.graphql("me", "{ me { signingKeys { key revokedAt } } }")["signingKeys"]
        known = {k["key"] for k in keys if k["revokedAt"] is None}
        if signing.public not in known:
            self.connection.register_key(self.marketplace_key, signing)
        self._registered.add(signing.public)
        return signing.public

    def ready_to_sign(self) -> None:
        """Before an order is signed: somebody is signed in, and the signing key is
        registered where this connection may do so."""
        who = self.connection.who()
        if who == "nobody":
            raise Unauthenticated(
                "UNAUTHENTICATED", "give api_key, or mail and password, to order", {"status": 401}
            )
        if who == "account":
            self.register_signing_key()

    def orders(self) -> list[Order]:
        """Every order of the keyring that was ordered from this marketplace, oldest
        first: placed or not, opened or not."""
        key = self.marketplace_key
        kept = [k for k in self.keyring.orders() if k.ticket.marketplace_key == key]
        return [Order(self, k) for k in kept]

    def order(self, which: str | Path) -> Order:
        """An order of the keyring, by its id or its folder."""
        folder = Path(which)
        if (folder / "ticket.json").exists():
            return Order(self, read_kept(folder))
        for order in self.orders():
            if str(which) in (order.id, order.folder.name):
                return order
        raise NotFound("NOT_FOUND", f"the keyring holds no order {which}", {"status": 404})

    def __repr__(self) -> str:
        return f"Market({self.url!r})"


def _warn_if_readable(url: str, secrets_travel: bool) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if parts.scheme == "http" and secrets_travel and not local:
        warnings.warn(
            f"{url}: passwords and keys travel readable; use https or a tunnel",
            InsecureConnection,
            stacklevel=3,
        )
