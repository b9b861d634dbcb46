"""A whole marketplace in processes of its own: server, pod, a committee of three key
nodes, a custodian with its own key node, an admin. Everything by the command line, on
loopback, in one folder. For tests and for the example; `python tests/world.py` keeps
one running until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from veilbourse import SigningKey

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "a password for the test"
#: Longest wait for anything: far more than a slow machine needs.
PATIENCE = 300.0
T = TypeVar("T")

SERVER = """listen = "127.0.0.1:0"
dir = "data"
{more}
[limits]
register = 100
login = 1000
listing = 100
quote = 1000
place = 1000
upload = 10000
"""
POLICY = """kinds = [{kinds}]
min_cohort = 10
quota_values = {values}
quota_bits = 1000000
price_order = 2000
price_output = {output}
"""


def binary() -> Path:
    """The command line, as built by `cargo build --release`."""
    named = os.environ.get("VEILBOURSE_BIN")
    found = Path(named) if named else ROOT / "target" / "release" / "veilbourse"
    if not found.exists():
        raise FileNotFoundError(f"{found}: build it with `cargo build --release`, or name it")
    return found


def sample(rows: int = 900, seed: int = 7) -> str:
    """A table in which visits depend on age, income and sex; from a seed."""
    draw = random.Random(seed)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["plan", "visits", "age", "income", "sex"])
    for i in range(rows):
        age = 18 + draw.randrange(60)
        income = draw.randrange(900) + 0.5
        sex = draw.choice("fm")
        expected = 2 + age / 8 - income / 250 + (1.5 if sex == "f" else 0.0)
        visits = max(0, round(draw.gauss(expected, 2.0)))
        writer.writerow([int(i % 3 == 0), visits, age, income, sex])
    return out.getvalue()


def rows_of(table: str) -> list[dict[str, Any]]:
    """The table's rows; numbers where they are, and a yes/no column a category."""
    found: list[dict[str, Any]] = []
    for row in csv.DictReader(io.StringIO(table)):
        read: dict[str, Any] = {k: float(v) for k, v in row.items() if k != "sex"}
        read["sex=f"] = float(row["sex"] == "f")
        read["sex=m"] = float(row["sex"] == "m")
        found.append(read)
    return found


def until(what: str, ask: Callable[[], T | None]) -> T:
    """Asks until there is an answer."""
    began = time.monotonic()
    while True:
        found = ask()
        if found is not None:
            return found
        if time.monotonic() - began > PATIENCE:
            raise TimeoutError(what)
        time.sleep(0.3)


