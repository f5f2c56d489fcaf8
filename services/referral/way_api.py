"""Requests about the way there, and about the slip that the patient carries."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from libs.common.access import allow
from libs.common.numbers import Real
from libs.common.service import Service
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import Code
from libs.contracts.registration import PatientCard
from services.referral import slip_page, way
from services.referral.answers import ReferralAnswer
from services.referral.directory import located
from services.referral.domain import codes
from services.referral.domain.way_message import LONGEST
from services.referral.slip_page import Sheet
from services.referral.slips import SlipKey
from services.referral.store import REFERRAL
from services.referral.usecases import Surroundings

Vehicle = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9 -]{1,18}[A-Z0-9]$")]
"""A registration number or a flight's call sign, never a driver's name."""


class TransportRequestBody(Body):
    """`needs`: oxygen, stretcher, attendant, incubator."""

    mode: codes.DepartMode | None = None
    needs: Annotated[tuple[Code, ...], Field(max_length=8)] = ()


class TransportAssignBody(Body):
    mode: codes.DepartMode
    vehicle: Vehicle | None = None


class PositionBody(Body):
    latitude: Annotated[Real, Field(ge=-90, le=90)]
    longitude: Annotated[Real, Field(ge=-180, le=180)]


class Nothing(Body):
    """Nothing needs to be said."""


class MessageBody(Body):
    """An SMS as it came: `HH CODE POS 34.15 77.58`, `DEP ARMY`, `HELD PASS 6`, `DONE`."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST)]


class ScanBody(Body):
    """What the square says. `occurred_at`: when it was scanned, if there was no link then."""

    slip: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class SlipKeys(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    model_config = ConfigDict(frozen=True)

    keys: list[dict[str, str]]


def router(service: Service, around: Surroundings, key: SlipKey, fonts: Path) -> APIRouter:
    """`fonts` is the folder of data/fonts."""
    routes = APIRouter()
    _transport(routes, service, around)
    _slips(routes, service, around, key, located(fonts))
    return routes


def _transport(routes: APIRouter, service: Service, around: Surroundings) -> None:
    secret = service.settings.secret("slip_key")

    async def step(id: str, command: str, said: dict[str, Any], request: Requested) -> ReferralAnswer:
        outcome = await way.step(service.journal, service.clock, id, command, said, request.cause, request.access)
        return ReferralAnswer.of(outcome.id, outcome.state)

    @routes.post("/referrals/{id}/transport/request", tags=["transport"])
    async def ask(id: str, body: TransportRequestBody, request: Requested) -> ReferralAnswer:
        """A vehicle is needed. The referral goes on whether one comes or not."""
        return await step(id, "request", {"mode": body.mode, "needs": body.needs}, request)

    @routes.post("/referrals/{id}/transport/assign", tags=["transport"])
    async def assign(id: str, body: TransportAssignBody, request: Requested) -> ReferralAnswer:
        """What the patient goes with. `leg.code` is what an SMS names the journey by."""
        said = {"mode": body.mode, "vehicle": body.vehicle, "code": way.code_of(id, secret)}
        return await step(id, "assign", said, request)

    @routes.post("/referrals/{id}/transport/position", tags=["transport"])
    async def position(id: str, body: PositionBody, request: Requested) -> ReferralAnswer:
        """Where the patient is on the way."""
        return await step(id, "position", {"latitude": body.latitude, "longitude": body.longitude}, request)

    @routes.post("/referrals/{id}/transport/hand-over", tags=["transport"])
    async def hand_over(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """Handed over at the destination. Arriving is the desk's own move, before or after."""
        return await step(id, "hand-over", {}, request)

    @routes.post("/transport/messages", tags=["transport"])
    async def message(body: MessageBody, request: Requested) -> ReferralAnswer:
        """An SMS about a journey."""
        outcome = await way.message(service.journal, around, service.clock, body.text, request.cause, request.access)
        return ReferralAnswer.of(outcome.id, outcome.state)


def _slips(routes: APIRouter, service: Service, around: Surroundings, key: SlipKey, fonts: Path) -> None:
    @routes.get("/referrals/{id}/slip", tags=["slips"], response_class=Response)
    async def slip(
        id: str,
        access: Reading,
        language: Annotated[str | None, Query(max_length=3, description="hi, ur, bo, lbj; else the patient's")] = None,
    ) -> Response:
        """The slip as a PDF in English and one other language, with the square that the desk scans."""
        state = await service.journal.read(REFERRAL, id, access)
        await service.read_log.record(access, patient=state.patient)
        known, cards = await asyncio.gather(around.patients.get(state.patient), around.country.cards())
        patient = known if isinstance(known, PatientCard) else None
        now = service.clock.now()
        sheet = Sheet(
            id, key.sign(id, state, now), state, patient, cards.get(state.origin), cards.get(state.destination)
        )
        pdf = await asyncio.to_thread(slip_page.draw, sheet, slip_page.language_of(language, patient), fonts, now)
        return Response(pdf, media_type="application/pdf", headers={"Cache-Control": "no-store"})

    @routes.get("/slips/keys", tags=["slips"])
    async def keys() -> SlipKeys:
        """With what a desk without a network checks slips: to be fetched while there is one."""
        return SlipKeys.model_validate(key.key_set)

    @routes.post("/slips/scan", tags=["slips"])
    async def scan(body: ScanBody, request: Requested) -> ReferralAnswer:
        """The desk scans a slip: the patient has arrived. A slip that is forged, too old or for elsewhere is refused,
        with the reason."""
        access = dataclasses.replace(request.access, rule=allow("desk", at=("destination", "answered_by")))
        outcome = await way.scan(service.journal, service.clock, key, body.slip, request.cause, access)
        return ReferralAnswer.of(outcome.id, outcome.state)
