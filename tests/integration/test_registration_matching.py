"""Who is this: asked at the desk, reviewed, merged and unmerged, over HTTP on the real broker and store."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from registration_desk import ELSEWHERE, HERE, PATIENT_TOPIC, Desk, published_of, serving_desk

from deploy.local.testing import TestStack
from libs.common.access import SYSTEM
from libs.common.cause import Cause
from services.registration.aggregates import IDENTITY, PATIENT
from services.registration.domain import identity
from services.registration.domain import patient as patients
from services.registration.matching import KnownPeople
from services.registration.places import read_places


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with serving_desk(stack) as desk:
        yield desk


def somebody(**said: Any) -> dict[str, Any]:
    """Whose phone, village, father and age nobody else in this module has."""
    village, father = ("".join(secrets.choice("bdgklmnprst") + secrets.choice("aiou") for _ in range(4)) for _ in "vf")
    return {
        "name": "Stanzin Deldan", "sex": "male", "age_years": 20 + secrets.randbelow(60),
        "phone": f"+915550{secrets.randbelow(10**6):06d}", "village": village.title(), "district_lgd": 9,
        "state_lgd": 37, "guardian": father.title(),
    } | said  # fmt: skip


async def registered(desk: Desk, body: dict[str, Any], **how: Any) -> dict[str, Any]:
    answer = await desk.post("/patients", body, **how)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_whoever_may_be_known_is_registered_all_the_same_and_waits_for_a_person(desk: Desk) -> None:
    body = somebody()
    first = await registered(desk, body)
    assert first["matches"] == []
    key = secrets.token_hex(8)
    again = body | {"name": "Stenzin Deldan", "age_years": body["age_years"] + 1}
    second = await registered(desk, again, key=key)
    assert second["id"] != first["id"]
    [match] = second["matches"]
    assert (match["patient"], match["band"]) == (first["id"], "same")
    assert {"field": "sex", "says": "sex: the same", "weight": pytest.approx(1, abs=1)} in match["fields"]
    assert await registered(desk, again, key=key) == second
    listed = (await desk.get("/reviews?limit=200")).json()["reviews"]
    assert second["id"] in [review["patient"] for review in listed]
    assert first["id"] not in [review["patient"] for review in listed]
    elsewhere = (await desk.get("/reviews?limit=200", facility=ELSEWHERE)).json()["reviews"]
    assert second["id"] not in [review["patient"] for review in elsewhere]


async def test_a_desk_that_asks_to_be_stopped_is_stopped_before_anything_is_saved(desk: Desk) -> None:
    body = somebody()
    key = secrets.token_hex(8)
    first = await registered(desk, body | {"on_match": "stop"}, key=key)
    assert await registered(desk, body | {"on_match": "stop"}, key=key) == first, "not stopped by itself"
    before = await desk.documents()
    stopped = await desk.post("/patients", body | {"on_match": "stop"})
    assert stopped.status_code == 409
    assert [one["patient"] for one in stopped.json()["candidates"]] == [first["id"]]
    assert await desk.documents() == before


async def test_asked_beforehand_little_is_shown_of_who_is_known_elsewhere(desk: Desk) -> None:
    body = somebody()
    known = await registered(desk, body)
    here = (await desk.post("/patients/matches", body)).json()
    assert here["band"] == "same"
    assert here["candidates"][0]["shown"]["name"] == "Stanzin Deldan"
    assert here["candidates"][0]["abdm_rule"] == "returning"
    away = await desk.post("/patients/matches", body, facility=ELSEWHERE)
    [one] = away.json()["candidates"]
    assert one["shown"]["initials"] == "S. D."
    assert "Deldan" not in away.text
    assert body["phone"] not in away.text
    reads = await desk.database["reads"].find({"patient": known["id"], "facility": ELSEWHERE}).to_list(9)
    assert [read["route"] for read in reads] == ["POST /patients/matches"]
    nobody = (await desk.post("/patients/matches", somebody(name="Parveena Akhter", sex="female"))).json()
    assert nobody == {"band": "new", "candidates": []}


async def test_two_records_become_one_and_two_again(desk: Desk) -> None:
    body = somebody()
    lives_on, other = await registered(desk, body), await registered(desk, body, facility=ELSEWHERE)
    path, into = f"/patients/{other['id']}", {"into": lives_on["id"]}
    officer = {"role": "records-officer", "facility": ELSEWHERE}
    assert (await desk.post(f"{path}/merge", into, facility=ELSEWHERE)).status_code == 403
    assert (await desk.post(f"{path}/merge", into, role="records-officer")).status_code == 403
    wrong = await desk.post(f"{path}/merge", {"into": "nobody"}, **officer)
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "into")
    for asked in ("merge", "merge/preview"):
        unknown = await desk.post(f"{path}/{asked}", into, **officer)
        assert unknown.status_code == 403, f"{asked} of a record that the officer's facility does not know"
    seen = await desk.post(f"/patients/{lives_on['id']}/open", {"reason": "is it she?"}, facility=ELSEWHERE)
    assert seen.status_code == 200

    merged = await desk.post(f"{path}/merge", into, key=(key := secrets.token_hex(8)), **officer)
    assert merged.json() == {"id": other["id"], "status": "merged", "merged_into": lives_on["id"]}
    assert (await desk.post(f"{path}/merge", into, key=key, **officer)).json() == merged.json()
    back_to_front = await desk.post(f"/patients/{lives_on['id']}/merge", {"into": other["id"]}, **officer)
    assert back_to_front.status_code == 422
    read = (await desk.get(path, facility=ELSEWHERE)).json()
    assert (read["id"], read["asked_for"]) == (lives_on["id"], other["id"])
    token = await desk.token(other["id"], facility=ELSEWHERE)
    assert token["patient"] == lives_on["id"]

    unmerged = await desk.post(f"{path}/unmerge", {}, **officer)
    assert unmerged.json()["status"] == "active"
    assert (await desk.get(path, facility=ELSEWHERE)).json()["id"] == other["id"]
    assert (await desk.post(f"{path}/unmerge", {}, **officer)).status_code == 409
    events = await published_of(desk.stack, PATIENT_TOPIC, other["id"], 3)
    assert [event["type"].split(".")[1] for event in events] == [
        "PatientRegistered",
        "PatientMerged",
        "PatientUnmerged",
    ]
    assert [event["data"]["card"]["merged_into"] for event in events] == [None, lives_on["id"], None]
    assert all(event["data"]["card"]["name"] == "Stanzin Deldan" for event in events)
    thin = await published_of(desk.stack, "registration.identity.v1", other["id"], 2)
    both = {"patient": other["id"], "into": lives_on["id"]}
    assert [(event["type"].split(".")[1], event["data"]) for event in thin] == [
        ("RecordsJoined", both),
        ("RecordsParted", both),
    ]


async def test_what_a_crash_left_unsaid_of_a_merge_is_said_by_the_timer(desk: Desk) -> None:
    one, other = (await registered(desk, somebody()))["id"], (await registered(desk, somebody()))["id"]
    journal, places = desk.served.service.journal, read_places()
    now = dt.datetime.now(dt.UTC)
    begun = Cause(secrets.token_hex(8), "records-officer", now)
    # The timer must not come before the merge is written, on a machine that does other things too.
    early = now - identity.SETTLED_AFTER + dt.timedelta(seconds=3)
    await journal.append(IDENTITY, other, lambda state: identity.begin(other, early), begun, SYSTEM)
    command = patients.Merge(one)
    merging = begun.derive("merge")
    await journal.append(PATIENT, other, lambda state: patients.decide(state, command, places), merging, SYSTEM)
    [said] = await published_of(desk.stack, "registration.identity.v1", other, 1)
    assert said["data"] == {"patient": other, "into": one}


async def test_a_preview_says_what_differs_and_changes_nothing(desk: Desk) -> None:
    body = somebody()
    one, other = await registered(desk, body), await registered(desk, body | {"village": "Bogdang"})
    said = await desk.post(f"/patients/{other['id']}/merge/preview", {"into": one["id"]}, role="records-officer")
    assert said.status_code == 200
    assert said.json()["differ"] == ["village"]
    assert said.json()["match"]["band"] == "same"
    assert (await desk.get(f"/patients/{other['id']}")).json()["status"] == "active"
    itself = await desk.post(f"/patients/{other['id']}/merge/preview", {"into": other["id"]}, role="records-officer")
    assert (itself.status_code, itself.json()["errors"][0]["field"]) == (422, "into")


async def test_a_review_is_resolved_with_a_reason(desk: Desk) -> None:
    body = somebody()
    one, other = await registered(desk, body), await registered(desk, body)
    path = f"/patients/{other['id']}/review"
    without = await desk.post(path, {"decision": "different"})
    assert (without.status_code, without.json()["errors"][0]["field"]) == (422, "reason")
    same = await desk.post(path, {"decision": "same", "candidate": one["id"], "reason": "she brought the old slip"})
    assert (same.status_code, same.json()["merged_into"]) == (200, one["id"])
    third = await registered(desk, body)
    override = await desk.post(
        f"/patients/{third['id']}/review", {"decision": "different", "reason": "twins, both seen"}
    )
    assert override.json()["review"]["overridden"] is True
    document = await desk.database["patients"].find_one({"_id": third["id"]})
    entry = next(entry for entry in document["journal"] if entry["type"] == "ReviewResolved")
    assert (entry["data"]["reason"], entry["actor"]) == ("twins, both seen", f"desk@{HERE}")
    [review] = [
        one
        for one in (await desk.get("/reviews?status=resolved&limit=200", role="records-officer")).json()["reviews"]
        if one["patient"] == third["id"]
    ]
    assert (review["reason"], review["by"], review["overridden"]) == ("twins, both seen", f"desk@{HERE}", True)


async def test_same_leads_to_nobody_but_a_candidate_that_still_lives(desk: Desk) -> None:
    body = somebody()
    known, stranger = await registered(desk, body), await registered(desk, somebody(name="Parveena Akhter"))
    alike = await registered(desk, body)
    path, why = f"/patients/{alike['id']}/review", {"decision": "same", "reason": "the same slip"}
    for candidate in (None, "", "nobody", "\u0000", stranger["id"], alike["id"], 7, [known["id"]]):
        refused = await desk.post(path, why | {"candidate": candidate})
        assert refused.status_code == 422, candidate
        assert [error["field"] for error in refused.json()["errors"]] == ["candidate"]
    assert (await desk.post(path, why | {"candidate": known["id"]}, facility=ELSEWHERE)).status_code == 403
    assert (await desk.post(f"/patients/{stranger['id']}/review", why | {"candidate": known["id"]})).status_code == 409
    assert (await desk.get(f"/patients/{alike['id']}")).json()["status"] == "active", "nothing was changed"

    await desk.post(f"/patients/{known['id']}/void", {"reason": "test-entry"})
    voided = await desk.post(path, why | {"candidate": known["id"]})
    assert (voided.status_code, voided.json()["errors"][0]["field"]) == (422, "candidate")
    waiting = (await desk.get("/reviews?limit=200")).json()["reviews"]
    assert alike["id"] in [review["patient"] for review in waiting], "still to be decided"


async def test_of_two_merged_into_each_other_at_one_instant_one_lives_on(desk: Desk) -> None:
    one, other = (await registered(desk, somebody()))["id"], (await registered(desk, somebody()))["id"]
    answers = await asyncio.gather(
        desk.post(f"/patients/{one}/merge", {"into": other}, role="records-officer"),
        desk.post(f"/patients/{other}/merge", {"into": one}, role="records-officer"),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 422], [answer.text for answer in answers]
    shown = [(await desk.get(f"/patients/{id}")).json() for id in (one, other)]
    assert shown[0]["id"] == shown[1]["id"]
    assert shown[0]["status"] == "active"


async def test_of_several_merged_into_one_another_in_a_ring_no_ring_is_left_and_each_answer_is_so(desk: Desk) -> None:
    for _ in range(3):
        ids = [(await registered(desk, somebody()))["id"] for _ in range(3)]
        answers = await asyncio.gather(
            *(
                desk.post(f"/patients/{id}/merge", {"into": into}, role="records-officer", key=f"ring-{id}")
                for id, into in zip(ids, [*ids[1:], ids[0]], strict=True)
            )
        )
        assert {answer.status_code for answer in answers} <= {200, 422}, [answer.text for answer in answers]
        for id, into, answer in zip(ids, [*ids[1:], ids[0]], answers, strict=True):
            document = await desk.database["patients"].find_one({"_id": id})
            assert (document["state"]["status"] == "merged") == (answer.status_code == 200)
            assert (await desk.get(f"/patients/{id}")).json()["status"] == "active", "somebody lives on"
            again = await desk.post(f"/patients/{id}/merge", {"into": into}, role="records-officer", key=f"ring-{id}")
            assert again.status_code == answer.status_code, "a retry gets its first answer"
            identity = await desk.database["identities"].find_one({"_id": id})
            told = document["state"]["card"]["merged_into"]
            assert identity is None or identity["state"].get("into") == told


async def test_who_merged_and_why_is_read_by_the_records_officer_and_forgotten_with_the_person(desk: Desk) -> None:
    one, other = (await registered(desk, somebody()))["id"], (await registered(desk, somebody()))["id"]
    officer = {"role": "records-officer"}
    reasons = ("her mother brought both slips", "they are twins after all", "called in by radio")
    for verb, body in (("merge", {"into": one, "reason": reasons[0]}), ("unmerge", {"reason": reasons[1]})):
        assert (await desk.post(f"/patients/{other}/{verb}", body, **officer)).status_code == 200
    wrong = await desk.post(f"/patients/{other}/merge", {"into": one, "reason": "9999 4105 7058 is hers"}, **officer)
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "reason")
    opened = await desk.post(f"/patients/{other}/open", {"reason": reasons[2]}, facility=ELSEWHERE)
    assert opened.status_code == 200

    path = f"/patients/{other}/decisions"
    assert (await desk.get(path)).status_code == 403, "not every desk"
    read = (await desk.get(path, **officer)).json()["decisions"]
    assert [(one["decision"], one.get("what"), one["reason"], one["by"]) for one in read] == [
        ("RecordExplained", "merged", reasons[0], f"records-officer@{HERE}"),
        ("RecordExplained", "unmerged", reasons[1], f"records-officer@{HERE}"),
        ("OpenedForCare", None, reasons[2], f"desk@{ELSEWHERE}"),
    ]
    erased = await desk.post(f"/patients/{other}/erase", {}, role="privacy-officer")
    assert erased.status_code == 200
    document = await desk.database["patients"].find_one({"_id": other})
    assert not any(reason in str(document) for reason in reasons)
    assert [one["by"] for one in (await desk.get(path, **officer)).json()["decisions"]] == [one["by"] for one in read]


async def test_an_aadhaar_number_is_refused_in_any_identifier(desk: Desk) -> None:
    refused = await desk.post("/patients", somebody(identifiers=[{"type": "ration-card", "value": "9999 4105 7058"}]))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"].startswith("identifiers")
    assert "4105" not in refused.text
    kept = await registered(desk, somebody(identifiers=[{"type": "tibetan-refugee-card", "value": "t-4471203"}]))
    assert kept["identifiers"] == [{"type": "tibetan-refugee-card", "value": "T4471203", "facility": None}]


async def test_somebody_is_found_at_the_next_hospital_with_little_and_opened_with_a_reason(desk: Desk) -> None:
    body = somebody(identifiers=[{"type": "border-id-card", "value": f"BIC{secrets.randbelow(10**6):06d}"}])
    known = await registered(desk, body)
    asked = {
        "phone": body["phone"],
        "birth_year": known["birth_year"],
        "identifier_ends": known["identifiers"][0]["value"][-5:],
    }
    found = await desk.post("/patients/elsewhere", asked, facility=ELSEWHERE)
    assert [one["id"] for one in found.json()["patients"]] == [known["id"]]
    assert "Deldan" not in found.text
    assert body["phone"] not in found.text
    for part in (known["id"][:5], known["id"][-5:]):
        by_id = await desk.post("/patients/elsewhere", asked | {"identifier_ends": part}, facility=ELSEWHERE)
        assert [one["id"] for one in by_id.json()["patients"]] == [known["id"]], "the record's own id is one"
    nothing = await desk.post("/patients/elsewhere", asked | {"identifier_ends": "-- /"}, facility=ELSEWHERE)
    assert (nothing.status_code, nothing.json()["errors"][0]["field"]) == (422, "identifier_ends")
    for wrong in ({"birth_year": known["birth_year"] + 1}, {"identifier_ends": "99999x"}):
        assert (await desk.post("/patients/elsewhere", asked | wrong, facility=ELSEWHERE)).json()["patients"] == []
    path = f"/patients/{known['id']}"
    assert (await desk.get(path, facility=ELSEWHERE)).status_code == 403
    without = await desk.post(f"{path}/open", {}, facility=ELSEWHERE)
    assert (without.status_code, without.json()["errors"][0]["field"]) == (422, "reason")
    opened = await desk.post(f"{path}/open", {"reason": "brought in by ambulance"}, facility=ELSEWHERE)
    assert opened.json()["name"] == "Stanzin Deldan"
    assert (await desk.get(path, facility=ELSEWHERE)).status_code == 200
    events = await published_of(desk.stack, PATIENT_TOPIC, known["id"], 2)
    assert (events[1]["type"].split(".")[1], events[1]["data"]["facility"]) == ("RecordOpened", ELSEWHERE)
    document = await desk.database["patients"].find_one({"_id": known["id"]})
    [entry] = [entry for entry in document["journal"] if entry["type"] == "OpenedForCare"]
    assert entry["data"]["reason"] == "brought in by ambulance"


async def test_consent_is_withdrawn_as_easily_and_then_only_broken_glass_opens(desk: Desk) -> None:
    known = await registered(desk, somebody())
    path = f"/patients/{known['id']}"
    given = await desk.post(f"{path}/consents", {"purpose": "CAREMGT"})
    assert given.json()["consents"][0]["purpose"] == "CAREMGT"
    assert (await desk.post(f"{path}/consents/withdraw", {"purpose": "DSRCH"})).status_code == 422
    withdrawn = await desk.post(f"{path}/consents/withdraw", {"purpose": "CAREMGT"})
    assert withdrawn.json()["consents"][0]["withdrawn_at"]
    refused = await desk.post(f"{path}/open", {"reason": "second opinion"}, facility=ELSEWHERE)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:hillhealth:problem:consent-withdrawn")
    token = await desk.token(known["id"], facility=ELSEWHERE)
    assert token["number"], "who stands there is served"
    assert (await desk.get(path, facility=ELSEWHERE)).status_code == 403, "and a token opens nothing"
    for no_flag in (1, "yes"):
        no_glass = await desk.post(
            f"{path}/open", {"reason": "unconscious", "break_glass": no_flag}, facility=ELSEWHERE
        )
        assert (no_glass.status_code, no_glass.json()["errors"][0]["field"]) == (422, "break_glass")
    broken = await desk.post(f"{path}/open", {"reason": "unconscious", "break_glass": True}, facility=ELSEWHERE)
    assert broken.status_code == 200


async def test_who_is_erased_is_forgotten_under_every_record_of_theirs(desk: Desk) -> None:
    lives_on, middle, oldest = [(await registered(desk, somebody()))["id"] for _ in range(3)]
    for id, into in ((oldest, middle), (middle, lives_on)):
        merged = await desk.post(f"/patients/{id}/merge", {"into": into}, role="records-officer")
        assert merged.status_code == 200, merged.text
    key = secrets.token_hex(8)
    answers = [await desk.post(f"/patients/{lives_on}/erase", {}, role="privacy-officer", key=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json() == {"id": lives_on, "status": "erased"}
    for id in (lives_on, middle, oldest):
        document = await desk.database["patients"].find_one({"_id": id})
        assert document["state"]["status"] == "erased"
        assert "Deldan" not in str(document)
        assert (await published_of(desk.stack, PATIENT_TOPIC, id, 2))[-1]["data"] is None, "a tombstone"


async def test_names_are_counted_when_a_service_starts_and_not_again_in_the_middle_of_the_next_question(
    desk: Desk,
) -> None:
    await registered(desk, somebody())
    known = KnownPeople(desk.database["patients"])
    await known.start()
    counting = known._counting
    assert counting is not None
    await counting
    await known.candidates("asked", {"name": "Stanzin Deldan", "phone": "+915550000001"})
    assert known._counting is counting
