"""Requests in, answers out: patients, tokens, queues."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.common.journal import Journal, Outcome
from libs.common.numbers import Whole
from libs.common.paging import MOST
from libs.common.problem import problem
from libs.common.read_log import ReadLog
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import Id
from services.registration import matching, usecases
from services.registration.aggregates import PATIENT, QUEUE, VISIT
from services.registration.domain import identifiers
from services.registration.domain.identifiers import Counter, IsoDate
from services.registration.domain.patient import Changes, Details, Patient, VoidReason, warnings
from services.registration.domain.queue import queue_id
from services.registration.domain.visit import Visit
from services.registration.usecases import House

RecordId = Annotated[str, Path(min_length=1, max_length=64)]


class RegisterPatient(Details, Body):
    """One of `birth_date` and `age_years` is needed. Where somebody alike is known, the person is registered all the
    same, the answer names the candidates and a review is opened; `on_match: stop` asks to be stopped first."""

    on_match: Literal["create", "stop"] = "create"


class CorrectPatient(Changes, Body):
    """Only the fields to be put right; null clears one."""


class VoidPatient(Body):
    reason: VoidReason


class ErasePatient(Body):
    pass


class TakeToken(Body):
    patient: Id
    counter: Counter


Asked = Annotated[str, identifiers.NoAadhaar]


class SearchPatients(BaseModel):
    """At least one of phone, name, name_starts, abha; everything given must apply."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    phone: identifiers.Phone | None = None
    name: Asked | None = Field(None, min_length=1, max_length=120, description="Whole words, in any order")
    name_starts: Asked | None = Field(None, min_length=2, max_length=120, description="How the name begins")
    abha: Annotated[str, identifiers.NoAadhaarUnlessAbha] | None = Field(
        None, min_length=3, max_length=300, description="ABHA number or address"
    )
    limit: Whole = Field(20, ge=1, le=MOST)
    cursor: str | None = Field(None, max_length=1000)

    @model_validator(mode="after")
    def _asks_something(self) -> SearchPatients:
        names = (self.name, self.name_starts)
        if not any((self.phone, *names, self.abha)) or any(name and not identifiers.fold(name) for name in names):
            raise ValueError("give a phone, a name, how the name begins, or an ABHA number or address")
        return self

    def claim(self) -> str | None:
        """The identifier searched for, as the index holds it; one that cannot be anybody's finds nobody."""
        if self.abha is None:
            return None
        try:
            if "@" in self.abha:
                return f"abha-address:{identifiers.abha_address(self.abha)}"
            return f"abha-number:{identifiers.abha_number(self.abha)}"
        except ValueError:
            return "none"


def shown(id: str, patient: Patient) -> dict[str, Any]:
    card = patient.card.model_dump(mode="json")
    return card | {
        "id": id,
        "status": patient.status,
        "facilities": list(patient.facilities),
        "warnings": warnings(patient.card),
    }


def visit_shown(id: str, visit: Visit) -> dict[str, Any]:
    return {"id": id, **visit.model_dump(mode="json")}


def _patient(outcome: Outcome[Patient]) -> dict[str, Any]:
    return shown(outcome.id, outcome.state)


def _matches(outcome: Outcome[Patient]) -> dict[str, Any]:
    review = outcome.state.review
    return {"matches": [one.model_dump(mode="json") for one in review.candidates] if review else []}


def router(house: House, journal: Journal, read_log: ReadLog) -> APIRouter:
    routes = APIRouter()

    @routes.post("/patients", status_code=201, tags=["patients"], summary="Register a person")
    async def register(body: RegisterPatient, request: Requested, response: Response) -> Any:
        details = Details.model_validate(body.model_dump(include=set(Details.model_fields)))
        stop = body.on_match == "stop"
        try:
            outcome = await usecases.register(house, details, request.cause, request.access, stop=stop)
        except usecases.AlreadyKnown as known:
            return problem(
                409,
                "already-known",
                "somebody alike is registered: open that record, or register with on_match create",
                candidates=[one.model_dump(mode="json") for one in known.candidates],
            )
        response.headers["Location"] = f"/patients/{outcome.id}"
        return _patient(outcome) | _matches(outcome)

    @routes.get("/patients/{id}", tags=["patients"], summary="Read a person's record; the reading is logged")
    async def read(id: RecordId, access: Reading) -> dict[str, Any]:
        patient = await journal.read(PATIENT, id, access)
        if patient.card.merged_into is None:
            await read_log.record(access, patient=id)
            return shown(id, patient)
        lives_on = await matching.survivor(journal, id)
        patient = await journal.read(PATIENT, lives_on, access)
        await read_log.record(access, patient=lives_on)
        return shown(lives_on, patient) | {"asked_for": id}

    @routes.post(
        "/patients/search", tags=["patients"], summary="Find people of one's own facility; logged for each found"
    )
    async def search(body: SearchPatients, access: Reading) -> dict[str, Any]:
        found, cursor = await house.store.search(
            access,
            phone=body.phone,
            name=body.name,
            name_starts=body.name_starts,
            abha=body.claim(),
            limit=body.limit,
            cursor=body.cursor,
        )
        await read_log.record(access, patient=[document["_id"] for document in found])
        patients = [shown(document["_id"], Patient.model_validate(document["state"])) for document in found]
        return {"patients": patients, "cursor": cursor}

    @routes.post("/patients/{id}/correct", tags=["patients"], summary="Put right what was entered wrongly")
    async def correct(id: RecordId, body: CorrectPatient, request: Requested) -> dict[str, Any]:
        given = body.model_dump(include=set(Changes.model_fields) & body.model_fields_set)
        changes = Changes.model_validate(given)
        return _patient(await usecases.correct(house, id, changes, request.cause, request.access))

    @routes.post("/patients/{id}/void", tags=["patients"], summary="Mark a record as entered in error")
    async def void(id: RecordId, body: VoidPatient, request: Requested) -> dict[str, Any]:
        return _patient(await usecases.void(house, id, body.reason, request.cause, request.access))

    @routes.post("/patients/{id}/erase", tags=["patients"], summary="Forget who somebody is, here and downstream")
    async def erase(id: RecordId, body: ErasePatient, request: Requested) -> dict[str, Any]:
        outcome = await usecases.erase(house, id, request.cause, request.access)
        return {"id": outcome.id, "status": outcome.state.status}

    @routes.post("/visits", status_code=201, tags=["queues"], summary="Give the next number at a counter")
    async def take_token(body: TakeToken, request: Requested, response: Response) -> dict[str, Any]:
        outcome = await usecases.take_token(house, body.patient, body.counter, request.cause, request.access)
        response.headers["Location"] = f"/visits/{outcome.id}"
        return visit_shown(outcome.id, outcome.state)

    @routes.get("/visits/{id}", tags=["queues"], summary="A visit and its number")
    async def read_visit(id: RecordId, access: Reading) -> dict[str, Any]:
        return visit_shown(id, await journal.read(VISIT, id, access))

    @routes.get("/queues/{facility}/{counter}/{date}", tags=["queues"], summary="A counter's numbers of one day")
    async def read_queue(
        facility: Annotated[str, Path(max_length=40)],
        counter: Counter,
        date: Annotated[dt.date, IsoDate],
        access: Reading,
    ) -> dict[str, Any]:
        queue = await journal.read(QUEUE, queue_id(facility, counter, date), access)
        visits = await house.store.visits(access, facility, counter, date)
        return {"facility": facility, "counter": counter, "date": date, "last": queue.last, "visits": visits}

    return routes
