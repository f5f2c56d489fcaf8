"""What the routes about messages and preferences take and answer."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictBool, field_validator

from libs.common.web import Body
from libs.contracts.event import Code, Instant
from libs.contracts.notifications import Channel
from services.notifications.domain.message import Delivery, Message, Status
from services.notifications.domain.preference import Choice, Digest, Preferences, Refusable, Scope


class FeedItem(BaseModel):
    id: str
    occurred_at: Instant
    template: Code
    language: str
    text: str


class Feed(BaseModel):
    items: list[FeedItem]
    next: str | None


class MessageAnswer(BaseModel):
    """A message without what it says and without where it went."""

    id: str
    event: str
    event_type: str
    recipient: str
    channel: Channel
    template: Code
    language: str
    status: Status
    reason: str | None
    occurred_at: Instant
    useful_until: Instant
    awaiting: str | None
    attempts: int
    encoding: str | None
    segments: int
    version: int
    """Of the template."""
    because: tuple[str, ...]
    """Why it is in this language, or comes later than it might."""
    delivery: Delivery | None
    """What the provider's receipt said, if one came."""
    provider: str
    held_until: Instant | None
    urgency: str

    @classmethod
    def of(cls, id: str, state: Message) -> MessageAnswer:
        fields = state.model_dump(include=set(cls.model_fields) - {"id", "attempts"})
        return cls(id=id, attempts=state.attempt, **fields)


class Messages(BaseModel):
    items: list[MessageAnswer]
    next: str | None


class Entry(BaseModel):
    type: str
    recorded_at: Instant
    actor: str
    reason: str | None = None


class MessageDetail(MessageAnswer):
    history: list[Entry]


class Statement(Body):
    """Whether a channel may be used for a purpose."""

    channel: Refusable
    scope: Scope = "all"
    allowed: StrictBool


class LanguagesStatement(Body):
    """What somebody reads, the best first: BCP 47 codes such as `ks`, `ur`, `lbj`."""

    languages: tuple[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], ...] = Field(max_length=10)


class DigestStatement(Body):
    """Once a day at this time (Indian Standard Time), or one by one (null)."""

    channel: Literal["email"] = "email"
    at: dt.time | None

    @field_validator("at")
    @classmethod
    def _indian(cls, at: dt.time | None) -> dt.time | None:
        if at is not None and at.tzinfo is not None:
            raise ValueError("is Indian time, and is written without a zone")
        return at


class Resumed(BaseModel):
    template: str
    language: str
    released: int
    """Messages that were held for it."""


class Lives(BaseModel):
    """`withdrawn`: how many referrals had said that they died."""

    recipient: str
    withdrawn: int


class PreferencesAnswer(BaseModel):
    recipient: str
    choices: list[Choice]
    languages: list[str] = []
    digests: list[Digest] = []

    @classmethod
    def of(cls, recipient: str, found: Preferences | None) -> PreferencesAnswer:
        if found is None:
            return cls(recipient=recipient, choices=[])
        return cls(
            recipient=recipient,
            choices=list(found.choices),
            languages=list(found.languages),
            digests=list(found.digests),
        )


class Resolution(Body):
    """What a person found out about a message whose outcome is unknown."""

    outcome: Literal["sent", "failed"]
