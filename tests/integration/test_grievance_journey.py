"""A complaint on the real stack: who may do what, what is answered again, what is told to whom."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from grievance_desk import ABOUT, APEX, CELL, OFFICE, TEXT, Desk, named, serving_office

from deploy.local.testing import Served, TestStack
from services.grievance.domain import ticket


@pytest.fixture(scope="module")
async def served(stack: TestStack) -> AsyncIterator[Served]:
    """One service for the whole file, so that it starts once."""
    async with serving_office(stack) as served:
        yield served


@pytest.fixture
async def desk(stack: TestStack, served: Served) -> Desk:
    """Without complaints of earlier tests."""
    database = served.service.database
    for collection in ("grievances", "contacts", "reads"):
        await database[collection].delete_many({})
    return Desk(served.client, stack.issuer, database)


async def test_from_filing_to_confirmation(desk: Desk) -> None:
    filed = await desk.filed(patient="patient-P1")
    assert (filed["status"], filed["handled_by"], filed["reporter"]) == ("filed", OFFICE, "patient")
    assert filed["acknowledged_at"] is not None
    due, started = (dt.datetime.fromisoformat(filed[name]) for name in ("due_at", "filed_at"))
    assert due - started == dt.timedelta(days=21)
    assigned = await desk.move(filed["id"], "assign", desk.officer(), to=f"nodal-officer@{OFFICE}")
    assert assigned.json()["status"] == "assigned"
    resolved = await desk.move(filed["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="stock replenished")
    assert (resolved.json()["status"], resolved.json()["outcome"]) == ("resolved", "fixed")
    reopened = await desk.move(filed["id"], "reopen", desk.citizen(), reason="nothing changed")
    assert (reopened.json()["status"], reopened.json()["reopened"]) == ("assigned", 1)
    assert reopened.json()["due_at"] == filed["due_at"]
    await desk.move(filed["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="verified on site")
    confirmed = await desk.move(filed["id"], "confirm", desk.citizen(), rating=4)
    assert (confirmed.json()["status"], confirmed.json()["rating"]) == ("closed", 4)
    types = [entry["type"].split(".")[1] for entry in (await desk.document(filed["id"]))["journal"]]
    assert types == [
        "GrievanceFiled",
        "GrievanceAcknowledged",
        "GrievanceAssigned",
        "GrievanceResolved",
        "GrievanceReopened",
        "GrievanceResolved",
        "GrievanceConfirmed",
    ]


async def test_a_retry_gets_the_first_answer_with_its_secret(desk: Desk) -> None:
    key = str(uuid.uuid4())
    first = await desk.file(key=key, token=desk.citizen(), patient="patient-P1")
    await desk.move(first.json()["id"], "assign", desk.officer(), to=f"nodal-officer@{OFFICE}")
    again = [await desk.file(key=key, token=desk.citizen(), patient="patient-P1") for _ in range(3)]
    assert all(answer.status_code == 201 and answer.json() == first.json() for answer in again)
    assert len(first.json()["secret"]) == 32
    assert await desk.count() == 1


async def test_ten_at_once_with_one_key_are_one_complaint(desk: Desk) -> None:
    """rival-digit.md W12: there a repeat after a time-out is a second complaint, or an error."""
    key = str(uuid.uuid4())
    answers = await asyncio.gather(*(desk.file(key=key, token=desk.citizen()) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({json.dumps(answer.json(), sort_keys=True) for answer in answers}) == 1
    assert await desk.count() == 1


async def test_another_body_under_the_same_key_is_refused(desk: Desk) -> None:
    key = str(uuid.uuid4())
    await desk.file(key=key, token=desk.citizen())
    other = await desk.file(
        key=key, token=desk.citizen(), contact={"phone": "+915550000001"}, about_facility="LA-LEH-PHC-TURTUK"
    )
    assert (other.status_code, named(other)) == (422, {"Idempotency-Key"})
    assert await desk.database["contacts"].count_documents({}) == 0


async def test_the_secret_is_stored_nowhere(desk: Desk) -> None:
    filed = await desk.filed()
    assert filed["secret"] not in json.dumps(await desk.document(filed["id"]), default=str)


async def test_moves_by_ten_at_once_count_once(desk: Desk) -> None:
    """rival-digit.md W11: there two updates at one time both win, and one is lost."""
    filed = await desk.filed()
    answers = await asyncio.gather(
        *(desk.move(filed["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="done") for _ in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    assert len((await desk.document(filed["id"]))["journal"]) == 3


async def test_anonymous_needs_no_token_and_leaves_no_trace_of_one(desk: Desk) -> None:
    key = str(uuid.uuid4())
    plain = await desk.file(anonymous=True)
    linked = await desk.file(key=key, token=desk.citizen("Skarma"), anonymous=True)
    assert (plain.status_code, linked.status_code) == (201, 201)
    document = await desk.document(linked.json()["id"])
    assert "Skarma" not in json.dumps(document, default=str)
    assert (document["state"].get("filed_by"), document["state"]["reporter"]) == (
        None,
        {"kind": "anonymous", "id": None},
    )
    # Nor can a guess at the sender be tested: the cause is the one that a request without a token has.
    again = await desk.file(key=key, anonymous=True)
    assert again.json() == linked.json()


@pytest.mark.parametrize("key", ["1", "my-complaint", "b5a8e33b-8369-401a-894f"])
async def test_anonymous_needs_a_key_nobody_guesses(desk: Desk, key: str) -> None:
    answer = await desk.file(key=key, anonymous=True)
    assert (answer.status_code, named(answer)) == (422, {"Idempotency-Key"})
    assert await desk.count() == 0


async def test_without_a_token_it_must_be_anonymous(desk: Desk) -> None:
    assert (await desk.file()).status_code == 401
    assert await desk.count() == 0


async def test_anonymous_acts_by_ticket_and_secret(desk: Desk) -> None:
    filed = (await desk.file(anonymous=True)).json()
    place, secret = f"/tracking/{filed['ticket'].lower()}", {"X-Tracking-Secret": filed["secret"]}
    seen = await desk.client.get(place, headers=secret)
    assert (seen.json()["status"], seen.json()["moves"]) == ("filed", [])
    early = await desk.send(f"{place}/confirm", {"rating": 5}, **secret)
    assert (early.status_code, early.json()["allowed"]) == (409, [])
    await desk.move(filed["id"], "resolve", desk.nodal(), outcome="not-fixed", action_taken="no post sanctioned")
    key = str(uuid.uuid4())
    reopened = await desk.send(f"{place}/reopen", {"reason": "nobody came"}, key=key, **secret)
    assert (reopened.status_code, reopened.json()["status"], reopened.json()["reopened"]) == (200, "filed", 1)
    assert (await desk.send(f"{place}/reopen", {"reason": "nobody came"}, key=key, **secret)).json() == reopened.json()
    await desk.move(filed["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="post filled")
    closed = await desk.send(f"{place}/confirm", {"rating": 5}, **secret)
    assert (closed.status_code, closed.json()["status"]) == (200, "closed")


async def test_tracking_shows_no_name_and_no_text(desk: Desk) -> None:
    filed = await desk.filed(patient="patient-P1")
    await desk.move(filed["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="spoke to Rigzin")
    seen = await desk.client.get(f"/tracking/{filed['ticket']}", headers={"X-Tracking-Secret": filed["secret"]})
    assert seen.json()["outcome"] == "fixed"
    for hidden in (TEXT, "Rigzin", "patient-P1", "citizen", ABOUT, filed["id"]):
        assert hidden not in seen.text


async def test_a_wrong_secret_and_an_unknown_ticket_look_the_same(desk: Desk) -> None:
    filed, other = await desk.filed(), await desk.filed()
    refusals = []
    for number, secret in (
        (filed["ticket"], other["secret"]),
        (filed["ticket"], "0" * 32),
        ("G-2222-2222-2", filed["secret"]),
        ("nonsense", filed["secret"]),
        ("", filed["secret"]),
    ):
        place, header = f"/tracking/{number or '%20'}", {"X-Tracking-Secret": secret}
        refusals.append(await desk.client.get(place, headers=header))
        refusals.append(await desk.send(f"{place}/confirm", {"rating": 1}, **header))
    assert {answer.status_code for answer in refusals} == {404}
    assert len({answer.text for answer in refusals}) == 1
    missing = await desk.client.get(f"/tracking/{filed['ticket']}")
    assert (missing.status_code, {name.lower() for name in named(missing)}) == (422, {"x-tracking-secret"})


async def test_only_the_one_who_filed_it_confirms_or_reopens(desk: Desk) -> None:
    """What the caller says of the case is never asked: the rival takes the owner and the date from the request."""
    filed = await desk.filed(patient="patient-P1")
    await desk.move(filed["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="done")
    before = (await desk.document(filed["id"]))["journal"]
    strangers = [desk.citizen("somebody-else"), desk.officer(), desk.nodal(), desk.officer(ABOUT)]
    for token in strangers:
        assert (await desk.move(filed["id"], "confirm", token, rating=5)).status_code == 403
        assert (await desk.move(filed["id"], "reopen", token, reason="mine")).status_code == 403
    assert (await desk.move(filed["id"], "confirm", None, rating=5)).status_code == 401
    claimed = await desk.move(
        filed["id"], "reopen", desk.citizen("x"), reason="mine", filed_by="citizen:x", resolved_at="2030-01-01"
    )
    assert claimed.status_code in (403, 422)
    assert (await desk.document(filed["id"]))["journal"] == before


async def test_nobody_confirms_an_anonymous_complaint_with_a_token(desk: Desk) -> None:
    filed = (await desk.file(token=desk.citizen(), anonymous=True)).json()
    await desk.move(filed["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="done")
    assert (await desk.move(filed["id"], "confirm", desk.citizen(), rating=5)).status_code == 403


@pytest.mark.parametrize(("about", "office"), [(ABOUT, OFFICE), (APEX, CELL)])
async def test_nobody_at_the_accused_facility_comes_near_it(desk: Desk, about: str, office: str) -> None:
    filed = await desk.filed(about_facility=about)
    assert filed["handled_by"] == office
    id = filed["id"]
    for role in ("officer", "nodal-officer", "doctor", "desk", "operator"):
        token = {"Authorization": desk.token(role, about)}
        assert (await desk.client.get(f"/grievances/{id}", headers=token)).status_code == 403
        assert (await desk.client.get(f"/grievances/{id}/history", headers=token)).status_code == 403
        moved = await desk.move(id, "assign", token["Authorization"], to=f"nodal-officer@{about}")
        assert moved.status_code == 403
        done = await desk.move(id, "resolve", token["Authorization"], outcome="fixed", action_taken="all is well")
        assert done.status_code == 403
        listed = await desk.client.get("/grievances", headers=token)
        assert listed.status_code == 403 or listed.json()["items"] == []
    to_accused = await desk.move(id, "assign", desk.officer(office), to=f"nodal-officer@{about}")
    assert (to_accused.status_code, named(to_accused)) == (422, {"to"})
    rightly = await desk.move(id, "resolve", desk.nodal(office), outcome="fixed", action_taken="done")
    assert rightly.status_code == 200


async def test_a_reporter_who_is_no_patient_leaves_a_contact(desk: Desk) -> None:
    token = desk.token("citizen", ABOUT, "citizen:neighbour")
    contact = {"name": "Rigzin Namgyal", "phone": "+915550000001"}
    missing = await desk.file(token=token)
    assert (missing.status_code, named(missing)) == (422, {"contact"})
    key = str(uuid.uuid4())
    filed = await desk.file(key=key, token=token, contact=contact)
    assert (filed.status_code, filed.json()["reporter"]) == (201, "contact")
    assert (await desk.file(key=key, token=token, contact=contact)).json() == filed.json()
    contacts = await desk.database["contacts"].find({}).to_list(None)
    document = await desk.document(filed.json()["id"])
    assert [found["_id"] for found in contacts] == [document["state"]["reporter"]["id"]]
    assert contacts[0]["state"]["card"]["phone"] == "+915550000001"
    assert contacts[0]["sequence"] == 1
    assert "Rigzin" not in json.dumps(document, default=str)


async def test_one_files_only_for_the_patient_one_is(desk: Desk) -> None:
    answer = await desk.file(token=desk.citizen("P1"), patient="patient-P2")
    assert answer.status_code == 403
    assert await desk.count() == 0


AADHAAR = "9999 4105 7058"
"""Published by UIDAI for tests: nobody's."""


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"category": "no-such-category"}, {"category"}),
        ({"category": "No such"}, {"category"}),
        ({"text": ""}, {"text"}),
        ({"text": "   "}, {"text"}),
        ({"text": "x" * 4001}, {"text"}),
        ({"text": f"my number is {AADHAAR}"}, {"text"}),
        ({"text": 7}, {"text"}),
        ({"about_facility": "LA-NO-SUCH-PLACE"}, {"about_facility"}),
        ({"about_facility": "nowhere at all"}, {"about_facility"}),
        ({"language": "fr"}, {"language"}),
        ({"anonymous": "perhaps"}, {"anonymous"}),
        ({"anonymous": True, "patient": "patient-P1"}, {"patient"}),
        ({"anonymous": True, "contact": {"phone": "+915550000001"}}, {"contact"}),
        ({"patient": "patient-P1", "contact": {"phone": "+915550000001"}}, {"contact"}),
        ({"contact": {"name": "Rigzin"}}, {"contact"}),
        ({"contact": {"phone": "5550000001"}}, {"contact.phone"}),
        ({"contact": {"email": "nobody"}}, {"contact.email"}),
        ({"contact": {"phone": "+915550000001", "name": AADHAAR}}, {"contact.name"}),
        ({"about_referral": ""}, {"about_referral"}),
        ({"about_referral": "Rigzin Namgyal"}, {"about_referral"}),
        ({"due_at": "2030-01-01T00:00:00Z"}, {"due_at"}),
        ({"occurred_at": "2026-11-20T06:00:00Z"}, {"occurred_at"}),
        ({"occurred_at": "yesterday"}, {"occurred_at"}),
    ],
)
async def test_nonsense_names_its_field_and_changes_nothing(
    desk: Desk, change: dict[str, Any], fields: set[str]
) -> None:
    answer = await desk.file(token=desk.citizen(), **change)
    assert (answer.status_code, named(answer)) == (422, fields)
    assert AADHAAR not in answer.text
    assert await desk.count() == 0
    assert await desk.database["contacts"].count_documents({}) == 0


