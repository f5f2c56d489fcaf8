"""A few routes over the ledger, as a service would have them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from libs.common.access import Table, allow
from libs.common.paging import page
from libs.common.service import Service
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import FacilityCode
from tests.toy.ledger import LEDGER, Ledger, Noted, accepted, asked

ACCESS: Table = {
    "POST /asks": allow("doctor", at="origin"),
    "POST /asks/{id}/accept": allow("doctor", at="destination"),
    "GET /asks": allow("doctor", at=("origin", "destination")),
    "GET /asks/{id}": allow("doctor", at=("origin", "destination"), reads_person=True),
    "POST /open": allow("citizen", "anonymous"),
    "GET /boom": allow("doctor"),
}


class Ask(Body):
    destination: FacilityCode
    reason: str = Field("", max_length=40)


class Note(Body):
    text: str


def _answer(id: str, state: Ledger) -> dict[str, Any]:
    return {"id": id, "asked": state.asked, "accepted": state.accepted}


def routes(service: Service) -> APIRouter:
    router = APIRouter()

    @router.post("/asks", status_code=201)
    async def ask(body: Ask, request: Requested) -> dict[str, Any]:
        event = asked(request.caller.facility, body.destination, body.reason)
        outcome = await service.journal.create(
            LEDGER, request.cause.new_id("referral"), lambda s: [event], request.cause, request.access
        )
        return _answer(outcome.id, outcome.state)

    @router.post("/asks/{id}/accept")
    async def accept(id: str, request: Requested) -> dict[str, Any]:
        outcome = await service.journal.append(
            LEDGER, id, lambda s: [accepted()] if s else [], request.cause, request.access
        )
        return _answer(outcome.id, outcome.state)

    @router.get("/asks")
    async def asks(access: Reading, limit: int = 50, cursor: str | None = None) -> dict[str, Any]:
        found, after = await page(
            service.database["referrals"], access.filter(), sort="state.origin", limit=limit, cursor=cursor
        )
        return {"items": [document["_id"] for document in found], "next": after}

    @router.get("/asks/{id}")
    async def read(id: str, access: Reading) -> dict[str, Any]:
        state = await service.journal.read(LEDGER, id, access)
        await service.read_log.record(access, patient="p")
        return _answer(id, state)

    @router.post("/open", status_code=201)
    async def tell(body: Note, request: Requested) -> dict[str, Any]:
        outcome = await service.journal.create(
            LEDGER, request.cause.new_id("note"), lambda s: [Noted(text=body.text)], request.cause, request.access
        )
        return {"id": outcome.id, "actor": request.cause.actor}

    @router.get("/boom")
    async def boom() -> None:
        raise RuntimeError("Marked Name +915550000001")

    return router
