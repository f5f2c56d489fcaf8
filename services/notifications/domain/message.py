"""One message: one event told to one recipient through one channel.

    (new)    -> waiting          a card it needs has not come
    (new), waiting -> queued     rendered, not yet under way
    queued   -> sending          an attempt is claimed, before the provider is called; one at a time
    sending  -> sent | failed | queued (trouble that passes) | sending (the answer was lost: ask) | outcome-unknown
    waiting, queued -> lapsed    too late to be of use, or the recipient was erased or has died
    outcome-unknown -> sent | failed   settled by a receipt, a late answer, or a person
    queued   -> digested         it goes out with others, as its recipient asked
    sent     -> queued | failed  the provider's receipt: not delivered, for now or for good

Two clocks: `useful_until` is a promise and goes by the domain's; leases, back-off and looks go by the machine's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Literal

from libs.common.refusal import Refused
from libs.contracts.event import Code, Event, Instant, personal
from libs.contracts.notifications import (
    Channel,
    MessageDelivered,
    MessageDigested,
    MessageErased,
    MessageEvent,
    MessageFailed,
    MessageLapsed,
    MessageOutcomeUnknown,
    MessageUndelivered,
    RecipientNotReached,
)
from services.notifications.domain.commands import (
    QUIET_HOURS,
    Accepted,
    Await,
    Claim,
    Command,
    Digest,
    Fail,
    GiveUp,
    Hold,
    Lapse,
    PassOn,
    Postpone,
    Receipt,
    Rejected,
    Release,
    Render,
    Resolve,
    Settle,
    Stopped,
    Troubled,
    Unanswered,
)
from services.notifications.domain.message_events import (
    AnswerAwaited,
    CardAwaited,
    Created,
    MessageHeld,
    MessagePlanned,
    MessageRendered,
    MessageSent,
    PassedOn,
    PassingOn,
    RetryScheduled,
    SendAttempted,
)
from services.notifications.domain.plan import Plan
from services.notifications.domain.segments import Encoding
from services.notifications.domain.template import UNDETERMINED

Status = Literal["waiting", "queued", "sending", "sent", "failed", "lapsed", "outcome-unknown", "digested"]
Delivery = Literal["delivered", "undelivered"]

TOO_LATE = "too-late"
NOT_PASSED_ON = "not-passed-on"
RECIPIENT_ERASED = "recipient-erased"
ENTERED_IN_ERROR = "entered-in-error"
OPTED_OUT = "opted-out"
TEMPLATE_MISMATCH = "template-mismatch"
SUPERSEDED = "superseded"
DAY_CEILING = "day-ceiling"
NO_ADDRESS = "no-address"
CARD_AWAITED = "card-awaited"
DIGEST = "digest"
TEMPLATE_STOPPED = "template-stopped"
NUMBER_MARKED = "number-marked"
MAY_REPEAT = "may-repeat"
CATCHING_UP = "catching-up"
RECIPIENT_DECEASED = "recipient-deceased"
PATIENT_DECEASED = "patient-deceased"
"""Of what family or an ASHA would have been told about who has died."""

REPEATS = 1
"""How often an emergency whose outcome stays unknown is sent again: a second message does less harm than none."""
ASKS_BEFORE_REPEATING = 3
REDELIVERIES = 3
"""Attempts after a receipt said that a message was not delivered for now."""

ASKS_BEFORE_UNKNOWN = 24
"""Unanswered questions about a lost answer before it is left to a person."""


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
    extra_slot: str | None = None
    retry_at: Instant | None = None
    """When the machine's clock asks for the next look, attempt or question."""
    erased: bool = False
    version: int = 1
    because: tuple[Code, ...] = ()
    values: tuple[str, ...] = personal(())
    via: str = ""
    members: tuple[str, ...] = ()
    provider: str = ""
    reference: str = ""
    """The provider's own, where it does not know ours."""
    delivery: Delivery | None = None
    redeliveries: int = 0
    repeats: int = 0
    passing_on: bool = False

    @property
    def plan(self) -> Plan:
        return Plan.model_construct(**{name: getattr(self, name) for name in Plan.model_fields})

    @property
    def waits_for_relay(self) -> bool:
        """Somebody is to tell the person by word of mouth, and has not said yet that they did."""
        return self.status == "sent" and not self.erased and (self.awaiting or "").startswith("relay:")

    @property
    def facts(self) -> dict[str, str]:
        """What every public event about it carries."""
        return {
            "event": self.event,
            "recipient": self.recipient,
            "channel": self.channel,
            "template": self.template,
            "language": self.language,
            "case": self.case,
            "send": self.send,
        }


