"""The monthly audit and the gauges, read from the store."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from typing import Any

from libs.common.mongo import Database
from services.referral import store
from services.referral.country import Country
from services.referral.domain import audit
from services.referral.domain.audit import DEFINITIONS, Figures
from services.referral.domain.referral import Referral

AT_ONCE = 8
"""Facilities whose referrals are read at the same time."""

SIDES = ("origin", "destination")


async def of_month(
    database: Database, country: Country, month: str, side: str, facility: str | None, service: str | None
) -> list[Referral]:
    """The referrals and questions asked for in the month: of one facility, or of all that the directory has. Raises
    ValueError for no month."""
    since, until = audit.bounds(month)
    places = [facility] if facility else sorted(await country.cards())
    gate = asyncio.Semaphore(AT_ONCE)

    async def read(place: str) -> list[Referral]:
        async with gate:
            return await store.asked_between(database, side, place, since, until)

    found = [state for states in await asyncio.gather(*(read(place) for place in places)) for state in states]
    return [state for state in found if service is None or state.service == service]


def table(states: Sequence[Referral], by: Sequence[str]) -> list[tuple[dict[str, str], Figures]]:
    """A line for each group."""
    groups = audit.grouped(states, by)
    return [(dict(zip(by, names, strict=True)), audit.figures(group)) for names, group in groups.items()]


def as_csv(
    lines: Sequence[tuple[dict[str, str], Figures]], beds: Mapping[str, int] | None = None, by: Sequence[str] = ()
) -> str:
    """RFC 4180, a header first, also where there is no line; `by` names what the lines are of. Parts that a line has
    none of are 0, a median of nothing is empty. `beds` by facility: lines by destination say their load against them.
    """
    flat = [names | audit.flat(found) | _load(names, found, beds or {}) for names, found in lines]
    order = {name: position for position, name in enumerate(("month", *SIDES, "service", *DEFINITIONS))}
    columns = sorted(
        {*by, *audit.flat(audit.figures(())), *(column for line in flat for column in line)},
        key=lambda c: (order.get(c.partition(".")[0], len(order)), c),
    )
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\r\n")
    writer.writeheader()
    for line in flat:
        writer.writerow({column: _cell(line, column) for column in columns})
    return out.getvalue()


def _load(names: dict[str, str], found: Figures, beds: Mapping[str, int]) -> dict[str, Any]:
    there = beds.get(names.get("destination", ""))
    if there is None:
        return {}
    return {"load.beds": there, "load.arrived_per_bed": round(found.arrived / there, 3) if there else None}


def _cell(line: dict[str, Any], column: str) -> Any:
    if column in line:
        return "" if line[column] is None else line[column]
    return "" if column.startswith("median") else 0


async def load(country: Country, states: Sequence[Referral]) -> list[dict[str, Any]]:
    """Who arrived where, against the beds there."""
    cards = await country.cards()
    found = []
    for code, arrived in audit.load(states).items():
        card = cards.get(code)
        found.append(
            {
                "facility": code,
                "level": card.level if card else "",
                "arrived": arrived,
                "beds": card.beds if card else None,
                "arrived_per_bed": round(arrived / card.beds, 3) if card and card.beds else None,
            }
        )
    return found


async def oldest_unanswered(database: Database, now: dt.datetime) -> dict[str, float]:
    """By urgency, how many seconds the oldest waits for an answer; 0 where none does."""
    ages = {}
    for urgency in ("routine", "urgent", "emergency"):
        firsts = await asyncio.gather(
            *(store.first_in_status(database, status, urgency) for status in ("requested", "lapsed"))
        )
        waits = [(now - at).total_seconds() for at in firsts if at is not None]
        ages[urgency] = max(0.0, *waits) if waits else 0.0
    return ages
