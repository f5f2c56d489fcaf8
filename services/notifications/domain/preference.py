"""What a person agreed to: by channel and purpose, with when and by whom it was said."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Event, Instant
from libs.contracts.notifications import Channel

Purpose = Literal["care", "complaint"]
"""Why somebody is told: what concerns their care, or a complaint of theirs."""

Scope = Literal["care", "complaint", "all"]
Refusable = Literal["sms", "email"]
"""Channels that may be refused; the feed is the person's own record and stays."""


class PreferenceStated(Event):
    """A person agreed to a channel for a purpose, or refused it. Kept with who wrote it down, in the journal."""

    recipient: str
    channel: Refusable
    scope: Scope
    allowed: bool
    stated_at: Instant


class Choice(BaseModel):
    model_config = ConfigDict(frozen=True)

    channel: Refusable
    scope: Scope
    allowed: bool
    stated_at: Instant


class Preferences(BaseModel):
    """One recipient's choices, the newest last. What was never said is allowed: these are notices, not advertising."""

    model_config = ConfigDict(frozen=True)

    recipient: str
    choices: tuple[Choice, ...] = ()

    def refused(self, purpose: Purpose) -> frozenset[Channel]:
        """Channels on which this purpose is refused; the newest choice that covers it stands."""
        latest: dict[Channel, bool] = {}
        for choice in self.choices:
            if choice.scope in (purpose, "all"):
                latest[choice.channel] = choice.allowed
        return frozenset(channel for channel, allowed in latest.items() if not allowed)


EVENTS: tuple[type[Event], ...] = (PreferenceStated,)


@dataclass(frozen=True)
class State:
    """Say what I want."""

    recipient: str
    channel: Refusable
    scope: Scope
    allowed: bool
    stated_at: dt.datetime


def decide(state: Preferences | None, command: State) -> Sequence[Event]:
    """Said again, it is written again: consent has a time. What was stated before something newer changes nothing."""
    for choice in state.choices if state else ():
        same = (choice.channel, choice.scope) == (command.channel, command.scope)
        if same and choice.stated_at > command.stated_at:
            return ()
    return (
        PreferenceStated(
            recipient=command.recipient,
            channel=command.channel,
            scope=command.scope,
            allowed=command.allowed,
            stated_at=command.stated_at,
        ),
    )


def evolve(state: Preferences | None, event: Event) -> Preferences:
    assert isinstance(event, PreferenceStated)
    stated = Choice(channel=event.channel, scope=event.scope, allowed=event.allowed, stated_at=event.stated_at)
    kept = [c for c in (state.choices if state else ()) if (c.channel, c.scope) != (stated.channel, stated.scope)]
    return Preferences(recipient=event.recipient, choices=(*kept, stated))
