"""Requests in, answers out: screening programmes, their results, and what follows."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from libs.common.journal import Journal, NotFound
from libs.common.numbers import Whole
from libs.common.paging import MOST, page
from libs.common.read_log import ReadLog
from libs.common.refusal import Refused
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import Id
from libs.contracts.registration import Sex
from services.registration import screenings
from services.registration.aggregates import PATIENT
from services.registration.domain.assessment import Person
from services.registration.domain.identifiers import Age, Code, FacilityCode
from services.registration.domain.programmes import Measure, Programme
from services.registration.domain.screening import Decline, Screening, Suggestion
from services.registration.outreach import SCREENING
from services.registration.screenings import Camp

RecordId = Annotated[str, Path(min_length=1, max_length=64)]
ProgrammeCode = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
MeasureName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]
Measures = Annotated[
    dict[MeasureName, bool | int | float | Code | None],
    Field(
        max_length=60,
        description="By the names and in the units of `GET /programmes/{programme}`; null: not measured",
        examples=[{"haemoglobin": 11.8, "altitude_m": 4180}],
    ),
]


class RecordScreening(Body):
    """`brought_by`: the ASHA or facilitator who brought the person."""

    patient: Id
    programme: Code = Field(examples=["t3-anaemia"])
    measures: Measures
    brought_by: Id | None = None


class AcceptSuggestion(Body):
    """A referral needs `to`; `service` instead of the suggested one. A treatment or a talk was given."""

    suggestion: Code
    to: FacilityCode | None = None
    service: Code | None = None


class DeclineSuggestion(Body):
    suggestion: Code
    reason: Code = "other"


class Assess(BaseModel):
    """What would be said; nothing is kept."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    age_years: Age | None = None
    age_months: Whole | None = Field(None, ge=0, le=1600, description="For small children")
    sex: Sex = "unknown"
    measures: Measures


class AssessmentAnswer(BaseModel):
    """`values` hold what was computed, too. `urgent` whatever the result is, where an alert is."""

    programme: str
    version: str
    group: str
    values: dict[str, Any]
    result: str
    says: str
    urgent: bool
    alerts: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    again_after_days: int | None


class ScreeningAnswer(BaseModel):
    id: str
    patient: str
    facility: str
    programme: str
    version: str
    date: dt.date
    group: str
    values: dict[str, Any]
    result: str
    says: str
    urgent: bool
    alerts: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    again_on: dt.date | None
    brought_by: str | None
    referral: str | None = None
    """The referral that an acceptance has just become, in the referral service."""


class ScreeningPage(BaseModel):
    screenings: tuple[ScreeningAnswer, ...]
    cursor: str | None


class ListedProgramme(BaseModel):
    programme: str
    version: str
    name: str
    about: str
    whom: str
    source: str
    confidence: str
    measures: dict[str, Measure]
    results: dict[str, str]


class ProgrammeList(BaseModel):
    programmes: tuple[ListedProgramme, ...]


def _listed(programme: Programme) -> ListedProgramme:
    return ListedProgramme(
        **programme.model_dump(include={"programme", "version", "name", "about", "whom", "source", "confidence"}),
        measures=programme.measures,
        results={result.result: result.says for result in programme.results},
    )


def shown(camp: Camp, id: str, state: Screening, referral: str | None = None) -> ScreeningAnswer:
    programme = camp.programmes.get(state.programme)
    says = {result.result: result.says for result in programme.results} if programme else {}
    return ScreeningAnswer(
        id=id,
        patient=state.patient,
        facility=state.facility,
        programme=state.programme,
        version=state.version,
        date=state.date,
        group=state.group,
        values=state.measures,
        result=state.result,
        says=says.get(state.result, state.result.replace("-", " ")),
        urgent=state.urgent,
        alerts=state.alerts,
        suggestions=state.suggestions,
        again_on=state.again_on,
        brought_by=state.brought_by,
        referral=referral,
    )


def router(camp: Camp, journal: Journal, read_log: ReadLog) -> APIRouter:
    routes = APIRouter(tags=["programmes"])
    _programmes(routes, camp)
    _screenings(routes, camp, journal, read_log)
    return routes


