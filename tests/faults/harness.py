"""One round: a load of mixed commands, something real that is hit meanwhile, and a checker that reads what is left.

The load is a generated day, sent by the player, whose retries with the same key are what a desk would do. Acceptances
name a bed, and ledgers are read against referrals.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import Progress

from deploy.local.issuer import Abdm, Issuer
from deploy.local.layout import REPOSITORY
from deploy.local.store import SERVICES
from deploy.local.testing import TestStack
from tests.faults import calls, reservations
from tests.faults.hits import HITS, POISON_KEY, Hit
from tools.check_day import check
from tools.checking.figures import read_day as read_totals
from tools.checking.settle import Names
from tools.checking.world import Difference
from tools.play_day import Player
from tools.playing.asking import Tokens
from tools.playing.day import Line, read_day

PATIENTS = 34
"""About 170 lines, of which well over a hundred are acknowledged writes, whatever the seed."""

SETTLE_SECONDS = 60.0
FIRST_DAY = dt.date(2027, 1, 4)
COUNTED = ("lost", "doubled", "reordered", "ghosts", "stuck")
KINDS = {"totals": "lost", "unexpected": "ghosts", "unsettled": "stuck", "ghost": "ghosts", "dead_letters": "stuck"}
"""What the checker's other words count as here: a total that falls short is something lost."""


class Alternating(Mapping[str, str]):
    """Base URLs by service; where two replicas run, one after the other."""

    def __init__(self, stack: TestStack) -> None:
        self._stack = stack
        self._turn = 0

    def __getitem__(self, service: str) -> str:
        second = self._stack.port.get(f"{service}-2")
        self._turn += 1
        return f"http://127.0.0.1:{second}" if second and self._turn % 2 else self._stack.url(service)

    def __iter__(self) -> Iterator[str]:
        return iter(SERVICES)

    def __len__(self) -> int:
        return len(SERVICES)


class Watched(Player):
    """A player that knows how many commands are under way, and calls when the load is well begun."""

    def __init__(self, *args: Any, hit_after: int) -> None:
        super().__init__(*args)
        self.in_flight = 0
        self._sent = 0
        self._hit_after = hit_after
        self.hit_now = asyncio.Event()

    async def _send(self, client: httpx.AsyncClient, line: Line) -> None:
        self.in_flight += 1
        self._sent += 1
        if self._sent >= self._hit_after:
            self.hit_now.set()
        try:
            await super()._send(client, line)
        finally:
            self.in_flight -= 1


@dataclass
class Round:
    """What was hit, when (seconds after the load began), with how many commands in flight, and what came of it."""

    number: int
    hit: str
    at: float = 0.0
    in_flight: int = 0
    acknowledged: int = 0
    seconds: float = 0.0
    found: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    """Calls to providers per message that had to go out (see calls.py)."""
    differences: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Harness:
    """A stack of its own and a stream of rounds. `seed` decides loads, hits and instants."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.stack = TestStack.make(folder)
        self._folder = folder
        self._seed = seed
        self._chance = random.Random(seed)
        self._order: list[Hit] = []

    def up(self) -> None:
        self.stack.up()

    def down(self) -> None:
        self.stack.down()

    def next_hit(self) -> Hit:
        """Each kind once, in random order, before any comes again."""
        if not self._order:
            self._order = list(HITS)
            self._chance.shuffle(self._order)
        return self._order.pop()

    def round(self, number: int, hit: Hit) -> Round:
        began = time.monotonic()
        day = self._day(number)
        done = Round(number, hit.name)
        result = asyncio.run(self._load(day, hit, done))
        done.acknowledged = sum(1 for answer in result["answers"] if 200 <= answer["status"] < 300)
        _, differences = asyncio.run(self._check(day, result))
        done.found = dict.fromkeys(COUNTED, 0)
        differences = [one for one in differences if not one.id.startswith(POISON_KEY)]
        differences += asyncio.run(reservations.differences(self.stack.mongodb_uri, self.stack.prefix, SETTLE_SECONDS))
        for difference in differences:
            done.found[_counted_as(difference)] += 1
        done.found["lost"] += int(result["unexpected"])
        done.differences = [f"{d.kind}: {d.what} {d.where} {d.id}" for d in differences[:20]]
        done.differences += [f"line {d['n']} {d['verb']}: {d['what']}" for d in result["differences"][:20]]
        done.calls = calls.read(self.stack.mongodb_uri, self.stack.prefix, self.stack.inbox)
        done.seconds = round(time.monotonic() - began, 1)
        return done

    async def _load(self, path: Path, hit: Hit, done: Round) -> dict[str, Any]:
        day = read_day(path)
        layout = self.stack.layout
        tokens = Tokens(Issuer(layout, self.stack.gateways), Abdm(layout))
        await asyncio.to_thread(hit.prepare, self.stack, self._chance)
        after = self._chance.randint(len(day.lines) // 6, len(day.lines) // 2)
        player = Watched(day, layout.state, Alternating(self.stack), tokens, hit_after=after)
        began = time.monotonic()
        with Progress(console=Console(stderr=True), disable=True) as progress:
            playing = asyncio.create_task(player.play(progress))
            await player.hit_now.wait()
            await asyncio.sleep(self._chance.random() * 0.2)
            while not player.in_flight and not playing.done():  # noqa: ASYNC110 - the load tells nobody
                await asyncio.sleep(0.001)
            done.at, done.in_flight = round(time.monotonic() - began, 3), player.in_flight
            await asyncio.to_thread(hit.strike, self.stack, self._chance)
            result = await playing
        await asyncio.to_thread(hit.heal, self.stack, self._chance)
        return result

    async def _check(self, day: Path, result: dict[str, Any]) -> tuple[dict[str, Any], list[Difference]]:
        names = Names(self.stack.prefix, "", "hillhealth")
        stack = self.stack
        return await check(
            read_totals(day), result, stack.mongodb_uri, stack.kafka_bootstrap, names, stack.inbox, SETTLE_SECONDS
        )

    def _day(self, number: int) -> Path:
        """A day later than the round before, so that the day's clock goes on."""
        path = self._folder / f"round-{number}.jsonl"
        command: list[str | Path] = [
            sys.executable,
            REPOSITORY / "tools" / "make_day.py",
            "--seed",
            str(self._seed * 1000 + number),
            "--patients",
            str(PATIENTS),
            "--date",
            (FIRST_DAY + dt.timedelta(days=number)).isoformat(),
        ]
        path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
        reservations.ask_for_beds(path)
        return path


def _counted_as(difference: Difference) -> str:
    kind = KINDS.get(difference.kind, difference.kind)
    return kind if kind in COUNTED else "lost"
