"""What a person agreed to: by channel and purpose, with when and by whom it was said. And that they have died, after
which nothing more is sent to their number."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Event, Id, Instant
from libs.contracts.notifications import Channel

Purpose = Literal["care", "complaint", "awareness"]
"""Why somebody is told: what concerns their care, a complaint of theirs, or something that everybody should know."""

Scope = Literal["care", "complaint", "awareness", "all"]
Refusable = Literal["sms", "email", "whatsapp", "relay", "apprise"]
"""Channels that may be refused; the feed is the person's own record and stays."""

ON_REQUEST: frozenset[Channel] = frozenset({"whatsapp"})
"""Channels used only where somebody has agreed to them (for WhatsApp, its own terms ask for that)."""


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


class Digest(BaseModel):
    """What comes by this channel comes once a day, at this time (Indian Standard Time)."""

    model_config = ConfigDict(frozen=True)

    channel: Literal["email"]
    at: dt.time


class LanguagesStated(Event):
    """A person said in which languages they want to read, the best first."""

    recipient: str
    languages: tuple[str, ...]
    stated_at: Instant


class DigestStated(Event):
    """What comes by a channel is wanted together, once a day (`at`, Indian Standard Time), or one by one (None)."""

    recipient: str
    channel: Literal["email"]
    at: dt.time | None
    stated_at: Instant


class DeathNoted(Event):
    """A referral (`case`) says that this patient has died."""

    recipient: str
    case: Id


class DeathWithdrawn(Event):
    """That referral was made in error."""

    recipient: str
    case: Id


class Preferences(BaseModel):
    """One recipient's choices, the newest last. What was never said is allowed: these are notices, not advertising."""

    model_config = ConfigDict(frozen=True)

    recipient: str
    choices: tuple[Choice, ...] = ()
    languages: tuple[str, ...] = ()
    """What they read, the best first; empty: what their card says."""
    digests: tuple[Digest, ...] = ()
    deaths: tuple[Id, ...] = ()
    """The cases that say that they have died; none for the living."""

    def agreed(self, purpose: Purpose) -> frozenset[Channel]:
        """Channels that were agreed to for this purpose, in so many words."""
        latest: dict[Channel, bool] = {}
        for choice in self.choices:
            if choice.scope in (purpose, "all"):
                latest[choice.channel] = choice.allowed
        return frozenset(channel for channel, allowed in latest.items() if allowed)

    def digest_of(self, channel: Channel) -> dt.time | None:
        """When of the day (Indian Standard Time) what comes by this channel is to come together."""
        return next((digest.at for digest in self.digests if digest.channel == channel), None)

    def refused(self, purpose: Purpose) -> frozenset[Channel]:
        """Channels on which this purpose is refused; the newest choice that covers it stands."""
        latest: dict[Channel, bool] = {}
        for choice in self.choices:
            if choice.scope in (purpose, "all"):
                latest[choice.channel] = choice.allowed
        return frozenset(channel for channel, allowed in latest.items() if not allowed)


def joined(said: Sequence[Preferences]) -> Preferences | None:
    """What one person said under several records, those of the record that lives on first."""
    if not said:
        return None
    choices = sorted((choice for one in said for choice in one.choices), key=lambda choice: choice.stated_at)
    languages = next((one.languages for one in said if one.languages), ())
    digests = next((one.digests for one in said if one.digests), ())
    deaths = tuple(case for one in said for case in one.deaths)
    return Preferences(
        recipient=said[0].recipient, choices=tuple(choices), languages=languages, digests=digests, deaths=deaths
    )


EVENTS: tuple[type[Event], ...] = (PreferenceStated, LanguagesStated, DigestStated, DeathNoted, DeathWithdrawn)


@dataclass(frozen=True)
class State:
    """Say what I want."""

    recipient: str
    channel: Refusable
    scope: Scope
    allowed: bool
    stated_at: dt.datetime


@dataclass(frozen=True)
class Languages:
    recipient: str
    languages: tuple[str, ...]
    stated_at: dt.datetime


@dataclass(frozen=True)
class Together:
    """Ask for a digest, or (None) for none."""

    recipient: str
    channel: Literal["email"]
    at: dt.time | None
    stated_at: dt.datetime


@dataclass(frozen=True)
class NoteDeath:
    recipient: str
    case: str


@dataclass(frozen=True)
class WithdrawDeath:
    """What a referral said, or (`case` None) what any did: somebody who knows says that they live."""

    recipient: str
    case: str | None


Command = State | Languages | Together | NoteDeath | WithdrawDeath


def decide(state: Preferences | None, command: Command) -> Sequence[Event]:
    """Said again, it is written again: consent has a time. What was stated before something newer changes nothing."""
    deaths = state.deaths if state else ()
    match command:
        case NoteDeath():
            noted = DeathNoted(recipient=command.recipient, case=command.case)
            return () if command.case in deaths else (noted,)
        case WithdrawDeath():
            mistaken = [case for case in dict.fromkeys(deaths) if command.case in (None, case)]
            return [DeathWithdrawn(recipient=command.recipient, case=case) for case in mistaken]
        case Languages():
            return (
                LanguagesStated(recipient=command.recipient, languages=command.languages, stated_at=command.stated_at),
            )
        case Together():
            return (
                DigestStated(
                    recipient=command.recipient, channel=command.channel, at=command.at, stated_at=command.stated_at
                ),
            )
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
    match event:
        case DeathNoted():
            before = _of(state, event.recipient)
            return before.model_copy(update={"deaths": (*before.deaths, event.case)})
        case DeathWithdrawn():
            before = _of(state, event.recipient)
            return before.model_copy(update={"deaths": tuple(one for one in before.deaths if one != event.case)})
        case LanguagesStated():
            return _of(state, event.recipient).model_copy(update={"languages": event.languages})
        case DigestStated():
            before = _of(state, event.recipient)
            kept = tuple(digest for digest in before.digests if digest.channel != event.channel)
            wanted = (Digest(channel=event.channel, at=event.at),) if event.at is not None else ()
            return before.model_copy(update={"digests": kept + wanted})
    assert isinstance(event, PreferenceStated)
    before = _of(state, event.recipient)
    stated = Choice(channel=event.channel, scope=event.scope, allowed=event.allowed, stated_at=event.stated_at)
    others = [c for c in before.choices if (c.channel, c.scope) != (stated.channel, stated.scope)]
    return before.model_copy(update={"choices": (*others, stated)})


def _of(state: Preferences | None, recipient: str) -> Preferences:
    return state or Preferences(recipient=recipient)
