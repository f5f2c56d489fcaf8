"""FHIR R4: read, search, and receive from outside with the same rules as ours."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from libs.common import tracing
from libs.common.access import Access, allow
from libs.common.cause import request_cause
from libs.common.fhir import JSON, Fhir, FhirRoute
from libs.common.journal import NotFound
from libs.common.mongo import Document
from libs.common.refusal import Refused
from libs.common.service import Service
from libs.common.web import Reading, Write, fingerprint_of, reading, time_of_sending
from services.referral import fhir, store, usecases
from services.referral.api import CLINICAL
from services.referral.domain.referral import Referral, sides_of
from services.referral.fhir import Resource
from services.referral.store import REFERRAL
from services.referral.usecases import Surroundings

MOST = 100
"""Resources on a page."""

_EITHER = (("_id", "token"), ("patient", "reference"), ("requester", "reference"), ("status", "token"))
SEARCHED = {
    "ServiceRequest": (*_EITHER, ("performer", "reference")),
    "Task": (*_EITHER, ("owner", "reference")),
    "Bundle": (("_id", "token"), ("patient", "reference")),
}
"""By what each may be searched, and of which type that is."""
BESIDE = frozenset({"_count", "_cursor", "_format"})

ENDS = ("origin", "destination", "answered_by")
Kind = Literal["ServiceRequest", "Task"]
Count = Annotated[int, Query(alias="_count", ge=1, le=MOST)]
Cursor = Annotated[str | None, Query(alias="_cursor", max_length=500)]
Id = Annotated[str | None, Query(alias="_id", max_length=64)]


def answer(resource: Resource, status: int = 200, **headers: str) -> JSONResponse:
    return Fhir(resource, status, headers)


async def received(request: Request) -> tuple[Write, Resource]:
    """A write whose key is Idempotency-Key, or the protocol's own: If-None-Exist, or the sender's identifier.

    Raises Refused for what is no resource, or has no such key.
    """
    access = reading(request)
    try:
        body = json.loads(await request.body())
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refused("not-a-resource", "must be a FHIR resource as JSON", field="body")
    fingerprint = fingerprint_of(access.route, request.url.path, body)
    key = request.headers.get("idempotency-key") or request.headers.get("if-none-exist")
    if not key:
        # What is told of a Task once more is the same told again; a new ServiceRequest has the sender's own number.
        key = fingerprint if request.method == "PUT" else fhir.placer_of(body)
    if not key:
        raise Refused("identifier-missing", "must have an identifier of the sender's", field="identifier")
    sent = time_of_sending(request)
    service: Service = request.app.state.service
    service.clock.saw(sent)
    cause = request_cause(
        f"{access.caller.role}:{access.caller.subject}",
        access.route,
        key[:255],
        fingerprint=fingerprint,
        actor=access.caller.actor,
        occurred_at=sent,
        traceparent=tracing.current(),
    )
    return Write(cause, access, sent), body


Received = Annotated[tuple[Write, Resource], Depends(received)]


def understood(kind: str) -> Callable[[Request], Awaitable[None]]:
    """A search by anything else, or by a modifier (`status:not`), would answer another question than was asked."""
    names = {name for name, _ in SEARCHED[kind]} | BESIDE

    async def check(request: Request) -> None:
        said = [name for name, _ in request.query_params.multi_items()]
        for name in said:
            if name not in names:
                known = ", ".join(sorted(names))
                raise Refused("not-supported", f"is no parameter of this search; there are {known}", field=_named(name))
            if said.count(name) > 1:
                raise Refused("twice", "stands there twice", field=name)
        if request.query_params.get("_format", "json") not in JSON:
            raise Refused("unknown-code", "must be json", field="_format")

    return check


def _named(parameter: str) -> str:
    """A parameter's name as it may be said back."""
    return parameter if re.fullmatch(r"[A-Za-z_][A-Za-z_.:-]{0,39}", parameter) else "query"


def router(service: Service, around: Surroundings) -> APIRouter:
    routes = APIRouter(prefix="/fhir", tags=["FHIR"], route_class=FhirRoute)
    _metadata(routes)
    _reads(routes, service, around)
    _searches(routes, service, around)
    _receives(routes, service, around)
    return routes


