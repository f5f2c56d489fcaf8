"""A facility changes its own card, a road is closed: what is ranked follows, and who is cut off is named."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from referral_desk import HERE, THERE, Desk, data, open_desk, person

from deploy.local.testing import TestStack
from libs.contracts.referral import FACILITY

ROAD = f"{HERE}--{THERE}"


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with open_desk(stack) as desk:
        yield desk


async def change(desk: Desk, code: str, said: dict[str, Any], role: str = "desk", at: str | None = None) -> Any:
    return await desk.served.client.patch(f"/facilities/{code}", json=said, headers=desk.headers(role, at or code))


async def where(desk: Desk, service: str = "surgery", **more: Any) -> dict[str, Any]:
    answer = await desk.post("doctor", HERE, "/destinations", {"service": service} | more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_specialist_on_leave_is_told_and_ranked_away(desk: Desk) -> None:
    assert (await where(desk))["ranked"][0]["facility"] == THERE
    duty = [{"role": "doctor", "starts": "00:00", "ends": "24:00", "reach": "+91 5550100001"}]
    leave = [{"service": "surgery", "reason": "specialist-on-leave"}]
    changed = await change(desk, THERE, {"unavailable": leave, "duty": duty, "blood": ["A+", "O+"]})
    assert changed.status_code == 200, changed.text
    found = await where(desk)
    assert THERE not in [each["facility"] for each in found["ranked"]]
    (why,) = [each["reasons"] for each in found["left_out"] if each["facility"] == THERE]
    assert why == ["surgery is not available: specialist on leave"]
    shown = (await desk.get("doctor", HERE, f"/facilities/{THERE}")).json()
    assert "surgery" in shown["services"]
    assert "surgery" not in shown["available_today"]
    assert [each["role"] for each in shown["answers_now"]] == ["doctor"]
    orthopaedics = (await where(desk, "orthopaedics"))["ranked"][0]
    assert [each["reach"] for each in orthopaedics["answers"]] == ["+91 5550100001"]
    newest = (await desk.told(FACILITY, THERE))[-1]
    assert data(newest)["card"]["unavailable"][0]["reason"] == "specialist-on-leave"
    asked = await desk.request(to=THERE)
    assert "not-today" in [warning["code"] for warning in asked["warnings"]]

    assert (await change(desk, THERE, {"unavailable": []}, at=HERE)).status_code == 403
    assert (await change(desk, THERE, {"level": "MC"})).status_code == 422
    named = await change(desk, THERE, {"duty": [duty[0] | {"reach": "Dr Sharma"}]})
    assert named.json()["errors"][0]["field"] == "duty.0.reach"
    assert (await change(desk, THERE, {"unavailable": []})).status_code == 200
    assert (await where(desk))["ranked"][0]["facility"] == THERE


async def test_closing_a_road_ranks_anew_and_names_who_is_cut_off(desk: Desk) -> None:
    asked = await desk.request(person("cut-off"), urgency="emergency")
    elsewhere = await desk.request(person("free"), origin="HP-KLU-SDH-MANALI", to="HP-KLU-RH-KULLU")
    key = secrets.token_hex(8)
    closing = await desk.post("officer", THERE, f"/roads/{ROAD}/close", {"reason": "landslide"}, key)
    assert closing.status_code == 200, closing.text
    cut_off = {each["referral"]: each for each in closing.json()["wrong_side"]}
    assert cut_off[asked["id"]]["hours_before"] == 2.5
    assert cut_off[asked["id"]]["hours_after"] is None
    assert elsewhere["id"] not in cut_off
    assert closing.json()["wrong_side"][0]["urgency"] == "emergency"
    again = await desk.post("officer", THERE, f"/roads/{ROAD}/close", {"reason": "landslide"}, key)
    assert again.json() == closing.json()

    assert (await where(desk))["ranked"] == []
    listed = (await desk.get("desk", THERE, f"/roads/{ROAD}/referrals")).json()["items"]
    assert asked["id"] in [each["referral"] for each in listed]
    (road,) = [each for each in (await desk.get("desk", THERE, "/roads")).json()["items"] if each["id"] == ROAD]
    assert (road["hours"], road["says"]) == (None, ["the road is closed: landslide"])
    shown = (await desk.get("doctor", HERE, f"/referrals/{asked['id']}")).json()
    assert [(each["code"], each["detail"]) for each in shown["now"]] == [
        ("not-reachable", "the road is closed: landslide")
    ]
    warned = await desk.request(person("late"))
    assert "not-reachable" in [warning["code"] for warning in warned["warnings"]]

    assert (await desk.post("officer", "LA-LEH-DH-SNM", f"/roads/{ROAD}/open", {})).status_code == 403
    assert (await desk.post("officer", THERE, "/roads/no-such/close", {"reason": "snow"})).status_code == 404
    assert (await desk.post("officer", THERE, f"/roads/{ROAD}/open", {})).status_code == 200
    assert (await desk.post("officer", THERE, f"/roads/{ROAD}/open", {})).status_code == 409
    assert (await where(desk))["ranked"][0]["facility"] == THERE
    assert (await desk.get("desk", THERE, f"/roads/{ROAD}/referrals")).json()["items"] == []
    assert (await desk.get("doctor", HERE, f"/referrals/{asked['id']}")).json()["now"] == []
    assert (await desk.post("doctor", "", "/destinations", {"service": "surgery"})).status_code == 409


async def test_a_road_is_opened_only_where_it_is_closed_and_closed_only_where_it_is_not_over(desk: Desk) -> None:
    untouched, now = "fotu-la", dt.datetime.now(dt.UTC)
    kargil = "LA-KGL-DH-KARGIL"
    assert (await desk.post("officer", kargil, f"/roads/{untouched}/open", {})).status_code == 409
    assert (await desk.post("officer", THERE, f"/roads/{untouched}/open", {})).status_code == 403
    assert (await desk.post("officer", kargil, "/roads/no-such/open", {})).status_code == 404

    async def close(**said: int) -> Any:
        when = {name: (now + dt.timedelta(hours=hours)).isoformat() for name, hours in said.items()}
        return await desk.post("officer", kargil, f"/roads/{untouched}/close", {"reason": "snow"} | when)

    assert (await close(since=-5, until=-1)).json()["errors"][0]["field"] == "until"
    assert (await close(since=5, until=3)).json()["errors"][0]["field"] == "until"
    assert (await close(since=5)).status_code == 200
    assert (await close(since=-1)).status_code == 200
    assert (await close(since=5)).json()["errors"][0]["field"] == "since"
    assert (await desk.post("officer", kargil, f"/roads/{untouched}/open", {})).status_code == 200


async def test_a_facility_refuses_what_it_has_switched_on_and_no_emergency(desk: Desk) -> None:
    igmc = "HP-SML-MC-IGMC"
    assert (await change(desk, igmc, {"refuses": ["passed-by"]}, role="officer")).status_code == 200
    body = {"patient": person(), "to": igmc, "service": "surgery", "urgency": "urgent", "reason": "x"}
    refused = await desk.post("doctor", HERE, "/referrals", body)
    assert refused.status_code == 422
    assert (await desk.post("doctor", HERE, "/referrals/check", body)).json()["refused"] == "refused-passed-by"
    assert refused.json()["errors"][0]["field"] == "past_reason"
    for passes in ({"past_reason": "known-there"}, {"urgency": "emergency"}):
        taken = await desk.post("doctor", HERE, "/referrals", body | passes)
        assert taken.status_code == 201, taken.text
    assert (await change(desk, igmc, {"refuses": []}, role="officer")).status_code == 200
    taken = await desk.post("doctor", HERE, "/referrals", body)
    assert "passed-by" in [warning["code"] for warning in taken.json()["warnings"]]
