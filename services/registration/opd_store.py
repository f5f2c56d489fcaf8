"""What the OPD's doors ask of the store. Equality on an index; the rest, at most a day of one facility, in memory."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

from libs.common.access import Access
from libs.common.mongo import Database, Document
from libs.common.paging import page
from services.registration.aggregates import VISIT
from services.registration.domain.opd import Opd, opd_id

SLICE = 50
"""People whose cards are read at the same time for a register."""


class OpdStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def opd(self, facility: str) -> Opd | None:
        found = await self._database["opds"].find_one({"_id": opd_id(facility)}, {"state": 1})
        return Opd.model_validate(found["state"]) if found else None

    async def facility(self, code: str) -> dict[str, Any] | None:
        """The facility's card from the directory's replica."""
        found = await self._database["facilities"].find_one({"_id": code})
        return found["card"] if found and "card" in found else None

    async def of_day(self, facility: str, date: dt.date) -> list[dict[str, Any]]:
        """Every visit of a facility's day, by counter and number."""
        found = self._database["visits"].find(
            {"state.facility": facility, "state.date": date.isoformat()}, {"state": 1}
        )
        visits = [{"id": document["_id"], **VISIT.shown(document["state"])} async for document in found]
        return sorted(visits, key=lambda visit: (visit["counter"], visit["number"]))

    async def waiting(self, facility: str, counter: str, date: dt.date) -> list[dict[str, Any]]:
        """Who waits at a counter, in the order in which they are called: urgent first, then by number."""
        found = self._database["visits"].find(
            {"state.facility": facility, "state.counter": counter, "state.date": date.isoformat()}, {"state": 1}
        )
        visits = [{"id": document["_id"], **VISIT.shown(document["state"])} async for document in found]
        return sorted(
            (visit for visit in visits if visit.get("status", "waiting") == "waiting"),
            key=lambda visit: (not visit.get("urgent", False), visit["number"]),
        )

    async def visit_moved_by(self, cause: str) -> str | None:
        found = await self._database["visits"].find_one({"journal.cause": cause}, {"_id": 1})
        return found["_id"] if found else None

    async def home_cards_of(self, patient: str) -> list[str]:
        found = self._database["home_cards"].find({"state.patient": patient}, {"_id": 1})
        return [document["_id"] async for document in found]

    async def cards(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        """Cards by patient id; of those who are erased nothing but the id is left."""
        cards: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), SLICE):
            part = ids[start : start + SLICE]
            found = await asyncio.gather(
                *(self._database["patients"].find_one({"_id": id}, {"state.card": 1}) for id in part)
            )
            cards |= {document["_id"]: document["state"]["card"] for document in found if document}
        return cards

    async def shares(
        self, access: Access, status: str | None, limit: int, cursor: str | None
    ) -> tuple[list[Document], str | None]:
        """The facility's acknowledgements, newest first."""
        conditions: Document = dict(access.filter())
        if status is not None:
            conditions["state.status"] = status
        return await page(
            self._database["shares"],
            conditions,
            sort="state.received_at",
            descending=True,
            limit=limit,
            cursor=cursor,
        )
