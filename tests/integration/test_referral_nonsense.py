"""Every move of the table asked for in every wrong way: refused with the field, or with the moves that are left, and
nothing is written. In every status, what is no move is refused with what `GET /referrals/{id}/moves` says."""

from __future__ import annotations

import datetime as dt
import functools
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from referral_desk import ELSEWHERE, HERE, REASON, THERE, Desk, person

from deploy.local.testing import TestStack, serving
from libs.common.access import SYSTEM
from libs.common.cause import Cause
from libs.common.clock import machine_now
from services.referral.access import route
from services.referral.domain import moves
from services.referral.domain.commands import By, Lapse
from services.referral.domain.moves import Move, Needs
from services.referral.domain.referral import decide
from services.referral.store import REFERRAL

ENDS = {"origin": HERE, "destination": THERE}
SOON = "2099-01-04T04:30:00Z"
TOMORROW = (machine_now() + dt.timedelta(days=1)).isoformat()
AADHAAR = "her card says 9999 4105 7058"
"""UIDAI's published test number."""

ASKED = {"patient": person(), "to": THERE, "service": "surgery", "urgency": "urgent", "reason": REASON}
OUTSIDE = {"state_lgd": 4, "kind": "tertiary-hospital", "name": "the institute in the plains"}
MEDICINE = {"name": "paracetamol", "dose": "500 mg", "timing": "at night", "days": 3}
SAID: dict[str, dict[str, Any]] = {
    "request": ASKED,
    "ask": ASKED,
    "advise": {"verdict": "tell-more", "text": "fever?"},
    "tell-more": {"reason": "fever since yesterday", "findings": {"systolic_mmhg": 110}},
    "decline": {"reason": "no-bed"},
    "cancel": {"reason": "patient-improved"},
    "request-cancel": {"reason": "other"},
    "schedule": {"appointment_at": SOON},
    "reschedule": {"appointment_at": SOON},
    "note": {"text": "seen, to come again"},
    "outcome": {"outcome": "treated-and-discharged", "summary": "appendix taken out", "procedure": True},
    "depart": {"mode": "army-convoy"},
    "hold": {"reason": "pass-closed", "expected_release": TOMORROW},
    "back-refer": {"advice": "rest", "medicines": [MEDICINE]},
    "redirect": {"to": "HP-SML-MC-IGMC", "reason": "no-bed"},
    "refer-onward": {"to": "HP-SML-MC-IGMC", "service": "surgery", "reason": "needs a theatre"},
    "record-death": {"place": "on-the-way"},
    "void": {"reason": "duplicate"},
}
"""What is right to say with a move; with any other, nothing."""

NO_OBJECT: tuple[bytes, ...] = (b"", b"[]", b"null", b'"accept"', b"{", b"[" * 5000, b'{"reason": NaN', b"\xff\xfe")
NOT_NOW: tuple[Any, ...] = (
    "yesterday",
    "2099-01-04T04:30:00",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
    "9999-12-31T23:59:59Z",
    5,
    [SOON],
)
NO_CODE: tuple[Any, ...] = ("because", "Heart & Lungs", " ", 5, True, ["other"], {"code": "other"})
WRONG: dict[str, tuple[Any, ...]] = {
    "patient": ("Tsering Dolma", "+915550123456", AADHAAR, 5, [person()]),
    "to": ("HP-KNR-NO-SUCH", HERE, "la-leh-dh-snm", "x" * 100_000, 5, {"code": THERE}),
    "service": ("tsering-dolma", "Heart & Lungs", 5, ["surgery"]),
    "bed": ("no-such-bed", "Heart & Lungs", 4, ["general"]),
    "slot": ({}, "surgery", {"clinic": "surgery"}, *({"clinic": "surgery", "at": at} for at in (SOON, *NOT_NOW))),
    "appointment_at": (*NOT_NOW, "2001-01-01T00:00:00Z", 5),
    "expected_release": (*NOT_NOW, "2001-01-01T00:00:00Z", SOON),
    "procedure": ("perhaps", 5, [True]),
    "medicines": (
        "paracetamol",
        [{}],
        [MEDICINE] * 31,
        *([MEDICINE | wrong] for wrong in ({"days": 0}, {"name": " "}, {"dose": "x" * 121}, {"for": "the pain"})),
        *([MEDICINE | {name: AADHAAR}] for name in ("name", "dose", "timing")),
    ),
    "outside": (
        {},
        "Chandigarh",
        *(OUTSIDE | wrong for wrong in ({"state_lgd": 0}, {"kind": "hospital"}, {"name": " "}, {"name": AADHAAR})),
        OUTSIDE | {"phone": "+915550123456"},
    ),
}
"""By field; of a code or a text, what `Needs` says of it."""

