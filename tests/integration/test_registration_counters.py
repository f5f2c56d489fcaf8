"""The OPD through its doors: counters, calling, moving, the board, papers, the register, cards read at the desk."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from registration_desk import ELSEWHERE, HERE, HIP, RUN, VISIT_TOPIC, Desk, published_of, serving_desk, until

from deploy.local.testing import TestStack

CARD = {"hidn": "00-4471-8823-0915", "hid": "pulled@abdm", "name": "Padma Lhamo", "gender": "F", "dob": "6-2-1958"}


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with serving_desk(stack) as desk:
        yield desk


async def post(desk: Desk, path: str, body: Any = None, status: int = 200, **how: Any) -> dict[str, Any]:
    answer = await desk.post(path, body or {}, **how)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def call_next(desk: Desk, counter: str, **how: Any) -> dict[str, Any]:
    return await post(desk, f"/opd/{HERE}/counters/{counter}/call-next", role="doctor", **how)


async def test_a_counter_is_set_up_closed_and_opened_and_its_tokens_are_valid_as_long_as_it_says(desk: Desk) -> None:
    await post(desk, "/opd", {"token_minutes": 45, "languages": ["ur", "en"]})
    await post(desk, "/opd/counters", {"counter": "LONG", "label": "Medicine", "token_minutes": 720})
    patient = (await desk.register())["id"]
    for counter, minutes in (("LONG", 720), ("OTHER", 45)):
        token = await desk.token(patient, counter)
        left = dt.datetime.fromisoformat(token["expires_at"]) - dt.datetime.now(dt.UTC)
        assert dt.timedelta(minutes=minutes - 1) < left <= dt.timedelta(minutes=minutes)
    await post(desk, f"/opd/{HERE}/counters/LONG/close")
    closed = await desk.post("/visits", {"patient": patient, "counter": "LONG"})
    assert (closed.status_code, closed.json()["errors"][0]["field"]) == (422, "counter")
    scanned = await desk.share(counter="LONG", abhaAddress="closed@sbx")
    assert (scanned.status_code, scanned.json()["errors"][0]["field"]) == (422, "metaData.context")
    again = await desk.post(f"/opd/{HERE}/counters/LONG/close", {})
    assert (again.status_code, again.json()["allowed"]) == (409, ["open"])
    await post(desk, f"/opd/{HERE}/counters/LONG/open")
    assert (await desk.token(patient, "LONG"))["number"] == 2
    shown = (await desk.get(f"/opd/{HERE}")).json()
    assert (shown["token_minutes"], shown["counters"]["LONG"]["status"]) == (45, "open")
    # Twelve hours later by the gateway's clock the same token, and what the phone is told is the queue's own validity.
    request_id, at = str(uuid.uuid4()), dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    at = at.replace(hour=4)
    first = await desk.share(counter="LONG", abhaAddress="long@sbx", request_id=request_id, at=at)
    second = await desk.share(counter="LONG", abhaAddress="long@sbx", at=at + dt.timedelta(hours=11))
    third = await desk.share(counter="LONG", abhaAddress="long@sbx", at=at + dt.timedelta(hours=12, minutes=1))
    assert [answer.json()["tokenNumber"] for answer in (first, second, third)] == ["1", "1", "2"]

    async def told() -> list[dict[str, Any]]:
        return desk.acknowledgements(request_id)

    [sent] = await until(told)
    assert sent["body"]["acknowledgement"]["profile"]["expiry"] == str(12 * 3600)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/opd", {"token_minutes": 4}, "token_minutes"),
        ("/opd", {"token_minutes": 721}, "token_minutes"),
        ("/opd", {"languages": ["en", "hi", "ur"]}, "languages"),
        ("/opd", {"languages": ["xx"]}, "languages.0"),
        ("/opd/counters", {"counter": "OPD-1", "label": "x"}, "counter"),
        ("/opd/counters", {"counter": HIP, "label": "Eyes"}, "counter"),
        ("/opd/counters", {"counter": "EYES", "label": "12"}, "label"),
        ("/opd/counters", {"counter": "EYES"}, "label"),
        (f"/opd/{HERE}/counters/NONE/open", {}, "counter"),
        ("/abha-cards", {"qr": "no card"}, "qr"),
        ("/abha-cards", {"qr": json.dumps(CARD | {"hidn": "1"})}, "qr.hidn"),
        ("/abha-cards", {"qr": json.dumps(CARD), "counter": "no such"}, "counter"),
    ],
)
async def test_a_bad_field_is_named_and_changes_nothing(desk: Desk, path: str, body: Any, field: str) -> None:
    opds = await desk.database["opds"].find({}, {"version": 1}).to_list(None)
    before = await desk.documents()
    answer = await desk.post(path, body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert await desk.documents() == before
    assert await desk.database["opds"].find({}, {"version": 1}).to_list(None) == opds


async def test_urgent_first_then_by_number_each_once_whoever_calls(desk: Desk) -> None:
    patient = (await desk.register())["id"]
    tokens = [await desk.token(patient, "CALL") for _ in range(6)]
    await post(desk, f"/visits/{tokens[4]['id']}/urgent", {"urgent": True})
    first = await call_next(desk, "CALL", key=f"call-{RUN}")
    assert (first["number"], first["status"], first["calls"]) == (5, "called", 1)
    assert await call_next(desk, "CALL", key=f"call-{RUN}") == first
    called = await asyncio.gather(*(call_next(desk, "CALL") for _ in range(5)))
    assert sorted(one["number"] for one in called) == [1, 2, 3, 4, 6]
    nobody = await desk.post(f"/opd/{HERE}/counters/CALL/call-next", {}, role="doctor")
    assert (nobody.status_code, nobody.json()["type"]) == (409, "urn:hillhealth:problem:nobody-waits")
    [issued, told] = await published_of(desk.stack, VISIT_TOPIC, tokens[0]["id"], 2)
    assert (issued["type"], told["type"]) == ("registration.TokenIssued.v1", "registration.TokenCalled.v1")
    assert set(told["data"]) == {
        "patient", "facility", "counter", "date", "number", "called_at", "times", "waited_seconds"
    }  # fmt: skip
    metrics = (await desk.served.client.get("/metrics")).text
    assert 'hillhealth_registration_wait_seconds_count{door="walk-in"}' in metrics


async def test_recall_skip_no_show_void_and_what_is_left(desk: Desk) -> None:
    patient = (await desk.register())["id"]
    one, two = [await desk.token(patient, "MOVE") for _ in range(2)]
    await post(desk, f"/visits/{one['id']}/skip")
    assert (await call_next(desk, "MOVE"))["number"] == 2
    recalled = await post(desk, f"/visits/{one['id']}/recall")
    assert (recalled["status"], recalled["calls"]) == ("called", 1)
    await post(desk, f"/visits/{one['id']}/serve")
    done = await desk.post(f"/visits/{one['id']}/no-show", {})
    assert (done.status_code, done.json()["allowed"]) == (409, [])
    gone = await post(desk, f"/visits/{two['id']}/no-show")
    assert gone["allowed"] == ["recall", "void"]
    await post(desk, f"/visits/{two['id']}/void", {"reason": "left"})
    wrong = await desk.post(f"/visits/{two['id']}/void", {"reason": "because"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "reason")
    assert (await desk.post(f"/visits/{two['id']}/recall", {}, facility=ELSEWHERE)).status_code == 403
    assert (await desk.post("/visits/nobody/recall", {})).status_code == 404


async def test_a_transfer_gives_a_number_there_keeps_urgency_and_leaves_no_gap(desk: Desk) -> None:
    patient = (await desk.register())["id"]
    here = await desk.token(patient, "FROM")
    await desk.token(patient, "TO")
    await post(desk, f"/visits/{here['id']}/urgent", {"urgent": True})
    moved = await post(desk, f"/visits/{here['id']}/transfer", {"counter": "TO"}, key=f"transfer-{RUN}")
    assert (moved["status"], moved["to"]["number"], moved["to"]["urgent"]) == ("transferred", 2, True)
    again = await post(desk, f"/visits/{here['id']}/transfer", {"counter": "TO"}, key=f"transfer-{RUN}")
    assert again["to"]["id"] == moved["to"]["id"]
    assert (await call_next(desk, "TO"))["number"] == 2
    assert (await desk.token(patient, "TO"))["number"] == 3
    same = await desk.post(f"/visits/{moved['to']['id']}/transfer", {"counter": "TO"})
    assert same.status_code == 422
    assert (await desk.token(patient, "FROM"))["number"] == 2


async def test_the_board_shows_numbers_as_they_are_called_and_nobodys_name(desk: Desk) -> None:
    patient = (await desk.register(name="Skarma Yangdol"))["id"]
    for _ in range(3):
        await desk.token(patient, "BOARD")
    page = await desk.served.client.get(f"/boards/{HERE}")
    assert (page.status_code, HERE in page.text) == (200, True)
    for name in ("board.js", "board.css"):
        assert (await desk.served.client.get(f"/boards/files/{name}")).status_code == 200
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(15), desk.served.client.stream("GET", f"/boards/{HERE}/events") as stream:
        async for line in stream.aiter_lines():
            if not line.startswith("data:"):
                continue
            assert "Skarma" not in line
            assert patient not in line
            [counter] = [one for one in json.loads(line[5:])["counters"] if one["counter"] == "BOARD"]
            seen.append(counter)
            if len(seen) == 1:
                await call_next(desk, "BOARD")
            elif counter["now"] is not None:
                break
    assert (seen[0]["now"], seen[0]["next"], seen[0]["waiting"]) == (None, [1, 2, 3], 3)
    assert (seen[-1]["now"], seen[-1]["next"], seen[-1]["waiting"]) == (1, [2, 3], 2)
    assert (await desk.served.client.get("/boards/NOWHERE")).status_code == 404


async def test_papers_are_printed_and_the_register_of_the_day_is_logged_for_each(desk: Desk) -> None:
    patient = await desk.register(name="Chosdol Angmo")
    token = await desk.token(patient["id"], "PAPER")
    slip = await desk.get(f"/visits/{token['id']}/slip.pdf?languages=bo,en")
    assert (slip.status_code, slip.content[:4]) == (200, b"%PDF")
    assert (await desk.get(f"/visits/{token['id']}/slip.pdf?languages=xx")).status_code == 422
    for name, start in (("qr.svg", b"<?xml"), ("qr.png", b"\x89PNG"), ("poster.pdf", b"%PDF")):
        answer = await desk.served.client.get(f"/opd/{HERE}/counters/PAPER/{name}")
        assert answer.content.startswith(start), answer.text
    assert (await desk.served.client.get("/opd/NOWHERE/counters/PAPER/qr.svg")).status_code == 404
    day = await desk.get(f"/opd/{HERE}/register/{token['date']}")
    rows = list(csv.DictReader(io.StringIO(day.text.removeprefix("\ufeff"))))
    [row] = [row for row in rows if row["counter"] == "PAPER"]
    assert (row["number"], row["name"], row["status"]) == ("1", "Chosdol Angmo", "waiting")
    assert (
        await desk.database["reads"].count_documents({"patient": patient["id"], "route": {"$regex": "register"}}) == 1
    )
    assert (await desk.get(f"/opd/{HERE}/register/{token['date']}", facility=ELSEWHERE)).status_code == 403


async def test_a_card_read_at_the_desk_registers_once_and_gives_a_token(desk: Desk) -> None:
    qr = json.dumps(CARD)
    read = await post(desk, "/abha-cards/read", {"qr": qr})
    assert (read["known"], read["verified"], read["details"]["abha_address"]) == (False, False, "pulled@abdm")
    first = await post(desk, "/abha-cards", {"qr": qr, "counter": "PULL"}, status=201, key=f"pull-{RUN}")
    assert (first["known"], first["visit"]["number"]) == (False, 1)
    assert await post(desk, "/abha-cards", {"qr": qr, "counter": "PULL"}, status=201, key=f"pull-{RUN}") == first
    again = await post(desk, "/abha-cards", {"qr": qr}, status=201)
    assert (again["patient"], again["known"], again["visit"]) == (first["patient"], True, None)
    living = (await desk.register(name="Padma Lhamo", sex="female", birth_date="1958-02-06", age_years=None))["id"]
    into = {"into": living, "reason": "one person"}
    await post(desk, f"/patients/{first['patient']}/merge", into, role="records-officer")
    assert (await post(desk, "/abha-cards", {"qr": qr}, status=201))["patient"] == living
    year = await desk.post("/abha-cards", {"qr": json.dumps(CARD | {"dob": "1980"})})
    assert (year.status_code, year.json()["errors"][0]["field"]) == (422, "qr"), "a year says something, too"
    other = await desk.post("/abha-cards", {"qr": json.dumps(CARD | {"gender": "M"})})
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "qr")


async def test_what_the_gateway_was_not_told_is_listed(desk: Desk) -> None:
    await desk.fault(on_share={"status": 503, "times": 1000})
    request_id = str(uuid.uuid4())
    await desk.share(request_id=request_id, counter="LIST", abhaAddress="list@sbx")

    async def failing() -> list[dict[str, Any]]:
        shares = (await desk.get("/shares?status=waiting")).json()["shares"]
        return [one for one in shares if one["request_id"] == request_id and one["last_error"]]

    [share] = await until(failing)
    await desk.fault()
    assert (share["last_error"], share["counter"], "abha_address" in share) == ("http-503", "LIST", False)
    assert (await desk.get("/shares", facility=ELSEWHERE)).json()["shares"] == []
    assert (await desk.get("/shares?status=lost")).status_code == 422


async def test_the_specification_of_2023_is_answered_in_its_own_shape(desk: Desk) -> None:
    request_id = str(uuid.uuid4())
    at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    headers = {"Authorization": f"Bearer {desk.stack.abdm.token()}", "REQUEST-ID": request_id, "TIMESTAMP": at,
               "X-HIP-ID": HIP}  # fmt: skip
    patient = {"healthId": "older@sbx", "healthIdNumber": None, "name": "Nawang", "gender": "D", "yearOfBirth": "1960"}
    body = {"intent": {"type": "PROFILE_SHARE"}, "profile": {"hipCode": "OLDER", "patient": patient}}
    answer = await desk.served.client.post("/v3/hip/patient/profile/share", json=body, headers=headers)
    assert (answer.status_code, answer.json().get("tokenNumber")) == (202, "1"), answer.text

    async def told() -> list[dict[str, Any]]:
        return desk.acknowledgements(request_id)

    [sent] = await until(told)
    assert sent["body"]["acknowledgement"] == {"status": "SUCCESS", "abhaAddress": "older@sbx", "tokenNumber": "1"}
