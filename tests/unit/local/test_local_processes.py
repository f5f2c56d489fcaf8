"""A process is ours only if pid and start time are those that were recorded."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.layout import Layout, Trouble
from deploy.local.ports import free_port
from deploy.local.processes import Processes

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(Layout(tmp_path))
    yield processes
    processes.stop_all(seconds=0.1)


def started(processes: Processes, name: str, command: list[str]) -> psutil.Process:
    processes.start(name, command, {})
    processes.wait_until(name, lambda: None if "up" in processes.tail(name) else "silent", seconds=20)
    process = processes.running(name)
    assert process is not None
    return process


def rewrite(tmp_path: Path, name: str, **changes: float) -> None:
    record = json.loads((tmp_path / "pids.json").read_text())
    record[name] |= changes
    (tmp_path / "pids.json").write_text(json.dumps(record))


def test_another_runner_finds_and_stops_what_a_killed_one_left(tmp_path: Path, processes: Processes) -> None:
    process = started(processes, "sleeper", SLEEPER)
    later = Processes(Layout(tmp_path))
    found = later.running("sleeper")
    assert found is not None
    assert found.pid == process.pid
    later.stop_all()
    processes._children["sleeper"].wait(5)
    assert not psutil.pid_exists(process.pid)
    assert later.names() == []


def test_a_pid_given_to_somebody_else_is_left_alone(tmp_path: Path, processes: Processes) -> None:
    with subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL) as stranger:
        started(processes, "sleeper", SLEEPER)
        ours = json.loads((tmp_path / "pids.json").read_text())["sleeper"]
        rewrite(tmp_path, "sleeper", pid=stranger.pid, started=ours["started"] - 3600)
        assert processes.running("sleeper") is None
        Processes(Layout(tmp_path)).stop_all()
        assert stranger.poll() is None
        stranger.kill()
        processes._children["sleeper"].kill()


def test_what_does_not_listen_to_sigterm_is_killed(processes: Processes) -> None:
    process = started(processes, "deaf", DEAF)
    processes.stop("deaf", seconds=0.3)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert processes.running("deaf") is None


def test_a_process_that_ended_is_not_running_though_nobody_waited_for_it(processes: Processes) -> None:
    process = started(processes, "sleeper", SLEEPER)
    process.kill()
    psutil.wait_procs([process], timeout=5)
    assert processes.running("sleeper") is None


def test_one_that_dies_while_starting_is_told_with_the_end_of_its_log(processes: Processes) -> None:
    processes.start("broken", [sys.executable, "-c", "raise SystemExit('no such port')"], {})
    with pytest.raises(Trouble, match=r"broken ended while starting(.|\n)*no such port"):
        processes.wait_until("broken", lambda: "not yet", seconds=20)


def test_one_that_never_gets_ready_is_told_with_the_reason(processes: Processes) -> None:
    processes.start("slow", SLEEPER, {})
    with pytest.raises(Trouble, match=r"slow is not ready after 0 s \(still thinking\)"):
        processes.wait_until("slow", lambda: "still thinking", seconds=0.2)


def test_it_leads_a_session_of_its_own_so_that_ctrl_c_reaches_only_the_runner(processes: Processes) -> None:
    process = started(processes, "sleeper", SLEEPER)
    assert os.getsid(process.pid) == process.pid != os.getsid(0)


def test_a_record_cut_short_is_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "pids.json").write_text('{"kafka": {"pid": 1')
    assert Processes(Layout(tmp_path)).names() == []


def test_somebody_else_s_answer_on_the_port_is_not_its_own(processes: Processes) -> None:
    started(processes, "sleeper", SLEEPER)
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        with pytest.raises(Trouble, match=f"does not listen on port {port}"):
            processes.wait_until("sleeper", lambda: None, port=port, seconds=0.2)


def test_it_is_ready_once_it_listens_and_says_so(processes: Processes) -> None:
    port = free_port()
    server = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(600)"
    processes.start("server", [sys.executable, "-c", server], {})
    processes.wait_until("server", lambda: None, port=port, seconds=20)
    socket.create_connection(("127.0.0.1", port)).close()
