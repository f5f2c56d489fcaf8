"""Requests about beds and clinics' hours: how many there are, promised and free."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from libs.common.access import Forbidden
from libs.common.numbers import Whole
from libs.common.service import Service
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import Code, Instant
from services.referral import beds, store
from services.referral.domain.destinations import kinds_of
from services.referral.domain.ledger import Ledger
from services.referral.store import FACILITY

MOST_SLOTS = 200


class BedsShown(BaseModel):
    """Of one kind: those that stand there, those promised to referrals, and the rest. `over` is how many more are
    promised than stand there, where beds were taken away since."""

    kind: str
    total: int
    reserved: int
    free: int
    over: int = 0
    referrals: list[str]


class BedList(BaseModel):
    items: list[BedsShown]


class SlotsBody(Body):
    """`places` in the clinic's hours that begin at `at`."""

    clinic: Code
    at: Instant
    places: Annotated[Whole, Field(ge=0, le=500)]


class SlotsShown(BaseModel):
    clinic: str
    at: Instant | None
    total: int
    reserved: int
    free: int

    @classmethod
    def of(cls, state: Ledger) -> SlotsShown:
        return cls(clinic=state.kind, at=state.at, total=state.total, reserved=len(state.open), free=state.free)


class SlotList(BaseModel):
    items: list[SlotsShown]


def router(service: Service) -> APIRouter:
    routes = APIRouter()

    @routes.get("/facilities/{code}/beds", tags=["reservations"])
    async def shown_beds(code: str, access: Reading) -> BedList:
        """A facility's beds by kind as its ledgers have them now. How many stand there it says itself
        (`beds_by_kind`)."""
        card = (await service.journal.read(FACILITY, code, access)).card
        ledgers = {each.kind: each for each in await store.ledgers_of(service.database, code, "bed")}
        kinds = kinds_of(card)
        items = []
        for kind in sorted(kinds.keys() | {kind for kind, state in ledgers.items() if state.open}):
            promised = ledgers[kind].open if kind in ledgers else ()
            total = kinds.get(kind, 0)
            items.append(
                BedsShown(
                    kind=kind,
                    total=total,
                    reserved=len(promised),
                    free=max(0, total - len(promised)),
                    over=max(0, len(promised) - total),
                    referrals=[each.referral for each in promised] if access.caller.facility == code else [],
                )
            )
        return BedList(items=items)

    @routes.get("/facilities/{code}/slots", tags=["reservations"])
    async def slots(
        code: str,
        access: Reading,
        clinic: Annotated[Code | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_SLOTS)] = 50,
    ) -> SlotList:
        """Coming hours of a facility's clinics that have a place left, the soonest first."""
        await service.journal.read(FACILITY, code, access)
        found = await store.free_slots(service.database, code, clinic, service.clock.now(), limit)
        return SlotList(items=[SlotsShown.of(each) for each in found])

    @routes.put("/facilities/{code}/slots", tags=["reservations"])
    async def set_slots(code: str, body: SlotsBody, request: Requested) -> SlotsShown:
        """My facility says how many places a clinic has; never fewer than are promised."""
        if request.caller.facility != code:
            raise Forbidden("your facility must be the clinic's")
        outcome = await beds.set_slots(
            service.journal, service.clock, code, body.clinic, body.at, body.places, request.cause, request.access
        )
        return SlotsShown.of(outcome.state)

    return routes
