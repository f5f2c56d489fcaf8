"""Documents that are written at the same time go to the store in one bulk write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from libs.common.mongo import (
    DUPLICATE_KEY,
    BulkWriteError,
    Database,
    Document,
    DuplicateKey,
    InsertOne,
    UpdateOne,
    WriteError,
    WTimeout,
)
from libs.common.together import Together


@dataclass(frozen=True)
class Guarded:
    """A change of one aggregate as it stood at `version`; the first entry that it adds to the journal says `write`.

    An entry's id would not do: another process that acts for the same cause writes the same.
    """

    id: str
    version: int
    change: Document
    write: str


class Writes:
    """Inserts and guarded updates, durable when they return."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insertions: Together[Document, None] = Together(self._insert)
        self._updates: Together[Guarded, bool] = Together(self._update)

    async def insert(self, collection: str, document: Document) -> None:
        """Raises DuplicateKey, and whatever the store raises."""
        await self._insertions.one(collection, document)

    async def update(self, collection: str, guarded: Guarded) -> bool:
        """False if somebody else wrote first. Raises DuplicateKey, and whatever the store raises."""
        return await self._updates.one(collection, guarded)

    async def _insert(self, collection: str, documents: list[Document]) -> Sequence[Exception | None]:
        _, errors = await self._write(collection, [InsertOne(document) for document in documents])
        return [errors.get(index) for index in range(len(documents))]

    async def _update(self, collection: str, updates: list[Guarded]) -> Sequence[bool | Exception]:
        matched, errors = await self._write(
            collection, [UpdateOne({"_id": each.id, "version": each.version}, each.change) for each in updates]
        )
        if matched + len(errors) == len(updates):
            return [errors.get(index, True) for index in range(len(updates))]
        # The answer to a bulk write says how many it found, not which.
        ids = [each.id for index, each in enumerate(updates) if index not in errors]
        found = await self._database[collection].find({"_id": {"$in": ids}}, {"journal.write": 1}).to_list(None)
        written = {(document["_id"], entry.get("write")) for document in found for entry in document["journal"]}
        return [errors.get(index, (each.id, each.write) in written) for index, each in enumerate(updates)]

    async def _write(self, collection: str, writes: Sequence[Any]) -> tuple[int, dict[int, Exception]]:
        """How many documents an update found, and what went wrong by position."""
        errors: dict[int, Exception] = {}
        try:
            result = await self._database[collection].bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            # Of each its own, and without the document that the driver puts into its error.
            for failed in details.get("writeErrors", ()):
                code = failed["code"]
                kind = DuplicateKey if code == DUPLICATE_KEY else WriteError
                errors[failed["index"]] = kind(f"a write failed with {code}", code)
            if details.get("writeConcernErrors"):
                # Written, perhaps, but not known to be durable: a retry finds out.
                errors = {index: errors.get(index, WTimeout("not durable yet")) for index in range(len(writes))}
            return details.get("nMatched", 0), errors
        return result.matched_count, errors
