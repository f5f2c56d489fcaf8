"""The answer the ABDM gateway is owed for one Scan & Share request: exactly one successful on-share.

All instants are by the machine's clock: the citizen's app waits 30 real seconds, whatever day is being played.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Event, FacilityCode, Id, Instant, personal

LEASE = dt.timedelta(seconds=15)
"""An attempt whose end nobody wrote down is made again only after this; longer than the gateway client waits."""

SCREEN_WAITS = dt.timedelta(seconds=30)
"""How long the citizen's app waits for the token (NHA Scan & Share v3)."""

GIVE_UP_AFTER = dt.timedelta(minutes=2)
FIRST_PAUSE = dt.timedelta(milliseconds=500)
LONGEST_PAUSE = dt.timedelta(seconds=30)


Shape = Literal["v3", "2023"]
"""Which of NHA's specifications the request came by, and its answer must go by."""


class Share(BaseModel):
    """`valid_seconds` is how long the token is valid, None in entries of before queues had their own.
    `request_id` is the gateway's REQUEST-ID. `next_at` is when the next attempt may begin, None if there is none."""

    model_config = ConfigDict(frozen=True)

    request_id: str
    patient: Id
    visit: Id
    number: int
    facility: FacilityCode
    counter: str
    abha_address: str = personal("")
    valid_seconds: int | None = None
    shape: Shape = "v3"
    received_at: Instant
    status: Literal["waiting", "acknowledged", "given-up"] = "waiting"
    attempts: int = 0
    next_at: Instant | None = None
    last_error: str | None = None
    late: bool = False


class ShareReceived(Event):
    request_id: str
    patient: Id
    visit: Id
    number: int
    facility: FacilityCode
    counter: str
    abha_address: str = personal("")
    valid_seconds: int | None = None
    shape: Shape = "v3"
    received_at: Instant


class Attempted(Event):
    """The claim to attempt `number`; nobody else sends before `lease_until`."""

    number: int
    lease_until: Instant


class AttemptFailed(Event):
    """The gateway surely did not take it: refused connection, or an answer that is an error."""

    number: int
    error: str
    next_at: Instant


class Acknowledged(Event):
    number: int
    at: Instant


class AcknowledgementFailed(Event):
    """Given up: the person was shown no token on the phone and is sent to the counter."""

    error: str
    at: Instant


class ShareErased(Event):
    """The person was erased: what is still owed is an error."""


@dataclass(frozen=True)
class Receive:
    request_id: str
    patient: str
    visit: str
    number: int
    facility: str
    counter: str
    abha_address: str
    valid_seconds: int | None = None
    shape: Shape = "v3"


@dataclass(frozen=True)
class Attempt:
    number: int


@dataclass(frozen=True)
class Acknowledge:
    number: int


@dataclass(frozen=True)
class Fail:
    """`error` is a code, never the gateway's text."""

    number: int
    error: str


@dataclass(frozen=True)
class GiveUp:
    pass


Command = Receive | Attempt | Acknowledge | Fail | GiveUp


def decide(state: Share | None, command: Command, now: dt.datetime) -> Sequence[Event]:
    """`now` is the machine's. Decides nothing where somebody else was there before."""
    if isinstance(command, Receive):
        return [] if state else [ShareReceived(**vars(command), received_at=now)]
    if state is None or state.status != "waiting":
        return []
    match command:
        case Attempt():
            if command.number != state.attempts + 1 or (state.next_at and now < state.next_at):
                return []
            return [Attempted(number=command.number, lease_until=now + LEASE)]
        case Acknowledge():
            return [Acknowledged(number=command.number, at=now)]
        case Fail():
            if command.number != state.attempts:
                return []
            return [AttemptFailed(number=command.number, error=command.error, next_at=now + pause(command.number))]
        case GiveUp():
            if not spent(state, now):
                return []
            return [AcknowledgementFailed(error=state.last_error or "no-answer", at=now)]


def pause(attempts: int) -> dt.timedelta:
    """Doubles from half a second, at most half a minute."""
    doubled: int = 1 << min(attempts - 1, 10)
    return min(FIRST_PAUSE * doubled, LONGEST_PAUSE)


def spent(state: Share, now: dt.datetime) -> bool:
    """Whether trying any longer is of no use to anybody."""
    return now - state.received_at > GIVE_UP_AFTER


def evolve(state: Share | None, event: Event) -> Share:
    match event:
        case ShareReceived():
            return Share(**event.model_dump(), next_at=event.received_at)
        case Attempted() if state:
            return state.model_copy(update={"attempts": event.number, "next_at": event.lease_until})
        case AttemptFailed() if state:
            return state.model_copy(update={"next_at": event.next_at, "last_error": event.error})
        case Acknowledged() if state:
            late = event.at - state.received_at > SCREEN_WAITS
            return state.model_copy(update={"status": "acknowledged", "next_at": None, "late": late})
        case AcknowledgementFailed() if state:
            return state.model_copy(update={"status": "given-up", "next_at": None, "last_error": event.error})
        case ShareErased() if state:
            return state.model_copy(update={"abha_address": ""})
    raise ValueError(f"no share can have {event.TYPE}")
