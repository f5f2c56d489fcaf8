"""One call per route of the grievance service whose rule names a facility, made as the right role at the right place.

Each files a complaint of its own first, which needs no token. The same call at another facility must be refused; the
worklist is not refused but empty there, which `refused` says.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

ABOUT = "LA-LEH-PHC-PANAMIK"
OFFICE = "LA-LEH-SDH-DISKIT"
"""To which it refers: whose officers answer."""

Headers = Mapping[str, str]
Call = Callable[[httpx.AsyncClient, Headers], Awaitable[httpx.Response]]


def _key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


async def _filed(client: httpx.AsyncClient) -> str:
    body = {"category": "long-wait", "text": "Waited five hours", "about_facility": ABOUT, "anonymous": True}
    answer = await client.post("/grievances", json=body, headers=_key())
    answer.raise_for_status()
    return str(answer.json()["id"])


def _reads(path: str) -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers) -> httpx.Response:
        return await client.get(path.format(id=await _filed(client)), headers=dict(headers))

    return call


def _writes(path: str, body: dict[str, Any]) -> Call:
    async def call(client: httpx.AsyncClient, headers: Headers) -> httpx.Response:
        return await client.post(path.format(id=await _filed(client)), json=body, headers=_key() | dict(headers))

    return call


def _empty(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json()["items"] == []


ASSIGN: dict[str, Any] = {"to": f"nodal-officer@{OFFICE}"}
RESOLVE: dict[str, Any] = {"outcome": "explained", "action_taken": "explained why"}

EXAMPLES: list[dict[str, Any]] = [
    {"route": route, "role": role, "facility": OFFICE, "call": call} | extra
    for route, role, call, extra in (
        ("GET /grievances", "officer", _reads("/grievances"), {"refused": _empty}),
        ("GET /grievances/{id}", "officer", _reads("/grievances/{id}"), {}),
        ("GET /grievances/{id}/history", "nodal-officer", _reads("/grievances/{id}/history"), {}),
        ("POST /grievances/{id}/assign", "officer", _writes("/grievances/{id}/assign", ASSIGN), {}),
        ("POST /grievances/{id}/resolve", "nodal-officer", _writes("/grievances/{id}/resolve", RESOLVE), {}),
    )
]
