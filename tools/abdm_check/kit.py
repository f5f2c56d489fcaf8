"""What a rule asks with: somebody shares at a counter, and the token that comes back by on-share."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import secrets
import time
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tools.abdm_check.gateway import Gateway, OnShare

SHARE = "/api/v3/hip/patient/share"
SCREEN_WAITS = 30.0
"""Seconds that the citizen's app waits for the token (NHA Scan & Share v3)."""

ONCE_SILENT_WAITS = 4.0
"""How long a system is waited for that let two shares go without an answer."""

KEY_LEARNT_WITHIN = 20.0
"""Seconds in which a system must have learnt a key it did not know; it may limit how often it asks."""


class Broken(Exception):
    """A rule does not hold; says what was seen instead."""


class NotAsked(Exception):
    """A rule could not be asked of this system; says why."""


class Unreachable(Exception):
    """There is no facility system there, or not the one meant."""


@dataclass(frozen=True)
class Person:
    """Somebody who is nobody. The ABHA number starts with 00 and passes Luhn."""

    address: str
    name: str
    number: str | None = None

    @property
    def phone(self) -> str:
        return f"5550{zlib.crc32(self.address.encode()) % 10**6:06d}"


@dataclass(frozen=True)
class Sent:
    """One share call: the answer's status (0: none), its body, and how long it took in seconds."""

    request_id: str
    address: str
    counter: str
    at: float
    status: int
    text: str
    seconds: float

    @property
    def accepted(self) -> bool:
        return self.status in (200, 202)


@dataclass
class Kit:
    """`by_header`: the system takes the time of a scan from TIMESTAMP, so that the kit can travel. `keys_away`: for how
    many seconds the key set cannot be had; longer than the system keeps its keys, to be sure."""

    url: str
    gateway: Gateway
    hip: str
    client: httpx.AsyncClient
    by_header: bool = True
    wait: bool = False
    keys_away: float = 5.0
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    _count: int = 0
    _silent: int = 0

    def counter(self) -> str:
        """One that nobody used before: 1 to 20 letters and digits."""
        self._count += 1
        return f"KIT{self.run}{self._count}"

    def person(self, *, number: bool = False) -> Person:
        self._count += 1
        mark = f"{self.run}{self._count}"
        return Person(f"kit.{mark}@sbx", _name(self._count), _abha_number() if number else None)

    def travelling(self, days: int, hour: int = 4, minute: int = 0) -> dt.datetime:
        """A moment some days ago, in UTC. Raises NotAsked where the system goes by its own clock."""
        if not self.by_header:
            raise NotAsked("the system goes by its own clock: use --wait, or leave the rule out with --without")
        today = dt.datetime.now(dt.UTC).replace(hour=hour, minute=minute, second=0, microsecond=0)
        return today - dt.timedelta(days=days)

    async def share(
        self,
        counter: str,
        person: Person,
        *,
        at: dt.datetime | None = None,
        request_id: str | None = None,
        headers: dict[str, str | None] | None = None,
        body: Any = None,
        **patient: Any,
    ) -> Sent:
        """One call of the gateway, as it makes it. `headers` replace its own; None leaves one out."""
        request_id = request_id or str(uuid.uuid4())
        moment = (at or dt.datetime.now(dt.UTC)).astimezone(dt.UTC).isoformat(timespec="milliseconds")
        said: dict[str, str | None] = {
            "Authorization": f"Bearer {self.gateway.token()}",
            "REQUEST-ID": request_id,
            "TIMESTAMP": moment.replace("+00:00", "Z"),
            "X-HIP-ID": self.hip,
        }
        said |= headers or {}
        began = time.monotonic()
        try:
            answer = await self.client.post(
                f"{self.url}{SHARE}",
                json=shared(self.hip, counter, person, **patient) if body is None else body,
                headers={name: value for name, value in said.items() if value is not None},
            )
        except httpx.TimeoutException:
            return Sent(request_id, person.address, counter, began, 0, "no answer", time.monotonic() - began)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.url} does not answer ({type(error).__name__})") from None
        return Sent(
            request_id, person.address, counter, began, answer.status_code, answer.text[:300], time.monotonic() - began
        )

    async def acknowledged(self, sent: Sent) -> OnShare:
        """The on-share that the gateway took for this share. Raises Broken."""
        if not sent.accepted:
            raise Broken(f"the share was answered {sent.status or 'not at all'}: {_short(sent.text)}")
        deadline = sent.at + (SCREEN_WAITS if self._silent < 2 else ONCE_SILENT_WAITS)
        while True:
            taken = [call for call in self.gateway.answers(sent.request_id) if call.answered == 202]
            if taken:
                self._silent = 0
                return taken[-1]
            if (left := deadline - time.monotonic()) <= 0:
                self._silent += 1
                raise Broken(f"no on-share with this REQUEST-ID within {deadline - sent.at:.0f} s")
            await self.gateway.news(min(left, 1.0))

    async def number(self, sent: Sent) -> int:
        """The token number that this share was acknowledged with. Raises Broken."""
        call = await self.acknowledged(sent)
        return int(token_of(call.body)["tokenNumber"])

    async def take(self, counter: str, person: Person, **how: Any) -> int:
        return await self.number(await self.share(counter, person, **how))

    async def take_all(self, shares: Sequence[Sent]) -> list[int]:
        return list(await asyncio.gather(*(self.number(sent) for sent in shares)))

    async def meet(self) -> None:
        """The first share, before any rule is asked. Raises Unreachable, saying what is in the way."""
        deadline = time.monotonic() + KEY_LEARNT_WITHIN
        while True:
            sent = await self.share(self.counter(), self.person())
            if sent.accepted:
                return
            if sent.status in (404, 405) and "ABDM-" not in sent.text:
                raise Unreachable(f"{self.url} answers, but not at POST {SHARE}: {sent.status} {_short(sent.text)}")
            if "1035" in sent.text:
                raise Unreachable(f"{self.url} does not know the facility {self.hip}: name one of its own with HIP=")
            if sent.status == 0:
                raise Unreachable(f"{self.url} gives no answer to a share")
            if sent.status not in (401, 403) or time.monotonic() > deadline:
                # It is there, but takes nothing: the rules will say so.
                return
            await asyncio.sleep(1.0)

    async def sees_its_own_clock(self) -> None:
        """Whether an old TIMESTAMP is refused: then the kit cannot travel."""
        if self.by_header:
            sent = await self.share(self.counter(), self.person(), at=dt.datetime.now(dt.UTC) - dt.timedelta(days=3))
            self.by_header = sent.accepted

    @contextlib.contextmanager
    def certs_away(self) -> Any:
        self.gateway.certs_away = True
        try:
            yield
        finally:
            self.gateway.certs_away = False


