"""Collections, indexes, queries, and what is known of recipients from other services' cards."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, get_args

from libs.common.access import Access
from libs.common.aggregate import AggregateType
from libs.common.ids import derive
from libs.common.mongo import Database, Document
from libs.common.one_person import FOLLOWED
from libs.common.paging import page
from libs.common.replica import Replica
from libs.contracts import notifications as contract
from libs.contracts.notifications import Channel
from services.notifications.domain import message, preference, whereabouts
from services.notifications.domain.message import ENTERED_IN_ERROR, PATIENT_DECEASED, RECIPIENT_ERASED, SUPERSEDED, Plan
from services.notifications.domain.template import FALLBACK
from services.notifications.domain.timing import IST
from services.notifications.lookup import Lookup
from services.notifications.merges import Merges
from services.notifications.people import People


def _claims(state: message.Message) -> list[str]:
    """The places of a person's day, and the provider's reference, by which a receipt finds its message."""
    places = [f"sms-of-day:{slot}" for slot in (state.slot, state.extra_slot) if slot]
    return [*places, reference_claim(state.channel, state.reference)] if state.reference else places


def reference_claim(channel: str, reference: str) -> str:
    return f"provider-reference:{channel}:{reference}"


MESSAGE = AggregateType(
    name="message",
    collection="messages",
    state=message.Message,
    events=message.EVENTS,
    evolve=message.evolve,
    topic=contract.MESSAGE,
    due=message.next_due,
    retry_at=lambda state: state.retry_at,
    claims=_claims,
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

AT_ONCE = 32
"""Of those at the same time."""


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


class Cards:
    """What we need of the cards in a replica, read together where many are wanted at once."""

    FIELDS = (
        "grave", "card.status", "card.phone", "card.email", "card.language", "card.village", "card.second_place",
        "card.merged_into",
    )  # fmt: skip

    def __init__(self, replica: Replica) -> None:
        self._found = Lookup(replica.collection, dict.fromkeys(self.FIELDS, 1))

    async def get(self, key: str) -> tuple[Mapping[str, Any] | None, bool]:
        """The card, None while it is not yet known; and whether it was erased. What was merged into another record
        is told as that one, as long as it is part of it."""
        card: Mapping[str, Any] | None = None
        for _ in range(FOLLOWED):
            found = await self._found.get(key)
            if found is None:
                break
            if found.get("grave"):
                return None, True
            card = found.get("card")
            into = (card or {}).get("merged_into")
            if not into:
                break
            key = into
        return card, False


class FacilityCards(Protocol):
    async def get(self, key: str) -> dict[str, Any] | None: ...


@dataclass(frozen=True)
class NotYet:
    """A card has not come: `patient:<id>`, `contact:<id>` or `facility:<code>`."""

    card: str


@dataclass(frozen=True)
class Known:
    """What is needed to tell a recipient. `gone` says why nobody is to be told any more."""

    languages: tuple[str, ...]
    """What they read, the best first."""
    addresses: Mapping[Channel, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    gone: str | None = None
    refused: frozenset[Channel] = frozenset()
    marked: Mapping[Channel, str] = field(default_factory=dict)
    """Channels by which their number takes nothing, and why."""
    preferences: preference.Preferences | None = None

    @property
    def deceased(self) -> bool:
        """Their feed is their own record; to their number nothing more is sent."""
        return self.preferences is not None and bool(self.preferences.deaths)

    def usable(self, channel: Channel) -> bool:
        return channel in self.addresses and channel not in self.refused and channel not in self.marked


OUTSIDE: frozenset[Channel] = frozenset(get_args(Channel)) - {"in-app", "webhook"}
"""Channels that reach into a person's day; the feed waits to be looked at."""


