"""Public figures, against a slow recomputation from journals; and that no small count can be had from what is shown."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from grievance_case import FILE, FIXED, START, run, timed
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.refusal import Refused
from libs.contracts.event import Event
from libs.contracts.grievance import Reporter
from services.grievance.domain import figures
from services.grievance.domain.commands import Attempt, CloseUnreachable, Confirm, Reopen, Resolve, Screen, Verify
from services.grievance.domain.figures import DEFINITIONS, FEWEST, PARTS, Row, rows, suppressed

NOW = START + dt.timedelta(days=45)

ORDINARY: list[list[tuple[Any, int]]] = [
    [],
    [(FIXED, 60)],
    [(FIXED, 60), (Confirm(4), 1500)],
    [(FIXED, 60), (Reopen("no"), 60), (FIXED, 60), (Confirm(2), 3000)],
    [(Resolve("not-fixed", "no post"), 60), (Confirm(1), 60)],
    [(Screen("rti", "pio", "ask the officer"), 60)],
    [(FIXED, 1), (Attempt("phone", False), 1), (Attempt("visit", False), 1500), (CloseUnreachable(), 1)],
]
paths = st.lists(st.one_of(st.sampled_from(ORDINARY), timed), min_size=0, max_size=40)


def slowly(journals: Sequence[Sequence[Event]]) -> dict[str, Any]:
    """The figures read out of journals, entry by entry, with nothing of the fold."""
    parts = dict.fromkeys(PARTS, 0)
    days: list[float] = []
    ratings: list[int] = []
    reopened = 0
    for journal in journals:
        status, outcome, rating, closed, again = "open", None, None, None, False
        filed = journal[0].model_dump()
        received = filed["received_at"] or filed["filed_at"]
        for event in journal:
            name, data = type(event).__name__, event.model_dump()
            if name == "Resolved":
                status, outcome = "awaiting_word", data["outcome"]
            elif name == "Confirmed":
                status, rating, closed = "confirmed", data["rating"], data["confirmed_at"]
            elif name == "ClosedUnreachable":
                status, closed = "unreachable", data["closed_at"]
            elif name == "Appealed":
                status, closed = "awaiting_word", None
            elif name == "Reopened":
                status, outcome, rating, closed, again = "open", None, None, None, True
        reopened += again
        if status == "open":
            age = (NOW - received) / dt.timedelta(days=1)
            late = "open_to_60_days" if age <= 60 else "open_over_60_days"
            status = "open_to_7_days" if age <= 7 else "open_to_21_days" if age <= 21 else late
        elif outcome in ("not-fixed", "passed-on"):
            status = {"not-fixed": "not_fixed", "passed-on": "passed_on"}[outcome]
        if status == "confirmed":
            assert closed is not None
            assert rating is not None
            days.append((closed - received) / dt.timedelta(days=1))
            ratings.append(rating)
        parts[status] += 1
    days.sort()
    half = len(days) // 2
    median = None if not days else days[half] if len(days) % 2 else (days[half - 1] + days[half]) / 2
    mean = sum(ratings) / len(ratings) if ratings else None
    return {"parts": parts, "reopened": reopened, "median": median, "mean": mean}


@settings(max_examples=100, deadline=None)
@given(paths)
def test_figures_are_what_a_slow_reading_of_the_journals_finds(paths: list[list[tuple[Any, int]]]) -> None:
    played = [run(path) for path in paths]
    found = rows([state for state, _ in played], NOW)
    if len(played) < FEWEST:
        assert all(row.received is None and set(row.parts.values()) == {None} for row in found)
        return
    (row,) = found
    slow = slowly([journal for _, journal in played])
    assert row.received == len(played) == sum(slow["parts"].values())
    assert row.parts == suppressed(slow["parts"])
    assert row.reopened in (slow["reopened"], None)
    assert (row.reopened is None) == (0 < slow["reopened"] < FEWEST)
    confirmed = slow["parts"]["confirmed"]
    if row.parts["confirmed"] is not None:
        assert row.confirmed_rate == round(confirmed / len(played), 3)
    if row.median_days is not None:
        assert confirmed >= FEWEST
        assert row.median_days == pytest.approx(slow["median"], abs=0.01)
        assert row.satisfaction == pytest.approx(slow["mean"], abs=0.01)


@settings(deadline=None)
@given(st.lists(st.sampled_from((0, 0, 0, 1, 2, 3, 4, 5, 6, 9)), min_size=len(PARTS), max_size=len(PARTS)))
def test_no_small_count_follows_from_what_is_shown(counts: list[int]) -> None:
    """Whoever knows the sum, the shown parts and the rule still has two possibilities for each hidden small one."""
    parts = dict(zip(PARTS, counts, strict=True))
    if sum(counts) < FEWEST:
        return
    shown = suppressed(parts)
    hidden = [name for name, count in shown.items() if count is None]
    assert not any(count is not None and 0 < count < FEWEST for count in shown.values())
    small = [name for name in hidden if 0 < parts[name] < FEWEST]
    if len(hidden) > 3 or not small:
        return
    total = sum(parts[name] for name in hidden)
    possible = itertools.product(range(total + 1), repeat=len(hidden) - 1)
    worlds = [(*one, total - sum(one)) for one in possible if sum(one) <= total]
    # What would have been shown in the same way.
    fitting = [world for world in worlds if suppressed(parts | dict(zip(hidden, world, strict=True))) == shown]
    for place, name in enumerate(hidden):
        if name in small:
            assert len({world[place] for world in fitting}) > 1, (parts, shown)


def test_disposed_of_is_not_confirmed() -> None:
    """Parliament asked of CPGRAMS in 2021 and 2023; the Lieutenant Governor of Ladakh in 2025."""
    disposed = [run([(FIXED, 60)])[0] for _ in range(20)]
    (row,) = rows(disposed, NOW)
    assert (row.parts["confirmed"], row.confirmed_rate, row.parts["awaiting_word"]) == (0, 0.0, 20)


def test_appeals_and_what_opened_by_itself_are_not_complaints() -> None:
    child, _ = run([], first=dataclasses.replace(FILE, parent="g1"))
    own, _ = run([(FIXED, 1), (Verify(True, "x"), 1)], first=dataclasses.replace(
        FILE, because="referral-breach", reporter=Reporter(kind="anonymous"), filed_by=None))  # fmt: skip
    assert rows([child, own] * 10, NOW) == []


def test_reopening_does_not_make_a_case_younger() -> None:
    again = [run([(FIXED, 60), (Reopen("no"), 40 * 24 * 60)])[0] for _ in range(6)]
    (row,) = rows(again, NOW)
    assert row.parts["open_to_60_days"] == 6


def test_every_figure_is_defined() -> None:
    names = {field.name for field in dataclasses.fields(Row)} - {"category", "parts"} | set(PARTS)
    assert names == set(DEFINITIONS)


def test_a_quarter_is_an_indian_one() -> None:
    first, following = figures.quarter("2026-Q4")
    assert (first.isoformat(), following.isoformat()) == ("2026-09-30T18:30:00+00:00", "2026-12-31T18:30:00+00:00")
    assert figures.quarter_of(first) == "2026-Q4"
    assert figures.quarter_of(first - dt.timedelta(seconds=1)) == "2026-Q3"
    for wrong in ("2026", "2026-Q5", "1999-Q1", "2026-11"):
        with pytest.raises(Refused):
            figures.quarter(wrong)
