"""What the API answers. Of a write, only what follows from the state right after it, so that a retry gets the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from libs.contracts.event import Instant
from services.grievance.domain import figures
from services.grievance.domain.calendar import Shifts, WorkingCalendar
from services.grievance.domain.category import Category
from services.grievance.domain.cluster import Cluster
from services.grievance.domain.moments import running
from services.grievance.domain.moves import allowed
from services.grievance.domain.screening import ScreeningReason
from services.grievance.domain.state import Attachment, Grievance, Question, Status


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class CategoryAnswer(Answer):
    code: str
    name: str
    emergency: bool

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
    transfers: int = Field(0, description="How often it was passed on to another office")
    expected_by: Instant | None = Field(None, description="What an interim reply said")
    jurisdiction: str
    paused_for: str | None = None
    paused_until: Instant | None = None
    appeals_open: int = 0
    received_at: Instant = Field(description="When it reached the first office; promises count from then")
    door: str = Field(description="online, paper, post, phone, walk-in, complaint-box, open311, or event")
    screened: str | None = Field(None, description="Why it was passed on to another procedure: GET /screening-reasons")
    passed_to: str | None = None
    verified: bool = False


def _progress(state: Grievance) -> dict[str, Any]:
    of_others = {"jurisdiction", "paused_for", "paused_until", "appeals_open", "received_at"}
    return {name: getattr(state, name) for name in set(Progress.model_fields) - of_others} | {
        "jurisdiction": state.policy.jurisdiction,
        "paused_for": state.paused.reason if state.paused else None,
        "paused_until": state.paused.until if state.paused else None,
        "appeals_open": len(state.appeals_open),
        "received_at": state.received,
    }


class GrievanceAnswer(Progress):
    id: str
    about_facility: str
    also_about: tuple[str, ...] = ()
    about_referral: str | None = None
    parent: str | None = Field(None, description="The case this one is an appeal of")
    assigned_to: str | None = None
    language: str
    reporter: Literal["patient", "contact", "anonymous", "sealed"]
    because: str | None = Field(None, description="The kind of event that opened it, where nobody complained yet")
    paged: tuple[str, ...] = Field((), description="Who was called while it was an emergency that nobody had taken")
    owing: tuple[str, ...] = Field((), description="Bodies that still owe their part of the one answer")
    cluster: str | None = Field(None, description="The root cause that it is a case of")

    @classmethod
    def of(cls, id: str, state: Grievance) -> GrievanceAnswer:
        return cls(id=id, **_facts(state))


def _facts(state: Grievance) -> dict[str, Any]:
    return _progress(state) | {
        "about_facility": state.about_facility,
        "also_about": state.also_about,
        "about_referral": state.about_referral,
        "parent": state.parent,
        "assigned_to": state.assigned_to,
        "language": state.language,
        "reporter": "sealed" if state.sealed else state.reporter.kind,
        "because": state.because,
        "paged": state.paged,
        "owing": state.owing,
        "cluster": state.cluster,
    }


class FiledAnswer(GrievanceAnswer):
    secret: str = Field(description="Goes with the ticket at /tracking; shown only to who files, and to their retry")

    @classmethod
    def filed(cls, id: str, state: Grievance, secret: str) -> FiledAnswer:
        return cls(id=id, secret=secret, **_facts(state))


class ClockAnswer(Answer):
    """A running clock of a case."""

    name: str
    due_at: Instant


class QuestionAnswer(Answer):
    """What was asked of another body, and what it said."""

    office: str
    question: str
    by: Instant
    answer: str
    answered_at: Instant | None

    @classmethod
    def of(cls, question: Question) -> QuestionAnswer:
        return cls(**question.model_dump())


class AttachmentAnswer(Answer):
    id: str
    content_type: str
    size: int
    added_at: Instant
    by: str

    @classmethod
    def of(cls, attachment: Attachment) -> AttachmentAnswer:
        return cls(**attachment.model_dump(include=set(cls.model_fields)))


class ConsultationAnswer(Answer):
    """What another body's officers see of a case that they do not lead: what it is about, and what is asked of them."""

    ticket: str
    category: str
    about_facility: str
    led_by: str
    text: str
    questions: list[QuestionAnswer]

    @classmethod
    def of(cls, state: Grievance, office: str) -> ConsultationAnswer:
        return cls(
            ticket=state.ticket,
            category=state.category,
            about_facility=state.about_facility,
            led_by=state.handled_by,
            text=state.text,
            questions=[QuestionAnswer.of(question) for question in state.questions if question.office == office],
        )


class ScreeningAnswer(Answer):
    code: str
    name: str
    passed_to: str
    explanation: dict[str, str]

    @classmethod
    def of(cls, code: str, reason: ScreeningReason) -> ScreeningAnswer:
        return cls(code=code, **reason.model_dump())


class SimilarAnswer(Answer):
    category: str
    complaints: int


class ClusterAnswer(Answer):
    id: str
    about_facility: str
    category: str
    month: str
    owner: str
    root_cause: str
    fix_by: Instant
    status: str
    overdue: bool
    outcome: str | None
    what_was_done: str
    fixed_at: Instant | None

    @classmethod
    def of(cls, id: str, state: Cluster) -> ClusterAnswer:
        return cls(id=id, **{name: getattr(state, name) for name in set(cls.model_fields) - {"id"}})


class Clusters(Answer):
    items: list[ClusterAnswer]
    next: str | None = Field(None, description="Cursor of the next page")


