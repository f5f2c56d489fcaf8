"""What the referral service publishes: the facility directory (compacted, no persons) and referrals (thin)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Code, Event, FacilityCode, Id, Topic

FACILITY = Topic("referral.facility.v1", compacted=True)
REFERRAL = Topic("referral.referral.v1")

Urgency = Literal["routine", "urgent", "emergency"]


class FacilityCard(BaseModel):
    """One facility: role mailboxes and what it offers, no persons. `road_hours` to `refers_to` in the dry season."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    code: FacilityCode
    hip_id: str
    name: str
    level: str
    state_lgd: int
    district_lgd: int
    latitude: float
    longitude: float
    altitude_m: int
    beds: int
    services: tuple[str, ...] = ()
    refers_to: FacilityCode | None = None
    road_hours: float = 0.0
    winter_access: str = "open"
    desk_email: str | None = None
    officer_email: str | None = None


class FacilityListed(Event, topic=FACILITY):
    card: FacilityCard


class FacilityChanged(Event, topic=FACILITY):
    card: FacilityCard


class ReferralEvent(Event):
    """What every referral event carries, so that a subscriber needs no look-up."""

    patient: Id
    origin: FacilityCode
    destination: FacilityCode
    service: Code
    urgency: Urgency


class ReferralRequested(ReferralEvent, topic=REFERRAL):
    pass


class ReferralAccepted(ReferralEvent, topic=REFERRAL):
    pass


class ReferralDeclined(ReferralEvent, topic=REFERRAL):
    reason: Code


class ReferralCancelled(ReferralEvent, topic=REFERRAL):
    reason: Code


class PatientNoShow(ReferralEvent, topic=REFERRAL):
    pass


class TransportDeparted(ReferralEvent, topic=REFERRAL):
    mode: Code


class TransportHeld(ReferralEvent, topic=REFERRAL):
    reason: Code


class PatientArrived(ReferralEvent, topic=REFERRAL):
    pass


class OutcomeRecorded(ReferralEvent, topic=REFERRAL):
    outcome: Code


class PatientBackReferred(ReferralEvent, topic=REFERRAL):
    pass


class ReferralClosed(ReferralEvent, topic=REFERRAL):
    """The origin acknowledged the back-referral: the loop is closed."""
