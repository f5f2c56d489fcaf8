"""On the real stack: nothing closes falsely, nothing is turned away, and working time is what the place says it is."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from grievance_desk import ABOUT, ABOVE, CELL, OFFICE, SENT, Desk, named, serving_office

from deploy.local.testing import Served, TestStack
from services.grievance import usecases

GUREZ, BANDIPORA = "JK-BPR-CHC-GUREZ", "JK-BPR-DH-BANDIPORA"


@pytest.fixture(scope="module")
async def served(stack: TestStack) -> AsyncIterator[Served]:
    async with serving_office(stack, SWEEP_SECONDS="0.1") as served:
        yield served


@pytest.fixture
async def desk(stack: TestStack, served: Served) -> Desk:
    database = served.service.database
    for collection in ("grievances", "contacts", "reads", "calendars"):
        await database[collection].delete_many({})
    served.service.clock._latest = SENT
    return Desk(served.client, stack.issuer, database)


async def until(desk: Desk, id: str, **expected: Any) -> dict[str, Any]:
    """The case's state once it has these values."""
    async with asyncio.timeout(20):
        while True:
            found = await desk.database["grievances"].find_one({"_id": id})
            if found and all(found["state"].get(name) == value for name, value in expected.items()):
                return dict(found["state"])
            await asyncio.sleep(0.05)


async def resolved(desk: Desk, outcome: str = "fixed", **body: Any) -> dict[str, Any]:
    filed = await desk.filed(**body)
    nodal = desk.nodal(filed["handled_by"])
    answer = await desk.move(filed["id"], "resolve", nodal, outcome=outcome, action_taken="done")
    assert answer.status_code == 200, answer.text
    return filed


def attempt(reached: bool) -> dict[str, Any]:
    return {"channel": "phone", "reached": reached, "note": "rang"}


async def test_closed_without_the_complainant_only_after_attempts_over_days(desk: Desk) -> None:
    filed = await resolved(desk)
    id, nodal = filed["id"], desk.nodal()
    early = await desk.move(id, "close-unreachable", nodal)
    assert (early.status_code, early.json()["allowed"]) == (409, ["attempt"])
    for days in (0, 8, 16):
        at = SENT + dt.timedelta(days=days)
        answer = await desk.move(id, "attempt", nodal, sent=at, **attempt(reached=False))
        assert answer.status_code == 200, answer.text
    closed = await desk.move(id, "close-unreachable", nodal, sent=SENT + dt.timedelta(days=16))
    assert (closed.status_code, closed.json()["status"], closed.json()["rating"]) == (200, "closed-unreachable", None)
    back = await desk.move(id, "reopen", desk.citizen(), reason="I was in the high pastures")
    assert (back.status_code, back.json()["status"], back.json()["due_at"]) == (200, "filed", filed["due_at"])


async def test_in_himachal_only_the_complainant_closes(desk: Desk) -> None:
    filed = await resolved(desk, about_facility="HP-KNR-CHC-POOH")
    nodal = desk.nodal("HP-KNR-RH-PEO")
    assert filed["jurisdiction"] == "himachal-1100"
    await desk.move(filed["id"], "attempt", nodal, **attempt(reached=False))
    refused = await desk.move(filed["id"], "close-unreachable", nodal)
    assert (refused.status_code, refused.json().get("allowed")) == (409, ["attempt"]), refused.text


