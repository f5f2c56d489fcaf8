"""FHIR R4: read, search and match patients (NRCeS profile). Searches by personal data are POST `_search`."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.parse
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from libs.common.aadhaar import without_aadhaar
from libs.common.access import Access
from libs.common.fhir import JSON, Fhir, FhirRoute
from libs.common.web import Reading
from services.registration.aggregates import PATIENT
from services.registration.domain import identifiers
from services.registration.domain.fhir_patient import (
    GENDERS,
    bundle,
    capabilities,
    check_asked,
    fits_birth,
    from_fhir,
    graded,
    outcome,
    to_fhir,
)
from services.registration.domain.matching.person import read_identifier
from services.registration.domain.papers_of_identity import folded
from services.registration.domain.patient import Patient
from services.registration.domain.who import KINDS, identifier_key
from services.registration.matching_api import Desk, glimpse
from services.registration.store import Store

RELEASED = "2026-11-20"
NAMES = ("name", "given", "family")
ASKED = frozenset({"_id", "identifier", *NAMES, "phone", "telecom", "birthdate", "gender", "_count", "_format"})
MOST = 100
_INDIAN = re.compile(r"\s*\+91(?:[\s\-().]*\d){10}\s*")
"""A phone with +91 and ten digits, which may look like an Aadhaar number and is none."""
RecordId = Annotated[str, Path(min_length=1, max_length=64)]


def router(desk: Desk, store: Store) -> APIRouter:
    routes = APIRouter(prefix="/fhir", tags=["FHIR"], default_response_class=Fhir, route_class=FhirRoute)

    @routes.get("/metadata", summary="CapabilityStatement")
    async def metadata() -> Fhir:
        return Fhir(capabilities(RELEASED))

    @routes.get("/Patient/{id}", summary="One patient; a merged one says what it was replaced by")
    async def read(id: RecordId, access: Reading) -> Fhir:
        patient = await desk.journal.read(PATIENT, id, access)
        if patient.status == "erased":
            return Fhir(outcome("deleted", "This record was erased."), status_code=410)
        await desk.read_log.record(access, patient=id)
        return Fhir(await _whole(store, id, patient))

    @routes.post("/Patient/_search", summary="Search one's own facility's patients; logged for each found")
    async def search(request: Request, access: Reading) -> Fhir:
        try:
            said = _posted(await request.body())
        except ValueError as error:
            return Fhir(outcome("invalid", str(error)), status_code=400)
        return await _searched(desk, store, said, access)

    @routes.get("/Patient", summary="By _id only: what is personal is searched by POST _search")
    async def by_id(request: Request, access: Reading) -> Fhir:
        said = dict(request.query_params)
        if not said.get("_id") or set(said) - {"_id", "_count", "_format"}:
            personal = "only _id: what is personal stands in no address, and is searched by POST Patient/_search"
            return Fhir(outcome("not-supported", personal), status_code=400)
        return await _searched(desk, store, said, access)

    @routes.post("/Patient/$match", summary="Who may this be? Scored, of all facilities; little is shown of elsewhere")
    async def match(request: Request, access: Reading) -> Fhir:
        try:
            asked, certain, count = _parameters(await request.body())
        except ValueError as error:
            return Fhir(outcome("invalid", str(error)), status_code=400)
        found, _ = await desk.known.candidates("asked", asked)
        documents = await asyncio.gather(*(desk.journal.load(PATIENT, one.patient) for one in found))
        known = [
            (one, Patient.model_validate(document["state"]))
            for one, document in zip(found, documents, strict=True)
            if document is not None and (one.band == "same" or not certain)
        ][: 1 if certain else count]
        await desk.read_log.record(access, patient=[one.patient for one, _ in known])
        return Fhir(bundle([graded(_shown(one.patient, state, access.caller.facility), one) for one, state in known]))

    return routes


async def _searched(desk: Desk, store: Store, said: dict[str, str], access: Access) -> Fhir:
    try:
        wanted = _wanted(said)
    except ValueError as error:
        return Fhir(outcome("invalid", str(error)), status_code=400)
    more = None
    if id := said.get("_id"):
        document = await desk.journal.load(PATIENT, id)
        found = [document] if document and access.caller.facility in document["state"]["facilities"] else []
    else:
        found, more = await store.search(
            access,
            phone=wanted["phone"],
            abha=wanted["abha"],
            name=None,
            name_starts=None,
            limit=wanted["count"] or MOST,
            cursor=None,
            keys=_keys_of(wanted["other"], access.caller.facility) if wanted["other"] else (),
            word=max(wanted["words"], key=len, default=None),
        )
    states = [(one["_id"], Patient.model_validate(one["state"])) for one in found]
    kept = [(id, state) for id, state in states if state.status != "erased" and _also(state, said, wanted)]
    if wanted["count"] == 0:
        return Fhir(bundle([], whole=more is None, counted=len(kept)))
    await desk.read_log.record(access, patient=[id for id, _ in kept])
    resources = await asyncio.gather(*(_whole(store, id, state) for id, state in kept))
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    return Fhir(bundle(entries, whole=more is None))


async def _whole(store: Store, id: str, state: Patient) -> dict[str, Any]:
    return to_fhir(id, state.card, sorted(await store.merged_into(id)))


def _keys_of(value: str, facility: str) -> tuple[str, ...]:
    """What a record with this identifier is found by, of whichever type; a record number is one's own facility's."""
    plain = read_identifier(folded(value))
    kinds = [identifier_key(kind, plain) for kind in KINDS if kind != "mrn"]
    return (*kinds, identifier_key("mrn", read_identifier(f"{facility}{folded(value)}")))


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
        raise ValueError(f"{_said_back(unknown[0])} is no parameter of this search")
    if said.get("_format", "json") not in JSON:
        raise ValueError("_format must be json")
    if said.get("gender", "") not in ("", *GENDERS):
        raise ValueError(f"gender must be one of {', '.join(GENDERS)}")
    try:
        called = (said.get("phone") or said.get("telecom") or "").rpartition("|")[2]
        phone = identifiers.phone(called) if _has_phone(said) else None
    except ValueError as error:
        raise ValueError(f"phone {error}") from None
    abha, other = None, ""
    if value := said.get("identifier", "").rpartition("|")[2].strip():
        try:
            if "@" in value:
                abha = f"abha-address:{identifiers.abha_address(value)}"
            elif number := identifiers.abha_digits(value):
                abha = f"abha-number:{number}"
            else:
                other = without_aadhaar(value)
        except ValueError as error:
            raise ValueError(f"identifier {error}") from None
    if birth := said.get("birthdate"):
        fits_birth("1970", birth)
    names = {field: said[field] for field in NAMES if field in said}
    for field, name in names.items():
        if not identifiers.fold(name):
            raise ValueError(f"{field} must contain a letter")
        if len(name) > identifiers.NAME_AT_MOST:
            raise ValueError(f"{field} must be at most {identifiers.NAME_AT_MOST} characters")
        if identifiers.contains_aadhaar(name):
            raise ValueError(f"{field} {identifiers.COULD_BE}")
    if not (phone or abha or other or names or said.get("_id")):
        raise ValueError("give _id, identifier, phone or name")
    words = identifiers.words(" ".join(names.values()))
    return {"phone": phone, "words": words, "abha": abha, "other": other, "count": _count(said)}


def _said_back(name: str) -> str:
    """A parameter's name, unless it could be something about a person."""
    return name if re.fullmatch(r"_?[a-zA-Z][a-zA-Z:-]{0,29}", name) else "one of these"


