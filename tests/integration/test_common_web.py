"""The doors, on a real store: who may, what a retry gets, and every refusal as a problem that quotes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import re
from collections.abc import AsyncIterator
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import APIRouter

from deploy.local.ports import free_port
from deploy.local.testing import TestStack
from libs.common.access import SYSTEM
from libs.common.clock import machine_now
from libs.common.service import RouteWithoutRule, Service
from libs.contracts.referral import REFERRAL
from tests.toy.door import ACCESS, routes
from tests.toy.ledger import LEDGER, asked, new_id, request
from tests.toy.running import Proxy, calling, header, on_topic, produce, running, toy
from tests.toy.running import clients_closed as clients_closed
from tests.toy.stream import event, in_group_of, listening
from tests.waiting import eventually

BODY = {"destination": "B1"}


def _open(stack: TestStack, prefix: str, **overrides: Any) -> Service:
    service = toy(stack, prefix, access=ACCESS, **overrides)
    service.include(routes(service))
    return service


def _doctor(stack: TestStack, facility: str = "A1") -> str:
    return stack.issuer.token(role="doctor", facility=facility)


@pytest.fixture
async def service(stack: TestStack, prefix: str) -> Service:
    service = _open(stack, prefix)
    await service.ensure_indexes()
    return service


@pytest.fixture
async def door(stack: TestStack, service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A doctor of A1."""
    async with calling(service, _doctor(stack)) as client:
        yield client


def _key(key: str | None = None) -> dict[str, str]:
    return {"Idempotency-Key": key or new_id()}


def _is_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"urn:hillhealth:problem:{code}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert "Marked" not in answer.text
    return problem


def _fields(problem: dict[str, Any]) -> list[str]:
    return [error["field"] for error in problem["errors"]]


def test_a_route_without_a_rule_cannot_be_built(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix, access=ACCESS)
    router = APIRouter()

    @router.get("/forgotten")
    async def forgotten() -> None:
        return None

    with pytest.raises(RouteWithoutRule, match="GET /forgotten"):
        service.include(router)


async def test_a_route_added_behind_the_services_back_does_not_start(stack: TestStack, prefix: str) -> None:
    service = _open(stack, prefix)

    @service.app.get("/forgotten")
    async def forgotten() -> dict[str, str]:
        return {"secret": "yes"}

    async with calling(service, _doctor(stack)) as client:
        _is_problem(await client.get("/forgotten"), 403, "forbidden")
    with pytest.raises(RouteWithoutRule):
        async with service.app.router.lifespan_context(service.app):
            pass


async def test_without_a_token_or_with_a_bad_one_nothing_is_shown(stack: TestStack, service: Service) -> None:
    async with calling(service) as client:
        answer = await client.get("/asks")
        _is_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
        expired = stack.issuer.token(role="doctor", facility="A1", hours=-1)
        for bad in ("Bearer Marked", "Basic Marked", "Bearer", f"Bearer {expired}"):
            _is_problem(await client.get("/asks", headers={"Authorization": bad}), 401, "unauthenticated")


async def test_the_wrong_role_or_facility_is_refused_and_changes_nothing(stack: TestStack, service: Service) -> None:
    async with calling(service, _doctor(stack)) as client:
        id = (await client.post("/asks", json=BODY, headers=_key())).json()["id"]
    before = await service.journal.load(LEDGER, id)
    for role, facility in (("doctor", "A1"), ("doctor", "Z9"), ("desk", "B1"), ("doctor", "")):
        async with calling(service, stack.issuer.token(role=role, facility=facility)) as client:
            _is_problem(await client.post(f"/asks/{id}/accept", headers=_key()), 403, "forbidden")
    assert await service.journal.load(LEDGER, id) == before
    async with calling(service, _doctor(stack, "B1")) as client:
        assert (await client.post(f"/asks/{id}/accept", headers=_key())).json()["accepted"] == 1


