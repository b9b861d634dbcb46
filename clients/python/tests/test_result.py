import io
import math
import random
from typing import Any

import pytest

from veilbourse import ArgumentError, Result, ResultRefused, Standing, Value
from veilbourse.progress import Plain, Silent, Told, bar
from veilbourse.result import table, variance_of


def output(label: str, value: float, **more: Any) -> dict[str, Any]:
    found = {
        "label": label,
        "vector": 0,
        "kind": "mean",
        "chunk": None,
        "segment": "plan = 0",
        "rows": 100,
        "values": [value],
        "integers": ["0"],
        "noise_deviation": 0.0,
        "noise_within_95": 0.0,
        "weight_error": 0.0,
    }
    return {**found, **more}


def note(*statistics: list[str], **more: Any) -> dict[str, Any]:
    return {"kind": "statistics", "statistics": list(statistics), **more}


def test_statistics_are_read_from_sums() -> None:
    outputs = [
        output("sum of visits", 3.0, noise_deviation=0.1, noise_within_95=0.2),
        output("sum of visits^2", 13.0, vector=1, noise_deviation=0.3, noise_within_95=0.6),
        output("sum of sex=f", 0.25, vector=2),
    ]
    asked = note(
        ["mean", "visits"],
        ["sum", "visits"],
        ["variance", "visits"],
        ["count", "sex=f"],
        data_error=[0.125, 1.0, 0.0],
    )
    r = Result(outputs, asked)
    mean = r.one("mean", "visits")
    assert (mean.value, mean.rows, float(mean)) == (3.0, 100, 3.0)
    assert mean.error_bar == pytest.approx(0.2 + 0.125)
    assert (mean.low, mean.high) == pytest.approx((2.675, 3.325))
    total = r.one("sum")
    assert total.value == pytest.approx(300.0)
    assert total.error_bar == pytest.approx(100 * mean.error_bar)
    assert r.one("count").value == pytest.approx(25.0)
    variance = r.one("variance")
    assert variance.value == pytest.approx(4.0)
    assert variance.rounding == pytest.approx(1.0 + 2 * 3 * 0.125 + 0.125**2)
    assert len(r) == 4
    assert r.to_dicts()[0]["error_bar"] == mean.error_bar
    frame = r.to_pandas()
    assert list(frame["statistic"]) == ["mean", "sum", "variance", "count"]
    assert "variance" in str(r)
    with pytest.raises(ArgumentError):
        r.one(column="visits")


def test_the_noise_of_a_variance_is_that_of_its_moments() -> None:
    draw = random.Random(1)
    mean = Value("mean", "x", "s", 9, 0.7, noise_deviation=0.5)
    second = Value("mean", "x^2", "s", 9, 2.0, noise_deviation=0.3)
    said = variance_of(mean, second).noise_deviation
    draws = [draw.gauss(2.0, 0.3) - draw.gauss(0.7, 0.5) ** 2 for _ in range(100_000)]
    centre = math.fsum(draws) / len(draws)
    spread = math.sqrt(math.fsum((d - centre) ** 2 for d in draws) / len(draws))
    assert spread == pytest.approx(said, rel=0.02)


def test_what_the_order_did_not_open_is_said() -> None:
    with pytest.raises(ResultRefused) as e:
        Result([output("sum of age", 1.0)], note(["mean", "visits"]))
    assert (e.value.code, e.value.value) == ("RESULT_OUTPUTS", "visits")


def test_scores_are_rows() -> None:
    asked = {"kind": "logistic", "data_error": [0.01]}
    more: dict[str, Any] = {"kind": "scores", "weight_error": 0.02}
    outputs = [
        output("prediction", 0.0, chunk=0, values=[0.0, 800.0], **more),
        output("prediction", 0.0, chunk=1, values=[-800.0], **more),
    ]
    r = Result(outputs, asked)
    assert [(v.row, v.rows, v.value) for v in r] == [(0, 1, 0.0), (1, 1, 800.0), (4096, 1, -800.0)]
    assert r.values[0].error_bar == pytest.approx(0.03)
    p = r.probabilities()
    assert [v.value for v in p] == pytest.approx([0.5, 1.0, 0.0])
    assert p[0].error_bar == pytest.approx(0.03 / 4, rel=0.01)
    mean = Result([output("prediction", 0.0)], {"kind": "logistic"})
    assert mean.values[0].statistic == "mean score"
    with pytest.raises(ArgumentError):
        mean.probabilities()


def test_an_order_of_the_command_line_can_be_read() -> None:
    r = Result([output("sum of age", 41.0), output("prediction", 2.0)], {})
    assert [(v.statistic, v.column) for v in r] == [("mean", "age"), ("mean score", "prediction")]


def test_a_servers_words_move_no_cursor() -> None:
    text = table(("a",), [("x\x1b[2J\ny",)])
    assert "\x1b" not in text
    assert len(text.splitlines()) == 3
    out = io.StringIO()
    shown = Plain("order", out)
    for s in (Standing("leased", "proving\x1b[2J"), Standing("leased", "proving\x1b[2J")):
        shown.show(s)
    shown.close()
    assert out.getvalue() == "order: leased (proving�[2J)\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_moves_forward() -> None:
    states = ["funded", "leased", "evaluated", "verified", "opening", "released"]
    whole = [Standing(s).whole for s in states]
    assert whole == sorted(whole)
    assert Standing("leased", "", 500).whole == 440
    assert [Standing(s).ended for s in states] == [False] * 5 + [True]
    assert str(Standing("released", "done")) == "released"
    out = Terminal()
    plain = Plain("order", out)
    plain.show(Standing("leased", "proving", 500))
    plain.close()
    assert "44.0 %" in out.getvalue()
    assert isinstance(bar(False, "x"), Silent)
    seen: list[Standing] = []
    told = bar(seen.append, "x")
    assert isinstance(told, Told)
    told.show(Standing("funded"))
    assert seen == [Standing("funded")]
