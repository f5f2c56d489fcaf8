"""Lists of our own: a message that stands in a feed, or on the list of who passes it on, is sent."""

from __future__ import annotations

from libs.contracts.notifications import Channel
from services.notifications.channels import Answer, Outgoing, Standing, Taken


class Listed:
    """`in-app`: the person's feed. `relay`: what an ASHA or a panchayat has to tell; their receipt follows."""

    seconds = 0.0
    can_be_asked = True

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    async def send(self, message: Outgoing) -> Answer:
        return Taken()

    async def standing(self, reference: str) -> Standing:
        return "accepted"

    async def close(self) -> None:
        return None
