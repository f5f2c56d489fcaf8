"""Hops of one chain, a place outside the network, and what may happen to a referral on its way, through the API."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import AsyncIterator
from email.utils import format_datetime
from typing import Any

import pytest
from referral_desk import ELSEWHERE, HERE, LOOP, THERE, Desk, data, header, open_desk, person, until

from deploy.local.testing import TestStack
from libs.contracts.referral import FACILITY, REFERRAL

COLLEGE = "HP-SML-MC-IGMC"
PGI = {"state_lgd": 4, "kind": "tertiary-hospital", "name": "PGIMER"}


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with open_desk(stack) as desk:
        yield desk


async def test_a_chain_goes_up_and_comes_back_hop_by_hop_under_one_clock(desk: Desk) -> None:
    first = await desk.request("who goes up", urgency="emergency")
    id = first["id"]
    await desk.step(id, "accept", "doctor", THERE, {})
    await desk.step(id, "arrive", "desk", THERE, {})
    body = {"to": COLLEGE, "service": "surgery", "reason": "needs a theatre"}
    onward = await desk.post("doctor", THERE, f"/referrals/{id}/refer-onward", body, "onward-1")
    assert (onward.json()["status"], onward.json()["outcome"]) == ("treated", "referred-onward")
    again = await desk.post("doctor", THERE, f"/referrals/{id}/refer-onward", body, "onward-1")
    assert again.json() == onward.json()
    second = onward.json()["next"]

    shown = (await desk.get("doctor", COLLEGE, f"/referrals/{second}")).json()["referral"]
    assert (shown["origin"], shown["destination"], shown["status"]) == (THERE, COLLEGE, "requested")
    assert (shown["chain"], shown["hop"], shown["previous"]) == (id, 2, id)
    found = (await desk.get("doctor", HERE, f"/referrals/{id}/chain")).json()
    assert [hop["id"] for hop in found["hops"]] == [id, second]
    assert (found["began_at"], found["due"]) == (first["requested_at"], first["chain_due"])
    assert (await desk.document(id))["state"].get("chain_due") is None

    for hop, origin, at in ((second, THERE, COLLEGE), (id, HERE, THERE)):
        if hop == second:
            await desk.step(hop, "accept", "doctor", at, {})
            await desk.step(hop, "arrive", "desk", at, {})
            await desk.step(hop, "outcome", "doctor", at, {"outcome": "treated-and-discharged", "summary": ""})
        await desk.step(hop, "back-refer", "doctor", at, {"advice": "rest"})
        assert (await desk.step(hop, "acknowledge", "doctor", origin, {}))["status"] == "closed"


async def test_four_hops_from_the_health_centre_out_of_the_network_keep_the_clock_of_the_first(desk: Desk) -> None:
    levels = ["LA-KGL-CHC-SANKOO", "LA-KGL-SDH-DRASS", "LA-KGL-DH-KARGIL", "JK-SXR-MC-SMHS"]
    first = await desk.request("who goes all the way", origin=levels[0], to=levels[1], service="emergency")
    hops = [first["id"]]
    for here, to in (*itertools.pairwise(levels[1:]), (levels[-1], None)):
        await desk.step(hops[-1], "accept", "doctor", here, {})
        await desk.step(hops[-1], "arrive", "desk", here, {})
        body = {"service": "emergency", "reason": "needs more", "to": to} | ({} if to else {"outside": PGI})
        onward = await desk.step(hops[-1], "refer-onward", "doctor", here, body)
        hops.append(onward["next"])
        watched = [(await desk.document(id))["state"].get("chain_due") for id in hops]
        assert watched == [None] * (len(hops) - 1) + [first["chain_due"]], "only the newest hop watches the clock"
    found = (await desk.get("doctor", levels[0], f"/referrals/{hops[0]}/chain")).json()
    assert [hop["id"] for hop in found["hops"]] == hops
    assert (found["began_at"], found["due"]) == (first["requested_at"], first["chain_due"])
    last = (await desk.document(hops[-1]))["state"]
    assert (last["hop"], last["origin"], last["destination"]) == (4, levels[-1], "OUT-04")

    # The way back: each level hands back to the one below, and the loop is closed at home.
    for command, role, _, body in LOOP[:5]:
        await desk.step(hops[-1], command, role, levels[-1], body)
    for id, origin, at in reversed([*zip(hops, levels, [*levels[1:], levels[-1]], strict=True)]):
        await desk.step(id, "back-refer", "doctor", at, {"advice": "rest"})
        assert (await desk.step(id, "acknowledge", "doctor", origin, {}))["status"] == "closed"


async def test_a_redirection_keeps_the_origin_and_a_crash_before_its_hop_is_completed_by_a_timer(desk: Desk) -> None:
    id = (await desk.request("who is sent elsewhere"))["id"]
    body = {"to": COLLEGE, "reason": "no-specialist"}
    moved = await desk.step(id, "redirect", "doctor", THERE, body)
    assert (moved["status"], moved["redirected_for"]) == ("redirected", "no-specialist")
    records = await desk.told(REFERRAL, id)
    assert header(records[-1], "ce_type") == "referral.ReferralRedirected.v1"
    assert data(records[-1])["next"] == moved["next"]
    assert (await desk.get("doctor", THERE, f"/referrals/{moved['next']}")).status_code == 403

    # As if the process had died between the two: the hop is gone, and asked for still.
    database = desk.served.service.database
    await database["referrals"].delete_one({"_id": moved["next"]})
    document = await desk.document(id)
    journal = [entry for entry in document["journal"] if entry["type"] != "HopOpened"]
    opening = next(entry["data"] for entry in journal if entry["type"] == "HopAsked")
    retry = {"retry_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}
    await database["referrals"].update_one(
        {"_id": id}, {"$set": {"journal": journal, "state.opening": opening, **retry}, "$inc": {"version": 1}}
    )
    await until(lambda: desk.document(moved["next"]), 20)
    hop = (await desk.document(moved["next"]))["state"]
    assert (hop["origin"], hop["destination"], hop["hop"], hop["hop_why"]) == (HERE, COLLEGE, 2, "redirected")

    async def done() -> bool:
        return (await desk.document(id))["state"].get("opening") is None

    await until(done)
    for wrong, field in (({"to": HERE, "reason": "no-bed"}, "to"), ({"to": "XX-NO-SUCH", "reason": "no-bed"}, "to")):
        refused = await desk.post("doctor", COLLEGE, f"/referrals/{moved['next']}/redirect", wrong)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


async def test_a_place_outside_the_network_is_typed_and_its_origin_writes_down_what_it_says(desk: Desk) -> None:
    asked = await desk.request("who leaves the state", to=None, outside=PGI, service="neurosurgery")
    assert (asked["destination"], asked["outside_lgd"], asked["status"]) == ("OUT-04", 4, "requested")
    mine = (await desk.get("doctor", HERE, f"/referrals/{asked['id']}/moves")).json()["moves"]
    assert {"accept", "decline", "cancel"} <= {move["command"] for move in mine}
    for command, role, _, body in LOOP:
        assert (await desk.step(asked["id"], command, role, HERE, body))["id"] == asked["id"]
    assert (await desk.document(asked["id"]))["state"]["status"] == "closed"
    listed = [data(record)["card"] for record in await desk.told(FACILITY, "OUT-04")]
    assert [(each["level"], each["services"]) for each in listed] == [("OUT", [])]
    assert "PGIMER" not in str(listed) + str([record.value for record in await desk.told(REFERRAL, asked["id"])])
    stranger = {"outside": PGI | {"state_lgd": 35}, "reason": "other"}
    assert (await desk.post("doctor", ELSEWHERE, f"/referrals/{asked['id']}/redirect", stranger)).status_code == 403
    assert (await desk.get("doctor", HERE, "/facilities/OUT-35")).status_code == 404, (
        "of whom it is not, nothing is listed"
    )
    for wrong in ({"to": None}, {"to": THERE, "outside": PGI}, {"to": None, "outside": PGI | {"kind": "a-friend"}}):
        body = {"patient": person(), "service": "surgery", "urgency": "urgent", "reason": "x", **wrong}
        assert (await desk.post("doctor", HERE, "/referrals", body)).status_code == 422


@pytest.mark.parametrize(
    ("command", "role", "facility", "body", "status"),
    [
        ("record-death", "transport", HERE, {"place": "on-the-way"}, "deceased"),
        ("refuse-travel", "transport", HERE, {}, "travel-refused"),
        ("void", "doctor", HERE, {"reason": "duplicate"}, "entered-in-error"),
    ],
)
async def test_what_may_happen_on_the_way_has_its_path(
    desk: Desk, command: str, role: str, facility: str, body: dict[str, Any], status: str
) -> None:
    id = (await desk.request(f"to whom {command} happens"))["id"]
    await desk.step(id, "accept", "doctor", THERE, {})
    assert (await desk.step(id, command, role, facility, body))["status"] == status
    refused = await desk.post("desk", THERE, f"/referrals/{id}/arrive", {})
    assert (refused.status_code, refused.json()["allowed"]) == (409, [])
    history = (await desk.get("doctor", HERE, f"/referrals/{id}/history")).json()["items"]
    assert len(history) == 3
    if command == "refuse-travel":
        assert (await desk.step(id, "ask-again", "doctor", HERE, {}))["status"] == "requested"
        assert (await desk.step(id, "accept", "doctor", THERE, {}))["status"] == "accepted"


async def test_leaving_against_advice_and_dying_there_are_outcomes_that_the_origin_acknowledges(desk: Desk) -> None:
    for outcome in ("left-against-advice", "died"):
        id = (await desk.request(f"who {outcome}"))["id"]
        await desk.step(id, "accept", "doctor", THERE, {})
        await desk.step(id, "arrive", "desk", THERE, {})
        await desk.step(id, "outcome", "doctor", THERE, {"outcome": outcome, "summary": ""})
        await desk.step(id, "back-refer", "doctor", THERE, {"advice": "tell the family doctor"})
        closed = await desk.step(id, "acknowledge", "doctor", HERE, {})
        assert (closed["status"], closed["outcome"]) == ("closed", outcome)


async def test_made_for_the_wrong_person_the_right_one_gets_a_referral_of_their_own(desk: Desk) -> None:
    id = (await desk.request("whom it was not meant for"))["id"]
    right = person("whom it was meant for")
    voided = await desk.step(id, "void", "doctor", HERE, {"reason": "wrong-person", "patient": right})
    other = (await desk.get("doctor", THERE, f"/referrals/{voided['next']}")).json()
    assert (other["referral"]["patient"], other["referral"]["replaces"]) == (right, id)
    assert (other["referral"]["chain"], other["referral"]["hop"]) == (voided["next"], 1)
    same = await desk.request("the same twice")
    body = {"reason": "wrong-person", "patient": same["patient"]}
    refused = await desk.post("doctor", HERE, f"/referrals/{same['id']}/void", body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "patient")


async def test_a_cancellation_crosses_its_request_in_one_append(desk: Desk) -> None:
    id = (await desk.request("whose referral is taken back"))["id"]
    await desk.step(id, "cancel", "doctor", HERE, {"reason": "patient-improved"})
    document = await desk.document(id)
    assert [entry["type"].split(".")[-2:][0] for entry in document["journal"]][1:] == [
        "PassedThrough",
        "ReferralCancelled",
    ]
    assert document["version"] == 2
    assert len({entry["cause"] for entry in document["journal"]}) == 2
    assert [header(record, "ce_type") for record in await desk.told(REFERRAL, id)] == [
        "referral.ReferralRequested.v1",
        "referral.ReferralCancelled.v1",
    ]


async def test_a_chain_that_takes_too_long_is_told_once(desk: Desk) -> None:
    asked = await desk.request("whom nobody treats", urgency="emergency")
    id = asked["id"]
    await desk.step(id, "decline", "doctor", THERE, {"reason": "no-bed"})
    late = dt.datetime.fromisoformat(asked["chain_due"]) + dt.timedelta(minutes=1)
    headers = desk.headers("doctor", ELSEWHERE) | {"Date": format_datetime(late, usegmt=True)}
    body = {"patient": person(), "to": HERE, "service": "surgery", "urgency": "routine", "reason": "x"}
    await desk.served.client.post("/referrals", json=body, headers=headers)

    async def told() -> bool:
        return bool((await desk.document(id))["state"]["chain_escalated"])

    await until(told)
    found = (await desk.get("doctor", HERE, f"/referrals/{id}/chain")).json()
    assert found["overdue_told_to"] == f"nodal-officer@{COLLEGE}"
    document = await desk.document(id)
    assert document["state"]["status"] == "declined"
    assert [entry["type"] for entry in document["journal"]].count("ChainLapsed") == 1


async def test_a_facility_that_closes_meanwhile_is_said_and_the_origin_sends_the_patient_elsewhere(desk: Desk) -> None:
    id = (await desk.request("whose hospital closes"))["id"]
    await desk.step(id, "accept", "doctor", THERE, {"bed": "general"})
    held = (await desk.document(id))["state"]["reserved"][0]
    try:
        await closes(desk, True)
        shown = (await desk.get("doctor", HERE, f"/referrals/{id}")).json()
        assert [notice["code"] for notice in shown["now"]] == ["destination-closed"]
        moved = await desk.step(id, "redirect", "doctor", HERE, {"to": COLLEGE, "reason": "facility-closed"})
    finally:
        await closes(desk, False)
    assert (await desk.get("doctor", HERE, f"/referrals/{moved['next']}")).json()["now"] == []
    ledger = await desk.served.service.database["ledgers"].find_one({"_id": held["ledger"]})
    assert ledger is not None
    assert held["id"] not in [each["id"] for each in ledger["state"]["open"]]


async def closes(desk: Desk, closed: bool) -> None:
    answer = await desk.served.client.patch(
        f"/facilities/{THERE}", json={"takes_referrals": not closed}, headers=desk.headers("desk", THERE)
    )
    assert answer.status_code == 200, answer.text


async def test_a_patient_merged_in_mid_referral_is_shown_as_who_they_are_now(desk: Desk) -> None:
    old, survivor = person("who was there twice"), person("who was there all along")
    replica = desk.served.service.database["patients"]
    cards = {
        old: {"id": old, "name": "T. Dolma", "registered_at": HERE, "status": "merged", "merged_into": survivor},
        survivor: {"id": survivor, "name": "Tsering Dolma", "registered_at": HERE, "status": "active"},
    }
    asked = await desk.request("who was there twice")
    await desk.step(asked["id"], "accept", "doctor", THERE, {})
    for id, merged in cards.items():
        await replica.insert_one({"_id": id, "epoch": 1, "sequence": 2, "order": 2, "card": merged})
    shown = (await desk.get("doctor", THERE, f"/referrals/{asked['id']}")).json()
    assert (shown["patient"]["id"], shown["patient"]["name"], shown["merged_into"]) == (old, "Tsering Dolma", survivor)
    listed = (await desk.get("doctor", THERE, "/referrals", box="received", limit=200)).json()["items"]
    assert next(item for item in listed if item["id"] == asked["id"])["patient"]["name"] == "Tsering Dolma"
    assert (await desk.step(asked["id"], "arrive", "desk", THERE, {}))["status"] == "arrived"
    # Taken apart again, each is who they were.
    await replica.update_one({"_id": old}, {"$set": {"card.status": "active"}, "$unset": {"card.merged_into": ""}})
    apart = (await desk.get("doctor", THERE, f"/referrals/{asked['id']}")).json()
    assert (apart["patient"]["name"], apart["merged_into"]) == ("T. Dolma", None)
