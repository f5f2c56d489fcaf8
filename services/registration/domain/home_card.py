"""A provisional card: somebody registered from home by whoever holds a phone, until a desk has seen them.

It becomes a patient on arrival, not before: what was typed at home makes no record that others could stumble on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts.event import Event, FacilityCode, Id, personal
from services.registration.domain.patient import Details

Relation = Literal["self", "spouse", "child", "parent", "sibling", "grandparent", "other"]
BOOK_AHEAD = dt.timedelta(days=30)
MOST_OF_A_PHONE = 15
"""Cards of one phone: a large family."""

SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U, which are misread."""


def card_number(seed: bytes) -> str:
    """`H` and nine signs, the last a check sign (ISO 7064 mod 37,36 over Crockford's alphabet, here mod 32,31)."""
    number = int.from_bytes(seed[:8], "big")
    signs = "".join(SIGNS[number >> shift & 31] for shift in range(0, 40, 5))
    return f"H{signs}{check_sign(signs)}"


def check_sign(signs: str) -> str:
    """Finds every single wrong sign and every swap of neighbours."""
    total = sum(SIGNS.index(sign) * (position * 2 + 1) for position, sign in enumerate(signs, 1))
    return SIGNS[total % 31]


def well_formed(number: str) -> bool:
    body, check = number[1:-1], number[-1:]
    return (
        len(number) == 10
        and number[0] == "H"
        and all(sign in SIGNS for sign in number[1:])
        and check_sign(body) == check
    )


class HomeCard(BaseModel):
    """`facility` and `date` are where and when she means to come; `patient` and `visit` are there once she came."""

    model_config = ConfigDict(frozen=True)

    number: str
    caller: Id
    relation: Relation
    details: Details | None = personal()
    status: Literal["provisional", "arrived", "verified", "withdrawn", "erased"] = "provisional"
    facility: FacilityCode | None = None
    date: dt.date | None = None
    patient: Id | None = None
    visit: Id | None = None
    verified_at: FacilityCode | None = None


class HomeCardIssued(Event):
    number: str
    caller: Id
    relation: Relation
    details: Details | None = personal()


class DayChosen(Event):
    facility: FacilityCode
    date: dt.date


class CardArrived(Event):
    facility: FacilityCode
    patient: Id
    visit: Id


class CardVerified(Event):
    """A desk has seen the person, and their record is `patient`."""

    facility: FacilityCode
    patient: Id


class CardWithdrawn(Event):
    pass


class CardErased(Event):
    pass


@dataclass(frozen=True)
class Issue:
    number: str
    caller: str
    relation: Relation
    details: Details


@dataclass(frozen=True)
class Choose:
    """`today` is the day at the desk."""

    facility: str
    date: dt.date
    today: dt.date


@dataclass(frozen=True)
class Arrive:
    """`here` is where she is; at home's own door it must be where and when she said (`booked_only`)."""

    here: str
    today: dt.date
    patient: str
    visit: str
    booked_only: bool


@dataclass(frozen=True)
class Verify:
    here: str
    patient: str


@dataclass(frozen=True)
class Withdraw:
    pass


Command = Issue | Choose | Arrive | Verify | Withdraw

_ALLOWED = {
    "provisional": ("choose-day", "arrive", "verify", "withdraw"),
    "arrived": ("choose-day", "arrive", "verify"),
    "verified": ("choose-day", "arrive"),
    "withdrawn": (),
    "erased": (),
}


def decide(state: HomeCard | None, command: Command) -> Sequence[Event]:
    """Raises Refused naming the field, or with the moves that are left."""
    if isinstance(command, Issue):
        return [] if state else [HomeCardIssued.model_validate(vars(command))]
    if state is None:
        return []
    name = {Choose: "choose-day", Arrive: "arrive", Verify: "verify", Withdraw: "withdraw"}[type(command)]
    if name not in _ALLOWED[state.status]:
        raise Refused(f"cannot-{name}", f"this card is {state.status}", allowed=_ALLOWED[state.status])
    match command:
        case Choose():
            if not command.today <= command.date <= command.today + BOOK_AHEAD:
                raise Refused("day-out-of-range", f"must be today or within {BOOK_AHEAD.days} days", field="date")
            return [DayChosen(facility=command.facility, date=command.date)]
        case Arrive():
            if command.booked_only and (state.facility, state.date) != (command.here, command.today):
                raise Refused("not-this-day", "choose this facility and today first", allowed=("choose-day",))
            return [CardArrived(facility=command.here, patient=command.patient, visit=command.visit)]
        case Verify():
            return [CardVerified(facility=command.here, patient=command.patient)]
        case Withdraw():
            return [CardWithdrawn()]


def evolve(state: HomeCard | None, event: Event) -> HomeCard:
    match event:
        case HomeCardIssued():
            return HomeCard.model_validate(event.model_dump())
        case DayChosen() if state:
            return state.model_copy(update={"facility": event.facility, "date": event.date})
        case CardArrived() if state:
            status = "verified" if state.status == "verified" else "arrived"
            return state.model_copy(update={"status": status, "patient": event.patient, "visit": event.visit})
        case CardVerified() if state:
            new = {"status": "verified", "patient": event.patient, "verified_at": event.facility}
            return state.model_copy(update=new)
        case CardWithdrawn() if state:
            return state.model_copy(update={"status": "withdrawn", "details": None})
        case CardErased() if state:
            return state.model_copy(update={"status": "erased", "details": None})
    raise ValueError(f"no card can have {event.TYPE}")


def claims(state: HomeCard) -> list[str]:
    return [f"card:{state.number}"]
