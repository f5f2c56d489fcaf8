"""Patients over HTTP, on the real broker and store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from registration_desk import ELSEWHERE, HERE, PATIENT_TOPIC, PERSON, RUN, Desk, published, published_of, serving_desk

from deploy.local.testing import TestStack

ABHA = "00821167342079"
AADHAAR = "999941057058"  # UIDAI's published test number


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with serving_desk(stack) as desk:
        yield desk


async def test_a_person_is_registered_once_however_often_it_is_sent(desk: Desk) -> None:
    first = await desk.post("/patients", PERSON, key=f"once-{RUN}")
    again = await desk.post("/patients", PERSON, key=f"once-{RUN}")
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert first.headers["location"] == f"/patients/{first.json()['id']}"
    other = await desk.post("/patients", PERSON | {"village": "Elsewhere"}, key=f"once-{RUN}")
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"
    assert await desk.database["patients"].count_documents({"journal.key": f"once-{RUN}"}) == 1
    [event] = await published_of(desk.stack, PATIENT_TOPIC, first.json()["id"], 1)
    assert event["type"] == "registration.PatientRegistered.v1"
    assert event["sequence"] == 1
    assert event["data"]["card"]["name"] == "Tsering Dolma"
    assert event["actor"] == f"desk@{HERE}"


async def test_a_first_answer_is_given_again_after_a_correction(desk: Desk) -> None:
    first = await desk.register(key=f"first-{RUN}")
    answer = await desk.post(f"/patients/{first['id']}/correct", {"name": "Tsering Angmo", "phone": None})
    assert answer.status_code == 200
    assert answer.json()["name"] == "Tsering Angmo"
    assert answer.json()["phone"] is None
    assert await desk.register(key=f"first-{RUN}") == first
    events = await published_of(desk.stack, PATIENT_TOPIC, first["id"], 2)
    assert [event["data"].get("changed") for event in events] == [None, ["name", "phone"]]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"name": "   "}, "name"),
        ({"name": None}, "name"),
        ({"name": f"Tashi {AADHAAR}"}, "name"),
        ({"village": f"near {AADHAAR[:4]} {AADHAAR[4:8]} {AADHAAR[8:]}"}, "village"),
        ({"guardian": AADHAAR}, "guardian"),
        ({"abha_number": AADHAAR}, "abha_number"),
        ({"abha_number": "12345"}, "abha_number"),
        ({"abha_address": f"{AADHAAR}@sbx"}, "abha_address"),
        ({"phone": AADHAAR}, "phone"),
        ({"age_years": -3}, "age_years"),
        ({"age_years": None}, "age_years"),
        ({"birth_date": "2999-01-01", "age_years": None}, "birth_date"),
        ({"district_lgd": 13}, "district_lgd"),
        ({"language": "fr"}, "language"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "occurred_at"),
        ({"aadhaar": AADHAAR}, "aadhaar"),
    ],
)
async def test_bad_fields_are_named_and_nothing_is_written_or_published(
    desk: Desk, said: dict[str, Any], field: str
) -> None:
    before, on_topic = await desk.documents(), len(await published(desk.stack, PATIENT_TOPIC))
    answer = await desk.post("/patients", PERSON | said)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert AADHAAR not in answer.text
    assert await desk.documents() == before
    assert len(await published(desk.stack, PATIENT_TOPIC)) == on_topic


async def test_malformed_bodies_and_missing_keys_are_4xx(desk: Desk) -> None:
    before = await desk.documents()
    token = desk.stack.issuer.token(role="desk", facility=HERE)
    said = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
    for content in (b"", b"[", b"null", b"[1]", b'"x"', b'{"name": "\\ud800", "sex": "male", "age_years": 1}'):
        answer = await desk.served.client.post("/patients", content=content, headers=said)
        assert 400 <= answer.status_code < 500, (content, answer.text)
    answer = await desk.served.client.post("/patients", json=PERSON, headers={"Authorization": said["Authorization"]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert await desk.documents() == before


async def test_only_a_desk_of_a_facility_registers(desk: Desk) -> None:
    before = await desk.documents()
    for role, facility in (("doctor", HERE), ("citizen", ""), ("desk", ""), ("desk", "no such code")):
        assert (await desk.post("/patients", PERSON, role=role, facility=facility)).status_code == 403, role
    assert (await desk.served.client.post("/patients", json=PERSON)).status_code == 401
    assert await desk.documents() == before


async def test_an_identifier_of_somebody_else_names_the_holder(desk: Desk) -> None:
    holder = await desk.register(abha_number="00-8211-6734-2079", abha_address="Dolma@SBX")
    assert (holder["abha_number"], holder["abha_address"], holder["warnings"]) == (ABHA, "dolma@sbx", [])
    for said, field in (({"abha_number": ABHA}, "abha_number"), ({"abha_address": "dolma@sbx"}, "abha_address")):
        answer = await desk.post("/patients", PERSON | said)
        assert answer.status_code == 409
        assert answer.json()["holder"] == holder["id"]
        assert answer.json()["errors"][0]["field"] == field
    other = await desk.register(abha_number="00821167342070")
    assert [warning["field"] for warning in other["warnings"]] == ["abha_number"]
    answer = await desk.post(f"/patients/{other['id']}/correct", {"abha_number": ABHA})
    assert answer.status_code == 409
    assert answer.json()["holder"] == holder["id"]
    assert (await desk.post(f"/patients/{holder['id']}/void", {"reason": "duplicate"})).status_code == 200
    assert (await desk.post(f"/patients/{other['id']}/correct", {"abha_number": ABHA})).status_code == 200


async def test_a_voided_record_is_published_and_takes_nothing_more(desk: Desk) -> None:
    id = (await desk.register())["id"]
    assert (await desk.post(f"/patients/{id}/void", {"reason": "because"})).status_code == 422
    voided = await desk.post(f"/patients/{id}/void", {"reason": "wrong-person"})
    assert voided.json()["status"] == "entered-in-error"
    corrected = await desk.post(f"/patients/{id}/correct", {"name": "Tashi"})
    assert corrected.status_code == 409
    assert "correct" not in corrected.json()["allowed"]
    taken = await desk.post("/visits", {"patient": id, "counter": "OPD1"})
    assert taken.status_code == 422
    assert taken.json()["errors"][0]["field"] == "patient"
    assert await desk.database["queues"].count_documents({"journal.data.patient": id}) == 0
    events = await published_of(desk.stack, PATIENT_TOPIC, id, 2)
    assert events[-1]["data"]["card"]["status"] == "entered-in-error"


async def test_a_record_is_read_where_the_person_is_known_and_each_reading_is_logged(desk: Desk) -> None:
    id = (await desk.register())["id"]
    assert (await desk.get(f"/patients/{id}", role="doctor")).json()["name"] == "Tsering Dolma"
    refused = await desk.get(f"/patients/{id}", role="doctor", facility=ELSEWHERE)
    assert refused.status_code == 403
    assert "Tsering" not in refused.text
    assert (await desk.get("/patients/nobody")).status_code == 404
    await desk.token(id, facility=ELSEWHERE)
    assert (await desk.get(f"/patients/{id}", role="doctor", facility=ELSEWHERE)).status_code == 200
    reads = await desk.database["reads"].find({"patient": id}).sort("at", 1).to_list(None)
    assert [(read["patient"], read["role"], read["facility"]) for read in reads] == [
        (id, "doctor", HERE),
        (id, "doctor", ELSEWHERE),
    ]


async def test_people_are_found_at_ones_own_facility_only(desk: Desk) -> None:
    dolma = await desk.register(name="José Yangdol", abha_address="yangdol@sbx")
    angmo = await desk.register(name="Stanzin Angmo", phone="5550999999")
    await desk.post("/patients", PERSON | {"name": "Yangdol Kunzes"}, facility=ELSEWHERE)

    async def found(**asked: Any) -> list[str]:
        answer = await desk.post("/patients/search", asked)
        assert answer.status_code == 200, answer.text
        return [patient["id"] for patient in answer.json()["patients"]]

    assert await found(name="yangdol") == [dolma["id"]]
    assert await desk.database["reads"].count_documents({"patient": dolma["id"]}) == 1
    assert await found(name="YANGDOL jose") == [dolma["id"]]
    assert await found(name_starts="stanz") == [angmo["id"]]
    ashraf = await desk.register(name="Mohd Ashraf Bhat")
    await desk.register(name="Mohd Ashraf Wani")
    assert await found(name="bhat mohd ashraf") == [ashraf["id"]]
    assert await found(name="ashraf bhat yangdol") == []
    assert await found(phone="5550999999") == [angmo["id"]]
    assert await found(abha="Yangdol@sbx") == [dolma["id"]]
    assert await found(name="yangdol", phone="5550999999") == []
    assert await found(abha="nonsense") == []
    for asked in ({}, {"name": "..."}, {"phone": "12"}, {"name": "x", "cursor": "?"}, {"name": "x", "limit": 0}):
        answer = await desk.post("/patients/search", asked)
        assert answer.status_code == 422, asked


async def test_a_search_is_paged(desk: Desk) -> None:
    ids = {(await desk.register(name=f"Lhamo {letter}"))["id"] for letter in "abcde"}
    seen: list[str] = []
    cursor = None
    while True:
        asked = {"name": "lhamo", "name_starts": "lham", "limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = (await desk.post("/patients/search", asked)).json()
        seen += [patient["id"] for patient in answer["patients"]]
        if not (cursor := answer["cursor"]):
            break
    assert len(seen) == 5
    assert set(seen) == ids


async def test_an_erased_person_is_a_tombstone_and_nowhere_named(desk: Desk) -> None:
    id = (await desk.register(abha_address="erased@sbx"))["id"]
    assert (await desk.share(abhaAddress="erased@sbx")).json()["patient"] == id
    refused = await desk.post(f"/patients/{id}/erase", {})
    assert refused.status_code == 403
    erased = await desk.post(f"/patients/{id}/erase", {}, role="privacy-officer", facility="")
    assert erased.status_code == 200
    assert erased.json() == {"id": id, "status": "erased"}
    document = await desk.database["patients"].find_one({"_id": id})
    assert "Tsering" not in str(document)
    assert "5550123456" not in str(document)
    assert "erased@sbx" not in str(document)
    events = await published_of(desk.stack, PATIENT_TOPIC, id, 2)
    assert events[-1]["type"] == "registration.PatientErased.v1"
    assert events[-1]["data"] is None
    assert (await desk.register(abha_address="erased@sbx"))["id"] != id
