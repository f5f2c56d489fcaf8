"""What the notifications service publishes: what became of each message (thin; no text, no number)."""

from __future__ import annotations

from typing import Literal

from libs.contracts.event import Code, Event, Id, Topic

MESSAGE = Topic("notifications.message.v1")

Channel = Literal["sms", "email", "in-app"]


class MessageEvent(Event):
    """What every message event carries. `event` is the id of the event that the message tells of."""

    event: Id
    recipient: str
    """`patient:<id>`, `contact:<id>` or `<role>@<facility>`; never a number or an address."""
    channel: Channel
    template: Code
    language: str


class MessageSent(MessageEvent, topic=MESSAGE):
    """A provider accepted it (SMS, e-mail) or it stands in the feed (in-app)."""


class MessageFailed(MessageEvent, topic=MESSAGE):
    """A provider refused it for good, or every attempt failed."""

    reason: Code


class MessageLapsed(MessageEvent, topic=MESSAGE):
    """Too late to be useful, so it was not sent."""

    reason: Code


class MessageOutcomeUnknown(MessageEvent, topic=MESSAGE):
    """It may or may not have been sent: the provider's answer was lost."""


class MessageErased(MessageEvent, topic=MESSAGE):
    """Its text was erased with the person it was for; what became of it stands."""
