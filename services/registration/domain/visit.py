"""One visit to the OPD: whom a number belongs to, and where it stands in its queue."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts import registration as contract
from libs.contracts.event import Event, FacilityCode, Id, Instant
from libs.contracts.registration import (
    TokenCalled,
    TokenMove,
    TokenNoShow,
    TokenServed,
    TokenSkipped,
    TokenTransferred,
    TokenVoided,
)
from services.registration.domain.queue import Door, TokenTaken

Status = Literal["waiting", "called", "skipped", "served", "no-show", "transferred", "void"]
TokenVoidReason = Literal["left", "issued-in-error", "duplicate", "counter-closed"]


class TokenIssued(contract.TokenIssued):
    """The public fact, and when the number was taken (at the desk), from which waiting is counted."""

    taken_at: Instant | None = None


class TokenPutFirst(Event):
    """Urgent: called before all who are not."""

    urgent: bool


class Visit(BaseModel):
    """`calls` is how often the number was called, `called_at` when last (at the desk)."""

    model_config = ConfigDict(frozen=True)

    patient: Id
    facility: FacilityCode
    counter: str
    date: dt.date
    number: int
    expires_at: Instant
    door: Door
    taken_at: Instant | None = None
    status: Status = "waiting"
    urgent: bool = False
    calls: int = 0
    called_at: Instant | None = None
    to_visit: str | None = None


@dataclass(frozen=True)
class Open:
    """The visit of a number that was taken."""

    taken: TokenTaken


@dataclass(frozen=True)
class Call:
    """The next one is called. `at` is when, at the desk."""

    at: dt.datetime


@dataclass(frozen=True)
class Recall:
    """Somebody who was called or skipped before is called once more."""

    at: dt.datetime


@dataclass(frozen=True)
class Serve:
    pass


@dataclass(frozen=True)
class Skip:
    pass


@dataclass(frozen=True)
class NoShow:
    pass


@dataclass(frozen=True)
class Transfer:
    to_counter: str
    to_visit: str


@dataclass(frozen=True)
class Void:
    reason: TokenVoidReason


@dataclass(frozen=True)
class PutFirst:
    urgent: bool


Move = Call | Recall | Serve | Skip | NoShow | Transfer | Void | PutFirst
Command = Open | Move

MOVES: Mapping[type[Move], tuple[str, frozenset[Status]]] = {
    Call: ("call-next", frozenset({"waiting"})),
    Recall: ("recall", frozenset({"called", "skipped", "no-show"})),
    Serve: ("serve", frozenset({"called"})),
    Skip: ("skip", frozenset({"waiting", "called"})),
    NoShow: ("no-show", frozenset({"called", "skipped"})),
    Transfer: ("transfer", frozenset({"waiting", "called", "skipped"})),
    Void: ("void", frozenset({"waiting", "called", "skipped", "no-show"})),
    PutFirst: ("urgent", frozenset({"waiting", "skipped"})),
}
"""Which move a token may make from where."""


def allowed(status: Status) -> tuple[str, ...]:
    """Names of the moves that are open from here."""
    return tuple(name for name, froms in MOVES.values() if status in froms)


def decide(state: Visit | None, command: Command) -> Sequence[Event]:
    """Raises Refused with the moves that are left."""
    if isinstance(command, Open):
        return [] if state else [_issued(command.taken)]
    if state is None:
        return []
    name, froms = MOVES[type(command)]
    if state.status not in froms:
        raise Refused(f"cannot-{name}", f"this token is {state.status}", allowed=allowed(state.status))
    said = state.model_dump(include=set(TokenMove.model_fields))
    match command:
        case Call():
            waited = None if state.taken_at is None else max(0, int((command.at - state.taken_at).total_seconds()))
            return [TokenCalled(**said, called_at=command.at, times=1, waited_seconds=waited)]
        case Recall():
            return [TokenCalled(**said, called_at=command.at, times=state.calls + 1)]
        case Serve():
            return [TokenServed(**said)]
        case Skip():
            return [TokenSkipped(**said)]
        case NoShow():
            return [TokenNoShow(**said)]
        case Transfer():
            if command.to_counter == state.counter:
                raise Refused("same-counter", "must be another counter", field="counter")
            return [TokenTransferred(**said, to_counter=command.to_counter, to_visit=command.to_visit)]
        case Void():
            return [TokenVoided(**said, reason=command.reason)]
        case PutFirst():
            if state.urgent == command.urgent:
                raise Refused("nothing-changed", "the token says so already", allowed=allowed(state.status))
            return [TokenPutFirst(urgent=command.urgent)]


def _issued(taken: TokenTaken) -> TokenIssued:
    return TokenIssued.model_validate(taken.model_dump(include=set(TokenIssued.model_fields)))


_STATUS: Mapping[type[Event], Status] = {
    TokenServed: "served",
    TokenSkipped: "skipped",
    TokenNoShow: "no-show",
    TokenTransferred: "transferred",
    TokenVoided: "void",
}


def evolve(state: Visit | None, event: Event) -> Visit:
    if isinstance(event, contract.TokenIssued):
        return Visit.model_validate(event.model_dump())
    if state is None:
        raise ValueError(f"no visit can begin with {event.TYPE}")
    match event:
        case TokenCalled():
            return state.model_copy(update={"status": "called", "calls": event.times, "called_at": event.called_at})
        case TokenPutFirst():
            return state.model_copy(update={"urgent": event.urgent})
        case TokenTransferred():
            return state.model_copy(update={"status": "transferred", "to_visit": event.to_visit})
        case _ if type(event) in _STATUS:
            return state.model_copy(update={"status": _STATUS[type(event)]})
    raise ValueError(f"no visit can have {event.TYPE}")
