"""Where the measurements run: a store, a broker, and processes to measure, in a folder that goes afterwards."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import uvloop

from bench.people import FACILITY
from deploy.local.layout import REPOSITORY
from deploy.local.ports import free_port
from deploy.local.testing import TestStack
from libs.common import interpreter

T = TypeVar("T")

ROUNDS = 5


class Setting:
    """A stack of its own, up to the stand-ins; `serve` adds processes under measurement."""

    def __init__(self, folder: Path) -> None:
        self.stack = TestStack.make(folder)

    def token(self, role: str = "desk", facility: str = FACILITY) -> str:
        return self.stack.issuer.token(role=role, facility=facility)

    def environment(self, service: str, prefix: str, **extra: str) -> dict[str, str]:
        return {
            **self.stack.environment(service),
            "DATABASE_PREFIX": prefix,
            "CLOCK": "system",
            "LOG_LEVEL": "WARNING",
            "REQUESTS_PER_SECOND": "1000000",
            "PUBLIC_REQUESTS_PER_SECOND": "1000000",
            "PYTHONPATH": str(REPOSITORY),
            **extra,
        }

    @contextmanager
    def serve(self, module: Sequence[str], service: str, prefix: str, **extra: str) -> Iterator[tuple[str, str]]:
        """Runs `python -m <module>` on a free port until the block ends; gives its URL and its process's name."""
        port = free_port()
        name = f"{module[0]}-{port}"
        environment = self.environment(service, prefix, PORT=str(port), **extra)
        self.stack.processes.start(name, [sys.executable, "-m", *module], environment)
        url = f"http://127.0.0.1:{port}"
        try:
            self.stack.processes.wait_until(name, lambda: _not_started(url), seconds=60)
            yield url, name
        finally:
            self.stack.processes.stop(name)

    @property
    def store(self) -> str:
        """Which store this run measures on."""
        if os.environ.get("MONGODB_URI"):
            return "the store at MONGODB_URI"
        return next(kind.name for kind in (self.stack.layout.state / "store").iterdir())

    def rss_mb(self, name: str) -> float:
        process = self.stack.processes.running(name)
        return process.memory_info().rss / 1e6 if process else 0.0


def _not_started(url: str) -> str | None:
    """The store's indexes stand and the relay moves; a registration measured alone has no directory, and needs none."""
    try:
        checks = httpx.get(f"{url}/readyz", timeout=3).json()["checks"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return type(error).__name__
    waiting = [name for name in ("store", "relay", "consumers") if checks[name] != "ok"]
    return f"{waiting} not ok" if waiting else None


@contextmanager
def setting(folder: Path) -> Iterator[Setting]:
    made = Setting(folder)
    try:
        made.stack.up_to_standins()
        yield made
    finally:
        made.stack.down()
        shutil.rmtree(folder, ignore_errors=True)


def run(measured: Coroutine[Any, Any, T]) -> T:
    """In this process as in a service's: on its event loop, with its interpreter's settings."""
    interpreter.prepare()
    return uvloop.run(measured)


def machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    cores = f"{os.cpu_count()} cores, {memory:.0f} GiB"
    return f"{cores}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def now() -> float:
    return time.perf_counter()
