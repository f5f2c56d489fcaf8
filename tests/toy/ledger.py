"""A small aggregate on real contract topics, with everything that the journal has to know how to do."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from pydantic import BaseModel, ConfigDict

from libs.common.aggregate import AggregateType
from libs.common.cause import Cause, request_cause
from libs.common.clock import machine_now
from libs.contracts import referral, registration
from libs.contracts.event import Event, Instant, personal


class Asked(referral.ReferralRequested):
    """The public fact, with a reason that never leaves the journal."""

    reason: str = personal("")


class Noted(Event):
    """Private to the journal."""

    text: str = personal("")
    by: str = ""


class Promised(Event):
    """Sets the next due instant; none given takes it away."""

    due: Instant | None = None
    retry_at: Instant | None = None


class Claimed(Event):
    claim: str | None = None


class Contact(BaseModel):
    model_config = ConfigDict(frozen=True)

    phone: str | None = personal()
    language: str = "en"


class Reached(Event):
    """Personal fields in nested models, also in an optional one and in a sequence."""

    one: Contact | None = None
    more: tuple[Contact, ...] = ()


class Ledger(BaseModel):
    """What the toy keeps: how often what happened, and by whom."""

    model_config = ConfigDict(frozen=True)

    origin: str = ""
    destination: str = ""
    asked: int = 0
    accepted: int = 0
    reason: str = ""
    notes: tuple[str, ...] = ()
    claim: str | None = None
    due: Instant | None = None
    retry_at: Instant | None = None
    phones: tuple[str | None, ...] = ()


def evolve(state: Ledger | None, event: Any) -> Ledger:
    state = state or Ledger()
    match event:
        case Asked():
            return state.model_copy(
                update={
                    "origin": event.origin,
                    "destination": event.destination,
                    "asked": state.asked + 1,
                    "reason": event.reason,
                }
            )
        case referral.ReferralAccepted():
            return state.model_copy(update={"accepted": state.accepted + 1})
        case Noted():
            return state.model_copy(update={"notes": (*state.notes, event.text)})
        case Promised():
            return state.model_copy(update={"due": event.due, "retry_at": event.retry_at})
        case Claimed():
            return state.model_copy(update={"claim": event.claim})
        case Reached():
            return state.model_copy(update={"phones": tuple(c.phone for c in (event.one, *event.more) if c)})
    return state


LEDGER = AggregateType(
    "referral",
    "referrals",
    Ledger,
    (Asked, referral.ReferralAccepted, referral.ReferralDeclined, Noted, Promised, Claimed, Reached),
    evolve,
    topic=referral.REFERRAL,
    claims=lambda state: [f"card:{state.claim}"] if state.claim else [],
    due=lambda state: state.due,
    retry_at=lambda state: state.retry_at,
    indexes=(("state.origin",),),
)


class Person(BaseModel):
    model_config = ConfigDict(frozen=True)

    card: registration.PatientCard | None = None
    erased: bool = False


def evolve_person(state: Person | None, event: Any) -> Person:
    if isinstance(event, registration.PatientErased):
        return Person(card=state.card if state else None, erased=True)
    return Person(card=event.card)


PERSON = AggregateType(
    "patient",
    "patients",
    Person,
    (registration.PatientRegistered, registration.PatientCorrected, registration.PatientErased),
    evolve_person,
    topic=registration.PATIENT,
    claims=lambda state: [f"abha-address:{state.card.abha_address}"] if state.card and state.card.abha_address else [],
)


class Done(Event):
    """The effect of an event at a subscriber."""

    sequence: int
    type: str


class Effects(BaseModel):
    """What a subscriber did because of one aggregate's events, in order."""

    model_config = ConfigDict(frozen=True)

    done: tuple[int, ...] = ()


EFFECTS = AggregateType(
    "effect",
    "messages",
    Effects,
    (Done,),
    lambda state, event: Effects(done=(*(state.done if state else ()), event.sequence)),
)


def asked(origin: str = "A1", destination: str = "B1", reason: str = "") -> Asked:
    return Asked(
        patient="p", origin=origin, destination=destination, service="surgery", urgency="routine", reason=reason
    )


def accepted() -> referral.ReferralAccepted:
    return referral.ReferralAccepted(patient="p", origin="A1", destination="B1", service="surgery", urgency="routine")


def card(id: str, name: str = "", **fields: Any) -> registration.PatientCard:
    return registration.PatientCard(id=id, name=name, registered_at="A1", **fields)


def new_id() -> str:
    return str(uuid.uuid4())


def request(key: str | None = None, *, caller: str = "me", body: str = "f", at: dt.datetime | None = None) -> Cause:
    """A caller's request; the same key is the same cause."""
    return request_cause(
        caller, "POST /toy", key or new_id(), fingerprint=body, actor="doctor@A1", occurred_at=at or machine_now()
    )
