"""What happens to a message, beside the public events: private to its journal."""

from __future__ import annotations

from libs.contracts import notifications as contract
from libs.contracts.event import Code, Event, Id, Instant, personal
from libs.contracts.notifications import Channel
from services.notifications.domain.plan import Plan
from services.notifications.domain.segments import Encoding


class Created(Event):
    plan: Plan
    channel: Channel


class CardAwaited(Created):
    """A card it needs has not come. `card` is `patient:<id>`, `contact:<id>` or `facility:<code>`."""

    card: str
    look_at: Instant
    looks: int


class MessageRendered(Created):
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
    version: int = 1
    """Of the template."""
    because: tuple[Code, ...] = ()
    """Why this language and not the one that was asked for."""
    values: tuple[str, ...] = personal(())
    """What the placeholders hold, in order, for a channel whose provider fills them itself."""
    via: str = ""
    """Who passes it on (`person:<id>`), where it is relayed."""
    members: tuple[Id, ...] = ()
    """The messages that a digest stands for."""


class MessagePlanned(Created):
    """There is something to tell and no text: it lapses or fails in the same breath. `also` as in MessageRendered."""

    also: tuple[Channel, ...] = ()


class MessageSent(contract.MessageSent):
    """With which provider took it, and under which reference of its own."""

    provider: str = ""
    reference: str = ""


class PassingOn(Event):
    """It failed for good, and another channel is to be tried, or to be asked whether it told the same."""

    at: Instant


class PassedOn(Event):
    """Another channel was tried instead; empty if there was none."""

    to: str


class MessageHeld(Event):
    """It waits (domain's clock): for the end of the quiet hours, for its digest, or for its template to be in order."""

    until: Instant
    reason: Code


class SendAttempted(Event):
    """Written before the provider is called. Until `lease_until` (machine's clock) nobody else may."""

    attempt: int
    lease_until: Instant
    slot: str | None = None
    """One more place of the person's day, for what is sent again although it may have been sent."""


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
