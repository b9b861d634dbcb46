"""The whole package against a whole marketplace, in processes of its own."""

from __future__ import annotations

import json
import math
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from veilbourse import (
    Forbidden,
    InsufficientFunds,
    Market,
    MarketplaceKeyChanged,
    Model,
    ModelRefused,
    Money,
    NotFound,
    Order,
    OrderPending,
    PriceTooHigh,
    Query,
    QuoteRefused,
    Receipt,
    ReceiptRefused,
    ServerError,
    Standing,
    Unauthenticated,
    Value,
)
from world import PASSWORD, ROOT, Actor, World, world

pytestmark = pytest.mark.market
FEATURES = ["age", "income", "sex=f"]


@pytest.fixture(scope="module")
def w() -> Iterator[World]:
    with world() as running:
        yield running


def signed_in(w: World, actor: Actor, **more: Any) -> Market:
    return Market(w.url, mail=actor.mail, password=PASSWORD, keyring=actor.folder, **more)


@pytest.fixture(scope="module")
def market(w: World) -> Market:
    return signed_in(w, w.buyer, marketplace_key=w.marketplace_key)


def of(w: World, segment: str) -> list[dict[str, Any]]:
    plan = float(segment.rsplit(" ", 1)[-1])
    return [r for r in w.rows if r["plan"] == plan]


def mean(rows: list[dict[str, Any]], column: str) -> float:
    return math.fsum(r[column] for r in rows) / len(rows)


def close(value: Value, expected: float) -> None:
    assert abs(value.value - expected) <= value.error_bar + 1e-9, (value, expected)


def test_the_catalogue_is_public(w: World, tmp_path: Path) -> None:
    market = Market(w.url, keyring=tmp_path)
    assert market.marketplace.id == w.marketplace
    assert market.marketplace_key == w.marketplace_key
    assert {x.id for x in market.listings()} == {w.listing, w.held_listing}
    [listing] = market.listings("visits")
    assert (listing.title, listing.description, listing.state) == ("Visits", "Made up", "published")
    assert (listing.price_order, listing.price_output) == (Money(2000), Money(250))
    names = [c.name for c in listing.schema.columns]
    assert names == ["visits", "age", "income", "sex=f", "sex=m", "visits^2"]
    assert sum(s.rows for s in listing.schema.segments) == listing.schema.rows == len(w.rows)
    policy = listing.policy
    assert policy is not None
    assert (policy.min_cohort, policy.openers.threshold) == (10, 2)
    assert set(policy.openers.nodes) == set(w.node_keys)
    assert {c.name for c in listing.ticket_classes} == {"exact", "private"}
    twin = listing.twin()
    assert len(twin) == len(w.rows)
    assert set(twin[0]) == {"plan", "visits", "age", "income", "sex"}
    assert isinstance(twin[0]["age"], float)
    assert isinstance(twin[0]["sex"], str)
    assert list(listing.twin_frame().columns) == list(twin[0])
    assert listing.twin_note()["synthetic"] is True
    with pytest.raises(NotFound):
        market.listing("01900000-0000-7000-8000-000000000001")
    with pytest.raises(Unauthenticated):
        market.balance()


