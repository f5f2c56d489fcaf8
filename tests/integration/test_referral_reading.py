"""Worklists, the patient's card as it arrives and changes, history, and the log of who read it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from referral_desk import ELSEWHERE, HERE, LOOP, REASON, THERE, Desk, card, open_desk, person, publish, until

from deploy.local.testing import TestStack
from libs.contracts.referral import REFERRAL
from libs.contracts.registration import PATIENT, PatientCorrected, PatientErased, PatientRegistered, PatientVoided

LATE, KNOWN, NEWER, BESIDE = (person(f"{name} {secrets.token_hex(4)}") for name in ("late", "known", "newer", "beside"))
"""Patients whose cards are put on the topic: new ones in every run, since the broker may be an old one."""


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with open_desk(stack) as desk:
        yield desk


async def shown(desk: Desk, id: str) -> dict[str, Any]:
    answer = await desk.get("doctor", HERE, f"/referrals/{id}")
    assert answer.status_code == 200, answer.text
    patient: dict[str, Any] = answer.json()["patient"]
    return patient


async def test_a_card_that_comes_later_completes_the_referral_and_is_followed(desk: Desk) -> None:
    bootstrap = desk.stack.kafka_bootstrap
    asked = await desk.request(LATE, "asked-early")
    assert await shown(desk, asked["id"]) == {
        "id": LATE,
        "known": False,
        "withdrawn": False,
        "name": "not yet known",
        "sex": None,
        "birth_date": None,
        "birth_year": None,
        "phone": None,
        "guardian": None,
        "village": None,
        "language": None,
    }

    await publish(bootstrap, PatientRegistered(card=card(LATE)), LATE, 1)

    async def has_name(name: str) -> bool:
        return bool((await shown(desk, asked["id"]))["name"] == name)

    await until(lambda: has_name("Tsering Dolma"))
    assert (await shown(desk, asked["id"]))["phone"] == "+915550123456"

    await publish(bootstrap, PatientCorrected(card=card(LATE, name="Tsering Angmo")), LATE, 2)
    await until(lambda: has_name("Tsering Angmo"))

    voided = card(LATE, name="Tsering Angmo", status="entered-in-error")
    await publish(bootstrap, PatientVoided(card=voided), LATE, 3)
    await until(lambda: has_name("record withdrawn"))
    withdrawn = await shown(desk, asked["id"])
    assert (withdrawn["known"], withdrawn["withdrawn"], withdrawn["phone"]) == (False, True, None)

    again = {"patient": LATE, "to": THERE, "service": "surgery", "urgency": "urgent", "reason": REASON}
    refused = await desk.post("doctor", HERE, "/referrals", again, "asked-late")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "patient")
    retried = await desk.post("doctor", HERE, "/referrals", again, "asked-early")
    assert (retried.status_code, retried.json()) == (201, asked)

    await publish(bootstrap, PatientErased(), LATE, 4)

    async def buried() -> bool:
        found = await desk.served.service.database["patients"].find_one({"_id": LATE})
        return bool(found and found.get("grave"))

    await until(buried)
    assert await has_name("record withdrawn")
    listed = (await desk.get("desk", THERE, "/referrals", box="received")).json()["items"]
    assert [item["patient"]["name"] for item in listed if item["id"] == asked["id"]] == ["record withdrawn"]
    assert await desk.served.service.letters.waiting() == 0

    async def forgotten() -> bool:
        return REASON not in str(await desk.document(asked["id"]))

    await until(forgotten)
    document = await desk.document(asked["id"])
    assert [entry["type"].split(".")[-1] for entry in document["journal"]][1:] == ["ReferralErased"]
    assert "sequence" not in document["journal"][1]
    await desk.step(asked["id"], "accept", "doctor", THERE, {})
    await desk.step(asked["id"], "arrive", "desk", THERE, {})
    await desk.step(asked["id"], "outcome", "doctor", THERE, {"outcome": "admitted", "summary": "appendix"})
    assert "appendix" not in str(await desk.document(asked["id"]))
    assert len(await desk.told(REFERRAL, asked["id"])) == 4


GUREZ, BANDIPORA, SMHS = "JK-BPR-CHC-GUREZ", "JK-BPR-DH-BANDIPORA", "JK-SXR-MC-SMHS"


async def test_worklists_hold_one_facilitys_own_oldest_first_and_page_on(desk: Desk) -> None:
    await publish(desk.stack.kafka_bootstrap, PatientRegistered(card=card(KNOWN)), KNOWN, 1)
    patients = ["first", KNOWN, "third", "fourth", "fifth"]
    asked = [(await desk.request(patient, origin=GUREZ, to=BANDIPORA))["id"] for patient in patients]
    returned = await desk.request("sent back", origin=BANDIPORA, to=GUREZ)
    for id in (asked[3], asked[1]):
        await desk.step(id, "accept", "doctor", BANDIPORA, {})

    async def items(role: str, facility: str, **query: Any) -> list[dict[str, Any]]:
        answer = await desk.get(role, facility, "/referrals", **query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    async def ids(role: str, facility: str, **query: Any) -> list[str]:
        return [item["id"] for item in await items(role, facility, **query)]

    assert await ids("doctor", GUREZ, box="sent") == asked
    assert await ids("desk", BANDIPORA, box="received") == asked
    assert await ids("desk", BANDIPORA, box="received", status="accepted") == [asked[1], asked[3]]
    assert await ids("officer", GUREZ, box="received") == [returned["id"]]
    assert await ids("transport", GUREZ, box="sent", status="closed") == []
    assert await ids("doctor", SMHS, box="received") == []

    paged: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = (await desk.get("doctor", GUREZ, "/referrals", box="sent", limit=2, **more)).json()
        paged += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        more = {"cursor": page["next"]}
    assert paged == asked

    async def names() -> list[str]:
        return [item["patient"]["name"] for item in await items("doctor", GUREZ, box="sent")]

    async def one_is_known() -> bool:
        return "Tsering Dolma" in await names()

    await until(one_is_known)
    assert await names() == ["not yet known", "Tsering Dolma", *["not yet known"] * 3]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "box"),
        ({"box": "all"}, "box"),
        ({"box": "sent", "status": "lost"}, "status"),
        ({"box": "sent", "limit": 0}, "limit"),
        ({"box": "sent", "cursor": "%%%"}, "cursor"),
    ],
)
async def test_a_worklist_asked_for_wrongly_names_the_field(desk: Desk, query: dict[str, Any], field: str) -> None:
    answer = await desk.get("doctor", HERE, "/referrals", **query)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_history_says_who_did_what_when_and_no_free_text(desk: Desk) -> None:
    asked = await desk.request()
    for step in LOOP:
        await desk.step(asked["id"], *step)
    answer = await desk.get("officer", THERE, f"/referrals/{asked['id']}/history")
    items = answer.json()["items"]
    assert [(item["type"], item["actor"]) for item in items][:3] == [
        ("ReferralRequested", f"doctor@{HERE}"),
        ("ReferralAccepted", f"doctor@{THERE}"),
        ("TransportDeparted", f"transport@{HERE}"),
    ]
    assert [item["codes"] for item in items][2:6] == [
        {"mode": "army-convoy"},
        {"reason": "pass-closed"},
        {},
        {"outcome": "treated-and-discharged"},
    ]
    for word in (REASON, "appendix", "stitches"):
        assert word not in answer.text


async def test_only_doctors_are_shown_the_illness(desk: Desk) -> None:
    asked = await desk.request()
    for role, reason in (("doctor", REASON), ("desk", None), ("transport", None), ("officer", None)):
        answer = await desk.get(role, THERE, f"/referrals/{asked['id']}")
        assert answer.json()["reason"] == reason


async def test_reading_a_referral_is_logged_with_who_and_why(desk: Desk) -> None:
    asked = await desk.request("who is read")
    headers = desk.headers("desk", THERE) | {"X-Purpose": "BTG"}
    await desk.served.client.get(f"/referrals/{asked['id']}", headers=headers)
    await desk.get("doctor", ELSEWHERE, f"/referrals/{asked['id']}")
    (entry,) = await desk.served.service.database["reads"].find({"patient": person("who is read")}).to_list(None)
    logged = (entry["route"], entry["role"], entry["facility"], entry["purpose"], entry["subject"])
    assert logged == ("GET /referrals/{id}", "desk", THERE, "BTG", f"desk@{THERE}")


async def test_the_replica_takes_no_older_card(desk: Desk) -> None:
    bootstrap, replica = desk.stack.kafka_bootstrap, desk.served.service.database["patients"]
    await publish(bootstrap, PatientCorrected(card=card(NEWER, name="Newer")), NEWER, 7)
    await publish(bootstrap, PatientRegistered(card=card(NEWER, name="Older")), NEWER, 1)
    await publish(bootstrap, PatientRegistered(card=card(BESIDE)), BESIDE, 1)

    async def all_handled() -> bool:
        subscription = desk.served.service.listener.subscriptions[0]
        assert subscription.topic == PATIENT
        return await subscription.lag() == 0 and await replica.find_one({"_id": BESIDE}) is not None

    await until(all_handled)
    assert (await replica.find_one({"_id": NEWER}))["card"]["name"] == "Newer"