@pytest.mark.parametrize(
    ("move", "body", "field"),
    [
        ("assign", {"to": f"officer@{OFFICE}"}, "to"),
        ("assign", {}, "to"),
        ("resolve", {"outcome": "wonderful", "action_taken": "x"}, "outcome"),
        ("resolve", {"outcome": "fixed", "action_taken": " "}, "action_taken"),
        ("resolve", {"outcome": "fixed", "action_taken": f"see {AADHAAR}"}, "action_taken"),
        ("confirm", {"rating": 6}, "rating"),
        ("confirm", {"rating": "best"}, "rating"),
        ("reopen", {}, "reason"),
    ],
)
async def test_nonsense_in_a_move_names_its_field(desk: Desk, move: str, body: dict[str, Any], field: str) -> None:
    filed = await desk.filed()
    before = await desk.document(filed["id"])
    token = {"assign": desk.officer(), "resolve": desk.nodal()}.get(move, desk.citizen())
    answer = await desk.move(filed["id"], move, token, **body)
    assert (answer.status_code, named(answer)) == (422, {field})
    assert (await desk.document(filed["id"]))["version"] == before["version"]


async def test_an_illegal_move_says_what_is_legal(desk: Desk) -> None:
    filed = await desk.filed()
    early = await desk.move(filed["id"], "confirm", desk.citizen(), rating=5)
    assert (early.status_code, early.json()["allowed"]) == (409, [])
    await desk.move(filed["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="done")
    twice = await desk.move(filed["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="done")
    assert (twice.status_code, twice.json()["allowed"]) == (409, ["attempt", "close-unreachable"])


async def test_worklist_is_the_oldest_promise_first_in_pages(desk: Desk) -> None:
    slow = await desk.filed(category="scheme-enrolment")
    urgent = await desk.filed(category="denied-cashless-treatment")
    usual = await desk.filed()
    done = await desk.filed()
    await desk.filed(about_facility="HP-KNR-CHC-POOH")
    await desk.move(done["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="done")
    headers = {"Authorization": desk.officer()}
    seen, cursor = [], None
    for _ in range(5):
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        answer = (await desk.client.get("/grievances", params=query, headers=headers)).json()
        seen += [item["id"] for item in answer["items"]]
        cursor = answer["next"]
        if cursor is None:
            break
    assert seen == [urgent["id"], usual["id"], slow["id"]]
    resolved = await desk.client.get("/grievances", params={"status": "resolved"}, headers=headers)
    assert [item["id"] for item in resolved.json()["items"]] == [done["id"]]
    mine = await desk.client.get("/grievances", headers={"Authorization": desk.citizen()})
    assert len(mine.json()["items"]) == 5
    others = await desk.client.get("/grievances", headers={"Authorization": desk.citizen("other")})
    assert others.json()["items"] == []
    assert TEXT not in resolved.text + mine.text


async def test_reading_one_is_logged_and_history_tells_what_happened(desk: Desk) -> None:
    filed = await desk.filed(patient="patient-P1")
    headers = {"Authorization": desk.officer(), "X-Purpose": "CAREMGT"}
    shown = (await desk.client.get(f"/grievances/{filed['id']}", headers=headers)).json()
    assert (shown["text"], shown["patient"]) == (TEXT, "patient-P1")
    assert "secret" not in shown
    history = (await desk.client.get(f"/grievances/{filed['id']}/history", headers=headers)).json()["items"]
    assert [entry["type"].split(".")[1] for entry in history] == ["GrievanceFiled", "GrievanceAcknowledged"]
    assert "citizen:P1" not in json.dumps(history)
    reads = await desk.database["reads"].find({"patient": "patient-P1"}).to_list(None)
    assert [read["subject"] for read in reads] == [f"officer@{OFFICE}"] * 2
    mine = await desk.client.get(f"/grievances/{filed['id']}", headers={"Authorization": desk.citizen()})
    assert mine.json()["text"] == TEXT
    other = await desk.client.get(f"/grievances/{filed['id']}", headers={"Authorization": desk.citizen("other")})
    assert other.status_code == 403


async def test_categories_are_shown_to_everybody(desk: Desk) -> None:
    shown = (await desk.client.get("/categories")).json()
    assert {"denied-cashless-treatment", "medicine-not-available", "long-wait"} <= {found["code"] for found in shown}


async def test_another_ticket_is_taken_when_the_first_is(desk: Desk) -> None:
    taken = await desk.filed()
    real = ticket.mint
    first = {"0": taken["ticket"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ticket, "mint", lambda id, attempt=0: first.get(str(attempt)) or real(id, attempt))
        other = await desk.filed()
    assert other["ticket"] not in (taken["ticket"], real(other["id"], 0))
    assert other["ticket"] == real(other["id"], 1)