def test_statistics_from_a_committee(w: World, market: Market) -> None:
    query = Query.mean("age") + Query.variance("visits") + Query.count("sex=f")
    listing = market.listing(w.listing)
    quote = market.quote(
        listing, query, pod=w.pod_key, nodes=list(reversed(w.node_keys)), ticket_class="exact"
    )
    # Two segments, four sums: age, visits, visits^2, sex=f.
    assert quote.values == 8
    assert quote.price.total == Money(2000 + 8 * 250)
    parts = quote.price.fee + quote.price.pod + quote.price.custodian
    assert parts == quote.price.total
    assert (quote.openers.custody, quote.ticket_class) == ("committee", "exact")
    assert all(o.noise_within_95 == 0.0 and o.rounding < 1000 for o in quote.outputs)
    assert not quote.expired
    text = str(quote)
    assert "any 2 of 3 key nodes" in text
    assert "who learns what" in text

    before = market.balance().available
    order = quote.order(max_price=40)
    ticket = order.folder / "ticket.json"
    assert stat.S_IMODE(ticket.stat().st_mode) == 0o600
    seen: list[Standing] = []
    result = order.wait(progress=seen.append, timeout=300).result()
    assert seen[-1].state == "released"
    assert before.minor - market.balance().posted.minor == 4000

    assert len(result) == 8
    for segment in ("plan = 0", "plan = 1"):
        rows = of(w, segment)
        age = result.one("mean", "age", segment)
        assert age.rows == len(rows)
        close(age, mean(rows, "age"))
        visits = [r["visits"] for r in rows]
        centre = math.fsum(visits) / len(visits)
        spread = math.fsum((v - centre) ** 2 for v in visits) / len(visits)
        close(result.one("variance", "visits", segment), spread)
        # Categories are exact.
        women = result.one("count", "sex=f", segment)
        assert women.value == pytest.approx(sum(r["sex=f"] for r in rows), abs=1e-6)
    assert len(result.to_pandas()) == 8

    receipt = order.receipt()
    report = receipt.verify(result=order.folder, srs=w.srs)
    assert report.marketplace == w.marketplace
    assert (report.marketplace_expected, report.result_checked) == (True, True)
    assert (report.evaluation, report.decryption) == ("proven", "committee-attested")
    assert (report.values, report.price) == (8, Money(4000))
    assert report.buyer_key == market.keyring.signing_key().public
    assert set(report.node_keys) < set(w.node_keys)
    assert "Proven (checked here)" in str(report)


def test_what_was_opened_is_read_again_without_a_server(w: World, market: Market) -> None:
    order = released(w, market)
    values = [v.value for v in order.result()]
    offline = Order.load(order.folder)
    assert [v.value for v in offline.result()] == values
    assert offline.receipt().verify().order == order.id
    assert [v.value for v in market.order(str(order.id)).result(refetch=True)] == values
    # The command line reads the same folder, and the receipt.
    said = w.buyer.does("buyer", "open", str(order.folder))
    opened = [v for o in said["result"]["outputs"] for v in o["values"]]
    assert opened[0] == pytest.approx(values[0])
    assert [v.value for v in Order.load(order.folder).result()] == values
    verified = w.buyer.does("verify", str(order.folder / "receipt.json"))
    assert verified["valid"] is True


def released(w: World, market: Market) -> Order:
    """An order that was opened before, or a cheap one."""
    for order in market.orders():
        if (order.folder / "receipt.json").exists() and order.listing_id == w.listing:
            return order
    quote = market.quote(w.listing, Query.mean("age", segments=["plan = 1"]))
    order = quote.order().wait(progress=False)
    order.result()
    return order


def test_a_receipt_that_was_changed_is_refused(w: World, market: Market, tmp_path: Path) -> None:
    good = released(w, market).receipt()
    path = good.save(tmp_path / "receipt.json")
    again = Receipt.load(path)
    assert again.data == good.data
    assert again.verify().marketplace_expected is False
    assert again.verify(w.marketplace_key).marketplace_expected is True
    assert again.facts()["marketplace_key"] == w.marketplace_key
    with pytest.raises(ReceiptRefused) as e:
        again.verify("ab" * 32)
    assert e.value.rule == "DOC-2"
    for old, new in ((b'"price":"', b'"price":"1'), (b'"rows":"', b'"rows":"1')):
        assert old in good.data
        with pytest.raises(ReceiptRefused) as e:
            Receipt(good.data.replace(old, new, 1)).verify()
        assert e.value.rule
    with pytest.raises(ReceiptRefused):
        Receipt(b"{}").verify()
    with pytest.raises(ReceiptRefused) as e:
        again.verify(result=tmp_path)
    assert e.value.rule == "FILE"


