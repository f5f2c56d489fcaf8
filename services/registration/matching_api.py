"""Requests in, answers out: who somebody may be, reviews, merging and unmerging."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, Field, StrictBool, ValidationInfo, field_validator

from libs.common.access import Access
from libs.common.clock import machine_now
from libs.common.journal import Journal
from libs.common.mongo import Database
from libs.common.paging import MOST
from libs.common.read_log import ReadLog
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import Id
from libs.contracts.registration import PatientCard
from services.registration import matching
from services.registration.aggregates import PATIENT
from services.registration.api import shown
from services.registration.domain.identifiers import plain_text
from services.registration.domain.patient import Details, Merge, Patient, Resolve, Unmerge, new_card
from services.registration.domain.places import Places
from services.registration.domain.queue import desk_day
from services.registration.domain.review import Candidate
from services.registration.domain.who import abdm_rule, to_person

RecordId = Annotated[str, Path(min_length=1, max_length=64)]


def _plain(text: str) -> str:
    return plain_text(text, 300) if text else text


Why = Annotated[str, Field(max_length=300, description="Recorded with who said it"), AfterValidator(_plain)]
PEEKED = ("name", "sex", "birth_date", "birth_year", "phone", "guardian", "village", "district_lgd")


class MatchPatient(Details, Body):
    """What is said of somebody, before anything is saved. `unlike` shows those of the band `new` too."""

    unlike: StrictBool = False


class ResolveReview(Body):
    """`same` merges the record into `candidate`. The reason is recorded, and more so where it overrides the weights."""

    decision: Literal["same", "different"]
    candidate: Id | None = Field(None, validate_default=True, description="One of those whom the review names")
    reason: Why = Field(min_length=3)

    @field_validator("candidate")
    @classmethod
    def _says_whom(cls, value: str | None, said: ValidationInfo) -> str | None:
        if said.data.get("decision") == "same" and value is None:
            raise ValueError("is needed where the decision is same")
        return value


class MergePatient(Body):
    """`into` lives on."""

    into: Id
    reason: Why = ""


class PreviewMerge(Body):
    into: Id


class UnmergePatient(Body):
    reason: Why = ""


@dataclass(frozen=True)
class Desk:
    """What these routes work with."""

    known: matching.KnownPeople
    journal: Journal
    database: Database
    places: Places
    read_log: ReadLog


def router(desk: Desk) -> APIRouter:
    routes = APIRouter(tags=["matching"])
    _asking(routes, desk)
    _deciding(routes, desk)
    return routes


def _asking(routes: APIRouter, desk: Desk) -> None:
    @routes.post("/patients/matches", summary="Who may this be? Asked before registering; nothing is saved")
    async def matches(body: MatchPatient, access: Reading) -> dict[str, Any]:
        details = Details.model_validate(body.model_dump(include=set(Details.model_fields)))
        facility, day = access.caller.facility or "NONE", desk_day(machine_now())
        card = new_card("asked", details, facility, day, desk.places, ageless=True)
        asked = card.model_dump(mode="json")
        found, _ = await desk.known.candidates("asked", asked, unlike=body.unlike)
        return {"band": found[0].band if found else "new", "candidates": await _shown(desk, access, asked, found)}

    @routes.get("/reviews", summary="Records of one's facility that may be somebody already known")
    async def reviews(
        access: Reading,
        status: Literal["open", "resolved"] = "open",
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        cursor: Annotated[str | None, Query(max_length=1000)] = None,
    ) -> dict[str, Any]:
        found, following = await matching.reviews(desk.database, access, status, limit, cursor)
        return {
            "reviews": [{"patient": one["_id"], **one["state"]["review"]} for one in found],
            "cursor": following,
        }


def _deciding(routes: APIRouter, desk: Desk) -> None:
    @routes.post("/patients/{id}/review", summary="Say whether a record is somebody already known")
    async def resolve(id: RecordId, body: ResolveReview, request: Requested) -> dict[str, Any]:
        command = Resolve(body.decision, body.reason, request.access.caller.actor, body.candidate)
        outcome = await matching.resolve(desk.journal, desk.places, id, command, request.cause, request.access)
        review = outcome.state.review
        return {
            "patient": id,
            "status": outcome.state.status,
            "merged_into": outcome.state.card.merged_into,
            "review": review.model_dump(mode="json") if review else None,
        }

    @routes.post("/patients/{id}/merge/preview", summary="What merging would show, field by field; nothing is changed")
    async def preview(id: RecordId, body: PreviewMerge, access: Reading) -> dict[str, Any]:
        one = await desk.journal.read(PATIENT, id, access)
        await matching.mergeable(desk.journal, id, body.into, "into", access)
        other = await desk.journal.read(PATIENT, body.into, access)
        await desk.read_log.record(access, patient=[id, body.into])
        mine, theirs = one.card.model_dump(mode="json"), other.card.model_dump(mode="json")
        [weighed] = desk.known.matcher.candidates(to_person(id, mine), [to_person(body.into, theirs)], unlike=True)
        return {
            "record": {"id": id, **{name: mine[name] for name in PEEKED}},
            "into": {"id": body.into, **{name: theirs[name] for name in PEEKED}},
            "differ": [name for name in PEEKED if mine[name] != theirs[name]],
            "facilities": sorted({*one.facilities, *other.facilities}),
            "match": weighed.model_dump(mode="json"),
        }

    @routes.post("/patients/{id}/merge", summary="Two records are one person: this one lives on in the other")
    async def merge(id: RecordId, body: MergePatient, request: Requested) -> dict[str, Any]:
        command = Merge(body.into, body.reason, request.access.caller.actor)
        outcome = await matching.merge(desk.journal, desk.places, id, command, request.cause, request.access)
        return {"id": id, "status": outcome.state.status, "merged_into": outcome.state.card.merged_into}

    @routes.post("/patients/{id}/unmerge", summary="They were two people after all")
    async def unmerge(id: RecordId, body: UnmergePatient, request: Requested) -> dict[str, Any]:
        command = Unmerge(body.reason, request.access.caller.actor)
        outcome = await matching.unmerge(desk.journal, desk.places, id, command, request.cause, request.access)
        return shown(id, outcome.state)

    @routes.get("/patients/{id}/decisions", summary="What people decided about a record, with who and why; logged")
    async def decisions(id: RecordId, access: Reading) -> dict[str, Any]:
        found = await matching.decisions(desk.journal, id, access)
        await desk.read_log.record(access, patient=id)
        return {"patient": id, "decisions": found}


async def _shown(desk: Desk, access: Access, asked: dict[str, Any], found: list[Candidate]) -> list[dict[str, Any]]:
    """Whole for the caller's own facility; of people known elsewhere only what tells them apart."""
    documents = await asyncio.gather(*(desk.journal.load(PATIENT, one.patient) for one in found))
    await desk.read_log.record(access, patient=[one.patient for one in found])
    answer = []
    for one, document in zip(found, documents, strict=True):
        if document is None:
            continue
        patient = Patient.model_validate(document["state"])
        own = access.caller.facility in patient.facilities
        card = patient.card.model_dump(mode="json")
        answer.append(
            {
                **one.model_dump(mode="json"),
                "abdm_rule": abdm_rule(to_person("asked", asked), to_person(one.patient, card)),
                "known_here": own,
                "shown": {name: card[name] for name in PEEKED} if own else glimpse(patient.card),
            }
        )
    return answer


def glimpse(card: PatientCard) -> dict[str, Any]:
    """As little as tells two people apart: initials, sex, year of birth, district, the phone's last two digits."""
    return {
        "initials": " ".join(f"{word[0]}." for word in card.name.split()),
        "sex": card.sex,
        "birth_year": card.birth_year,
        "district_lgd": card.district_lgd,
        "phone_ends": card.phone[-2:] if card.phone else None,
    }
