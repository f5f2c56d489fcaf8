"""Documents by id that are wanted at the same time go in one query: a batch of events asks for hundreds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from libs.common.mongo import Collection, Document
from libs.common.together import Together


class Lookup:
    def __init__(self, collection: Collection, fields: dict[str, int]) -> None:
        self._collection = collection
        self._fields = fields
        self._together: Together[str, Document | None] = Together(self._find)

    def get(self, id: str) -> asyncio.Future[Document | None]:
        """The document, as it stood at some instant after this was called, or whatever the store raises."""
        return self._together.one(self._collection.name, id)

    async def _find(self, _: str, ids: list[str]) -> Sequence[Document | None]:
        wanted: Any = ids[0] if len(ids) == 1 else {"$in": list(dict.fromkeys(ids))}
        documents = await self._collection.find({"_id": wanted}, self._fields).to_list(None)
        found = {document["_id"]: document for document in documents}
        return [found.get(id) for id in ids]
