"""Registering at home: the code reaches the phone and nothing else, and the card becomes a token and a record."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from registration_desk import HERE, RUN, Desk, published, serving_desk, until

from deploy.local.inbox import received
from deploy.local.testing import TestStack, serving
from services.registration.domain.queue import desk_day
from services.registration.home_api import WRONG_TAKES

CALLER_TOPIC = "registration.caller.v1"


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with serving_desk(stack, HOME_CALLS_PER_MINUTE="1000") as desk:
        yield desk


def phone() -> str:
    return f"+915550{secrets.randbelow(10**6):06d}"


async def call(desk: Desk, path: str, body: Any, session: str = "", key: str | None = None) -> Any:
    headers = {"Idempotency-Key": key or secrets.token_hex(8)} | ({"X-Self-Session": session} if session else {})
    return await desk.served.client.post(path, json=body, headers=headers)


async def codes_of(desk: Desk, number: str) -> list[str]:
    """As they stand on the restricted topic, where nobody but notifications reads them."""
    records = await published(desk.stack, CALLER_TOPIC)
    return [str(r["data"]["code"]) for r in records if r["data"]["card"]["phone"] == number]


async def session_of(desk: Desk, number: str) -> str:
    before = len(await codes_of(desk, number))
    assert (await call(desk, "/self/codes", {"phone": number, "language": "hi"})).status_code == 202

    async def newer() -> list[str]:
        return (await codes_of(desk, number))[before:]

    answer = await call(desk, "/self/sessions", {"phone": number, "code": (await until(newer))[-1]})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session"])


async def test_the_code_reaches_the_phone_by_sms_in_its_language(stack: TestStack, desk: Desk) -> None:
    prefix = desk.served.service.settings.database_prefix
    number = phone()
    told = stack.settings("notifications", DATABASE_PREFIX=prefix, CLOCK="system", SWEEP_SECONDS="0.1")
    async with serving(told, "notifications", 90):
        assert (await call(desk, "/self/codes", {"phone": number, "language": "hi"})).status_code == 202

        async def sms() -> list[dict[str, Any]]:
            return [one for one in received(stack.inbox / "sms.jsonl") if one["to"] == number]

        [one] = await until(sms)
    code = (await codes_of(desk, number))[-1]
    assert code in one["text"]
    assert one["language"] == "hi"
    assert "कोड" in one["text"]


async def test_nobody_can_tell_by_trying_who_is_registered(desk: Desk) -> None:
    known, unknown = phone(), phone()
    await desk.register(phone=known)
    answers = [await call(desk, "/self/codes", {"phone": number}) for number in (known, unknown)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [set(answer.json()) for answer in answers] == [{"expires_at"}, {"expires_at"}]
    wrong = [
        await call(desk, "/self/sessions", {"phone": number, "code": "000000"}) for number in (known, unknown, phone())
    ]
    assert min(answer.elapsed.total_seconds() for answer in wrong) >= WRONG_TAKES, "the time tells nothing either"
    assert len({answer.text for answer in wrong}) == 1
    assert {answer.status_code for answer in wrong} == {422}
    assert wrong[0].json()["errors"][0]["field"] == "code"
    session = await session_of(desk, known)
    mine = await desk.served.client.get("/self/cards", headers={"X-Self-Session": session})
    assert mine.json()["cards"] == []


async def test_a_phone_and_an_address_may_ask_only_so_often(desk: Desk, stack: TestStack) -> None:
    number = phone()
    answers = [await call(desk, "/self/codes", {"phone": number}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert answers[-1].headers["retry-after"] == "900"
    settings = stack.settings("registration", DATABASE_PREFIX=desk.served.service.settings.database_prefix,
                              CLOCK="system", RELAY="false", TIMERS="false", HOME_CALLS_PER_MINUTE="2")  # fmt: skip
    async with serving(settings, "registration", 90) as narrow:
        asked = [
            await call(Desk(stack, narrow), "/self/sessions", {"phone": phone(), "code": "123456"}) for _ in range(3)
        ]
    assert [answer.status_code for answer in asked] == [422, 422, 429]


async def test_a_family_is_registered_comes_and_is_looked_at_by_the_first_desk(desk: Desk) -> None:
    session = await session_of(desk, phone())
    today = desk_day(dt.datetime.now(dt.UTC)).isoformat()
    mother = {"name": "Skalzang Dolkar", "sex": "female", "age_years": 71, "relation": "parent", "language": "lbj"}
    first = await call(desk, "/self/cards", mother, session, key=f"card-{RUN}")
    assert first.status_code == 201, first.text
    card = first.json()
    assert (await call(desk, "/self/cards", mother, session, key=f"card-{RUN}")).json() == card
    assert card["status"] == "provisional"
    number = card["number"]
    before = await desk.documents()
    chosen = await call(desk, f"/self/cards/{number}/choose-day", {"facility": HERE, "date": today}, session)
    assert chosen.status_code == 200, chosen.text
    for name, start in (("card.pdf", b"%PDF"), ("qr.svg", b"<?xml")):
        paper = await desk.served.client.get(f"/self/cards/{number}/{name}", headers={"X-Self-Session": session})
        assert paper.content.startswith(start)
        assert b"Skalzang" not in paper.content
    assert await desk.documents() == before, "a card is no record yet"

    arrived = await call(desk, f"/self/cards/{number}/arrive", {"counter": "HOME"}, session, key=f"arrive-{RUN}")
    assert arrived.status_code == 200, arrived.text
    again = await call(desk, f"/self/cards/{number}/arrive", {"counter": "HOME"}, session, key=f"arrive-{RUN}")
    assert again.json()["visit"]["id"] == arrived.json()["visit"]["id"]
    assert arrived.json()["visit"]["number"] == 1
    patient = arrived.json()["card"]["patient"]
    seen = (await desk.get(f"/provisional-cards/{number}")).json()
    assert (seen["details"]["name"], seen["status"], seen["patient"]) == ("Skalzang Dolkar", "arrived", patient)
    assert await desk.database["reads"].count_documents({"patient": patient}) == 1
    verified = await desk.post(f"/provisional-cards/{number}/verify", {})
    assert (verified.json()["status"], verified.json()["patient"]) == ("verified", patient)
    assert (await desk.get(f"/patients/{patient}")).json()["name"] == "Skalzang Dolkar"
    erased = await desk.post(f"/patients/{patient}/erase", {}, role="privacy-officer")
    assert erased.status_code == 200
    assert (await desk.get(f"/provisional-cards/{number}")).status_code == 404
    assert await desk.database["home_cards"].count_documents({"journal.data.details.name": "Skalzang Dolkar"}) == 0


async def test_a_card_shown_at_a_desk_that_finds_an_older_record_is_tied_to_that(desk: Desk) -> None:
    session = await session_of(desk, phone())
    older = await desk.register(name="Stanzin Norbu", sex="male")
    said = {"name": "Norbu", "sex": "male", "age_years": 40, "relation": "self"}
    number = (await call(desk, "/self/cards", said, session)).json()["number"]
    tied = await desk.post(f"/provisional-cards/{number}/verify", {"patient": older["id"]})
    assert (tied.status_code, tied.json()["patient"]) == (200, older["id"])
    came = await desk.post(f"/provisional-cards/{number}/arrive", {"counter": "TIED"})
    assert came.json()["visit"]["patient"] == older["id"]
    other = await desk.post(f"/provisional-cards/{number}/verify", {"patient": "another"})
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "patient")


async def test_a_card_belongs_to_its_phone_and_what_is_taken_back_is_gone(desk: Desk) -> None:
    mine, theirs = await session_of(desk, phone()), await session_of(desk, phone())
    said = {"name": "Tundup", "sex": "male", "age_years": 9, "relation": "child"}
    number = (await call(desk, "/self/cards", said, mine)).json()["number"]
    for session, status in ((theirs, 404), ("nonsense", 401), (mine[:-2], 401)):
        answer = await desk.served.client.get(f"/self/cards/{number}", headers={"X-Self-Session": session})
        assert answer.status_code == status
        moved = await call(desk, f"/self/cards/{number}/choose-day", {"facility": HERE, "date": "2026-01-01"}, session)
        assert moved.status_code == status
    gone = await call(desk, f"/self/cards/{number}/withdraw", {}, mine)
    assert (gone.status_code, gone.json()["details"]) == (200, None)
    assert await desk.database["home_cards"].count_documents({"journal.data.details.name": "Tundup"}) == 0


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/self/codes", {"phone": "12"}, "phone"),
        ("/self/codes", {"phone": "999941057058"}, "phone"),
        ("/self/codes", {"phone": "+915550123456", "language": "xx"}, "language"),
        ("/self/sessions", {"phone": "+915550123456", "code": "12345"}, "code"),
        ("/self/cards", {"name": "x1", "sex": "female", "relation": "self"}, "age_years"),
        ("/self/cards", {"name": "Padma", "sex": "female", "age_years": 3, "relation": "boss"}, "relation"),
        ("/self/cards", {"name": "Padma 999941057058", "sex": "female", "age_years": 3, "relation": "self"}, "name"),
        ("/self/cards", {"name": "Padma", "sex": "female", "age_years": 3, "relation": "self",
                         "abha_number": "00207302319521"}, "abha_number"),
        ("/self/cards", {"name": "Padma", "sex": "female", "age_years": 3, "relation": "self",
                         "identifiers": [{"type": "mrn", "value": "1", "facility": HERE}]}, "identifiers"),
        ("/self/cards", {"name": "Padma", "sex": "female", "age_years": 3, "relation": "self", "state_lgd": 99},
         "state_lgd"),
    ],
)  # fmt: skip
async def test_wrong_input_is_named_and_changes_nothing(desk: Desk, path: str, body: Any, field: str) -> None:
    session = getattr(desk, "_session", "") or await session_of(desk, phone())
    desk._session = session  # type: ignore[attr-defined]
    kinds = ("callers", "home_cards", "patients")
    before = [await desk.database[kind].count_documents({}) for kind in kinds]
    answer = await call(desk, path, body, session)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert "999941057058" not in answer.text
    assert [await desk.database[kind].count_documents({}) for kind in kinds] == before


async def test_no_phone_and_no_code_stands_on_any_other_topic(desk: Desk) -> None:
    number = phone()
    await session_of(desk, number)
    for topic in ("registration.visit.v1", "notifications.message.v1", "registration.patient.v1"):
        assert number not in str(await published(desk.stack, topic))