EVENTS: tuple[type[Event], ...] = (
    CardAwaited,
    MessagePlanned,
    MessageRendered,
    MessageHeld,
    SendAttempted,
    RetryScheduled,
    AnswerAwaited,
    PassingOn,
    PassedOn,
    RecipientNotReached,
    MessageSent,
    MessageFailed,
    MessageLapsed,
    MessageOutcomeUnknown,
    MessageDelivered,
    MessageUndelivered,
    MessageDigested,
    MessageErased,
)

_RENDERED = ("language", "text", "subject", "encoding", "segments", "retry_at", "slot", "version", "because", "values")


def evolve(state: Message | None, event: Event) -> Message:
    if isinstance(event, Created):
        state = state or _blank(event)
    assert state is not None
    change: dict[str, object] = {}
    match event:
        case CardAwaited():
            change = {"status": "waiting", "awaiting": event.card, "looks": event.looks, "retry_at": event.look_at}
        case MessagePlanned():
            change = {"also": event.also}
        case MessageRendered():
            change = {name: getattr(event, name) for name in _RENDERED}
            change |= {"status": "queued", "awaiting": None, "also": event.also}
            change |= {"via": event.via, "members": event.members}
        case MessageHeld():
            change = {"status": "queued", "held_until": event.until, "retry_at": None, "reason": event.reason}
        case SendAttempted():
            change = {"status": "sending", "attempt": event.attempt, "retry_at": event.lease_until}
            change |= {"asks": 0, "reason": None, "held_until": None}
            if event.slot is not None:
                change["extra_slot"] = event.slot
        case RetryScheduled():
            change = {"status": "queued", "reason": event.reason, "retry_at": event.retry_at, "held_until": None}
            if event.reason == MAY_REPEAT:
                change["repeats"] = state.repeats + 1
        case AnswerAwaited():
            change = {"asks": event.asks, "retry_at": event.ask_at}
        case MessageSent():
            change = _settled("sent") | {"provider": event.provider, "reference": event.reference, "delivery": None}
            if state.via:
                change["awaiting"] = f"relay:{state.via}"
        case PassingOn():
            change = {"passing_on": True, "retry_at": event.at}
        case PassedOn():
            change = {"passing_on": False, "retry_at": None}
        case MessageDelivered():
            change = {"delivery": "delivered", "awaiting": None}
        case MessageUndelivered():
            change = {"delivery": "undelivered", "awaiting": None, "redeliveries": state.redeliveries + 1}
        case MessageDigested():
            change = _settled("digested", DIGEST)
        case MessageFailed():
            change = _settled("failed", event.reason)
        case MessageLapsed():
            change = _settled("lapsed", event.reason)
        case MessageOutcomeUnknown():
            change = _settled("outcome-unknown", "answer-lost")
        case MessageErased():
            change = {"erased": True, "text": "", "subject": "", "values": ()}
    return state.model_copy(update=change)


def _settled(status: Status, reason: str | None = None) -> dict[str, object]:
    return {"status": status, "reason": reason, "retry_at": None, "awaiting": None, "held_until": None}


def _blank(event: Created) -> Message:
    # Both were validated when the event was made or read.
    fields = {name: getattr(event.plan, name) for name in Plan.model_fields}
    return Message.model_construct(**fields, channel=event.channel, status="waiting")


