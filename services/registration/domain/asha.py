"""ASHAs and their facilitators: who they are, for which places, and whom they brought."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from libs.common.refusal import Refused
from libs.contracts.event import Code, Event, FacilityCode, Id, personal

Role = Literal["asha", "facilitator"]
Population = Literal["settled", "tribal", "migratory"]
MOST_PLACES = 40
PURPOSES = ("registration", "immunisation", "delivery")
"""What she brings people for, besides screening programmes."""


class Beat(BaseModel):
    """A place that she serves: a key of the directory. `months` where only in some, as with herders on the move."""

    model_config = ConfigDict(frozen=True)

    place: str
    village: str | None = personal()
    population: Population = "settled"
    months: tuple[Annotated[int, Field(strict=True, ge=1, le=12)], ...] = ()

    def holds(self, on: dt.date) -> bool:
        return not self.months or on.month in self.months


class Asha(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str = personal("")
    phone: str | None = personal()
    role: Role
    facility: FacilityCode
    language: str = "en"
    beats: tuple[Beat, ...] = ()
    facilitator: Id | None = None
    status: Literal["active", "retired"] = "active"
    since: dt.date
    sort_name: str = personal("")


class AshaRegistered(Event):
    """Private, as all of these: nobody but her own facility needs to know her."""

    name: str = personal("")
    phone: str | None = personal()
    role: Role
    facility: FacilityCode
    language: str = "en"
    beats: tuple[Beat, ...] = ()
    facilitator: Id | None = None
    since: dt.date


class AshaChanged(Event):
    """Her places, language, phone or facilitator from now on."""

    phone: str | None = personal()
    language: str = "en"
    beats: tuple[Beat, ...] = ()
    facilitator: Id | None = None


class AshaRetired(Event):
    on: dt.date
    reason: Code = "other"


@dataclass(frozen=True)
class Register:
    name: str
    phone: str | None
    role: Role
    facility: str
    language: str
    beats: tuple[Beat, ...]
    facilitator: str | None
    on: dt.date


@dataclass(frozen=True)
class Change:
    phone: str | None
    language: str
    beats: tuple[Beat, ...]
    facilitator: str | None


@dataclass(frozen=True)
class Retire:
    on: dt.date
    reason: str


Command = Register | Change | Retire


def decide(state: Asha | None, command: Command) -> Sequence[Event]:
    """Raises Refused."""
    if isinstance(command, Register):
        if command.role == "facilitator" and command.facilitator is not None:
            raise Refused("facilitator-of-none", "a facilitator has none herself", field="facilitator")
        return [
            AshaRegistered(
                name=command.name,
                phone=command.phone,
                role=command.role,
                facility=command.facility,
                language=command.language,
                beats=command.beats,
                facilitator=command.facilitator,
                since=command.on,
            )
        ]
    if state is None:
        return []
    if state.status != "active":
        raise Refused("not-active", "she is retired")
    if isinstance(command, Retire):
        return [AshaRetired(on=command.on, reason=command.reason)]
    if state.role == "facilitator" and command.facilitator is not None:
        raise Refused("facilitator-of-none", "a facilitator has none herself", field="facilitator")
    return [
        AshaChanged(
            phone=command.phone, language=command.language, beats=command.beats, facilitator=command.facilitator
        )
    ]


def evolve(state: Asha | None, event: Event) -> Asha:
    if isinstance(event, AshaRegistered):
        return Asha(**event.model_dump(), sort_name=event.name.casefold())
    if state is None:
        raise ValueError(f"no ASHA begins with {event.TYPE}")
    match event:
        case AshaChanged():
            return state.model_copy(
                update={
                    "phone": event.phone,
                    "language": event.language,
                    "beats": event.beats,
                    "facilitator": event.facilitator,
                }
            )
        case AshaRetired():
            return state.model_copy(update={"status": "retired"})
    raise ValueError(f"no ASHA can have {event.TYPE}")


class Brought(BaseModel):
    """One person brought for one purpose on one day, which counts once."""

    model_config = ConfigDict(frozen=True)

    asha: Id
    patient: Id
    purpose: Code
    on: dt.date
    facility: FacilityCode


class PersonBrought(Event):
    """Private."""

    asha: Id
    patient: Id
    purpose: Code
    on: dt.date
    facility: FacilityCode


def bring(state: Brought | None, event: PersonBrought) -> Sequence[Event]:
    """The same again is nothing new."""
    return [event] if state is None else []


def evolve_brought(state: Brought | None, event: Event) -> Brought:
    if isinstance(event, PersonBrought):
        return Brought.model_validate(event.model_dump())
    raise ValueError(f"nobody is brought by {event.TYPE}")
