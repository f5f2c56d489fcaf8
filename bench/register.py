"""Registering a person: ours with all guarantees on, against the naive and the transactional way, taken in turn."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any

from bench import callers
from bench.people import registrations
from bench.setting import ROUNDS, Setting, median

CALLERS = 16
SECONDS = 5.0
WARM_UP_SECONDS = 2.0


def measure(here: Setting) -> dict[str, Any]:
    """Rates per second and milliseconds; the ratios are medians of each round's own ratio.

    Rivals named unmatched do not look who this may be: so the price of that look stands beside that of the guarantees.
    """
    arms = {
        "ours": ["services.registration"],
        "naive": ["bench.rivals", "naive"],
        "transactional": ["bench.rivals", "transactional"],
        "naive_unmatched": ["bench.rivals", "naive", "unmatched"],
        "transactional_unmatched": ["bench.rivals", "transactional", "unmatched"],
    }
    token = here.token()
    rates: dict[str, list[float]] = {arm: [] for arm in arms}
    p50: list[float] = []
    with ExitStack() as running:
        served = {
            arm: running.enter_context(here.serve(module, "registration", f"bench_register_{arm}_"))
            for arm, module in arms.items()
        }
        for number in range(ROUNDS + 1):
            for arm, (url, _) in served.items():
                load = asyncio.run(
                    callers.run(
                        url,
                        lambda n, arm=arm, number=number: registrations(token, f"{arm}-{number}-{n}"),  # type: ignore[misc]
                        callers=CALLERS,
                        seconds=SECONDS if number else WARM_UP_SECONDS,
                    )
                )
                if not number:
                    continue
                rates[arm].append(load.per_s)
                if arm == "ours":
                    p50.append(load.p50)
        rss = here.rss_mb(served["ours"][1])
    return {
        "register_per_s": median(rates["ours"]),
        "register_p50_ms": median(p50),
        "guaranteed_vs_naive": _ratio(rates, "naive"),
        "guaranteed_vs_transactional": _ratio(rates, "transactional"),
        **{f"{arm}_per_s": median(rates[arm]) for arm in arms if arm != "ours"},
        "rss_mb": rss,
    }


def _ratio(rates: dict[str, list[float]], rival: str) -> float:
    return median([ours / theirs for ours, theirs in zip(rates["ours"], rates[rival], strict=True)])
