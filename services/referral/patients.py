"""What this service knows of a patient: its own replica of registration's cards, newest as they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
        card = await self._replica.get(id)
        return _patient(card, card is None and await self._replica.erased(id))

    async def get_many(self, ids: Sequence[str]) -> dict[str, Patient]:
        """Meant for a page's worth of ids."""
        asked = list(dict.fromkeys(ids))
        found = await self._replica.collection.find({"_id": {"$in": asked}}, {"card": 1, "grave": 1}).to_list(None)
        known = {each["_id"]: _patient(each.get("card"), bool(each.get("grave"))) for each in found}
        return {id: known.get(id, NotYetKnown()) for id in asked}


def _patient(card: dict[str, Any] | None, erased: bool) -> Patient:
    if card is None:
        return Withdrawn() if erased else NotYetKnown()
    known = PatientCard.model_validate(card)
    return known if known.status == "active" else Withdrawn()
