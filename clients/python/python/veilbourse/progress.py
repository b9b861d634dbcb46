"""How far an order is, on standard error: with tqdm where it is installed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

__all__ = ["Standing", "bar"]

#: Where each state of an order begins, per mille of the whole.
_BEGINS = {
    "funded": 0,
    "leased": 30,
    "evaluated": 850,
    "verified": 880,
    "opening": 900,
    "released": 1000,
    "refunded": 1000,
}


@dataclass(frozen=True)
class Standing:
    """Where an order stands."""

    #: funded, leased, evaluated, verified, opening, released or refunded.
    state: str
    #: What the pod is doing.
    stage: str = ""
    #: Of the pod's work.
    per_mille: int = 0
    #: Why it was refunded.
    reason: str | None = None
    detail: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("released", "refunded")

    @property
    def whole(self) -> int:
        """Per mille of the whole order, roughly."""
        begin = _BEGINS.get(self.state, 0)
        if self.state != "leased":
            return begin
        return begin + (_BEGINS["evaluated"] - begin) * min(max(self.per_mille, 0), 1000) // 1000

    def __str__(self) -> str:
        # The pod's last stage stays known when it is done.
        working = self.stage and self.state == "leased"
        return f"{self.state} ({self.stage})" if working else self.state


class Bar(Protocol):
    """What shows progress."""

    def show(self, standing: Standing) -> None:
        """Shows where the order stands now."""

    def close(self) -> None:
        """Ends the display."""


class Silent:
    """No display."""

    def show(self, standing: Standing) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Told:
    """A function of the caller's."""

    def __init__(self, tell: Callable[[Standing], Any]) -> None:
        self._tell = tell

    def show(self, standing: Standing) -> None:
        """Calls it."""
        self._tell(standing)

    def close(self) -> None:
        """Nothing."""


class Plain:
    """A bar of our own; where nobody looks at a terminal, a line a change."""

    WIDTH = 28

    def __init__(self, name: str, out: TextIO | None = None) -> None:
        self._name = name
        self._out = out if out is not None else sys.stderr
        self._live = self._out.isatty()
        self._began = time.monotonic()
        self._last = ""

    def show(self, standing: Standing) -> None:
        """Draws, or prints what changed."""
        said = _printable(str(standing))
        if not self._live:
            if said != self._last:
                print(f"{self._name}: {said}", file=self._out, flush=True)
            self._last = said
            return
        full = standing.whole * self.WIDTH // 1000
        blocks = "█" * full + "░" * (self.WIDTH - full)
        seconds = time.monotonic() - self._began
        line = f"{self._name} {blocks} {standing.whole / 10:5.1f} % {seconds:5.0f} s  {said}"
        self._out.write(f"\r\x1b[2K{line[:118]}")
        self._out.flush()

    def close(self) -> None:
        """Ends the line."""
        if self._live:
            self._out.write("\n")
            self._out.flush()


class Tqdm:
    """The same by tqdm."""

    def __init__(self, name: str) -> None:
        from tqdm.auto import tqdm

        self._bar = tqdm(total=1000, desc=name, unit="‰", leave=True)

    def show(self, standing: Standing) -> None:
        """Moves it: never back, where a pod begins again."""
        self._bar.update(max(0, standing.whole - int(self._bar.n)))
        self._bar.set_postfix_str(_printable(str(standing)))

    def close(self) -> None:
        """Ends it."""
        self._bar.close()


def bar(progress: bool | Callable[[Standing], Any], name: str) -> Bar:
    """What the caller asked for."""
    if callable(progress):
        return Told(progress)
    if not progress:
        return Silent()
    try:
        return Tqdm(name)
    except ImportError:
        return Plain(name)


def _printable(text: str) -> str:
    """Words of a server move no cursor."""
    return "".join(c if c.isprintable() else "�" for c in text)
