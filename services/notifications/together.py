"""Look-ups by id that are wanted at the same time go to the store in one query: a batch of events asks for hundreds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from libs.common.mongo import Collection, Document

AT_MOST = 200
"""Ids in one query."""


class Together:
    """One query under way; what is asked for meanwhile goes with the next, so that an answer is never older than
    its question."""

    def __init__(self, collection: Callable[[], Collection], fields: dict[str, int] | None = None) -> None:
        self._collection = collection
        self._fields = fields
        self._waiting: dict[str, list[asyncio.Future[Document | None]]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def get(self, id: str) -> Document | None:
        """The document, as it stood at some instant after this was called. Raises whatever the store raises."""
        found: asyncio.Future[Document | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(id, []).append(found)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        return await found

    async def _read(self) -> None:
        try:
            while self._waiting:
                ids = list(self._waiting)[:AT_MOST]
                await self._answer({id: self._waiting.pop(id) for id in ids})
        finally:
            self._reader = None

    async def _answer(self, asked: dict[str, list[asyncio.Future[Document | None]]]) -> None:
        found: dict[str, Document] = {}
        error: Exception | None = None
        wanted: Any = next(iter(asked)) if len(asked) == 1 else {"$in": list(asked)}
        try:
            documents = await self._collection().find({"_id": wanted}, self._fields).to_list(None)
            found = {document["_id"]: document for document in documents}
        except Exception as raised:
            error = raised
        for id, waiting in asked.items():
            for future in waiting:
                if future.done():
                    continue
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(found.get(id))
