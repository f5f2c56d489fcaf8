"""ABDM Scan & Share against the gateway's stand-in, on the real broker and store."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from registration_desk import (
    ELSEWHERE,
    HERE,
    HIP,
    OTHER_HIP,
    PATIENT_TOPIC,
    SHARE,
    VISIT_TOPIC,
    Desk,
    published,
    published_of,
    serving_desk,
    shared,
    until,
)

from deploy.local.testing import TestStack
from services.registration.domain import share as shares

# Two days ago: the day after it has come at whatever hour these run.
NOW = dt.datetime.now(dt.UTC).replace(hour=5, minute=0, second=0, microsecond=0) - dt.timedelta(days=2)
ABHA = "00821167342079"


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with serving_desk(stack) as desk:
        yield desk
        await desk.fault()


async def acknowledged(desk: Desk, request_id: str, count: int = 1) -> list[dict[str, Any]]:
    async def enough() -> Any:
        found = desk.acknowledgements(request_id)
        return found if len(found) >= count else None

    found: list[dict[str, Any]] = await until(enough, 30)
    return found


async def stands(desk: Desk, request_id: str, status: str) -> dict[str, Any]:
    async def there() -> Any:
        return await desk.database["shares"].find_one({"state.request_id": request_id, "state.status": status})

    found: dict[str, Any] = await until(there, 30)
    return found


async def nothing_owed(desk: Desk) -> None:
    """A fault planted now meets only what comes after."""

    async def none() -> bool:
        return await desk.database["shares"].count_documents({"state.status": "waiting"}) == 0

    await until(none, 30)


async def test_a_share_registers_gives_a_token_and_is_acknowledged(desk: Desk) -> None:
    request_id = str(uuid.uuid4())
    answer = await desk.share(request_id=request_id, counter="FIRST", abhaAddress="First@SBX")
    assert answer.status_code == 202
    token = answer.json()
    assert token["tokenNumber"] == "1"
    patient = (await desk.get(f"/patients/{token['patient']}")).json()
    assert (patient["abha_address"], patient["birth_year"], patient["phone"]) == ("first@sbx", 1986, "+915550123456")
    assert (patient["registered_at"], patient["state_lgd"], patient["language"]) == (HERE, 37, "bo")
    [card] = await published_of(desk.stack, PATIENT_TOPIC, token["patient"], 1)
    [visit] = await published_of(desk.stack, VISIT_TOPIC, token["visit"], 1)
    assert card["actor"] == visit["actor"] == f"abdm-gateway@{HERE}"
    assert (visit["data"]["door"], visit["data"]["number"]) == ("scan-and-share", 1)
    [sent] = await acknowledged(desk, request_id)
    assert sent["body"] == {
        "acknowledgement": {
            "status": "SUCCESS",
            "abhaAddress": "first@sbx",
            "profile": {"context": "FIRST", "tokenNumber": "1", "expiry": "1800"},
        },
        "response": {"requestId": request_id},
    }
    assert sent["request_id"] != request_id
    assert sent["headers"]["timestamp"].endswith("Z")
    assert sent["headers"]["x-cm-id"] == "sbx"
    share = await stands(desk, request_id, "acknowledged")
    assert share["state"]["late"] is False


async def test_the_gateways_retry_gets_its_first_answer_and_one_acknowledgement(desk: Desk) -> None:
    request_id = str(uuid.uuid4())
    how: dict[str, Any] = {"request_id": request_id, "counter": "RETRY", "abhaAddress": "retry@sbx"}
    answers = await asyncio.gather(*(desk.share(**how) for _ in range(4)))
    answers.append(await desk.share(**how, at=dt.datetime.now(dt.UTC)))
    assert [answer.status_code for answer in answers] == [202] * 5
    assert all(answer.json() == answers[0].json() for answer in answers)
    other = await desk.share(**how | {"abhaAddress": "other@sbx"})
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "REQUEST-ID"
    await stands(desk, request_id, "acknowledged")
    assert len(await acknowledged(desk, request_id)) == 1
    assert await desk.database["patients"].count_documents({"claims": "abha-address:retry@sbx"}) == 1


async def test_a_rescan_gets_the_same_token_and_an_acknowledgement_of_its_own(desk: Desk) -> None:
    how: dict[str, Any] = {"counter": "RESCAN", "abhaAddress": "rescan@sbx", "abhaNumber": ABHA}
    first = (await desk.share(at=NOW, **how)).json()
    rescan = str(uuid.uuid4())
    almost = NOW + dt.timedelta(minutes=29)
    again = (await desk.share(request_id=rescan, at=almost, **how)).json()
    assert again == first
    assert (await acknowledged(desk, rescan))[0]["body"]["acknowledgement"]["profile"]["tokenNumber"] == "1"
    # The rescan itself is retried after the token has expired: the same answer still.
    late = await desk.share(request_id=rescan, at=NOW + dt.timedelta(minutes=45), **how)
    assert late.json() == first
    fresh = (await desk.share(at=NOW + dt.timedelta(minutes=31), **how)).json()
    assert (fresh["patient"], fresh["tokenNumber"]) == (first["patient"], "2")
    # A void number is never called: who scans again is given another.
    assert (await desk.post(f"/visits/{fresh['visit']}/void", {"reason": "left"})).status_code == 200
    another = (await desk.share(at=NOW + dt.timedelta(minutes=40), **how)).json()
    assert another["tokenNumber"] == "3"
    tomorrow = (await desk.share(at=NOW + dt.timedelta(days=1), **how)).json()
    assert tomorrow["tokenNumber"] == "1"


async def test_the_same_person_at_another_counter_and_facility_gets_another_token(desk: Desk) -> None:
    how: dict[str, Any] = {"at": NOW, "abhaAddress": "walks@sbx"}
    first = (await desk.share(counter="ONE", **how)).json()
    second = (await desk.share(counter="TWO", **how)).json()
    third = (await desk.share(counter="ONE", hip=OTHER_HIP, **how)).json()
    assert first["patient"] == second["patient"] == third["patient"]
    assert len({first["visit"], second["visit"], third["visit"]}) == 3
    seen = await desk.get(f"/patients/{first['patient']}", facility=ELSEWHERE)
    assert seen.json()["facilities"] == [HERE, ELSEWHERE]


async def test_the_same_abha_number_under_another_address_is_the_same_person(desk: Desk) -> None:
    number = "00210984179825"
    first = (await desk.share(counter="NUMBER", abhaAddress="old@sbx", abhaNumber=number)).json()
    second = (await desk.share(counter="NUMBER2", abhaAddress="new@sbx", abhaNumber=number)).json()
    third = (await desk.share(counter="NUMBER3", abhaAddress="NEW@sbx", abhaNumber=None)).json()
    assert first["patient"] == second["patient"] == third["patient"]


async def test_who_was_registered_at_the_desk_is_known_by_the_identifier(desk: Desk) -> None:
    patient = await desk.register(abha_address="desk@sbx")
    token = (await desk.share(counter="DESK", abhaAddress="desk@sbx", abhaNumber="00272795430680")).json()
    assert token["patient"] == patient["id"]
    corrected = (await published_of(desk.stack, PATIENT_TOPIC, patient["id"], 2))[1]
    assert corrected["data"]["changed"] == ["abha_number"]
    assert corrected["data"]["card"]["name"] == "Tsering Dolma"


async def test_two_shares_of_one_new_person_at_one_instant_make_one_patient(desk: Desk) -> None:
    how: dict[str, Any] = {"abhaAddress": "twin@sbx", "abhaNumber": "00207302319521"}
    answers = await asyncio.gather(*(desk.share(counter=f"TWIN{index}", **how) for index in range(6)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["patient"] for answer in answers}) == 1


async def test_an_acknowledgement_that_fails_three_times_is_made_once(desk: Desk) -> None:
    await nothing_owed(desk)
    await desk.fault(on_share={"status": 503, "times": 3})
    request_id = str(uuid.uuid4())
    assert (await desk.share(request_id=request_id, counter="FAILS", abhaAddress="fails@sbx")).status_code == 202
    share = await stands(desk, request_id, "acknowledged")
    assert share["state"]["attempts"] == 4
    assert share["state"]["late"] is False
    assert share["state"]["last_error"] == "http-503"
    assert len(desk.acknowledgements(request_id)) == 1


async def test_an_acknowledgement_whose_answer_was_lost_is_repeated_under_the_same_id(desk: Desk) -> None:
    await nothing_owed(desk)
    await desk.fault(on_share={"status": 502, "times": 1, "after_accept": True})
    request_id = str(uuid.uuid4())
    assert (await desk.share(request_id=request_id, counter="LOST", abhaAddress="lost@sbx")).status_code == 202
    first, second = await acknowledged(desk, request_id, 2)
    assert (first["request_id"], first["body"]) == (second["request_id"], second["body"])
    await stands(desk, request_id, "acknowledged")


async def test_giving_up_is_seen_in_the_state_and_in_the_metrics(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await nothing_owed(desk)
    monkeypatch.setattr(shares, "GIVE_UP_AFTER", dt.timedelta(seconds=1))
    await desk.fault(on_share={"status": 503, "times": 1000})
    request_id = str(uuid.uuid4())
    assert (await desk.share(request_id=request_id, counter="GIVEN", abhaAddress="given@sbx")).status_code == 202
    share = await stands(desk, request_id, "given-up")
    await desk.fault()
    assert share["state"]["last_error"] == "http-503"
    assert "retry_at" not in share
    metrics = (await desk.served.client.get("/metrics")).text
    assert 'hillhealth_registration_on_share_total{outcome="given_up"} 1.0' in metrics
    assert desk.acknowledgements(request_id) == []


async def test_an_expired_session_is_asked_for_again(desk: Desk) -> None:
    await nothing_owed(desk)
    await desk.fault(on_share={"status": 401, "times": 1})
    request_id = str(uuid.uuid4())
    assert (await desk.share(request_id=request_id, counter="STALE", abhaAddress="stale@sbx")).status_code == 202
    share = await stands(desk, request_id, "acknowledged")
    assert share["state"]["attempts"] == 1


async def test_a_share_cut_off_after_its_number_is_acknowledged_without_a_retry(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = desk.served.service.journal
    create = journal.create

    async def dies(kind: Any, *rest: Any) -> Any:
        if kind.name in ("visit", "share"):
            raise RuntimeError("killed")
        return await create(kind, *rest)

    request_id = str(uuid.uuid4())
    monkeypatch.setattr(journal, "create", dies)
    answer = await desk.share(request_id=request_id, counter="CUT", abhaAddress="cut@sbx")
    assert answer.status_code == 500
    monkeypatch.undo()
    [sent] = await acknowledged(desk, request_id)
    assert sent["body"]["acknowledgement"]["abhaAddress"] == "cut@sbx"
    retried = await desk.share(request_id=request_id, counter="CUT", abhaAddress="cut@sbx")
    assert (retried.status_code, retried.json()["tokenNumber"]) == (202, "1")
    await stands(desk, request_id, "acknowledged")
    assert len(desk.acknowledgements(request_id)) == 1


def forged() -> str:
    key = generate_private_key(65537, 2048)
    return jwt.encode({"exp": int(time.time()) + 60}, key, "RS256", headers={"kid": "nobody"})


@pytest.mark.parametrize(
    ("how", "status", "field", "code"),
    [
        ({"headers": {"Authorization": ""}}, 401, "Authorization", "900901"),
        ({"headers": {"Authorization": "Bearer nonsense"}}, 401, "Authorization", "900901"),
        ({"headers": {"Authorization": f"Bearer {forged()}"}}, 401, "Authorization", "900901"),
        ({"headers": {"REQUEST-ID": ""}}, 400, "REQUEST-ID", "ABDM-2401"),
        ({"headers": {"TIMESTAMP": ""}}, 400, "TIMESTAMP", "ABDM-1016"),
        ({"headers": {"TIMESTAMP": "2026-11-20T09:00:00.000+05:30"}}, 400, "TIMESTAMP", "ABDM-1016"),
        ({"headers": {"TIMESTAMP": "2026-11-20T09:00:00.000"}}, 400, "TIMESTAMP", "ABDM-1016"),
        ({"headers": {"TIMESTAMP": "2026-13-40T09:00:00.000Z"}}, 400, "TIMESTAMP", "ABDM-1016"),
        ({"headers": {"TIMESTAMP": "2999-01-01T09:00:00.000Z"}}, 400, "TIMESTAMP", "ABDM-1016"),
        ({"headers": {"TIMESTAMP": "0001-01-01T09:00:00.000Z"}, "yearOfBirth": None}, 400, "TIMESTAMP", "ABDM-1016"),
        ({"headers": {"X-HIP-ID": OTHER_HIP}}, 400, "X-HIP-ID", "ABDM-1035"),
        ({"hip": "IN9999999999"}, 404, "metaData.hipId", "ABDM-1035"),
        ({"counter": "no such"}, 400, "metaData.context", "ABDM-1006"),
        ({"abhaAddress": None}, 400, "profile.patient.abhaAddress", "ABDM-1170"),
        ({"name": "Tashi 999941057058"}, 400, "profile.patient.name", "ABDM-1006"),
        ({"gender": {"M": 1}}, 400, "profile.patient.gender", "ABDM-1006"),
    ],
)
async def test_nonsense_is_refused_by_field_and_code_and_changes_nothing(
    desk: Desk, how: dict[str, Any], status: int, field: str, code: str
) -> None:
    before = await desk.documents()
    on_topics = [len(await published(desk.stack, topic)) for topic in (PATIENT_TOPIC, VISIT_TOPIC)]
    answer = await desk.share(**{"abhaAddress": "bad@sbx", **how})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["errors"][0]["field"], body["error"]["code"]) == (field, code)
    assert "999941057058" not in answer.text
    assert await desk.documents() == before
    assert [len(await published(desk.stack, topic)) for topic in (PATIENT_TOPIC, VISIT_TOPIC)] == on_topics


async def test_another_intent_and_a_broken_body_are_refused(desk: Desk) -> None:
    headers = {
        "Authorization": f"Bearer {desk.stack.abdm.token()}",
        "REQUEST-ID": str(uuid.uuid4()),
        "TIMESTAMP": "2026-11-20T03:30:00.000Z",
        "X-HIP-ID": HIP,
    }
    other = await desk.served.client.post(SHARE, json=shared() | {"intent": "PAYMENT"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (400, "ABDM-1149")
    for content in (b"", b"{", b"[]", b"null", b"\xff", b'{"intent": NaN}', b'{"intent": "\\ud800"}', b"[" * 5000):
        answer = await desk.served.client.post(SHARE, content=content, headers=headers)
        assert 400 <= answer.status_code < 500, content
        assert "error" in answer.json()


async def test_a_token_of_our_own_issuer_does_not_open_the_gateways_door(desk: Desk) -> None:
    token = desk.stack.issuer.token(role="abdm-gateway", facility=HERE)
    answer = await desk.share(headers={"Authorization": f"Bearer {token}"}, abhaAddress="ours@sbx")
    assert answer.status_code == 401
    gateway = desk.stack.abdm.token()
    said = {"Authorization": f"Bearer {gateway}", "Idempotency-Key": "k"}
    assert (await desk.served.client.post("/visits", json={}, headers=said)).status_code == 401
