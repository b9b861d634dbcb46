"""The connection, against a server that answers as it is told."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import trustme

from stub import Answer, Stub, data, refusal
from veilbourse import (
    ArgumentError,
    ConnectionFailed,
    InsecureConnection,
    Market,
    MarketplaceKeyChanged,
    NotFound,
    RateLimited,
    ServerError,
    Unauthenticated,
    VeilbourseError,
)
from veilbourse._core import Connection

ACCOUNT = "01900000-0000-7000-8000-000000000009"
KEY = "ab" * 32


def tokens(n: int) -> dict[str, str]:
    return {"access": f"access-{n}", "refresh": f"refresh-{n}", "account": ACCOUNT}


class Accounts:
    """Signs in; access tokens below `good` have expired."""

    def __init__(self) -> None:
        self.good = 1
        self.refreshed: list[str] = []
        self.lock = threading.Lock()

    def __call__(
        self, method: str, what: str, variables: dict[str, Any], token: str | None
    ) -> Answer:
        if "login(" in what:
            if variables["password"] != "right":
                return refusal("WRONG_CREDENTIALS", status=401)
            return data(login=tokens(1))
        if "refresh(" in what:
            with self.lock:
                self.refreshed.append(variables["token"])
                if len(set(self.refreshed)) != len(self.refreshed):
                    return refusal("TOKEN_REUSED", status=401)
            return data(refresh=tokens(int(variables["token"].split("-")[1]) + 1))
        number = int((token or "Bearer access-0").split("-")[-1])
        if number < self.good:
            return refusal("TOKEN_INVALID", status=401)
        return data(me={"id": ACCOUNT})


def me(market: Market) -> Any:
    return market.graphql("me", "{ me { id } }")["id"]


def signed_in(stub: Stub, folder: Path) -> Market:
    return Market(stub.url, mail="a@b.example", password="right", keyring=folder)


def test_an_expired_token_is_renewed_once(tmp_path: Path) -> None:
    accounts = Accounts()
    with Stub(accounts) as stub:
        market = signed_in(stub, tmp_path)
        assert market.account == ACCOUNT
        assert me(market) == ACCOUNT
        accounts.good = 2
        assert me(market) == ACCOUNT
        assert accounts.refreshed == ["refresh-1"]
        # What does not get better by renewing is said.
        accounts.good = 99
        with pytest.raises(Unauthenticated) as e:
            me(market)
        assert e.value.code == "TOKEN_INVALID"
        assert accounts.refreshed == ["refresh-1", "refresh-2"]


def test_many_threads_renew_once(tmp_path: Path) -> None:
    accounts = Accounts()
    with Stub(accounts) as stub:
        market = signed_in(stub, tmp_path)
        accounts.good = 2
        found: list[Any] = []
        threads = [threading.Thread(target=lambda: found.append(me(market))) for _ in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert found == [ACCOUNT] * 12
        assert accounts.refreshed == ["refresh-1"]


def test_a_wrong_password_is_said(tmp_path: Path) -> None:
    with Stub(Accounts()) as stub, pytest.raises(Unauthenticated) as e:
        Market(stub.url, mail="a@b.example", password="wrong", keyring=tmp_path)
    assert (e.value.code, e.value.operation, e.value.status) == ("WRONG_CREDENTIALS", "login", 401)


def test_a_second_factor_goes_with_the_password(tmp_path: Path) -> None:
    seen: list[Any] = []

    def answer(_: str, what: str, variables: dict[str, Any], __: str | None) -> Answer:
        assert "code: $code" in what
        seen.append(variables.get("code"))
        return data(login=tokens(1))

    with Stub(answer) as stub:
        Market(stub.url, mail="a@b.example", password="right", keyring=tmp_path)
        Market(stub.url, mail="a@b.example", password="right", code="123456", keyring=tmp_path)
    assert seen == [None, "123456"]


def test_an_api_key_is_a_bearer_token(tmp_path: Path) -> None:
    key = "vbk_" + "a" * 43
    with Stub(lambda *_: data(me={"id": ACCOUNT})) as stub:
        market = Market(stub.url, api_key=key, keyring=tmp_path)
        assert me(market) == ACCOUNT
        assert stub.asked[-1][1] == f"Bearer {key}"
        with pytest.raises(VeilbourseError) as e:
            market.connection.register_key(KEY, market.keyring.signing_key())
        assert e.value.code == "SIGN_IN_NEEDED"
    # A refused key is not retried, and never shown.
    with Stub(lambda *_: refusal("TOKEN_INVALID", status=401)) as stub:
        market = Market(stub.url, api_key=key, keyring=tmp_path)
        with pytest.raises(Unauthenticated):
            me(market)
        assert len(stub.asked) == 1
        for bad in ("secret", "vbk_a\nb", "vbk_ä"):
            with pytest.raises(ArgumentError) as a:
                Market(stub.url, api_key=bad, keyring=tmp_path)
            assert bad not in str(a.value)


def test_one_way_to_sign_in(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError):
        Market("http://127.0.0.1:1", api_key="vbk_x", mail="a", password="b", keyring=tmp_path)
    with pytest.raises(ArgumentError) as e:
        Market("http://127.0.0.1:1", mail="a", keyring=tmp_path)
    assert e.value.field == "password"
    with pytest.raises(ArgumentError) as e:
        Market("market.example", keyring=tmp_path)
    assert e.value.field == "url"


def test_refusals_name_field_limit_and_value(tmp_path: Path) -> None:
    said = {"status": 413, "field": "program", "limit": "10", "value": "11"}
    with Stub(lambda *_: refusal("TOO_LARGE", **said)) as stub, pytest.raises(ServerError) as e:
        me(Market(stub.url, keyring=tmp_path))
    assert (e.value.field, e.value.limit, e.value.value, e.value.status) == ("program", 10, 11, 413)

    def limited(method: str, *_: Any) -> Answer:
        if method == "GET":
            return 404, {"code": "NOT_FOUND", "message": "object not found"}
        return 429, {"errors": [{"message": "slow", "extensions": {
            "code": "RATE_LIMITED", "retryAfterSeconds": "4"}}]}  # fmt: skip

    with Stub(limited) as stub:
        market = Market(stub.url, keyring=tmp_path)
        with pytest.raises(RateLimited) as r:
            me(market)
        assert r.value.retry_after == 4.0
        with pytest.raises(NotFound):
            market.connection.get("/v1/x")


def test_answers_are_bounded_and_never_redirected(tmp_path: Path) -> None:
    with Stub(lambda *_: (200, b"x" * 1000)) as stub:
        market = Market(stub.url, keyring=tmp_path)
        assert len(market.connection.get("/v1/x", 1000)) == 1000
        with pytest.raises(ConnectionFailed) as e:
            market.connection.get("/v1/x", 999)
        assert (e.value.code, e.value.limit, e.value.value) == ("ANSWER_TOO_LARGE", 999, 1000)
        with pytest.raises(ConnectionFailed) as e:
            me(market)
        assert e.value.code == "ANSWER"
    with Stub(lambda *_: (302, b"")) as stub, pytest.raises(ServerError) as s:
        Market(stub.url, keyring=tmp_path).connection.get("/v1/x")
    assert s.value.code == "302"


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed) as e:
        me(Market("http://127.0.0.1:1", keyring=tmp_path))
    assert e.value.code == "TRANSPORT"
    assert "refused" in str(e.value)


def test_the_marketplaces_key_is_pinned_at_first_sight(tmp_path: Path) -> None:
    shown = [KEY]

    def answer(*_: Any) -> Answer:
        return data(marketplace={"key": shown[0]})

    with Stub(answer) as stub:
        assert Market(stub.url, keyring=tmp_path).marketplace_key == KEY
        assert json.loads((tmp_path / "marketplaces.json").read_text()) == {stub.url: KEY}
        shown[0] = "cd" * 32
        with pytest.raises(MarketplaceKeyChanged):
            _ = Market(stub.url, keyring=tmp_path).marketplace_key
        with pytest.raises(MarketplaceKeyChanged):
            _ = Market(stub.url, keyring=tmp_path / "new", marketplace_key=KEY).marketplace_key


def test_listings_are_paged_to_their_end(tmp_path: Path) -> None:
    def answer(_: str, what: str, variables: dict[str, Any], __: str | None) -> Answer:
        assert variables["search"] == "RAND"
        at = {None: 0, "a": 1, "b": 2}[variables["after"]]
        cursor = ["a", "b", "b"][at]
        summary = {"id": f"id-{at}", "title": "t", "reveals": None, "priceOrder": None}
        page = {"hasNextPage": True, "endCursor": cursor}
        return data(listings={"nodes": [summary], "pageInfo": page})

    with Stub(answer) as stub:
        found = Market(stub.url, keyring=tmp_path).listings("RAND")
    # The third page ends where it began: a server that says so for ever is left.
    assert [listing.id for listing in found] == ["id-0", "id-1", "id-2"]
    assert found[0].values_left is None
    assert found[0].price_order is None


def test_plain_http_to_another_machine_warns(tmp_path: Path) -> None:
    def made(url: str) -> None:
        Market(url, api_key="vbk_" + "a" * 43, keyring=tmp_path)

    with pytest.warns(InsecureConnection):
        made("http://market.example")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for quiet in ("http://127.0.0.1:8080", "http://localhost", "https://market.example"):
            made(quiet)
        Market("http://market.example", keyring=tmp_path)


def test_tls_trusts_the_systems_certificates(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    roots = tmp_path / "roots.pem"
    authority.cert_pem.write_to_path(str(roots))
    ask = (
        "import sys; from veilbourse import Market\n"
        "m = Market(sys.argv[1], keyring=sys.argv[2])\n"
        "print(m.graphql('me', '{ me { id } }')['id'])"
    )
    with Stub(lambda *_: data(me={"id": ACCOUNT}), context) as stub:

        def run(**more: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-c", ask, stub.url, str(tmp_path)],
                env={**os.environ, **more},
                capture_output=True,
                text=True,
                check=False,
            )

        good = run(SSL_CERT_FILE=str(roots))
        assert good.stdout.strip() == ACCOUNT, good.stderr
        bad = run()
        assert bad.returncode != 0
        assert "TRANSPORT" in bad.stderr


def test_ctrl_c_ends_a_wait(tmp_path: Path) -> None:
    def slow(*_: Any) -> Answer:
        time.sleep(20)
        return data(me={"id": ACCOUNT})

    with Stub(slow) as stub:
        market = Market(stub.url, keyring=tmp_path)
        timer = threading.Timer(0.4, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            me(market)
        assert time.monotonic() - began < 5


def _in_a_child(connection: Connection, said: Any) -> None:
    try:
        connection.get("/v1/x")
    except VeilbourseError as e:
        said.put(e.code)
    # A connection of its own works: the runtime is made anew.
    said.put(len(Connection(connection.url).get("/v1/x")))


def test_a_fork_makes_its_own(tmp_path: Path) -> None:
    with Stub(lambda *_: (200, b"abc")) as stub:
        connection = Connection(stub.url)
        assert connection.get("/v1/x") == b"abc"
        fork = multiprocessing.get_context("fork")
        said = fork.Queue()
        child = fork.Process(target=_in_a_child, args=(connection, said))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child.start()
        assert said.get(timeout=20) == "FORKED"
        assert said.get(timeout=20) == 3
        child.join(20)
        assert child.exitcode == 0


def test_threads_go_on_while_one_waits(tmp_path: Path) -> None:
    def slow(*_: Any) -> Answer:
        time.sleep(0.6)
        return data(me={"id": ACCOUNT})

    with Stub(slow) as stub:
        market = Market(stub.url, keyring=tmp_path)
        waiting = threading.Thread(target=lambda: me(market))
        waiting.start()
        counted = 0
        while waiting.is_alive():
            counted += 1
            time.sleep(0.01)
        assert counted > 10
