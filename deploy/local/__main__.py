"""`python -m deploy.local run | demo | token | fetch | clean`: what the Makefile calls."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from deploy.local import broker, outside, summary
from deploy.local.issuer import Issuer
from deploy.local.layout import REPOSITORY, Layout, Trouble, read_json
from deploy.local.ports import USUAL
from deploy.local.processes import Processes
from deploy.local.stack import Stack
from tools.play_day import play, tell
from tools.playing.day import Day, Refused, read_day

console = Console(stderr=True)


@contextmanager
def only_runner(layout: Layout) -> Iterator[None]:
    """Raises Trouble if another runner has this state. The kernel lets go when the runner dies, however it dies."""
    layout.state.mkdir(parents=True, exist_ok=True)
    with (layout.state / "runner.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Trouble(f"something is running from {layout.state} already: stop it (Ctrl-C there) first") from None
        yield


@contextmanager
def running(layout: Layout) -> Iterator[Stack]:
    """The whole stack, stopped on the way out, whatever the way."""
    with only_runner(layout), console.status("starting") as status:
        stack = Stack(layout, say=lambda what: status.update(f"starting {what}"))
        began = time.monotonic()
        try:
            outside.remember(layout, stack)
            stack.up()
            status.stop()
            console.print(f"Everything is up after {time.monotonic() - began:.1f} s.")
            yield stack
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            status.stop()
            stack.down()
            console.print("Everything that was started is stopped.")


def run(day: Day, layout: Layout) -> int:
    with running(layout) as stack:
        _, result = play(day, layout)
        tell(result)
        summary.show(result, stack)
        serve(stack)
    return 0


def serve(stack: Stack) -> None:
    """Until Ctrl-C. Says so if something ends by itself."""
    told: set[str] = set()
    try:
        while True:
            time.sleep(1)
            for name in stack.processes.names():
                if name not in told and stack.processes.running(name) is None:
                    told.add(name)
                    console.print(f"[red]{name} has ended[/red]; the end of {stack.processes.log(name)}:")
                    console.print(stack.processes.tail(name), markup=False)
    except KeyboardInterrupt:
        console.print()


def demo(day: Day, layout: Layout) -> int:
    """The JSON comes after everything else, so that it is the last line on a terminal too."""
    with running(layout) as stack:
        path, result = play(day, layout)
        tell(result)
        patience = str(max(300, len(day.lines) // 5))  # seconds; a slow machine is not a fault
        command: list[str | Path] = [sys.executable, "-m", "tools.check_day", "--day", day.path, "--timeout", patience]
        checked = subprocess.run(
            [*command, "--result", path, "--inbox", layout.inbox],
            env={**os.environ, **stack.environment("checker"), "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    print(checked.stdout, end="", flush=True)
    return 1 if checked.returncode or result["unexpected"] else 0


def clean(layout: Layout) -> int:
    if not layout.state.exists():
        return 0
    with only_runner(layout):
        Processes(layout).stop_all()
        for what in outside.drop(layout):
            console.print(what)
        shutil.rmtree(layout.state)
    return 0


def token(layout: Layout, arguments: argparse.Namespace) -> int:
    ports: dict[str, int] = read_json(layout.state / "ports.json") or USUAL
    issuer = Issuer(layout, f"http://127.0.0.1:{ports['gateways']}")
    print(
        issuer.token(
            role=arguments.role,
            facility=arguments.facility,
            subject=arguments.subject or None,
            patient=arguments.patient or None,
            hours=arguments.hours,
        )
    )
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _arguments() -> Any:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "demo"):
        commands.add_parser(name).add_argument("--day", type=Path, default=Path("data/day.jsonl"))
    minted = commands.add_parser("token")
    minted.add_argument("--role", required=True)
    for name in ("--facility", "--subject", "--patient"):
        minted.add_argument(name, default="")
    minted.add_argument("--hours", type=float, default=12)
    commands.add_parser("fetch")
    commands.add_parser("clean")
    return parser.parse_args()


def main() -> int:
    """0 done, 1 did not hold or cannot start, 2 the day file is refused, 130 interrupted."""
    # Set even where the shell left SIGINT ignored, as it does for what runs in the background.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    arguments, layout = _arguments(), Layout.default()
    try:
        if arguments.command in ("run", "demo"):
            day = read_day(arguments.day)
            return run(day, layout) if arguments.command == "run" else demo(day, layout)
        if arguments.command == "token":
            return token(layout, arguments)
        if arguments.command == "fetch":
            if not os.environ.get("KAFKA_BOOTSTRAP"):
                broker.java()
                broker.fetch_jars()
            return 0
        return clean(layout)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 2
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
