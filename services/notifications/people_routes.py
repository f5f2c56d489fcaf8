"""People whom only this service knows, and duty rosters."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from libs.common.access import Access, Forbidden
from libs.common.journal import NotFound
from libs.common.paging import page
from libs.common.refusal import Refused
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import FacilityCode, Id, Instant
from services.notifications.domain import person, roster
from services.notifications.people import PERSON, ROSTER
from services.notifications.post import Post

Key = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
Duty = Annotated[str, Path(pattern=r"^[a-z-]{1,40}@[A-Z0-9][A-Z0-9-]{1,39}$", description="`<role>@<facility>`")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]


class PersonBody(Body):
    """Who it is and how to reach them. Phones are E.164; `address` is an Apprise URL."""

    kind: person.Kind
    name: str = Field("", max_length=120)
    phone: str | None = Field(None, pattern=r"^\+[1-9]\d{7,14}$")
    email: str | None = Field(None, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=200)
    address: str | None = Field(None, max_length=300, pattern=r"^[a-z0-9+.-]+://\S+$")
    language: str = Field("en", pattern=r"^[a-z]{2,3}$")
    patients: tuple[Id, ...] = Field((), max_length=2000)
    villages: tuple[Annotated[str, Field(min_length=1, max_length=80)], ...] = Field((), max_length=100)
    facility: FacilityCode | None = None
    subject: str = Field("", max_length=120)

    @property
    def details(self) -> person.Details:
        return person.Details(**{name: getattr(self, name) for name in person.Details.model_fields})


class PersonAnswer(BaseModel):
    id: str
    kind: person.Kind
    name: str
    phone: str | None
    email: str | None
    address: str | None
    language: str
    patients: tuple[str, ...]
    villages: tuple[str, ...]
    facility: str | None
    subject: str
    active: bool

    @classmethod
    def of(cls, id: str, state: person.Person) -> PersonAnswer:
        return cls(id=id, **state.model_dump())


class PeopleAnswer(BaseModel):
    items: list[PersonAnswer]
    next: str | None


class ShiftBody(Body):
    person: Id
    begins: Instant
    ends: Instant


class ShiftCancelBody(Body):
    person: Id
    begins: Instant


class RosterAnswer(BaseModel):
    """`on_duty` at the instant that was asked about, now if none was."""

    duty: str
    shifts: list[roster.Shift]
    on_duty: list[str]


def _at_home(access: Access, facility: str | None) -> None:
    """Staff and rosters are kept by their own facility; an operator keeps all. Raises Forbidden."""
    if access.caller.role != "operator" and facility != access.caller.facility:
        raise Forbidden("your facility must be theirs")


def add(routes: APIRouter, post: Post) -> None:
    _people(routes, post)
    _rosters(routes, post)


def _people(routes: APIRouter, post: Post) -> None:
    def filed_at(details: person.Details, access: Access) -> person.Details:
        """A desk files under its own facility, with an address of a kind that is used here."""
        if details.address and not details.address.startswith(post.settings.addresses):
            raise Refused("address-not-allowed", "begins with nothing that ADDRESS_PREFIXES names", field="address")
        if details.facility is None and access.caller.role != "operator":
            return details.model_copy(update={"facility": access.caller.facility})
        _at_home(access, details.facility)
        return details

    @routes.post("/people", status_code=201, tags=["people"])
    async def record(body: PersonBody, request: Requested) -> PersonAnswer:
        """A patient's family, an ASHA, a panchayat, or staff on a roster."""
        details = filed_at(body.details, request.access)
        outcome = await post.journal.create(
            PERSON,
            request.cause.new_id("person"),
            lambda state: person.decide(state, person.Record(details)),
            request.cause,
            request.access,
        )
        return PersonAnswer.of(outcome.id, outcome.state)

    async def change(id: str, command: person.Record | person.Retire, request: Requested) -> PersonAnswer:
        if (there := await post.people.get(id)) is None:
            raise NotFound
        _at_home(request.access, there.facility)
        outcome = await post.journal.append(
            PERSON, id, lambda state: person.decide(state, command), request.cause, request.access
        )
        return PersonAnswer.of(outcome.id, outcome.state)

    @routes.post("/people/{id}/change", tags=["people"])
    async def changed(id: Key, body: PersonBody, request: Requested) -> PersonAnswer:
        """The whole record anew."""
        return await change(id, person.Record(filed_at(body.details, request.access)), request)

    @routes.post("/people/{id}/retire", tags=["people"])
    async def retired(id: Key, request: Requested) -> PersonAnswer:
        """Is told nothing more."""
        return await change(id, person.Retire(), request)

    @routes.get("/people/{id}", tags=["people"])
    async def one(id: Key, access: Reading) -> PersonAnswer:
        if (found := await post.people.get(id)) is None:
            raise NotFound
        _at_home(access, found.facility)
        return PersonAnswer.of(id, found)

    @routes.get("/people", tags=["people"])
    async def listed(
        access: Reading,
        patient: Annotated[str | None, Query(max_length=64)] = None,
        facility: Annotated[str | None, Query(max_length=40)] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> PeopleAnswer:
        """Of a patient (family, ASHA), of a facility, or both."""
        where: dict[str, Any] = {}
        if patient is not None:
            where["state.patients"] = patient
        if facility is not None:
            where["state.facility"] = facility
        if access.caller.role != "operator":
            where["state.facility"] = access.caller.facility
            if facility not in (None, access.caller.facility):
                raise Forbidden("your facility must be theirs")
        if not where:
            raise Refused("filter-missing", "name a patient or a facility", field="patient")
        documents, following = await page(
            post.database[PERSON.collection], where, sort="_id", descending=False, limit=limit, cursor=cursor
        )
        items = [PersonAnswer.of(one["_id"], person.Person.model_validate(one["state"])) for one in documents]
        return PeopleAnswer(items=items, next=following)


def _rosters(routes: APIRouter, post: Post) -> None:
    def answer(duty: str, state: roster.Roster | None, at: dt.datetime) -> RosterAnswer:
        if state is None:
            return RosterAnswer(duty=duty, shifts=[], on_duty=[])
        return RosterAnswer(duty=duty, shifts=list(state.shifts), on_duty=list(state.on_duty(at)))

    async def append(duty: str, command: roster.PlanShift | roster.CancelShift, request: Requested) -> RosterAnswer:
        _at_home(request.access, duty.partition("@")[2])
        outcome = await post.journal.append(
            ROSTER, duty, lambda state: roster.decide(state, command), request.cause, request.access
        )
        return answer(duty, outcome.state, post.clock.now())

    @routes.get("/rosters/{duty}", tags=["rosters"])
    async def shown(duty: Duty, access: Reading, at: Instant | None = None) -> RosterAnswer:
        """Who is on duty, and who will be."""
        _at_home(access, duty.partition("@")[2])
        document = await post.journal.load(ROSTER, duty)
        state = roster.Roster.model_validate(document["state"]) if document else None
        return answer(duty, state, at or post.clock.now())

    @routes.post("/rosters/{duty}/shifts", status_code=201, tags=["rosters"])
    async def planned(duty: Duty, body: ShiftBody, request: Requested) -> RosterAnswer:
        """Somebody is on duty from `begins` until `ends`."""
        if await post.people.get(body.person) is None:
            raise Refused("person-unknown", "there is no such person", field="person")
        command = roster.PlanShift(duty.partition("@")[2], body.person, body.begins, body.ends)
        return await append(duty, command, request)

    @routes.post("/rosters/{duty}/shifts/cancel", tags=["rosters"])
    async def cancelled(duty: Duty, body: ShiftCancelBody, request: Requested) -> RosterAnswer:
        return await append(duty, roster.CancelShift(body.person, body.begins), request)
