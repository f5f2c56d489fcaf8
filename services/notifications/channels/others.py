"""Everything else, through Apprise: the address is one of its URLs, such as `ntfys://host/topic` or `matrixs://…`.

Apprise says only whether it went well: what did not may have been sent all the same.
"""

from __future__ import annotations

import asyncio

from libs.contracts.notifications import Channel
from services.notifications.channels import Answer, Never, Outgoing, Standing, Taken, Unsure


class Others:
    """Runs in a thread: Apprise waits for its answers."""

    channel: Channel = "apprise"
    can_be_asked = False

    def __init__(self, *, seconds: float) -> None:
        self.seconds = seconds

    async def send(self, message: Outgoing) -> Answer:
        from apprise import Apprise

        sender = Apprise()
        if not sender.add(message.to):
            return Never("address-not-understood")
        try:
            async with asyncio.timeout(self.seconds):
                went_well = await asyncio.to_thread(sender.notify, body=message.text, title=message.subject)
        except TimeoutError:
            return Unsure("answer-lost")
        except Exception:  # each of its hundred plugins has errors of its own
            return Unsure("apprise-failed")
        return Taken() if went_well else Unsure("apprise-failed")

    async def standing(self, reference: str) -> Standing:
        return "no-answer"

    async def close(self) -> None:
        return None
