"""Waiting for an order, with a market that answers as it is told."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from veilbourse import (
    ConnectionFailed,
    KeptOrder,
    Order,
    OrderPending,
    OrderRefunded,
    RateLimited,
    Standing,
    WaitTimeout,
)
from veilbourse import order as module


class Answers:
    """Standings, one after the other; the last again and again."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def standing(self, _: object) -> str:
        next_one = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(next_one, Exception):
            raise next_one
        return json.dumps({"stage": "", "per_mille": 0, "reason": None, "detail": None, **next_one})


def order(tmp_path: Path, *answers: Any) -> Order:
    ticket: Any = SimpleNamespace(order_id="0190", listing="l", price=1, deadline=1)
    market: Any = SimpleNamespace(connection=Answers(*answers))
    return Order(market, KeptOrder(tmp_path, ticket, {}))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_LOOK", 0.001)
    monkeypatch.setattr(module, "LONGEST_LOOK", 0.002)


def test_each_change_is_told(tmp_path: Path) -> None:
    seen: list[Standing] = []
    leased = {"state": "leased", "stage": "proving", "per_mille": 500}
    o = order(tmp_path, {"state": "funded"}, leased, leased, {"state": "released"})
    assert o.wait(progress=seen.append) is o
    assert [s.state for s in seen] == ["funded", "leased", "released"]
    assert seen[1] == Standing("leased", "proving", 500)


def test_a_refund_is_an_exception(tmp_path: Path) -> None:
    refunded = {"state": "refunded", "reason": "rejected", "detail": "FRI"}
    with pytest.raises(OrderRefunded) as e:
        order(tmp_path, {"state": "leased"}, refunded).wait(progress=False)
    assert (e.value.reason, e.value.detail) == ("rejected", "FRI")
    with pytest.raises(OrderRefunded):
        order(tmp_path, refunded).result()


def test_waiting_ends_in_time(tmp_path: Path) -> None:
    with pytest.raises(WaitTimeout) as e:
        order(tmp_path, {"state": "leased"}).wait(progress=False, timeout=0.05)
    assert e.value.code == "ORDER_PENDING"
    with pytest.raises(OrderPending) as p:
        order(tmp_path, {"state": "opening"}).result()
    assert (p.value.limit, p.value.value) == ("released", "opening")


def test_a_server_that_comes_back_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = ConnectionFailed("TRANSPORT", "connection refused")
    slow = RateLimited("RATE_LIMITED", "slow down", {"retryAfterSeconds": "0.001"})
    o = order(tmp_path, {"state": "funded"}, away, slow, away, {"state": "released"})
    assert o.wait(progress=False) is o
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with pytest.raises(ConnectionFailed):
        order(tmp_path, {"state": "funded"}, away).wait(progress=False)
