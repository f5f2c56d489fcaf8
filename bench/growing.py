"""Whether a hundred times the patients cost anything, and how long one caller's search takes."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any

from bench import callers
from bench.filling import fill, planned, published
from bench.people import name_searches, phone_searches, registrations
from bench.setting import ROUNDS, Setting, median
from libs.common.mongo import connect, open_database
from services.registration.aggregates import PATIENT

SMALL, MIDDLE, LARGE = 1_000, 10_000, 100_000
CALLERS = 16
SECONDS = 3.0


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
                    load = asyncio.run(
                        callers.run(
                            served[size],
                            lambda n, of=of, size=size, number=number: of(token, f"{size}-{number}-{n}"),  # type: ignore[misc]
                            callers=CALLERS,
                            seconds=SECONDS,
                        )
                    )
                    rates.setdefault((size, what), []).append(load.per_s)
            for what in p50:
                load = asyncio.run(
                    callers.run(
                        served[MIDDLE],
                        lambda n, of=asks[what], number=number: of(token, f"{number}-{n}"),  # type: ignore[misc]
                        callers=1,
                        seconds=SECONDS,
                    )
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


async def _fill(here: Setting, prefix: str, size: int) -> None:
    client = connect(here.stack.mongodb_uri)
    try:
        database = open_database(client, f"{prefix}registration")
        await fill(database, size, f"growth-{size}")
        await published(database, PATIENT)
        await planned(database, PATIENT)
    finally:
        await client.close()
