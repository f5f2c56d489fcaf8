"""What the API answers. Of a write, only what follows from the state right after it, so that a retry gets the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from libs.contracts.event import Instant
from services.grievance.domain.deadlines import Category
from services.grievance.domain.grievance import Grievance, Status, allowed


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class CategoryAnswer(Answer):
    code: str
    name: str
    emergency: bool
    redress_hours: float

    @classmethod
    def of(cls, category: Category) -> CategoryAnswer:
        return cls(**{name: getattr(category, name) for name in cls.model_fields})


class Progress(Answer):
    """How far a complaint is: dates (UTC) and codes."""

    ticket: str
    status: Status
    category: str
    handled_by: str
    filed_at: Instant
    acknowledged_at: Instant | None = None
    due_at: Instant | None = Field(None, description="When redress was promised; nothing moves it")
    assigned_at: Instant | None = None
    resolved_at: Instant | None = None
    closed_at: Instant | None = None
    outcome: str | None = None
    rating: int | None = None
    reopened: int = Field(0, description="How often it was reopened")
    step: int = Field(0, description="How often it went to the next level because a date was missed")


def _progress(state: Grievance) -> dict[str, Any]:
    return {name: getattr(state, name) for name in Progress.model_fields}


class GrievanceAnswer(Progress):
    id: str
    about_facility: str
    about_referral: str | None = None
    assigned_to: str | None = None
    language: str
    reporter: Literal["patient", "contact", "anonymous"]

    @classmethod
    def of(cls, id: str, state: Grievance) -> GrievanceAnswer:
        return cls(id=id, **_facts(state))


def _facts(state: Grievance) -> dict[str, Any]:
    return _progress(state) | {
        "about_facility": state.about_facility,
        "about_referral": state.about_referral,
        "assigned_to": state.assigned_to,
        "language": state.language,
        "reporter": state.reporter.kind,
    }


class FiledAnswer(GrievanceAnswer):
    secret: str = Field(description="Goes with the ticket at /tracking; shown only to who files, and to their retry")

    @classmethod
    def filed(cls, id: str, state: Grievance, secret: str) -> FiledAnswer:
        return cls(id=id, secret=secret, **_facts(state))


class Detail(GrievanceAnswer):
    """With what was said. `patient` is the reporter's id where the reporter is a patient."""

    text: str
    action_taken: str
    reopen_reason: str
    patient: str | None = None
    next_due_at: Instant | None = None

    @classmethod
    def of(cls, id: str, state: Grievance) -> Detail:
        return cls(
            id=id,
            text=state.text,
            action_taken=state.action_taken,
            reopen_reason=state.reopen_reason,
            patient=state.reporter.id if state.reporter.kind == "patient" else None,
            next_due_at=state.next_due_at,
            **_facts(state),
        )


class Listed(Answer):
    """A line of a worklist."""

    id: str
    ticket: str
    status: Status
    category: str
    about_facility: str
    handled_by: str
    filed_at: Instant
    due_at: Instant | None
    overdue: bool
    assigned_to: str | None
    reopened: int
    step: int

    @classmethod
    def of(cls, id: str, state: Grievance, now: dt.datetime) -> Listed:
        names = set(cls.model_fields) - {"id", "overdue"}
        overdue = state.open and state.due_at is not None and state.due_at < now
        return cls(id=id, overdue=overdue, **{name: getattr(state, name) for name in names})


class Worklist(Answer):
    items: list[Listed]
    next: str | None = Field(None, description="Cursor of the next page")


class Entry(Answer):
    """Something that happened. `data` leaves out who filed it."""

    type: str
    sequence: int | None = None
    occurred_at: Instant
    recorded_at: Instant
    actor: str
    data: dict[str, Any]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Entry:
        data = {name: value for name, value in entry["data"].items() if name not in ("filed_by", "reporter")}
        names = set(cls.model_fields) - {"data"}
        return cls(data=data, **{name: entry[name] for name in names if name in entry})


class History(Answer):
    items: list[Entry]


class TrackingAnswer(Progress):
    """What anybody with the ticket and its secret sees. `moves` are what they may do now."""

    moves: list[str]

    @classmethod
    def of(cls, state: Grievance) -> TrackingAnswer:
        return cls(moves=list(allowed(state, "reporter")), **_progress(state))
