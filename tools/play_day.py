"""`python -m tools.play_day --day data/day.jsonl`: play a recorded day through the services that `make run` started.

Exit 0: every line met its `expect`; 1: some did not (listed, and in the day's result.json); 2: the file is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import stamina
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.local.issuer import Abdm, Issuer
from deploy.local.layout import Layout, read_json
from tools.playing.asking import Asked, Known, NotSent, Tokens, ask
from tools.playing.day import Day, Line, Refused, journeys, read_day
from tools.playing.judging import Judge
from tools.playing.order import in_order
from tools.playing.result import Result

SIDE_BY_SIDE = 8
AGAIN = (429, 502, 503, 504)
"""Answers that mean later, not no: sent again with the same key."""


class Later(Exception):
    """Not answered for good yet."""


class Player:
    """Sends a day. `services` are base URLs by name; `state` keeps the answers in `played`."""

    def __init__(self, day: Day, played: Path, services: Mapping[str, str], tokens: Tokens) -> None:
        self.result = Result(played / day.digest[:16], day)
        self._day = day
        self._services = services
        self._tokens = tokens
        self._known = Known()
        self._judge = Judge(self._known, self.result.last_play())

    async def play(self, progress: Progress, side_by_side: int = SIDE_BY_SIDE) -> dict[str, Any]:
        task = progress.add_task("playing the day", total=len(self._day.lines))
        limits = httpx.Limits(max_connections=side_by_side * 2, max_keepalive_connections=side_by_side * 2)

        async def one(line: Line) -> None:
            await self._send(client, line)
            progress.advance(task)

        async with httpx.AsyncClient(timeout=30, limits=limits) as client:
            await in_order(zip(journeys(self._day.lines), self._day.lines, strict=True), one, side_by_side)
        ids = {label: str(thing["id"]) for label, thing in self._known.things.items()}
        return self.result.finish(ids, self._judge.compared)

    async def _send(self, client: httpx.AsyncClient, line: Line) -> None:
        began = time.perf_counter()
        asked: Asked | None = None
        status, answer = 0, None
        try:
            asked = ask(line, self._known, self._tokens)
            response = await _post(client, self._services[asked.service], asked)
            status, answer = response.status_code, _json(response)
            what = self._judge.judge(line, status, answer)
        except NotSent as error:
            what = str(error)
        except (httpx.TransportError, Later) as error:
            what = f"no answer after many attempts: {type(error).__name__} {error}"
        subject = asked.subject if asked else line.actor.id
        self.result.add(line, subject, status, time.perf_counter() - began, answer, what)


async def _post(client: httpx.AsyncClient, base: str, asked: Asked) -> httpx.Response:
    """Raises httpx.TransportError or Later after about a minute of attempts."""
    async for attempt in stamina.retry_context(
        on=(httpx.TransportError, Later), attempts=None, timeout=60, wait_initial=0.1, wait_max=3
    ):
        with attempt:
            response = await client.post(base + asked.path, headers=asked.headers, json=asked.body)
            if response.status_code in AGAIN:
                raise Later(f"{response.status_code} {response.text[:200]}")
    return response


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text


def progress_bar() -> Progress:
    """On stderr: a bar on a terminal, nothing in between elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


def play(day: Day, layout: Layout, side_by_side: int = SIDE_BY_SIDE) -> tuple[Path, dict[str, Any]]:
    """Plays against the stack whose addresses stand in the state folder; returns the result's path and content.

    Raises FileNotFoundError if there is no such stack.
    """
    addresses = read_json(layout.addresses)
    if addresses is None:
        raise FileNotFoundError(f"{layout.addresses} is missing: nothing runs here; `make run` starts it")
    stamina.instrumentation.set_on_retry_hooks([])  # a line sent again is in the figures; its log would break the bar
    tokens = Tokens(Issuer(layout, addresses["gateways"]), Abdm(layout))
    player = Player(day, layout.played, addresses["services"], tokens)
    with progress_bar() as progress:
        result = asyncio.run(player.play(progress, side_by_side))
    return player.result.path, result


def tell(result: Mapping[str, Any], shown: int = 20) -> None:
    """The differences, on stderr."""
    for difference in result["differences"][:shown]:
        print("line {n} {verb} (expect {expect}): {what}".format_map(difference), file=sys.stderr)
    if result["unexpected"] > shown:
        print(f"... and {result['unexpected'] - shown} more", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--day", type=Path, default=Path("data/day.jsonl"))
    parser.add_argument("--state", type=Path, default=Layout.default().state)
    parser.add_argument("--side-by-side", type=int, default=SIDE_BY_SIDE)
    arguments = parser.parse_args()
    try:
        day = read_day(arguments.day)
        path, result = play(day, Layout(arguments.state.resolve()), arguments.side_by_side)
    except (Refused, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    tell(result)
    print("{lines} lines, {unexpected} unexpected, p50 {p50_ms} ms, p99 {p99_ms} ms".format_map(result), path)
    return 1 if result["unexpected"] else 0


if __name__ == "__main__":
    sys.exit(main())
