"""The ABDM door: Scan & Share v3. Its caller proves itself by the gateway's keys, not by our issuer's."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from libs.common import tracing
from libs.common.access import PUBLIC, Access, Caller
from libs.common.cause import request_cause
from libs.common.clock import Clock, machine_now
from libs.common.journal import KeyReused
from libs.common.problem import problem
from libs.common.refusal import Refused
from libs.common.tokens import KeySet, Unauthenticated
from libs.common.web import AHEAD, BEHIND, bearer_of, fingerprint_of
from services.registration import usecases
from services.registration.access import OLDER_SHARES, SHARE
from services.registration.domain.queue import desk_day
from services.registration.domain.share import Shape
from services.registration.older_profile import todays_shape
from services.registration.profile import SharedProfile, ShareRefused, read_profile
from services.registration.usecases import House, Profile

GATEWAY = "abdm-gateway"
ROUTE = f"POST {SHARE}"

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]{7,63}")
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z", re.ASCII)

_DOCUMENTED: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": about}
        for name, about in (
            ("REQUEST-ID", "The gateway's id of this request; a repeat gets its first answer"),
            ("TIMESTAMP", "UTC with Z, as in 2026-11-20T03:30:00.000Z"),
            ("X-HIP-ID", "The facility's HFR id, equal to metaData.hipId"),
            ("Authorization", "Bearer token of the ABDM gateway (RS256)"),
        )
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {
                    "intent": "PROFILE_SHARE",
                    "metaData": {
                        "hipId": "IN9900000001",
                        "context": "OPD1",
                        "hprId": None,
                        "latitude": None,
                        "longitude": None,
                    },
                    "profile": {
                        "patient": {
                            "abhaNumber": None,
                            "abhaAddress": "somebody@sbx",
                            "name": "Tsering Dolma",
                            "gender": "F",
                            "dayOfBirth": None,
                            "monthOfBirth": None,
                            "yearOfBirth": "1986",
                            "address": {"line": None, "district": None, "state": None, "pincode": None},
                            "phoneNumber": "5550123456",
                        }
                    },
                },
            }
        },
    },
}


@dataclass(frozen=True)
class Door:
    """`strict_time`: a TIMESTAMP ahead of this machine is refused (not while a recorded day is played)."""

    house: House
    keys: KeySet
    clock: Clock
    strict_time: bool


def router(door: Door) -> APIRouter:
    routes = APIRouter()

    @routes.post(SHARE, status_code=202, tags=["ABDM"], summary="Scan & Share v3", openapi_extra=_DOCUMENTED)
    async def share(request: Request) -> JSONResponse:
        return await _answered(door, request, "v3")

    async def older_share(request: Request) -> JSONResponse:
        return await _answered(door, request, "2023")

    for path in OLDER_SHARES:
        routes.add_api_route(
            path, older_share, methods=["POST"], status_code=202, tags=["ABDM"], summary="Scan & Share as of 2023",
            openapi_extra={"parameters": _DOCUMENTED["parameters"]},
        )  # fmt: skip
    return routes


async def _answered(door: Door, request: Request, shape: Shape) -> JSONResponse:
    try:
        return JSONResponse(await _share(door, request, shape), status_code=202)
    except ShareRefused as refusal:
        return problem(
            refusal.status,
            "share-refused",
            refusal.detail,
            errors=[{"field": refusal.field, "detail": refusal.detail}],
            error={"code": refusal.code, "message": f"{refusal.field} {refusal.detail}"},
        )


async def _share(door: Door, request: Request, shape: Shape) -> dict[str, Any]:
    await _prove_gateway(door, request)
    request_id = _header(request, "REQUEST-ID", _REQUEST_ID, "ABDM-2401", "must be the gateway's id of this request")
    sent = _sent(door, request)
    body = await _body(request)
    said = body if shape == "v3" else todays_shape(body, request.headers.get("x-hip-id", ""))
    shared = read_profile(said, desk_day(sent), door.house.places)
    if request.headers.get("x-hip-id") != shared.hip_id:
        raise ShareRefused("ABDM-1035", "X-HIP-ID", "must equal metaData.hipId")
    card = await door.house.store.facility_of(shared.hip_id)
    if card is None:
        raise ShareRefused("ABDM-1035", "metaData.hipId", "is no facility of ours", status=404)
    door.clock.saw(sent)
    caller = Caller(GATEWAY, GATEWAY, card["code"])
    cause = request_cause(
        GATEWAY,
        ROUTE,
        request_id,
        fingerprint=fingerprint_of(ROUTE, SHARE, body),
        actor=caller.actor,
        occurred_at=sent,
        traceparent=tracing.current(),
    )
    try:
        outcome = await usecases.share(
            door.house, request_id, _profile(door, shared, card, shape), cause, Access(caller, PUBLIC, ROUTE)
        )
    except KeyReused:
        raise ShareRefused("ABDM-1006", "REQUEST-ID", "came before with another body", status=422) from None
    except Refused as refusal:
        field = "metaData.context" if refusal.field == "counter" else refusal.field or "profile.patient"
        raise ShareRefused("ABDM-1010", field, refusal.detail, status=422) from None
    state = outcome.state
    return {"patient": state.patient, "visit": state.visit, "tokenNumber": str(state.number)}


async def _prove_gateway(door: Door, request: Request) -> None:
    try:
        token = bearer_of(request)
        if token is None:
            raise Unauthenticated("the gateway's bearer token is needed")
        await door.keys.verify(token, algorithms=("RS256",))
    except Unauthenticated as error:
        raise ShareRefused("900901", "Authorization", str(error), status=401) from None


def _header(request: Request, name: str, form: re.Pattern[str], code: str, detail: str) -> str:
    value = request.headers.get(name, "").strip()
    if not form.fullmatch(value):
        raise ShareRefused(code, name, detail)
    return value


def _sent(door: Door, request: Request) -> dt.datetime:
    detail = "must be UTC with Z, like 2026-11-20T03:30:00.000Z"
    text = _header(request, "TIMESTAMP", _TIMESTAMP, "ABDM-1016", detail)
    try:
        sent = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ShareRefused("ABDM-1016", "TIMESTAMP", detail) from None
    if door.strict_time and sent > machine_now() + AHEAD:
        raise ShareRefused("ABDM-1016", "TIMESTAMP", "must not be ahead of the time")
    if sent < machine_now() - BEHIND:
        raise ShareRefused("ABDM-1016", "TIMESTAMP", "must not be more than ten years ago")
    return sent


async def _body(request: Request) -> Any:
    try:
        body = json.loads(await request.body())
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise ShareRefused("ABDM-1006", "body", "must be JSON in UTF-8") from None
    return body


def _profile(door: Door, shared: SharedProfile, card: dict[str, Any], shape: Shape) -> Profile:
    """Nobody asked for the language: it is that of the person's state, or of the facility's."""
    language = door.house.places.language(shared.state_lgd or card.get("state_lgd"))
    return Profile(shared.details.model_copy(update={"language": language}), card["code"], shared.counter, shape)
