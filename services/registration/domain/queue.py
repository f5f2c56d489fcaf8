"""One OPD queue: a counter's numbers on one day (Asia/Kolkata), from 1, without gaps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from libs.common.ids import derive
from libs.common.refusal import Refused
from libs.contracts.event import Event, FacilityCode, Id, Instant

DESK_TIME = ZoneInfo("Asia/Kolkata")
CHECK_AFTER = dt.timedelta(seconds=5)
"""How long after a number is taken its visit is looked for."""

PRUNE_AFTER = dt.timedelta(hours=1)
"""How long an expired token is remembered, for requests that come out of order."""

Door = Literal["walk-in", "scan-and-share"]


def desk_day(instant: dt.datetime) -> dt.date:
    """The day at the desk, whatever the offset the instant was written in."""
    return instant.astimezone(DESK_TIME).date()


def queue_id(facility: str, counter: str, date: dt.date) -> str:
    return derive("queue", facility, counter, date.isoformat())


class Token(BaseModel):
    """A number somebody holds."""

    model_config = ConfigDict(frozen=True)

    number: int
    visit: Id
    taken_at: Instant
    expires_at: Instant


class Queue(BaseModel):
    """`last` is the newest number. Every number given, anew or again, is a promise of what is written next (a visit, an
    answer to the gateway): `promises` counts them, `checked` how many are known to be kept, and `check_at` (machine's
    clock) is when the others are looked at. `tokens` are the ones that may still be valid, by patient."""

    model_config = ConfigDict(frozen=True)

    facility: FacilityCode
    counter: str
    date: dt.date
    last: int = 0
    promises: int = 0
    checked: int = 0
    check_at: Instant | None = None
    tokens: dict[str, Token] = {}


class TokenTaken(Event):
    """A number is taken for a visit that is to be written next. `noted_at` is by the machine's clock."""

    facility: FacilityCode
    counter: str
    date: dt.date
    number: int
    visit: Id
    patient: Id
    taken_at: Instant
    expires_at: Instant
    noted_at: Instant
    door: Door


class TokenRepeated(Event):
    """The same person scanned again while the token was valid: the same number, now and at every retry of this scan."""

    number: int
    visit: Id
    patient: Id
    noted_at: Instant


class HoldEnded(Event):
    """The token was declared void: who scans again while it would be valid gets a number that will be called."""

    patient: Id
    visit: Id


class PromisesChecked(Event):
    """So many promises are kept. `noted_at` is by the machine's clock."""

    kept: int
    noted_at: Instant


@dataclass(frozen=True)
class TakeToken:
    """`at` is when it happened at the desk; `noted_at` now by the machine's clock. With `again`, a valid token of the
    same person is given once more; a desk that asks for a token gets a new one. A `closed` counter gives none anew."""

    facility: str
    counter: str
    date: dt.date
    visit: str
    patient: str
    at: dt.datetime
    validity: dt.timedelta
    noted_at: dt.datetime
    door: Door
    again: bool = False
    closed: bool = False


@dataclass(frozen=True)
class ConfirmKept:
    kept: int
    noted_at: dt.datetime


@dataclass(frozen=True)
class EndHold:
    patient: str
    visit: str


Command = TakeToken | ConfirmKept | EndHold


def decide(state: Queue | None, command: Command) -> Sequence[Event]:
    """Raises Refused naming `counter` where it is closed."""
    match command:
        case TakeToken():
            held = state.tokens.get(command.patient) if state and command.again else None
            if held and held.taken_at - command.validity < command.at < held.expires_at:
                return [
                    TokenRepeated(
                        number=held.number, visit=held.visit, patient=command.patient, noted_at=command.noted_at
                    )
                ]
            if command.closed:
                raise Refused("counter-closed", "this counter is closed", field="counter")
            return [
                TokenTaken(
                    facility=command.facility,
                    counter=command.counter,
                    date=command.date,
                    number=(state.last if state else 0) + 1,
                    visit=command.visit,
                    patient=command.patient,
                    taken_at=command.at,
                    expires_at=command.at + command.validity,
                    noted_at=command.noted_at,
                    door=command.door,
                )
            ]
        case EndHold():
            held = state.tokens.get(command.patient) if state else None
            return [HoldEnded(**vars(command))] if held and held.visit == command.visit else []
        case ConfirmKept():
            if state is None or not state.checked < command.kept <= state.promises:
                return []
            return [PromisesChecked(kept=command.kept, noted_at=command.noted_at)]


def evolve(state: Queue | None, event: Event) -> Queue:
    match event:
        case TokenTaken():
            state = state or Queue(facility=event.facility, counter=event.counter, date=event.date)
            valid = {p: token for p, token in state.tokens.items() if token.expires_at + PRUNE_AFTER > event.taken_at}
            valid[event.patient] = Token.model_validate(event.model_dump(include=set(Token.model_fields)))
            return _promised(state, event.noted_at).model_copy(update={"last": event.number, "tokens": valid})
        case TokenRepeated() if state:
            return _promised(state, event.noted_at)
        case HoldEnded() if state:
            left = {patient: token for patient, token in state.tokens.items() if patient != event.patient}
            return state.model_copy(update={"tokens": left})
        case PromisesChecked() if state:
            again = event.noted_at + CHECK_AFTER if event.kept < state.promises else None
            return state.model_copy(update={"checked": event.kept, "check_at": again})
    raise ValueError(f"no queue can have {event.TYPE}")


def _promised(state: Queue, noted_at: dt.datetime) -> Queue:
    """One look for a whole burst: a promise made while one is ahead does not put it off."""
    check_at = state.check_at or noted_at + CHECK_AFTER
    return state.model_copy(update={"promises": state.promises + 1, "check_at": check_at})
