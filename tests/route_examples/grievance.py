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


ABOVE = "LA-LEH-DH-SNM"
"""Above the office: asked for its part, too."""

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(4) + b"IEND\xaeB`\x82"
CONSULT: dict[str, Any] = {"office": ABOVE, "question": "Was it in stock?", "by": AHEAD}


def _asked() -> Prepare:
    return _after(("consult", CONSULT, NOW))


async def _attach(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
    sent = _sent(headers) | {"Content-Type": "image/png"}
    return await client.post(f"/grievances/{id}/attachments", content=PICTURE, headers=sent)


def _attached() -> Prepare:
    async def prepare(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
        id = await _after()(client, headers_for)
        (await _attach(client, headers_for("officer", OFFICE), id)).raise_for_status()
        return id

    return prepare


async def _fetch(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
    """Which one there is, only those know who may see it; elsewhere any id will do."""
    shown = await client.get(f"/grievances/{id}", headers=dict(headers))
    attachment = shown.json()["attachments"][0]["id"] if shown.status_code == 200 else "0"
    return await client.get(f"/grievances/{id}/attachments/{attachment}", headers=dict(headers))


CLUSTERS = iter(range(1, 10_000))


def _cluster(owner: str = f"nodal-officer@{OFFICE}") -> dict[str, Any]:
    """A matter of its own at each call."""
    number = next(CLUSTERS)
    month = f"{2030 + number // 12}-{number % 12 + 1:02}"
    return {
        "about_facility": ABOUT,
        "category": "long-wait",
        "month": month,
        "owner": owner,
        "root_cause": "One counter for four hundred people",
        "fix_by": AHEAD,
    }


async def _open_cluster(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
    return await client.post("/clusters", json=_cluster(), headers=_sent(headers))


def _on_cluster(move: str, body: dict[str, Any]) -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
        return await client.post(f"/clusters/{id}/{move}", json=body, headers=_sent(headers))

    return call


async def _a_cluster(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    opened = await _open_cluster(client, headers_for("nodal-officer", OFFICE), "")
    opened.raise_for_status()
    return str(opened.json()["id"])


def _of_clusters(route: str, prepare: Prepare, call: Call, **extra: Any) -> dict[str, Any]:
    start = {"route": route, "role": "nodal-officer", "facility": OFFICE, "collection": "clusters"}
    return start | {"prepare": prepare, "call": call} | extra


def _nothing(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json() == []


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
    _move("screen", "nodal-officer", {"reason": "rti"}),
    _move("consult", "nodal-officer", CONSULT),
    _read("/grievances/{id}/consultation", "officer", facility=ABOVE, prepare=_asked()),
    _move("contribute", "officer", {"answer": "It was not"}) | {"facility": ABOVE, "prepare": _asked()},
    _move("verify", "officer", {"fixed": True, "note": "looked"}, RESOLVED) | {"accepted": 409},
    _read("/grievances/{id}/attachments/{attachment}", "officer", prepare=_attached(), call=_fetch),
    _move("attachments", "officer", {}) | {"call": _attach, "accepted": 201},
    _of_clusters("POST /clusters", _a_cluster, _open_cluster, accepted=201),
    _of_clusters(
        "POST /clusters/{id}/revise",
        _a_cluster,
        _on_cluster("revise", {"owner": f"nodal-officer@{OFFICE}", "root_cause": "No second counter", "fix_by": AHEAD}),
    ),
    _of_clusters(
        "POST /clusters/{id}/fix",
        _a_cluster,
        _on_cluster("fix", {"outcome": "fixed", "what_was_done": "A second counter stands"}),
    ),
    _of_clusters("GET /clusters", _a_cluster, _reads("/clusters"), refused=_empty),
    _of_clusters(
        "GET /clusters/similar",
        _a_cluster,
        _reads(f"/clusters/similar?about_facility={ABOUT}&month=2030-01"),
        refused=_nothing,
    ),
    _move("attempt", "nodal-officer", ATTEMPT, RESOLVED),
    _move(
        "close-unreachable",
        "nodal-officer",
        {},
        RESOLVED,
        *(("attempt", ATTEMPT, dt.timedelta(days=days)) for days in (0, 8, 16)),
    ),
]
