"""In whose journal a request's key stands already: asked in one question for all who ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from libs.common.mongo import Database
from libs.common.together import Together


class Holders:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._together: Together[str, str | None] = Together(self._find)

    def of(self, collection: str, cause: str) -> asyncio.Future[str | None]:
        """The id of the aggregate that it acted on; None if it acted on none."""
        return self._together.one(collection, cause)

    async def _find(self, collection: str, causes: list[str]) -> Sequence[str | None]:
        found = self._database[collection].find({"journal.cause": {"$in": causes}}, {"journal.cause": 1})
        holders = {
            entry["cause"]: document["_id"] for document in await found.to_list(None) for entry in document["journal"]
        }
        return [holders.get(cause) for cause in causes]