def _programmes(routes: APIRouter, camp: Camp) -> None:
    def known(code: str) -> Programme:
        programme = camp.programmes.get(code)
        if programme is None:
            raise NotFound
        return programme

    @routes.get("/programmes", summary="The screening programmes: whom they are for and what is measured")
    async def programmes(access: Reading) -> ProgrammeList:
        return ProgrammeList(programmes=tuple(_listed(each) for each in camp.programmes.values()))

    @routes.get("/programmes/{programme}", summary="A programme as its file has it: groups, cut-offs, what follows")
    async def programme(programme: ProgrammeCode, access: Reading) -> Programme:
        return known(programme)

    @routes.post("/programmes/{programme}/assess", summary="What it would say of these measurements; nothing is kept")
    async def assess(programme: ProgrammeCode, body: Assess, access: Reading) -> AssessmentAnswer:
        rules = known(programme)
        months = body.age_months
        if None not in (months, body.age_years) and (months or 0) // 12 != body.age_years:
            raise Refused("two-ages", "is another age than age_years", field="age_months")
        years = body.age_years if body.age_years is not None else None if months is None else months // 12
        found = screenings.judged(camp, programme, Person(years, months, body.sex), body.measures)
        return AssessmentAnswer(
            programme=rules.programme,
            version=rules.version,
            group=found.group.group,
            values=dict(found.values),
            result=found.result.result,
            says=found.result.says,
            urgent=found.urgent,
            alerts=tuple(alert.alert for alert in found.alerts),
            suggestions=tuple(Suggestion(**follow.model_dump()) for follow in found.suggests),
            again_after_days=found.result.again_after_days,
        )


def _screenings(routes: APIRouter, camp: Camp, journal: Journal, read_log: ReadLog) -> None:
    @routes.post("/screenings", status_code=201, summary="Somebody was screened: what it says and what is suggested")
    async def record(body: RecordScreening, request: Requested, response: Response) -> ScreeningAnswer:
        outcome = await screenings.screen(
            camp, body.patient, body.programme, body.measures, body.brought_by, request.cause, request.access
        )
        response.headers["Location"] = f"/screenings/{outcome.id}"
        return shown(camp, outcome.id, outcome.state)

    @routes.get("/screenings/{id}", summary="A screening; the reading is logged")
    async def read(id: RecordId, access: Reading) -> ScreeningAnswer:
        state = await journal.read(SCREENING, id, access)
        await read_log.record(access, patient=state.patient)
        return shown(camp, id, state)

    @routes.post(
        "/screenings/{id}/accept",
        summary="A suggestion is taken up; a referral is then made by itself",
    )
    async def accept(id: RecordId, body: AcceptSuggestion, request: Requested) -> ScreeningAnswer:
        outcome = await screenings.accept(
            camp, id, body.suggestion, body.to, body.service, request.cause, request.access
        )
        referral = screenings.referral_id(id, request.cause) if body.to is not None else None
        return shown(camp, id, outcome.state, referral)

    @routes.post("/screenings/{id}/decline", summary="A suggestion is not taken up")
    async def decline(id: RecordId, body: DeclineSuggestion, request: Requested) -> ScreeningAnswer:
        command = Decline(body.suggestion, body.reason)
        outcome = await screenings.settle(camp, id, command, request.cause, request.access)
        return shown(camp, id, outcome.state)

    @routes.get("/patients/{id}/screenings", summary="Somebody's screenings, the newest first; the reading is logged")
    async def of_patient(
        id: RecordId,
        access: Reading,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        cursor: Annotated[str | None, Query(max_length=1000)] = None,
    ) -> ScreeningPage:
        await journal.read(PATIENT, id, access)
        await read_log.record(access, patient=id)
        documents, following = await page(
            camp.registry.database[SCREENING.collection],
            {"state.patient": id},
            sort="state.date",
            descending=True,
            limit=limit,
            cursor=cursor,
        )
        found = [(document["_id"], Screening.model_validate(document["state"])) for document in documents]
        return ScreeningPage(screenings=tuple(shown(camp, each, state) for each, state in found), cursor=following)
