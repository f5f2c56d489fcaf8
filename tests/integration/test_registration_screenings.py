"""Screened in a camp, credited to the ASHA, and an accepted suggestion becomes a referral by itself, end to end."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from registration_desk import ELSEWHERE, HERE, Desk, published_of, serving_desk, until

from deploy.local.testing import TestStack, serving

HIGH, HOSPITAL = "LA-LEH-CHC-NYOMA", "LA-LEH-DH-SNM"
TOPIC = "registration.screening.v1"


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with serving_desk(stack) as desk:
        yield desk


async def made(desk: Desk, path: str, body: dict[str, Any], status: int = 201, **how: Any) -> dict[str, Any]:
    answer = await desk.post(path, body, **how)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_accepted_suggestion_becomes_a_referral_with_its_reason(
    desk: Desk, stack: TestStack, prefix: str
) -> None:
    settings = stack.settings("referral", DATABASE_PREFIX=prefix, CLOCK="system", SWEEP_SECONDS="0.1")
    async with serving(settings, "referral") as referral:
        # The referral service lists the real directory, which registration takes over.
        directory = desk.database["facilities"]
        await until(lambda: directory.find_one({"_id": HOSPITAL}), seconds=60)
        patient = (await desk.register(at=HIGH))["id"]
        answers = {f"phq_{number}": 0 for number in range(1, 9)} | {"phq_9": 1}
        body = {"patient": patient, "programme": "depression", "measures": answers}
        screening = await made(desk, "/screenings", body, role="doctor", facility=HIGH)
        assert (screening["result"], screening["urgent"]) == ("minimal", True)
        path = f"/screenings/{screening['id']}"
        wrong = {"suggestion": "refer-self-harm", "to": "LA-LEH-PHC-TURTUK"}
        refused = await desk.post(f"{path}/accept", wrong, role="doctor", facility=HIGH)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "to")
        key, accepted = secrets.token_hex(8), {"suggestion": "refer-self-harm", "to": HOSPITAL}
        first, again = [
            await made(desk, f"{path}/accept", accepted, 200, role="doctor", facility=HIGH, key=key) for _ in range(2)
        ]
        assert first == again
        referrals = referral.service.database["referrals"]
        found = await until(lambda: referrals.find_one({"_id": first["referral"]}), seconds=60)
        state = found["state"]
        assert (state["patient"], state["origin"], state["destination"]) == (patient, HIGH, HOSPITAL)
        assert (state["service"], state["urgency"]) == ("psychiatry", "urgent")
        assert state["reason"] == "Screening depression: minimal (refer-self-harm)"
        assert await referrals.count_documents({}) == 1
        records = await published_of(stack, TOPIC, screening["id"], 2)
        assert [record["type"].split(".")[1] for record in records] == ["ScreeningRecorded", "ScreeningReferred"]
        assert not set(records[0]["data"]) & {"measures", "name", "phone"}


async def test_an_asha_is_credited_for_whom_she_brings(desk: Desk) -> None:
    place = {"place": "Diskit", "population": "migratory", "months": [6, 7, 8]}
    facilitator = await made(
        desk, "/ashas", {"name": "Rigzin Angmo", "role": "facilitator", "places": [{"place": "sub-district-11"}]}
    )
    said = {"name": "पद्मा देवी", "language": "hi", "places": [place], "facilitator": facilitator["id"]}
    asha = await made(desk, "/ashas", said)
    assert [each["population"] for each in asha["places"]] == ["migratory"]
    path = f"/ashas/{asha['id']}"
    one, two = [(await desk.register(sex="female"))["id"] for _ in range(2)]
    for _ in range(2):
        await made(desk, f"{path}/brought", {"patient": one, "purpose": "registration"})
    for patient in (one, two):
        measures = {"systolic": 150, "diastolic": 95}
        body = {"patient": patient, "programme": "hypertension", "measures": measures, "brought_by": asha["id"]}
        screening = await made(desk, "/screenings", body, role="doctor")
        assert screening["result"] == "hypertension"
    wrong = await desk.post("/screenings", body | {"measures": {"systolic": 999, "diastolic": 95}}, role="doctor")
    assert wrong.json()["errors"][0]["field"] == "measures.systolic"
    counts = {"people": 2, "brought": 3, "by": {"hypertension": 2, "registration": 1}}
    credits = (await desk.get(f"{path}/credits")).json()
    assert {name: credits[name] for name in counts} == counts
    assert (await desk.get(f"{path}/credits?to=2020-01-01")).json()["people"] == 0
    for counted in (f"{path}/credits", f"{path}/certificate.pdf", "/ashas"):
        wrong = await desk.get(f"{counted}?from=2026-12-01&to=2026-01-01")
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "to")
    over = (await desk.get(f"/ashas/{facilitator['id']}/credits")).json()
    assert over["facilitates"] == {asha["id"]: counts}
    listed = (await desk.get("/ashas")).json()["ashas"]
    assert [each["credits"]["people"] for each in listed if each["id"] == asha["id"]] == [2]
    certificate = await desk.get(f"{path}/certificate.pdf")
    assert certificate.headers["content-type"] == "application/pdf"
    assert b"NotoSansDevanagari" in certificate.content
    assert (await desk.get(f"{path}/certificate.pdf", facility=ELSEWHERE)).status_code == 403
    # An id of before a merge stands for the record that lives on.
    await made(desk, f"/patients/{two}/merge", {"into": one, "reason": "one"}, 200, role="records-officer")
    again = await made(desk, "/screenings", body | {"patient": two}, role="doctor")
    assert again["patient"] == one
    assert (await made(desk, "/households", {"members": [{"patient": two}]}))["members"][0]["patient"] == one
    unknown = await desk.post("/ashas", {"name": "Dolma", "places": [{"place": "Timbuktu"}]})
    assert unknown.json()["errors"][0]["field"] == "places.0.place"


async def test_measurements_of_an_erased_person_are_gone(desk: Desk) -> None:
    patient = (await desk.register())["id"]
    body = {"patient": patient, "programme": "hypertension", "measures": {"systolic": 187, "diastolic": 95}}
    screening = await made(desk, "/screenings", body, role="doctor")
    await made(desk, f"/patients/{patient}/erase", {}, 200, role="privacy-officer", facility="")
    document = await desk.database["screenings"].find_one({"_id": screening["id"]})
    # With what stands before a value: a hash may hold the digits.
    assert not re.search(r"[ :(]187\b", str(document))
    assert document["state"]["result"] == "severe-hypertension"
    assert document["state"]["facility"] == HERE
