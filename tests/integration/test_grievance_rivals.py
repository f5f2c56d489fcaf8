"""What others got wrong, by the section of the facts where it was read: here it is not so.

"DIGIT" is section 1 of the grievance facts; W numbers and CCRS numbers are sections 4 and 3 of the facts on that rival;
"clock" is section 6, whose working-hours bugs are in tests/unit/grievance/test_grievance_clocks.py, one test each.
Elsewhere: W13 (escalation) in test_grievance_escalation.py, W11 and W12 in test_grievance_journey.py, W5 and Digit-Core
#21 (dead letters) in test_common_listen.py, W22 (growth) and the spike profile in `make bench`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator

import pytest
from grievance_desk import ABOUT, OFFICE, SENT, Desk, named, serving_office

from deploy.local.testing import Served, TestStack
from services.grievance.catalogue import read_calendars, read_categories, read_jurisdictions
from services.grievance.domain.clocks import due
from services.grievance.domain.policy import chosen, policy

STATES = {1: 13, 2: 23, 37: 9, 27: 1}
"""LGD codes of states, each with a district."""


@pytest.fixture(scope="module")
async def served(stack: TestStack) -> AsyncIterator[Served]:
    """Nothing of it goes to a broker: nothing that is asserted here may depend on one."""
    async with serving_office(stack, RELAY="false") as served:
        yield served


@pytest.fixture
async def desk(stack: TestStack, served: Served) -> Desk:
    database = served.service.database
    for collection in ("grievances", "contacts"):
        await database[collection].delete_many({})
    served.service.clock._latest = SENT
    return Desk(served.client, stack.issuer, database)


async def test_w1_w2_a_complaint_without_a_broker_is_stored_and_waits_to_be_told(desk: Desk) -> None:
    """W1: the workflow stands and the complaint does not. W2: without Kafka the filing fails."""
    filed = await desk.filed(patient="patient-P1")
    document = await desk.document(filed["id"])
    assert [entry["sequence"] for entry in document["journal"]] == [1, 2]
    assert (document["published"], document["state"]["status"]) == (0, "filed")
    assert document["pending_since"] is not None


async def test_w9_what_was_answered_is_there_at_once(desk: Desk) -> None:
    """W9: the API answers 200 before the row is written; tests sleep between the calls."""
    filed = await desk.filed(patient="patient-P1")
    shown = await desk.client.get(f"/grievances/{filed['id']}", headers={"Authorization": desk.officer()})
    listed = await desk.client.get("/grievances", headers={"Authorization": desk.officer()})
    assert shown.json()["ticket"] == filed["ticket"] == listed.json()["items"][0]["ticket"]


async def test_w10_one_complaint_is_one_key_on_one_topic(desk: Desk) -> None:
    """W10 and DIGIT: create and update on two topics without a key, so that an update may overtake its insert."""
    filed = await desk.filed(patient="patient-P1")
    await desk.move(filed["id"], "assign", desk.officer(), to=f"nodal-officer@{OFFICE}")
    document = await desk.document(filed["id"])
    public = [entry for entry in document["journal"] if "sequence" in entry]
    assert {entry["type"].split(".")[0] for entry in public} == {"grievance"}
    assert [entry["sequence"] for entry in public] == [1, 2, 3], "keyed by its id, gapless in one topic"


async def test_w14_a_second_resolution_is_another_event(desk: Desk) -> None:
    """W14: reopened and resolved again has the same transaction id, so the second message is never sent."""
    filed = await desk.filed(patient="patient-P1")
    for _ in range(2):
        await desk.move(filed["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="done")
        await desk.move(filed["id"], "reopen", desk.citizen(), reason="nothing changed")
    journal = (await desk.document(filed["id"]))["journal"]
    resolved = [entry["id"] for entry in journal if entry["type"].endswith("GrievanceResolved.v1")]
    reopened = [entry["id"] for entry in journal if entry["type"].endswith("GrievanceReopened.v1")]
    assert len({*resolved, *reopened}) == 4


async def test_ccrs_1071_nobody_finds_or_counts_anothers_complaints(desk: Desk) -> None:
    filed = await desk.filed(patient="patient-P1")
    other = {"Authorization": desk.citizen("P2")}
    listed = await desk.client.get("/grievances", headers=other)
    assert listed.json() == {"items": [], "next": None}
    shown = await desk.client.get(f"/grievances/{filed['id']}", headers=other)
    assert shown.status_code == 403


def test_ccrs_1028_every_case_has_a_date_that_can_be_missed() -> None:
    """118 open complaints there had no target, and could never breach."""
    categories, calendars = read_categories(), read_calendars()
    jurisdictions = read_jurisdictions(known=categories)
    for state, district in STATES.items():
        for category in categories.values():
            found = policy(*chosen(jurisdictions, SENT.date(), state, category.code), category.code, category.emergency)
            for span in found.promises.spans:
                at = due(span, SENT, calendars.base(state, district))
                assert SENT < at < SENT + dt.timedelta(days=120), (state, category.code)


async def test_ccrs_922_the_worklist_is_sorted_by_the_promise(desk: Desk) -> None:
    """The inbox's order never worked there."""
    for category in ("long-wait", "denied-cashless-treatment", "scheme-enrolment", "long-wait"):
        await desk.filed(patient="patient-P1", category=category)
    dates: list[str] = []
    cursor = ""
    for _ in range(4):
        page = await desk.client.get(f"/grievances?limit=1{cursor}", headers={"Authorization": desk.officer()})
        dates += [item["due_at"] for item in page.json()["items"]]
        cursor = f"&cursor={page.json()['next']}"
    assert len(dates) == 4
    assert dates == sorted(dates)