class FiguresRow(Answer):
    """A count that is small, or would give a small one away, is null."""

    category: str
    received: int | None
    open_to_7_days: int | None
    open_to_21_days: int | None
    open_to_60_days: int | None
    open_over_60_days: int | None
    awaiting_word: int | None
    confirmed: int | None
    not_fixed: int | None
    passed_on: int | None
    unreachable: int | None
    reopened: int | None
    confirmed_rate: float | None
    median_days: float | None
    satisfaction: float | None


class FiguresAnswer(Answer):
    facility: str
    quarter: str
    as_of: Instant
    rows: list[FiguresRow]
    fewest: int = Field(description="Counts below this, other than none, are null")
    definitions: dict[str, str]

    @classmethod
    def of(cls, facility: str, quarter: str, now: dt.datetime, rows: Sequence[figures.Row]) -> FiguresAnswer:
        parts = {"category", *figures.PARTS}
        return cls(
            facility=facility,
            quarter=quarter,
            as_of=now,
            rows=[
                FiguresRow(
                    category=row.category,
                    **row.parts,
                    **{name: getattr(row, name) for name in set(FiguresRow.model_fields) - parts},
                )
                for row in rows
            ],
            fewest=figures.FEWEST,
            definitions=dict(figures.DEFINITIONS),
        )


class Detail(GrievanceAnswer):
    """With what was said. `patient` is the reporter's id where the reporter is a patient."""

    text: str
    action_taken: str
    reopen_reason: str
    appeal_reason: str
    interim_reason: str = Field("", description="Why it takes until `expected_by`")
    transfer_explanation: str = Field("", description="Why it was passed on to another office")
    patient: str | None = None
    attempts: int = 0
    about_person: str | None = None
    questions: list[QuestionAnswer] = []
    attachments: list[AttachmentAnswer] = []
    clocks: list[ClockAnswer]
    missed: tuple[str, ...] = Field((), description="Clocks whose date passed; redress is counted in `step`")

    @classmethod
    def of(cls, id: str, state: Grievance) -> Detail:
        return cls(
            id=id,
            text=state.text,
            action_taken=state.action_taken,
            reopen_reason=state.reopen_reason,
            patient=state.reporter.id if state.reporter.kind == "patient" else None,
            appeal_reason=state.appeal_reason,
            interim_reason=state.interim_reason,
            transfer_explanation=state.transfer_explanation,
            attempts=len(state.attempts),
            about_person=state.about_person,
            questions=[QuestionAnswer.of(question) for question in state.questions],
            attachments=[AttachmentAnswer.of(attachment) for attachment in state.attachments],
            clocks=[ClockAnswer(name=clock.name, due_at=clock.due_at) for clock in running(state)],
            missed=state.missed,
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
    missed: tuple[str, ...]

    @classmethod
    def of(cls, id: str, state: Grievance, now: dt.datetime) -> Listed:
        names = set(cls.model_fields) - {"id", "overdue"}
        overdue = state.open and state.due_at is not None and state.due_at < now
        return cls(id=id, overdue=overdue, **{name: getattr(state, name) for name in names})


class Worklist(Answer):
    items: list[Listed]
    next: str | None = Field(None, description="Cursor of the next page")


NOBODYS_BUSINESS = frozenset({"filed_by", "reporter", "resolver"})


class Entry(Answer):
    """Something that happened. `data` leaves out which person filed or resolved it."""

    type: str
    sequence: int | None = None
    occurred_at: Instant
    recorded_at: Instant
    actor: str
    data: dict[str, Any]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Entry:
        data = {name: value for name, value in entry["data"].items() if name not in NOBODYS_BUSINESS}
        names = set(cls.model_fields) - {"data"}
        return cls(data=data, **{name: entry[name] for name in names if name in entry})


class History(Answer):
    items: list[Entry]


class TrackingAnswer(Progress):
    """What anybody with the ticket and its secret sees, with the replies that were written for them. `moves` are what
    they may do now."""

    moves: list[str]
    explanation: str | None = Field(
        None, description="Why it was passed on, in the complaint's language if there is one"
    )
    interim_reason: str | None = Field(None, description="Why it takes until `expected_by`")

    @classmethod
    def of(cls, state: Grievance, reasons: Mapping[str, ScreeningReason]) -> TrackingAnswer:
        reason = reasons.get(state.screened or "")
        explanation = reason.told(state.language) if reason else state.transfer_explanation or None
        moves = list(allowed(state, "reporter"))
        return cls(
            moves=moves, explanation=explanation, interim_reason=state.interim_reason or None, **_progress(state)
        )


class TrackedAppeal(TrackingAnswer):
    """The appeal's own case, with the secret that goes with its ticket."""

    secret: str

    @classmethod
    def opened(cls, state: Grievance, secret: str) -> TrackedAppeal:
        return cls(secret=secret, moves=list(allowed(state, "reporter")), **_progress(state))


class CalendarAnswer(Answer):
    """`days` by date: the shifts of each, none where it is closed."""

    code: str
    days: dict[dt.date, Shifts]

    @classmethod
    def of(cls, code: str, calendar: WorkingCalendar, first: dt.date, days: int) -> CalendarAnswer:
        dates = [first + dt.timedelta(days=number) for number in range(days)]
        return cls(code=code, days={day: calendar.shifts(day) for day in dates})


class DeclaredAnswer(Answer):
    code: str
    day: dt.date
    shifts: Shifts
