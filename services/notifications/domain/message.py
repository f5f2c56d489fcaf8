"""One message: one event told to one recipient through one channel.

    (new)    -> waiting          a card it needs has not come
    (new), waiting -> queued     rendered, not yet under way
    queued   -> sending          an attempt is claimed, before the provider is called; one at a time
    sending  -> sent | failed | queued (trouble that passes) | sending (the answer was lost: ask) | outcome-unknown
    waiting, queued -> lapsed    too late to be of use, or the recipient was erased
    outcome-unknown -> sent | failed   settled by a late answer, or by a person

Two clocks: `useful_until` is a promise and goes by the domain's; leases, back-off and looks go by the machine's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts.event import Code, Event, Id, Instant, personal
from libs.contracts.notifications import (
    Channel,
    MessageErased,
    MessageEvent,
    MessageFailed,
    MessageLapsed,
    MessageOutcomeUnknown,
    MessageSent,
)
from services.notifications.domain.preference import Purpose
from services.notifications.domain.routing import Variable
from services.notifications.domain.segments import Encoding
from services.notifications.domain.template import UNDETERMINED
from services.notifications.domain.timing import When

Status = Literal["waiting", "queued", "sending", "sent", "failed", "lapsed", "outcome-unknown"]

TOO_LATE = "too-late"
RECIPIENT_ERASED = "recipient-erased"
ENTERED_IN_ERROR = "entered-in-error"
OPTED_OUT = "opted-out"
TEMPLATE_MISMATCH = "template-mismatch"
SUPERSEDED = "superseded"
DAY_CEILING = "day-ceiling"
NO_ADDRESS = "no-address"

ASKS_BEFORE_UNKNOWN = 24
"""Unanswered questions about a lost answer before it is left to a person."""


class Plan(BaseModel):
    """What is to be told to whom: follows from the event alone, whenever and wherever it is handled."""

    model_config = ConfigDict(frozen=True)

    event: Id
    event_type: str
    occurred_at: Instant
    recipient: str
    template: Code
    channels: tuple[Channel, ...]
    """Every channel the routing allows for this recipient, in order."""
    useful_until: Instant
    variables: tuple[Variable, ...] = ()
    purpose: Purpose = "care"
    override: str | None = None
    """The named emergency for which a refusal of a channel does not count."""
    case: str = ""
    """The aggregate that the event is about: a newer message of the same case makes an older one needless."""
    when: When = "at-once"


class _Created(Event):
    plan: Plan
    channel: Channel


class CardAwaited(_Created):
    """A card it needs has not come. `card` is `patient:<id>`, `contact:<id>` or `facility:<code>`."""

    card: str
    look_at: Instant
    looks: int


class MessageRendered(_Created):
    """What will be said. `also` (only on the channel that leads) names the channels that follow."""

    language: str
    text: str = personal("")
    subject: str = personal("")
    encoding: Encoding
    segments: int
    also: tuple[Channel, ...] = ()
    retry_at: Instant
    slot: str | None = None
    """Which of a person's messages of this channel and day it is; unique, so that no storm passes the ceiling."""


class MessagePlanned(_Created):
    """There is something to tell and no text: it lapses or fails in the same breath. `also` as in MessageRendered."""

    also: tuple[Channel, ...] = ()


class MessageHeld(Event):
    """It waits for the end of the quiet hours (domain's clock)."""

    until: Instant
    reason: Code


class SendAttempted(Event):
    """Written before the provider is called. Until `lease_until` (machine's clock) nobody else may."""

    attempt: int
    lease_until: Instant


class RetryScheduled(Event):
    """The provider surely did not take it."""

    attempt: int
    reason: Code
    retry_at: Instant


class AnswerAwaited(Event):
    """The provider's answer was lost; it will be asked by reference at `ask_at`."""

    attempt: int
    asks: int
    ask_at: Instant


class Message(Plan):
    channel: Channel
    language: str = UNDETERMINED
    status: Status
    reason: str | None = None
    awaiting: str | None = None
    looks: int = 0
    text: str = personal("")
    subject: str = personal("")
    encoding: Encoding | None = None
    segments: int = 0
    also: tuple[Channel, ...] = ()
    attempt: int = 0
    asks: int = 0
    held_until: Instant | None = None
    """When quiet hours are over (domain's clock)."""
    slot: str | None = None
    retry_at: Instant | None = None
    """When the machine's clock asks for the next look, attempt or question."""
    erased: bool = False

    @property
    def plan(self) -> Plan:
        return Plan(**{name: getattr(self, name) for name in Plan.model_fields})

    @property
    def facts(self) -> dict[str, str]:
        """What every public event about it carries."""
        return {
            "event": self.event,
            "recipient": self.recipient,
            "channel": self.channel,
            "template": self.template,
            "language": self.language,
        }