def test_a_pipeline_of_scikit_learn_with_hidden_weights(w: World, market: Market) -> None:
    x = [[r[c] for c in FEATURES] for r in w.rows]
    y = [r["visits"] for r in w.rows]
    fitted = make_pipeline(StandardScaler(), LinearRegression()).fit(x, y)
    query = Query.linear(fitted, private=True, columns=FEATURES, segments=["plan = 1"])
    quote = market.quote(w.listing, query, pod=w.pod_key)
    assert [o.private for o in quote.outputs] == [True]
    assert any("weights" in part for part in quote.private_parts)
    order = quote.order(max_price="50.00").wait(progress=True, timeout=600)
    [value] = order.result()
    assert value.statistic == "mean score"
    rows = of(w, "plan = 1")
    plain = float(fitted.predict([[r[c] for c in FEATURES] for r in rows]).mean())
    assert value.error_bar < 0.5
    close(value, plain)
    # Nothing kept beside the sealed model tells the weights.
    note = json.loads((order.folder / "query.json").read_text())
    assert set(note) == {"kind", "statistics", "rows", "private", "data_error", "quote"}
    assert order.receipt().verify().evaluation == "proven"


def test_noise_is_in_the_error_bar(w: World, market: Market) -> None:
    query = Query.mean("sex=f", segments=["plan = 0"])
    quote = market.quote(w.listing, query, ticket_class="private")
    [output] = quote.outputs
    assert output.noise_within_95 > output.noise_deviation > 0
    order = quote.order().wait(progress=False)
    [value] = order.result()
    assert value.noise_deviation == pytest.approx(output.noise_deviation)
    expected = mean(of(w, "plan = 0"), "sex=f")
    # Six deviations: once in 500 million runs.
    assert abs(value.value - expected) <= 6 * value.noise_deviation + value.rounding
    assert "private" in str(order.receipt().verify().tickets)


def test_a_score_for_each_row_in_custodian_held_custody(w: World, market: Market) -> None:
    x = [[r["age"], r["income"], r["plan"]] for r in w.rows]
    y = [r["visits"] > 5 for r in w.rows]
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    model = Model.from_sklearn(fitted, columns=["age", "income", "plan"])
    quote = market.quote(w.held_listing, Query.logistic(model, rows="each", private=False))
    assert quote.openers.custody == "custodian_held"
    assert quote.values == len(w.rows)
    order = quote.order().wait(progress=False)
    result = order.result()
    assert len(result) == len(w.rows)
    for value, row in zip(result, w.rows, strict=True):
        close(value, model.score(row))
    chances = result.probabilities()
    assert all(0.0 <= v.value <= 1.0 for v in chances)
    report = order.receipt().verify(result=order.folder)
    assert (report.decryption, report.result_checked) == ("custodian-attested", True)


def test_refusals_come_before_anything_is_signed(w: World, market: Market) -> None:
    kept = len(market.keyring.orders())
    listing = market.listing(w.listing)
    mean_age = Query.mean("age", segments=["plan = 1"])
    quote = market.quote(listing, mean_age)
    with pytest.raises(PriceTooHigh) as p:
        quote.order(max_price="22.49")
    assert (p.value.limit, p.value.value) == (2249, 2250)
    with pytest.raises(QuoteRefused):
        market.quote(listing, mean_age, pod=w.node_keys[0])
    with pytest.raises(QuoteRefused):
        market.quote(listing, mean_age, nodes=w.node_keys[:2])
    with pytest.raises(QuoteRefused) as c:
        market.quote(listing, mean_age, ticket_class="none")
    assert c.value.code == "CLASS_REFUSED"
    with pytest.raises(ModelRefused):
        market.quote(listing, Query.mean("height"))
    with pytest.raises(ServerError) as k:
        market.quote(listing, Query.linear(Model("linear", ("age",), (1.0,), 0.0), "each", False))
    assert k.value.code == "QUERY_KIND_DENIED"
    assert isinstance(k.value, Forbidden)
    with pytest.raises(MarketplaceKeyChanged):
        signed_in(w, w.buyer, marketplace_key="ab" * 32).quote(w.listing, mean_age)
    assert len(market.keyring.orders()) == kept


