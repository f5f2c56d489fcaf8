"""One call per route of the grievance service whose rule names a facility, made as the right role at the right place.

`prepare` brings a complaint to where the call is legal; `call` gets its id. The same call at another facility, and at
the one complained about, must be refused; a worklist is not refused but empty there, which `refused` says.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

ABOUT = "LA-LEH-PHC-PANAMIK"
OFFICE = "LA-LEH-SDH-DISKIT"
"""To which it refers: whose officers answer."""

Headers = Mapping[str, str]
HeadersFor = Callable[[str, str], Headers]
"""Role and facility to the headers of such a caller."""
Prepare = Callable[[httpx.AsyncClient, HeadersFor], Awaitable[str]]
Call = Callable[[httpx.AsyncClient, Headers, str], Awaitable[httpx.Response]]

FILE: dict[str, Any] = {
    "category": "long-wait",
    "text": "Waited five hours",
    "about_facility": ABOUT,
    "anonymous": True,
}
AHEAD = (dt.datetime.now(dt.UTC) + dt.timedelta(days=5)).isoformat()
PAUSE: dict[str, Any] = {"reason": "weather", "until": AHEAD}
RESOLVE: dict[str, Any] = {"outcome": "explained", "action_taken": "explained why"}
ATTEMPT: dict[str, Any] = {"channel": "phone", "reached": False}
Step = tuple[str, dict[str, Any], dt.timedelta]
"""A nodal officer's move, and how much later it is sent than now."""

NOW = dt.timedelta()


def _sent(headers: Headers, later: dt.timedelta = NOW) -> dict[str, str]:
    at = dt.datetime.now(dt.UTC) + later
    return {"Idempotency-Key": str(uuid.uuid4()), "Date": f"{at:%a, %d %b %Y %H:%M:%S} GMT", **headers}


def _after(*steps: Step) -> Prepare:
    async def prepare(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
        filed = await client.post("/grievances", json=FILE, headers=_sent({}))
        filed.raise_for_status()
        id = str(filed.json()["id"])
        for move, body, later in steps:
            headers = _sent(headers_for("nodal-officer", OFFICE), later)
            (await client.post(f"/grievances/{id}/{move}", json=body, headers=headers)).raise_for_status()
        return id

    return prepare


def _reads(path: str) -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
        return await client.get(path.format(id=id), headers=dict(headers))

    return call


def _moves(move: str, body: dict[str, Any]) -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
        return await client.post(f"/grievances/{id}/{move}", json=body, headers=_sent(headers))

    return call


def _empty(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json()["items"] == []


def _read(path: str, role: str, **extra: Any) -> dict[str, Any]:
    start = {"route": f"GET {path}", "role": role, "facility": OFFICE}
    return start | {"prepare": _after(), "call": _reads(path)} | extra


def _move(move: str, role: str, body: dict[str, Any], *steps: Step) -> dict[str, Any]:
    start = {"route": f"POST /grievances/{{id}}/{move}", "role": role, "facility": OFFICE}
    return start | {"prepare": _after(*steps), "call": _moves(move, body)}


RESOLVED: Step = ("resolve", RESOLVE, NOW)

EXAMPLES: list[dict[str, Any]] = [
    _read("/grievances", "officer", refused=_empty),
    _read("/grievances/{id}", "officer"),
    _read("/grievances/{id}/history", "nodal-officer"),
    _move("assign", "officer", {"to": f"nodal-officer@{OFFICE}"}),
    _move("transfer", "officer", {"to": "LA-LEH-DH-SNM", "reason": "wrong-office", "explanation": "theirs"}),
    _move("interim", "nodal-officer", {"expected_by": AHEAD, "reason": "the part comes by air"}),
    _move("pause", "nodal-officer", PAUSE),
    _move("resume", "nodal-officer", {}, ("pause", PAUSE, NOW)),
    _move("resolve", "nodal-officer", RESOLVE),
    _move("attempt", "nodal-officer", ATTEMPT, RESOLVED),
    _move(
        "close-unreachable",
        "nodal-officer",
        {},
        RESOLVED,
        *(("attempt", ATTEMPT, dt.timedelta(days=days)) for days in (0, 8, 16)),
    ),
]
