"""What the registration service publishes: patient cards (restricted, compacted) and visits (thin)."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Code, Event, FacilityCode, Id, Instant, Topic, personal

PATIENT = Topic("registration.patient.v1", compacted=True, restricted=True)
VISIT = Topic("registration.visit.v1")
CALLER = Topic("registration.caller.v1", compacted=True, restricted=True)
"""Phones from which people register at home; only who sends codes to them may read it."""

Sex = Literal["male", "female", "other", "unknown"]
"""FHIR R4 AdministrativeGender."""


class SecondPlace(BaseModel):
    """Where somebody lives in these months (1 to 12) of every year."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    months: tuple[int, ...]
    village: str | None = personal()
    block_lgd: int | None = None
    sub_district_lgd: int | None = None
    district_lgd: int | None = None
    state_lgd: int | None = None


IdentifierType = Literal[
    "him-parivar-family",
    "him-parivar-member",
    "ration-card",
    "tibetan-refugee-card",
    "border-id-card",
    "domicile",
    "mrn",
]


class Identifier(BaseModel):
    """One more identifier of a person, as it stands on the paper; ABHA number and address have fields of their own.
    `facility` is the one that gave it, for a medical record number."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    type: IdentifierType
    value: str
    facility: str | None = None


class PatientCard(BaseModel):
    """Everything a subscriber may need to recognise and reach one person. Phones are E.164; LGD codes are integers."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    id: Id
    name: str = personal("")
    sex: Sex = "unknown"
    birth_date: dt.date | None = personal()
    birth_year: int | None = personal()
    phone: str | None = personal()
    guardian: str | None = personal()
    village: str | None = personal()
    district_lgd: int | None = None
    state_lgd: int | None = None
    language: str = "en"
    abha_number: str | None = personal()
    abha_address: str | None = personal()
    registered_at: FacilityCode
    status: Literal["active", "entered-in-error"] = "active"
    block_lgd: int | None = None
    sub_district_lgd: int | None = None
    place_on: dt.date | None = None
    """The day on which the LGD codes were said: they mean what they meant then."""
    second_place: SecondPlace | None = personal()
    identifiers: tuple[Identifier, ...] = personal(())
    merged_into: Id | None = None
    """The record that this one is now part of: whoever asks for this one is shown that one. Empty once unmerged."""


class PatientRegistered(Event, topic=PATIENT):
    card: PatientCard


class PatientCorrected(Event, topic=PATIENT):
    card: PatientCard
    changed: tuple[str, ...] = ()


class PatientVoided(Event, topic=PATIENT):
    """The record was entered in error: nobody is this person."""

    card: PatientCard


class PatientMerged(Event, topic=PATIENT):
    """Two records are one person: this one lives on in `merged_into`, and its id resolves for ever."""

    card: PatientCard
    merged_into: Id


class PatientUnmerged(Event, topic=PATIENT):
    """They were two people after all: this record stands by itself again."""

    card: PatientCard
    merged_into: Id
    """Where it was until now."""


class RecordOpened(Event, topic=PATIENT):
    """A facility that did not know the person opened the record for care; the person can be told of it."""

    card: PatientCard
    facility: FacilityCode
    break_glass: bool = False


class PatientErased(Event, topic=PATIENT):
    """Published as a tombstone: the key and no value."""

    TOMBSTONE: ClassVar[bool] = True


class TokenIssued(Event, topic=VISIT):
    """A place in an OPD queue; `number` counts from 1 per counter and day (Asia/Kolkata), without gaps."""

    patient: Id
    facility: FacilityCode
    counter: str
    date: dt.date
    number: int
    expires_at: Instant
    door: Literal["walk-in", "scan-and-share"]


class TokenMove(Event):
    """What every move of a token in its queue carries."""

    patient: Id
    facility: FacilityCode
    counter: str
    date: dt.date
    number: int


class TokenCalled(TokenMove, topic=VISIT):
    """The number was called to its counter. `waited_seconds` from token to first call; None when called once more."""

    called_at: Instant
    times: int = 1
    waited_seconds: int | None = None


class TokenServed(TokenMove, topic=VISIT):
    """The person was seen, and the counter is free for the next."""


class TokenSkipped(TokenMove, topic=VISIT):
    """Called and not there, or let go after others: still in the queue, to be recalled."""


class TokenNoShow(TokenMove, topic=VISIT):
    """The person did not come when called."""


class TokenTransferred(TokenMove, topic=VISIT):
    """The person was sent to another counter, where a token of its own was issued: visit `to_visit`."""

    to_counter: str
    to_visit: Id


