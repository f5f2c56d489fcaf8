"""The doors beside the usual one: paper, sealed, Open311, events, attachments, root causes, public figures."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import secrets
import uuid
from collections.abc import AsyncIterator
from typing import Any
from xml.etree import ElementTree

import pytest
from grievance_desk import ABOUT, ABOVE, OFFICE, SENT, TEXT, Desk, named, serving_office

from deploy.local.testing import Served, TestStack
from libs.common.records import Envelope, Received
from libs.contracts.event import Event
from libs.contracts.notifications import MessageFailed
from libs.contracts.referral import ReferralAccepted, ReferralBreached, ReferralCancelled, ReferralClosed
from libs.contracts.registration import (
    EnrolmentRefusalReversed,
    EnrolmentRefused,
    RecordsJoined,
    RecordsParted,
    TokenCalled,
    TokenIssued,
)
from tests.waiting import eventually

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(300_000)
KEY = "k3y-of-the-portal"


@pytest.fixture(scope="module")
async def served(stack: TestStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("secrets")
    for name in ("tracking_key", "seal_key"):
        (folder / name).write_text(secrets.token_hex(32))
    (folder / "open311_keys").write_text(f"portal {KEY}\nother {KEY}-of-another\n")
    async with serving_office(stack, SECRETS_DIR=str(folder), SWEEP_SECONDS="0.1", FIGURES_SECONDS="0") as served:
        yield served


@pytest.fixture
async def desk(stack: TestStack, served: Served) -> Desk:
    database = served.service.database
    for collection in ("grievances", "contacts", "clusters", "sightings"):
        await database[collection].delete_many({})
    served.service.clock._latest = SENT
    return Desk(served.client, stack.issuer, database)


# Sealed, and the person complained about


async def test_of_a_sealed_complaint_no_officer_learns_who_filed_it_and_the_reporter_is_still_told(desk: Desk) -> None:
    body = {"category": "staff-behaviour", "text": TEXT, "about_facility": ABOUT, "sealed": True}
    reach = {"name": "Padma Yangdol", "phone": "+915550123456"}
    filed = await desk.send("/grievances", body | {"contact": reach}, token=desk.citizen("sealed-citizen"))
    assert filed.status_code == 201, filed.text
    id = filed.json()["id"]
    for path in ("", "/history"):
        for token in (desk.officer(), desk.nodal()):
            shown = await desk.client.get(f"/grievances/{id}{path}", headers={"Authorization": token})
            assert shown.status_code == 200
            for secret in ("Padma", "5550123456", "sealed-citizen"):
                assert secret not in shown.text
    assert filed.json()["reporter"] == "sealed"
    document = await desk.document(id)
    public = [entry for entry in document["journal"] if "sequence" in entry]
    contact = public[0]["data"]["reporter"]
    assert (contact["kind"], len(public)) == ("contact", 2)
    card = (await desk.database["contacts"].find_one({"_id": contact["id"]}))["state"]["card"]
    assert (card["phone"], card["name"]) == ("+915550123456", None)
    assert "sealed-citizen" not in json.dumps(document, default=str)
    tracked = await desk.client.get(
        f"/tracking/{filed.json()['ticket']}", headers={"X-Tracking-Secret": filed.json()["secret"]}
    )
    assert tracked.json()["status"] == "filed"


async def test_a_seal_that_would_not_hold_is_refused(desk: Desk) -> None:
    for body, field in (
        ({"sealed": True}, "contact"),
        ({"sealed": True, "anonymous": True}, "sealed"),
        ({"sealed": True, "patient": "patient-P1", "contact": {"phone": "+915550123456"}}, "patient"),
    ):
        answer = await desk.file(token=desk.citizen(), **body)
        assert (answer.status_code, named(answer)) == (422, {field})
    assert await desk.count() == 0


async def test_the_accused_officer_sees_nothing_and_their_office_is_passed_over(desk: Desk) -> None:
    filed = await desk.filed(patient="patient-P1", about_person=f"nodal-officer@{OFFICE}")
    assert filed["handled_by"] == ABOVE
    against = await desk.filed(patient="patient-P1", about_person="officer-17")
    accused = desk.token("officer", OFFICE, "officer-17")
    listed = await desk.client.get("/grievances", headers={"Authorization": accused})
    assert listed.json()["items"] == []
    stranger = await desk.client.get(
        f"/grievances/{against['id']}", headers={"Authorization": desk.officer("HP-KNR-RH-PEO")}
    )
    shown = await desk.client.get(f"/grievances/{against['id']}", headers={"Authorization": accused})
    assert (shown.status_code, shown.json()) == (403, stranger.json())
    moved = await desk.move(against["id"], "assign", accused, to=f"nodal-officer@{OFFICE}")
    assert moved.status_code == 403
    colleague = desk.token("officer", OFFICE, "officer-18")
    assert len((await desk.client.get("/grievances", headers={"Authorization": colleague})).json()["items"]) == 1


# Paper


async def test_paper_keeps_the_day_it_was_received(desk: Desk) -> None:
    received = SENT - dt.timedelta(days=9)
    body = {
        "category": "long-wait",
        "text": TEXT,
        "about_facility": ABOUT,
        "door": "complaint-box",
        "received_at": received.isoformat(),
        "contact": {"name": "Tashi", "phone": "+915550123457"},
    }
    token = desk.token("desk", "LA-LEH-CHC-KHALTSI")
    filed = (await desk.send("/intake", body, token=token)).json()
    received_at, filed_at, due_at = (
        dt.datetime.fromisoformat(filed[name]) for name in ("received_at", "filed_at", "due_at")
    )
    assert (received_at, filed_at, due_at) == (received, SENT, received + dt.timedelta(days=21))
    for wrong, field in ((SENT + dt.timedelta(days=1), "received_at"), (SENT - dt.timedelta(days=800), "received_at")):
        answer = await desk.send("/intake", body | {"received_at": wrong.isoformat()}, token=token)
        assert (answer.status_code, named(answer)) == (422, {field})
    done = await desk.move(filed["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="a second counter")
    assert done.status_code == 200
    path = f"/tracking/{filed['ticket']}/confirm"
    closed = await desk.send(path, {"rating": 5}, **{"X-Tracking-Secret": filed["secret"]})
    assert closed.json()["status"] == "closed"


# Attachments


async def test_an_attachment_is_checked_by_its_content_and_comes_back_as_it_went(desk: Desk) -> None:
    filed = await desk.filed(patient="patient-P1")
    headers = {"Authorization": desk.citizen(), "Idempotency-Key": str(uuid.uuid4()), "Content-Type": "image/png"}
    path = f"/grievances/{filed['id']}/attachments"
    added = [await desk.client.post(path, content=PICTURE, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in added] == [201, 201]
    assert added[0].json() == added[1].json()
    one = added[0].json()["id"]
    got = await desk.client.get(f"{path}/{one}", headers={"Authorization": desk.officer()})
    assert (got.content, got.headers["content-type"]) == (PICTURE, "image/png")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert await desk.database["attachments.files"].count_documents({"_id": one}) == 1
    detail = await desk.client.get(f"/grievances/{filed['id']}", headers={"Authorization": desk.officer()})
    assert [each["id"] for each in detail.json()["attachments"]] == [one]
    for content, claimed, field in (
        (b"MZ\x90\x00 a program", "image/png", "content"),
        (b"<script>", "image/jpeg", "content"),
        (PICTURE, "application/pdf", "Content-Type"),
        (b"", "image/png", "content"),
    ):
        headers |= {"Idempotency-Key": str(uuid.uuid4()), "Content-Type": claimed}
        refused = await desk.client.post(path, content=content, headers=headers)
        assert (refused.status_code, named(refused)) == (422, {field})
    headers |= {"Content-Type": "image/png"}
    too_large = await desk.client.post(path, content=PICTURE + bytes(6_000_000), headers=headers)
    assert too_large.status_code == 413


# From events


def received(event: Event, key: str, sequence: int = 1, at: dt.datetime = SENT) -> Received:
    assert event.TOPIC is not None
    envelope = Envelope(
        topic=event.TOPIC.name,
        partition=0,
        offset=0,
        key=key,
        id=str(uuid.uuid4()),
        type=event.TYPE,
        sequence=sequence,
        epoch=1,
        occurred_at=at,
        recorded_at=at,
        actor="desk",
        traceparent=None,
        value=b"",
    )
    return Received(envelope, event)


async def hear(served: Served, event: Received) -> None:
    found = [each for each in served.service.listener.subscriptions if each.topic == event.event.TOPIC]
    await found[0]._react(event)


LEG: dict[str, Any] = {
    "patient": "p-9",
    "origin": ABOUT,
    "destination": OFFICE,
    "service": "surgery",
    "urgency": "urgent",
}


async def test_an_event_opens_one_case_however_often_it_comes(desk: Desk, served: Served) -> None:
    died = received(ReferralCancelled(**LEG, reason="patient-died"), "r-1", 3)
    await asyncio.gather(*(hear(served, died) for _ in range(5)))
    await hear(served, received(ReferralCancelled(**LEG, reason="patient-improved"), "r-2", 3))
    (case,) = await desk.database["grievances"].find({}).to_list(None)
    state = case["state"]
    assert (state["because"], state["category"], state["about_referral"]) == (
        "death-in-transfer",
        "death-in-transfer",
        "r-1",
    )
    assert state["handled_by"] == ABOVE, "neither who sent nor who was to receive answers"
    assert state["reporter"]["kind"] == "anonymous"
    id = case["_id"]
    await desk.move(id, "resolve", desk.nodal(ABOVE), outcome="action-taken", action_taken="audited with the driver")
    verified = await desk.move(id, "verify", desk.officer(ABOVE), fixed=True, note="read the audit")
    assert (verified.json()["status"], verified.json()["verified"]) == ("closed", True)


async def test_a_broken_promise_about_a_referral_opens_one_case_of_each_promise(desk: Desk, served: Served) -> None:
    broken = {"escalated_to": f"nodal-officer@{ABOVE}", "facility": ABOVE}
    answer = received(ReferralBreached(**LEG, promise="answer", **broken), "r-7", 2)
    chain = received(ReferralBreached(**LEG, promise="chain", **broken), "r-7", 3)
    for event in (answer, answer, chain, received(answer.event, "r-7", 2)):
        await hear(served, event)
    cases = [each["state"] for each in await desk.database["grievances"].find({}).to_list(None)]
    assert [(case["because"], case["about_referral"], case["about_facility"]) for case in cases] == [
        ("referral-breach", "r-7", OFFICE)
    ] * 2
    assert all(OFFICE not in case["offices"] for case in cases), "who did not answer does not answer this either"


async def test_an_enrolment_refused_wrongly_opens_one_case_whichever_event_says_so(desk: Desk, served: Served) -> None:
    refusal = {"facility": ABOUT, "scheme": "himcare", "refused_on": SENT.date()}
    right = EnrolmentRefused(**refusal | {"scheme": "sehat"}, reason="not-eligible", entitled=False)
    wrong = EnrolmentRefused(**refusal, reason="papers-missing", entitled=True)
    reversal = EnrolmentRefusalReversed(**refusal, because="officers-leave")
    for sequence, event in enumerate((right, wrong, reversal, reversal), start=2):
        await hear(served, received(event, "household-1", sequence))
    (case,) = await desk.database["grievances"].find({}).to_list(None)
    state = case["state"]
    assert (state["because"], state["category"], state["about_facility"], state["handled_by"]) == (
        "enrolment-refused-wrongly",
        "scheme-enrolment",
        ABOUT,
        OFFICE,
    )


async def test_a_message_that_did_not_arrive_is_about_where_the_person_was(desk: Desk, served: Served) -> None:
    token = TokenIssued(
        patient="p-3", facility=ABOUT, counter="OPD1", date=SENT.date(), number=1, expires_at=SENT, door="walk-in"
    )
    failed = {"recipient": "patient:p-3", "channel": "sms", "template": "registered", "language": "ur"}
    await hear(served, received(token, "v-1"))
    for number, (reason, recipient) in enumerate(
        [("invalid-number", "patient:p-3"), ("barred", "patient:p-3"), ("invalid-number", f"officer@{OFFICE}")]
    ):
        event = MessageFailed(event=f"e{number}", reason=reason, **(failed | {"recipient": recipient}))
        await hear(served, received(event, f"m-{number}"))
    (case,) = await desk.database["grievances"].find({}).to_list(None)
    assert (case["state"]["because"], case["state"]["about_facility"]) == ("message-undelivered", ABOUT)
    unknown = MessageFailed(event="e9", reason="barred", **(failed | {"recipient": "patient:nobody"}))
    await hear(served, received(unknown, "m-9"))
    value = served.service.metrics.registry.get_sample_value
    labels = {"subscription": "proactive", "reason": "no-place"}
    assert value("hillhealth_events_skipped_total", labels) == 1, "not silently"
    old = received(ReferralCancelled(**LEG, reason="patient-died"), "r-5", 1, SENT - dt.timedelta(days=40))
    await hear(served, old)
    assert await desk.count() == 1


async def test_a_token_that_was_called_past_opens_a_case_and_one_of_a_counter_that_calls_nobody_does_not(
    desk: Desk, served: Served
) -> None:
    def token(number: int, day: int, counter: str = "OPD1") -> dict[str, Any]:
        date = SENT.date() + dt.timedelta(days=day)
        return {"patient": f"p-{number}", "facility": ABOUT, "counter": counter, "date": date, "number": number}

    issued = {"expires_at": SENT, "door": "walk-in"}
    for number in (1, 2, 3):
        await hear(served, received(TokenIssued(**token(number, 0), **issued), f"v-{number}"))
        await hear(served, received(TokenIssued(**token(number, 0, "OPD2"), **issued), f"w-{number}"))
    for number in (1, 3):
        await hear(served, received(TokenCalled(**token(number, 0), called_at=SENT), f"v-{number}", 2))
    for counter in ("OPD1", "OPD2"):
        for _ in range(2):
            await hear(served, received(TokenIssued(**token(1, 1, counter), **issued), f"x-{counter}"))
    (case,) = await desk.database["grievances"].find({}).to_list(None)
    assert (case["state"]["because"], case["state"]["about_facility"]) == ("token-never-called", ABOUT)


async def test_an_emergency_is_linked_to_the_referral_that_it_is_about(desk: Desk, served: Served) -> None:
    leg = LEG | {"patient": "patient-P1"}
    await hear(served, received(ReferralAccepted(**leg), "r-7", 2))
    await hear(served, received(ReferralClosed(**leg), "r-6", 9, SENT + dt.timedelta(minutes=1)))
    await hear(served, received(ReferralAccepted(**leg), "r-6", 2))
    filed = await desk.filed(patient="patient-P1", category="referral-refused", about_facility=OFFICE)
    assert filed["about_referral"] == "r-7"
    other = await desk.filed(patient="patient-P1", category="long-wait", about_facility=OFFICE)
    assert other["about_referral"] is None


async def test_records_that_are_one_person_are_one_person_here_and_two_again_once_parted(
    desk: Desk, served: Served
) -> None:
    old, new = "patient-old", "patient-P1"
    leg = LEG | {"patient": old}
    await hear(served, received(ReferralAccepted(**leg), "r-9", 2))
    emergency = {"patient": new, "category": "referral-refused", "about_facility": OFFICE}
    assert (await desk.filed(**emergency))["about_referral"] is None
    await hear(served, received(RecordsJoined(patient=old, into=new), old, 1))
    joined = await desk.filed(**emergency)
    assert joined["about_referral"] == "r-9"
    read = await desk.client.get(f"/grievances/{joined['id']}", headers={"Authorization": desk.citizen()})
    assert read.status_code == 200, "who filed it still sees it: that never hung on the record"

    token = TokenIssued(
        patient=new, facility=ABOUT, counter="OPD1", date=SENT.date(), number=1, expires_at=SENT, door="walk-in"
    )
    await hear(served, received(token, "v-9"))
    failed = {"channel": "sms", "template": "registered", "language": "ur", "reason": "barred"}
    for number, who in enumerate((old, new)):
        event = MessageFailed(event=f"e{number}", recipient=f"patient:{who}", **failed)
        await hear(served, received(event, f"m-2{number}"))
    opened = await desk.database["grievances"].find({"state.because": "message-undelivered"}).to_list(None)
    assert [case["state"]["about_facility"] for case in opened] == [ABOUT], "one person, one case, where they were last"

    await hear(served, received(RecordsParted(patient=old, into=new), old, 2))
    await hear(served, received(RecordsJoined(patient=old, into=new), old, 1))
    assert (await desk.filed(**emergency))["about_referral"] is None, "an older word changes nothing"


# Root causes


async def test_a_root_cause_is_fixed_once_and_answers_its_cases(desk: Desk) -> None:
    ids = [(await desk.filed(patient="patient-P1", category="long-wait"))["id"] for _ in range(3)]
    other = (await desk.filed(patient="patient-P1"))["id"]
    await desk.move(ids[2], "resolve", desk.nodal(), outcome="explained", action_taken="told why")
    token = desk.nodal()
    similar = await desk.client.get(
        f"/clusters/similar?about_facility={ABOUT}&month=2026-11", headers={"Authorization": token}
    )
    assert similar.json() == [{"category": "long-wait", "complaints": 3}]
    body = {
        "about_facility": ABOUT,
        "category": "long-wait",
        "month": "2026-11",
        "owner": f"nodal-officer@{ABOVE}",
        "root_cause": "one counter for four hundred people",
        "fix_by": (SENT + dt.timedelta(days=10)).isoformat(),
    }
    accused = await desk.send("/clusters", body | {"owner": f"nodal-officer@{ABOUT}"}, token=token)
    assert (accused.status_code, named(accused)) == (422, {"owner"})
    opened = await desk.send("/clusters", body, token=token)
    assert opened.status_code == 201, opened.text
    again = await desk.send("/clusters", body, token=token)
    assert again.status_code == 409

    async def joined() -> bool:
        return all([(await desk.document(id))["state"].get("cluster") == opened.json()["id"] for id in ids])

    await eventually(joined)
    fix = {"outcome": "fixed", "what_was_done": "a second counter stands"}
    await desk.send(f"/clusters/{opened.json()['id']}/fix", fix, token=token)

    async def answered() -> bool:
        states = [(await desk.document(id))["state"] for id in ids]
        return all(state["status"] == "resolved" for state in states)

    await eventually(answered)
    states = [(await desk.document(id))["state"]["action_taken"] for id in ids]
    assert states == [fix["what_was_done"]] * 2 + ["told why"]
    assert (await desk.document(other))["state"]["status"] == "filed"
    confirmed = await desk.move(ids[0], "confirm", desk.citizen(), rating=5)
    assert confirmed.json()["status"] == "closed", "only the one who filed it closes it"


# Figures


async def test_figures_are_public_and_hide_what_is_small(desk: Desk) -> None:
    for number in range(7):
        filed = await desk.filed(patient="patient-P1", category="long-wait")
        if number < 6:
            await desk.move(filed["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="done")
            await desk.move(filed["id"], "confirm", desk.citizen(), rating=4)
    await desk.filed(patient="patient-P1", category="quality-of-care")
    answer = await desk.client.get(f"/figures?facility={ABOUT}&quarter=2026-Q4")
    rows = {row["category"]: row for row in answer.json()["rows"]}
    assert rows["quality-of-care"]["received"] is None
    assert rows["long-wait"]["received"] == 7
    assert rows["long-wait"]["open_to_7_days"] is None, "one is a person"
    assert rows["long-wait"]["confirmed"] is None, "seven without six is one"
    assert set(answer.json()["definitions"]) >= {"confirmed", "not_fixed", "satisfaction"}
    wrong = await desk.client.get(f"/figures?facility={ABOUT}&quarter=2026")
    assert (wrong.status_code, named(wrong)) == (422, {"quarter"})
    assert (await desk.client.get("/figures?facility=XX-NOWHERE")).status_code == 404


# Open311


async def test_an_open311_client_files_and_follows_a_complaint(desk: Desk) -> None:
    client = desk.client
    services = (await client.get("/open311/v2/services.json")).json()
    assert {"service_code", "service_name", "description", "metadata", "type", "keywords", "group"} <= set(services[0])
    listed = ElementTree.fromstring((await client.get("/open311/v2/services.xml")).content)
    assert [one.findtext("service_code") for one in listed.findall("service")] == [
        one["service_code"] for one in services
    ]
    definition = (await client.get("/open311/v2/services/long-wait.json")).json()
    facilities = {value["key"] for value in definition["attributes"][0]["values"]}
    assert ABOUT in facilities
    form = {
        "api_key": KEY,
        "jurisdiction_id": "hillhealth",
        "service_code": "long-wait",
        "attribute[facility]": ABOUT,
        "description": TEXT,
        "phone": "+915550123458",
        "first_name": "Rigzin",
    }
    posted = await client.post("/open311/v2/requests.xml", data=form)
    assert posted.status_code == 201, posted.text
    id = ElementTree.fromstring(posted.content).findtext("request/service_request_id")
    repeated = await client.post("/open311/v2/requests.json", data=form)
    assert repeated.json()[0]["service_request_id"] == id
    assert await desk.count() == 1
    shown = (await client.get(f"/open311/v2/requests/{id}.json")).json()[0]
    assert (shown["status"], shown["service_code"], shown["address_id"]) == ("open", "long-wait", ABOUT)
    assert TEXT not in json.dumps(shown)
    own = (await client.get(f"/open311/v2/requests.json?api_key={KEY}")).json()
    assert [one["service_request_id"] for one in own] == [id]
    assert (await client.get(f"/open311/v2/requests.json?api_key={KEY}-of-another")).json() == []
    assert (await client.get("/open311/v2/requests.json")).json() == []
    assert len((await client.get(f"/open311/v2/requests.json?service_request_id={id},G-0")).json()) == 1
    since = f"/open311/v2/requests.json?api_key={KEY}&start_date=2026-11-20T00:00:00+05:30"
    assert len((await client.get(since)).json()) == 1, "a plus sign that nobody escaped"
    unknown = await client.get("/open311/v2/tokens/G-0.json")
    assert (unknown.status_code, unknown.json()[0]["description"]) == (404, "token was not found.")
    torn = await client.post(
        "/open311/v2/requests.xml", content=b"--x\r\n\r\n", headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert ElementTree.fromstring(torn.content).findtext("error/code") in ("400", "403"), torn.text
    token = ElementTree.fromstring((await client.get(f"/open311/v2/tokens/{id}.xml")).content)
    assert token.findtext("request/service_request_id") == id
    near = {name: value for name, value in form.items() if not name.startswith("attribute")}
    placed = await client.post("/open311/v2/requests.json", data=near | {"lat": "34.69", "long": "77.42"})
    assert placed.status_code == 201, placed.text
    assert await desk.count() == 2


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"api_key": None}, 403),
        ({"api_key": "guessed"}, 403),
        ({"jurisdiction_id": "elsewhere"}, 404),
        ({"service_code": "no-such"}, 404),
        ({"service_code": None}, 400),
        ({"attribute[facility]": None}, 400),
        ({"attribute[facility]": "XX-NOWHERE"}, 400),
        ({"description": None}, 400),
        ({"lat": "0", "long": "0", "attribute[facility]": None}, 400),
        ({"lat": "inf", "long": "nan", "attribute[facility]": None}, 400),
    ],
)
async def test_open311_errors_have_their_own_body(desk: Desk, changes: dict[str, str | None], status: int) -> None:
    whole = {"api_key": KEY, "service_code": "long-wait", "attribute[facility]": ABOUT, "description": TEXT}
    form = {name: value for name, value in (whole | changes).items() if value is not None}
    answer = await desk.client.post("/open311/v2/requests.json", data=form)
    assert (answer.status_code, answer.json()[0]["code"]) == (status, status), answer.text
    assert answer.json()[0]["description"]
    assert "description" not in changes or "description" in answer.json()[0]["description"], "in the client's words"
    in_xml = await desk.client.post("/open311/v2/requests.xml", data=form)
    assert ElementTree.fromstring(in_xml.content).findtext("error/code") == str(status)
    assert await desk.count() == 0
