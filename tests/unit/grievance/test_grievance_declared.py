"""Days that a place declares otherwise."""

from __future__ import annotations

import datetime as dt

import pytest

from libs.common.refusal import Refused
from services.grievance.domain.calendar import Shift
from services.grievance.domain.declared import Declare, DeclaredDays, NoteDerived, decide, evolve
from services.grievance.store import DECLARED

NOW = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
DAY = dt.date(2026, 11, 23)
MORNING = Shift(opens=dt.time(9), closes=dt.time(12))
NOON = Shift(opens=dt.time(11), closes=dt.time(14))


def declared(*commands: Declare | NoteDerived) -> DeclaredDays:
    state = None
    entries = []
    for command in commands:
        for event in decide(state, command, NOW):
            state = evolve(state, event)
            entries.append({"type": event.TYPE, "data": event.model_dump(mode="json")})
    assert state is not None
    assert DECLARED.fold(entries) == state
    return state


def test_open_cases_are_held_against_each_change_once() -> None:
    state = declared(Declare(DAY, (), "snow"), Declare(DAY, (MORNING,), "half-day"))
    assert (state.days, state.changes) == ({DAY: (MORNING,)}, 2)
    assert DECLARED.retry_at(state) is not None
    derived = declared(Declare(DAY, (), "snow"), NoteDerived(1))
    assert DECLARED.retry_at(derived) is None
    assert decide(derived, NoteDerived(1), NOW) == []
    assert decide(None, NoteDerived(1), NOW) == []


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (Declare(DAY, (), "because"), "reason"),
        (Declare(dt.date(2036, 1, 1), (), "snow"), "day"),
        (Declare(DAY, (MORNING, NOON), "half-day"), "shifts"),
    ],
)
def test_nonsense_names_its_field(command: Declare, field: str) -> None:
    with pytest.raises(Refused) as refusal:
        decide(None, command, NOW)
    assert refusal.value.field == field
