"""Which records are one person: a record, what it was merged into, and what else was merged into that.

Read from the replica of the patients' cards at each question, so that an unmerged record stands by itself again.
"""

from __future__ import annotations

import time
from typing import Any

from libs.common.mongo import Collection
from libs.common.one_person import one_person

NONE_BELIEVED_SECONDS = 60.0
"""How long it is believed that nobody was ever merged, where no merge was seen to come."""


class Merges:
    def __init__(self, patients: Collection) -> None:
        self._patients = patients
        self._none_until = 0.0
        self._some = False

    def saw(self) -> None:
        """A merge came: from now on it is asked for."""
        self._some = True

    async def same_person(self, patient: str) -> tuple[str, ...]:
        """Ids of the records of one person: the one that lives on first, `patient` itself always among them."""
        if await self._none():
            return (patient,)
        return await one_person(patient, self._into, self._parts)

    async def _into(self, patient: str) -> str | None:
        found: Any = await self._patients.find_one({"_id": patient}, {"card.merged_into": 1})
        return ((found or {}).get("card") or {}).get("merged_into")

    async def _parts(self, patient: str) -> list[str]:
        return [found["_id"] async for found in self._patients.find({"card.merged_into": patient}, {"_id": 1})]

    async def _none(self) -> bool:
        now = time.monotonic()
        if not self._some and now >= self._none_until:
            self._some = await self._patients.find_one({"card.merged_into": {"$gt": ""}}, {"_id": 1}) is not None
            self._none_until = now + NONE_BELIEVED_SECONDS
        return not self._some
