"""One visit to the OPD: whom a number belongs to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Event, FacilityCode, Id, Instant
from libs.contracts.registration import TokenIssued
from services.registration.domain.queue import Door, TokenTaken


class Visit(BaseModel):
    model_config = ConfigDict(frozen=True)

    patient: Id
    facility: FacilityCode
    counter: str
    date: dt.date
    number: int
    expires_at: Instant
    door: Door


@dataclass(frozen=True)
class Open:
    """The visit of a number that was taken."""

    taken: TokenTaken


def decide(state: Visit | None, command: Open) -> Sequence[Event]:
    if state is not None:
        return []
    return [TokenIssued.model_validate(command.taken.model_dump(include=set(TokenIssued.model_fields)))]


def evolve(state: Visit | None, event: Event) -> Visit:
    if isinstance(event, TokenIssued):
        return Visit.model_validate(event.model_dump())
    raise ValueError(f"no visit can have {event.TYPE}")
