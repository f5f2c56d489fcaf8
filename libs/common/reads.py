"""Whose the keys of commands are that come at the same time is asked in one question, beside their documents."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from libs.common.mongo import Database, Document
from libs.common.together import Together


class Found(NamedTuple):
    """`document` None: there is none. `holders`: in whose journal a cause that was asked for stands already."""

    document: Document | None
    holders: Mapping[str, str]


class _Question(NamedTuple):
    id: str
    causes: tuple[str, ...]


class Reads:
    """Documents by id, for reading only: who asks for the same at the same time may be given the same."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._together: Together[_Question, Found] = Together(self._find)

    async def one(self, collection: str, id: str, causes: tuple[str, ...] = ()) -> Found:
        return await self._together.one(collection, _Question(id, causes))

    async def _find(self, collection: str, questions: list[_Question]) -> Sequence[Found]:
        causes = [cause for question in questions for cause in question.causes]
        documents, holders = await asyncio.gather(
            self._documents(collection, [question.id for question in questions]),
            self._holders(collection, causes),
        )
        return [Found(documents.get(question.id), holders) for question in questions]

    async def _documents(self, collection: str, ids: list[str]) -> dict[str, Document]:
        """One by one: of several ids at once, one of our stores reads a whole collection before its first answer."""
        found = await asyncio.gather(*(self._database[collection].find_one({"_id": id}) for id in dict.fromkeys(ids)))
        return {document["_id"]: document for document in found if document is not None}

    async def _holders(self, collection: str, causes: list[str]) -> dict[str, str]:
        if not causes:
            return {}
        found = self._database[collection].find({"journal.cause": {"$in": causes}}, {"journal.cause": 1})
        return {
            entry["cause"]: document["_id"] for document in await found.to_list(None) for entry in document["journal"]
        }
