"""Reads the four services' databases: every collection once, in bulk."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from tools.checking.expected import AGGREGATES, CLOSED_DEAD_LETTER, REPLICAS
from tools.checking.reaching import PerService
from tools.checking.reaching import connect as connect
from tools.checking.world import Aggregate, Entry, Place, Replica, World

Document = dict[str, Any]
BATCH = 2000


def read_stores(client: MongoClient[Document] | PerService, prefix: str, world: World) -> None:
    for service, collections in AGGREGATES.items():
        database = client[prefix + service]
        for collection in collections:
            world.aggregates[(service, collection)] = _aggregates(database, (service, collection))
        for document in database["dead_letters"].find({}, {"status": 1, "state": 1}, batch_size=BATCH):
            status = document.get("status") or document.get("state")
            if not (isinstance(status, str) and status in CLOSED_DEAD_LETTER):
                world.dead_letters.append((service, str(document["_id"])))
    for service, name in REPLICAS:
        found = client[prefix + service][name].find({}, batch_size=BATCH)
        world.replicas[(service, name)] = {str(d["_id"]): to_replica(service, name, d) for d in found}


def _aggregates(database: Database[Document], place: Place) -> dict[str, Aggregate]:
    past: dict[str, list[tuple[int, Document]]] = defaultdict(list)
    for kept in database[f"{place[1]}_archive"].find({}, batch_size=BATCH):
        past[str(kept["aggregate"])].append((int(kept.get("position", 0)), kept["entry"]))
    found = database[place[1]].find({}, {"state": 1, "journal": 1, "sequence": 1}, batch_size=BATCH)
    return {str(document["_id"]): to_aggregate(place, document, past) for document in found}


def to_aggregate(place: Place, document: Document, past: dict[str, list[tuple[int, Document]]]) -> Aggregate:
    id = str(document["_id"])
    journal = [entry for _, entry in sorted(past.get(id, ()), key=lambda kept: kept[0])]
    kept = {entry["id"] for entry in journal}
    # Copied first, trimmed after: between the two an entry stands in both, which is not a repeat.
    journal += [entry for entry in document.get("journal", ()) if entry["id"] not in kept]
    return Aggregate(
        place=place,
        id=id,
        state=document.get("state") or {},
        entries=tuple(_entry(place, id, entry) for entry in journal),
        sequence=int(document.get("sequence", 0)),
    )


def _entry(place: Place, aggregate: str, entry: Document) -> Entry:
    return Entry(
        place=place,
        aggregate=aggregate,
        id=str(entry["id"]),
        type=str(entry["type"]),
        data=entry.get("data") or {},
        sequence=entry.get("sequence"),
        key=entry.get("key"),
        cause=str(entry.get("cause", "")),
        occurred_at=entry.get("occurred_at"),
    )


def to_replica(service: str, name: str, document: Document) -> Replica:
    return Replica(
        service=service,
        name=name,
        id=str(document["_id"]),
        sequence=int(document.get("sequence", 0)),
        card=document.get("card") or {},
        grave=bool(document.get("grave")),
    )
