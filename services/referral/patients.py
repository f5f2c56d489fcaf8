"""What this service knows of a patient: its own replica of registration's cards, newest as they arrive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from libs.common.mongo import Document
from libs.common.one_person import FOLLOWED, one_person
from libs.common.records import Received
from libs.common.replica import Replica
from libs.contracts.registration import PatientCard


@dataclass(frozen=True)
class NotYetKnown:
    """The card has not arrived; it will."""


@dataclass(frozen=True)
class Withdrawn:
    """The record was entered in error, or erased: nobody is to be shown."""


Patient = PatientCard | NotYetKnown | Withdrawn


class Patients:
    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    async def erased(self, id: str) -> bool:
        return await self._replica.erased(id)

    async def bury(self, erasure: Received) -> None:
        """Takes an erasure in at once, whichever subscription sees it first."""
        await self._replica.apply([erasure])

    async def get(self, id: str) -> Patient:
        return (await self.get_many([id]))[id]

    async def get_many(self, ids: Sequence[str]) -> dict[str, Patient]:
        """Meant for a page's worth of ids. Who was merged into another record is shown as that one."""
        held = await self._held(dict.fromkeys(ids))
        found: dict[str, Document | None] = {id: held.get(id) for id in ids}
        for _ in range(FOLLOWED):
            behind = {id: into for id, document in found.items() if (into := _merged_into(document)) is not None}
            if not behind:
                break
            held = await self._held(dict.fromkeys(behind.values()))
            found |= {id: held.get(into) for id, into in behind.items()}
        return {id: _read(document) for id, document in found.items()}

    async def merged_into(self, id: str) -> list[str]:
        """The records that were merged into this one."""
        found = self._replica.collection.find({"card.merged_into": id}, {"_id": 1})
        return [document["_id"] for document in await found.to_list(None)]

    async def same_person(self, id: str) -> tuple[str, ...]:
        """Every record of the person whose record this is or was: the one that lives on first."""

        async def into(record: str) -> str | None:
            found = await self._replica.collection.find_one({"_id": record}, {"card.merged_into": 1})
            return _merged_into(found)

        return await one_person(id, into, self.merged_into)

    async def _held(self, ids: Iterable[str]) -> dict[str, Document]:
        asked = list(ids)
        wanted: Document = {"_id": asked[0]} if len(asked) == 1 else {"_id": {"$in": asked}}
        found = await self._replica.collection.find(wanted, {"card": 1, "grave": 1}).to_list(None)
        return {document["_id"]: document for document in found}


def _merged_into(document: Document | None) -> str | None:
    card = (document or {}).get("card")
    return card.get("merged_into") if card else None


def _read(document: Document | None) -> Patient:
    if document is None:
        return NotYetKnown()
    if document.get("grave") or document.get("card") is None:
        return Withdrawn()
    known = PatientCard.model_validate(document["card"])
    return known if known.status == "active" else Withdrawn()
