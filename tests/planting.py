"""A small consistent world as four services would leave it, built without any of their code, to plant faults in."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import MongoClient

NOON = dt.datetime(2026, 11, 20, 6, 30, tzinfo=dt.UTC)
STARTED = dt.datetime(2026, 11, 20, 6, 0, tzinfo=dt.UTC)
TOPICS = {
    ("registration", "patients"): "registration.patient.v1",
    ("registration", "visits"): "registration.visit.v1",
    ("referral", "facilities"): "referral.facility.v1",
    ("referral", "referrals"): "referral.referral.v1",
    ("grievance", "grievances"): "grievance.grievance.v1",
    ("grievance", "contacts"): "grievance.contact.v1",
    ("notifications", "messages"): "notifications.message.v1",
}
PRIVATE = {"TokenTaken", "TokenRepeated", "ShareReceived", "Acknowledged", "MessageRendered", "ShareErased"}
Doc = dict[str, Any]


def id_of(*parts: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(str(part) for part in parts)))


@dataclass
class Sent:
    """One Kafka record to be written; `value` None is a tombstone."""

    topic: str
    key: str
    id: str
    type: str
    sequence: int
    value: Doc | None


@dataclass
class Made:
    stores: dict[tuple[str, str], dict[str, Doc]] = field(default_factory=dict)
    records: list[Sent] = field(default_factory=list)
    sms: list[Doc] = field(default_factory=list)
    mails: list[Doc] = field(default_factory=list)
    on_shares: list[Doc] = field(default_factory=list)
    lines: list[Doc] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)
    extra: list[tuple[str, str, Doc]] = field(default_factory=list)

    def doc(self, service: str, collection: str, id: str) -> Doc:
        return self.stores[(service, collection)][id]

    def drop_record(self, id: str) -> Sent:
        found = next(record for record in self.records if record.id == id)
        self.records.remove(found)
        return found

    def happen(self, service: str, collection: str, id: str, name: str, data: Doc, key: str | None = None) -> str:
        """Appends one event to an aggregate's journal, and to its topic unless it is private. Returns its id."""
        documents = self.stores.setdefault((service, collection), {})
        document = documents.setdefault(
            id, {"_id": id, "version": 0, "sequence": 0, "published": 0, "state": {}, "journal": []}
        )
        topic = TOPICS.get((service, collection))
        public = topic is not None and name not in PRIVATE
        event = id_of(id, document["version"], name)
        entry: Doc = {
            "id": event,
            "type": f"{service}.{name}.v1" if public else name,
            "data": data,
            "occurred_at": NOON + dt.timedelta(minutes=len(documents)),
            "recorded_at": NOON,
            "cause": id_of("cause", key or event),
            "actor": "desk@F1",
        }
        if key:
            entry["key"] = key
        if public:
            assert topic is not None
            document["sequence"] += 1
            document["published"] += 1
            entry["sequence"] = document["sequence"]
            value = None if name in ("PatientErased", "ContactErased") else data
            self.records.append(Sent(topic, id, event, entry["type"], entry["sequence"], value))
        document["journal"].append(entry)
        document["version"] += 1
        return event

    def state(self, service: str, collection: str, id: str, **state: Any) -> None:
        self.doc(service, collection, id)["state"].update(state)

    def copy_card(self, service: str, collection: str, id: str, card: Doc | None, *readers: str) -> None:
        """The newest card in each reader's replica, or a grave."""
        sequence = self.doc(service, collection, id)["sequence"]
        for reader in readers:
            replica: Doc = {"_id": id, "epoch": 1, "sequence": sequence}
            replica |= {"card": card} if card is not None else {"grave": True}
            self.stores.setdefault((reader, collection), {})[id] = replica

    def patient(self, name: str, key: str, phone: str | None = None, address: str | None = None) -> str:
        id = id_of("patient", name)
        card = {"id": id, "name": "Made Up", "phone": phone, "abha_address": address, "registered_at": "F1"}
        event = self.happen("registration", "patients", id, "PatientRegistered", {"card": card}, key)
        self.state("registration", "patients", id, card=card)
        self.copy_card("registration", "patients", id, card, "referral", "notifications")
        self.tell(event, f"patient:{id}", "in-app", *(["sms"] if phone else []))
        return id

    def correct(self, id: str, **change: Any) -> str:
        card = self.doc("registration", "patients", id)["state"]["card"] | change
        event = self.happen("registration", "patients", id, "PatientCorrected", {"card": card})
        self.state("registration", "patients", id, card=card)
        self.copy_card("registration", "patients", id, card, "referral", "notifications")
        return event

    def facility(self, code: str, hip_id: str, **card: Any) -> None:
        card = {"code": code, "hip_id": hip_id} | card
        self.happen("referral", "facilities", code, "FacilityListed", {"card": card})
        self.state("referral", "facilities", code, card=card)
        self.copy_card("referral", "facilities", code, card, "registration", "grievance", "notifications")

    def take(self, number: int, key: str, counter: str = "OPD1") -> None:
        queue = id_of("queue", counter)
        data = {"number": number, "facility": "F1", "counter": counter, "date": "2026-11-20"}
        self.happen("registration", "queues", queue, "TokenTaken", data, key)
        self.state("registration", "queues", queue, facility="F1", counter=counter, date="2026-11-20")

    def visit(
        self,
        patient: str,
        number: int,
        key: str,
        *,
        phone: bool,
        door: str = "walk-in",
        counter: str = "OPD1",
        name: str = "",
    ) -> str:
        id = id_of("visit", key, number, name)
        data = {
            "patient": patient,
            "facility": "F1",
            "counter": counter,
            "date": "2026-11-20",
            "number": number,
            "expires_at": "2026-11-20T07:30:00.000Z",
            "door": door,
        }
        event = self.happen("registration", "visits", id, "TokenIssued", data, key)
        self.state("registration", "visits", id, **data)
        self.tell(event, f"patient:{patient}", "in-app", *(["sms"] if phone else []))
        return id

    def share(self, key: str) -> None:
        id = id_of("share", key)
        self.happen("registration", "shares", id, "ShareReceived", {"request_id": key}, key)
        self.happen("registration", "shares", id, "Acknowledged", {"number": 1})
        self.state("registration", "shares", id, status="acknowledged", next_at=None)
        self.on_shares.append(answer(key, "2"))

    def move(self, referral: str, name: str, key: str, status: str, *channels: str, **data: Any) -> str:
        event = self.happen("referral", "referrals", referral, name, self._referral | data, key)
        self.state("referral", "referrals", referral, status=status)
        if channels:
            self.tell(event, f"patient:{self._referral['patient']}", *channels)
        return event

    _referral: Doc = field(default_factory=dict)

    def refer(self, patient: str) -> None:
        self._referral = {
            "patient": patient,
            "origin": "F1",
            "destination": "F2",
            "service": "surgery",
            "urgency": "urgent",
        }

    def complain(self, grievance: str, name: str, reporter: Doc, key: str | None, status: str, **data: Any) -> str:
        common = {"ticket": "G-1", "about_facility": "F1", "handled_by": "F2", "reporter": reporter}
        event = self.happen("grievance", "grievances", grievance, name, common | data, key)
        self.state("grievance", "grievances", grievance, status=status)
        return event

    def tell(self, event: str, recipient: str, *channels: str, name: str = "") -> list[str]:
        """One message per channel, sent and received. Returns the messages' ids."""
        made = []
        for channel in channels:
            id = id_of("message", event, recipient, channel, name)
            fields = {"event": event, "recipient": recipient, "channel": channel, "template": "t", "language": "en"}
            self.happen("notifications", "messages", id, "MessageRendered", {"text": "private to the journal"})
            self.happen("notifications", "messages", id, "MessageSent", fields)
            self.state("notifications", "messages", id, status="sent", **fields)
            if channel == "sms":
                self.sms.append({"received_at": NOON.isoformat(), "reference": id})
            if channel == "email":
                self.mails.append({"received_at": NOON.isoformat(), "message_id": f"<{id}@hillhealth.example>"})
            made.append(id)
        return made

    def untell(self, message: str) -> None:
        """The message was never made: no document, no event, nothing received."""
        document = self.stores[("notifications", "messages")].pop(message)
        ids = {entry["id"] for entry in document["journal"]}
        self.records = [record for record in self.records if record.id not in ids]
        self.sms = [line for line in self.sms if line["reference"] != message]
        self.mails = [line for line in self.mails if message not in line["message_id"]]

    def line(self, key: str, verb: str, expect: str = "ok") -> None:
        self.lines.append({"n": len(self.lines) + 1, "verb": verb, "key": key, "expect": expect})