async def test_lists_and_reads_show_only_what_the_rule_allows_and_reads_are_logged(
    stack: TestStack, service: Service
) -> None:
    ids = []
    for origin, destination in (("A1", "B1"), ("B1", "C1"), ("C1", "D1")):
        async with calling(service, _doctor(stack, origin)) as client:
            answer = await client.post("/asks", json={"destination": destination}, headers=_key())
            ids.append(answer.json()["id"])
    async with calling(service, _doctor(stack, "B1")) as client:
        assert set((await client.get("/asks")).json()["items"]) == set(ids[:2])
        assert (await client.get(f"/asks/{ids[0]}", headers={"X-Purpose": "BTG"})).status_code == 200
        _is_problem(await client.get(f"/asks/{ids[2]}"), 403, "forbidden")
        _is_problem(await client.get(f"/asks/{new_id()}"), 404, "not-found")
        unknown = _is_problem(
            await client.get(f"/asks/{ids[0]}", headers={"X-Purpose": "Marked"}), 422, "purpose-unknown"
        )
        assert _fields(unknown) == ["X-Purpose"]
    (read,) = await service.database["reads"].find().to_list(None)
    assert (read["purpose"], read["facility"], read["route"]) == ("BTG", "B1", "GET /asks/{id}")


async def test_pages_go_on_where_the_last_one_ended(door: httpx.AsyncClient) -> None:
    ids = {(await door.post("/asks", json=BODY, headers=_key())).json()["id"] for _ in range(7)}
    seen: list[str] = []
    cursor: str | None = None
    while True:
        answer = (await door.get("/asks", params={"limit": 3} | ({"cursor": cursor} if cursor else {}))).json()
        seen += answer["items"]
        cursor = answer["next"]
        if cursor is None:
            break
    assert len(seen) == 7
    assert set(seen) == ids
    for bad in ("Marked", "MQ==", "e30=", "WzEsMl0=", "\u0967"):
        problem = _is_problem(await door.get("/asks", params={"cursor": bad}), 422, "cursor-invalid")
        assert _fields(problem) == ["cursor"]
    problem = _is_problem(await door.get("/asks", params={"limit": 0}), 422, "limit-out-of-range")
    assert _fields(problem) == ["limit"]


async def test_a_retry_gets_its_first_answer_and_another_body_is_refused(
    service: Service, door: httpx.AsyncClient
) -> None:
    key = _key('"quoted key"')
    first = await door.post("/asks", json=BODY, headers=key)
    now = machine_now().isoformat()
    again = await door.post("/asks", json={**BODY, "occurred_at": now}, headers=_key("quoted key"))
    assert (first.status_code, first.json()) == (again.status_code, again.json()) == (201, first.json())
    problem = _is_problem(
        await door.post("/asks", json={"destination": "C1"}, headers=key), 422, "idempotency-key-reused"
    )
    assert _fields(problem) == ["Idempotency-Key"]
    assert await service.database["referrals"].count_documents({}) == 1


async def test_the_key_of_one_target_is_not_taken_for_another(stack: TestStack, service: Service) -> None:
    async with calling(service, _doctor(stack)) as client:
        ids = [(await client.post("/asks", json=BODY, headers=_key())).json()["id"] for _ in range(2)]
    async with calling(service, _doctor(stack, "B1")) as client:
        assert (await client.post(f"/asks/{ids[0]}/accept", headers=_key("k"))).status_code == 200
        _is_problem(await client.post(f"/asks/{ids[1]}/accept", headers=_key("k")), 422, "idempotency-key-reused")
        assert (await client.post(f"/asks/{ids[0]}/accept", headers=_key("k"))).json()["accepted"] == 1


async def test_a_refusal_is_not_remembered(stack: TestStack, service: Service) -> None:
    id = new_id()
    async with calling(service, _doctor(stack, "B1")) as client:
        _is_problem(await client.post(f"/asks/{id}/accept", headers=_key("k")), 404, "not-found")
        await service.journal.create(LEDGER, id, lambda s: [asked()], request(), SYSTEM)
        assert (await client.post(f"/asks/{id}/accept", headers=_key("k"))).status_code == 200


