"""One call per route of the registration service whose rule names a facility, made as the right role at the right place.

Each registers a person of its own first, as the desk there. The same call at another facility must be refused; a
search is not refused but finds nobody there, which `refused` says. `needs` is a token for what comes before the call.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

HERE = "LA-LEH-PHC-PANAMIK"
NEEDS = ("desk", HERE)
"""Role and facility of the token that prepares each call."""

PERSON: dict[str, Any] = {"name": "Rigzin Angmo", "sex": "female", "age_years": 31}

Headers = Mapping[str, str]
Call = Callable[[httpx.AsyncClient, Headers, Headers], Awaitable[httpx.Response]]


def _key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


async def _registered(client: httpx.AsyncClient, desk: Headers) -> str:
    answer = await client.post("/patients", json=PERSON, headers=_key() | dict(desk))
    answer.raise_for_status()
    return str(answer.json()["id"])


async def _visit(client: httpx.AsyncClient, desk: Headers) -> dict[str, Any]:
    body = {"patient": await _registered(client, desk), "counter": "OPD1"}
    answer = await client.post("/visits", json=body, headers=_key() | dict(desk))
    answer.raise_for_status()
    visit: dict[str, Any] = answer.json()
    return visit


def _writes(path: str, body: dict[str, Any]) -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers, desk: Headers) -> httpx.Response:
        id = await _registered(client, desk)
        return await client.post(path.format(id=id), json=body, headers=_key() | dict(headers))

    return call


async def _reads_patient(client: httpx.AsyncClient, headers: Headers, desk: Headers) -> httpx.Response:
    return await client.get(f"/patients/{await _registered(client, desk)}", headers=dict(headers))


async def _reads_visit(client: httpx.AsyncClient, headers: Headers, desk: Headers) -> httpx.Response:
    visit = await _visit(client, desk)
    return await client.get(f"/visits/{visit['id']}", headers=dict(headers))


async def _reads_queue(client: httpx.AsyncClient, headers: Headers, desk: Headers) -> httpx.Response:
    visit = await _visit(client, desk)
    return await client.get(f"/queues/{HERE}/OPD1/{visit['date']}", headers=dict(headers))


def _nobody(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json()["patients"] == []


EXAMPLES: list[dict[str, Any]] = [
    {"route": route, "role": role, "facility": HERE, "needs": NEEDS, "call": call} | extra
    for route, role, call, extra in (
        ("GET /patients/{id}", "doctor", _reads_patient, {}),
        ("POST /patients/search", "doctor", _writes("/patients/search", {"name": "Rigzin"}), {"refused": _nobody}),
        ("POST /patients/{id}/correct", "desk", _writes("/patients/{id}/correct", {"village": "Diskit"}), {}),
        ("POST /patients/{id}/void", "desk", _writes("/patients/{id}/void", {"reason": "test-entry"}), {}),
        ("GET /visits/{id}", "doctor", _reads_visit, {}),
        ("GET /queues/{facility}/{counter}/{date}", "doctor", _reads_queue, {}),
    )
]
