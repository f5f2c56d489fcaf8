"""Complaints from filing to the word of whoever filed them: how many, at what size, in a storm, and their timers."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from pymongo import MongoClient

from bench.callers import Connection
from bench.complaints import directory, fill
from bench.setting import ROUNDS, Setting, median
from libs.common.clock import machine_now
from services.grievance.main import create_app
from services.grievance.settings import Settings
from services.grievance.store import GRIEVANCE

SMALL, LARGE = 1_000, 100_000
IDLE_SECONDS = 3.0
"""After which a connection is not used again: the server closes it at 5, as clients know."""
CALLERS = 16
SECONDS = 3.0
WARM_UP_SECONDS = 3.0
ABOUT, OFFICE = "LA-LEH-PHC-PANAMIK", "LA-LEH-SDH-DISKIT"
BREACHED = 10_000
"""Of the large store's waiting cases, those whose date has passed."""

PROFILE = ((1, 10.0), (15, 8.0), (25, 8.0), (35, 8.0), (25, 8.0), (15, 8.0), (1, 25.0))
"""Lifecycles a second, and for how many seconds."""

WINDOW = 5.0
"""Seconds over which a valley's p99 is taken: at one lifecycle a second, twenty answers."""

WITHIN = 1.25

LEAD_SECONDS = 20
"""In which a service starts before its cases become due."""


def measure(here: Setting) -> dict[str, Any]:
    people = People.of(here)
    rates: dict[int, list[float]] = {SMALL: [], LARGE: []}
    with ExitStack() as running:
        served = {}
        for size, breached in ((SMALL, 0), (LARGE, BREACHED)):
            asyncio.run(_fill(here, size, breached))
            served[size] = running.enter_context(_serve(here, size, TIMERS="false"))
        for size, url in served.items():
            asyncio.run(_lifecycles(url, people, WARM_UP_SECONDS, f"{size}-warm"))
        for _ in range(ROUNDS):
            for size, url in served.items():
                rates[size].append(asyncio.run(_lifecycles(url, people, SECONDS, f"{size}")))
        storm = asyncio.run(_storm(served[SMALL], people))
    return {
        "lifecycles_per_s": median(rates[SMALL]),
        "lifecycles_growth": median([large / small for large, small in zip(rates[LARGE], rates[SMALL], strict=True)]),
        **storm,
        "timers_per_s": _timers(here),
    }


@dataclass(frozen=True)
class People:
    """Bearer headers by role."""

    citizen: str
    officer: str
    nodal: str

    @classmethod
    def of(cls, here: Setting) -> People:
        token = here.stack.issuer.token
        return cls(
            token(role="citizen", facility="", subject="citizen:bench", patient="patient-bench"),
            token(role="officer", facility=OFFICE),
            token(role="nodal-officer", facility=OFFICE),
        )


def _prefix(size: int) -> str:
    return f"bench_cases_{size}_"


@contextmanager
def _serve(here: Setting, size: int, **extra: str) -> Iterator[str]:
    with here.serve(["services.grievance"], "grievance", _prefix(size), **extra) as (url, _):
        yield url


async def _fill(here: Setting, size: int, breached: int) -> None:
    settings = here.stack.settings("grievance", DATABASE_PREFIX=_prefix(size), CLOCK="system")
    service = create_app(Settings.model_validate(settings.model_dump())).state.service
    try:
        await service.ensure_indexes()
        await service.database["facilities"].insert_many(directory())
        await fill(service.database, size, f"cases-{size}", breached=breached, office=OFFICE, about=ABOUT)
    finally:
        await service.database.client.close()


@dataclass
class Seen:
    """What the callers saw: when each answer was asked for, how long it took, and how many were none."""

    answers: list[tuple[float, float]] = field(default_factory=list)
    failed: int = 0
    done: int = 0

    async def ask(self, connection: Connection, path: str, body: dict[str, Any], token: str, key: str) -> Any:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        began = time.perf_counter()
        try:
            status, answer = await connection.ask(("POST", path, headers, body))
        except (OSError, asyncio.IncompleteReadError):
            status, answer = 0, b""
        self.answers.append((began, time.perf_counter() - began))
        if not 200 <= status < 300:
            self.failed += 1
            return None
        return answer