def _metadata(routes: APIRouter) -> None:
    @routes.get("/metadata", response_class=JSONResponse)
    async def metadata() -> JSONResponse:
        """What of FHIR is spoken here."""
        may = {
            "ServiceRequest": ("read", "search-type", "create"),
            "Task": ("read", "search-type", "update"),
            "Bundle": ("read", "search-type", "create"),
        }
        resources = [
            {"type": kind, "interaction": [{"code": code} for code in codes]}
            | ({"searchParam": [{"name": name, "type": of} for name, of in SEARCHED[kind]]} if kind in SEARCHED else {})
            for kind, codes in may.items()
        ]
        rest = {"mode": "server", "resource": resources, "interaction": [{"code": "transaction"}]}
        return answer(
            {
                "resourceType": "CapabilityStatement",
                "status": "active",
                "date": "2026-11-22",
                "kind": "instance",
                "implementation": {"description": "Hillhealth referrals"},
                "fhirVersion": "4.0.1",
                "format": ["json"],
                "rest": [rest],
            }
        )


def _reads(routes: APIRouter, service: Service, around: Surroundings) -> None:
    async def read(id: str, access: Access) -> Referral:
        state = await service.journal.read(REFERRAL, id, access)
        await service.read_log.record(access, patient=state.patient)
        return state

    @routes.get("/ServiceRequest/{id}", response_class=JSONResponse)
    async def service_request(id: str, access: Reading) -> JSONResponse:
        """A referral as what is to be done."""
        state = await read(id, access)
        clinical = access.caller.role in CLINICAL
        return answer(fhir.service_request(id, state, await around.country.cards(), clinical=clinical))

    @routes.get("/Task/{id}", response_class=JSONResponse)
    async def task(id: str, access: Reading) -> JSONResponse:
        """A referral as the work of doing it."""
        return answer(fhir.task(id, await read(id, access), await around.country.cards()))

    @routes.get("/Bundle/{id}", response_class=JSONResponse)
    async def bundle(id: str, access: Reading) -> JSONResponse:
        """The outcome, as a document. There is none before the patient was treated."""
        state = await read(id, access)
        if state.status not in fhir.HAS_OUTCOME:
            raise NotFound
        patient, cards = await asyncio.gather(around.patients.get(state.patient), around.country.cards())
        return answer(fhir.outcome_bundle(id, state, patient, cards))


