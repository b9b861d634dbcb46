"""Orders: kept, placed, waited for, opened."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import (
    ConnectionFailed,
    KeyringError,
    OrderPending,
    OrderRefunded,
    RateLimited,
    WaitTimeout,
)
from .files import put
from .keyring import KeptOrder, read_kept
from .money import Money
from .progress import Standing, bar
from .receipt import Receipt
from .result import Result

if TYPE_CHECKING:
    from .market import Market

__all__ = ["Order"]

#: Seconds between two looks, at first and at most.
FIRST_LOOK, LONGEST_LOOK = 0.2, 2.0
#: How long a server may be out of reach while an order is waited for.
PATIENCE = 120.0


class Order:
    """An order, and its folder. It can be taken up again after any crash:
    ``market.orders()`` or ``market.order(folder)``."""

    def __init__(self, market: Market | None, kept: KeptOrder) -> None:
        self._market = market
        self._kept = kept
        self._result: Result | None = None
        self._receipt: Receipt | None = None

    @classmethod
    def load(cls, folder: str | Path) -> Order:
        """A kept order without a market: what was opened before can be read again."""
        return cls(None, read_kept(folder))

    @property
    def id(self) -> str | None:
        """The marketplace's id of it, once placed."""
        return self._kept.ticket.order_id

    @property
    def folder(self) -> Path:
        """Its folder: ``ticket.json`` there is the only key that opens the result."""
        return self._kept.folder

    @property
    def listing_id(self) -> str:
        """The listing ordered from."""
        return self._kept.ticket.listing

    @property
    def price(self) -> Money:
        """What it costs."""
        return Money(self._kept.ticket.price)

    @property
    def digest(self) -> str:
        """The digest of the signed order."""
        return self._kept.ticket.digest()

    def place(self) -> Order:
        """Places it where it is not known to be placed. The same order again is answered
        with the same id and costs nothing more."""
        if self.id is None:
            placed = self._online().connection.place(self._kept.ticket)
            self._kept = self._kept.write_ticket(self._kept.ticket.with_order_id(placed))
        return self

    def standing(self) -> Standing:
        """Where it stands now."""
        self.place()
        s = json.loads(self._online().connection.standing(self._kept.ticket))
        return Standing(
            s["state"], s["stage"], int(s["per_mille"]), s.get("reason"), s.get("detail")
        )

    @property
    def state(self) -> str:
        """funded, leased, evaluated, verified, opening, released or refunded."""
        return self.standing().state

    def wait(
        self,
        progress: bool | Callable[[Standing], Any] = True,
        timeout: float | None = None,
    ) -> Order:
        """Waits until the order ends. Raises :class:`OrderRefunded` when it was refunded,
        :class:`WaitTimeout` after ``timeout`` seconds (it goes on: wait again).

        ``progress`` shows a bar on standard error, or is called with each change.
        """
        began = seen = time.monotonic()
        pause = FIRST_LOOK
        last: Standing | None = None
        shown = bar(progress, f"order {(self.id or self.digest)[:8]}")
        try:
            while True:
                now: Standing | None = None
                try:
                    now = self.standing()
                    seen = time.monotonic()
                except RateLimited as e:
                    now, pause = last, max(pause, min(e.retry_after, PATIENCE))
                    seen = time.monotonic()
                except ConnectionFailed:
                    # A server that restarts comes back; one that does not is said.
                    if time.monotonic() - seen > PATIENCE:
                        raise
                    now, pause = last, LONGEST_LOOK
                if now is not None and now != last:
                    shown.show(now)
                    pause = FIRST_LOOK
                last = now
                if now is not None and now.ended:
                    return self._ended(now)
                if timeout is not None and time.monotonic() - began + pause > timeout:
                    raise WaitTimeout(
                        "ORDER_PENDING",
                        f"order {self.id} has not ended in {timeout:g} s: {now or 'not seen'}",
                        {"field": "timeout", "limit": int(timeout)},
                    )
                time.sleep(pause)
                pause = min(pause * 1.3, LONGEST_LOOK)
        finally:
            shown.close()

    def _ended(self, standing: Standing) -> Order:
        if standing.state == "refunded":
            reason, detail = standing.reason or "", standing.detail or ""
            raise OrderRefunded(
                "ORDER_REFUNDED",
                f"order {self.id} was refunded ({reason}): {detail}",
                {"reason": reason, "detail": detail, "order": self.id},
            )
        return self

    def result(self, refetch: bool = False) -> Result:
        """The opened values. Fetches, opens and checks them once; the receipt is verified
        before a number is shown. Afterwards they are in the folder, and no server is
        needed."""
        if self._result is None or refetch:
            if refetch or not (self.folder / "result.json").exists():
                self._fetch()
            self._result = self._read()
        return self._result

    def receipt(self) -> Receipt:
        """The receipt: proof of what was evaluated, for whom, at which price."""
        if self._receipt is None:
            if not (self.folder / "receipt.json").exists():
                self._fetch()
            data = (self.folder / "receipt.json").read_bytes()
            key = self._kept.ticket.marketplace_key
            self._receipt = Receipt(data, marketplace_key=key, folder=self.folder)
        return self._receipt

    def _fetch(self) -> None:
        standing = self.standing()
        if not standing.ended:
            raise OrderPending(
                "ORDER_PENDING",
                f"order {self.id} is {standing}; open it when it is released",
                {"field": "state", "limit": "released", "value": standing.state},
            )
        self._ended(standing)
        ticket = self._kept.ticket
        opened = self._online().connection.open(ticket)
        for name in opened.files:
            data = opened.file(name)
            if data is not None:
                put(self.folder / name, data, secret=True)
        receipt = Receipt(
            opened.receipt, marketplace_key=ticket.marketplace_key, folder=self.folder
        )
        receipt.verify()
        receipt.save(self.folder / "receipt.json")
        kept = {
            "order": ticket.order_id,
            "outputs": json.loads(ticket.decode(opened.values)),
        }
        put(self.folder / "result.json", json.dumps(kept).encode(), secret=True)
        self._receipt = None

    def _read(self) -> Result:
        """From the folder: the receipt first, then the integers, held to the program."""
        self.receipt().verify()
        if self.receipt().facts()["order"] != self.id:
            raise KeyringError(
                "RESULT_FILE", f"{self.folder}: receipt.json is of another order than its ticket"
            )
        file = self.folder / "result.json"
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            integers = [[int(x) for x in o["integers"]] for o in kept["outputs"]]
        except (ValueError, KeyError, TypeError) as e:
            raise KeyringError("RESULT_FILE", f"{file}: {e}", {"field": "path"}) from None
        outputs = json.loads(self._kept.ticket.decode(integers))
        return Result(outputs, self._kept.note, str(self.folder))

    def _online(self) -> Market:
        if self._market is None:
            raise OrderPending(
                "NO_MARKET", "this order was loaded without a market: use market.order(folder)"
            )
        return self._market

    def __repr__(self) -> str:
        return f"Order({self.id or 'not placed'}, {self.folder})"