class Actor:
    """Somebody with a folder of their own."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.folder = world.folder / name
        self.folder.mkdir()

    @property
    def mail(self) -> str:
        return f"{self.name}@test.example"

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "VEILBOURSE_SERVER": self.world.url,
            "VEILBOURSE_EMAIL": self.mail,
            "VEILBOURSE_PASSWORD": PASSWORD,
            "VEILBOURSE_ADMIN_PASSWORD": PASSWORD,
        }

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        return subprocess.run(
            [str(binary()), *arguments, "--json"],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def text(self, *arguments: str) -> str:
        """All that it printed, if it went well."""
        ended = self.ask(*arguments)
        if ended.returncode != 0:
            raise RuntimeError(f"{self.name}: {arguments}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def does(self, *arguments: str) -> Any:
        """Its last line."""
        return json.loads(self.text(*arguments).splitlines()[-1])

    def starts(self, *arguments: str) -> dict[str, Any]:
        """A process that goes on; its first line."""
        log = self.folder / "log"
        out = (self.folder / "out").open("w")
        process = subprocess.Popen(
            [str(binary()), *arguments, "--json"],
            cwd=self.folder,
            env=self._environment(),
            stdout=out,
            stderr=log.open("w"),
        )
        self.world.running.append(process)

        def first() -> dict[str, Any] | None:
            if process.poll() is not None:
                raise RuntimeError(f"{self.name}: {arguments}: {log.read_text()}")
            lines = (self.folder / "out").read_text().split("\n")
            found: dict[str, Any] | None = json.loads(lines[0]) if len(lines) > 1 else None
            return found

        return until(f"{self.name} starts", first)


class World:
    """A running marketplace with two listings and a funded buyer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Starts and fills it."""
        self.table = sample()
        self.rows = rows_of(self.table)
        self.public = Actor(self, "published")
        self._keys()
        self._serve()
        self.admin = Actor(self, "admin")
        self.pod_key = self._pod()
        self.node_keys = self._committee()
        self.buyer = self._buyer()
        self.listing = self._list()
        self.held_listing = self._list_held()
        until("the committee accepts its dealings", self._accepted)

    def _keys(self) -> None:
        self.public.does("srs", "dev", "--out", "srs.bin")
        self.public.does("srs", "key", "--srs", "srs.bin", "--class", "8", "--out", "keys.json")
        self.keys = str(self.public.folder / "keys.json")
        self.srs = str(self.public.folder / "srs.bin")

    def _serve(self) -> None:
        server = Actor(self, "server")
        arguments = ["serve", "--config", "server.toml", "--keys", self.keys]
        arguments += ["--admin", "admin@test.example"]
        # Nobody reads mails here. A server that sends none refuses the setting.
        for more in ("require_verified_mail = false", ""):
            (server.folder / "server.toml").write_text(SERVER.format(more=more))
            try:
                said = server.starts(*arguments)
                break
            except RuntimeError as e:
                if not more or "require_verified_mail" not in str(e):
                    raise
        self.url = said["listening"]
        self.marketplace_key: str = said["marketplace_key"]
        self.marketplace: str = said["marketplace"]

    def actor(self, name: str, role: str = "custodian") -> Actor:
        """Somebody with an account and a signing key."""
        made = Actor(self, name)
        key = self.marketplace_key
        made.does(role, "register", "--name", name.title(), "--marketplace", key)
        return made

    def approve(self, kind: str, id: str) -> None:
        """As the admin."""
        self.admin.does("admin", "decide", kind, id)

    def _pod(self) -> str:
        pod = self.actor("pod")
        made = pod.does("pod", "--init")
        self.approve("machine", made["machine"])
        pod.starts("pod", "--srs", self.srs)
        return str(made["signing_key"])

    def _committee(self) -> list[str]:
        nodes, keys, entries = [], [], []
        for n in range(3):
            node = self.actor(f"node{n}")
            name = f"key node {n}"
            made = node.does("key-node", "--init", "--member", "--name", name)
            self.approve("machine", made["machine"])
            node.text("key-node", "--keys", self.keys)
            address = f"127.0.0.1:{free_port()}"
            entry = self.public.folder / f"entry{n}.json"
            entry.write_text(node.text("key-node", "--entry", address, "--name", name))
            nodes.append((node, address))
            keys.append(str(made["signing_key"]))
            entries.append(str(entry))
        self.public.does(
            "committee", "make", "--threshold", "2", "--marketplace", self.marketplace_key, *entries
        )
        self.committee = str(self.public.folder / "committee.json")
        for node, address in nodes:
            node.does("key-node", "--committee", self.committee)
            node.starts("key-node", "--listen", address, "--accept-dev-srs")
        return keys

    def _list(self) -> str:
        custodian = self.actor("custodian")
        (custodian.folder / "visits.csv").write_text(self.table)
        kinds = '"aggregate_public", "aggregate_private"'
        policy = POLICY.format(kinds=kinds, values=500, output=250)
        (custodian.folder / "policy.toml").write_text(policy)
        custodian.does(
            "custodian", "encrypt", "visits.csv", "--name", "Visits", "--segment", "plan",
            "--square", "visits", "--out", "dataset",
        )  # fmt: skip
        custodian.does(
            "custodian", "deal", "dataset", "--committee", self.committee,
            "--class", "exact:tickets=64", "--class", "private:tickets=64,rho=0.0005",
        )  # fmt: skip
        listed = custodian.does(
            "custodian", "list", "--dataset", "dataset", "--policy", "policy.toml",
            "--committee", self.committee, "--title", "Visits", "--description", "Made up",
        )  # fmt: skip
        self.approve("listing", listed["listing"])
        self.custodian = custodian
        return str(listed["listing"])

    def _list_held(self) -> str:
        """The same rows without segments, opened by a key node of the custodian's."""
        holder = self.actor("holder")
        made = holder.does("key-node", "--init")
        self.approve("machine", made["machine"])
        holder.text("key-node", "--keys", self.keys)
        (holder.folder / "visits.csv").write_text(self.table)
        policy = POLICY.format(kinds='"aggregate_public", "rows_public"', values=20_000, output=1)
        (holder.folder / "policy.toml").write_text(policy)
        holder.does("custodian", "encrypt", "visits.csv", "--name", "Rows", "--out", "dataset")
        secret = (holder.folder / "custodian.key").read_text()
        custodian = SigningKey.from_hex(secret).public
        holder.does("key-node", "--add", "dataset", "--custodian", custodian)
        listed = holder.does(
            "custodian", "list", "--dataset", "dataset", "--policy", "policy.toml",
            "--custodian-held", made["signing_key"], "--title", "Rows",
        )  # fmt: skip
        self.approve("listing", listed["listing"])
        holder.starts("key-node", "--accept-dev-srs")
        return str(listed["listing"])

    def _buyer(self) -> Actor:
        buyer = self.actor("buyer", "buyer")
        deposit = buyer.does("buyer", "deposit", "2000.00")
        self.approve("deposit", deposit["deposit"])
        return buyer

    def _accepted(self) -> bool | None:
        """All quorums have checked what was dealt to them."""
        found = self.buyer.does("buyer", "catalogue", "--search", "Visits")
        classes = [c for c in found[0]["tickets"]["classes"] if c["offered"]]
        return True if all(int(c["left"]) >= 2 * 64 for c in classes) else None

    def stop(self) -> None:
        """Ends every process."""
        for process in reversed(self.running):
            process.kill()
        for process in self.running:
            process.wait()


def free_port() -> int:
    """A port that the system chooses."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


@contextlib.contextmanager
def world() -> Iterator[World]:
    """Starts one, and ends it whatever happens."""
    with tempfile.TemporaryDirectory(prefix="veilbourse-") as folder:
        made = World(Path(folder))
        try:
            made.start()
            yield made
        finally:
            made.stop()


def main() -> None:
    """Keeps a marketplace running, and says how to reach it."""
    with world() as w:
        said = {
            "VEILBOURSE_URL": w.url,
            "VEILBOURSE_MAIL": w.buyer.mail,
            "VEILBOURSE_PASSWORD": PASSWORD,
            "VEILBOURSE_KEY": w.marketplace_key,
        }
        for name, value in said.items():
            print(f"export {name}={value!r}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(1)


if __name__ == "__main__":
    main()
