"""Advice before travel: asked, given, acted on; told to nobody else until it becomes a request."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from email.utils import format_datetime

import pytest
from referral_desk import HERE, REASON, THERE, Desk, header, open_desk, person, until

from deploy.local.testing import TestStack
from libs.contracts.referral import REFERRAL

BODY = {"patient": person(), "to": THERE, "service": "surgery", "urgency": "urgent", "reason": REASON}
ADVISED = {"verdict": "treat-there", "text": "drain it under local anaesthesia"}


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with open_desk(stack) as desk:
        yield desk


async def test_treated_there_as_advised_is_a_journey_not_made_and_told_to_nobody(desk: Desk) -> None:
    asked = await desk.post("doctor", HERE, "/advice", BODY, "ask-1")
    assert (asked.status_code, asked.json()["status"]) == (201, "advice-asked")
    id = asked.json()["id"]
    waiting = await desk.get("doctor", THERE, "/referrals", box="received", status="advice-asked")
    assert [item["id"] for item in waiting.json()["items"]] == [id]
    assert (await desk.step(id, "advise", "doctor", THERE, ADVISED))["status"] == "advice-given"
    shown = (await desk.get("doctor", HERE, f"/referrals/{id}")).json()
    assert (shown["verdict"], shown["specialist_text"]) == (ADVISED["verdict"], ADVISED["text"])
    assert (await desk.get("desk", HERE, f"/referrals/{id}")).json()["specialist_text"] is None
    assert (await desk.step(id, "treat-here", "doctor", HERE, {}))["status"] == "treated-at-origin"
    assert (await desk.post("doctor", HERE, "/advice", BODY, "ask-1")).json() == asked.json()
    assert (await desk.post("doctor", HERE, f"/referrals/{id}/convert", {})).status_code == 409

    history = await desk.get("officer", HERE, f"/referrals/{id}/history")
    assert [item["type"] for item in history.json()["items"]] == ["AdviceAsked", "AdviceGiven", "TreatedAtOrigin"]
    assert history.json()["items"][1]["codes"] == {"verdict": "treat-there"}
    assert ADVISED["text"] not in history.text
    assert await desk.told(REFERRAL, id) == []


async def test_a_question_becomes_a_request_with_what_was_said_in_it(desk: Desk) -> None:
    id = (await desk.post("doctor", HERE, "/advice", BODY | {"findings": {"pulse_per_minute": 120}})).json()["id"]
    await desk.step(id, "advise", "doctor", THERE, {"verdict": "send", "text": "today"})
    converted = await desk.post("doctor", HERE, f"/referrals/{id}/convert", {}, "convert-1")
    assert converted.json()["status"] == "requested"
    await desk.step(id, "accept", "doctor", THERE, {})
    assert (await desk.post("doctor", HERE, f"/referrals/{id}/convert", {}, "convert-1")).json() == converted.json()
    shown = (await desk.get("doctor", THERE, f"/referrals/{id}")).json()
    assert (shown["reason"], shown["specialist_text"], shown["findings"]["pulse_per_minute"]) == (REASON, "today", 120)
    records = await desk.told(REFERRAL, id)
    assert [(header(r, "ce_type"), header(r, "ce_sequence")) for r in records] == [
        ("referral.ReferralRequested.v1", "1"),
        ("referral.ReferralAccepted.v1", "2"),
    ]


async def test_a_specialist_who_wants_to_know_more_is_told(desk: Desk) -> None:
    before = {"pulse_per_minute": 120, "weight_kg": 60}
    asked = (await desk.post("doctor", HERE, "/advice", BODY | {"findings": before})).json()
    id = asked["id"]
    known = {"pulse_per_minute": 96, "systolic_mmhg": 110, "treatment_given": "fluids"}
    more = {"reason": "guarding gone, fever since", "findings": known}

    async def may(role: str, facility: str) -> set[str]:
        return {move["command"] for move in (await desk.get(role, facility, f"/referrals/{id}/moves")).json()["moves"]}

    assert (await desk.post("doctor", HERE, f"/referrals/{id}/tell-more", more)).status_code == 409
    await desk.step(id, "advise", "doctor", THERE, {"verdict": "tell-more", "text": "pressure? fever?"})
    assert "tell-more" in await may("doctor", HERE)
    for body, field in (({"reason": " "}, "reason"), (more | {"findings": {"systolic_mmhg": 9999}}, "findings")):
        wrong = await desk.post("doctor", HERE, f"/referrals/{id}/tell-more", body)
        assert (wrong.status_code, wrong.json()["errors"][0]["field"].split(".")[0]) == (422, field)
    told = await desk.post("doctor", HERE, f"/referrals/{id}/tell-more", more, "tell-1")
    assert (told.status_code, told.json()["status"]) == (200, "advice-asked")
    assert (await desk.post("doctor", HERE, f"/referrals/{id}/tell-more", more, "tell-1")).json() == told.json()

    shown = (await desk.get("doctor", THERE, f"/referrals/{id}")).json()
    assert (shown["reason"], shown["specialist_text"]) == (more["reason"], "pressure? fever?")
    assert {name: value for name, value in shown["findings"].items() if value is not None} == before | known
    assert shown["completeness"] > asked["completeness"]
    assert dt.datetime.fromisoformat(told.json()["answer_due"]) > dt.datetime.fromisoformat(asked["answer_due"])
    assert await may("doctor", THERE) == {"advise"}
    await desk.step(id, "advise", "doctor", THERE, {"verdict": "send", "text": "today"})
    assert "tell-more" not in await may("doctor", HERE)
    assert (await desk.step(id, "convert", "doctor", HERE, {}))["status"] == "requested"
    history = await desk.get("officer", HERE, f"/referrals/{id}/history")
    assert [item["type"] for item in history.json()["items"]] == [
        "AdviceAsked", "AdviceGiven", "AdviceAsked", "AdviceGiven", "ReferralRequested",
    ]  # fmt: skip
    assert more["reason"] not in history.text


async def test_advice_not_given_in_time_lapses_and_may_still_be_given(desk: Desk) -> None:
    asked = (await desk.post("doctor", HERE, "/advice", BODY)).json()
    due = dt.datetime.fromisoformat(asked["answer_due"]) + dt.timedelta(seconds=1)
    later = desk.headers("doctor", HERE) | {"Date": format_datetime(due, usegmt=True)}
    await desk.served.client.post("/advice", json=BODY, headers=later)

    async def lapsed() -> bool:
        return bool((await desk.document(asked["id"]))["state"]["status"] == "advice-lapsed")

    await until(lapsed)
    assert (await desk.step(asked["id"], "advise", "doctor", THERE, ADVISED))["status"] == "advice-given"
    types = [entry["type"] for entry in (await desk.document(asked["id"]))["journal"]]
    assert types == ["AdviceAsked", "AdviceLapsed", "AdviceGiven"]


async def test_a_verdict_that_is_none_is_named(desk: Desk) -> None:
    id = (await desk.post("doctor", HERE, "/advice", BODY)).json()["id"]
    for body, field in (({"verdict": "perhaps", "text": "x"}, "verdict"), ({"verdict": "send", "text": " "}, "text")):
        answer = await desk.post("doctor", THERE, f"/referrals/{id}/advise", body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    withdrawn = await desk.step(id, "withdraw", "doctor", HERE, {})
    assert withdrawn["status"] == "withdrawn"
