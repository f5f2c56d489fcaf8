"""What the referral service publishes: the facility directory (compacted, no persons) and referrals (thin)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from libs.contracts.event import Code, Event, FacilityCode, Id, Instant, Topic

FACILITY = Topic("referral.facility.v1", compacted=True)
REFERRAL = Topic("referral.referral.v1")

Urgency = Literal["routine", "urgent", "emergency"]

ClockTime = Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
"""Hour and minute of Indian Standard Time; 24:00 is the end of the day."""
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
EVERY_DAY: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Reach = Annotated[str, Field(pattern=r"^(\+?[0-9][0-9 -]{2,18}( ext [0-9]{1,6})?|[^@\s]{1,64}@[^@\s]{1,120})$")]
"""A switchboard's number, perhaps with an extension, or a role's mailbox: never a person's name."""


class Today(BaseModel):
    """Part of a card that changes from day to day."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Unavailable(Today):
    """A listed service that is not to be had now: the specialist is on leave, the machine is broken."""

    service: Code
    reason: Code
    until: Instant | None = None
    """Until further notice if absent."""


class Hours(Today):
    """When referred patients are received. A facility that names none is open day and night."""

    days: tuple[Weekday, ...] = EVERY_DAY
    opens: ClockTime
    closes: ClockTime


class Duty(Today):
    """Which role answers when, and how it is reached. A duty may run over midnight."""

    role: Code
    service: Code | None = None
    """For one service only; for all that no other duty names if absent."""
    days: tuple[Weekday, ...] = EVERY_DAY
    starts: ClockTime
    ends: ClockTime
    reach: Reach


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
    unavailable: tuple[Unavailable, ...] = ()
    """Listed services that are not to be had now."""
    beds_by_kind: dict[Code, int] = Field(default_factory=dict)
    """Beds that stand there, by kind; how many are free is not said here."""
    theatre: Literal["ready", "closed", "none"] | None = None
    oxygen: Literal["piped", "cylinders", "concentrators", "none"] | None = None
    blood: tuple[str, ...] | None = None
    """Blood groups in stock; absent where it is not known."""
    hours: tuple[Hours, ...] = ()
    duty: tuple[Duty, ...] = ()
    takes_referrals: bool = True
    """False: closed, or out of service."""
    refuses: tuple[Code, ...] = ()
    """What it has switched refusal on for: `dataset-incomplete`, `passed-by`. An emergency is never refused for it."""


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
    avoidable: bool | None = None
    """Whether the journey could have been avoided, by outcome; absent where it cannot be told."""


class PatientBackReferred(ReferralEvent, topic=REFERRAL):
    deceased: bool = False
    """The patient has died: what goes back are the papers, and nobody writes to their phone."""


class StepOwed(ReferralEvent, topic=REFERRAL):
    """A reminder: `owed_by` (role@facility) owes `step` since `owed_since` (UTC). `reminder` counts from 1."""

    step: Code
    owed_by: str
    owed_since: Instant
    reminder: int
    role: Code | None = None
    """Of `owed_by`, the role ..."""
    facility: FacilityCode | None = None
    """... and the facility."""


class ReferralClosed(ReferralEvent, topic=REFERRAL):
    """The origin acknowledged the back-referral: the loop is closed."""

    deceased: bool = False
    """As in the back-referral."""


class AppointmentScheduled(ReferralEvent, topic=REFERRAL):
    """The destination expects the patient at `appointment_at` (UTC); a later one takes the place of an earlier one."""

    appointment_at: Instant


class AppointmentCancelled(ReferralEvent, topic=REFERRAL):
    pass


class CancellationRequested(ReferralEvent, topic=REFERRAL):
    """The origin asks the destination to let go of the referral; it may have treated the patient meanwhile."""

    reason: Code


class ReferralRedirected(ReferralEvent, topic=REFERRAL):
    """The same patient is asked to be taken at `to` instead, by the referral `next` of the same chain."""

    to: FacilityCode
    next: Id
    reason: Code


class TravelRefused(ReferralEvent, topic=REFERRAL):
    """The patient, or who decides for them, will not travel."""


class PatientDeceased(ReferralEvent, topic=REFERRAL):
    """Before they arrived; `place` says where."""

    place: Code


class ReferralVoided(ReferralEvent, topic=REFERRAL):
    """It was made in error: nothing in it is to be believed of this patient."""

    reason: Code


class ReferralBreached(ReferralEvent, topic=REFERRAL):
    """A promise about it was not kept in time; once per promise."""

    promise: Code
    """`answer`, `arrival` or `chain` (nobody along all its hops has treated the patient)."""
    rests_with: FacilityCode | None = None
    """The facility that had the next step when it was broken."""
    escalated_to: str
    """A role at a facility (`doctor@CODE`), never a person."""
    facility: FacilityCode | None = None
    """The facility of `escalated_to`."""
