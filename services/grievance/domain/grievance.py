"""One complaint, from the filing to the word of the one who filed it that it is put right.

| from            | move     | to       | who                                                   |
|-----------------|----------|----------|-------------------------------------------------------|
| –               | file     | filed    | a citizen, or nobody known                            |
| filed, assigned | assign   | assigned | officer, where it is or was handled                   |
| filed, assigned | resolve  | resolved | nodal officer, where it is or was handled             |
| resolved        | confirm  | closed   | only the one who filed it                             |
| resolved        | reopen   | filed or assigned, as before | only the one who filed it         |
| filed, assigned | escalate | the same | the clock, one step per breached date                 |

Nothing but `file` sets the promised date, and nothing moves it: neither a reopening nor an edit.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts import grievance as contract
from libs.contracts.event import Code, Event, FacilityCode, Id, Instant, personal
from libs.contracts.grievance import Reporter
from services.grievance.domain.deadlines import Category, next_breach, promised

Status = Literal["filed", "assigned", "resolved", "closed"]

OUTCOMES = ("fixed", "explained", "compensated", "action-taken", "not-fixed")
"""`not-fixed` is counted apart: a case is never shown as put right when it was not."""

MOVES: dict[str, tuple[tuple[Status, ...], str]] = {
    "assign": (("filed", "assigned"), "officer"),
    "resolve": (("filed", "assigned"), "nodal-officer"),
    "confirm": (("resolved",), "reporter"),
    "reopen": (("resolved",), "reporter"),
}
"""Each move: where it is legal, and who makes it."""


class Grievance(BaseModel):
    """`offices` are the facilities whose officers may act: where it is handled and where it was before an escalation.

    `filed_by` is the subject of the one who filed it; None for an anonymous complaint, whose filer is whoever knows the
    ticket's secret. `due_at` is the promise; `next_due_at` is when the clock looks next, None after the last level.
    What the category promised when it was filed stays with the case: `escalation_hours` is not looked up again.
    """

    model_config = ConfigDict(frozen=True)

    ticket: str
    category: Code
    status: Status
    open: bool
    about_facility: FacilityCode
    about_referral: Id | None = None
    handled_by: FacilityCode
    offices: tuple[FacilityCode, ...]
    state_cell: FacilityCode
    escalation_hours: tuple[float, ...] = ()
    reporter: Reporter
    filed_by: str | None = personal()
    language: str = "en"
    text: str = personal("")
    filed_at: Instant
    acknowledged_at: Instant | None = None
    due_at: Instant | None = None
    next_due_at: Instant | None = None
    step: int = 0
    assigned_to: str | None = None
    assigned_at: Instant | None = None
    resolved_at: Instant | None = None
    outcome: Code | None = None
    action_taken: str = personal("")
    closed_at: Instant | None = None
    rating: int | None = None
    reopened: int = 0
    reopen_reason: str = personal("")

    @property
    def clock_runs(self) -> bool:
        return self.open and self.next_due_at is not None


class Filed(contract.GrievanceFiled):
    text: str = personal("")
    filed_by: str | None = personal()
    filed_at: Instant
    state_cell: FacilityCode
    escalation_hours: tuple[float, ...] = ()


class Acknowledged(contract.GrievanceAcknowledged):
    acknowledged_at: Instant
    next_due_at: Instant | None = None


class Assigned(contract.GrievanceAssigned):
    assigned_at: Instant


class Resolved(contract.GrievanceResolved):
    action_taken: str = personal("")
    resolved_at: Instant


class Confirmed(contract.GrievanceConfirmed):
    confirmed_at: Instant


class Reopened(contract.GrievanceReopened):
    reason: str = personal("")
    reopened_at: Instant


class Escalated(contract.GrievanceEscalated):
    escalated_at: Instant
    next_due_at: Instant | None = None


@dataclass(frozen=True)
class File:
    ticket: str
    category: Category
    text: str
    about_facility: FacilityCode
    about_referral: Id | None
    handled_by: FacilityCode
    state_cell: FacilityCode
    reporter: Reporter
    filed_by: str | None
    language: str


@dataclass(frozen=True)
class Assign:
    to: str


@dataclass(frozen=True)
class Resolve:
    outcome: str
    action_taken: str


@dataclass(frozen=True)
class Confirm:
    rating: int


@dataclass(frozen=True)
class Reopen:
    reason: str


@dataclass(frozen=True)
class Escalate:
    """`step` is the one this breach asks for; `handled_by` is the next level up."""

    step: int
    handled_by: FacilityCode


Command = File | Assign | Resolve | Confirm | Reopen | Escalate


def allowed(state: Grievance, who: str) -> tuple[str, ...]:
    """The moves that are legal now for `who`: officer, nodal-officer or reporter."""
    return tuple(move for move, (legal, mover) in MOVES.items() if mover == who and state.status in legal)


def decide(state: Grievance | None, command: Command, now: dt.datetime) -> list[Event]:
    """What the command makes happen. Raises Refused; decides nothing for a grievance that does not exist."""
    if isinstance(command, File):
        return _file(state, command, now)
    if state is None:
        return []
    if isinstance(command, Escalate):
        return _escalate(state, command, now)
    _require(state, type(command).__name__.lower())
    match command:
        case Assign():
            _require_nodal_officer(state, command.to)
            return [Assigned(to=command.to, assigned_at=now, **_public(state))]
        case Resolve():
            if command.outcome not in OUTCOMES:
                raise Refused("unknown-outcome", f"must be one of {', '.join(OUTCOMES)}", field="outcome")
            if not command.action_taken.strip():
                raise Refused("no-action-taken", "must say what was done", field="action_taken")
            return [
                Resolved(outcome=command.outcome, action_taken=command.action_taken, resolved_at=now, **_public(state))
            ]
        case Confirm():
            if not 1 <= command.rating <= 5:
                raise Refused("rating-out-of-range", "must be 1 to 5", field="rating")
            return [Confirmed(rating=command.rating, confirmed_at=now, **_public(state))]
        case Reopen():
            return [Reopened(cycle=state.reopened + 1, reason=command.reason, reopened_at=now, **_public(state))]
    raise TypeError(f"a grievance knows no {type(command).__name__}")


def _file(state: Grievance | None, command: File, now: dt.datetime) -> list[Event]:
    if state is not None:
        return []
    _never_the_accused(command.about_facility, command.handled_by)
    facts: dict[str, Any] = {
        "ticket": command.ticket,
        "category": command.category.code,
        "about_facility": command.about_facility,
        "handled_by": command.handled_by,
        "reporter": command.reporter,
        "language": command.language,
    }
    return [
        Filed(
            about_referral=command.about_referral,
            text=command.text,
            filed_by=command.filed_by,
            filed_at=now,
            state_cell=command.state_cell,
            escalation_hours=command.category.escalation_hours,
            **facts,
        ),
        Acknowledged(
            due_at=promised(command.category, now),
            next_due_at=promised(command.category, now),
            acknowledged_at=now,
            **facts,
        ),
    ]


def _escalate(state: Grievance, command: Escalate, now: dt.datetime) -> list[Event]:
    """One step for the date that was missed; nothing if the step was made, or the clock stands, or it is not due."""
    due = state.next_due_at
    if not state.open or due is None or now < due or command.step != state.step + 1:
        return []
    _never_the_accused(state.about_facility, command.handled_by)
    facts = _public(state) | {"handled_by": command.handled_by}
    return [
        Escalated(
            step=command.step,
            due_at=due,
            next_due_at=next_breach(state.escalation_hours, command.step, now),
            escalated_at=now,
            **facts,
        )
    ]


def _never_the_accused(about: str, office: str) -> None:
    if about == office:
        raise Refused("accused-in-route", "nobody answers a complaint about themselves", field="about_facility")


def _require(state: Grievance, move: str) -> None:
    legal, mover = MOVES[move]
    if state.status not in legal:
        raise Refused(
            "move-not-allowed", f"{move} is not possible while it is {state.status}", allowed=allowed(state, mover)
        )


def _require_nodal_officer(state: Grievance, to: str) -> None:
    role, _, facility = to.partition("@")
    if role != "nodal-officer" or facility not in state.offices:
        places = ", ".join(f"nodal-officer@{office}" for office in state.offices)
        raise Refused("not-an-officer-of-this-case", f"must be one of {places}", field="to")


def _public(state: Grievance) -> dict[str, Any]:
    return {
        "ticket": state.ticket,
        "category": state.category,
        "about_facility": state.about_facility,
        "handled_by": state.handled_by,
        "reporter": state.reporter,
        "language": state.language,
    }


def evolve(state: Grievance | None, event: Event) -> Grievance:
    if isinstance(event, Filed):
        return Grievance(
            ticket=event.ticket,
            category=event.category,
            status="filed",
            open=True,
            about_facility=event.about_facility,
            about_referral=event.about_referral,
            handled_by=event.handled_by,
            offices=(event.handled_by,),
            state_cell=event.state_cell,
            escalation_hours=event.escalation_hours,
            reporter=event.reporter,
            filed_by=event.filed_by,
            language=event.language,
            text=event.text,
            filed_at=event.filed_at,
        )
    if state is None:
        raise TypeError(f"{event.TYPE} before the filing")
    return state.model_copy(update=_changes(state, event))


def _changes(state: Grievance, event: Event) -> dict[str, object]:
    match event:
        case Acknowledged():
            return {
                "acknowledged_at": event.acknowledged_at,
                "due_at": event.due_at,
                "next_due_at": event.next_due_at,
            }
        case Assigned():
            return {"status": "assigned", "assigned_to": event.to, "assigned_at": event.assigned_at}
        case Resolved():
            return {
                "status": "resolved",
                "open": False,
                "resolved_at": event.resolved_at,
                "outcome": event.outcome,
                "action_taken": event.action_taken,
            }
        case Confirmed():
            return {"status": "closed", "closed_at": event.confirmed_at, "rating": event.rating}
        case Reopened():
            return {
                "status": "assigned" if state.assigned_to else "filed",
                "open": True,
                "reopened": event.cycle,
                "reopen_reason": event.reason,
                "resolved_at": None,
                "outcome": None,
                "action_taken": "",
            }
        case Escalated():
            offices = state.offices if event.handled_by in state.offices else (*state.offices, event.handled_by)
            return {
                "handled_by": event.handled_by,
                "offices": offices,
                "step": event.step,
                "next_due_at": event.next_due_at,
            }
    raise TypeError(f"a grievance knows no {event.TYPE}")