FINDINGS: tuple[dict[str, Any], ...] = (
    {"pulse_per_minute": 5000},
    {"pulse_per_minute": "fast"},
    {"temperature_celsius": "NaN"},
    {"consciousness": "drunk"},
    {"treatment_given": "x" * 501},
    {"treatment_given": AADHAAR},
    {"name": "Tsering Dolma"},
)


def wrong_of(need: Needs) -> Iterator[Any]:
    if need.field in WRONG:
        yield from WRONG[need.field]
    elif need.codes:
        yield from NO_CODE
    else:
        assert need.longest is not None, f"nothing wrong is known of {need.field}"
        yield from ("x" * (need.longest + 1), "x" * 100_000, AADHAAR, "9999-4105-7058", 5, ["text"], {"text": "text"})
        yield from ("\n\t ", "") if need.required else ()
    if need.required:
        yield None


def nonsense(move: Move) -> Iterator[tuple[dict[str, Any], str]]:
    """Bodies that must be refused, each with the field at fault."""
    right = SAID.get(move.command, {})
    yield right | {"status": "closed"}, "status"
    for at in ("yesterday", SOON, "0001-01-01T00:00:00+14:00", "1900-01-01T00:00:00Z", 5, [SOON]):
        yield right | {"occurred_at": at}, "occurred_at"
    for need in move.needs:
        if need.required and need.field in right:
            yield {name: value for name, value in right.items() if name != need.field}, need.field
        for wrong in wrong_of(need):
            said = {name: value for name, value in right.items() if need.field != "outside" or name != "to"}
            yield said | {need.field: wrong}, need.field
        if need.field == "outside":
            yield right | {"outside": OUTSIDE}, "to"
    if move.at is None:
        for found in FINDINGS:
            yield right | {"findings": found}, "findings"


@dataclass
class Walker(Desk):
    """Brings referrals to where a move is legal, by moves that are."""

    _tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    def headers(self, role: str, facility: str, key: str | None = None) -> dict[str, str]:
        if (role, facility) not in self._tokens:
            self._tokens[role, facility] = super().headers(role, facility)["Authorization"]
        return {"Authorization": self._tokens[role, facility], "Idempotency-Key": key or secrets.token_hex(8)}

    async def send(self, move: str, id: str, role: str, facility: str, body: Any, key: str | None = None) -> Any:
        return await self.post(role, facility, route(move).removeprefix("POST ").replace("{id}", id), body, key)

    async def send_raw(self, move: str, id: str, role: str, facility: str, body: bytes) -> httpx.Response:
        headers = self.headers(role, facility) | {"Content-Type": "application/json"}
        path = route(move).removeprefix("POST ").replace("{id}", id)
        return await self.served.client.post(path, content=body, headers=headers)

    async def made(self, status: str | None) -> str:
        """The id of a referral in this status."""
        id = ""
        for move in way_to(status):
            actor = move.who[0]
            if actor.role == moves.CLOCK:
                lapse, by = Lapse(f"nodal-officer@{ELSEWHERE}"), By(actor.role, THERE)
                cause = Cause(secrets.token_hex(16), "referral", machine_now())
                decided = functools.partial(decide, command=lapse, by=by, now=machine_now())
                await self.served.service.journal.append(REFERRAL, id, decided, cause, SYSTEM)
                continue
            done = await self.send(move.command, id, actor.role, ENDS[actor.side], SAID.get(move.command, {}))
            assert done.status_code in (200, 201), (move.command, done.text)
            id = done.json()["id"] if move.at is None else id
        return id

    async def offered(self, id: str, role: str, facility: str) -> list[str]:
        said = await self.get(role, facility, f"/referrals/{id}/moves")
        assert said.status_code == 200, said.text
        return [move["command"] for move in said.json()["moves"]]

    async def written(self, id: str) -> tuple[int, int, int]:
        """Version and length of the journal; how many referrals there are."""
        every = await self.served.service.database["referrals"].estimated_document_count()
        if not id:
            return 0, 0, every
        document = await self.document(id)
        return document["version"], len(document["journal"]), every