EVENTS: tuple[type[Event], ...] = (
    CardAwaited,
    MessagePlanned,
    MessageRendered,
    MessageHeld,
    SendAttempted,
    RetryScheduled,
    AnswerAwaited,
    MessageSent,
    MessageFailed,
    MessageLapsed,
    MessageOutcomeUnknown,
    MessageErased,
)


def evolve(state: Message | None, event: Event) -> Message:
    if isinstance(event, _Created):
        state = state or _blank(event)
    assert state is not None
    change: dict[str, object] = {}
    match event:
        case CardAwaited():
            change = {"status": "waiting", "awaiting": event.card, "looks": event.looks, "retry_at": event.look_at}
        case MessagePlanned():
            change = {"also": event.also}
        case MessageRendered():
            change = event.model_dump(
                include={"language", "text", "subject", "encoding", "segments", "retry_at", "slot"}
            )
            change |= {"status": "queued", "awaiting": None, "also": event.also}
        case MessageHeld():
            change = {"held_until": event.until, "retry_at": None}
        case SendAttempted():
            change = {"status": "sending", "attempt": event.attempt, "retry_at": event.lease_until}
            change |= {"asks": 0, "reason": None, "held_until": None}
        case RetryScheduled():
            change = {"status": "queued", "reason": event.reason, "retry_at": event.retry_at}
        case AnswerAwaited():
            change = {"asks": event.asks, "retry_at": event.ask_at}
        case MessageSent():
            change = _settled("sent")
        case MessageFailed():
            change = _settled("failed", event.reason)
        case MessageLapsed():
            change = _settled("lapsed", event.reason)
        case MessageOutcomeUnknown():
            change = _settled("outcome-unknown", "answer-lost")
        case MessageErased():
            change = {"erased": True, "text": "", "subject": ""}
    return state.model_copy(update=change)


def _settled(status: Status, reason: str | None = None) -> dict[str, object]:
    return {"status": status, "reason": reason, "retry_at": None, "awaiting": None, "held_until": None}


def _blank(event: _Created) -> Message:
    return Message(**dict(event.plan), channel=event.channel, status="waiting")


@dataclass(frozen=True)
class Await:
    """Write that a card has not come."""

    plan: Plan
    channel: Channel
    card: str
    look_at: dt.datetime


@dataclass(frozen=True)
class Render:
    """Say it: with `lease_until` its first attempt is claimed in the same breath; `sent` where standing in the feed is
    all there is to it; `fault` where there is no address to send it to."""

    plan: Plan
    channel: Channel
    language: str
    text: str
    subject: str
    encoding: Encoding
    segments: int
    also: tuple[Channel, ...] = ()
    at: dt.datetime | None = None
    lease_until: dt.datetime | None = None
    sent: bool = False
    hold_until: dt.datetime | None = None
    slot: str | None = None


@dataclass(frozen=True)
class Settle:
    """Nothing is sent, and this is why. `lapsed` or `failed`."""

    plan: Plan
    channel: Channel
    as_: Literal["lapsed", "failed"]
    reason: str


@dataclass(frozen=True)
class Claim:
    """Take the next attempt, by the machine's clock."""

    machine_now: dt.datetime
    lease_until: dt.datetime


@dataclass(frozen=True)
class Accepted:
    attempt: int


@dataclass(frozen=True)
class Rejected:
    attempt: int
    reason: str


@dataclass(frozen=True)
class Troubled:
    """Surely not taken by the provider; again at `retry_at`, if it is still of use then."""

    attempt: int
    reason: str
    retry_at: dt.datetime


@dataclass(frozen=True)
class Unanswered:
    """It may have been taken. `ask_at` None where nobody can be asked."""

    attempt: int
    asks: int
    ask_at: dt.datetime | None


@dataclass(frozen=True)
class Lapse:
    reason: str


@dataclass(frozen=True)
class Resolve:
    """A person says what became of an unknown outcome."""

    outcome: Literal["sent", "failed"]


Command = Await | Render | Settle | Claim | Accepted | Rejected | Troubled | Unanswered | Lapse | Resolve

OPEN: frozenset[Status] = frozenset({"waiting", "queued"})
"""Nothing is under way at a provider."""


def decide(state: Message | None, command: Command, now: dt.datetime) -> Sequence[Event]:
    """`now` is the domain's. What comes too late, or for an attempt that is over, decides nothing.

    Raises Refused (`not-unknown`) where a person would settle what is not in doubt.
    """
    match command:
        case Await() | Render() | Settle() if state is None or state.status == "waiting":
            return _begin(state, command, now)
        case _ if state is None:
            return ()
        case Claim():
            return _claim(state, command, now) if _may_go(state, command, now) else ()
        case Lapse() if state.status in OPEN:
            return (MessageLapsed(**state.facts, reason=command.reason),)
        case Accepted() if _answers(state, command.attempt):
            return (MessageSent(**state.facts),)
        case Rejected() if _answers(state, command.attempt):
            return (MessageFailed(**state.facts, reason=command.reason),)
        case Troubled() if _answers(state, command.attempt):
            return _again(state, command, now)
        case Unanswered() if state.status == "sending" and state.attempt == command.attempt:
            return _ask(state, command)
        case Resolve():
            return _resolve(state, command)
    return ()


