"""WhatsApp through Meta's Cloud API: approved templates only, whose placeholders Meta fills.

`POST {url}/{phone_number_id}/messages`. Our reference goes along as `biz_opaque_callback_data` and comes back with each
status; there is nobody to ask afterwards. Error codes: developers.facebook.com, WhatsApp Cloud API, "Error codes".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
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
    Stopped,
    Taken,
    Unsure,
)

LANGUAGES: Mapping[str, str] = {"en": "en", "hi": "hi", "ur": "ur"}
"""Ours, and what Meta calls them. In others it takes no templates: the next channel is used."""

TEMPLATE_AT_FAULT = frozenset({132000, 132001, 132005, 132007, 132012, 132015, 132016})
LATER = frozenset({4, 80007, 130429, 131000, 131016, 131048, 131056, 131057, 133004})
NUMBER_TAKES_NONE = frozenset({131021, 131026, 131045, 133010})
OUR_FAULT = frozenset({0, 3, 10, 190, 200, 368, 131005, 131031, 131042})


def meaning(code: int) -> Answer:
    """Of an error, where the message was surely not sent."""
    if code in TEMPLATE_AT_FAULT:
        return Stopped(f"whatsapp-{code}")
    if code in LATER:
        return NotTaken(f"whatsapp-{code}")
    if code in OUR_FAULT:
        return NotTaken(f"whatsapp-refuses-us-{code}")
    return Never(f"whatsapp-{code}", number=code in NUMBER_TAKES_NONE)


class WhatsApp:
    """`url` is the API's base with its version, such as `https://graph.facebook.com/v21.0`."""

    channel: Channel = "whatsapp"
    can_be_asked = False

    def __init__(
        self,
        url: str,
        phone_number_id: str,
        token: str,
        *,
        seconds: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.seconds = seconds
        self._path = f"/{phone_number_id}/messages"
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=seconds,
            headers={"Authorization": f"Bearer {token}"},
            transport=transport,
            trust_env=False,
        )

    async def send(self, message: Outgoing) -> Answer:
        language = LANGUAGES.get(message.language)
        if language is None:
            return Never("whatsapp-has-no-such-language")
        parameters = [{"type": "text", "text": value} for value in message.values]
        body = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": message.to.lstrip("+"),
            "type": "template",
            "biz_opaque_callback_data": message.id,
            "template": {
                "name": message.name.replace("-", "_"),
                "language": {"code": language},
                "components": [{"type": "body", "parameters": parameters}] if parameters else [],
            },
        }
        try:
            async with asyncio.timeout(self.seconds):
                answer = await self._client.post(self._path, json=body)
        except NOT_REACHED:
            return NotTaken("whatsapp-away")
        except (httpx.HTTPError, TimeoutError):
            return Unsure("answer-lost")
        return _read(answer)

    async def standing(self, reference: str) -> Standing:
        return "no-answer"

    async def close(self) -> None:
        await self._client.aclose()


def _read(answer: httpx.Response) -> Answer:
    try:
        body: Any = answer.json()
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    if answer.is_success:
        given = body.get("messages")
        first = given[0] if isinstance(given, list) and given else None
        return Taken(reference=str(first.get("id") or "") if isinstance(first, dict) else "")
    error = body.get("error")
    if isinstance(error, dict) and isinstance(error.get("code"), int) and answer.status_code < 500:
        return meaning(error["code"])
    if answer.status_code in (401, 403, 404):
        return NotTaken(f"whatsapp-refuses-us-{answer.status_code}")
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return NotTaken("whatsapp-429")
    if answer.status_code >= 500:
        return Unsure(f"whatsapp-{answer.status_code}")
    return Never(f"whatsapp-{answer.status_code}")
