from decimal import Decimal
from typing import Any

import pytest

from veilbourse import ArgumentError, Money


def test_money_is_whole_minor_units() -> None:
    assert Money.of("25.50") == Money.of(Decimal("25.5")) == Money(2550)
    assert Money.of(25).credits == Decimal(25)
    assert Money.of(Money(7)) == Money(7)
    assert str(Money(2505)) == "25.05"
    assert str(Money(-5)) == "-0.05"
    assert Money(1) + Money(2) == Money(3)
    assert Money(1) < Money(2)


@pytest.mark.parametrize("bad", ["", "x", "1.234", "nan", "inf", 1.5, True, None])
def test_what_is_no_amount_is_refused(bad: Any) -> None:
    with pytest.raises(ArgumentError) as e:
        Money.of(bad)
    assert e.value.code == "ARGUMENT"
    assert e.value.field == "amount"
