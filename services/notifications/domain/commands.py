"""What may be decided about a message."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from libs.contracts.notifications import Channel
from services.notifications.domain.plan import Plan
from services.notifications.domain.segments import Encoding

QUIET_HOURS = "quiet-hours"


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
    hold_reason: str = QUIET_HOURS
    version: int = 1
    because: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    via: str = ""
    members: tuple[str, ...] = ()


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
    slot: str | None = None


@dataclass(frozen=True)
class Fail:
    """Nothing was sent, and nothing will be this way; `at` as in Rejected."""

    reason: str
    at: dt.datetime | None = None


@dataclass(frozen=True)
class GiveUp:
    """What may have been sent is not sent again after all."""


@dataclass(frozen=True)
class Accepted:
    attempt: int
    provider: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Rejected:
    """For good. `at` (machine's clock) is when another channel is tried, if there is one."""

    attempt: int
    reason: str
    at: dt.datetime | None = None


@dataclass(frozen=True)
class Stopped:
    """The provider refuses the template itself: held until somebody has put it right."""

    attempt: int
    reason: str


@dataclass(frozen=True)
class Hold:
    """Not before it is released, if it is still of use then. Nothing was sent."""

    reason: str


@dataclass(frozen=True)
class Release:
    """What held it is over: again at `at` (machine's clock)."""

    held_for: str
    at: dt.datetime


@dataclass(frozen=True)
class Digest:
    """It goes out in another message."""

    into: str


@dataclass(frozen=True)
class PassOn:
    """It was tried through another channel; empty: there was none. `reached` unless all others have failed too."""

    to: str
    reached: bool = True


@dataclass(frozen=True)
class Receipt:
    """What the provider says became of a message that it took. `retry_at` (machine's clock) where it is not for good;
    `stops` where the template itself is at fault."""

    delivered: bool
    reason: str = ""
    retry_at: dt.datetime | None = None
    stops: bool = False
    provider: str = ""
    reference: str = ""
    at: dt.datetime | None = None


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
    repeat_at: dt.datetime | None = None
    """When it may be sent again although it may have been taken: only where the class of the message allows it."""


@dataclass(frozen=True)
class Postpone:
    """Not now: what it needs is away for a while. Nothing was sent."""

    reason: str
    retry_at: dt.datetime


@dataclass(frozen=True)
class Lapse:
    reason: str


@dataclass(frozen=True)
class Resolve:
    """A person says what became of an unknown outcome."""

    outcome: Literal["sent", "failed"]


Command = (
    Await
    | Render
    | Settle
    | Claim
    | Fail
    | GiveUp
    | Accepted
    | Rejected
    | Stopped
    | Troubled
    | Unanswered
    | Postpone
    | Hold
    | Release
    | Digest
    | PassOn
    | Receipt
    | Lapse
    | Resolve
)