def shared(hip: str, counter: str, person: Person, **patient: Any) -> dict[str, Any]:
    """The body as observed in NHA's sandbox on 2026-09-16, with the nulls that occur in it."""
    said: dict[str, Any] = {
        "abhaNumber": person.number,
        "abhaAddress": person.address,
        "name": person.name,
        "gender": "F",
        "dayOfBirth": "6",
        "monthOfBirth": "2",
        "yearOfBirth": "1990",
        "address": {"line": "Near the school", "district": "LEH LADAKH", "state": "LADAKH", "pincode": "194101"},
        "phoneNumber": person.phone,
    }
    meta = {"hipId": hip, "context": counter, "hprId": None, "latitude": "34.16", "longitude": None}
    meta |= patient.pop("meta", {})
    return {"intent": "PROFILE_SHARE", "metaData": meta, "profile": {"patient": said | patient}}


def token_of(body: Any) -> dict[str, str]:
    """`acknowledgement.profile` of an on-share that gives a token. Raises Broken."""
    if not isinstance(body, dict):
        raise Broken("on-share was no JSON object")
    acknowledgement = body.get("acknowledgement")
    if not isinstance(acknowledgement, dict):
        raise Broken(f"on-share gave no token: {_short(str(body.get('error', body)))}")
    profile = acknowledgement.get("profile")
    if not isinstance(profile, dict) or not str(profile.get("tokenNumber", "")).strip().isdecimal():
        raise Broken(f"acknowledgement.profile.tokenNumber is no number: {_short(str(profile))}")
    return profile


def _short(text: str) -> str:
    return " ".join(text.split())[:160]


_FIRST = ("Rigzin", "Lobzang", "Padma", "Nawang", "Kunzes", "Dorje", "Yangchan", "Sonam", "Phuntsog", "Deldan")
_SECOND = ("Angmo", "Namgyal", "Lamo", "Tundup", "Chosdol", "Gyatso", "Palmo", "Wangdus", "Putit", "Tharchin")


def _name(index: int) -> str:
    return f"{_FIRST[index % 10]} {_SECOND[index // 10 % 10]} {chr(65 + index % 26)}{chr(97 + index // 26 % 26)}"


def _abha_number() -> str:
    thirteen = f"00{secrets.randbelow(10**11):011d}"
    total = 0
    for position, digit in enumerate(reversed(thirteen)):
        value = int(digit) * (1 if position % 2 else 2)
        total += value - 9 if value > 9 else value
    return thirteen + str(-total % 10)
