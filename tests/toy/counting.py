"""A database that tells which of its collections were asked for."""

from __future__ import annotations

from typing import Any


class Counting:
    def __init__(self, database: Any) -> None:
        self._database = database
        self.asked: list[str] = []

    def __getitem__(self, name: str) -> Any:
        self.asked.append(name)
        return self._database[name]
