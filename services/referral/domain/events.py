"""What happens to a referral. The contract's events in a fuller form of our own, and what stays in the journal."""

from __future__ import annotations

from pydantic import BaseModel

from libs.contracts import referral as contract
from libs.contracts.event import Event, Instant, personal
from services.referral.domain.dataset import Findings, Notice


class Recorded(BaseModel):
    """Each event of the contract has a form of our own: `at`, by the domain's clock in UTC, and the free text stay in
    the journal."""

    at: Instant


class Asked(Recorded):
    """`completeness` of the minimum dataset in percent, `warnings` as they were said to whoever asked;
    `past_reason` says why nearer or lower facilities were passed by."""

    reason: str = personal("")
    past_reason: str | None = None
    findings: Findings | None = personal()
    completeness: int | None = None
    warnings: tuple[Notice, ...] = personal(())
    answer_due: Instant | None = None


class AdviceAsked(contract.ReferralEvent, Asked):
    """Before the patient travels: what would the specialist do? Private, as all about advice."""


class AdviceGiven(contract.ReferralEvent, Recorded):
    verdict: str
    text: str = personal("")


class AdviceWithdrawn(contract.ReferralEvent, Recorded):
    pass


class TreatedAtOrigin(contract.ReferralEvent, Recorded):
    """As the specialist advised: a journey not made."""


class ReferralRequested(contract.ReferralRequested, Asked):
    pass


class ReferralAccepted(contract.ReferralAccepted, Recorded):
    pass


class ReferralDeclined(contract.ReferralDeclined, Recorded):
    pass


class ReferralCancelled(contract.ReferralCancelled, Recorded):
    pass


class PatientNoShow(contract.PatientNoShow, Recorded):
    pass


class TransportDeparted(contract.TransportDeparted, Recorded):
    pass


class TransportHeld(contract.TransportHeld, Recorded):
    pass


class PatientArrived(contract.PatientArrived, Recorded):
    pass


class OutcomeRecorded(contract.OutcomeRecorded, Recorded):
    summary: str = personal("")


class PatientBackReferred(contract.PatientBackReferred, Recorded):
    advice: str = personal("")


class ReferralClosed(contract.ReferralClosed, Recorded):
    pass


class AdviceLapsed(Event, Recorded):
    """Nobody advised in time: `escalated_to` (role@facility) is told, once. Private to the journal."""

    escalated_to: str


class ReferralLapsed(Event, Recorded):
    """The same of a request to take the patient."""

    escalated_to: str


class ReferralErased(Event, Recorded):
    """The patient was erased: ids and codes stand, what was written about the person is gone. Private."""


EVENTS: tuple[type[Event], ...] = (
    AdviceAsked,
    AdviceGiven,
    AdviceLapsed,
    AdviceWithdrawn,
    TreatedAtOrigin,
    ReferralRequested,
    ReferralAccepted,
    ReferralDeclined,
    ReferralCancelled,
    PatientNoShow,
    TransportDeparted,
    TransportHeld,
    PatientArrived,
    OutcomeRecorded,
    PatientBackReferred,
    ReferralClosed,
    ReferralLapsed,
    ReferralErased,
)
BY_NAME = {event.__name__: event for event in EVENTS}
