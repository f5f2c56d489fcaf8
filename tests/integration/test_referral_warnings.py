"""What is missing is said before and after sending, kept with the referral, and stops nothing."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest
from referral_desk import HERE, REASON, THERE, Desk, card, data, open_desk, person, publish, until

from deploy.local.testing import TestStack
from libs.contracts.referral import REFERRAL
from libs.contracts.registration import PatientRegistered

MAN = person(f"a man {secrets.token_hex(4)}")
BODY = {"patient": MAN, "to": THERE, "service": "obstetrics", "urgency": "emergency", "reason": REASON}


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with open_desk(stack) as desk:
        yield desk


async def test_warnings_are_said_before_and_after_and_never_change_on_a_retry(desk: Desk) -> None:
    unknown = await desk.post("doctor", HERE, "/referrals", BODY, "early")
    assert unknown.status_code == 201
    before = {warning["code"] for warning in unknown.json()["warnings"]}
    assert before == {"missing", "listed-at-origin"}

    await publish(desk.stack.kafka_bootstrap, PatientRegistered(card=card(MAN, sex="male")), MAN, 1)

    async def warned_of_person() -> bool:
        checked = await desk.post("doctor", HERE, "/referrals/check", BODY)
        assert checked.status_code == 200, checked.text
        return "person" in {warning["code"] for warning in checked.json()["warnings"]}

    await until(warned_of_person)
    again = await desk.post("doctor", HERE, "/referrals", BODY, "early")
    assert again.json() == unknown.json()

    findings = {"systolic_mmhg": 90, "diastolic_mmhg": 60, "gestation_weeks": 34}
    sent = await desk.post("doctor", HERE, "/referrals", BODY | {"findings": findings})
    assert sent.status_code == 201
    fields = [warning["field"] for warning in sent.json()["warnings"] if warning["code"] == "missing"]
    assert "findings.systolic_mmhg" not in fields
    assert "findings.blood_group" in fields
    assert 0 < sent.json()["completeness"] < 100

    shown = (await desk.get("doctor", THERE, f"/referrals/{sent.json()['id']}")).json()
    assert {name: shown["findings"][name] for name in findings} == findings
    assert shown["warnings"] == sent.json()["warnings"]
    at_desk = (await desk.get("desk", THERE, f"/referrals/{sent.json()['id']}")).json()
    assert (at_desk["findings"], at_desk["warnings"]) == (None, [])
    (record,) = await desk.told(REFERRAL, sent.json()["id"])
    assert set(data(record)) == {"patient", "origin", "destination", "service", "urgency"}


async def test_a_check_writes_nothing_but_who_looked(desk: Desk) -> None:
    count = await desk.served.service.database["referrals"].count_documents({})
    answer = await desk.post("doctor", HERE, "/referrals/check", BODY | {"patient": person("looked at")})
    assert answer.status_code == 200
    assert await desk.served.service.database["referrals"].count_documents({}) == count
    (entry,) = await desk.served.service.database["reads"].find({"patient": person("looked at")}).to_list(None)
    assert entry["subject"] == f"doctor@{HERE}"
    assert (await desk.post("desk", HERE, "/referrals/check", BODY)).status_code == 403
    for wrong, field in ({"to": "HP-KNR-NO-SUCH"}, "to"), ({"to": HERE}, "to"), ({"service": "no-such"}, "service"):
        answer = await desk.post("doctor", HERE, "/referrals/check", BODY | wrong)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), "as when it is sent"


async def test_a_finding_in_another_unit_names_its_field(desk: Desk) -> None:
    for findings, field in (
        ({"temperature_celsius": 98.6}, "findings.temperature_celsius"),
        ({"mood": "good"}, "findings.mood"),
    ):
        answer = await desk.post("doctor", HERE, "/referrals", BODY | {"findings": findings})
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]
