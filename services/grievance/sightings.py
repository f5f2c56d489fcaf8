"""What was last seen of referrals and people, to link a complaint to them: ids, codes and facilities, nothing more."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.mongo import Database, Document, DuplicateKey, IndexModel
from libs.common.one_person import one_person
from libs.common.records import Received
from libs.contracts.referral import (
    PatientDeceased,
    PatientNoShow,
    ReferralCancelled,
    ReferralClosed,
    ReferralDeclined,
    ReferralEvent,
    ReferralVoided,
    TravelRefused,
)
from libs.contracts.registration import RecordsJoined, RecordsParted, TokenIssued, TokenMove

COLLECTION = "sightings"
OVER = (
    ReferralDeclined,
    ReferralCancelled,
    ReferralClosed,
    ReferralVoided,
    PatientNoShow,
    PatientDeceased,
    TravelRefused,
)


@dataclass(frozen=True)
class Uncalled:
    """A token that nobody dealt with, on a day on which its counter called others."""

    visit: str
    facility: str


class Sightings:
    """One document per referral and per OPD token (its newest event), per patient (where they were last), and per
    record that is or was part of another."""

    def __init__(self, database: Database) -> None:
        self._collection = database[COLLECTION]

    async def ensure_indexes(self) -> None:
        await self._collection.create_indexes(
            [IndexModel([("patient", 1)]), IndexModel([("counter", 1), ("date", 1)]), IndexModel([("into", 1)])]
        )

    async def saw(self, received: Received) -> None:
        """Remembers what an event says of where somebody is; of two that come in any order the newer one stays."""
        event = received.event
        if isinstance(event, ReferralEvent):
            referral: Document = {
                "patient": event.patient,
                "facilities": [event.origin, event.destination],
                "open": not isinstance(event, OVER),
                "at": received.recorded_at,
            }
            await self._newest(f"referral:{received.key}", referral, "sequence", received.sequence)
            await self._at(event.patient, event.origin, received.recorded_at)
        elif isinstance(event, TokenIssued | TokenMove):
            token: Document = {
                "counter": f"{event.facility} {event.counter}",
                "date": event.date.isoformat(),
                "facility": event.facility,
                "dealt_with": not isinstance(event, TokenIssued),
            }
            await self._newest(f"visit:{received.key}", token, "sequence", received.sequence)
            await self._at(event.patient, event.facility, received.recorded_at)

        elif isinstance(event, RecordsJoined | RecordsParted):
            into = event.into if isinstance(event, RecordsJoined) else None
            await self._newest(f"record:{event.patient}", {"into": into}, "sequence", received.sequence)

    async def same_person(self, patient: str) -> tuple[str, ...]:
        """Ids of the records that are one person with this one now: the one that lives on first."""
        return await one_person(patient, self._into, self._parts)

    async def _into(self, patient: str) -> str | None:
        found = await self._collection.find_one({"_id": f"record:{patient}"}, {"into": 1})
        return found.get("into") if found else None

    async def _parts(self, patient: str) -> list[str]:
        found = self._collection.find({"into": patient}, {"_id": 1})
        return [str(document["_id"]).removeprefix("record:") async for document in found]

    async def _at(self, patient: str, facility: str, at: dt.datetime) -> None:
        await self._newest(f"patient:{patient}", {"facility": facility}, "at", at)

    async def _newest(self, id: str, facts: Document, order: str, value: object) -> None:
        try:
            await self._collection.update_one(
                {"_id": id, order: {"$lt": value}}, {"$set": facts | {order: value}}, upsert=True
            )
        except DuplicateKey:
            # A newer one stands there.
            return

    async def never_called(self, event: TokenIssued) -> list[Uncalled]:
        """With the first number of a day: those of this counter's earlier days that were called past.

        A counter that calls nobody by number tells nothing.
        """
        if event.number != 1:
            return []
        days: dict[str, list[Document]] = defaultdict(list)
        async for document in self._collection.find({"counter": f"{event.facility} {event.counter}"}):
            if document["date"] < event.date.isoformat():
                days[document["date"]].append(document)
        return [
            Uncalled(str(document["_id"]).removeprefix("visit:"), document["facility"])
            for tokens in days.values()
            if any(token["dealt_with"] for token in tokens)
            for document in tokens
            if not document["dealt_with"]
        ]

    async def referral_of(self, patient: str, facilities: Sequence[str]) -> str | None:
        """The newest open referral of this patient from or to one of these facilities."""
        found = [
            document
            for record in await self.same_person(patient)
            async for document in self._collection.find({"patient": record})
            if document.get("open") and set(document.get("facilities", ())) & set(facilities)
        ]
        newest = max(found, key=lambda document: document["at"], default=None)
        return str(newest["_id"]).removeprefix("referral:") if newest else None

    async def place_of(self, patient: str) -> str | None:
        """The facility where this patient was last."""
        found = [
            document
            for record in await self.same_person(patient)
            async for document in self._collection.find({"_id": f"patient:{record}"})
        ]
        newest = max(found, key=lambda document: document["at"], default=None)
        return str(newest["facility"]) if newest else None
