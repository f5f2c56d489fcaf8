"""What somebody wants done to a referral; the verbs are those of the table of moves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from libs.contracts import referral as contract
from services.referral.domain.chain import Hop, Outside
from services.referral.domain.dataset import Findings, Notice
from services.referral.domain.medicines import Medicine
from services.referral.domain.reservations import Reservation, Slot


@dataclass(frozen=True)
class By:
    """Who does it: the role and the facility of a verified caller."""

    role: str
    facility: str


class Trip(NamedTuple):
    """How long somebody has to arrive by the roads as they are, and what these make of it; `waits: …` where nobody
    comes through. `opened_at`: when the last of its roads that were closed was opened."""

    within: dt.timedelta
    says: str | None = None
    opened_at: dt.datetime | None = None


Travel = Callable[[str, str, contract.Urgency], Trip]
"""From origin to destination at an urgency."""


@dataclass(frozen=True)
class Request:
    """What was asked, then what was found: whether `to` stands in the directory, whether any facility there offers the
    service, and whether the patient's record was voided or erased (what is not known yet is not withdrawn).

    `outside`: to a place that is not of this network. `hop`: the request goes on from another referral.
    """

    verb: ClassVar[str] = "request"
    patient: str
    to: str
    service: str
    urgency: contract.Urgency
    reason: str
    findings: Findings | None = None
    past_reason: str | None = None
    outside: Outside | None = None
    hop: Hop | None = None
    warnings: tuple[Notice, ...] = ()
    answer_within: dt.timedelta | None = None
    clock_says: str | None = None
    chain_within: dt.timedelta | None = None
    listed: bool = True
    offered: bool = True
    withdrawn: bool = False

    @property
    def can_be_taken(self) -> bool:
        return self.listed and self.offered and not self.withdrawn


@dataclass(frozen=True)
class Accept:
    """`bed` is a kind of bed, `slot` a place in a clinic's hours; `reserved` are what the ledgers gave for them, `kept`
    the ids of those among them that the referral had before.

    `travel` says how long the patient has to arrive.
    """

    verb: ClassVar[str] = "accept"
    bed: str | None = None
    slot: Slot | None = None
    reserved: tuple[Reservation, ...] = ()
    kept: tuple[str, ...] = ()
    travel: Travel | None = None


@dataclass(frozen=True)
class Schedule:
    """As of an Accept."""

    verb: ClassVar[str] = "schedule"
    appointment_at: dt.datetime
    slot: Slot | None = None
    reserved: tuple[Reservation, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reschedule(Schedule):
    verb: ClassVar[str] = "reschedule"


@dataclass(frozen=True)
class CancelAppointment:
    verb: ClassVar[str] = "cancel-appointment"


@dataclass(frozen=True)
class RequestCancel:
    verb: ClassVar[str] = "request-cancel"
    reason: str


@dataclass(frozen=True)
class ConfirmCancel:
    verb: ClassVar[str] = "confirm-cancel"


@dataclass(frozen=True)
class WriteNote:
    verb: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True)
class Admit:
    verb: ClassVar[str] = "admit"


@dataclass(frozen=True)
class Redirect:
    """`next` is the id that the new hop will have."""

    verb: ClassVar[str] = "redirect"
    to: str
    reason: str
    outside: Outside | None = None
    next: str = ""
    listed: bool = True


@dataclass(frozen=True)
class ReferOnward:
    """`urgency` None: as it was. `listed` and `offered` as of a Request."""

    verb: ClassVar[str] = "refer-onward"
    to: str
    service: str
    reason: str
    urgency: contract.Urgency | None = None
    outside: Outside | None = None
    next: str = ""
    listed: bool = True
    offered: bool = True


@dataclass(frozen=True)
class RefuseTravel:
    verb: ClassVar[str] = "refuse-travel"


@dataclass(frozen=True)
class AskAgain:
    """`clock_says` is what the destination's hours make of the promise to answer."""

    verb: ClassVar[str] = "ask-again"
    answer_within: dt.timedelta | None = None
    clock_says: str | None = None


