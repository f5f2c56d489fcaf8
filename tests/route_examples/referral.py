"""One call per route of the referral service whose rule names a facility, made as the right role at the right place.

`prepare` brings a referral to where the call is legal, under the tokens of those whose moves that takes; `call` gets
its id. The same call at another facility must be refused; a worklist is not refused but another's, which `refused`
says. A request has no wrong facility: its origin is the caller's own, whichever that is.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

HERE, THERE = "HP-KNR-CHC-POOH", "HP-KNR-RH-PEO"

Headers = Mapping[str, str]
HeadersFor = Callable[[str, str], Headers]
"""Role and facility to the headers of such a caller."""
Prepare = Callable[[httpx.AsyncClient, HeadersFor], Awaitable[str]]
Call = Callable[[httpx.AsyncClient, Headers, str], Awaitable[httpx.Response]]

REQUEST: dict[str, Any] = {
    "patient": "00000000-0000-4000-8000-000000000000",
    "to": THERE,
    "service": "surgery",
    "urgency": "routine",
    "reason": "to show the route",
}
PATH: list[tuple[str, str, str, dict[str, Any]]] = [
    ("accept", "doctor", THERE, {}),
    ("arrive", "desk", THERE, {}),
    ("outcome", "doctor", THERE, {"outcome": "admitted", "summary": ""}),
    ("back-refer", "doctor", THERE, {"advice": "rest"}),
    ("acknowledge", "doctor", HERE, {}),
]
ADVICE: list[tuple[str, str, str, str, dict[str, Any]]] = [
    ("", "advise", "doctor", THERE, {"verdict": "treat-there", "text": "plaster and rest"}),
    ("", "withdraw", "doctor", HERE, {}),
    ("", "convert", "doctor", HERE, {}),
    ("treat-there", "treat-here", "doctor", HERE, {}),
    ("tell-more", "tell-more", "doctor", HERE, {"reason": "fever since yesterday"}),
]
"""The verdict that was given before, if any, and the move."""
ASIDE: list[tuple[int, str, str, str, dict[str, Any]]] = [
    (0, "decline", "doctor", THERE, {"reason": "no-bed"}),
    (0, "cancel", "doctor", HERE, {"reason": "patient-improved"}),
    (1, "no-show", "desk", THERE, {}),
    (1, "depart", "transport", HERE, {"mode": "ambulance-108"}),
    (1, "hold", "transport", HERE, {"reason": "weather"}),
    (0, "request-cancel", "doctor", HERE, {"reason": "patient-improved"}),
    (1, "schedule", "desk", THERE, {"appointment_at": "2099-01-04T04:30:00Z"}),
    (1, "admit", "doctor", THERE, {}),
    (1, "note", "doctor", THERE, {"text": "seen, to come again"}),
    (1, "refuse-travel", "doctor", HERE, {}),
    (0, "record-death", "doctor", HERE, {"place": "at-origin"}),
    (0, "redirect", "doctor", HERE, {"to": "HP-SML-MC-IGMC", "reason": "no-bed"}),
    (2, "refer-onward", "doctor", THERE, {"to": "HP-SML-MC-IGMC", "service": "surgery", "reason": "needs a theatre"}),
    (0, "void", "doctor", HERE, {"reason": "duplicate"}),
]
"""After how many steps of PATH, and the move."""
THEN: list[tuple[list[tuple[str, str, str, dict[str, Any]]], str, str, str, dict[str, Any]]] = [
    (
        [("accept", "doctor", THERE, {}), ("no-show", "desk", THERE, {})],
        "reschedule",
        "desk",
        THERE,
        {"appointment_at": "2099-01-05T04:30:00Z"},
    ),
    (
        [("accept", "doctor", THERE, {}), ("no-show", "desk", THERE, {})],
        "cancel-appointment",
        "desk",
        THERE,
        {},
    ),
    ([("request-cancel", "doctor", HERE, {"reason": "other"})], "confirm-cancel", "doctor", THERE, {}),
    ([("accept", "doctor", THERE, {}), ("refuse-travel", "doctor", HERE, {})], "ask-again", "doctor", HERE, {}),
]
"""After which steps of its own, and the move."""
READS = (
    "GET /referrals/{id}",
    "GET /referrals/{id}/moves",
    "GET /referrals/{id}/chain",
    "GET /referrals/{id}/history",
)


def _key(headers: Headers) -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4()), **headers}


def _after(steps: int) -> Prepare:
    return _through(PATH[:steps])


def _through(steps: list[tuple[str, str, str, dict[str, Any]]]) -> Prepare:
    async def prepare(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
        asked = await client.post("/referrals", json=REQUEST, headers=_key(headers_for("doctor", HERE)))
        asked.raise_for_status()
        id = str(asked.json()["id"])
        for command, role, facility, body in steps:
            done = await client.post(f"/referrals/{id}/{command}", json=body, headers=_key(headers_for(role, facility)))
            done.raise_for_status()
        return id

    return prepare


def _after_question(verdict: str) -> Prepare:
    async def prepare(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
        asked = await client.post("/advice", json=REQUEST, headers=_key(headers_for("doctor", HERE)))
        asked.raise_for_status()
        id = str(asked.json()["id"])
        if verdict:
            body = {"verdict": verdict, "text": "plaster and rest"}
            headers = _key(headers_for("doctor", THERE))
            (await client.post(f"/referrals/{id}/advise", json=body, headers=headers)).raise_for_status()
        return id

    return prepare


def _move(command: str, body: dict[str, Any]) -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
        return await client.post(f"/referrals/{id}/{command}", json=body, headers=_key(headers))

    return call


def _read(route: str) -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
        return await client.get(route.removeprefix("GET ").format(id=id), headers=dict(headers))

    return call


async def _worklist(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
    return await client.get("/referrals", params={"box": "sent"}, headers=dict(headers))


def _request(path: str) -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
        return await client.post(path, json=REQUEST, headers=_key(headers))

    return call


def _of_another(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and all(item["origin"] != HERE for item in answer.json()["items"])


def _own_origin(answer: httpx.Response) -> bool:
    return answer.status_code >= 400 or answer.json()["origin"] != HERE


WAY: tuple[tuple[str, dict[str, Any]], ...] = (
    ("request", {}),
    ("assign", {"mode": "own-vehicle"}),
    ("position", {"latitude": 31.7, "longitude": 78.5}),
    ("hand-over", {}),
)


async def _on_the_way(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    id = await _after(1)(client, headers_for)
    headers = _key(headers_for("transport", HERE))
    (await client.post(f"/referrals/{id}/depart", json={"mode": "own-vehicle"}, headers=headers)).raise_for_status()
    return id


async def _tell_task(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
    body = {"resourceType": "Task", "id": id, "status": "accepted"}
    return await client.put(f"/fhir/Task/{id}", json=body, headers=_key(headers))


def _tell_in_bundle(path: str) -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
        task = {"resourceType": "Task", "status": "accepted", "focus": {"reference": f"ServiceRequest/{id}"}}
        body = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": task}]}
        return await client.post(path, json=body, headers=_key(headers))

    return call


def _found_nothing(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and not any(
        entry["resource"]["requester"]["reference"].endswith(HERE) for entry in answer.json()["entry"]
    )


def _no_entry(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json()["entry"] == []


ROAD = f"{HERE}--{THERE}"


def _change_card() -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
        return await client.patch(f"/facilities/{THERE}", json={"theatre": "ready"}, headers=_key(headers))

    return call


def _road(command: str, body: dict[str, Any]) -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
        return await client.post(f"/roads/{ROAD}/{command}", json=body, headers=_key(headers))

    return call


async def _closed(client: httpx.AsyncClient, headers_for: HeadersFor) -> str:
    headers = _key(headers_for("officer", THERE))
    (await client.post(f"/roads/{ROAD}/close", json={"reason": "snow"}, headers=headers)).raise_for_status()
    return await _after(0)(client, headers_for)


async def _set_slots(client: httpx.AsyncClient, headers: Headers, id: str) -> httpx.Response:
    body = {"clinic": "surgery", "at": "2099-01-04T04:30:00Z", "places": 3}
    return await client.put(f"/facilities/{THERE}/slots", json=body, headers=_key(headers))


_MOVES = [(steps, *move) for steps, move in enumerate(PATH)] + ASIDE

EXAMPLES: list[dict[str, Any]] = [
    *(
        {
            "route": f"POST {path}",
            "role": "doctor",
            "facility": HERE,
            "prepare": _after(0),
            "call": _request(path),
            "refused": _own_origin,
        }
        for path in ("/referrals", "/advice")
    ),
    *(
        {
            "route": f"POST /referrals/{{id}}/{command}",
            "role": role,
            "facility": facility,
            "prepare": _after_question(verdict),
            "call": _move(command, body),
        }
        for verdict, command, role, facility, body in ADVICE
    ),
    *(
        {
            "route": f"POST /referrals/{{id}}/{command}",
            "role": role,
            "facility": facility,
            "prepare": _after(steps),
            "call": _move(command, body),
        }
        for steps, command, role, facility, body in _MOVES
    ),
    *(
        {
            "route": f"POST /referrals/{{id}}/{command}",
            "role": role,
            "facility": facility,
            "prepare": _through(steps),
            "call": _move(command, body),
        }
        for steps, command, role, facility, body in THEN
    ),
    *(
        {"route": route, "role": "doctor", "facility": THERE, "prepare": _after(0), "call": _read(route)}
        for route in READS
    ),
    {
        "route": "GET /referrals",
        "role": "doctor",
        "facility": HERE,
        "prepare": _after(0),
        "call": _worklist,
        "refused": _of_another,
    },
    {
        "route": "PATCH /facilities/{code}",
        "role": "desk",
        "facility": THERE,
        "prepare": _after(0),
        "call": _change_card(),
    },
    {
        "route": "PUT /facilities/{code}/slots",
        "role": "desk",
        "facility": THERE,
        "prepare": _after(0),
        "call": _set_slots,
    },
    {
        "route": "POST /roads/{id}/close",
        "role": "officer",
        "facility": THERE,
        "prepare": _after(0),
        "call": _road("close", {"reason": "snow", "slower": 1.5}),
    },
    {
        "route": "POST /roads/{id}/open",
        "role": "transport",
        "facility": HERE,
        "prepare": _closed,
        "call": _road("open", {}),
    },
    *(
        {
            "route": f"POST /referrals/{{id}}/transport/{command}",
            "role": "transport",
            "facility": HERE,
            "prepare": _on_the_way if command in ("position", "hand-over") else _after(1),
            "call": _move(f"transport/{command}", body),
        }
        for command, body in WAY
    ),
    {
        "route": "GET /referrals/{id}/slip",
        "role": "desk",
        "facility": HERE,
        "prepare": _after(1),
        "call": _read("GET /referrals/{id}/slip"),
    },
    *(
        {"route": route, "role": "doctor", "facility": THERE, "prepare": _after(3), "call": _read(route)}
        for route in ("GET /fhir/ServiceRequest/{id}", "GET /fhir/Task/{id}", "GET /fhir/Bundle/{id}")
    ),
    *(
        {
            "route": route,
            "role": "doctor",
            "facility": THERE,
            "prepare": _after(0),
            "call": _read(route),
            "refused": _found_nothing,
        }
        for route in ("GET /fhir/ServiceRequest", "GET /fhir/Task")
    ),
    {
        "route": "GET /fhir/Bundle",
        "role": "doctor",
        "facility": THERE,
        "prepare": _after(3),
        "call": _read("GET /fhir/Bundle?_id={id}"),
        "refused": _no_entry,
    },
    {
        "route": "PUT /fhir/Task/{id}",
        "role": "doctor",
        "facility": THERE,
        "prepare": _after(0),
        "call": _tell_task,
    },
    *(
        {
            "route": f"POST {path}",
            "role": "doctor",
            "facility": THERE,
            "prepare": _after(0),
            "call": _tell_in_bundle(path),
        }
        for path in ("/fhir", "/fhir/Bundle")
    ),
]
