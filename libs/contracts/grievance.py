"""What the grievance service publishes: grievances (thin) and contacts of other reporters (restricted)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Code, Event, FacilityCode, Id, Instant, Topic, personal

GRIEVANCE = Topic("grievance.grievance.v1")
CONTACT = Topic("grievance.contact.v1", compacted=True, restricted=True)


class ContactCard(BaseModel):
    """How to reach a reporter who is not a patient. Phones are E.164."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    id: Id
    name: str | None = personal()
    phone: str | None = personal()
    email: str | None = personal()
    language: str = "en"


class ContactRecorded(Event, topic=CONTACT):
    card: ContactCard


class ContactErased(Event, topic=CONTACT):
    """Published as a tombstone: the key and no value."""

    TOMBSTONE: ClassVar[bool] = True


class Reporter(BaseModel):
    """Who is to be told: a patient, a contact, or nobody (anonymous)."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    kind: Literal["patient", "contact", "anonymous"]
    id: Id | None = None


class GrievanceEvent(Event):
    """What every grievance event carries, so that a subscriber needs no look-up.

    `handled_by` is the facility whose officers answer now: never `about_facility`.
    """

    ticket: str
    category: Code
    about_facility: FacilityCode
    handled_by: FacilityCode
    reporter: Reporter
    language: str = "en"


class GrievanceFiled(GrievanceEvent, topic=GRIEVANCE):
    about_referral: Id | None = None


class GrievanceAcknowledged(GrievanceEvent, topic=GRIEVANCE):
    """Journaled with the filing: redress is promised by `due_at`."""

    due_at: Instant


class GrievanceAssigned(GrievanceEvent, topic=GRIEVANCE):
    to: str
    """A role at a facility (`nodal-officer@CODE`), never a person."""


class GrievanceResolved(GrievanceEvent, topic=GRIEVANCE):
    outcome: Code


class GrievanceConfirmed(GrievanceEvent, topic=GRIEVANCE):
    """The one who filed it agrees: closed."""

    rating: int


class GrievanceReopened(GrievanceEvent, topic=GRIEVANCE):
    cycle: int
    """How often it was reopened, from 1."""


class GrievanceEscalated(GrievanceEvent, topic=GRIEVANCE):
    step: int
    """Escalation step, from 1; one per breached due date."""
    due_at: Instant
    """The due date that was breached."""


class GrievancePaged(GrievanceEvent, topic=GRIEVANCE):
    """An emergency that nobody has taken yet: this rung of the on-call ladder is called now, whatever the hour."""

    to: str
    """A role at a facility (`nodal-officer@CODE`), never a person."""
    at: FacilityCode
    """The facility of `to`, for those who look up who is on duty there."""
    rung: int
    """From 1."""
    due_at: Instant
    """When redress is promised."""
    about_referral: Id | None = None
