"""What the stand-ins received, one JSON object a line, so that people, the checker and tests can read it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any


def receive(path: Path, entry: dict[str, Any]) -> None:
    """Appends `entry` with `received_at` (UTC, machine clock). On disk's way when this returns: the answer follows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stamped = {"received_at": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"), **entry}
    with path.open("a") as file:
        file.write(json.dumps(stamped, ensure_ascii=False) + "\n")


def received(path: Path) -> list[dict[str, Any]]:
    """Everything so far, oldest first; a last line cut short by a kill is left out."""
    if not path.exists():
        return []
    entries = []
    for line in path.read_text().splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return entries