def answer(request: str, number: str, own: str = "own-1") -> Doc:
    return {
        "received_at": NOON.isoformat(),
        "request_id": own,
        "body": {
            "acknowledgement": {"status": "SUCCESS", "profile": {"context": "OPD1", "tokenNumber": number}},
            "response": {"requestId": request},
        },
    }


P1, P2, P3 = (id_of("patient", name) for name in ("P1", "P2", "P3"))
R1, G1, G2, G3, C1 = (id_of(name) for name in ("R1", "G1", "G2", "G3", "C1"))
BY_P1 = {"kind": "patient", "id": P1}


def consistent_world() -> Made:
    """Two facilities; a walk-in who is corrected, referred and back, and complains; a scan; an erased person;
    an anonymous complaint and one by a contact. Everything that must follow has followed."""
    made = Made()
    made.facility("F1", "IN9900000001", desk_email="desk.f1@hospital.example")
    made.facility("F2", "IN9900000002", desk_email="desk.f2@hospital.example", officer_email="o.f2@hospital.example")
    made.patient("P1", "k-p1", phone="+915550000001")
    made.correct(P1, village="Hunder")
    made.take(1, "k-t1")
    made.visit(P1, 1, "k-t1", phone=True)
    made.patient("P2", "k-s2", address="p2@sbx")
    made.take(2, "k-s2")
    made.visit(P2, 2, "k-s2", phone=False, door="scan-and-share")
    made.share("k-s2")
    made.patient("P3", "k-p3", phone="+915550000003")
    made.happen("registration", "patients", P3, "PatientErased", {})
    made.state("registration", "patients", P3, card=None)
    made.doc("registration", "patients", P3)["journal"][0]["data"]["card"] |= {"name": "", "phone": None}
    made.copy_card("registration", "patients", P3, None, "referral", "notifications")
    made.refer(P1)
    requested = made.move(R1, "ReferralRequested", "k-r1", "requested", "in-app", "sms")
    made.tell(requested, "desk@F2", "email")
    made.move(R1, "ReferralAccepted", "k-r2", "accepted", "in-app", "sms")
    made.move(R1, "PatientArrived", "k-r3", "arrived", "in-app", "sms")
    made.move(R1, "OutcomeRecorded", "k-r4", "treated", outcome="admitted")
    made.move(R1, "PatientBackReferred", "k-r5", "back-referred", "in-app", "sms")
    made.move(R1, "ReferralClosed", "k-r6", "closed", "in-app", "sms")
    _complaints(made)
    _archive(made, "referral", "referrals", R1, 2)
    for key, verb in [
        ("k-p1", "patient.register"), ("k-t1", "opd.token"), ("k-s2", "opd.share"), ("k-p3", "patient.register"),
        ("k-r1", "referral.request"), ("k-r2", "referral.accept"), ("k-r3", "referral.arrive"),
        ("k-r4", "referral.outcome"), ("k-r5", "referral.back-refer"), ("k-r6", "referral.acknowledge"),
        ("k-g1", "grievance.file"), ("k-g2", "grievance.assign"), ("k-g3", "grievance.resolve"),
        ("k-g4", "grievance.reopen"), ("k-g5", "grievance.resolve"), ("k-g6", "grievance.confirm"),
        ("k-g7", "grievance.file"), ("k-g8", "grievance.file"),
    ]:  # fmt: skip
        made.line(key, verb)
    made.line("k-s2", "opd.share", "same")
    made.line("k-refused", "referral.accept", "rejected")
    made.totals = {
        "patients": 3, "tokens": 2, "referrals": 1, "referrals_closed": 1, "referrals_declined": 0,
        "referrals_cancelled": 0, "referrals_no_show": 0, "grievances": 3, "grievances_closed": 1,
        "grievances_reopened": 1, "rejected": 1, "retries": 1,
    }  # fmt: skip
    return made


