"""The same endpoint as its rivals would build it: same server, validation, authorisation, indexes, producer settings.

python -m bench.rivals naive           insert, then produce and wait for the acknowledgement; can lose events
python -m bench.rivals transactional   a multi-document transaction with an outbox row, and a batching relay

They answer what ours answers, with who this may already be; `unmatched` after the kind leaves that look out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import uuid
from typing import Any

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import APIRouter

from libs.common import background, interpreter
from libs.common.mongo import ASCENDING, Database, IndexModel
from libs.common.records import iso
from libs.common.service import Service
from libs.common.web import Requested
from libs.contracts.registration import PATIENT as TOPIC
from services.registration.access import ACCESS
from services.registration.aggregates import PATIENT
from services.registration.api import RegisterPatient
from services.registration.domain import patient
from services.registration.domain.queue import desk_day
from services.registration.domain.review import Candidate, MatchesNoted
from services.registration.matching import KnownPeople
from services.registration.places import read_places
from services.registration.settings import Settings

RELAY_BATCH = 500


class Rival:
    """Registers a person in its own way; answers like ours."""

    def __init__(self, database: Database, bootstrap: str) -> None:
        self.people = database["rival_patients"]
        self.outbox = database["rival_outbox"]
        self.client = database.client
        self._bootstrap = bootstrap
        self.producer: AIOKafkaProducer

    async def start(self) -> None:
        indexes = [IndexModel([(path, ASCENDING) for path in paths]) for paths in PATIENT.indexes]
        indexes.append(IndexModel([("claims", ASCENDING)], unique=True, sparse=True))
        await self.people.create_indexes(indexes)
        await self.outbox.create_indexes([IndexModel([("at", ASCENDING)])])
        self.producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True, linger_ms=0, max_batch_size=1 << 20
        )
        await self.producer.start()

    async def stop(self) -> None:
        await self.producer.stop()

    async def register(self, person: dict[str, Any], event: dict[str, Any]) -> None:
        raise NotImplementedError

    async def send(self, event: dict[str, Any]) -> asyncio.Future[Any]:
        headers = [("ce_id", event["_id"].encode()), ("ce_type", event["type"].encode())]
        value = json.dumps(event["data"], ensure_ascii=False).encode()
        sent: asyncio.Future[Any] = await self.producer.send(TOPIC.name, value, event["key"].encode(), headers=headers)
        return sent


class Naive(Rival):
    async def register(self, person: dict[str, Any], event: dict[str, Any]) -> None:
        await self.people.insert_one(person)
        await (await self.send(event))


class Transactional(Rival):
    async def start(self) -> None:
        await super().start()
        self._wake = asyncio.Event()
        self._relaying = asyncio.create_task(self._relay())

    async def stop(self) -> None:
        await background.end(self._relaying)
        await super().stop()

    async def register(self, person: dict[str, Any], event: dict[str, Any]) -> None:
        async def both(session: Any) -> None:
            await self.people.insert_one(person, session=session)
            await self.outbox.insert_one(event, session=session)

        async with self.client.start_session() as session:
            # Tries again at a write conflict, as the driver's manual asks.
            await session.with_transaction(both)
        self._wake.set()

    async def _relay(self) -> None:
        """Oldest first, in batches; sent and acknowledged, then deleted in one bulk write."""
        while True:
            rows = await self.outbox.find().sort("at", ASCENDING).limit(RELAY_BATCH).to_list(RELAY_BATCH)
            if not rows:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), 1)
                continue
            await asyncio.gather(*[await self.send(row) for row in rows])
            await self.outbox.delete_many({"_id": {"$in": [row["_id"] for row in rows]}})


KINDS: dict[str, type[Rival]] = {"naive": Naive, "transactional": Transactional}


def create_app(kind: str, unmatched: bool) -> Any:
    settings = Settings()
    table = {"POST /patients": ACCESS["POST /patients"]}
    service = Service("registration", settings, kinds=(), access=table, about=f"the {kind} rival")
    rival = KINDS[kind](service.database, settings.kafka_bootstrap)
    places = read_places()
    known = KnownPeople(rival.people)
    routes = APIRouter()

    @routes.post("/patients", status_code=201)
    async def register(body: RegisterPatient, request: Requested) -> dict[str, Any]:
        details = patient.Details.model_validate(body.model_dump(include=set(patient.Details.model_fields)))
        id, day = str(uuid.uuid4()), desk_day(request.cause.occurred_at)
        entered = patient.new_card(id, details, request.caller.facility, day, places)
        found: list[Candidate] = []
        if not unmatched:
            found, _ = await known.candidates(id, entered.model_dump(mode="json"))
        noted = MatchesNoted(candidates=tuple(found)) if found else None
        events = patient.decide(None, patient.Register(entered, noted), places)
        state = None
        for event in events:
            state = patient.evolve(state, event)
        assert state is not None
        request.access.check(state.model_dump(mode="json"))
        card: dict[str, Any] = state.card.model_dump(mode="json")
        document: dict[str, Any] = {"_id": id, "state": state.model_dump(mode="json")}
        if claims := list(patient.claims(state)):
            document["claims"] = claims
        row = {
            "_id": str(uuid.uuid4()),
            "key": id,
            "type": events[0].TYPE,
            "data": events[0].model_dump(mode="json"),
            "at": iso(request.sent),
        }
        await rival.register(document, row)
        return card | {"id": id, "matches": [one.model_dump(mode="json") for one in found]}

    service.include(routes)
    service.on_start(rival.start)
    service.on_stop(rival.stop)
    return service.app


if __name__ == "__main__":
    app = create_app(sys.argv[1], "unmatched" in sys.argv[2:])
    told: Settings = app.state.service.settings
    interpreter.prepare()
    uvicorn.run(app, host=told.host, port=told.port, log_config=None, access_log=False, loop="uvloop", http="httptools")
