"""What is to be told to whom: the part of a message that follows from its event alone."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Code, Id, Instant
from libs.contracts.notifications import Channel
from services.notifications.domain.preference import Purpose
from services.notifications.domain.routing import LEAD, Urgency, Variable
from services.notifications.domain.timing import When


class Plan(BaseModel):
    """What is to be told to whom: follows from the event alone, whenever and wherever it is handled."""

    model_config = ConfigDict(frozen=True)

    event: Id
    event_type: str
    occurred_at: Instant
    recipient: str
    template: Code
    channels: tuple[Channel, ...]
    """Every channel the routing allows for this recipient, in order."""
    useful_until: Instant
    variables: tuple[Variable, ...] = ()
    purpose: Purpose = "care"
    override: str | None = None
    """The named emergency for which a refusal of a channel does not count."""
    case: str = ""
    """The aggregate that the event is about: a newer message of the same case makes an older one needless."""
    when: When = "at-once"
    urgency: Urgency = "routine"
    ladders: tuple[tuple[Channel, ...], ...] = ()
    """Channels of which only the first that works is used, in order; each stands in `channels` too."""
    send: Id | Literal[""] = ""
    """The caller's own send that it belongs to."""
    languages: tuple[str, ...] = ()
    """Asked for by a caller, before what the recipient reads."""

    patient: str = ""
    """Because of whom family or an ASHA is told: once they have died, nobody is told any more."""

    def besides(self, channel: Channel) -> tuple[Channel, ...]:
        """The other channels that reach into a person's day: the feed waits to be looked at."""
        return tuple(other for other in self.channels if other not in (channel, LEAD))

    def after(self, channel: Channel) -> tuple[Channel, ...]:
        """What may be tried instead when `channel` has failed for good."""
        for ladder in self.ladders:
            if channel in ladder:
                return ladder[ladder.index(channel) + 1 :]
        return ()
