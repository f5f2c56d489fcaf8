"""What a complaint is at one moment."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from libs.contracts.event import Code, FacilityCode, Id, Instant, personal
from libs.contracts.grievance import Reporter
from services.grievance.domain import older
from services.grievance.domain.clocks import Clock
from services.grievance.domain.policy import CasePolicy
from services.grievance.domain.route import office_of

Status = Literal["filed", "assigned", "resolved", "closed", "closed-unreachable"]


def accused(about_facility: str, also_about: tuple[str, ...], about_person: str | None) -> tuple[str, ...]:
    """The offices that may not answer."""
    office = office_of(about_person)
    return (about_facility, *also_about, *([office] if office else []))


class Pause(BaseModel):
    """Why its clocks stand, since when, and until when at most."""

    model_config = ConfigDict(frozen=True)

    reason: Code
    since: Instant
    until: Instant


class Attempt(BaseModel):
    """Somebody tried to reach the complainant."""

    model_config = ConfigDict(frozen=True)

    at: Instant
    reached: bool


class Question(BaseModel):
    """What the lead asked of another body that the case is about as well, and what it said."""

    model_config = ConfigDict(frozen=True)

    office: FacilityCode
    question: str = personal("")
    by: Instant
    answer: str = personal("")
    answered_at: Instant | None = None


class Attachment(BaseModel):
    """A picture, paper or recording that goes with the case; its bytes stand in the store of attachments."""

    model_config = ConfigDict(frozen=True)

    id: Id
    content_type: str
    size: int
    sha256: str
    added_at: Instant
    by: Literal["reporter", "office"]


class Grievance(BaseModel):
    """`offices` are the facilities whose officers may act: where it is handled and where it was before.

    `filed_by` is the subject of the one who filed it; None for an anonymous complaint, whose filer is whoever knows the
    ticket's secret. `due_at` is the promise. `clocks` are those that were not stopped for good; which of them run
    follows from the status (see moments.py). `missed` are clocks whose date passed, redress aside, which escalates.
    `policy` is what the jurisdiction promised when it was filed. `parent` is the case this one is an appeal of, and
    `parent_waits` says that it is still to be told how this one ended. `appeal_waits` is an appeal
    that has no case yet.

    `received_at` is when it reached the first body it came to, on paper perhaps, and counts; `filed_at` is when it was
    entered, and `door` how it came. `about_person` is the person complained about, as a staff id or `role@facility`:
    never in the route. Of a `sealed` one no officer learns who filed it. `because` is the kind of event that opened a
    case nobody had complained of yet. `paged` are those who were called while it was an emergency nobody had taken, and
    `called` their offices where they are no level that it went up to: they may act, too.
    `questions` are those put to other bodies, `consulted` the bodies that were asked: one lead answers the complainant.
    `screened` is why it was passed on outside this procedure, and `passed_to` whither. `cluster` is the root cause
    that it is a case of.
    """

    model_config = ConfigDict(frozen=True)

    ticket: str
    category: Code
    status: Status
    open: bool
    about_facility: FacilityCode
    also_about: tuple[FacilityCode, ...] = ()
    about_person: str | None = personal()
    about_referral: Id | None = None
    sealed: bool = False
    door: Code = "online"
    because: Code | None = None
    handled_by: FacilityCode
    offices: tuple[FacilityCode, ...]
    state_cell: FacilityCode
    state_lgd: int
    district_lgd: int
    policy: CasePolicy
    reporter: Reporter
    filed_by: str | None = personal()
    language: str = "en"
    text: str = personal("")
    filed_at: Instant
    received_at: Instant | None = None
    acknowledged_at: Instant | None = None
    due_at: Instant | None = None
    clocks: tuple[Clock, ...] = ()
    missed: tuple[str, ...] = ()
    paused: Pause | None = None
    pauses: tuple[tuple[Instant, Instant], ...] = ()
    rederived: int = 0
    step: int = 0
    transfers: int = 0
    transfer_explanation: str = personal("")
    expected_by: Instant | None = None
    interim_reason: str = personal("")
    assigned_to: str | None = None
    assigned_at: Instant | None = None
    resolved_at: Instant | None = None
    outcome: Code | None = None
    action_taken: str = personal("")
    resolver: str = personal("")
    attempts: tuple[Attempt, ...] = ()
    closed_at: Instant | None = None
    rating: int | None = None
    reopened: int = 0
    reopen_reason: str = personal("")
    parent: Id | None = None
    parent_waits: bool = False
    appeals_open: tuple[Id, ...] = ()
    appeal_waits: Id | None = None
    appeal_reason: str = personal("")
    paged: tuple[str, ...] = ()
    called: tuple[FacilityCode, ...] = ()
    questions: tuple[Question, ...] = ()
    consulted: tuple[FacilityCode, ...] = ()
    screened: Code | None = None
    passed_to: Code | None = None
    attachments: tuple[Attachment, ...] = ()
    cluster: Id | None = None
    verified: bool = False

    @model_validator(mode="before")
    @classmethod
    def _as_of_today(cls, data: Any) -> Any:
        return older.state(data) if isinstance(data, dict) else data

    @property
    def accused(self) -> tuple[str, ...]:
        return accused(self.about_facility, self.also_about, self.about_person)

    @property
    def received(self) -> Instant:
        """From when its promises count."""
        return self.received_at or self.filed_at

    @property
    def owing(self) -> tuple[str, ...]:
        """Bodies that were asked and have not answered."""
        return tuple(each.office for each in self.questions if each.answered_at is None)

    @property
    def levels(self) -> tuple[str, ...]:
        """The offices that it has been through."""
        return tuple(office for office in self.offices if office not in self.called)

    def offices_with(self, office: str) -> tuple[str, ...]:
        return self.offices if office in self.offices else (*self.offices, office)

    def clocks_without(self, *names: str) -> tuple[Clock, ...]:
        return tuple(clock for clock in self.clocks if clock.name not in names)
