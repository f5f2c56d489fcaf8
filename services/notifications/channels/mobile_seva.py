"""SMS through C-DAC's Mobile Seva (MSDG), the gateway of Indian government departments: `sendsmsrequestDLT`.

Source: C-DAC's published client. The password travels as its SHA-1, and each request carries `key`, the SHA-512 of
user, sender, content and the department's secure key. What is not Latin goes as numeric character references under
`unicodemsg`. The answer is a line such as `402,MsgID = 1506201611660039742msdgsms`. It keeps no reference of ours and
cannot be asked afterwards: what became of a lost answer is said by its receipt, or by nobody.
"""

from __future__ import annotations

import asyncio
import hashlib
import re

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
from services.notifications.domain.segments import count

TAKEN = "402"
REFUSES_US = frozenset({"401", "403", "411", "412", "415", "416", "418"})
"""Credentials, credit, sender or hash: a fault of configuration, not of the message."""
WRONG_NUMBER = frozenset({"406"})
REFUSED = frozenset({"413", "414"})
TIMED_OUT = frozenset({"409"})
_MSG_ID = re.compile(r"MsgID\s*=\s*([\w-]+)", re.I)
_FIRST_CODE = re.compile(r"^\s*(\d{3})\b")


def password_of(password: str) -> str:
    """As it travels: the SHA-1 of the password, in hexadecimal."""
    return hashlib.sha1(password.strip().encode(), usedforsecurity=False).hexdigest()


def key_of(username: str, sender: str, content: str, secure_key: str) -> str:
    """The SHA-512 of the four, each without spaces around it, one after the other, in hexadecimal."""
    together = username.strip() + sender.strip() + content.strip() + secure_key.strip()
    return hashlib.sha512(together.encode()).hexdigest()


def references(text: str) -> str:
    """Every UTF-16 unit as a numeric character reference."""
    raw = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"&#{int.from_bytes(raw[at : at + 2], 'big')};" for at in range(0, len(raw), 2))


class MobileSeva:
    """`url` is the whole address of the request; `sender` the header of six letters, without prefix and suffix."""

    channel: Channel = "sms"
    can_be_asked = False

    def __init__(
        self,
        url: str,
        *,
        username: str,
        password: str,
        sender: str,
        secure_key: str,
        entity: str = "",
        connect_seconds: float,
        answer_seconds: float,
        codes: Codes | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.seconds = connect_seconds + answer_seconds
        self._url = url
        self._username, self._password = username, password_of(password)
        self._sender, self._secure_key, self._entity = sender, secure_key, entity
        self._codes = codes or Codes()
        timeout = httpx.Timeout(answer_seconds, connect=connect_seconds)
        self._client = httpx.AsyncClient(timeout=timeout, transport=transport, trust_env=False)

    async def send(self, message: Outgoing) -> Answer:
        latin = count(message.text).encoding == "gsm-7"
        content = message.text.strip() if latin else references(message.text.strip())
        sender = message.header or self._sender
        form = {
            "username": self._username.strip(),
            "password": self._password,
            "senderid": sender,
            "content": content,
            "smsservicetype": "singlemsg" if latin else "unicodemsg",
            "mobileno": message.to.lstrip("+"),
            "key": key_of(self._username, sender, content, self._secure_key),
            "templateid": message.template,
        }
        if self._entity:
            form["entityid"] = self._entity
        try:
            async with asyncio.timeout(self.seconds):
                answer = await self._client.post(self._url, data=form)
        except NOT_REACHED:
            return NotTaken("gateway-away")
        except (httpx.HTTPError, TimeoutError):
            return Unsure("answer-lost")
        if answer.status_code >= 500:
            return Unsure(f"gateway-{answer.status_code}")
        if answer.status_code >= 400:
            return NotTaken(f"gateway-refuses-us-{answer.status_code}")
        return self._read(answer.text)

    def _read(self, said: str) -> Answer:
        found = _FIRST_CODE.match(said)
        code = found[1] if found else ""
        if code == TAKEN or (not code and _MSG_ID.search(said)):
            given = _MSG_ID.search(said)
            return Taken(reference=given[1] if given else "")
        if code in REFUSES_US:
            return NotTaken(f"gateway-refuses-us-{code}")
        if code in WRONG_NUMBER:
            return Never(f"gateway-{code}", number=True)
        if code in REFUSED:
            return Never(f"gateway-{code}")
        if code in TIMED_OUT or not code:
            return Unsure(f"gateway-{code or 'says-nothing'}")
        return by_code(self._codes, code) or NotTaken(f"gateway-{code}")

    async def standing(self, reference: str) -> Standing:
        return "no-answer"

    async def close(self) -> None:
        await self._client.aclose()
