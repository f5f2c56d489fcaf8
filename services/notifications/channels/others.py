"""Everything else, through Apprise: the address is one of its URLs, such as `ntfys://host/topic` or `matrixs://…`.

Only addresses that begin as the deployment allows are called: some name a host, which could be one of its own.
Apprise says only whether it went well: what did not may have been sent all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from libs.contracts.notifications import Channel
from services.notifications.channels import Answer, Never, Outgoing, Standing, Taken, Unsure


class Others:
    """Runs in a thread: Apprise waits for its answers."""

    channel: Channel = "apprise"
    can_be_asked = False

    def __init__(self, *, seconds: float, prefixes: Sequence[str]) -> None:
        self.seconds = seconds
        self._prefixes = tuple(prefixes)

    async def send(self, message: Outgoing) -> Answer:
        if not message.to.startswith(self._prefixes):
            return Never("address-not-allowed")
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