FEEDS: frozenset[Channel] = frozenset({"in-app", "webhook"})
"""They reach into nobody's day."""

AT_ONCE = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""Over by any machine's clock."""

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
        case Postpone() if state.status == "queued":
            return (RetryScheduled(attempt=state.attempt, reason=command.reason, retry_at=command.retry_at),)
        case Lapse(reason="too-late") if state.status in OPEN:
            return _too_late(state)
        case Lapse() if state.status in OPEN or state.waits_for_relay:
            return (MessageLapsed(**state.facts, reason=command.reason),)
        case Accepted() if _answers(state, command.attempt):
            return (MessageSent(**state.facts, provider=command.provider, reference=command.reference),)
        case Rejected() if _answers(state, command.attempt):
            return _failed(state, command.reason, command.at)
        case Stopped() if _answers(state, command.attempt) or state.status == "queued":
            return _held(state, TEMPLATE_STOPPED, now)
        case Hold() if state.status == "queued":
            return _held(state, command.reason, now)
        case Fail() if state.status == "queued":
            return _failed(state, command.reason, command.at)
        case GiveUp() if state.status == "queued" and state.reason == MAY_REPEAT:
            return (MessageOutcomeUnknown(**state.facts),)
        case Release() if state.status == "queued" and state.reason == command.held_for:
            return (RetryScheduled(attempt=state.attempt, reason="released", retry_at=command.at),)
        case Digest() if state.status == "queued":
            return (MessageDigested(**state.facts, into=command.into),)
        case PassOn() if state.passing_on:
            passed = PassedOn(to=command.to)
            return (passed,) if command.to or command.reached else (passed, RecipientNotReached(**state.facts))
        case Receipt():
            return _received(state, command, now)
        case Troubled() if _answers(state, command.attempt):
            return _again(state, command, now)
        case Unanswered() if state.status == "sending" and state.attempt == command.attempt:
            return _ask(state, command)
        case Resolve():
            return _resolve(state, command, now)
    return ()


def _begin(state: Message | None, command: Await | Render | Settle, now: dt.datetime) -> Sequence[Event]:
    plan, channel = command.plan, command.channel
    also = command.also if isinstance(command, Render) else ()
    plain = MessagePlanned(plan=plan, channel=channel, also=also)
    planned: tuple[Event, ...] = () if state else (plain,)
    as_planned = state or evolve(None, plain)
    if isinstance(command, Settle):
        if command.as_ == "lapsed":
            return (*planned, MessageLapsed(**as_planned.facts, reason=command.reason))
        at = None if command.reason == NO_ADDRESS else now
        return (*planned, *_failed(as_planned, command.reason, at))
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
        version=command.version,
        because=command.because,
        values=command.values,
        via=command.via,
        members=command.members,
    )
    after = evolve(state, rendered)
    if command.sent:
        return (rendered, MessageSent(**after.facts))
    if command.hold_until is not None and command.hold_until > now:
        return (rendered, MessageHeld(until=command.hold_until, reason=command.hold_reason))
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
        return _too_late(state)
    return (SendAttempted(attempt=state.attempt + 1, lease_until=command.lease_until, slot=command.slot),)


def _answers(state: Message, attempt: int) -> bool:
    """Whether an answer about this attempt can still change anything: a late one settles an unknown outcome too."""
    return state.attempt == attempt and state.status in ("sending", "outcome-unknown")


def _again(state: Message, command: Troubled, now: dt.datetime) -> Sequence[Event]:
    if state.erased:
        return (MessageLapsed(**state.facts, reason=RECIPIENT_ERASED),)
    if now >= state.useful_until:
        return _too_late(state)
    return (RetryScheduled(attempt=command.attempt, reason=command.reason, retry_at=command.retry_at),)


