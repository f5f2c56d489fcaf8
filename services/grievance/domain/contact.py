"""A reporter who is not a patient: how to reach them, on a restricted topic of their own."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Event, Id
from libs.contracts.grievance import ContactCard, ContactErased, ContactRecorded


class Contact(BaseModel):
    """`card` is None once erased."""

    model_config = ConfigDict(frozen=True)

    card: ContactCard | None = None


@dataclass(frozen=True)
class Record:
    """`phone` is E.164."""

    id: Id
    name: str | None
    phone: str | None
    email: str | None
    language: str


def decide(state: Contact | None, command: Record, now: dt.datetime) -> list[Event]:
    if state is not None:
        return []
    card = ContactCard(
        id=command.id, name=command.name, phone=command.phone, email=command.email, language=command.language
    )
    return [ContactRecorded(card=card)]


def evolve(state: Contact | None, event: Event) -> Contact:
    match event:
        case ContactRecorded():
            return Contact(card=event.card)
        case ContactErased():
            return Contact()
    raise TypeError(f"a contact knows no {event.TYPE}")
