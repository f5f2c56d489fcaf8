"""The feed: a message that stands in it is sent."""

from __future__ import annotations

from libs.contracts.notifications import Channel
from services.notifications.channels import Answer, Outgoing, Standing, Taken


class InApp:
    channel: Channel = "in-app"
    seconds = 0.0
    can_be_asked = True

    async def send(self, message: Outgoing) -> Answer:
        return Taken()

    async def standing(self, reference: str) -> Standing:
        return "accepted"

    async def close(self) -> None:
        return None
