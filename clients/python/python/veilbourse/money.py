"""Money: whole minor units, 100 to a credit."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from .errors import ArgumentError

__all__ = ["Money"]


@dataclass(frozen=True, order=True)
class Money:
    """An amount in minor units; shown in credits."""

    minor: int

    @classmethod
    def of(cls, amount: Money | Decimal | str | int) -> Money:
        """From credits (``"25.50"``, ``Decimal("25.5")``, ``25``); floats are refused."""
        if isinstance(amount, Money):
            return amount
        if isinstance(amount, bool) or not isinstance(amount, (Decimal, str, int)):
            raise ArgumentError(
                "ARGUMENT",
                f"amount {amount!r}: expected credits as text, Decimal or int",
                {"field": "amount", "value": repr(amount)},
            )
        try:
            minor = Decimal(amount) * 100
            whole = minor.is_finite() and minor == minor.to_integral_value()
        except InvalidOperation:
            whole = False
        if not whole:
            raise ArgumentError(
                "ARGUMENT",
                f"amount {amount!r}: expected credits with at most two decimals",
                {"field": "amount", "value": str(amount)},
            )
        return cls(int(minor))

    @property
    def credits(self) -> Decimal:
        """The amount in credits."""
        return Decimal(self.minor) / 100

    def __str__(self) -> str:
        sign = "-" if self.minor < 0 else ""
        return f"{sign}{abs(self.minor) // 100}.{abs(self.minor) % 100:02d}"

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + other.minor)
