"""SMS through an HTTP gateway: POST /sms, and GET /sms/{reference} to resolve an answer that was lost.

A refusal may carry the operator's code, as `code`, `error_code` or `error.code` in a JSON body; `codes.yaml` says what
each means.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from libs.contracts.notifications import Channel
from services.notifications.channels import (
    NOT_REACHED,
    Answer,
    Never,
    NotTaken,
    Outgoing,
    Standing,
    Taken,
    Unsure,
    by_code,
)
from services.notifications.domain.codes import Codes

OUR_FAULT = frozenset({401, 403, 404, 405, 407})
"""The gateway does not let us in, or is not where we look: a fault of configuration, not of the message."""
LATER = frozenset({408, 425, 429})


class SmsGateway:
    """`url` is the gateway's base address, without a slash at the end."""

    channel: Channel = "sms"
    can_be_asked = True

    def __init__(
        self,
        url: str,
        *,
        connect_seconds: float,
        answer_seconds: float,
        at_once: int = 32,
        codes: Codes | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._codes = codes or Codes()
        self.seconds = connect_seconds + answer_seconds
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(answer_seconds, connect=connect_seconds),
            limits=httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
            transport=transport,
            trust_env=False,
        )

    async def send(self, message: Outgoing) -> Answer:
        body = {
            "to": message.to,
            "text": message.text,
            "reference": message.id,
            "template": message.template,
            "language": message.language,
        }
        if message.header:
            body["header"] = message.header
        try:
            async with asyncio.timeout(self.seconds):
                answer = await self._client.post("/sms", json=body)
        except NOT_REACHED:
            return NotTaken("gateway-away")
        except (httpx.HTTPError, TimeoutError):
            return Unsure("answer-lost")
        return read(answer, self._codes)

    async def standing(self, reference: str) -> Standing:
        try:
            async with asyncio.timeout(self.seconds):
                answer = await self._client.get(f"/sms/{reference}")
        except (httpx.HTTPError, TimeoutError):
            return "no-answer"
        if answer.is_success:
            return "accepted"
        return "not-known" if answer.status_code == httpx.codes.NOT_FOUND else "no-answer"

    async def close(self) -> None:
        await self._client.aclose()


def code_in(answer: httpx.Response) -> str:
    """The code a JSON body carries; empty if there is none."""
    try:
        body: Any = answer.json()
    except ValueError:
        return ""
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    if not isinstance(body, dict):
        return ""
    found = next((body[name] for name in ("code", "error_code", "errorCode", "error") if body.get(name)), "")
    return str(found)[:64] if isinstance(found, str | int) else ""


def read(answer: httpx.Response, codes: Codes) -> Answer:
    """What became of a message, by the status and by the operator's code, if there is one that we know."""
    status = answer.status_code
    if status < 500 and (code := code_in(answer)) and (meant := by_code(codes, code)) is not None:
        return meant
    if 200 <= status < 300 or status == httpx.codes.CONFLICT:
        return Taken()  # 409: it has this reference already
    if status in LATER:
        return NotTaken(f"gateway-{status}")
    if status in OUR_FAULT:
        return NotTaken(f"gateway-refuses-us-{status}")
    if 400 <= status < 500:
        return Never(f"gateway-{status}")
    # A proxy's 502 and 504 say nothing of what became of it behind; a 500 or 503 may come after it was taken.
    return Unsure(f"gateway-{status}", over=status not in (502, 504))
