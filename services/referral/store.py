"""Collections, indexes and queries."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from libs.common.access import Access
from libs.common.aggregate import AggregateType
from libs.common.mongo import Database, Document
from libs.common.paging import page
from libs.contracts import referral as contract
from libs.contracts.referral import FacilityCard
from services.referral.domain import facility, referral
from services.referral.domain.events import EVENTS

REFERRAL = AggregateType(
    name="referral",
    collection="referrals",
    state=referral.Referral,
    events=EVENTS,
    evolve=referral.evolve,
    topic=contract.REFERRAL,
    due=referral.due,
    indexes=(
        ("state.origin", "state.status", "state.requested_at", "_id"),
        ("state.destination", "state.status", "state.requested_at", "_id"),
        ("state.origin", "state.requested_at", "_id"),
        ("state.destination", "state.requested_at", "_id"),
        ("state.escalated_at", "state.status", "state.requested_at", "_id"),
        ("state.patient",),
    ),
)

FACILITY = AggregateType(
    name="facility",
    collection="facilities",
    state=facility.Facility,
    events=facility.EVENTS,
    evolve=facility.evolve,
    topic=contract.FACILITY,
    indexes=(("state.card.state_lgd", "_id"), ("state.card.level", "_id"), ("state.card.services", "_id")),
)

DIRECTORY_FRESH_SECONDS = 5.0

Box = Literal["sent", "received", "escalated"]
_END = {"sent": "origin", "received": "destination", "escalated": "escalated_at"}


async def worklist(
    database: Database, access: Access, box: Box, status: str | None, cursor: str | None, limit: int
) -> tuple[list[Document], str | None]:
    """What the caller's facility sent, received or was told of too late, oldest first, and the next page's cursor."""
    # One end at a time: the rule as it stands would ask for either, which no index answers in order.
    one_end = dataclasses.replace(access, rule=dataclasses.replace(access.rule, at=(_END[box],)))
    wanted = one_end.filter() | ({"state.status": status} if status else {})
    return await page(database[REFERRAL.collection], wanted, sort="state.requested_at", limit=limit, cursor=cursor)


class Directory:
    """Every facility's card, as it stood a few seconds ago at most: for ranking, not for rules."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cards: dict[str, FacilityCard] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def cards(self) -> Mapping[str, FacilityCard]:
        async with self._reading:
            if time.monotonic() - self._read_at > DIRECTORY_FRESH_SECONDS:
                documents = await self._database[FACILITY.collection].find({}, {"state.card": 1}).to_list(None)
                self._cards = {d["_id"]: FacilityCard.model_validate(d["state"]["card"]) for d in documents}
                self._read_at = time.monotonic()
            return self._cards


async def facilities(
    database: Database,
    access: Access,
    *,
    state_lgd: int | None,
    level: str | None,
    service: str | None,
    cursor: str | None,
    limit: int,
) -> tuple[list[Document], str | None]:
    """The directory by code."""
    wanted: dict[str, Any] = {
        "state.card.state_lgd": state_lgd,
        "state.card.level": level,
        "state.card.services": service,
    }
    asked = {path: value for path, value in wanted.items() if value is not None}
    return await page(
        database[FACILITY.collection], access.filter() | asked, sort="state.card.code", limit=limit, cursor=cursor
    )


async def facility_card(database: Database, code: str) -> FacilityCard | None:
    """The card of this facility, if the directory has it."""
    found = await database[FACILITY.collection].find_one({"_id": code}, {"state.card": 1})
    return FacilityCard.model_validate(found["state"]["card"]) if found else None


async def is_offered(database: Database, service: str) -> bool:
    """Whether any facility offers this service."""
    return await database[FACILITY.collection].find_one({"state.card.services": service}, {"_id": 1}) is not None


async def of_patient(database: Database, patient: str) -> list[str]:
    """Ids of every referral of this patient."""
    found = await database[REFERRAL.collection].find({"state.patient": patient}, {"_id": 1}).to_list(None)
    return [document["_id"] for document in found]


async def sources(database: Database) -> dict[str, tuple[str, int]]:
    """Of each facility the hash of the row it was last taken from, and its version."""
    found: Sequence[Document] = (
        await database[FACILITY.collection].find({}, {"state.source": 1, "version": 1}).to_list(None)
    )
    return {document["_id"]: (document["state"].get("source", ""), document["version"]) for document in found}