def test_nothing_is_bought_without_money_or_name(w: World, tmp_path: Path) -> None:
    query = Query.mean("age", segments=["plan = 1"])
    poor = w.actor("poor", "buyer")
    market = signed_in(w, poor)
    quote = market.quote(w.listing, query)
    with pytest.raises(InsufficientFunds):
        quote.order()
    # It was signed and kept, and is known not to be placed.
    [order] = market.orders()
    assert order.id is None
    with pytest.raises(InsufficientFunds):
        order.wait(progress=False)
    with pytest.raises(OrderPending):
        Order.load(order.folder).result()
    with pytest.raises(Unauthenticated):
        Market(w.url, mail=poor.mail, password="not the password", keyring=tmp_path)


CUT_OFF = """
import os, signal, sys
from veilbourse import Market, Query

url, mail, password, folder, listing, after = sys.argv[1:]
market = Market(url, mail=mail, password=password, keyring=folder)
quote = market.quote(listing, Query.mean("income", segments=["plan = 1"]))
real = market.connection


class CutOff:
    def __getattr__(self, name):
        return getattr(real, name)

    def place(self, ticket):
        if after == "placed":
            real.place(ticket)
        os.kill(os.getpid(), signal.SIGKILL)


market.connection = CutOff()
quote.order()
"""


def test_an_order_that_was_cut_off_goes_on(w: World, market: Market) -> None:
    """Killed between signing and placing, and between placing and noting the id."""
    before, known = market.balance().available, {o.folder for o in market.orders()}
    arguments = [w.url, w.buyer.mail, PASSWORD, str(w.buyer.folder), w.listing]
    for after in ("signed", "placed"):
        ended = subprocess.run(
            [sys.executable, "-c", CUT_OFF, *arguments, after], timeout=300, check=False
        )
        assert ended.returncode == -signal.SIGKILL
    fresh = signed_in(w, w.buyer)
    cut = [o for o in fresh.orders() if o.folder not in known]
    assert [o.id for o in cut] == [None, None]
    values = {o.wait(progress=False).result().values[0].value for o in cut}
    assert len(values) == 1
    # Two orders of one value, each charged once.
    assert before.minor - fresh.balance().available.minor == 2 * (2000 + 250)


def test_a_key_is_made_and_registered_at_the_first_order(w: World, tmp_path: Path) -> None:
    market = Market(w.url, mail=w.buyer.mail, password=PASSWORD, keyring=tmp_path / "new")
    assert not market.keyring.key_file.exists()
    order = market.quote(w.held_listing, Query.mean("age")).order()
    assert order.wait(progress=False).result().values[0].rows == len(w.rows)
    assert market.register_signing_key() == market.keyring.signing_key().public
    assert signed_in(w, w.buyer).deposit("1.00")


def test_the_example_runs(w: World, tmp_path: Path) -> None:
    table = w.custodian.folder / "visits.csv"
    ended = subprocess.run(
        [sys.executable, str(ROOT / "clients/python/examples/train_quote_order_verify.py")],
        env={
            **os.environ,
            "VEILBOURSE_URL": w.url,
            "VEILBOURSE_MAIL": w.buyer.mail,
            "VEILBOURSE_PASSWORD": PASSWORD,
            "VEILBOURSE_KEY": w.marketplace_key,
            "VEILBOURSE_HOME": str(tmp_path),
            "VEILBOURSE_LISTING": w.listing,
            "VEILBOURSE_TARGET": "visits",
            "VEILBOURSE_TABLE": str(table),
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "off by" in ended.stdout
    assert ended.stdout.count("plan = ") >= 4
    print(ended.stdout)
