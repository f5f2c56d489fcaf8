"""What is seen: worklists page by page and live, reminders on the day's clock, the audit of the month, the gauges."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import json
from collections.abc import AsyncIterator
from email.utils import format_datetime
from typing import Any

import pytest
from referral_desk import ELSEWHERE, HERE, LOOP, THERE, Desk, data, header, open_desk, person, until

from deploy.local.testing import TestStack
from libs.contracts.referral import REFERRAL

MORNING = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with open_desk(stack) as desk:
        yield desk


async def on(desk: Desk, name: str, role: str = "doctor", facility: str = THERE) -> list[str]:
    answer = await desk.get(role, facility, f"/worklists/{name}")
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def sent(desk: Desk, at: dt.datetime, **more: Any) -> str:
    """A request whose time of sending is `at`: on the day's clock that is now."""
    body = {"patient": person(), "to": THERE, "service": "surgery", "urgency": "urgent", "reason": "x"} | more
    headers = desk.headers("doctor", HERE) | {"Date": format_datetime(at, usegmt=True)}
    answer = await desk.served.client.post("/referrals", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_a_referral_goes_from_list_to_list_until_the_loop_is_closed(desk: Desk) -> None:
    routine = await sent(desk, MORNING, urgency="routine")
    id = await sent(desk, MORNING, urgency="emergency")
    assert await on(desk, "to-answer") == [id, routine]
    first = (await desk.get("doctor", THERE, "/worklists/to-answer", limit=1)).json()
    second = (await desk.get("doctor", THERE, "/worklists/to-answer", limit=1, cursor=first["next"])).json()
    assert [item["id"] for page in (first, second) for item in page["items"]] == [id, routine]
    assert first["items"][0]["patient"]["name"] == "not yet known"

    lists = {
        "accept": [("to-send", "transport", HERE), ("expected-today", "desk", THERE)],
        "depart": [("en-route", "desk", THERE), ("en-route", "transport", HERE)],
        "arrive": [("to-treat", "doctor", THERE)],
        "outcome": [("to-send-home", "doctor", THERE)],
        "back-refer": [("to-acknowledge", "doctor", HERE)],
    }
    for command, role, facility, body in LOOP:
        headers = desk.headers(role, facility) | {"Date": format_datetime(MORNING, usegmt=True)}
        done = await desk.served.client.post(f"/referrals/{id}/{command}", json=body, headers=headers)
        assert done.status_code == 200, done.text
        for name, role_, facility_ in lists.get(command, []):
            assert id in await on(desk, name, role_, facility_), (command, name)
    assert id not in [each for name in ("to-acknowledge", "en-route") for each in await on(desk, name, "doctor", HERE)]
    assert id not in await on(desk, "to-answer", facility=ELSEWHERE)
    assert (await desk.get("desk", THERE, "/worklists/to-acknowledge")).status_code == 403
    assert (await desk.get("citizen", "", "/worklists/to-answer")).status_code == 403
    counts = (await desk.get("doctor", THERE, "/worklists")).json()["items"]
    assert {each["name"]: each["count"] for each in counts}["to-answer"] == 1


async def test_a_list_is_followed_live(desk: Desk) -> None:
    said: list[dict[str, Any]] = []

    async def follow() -> None:
        headers = {"Authorization": desk.headers("doctor", ELSEWHERE)["Authorization"]}
        async with desk.served.client.stream("GET", "/worklists/stream", headers=headers) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    said.append(json.loads(line.removeprefix("data:")))

    following = asyncio.create_task(follow())
    try:

        async def begun() -> bool:
            return any(each["name"] == "to-answer" for each in said)

        await until(begun)
        id = await sent(desk, MORNING, to=ELSEWHERE)

        async def heard() -> bool:
            return any(each["name"] == "to-answer" and each["changed"] == [id] for each in said)

        await until(heard)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert [each["count"] for each in said if each["name"] == "to-answer"] == [0, 1]


async def test_the_month_is_audited_and_watched(desk: Desk) -> None:
    declined = await sent(desk, MORNING, service="dialysis")
    headers = desk.headers("doctor", THERE) | {"Date": format_datetime(MORNING, usegmt=True)}
    done = await desk.served.client.post(f"/referrals/{declined}/decline", json={"reason": "no-bed"}, headers=headers)
    assert done.status_code == 200

    async def audit(role: str, facility: str, **query: Any) -> Any:
        answer = await desk.get(role, facility, "/audit", month="2026-11", **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    everything = await audit("nodal-officer", ELSEWHERE)
    mine = await audit("officer", HERE)
    assert mine["total"]["sent"] == everything["total"]["sent"] >= 3
    assert mine["total"]["closed"] == 1
    assert mine["total"]["declined"] == {"no-bed": 1}
    assert mine["total"]["minutes_lost_by_cause"] == {"pass-closed": 0}
    assert set(mine["total"]) | {"load"} == set(mine["definitions"])
    assert (await audit("officer", THERE))["total"]["sent"] == 0
    received = await audit("officer", THERE, side="destination")
    assert received["load"] == [{"facility": THERE, "level": "DH", "arrived": 1, "beds": 100, "arrived_per_bed": 0.01}]
    only = await audit("officer", HERE, service="dialysis")
    assert [(group["of"]["service"], group["figures"]["sent"]) for group in only["groups"]] == [("dialysis", 1)]
    another = f"/audit?month=2026-11&facility={THERE}"
    other = await desk.served.client.get(another, headers=desk.headers("officer", HERE))
    assert other.status_code == 403
    assert (await desk.get("officer", HERE, "/audit", month="2026-13")).status_code == 422
    assert (await desk.get("doctor", HERE, "/audit", month="2026-11")).status_code == 403
    sheet = await desk.get("officer", HERE, "/audit.csv", month="2026-11")
    lines = list(csv.DictReader(io.StringIO(sheet.text)))
    assert sum(int(line["sent"]) for line in lines) == mine["total"]["sent"]
    assert sum(int(line["declined.no-bed"]) for line in lines) == 1
    by_destination = await desk.get("officer", THERE, "/audit.csv", month="2026-11", side="destination")
    loads = {line["service"]: line for line in csv.DictReader(io.StringIO(by_destination.text))}
    assert (loads["surgery"]["load.beds"], loads["surgery"]["load.arrived_per_bed"]) == ("100", "0.01")

    await desk.served.client.patch(
        f"/facilities/{THERE}", json={"beds_by_kind": {"icu": 4}}, headers=desk.headers("desk", THERE)
    )

    async def beds_seen() -> bool:
        text = (await desk.served.client.get("/metrics")).text
        return 'hillhealth_referral_beds_free{kind="icu"} 4.0' in text

    await desk.served.app.state.gauges.measure()
    await until(beds_seen)
    text = (await desk.served.client.get("/metrics")).text
    assert 'hillhealth_referral_oldest_unanswered_seconds{urgency="emergency"} 0.0' in text
    ratio = next(line for line in text.splitlines() if line.startswith("hillhealth_referral_closed_loop_ratio"))
    assert 0 < float(ratio.split()[1]) < 1


async def test_whoever_owes_a_step_is_reminded(desk: Desk) -> None:
    id = await sent(desk, MORNING)
    for command, role, facility, body in LOOP[:6]:
        headers = desk.headers(role, facility) | {"Date": format_datetime(MORNING, usegmt=True)}
        await desk.served.client.post(f"/referrals/{id}/{command}", json=body, headers=headers)
    assert id in await on(desk, "to-acknowledge", "doctor", HERE)
    # The day's clock may already stand later than this morning: it has seen the other tests.
    since = dt.datetime.fromisoformat((await desk.document(id))["state"]["changed_at"])
    await sent(desk, since + dt.timedelta(hours=49), to=ELSEWHERE)

    async def reminded() -> bool:
        return bool((await desk.document(id))["state"]["reminded"] == 1)

    await until(reminded)
    (told,) = [record for record in await desk.told(REFERRAL, id) if "StepOwed" in header(record, "ce_type")]
    assert (data(told)["step"], data(told)["owed_by"]) == ("acknowledge", f"doctor@{HERE}")
    item = (await desk.get("doctor", HERE, "/worklists/to-acknowledge")).json()["items"][-1]
    assert (item["id"], item["reminded"]) == (id, 1)
    done = await desk.post("doctor", HERE, f"/referrals/{id}/acknowledge", {})
    assert done.json()["status"] == "closed"
    assert id not in await on(desk, "to-acknowledge", "doctor", HERE)
