"""What the notifications service publishes: what became of each message (thin; no text, no number)."""

from __future__ import annotations

from typing import Literal

from libs.contracts.event import Code, Event, Id, Topic

MESSAGE = Topic("notifications.message.v1")

Channel = Literal["sms", "email", "in-app", "whatsapp", "webhook", "relay", "apprise"]


class MessageEvent(Event):
    """What every message event carries. `event` is the id of the event that the message tells of."""

    event: Id
    recipient: str
    """`patient:<id>`, `contact:<id>`, `person:<id>` (family, ASHA, staff), `send:<id>` (a caller's callback) or
    `<role>@<facility>`; never a number or an address."""
    channel: Channel
    template: Code
    language: str
    case: str = ""
    """The aggregate that it tells of: a referral, a grievance, a campaign. Empty where there is none."""
    send: str = ""
    """The caller's own send it belongs to; empty if an event led to it."""


class MessageSent(MessageEvent, topic=MESSAGE):
    """A provider accepted it (SMS, e-mail) or it stands in the feed (in-app)."""


class MessageFailed(MessageEvent, topic=MESSAGE):
    """A provider refused it for good, or every attempt failed, or it was taken and never reached the person."""

    reason: Code
    last: bool = True
    """False while another channel may tell the person the same; RecipientNotReached follows if none does."""


class RecipientNotReached(MessageEvent, topic=MESSAGE):
    """Every channel that was to tell it has failed, or lapsed on its way; this message's was the last to be tried."""


class MessageLapsed(MessageEvent, topic=MESSAGE):
    """Too late to be useful, so it was not sent."""

    reason: Code


class MessageOutcomeUnknown(MessageEvent, topic=MESSAGE):
    """It may or may not have been sent: the provider's answer was lost."""


class MessageDelivered(MessageEvent, topic=MESSAGE):
    """The provider's receipt: it reached the person's phone, or whoever relays it has told them."""


class MessageUndelivered(MessageEvent, topic=MESSAGE):
    """The provider's receipt: taken, and not delivered. If it is tried again, another receipt follows."""

    reason: Code


class MessageDigested(MessageEvent, topic=MESSAGE):
    """It goes out together with others, in the message `into`, because its recipient asked for that."""

    into: Id


class MessageErased(MessageEvent, topic=MESSAGE):
    """Its text was erased with the person it was for; what became of it stands."""
