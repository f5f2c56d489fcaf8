"""A phone from which somebody registers at home: one-time codes, how often, and how often missed.

Who is registered plays no part in any of it. All instants are by the machine's clock: the Date header is the caller's.
"""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts.event import Event, Instant, personal
from libs.contracts.registration import CallerCard, CallerErased, CodeRequested

VALID = dt.timedelta(minutes=10)
TRIES = 5
"""Wrong codes after which only a new code helps: with six digits, one chance in 200,000 per code."""

A_WHILE, MOST_IN_A_WHILE = dt.timedelta(minutes=15), 3
A_DAY, MOST_IN_A_DAY = dt.timedelta(days=1), 10

TOO_MANY_CODES = "too-many-codes"


class Code(BaseModel):
    model_config = ConfigDict(frozen=True)

    code: str = personal("")
    expires_at: Instant
    missed: int = 0
    used: bool = False


class Caller(BaseModel):
    """`asked` are the times of the codes of the last day, oldest first."""

    model_config = ConfigDict(frozen=True)

    card: CallerCard
    code: Code | None = None
    asked: tuple[Instant, ...] = ()


class CodeMissed(Event):
    """A wrong code, or one that is no longer of use."""


class CodeAccepted(Event):
    at: Instant


@dataclass(frozen=True)
class RequestCode:
    """`code` was derived by who keeps the key."""

    card: CallerCard
    code: str
    at: dt.datetime


@dataclass(frozen=True)
class TryCode:
    code: str
    at: dt.datetime


Command = RequestCode | TryCode


def decide(state: Caller | None, command: Command) -> Sequence[Event]:
    """Raises Refused `too-many-codes`. A wrong code is no refusal: it is counted, and told apart by its event."""
    match command:
        case RequestCode():
            asked = state.asked if state else ()
            lately = [at for at in asked if at > command.at - A_WHILE]
            today = [at for at in asked if at > command.at - A_DAY]
            if len(lately) >= MOST_IN_A_WHILE or len(today) >= MOST_IN_A_DAY:
                raise Refused(TOO_MANY_CODES, "wait before asking for another code")
            return [CodeRequested(card=command.card, code=command.code, expires_at=command.at + VALID)]
        case TryCode():
            if state is None:
                return []
            code = state.code
            good = (
                code is not None
                and bool(code.code)
                and not code.used
                and code.missed < TRIES
                and command.at < code.expires_at
                and hmac.compare_digest(code.code.encode(), command.code.encode())
            )
            return [CodeAccepted(at=command.at)] if good else [CodeMissed()]


def evolve(state: Caller | None, event: Event) -> Caller:
    match event:
        case CodeRequested():
            at = event.expires_at - VALID
            kept = tuple(earlier for earlier in (state.asked if state else ()) if earlier > at - A_DAY)
            return Caller(
                card=event.card, code=Code(code=event.code or "", expires_at=event.expires_at), asked=(*kept, at)
            )
        case CodeMissed() if state and state.code:
            return state.model_copy(update={"code": state.code.model_copy(update={"missed": state.code.missed + 1})})
        case CodeMissed() if state:
            return state
        case CodeAccepted() if state and state.code:
            return state.model_copy(update={"code": state.code.model_copy(update={"used": True})})
        case CallerErased() if state:
            return Caller(card=CallerCard(id=state.card.id))
    raise ValueError(f"no caller can have {event.TYPE}")
