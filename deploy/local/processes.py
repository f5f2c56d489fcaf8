"""Processes of their own: started, remembered by pid and start time, found again after a kill, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from deploy.local.layout import Layout, Trouble, read_json, write_json

SAME_START_SECONDS = 2.0
"""Start times are reckoned from boot time, which setting the clock moves a little; a pid is not used again so soon."""


class Processes:
    """What this state folder has running. The record survives the runner, whatever kills it."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._record = layout.state / "pids.json"
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def names(self) -> list[str]:
        """Everything recorded, in the order in which it was started, running or not."""
        return list(read_json(self._record) or {})

    def start(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        """In a session of its own, so that Ctrl-C reaches only the runner, which then stops all in order."""
        self._layout.logs.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(
                [str(part) for part in command],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children[name] = child
        try:
            started = psutil.Process(child.pid).create_time()
        except psutil.NoSuchProcess:
            started = time.time()
        self._remember(name, {"pid": child.pid, "started": started})

    def running(self, name: str) -> psutil.Process | None:
        """The recorded process, if it is still that one: same pid and same start time."""
        entry = (read_json(self._record) or {}).get(name)
        if entry is None:
            return None
        try:
            process = psutil.Process(entry["pid"])
            if abs(process.create_time() - entry["started"]) > SAME_START_SECONDS:
                return None
            return None if process.status() == psutil.STATUS_ZOMBIE else process
        except psutil.NoSuchProcess:
            return None

    def stop(self, name: str, seconds: float = 15.0) -> None:
        """SIGTERM, wait, SIGKILL to whatever of it is left."""
        self.stop_all([name], seconds)

    def stop_all(self, names: Sequence[str] | None = None, seconds: float = 15.0) -> None:
        """All of these at once, then the wait once for all."""
        names = self.names() if names is None else names
        alive = {name: process for name in names if (process := self.running(name))}
        for process in alive.values():
            _signal(process, signal.SIGTERM)
        _, left = psutil.wait_procs(list(alive.values()), timeout=seconds)
        for process in left:
            _signal_group(process, signal.SIGKILL)
        psutil.wait_procs(left, timeout=5)
        for name in names:
            if child := self._children.pop(name, None):
                child.poll()
            self._remember(name, None)

    def log(self, name: str) -> Path:
        return self._layout.logs / f"{name}.log"

    def tail(self, name: str, lines: int = 15) -> str:
        if not self.log(name).exists():
            return "(no log)"
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])

    def wait_until(
        self, name: str, ready: Callable[[], str | None], *, port: int | None = None, seconds: float = 120.0
    ) -> None:
        """Asks `ready` (None = yes, else why not) until it is; with `port`, not before this very process listens on it,
        for somebody else's would answer as well. Raises Trouble with the log's end if it dies or the time runs out."""
        deadline = time.monotonic() + seconds
        while True:
            process = self.running(name)
            if process is None:
                raise Trouble(f"{name} ended while starting; the end of {self.log(name)}:\n{self.tail(name)}")
            listening = port is None or _listens(process, port)
            reason = ready() if listening else f"does not listen on port {port}"
            if reason is None:
                return
            if time.monotonic() > deadline:
                raise Trouble(
                    f"{name} is not ready after {seconds:.0f} s ({reason}); "
                    f"the end of {self.log(name)}:\n{self.tail(name)}"
                )
            time.sleep(0.1)

    def _remember(self, name: str, entry: dict[str, float] | None) -> None:
        record = read_json(self._record) or {}
        record.pop(name, None)
        if entry is not None:
            record[name] = entry
        write_json(self._record, record)


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        connections = process.net_connections("tcp")
    except psutil.Error:
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)


def _signal(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _signal_group(process: psutil.Process, number: int) -> None:
    """Its children too: each leads a session and thereby a group of its own."""
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        if process.is_running() and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
