"""Marked people go through every door, bad input included; nothing of them shows where it must not.

Allowed are their own store and the restricted topics. Not allowed: logs, metrics, dead letters as an operator sees
them, and every other topic.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.store import SERVICES
from libs.common.topics import public_topics
from tests.e2e.conftest import House
from tools.checking.topics import read_topics

HERE, THERE = "LA-LEH-CHC-KHALTSI", "LA-LEH-DH-SNM"
NAME = "Qzmarkname"
PHONE = "5550424242"
GUARDIAN = "Qzmarkguardian"
VILLAGE = "Qzmarkvillage"
TEXT = "Qzmarktext"
NOON = "Fri, 20 Nov 2026 06:30:00 GMT"
"""When everything is sent, so that no message waits for the morning."""
MARKS = tuple(mark.casefold() for mark in (NAME, PHONE, GUARDIAN, VILLAGE, TEXT))
RESTRICTED = {topic.name for topic in public_topics() if topic.restricted}
PERSON: dict[str, Any] = {
    "name": f"{NAME} Dolma",
    "sex": "female",
    "age_years": 40,
    "phone": f"+91{PHONE}",
    "guardian": GUARDIAN,
    "village": VILLAGE,
    "district_lgd": 9,
    "state_lgd": 37,
    "language": "en",
}


def post(house: House, service: str, path: str, token: str | None, body: Any, **headers: str) -> httpx.Response:
    sent = {"Idempotency-Key": str(uuid.uuid4()), "Date": NOON, **headers}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    data = body if isinstance(body, bytes) else None
    return httpx.post(
        house.stack.url(service) + path, headers=sent, json=None if data else body, content=data, timeout=30
    )


def nonsense(house: House, desk: str, doctor: str, patient: str) -> Iterator[httpx.Response]:
    """Bad input at each door, with the marks where they do most harm."""
    for field in ("name", "phone", "abha_number", "birth_date", "language", "guardian", "no_such_field"):
        yield post(house, "registration", "/patients", desk, PERSON | {field: [f"{NAME} {PHONE}"]})
    yield post(house, "registration", "/patients", desk, PERSON | {"sex": NAME})
    yield post(house, "registration", "/patients", desk, f'{{"name": "{NAME}", "phone": {PHONE}'.encode())
    yield post(house, "registration", f"/patients/{NAME}/correct", desk, {"name": NAME})
    yield post(house, "registration", "/patients/search", desk, {"phone": NAME})
    yield post(house, "registration", "/visits", desk, {"patient": patient, "counter": f"{NAME}!"})
    share = {"intent": NAME, "metaData": {"hipId": PHONE}, "profile": {"patient": {"name": NAME, "gender": PHONE}}}
    gateway = house.stack.abdm.token()
    yield post(
        house, "registration", "/api/v3/hip/patient/share", gateway, share,
        **{"REQUEST-ID": str(uuid.uuid4()), "TIMESTAMP": "2026-11-20T05:00:00.000Z", "X-HIP-ID": PHONE},
    )  # fmt: skip
    yield post(house, "referral", "/referrals", doctor, {"patient": patient, "to": NAME, "service": PHONE})
    yield post(house, "referral", f"/referrals/{NAME}/accept", doctor, {"note": TEXT})
    yield post(house, "grievance", "/grievances", None, {"category": NAME, "text": TEXT, "about_facility": PHONE})
    yield post(house, "grievance", f"/tracking/{PHONE}/confirm", None, {"rating": NAME}, **{"X-Tracking-Secret": TEXT})
    yield httpx.get(f"{house.stack.url('notifications')}/feed", headers={"Authorization": f"Bearer {NAME}"})
    yield httpx.get(f"{house.stack.url('registration')}/{NAME}", params={"phone": PHONE})


async def poison(house: House) -> int:
    """Events that cannot be handled, full of marks. Returns how many letters notifications must put aside."""
    values = (f'{{"card": {{"name": "{NAME}"', f'{{"patient": ["{NAME}"], "origin": {PHONE}}}', f"{NAME}\x00{PHONE}")
    producer = AIOKafkaProducer(bootstrap_servers=house.stack.kafka_bootstrap)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(
                "referral.referral.v1",
                value.encode(),
                str(uuid.uuid4()).encode(),
                headers=[
                    ("ce_id", str(uuid.uuid4()).encode()),
                    ("ce_type", b"referral.ReferralAccepted.v1"),
                    ("ce_sequence", b"1"),
                    ("ce_recordedat", b"2026-11-20T06:30:00Z"),
                ],
            )
    finally:
        await producer.stop()
    return len(values)


@pytest.fixture(scope="module")
def passed_through(house: House) -> House:
    """The marked person registered, told, referred, complaining; and everything that may go wrong with her."""
    desk = house.stack.issuer.token(role="desk", facility=HERE)
    doctor = house.stack.issuer.token(role="doctor", facility=HERE)
    registered = post(house, "registration", "/patients", desk, PERSON)
    assert registered.status_code == 201, registered.text
    patient = registered.json()["id"]
    assert post(house, "registration", "/visits", desk, {"patient": patient, "counter": "OPD1"}).status_code == 201
    request = {"patient": patient, "to": THERE, "service": "surgery", "urgency": "urgent", "reason": TEXT}
    assert post(house, "referral", "/referrals", doctor, request).status_code == 201
    citizen = house.stack.issuer.token(role="citizen", subject="citizen:marked", patient=patient)
    complaint = {
        "category": "long-wait", "text": f"{TEXT}, said {NAME}", "about_facility": HERE, "patient": patient,
    }  # fmt: skip
    filed = post(house, "grievance", "/grievances", citizen, complaint)
    assert filed.status_code == 201, filed.text
    contact = complaint | {"contact": {"name": NAME, "phone": f"+91{PHONE}", "email": f"{NAME}@example.org"}}
    del contact["patient"]
    stranger = house.stack.issuer.token(role="citizen", subject="citizen:stranger")
    assert post(house, "grievance", "/grievances", stranger, contact).status_code == 201
    for answer in nonsense(house, desk, doctor, patient):
        assert 400 <= answer.status_code < 500, (answer.request.url.path, answer.status_code, answer.text)
        assert not marked(answer.text), (answer.request.url.path, answer.text)
    planted = asyncio.run(poison(house))
    deadline = time.monotonic() + 30
    while len(letters(house, "notifications")) < planted:
        assert time.monotonic() < deadline, "the poison was not put aside"
        time.sleep(0.1)
    house.settle()
    return house


def letters(house: House, service: str) -> list[Any]:
    operator = house.stack.issuer.token(role="operator")
    answer = httpx.get(
        f"{house.stack.url(service)}/dead-letters", headers={"Authorization": f"Bearer {operator}"}, timeout=30
    )
    answer.raise_for_status()
    found: list[Any] = answer.json()
    return found


def marked(text: str) -> list[str]:
    return [mark for mark in MARKS if mark in text.casefold()]


@pytest.mark.parametrize("service", SERVICES)
def test_logs_say_nothing_of_anybody(passed_through: House, service: str) -> None:
    log = passed_through.stack.processes.log(service).read_text(encoding="utf-8", errors="replace")
    assert log.strip(), "nothing was logged, so nothing is shown"
    assert not marked(log), [line for line in log.splitlines() if marked(line)][:5]


@pytest.mark.parametrize("service", SERVICES)
def test_metrics_say_nothing_of_anybody(passed_through: House, service: str) -> None:
    metrics = httpx.get(f"{passed_through.stack.url(service)}/metrics", timeout=30).text
    assert "hillhealth_http_requests_total" in metrics
    assert not marked(metrics), [line for line in metrics.splitlines() if marked(line)][:5]


def test_dead_letters_show_reasons_and_no_content(passed_through: House) -> None:
    shown = letters(passed_through, "notifications")
    assert {letter["reason"].split(":")[0] for letter in shown} >= {"undecodable", "schema"}
    assert not marked(str(shown))


def test_only_the_restricted_topics_carry_people(passed_through: House) -> None:
    records = asyncio.run(read_topics(passed_through.stack.kafka_bootstrap))
    carrying = {
        topic
        for topic, of in records.items()
        for record in of
        if record.value is not None and marked(f"{record.key} {record.id} {record.value}")
    }
    planted = {"referral.referral.v1"}
    """The poison that this test itself wrote stands there."""
    assert {"registration.patient.v1", "grievance.contact.v1"} <= carrying - planted <= RESTRICTED
    ours = [record for record in records["referral.referral.v1"] if record.value and "destination" in record.value]
    assert ours
    assert not any(marked(str(record)) for record in ours)
