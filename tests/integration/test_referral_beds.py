"""Beds and places in clinics: reserved by an acceptance, never more than there are, back when nobody keeps them."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import secrets
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from referral_desk import ELSEWHERE, HERE, THERE, Desk, open_desk, person, until

from deploy.local.ports import free_port
from deploy.local.testing import TestStack
from libs.common.access import SYSTEM
from libs.common.cause import Cause
from libs.common.clock import machine_now
from services.referral import beds
from services.referral.domain import ledger
from services.referral.domain.commands import By, Request
from services.referral.domain.ledger import Place
from services.referral.domain.referral import decide
from services.referral.store import LEDGER, REFERRAL

COLLEGE = "HP-SML-MC-IGMC"
BEDS, ASKED = 10, 200


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with open_desk(stack) as desk:
        yield desk


async def say(desk: Desk, facility: str, **kinds: int) -> None:
    answer = await desk.served.client.patch(
        f"/facilities/{facility}", json={"beds_by_kind": kinds}, headers=desk.headers("desk", facility)
    )
    assert answer.status_code == 200, answer.text


async def count(desk: Desk, facility: str, kind: str) -> dict[str, Any]:
    items = (await desk.get("desk", facility, f"/facilities/{facility}/beds")).json()["items"]
    found: dict[str, Any] = next(item for item in items if item["kind"] == kind)
    assert found["reserved"] + found["free"] == found["total"]
    return found


async def test_an_acceptance_reserves_the_bed_it_names_and_the_next_is_told_where_else(desk: Desk) -> None:
    await say(desk, THERE, hdu=1)
    await say(desk, COLLEGE, hdu=3)
    first, second = [(await desk.request(f"who needs a bed {n}"))["id"] for n in range(2)]
    accepted = await desk.post("doctor", THERE, f"/referrals/{first}/accept", {"bed": "hdu"}, "accept-hdu")
    assert accepted.status_code == 200, accepted.text
    assert [(each["what"], each["kind"]) for each in accepted.json()["reserved"]] == [("bed", "hdu")]
    again = await desk.post("doctor", THERE, f"/referrals/{first}/accept", {"bed": "hdu"}, "accept-hdu")
    assert again.json() == accepted.json()
    assert (await count(desk, THERE, "hdu"))["referrals"] == [first]

    refused = await desk.post("doctor", THERE, f"/referrals/{second}/accept", {"bed": "hdu"})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:hillhealth:problem:no-bed")
    assert [(each["facility"], each["free"]) for each in refused.json()["alternatives"]] == [(COLLEGE, 3)]
    assert (await desk.document(second))["state"]["status"] == "requested"
    unknown = await desk.post("doctor", THERE, f"/referrals/{second}/accept", {"bed": "burns"})
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "bed")

    await desk.step(first, "record-death", "transport", HERE, {"place": "on-the-way"})
    assert (await count(desk, THERE, "hdu"))["free"] == 1
    document = await desk.document(first)
    assert (document["state"]["releasing"], "retry_at" in document) == ([], False)
    assert (await desk.step(second, "accept", "doctor", THERE, {"bed": "hdu"}))["status"] == "accepted"
    twice = await desk.post("doctor", THERE, f"/referrals/{second}/accept", {"bed": "hdu"})
    assert twice.json()["type"] == "urn:hillhealth:problem:illegal-move"
    assert (await count(desk, THERE, "hdu"))["reserved"] == 1


async def test_beds_taken_away_after_they_were_promised_break_no_promise_and_are_seen(desk: Desk) -> None:
    await say(desk, ELSEWHERE, burns=2, spare=1)
    held, other = [(await desk.request(f"who is burnt {n}", to=ELSEWHERE))["id"] for n in range(2)]
    await desk.step(held, "accept", "doctor", ELSEWHERE, {"bed": "burns"})
    gauges = desk.served.app.state.gauges

    async def measured() -> str:
        gauges._country.changed()
        await gauges.measure(ratio=False)
        return (await desk.served.client.get("/metrics")).text

    assert 'hillhealth_referral_beds_free{kind="spare"} 1.0' in await measured()
    await say(desk, ELSEWHERE, burns=0)
    text = await measured()
    assert f'hillhealth_referral_beds_over{{facility="{ELSEWHERE}",kind="burns"}} 1.0' in text
    assert 'kind="spare"' not in text, "a kind that nobody has any more is not shown as it was last seen"
    shown = (await desk.get("doctor", HERE, f"/facilities/{ELSEWHERE}")).json()
    assert (shown["free_beds"], shown["beds_over"]) == ({"burns": 0}, {"burns": 1})
    refused = await desk.post("doctor", ELSEWHERE, f"/referrals/{other}/accept", {"bed": "burns"})
    assert refused.json()["type"] == "urn:hillhealth:problem:no-bed"

    assert (await desk.step(held, "arrive", "desk", ELSEWHERE, {}))["reserved"][0]["kind"] == "burns"
    discharged = {"outcome": "treated-and-discharged", "summary": ""}
    await desk.step(held, "outcome", "doctor", ELSEWHERE, discharged)
    assert "hillhealth_referral_beds_over{" not in await measured()
    assert (await desk.get("doctor", HERE, f"/facilities/{ELSEWHERE}")).json()["beds_over"] == {}


async def test_a_bed_nobody_arrives_for_is_free_again(desk: Desk) -> None:
    await say(desk, THERE, isolation=1)
    id = (await desk.request("who does not arrive", urgency="emergency"))["id"]
    accepted = await desk.step(id, "accept", "doctor", THERE, {"bed": "isolation"})
    late = dt.datetime.fromisoformat(accepted["arrive_due"]) + dt.timedelta(minutes=1)
    headers = desk.headers("doctor", ELSEWHERE) | {"Date": format_datetime(late, usegmt=True)}
    body = {"patient": person(), "to": HERE, "service": "surgery", "urgency": "routine", "reason": "x"}
    await desk.served.client.post("/referrals", json=body, headers=headers)

    async def free() -> bool:
        return bool((await count(desk, THERE, "isolation"))["free"] == 1)

    await until(free)
    shown = (await desk.get("doctor", THERE, f"/referrals/{id}")).json()["referral"]
    assert (shown["status"], shown["arrival_lapsed"], shown["reserved"]) == ("accepted", True, [])
    assert (await desk.step(id, "arrive", "desk", THERE, {}))["status"] == "arrived"


async def test_a_place_in_a_clinic_is_promised_once_and_moves_with_the_appointment(desk: Desk) -> None:
    hours = ["2099-03-02T04:30:00.000Z", "2099-03-03T04:30:00.000Z"]
    for at in hours:
        body = {"clinic": "surgery", "at": at, "places": 1}
        path = f"/facilities/{THERE}/slots"
        assert (await desk.served.client.put(path, json=body, headers=desk.headers("desk", THERE))).status_code == 200
        elsewhere = await desk.served.client.put(path, json=body, headers=desk.headers("desk", ELSEWHERE))
        assert elsewhere.status_code == 403
    first, second = [(await desk.request(f"who comes to the clinic {n}"))["id"] for n in range(2)]
    slot = {"clinic": "surgery", "at": hours[0]}
    accepted = await desk.step(first, "accept", "doctor", THERE, {"slot": slot})
    assert accepted["appointment_at"] == hours[0]
    refused = await desk.post("doctor", THERE, f"/referrals/{second}/accept", {"slot": slot})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:hillhealth:problem:no-slot")
    assert [each["at"] for each in refused.json()["alternatives"]] == ["2099-03-03T04:30:00Z"]
    other = {"appointment_at": hours[1], "slot": {"clinic": "surgery", "at": hours[1]}}
    await desk.step(first, "schedule", "desk", THERE, other)
    left = (await desk.get("desk", THERE, f"/facilities/{THERE}/slots", clinic="surgery")).json()["items"]
    assert [(each["at"], each["free"]) for each in left] == [(hours[0], 1)]
    assert (await desk.step(second, "accept", "doctor", THERE, {"slot": slot}))["status"] == "accepted"
    same = {"appointment_at": hours[0], "slot": slot}
    made = await desk.step(second, "schedule", "desk", THERE, same)
    assert (made["status"], len(made["reserved"])) == ("scheduled", 1), "in hours that are full, its own place is kept"
    late = {"appointment_at": "2001-03-02T04:30:00Z"}
    assert (await desk.post("desk", THERE, f"/referrals/{second}/reschedule", late)).status_code == 422
    bad = await desk.post("desk", THERE, f"/referrals/{second}/schedule", same)
    assert (bad.status_code, len((await desk.document(second))["state"]["reserved"])) == (409, 1)
    over = {"clinic": "surgery", "at": "2001-03-02T04:30:00Z", "places": 1}
    past = await desk.served.client.put(path, json=over, headers=desk.headers("desk", THERE))
    assert (past.status_code, past.json()["errors"][0]["field"]) == (422, "at")
    assert (await desk.get("desk", THERE, "/facilities/HP-KNR-NO-SUCH/slots")).status_code == 404
    unknown = {"slot": {"clinic": "surgery", "at": "2099-03-04T04:30:00Z"}}
    third = (await desk.request("who comes too late"))["id"]
    answer = await desk.post("doctor", THERE, f"/referrals/{third}/accept", unknown)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "slot")


async def test_what_an_acceptance_left_behind_when_its_process_died_is_released_and_never_taken_late(
    desk: Desk,
) -> None:
    await say(desk, THERE, trauma=1)
    id = (await desk.request("whose acceptance is cut in half"))["id"]
    service = desk.served.service
    place = Place(THERE, "bed", "trauma")
    where = beds.ledger_id(place)
    cause = Cause(secrets.token_hex(8), f"doctor@{THERE}", machine_now())
    # The ledger's half of an acceptance whose process was killed before the other half.
    await service.journal.append(
        LEDGER, where, lambda state: ledger.reserve(state, place, 1, cause.id, id, machine_now()), cause, SYSTEM
    )
    other = (await desk.request("who waits for that bed"))["id"]
    refused = await desk.post("doctor", THERE, f"/referrals/{other}/accept", {"bed": "trauma"})
    assert refused.json()["type"] == "urn:hillhealth:problem:no-bed"

    async def free() -> bool:
        return bool((await count(desk, THERE, "trauma"))["free"] == 1)

    await until(free, 20)
    assert (await desk.document(id))["state"]["given_up"] == [cause.id]
    accepted = await desk.post("doctor", THERE, f"/referrals/{id}/accept", {"bed": "trauma"})
    assert accepted.status_code == 200

    async def confirmed() -> bool:
        document = await service.database["ledgers"].find_one({"_id": where})
        assert document is not None
        return [each["confirmed"] for each in document["state"]["open"]] == [True] and "retry_at" not in document

    await until(confirmed, 20)


class Replica:
    def __init__(self, stack: TestStack, prefix: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        more = {"PORT": str(self.port), "DATABASE_PREFIX": prefix, "LEASE_SECONDS": "1", "LOG_LEVEL": "ERROR"}
        self._environment = os.environ | stack.environment("referral") | more
        self._process: Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.referral", env=self._environment, stdout=DEVNULL, stderr=DEVNULL
        )
        async with httpx.AsyncClient(base_url=self.url) as client:

            async def ready() -> bool:
                try:
                    return (await client.get("/readyz")).status_code == 200
                except httpx.HTTPError:
                    return False

            await until(ready, 120)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()


async def asked_for(desk: Desk, number: int) -> str:
    """A request, written through the journal itself; with time to arrive, whatever the day's clock was put to."""
    service, by = desk.served.service, By("doctor", HERE)
    cause = Cause(secrets.token_hex(16), f"doctor@{HERE}", machine_now())
    request = Request(person(f"one of many {number}"), THERE, "surgery", "routine", "burns")
    outcome = await service.journal.create(
        REFERRAL, cause.new_id("referral"), lambda state: decide(state, request, by, machine_now()), cause, SYSTEM
    )
    return outcome.id