@dataclass(frozen=True)
class RecordDeath:
    verb: ClassVar[str] = "record-death"
    place: str


@dataclass(frozen=True)
class Void:
    """`patient` is whom it was meant for; they get a referral of their own, whose id will be `next`. `withdrawn` as of
    a Request."""

    verb: ClassVar[str] = "void"
    reason: str
    patient: str | None = None
    next: str = ""
    withdrawn: bool = False


@dataclass(frozen=True)
class Decline:
    verb: ClassVar[str] = "decline"
    reason: str


@dataclass(frozen=True)
class Cancel:
    verb: ClassVar[str] = "cancel"
    reason: str


@dataclass(frozen=True)
class NoShow:
    verb: ClassVar[str] = "no-show"


@dataclass(frozen=True)
class Depart:
    """`travel_seconds`: how long it takes by the roads as they are now, if that is known."""

    verb: ClassVar[str] = "depart"
    mode: str
    travel_seconds: int | None = None


@dataclass(frozen=True)
class Hold:
    verb: ClassVar[str] = "hold"
    reason: str
    expected_release: dt.datetime | None = None


@dataclass(frozen=True)
class Arrive:
    verb: ClassVar[str] = "arrive"


@dataclass(frozen=True)
class RecordOutcome:
    verb: ClassVar[str] = "outcome"
    outcome: str
    summary: str = ""
    procedure: bool | None = None


@dataclass(frozen=True)
class BackRefer:
    verb: ClassVar[str] = "back-refer"
    advice: str
    medicines: tuple[Medicine, ...] = ()


@dataclass(frozen=True)
class Acknowledge:
    verb: ClassVar[str] = "acknowledge"


@dataclass(frozen=True)
class Lapse:
    """`escalated_to` is role@facility."""

    verb: ClassVar[str] = "lapse"
    escalated_to: str


@dataclass(frozen=True)
class Ask(Request):
    """The same, but for advice before anybody travels."""

    verb: ClassVar[str] = "ask"


@dataclass(frozen=True)
class Advise:
    verb: ClassVar[str] = "advise"
    verdict: str
    text: str


@dataclass(frozen=True)
class Convert:
    """The advice becomes a request to take the patient. `clock_says` as of AskAgain."""

    verb: ClassVar[str] = "convert"
    answer_within: dt.timedelta | None = None
    clock_says: str | None = None
    chain_within: dt.timedelta | None = None


@dataclass(frozen=True)
class TellMore:
    """The question once more, with what the specialist wants to know. `reason` replaces what was said before,
    `findings` are put over those that were given; `warnings` and the rest as of Request."""

    verb: ClassVar[str] = "tell-more"
    reason: str
    findings: Findings | None = None
    warnings: tuple[Notice, ...] = ()
    answer_within: dt.timedelta | None = None
    clock_says: str | None = None


@dataclass(frozen=True)
class TreatHere:
    verb: ClassVar[str] = "treat-here"


@dataclass(frozen=True)
class Withdraw:
    verb: ClassVar[str] = "withdraw"


AdviceStep = Advise | Convert | TellMore | TreatHere | Withdraw
Elsewhere = Redirect | ReferOnward | Void
"""After which there may be another referral."""
Reserving = Accept | Schedule | Reschedule
ReferralStep = (
    Accept
    | Decline
    | Cancel
    | NoShow
    | Depart
    | Hold
    | Arrive
    | RecordOutcome
    | BackRefer
    | Acknowledge
    | Schedule
    | Reschedule
    | CancelAppointment
    | RequestCancel
    | ConfirmCancel
    | WriteNote
    | Admit
    | Redirect
    | ReferOnward
    | RefuseTravel
    | AskAgain
    | RecordDeath
    | Void
)
Step = AdviceStep | ReferralStep
Command = Request | Ask | Step | Lapse