async def _lifecycle(seen: Seen, connection: Connection, people: People, key: str) -> None:
    """Filed, assigned, resolved, confirmed."""
    body = {"category": "long-wait", "text": "Waited five hours", "about_facility": ABOUT, "language": "bo"}
    filed = await seen.ask(connection, "/grievances", body, people.citizen, f"{key}-1")
    if filed is None:
        return
    # Cheaper than parsing the whole: the callers share the machine with what they measure.
    at = filed.index(b'"id":"') + 6
    path = f"/grievances/{filed[at : at + 36].decode()}"
    done = {"outcome": "fixed", "action_taken": "A second counter was opened"}
    steps: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("assign", {"to": f"nodal-officer@{OFFICE}"}, people.officer),
        ("resolve", done, people.nodal),
        ("confirm", {"rating": 4}, people.citizen),
    )
    for number, (verb, body_, token) in enumerate(steps, 2):
        if await seen.ask(connection, f"{path}/{verb}", body_, token, f"{key}-{number}") is None:
            return
    seen.done += 1


async def _lifecycles(url: str, people: People, seconds: float, name: str) -> float:
    """Lifecycles a second by 16 callers. Raises RuntimeError if one failed."""
    seen, run = Seen(), uuid.uuid4().hex[:8]
    began = time.perf_counter()

    async def call(number: int) -> None:
        connection = Connection(url)
        count = 0
        while time.perf_counter() < began + seconds:
            await _lifecycle(seen, connection, people, f"{run}-{number}-{count}")
            count += 1
        connection.close()

    await asyncio.gather(*(call(number) for number in range(CALLERS)))
    if seen.failed:
        raise RuntimeError(f"{seen.failed} of {len(seen.answers)} failed at {name}")
    return seen.done / (time.perf_counter() - began)


async def _storm(url: str, people: People) -> dict[str, float]:
    """Arrivals as the profile has them, whether or not the ones before were answered."""
    seen, run, free = Seen(), uuid.uuid4().hex[:8], list[tuple[Connection, float]]()
    chance, tasks = random.Random(run), set[asyncio.Task[None]]()
    count = 0

    async def arrive(number: int) -> None:
        connection, since = free.pop() if free else (Connection(url), time.perf_counter())
        if time.perf_counter() - since > IDLE_SECONDS:
            connection.close()
        await _lifecycle(seen, connection, people, f"storm-{run}-{number}")
        free.append((connection, time.perf_counter()))

    starts = []
    at = time.perf_counter()
    for rate, seconds in PROFILE:
        starts.append(at)
        end = at + seconds
        while at < end:
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            task = asyncio.create_task(arrive(count))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            count += 1
            at += (1 + 0.1 * (chance.random() - 0.5)) / rate
    await asyncio.gather(*tasks)
    for connection, _ in free:
        connection.close()
    first = _p99([took for began, took in seen.answers if began < starts[1]])
    storm = [took for began, took in seen.answers if starts[3] <= began < starts[4]]
    return {
        "spike_failed": seen.failed,
        "spike_recovery_s": _recovery(seen.answers, starts[-1], first),
        "spike_calm_p99_ms": first * 1000,
        "spike_peak_p99_ms": _p99(storm) * 1000,
    }


def _recovery(answers: list[tuple[float, float]], valley: float, first: float) -> float:
    """Seconds into the last valley until the p99 of the window that follows is within 1.25 times the first valley's."""
    length = PROFILE[-1][1]
    for tenth in range(int((length - WINDOW) * 10) + 1):
        since = valley + tenth / 10
        window = [took for began, took in answers if since <= began < since + WINDOW]
        if window and _p99(window) <= WITHIN * first:
            return tenth / 10
    return length


def _p99(seconds: list[float]) -> float:
    """By nearest rank."""
    return sorted(seconds)[max(0, -(-len(seconds) * 99 // 100) - 1)]


def _timers(here: Setting) -> float:
    """Steps a second of one service with 100,000 cases waiting, from when 10,000 fall due to the last of these.

    Asked of the store, by its index: a scrape of the service would count what is due, and cost it what is measured.
    """
    due = machine_now() + dt.timedelta(seconds=LEAD_SECONDS)
    with MongoClient[dict[str, Any]](here.stack.mongodb_uri) as client:
        cases = client[f"{_prefix(LARGE)}grievance"][GRIEVANCE.collection]
        moved = cases.update_many({"due": {"$lte": machine_now()}}, {"$set": {"due": due}}).modified_count
        with _serve(here, LARGE, SWEEP_SECONDS="0.05"):
            time.sleep(max(0.0, (due - machine_now()).total_seconds()))
            began = time.perf_counter()
            while cases.find_one({"due": {"$lte": due}}, {"_id": 1}):
                time.sleep(0.05)
            return float(moved / (time.perf_counter() - began))
