"""Referrals: full loops per second, what a hundred times the referrals cost, a busy worklist, and where to go."""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import callers, hospitals
from bench.callers import Ask, Connection
from bench.hospitals import HERE, LOOP, THERE
from bench.setting import ROUNDS, Setting, median
from libs.common.mongo import connect, open_database

SMALL, LARGE = 1_000, 100_000
FACILITIES = 500
CALLERS = 16
SECONDS = 4.0
SECONDS_TO_REST = 24.0
ONE_BY_ONE_SECONDS = 2.0


def measure(here: Setting) -> dict[str, Any]:
    """Loops are of seven commands, with the relay publishing their events meanwhile; the others are one caller's.

    The rate is taken before the many are written: a store that has just taken them is busy with them for as long as a
    round lasts. The ratio is of both by turns, once it has come to rest.
    """
    alone: list[float] = []
    loops: dict[int, list[float]] = {SMALL: [], LARGE: []}
    worklist: list[float] = []
    destinations: list[float] = []
    with ExitStack() as running:
        served = {SMALL: _serve(here, running, SMALL)}
        for _ in range(ROUNDS + 1):
            alone.append(asyncio.run(_loops(here, served[SMALL], SECONDS)))
        served[LARGE] = _serve(here, running, LARGE)
        asyncio.run(_loops(here, served[LARGE], SECONDS_TO_REST))
        for _ in range(ROUNDS):
            for size in (SMALL, LARGE):
                loops[size].append(asyncio.run(_loops(here, served[size], SECONDS)))
        for _ in range(ROUNDS):
            worklist.append(asyncio.run(_p99(served[LARGE], lambda _: _worklists(here))))
    with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
        rows = hospitals.write_directory(Path(folder) / "facilities.csv", FACILITIES)
        url, _ = running.enter_context(
            here.serve(["services.referral"], "referral", "bench_destinations_", FACILITIES=str(rows))
        )
        for _ in range(ROUNDS + 1):
            destinations.append(asyncio.run(_p99(url, lambda _: _destinations(here))))
    ratios = [large / small for large, small in zip(loops[LARGE], loops[SMALL], strict=True)]
    return {
        "loops_per_s": median(alone[1:]),
        "loops_growth": median(ratios),
        "worklist_p99_ms": median(worklist),
        "destinations_p99_ms": median(destinations[1:]),
    }


def _serve(here: Setting, running: ExitStack, size: int) -> str:
    prefix = f"bench_loops_{size}_"
    url, _ = running.enter_context(here.serve(["services.referral"], "referral", prefix))
    asyncio.run(_fill(here, prefix, size))
    return url


async def _fill(here: Setting, prefix: str, size: int) -> None:
    client = connect(here.stack.mongodb_uri)
    try:
        await hospitals.fill(open_database(client, f"{prefix}referral"), size, size)
    finally:
        await client.close()


async def _loops(here: Setting, url: str, seconds: float) -> float:
    """Loops closed per second. Raises RuntimeError with an answer that is no success."""
    tokens = {
        (role, facility): here.token(role, facility)
        for role, facility in {("doctor", HERE), *((role, facility) for _, role, facility, _ in LOOP)}
    }
    until, done, numbers = time.perf_counter() + seconds, 0, itertools.count()

    async def call(connection: Connection, role: str, facility: str, path: str, body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {tokens[role, facility]}", "Idempotency-Key": str(uuid.uuid4())}
        status, answer = await connection.ask(("POST", path, headers, body))
        if not 200 <= status < 300:
            raise RuntimeError(f"{path}: {status} {answer!r}")
        found: dict[str, Any] = json.loads(answer)
        return found

    async def caller() -> None:
        nonlocal done
        connection = Connection(url)
        while time.perf_counter() < until:
            asked = await call(connection, "doctor", HERE, "/referrals", hospitals.requested(next(numbers)))
            for command, role, facility, body in LOOP:
                last = await call(connection, role, facility, f"/referrals/{asked['id']}/{command}", body)
            assert last["status"] == "closed"
            done += 1
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done / (time.perf_counter() - began)


async def _p99(url: str, asks: Any) -> float:
    return (await callers.run(url, asks, callers=1, seconds=ONE_BY_ONE_SECONDS)).p99


def _worklists(here: Setting) -> Iterator[Ask]:
    """What a busy hospital's doctor looks at: how much there is on each list, what is to be answered, what is late."""
    headers = {"Authorization": f"Bearer {here.token('doctor', THERE)}"}
    while True:
        yield "GET", "/worklists", headers, None
        yield "GET", "/worklists/to-answer", headers, None
        yield "GET", "/worklists/overdue", headers, None
        yield "GET", "/referrals?box=received&status=requested", headers, None


def _destinations(here: Setting) -> Iterator[Ask]:
    headers = {"Authorization": f"Bearer {here.token('doctor', HERE)}"}
    for service in itertools.cycle(("surgery", "obstetrics", "general-medicine", "orthopaedics")):
        yield "POST", "/destinations", headers, {"service": service}