async def test_an_appeal_is_a_case_of_its_own_and_its_parent_waits(desk: Desk) -> None:
    filed = await resolved(desk, patient="patient-P1")
    key = str(uuid.uuid4())
    appeal = await desk.move(filed["id"], "appeal", desk.citizen(), key=key, reason="nothing was done")
    assert appeal.status_code == 201, appeal.text
    child = appeal.json()
    assert (child["parent"], child["handled_by"], child["status"]) == (filed["id"], ABOVE, "filed")
    assert child["ticket"] != filed["ticket"]
    assert child["secret"] != filed["secret"]
    again = await desk.move(filed["id"], "appeal", desk.citizen(), key=key, reason="nothing was done")
    assert again.json() == child
    assert await desk.count() == 2
    for move, token, body in (
        ("confirm", desk.citizen(), {"rating": 5}),
        ("reopen", desk.citizen(), {"reason": "no"}),
        ("close-unreachable", desk.nodal(), {}),
    ):
        assert (await desk.move(filed["id"], move, token, **body)).status_code == 409
    assert (await desk.move(child["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="x")).status_code == 403
    await desk.move(child["id"], "resolve", desk.nodal(ABOVE), outcome="action-taken", action_taken="charged")
    assert (await desk.move(child["id"], "confirm", desk.citizen(), rating=4)).status_code == 200
    await until(desk, filed["id"], appeals_open=[])
    assert (await desk.move(filed["id"], "confirm", desk.citizen(), rating=4)).json()["status"] == "closed"
    types = [entry["type"] for entry in (await desk.document(filed["id"]))["journal"]]
    assert [name for name in types if name.startswith("Appeal")] == ["Appealed", "AppealOpened", "AppealDecided"]


async def test_only_the_one_who_filed_it_appeals(desk: Desk) -> None:
    filed = await resolved(desk)
    for token in (desk.citizen("other"), desk.officer(), desk.nodal()):
        assert (await desk.move(filed["id"], "appeal", token, reason="no")).status_code == 403
    assert await desk.count() == 1


async def test_an_appeal_comes_within_its_window(desk: Desk) -> None:
    filed = await resolved(desk)
    late = await desk.move(filed["id"], "appeal", desk.citizen(), sent=SENT + dt.timedelta(days=31), reason="late")
    assert (late.status_code, late.json()["type"]) == (409, "urn:hillhealth:problem:appeal-too-late")
    assert await desk.count() == 1


async def test_an_appeal_that_a_crash_cut_in_half_is_completed(desk: Desk, served: Served) -> None:
    """The parent knows of it and the case was never created: nobody retries, the timer does."""
    filed = await resolved(desk)
    service = served.service
    await service.timers.stop()

    async def crash(*arguments: Any) -> Any:
        raise RuntimeError("killed")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usecases, "_open_appeal", crash)
        broken = await desk.move(filed["id"], "appeal", desk.citizen(), reason="nothing was done")
    assert broken.status_code == 500
    assert await desk.count() == 1
    service.timers.start()
    state = await until(desk, filed["id"], appeal_waits=None)
    child = await until(desk, state["appeals_open"][0], status="filed")
    assert (child["parent"], child["handled_by"], child["text"]) == (filed["id"], ABOVE, "nothing was done")


async def test_the_anonymous_appeal_by_ticket_and_secret(desk: Desk) -> None:
    filed = (await desk.file(anonymous=True)).json()
    await desk.move(filed["id"], "resolve", desk.nodal(), outcome="explained", action_taken="done")
    place, secret = f"/tracking/{filed['ticket']}", {"X-Tracking-Secret": filed["secret"]}
    appeal = await desk.send(f"{place}/appeal", {"reason": "no"}, **secret)
    assert appeal.status_code == 201, appeal.text
    child = appeal.json()
    seen = await desk.client.get(f"/tracking/{child['ticket']}", headers={"X-Tracking-Secret": child["secret"]})
    assert (seen.json()["status"], seen.json()["handled_by"]) == ("filed", ABOVE)
    assert (await desk.client.get(place, headers=secret)).json()["appeals_open"] == 1
    assert (await desk.client.get(place, headers={"X-Tracking-Secret": child["secret"]})).status_code == 404


async def test_a_wrong_office_passes_it_on_and_the_date_stays(desk: Desk) -> None:
    filed = await desk.filed(patient="patient-P1")
    body = {"reason": "wrong-office", "explanation": "the medical college runs that ward"}
    for to, status in (("LA-NO-SUCH-PLACE", 422), (ABOUT, 422), (OFFICE, 422)):
        refused = await desk.move(filed["id"], "transfer", desk.officer(), to=to, **body)
        assert (refused.status_code, named(refused)) == (status, {"to"})
    moved = await desk.move(filed["id"], "transfer", desk.officer(), to="JK-SXR-MC-SMHS", **body)
    assert (moved.status_code, moved.json()["handled_by"], moved.json()["transfers"]) == (200, "JK-SXR-MC-SMHS", 1)
    assert (moved.json()["filed_at"], moved.json()["due_at"]) == (filed["filed_at"], filed["due_at"])
    cell = await desk.move(filed["id"], "transfer", desk.officer("JK-SXR-MC-SMHS"), to=CELL, **body)
    assert (cell.status_code, cell.json()["handled_by"]) == (200, CELL)
    done = await desk.move(filed["id"], "resolve", desk.nodal(CELL), outcome="fixed", action_taken="done")
    assert done.status_code == 200


async def test_a_complaint_about_several_has_one_lead_and_none_of_them(desk: Desk) -> None:
    filed = await desk.filed(about_facility=ABOUT, also_about=[OFFICE])
    assert (filed["handled_by"], filed["also_about"]) == (ABOVE, [OFFICE])
    for accused in (ABOUT, OFFICE):
        token = {"Authorization": desk.officer(accused)}
        assert (await desk.client.get(f"/grievances/{filed['id']}", headers=token)).status_code == 403
    unknown = await desk.file(token=desk.citizen(), also_about=["LA-NO-SUCH-PLACE"])
    assert (unknown.status_code, named(unknown)) == (422, {"also_about"})


async def test_an_interim_reply_and_a_pause_keep_the_promise(desk: Desk) -> None:
    filed = await desk.filed()
    id, nodal = filed["id"], desk.nodal()
    expected = (SENT + dt.timedelta(days=30)).isoformat()
    interim = await desk.move(id, "interim", nodal, expected_by=expected, reason="the part comes by air")
    assert (interim.status_code, interim.json()["due_at"]) == (200, filed["due_at"])
    paused = await desk.move(id, "pause", nodal, reason="road-closed", until=(SENT + dt.timedelta(days=3)).isoformat())
    assert (paused.status_code, paused.json()["paused_for"]) == (200, "road-closed")
    detail = (await desk.client.get(f"/grievances/{id}", headers={"Authorization": nodal})).json()
    assert [clock["name"] for clock in detail["clocks"]] == ["pause"]
    back = await desk.move(id, "resume", nodal, sent=SENT + dt.timedelta(days=1))
    assert (back.json()["paused_for"], back.json()["due_at"]) == (None, filed["due_at"])
    detail = (await desk.client.get(f"/grievances/{id}", headers={"Authorization": nodal})).json()
    assert dt.datetime.fromisoformat(detail["clocks"][0]["due_at"]) == SENT + dt.timedelta(days=22)


async def test_a_snow_closure_moves_what_is_counted_in_working_days(desk: Desk) -> None:
    filed = await desk.filed(about_facility=GUREZ)
    other = await desk.filed()
    assert (filed["handled_by"], filed["jurisdiction"]) == (BANDIPORA, "jammu-kashmir")
    operator = desk.token("operator")
    body = {"day": "2026-11-23", "shifts": [], "reason": "snow"}
    assert (await desk.send("/calendars/1/days", body, token=desk.officer(BANDIPORA))).status_code == 403
    unknown = await desk.send("/calendars/99/days", body, token=operator)
    assert (unknown.status_code, named(unknown)) == (422, {"code"})
    nonsense = await desk.send("/calendars/1/days", body | {"reason": "because"}, token=operator)
    assert (nonsense.status_code, named(nonsense)) == (422, {"reason"})
    backwards = await desk.send(
        "/calendars/1/days", body | {"shifts": [{"opens": "12:00", "closes": "09:00"}]}, token=operator
    )
    assert backwards.status_code == 422
    told = await desk.send("/calendars/1-623/days", body, token=operator)
    assert told.status_code == 200, told.text
    later = (dt.datetime.fromisoformat(filed["due_at"]) + dt.timedelta(days=1)).isoformat(timespec="milliseconds")
    state = await until(desk, filed["id"], due_at=later.replace("+00:00", "Z"), rederived=1)
    journal = (await desk.document(filed["id"]))["journal"]
    derived = [entry["data"] for entry in journal if entry["type"] == "Rederived"]
    assert [entry["was_due_at"] for entry in derived] == [filed["due_at"]]
    assert state["step"] == 0
    assert (await desk.document(other["id"]))["state"]["due_at"] == other["due_at"]
    shown = (await desk.client.get("/calendars/1-623", params={"first": "2026-11-23", "days": 3})).json()
    assert (shown["days"]["2026-11-23"], len(shown["days"]["2026-11-25"])) == ([], 2)
    state_wide = (await desk.client.get("/calendars/1", params={"first": "2026-11-23", "days": 1})).json()
    assert len(state_wide["days"]["2026-11-23"]) == 2
    assert (await desk.client.get("/calendars/99")).status_code == 404


async def test_who_promises_what_is_open_to_everybody(desk: Desk) -> None:
    shown = (await desk.client.get("/jurisdictions")).json()
    assert {"cpgrams", "pm-jay", "himachal-1100", "jammu-kashmir", "ladakh"} == {found["code"] for found in shown}
    assert all(version["source"] for found in shown for version in found["versions"])