def _has_phone(said: dict[str, str]) -> bool:
    return bool(said.get("phone") or said.get("telecom"))


def _count(said: dict[str, str]) -> int:
    """How many are shown at most; of none, only how many there are is said. Raises ValueError."""
    text = said.get("_count", "20")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError("_count must be a whole number from 0")
    return min(int(text), MOST)


def _posted(raw: bytes) -> dict[str, str]:
    """Each parameter once; of names, that may come several times, all that was said. Raises ValueError."""
    try:
        found = urllib.parse.parse_qs(raw.decode(), max_num_fields=50, errors="strict")
    except ValueError:
        raise ValueError("must be a form in UTF-8") from None
    for name, values in found.items():
        if len(values) > 1 and name not in NAMES:
            raise ValueError(f"{name if name in ASKED else 'a parameter'} must come once")
    return {name: " ".join(values) for name, values in found.items()}


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every text in a resource, and numbers as texts, with where it stands."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, f"{place}.{name}" if name.isidentifier() and len(name) <= 30 else place)
            yield place, name
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, place)
    elif isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        yield place, str(value)


def _also(state: Patient, said: dict[str, str], wanted: dict[str, Any]) -> bool:
    """Whether everything that was asked applies, also what the query did not ask for."""
    card = state.card
    if wanted["phone"] not in (None, card.phone) or said.get("gender") not in (None, "", card.sex):
        return False
    own = identifiers.words(card.name)
    if not all(any(word.startswith(asked) for word in own) for asked in wanted["words"]):
        return False
    if wanted["other"] and folded(wanted["other"]) not in {folded(one.value) for one in card.identifiers}:
        return False
    addresses = {f"abha-address:{address}" for address in (card.abha_address, *state.addresses)}
    if wanted["abha"] and wanted["abha"] not in {f"abha-number:{card.abha_number}", *addresses}:
        return False
    if not said.get("birthdate"):
        return True
    born = card.birth_date.isoformat() if card.birth_date else f"{card.birth_year:04d}" if card.birth_year else ""
    return bool(born) and fits_birth(born, said["birthdate"])


def _parameters(raw: bytes) -> tuple[dict[str, Any], bool, int]:
    """The card asked for, whether only sure matches are wanted, and how many. Raises ValueError."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("must be Parameters in JSON") from None
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise ValueError("must be Parameters")
    said: dict[str, Any] = {}
    parameters = body.get("parameter")
    for one in parameters if isinstance(parameters, list) else []:
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            said[one["name"]] = one
    resource = said.get("resource", {}).get("resource")
    if not isinstance(resource, dict) or resource.get("resourceType") != "Patient":
        raise ValueError("the parameter resource must be a Patient")
    for place, text in _texts(resource, "Patient"):
        if identifiers.contains_aadhaar(text) and not (place == "Patient.telecom.value" and _INDIAN.fullmatch(text)):
            raise ValueError(f"{place} {identifiers.COULD_BE}")
    card = from_fhir(resource)
    check_asked(resource, card)
    count = said.get("count", {"valueInteger": 10}).get("valueInteger")
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError("the parameter count must be a valueInteger from 1")
    certain = said.get("onlyCertainMatches", {"valueBoolean": False}).get("valueBoolean")
    if not isinstance(certain, bool):
        raise ValueError("the parameter onlyCertainMatches must be a valueBoolean")
    return card, certain, min(count, MOST)
