"""Receipts: proof of everything, checked with no server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _core
from .errors import ArgumentError
from .files import put
from .money import Money

__all__ = ["Receipt", "Report"]


@dataclass(frozen=True)
class Report:
    """What a receipt shows: what was proven, what is attested, what is assumed."""

    order: str
    #: The marketplace's id; whether it is the one expected.
    marketplace: str
    marketplace_expected: bool
    dataset: str
    name: str
    outputs: int
    values: int
    #: ``proven``.
    evaluation: str
    #: ``committee-attested`` or ``custodian-attested``.
    decryption: str
    #: Class and noise of a committee's tickets.
    tickets: str | None
    #: Whether the result's files were held to the receipt.
    result_checked: bool
    #: ``dev``, ``ceremony ...``, or ``none needed``.
    srs: str
    price: Money
    custodian_key: str | None
    buyer_key: str | None
    node_keys: tuple[str, ...]
    proven: tuple[str, ...]
    attested: tuple[str, ...]
    assumed: tuple[str, ...]
    #: The whole report for people.
    text: str

    @classmethod
    def of(cls, r: dict[str, Any], text: str) -> Report:
        """From the verifier's JSON."""
        return cls(
            order=r["order"],
            marketplace=r["marketplace"],
            marketplace_expected=bool(r["marketplace_expected"]),
            dataset=r["dataset"],
            name=r["name"],
            outputs=int(r["outputs"]),
            values=int(r["values"]),
            evaluation=r["evaluation"],
            decryption=r["decryption"],
            tickets=r["tickets"],
            result_checked=bool(r["result_checked"]),
            srs=r["srs"],
            price=Money(int(r["price"])),
            custodian_key=r["custodian_key"],
            buyer_key=r["buyer_key"],
            node_keys=tuple(r["node_keys"]),
            proven=tuple(r["proven"]),
            attested=tuple(r["attested"]),
            assumed=tuple(r["assumed"]),
            text=text,
        )

    def __str__(self) -> str:
        return self.text


class Receipt:
    """A receipt's bytes, from an order or a file."""

    def __init__(
        self,
        data: bytes,
        *,
        marketplace_key: str | None = None,
        folder: str | Path | None = None,
    ) -> None:
        #: The file as it is.
        self.data = bytes(data)
        self._key = marketplace_key
        self._folder = None if folder is None else Path(folder)

    @classmethod
    def load(cls, path: str | Path) -> Receipt:
        """Reads a file."""
        return cls(Path(path).read_bytes())

    def verify(
        self,
        marketplace_key: str | None = None,
        *,
        marketplace: str | None = None,
        result: str | Path | None = None,
        srs: str | Path | bytes | None = None,
    ) -> Report:
        """Checks every signature, link and proof; raises :class:`ReceiptRefused` with the
        first rule that fails.

        ``marketplace_key`` is the key that you trust (an order's receipt knows the
        one pinned), or ``marketplace`` its id. Without either, whoever signed is
        reported and ``marketplace_expected`` is false. ``result`` is the folder with a
        result's files, which are held to the receipt; ``srs`` the reference string
        (a path or its bytes), from which the verifying keys are recomputed.
        """
        key = marketplace_key if marketplace_key is not None else self._key
        if marketplace is None and key is not None:
            marketplace = _core.marketplace_id(key)
        elif marketplace_key is not None and marketplace != _core.marketplace_id(marketplace_key):
            raise ArgumentError(
                "ARGUMENT", "marketplace is not the id of marketplace_key", {"field": "marketplace"}
            )
        reference = None
        if srs is not None:
            reference = srs if isinstance(srs, bytes) else Path(srs).read_bytes()
        folder = self._folder if result is None else Path(result)
        report, text = _core.verify_receipt(
            self.data, marketplace, None if folder is None else str(folder), reference
        )
        return Report.of(json.loads(report), text)

    def facts(self) -> dict[str, Any]:
        """What it says of itself, unchecked: which order, which marketplace's key."""
        found: dict[str, Any] = json.loads(_core.receipt_facts(self.data))
        return found

    def save(self, path: str | Path) -> Path:
        """Writes the file, whole or not at all; its path."""
        target = Path(path)
        put(target, self.data, secret=False)
        return target

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"Receipt({len(self.data)} bytes)"
