"""Somebody whom only this service has to know: a patient's family, an ASHA, a panchayat office, staff on a roster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts.event import Event, FacilityCode, Id, personal

Kind = Literal["family", "asha", "panchayat", "staff"]
RELAYS: frozenset[Kind] = frozenset({"asha", "panchayat"})
"""Who passes messages on to people that no other channel reaches, by word of mouth."""


class Details(BaseModel):
    """What is known of a person. Phones are E.164; `address` is an Apprise URL for channels that have no adapter here.

    `patients` are those the person is family of, or cares for; `villages` those an ASHA or a panchayat serves;
    `subject` is the caller as which the person signs in, so that they can read their own feed and relay list.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    name: str = personal("")
    phone: str | None = personal()
    email: str | None = personal()
    address: str | None = personal()
    language: str = "en"
    patients: tuple[Id, ...] = ()
    villages: tuple[str, ...] = personal(())
    facility: FacilityCode | None = None
    subject: str = ""


class PersonRecorded(Event):
    """First, and with each change, whole."""

    kind: Kind
    name: str = personal("")
    phone: str | None = personal()
    email: str | None = personal()
    address: str | None = personal()
    language: str = "en"
    patients: tuple[Id, ...] = ()
    villages: tuple[str, ...] = personal(())
    facility: FacilityCode | None = None
    subject: str = ""


class PersonRetired(Event):
    """Is told nothing more."""


class PersonErased(Event):
    """Everything that says who it was is gone."""


class Person(Details):
    model_config = ConfigDict(frozen=True, extra="ignore")

    active: bool = True


EVENTS: tuple[type[Event], ...] = (PersonRecorded, PersonRetired, PersonErased)


@dataclass(frozen=True)
class Record:
    details: Details


@dataclass(frozen=True)
class Retire:
    pass


def decide(state: Person | None, command: Record | Retire) -> Sequence[Event]:
    """Raises Refused where a person could not be told anything, or is retired."""
    if state is not None and not state.active:
        raise Refused("retired", "this person is told nothing more")
    if isinstance(command, Retire):
        return (PersonRetired(),)
    details = command.details
    if details.kind == "family" and not details.patients:
        raise Refused("patient-missing", "family is somebody's family: name the patient", field="patients")
    if details.kind == "staff" and details.facility is None:
        raise Refused("facility-missing", "staff works somewhere: name the facility", field="facility")
    return (PersonRecorded(**_fields(details)),)


def _fields(details: Details) -> dict[str, Any]:
    return {name: getattr(details, name) for name in Details.model_fields}


def evolve(state: Person | None, event: Event) -> Person:
    match event:
        case PersonRecorded():
            return Person(**{name: getattr(event, name) for name in Details.model_fields})
        case PersonErased():
            assert state is not None
            return Person(kind=state.kind, facility=state.facility, active=False)
    assert state is not None
    return state.model_copy(update={"active": False})
