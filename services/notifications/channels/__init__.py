"""One small protocol, one adapter per provider. An adapter sends and tells what it knows; it decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from libs.contracts.notifications import Channel


@dataclass(frozen=True)
class Outgoing:
    """`id` is the reference under which the provider can be asked, and by which it may drop a repeat."""

    id: str
    to: str
    text: str
    subject: str
    template: str
    language: str


@dataclass(frozen=True)
class Taken:
    """The provider has it."""


@dataclass(frozen=True)
class NotTaken:
    """The provider surely has not taken it, and may later."""

    reason: str


@dataclass(frozen=True)
class Never:
    """The provider refuses it for good."""

    reason: str


@dataclass(frozen=True)
class Unsure:
    """It may or may not have been taken. `over`: the provider is done with it, so that it can be asked at once."""

    reason: str
    over: bool = False


Answer = Taken | NotTaken | Never | Unsure

Standing = Literal["accepted", "not-known", "no-answer"]


class Provider(Protocol):
    """A way to reach somebody outside. `seconds` bounds a call; `can_be_asked` whether `standing` means anything."""

    channel: Channel
    seconds: float
    can_be_asked: bool

    async def send(self, message: Outgoing) -> Answer:
        """Never raises for what a provider or the network does; ends within `seconds`."""
        ...

    async def standing(self, reference: str) -> Standing:
        """What the provider says of an earlier send."""
        ...

    async def close(self) -> None: ...