@pytest.mark.parametrize(
    ("headers", "body", "code", "field"),
    [
        ({}, BODY, "idempotency-key-missing", "Idempotency-Key"),
        ({"Idempotency-Key": '""'}, BODY, "idempotency-key-missing", "Idempotency-Key"),
        ({"Idempotency-Key": "x" * 256}, BODY, "idempotency-key-invalid", "Idempotency-Key"),
        ({"Idempotency-Key": "9999 4105 7058"}, BODY, "idempotency-key-invalid", "Idempotency-Key"),
        ({"Date": "Marked"}, BODY, "date-invalid", "Date"),
        ({}, {**BODY, "occurred_at": "Marked"}, "occurred-at-invalid", "occurred_at"),
        ({}, {**BODY, "occurred_at": "2026-01-05T09:00:00"}, "occurred-at-invalid", "occurred_at"),
        ({}, {**BODY, "occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred-at-invalid", "occurred_at"),
        ({}, {**BODY, "occurred_at": 5}, "occurred-at-invalid", "occurred_at"),
        ({}, {**BODY, "occurred_at": "1990-01-01T00:00:00Z"}, "occurred-too-long-ago", "occurred_at"),
        ({"Date": "Fri, 31 Dec 9999 23:59:59 GMT"}, BODY, "date-invalid", "Date"),
        ({}, {}, "field-invalid", "destination"),
        ({}, {"destination": "Marked Name"}, "field-invalid", "destination"),
        ({}, {**BODY, "reason": "Marked" * 10}, "field-invalid", "reason"),
        ({}, {**BODY, "surplus": "Marked"}, "field-invalid", "surplus"),
        ({}, {**BODY, "Marked Name": 1}, "field-invalid", "(unknown)"),
        ({}, ["Marked"], "field-invalid", "body"),
    ],
    ids=str,
)
async def test_bad_input_names_the_field_and_changes_nothing(
    service: Service, door: httpx.AsyncClient, headers: dict[str, str], body: Any, code: str, field: str
) -> None:
    given = headers if code.startswith("idempotency") else {**_key(), **headers}
    problem = _is_problem(await door.post("/asks", json=body, headers=given), 422, code)
    assert field in _fields(problem)
    assert await service.database["referrals"].count_documents({}) == 0


async def test_what_happened_may_be_five_minutes_ahead_of_its_sending_and_not_more(
    service: Service, door: httpx.AsyncClient
) -> None:
    sent = dt.datetime(2026, 1, 5, 9, 0, tzinfo=dt.UTC)
    date = {"Date": format_datetime(sent, usegmt=True)}
    late = {**BODY, "occurred_at": (sent + dt.timedelta(minutes=5, seconds=1)).isoformat()}
    problem = _is_problem(await door.post("/asks", json=late, headers=_key() | date), 422, "occurred-after-sending")
    assert _fields(problem) == ["occurred_at"]
    fine = {**BODY, "occurred_at": (sent + dt.timedelta(minutes=5)).isoformat()}
    answer = await door.post("/asks", json=fine, headers=_key() | date)
    assert answer.status_code == 201
    (entry,) = await service.journal.history(LEDGER, answer.json()["id"])
    assert entry["occurred_at"] == sent + dt.timedelta(minutes=5)


@pytest.mark.parametrize(
    "raw", [b"{", b"\xff\xfe", b"Marked", b"[" * 20_000, b'{"destination": "\\ud800"}', b"1" * 5000, b"nul"]
)
async def test_a_body_that_is_no_json_or_nonsense_is_the_callers_fault(door: httpx.AsyncClient, raw: bytes) -> None:
    answer = await door.post("/asks", content=raw, headers=_key() | {"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    _is_problem(answer, answer.status_code, answer.json()["type"].rsplit(":", 1)[1])
    # Also where no body is asked for.
    other = await door.post(f"/asks/{new_id()}/accept", content=raw, headers=_key())
    assert other.status_code == 404


async def test_a_body_too_large_is_refused_also_in_chunks(stack: TestStack, prefix: str) -> None:
    service = _open(stack, prefix, max_request_bytes=2048)
    large = json.dumps({"destination": "B1", "reason": "Marked" * 1000}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 500):
            yield large[start : start + 500]

    headers = _key() | {"Content-Type": "application/json"}
    async with calling(service, _doctor(stack)) as client:
        _is_problem(await client.post("/asks", content=large, headers=headers), 413, "body-too-large")
        _is_problem(await client.post("/asks", content=chunks(), headers=headers), 413, "body-too-large")
        path = f"/asks/{new_id()}/accept"
        _is_problem(await client.post(path, content=chunks(), headers=headers), 413, "body-too-large")


async def test_who_asks_too_often_is_told_to_wait(stack: TestStack, prefix: str) -> None:
    service = _open(stack, prefix, requests_per_second=3, public_requests_per_second=2)
    await service.ensure_indexes()
    async with calling(service, _doctor(stack)) as client, calling(service) as anybody:
        answers = await asyncio.gather(*(client.get("/asks") for _ in range(12)))
        limited = [answer for answer in answers if answer.status_code == 429]
        assert limited
        assert limited[0].headers["retry-after"] == "1"
        _is_problem(limited[0], 429, "too-many-requests")
        # Another caller has a measure of its own, and so have those without a token.
        async with calling(service, _doctor(stack, "B1")) as other:
            assert (await other.get("/asks")).status_code == 200
        answers = await asyncio.gather(*(anybody.get("/livez") for _ in range(8)))
        assert {answer.status_code for answer in answers} == {200, 429}
    async with calling(service, "no.token.atall") as guessing:
        answers = await asyncio.gather(*(guessing.get("/asks") for _ in range(12)))
        assert {answer.status_code for answer in answers} == {401, 429}


async def test_our_own_fault_says_nothing_about_anybody(door: httpx.AsyncClient) -> None:
    _is_problem(await door.get("/boom"), 500, "unexpected")


async def test_unknown_paths_and_methods_are_problems_too(door: httpx.AsyncClient) -> None:
    _is_problem(await door.get("/Marked"), 404, "not-found")
    _is_problem(await door.delete("/asks"), 405, "method-not-allowed")


async def test_without_a_token_an_anonymous_door_opens_and_a_bad_token_is_still_refused(
    stack: TestStack, service: Service
) -> None:
    async with calling(service) as client:
        answer = await client.post("/open", json={"text": "x"}, headers=_key())
        assert (answer.status_code, answer.json()["actor"]) == (201, "citizen")
        headers = _key() | {"Authorization": "Bearer Marked"}
        _is_problem(await client.post("/open", json={"text": "x"}, headers=headers), 401, "unauthenticated")
    async with calling(service, _doctor(stack)) as client:
        _is_problem(await client.post("/open", json={"text": "x"}, headers=_key()), 403, "forbidden")


async def test_readiness_follows_the_store_and_writes_say_come_again(stack: TestStack, prefix: str) -> None:
    port = int(stack.mongodb_uri.split(":")[2].split("/")[0])
    async with Proxy(port) as proxy:
        uri = f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true&serverSelectionTimeoutMS=500"
        service = _open(stack, prefix, mongodb_uri=uri)
        async with running(service), calling(service, _doctor(stack)) as client:
            ready = await client.get("/readyz")
            assert ready.status_code == 200
            assert set(ready.json()["checks"].values()) == {"ok"}
            await proxy.refuse()
            away = await eventually(lambda: _unready(client))
            assert away["checks"]["store"] != "ok"
            assert (await client.get("/livez")).status_code == 200
            key = _key()
            answer = await client.post("/asks", json=BODY, headers=key)
            _is_problem(answer, 503, "store-away")
            assert answer.headers["retry-after"]
            await proxy.allow()
            await eventually(lambda: _is_ready(client))
            assert (await client.post("/asks", json=BODY, headers=key)).status_code == 201
            assert await service.database["referrals"].count_documents({}) == 1


async def _unready(client: httpx.AsyncClient) -> dict[str, Any] | None:
    answer = await client.get("/readyz")
    return answer.json() if answer.status_code == 503 else None


async def _is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


async def test_a_service_that_starts_before_its_store_and_broker_lives_and_is_not_ready(
    stack: TestStack, prefix: str
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    service = _open(stack, prefix, kafka_bootstrap=nowhere)
    service.react(REFERRAL, _ignore)
    async with running(service, ready=False), calling(service) as client:
        assert (await client.get("/livez")).status_code == 200
        answer = await eventually(lambda: _unready(client))
        assert answer["checks"]["broker"] != "ok"
        assert answer["checks"]["consumers"] == "not assigned"


async def _ignore(received: object) -> None:
    return None


async def test_dead_letters_are_settled_by_an_operator_only_and_each_settling_is_audited(
    stack: TestStack, prefix: str
) -> None:
    service = _open(stack, prefix)
    handled: list[str] = []
    refusing = True

    async def react(received: Any) -> None:
        if refusing:
            raise RuntimeError
        handled.append(received.key)

    service.react(REFERRAL, react)
    in_group_of(service, prefix)
    first, second = new_id(), new_id()
    async with listening(stack, service):
        await produce(stack, REFERRAL, event(first), event(second))
        async with calling(service, _doctor(stack)) as client:
            _is_problem(await client.get("/dead-letters"), 403, "forbidden")
            _is_problem(await client.post("/dead-letters/x/redrive", headers=_key()), 403, "forbidden")
        operator = stack.issuer.token(role="operator", subject="asha")
        async with calling(service, operator) as client:
            letters = await eventually(lambda: _two(client))
            ids = {letter["key"]: letter["_id"] for letter in letters}
            assert "sealed" not in letters[0]
            failed = await client.post(f"/dead-letters/{ids[first]}/redrive", headers=_key())
            assert failed.json()["failed"] == ids[first]
            refusing = False
            answer = await client.post(f"/dead-letters/{ids[first]}/redrive", headers=_key())
            assert answer.json() == {"redriven": [ids[first]], "failed": None}
            assert handled == [first]
            answer = await client.post(f"/dead-letters/{ids[second]}/discard", json={"note": "twice"}, headers=_key())
            assert answer.json() == {"discarded": ids[second]}
            settled = await client.post(f"/dead-letters/{ids[second]}/discard", json={"note": "more"}, headers=_key())
            _is_problem(settled, 409, "dead-letter-settled")
            _is_problem(await client.post("/dead-letters/x/redrive", headers=_key()), 404, "not-found")
            assert (await client.get("/dead-letters")).json() == []
            (gone,) = (await client.get("/dead-letters", params={"status": "discarded"})).json()
    assert [(entry["by"], entry["did"], entry["note"]) for entry in gone["history"]] == [("asha", "discarded", "twice")]


async def _two(client: httpx.AsyncClient) -> list[dict[str, Any]] | None:
    letters: list[dict[str, Any]] = (await client.get("/dead-letters")).json()
    return letters if len(letters) == 2 else None


async def test_a_requests_trace_goes_on_in_the_record(stack: TestStack, prefix: str) -> None:
    service = _open(stack, prefix)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with running(service), calling(service, _doctor(stack)) as client:
        headers = _key() | {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        id = (await client.post("/asks", json=BODY, headers=headers)).json()["id"]
        (record,) = await eventually(lambda: on_topic(stack, REFERRAL, [id]))
    traceparent = header(record, "traceparent") or ""
    assert traceparent.split("-")[1] == trace
    assert traceparent.split("-")[2] != "00f067aa0ba902b7"
    assert header(record, "ce_actor") == "doctor@A1"


async def test_a_scrape_has_every_series_and_no_path(stack: TestStack, service: Service) -> None:
    async with calling(service, _doctor(stack)) as client:
        id = (await client.post("/asks", json=BODY, headers=_key())).json()["id"]
        await client.get(f"/asks/{id}")
        await client.get(f"/nowhere/{id}")
        scrape = (await client.get("/metrics")).text
    declared = set(service.metrics.registry._names_to_collectors)
    named = {name for name in declared if name.startswith("hillhealth_") and not name.endswith("_created")}
    assert named
    for family in service.metrics.registry.collect():
        assert f"# TYPE {family.name}" in scrape
    assert 'hillhealth_http_requests_total{method="POST",route="/asks",status="201"} 1.0' in scrape
    assert 'route="/asks/{id}",status="200"' in scrape
    assert 'hillhealth_journal_appends_total{aggregate="referral"} 1.0' in scrape
    assert "hillhealth_events_pending 1.0" in scrape
    assert id not in scrape


async def test_whoever_watches_sees_each_type_as_it_is_published(stack: TestStack, prefix: str) -> None:
    port = free_port()
    service = _open(stack, prefix)
    server = uvicorn.Server(uvicorn.Config(service.app, port=port, log_config=None, timeout_graceful_shutdown=1))
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    serving = asyncio.create_task(server.serve())
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            await eventually(lambda: _answers(client))
            async with client.stream("GET", "/activity") as stream:
                assert stream.headers["content-type"].startswith("text/event-stream")
                headers = _key() | {"Authorization": f"Bearer {_doctor(stack)}"}
                body = {"destination": "B1", "reason": "Marked"}
                assert (await client.post("/asks", json=body, headers=headers)).status_code == 201
                async with asyncio.timeout(10):
                    async for line in stream.aiter_lines():
                        if line.startswith("data:"):
                            break
            told = json.loads(line.removeprefix("data:"))
            assert (told["direction"], told["type"]) == ("published", "referral.ReferralRequested.v1")
            assert set(told) == {"direction", "type", "count", "at"}
            page = await client.get("/")
            assert "referral.referral.v1" in page.text
            assert "default-src 'self'" in page.headers["content-security-policy"]
            schema = await client.get("/schemas/referral.ReferralRequested.v1")
            assert "reason" not in schema.json()["properties"]
            assert re.search(r"<title>.*referral", page.text, re.S | re.I)
    finally:
        server.should_exit = True
        await serving


def _no_signals() -> Any:
    return contextlib.nullcontext()


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False
