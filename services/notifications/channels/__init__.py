"""One small protocol, one adapter per provider. An adapter sends and tells what it knows; it decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import httpx

from libs.contracts.notifications import Channel
from services.notifications.domain.codes import Codes, written


@dataclass(frozen=True)
class Outgoing:
    """`id` is the reference under which the provider can be asked, and by which it may drop a repeat. `template` is the
    id that the operators gave, `name` our own; `values` are what its placeholders hold, in order."""

    id: str
    to: str
    text: str
    subject: str
    template: str
    language: str
    name: str = ""
    values: tuple[str, ...] = ()
    header: str = ""
    """Under which an SMS goes out, where it is not the usual one."""
    recipient: str = ""


@dataclass(frozen=True)
class Taken:
    """The provider has it, under a reference of its own if it gave one and does not know ours."""

    reference: str = ""
    provider: str = field(default="", compare=False)


@dataclass(frozen=True)
class NotTaken:
    """The provider surely has not taken it, and may later."""

    reason: str


@dataclass(frozen=True)
class Never:
    """The provider refuses it for good. `number`: and everything else to this number."""

    reason: str
    number: bool = False


@dataclass(frozen=True)
class Stopped:
    """It refuses the template, or the header or entity it goes out under: nothing more may be sent with it."""

    reason: str


@dataclass(frozen=True)
class Unsure:
    """It may or may not have been taken. `over`: the provider is done with it, so that it can be asked at once."""

    reason: str
    over: bool = False


NOT_REACHED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
"""What shows that nothing of a call reached the provider: nobody was there, or no address of one is set."""

Answer = Taken | NotTaken | Never | Stopped | Unsure


def by_code(codes: Codes, code: str) -> Answer | None:
    """What a provider's code for a message that it did not take means; None if nobody has decided about it."""
    reason = written(code)
    match codes.meaning(code):
        case "stop":
            return Stopped(reason)
        case "later":
            return NotTaken(reason)
        case "never":
            return Never(reason, number=True)
        case "refused":
            return Never(reason)
    return None


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