def _searches(routes: APIRouter, service: Service, around: Surroundings) -> None:
    async def about(access: Access, id: str | None, patient: str | None) -> list[Document]:
        """The caller's referrals of this id or person, by any record of them."""
        persons = await around.patients.same_person(patient.rpartition("/")[2]) if patient is not None else ()
        if id is not None:
            there = await store.one_at(service.database, id, access)
            return [one for one in there if patient is None or one["state"]["patient"] in persons]
        found = [
            document
            for person in persons
            for document in await store.of_patient_at(service.database, person, access, MOST)
        ]
        return sorted(found, key=lambda each: str(each["state"]["requested_at"]))[:MOST]

    async def search(
        kind: Kind,
        access: Access,
        id: str | None,
        patient: str | None,
        requester: str | None,
        performer: str | None,
        status: str | None,
        cursor: str | None,
        count: int,
    ) -> JSONResponse:
        cards, following = await around.country.cards(), None
        if id is not None or patient is not None:
            documents = await about(access, id, patient)
        else:
            mine = requester is not None and _is(requester, access.caller.facility, cards)
            box: store.Box = "sent" if mine else "received"
            documents, following = await store.worklist(service.database, access, box, None, cursor, count)
        found, shown = [], set()
        for document in documents:
            state = Referral.model_validate(document["state"])
            if not (_is(requester, state.origin, cards) and _is(performer, state.destination, cards)):
                continue
            resource = (
                fhir.task(document["_id"], state, cards)
                if kind == "Task"
                else fhir.service_request(document["_id"], state, cards, clinical=False)
            )
            if status is None or resource["status"] in [each.rpartition("|")[2] for each in status.split(",")]:
                found.append(resource)
                shown.add(state.patient)
        for person in sorted(shown) if id or patient else ():
            await service.read_log.record(access, patient=person)
        whom = "owner" if kind == "Task" else "performer"
        asked = {"_id": id, "patient": patient, "requester": requester, whom: performer, "status": status}
        said = {name: value for name, value in asked.items() if value is not None} | {"_count": str(count)}
        later = f"fhir/{kind}?{urlencode(said | {'_cursor': following})}" if following else None
        return answer(fhir.search_set(found, f"fhir/{kind}?{urlencode(said)}", later))

    @routes.get("/ServiceRequest", response_class=JSONResponse, dependencies=[Depends(understood("ServiceRequest"))])
    async def service_requests(
        access: Reading,
        id: Id = None,
        patient: str | None = None,
        requester: str | None = None,
        performer: str | None = None,
        status: str | None = None,
        cursor: Cursor = None,
        count: Count = 50,
    ) -> JSONResponse:
        """My facility's referrals: those it was asked (by `requester`, if that is another), or with itself as
        `requester` those it sent; or those of a patient. The reasons stand in the single ones."""
        return await search("ServiceRequest", access, id, patient, requester, performer, status, cursor, count)

    @routes.get("/Bundle", response_class=JSONResponse, dependencies=[Depends(understood("Bundle"))])
    async def bundles(access: Reading, id: Id = None, patient: str | None = None) -> JSONResponse:
        """The outcomes of a patient, or of one referral, where there are any: each a document. Reading is logged."""
        if id is None and patient is None:
            raise Refused("missing", "must say whose, or which", field="patient")
        cards, found = await around.country.cards(), []
        for document in await about(access, id, patient):
            state = Referral.model_validate(document["state"])
            if state.status in fhir.HAS_OUTCOME:
                await service.read_log.record(access, patient=state.patient)
                person = await around.patients.get(state.patient)
                found.append(fhir.outcome_bundle(document["_id"], state, person, cards))
        said = {name: value for name, value in (("_id", id), ("patient", patient)) if value is not None}
        return answer(fhir.search_set(found, f"fhir/Bundle?{urlencode(said)}", None))

    @routes.get("/Task", response_class=JSONResponse, dependencies=[Depends(understood("Task"))])
    async def tasks(
        access: Reading,
        id: Id = None,
        patient: str | None = None,
        requester: str | None = None,
        owner: str | None = None,
        status: str | None = None,
        cursor: Cursor = None,
        count: Count = 50,
    ) -> JSONResponse:
        """The same as Tasks; `owner` is who was asked."""
        return await search("Task", access, id, patient, requester, owner, status, cursor, count)


def _is(wanted: str | None, code: str, cards: fhir.Cards) -> bool:
    """Whether `Organization/<code>`, the bare code or the registry's number means this facility."""
    if wanted is None:
        return True
    bare = wanted.rpartition("/")[2].rpartition("|")[2]
    card = cards.get(code)
    return bare == code or (card is not None and bare == card.hip_id)


def _receives(routes: APIRouter, service: Service, around: Surroundings) -> None:
    @routes.post("/ServiceRequest", response_class=JSONResponse, status_code=201)
    async def create(write: Received) -> JSONResponse:
        """A referral from another system, under the rules of `POST /referrals`: the origin is the caller's own."""
        request, resource = write
        cards = await around.country.cards()
        outcome = await usecases.request(
            service.journal,
            around,
            service.clock,
            fhir.requested(resource, cards, request.caller.facility),
            request.cause,
            dataclasses.replace(request.access, rule=allow("doctor", at="origin")),
        )
        found = fhir.service_request(outcome.id, outcome.state, cards, clinical=True)
        return answer(found, 201, Location=f"fhir/ServiceRequest/{outcome.id}")

    @routes.put("/Task/{id}", response_class=JSONResponse)
    async def update(id: str, write: Received) -> JSONResponse:
        """What another system tells of a referral: accepted, rejected, in progress (arrived), completed, cancelled.
        Each is the move of ours, for the role whose move it is."""
        request, resource = write
        state = await service.journal.read(REFERRAL, id, request.access)
        persons, cards = await asyncio.gather(around.patients.same_person(state.patient), around.country.cards())
        fhir.check_about(resource, id, state, persons, cards, own_id=True)
        at_origin = "origin" in sides_of(state, request.caller.facility)
        step = fhir.told(resource, state, at_origin)
        if step is not None:
            outcome = await usecases.step(
                service.journal, around, service.clock, id, step, request.cause, request.access
            )
            state = outcome.state
        return answer(fhir.task(id, state, cards))
