"""Where things are: the repository, and the one folder that holds everything the local stack makes."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
KAFKA_LIBS = Path(os.environ.get("KAFKA_LIBS", REPOSITORY / ".local" / "kafka" / "libs"))
"""The broker's jars: fetched once, shared by every state folder."""


class Trouble(Exception):
    """What a person has to put right: printed as one line, without a trace."""


@dataclass(frozen=True)
class Layout:
    """Paths under one state folder (`.local`, or a test's own)."""

    state: Path

    @classmethod
    def default(cls) -> Layout:
        """`STATE` from the environment, else `.local` in the repository."""
        return cls(Path(os.environ.get("STATE", REPOSITORY / ".local")).resolve())

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def inbox(self) -> Path:
        return self.state / "inbox"

    @property
    def secrets(self) -> Path:
        return self.state / "secrets"

    @property
    def played(self) -> Path:
        """The answers of earlier plays; each store and broker that was lent has its own, as it has its own people."""
        lent = [os.environ.get(name, "") for name in ("MONGODB_URI", "KAFKA_BOOTSTRAP")]
        place = hashlib.sha256(" ".join(lent).encode()).hexdigest()[:8] if any(lent) else "own"
        return self.state / "play" / place

    @property
    def addresses(self) -> Path:
        """Written when the stack is up: who listens where. Read by the player, the checker and `make token`."""
        return self.state / "stack.json"


def read_json(path: Path) -> Any:
    """The file's content, or None if it is absent or was cut short by a kill."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """All of it or nothing, whenever the writer is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + f".{os.getpid()}")
    unfinished.touch(mode)
    unfinished.write_text(text)
    unfinished.replace(path)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1) + "\n")
