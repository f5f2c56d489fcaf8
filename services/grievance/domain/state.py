"""What a complaint is at one moment."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Code, FacilityCode, Id, Instant, personal
from libs.contracts.grievance import Reporter
from services.grievance.domain.clocks import Clock
from services.grievance.domain.policy import CasePolicy

Status = Literal["filed", "assigned", "resolved", "closed", "closed-unreachable"]


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


class Grievance(BaseModel):
    """`offices` are the facilities whose officers may act: where it is handled and where it was before.

    `filed_by` is the subject of the one who filed it; None for an anonymous complaint, whose filer is whoever knows the
    ticket's secret. `due_at` is the promise. `clocks` are those that were not stopped for good; which of them run
    follows from the status (see moments.py). `missed` are clocks whose date passed, redress aside, which escalates.
    `policy` is what the jurisdiction promised when it was filed. `parent` is the case this one is an appeal of, and
    `parent_waits` says that it is still to be told how this one ended. `appeal_waits` is an appeal
    that has no case yet.
    """

    model_config = ConfigDict(frozen=True)

    ticket: str
    category: Code
    status: Status
    open: bool
    about_facility: FacilityCode
    also_about: tuple[FacilityCode, ...] = ()
    about_referral: Id | None = None
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
    acknowledged_at: Instant | None = None
    due_at: Instant | None = None
    clocks: tuple[Clock, ...] = ()
    missed: tuple[str, ...] = ()
    paused: Pause | None = None
    pauses: tuple[tuple[Instant, Instant], ...] = ()
    rederived: int = 0
    step: int = 0
    transfers: int = 0
    expected_by: Instant | None = None
    assigned_to: str | None = None
    assigned_at: Instant | None = None
    resolved_at: Instant | None = None
    outcome: Code | None = None
    action_taken: str = personal("")
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

    @property
    def accused(self) -> tuple[str, ...]:
        return (self.about_facility, *self.also_about)

    def offices_with(self, office: str) -> tuple[str, ...]:
        return self.offices if office in self.offices else (*self.offices, office)

    def clocks_without(self, *names: str) -> tuple[Clock, ...]:
        return tuple(clock for clock in self.clocks if clock.name not in names)
