"""OPD tokens on the real broker and store: gapless, once per request, completed after a crash."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest
from registration_desk import ELSEWHERE, HERE, RUN, VISIT_TOPIC, Desk, published, published_of, serving_desk, until

from deploy.local.testing import TestStack, serving
from services.registration.domain.queue import queue_id


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with serving_desk(stack) as desk:
        yield desk


async def numbers(desk: Desk, counter: str) -> list[int]:
    visits = await desk.database["visits"].find({"state.counter": counter}).to_list(None)
    return sorted(visit["state"]["number"] for visit in visits)


async def test_fifty_at_once_through_two_replicas_get_one_to_fifty(desk: Desk) -> None:
    patient = (await desk.register())["id"]
    settings = desk.served.service.settings.model_dump()
    again = desk.stack.settings(
        "registration",
        DATABASE_PREFIX=settings["database_prefix"],
        CLOCK="system",
        TIMERS="false",
        RELAY="false",
    )
    async with serving(again, "registration") as second:
        replicas = (desk, Desk(desk.stack, second))

        async def one(index: int) -> dict[str, Any]:
            # Every third caller's link drops: it is sent to both replicas, with the same key.
            sent = [replicas[index % 2].token(patient, "HOT", key=f"hot-{index}-{RUN}")]
            if index % 3 == 0:
                sent.append(replicas[(index + 1) % 2].token(patient, "HOT", key=f"hot-{index}-{RUN}"))
            answers = await asyncio.gather(*sent)
            assert all(answer == answers[0] for answer in answers)
            return answers[0]

        taken = await asyncio.gather(*(one(index) for index in range(50)))
    assert sorted(token["number"] for token in taken) == list(range(1, 51))
    assert await numbers(desk, "HOT") == list(range(1, 51))
    for token in taken:
        [event] = await published_of(desk.stack, VISIT_TOPIC, token["id"], 1)
        assert event["data"]["number"] == token["number"]
        assert set(event["data"]) == {"patient", "facility", "counter", "date", "number", "expires_at", "door"}


async def test_a_token_sent_again_is_the_same_also_on_another_day(desk: Desk) -> None:
    patient = (await desk.register())["id"]
    first = await desk.token(patient, "AGAIN", key=f"again-{RUN}")
    assert await desk.token(patient, "AGAIN", key=f"again-{RUN}") == first
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    later = {"Date": tomorrow.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    assert await desk.token(patient, "AGAIN", key=f"again-{RUN}", headers=later) == first
    for body in ({"patient": patient, "counter": "OTHER"}, {"patient": "somebody", "counter": "AGAIN"}):
        answer = await desk.post("/visits", body, key=f"again-{RUN}")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert await numbers(desk, "AGAIN") == [1]
    assert await numbers(desk, "OTHER") == []


async def test_an_answer_says_whose_and_until_when(desk: Desk) -> None:
    patient = (await desk.register())["id"]
    token = await desk.token(patient, "SHOWN")
    assert (token["patient"], token["facility"], token["counter"], token["number"]) == (patient, HERE, "SHOWN", 1)
    left = dt.datetime.fromisoformat(token["expires_at"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=29) < left <= dt.timedelta(minutes=30)
    assert (await desk.get(f"/visits/{token['id']}")).json() == token
    assert (await desk.get(f"/visits/{token['id']}", facility=ELSEWHERE)).status_code == 403
    queue = await desk.get(f"/queues/{HERE}/SHOWN/{token['date']}", role="doctor")
    assert (queue.json()["last"], queue.json()["visits"]) == (1, [token])
    assert (await desk.get(f"/queues/{HERE}/SHOWN/{token['date']}", facility=ELSEWHERE)).status_code == 403
    assert (await desk.get(f"/queues/{HERE}/SHOWN/12345")).status_code == 422
    assert (await desk.get(f"/queues/{HERE}/NOBODY/2026-01-01")).status_code == 404


async def test_the_day_of_an_entry_made_late_is_the_desks(desk: Desk) -> None:
    patient = (await desk.register())["id"]
    yesterday = (dt.datetime.now(dt.UTC) - dt.timedelta(days=1)).isoformat()
    answer = await desk.post("/visits", {"patient": patient, "counter": "LATE", "occurred_at": yesterday})
    assert answer.status_code == 201
    today = await desk.token(patient, "LATE")
    assert (answer.json()["number"], today["number"]) == (1, 1)
    assert answer.json()["date"] < today["date"]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"counter": ""}, "counter"),
        ({"counter": "OPD-1"}, "counter"),
        ({"counter": "A" * 21}, "counter"),
        ({"counter": "999941057058"}, "counter"),
        ({"counter": None}, "counter"),
        ({"patient": "nobody"}, "patient"),
        ({"patient": ""}, "patient"),
        ({"number": 7}, "number"),
    ],
)
async def test_a_bad_field_is_named_and_no_number_is_taken(desk: Desk, said: dict[str, Any], field: str) -> None:
    patient = (await desk.register())["id"]
    before, on_topic = await desk.documents(), len(await published(desk.stack, VISIT_TOPIC))
    answer = await desk.post("/visits", {"patient": patient, "counter": "BAD"} | said)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert "999941057058" not in answer.text
    assert await desk.documents() == before
    assert len(await published(desk.stack, VISIT_TOPIC)) == on_topic


async def test_a_crash_between_number_and_visit_is_completed_by_the_timer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = (await desk.register())["id"]
    await desk.token(patient, "CRASH")
    journal = desk.served.service.journal
    create = journal.create

    async def dies(kind: Any, *rest: Any) -> Any:
        if kind.name == "visit":
            raise RuntimeError("killed")
        return await create(kind, *rest)

    monkeypatch.setattr(journal, "create", dies)
    answer = await desk.post("/visits", {"patient": patient, "counter": "CRASH"}, key=f"crash-{RUN}")
    assert answer.status_code == 500
    monkeypatch.undo()
    await desk.token(patient, "CRASH")
    assert await numbers(desk, "CRASH") == [1, 3]

    async def whole() -> bool:
        return await numbers(desk, "CRASH") == [1, 2, 3]

    await until(whole)
    repeated = await desk.token(patient, "CRASH", key=f"crash-{RUN}")
    assert repeated["number"] == 2
    [event] = await published_of(desk.stack, VISIT_TOPIC, repeated["id"], 1)
    assert event["actor"] == f"desk@{HERE}"
    assert await numbers(desk, "CRASH") == [1, 2, 3]


async def test_a_burst_is_looked_at_once(desk: Desk) -> None:
    patient = (await desk.register())["id"]
    tokens = await asyncio.gather(*(desk.token(patient, "BURST") for _ in range(20)))
    id = queue_id(HERE, "BURST", dt.date.fromisoformat(tokens[0]["date"]))

    async def looked() -> Any:
        queue = await desk.database["queues"].find_one({"_id": id, "retry_at": {"$exists": False}})
        return queue if queue and queue["state"]["checked"] == 20 else None

    queue = await until(looked)
    assert [entry["type"] for entry in queue["journal"]].count("PromisesChecked") <= 2