class TokenVoided(TokenMove, topic=VISIT):
    """The token is of no use any more; its number is never given again."""

    reason: Code


HOUSEHOLD = Topic("registration.household.v1")
BENEFIT_UNIT = Topic("registration.benefit-unit.v1")

UnitKind = Literal["pm-jay-family", "himcare-unit", "vay-vandana-group", "ration-card-family", "him-parivar-family"]
"""Who shares one benefit. None of them is the household, and no two are the same set."""


class Member(BaseModel):
    """Somebody who belongs, from `since`. `relation` to the head: head, spouse, child, parent and the like."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    patient: Id
    relation: Code = "member"
    since: dt.date


class HouseholdFormed(Event, topic=HOUSEHOLD):
    facility: FacilityCode
    members: tuple[Member, ...]


class HouseholdMemberJoined(Event, topic=HOUSEHOLD):
    patient: Id
    relation: Code = "member"
    since: dt.date


class HouseholdMemberLeft(Event, topic=HOUSEHOLD):
    """`until` is the last day."""

    patient: Id
    until: dt.date
    reason: Code = "other"


class EnrolmentRefused(Event, topic=HOUSEHOLD):
    """A household was refused a card of a scheme. `entitled`: by the rules of that day and by what was known of it,
    the card should have been made."""

    facility: FacilityCode
    """Which refused it."""
    scheme: Code
    reason: Code
    refused_on: dt.date
    entitled: bool = False


class EnrolmentRefusalReversed(Event, topic=HOUSEHOLD):
    """An officer decided otherwise than the desk that had refused; `because` is a code of the decision."""

    facility: FacilityCode
    """Which had refused it."""
    scheme: Code
    refused_on: dt.date
    because: Code


class BenefitUnitFormed(Event, topic=BENEFIT_UNIT):
    kind: UnitKind
    facility: FacilityCode
    household: Id | None = None
    members: tuple[Member, ...]


class BenefitUnitMemberJoined(Event, topic=BENEFIT_UNIT):
    kind: UnitKind
    patient: Id
    relation: Code = "member"
    since: dt.date


class BenefitUnitMemberLeft(Event, topic=BENEFIT_UNIT):
    """`until` is the last day."""

    kind: UnitKind
    patient: Id
    until: dt.date
    reason: Code = "other"


SCREENING = Topic("registration.screening.v1")


class ScreeningRecorded(Event, topic=SCREENING):
    """Somebody was screened: the programme's code for the result, and what is suggested. No measurement, no name."""

    patient: Id
    facility: FacilityCode
    programme: Code
    version: Code
    result: Code
    urgent: bool = False
    alerts: tuple[Code, ...] = ()
    suggests: tuple[Code, ...] = ()
    date: dt.date
    brought_by: Id | None = None
    """The ASHA or facilitator who brought the person."""


class ScreeningReferred(Event, topic=SCREENING):
    """A suggested referral was accepted: the referral service makes it, with programme and result as its reason."""

    patient: Id
    facility: FacilityCode
    """The origin."""
    to: FacilityCode
    service: Code
    urgency: Literal["routine", "urgent", "emergency"]
    programme: Code
    result: Code
    suggestion: Code


class ScreeningSuggestionDeclined(Event, topic=SCREENING):
    patient: Id
    programme: Code
    suggestion: Code
    reason: Code = "other"


class ScreeningTreated(Event, topic=SCREENING):
    """A suggested treatment or talk was given there."""

    patient: Id
    programme: Code
    suggestion: Code


class CallerCard(BaseModel):
    """A phone, before anybody has said whose it is. Phones are E.164."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    id: Id
    phone: str | None = personal()
    language: str = "en"


class CodeRequested(Event, topic=CALLER):
    """A one-time code is to reach this phone, and no other place; it is of no use after `expires_at`."""

    card: CallerCard
    code: str | None = personal()
    expires_at: Instant


class CallerErased(Event, topic=CALLER):
    """Published as a tombstone: the key and no value."""

    TOMBSTONE: ClassVar[bool] = True


IDENTITY = Topic("registration.identity.v1")
"""Which records are one person: ids only, for those who follow ids and may not know who anybody is."""


class RecordsJoined(Event, topic=IDENTITY):
    """Two records are one person: what is known of `patient` is known of `into`."""

    patient: Id
    into: Id


class RecordsParted(Event, topic=IDENTITY):
    """They were two people after all; until now `patient` was part of `into`."""

    patient: Id
    into: Id