class Recipients:
    """Who is behind a recipient, from the cards that other services publish and from our own records."""

    def __init__(
        self,
        patients: Cards,
        contacts: Cards,
        facilities: FacilityCards,
        preferences: Callable[[str], Awaitable[preference.Preferences | None]],
        people: People,
        marks: Callable[[str, str], Awaitable[str | None]],
        callback_of: Callable[[str], Awaitable[str | None]],
        now: Callable[[], dt.datetime],
        channels: frozenset[Channel],
        mailbox_language: str = FALLBACK,
        consent_needed: frozenset[preference.Purpose] = frozenset(),
        callers: Cards | None = None,
        merges: Merges | None = None,
    ) -> None:
        self._merges = merges
        self._preferences = preferences
        self._cards = {"patient": patients, "contact": contacts} | ({"caller": callers} if callers else {})
        self._facilities = facilities
        self._people = people
        self._marks = marks
        self._callback_of = callback_of
        self._now = now
        self._channels = channels
        self._mailbox_language = mailbox_language
        self._consent_needed = consent_needed
        self._kept: dict[str, tuple[dict[str, Any], float]] = {}

    async def look(self, plan: Plan, card: Mapping[str, Any] | None = None) -> Known | NotYet:
        """`card` is the person's card where the event itself carries it."""
        kind, _, key = plan.recipient.partition(":")
        if kind == "send":
            url = await self._callback_of(key)
            return Known((FALLBACK,), {"webhook": url} if url else {})
        if kind in self._cards or kind == "person":
            known, stated = await asyncio.gather(self._person(kind, key, card, plan), self._stated(plan.recipient))
            if isinstance(known, Known):
                known = await self._as_they_want(known, stated, plan)
        else:
            known, stated = await asyncio.gather(self._mailbox(plan.recipient), self._preferences(plan.recipient))
            if stated is not None and isinstance(known, Known):
                known = dataclasses.replace(known, preferences=stated, languages=stated.languages or known.languages)
        if isinstance(known, NotYet) or known.gone:
            return known
        if plan.patient and await self.deceased(plan.patient):
            return dataclasses.replace(known, gone=PATIENT_DECEASED)
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

    async def village_of(self, patient: str) -> str | None:
        """Where a patient lives at this time of the year, as far as their card is known."""
        card, _ = await self._cards["patient"].get(patient)
        return _village(card, self._now()) if card else None

    async def same_person(self, patient: str) -> tuple[str, ...]:
        """Ids of all records of one person, as far as we know; the one that lives on first."""
        return await self._merges.same_person(patient) if self._merges else (patient,)

    async def deceased(self, patient: str) -> bool:
        stated = await self._stated(f"patient:{patient}")
        return stated is not None and bool(stated.deaths)

    async def _stated(self, recipient: str) -> preference.Preferences | None:
        """What a person said under any of their records; of two choices the newest stands."""
        kind, _, key = recipient.partition(":")
        ids = await self.same_person(key) if kind == "patient" else (key,)
        if len(ids) == 1:
            return await self._preferences(recipient)
        said = await asyncio.gather(*(self._preferences(f"patient:{id}") for id in ids))
        return preference.joined([one for one in said if one is not None])

    async def _as_they_want(self, known: Known, stated: preference.Preferences | None, plan: Plan) -> Known:
        """Their languages, what they refused and agreed to, and what their number takes."""
        # What nobody is set up to bring has no address.
        addresses = {channel: address for channel, address in known.addresses.items() if channel in self._channels}
        refused = frozenset[Channel]()
        languages = known.languages
        agreed = stated.agreed(plan.purpose) if stated else frozenset[Channel]()
        if stated is not None:
            languages = stated.languages or languages
            refused = stated.refused(plan.purpose)
        if {"whatsapp"} <= agreed & self._channels & frozenset(plan.channels) and "sms" in addresses:
            addresses["whatsapp"] = addresses["sms"]
        if plan.purpose in self._consent_needed:
            refused |= OUTSIDE - agreed
        if plan.override is not None:
            refused = frozenset()
        marked: dict[Channel, str] = {}
        by_phone: tuple[Channel, ...] = ("sms", "whatsapp")
        for channel in by_phone:
            if channel in addresses and channel in plan.channels:
                mark = await self._marks(channel, addresses[channel])
                if mark is not None:
                    marked[channel] = mark
        order = tuple(dict.fromkeys((*plan.languages, *languages)))
        return dataclasses.replace(
            known, languages=order, addresses=addresses, refused=refused, marked=marked, preferences=stated
        )

    async def _person(self, kind: str, key: str, card: Mapping[str, Any] | None, plan: Plan) -> Known | NotYet:
        if kind == "person":
            return await self._own_person(key)
        cards = self._cards[kind]
        if card is None:
            card, erased = await cards.get(key)
            if card is None:
                return Known((FALLBACK,), gone=RECIPIENT_ERASED) if erased else NotYet(f"{kind}:{key}")
        if card.get("status") == "entered-in-error":
            return Known((FALLBACK,), gone=ENTERED_IN_ERROR)
        addresses: dict[Channel, str] = {"in-app": key}
        if card.get("phone"):
            addresses["sms"] = card["phone"]
        if card.get("email"):
            addresses["email"] = card["email"]
        if kind == "patient" and "relay" in plan.channels:
            records, village = await self.same_person(key), _village(card, self._now())
            relay = await self._people.relay_for(records, village)
            if relay is not None:
                addresses["relay"] = relay
        return Known((card.get("language") or FALLBACK,), addresses)

    async def _own_person(self, id: str) -> Known:
        found = await self._people.get(id)
        if found is None or not found.active:
            return Known((FALLBACK,), gone=RECIPIENT_ERASED)
        addresses: dict[Channel, str] = {"in-app": id}
        if found.phone:
            addresses["sms"] = found.phone
        if found.email:
            addresses["email"] = found.email
        if found.address:
            addresses["apprise"] = found.address
        return Known((found.language,), addresses)

    async def _mailbox(self, recipient: str) -> Known | NotYet:
        role, _, code = recipient.partition("@")
        card = await self._facility(code)
        if card is None:
            return NotYet(f"facility:{code}")
        address = card.get(f"{role}_email") or _reach(card, role, self._now())
        return Known((self._mailbox_language,), {"email": address} if address else {})

    async def _facility(self, code: str) -> dict[str, Any] | None:
        card, until = self._kept.get(code, (None, 0.0))
        if card is None or until < time.monotonic():
            card = await self._facilities.get(code)
            if card is not None:
                self._kept[code] = (card, time.monotonic() + NAME_KEPT_SECONDS)
        return card


