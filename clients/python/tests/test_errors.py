import json
import pickle

import pytest

from veilbourse import errors
from veilbourse.errors import failure


@pytest.mark.parametrize(
    ("kind", "code", "details", "expected"),
    [
        ("server", "NOT_FOUND", {"status": 404}, errors.NotFound),
        ("server", "TOKEN_INVALID", {}, errors.Unauthenticated),
        ("server", "SECOND_FACTOR_NEEDED", {}, errors.Unauthenticated),
        ("server", "SIGNING_KEY_UNKNOWN", {"status": 403}, errors.Forbidden),
        ("server", "MAIL_UNVERIFIED", {"status": 403}, errors.Forbidden),
        ("server", "QUOTA_EXCEEDED", {"status": 409}, errors.ServerError),
        ("server", "QUEUE_FULL", {"status": 503}, errors.RateLimited),
        ("server", "INSUFFICIENT_FUNDS", {"status": 402}, errors.InsufficientFunds),
        ("connection", "TIMEOUT", {}, errors.ConnectionFailed),
        ("refused", "MODEL_REFUSED", {}, errors.ModelRefused),
        ("refused", "BUDGET_REFUSED", {}, errors.ModelRefused),
        ("refused", "QUOTE_REFUSED", {}, errors.QuoteRefused),
        ("refused", "RESULT_MASK_SHARE", {}, errors.ResultRefused),
        ("refused", "RECEIPT_REFUSED", {}, errors.ReceiptRefused),
        ("refused", "MANIFEST_REFUSED", {}, errors.Refused),
        ("local", "KEY_FILE", {}, errors.KeyringError),
        ("local", "NOT_PLACED", {}, errors.OrderPending),
        ("local", "ARGUMENT", {}, errors.ArgumentError),
        ("local", "FORKED", {}, errors.VeilbourseError),
    ],
)
def test_a_code_has_its_class(
    kind: str, code: str, details: dict[str, object], expected: type[Exception]
) -> None:
    e = failure(kind, code, "a sentence", json.dumps(details))
    assert type(e) is expected
    assert e.code == code
    assert str(e) == f"a sentence [{code}]"


def test_field_limit_and_value() -> None:
    said = {"status": 413, "field": "program", "limit": "10", "value": "-11", "operation": "quote"}
    e = failure("server", "TOO_LARGE", "quote: too large [TOO_LARGE]", json.dumps(said))
    assert isinstance(e, errors.ServerError)
    assert (e.field, e.limit, e.value) == ("program", 10, -11)
    assert (e.status, e.operation) == (413, "quote")
    assert str(e) == "quote: too large [TOO_LARGE]"
    bare = failure("server", "CONFLICT", "again", "{}")
    assert (bare.field, bare.limit, bare.value) == (None, None, None)


def test_how_long_to_wait() -> None:
    e = failure("server", "RATE_LIMITED", "x", '{"retryAfterSeconds": "7"}')
    assert isinstance(e, errors.RateLimited)
    assert e.retry_after == 7.0
    assert errors.RateLimited("RATE_LIMITED", "x", {"retryAfterSeconds": "soon"}).retry_after == 1.0


def test_a_receipts_rule() -> None:
    e = failure("refused", "RECEIPT_REFUSED", "no", '{"rule": "DOC-1"}')
    assert isinstance(e, errors.ReceiptRefused)
    assert e.rule == "DOC-1"


def test_exceptions_travel_between_processes() -> None:
    e = errors.WaitTimeout("ORDER_PENDING", "not yet", {"limit": 3})
    assert isinstance(e, TimeoutError)
    again = pickle.loads(pickle.dumps(e))
    assert type(again) is errors.WaitTimeout
    assert (again.code, again.message, again.limit) == ("ORDER_PENDING", "not yet", 3)
    assert isinstance(errors.ArgumentError("ARGUMENT", "x"), ValueError)