def _complaints(made: Made) -> None:
    def told(event: str) -> None:
        made.tell(event, f"patient:{P1}", "in-app", "sms")

    def officer(event: str) -> None:
        made.tell(event, "officer@F2", "email")

    officer(made.complain(G1, "GrievanceFiled", BY_P1, "k-g1", "filed"))
    told(made.complain(G1, "GrievanceAcknowledged", BY_P1, "k-g1", "filed", due_at="2026-12-20T00:00:00.000Z"))
    made.complain(G1, "GrievanceAssigned", BY_P1, "k-g2", "assigned", to="nodal-officer@F2")
    told(made.complain(G1, "GrievanceResolved", BY_P1, "k-g3", "resolved", outcome="fixed"))
    told(made.complain(G1, "GrievanceReopened", BY_P1, "k-g4", "assigned", cycle=1))
    told(made.complain(G1, "GrievanceResolved", BY_P1, "k-g5", "resolved", outcome="fixed"))
    told(made.complain(G1, "GrievanceConfirmed", BY_P1, "k-g6", "closed", rating=4))
    nobody = {"kind": "anonymous", "id": None}
    officer(made.complain(G2, "GrievanceFiled", nobody, "k-g7", "filed"))
    made.complain(G2, "GrievanceAcknowledged", nobody, "k-g7", "filed", due_at="2026-12-20T00:00:00.000Z")
    card = {"id": C1, "name": "Made Up", "phone": "+915550000009", "email": "c1@citizen.example"}
    made.happen("grievance", "contacts", C1, "ContactRecorded", {"card": card}, "k-g8")
    made.state("grievance", "contacts", C1, card=card)
    made.copy_card("grievance", "contacts", C1, card, "notifications")
    contact = {"kind": "contact", "id": C1}
    officer(made.complain(G3, "GrievanceFiled", contact, "k-g8", "filed"))
    acknowledged = made.complain(
        G3, "GrievanceAcknowledged", contact, "k-g8", "filed", due_at="2026-12-20T00:00:00.000Z"
    )
    made.tell(acknowledged, f"contact:{C1}", "in-app", "sms", "email")


