"""The whole house as processes of its own, with a small day played through it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.local.layout import REPOSITORY
from deploy.local.testing import TestStack
from tools.check_day import check
from tools.checking.figures import read_day as read_totals
from tools.checking.settle import Names, wait_until_settled
from tools.checking.stores import connect
from tools.play_day import play
from tools.playing.day import read_day


def make_day(path: Path, *, seed: int, patients: int) -> Path:
    made = subprocess.run(
        [sys.executable, REPOSITORY / "tools" / "make_day.py", "--seed", str(seed), "--patients", str(patients)],
        check=True,
        capture_output=True,
    )
    path.write_bytes(made.stdout)
    return path


@dataclass
class House:
    stack: TestStack
    folder: Path

    @property
    def names(self) -> Names:
        return Names(self.stack.prefix, "", "hillhealth")

    def play(self, day: Path) -> dict[str, Any]:
        _, result = play(read_day(day), self.stack.layout)
        return result

    def check(self, day: Path, result: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        """The checker's figures, and every difference it found."""
        return asyncio.run(
            check(
                read_totals(day),
                result,
                self.stack.mongodb_uri,
                self.stack.kafka_bootstrap,
                self.names,
                self.stack.inbox,
                120.0,
            )
        )

    def settle(self) -> None:
        """Returns once every event is handled. Raises Unsettled."""
        client = connect(self.stack.mongodb_uri)
        try:
            asyncio.run(wait_until_settled(client, self.stack.kafka_bootstrap, self.names, 120.0, lambda why: None))
        finally:
            client.close()


@contextlib.contextmanager
def built(folder: Path) -> Iterator[House]:
    """Broker, store, stand-ins and the four services, on free ports; stopped and removed afterwards."""
    stack = TestStack.make(folder)
    try:
        stack.up()
        yield House(stack, folder)
    finally:
        stack.down()


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with built(tmp_path_factory.mktemp("house")) as house:
        yield house
