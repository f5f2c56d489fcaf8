"""Patients put into a store in bulk, as the journal would have written them."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import uuid
from collections.abc import Sequence
from typing import Any

from bench.people import FACILITY, person
from libs.common.access import SYSTEM
from libs.common.aggregate import AggregateType
from libs.common.cause import Cause
from libs.common.clock import Clock, machine_now
from libs.common.journal import Journal
from libs.common.metrics import Metrics
from libs.common.mongo import Database, UpdateOne
from services.registration.aggregates import PATIENT
from services.registration.domain import patient
from services.registration.places import read_places

AT_ONCE = 1000


async def fill(database: Database, count: int, seed: str) -> None:
    """Registers `count` people through the journal itself, many at a time."""
    journal, places, chance = Journal(database, Clock(), Metrics()), read_places(), random.Random(seed)
    today = dt.date(2026, 11, 20)

    async def one() -> None:
        body = person(chance)
        cause = Cause(str(uuid.UUID(int=chance.getrandbits(128))), f"desk@{FACILITY}", machine_now())
        details = patient.Details.model_validate(body)
        command = patient.Register(patient.new_card(cause.new_id("patient"), details, FACILITY, today, places))
        await journal.create(
            PATIENT, command.card.id, lambda state: patient.decide(state, command, places), cause, SYSTEM
        )

    for start in range(0, count, AT_ONCE):
        await asyncio.gather(*(one() for _ in range(min(AT_ONCE, count - start))))


async def published(database: Database, kind: AggregateType[Any]) -> None:
    """Marks everything as published, as the relay would."""
    collection = database[kind.collection]
    pending = collection.find({"pending_since": {"$lte": machine_now()}}, {"_id": 1})
    ids = [document["_id"] async for document in pending]
    for start in range(0, len(ids), AT_ONCE):
        some = {"_id": {"$in": ids[start : start + AT_ONCE]}}
        await collection.update_many(some, [{"$set": {"published": "$sequence"}}, {"$unset": "pending_since"}])


async def planned(database: Database, kind: AggregateType[Any]) -> None:
    """Has the store plan one question: secantusd-rs reads a whole collection before it plans its first one, and when
    sixteen come first, each of them reads it, for longer than a service waits."""
    collection = database[kind.collection]
    await database.command("explain", {"find": collection.name, "filter": {"_id": ""}})


async def pend(database: Database, kind: AggregateType[Any]) -> Sequence[str]:
    """Makes everything pending again; returns the ids."""
    collection = database[kind.collection]
    await collection.update_many({}, {"$set": {"published": 0, "pending_since": machine_now()}})
    return [document["_id"] async for document in collection.find({}, {"_id": 1})]


def marks(ids: Sequence[str], last: int) -> list[UpdateOne]:
    """The relay's marks as a bulk write would have them, one statement for each aggregate."""
    return [
        UpdateOne({"_id": id, "sequence": last}, {"$max": {"published": last}, "$unset": {"pending_since": ""}})
        for id in ids
    ]