def _begin(state: Message | None, command: Await | Render | Settle, now: dt.datetime) -> Sequence[Event]:
    plan, channel = command.plan, command.channel
    also = command.also if isinstance(command, Render) else ()
    plain = MessagePlanned(plan=plan, channel=channel, also=also)
    planned: tuple[Event, ...] = () if state else (plain,)
    as_planned = state or evolve(None, plain)
    if isinstance(command, Settle):
        settled = MessageLapsed if command.as_ == "lapsed" else MessageFailed
        return (*planned, settled(**as_planned.facts, reason=command.reason))
    if now >= plan.useful_until:
        return (*planned, MessageLapsed(**as_planned.facts, reason=TOO_LATE))
    if isinstance(command, Await):
        looks = state.looks + 1 if state else 1
        return (CardAwaited(plan=plan, channel=channel, card=command.card, look_at=command.look_at, looks=looks),)
    rendered = MessageRendered(
        plan=plan,
        channel=channel,
        language=command.language,
        text=command.text,
        subject=command.subject,
        encoding=command.encoding,
        segments=command.segments,
        also=command.also,
        retry_at=command.at or now,
        slot=command.slot,
    )
    after = evolve(state, rendered)
    if command.sent:
        return (rendered, MessageSent(**after.facts))
    if command.hold_until is not None and command.hold_until > now:
        return (rendered, MessageHeld(until=command.hold_until, reason="quiet-hours"))
    if command.lease_until is not None:
        return (rendered, SendAttempted(attempt=1, lease_until=command.lease_until))
    return (rendered,)


def _may_go(state: Message, command: Claim, now: dt.datetime) -> bool:
    if state.status != "queued":
        return False
    if state.held_until is not None:
        return state.held_until <= now
    return state.retry_at is not None and state.retry_at <= command.machine_now


def _claim(state: Message, command: Claim, now: dt.datetime) -> Sequence[Event]:
    if state.erased:
        return (MessageLapsed(**state.facts, reason=RECIPIENT_ERASED),)
    if now >= state.useful_until:
        return (MessageLapsed(**state.facts, reason=TOO_LATE),)
    return (SendAttempted(attempt=state.attempt + 1, lease_until=command.lease_until),)


def _answers(state: Message, attempt: int) -> bool:
    """Whether an answer about this attempt can still change anything: a late one settles an unknown outcome too."""
    return state.attempt == attempt and state.status in ("sending", "outcome-unknown")


def _again(state: Message, command: Troubled, now: dt.datetime) -> Sequence[Event]:
    if state.erased:
        return (MessageLapsed(**state.facts, reason=RECIPIENT_ERASED),)
    if now >= state.useful_until:
        return (MessageLapsed(**state.facts, reason=TOO_LATE),)
    return (RetryScheduled(attempt=command.attempt, reason=command.reason, retry_at=command.retry_at),)


def _ask(state: Message, command: Unanswered) -> Sequence[Event]:
    if command.ask_at is None or command.asks > ASKS_BEFORE_UNKNOWN:
        return (MessageOutcomeUnknown(**state.facts),)
    if command.asks <= state.asks:
        return ()
    return (AnswerAwaited(attempt=command.attempt, asks=command.asks, ask_at=command.ask_at),)


def _resolve(state: Message, command: Resolve) -> Sequence[Event]:
    if state.status != "outcome-unknown":
        raise Refused("not-unknown", "only a message whose outcome is unknown is settled by a person")
    if command.outcome == "sent":
        return (MessageSent(**state.facts),)
    return (MessageFailed(**state.facts, reason="resolved-by-a-person"),)


def next_due(state: Message) -> dt.datetime | None:
    """When its quiet hours are over, or it stops being of use (domain's clock), while nothing is under way."""
    if state.status not in OPEN:
        return None
    return min(state.held_until or state.useful_until, state.useful_until)


def back_off(attempt: int, chance: float, *, base: float = 1.0, cap: float = 900.0) -> dt.timedelta:
    """Full jitter: anywhere up to `base` doubled with every attempt, at most `cap` seconds; `chance` from [0, 1).

    Never under a tenth of that, so that an absent provider is not asked in a tight loop.
    """
    most = min(cap, base * 2.0 ** min(attempt - 1, 20))
    return dt.timedelta(seconds=most * (0.1 + 0.9 * chance))


__all__ = [
    "EVENTS",
    "Accepted",
    "Await",
    "Claim",
    "Command",
    "Lapse",
    "Message",
    "MessageEvent",
    "Plan",
    "Rejected",
    "Render",
    "Resolve",
    "Settle",
    "Troubled",
    "Unanswered",
    "back_off",
    "decide",
    "evolve",
    "next_due",
]
