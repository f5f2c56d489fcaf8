"""What may be asked of a complaint."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from libs.contracts.event import Code, FacilityCode, Id
from libs.contracts.grievance import Reporter
from services.grievance.domain.policy import CasePolicy
from services.grievance.domain.state import Attachment


@dataclass(frozen=True)
class File:
    """`parent` is the case it is an appeal of."""

    ticket: str
    category: Code
    text: str
    about_facility: FacilityCode
    about_referral: Id | None
    handled_by: FacilityCode
    state_cell: FacilityCode
    state_lgd: int
    district_lgd: int
    policy: CasePolicy
    reporter: Reporter
    filed_by: str | None
    language: str
    also_about: tuple[FacilityCode, ...] = ()
    about_person: str | None = None
    sealed: bool = False
    door: Code = "online"
    received_at: dt.datetime | None = None
    because: Code | None = None
    source: Id | None = None
    parent: Id | None = None


@dataclass(frozen=True)
class Assign:
    MOVE: ClassVar[str] = "assign"
    to: str


@dataclass(frozen=True)
class Transfer:
    """To another office, which must be one that the directory knows."""

    MOVE: ClassVar[str] = "transfer"
    to: FacilityCode
    reason: str
    explanation: str


@dataclass(frozen=True)
class Interim:
    MOVE: ClassVar[str] = "interim"
    expected_by: dt.datetime
    reason: str


@dataclass(frozen=True)
class Pause:
    MOVE: ClassVar[str] = "pause"
    reason: str
    until: dt.datetime


@dataclass(frozen=True)
class Resume:
    MOVE: ClassVar[str] = "resume"


@dataclass(frozen=True)
class Resolve:
    """`resolver` is the subject of who says so; empty where no person does."""

    MOVE: ClassVar[str] = "resolve"
    outcome: str
    action_taken: str
    resolver: str = ""


@dataclass(frozen=True)
class Screen:
    """`passed_to` follows from the reason (screening.yaml)."""

    MOVE: ClassVar[str] = "screen"
    reason: Code
    passed_to: Code
    explanation: str
    resolver: str = ""


@dataclass(frozen=True)
class Consult:
    """Asks another body for its part; `by` is until when the answer to the complainant waits for it."""

    MOVE: ClassVar[str] = "consult"
    office: FacilityCode
    question: str
    by: dt.datetime


@dataclass(frozen=True)
class Contribute:
    office: FacilityCode
    answer: str


@dataclass(frozen=True)
class Attach:
    """The bytes stand already."""

    attachment: Attachment


@dataclass(frozen=True)
class JoinCluster:
    cluster: Id


@dataclass(frozen=True)
class Verify:
    """Of a case that nobody complained of: a second officer says whether it is put right."""

    MOVE: ClassVar[str] = "verify"
    fixed: bool
    note: str
    verifier: str = ""


@dataclass(frozen=True)
class Attempt:
    MOVE: ClassVar[str] = "attempt"
    channel: str
    reached: bool
    note: str = ""


@dataclass(frozen=True)
class CloseUnreachable:
    MOVE: ClassVar[str] = "close-unreachable"


@dataclass(frozen=True)
class Confirm:
    MOVE: ClassVar[str] = "confirm"
    rating: int


@dataclass(frozen=True)
class Reopen:
    MOVE: ClassVar[str] = "reopen"
    reason: str


@dataclass(frozen=True)
class Appeal:
    """`child` is the id that the appeal's own case will have."""

    MOVE: ClassVar[str] = "appeal"
    child: Id
    reason: str


@dataclass(frozen=True)
class NoteAppealOpened:
    """The appeal's own case stands."""

    child: Id


@dataclass(frozen=True)
class AppealSettled:
    """The appeal was closed, with this outcome."""

    child: Id
    outcome: str | None


@dataclass(frozen=True)
class TellParent:
    """Its parent knows how it ended."""


@dataclass(frozen=True)
class Tick:
    """A date passed: of this clock, asking for this step. `handled_by` is the next level up."""

    clock: str
    step: int
    handled_by: FacilityCode


@dataclass(frozen=True)
class Rederive:
    """The working calendar was changed."""


Command = (
    File
    | Assign
    | Transfer
    | Interim
    | Pause
    | Resume
    | Resolve
    | Screen
    | Consult
    | Contribute
    | Attach
    | JoinCluster
    | Verify
    | Attempt
    | CloseUnreachable
    | Confirm
    | Reopen
    | Appeal
    | NoteAppealOpened
    | AppealSettled
    | TellParent
    | Tick
    | Rederive
)
