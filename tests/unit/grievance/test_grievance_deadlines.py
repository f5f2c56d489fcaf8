"""Promises and steps, and the file they come from: a bad one is refused with its line."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.grievance.catalogue import BadCatalogue, read_catalogue
from services.grievance.domain.deadlines import Category, next_breach, promised

START = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)

hours = st.floats(0.25, 2000, allow_nan=False)


@given(hours, st.lists(hours, max_size=10), st.integers(0, 10_000))
def test_there_is_one_step_more_than_entries_and_each_is_later(first: float, rest: list[float], late: int) -> None:
    category = Category(code="x", name="x", redress_hours=first, escalation_hours=tuple(rest))
    due: dt.datetime | None = promised(category, START)
    steps = 0
    while due is not None:
        steps += 1
        escalated = due + dt.timedelta(minutes=late)
        following = next_breach(category.escalation_hours, steps, escalated)
        assert following is None or following > escalated
        due = following
    assert steps == len(rest) + 1


def test_shipped_file_covers_what_is_complained_about() -> None:
    categories = read_catalogue()
    assert categories["denied-cashless-treatment"].emergency
    assert 4 <= categories["denied-cashless-treatment"].redress_hours <= 24
    for code in ("medicine-not-available", "long-wait", "staff-behaviour", "ambulance-delay"):
        assert categories[code].redress_hours >= 24
    assert all(category.source for category in categories.values())


GOOD = "categories:\n  long-wait:\n    name: Long wait\n    redress_hours: 24\n    escalation_hours: [24]\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "empty"),
        ("# nothing\n\nkinds: {}\n", 3, "unknown field kinds"),
        ("categories: {}\n", 1, "no category"),
        ("- a\n", 1, "names"),
        (GOOD.replace("24\n", "-1\n", 1), 4, "redress_hours"),
        (GOOD.replace("24\n", ".nan\n", 1), 4, "redress_hours"),
        (GOOD.replace("24\n", "soon\n", 1), 4, "redress_hours"),
        (GOOD.replace("[24]", "\n    - 24\n    - x"), 7, "escalation_hours.1"),
        (GOOD.replace("name:", "nmae:"), 3, "nmae"),
        (GOOD.replace("    redress_hours: 24\n", ""), 2, "redress_hours"),
        (GOOD + GOOD.split("\n", 1)[1], 6, "twice"),
        (GOOD.replace("long-wait", "Long Wait"), 2, "code"),
        (GOOD + "    name: again\n", 6, "twice"),
        (GOOD + "    code: other\n", 6, "code"),
        (GOOD + "  other: [\n", 7, "expected"),
        (GOOD.replace("Long wait", "!!python/name:os.system x"), 3, "constructor"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = tmp_path / "categories.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadCatalogue) as refusal:
        read_catalogue(path)
    assert str(refusal.value).startswith(f"{path}:{line}: ")
    assert says in str(refusal.value)
