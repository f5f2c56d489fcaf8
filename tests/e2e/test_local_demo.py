"""`make demo` itself: killed half-way, run again, and once more on the same state; and what it says when it cannot."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.local.layout import REPOSITORY, Layout
from deploy.local.ports import USUAL, free_port
from deploy.local.processes import Processes

FIGURES = {
    "lines", "unexpected", "rejected", "retries", "events_journaled", "events_on_topics", "messages", "sms_received",
    "mails_received", "dead_letters", "lost", "doubled", "reordered", "seconds", "p50_ms", "p99_ms",
}  # fmt: skip


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A state folder and ports of this test's own. Whatever it leaves running is stopped."""
    outside = ("MONGODB_URI", "KAFKA_BOOTSTRAP", "DATABASE_PREFIX")
    inherited = {name: value for name, value in os.environ.items() if name not in outside}
    ports = {f"{name.upper()}_PORT": str(free_port()) for name in USUAL}
    yield inherited | ports | {"STATE": str(tmp_path / "state"), "PYTHONPATH": str(REPOSITORY)}
    Processes(Layout(tmp_path / "state")).stop_all()


@pytest.fixture
def day(tmp_path: Path) -> Path:
    path = tmp_path / "day.jsonl"
    made = subprocess.run(
        [sys.executable, REPOSITORY / "tools" / "make_day.py", "--seed", "11", "--patients", "40"],
        capture_output=True, check=True,
    )  # fmt: skip
    path.write_bytes(made.stdout)
    return path


def start(environment: dict[str, str], *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.local", *map(str, arguments)],
        cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def demo(environment: dict[str, str], day: Path) -> dict[str, Any]:
    """The figures of a demo that held."""
    told, said = (process := start(environment, "demo", "--day", day)).communicate(timeout=400)
    assert process.returncode == 0, said
    figures: dict[str, Any] = json.loads(told.splitlines()[-1])
    return figures


def answers(state: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in state.glob("play/own/*/answers.jsonl"))


@pytest.mark.slow
def test_it_holds_when_killed_half_way_and_run_again_and_when_all_is_a_retry(
    environment: dict[str, str], day: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    totals = json.loads(day.read_text().splitlines()[-1])["body"]
    lines = len(day.read_text().splitlines()) - 1

    killed = start(environment, "demo", "--day", day)
    while answers(state) < lines // 3:
        assert killed.poll() is None, killed.communicate()[1]
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    record = Processes(Layout(state))
    left = {name: process.pid for name in record.names() if (process := record.running(name))}
    assert {"kafka", "store", "registration", "referral", "grievance", "notifications"} <= left.keys()

    first = demo(environment, day)
    assert first.keys() >= FIGURES | totals.keys()
    assert {name: first[name] for name in totals} == totals
    wrong = ("unexpected", "dead_letters", "lost", "doubled", "reordered")
    assert {name: first[name] for name in wrong} == dict.fromkeys(wrong, 0)
    assert first["lines"] == lines
    assert first["events_on_topics"] == first["events_journaled"] > 0
    assert not any(psutil.pid_exists(pid) for pid in left.values())
    assert record.names() == []

    again = demo(environment, day)
    timing = {"seconds", "p50_ms", "p99_ms"}
    assert {name: value for name, value in again.items() if name not in timing} == {
        name: value for name, value in first.items() if name not in timing
    }
    (result,) = state.glob("play/own/*/result.json")
    good = sum(json.loads(line)["expect"] != "rejected" for line in day.read_text().splitlines()[:-1])
    assert json.loads(result.read_text())["same_as_last_play"] == good


def test_a_day_that_is_none_is_refused_before_anything_starts(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"n": 1, "verb": "dance"}\n')
    told, said = (process := start(environment, "demo", "--day", tmp_path / "bad.jsonl")).communicate(timeout=60)
    assert (process.returncode, told) == (2, "")
    assert f"{tmp_path}/bad.jsonl:1: at: field required" in said
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(("missing", "package"), [("java", "openjdk-17-jre-headless"), ("mvn", "maven")])
def test_what_is_missing_is_one_line_that_says_what_to_install(
    environment: dict[str, str], tmp_path: Path, missing: str, package: str
) -> None:
    """With a PATH on which there is only a java that says it is 17, or not even that."""
    programs = tmp_path / "bin"
    programs.mkdir()
    if missing != "java":
        (programs / "java").write_text("#!/bin/sh\necho 'openjdk version \"17.0.15\"' >&2\n")
        (programs / "java").chmod(0o755)
    alone = {**environment, "PATH": f"{programs}:/bin-of-nobody", "KAFKA_LIBS": str(tmp_path / "libs")}
    alone.pop("JAVA_HOME", None)
    _, said = (process := start(alone, "fetch")).communicate(timeout=60)
    assert process.returncode == 1
    assert said.count("\n") == 1
    assert f"apt install {package}" in said


def test_a_second_runner_on_the_same_state_is_told_so(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with (tmp_path / "state" / "runner.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _, said = (process := start(environment, "run")).communicate(timeout=60)
    assert process.returncode == 1
    assert "is running from" in said


def test_a_token_is_all_that_make_token_prints(environment: dict[str, str]) -> None:
    token, said = start(environment, "token", "--role", "desk", "--facility", "HP-KNR-CHC-POOH").communicate(timeout=60)
    assert token.count(".") == 2
    assert token.strip() + "\n" == token
    assert said == ""