def _archive(made: Made, service: str, collection: str, id: str, count: int) -> None:
    """The oldest entries stand in the archive; the newest of them in both, as a crash before trimming leaves it."""
    document = made.doc(service, collection, id)
    for position, entry in enumerate(document["journal"][:count]):
        made.extra.append(
            (
                service,
                f"{collection}_archive",
                {"_id": entry["id"], "aggregate": id, "position": position, "cause": entry["cause"], "entry": entry},
            )
        )
    document["journal"] = document["journal"][count - 1 :]
    document["archived"] = count - 1


def write_stores(made: Made, uri: str, prefix: str) -> None:
    client: MongoClient[Doc] = MongoClient(uri)
    try:
        for (service, collection), documents in made.stores.items():
            if documents:
                client[prefix + service][collection].insert_many(documents.values())
        for service, collection, document in made.extra:
            client[prefix + service][collection].insert_one(document)
    finally:
        client.close()


async def make_topics(bootstrap: str, prefixes: Sequence[str]) -> None:
    """All of them at once: a broker takes its time with each call, not with each topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(prefix + topic, 1, 1) for prefix in prefixes for topic in TOPICS.values()])
    finally:
        await admin.close()


async def drop_topics(bootstrap: str, prefixes: Sequence[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([prefix + topic for prefix in prefixes for topic in TOPICS.values()])
    finally:
        await admin.close()


async def write_topics(records: Iterable[Sent], bootstrap: str, prefix: str) -> None:
    """In the order given; a record's timestamp is noon."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        acknowledged = [
            await producer.send(
                prefix + record.topic,
                key=record.key.encode(),
                value=None if record.value is None else json.dumps(record.value).encode(),
                timestamp_ms=int(NOON.timestamp() * 1000),
                headers=[
                    ("ce_id", record.id.encode()),
                    ("ce_type", record.type.encode()),
                    ("ce_sequence", str(record.sequence).encode()),
                    ("ce_epoch", b"1"),
                    ("traceparent", None),
                ],
            )
            for record in records
        ]
        await asyncio.gather(*acknowledged)
    finally:
        await producer.stop()


def write_files(made: Made, folder: Path) -> None:
    """day.jsonl, result.json and the inbox."""
    inbox = folder / "inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    for name, lines in (("sms", made.sms), ("mail", made.mails), ("on_share", made.on_shares)):
        (inbox / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    day = [*made.lines, {"n": len(made.lines) + 1, "verb": "totals", "body": made.totals}]
    (folder / "day.jsonl").write_text("".join(json.dumps(line) + "\n" for line in day), encoding="utf-8")
    result = {
        "started_at": STARTED.isoformat(),
        "finished_at": (STARTED + dt.timedelta(minutes=1)).isoformat(),
        "lines": len(made.lines),
        "unexpected": 0,
        "rejected": sum(line["expect"] == "rejected" for line in made.lines),
        "retries": sum(line["expect"] == "same" for line in made.lines),
        "p50_ms": 1.5,
        "p99_ms": 9.5,
    }
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