def _failed(state: Message, reason: str, at: dt.datetime | None) -> Sequence[Event]:
    """`at`: when it is tried, or asked of, the other channels."""
    if at is None or not state.besides(state.channel):
        return (MessageFailed(**state.facts, reason=reason),)
    return (MessageFailed(**state.facts, reason=reason, last=False), PassingOn(at=at))


def _too_late(state: Message) -> Sequence[Event]:
    """What was on its way and surely did not go out: if no other channel told the person, nobody was reached."""
    lapsed = MessageLapsed(**state.facts, reason=TOO_LATE)
    if state.status == "waiting" or state.channel in FEEDS or state.repeats:
        return (lapsed,)
    return (lapsed, PassingOn(at=AT_ONCE) if state.besides(state.channel) else RecipientNotReached(**state.facts))


def _held(state: Message, reason: str, now: dt.datetime) -> Sequence[Event]:
    if now >= state.useful_until:
        return _too_late(state)
    return (MessageHeld(until=state.useful_until, reason=reason),)


def _received(state: Message, command: Receipt, now: dt.datetime) -> Sequence[Event]:
    """A receipt outranks what we thought: what was delivered was sent, whatever became of the answer."""
    facts = state.facts
    if command.delivered:
        if state.delivery == "delivered" or not state.attempt:
            return ()
        sent = MessageSent(**facts, provider=command.provider, reference=command.reference)
        return (MessageDelivered(**facts),) if state.status == "sent" else (sent, MessageDelivered(**facts))
    if state.delivery == "delivered" or state.status not in ("sent", "sending", "outcome-unknown"):
        return ()
    undelivered = MessageUndelivered(**facts, reason=command.reason)
    if command.stops:
        return (undelivered, *_held(state, TEMPLATE_STOPPED, now))
    useful = now < state.useful_until and state.redeliveries < REDELIVERIES and not state.erased
    if command.retry_at is not None and useful:
        return (
            undelivered,
            RetryScheduled(attempt=state.attempt, reason=command.reason, retry_at=command.retry_at),
        )
    return (undelivered, *_failed(state, command.reason, command.at))


def _ask(state: Message, command: Unanswered) -> Sequence[Event]:
    exhausted = command.ask_at is None or command.asks > ASKS_BEFORE_REPEATING
    if command.repeat_at is not None and exhausted and state.repeats < REPEATS:
        return (RetryScheduled(attempt=command.attempt, reason=MAY_REPEAT, retry_at=command.repeat_at),)
    if command.ask_at is None or command.asks > ASKS_BEFORE_UNKNOWN:
        return (MessageOutcomeUnknown(**state.facts),)
    if command.asks <= state.asks:
        return ()
    return (AnswerAwaited(attempt=command.attempt, asks=command.asks, ask_at=command.ask_at),)


def _resolve(state: Message, command: Resolve, now: dt.datetime) -> Sequence[Event]:
    if state.status != "outcome-unknown":
        raise Refused("not-unknown", "only a message whose outcome is unknown is settled by a person")
    if command.outcome == "sent":
        return (MessageSent(**state.facts),)
    return _failed(state, "resolved-by-a-person", now)


def next_due(state: Message) -> dt.datetime | None:
    """When its quiet hours are over, or it stops being of use (domain's clock), while nothing is under way; the latter
    also for what somebody is to pass on and has not said that they did."""
    if state.waits_for_relay:
        return state.useful_until
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
    "QUIET_HOURS",
    "Accepted",
    "Await",
    "Claim",
    "Command",
    "Digest",
    "Fail",
    "GiveUp",
    "Hold",
    "Lapse",
    "Message",
    "MessageEvent",
    "MessageRendered",
    "MessageSent",
    "PassOn",
    "Plan",
    "Postpone",
    "Receipt",
    "Rejected",
    "Release",
    "Render",
    "Resolve",
    "SendAttempted",
    "Settle",
    "Stopped",
    "Troubled",
    "Unanswered",
    "back_off",
    "decide",
    "evolve",
    "next_due",
]
