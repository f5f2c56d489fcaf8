"""What the first version wrote is read, keeps its promise, and goes on."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from services.grievance.answers import Detail, GrievanceAnswer, Listed
from services.grievance.domain import moments
from services.grievance.domain.calendar import WorkingCalendar
from services.grievance.domain.commands import Assign, Confirm, Reopen, Resolve, Tick
from services.grievance.domain.fold import evolve
from services.grievance.domain.grievance import decide
from services.grievance.domain.state import Grievance
from services.grievance.store import GRIEVANCE

FILED = "2026-11-20T04:00:00.000Z"
DUE = "2026-12-11T04:00:00.000Z"
CALENDAR = WorkingCalendar(code="none", week=((),) * 7)


def of_the_first_version(**otherwise: Any) -> dict[str, Any]:
    """As it stands in a document, before jurisdictions were data."""
    return {
        "ticket": "G-7K3M-9Q2X-C",
        "category": "cleanliness",
        "status": "filed",
        "open": True,
        "about_facility": "LA-LEH-PHC-PANAMIK",
        "about_referral": None,
        "handled_by": "LA-LEH-SDH-DISKIT",
        "offices": ["LA-LEH-SDH-DISKIT"],
        "state_cell": "LA-STATE-CELL",
        "escalation_hours": [720.0],
        "reporter": {"kind": "anonymous", "id": None},
        "filed_by": None,
        "language": "en",
        "text": "Dirty",
        "filed_at": FILED,
        "acknowledged_at": FILED,
        "due_at": DUE,
        "next_due_at": DUE,
        "step": 0,
        "assigned_to": None,
        "assigned_at": None,
        "resolved_at": None,
        "outcome": None,
        "action_taken": "",
        "closed_at": None,
        "rating": None,
        "reopened": 0,
        "reopen_reason": "",
        **otherwise,
    }


def play(state: Grievance, command: Any, at: dt.datetime) -> Grievance:
    for event in decide(state, command, at, CALENDAR):
        state = evolve(state, event)
    return state


def test_it_is_read_and_answered_with_the_promise_that_was_made() -> None:
    state = Grievance.model_validate(of_the_first_version())
    assert (state.due_at, state.policy.jurisdiction) == (dt.datetime.fromisoformat(DUE), "before-jurisdictions")
    assert GRIEVANCE.operational(state)[0]["due"] == dt.datetime.fromisoformat(DUE)
    for answer in (Detail.of("id", state), GrievanceAnswer.of("id", state), Listed.of("id", state, state.filed_at)):
        assert answer.model_dump()["due_at"] == state.due_at
    assert Grievance.model_validate(GRIEVANCE.stored(state)) == state


def test_it_escalates_as_it_was_promised_once_per_level_and_not_further() -> None:
    state = Grievance.model_validate(of_the_first_version())
    late = dt.datetime.fromisoformat(DUE) + dt.timedelta(days=1)
    state = play(state, Tick("redress", 1, "LA-LEH-DH-SNM"), late)
    assert (state.step, state.handled_by) == (1, "LA-LEH-DH-SNM")
    assert [clock.due_at - late for clock in moments.running(state)] == [dt.timedelta(hours=720)]
    state = play(state, Tick("redress", 2, "LA-STATE-CELL"), late + dt.timedelta(days=31))
    assert (state.step, moments.running(state)) == (2, [])


def test_one_that_was_on_its_way_up_goes_on_from_there() -> None:
    state = Grievance.model_validate(of_the_first_version(step=1, next_due_at="2027-01-11T04:00:00.000Z"))
    [clock] = moments.running(state)
    assert (clock.due_at, moments.step(state, clock)) == (dt.datetime(2027, 1, 11, 4, tzinfo=dt.UTC), 2)
    assert clock.due_at - clock.started_at == dt.timedelta(hours=720)
    over = Grievance.model_validate(of_the_first_version(step=2, next_due_at=None))
    assert moments.running(over) == []


def test_every_verb_of_the_first_version_is_still_possible() -> None:
    at = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
    state = Grievance.model_validate(of_the_first_version())
    state = play(state, Assign("nodal-officer@LA-LEH-SDH-DISKIT"), at)
    state = play(state, Resolve("fixed", "Cleaned"), at)
    state = play(state, Reopen("Not so"), at)
    assert (state.status, state.due_at) == ("assigned", dt.datetime.fromisoformat(DUE))
    state = play(play(state, Resolve("fixed", "Cleaned again"), at), Confirm(4), at)
    assert (state.status, state.rating) == ("closed", 4)


@pytest.mark.parametrize("days", [1, 30, 60, 366])
def test_its_journal_says_the_same(days: int) -> None:
    """A repeated request is answered from the journal, whose entries are as old as the case."""
    due = dt.datetime.fromisoformat(FILED) + dt.timedelta(days=days)
    written = due.isoformat().replace("+00:00", "Z")
    facts = {
        name: of_the_first_version()[name]
        for name in ("ticket", "category", "about_facility", "handled_by", "reporter", "language")
    }
    entries = [
        {
            "type": "grievance.GrievanceFiled.v1",
            "data": {**facts, "filed_at": FILED, "state_cell": "LA-STATE-CELL", "escalation_hours": [1440.0]},
        },
        {
            "type": "grievance.GrievanceAcknowledged.v1",
            "data": {**facts, "due_at": written, "next_due_at": written, "acknowledged_at": FILED},
        },
        {
            "type": "grievance.GrievanceEscalated.v1",
            "data": {**facts, "step": 1, "due_at": written, "next_due_at": None, "escalated_at": written},
        },
    ]
    kept = json.dumps(entries)
    state = GRIEVANCE.fold(entries[:2])
    assert state is not None
    assert (state.due_at, [clock.due_at for clock in moments.running(state)]) == (due, [due])
    state = GRIEVANCE.fold(entries)
    assert state is not None
    assert (state.step, moments.running(state)) == (1, [])
    assert json.dumps(entries) == kept
    today = GRIEVANCE.data(entries[0])
    assert GRIEVANCE.data({**entries[0], "data": today}) == today
