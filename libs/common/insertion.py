"""New documents that wait at the same time go to the store in one bulk write."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from libs.common.mongo import DUPLICATE_KEY, BulkWriteError, Database, Document, DuplicateKey, InsertOne

AT_MOST = 500
"""Documents in one bulk write."""


class Insertions:
    """One write under way per collection; what arrives meanwhile goes with the next."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, list[tuple[Document, asyncio.Future[None]]]] = defaultdict(list)
        self._writers: dict[str, asyncio.Task[None]] = {}

    async def insert(self, collection: str, document: Document) -> None:
        """Returns once it is durable. Raises DuplicateKey, and whatever the store raises."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[collection].append((document, written))
        if collection not in self._writers:
            self._writers[collection] = asyncio.create_task(self._write(collection))
        await written

    async def _write(self, collection: str) -> None:
        try:
            while waiting := self._waiting[collection][:AT_MOST]:
                del self._waiting[collection][:AT_MOST]
                await self._write_together(collection, waiting)
        finally:
            del self._writers[collection]

    async def _write_together(self, collection: str, waiting: list[tuple[Document, asyncio.Future[None]]]) -> None:
        errors: dict[int, Exception] = {}
        try:
            await self._database[collection].bulk_write([InsertOne(document) for document, _ in waiting], ordered=False)
        except BulkWriteError as error:
            for failed in (error.details or {}).get("writeErrors", ()):
                duplicate = failed["code"] == DUPLICATE_KEY
                errors[failed["index"]] = DuplicateKey("duplicate key", DUPLICATE_KEY) if duplicate else error
            if (error.details or {}).get("writeConcernErrors"):
                # Written, perhaps, but not known to be durable: a retry finds out.
                errors = {index: errors.get(index, error) for index in range(len(waiting))}
        except Exception as error:
            errors = dict.fromkeys(range(len(waiting)), error)
        for index, (_, written) in enumerate(waiting):
            if written.done():
                continue
            if index in errors:
                written.set_exception(errors[index])
            else:
                written.set_result(None)
