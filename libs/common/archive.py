"""The published past of an aggregate that no longer fits well in its document: `<collection>_archive`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libs.common.mongo import Collection, Database, Document, UpdateOne

ABOVE = 200
"""Entries kept in a document before its published past moves to the archive."""


class Archive:
    """One copy for each entry that left its document, by position."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _copies(self, collection: str) -> Collection:
        return self._database[f"{collection}_archive"]

    async def holds(self, collection: str, id: str, cause: str) -> bool:
        return await self._copies(collection).find_one({"aggregate": id, "cause": cause}, {"_id": 1}) is not None

    async def entries(self, collection: str, document: Document) -> list[Document]:
        """Those that the document no longer holds: a copy that was not yet followed by its trimming does not count."""
        past = await self._copies(collection).find({"aggregate": document["_id"]}).to_list(None)
        trimmed = [copy for copy in past if copy["position"] < document.get("archived", 0)]
        return [copy["entry"] for copy in sorted(trimmed, key=lambda copy: copy["position"])]

    async def move(self, collection: str, document: Document) -> bool:
        """Copied first, trimmed after, guarded by version; False if somebody else wrote meanwhile."""
        journal, already = document["journal"], document.get("archived", 0)
        keep_from = _published_past(document)
        if keep_from == 0:
            return True
        copies = [
            {
                "_id": entry["id"],
                "aggregate": document["_id"],
                "position": position,
                "cause": entry["cause"],
                "entry": entry,
            }
            for position, entry in enumerate(journal[:keep_from], already)
        ]
        await self._copies(collection).bulk_write(
            [UpdateOne({"_id": copy["_id"]}, {"$set": copy}, upsert=True) for copy in copies], ordered=False
        )
        version = document["version"]
        trimmed = await self._database[collection].update_one(
            {"_id": document["_id"], "version": version},
            {"$set": {"journal": journal[keep_from:], "archived": already + keep_from, "version": version + 1}},
        )
        return bool(trimmed.matched_count)

    async def redact(self, collection: str, id: str, redacted: Callable[[Document], Any]) -> None:
        """Every copy, also one that a crash left behind before its trimming."""
        copies = self._copies(collection)
        async for copy in copies.find({"aggregate": id}):
            await copies.update_one({"_id": copy["_id"]}, {"$set": {"entry": redacted(copy["entry"])}})


def _published_past(document: Document) -> int:
    """How many of the oldest entries may leave the document: published, not among the newest, no cause cut in two."""
    journal, end = document["journal"], 0
    while end < len(journal) - ABOVE // 4 and journal[end].get("sequence", 0) <= document["published"]:
        end += 1
    while 0 < end < len(journal) and journal[end]["cause"] == journal[end - 1]["cause"]:
        end -= 1
    return end