def _village(card: Mapping[str, Any], now: dt.datetime) -> str | None:
    """Where somebody is in this month, by Indian Standard Time."""
    village: str | None = whereabouts.where(card, now.astimezone(IST).date()).get("village")
    return village


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _reach(card: Mapping[str, Any], role: str, now: dt.datetime) -> str | None:
    """The mailbox of who has this duty now, by the facility's own card; a switchboard takes no mail."""
    local = now.astimezone(IST)
    clock = f"{local:%H:%M}"
    today, yesterday = WEEKDAYS[local.weekday()], WEEKDAYS[local.weekday() - 1]
    for duty in card.get("duty") or ():
        if duty["role"] != role or duty.get("service") or "@" not in duty["reach"]:
            continue
        over_midnight = duty["starts"] >= duty["ends"]
        begun = today in duty["days"] and duty["starts"] <= clock and (over_midnight or clock < duty["ends"])
        if begun or (over_midnight and yesterday in duty["days"] and clock < duty["ends"]):
            return str(duty["reach"])
    return None


class StatedPreferences:
    """What people said, read together where many are asked about at once; never older than the question."""

    def __init__(self, database: Database) -> None:
        self._found = Lookup(database[PREFERENCES.collection], {"state": 1})

    async def of(self, recipient: str) -> preference.Preferences | None:
        found = await self._found.get(recipient)
        return preference.Preferences.model_validate(found["state"]) if found else None


