"""A manifest as a custodian's client would write it, for tests without a market."""

from __future__ import annotations

import json
from typing import Any

from veilbourse import Schema
from veilbourse._core import Listed

LISTING = "01900000-0000-7000-8000-000000000001"


def column(name: str, kind: dict[str, str], scale: int, low: int, high: int) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "unit": "",
        "scale_log2": scale,
        "min": str(low),
        "max": str(high),
    }


def digest(n: int) -> str:
    return f"{n:02x}" * 32


def manifest() -> dict[str, Any]:
    """Two segments of 600 and 5,000 rows; a public key `plan`."""
    columns = [
        column("age", {"kind": "numeric"}, 3, 0, 100 << 3),
        column("visits", {"kind": "numeric"}, 2, 0, 40 << 2),
        column("sex=f", {"kind": "category", "source": "sex", "value": "f"}, 0, 0, 1),
        column("visits^2", {"kind": "square", "source": "visits"}, 4, 0, (40 << 2) ** 2),
    ]
    segments = [
        {
            "label": f"plan = {plan}",
            "rows": str(rows),
            "chunks": [digest(10 + plan)] * chunks,
            "sum": digest(20 + plan),
            "traced": digest(30 + plan),
            "traced_bodies": ["0"] * len(columns),
        }
        for plan, rows, chunks in ((0, 600, 1), (1, 5_000, 2))
    ]
    return {
        "version": 1,
        "name": "Visits",
        "params": "data-4096-tu3-v1",
        "commitment": "fri-blake3-v1",
        "message_log2": 26,
        "columns": columns,
        "public_columns": [
            {"name": "1", "scale_log2": 0, "values": ["1", "1"]},
            {"name": "plan", "scale_log2": 10, "values": ["0", "1024"]},
        ],
        "segments": segments,
        "public_key_label": digest(1),
        "public_key_body": digest(2),
        "nonce": digest(3),
    }


def listed(suppressed: list[str] | None = None) -> Listed:
    return Listed.from_manifest(LISTING, "Visits", json.dumps(manifest()), suppressed or [])


def schema(suppressed: list[str] | None = None) -> Schema:
    found = listed(suppressed)
    return Schema.of(found.manifest(), found.suppressed)
