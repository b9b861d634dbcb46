"""What a buyer keeps: the signing key, pinned marketplaces, and the orders' tickets.

The files are those of the command line, so that both can work in one folder:
``buyer.key`` (64 hex digits), ``marketplaces.json``, ``orders/DIGEST/ticket.json``.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _core
from .errors import KeyringError, MarketplaceKeyChanged
from .files import make_folder, put, put_new, read_secret

__all__ = ["KeptOrder", "Keyring"]


@dataclass(frozen=True)
class KeptOrder:
    """An order's folder."""

    folder: Path
    ticket: _core.Ticket
    #: What was asked, where this package ordered it.
    note: dict[str, Any]

    def write_ticket(self, ticket: _core.Ticket) -> KeptOrder:
        """Keeps the ticket in place of the older one."""
        put(self.folder / "ticket.json", ticket.to_json().encode(), secret=True)
        return KeptOrder(self.folder, ticket, self.note)


class Keyring:
    """A folder with secrets (files of mode 0600) that nobody can replace: keep copies.

    ``buyer.key`` spends the account's money. ``orders/*/ticket.json`` is the only key
    that opens an order's result; it is written before the order is placed, so that a
    crash at any moment loses nothing.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()
        self._signing: _core.SigningKey | None = None

    @classmethod
    def default(cls) -> Keyring:
        """``$VEILBOURSE_HOME``, or ``~/.veilbourse``."""
        return cls(os.environ.get("VEILBOURSE_HOME") or Path("~/.veilbourse"))

    @property
    def key_file(self) -> Path:
        """The signing key's file."""
        return self.folder / "buyer.key"

    @property
    def pins_file(self) -> Path:
        """The pinned marketplaces' file."""
        return self.folder / "marketplaces.json"

    def signing_key(self) -> _core.SigningKey:
        """The signing key; made at first use."""
        if self._signing is None:
            if not self.key_file.exists():
                make_folder(self.folder)
                fresh = _core.SigningKey.generate()
                # Another process may have been faster: its key stays.
                with contextlib.suppress(FileExistsError):
                    put_new(self.key_file, fresh.secret_hex().encode())
            try:
                self._signing = _core.SigningKey.from_hex(read_secret(self.key_file))
            except KeyringError as e:
                if e.code != "KEY_FILE":
                    raise
                raise KeyringError("KEY_FILE", f"{self.key_file}: {e.message}") from None
        return self._signing

    def pins(self) -> dict[str, str]:
        """Pinned keys, by server."""
        if not self.pins_file.exists():
            return {}
        try:
            read = json.loads(self.pins_file.read_text(encoding="utf-8"))
        except ValueError as e:
            raise KeyringError("PINS_FILE", f"{self.pins_file}: {e}") from None
        if not isinstance(read, dict) or not all(isinstance(v, str) for v in read.values()):
            raise KeyringError("PINS_FILE", f"{self.pins_file}: expected keys by server")
        return {str(k): v for k, v in read.items()}

    def held(self, url: str, shown: str, told: str | None = None) -> str:
        """The marketplace's key: as pinned, as told, or pinned at first sight. A server
        that shows another one is refused before anything is signed."""
        with self._locked():
            pins = self.pins()
            known = pins.get(url)
            for source, key in ((f"{self.pins_file} holds", known), ("marketplace_key is", told)):
                if key is not None and key != shown:
                    raise MarketplaceKeyChanged(
                        "MARKETPLACE_KEY",
                        f"{source} {key}, the server now shows {shown}. Nothing was signed. Ask "
                        "the operator, by another way than this server, which one is right",
                        {"field": "marketplace key", "limit": key, "value": shown},
                    )
            if known is None:
                pins[url] = shown
                text = json.dumps(pins, indent=2, sort_keys=True)
                put(self.pins_file, text.encode(), secret=True)
        return shown

    def keep(self, ticket: _core.Ticket, note: dict[str, Any]) -> KeptOrder:
        """Writes an order down, durably, before it is placed."""
        folder = self.folder / "orders" / ticket.digest()[:16]
        make_folder(folder)
        text = json.dumps(note, sort_keys=True)
        put(folder / "query.json", text.encode(), secret=True)
        return KeptOrder(folder, ticket, note).write_ticket(ticket)

    def orders(self) -> list[KeptOrder]:
        """Every order kept, oldest first. Orders of the command line are among them,
        joint ones (``joint.json``) are not."""
        place = self.folder / "orders"
        folders = [f for f in place.iterdir() if f.is_dir()] if place.is_dir() else []
        kept = [read_kept(f) for f in folders if (f / "ticket.json").exists()]
        return sorted(kept, key=lambda k: (k.ticket.deadline, k.folder.name))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time, where the system has locks."""
        make_folder(self.folder)
        try:
            import fcntl
        except ImportError:
            yield
            return
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def __repr__(self) -> str:
        return f"Keyring({str(self.folder)!r})"


def read_kept(folder: str | Path) -> KeptOrder:
    """Reads an order's folder."""
    place = Path(folder)
    try:
        ticket = _core.Ticket.from_json(read_secret(place / "ticket.json"))
    except FileNotFoundError:
        raise KeyringError(
            "TICKET_FILE", f"{place}: holds no ticket.json", {"field": "path", "value": str(place)}
        ) from None
    except KeyringError as e:
        raise KeyringError(e.code, f"{place / 'ticket.json'}: {e.message}", e.details) from None
    note: dict[str, Any] = {}
    beside = place / "query.json"
    if beside.exists():
        try:
            note = json.loads(beside.read_text(encoding="utf-8"))
        except ValueError as e:
            raise KeyringError("QUERY_FILE", f"{beside}: {e}") from None
    return KeptOrder(place, ticket, note)
