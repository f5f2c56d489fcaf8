"""What registration asks of its own store. Single equality queries, each on an index."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any

from libs.common.access import Access
from libs.common.mongo import Database, Document
from libs.common.paging import page
from services.registration.aggregates import VISIT
from services.registration.domain.identifiers import fold, words
from services.registration.domain.search_keys import word_pairs

AFTER_ANY_LETTER = "\uffff"
SHOWN = ("state.card", "state.status", "state.facilities", "state.addresses")
"""Of a record that a search found: all but what it was found by."""


class Store:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def exists(self, collection: str, id: str) -> bool:
        return await self._database[collection].find_one({"_id": id}, {"_id": 1}) is not None

    async def holder(self, kind: str, identifier: str) -> str | None:
        """The id of the patient who holds this identifier."""
        found = await self._database["patients"].find_one({"claims": f"{kind}:{identifier}"}, {"_id": 1})
        return found["_id"] if found else None

    async def search(
        self,
        access: Access,
        *,
        phone: str | None,
        name: str | None,
        name_starts: str | None,
        abha: str | None,
        limit: int,
        cursor: str | None,
        keys: Sequence[str] = (),
        word: str | None = None,
    ) -> tuple[list[Document], str | None]:
        """Active patients of the caller's own facilities to whom everything given applies, by name. `keys`: one of the
        matcher's; `word`: how a word of the name begins, folded."""
        # Side by side, for behind an `$and` some servers look for no index.
        wanted: Document = access.filter() | {"state.status": "active"}
        if abha is not None:
            wanted["claims"] = abha
        if phone is not None:
            wanted["state.card.phone"] = phone
        if name is not None:
            wanted |= _named(words(name))
        if keys:
            wanted["state.search.keys"] = {"$in": list(keys)}
        if word is not None:
            wanted["state.search.words"] = {"$regex": f"^{re.escape(word)}"}
        if name_starts is not None:
            start = fold(name_starts)
            wanted["state.search.name"] = {"$gte": start, "$lt": start + AFTER_ANY_LETTER}
        return await page(
            self._database["patients"], wanted, sort="state.search.name", limit=limit, cursor=cursor, fields=SHOWN
        )

    async def visits(self, access: Access, facility: str, counter: str, date: dt.date) -> list[dict[str, Any]]:
        """A queue's visits by number: everything is at most one day at one counter."""
        access.check({"facility": facility})
        wanted = {"state.facility": facility, "state.counter": counter, "state.date": date.isoformat()}
        found = self._database["visits"].find(wanted, {"state": 1}).sort("state.number", 1)
        return [{"id": document["_id"], **VISIT.shown(document["state"])} async for document in found]

    async def merged_into(self, patient: str) -> list[str]:
        """Ids of the records that are part of this one."""
        found = self._database["patients"].find({"state.card.merged_into": patient}, {"_id": 1})
        return [document["_id"] async for document in found]

    async def shares_of(self, patient: str) -> list[str]:
        found = self._database["shares"].find({"state.patient": patient}, {"_id": 1})
        return [document["_id"] async for document in found]

    async def facility_of(self, hip_id: str) -> dict[str, Any] | None:
        """The facility's card by its HFR id, from the replica of the directory."""
        found = await self._database["facilities"].find_one({"card.hip_id": hip_id})
        return found["card"] if found and "card" in found else None


def _named(words: tuple[str, ...]) -> Document:
    """Every word is in the name. Two are asked for as one, for all of several some servers look for no index; the
    longest two, which few share."""
    if len(words) == 1:
        return {"state.search.words": words[0]}
    longest = sorted(words, key=len, reverse=True)
    (pair,) = word_pairs(longest[:2])
    return {"state.search.pairs": pair} | ({"state.search.words": {"$all": longest[2:]}} if longest[2:] else {})