def way_to(status: str | None) -> list[Move]:
    """The shortest walk there."""
    ways: dict[str | None, list[Move]] = {None: []}
    for _ in moves.STANDINGS:
        for move in moves.MOVES:
            if move.at in ways and move.to not in ways:
                ways[move.to] = [*ways[move.at], move]
    return ways[status]


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Walker]:
    async with stack.untouched() as prefix:
        settings = stack.settings("referral", DATABASE_PREFIX=prefix, REQUESTS_PER_SECOND="100000")
        async with serving(settings, "referral") as served:
            yield Walker(stack, served)


FIRST = {move.command: move for move in reversed(moves.MOVES) if move.who[0].role != moves.CLOCK}


@pytest.mark.parametrize("command", FIRST)
async def test_nonsense_is_refused_by_its_field_and_writes_nothing(desk: Walker, command: str) -> None:
    move = FIRST[command]
    id, who = await desk.made(move.at), (move.who[0].role, ENDS[move.who[0].side])
    before = await desk.written(id)
    taken = []
    for body, at_fault in nonsense(move):
        answer = await desk.send(command, id, *who, body)
        named = {error["field"].split(".")[0] for error in answer.json().get("errors", ())}
        if answer.status_code != 422 or at_fault not in named or "4105" in answer.text:
            taken.append((str(body)[:300], at_fault, answer.status_code, answer.text))
    assert taken == []
    for raw in NO_OBJECT:
        answer = await desk.send_raw(command, id, *who, raw)
        assert answer.status_code in (400, 422), (raw[:20], answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    for role, facility in ((who[0], ELSEWHERE), ("citizen", who[1]), ("officer", who[1]), ("nodal-officer", ELSEWHERE)):
        if (move.at, facility) != (None, ELSEWHERE) or role != who[0]:
            answer = await desk.send(command, id, role, facility, SAID.get(command, {}))
            assert answer.status_code == 403, (role, facility, answer.text)
    if move.at is not None:
        assert (await desk.send(command, "no-such", *who, SAID.get(command, {}))).status_code == 404
    assert await desk.written(id) == before

    key = secrets.token_hex(8)
    done = await desk.send(command, id, *who, SAID.get(command, {}), key)
    assert done.status_code in (200, 201), done.text
    assert done.json()["status"] == move.to
    id = done.json()["id"]
    after = await desk.written(id)
    again = await desk.send(command, id, *who, SAID.get(command, {}), key)
    assert (again.status_code, again.json()) == (done.status_code, done.json())
    other = SAID[command] | another(move) if command in SAID else {}
    reused = await desk.send(command, id if other else await desk.made(move.at), *who, other, key)
    assert reused.status_code == 422, reused.text
    assert reused.json()["errors"][0]["field"] == "Idempotency-Key"
    assert (await desk.written(id))[:2] == after[:2]


def another(move: Move) -> dict[str, Any]:
    """Something else that is right to say."""
    need = move.needs[0] if move.at else next(need for need in move.needs if need.field == "reason")
    if need.codes:
        return {need.field: next(code for code in need.codes if code != SAID[move.command][need.field])}
    return {need.field: {"to": ELSEWHERE, "appointment_at": "2099-01-05T04:30:00Z"}.get(need.field, "something else")}


STATUSES = list(moves.STANDINGS)


@pytest.mark.parametrize("status", STATUSES)
async def test_what_is_no_move_now_is_refused_with_those_that_are(desk: Walker, status: str) -> None:
    """Of each command one of those whose it is; for everybody see tests/unit/referral/test_referral_rights.py."""
    id = await desk.made(status)
    before = await desk.written(id)
    whose = {command: (actor.role, ENDS[actor.side]) for command in moves.commands() for actor in moves.actors(command)}
    offered = {who: await desk.offered(id, *who) for who in set(whose.values())}
    for command, who in whose.items():
        if command not in ("request", "ask", *offered[who]):
            answer = await desk.send(command, id, *who, SAID.get(command, {}))
            assert answer.status_code == 409, (who, command, answer.text)
            assert answer.json()["allowed"] == offered[who], (who, command)
    assert await desk.written(id) == before