async def preferences_of(database: Database, recipient: str) -> preference.Preferences | None:
    found = await database[PREFERENCES.collection].find_one({"_id": recipient}, {"state": 1})
    return preference.Preferences.model_validate(found["state"]) if found else None


async def free_place(database: Database, recipient: str, channel: Channel, day: str, most: int) -> int | None:
    """The first place of a person's day and channel that nobody has, up to `most`."""
    told = database[MESSAGE.collection].find(
        {"state.recipient": recipient, "state.channel": channel}, {"state.slot": 1, "state.extra_slot": 1}
    )
    taken = {found["state"].get(name) async for found in told for name in ("slot", "extra_slot")}
    return next((place for place in range(1, most + 1) if f"{day}:{place}" not in taken), None)


async def told_otherwise(database: Database, plan: Plan, channel: Channel) -> bool:
    """Whether another channel told the recipient the same, or still may."""
    for other in plan.besides(channel):
        found = await database[MESSAGE.collection].find_one(
            {"_id": message_id(plan.event, plan.recipient, other)}, {"state.status": 1, "state.passing_on": 1}
        )
        if found is not None and found["state"]["status"] not in ("failed", "lapsed"):
            return True
    return False


async def newer_of_case(database: Database, state: message.Message) -> bool:
    """Whether the same person was, or is to be, told something newer of the same case through the same channel. What
    came to nothing by itself overtakes nothing."""
    fields = {f"state.{name}": 1 for name in ("channel", "occurred_at", "status", "reason")}
    told = database[MESSAGE.collection].find({"state.case": state.case, "state.recipient": state.recipient}, fields)
    occurred_at = state.model_dump(mode="json")["occurred_at"]
    newer = False
    async for found in told:
        other = found["state"]
        nothing = other["status"] == "failed" or (other["status"] == "lapsed" and other.get("reason") != SUPERSEDED)
        newer |= other["channel"] == state.channel and other["occurred_at"] > occurred_at and not nothing
    return newer


async def by_reference(database: Database, channel: str, reference: str) -> str | None:
    """The message that a provider knows under a reference of its own."""
    found = await database[MESSAGE.collection].find_one({"claims": reference_claim(channel, reference)}, {"_id": 1})
    return found["_id"] if found else None


async def queued_for(database: Database, reason: str) -> AsyncIterator[tuple[str, message.Message]]:
    """What is held for this reason."""
    async for found in database[MESSAGE.collection].find({"state.status": "queued"}):
        if found["state"].get("reason") == reason:
            yield found["_id"], message.Message.model_validate(found["state"])


async def held_for_digest(database: Database, state: message.Message) -> list[tuple[str, message.Message]]:
    """What goes out to one recipient at one time, oldest first."""
    told = database[MESSAGE.collection].find({"state.recipient": state.recipient, "state.channel": state.channel})
    found = [(one["_id"], message.Message.model_validate(one["state"])) async for one in told]
    together = [
        (id, other)
        for id, other in found
        if other.status == "queued" and other.reason == message.DIGEST and other.held_until == state.held_until
    ]
    return sorted(together, key=lambda one: (one[1].occurred_at, one[0]))


async def of_case(database: Database, case: str) -> AsyncIterator[tuple[str, message.Message]]:
    """Every message about an aggregate: a referral, a campaign."""
    async for found in database[MESSAGE.collection].find({"state.case": case}, {"state": 1}):
        yield found["_id"], message.Message.model_validate(found["state"])


async def campaign_status(database: Database, id: str) -> str | None:
    found = await database["campaigns"].find_one({"_id": id}, {"state.status": 1})
    return found["state"]["status"] if found else None


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
    database: Database, access: Access, recipients: Sequence[str], cursor: str | None, limit: int
) -> tuple[list[Document], str | None]:
    """What stands in somebody's feed, newest first, with what other records of theirs were told."""
    who: Any = recipients[0] if len(recipients) == 1 else {"$in": list(recipients)}
    mine = {"state.recipient": who, "state.channel": "in-app", "state.status": "sent"}
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
