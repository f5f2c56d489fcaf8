"""Doors for camps and offline desks: devices and their numbers, uploads (tus 1.0.0, core and creation), downsync."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import gzip
import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import Field

from libs.common.clock import machine_now
from libs.common.paging import MOST
from libs.common.problem import problem
from libs.common.read_log import ReadLog
from libs.common.refusal import Refused
from libs.common.web import Body, Reading, Requested
from libs.contracts.registration import PatientCard
from services.registration import camp_desk
from services.registration.aggregates import CAMP_DEVICE, CAMP_UPLOAD
from services.registration.camp_desk import LARGEST_UPLOAD, Camp
from services.registration.domain.camp import LARGEST_BLOCK, Device, DeviceName, Format, RevokedFor, Upload, device_id
from services.registration.domain.identifiers import IsoDate, LgdCode, WithinReach
from services.registration.domain.queue import desk_day
from services.registration.domain.whereabouts import there
from services.registration.usecases import own_facility

TUS = "1.0.0"
TUS_VERSION = {"Tus-Version": TUS, "Tus-Resumable": TUS}
CHUNK = "application/offset+octet-stream"
DeviceKey = Annotated[
    str,
    Header(
        alias="X-Device-Key",
        max_length=100,
        description="The device's own, of POST …/enrol; needed from then on, and always for people",
    ),
]
TusVersion = Annotated[str, Header(alias="Tus-Resumable", max_length=20)]
UploadId = Annotated[str, Path(min_length=1, max_length=64)]
PLACE_KEPT = r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$"
NameInPath = Annotated[DeviceName, Path()]

_TAKEN_ALONG = (
    "id", "name", "sex", "birth_date", "birth_year", "guardian", "village", "district_lgd", "state_lgd", "language",
    "phone", "abha_number", "abha_address",
)  # fmt: skip


def _taken_along(card: PatientCard, on: dt.date) -> dict[str, Any]:
    now = there(card, on)
    away = None if now is card else now.model_dump(mode="json", include={"village", "district_lgd", "state_lgd"})
    return card.model_dump(mode="json", include=set(_TAKEN_ALONG)) | {"there": away}


class SetUpDevice(Body):
    device: DeviceName
    quota: int = Field(strict=True, ge=1, le=10_000, description="Card numbers that may be out at a time")
    districts: Annotated[tuple[LgdCode, ...], Field(max_length=10)] = Field(
        (), description="LGD codes of the districts whose people it may take along; not the facility's: by an officer"
    )


class AskForBlock(Body):
    size: int = Field(strict=True, ge=1, le=LARGEST_BLOCK)


class EnrolDevice(Body):
    pass


class RevokeDevice(Body):
    reason: RevokedFor


def device_shown(state: Device) -> dict[str, Any]:
    left = max(0, state.quota - (state.given - state.used))
    own = {"id": device_id(state.facility, state.device), "left": left}
    return own | state.model_dump(mode="json", exclude={"keys"}) | {"enrolled": state.keys > 0}


def upload_shown(id: str, state: Upload) -> dict[str, Any]:
    hidden = {"subject", "next_at"}
    return {"id": id} | {k: v for k, v in state.model_dump(mode="json").items() if k not in hidden}


def _tus(state: Upload) -> dict[str, str]:
    return {
        "Tus-Resumable": TUS,
        "Upload-Offset": str(state.offset),
        "Upload-Length": str(state.length),
        "Cache-Control": "no-store",
    }


def _another_tus() -> Response:
    detail = f"must be {TUS}"
    errors = [{"field": "Tus-Resumable", "detail": detail}]
    return problem(412, "tus-version", detail, errors=errors, headers=TUS_VERSION)


def metadata(header: str) -> dict[str, str]:
    """`Upload-Metadata` of tus: names, each with its value in Base64. Raises Refused naming the header."""
    found = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        name, _, value = pair.partition(" ")
        try:
            found[name] = base64.b64decode(value.encode("ascii"), validate=True).decode("utf-8")
        except (ValueError, binascii.Error):
            raise Refused("metadata-invalid", "must be names with Base64 values", field="Upload-Metadata") from None
    return found


def router(desk: Camp, read_log: ReadLog) -> APIRouter:
    routes = APIRouter(tags=["camps"])
    _devices(routes, desk)
    _uploads(routes, desk)
    _downsync(routes, desk, read_log)
    return routes


def _devices(routes: APIRouter, desk: Camp) -> None:
    @routes.post("/camp-devices", summary="Set up a device of one's own facility, or change its quota and districts")
    async def set_up(body: SetUpDevice, request: Requested) -> dict[str, Any]:
        districts = tuple(dict.fromkeys(body.districts))
        outcome = await camp_desk.set_up(desk, body.device, body.quota, districts, request.cause, request.access)
        return device_shown(outcome.state)

    @routes.get("/camp-devices/{device}", summary="A device: how many numbers are out")
    async def read(device: NameInPath, access: Reading) -> dict[str, Any]:
        return device_shown(await desk.journal.read(CAMP_DEVICE, device_id(own_facility(access), device), access))

    @routes.post("/camp-devices/{device}/blocks", status_code=201, summary="The next card numbers, to take along")
    async def block(device: NameInPath, body: AskForBlock, request: Requested, key: DeviceKey = "") -> dict[str, Any]:
        state, numbers = await camp_desk.give_block(desk, device, body.size, key, request.cause, request.access)
        return device_shown(state) | {"numbers": numbers}

    @routes.get("/camp-devices", summary="The devices of one's facility")
    async def listed(
        access: Reading,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        cursor: Annotated[str | None, Query(max_length=1000)] = None,
    ) -> dict[str, Any]:
        found, following = await desk.store.devices(access, limit, cursor)
        return {"devices": [device_shown(state) for state in found], "cursor": following}

    @routes.post("/camp-devices/{device}/enrol", status_code=201, summary="A key of its own; it ends the one before")
    async def enrol(device: NameInPath, body: EnrolDevice, request: Requested, key: DeviceKey = "") -> dict[str, Any]:
        """The first to a desk; one that has a key gets the next with it, or by an officer of its facility."""
        state, own = await camp_desk.enrol(desk, device, key, request.cause, request.access)
        return device_shown(state) | {"key": own}

    @routes.post("/camp-devices/{device}/revoke", summary="Lost or worn out: it gets and brings nothing any more")
    async def revoke(device: NameInPath, body: RevokeDevice, request: Requested) -> dict[str, Any]:
        outcome = await camp_desk.revoke(desk, device, body.reason, request.cause, request.access)
        return device_shown(outcome.state)


def _uploads(routes: APIRouter, desk: Camp) -> None:
    @routes.options("/camp-uploads", status_code=204, summary="What is understood of tus")
    async def understood() -> Response:
        about = {"Tus-Extension": "creation", "Tus-Max-Size": str(LARGEST_UPLOAD)}
        return Response(status_code=204, headers=TUS_VERSION | about)

    @routes.post("/camp-uploads", status_code=201, summary="Begin an upload (tus): metadata device and format")
    async def begin(
        request: Requested,
        response: Response,
        length: Annotated[int, Header(alias="Upload-Length", ge=1, le=LARGEST_UPLOAD)],
        said: Annotated[str, Header(alias="Upload-Metadata", max_length=1000)],
        key: DeviceKey = "",
        version: TusVersion = TUS,
    ) -> Any:
        if version != TUS:
            return _another_tus()
        about = metadata(said)
        format, device = about.get("format"), about.get("device", "")
        if format not in ("csv", "jsonl"):
            raise Refused("format-unknown", "format must be csv or jsonl", field="Upload-Metadata")
        kind: Format = "csv" if format == "csv" else "jsonl"
        outcome = await camp_desk.begin(desk, device, key, kind, length, request.sent, request.cause, request.access)
        response.headers["Location"] = f"/camp-uploads/{outcome.id}"
        response.headers.update(_tus(outcome.state))
        return upload_shown(outcome.id, outcome.state)

    @routes.head("/camp-uploads/{id}", summary="How many bytes have come (tus)")
    async def offset(id: UploadId, access: Reading) -> Response:
        return Response(headers=_tus(await desk.journal.read(CAMP_UPLOAD, id, access)))

    @routes.get("/camp-uploads/{id}", summary="How far an upload is")
    async def read(id: UploadId, access: Reading) -> dict[str, Any]:
        return upload_shown(id, await desk.journal.read(CAMP_UPLOAD, id, access))

    @routes.patch("/camp-uploads/{id}", status_code=204, summary="The next bytes (tus)")
    async def append(
        id: UploadId,
        access: Reading,
        request: Request,
        at: Annotated[int, Header(alias="Upload-Offset", ge=0, le=LARGEST_UPLOAD)],
        kind: Annotated[str, Header(alias="Content-Type")] = "",
        key: DeviceKey = "",
        version: TusVersion = TUS,
    ) -> Response:
        if version != TUS:
            return _another_tus()
        if kind != CHUNK:
            detail = f"must be {CHUNK}"
            return problem(415, "media-type", detail, errors=[{"field": "Content-Type", "detail": detail}])
        begun = await desk.journal.read(CAMP_UPLOAD, id, access)
        await camp_desk.device_of(desk, begun.device, key, access)
        try:
            state = await camp_desk.receive(desk, id, at, await request.body(), access)
        except Refused as refused:
            known = await desk.journal.read(CAMP_UPLOAD, id, access)
            errors = [{"field": "Upload-Offset", "detail": refused.detail}]
            return problem(409, refused.code, refused.detail, errors=errors, headers=_tus(known))
        return Response(status_code=204, headers=_tus(state))

    @routes.get("/camp-uploads/{id}/answers", summary="What became of each row, in order")
    async def answers(
        id: UploadId,
        access: Reading,
        cursor: Annotated[int, Query(ge=-1, le=10**9)] = -1,
        limit: Annotated[int, Query(ge=1, le=MOST)] = MOST,
    ) -> dict[str, Any]:
        state = await desk.journal.read(CAMP_UPLOAD, id, access)
        found = [one for one in await desk.store.answers(id, cursor, limit) if one["index"] < state.done]
        more = bool(found) and found[-1]["index"] + 1 < state.done
        return {"status": state.status, "answers": found, "cursor": found[-1]["index"] if more else None}


def _downsync(routes: APIRouter, desk: Camp, read_log: ReadLog) -> None:
    @routes.get(
        "/camp-devices/{device}/people",
        summary="A district's people to take along: JSON Lines by cursor, gzip where accepted; each reading logged",
        responses={200: {"content": {"application/x-ndjson": {}}}},
    )
    async def people(
        device: NameInPath,
        access: Reading,
        district: Annotated[int, Query(ge=1, le=999_999)],
        on: Annotated[
            dt.date | None, IsoDate, WithinReach, Query(description="The day of the camp; today if left out")
        ] = None,
        cursor: Annotated[str, Query(pattern=PLACE_KEPT, description="As the last line of a page gave it")] = "",
        limit: Annotated[int, Query(ge=1, le=MOST)] = MOST,
        accept: Annotated[str, Header(alias="Accept-Encoding")] = "",
        key: DeviceKey = "",
    ) -> Response:
        """The last line is `{"cursor": …}`: null at the end. A cursor is a place that stays, also after a week. Who
        moves with the seasons is where they are on that day, which `there` says."""
        await camp_desk.takes_along(desk, device, key, district, access)
        day = on or desk_day(machine_now())
        found, following = await desk.store.people(access, district, day, cursor, limit)
        await read_log.record(access, patient=[id for id, _ in found])
        lines = [_taken_along(card, day) for _, card in found]
        body = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in [*lines, {"cursor": following}]).encode()
        headers = {"Vary": "Accept-Encoding", "Cache-Control": "no-store"}
        if "gzip" in accept:
            return Response(
                gzip.compress(body, 6),
                media_type="application/x-ndjson",
                headers=headers | {"Content-Encoding": "gzip"},
            )
        return Response(body, media_type="application/x-ndjson", headers=headers)
