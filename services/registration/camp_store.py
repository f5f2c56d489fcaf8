"""What camps leave in the store besides their aggregates: the bytes of an upload, and the answer to each row."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from libs.common.access import Access
from libs.common.mongo import ASCENDING, BulkWriteError, Database, Document, IndexModel, InsertOne, UpdateOne
from libs.common.paging import MOST, page
from libs.contracts.registration import PatientCard
from services.registration.domain.camp import Device
from services.registration.domain.whereabouts import there


class CampStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def ensure_indexes(self) -> None:
        await self._database["camp_answers"].create_indexes([IndexModel([("upload", ASCENDING), ("index", ASCENDING)])])
        await self._database["camp_chunks"].create_indexes([IndexModel([("upload", ASCENDING), ("offset", ASCENDING)])])

    async def devices(self, access: Access, limit: int, cursor: str | None) -> tuple[list[Device], str | None]:
        found, following = await page(
            self._database["camp_devices"], access.filter(), sort="_id", limit=limit, cursor=cursor
        )
        return [Device.model_validate(document["state"]) for document in found], following

    async def keep_chunk(self, upload: str, offset: int, data: bytes) -> None:
        """Before the journal says that it came; the same bytes again change nothing, and a shorter or longer part from
        the same place, sent again while the first was still on its way, does not take its place."""
        await self._database["camp_chunks"].update_one(
            {"_id": f"{upload}:{offset}:{len(data)}"},
            {"$set": {"upload": upload, "offset": offset, "data": data}},
            upsert=True,
        )

    async def content(self, upload: str, chunks: Sequence[tuple[int, int]]) -> bytes:
        """The bytes of these (offset, size), which the journal says have come. Of older uploads a longer part may stand
        in a part's place, and is cut. Raises LookupError if some are gone."""
        found: dict[int, list[bytes]] = {}
        async for chunk in self._database["camp_chunks"].find({"upload": upload}):
            found.setdefault(chunk["offset"], []).append(bytes(chunk["data"]))
        return b"".join(_part(found.get(offset, ()), size) for offset, size in chunks)

    async def forget_chunks(self, upload: str) -> None:
        await self._database["camp_chunks"].delete_many({"upload": upload})

    async def keep_answers(self, upload: str, answers: Sequence[Document]) -> None:
        """New ones, as a rule: only after a crash some stand there, and are then said anew."""
        rows = {f"{upload}:{answer['index']}": answer | {"upload": upload} for answer in answers}
        kept = self._database["camp_answers"]
        try:
            await kept.bulk_write([InsertOne({"_id": id} | row) for id, row in rows.items()], ordered=False)
        except BulkWriteError:
            await kept.bulk_write(
                [UpdateOne({"_id": id}, {"$set": row}, upsert=True) for id, row in rows.items()], ordered=False
            )

    async def answers(self, upload: str, after: int, limit: int) -> list[dict[str, Any]]:
        found = (
            self._database["camp_answers"]
            .find({"upload": upload, "index": {"$gt": after}})
            .sort("index", ASCENDING)
            .limit(limit)
        )
        return [{k: v for k, v in one.items() if k not in ("_id", "upload")} async for one in found]

    async def people(
        self, access: Access, district: int, on: dt.date, after: str, limit: int = MOST
    ) -> tuple[list[tuple[str, PatientCard]], str | None]:
        """Active people whom the caller's facility knows and who are in a district on that day, by id; and where to go
        on, None at the end."""
        found: list[tuple[str, PatientCard]] = []
        while True:
            # Two equality queries and no `$or`, which some servers answer by reading the whole collection.
            parts = await asyncio.gather(
                *(
                    self._page(access, {field: district}, after, limit)
                    for field in ("state.card.district_lgd", "state.card.second_place.district_lgd")
                )
            )
            documents = {document["_id"]: document for part in parts for document in part}
            # Beyond the end of a part that is not the last, the other part cannot be trusted yet.
            full = [part[-1]["_id"] for part in parts if len(part) == limit]
            seen = sorted(id for id in documents if not full or id <= min(full))
            for id in seen:
                card = PatientCard.model_validate(documents[id]["state"]["card"])
                if there(card, on).district_lgd == district:
                    found.append((id, card))
                    if len(found) == limit:
                        return found, id if full or id != seen[-1] else None
            if not full:
                return found, None
            after = seen[-1]

    async def _page(self, access: Access, where: Document, after: str, limit: int) -> list[Document]:
        # Side by side, for behind an `$and` some servers look for no index.
        wanted = access.filter() | where | {"state.status": "active", "_id": {"$gt": after}}
        found = self._database["patients"].find(wanted, {"state.card": 1})
        return await found.sort("_id", ASCENDING).limit(limit).to_list(limit)


def _part(kept: Iterable[bytes], size: int) -> bytes:
    """Raises LookupError."""
    enough = [data for data in kept if len(data) >= size]
    if not enough:
        raise LookupError("bytes that were received are not there")
    return min(enough, key=len)[:size]