async def test_ccrs_1367_a_case_passed_on_is_still_found_by_its_ticket(desk: Desk) -> None:
    """A rejected complaint could not be found by its number; here none is rejected, only explained and passed on."""
    filed = await desk.filed(patient="patient-P1")
    await desk.move(filed["id"], "screen", desk.nodal(), reason="sub-judice")
    tracked = await desk.client.get(f"/tracking/{filed['ticket']}", headers={"X-Tracking-Secret": filed["secret"]})
    assert (tracked.json()["status"], tracked.json()["screened"], tracked.json()["passed_to"]) == (
        "resolved",
        "sub-judice",
        "court",
    )
    assert tracked.json()["moves"] == ["confirm", "reopen", "appeal"]
    assert "court" in tracked.json()["explanation"]


async def test_digit_the_reopen_window_and_the_owner_are_those_stored(desk: Desk) -> None:
    """There both come from the request's own body: `accountId`, `lastModifiedTime`."""
    filed = await desk.filed(patient="patient-P1")
    await desk.move(filed["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="done")
    for said in ({"accountId": "citizen:P2"}, {"lastModifiedTime": 1}, {"filed_by": "citizen:P2"}):
        claimed = await desk.move(filed["id"], "reopen", desk.citizen("P2"), reason="mine", **said)
        assert claimed.status_code in (403, 422)
    assert (await desk.document(filed["id"]))["state"]["status"] == "resolved"
    late = SENT + dt.timedelta(days=31)
    backdated = (SENT + dt.timedelta(days=1)).isoformat()
    appeal = await desk.move(
        filed["id"], "appeal", desk.citizen(), sent=late, reason="not enough", occurred_at=backdated
    )
    assert (appeal.status_code, appeal.json()["type"].rsplit(":", 1)[1]) == (409, "appeal-too-late")


async def test_digit_the_language_is_the_complainants_whoever_acts(desk: Desk) -> None:
    """There it is that of whoever made the last move, and one locale for all (W-table 2.8)."""
    filed = await desk.filed(patient="patient-P1", language="bo")
    await desk.move(filed["id"], "resolve", desk.nodal(), outcome="fixed", action_taken="done")
    journal = (await desk.document(filed["id"]))["journal"]
    assert {entry["data"]["language"] for entry in journal if "language" in entry["data"]} == {"bo"}


async def test_digit_sundays_and_holidays_do_not_count_where_working_days_are_promised(desk: Desk) -> None:
    """There `now - createdtime - sla`: elapsed time."""
    filed = await desk.filed(patient="patient-P1", about_facility="JK-BPR-CHC-GUREZ")
    received, promised = (dt.datetime.fromisoformat(filed[name]) for name in ("filed_at", "due_at"))
    assert filed["jurisdiction"] == "jammu-kashmir"
    assert promised - received > dt.timedelta(days=17), "fifteen working days hold two Sundays at least"


async def test_digit_anonymous_is_possible_and_the_accused_never_answers(desk: Desk) -> None:
    """There a citizen's account is required, and no field says whom it is about."""
    filed = await desk.file(anonymous=True)
    assert filed.status_code == 201
    assert ABOUT not in (await desk.document(filed.json()["id"]))["state"]["offices"]


async def test_w11_concurrent_moves_all_count(desk: Desk) -> None:
    """W11: an update has no version; of two at one time one is lost."""
    filed = await desk.filed(patient="patient-P1")
    done = await asyncio.gather(
        *(desk.move(filed["id"], "assign", desk.officer(), to=f"nodal-officer@{OFFICE}") for _ in range(8))
    )
    assert {answer.status_code for answer in done} == {200}
    journal = (await desk.document(filed["id"]))["journal"]
    assert sum(entry["type"].endswith("GrievanceAssigned.v1") for entry in journal) == 8


async def test_w12_a_key_repeated_ten_times_is_one_complaint_and_another_body_is_refused(desk: Desk) -> None:
    key = str(uuid.uuid4())
    answers = [await desk.file(key=key, token=desk.citizen(), patient="patient-P1") for _ in range(10)]
    assert len({answer.text for answer in answers}) == 1
    other = await desk.file(key=key, token=desk.citizen(), patient="patient-P1", text="Something else")
    assert (other.status_code, named(other)) == (422, {"Idempotency-Key"})
    assert await desk.count() == 1


async def test_zammad_4432_the_timer_asks_the_stored_date_not_the_midnight(desk: Desk) -> None:
    """Clock: reminders at midnight. The next look at a case is its own due instant, indexed."""
    filed = await desk.filed(patient="patient-P1", category="denied-cashless-treatment")
    document = await desk.document(filed["id"])
    assert document["due"] == SENT + dt.timedelta(minutes=30)
