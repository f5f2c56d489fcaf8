"""What is published of complaints, by facility and category and quarter; each figure is defined in DEFINITIONS.

Small counts are not shown: in a valley of five hundred people "one complaint about an abortion" is a name. One period
only, the quarter, so that nothing small can be had by taking one answer from another.
"""

from __future__ import annotations

import datetime as dt
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from libs.common.refusal import Refused
from services.grievance.domain.calendar import IST
from services.grievance.domain.moves import PASSED_ON
from services.grievance.domain.state import Grievance

FEWEST = 5
"""Counts below this, other than none, are not shown."""

AGES = ((7, "open_to_7_days"), (21, "open_to_21_days"), (60, "open_to_60_days"))
OLDER = "open_over_60_days"
PARTS = (*(name for _, name in AGES), OLDER, "awaiting_word", "confirmed", "not_fixed", "passed_on", "unreachable")
"""Each complaint is in exactly one of these; together they are `received`."""

HIDDEN_FIRST = (
    "awaiting_word",
    *(name for _, name in reversed(AGES)),
    OLDER,
    "unreachable",
    "passed_on",
    "not_fixed",
    "confirmed",
)
"""Which part is hidden for a small one's sake: by name and never by size, or who knows the rule could tell the size."""

DEFINITIONS: Mapping[str, str] = {
    "received": "complaints filed in the quarter (Indian time); no appeals, nor cases opened by themselves",
    **{name: f"of these, open today and received at most {days} days ago" for days, name in AGES},
    OLDER: "of these, open today and received more than 60 days ago (each in the first that it fits)",
    "awaiting_word": "of these, called resolved; whoever filed it has not said yet whether it is",
    "confirmed": "of these, closed by the word of whoever filed it; being disposed of is not counted",
    "not_fixed": "of these, answered with `not-fixed`, whoever closed it",
    "passed_on": "of these, explained and passed on to another procedure (court, right to information, …)",
    "unreachable": "of these, closed after recorded attempts to reach whoever filed it",
    "reopened": "of these, opened again at least once because they were not put right",
    "confirmed_rate": "confirmed by received",
    "median_days": "median of the days from receipt to the confirmation, of the confirmed",
    "satisfaction": "mean of the ratings (1 to 5) given with the confirmation",
}


@dataclass(frozen=True)
class Row:
    """`None` is a count that is not shown."""

    category: str
    received: int | None
    parts: Mapping[str, int | None]
    reopened: int | None
    confirmed_rate: float | None
    median_days: float | None
    satisfaction: float | None


def quarter(written: str) -> tuple[dt.datetime, dt.datetime]:
    """The first instant of an Indian quarter (`2026-Q4`) and of the one after. Raises Refused naming `quarter`."""
    found = re.fullmatch(r"(20[0-9]{2})-Q([1-4])", written)
    if found is None:
        raise Refused("quarter-invalid", "must be written like 2026-Q4", field="quarter")
    first = dt.datetime(int(found[1]), int(found[2]) * 3 - 2, 1, tzinfo=IST)
    following = (first + dt.timedelta(days=100)).replace(day=1)
    return first.astimezone(dt.UTC), following.astimezone(dt.UTC)


def quarter_of(moment: dt.datetime) -> str:
    here = moment.astimezone(IST)
    return f"{here.year}-Q{(here.month + 2) // 3}"


def counted(state: Grievance) -> bool:
    return state.parent is None and state.because is None


def part_of(state: Grievance, now: dt.datetime) -> str:
    if state.open:
        age = (now - state.received).total_seconds() / 86_400
        return next((name for days, name in AGES if age <= days), OLDER)
    if state.outcome == "not-fixed":
        return "not_fixed"
    if state.outcome == PASSED_ON:
        return "passed_on"
    return {"closed": "confirmed", "closed-unreachable": "unreachable"}.get(state.status, "awaiting_word")


def rows(states: Iterable[Grievance], now: dt.datetime) -> list[Row]:
    """By category, in its order."""
    by_category: dict[str, list[Grievance]] = defaultdict(list)
    for state in states:
        if counted(state):
            by_category[state.category].append(state)
    return [_row(category, found, now) for category, found in sorted(by_category.items())]


def _row(category: str, states: Sequence[Grievance], now: dt.datetime) -> Row:
    received = len(states)
    if received < FEWEST:
        return Row(category, None, dict.fromkeys(PARTS), None, None, None, None)
    parts = dict.fromkeys(PARTS, 0)
    for state in states:
        parts[part_of(state, now)] += 1
    shown = suppressed(parts)
    confirmed = [state for state in states if part_of(state, now) == "confirmed"]
    reopened = sum(1 for state in states if state.reopened)
    told = shown["confirmed"]
    days = [(state.closed_at - state.received).total_seconds() / 86_400 for state in confirmed if state.closed_at]
    ratings = [state.rating for state in confirmed if state.rating is not None]
    enough = told is not None and len(days) >= FEWEST
    return Row(
        category,
        received,
        shown,
        reopened if reopened == 0 or reopened >= FEWEST else None,
        round(told / received, 3) if told is not None else None,
        round(statistics.median(days), 2) if enough else None,
        round(statistics.fmean(ratings), 2) if enough and len(ratings) >= FEWEST else None,
    )


def suppressed(parts: Mapping[str, int]) -> dict[str, int | None]:
    """Hides each small count, and as many others as it takes that no hidden one follows from the sum."""
    hidden = {name for name, count in parts.items() if 0 < count < FEWEST}
    while hidden and _follows(parts, hidden):
        other = next((name for name in HIDDEN_FIRST if parts.get(name) and name not in hidden), None)
        if other is None:
            hidden = set(parts)
            break
        hidden.add(other)
    return {name: None if name in hidden else count for name, count in parts.items()}


def _follows(parts: Mapping[str, int], hidden: set[str]) -> bool:
    """Whether one of the hidden counts can be told: small ones are known to lie between 1 and FEWEST - 1."""
    if len(hidden) == 1:
        return True
    small = [name for name in hidden if parts[name] < FEWEST]
    if len(small) < len(hidden):
        return False
    total = sum(parts[name] for name in hidden)
    return total in (len(hidden), len(hidden) * (FEWEST - 1))
