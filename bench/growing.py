"""Whether a hundred times the patients cost anything, and how long one caller's search takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from bench import callers
from bench.callers import Ask, Load
from bench.filling import fill, published
from bench.people import name_searches, phone_searches, registrations
from bench.setting import ROUNDS, Setting, median, now
from libs.common.mongo import connect, open_database
from services.registration.aggregates import PATIENT

SMALL, MIDDLE, LARGE = 1_000, 10_000, 100_000
CALLERS = 16
SECONDS = 3.0
TRIES = 6


def measure(here: Setting) -> dict[str, Any]:
    token = here.token()
    asks = {"register": registrations, "phone": phone_searches, "name": name_searches}
    rates: dict[tuple[int, str], list[float]] = {}
    p50: dict[str, list[float]] = {"phone": [], "name": []}
    with ExitStack() as running:
        served = {}
        for size in (SMALL, MIDDLE, LARGE):
            prefix = f"bench_growth_{size}_"
            url, _ = running.enter_context(here.serve(["services.registration"], "registration", prefix, RELAY="false"))
            served[size] = url
            asyncio.run(_fill(here, prefix, size))
        for number in range(ROUNDS):
            for what, of in asks.items():
                for size in (SMALL, LARGE):
                    load = _load(
                        served[size],
                        lambda n, of=of, size=size, number=number: of(token, f"{size}-{number}-{n}-{now()}"),  # type: ignore[misc]
                        CALLERS,
                    )
                    rates.setdefault((size, what), []).append(load.per_s)
            for what in p50:
                load = _load(
                    served[MIDDLE],
                    lambda n, of=asks[what], number=number: of(token, f"{number}-{n}-{now()}"),  # type: ignore[misc]
                    1,
                )
                p50[what].append(load.p50)
    ratios = {
        what: median([large / small for large, small in zip(rates[LARGE, what], rates[SMALL, what], strict=True)])
        for what in asks
    }
    return {
        "growth": min(ratios.values()),
        **{f"growth_{what}": ratio for what, ratio in ratios.items()},
        "search_phone_p50_ms": median(p50["phone"]),
        "search_name_p50_ms": median(p50["name"]),
    }


def _load(url: str, asks: Callable[[int], Iterator[Ask]], at_once: int) -> Load:
    """A store that has taken a hundred thousand is busy with them now and then, and for seconds answers nobody: what
    is refused meanwhile is asked again. Raises RuntimeError when that does not help."""
    for left in reversed(range(TRIES)):
        try:
            return asyncio.run(callers.run(url, asks, callers=at_once, seconds=SECONDS))
        except RuntimeError:
            if not left:
                raise
            time.sleep(SECONDS)
    raise AssertionError


async def _fill(here: Setting, prefix: str, size: int) -> None:
    client = connect(here.stack.mongodb_uri)
    try:
        database = open_database(client, f"{prefix}registration")
        await fill(database, size, f"growth-{size}")
        await published(database, PATIENT)
    finally:
        await client.close()
