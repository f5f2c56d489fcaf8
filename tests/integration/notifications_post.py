"""What the other services would publish, for the notifications service's tests on the real stack."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer

from deploy.local.inbox import received
from deploy.local.testing import TestStack
from libs.common.clock import machine_now
from libs.common.ids import derive
from libs.common.records import Record, encode
from libs.contracts import grievance, referral, registration
from libs.contracts.event import Event

HERE, THERE = "LA-KGL-CHC-SANKOO", "LA-KGL-DH-KARGIL"
NAMES = {HERE: "CHC Sankoo", THERE: "District Hospital Kargil (Kurbathang)"}
UNSETTLED = ("waiting", "queued", "sending")


def new_id() -> str:
    return str(uuid.uuid4())


def phone() -> str:
    return f"+915550{uuid.uuid4().int % 10**6:06d}"


def facility(code: str, **changed: Any) -> referral.FacilityListed:
    card = {
        "code": code,
        "hip_id": "IN9900000001",
        "name": NAMES.get(code, code),
        "level": "CHC",
        "state_lgd": 37,
        "district_lgd": 6,
        "latitude": 34.3,
        "longitude": 75.9,
        "altitude_m": 2900,
        "beds": 30,
        "desk_email": f"desk.{code.lower()}@hospital.example",
        "officer_email": f"officer.{code.lower()}@hospital.example",
    }
    return referral.FacilityListed(card=card | changed)


def patient(id: str, **changed: Any) -> registration.PatientRegistered:
    card = {"id": id, "name": "Marked Name", "phone": phone(), "language": "ur", "registered_at": HERE}
    return registration.PatientRegistered(card=card | changed)


def contact(id: str, **changed: Any) -> grievance.ContactRecorded:
    return grievance.ContactRecorded(card={"id": id, "name": "Marked Name", "language": "hi"} | changed)


def token(patient: str, number: int = 7) -> registration.TokenIssued:
    now = machine_now()
    return registration.TokenIssued(
        patient=patient,
        facility=HERE,
        counter="OPD1",
        date=now.date(),
        number=number,
        expires_at=now + dt.timedelta(minutes=30),
        door="walk-in",
    )


def requested(patient: str) -> referral.ReferralRequested:
    return referral.ReferralRequested(
        patient=patient, origin=HERE, destination=THERE, service="surgery", urgency="urgent"
    )


def complaint(kind: type[grievance.GrievanceEvent], reporter: dict[str, str], **more: Any) -> grievance.GrievanceEvent:
    return kind(
        ticket="GRV-26-0001",
        category="long-wait",
        about_facility=HERE,
        handled_by=THERE,
        reporter=reporter,
        **more,
    )


class Others:
    """The other services, as far as Kafka sees them."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._sequence = itertools.count(1)

    def record(
        self, event: Event, key: str, *, id: str | None = None, occurred_at: dt.datetime | None = None
    ) -> tuple[str, Record]:
        id = id or new_id()
        entry = {
            "id": id,
            "type": event.TYPE,
            "data": event.model_dump(mode="json"),
            "sequence": next(self._sequence),
            "occurred_at": occurred_at or machine_now(),
            "recorded_at": machine_now(),
            "cause": new_id(),
            "actor": f"desk@{HERE}",
        }
        return id, encode(entry, key, 1)

    async def publish(self, event: Event, key: str, **more: Any) -> str:
        """Returns the event's id."""
        id, record = self.record(event, key, **more)
        await self.send(record)
        return id

    async def send(self, record: Record) -> None:
        await self._producer.send_and_wait(record.topic, record.value, key=record.key, headers=record.headers)


@asynccontextmanager
async def others(stack: TestStack) -> AsyncIterator[Others]:
    producer = AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap, acks="all", linger_ms=0)
    await producer.start()
    try:
        yield Others(producer)
    finally:
        await producer.stop()


class Inboxes:
    """What reached the stand-ins, and faults to plant in them."""

    def __init__(self, stack: TestStack) -> None:
        self._stack = stack
        self.gateway = httpx.AsyncClient(base_url=stack.environment("notifications")["SMS_GATEWAY_URL"])

    def sms(self, reference: str) -> list[dict[str, Any]]:
        return [entry for entry in received(self._stack.inbox / "sms.jsonl") if entry["reference"] == reference]

    def mails(self, reference: str) -> list[dict[str, Any]]:
        wanted = f"<{reference}@hillhealth.example>"
        return [entry for entry in received(self._stack.inbox / "mail.jsonl") if entry["message_id"] == wanted]

    async def plant(self, **faults: dict[str, Any]) -> None:
        (await self.gateway.post("/faults", json=faults)).raise_for_status()

    async def lift(self) -> None:
        await self.gateway.delete("/faults")


class Messages:
    """The service's own store, read."""

    def __init__(self, database: Any) -> None:
        self.database = database

    async def of(self, event: str) -> dict[tuple[str, str], dict[str, Any]]:
        """Messages about an event by (recipient's kind or role, channel)."""
        found = await self.database["messages"].find({"state.event": event}).to_list(None)
        kinds = {document["_id"]: document["state"]["recipient"] for document in found}
        return {
            (kinds[d["_id"]].replace("@", ":").split(":")[0], d["state"]["channel"]): d | {"is": d["state"]["status"]}
            for d in found
        }

    async def settled(self, event: str, count: int, seconds: float = 15) -> dict[tuple[str, str], dict[str, Any]]:
        """The same, once there are `count` and none is under way."""

        async def done() -> dict[tuple[str, str], dict[str, Any]] | None:
            found = await self.of(event)
            under_way = any(document["is"] in UNSETTLED for document in found.values())
            return found if len(found) >= count and not under_way else None

        return await eventually(done, seconds)

    async def count(self) -> int:
        return int(await self.database["messages"].count_documents({}))


async def registered(world: Others, messages: Messages, **changed: Any) -> str:
    """A patient whose card is known, and who has been told so."""
    who = new_id()
    event = await world.publish(patient(who, **changed), who)
    await messages.settled(event, 1 if changed.get("phone", "") is None else 2)
    return who


async def eventually(check: Callable[[], Awaitable[Any]], seconds: float = 15) -> Any:
    """Awaits a truth. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (found := await check()):  # noqa: ASYNC110 (another process makes it true)
            await asyncio.sleep(0.02)
    return found


def message_id(event: str, recipient: str, channel: str) -> str:
    return derive(event, recipient, channel)


def types(document: dict[str, Any]) -> list[str]:
    return [entry["type"].removeprefix("notifications.").removesuffix(".v1") for entry in document["journal"]]