async def test_many_acceptances_at_once_for_few_beds_through_two_processes_of_which_one_is_killed(desk: Desk) -> None:
    await say(desk, THERE, icu=BEDS)
    await say(desk, COLLEGE, icu=2)
    ids = await asyncio.gather(*(asked_for(desk, number) for number in range(ASKED)))
    prefix = desk.served.service.settings.database_prefix
    replicas = [Replica(desk.stack, prefix) for _ in range(2)]
    await asyncio.gather(*(replica.start() for replica in replicas))
    answered = asyncio.Event()

    async def accept(client: httpx.AsyncClient, number: int, id: str) -> httpx.Response:
        """As a desk would: the same key again, at the other one, until somebody answers."""
        headers = desk.headers("doctor", THERE, f"icu-{number}")
        for attempt in range(number, number + 100):
            try:
                url = f"{replicas[attempt % 2].url}/referrals/{id}/accept"
                answer = await client.post(url, json={"bed": "icu"}, headers=headers)
            except httpx.HTTPError:
                continue
            if answer.status_code < 500:
                answered.set()
                return answer
        raise AssertionError("nobody answered")

    try:
        async with httpx.AsyncClient(timeout=30) as client:
            accepting = [asyncio.create_task(accept(client, n, id)) for n, id in enumerate(ids)]
            await answered.wait()
            await replicas[0].kill()
            answers = await asyncio.gather(*accepting)
    finally:
        await asyncio.gather(*(replica.kill() for replica in replicas))

    taken = [answer.json()["id"] for answer in answers if answer.status_code == 200]
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert (len(taken), len(refused)) == (BEDS, ASKED - BEDS)
    assert {problem["type"] for problem in refused} == {"urn:hillhealth:problem:no-bed"}
    assert all(problem["alternatives"][0] == refused[0]["alternatives"][0] for problem in refused)
    assert refused[0]["alternatives"][0]["facility"] == COLLEGE
    found = await count(desk, THERE, "icu")
    assert (found["total"], found["free"], sorted(found["referrals"])) == (BEDS, 0, sorted(taken))
    for id in ids:
        document = await desk.document(id)
        names = [entry["type"].split(".")[-2:][0] for entry in document["journal"]]
        assert names.count("ReferralAccepted") == (1 if id in taken else 0)
        assert len(document["state"]["reserved"]) == (1 if id in taken else 0)
