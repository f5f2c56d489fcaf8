"""FHIR R4: read, search and match patients (NRCeS profile). Searches by personal data are POST `_search`."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse

from libs.common.web import Reading
from services.registration import matching
from services.registration.aggregates import PATIENT
from services.registration.domain import identifiers
from services.registration.domain.fhir_patient import bundle, capabilities, from_fhir, graded, outcome, to_fhir
from services.registration.domain.patient import Patient
from services.registration.matching_api import Desk, glimpse
from services.registration.store import Store

RELEASED = "2026-11-20"
ASKED = frozenset({"_id", "identifier", "name", "phone", "telecom", "birthdate", "gender", "_count"})
MOST = 100
RecordId = Annotated[str, Path(min_length=1, max_length=64)]


class Fhir(JSONResponse):
    media_type = "application/fhir+json"


def router(desk: Desk, store: Store) -> APIRouter:
    routes = APIRouter(prefix="/fhir", tags=["FHIR"], default_response_class=Fhir)

    @routes.get("/metadata", summary="CapabilityStatement")
    async def metadata() -> Fhir:
        return Fhir(capabilities(RELEASED))

    @routes.get("/Patient/{id}", summary="One patient; a merged one says what it was replaced by")
    async def read(id: RecordId, access: Reading) -> Fhir:
        patient = await desk.journal.read(PATIENT, id, access)
        await desk.read_log.record(access, patient=id)
        return Fhir(to_fhir(id, patient.card, await matching.merged_from(desk.database, id)))

    @routes.post("/Patient/_search", summary="Search one's own facility's patients; logged for each found")
    async def search(request: Request, access: Reading) -> Fhir:
        said = {name: values[-1] for name, values in urllib.parse.parse_qs((await request.body()).decode()).items()}
        try:
            wanted = _wanted(said)
        except ValueError as error:
            return Fhir(outcome("invalid", str(error)), status_code=400)
        if id := said.get("_id"):
            document = await desk.journal.load(PATIENT, id)
            found = [document] if document else []
            found = [one for one in found if access.caller.facility in one["state"]["facilities"]]
        else:
            found, _ = await store.search(access, **wanted, name_starts=None, limit=_count(said), cursor=None)
        states = [(one["_id"], Patient.model_validate(one["state"])) for one in found]
        kept = [(id, state) for id, state in states if _also(state, said)]
        await asyncio.gather(*(desk.read_log.record(access, patient=id) for id, _ in kept))
        return Fhir(bundle([{"resource": to_fhir(id, state.card), "search": {"mode": "match"}} for id, state in kept]))

    @routes.post("/Patient/$match", summary="Who may this be? Scored, of all facilities; little is shown of elsewhere")
    async def match(request: Request, access: Reading) -> Fhir:
        try:
            asked, certain, count = _parameters(await request.body())
        except ValueError as error:
            return Fhir(outcome("invalid", str(error)), status_code=400)
        found, _ = await desk.known.candidates("asked", asked)
        documents = await asyncio.gather(*(desk.journal.load(PATIENT, one.patient) for one in found))
        entries = []
        for one, document in zip(found, documents, strict=True):
            if document is None or (certain and one.band != "same"):
                continue
            state = Patient.model_validate(document["state"])
            entries.append(graded(_shown(one.patient, state, access.caller.facility), one))
            await desk.read_log.record(access, patient=one.patient)
        return Fhir(bundle(entries[: 1 if certain else count]))

    return routes


def _shown(id: str, state: Patient, facility: str) -> dict[str, Any]:
    if facility in state.facilities:
        return to_fhir(id, state.card)
    little = glimpse(state.card)
    return {
        "resourceType": "Patient",
        "id": id,
        "name": [{"text": little["initials"]}],
        "gender": little["sex"],
        **({"birthDate": f"{little['birth_year']:04d}"} if little["birth_year"] else {}),
    }


def _wanted(said: dict[str, str]) -> dict[str, Any]:
    """Raises ValueError naming the parameter, never its value."""
    if unknown := sorted(set(said) - ASKED):
        raise ValueError(f"{unknown[0]} is no parameter of this search")
    try:
        phone = identifiers.phone(said.get("phone") or said.get("telecom") or "") if _has_phone(said) else None
    except ValueError as error:
        raise ValueError(f"phone {error}") from None
    abha = None
    if value := said.get("identifier", "").rpartition("|")[2]:
        try:
            number = "@" not in value
            read = identifiers.abha_number(value) if number else identifiers.abha_address(value)
            abha = f"abha-{'number' if number else 'address'}:{read}"
        except ValueError as error:
            raise ValueError(f"identifier {error}") from None
    name = said.get("name")
    if not (phone or abha or name or said.get("_id")):
        raise ValueError("give _id, identifier, phone or name")
    if name is not None and not identifiers.fold(name):
        raise ValueError("name must contain a letter")
    return {"phone": phone, "name": name, "abha": abha}


def _has_phone(said: dict[str, str]) -> bool:
    return bool(said.get("phone") or said.get("telecom"))


def _count(said: dict[str, str]) -> int:
    text = said.get("_count", "20")
    return min(max(int(text), 1), MOST) if text.isascii() and text.isdigit() else 20


def _also(state: Patient, said: dict[str, str]) -> bool:
    born = state.card.birth_date.isoformat() if state.card.birth_date else str(state.card.birth_year or "")
    if (birth := said.get("birthdate", "").removeprefix("eq")) and not born.startswith(birth):
        return False
    return said.get("gender") in (None, "", state.card.sex)


def _parameters(raw: bytes) -> tuple[dict[str, Any], bool, int]:
    """The card asked for, whether only sure matches are wanted, and how many. Raises ValueError."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("must be Parameters in JSON") from None
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise ValueError("must be Parameters")
    said: dict[str, Any] = {}
    for one in body.get("parameter") or []:
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            said[one["name"]] = one
    resource = said.get("resource", {}).get("resource")
    if not isinstance(resource, dict) or resource.get("resourceType") != "Patient":
        raise ValueError("the parameter resource must be a Patient")
    if identifiers.contains_aadhaar(json.dumps({**resource, "telecom": None}, ensure_ascii=False)):
        raise ValueError("what looks like an Aadhaar number is never taken")
    count = said.get("count", {}).get("valueInteger", 10)
    certain = said.get("onlyCertainMatches", {}).get("valueBoolean") is True
    return from_fhir(resource), certain, count if isinstance(count, int) and 1 <= count <= MOST else 10
