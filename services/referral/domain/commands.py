"""What somebody wants done to a referral; the verbs are those of the table of moves."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from libs.contracts import referral as contract
from services.referral.domain.dataset import Findings, Notice


@dataclass(frozen=True)
class By:
    """Who does it: the role and the facility of a verified caller."""

    role: str
    facility: str


@dataclass(frozen=True)
class Request:
    """What was asked, then what was found: whether `to` stands in the directory, whether any facility there offers the
    service, and whether the patient's record was voided or erased (what is not known yet is not withdrawn)."""

    verb: ClassVar[str] = "request"
    patient: str
    to: str
    service: str
    urgency: contract.Urgency
    reason: str
    findings: Findings | None = None
    past_reason: str | None = None
    warnings: tuple[Notice, ...] = ()
    answer_within: dt.timedelta | None = None
    listed: bool = True
    offered: bool = True
    withdrawn: bool = False

    @property
    def can_be_taken(self) -> bool:
        return self.listed and self.offered and not self.withdrawn


@dataclass(frozen=True)
class Accept:
    verb: ClassVar[str] = "accept"


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
    verb: ClassVar[str] = "depart"
    mode: str


@dataclass(frozen=True)
class Hold:
    verb: ClassVar[str] = "hold"
    reason: str


@dataclass(frozen=True)
class Arrive:
    verb: ClassVar[str] = "arrive"


@dataclass(frozen=True)
class RecordOutcome:
    verb: ClassVar[str] = "outcome"
    outcome: str
    summary: str = ""


@dataclass(frozen=True)
class BackRefer:
    verb: ClassVar[str] = "back-refer"
    advice: str


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
    """The advice becomes a request to take the patient."""

    verb: ClassVar[str] = "convert"
    answer_within: dt.timedelta | None = None


@dataclass(frozen=True)
class TreatHere:
    verb: ClassVar[str] = "treat-here"


@dataclass(frozen=True)
class Withdraw:
    verb: ClassVar[str] = "withdraw"


AdviceStep = Advise | Convert | TreatHere | Withdraw
ReferralStep = Accept | Decline | Cancel | NoShow | Depart | Hold | Arrive | RecordOutcome | BackRefer | Acknowledge
Step = AdviceStep | ReferralStep
Command = Request | Ask | Step | Lapse
