"""Signed callbacks by the Standard Webhooks specification: whoever gets one twice sees it by its `webhook-id`.

So a lost answer is no reason to leave it at that: it is sent again under the same id, as the specification asks.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

import httpx

from libs.contracts.notifications import Channel
from services.notifications.channels import Answer, Never, NotTaken, Outgoing, Standing, Taken


def headers_for(secret: str, id: str, sent_at: dt.datetime, body: str) -> dict[str, str]:
    """`webhook-id`, `webhook-timestamp` and `webhook-signature`; `secret` as the specification writes it, `whsec_…`."""
    from standardwebhooks import Webhook as Signer

    return {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Signer(secret).sign(id, sent_at, body),
    }


class Webhook:
    """`secret_of` gives the secret shared with a recipient."""

    channel: Channel = "webhook"
    can_be_asked = False

    def __init__(
        self,
        secret_of: Callable[[str], Awaitable[str]],
        *,
        seconds: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.seconds = seconds
        self._secret_of = secret_of
        self._client = httpx.AsyncClient(timeout=seconds, transport=transport, trust_env=False, follow_redirects=False)

    async def send(self, message: Outgoing) -> Answer:
        secret = await self._secret_of(message.recipient)
        headers = headers_for(secret, message.id, dt.datetime.now(dt.UTC), message.text)
        try:
            async with asyncio.timeout(self.seconds):
                answer = await self._client.post(message.to, content=message.text.encode(), headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            return NotTaken("receiver-away")
        if answer.is_success:
            return Taken()
        if answer.status_code == httpx.codes.GONE:
            return Never("receiver-gone")
        return NotTaken(f"receiver-{answer.status_code}")

    async def standing(self, reference: str) -> Standing:
        return "no-answer"

    async def close(self) -> None:
        await self._client.aclose()
