"""Collections, indexes, queries, and what is known of recipients from other services' cards."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from libs.common.access import Access
from libs.common.aggregate import AggregateType
from libs.common.ids import derive
from libs.common.mongo import Database, Document
from libs.common.paging import page
from libs.contracts import notifications as contract
from libs.contracts.notifications import Channel
from services.notifications.domain import message, preference
from services.notifications.domain.message import ENTERED_IN_ERROR, RECIPIENT_ERASED, Plan
from services.notifications.domain.template import FALLBACK

MESSAGE = AggregateType(
    name="message",
    collection="messages",
    state=message.Message,
    events=message.EVENTS,
    evolve=message.evolve,
    topic=contract.MESSAGE,
    due=message.next_due,
    retry_at=lambda state: state.retry_at,
    claims=lambda state: [f"sms-of-day:{state.slot}"] if state.slot else [],
    indexes=(
        ("state.recipient", "state.occurred_at", "_id"),
        ("state.recipient", "state.channel", "state.occurred_at", "_id"),
        ("state.status", "state.occurred_at", "_id"),
        ("state.awaiting",),
        ("state.case", "state.recipient"),
    ),
)

PREFERENCES = AggregateType(
    name="preferences",
    collection="preferences",
    state=preference.Preferences,
    events=preference.EVENTS,
    evolve=preference.evolve,
)
"""One document per person who said something; its id is the recipient."""

NAME_KEPT_SECONDS = 60.0
"""How long a facility's name is believed before its card is read again."""

AT_A_TIME = 500
"""Messages taken in one go by what goes through many."""


def message_id(event: str, recipient: str, channel: Channel) -> str:
    """One message per event, recipient and channel."""
    return derive(event, recipient, channel)


class Slots:
    """Places of each person's day as far as this process knows: hints that save a look, the store decides."""

    MOST = 100_000

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def take(self, day: str) -> int:
        """The next place, so that two at one instant do not both try for it."""
        if len(self._last) >= self.MOST:
            self._last.clear()
        self._last[day] = self._last.get(day, 0) + 1
        return self._last[day]

    def give_back(self, day: str, place: int) -> None:
        """It was not used. Only the last one can be given back; a gap is found when it is needed."""
        if self._last.get(day) == place:
            self._last[day] = place - 1

    def saw(self, day: str, place: int) -> None:
        self._last[day] = max(place, self._last.get(day, 0))


class Cards(Protocol):
    """A replica of another service's cards."""

    async def get(self, key: str) -> dict[str, Any] | None: ...

    async def erased(self, key: str) -> bool: ...


@dataclass(frozen=True)
class NotYet:
    """A card has not come: `patient:<id>`, `contact:<id>` or `facility:<code>`."""

    card: str


