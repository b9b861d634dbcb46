import json
import os
import stat
import threading
from pathlib import Path

import pytest

from veilbourse import Keyring, KeyringError, MarketplaceKeyChanged, Order, SigningKey
from veilbourse import files as package_files
from veilbourse.keyring import read_kept

A, B = "aa" * 32, "bb" * 32
URL = "http://127.0.0.1:8080"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_signing_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "keys"
    made = Keyring(folder).signing_key()
    again = Keyring(folder).signing_key()
    assert made.public == again.public
    assert len(made.public) == 64
    assert mode(folder / "buyer.key") == 0o600
    assert mode(folder) == 0o700
    text = (folder / "buyer.key").read_text()
    assert SigningKey.from_hex(text).public == made.public
    assert text not in repr(made)


def test_of_many_at_once_one_makes_the_key(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(Keyring(tmp_path / "k").signing_key().public))
        for _ in range(8)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Keyring(tmp_path).signing_key()
    (tmp_path / "buyer.key").chmod(0o644)
    with pytest.raises(KeyringError) as e:
        Keyring(tmp_path).signing_key()
    assert (e.value.code, e.value.limit, e.value.value) == ("KEY_FILE_OPEN", 600, 644)


def test_a_damaged_key_is_named_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "buyer.key"
    path.write_text("secret but no hex")
    path.chmod(0o600)
    with pytest.raises(KeyringError, match=r"buyer\.key") as e:
        Keyring(tmp_path).signing_key()
    assert e.value.code == "KEY_FILE"
    assert "secret but" not in str(e.value)


def test_a_pinned_key_does_not_change(tmp_path: Path) -> None:
    ring = Keyring(tmp_path)
    assert ring.held(URL, A) == A
    assert ring.held(URL, A, told=A) == A
    assert json.loads((tmp_path / "marketplaces.json").read_text()) == {URL: A}
    for told in (None, A, B):
        with pytest.raises(MarketplaceKeyChanged) as e:
            ring.held(URL, B, told)
        assert (e.value.limit, e.value.value) == (A, B)
    with pytest.raises(MarketplaceKeyChanged):
        ring.held("http://127.0.0.1:9090", B, told=A)
    assert ring.pins() == {URL: A}
    assert ring.held("http://127.0.0.1:9090", B, told=B) == B
    assert ring.pins() == {URL: A, "http://127.0.0.1:9090": B}


@pytest.mark.parametrize("text", ["{", "[]", '{"x": 1}'])
def test_damaged_pins_are_no_pins(tmp_path: Path, text: str) -> None:
    (tmp_path / "marketplaces.json").write_text(text)
    with pytest.raises(KeyringError) as e:
        Keyring(tmp_path).held(URL, A)
    assert e.value.code == "PINS_FILE"


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ticket.json"
    package_files.put(path, b"first", secret=True)
    assert mode(path) == 0o600

    def crash(*_: object) -> None:
        raise OSError("the machine stops here")

    for name in ("replace", "fsync"):
        with monkeypatch.context() as m:
            m.setattr(os, name, crash)
            with pytest.raises(OSError, match="stops here"):
                package_files.put(path, b"second", secret=True)
        assert path.read_bytes() == b"first"
    # What a crash left behind is no obstacle.
    (tmp_path / f".ticket.json.{os.getpid()}.{threading.get_ident()}.new").write_text("half")
    package_files.put(path, b"second", secret=True)
    assert path.read_bytes() == b"second"
    assert [f.name for f in tmp_path.iterdir()] == ["ticket.json"]
    with pytest.raises(FileExistsError):
        package_files.put_new(path, b"third")


def test_a_folder_without_a_ticket_is_no_order(tmp_path: Path) -> None:
    with pytest.raises(KeyringError) as e:
        read_kept(tmp_path)
    assert e.value.code == "TICKET_FILE"
    ticket = tmp_path / "ticket.json"
    ticket.write_text('{"result_secret": "c2VjcmV0"}')
    ticket.chmod(0o600)
    with pytest.raises(KeyringError, match=r"ticket\.json") as e:
        Order.load(tmp_path)
    assert "c2VjcmV0" not in str(e.value)
    assert Keyring(tmp_path / "none").orders() == []


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VEILBOURSE_HOME", str(tmp_path))
    assert Keyring.default().folder == tmp_path
    monkeypatch.delenv("VEILBOURSE_HOME")
    assert Keyring.default().folder == Path("~/.veilbourse").expanduser()
