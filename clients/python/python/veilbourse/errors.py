"""What can go wrong, by stable code, with field, limit and value where they apply.

A server's refusal has the code that its guide lists (``RATE_LIMITED``,
``QUOTA_EXCEEDED``, ...); a check of this side has one of its own
(``RECEIPT_REFUSED``, ``RESULT_MASK_SHARE``, ...). Catch the class for a family,
compare ``code`` for one case.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = [
    "ArgumentError",
    "ConnectionFailed",
    "Forbidden",
    "InsecureConnection",
    "InsufficientFunds",
    "KeyringError",
    "MarketplaceKeyChanged",
    "ModelRefused",
    "NotFound",
    "OrderPending",
    "OrderRefunded",
    "PriceTooHigh",
    "QuoteRefused",
    "RateLimited",
    "ReceiptRefused",
    "Refused",
    "ResultRefused",
    "ServerError",
    "Unauthenticated",
    "VeilbourseError",
    "WaitTimeout",
]


class InsecureConnection(UserWarning):
    """Plain HTTP to another machine: passwords and keys can be read on the way."""


class VeilbourseError(Exception):
    """Any failure of this package."""

    def __init__(self, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        #: Stable code, for programs.
        self.code = code
        #: The sentence, for people.
        self.message = message
        #: Everything else that is known.
        self.details: dict[str, Any] = details or {}

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.code, self.message, self.details))

    @property
    def field(self) -> str | None:
        """Which field or part, where there is one."""
        found = self.details.get("field")
        return None if found is None else str(found)

    @property
    def limit(self) -> int | str | None:
        """What was allowed or expected."""
        return _number(self.details.get("limit"))

    @property
    def value(self) -> int | str | None:
        """What was found."""
        return _number(self.details.get("value"))

    def __str__(self) -> str:
        suffix = f"[{self.code}]"
        return self.message if self.message.endswith(suffix) else f"{self.message} {suffix}"


class ArgumentError(VeilbourseError, ValueError):
    """An argument that cannot be meant."""


class ConnectionFailed(VeilbourseError):
    """The server could not be reached, or its answer could not be read."""


class ServerError(VeilbourseError):
    """The server refused; ``code`` is in the partner's guide."""

    @property
    def status(self) -> int | None:
        """The HTTP status that goes with the code."""
        found = self.details.get("status")
        return found if isinstance(found, int) else None

    @property
    def operation(self) -> str:
        """What was asked for."""
        return str(self.details.get("operation", ""))


class NotFound(ServerError):
    """It does not exist, or belongs to somebody else."""


class Unauthenticated(ServerError):
    """Nobody is signed in, or as somebody else than one thinks."""


class Forbidden(ServerError):
    """The account's roles, or the API key's scopes, do not allow it."""


class InsufficientFunds(ServerError):
    """The balance is below the price."""


class RateLimited(ServerError):
    """Too many requests, or too long a queue."""

    @property
    def retry_after(self) -> float:
        """Seconds to wait."""
        try:
            return float(self.details.get("retryAfterSeconds", 1))
        except (TypeError, ValueError):
            return 1.0


class Refused(VeilbourseError):
    """A check of this side does not hold: nothing was signed, or nothing is shown."""


class ModelRefused(Refused):
    """The model or query does not fit the listing."""


class QuoteRefused(Refused):
    """The quote is not what was asked for, or not signed by the pinned marketplace."""


class ResultRefused(Refused):
    """What was opened is none of this order's; a node that lied is in ``details``."""


class ReceiptRefused(Refused):
    """The receipt does not hold."""

    @property
    def rule(self) -> str | None:
        """The first rule of the specification that failed."""
        found = self.details.get("rule")
        return None if found is None else str(found)


class MarketplaceKeyChanged(Refused):
    """The server shows another key than the one pinned, or told."""


class PriceTooHigh(Refused):
    """The price is above the limit given."""


class KeyringError(VeilbourseError):
    """A file of the keyring is missing, damaged, or readable by others."""


class OrderPending(VeilbourseError):
    """The order has not ended yet."""


class WaitTimeout(OrderPending, TimeoutError):
    """The order did not end in the time that was given to wait."""


class OrderRefunded(VeilbourseError):
    """The order was refunded: nothing was paid, nothing opened."""

    @property
    def reason(self) -> str:
        """``rejected``, ``expired`` or ``undeliverable``."""
        return str(self.details.get("reason", ""))

    @property
    def detail(self) -> str:
        """The rule or cause behind it."""
        return str(self.details.get("detail", ""))


_SERVER: dict[str, type[ServerError]] = {
    "NOT_FOUND": NotFound,
    "NO_ROUTE": NotFound,
    "UNAUTHENTICATED": Unauthenticated,
    "TOKEN_INVALID": Unauthenticated,
    "TOKEN_REUSED": Unauthenticated,
    "WRONG_CREDENTIALS": Unauthenticated,
    "SECOND_FACTOR_NEEDED": Unauthenticated,
    "SECOND_FACTOR_WRONG": Unauthenticated,
    "FORBIDDEN": Forbidden,
    "INSUFFICIENT_FUNDS": InsufficientFunds,
    "RATE_LIMITED": RateLimited,
    "QUEUE_FULL": RateLimited,
}

_REFUSED: dict[str, type[Refused]] = {
    "MODEL_REFUSED": ModelRefused,
    "BUDGET_REFUSED": ModelRefused,
    "COLUMN_REFUSED": ModelRefused,
    "SEGMENT_REFUSED": ModelRefused,
    "QUOTE_REFUSED": QuoteRefused,
    "CLASS_REFUSED": QuoteRefused,
    "POLICY_REFUSED": QuoteRefused,
    "RECEIPT_REFUSED": ReceiptRefused,
}


def _number(found: Any) -> int | str | None:
    if found is None or isinstance(found, int):
        return found
    text = str(found)
    return int(text) if text.lstrip("-").isdigit() and text.isascii() else text


def failure(kind: str, code: str, message: str, details: str) -> VeilbourseError:
    """The exception for a failure of the native part, which calls this."""
    known: dict[str, Any] = json.loads(details)
    if kind == "server":
        status = known.get("status")
        of_status: type[ServerError] = {401: Unauthenticated, 403: Forbidden, 404: NotFound}.get(
            status if isinstance(status, int) else 0, ServerError
        )
        return _SERVER.get(code, of_status)(code, message, known)
    if kind == "connection":
        return ConnectionFailed(code, message, known)
    if kind == "refused":
        if code.startswith("RESULT_"):
            return ResultRefused(code, message, known)
        return _REFUSED.get(code, Refused)(code, message, known)
    if code in ("KEY_FILE", "TICKET_FILE"):
        return KeyringError(code, message, known)
    if code == "NOT_PLACED":
        return OrderPending(code, message, known)
    if code == "ARGUMENT":
        return ArgumentError(code, message, known)
    return VeilbourseError(code, message, known)