@dataclass(frozen=True)
class Known:
    """What is needed to tell a recipient. `gone` says why nobody is to be told any more."""

    language: str
    addresses: Mapping[Channel, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    gone: str | None = None
    refused: frozenset[Channel] = frozenset()


class Recipients:
    """Who is behind a recipient, from the cards that other services publish."""

    def __init__(
        self,
        patients: Cards,
        contacts: Cards,
        facilities: Cards,
        preferences: Callable[[str], Awaitable[preference.Preferences | None]],
        mailbox_language: str = FALLBACK,
    ) -> None:
        self._preferences = preferences
        self._people = {"patient": patients, "contact": contacts}
        self._facilities = facilities
        self._mailbox_language = mailbox_language
        self._kept: dict[str, tuple[dict[str, Any], float]] = {}

    async def look(self, plan: Plan, card: Mapping[str, Any] | None = None) -> Known | NotYet:
        """`card` is the person's card where the event itself carries it."""
        kind, _, key = plan.recipient.partition(":")
        if kind in self._people:
            known, stated = await asyncio.gather(self._person(kind, key, card), self._preferences(plan.recipient))
            if stated is not None and isinstance(known, Known) and plan.override is None:
                known = dataclasses.replace(known, refused=stated.refused(plan.purpose))
        else:
            known = await self._mailbox(plan.recipient)
        if isinstance(known, NotYet) or known.gone:
            return known
        values = {}
        for variable in plan.variables:
            value = variable.value
            if variable.form == "facility":
                facility = await self._facility(value)
                if facility is None:
                    return NotYet(f"facility:{value}")
                value = facility["name"]
            values[variable.name] = value
        return dataclasses.replace(known, values=values)

    async def _person(self, kind: str, key: str, card: Mapping[str, Any] | None) -> Known | NotYet:
        people = self._people[kind]
        card = card or await people.get(key)
        if card is None:
            gone = await people.erased(key)
            return Known(FALLBACK, gone=RECIPIENT_ERASED) if gone else NotYet(f"{kind}:{key}")
        if card.get("status") == "entered-in-error":
            return Known(FALLBACK, gone=ENTERED_IN_ERROR)
        addresses: dict[Channel, str] = {"in-app": key}
        if card.get("phone"):
            addresses["sms"] = card["phone"]
        if card.get("email"):
            addresses["email"] = card["email"]
        return Known(card.get("language") or FALLBACK, addresses)

    async def _mailbox(self, recipient: str) -> Known | NotYet:
        role, _, code = recipient.partition("@")
        card = await self._facility(code)
        if card is None:
            return NotYet(f"facility:{code}")
        address = card.get(f"{role}_email")
        return Known(self._mailbox_language, {"email": address} if address else {})

    async def _facility(self, code: str) -> dict[str, Any] | None:
        card, until = self._kept.get(code, (None, 0.0))
        if card is None or until < time.monotonic():
            card = await self._facilities.get(code)
            if card is not None:
                self._kept[code] = (card, time.monotonic() + NAME_KEPT_SECONDS)
        return card


async def preferences_of(database: Database, recipient: str) -> preference.Preferences | None:
    found = await database[PREFERENCES.collection].find_one({"_id": recipient}, {"state": 1})
    return preference.Preferences.model_validate(found["state"]) if found else None


async def free_place(database: Database, recipient: str, day: str, most: int) -> int | None:
    """The first place of a person's day that nobody has, up to `most`."""
    told = database[MESSAGE.collection].find({"state.recipient": recipient, "state.channel": "sms"}, {"state.slot": 1})
    taken = {found["state"].get("slot") async for found in told}
    return next((place for place in range(1, most + 1) if f"{day}:{place}" not in taken), None)


async def newer_of_case(database: Database, state: message.Message) -> bool:
    """Whether the same person was told something newer of the same case through the same channel."""
    told = database[MESSAGE.collection].find(
        {"state.case": state.case, "state.recipient": state.recipient}, {"state.channel": 1, "state.occurred_at": 1}
    )
    occurred_at = state.model_dump(mode="json")["occurred_at"]
    return any(
        [
            True
            async for found in told
            if found["state"]["channel"] == state.channel and found["state"]["occurred_at"] > occurred_at
        ]
    )


async def any_waiting(database: Database) -> bool:
    return await database[MESSAGE.collection].find_one({"state.status": "waiting"}, {"_id": 1}) is not None


async def waiting_for(database: Database, card: str) -> list[str]:
    """Ids of messages that wait for this card; what is beyond `AT_A_TIME` the sweep finds."""
    found = database[MESSAGE.collection].find({"state.awaiting": card}, {"_id": 1}).limit(AT_A_TIME)
    return [document["_id"] async for document in found]


async def told(database: Database, recipient: str) -> AsyncIterator[Document]:
    """Every message to a recipient."""
    async for document in database[MESSAGE.collection].find({"state.recipient": recipient}):
        yield document


async def feed(
    database: Database, access: Access, patient: str, cursor: str | None, limit: int
) -> tuple[list[Document], str | None]:
    """What stands in a patient's feed, newest first."""
    mine = {"state.recipient": f"patient:{patient}", "state.channel": "in-app", "state.status": "sent"}
    wanted = access.filter() | mine
    return await page(
        database[MESSAGE.collection], wanted, sort="state.occurred_at", descending=True, limit=limit, cursor=cursor
    )


async def listed(
    database: Database, access: Access, where: Mapping[str, str], cursor: str | None, limit: int
) -> tuple[list[Document], str | None]:
    """Messages by recipient or status, newest first."""
    wanted = access.filter() | {f"state.{name}": value for name, value in where.items()}
    return await page(
        database[MESSAGE.collection], wanted, sort="state.occurred_at", descending=True, limit=limit, cursor=cursor
    )


async def gathered(*jobs: Any, at_once: int = 32) -> list[Any]:
    """Awaits all, so many at the same time; the first error is raised when all are done."""
    gate = asyncio.Semaphore(at_once)

    async def one(job: Any) -> Any:
        async with gate:
            return await job

    results = await asyncio.gather(*(one(job) for job in jobs), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
