"""Days that a place declares otherwise."""

from __future__ import annotations

import datetime as dt

import pytest
from pydantic import ValidationError

from libs.common.refusal import Refused
from services.grievance.bodies import DayBody
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


def test_a_shift_may_be_written_as_in_the_files_and_a_bad_one_is_named() -> None:
    body = DayBody.model_validate(
        {"day": "2026-11-23", "shifts": ["09:00-12:00", {"opens": "11:00", "closes": "14:00"}], "reason": "half-day"}
    )
    assert body.shifts == (MORNING, NOON)
    for bad in ("early", "12:00-09:00", "09:00-12:00Z", "24:00-25:00", 9, None):
        with pytest.raises(ValidationError) as refusal:
            DayBody.model_validate({"day": "2026-11-23", "shifts": ["09:00-12:00", bad], "reason": "half-day"})
        assert refusal.value.errors()[0]["loc"][:2] == ("shifts", 1)
