"""Requests in, answers out: households, and apart from them the units that share a benefit."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from libs.common.journal import Journal, Outcome
from libs.common.numbers import Whole
from libs.common.read_log import ReadLog
from libs.common.refusal import Refused
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import Id
from libs.contracts.registration import Member, UnitKind
from services.registration import households
from services.registration.aggregates import PATIENT
from services.registration.domain import membership
from services.registration.domain.benefit_unit import BenefitUnit
from services.registration.domain.household import Describe, Described, Description, Household, Refuse, Reverse
from services.registration.domain.identifiers import Code, IsoDate, NoAadhaar, StateCode, WithinReach
from services.registration.domain.membership import Join, Leave, Memberships
from services.registration.domain.queue import desk_day
from services.registration.eligibility_api import Answers, AskedCard, answers
from services.registration.households import Registry
from services.registration.outreach import BENEFIT_UNIT, HOUSEHOLD
from services.registration.usecases import own_facility

Today = Callable[[], dt.date]
RecordId = Annotated[str, Path(min_length=1, max_length=64)]
On = Annotated[
    dt.date | None, IsoDate, WithinReach, Query(description="The day asked for; today (Asia/Kolkata) if left out")
]


Number = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_upper=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9/-]{2,29}$"),
    NoAadhaar,
]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class NewMember(_Said):
    """`since` is today where it is left out."""

    patient: Id
    relation: Code = "member"
    since: Annotated[dt.date | None, IsoDate, WithinReach] = None


class FormHousehold(Body):
    members: tuple[NewMember, ...] = Field(min_length=1, max_length=membership.MOST)
    state_lgd: StateCode | None = Field(None, description="The first member's, if left out")


class FormUnits(Body):
    """More members than one unit may have form further units. `number`: the family's own, never an Aadhaar number."""

    kind: UnitKind
    members: tuple[NewMember, ...] = Field(min_length=1, max_length=membership.MOST)
    household: Id | None = None
    number: Number | None = None


class JoinBody(Body):
    patient: Id
    relation: Code = "member"
    since: Annotated[dt.date | None, IsoDate, WithinReach] = None


class LeaveBody(Body):
    """`until` is the last day; today where it is left out."""

    patient: Id
    until: Annotated[dt.date | None, IsoDate, WithinReach] = None
    reason: Code = "other"


class DescribedMember(_Said):
    patient: Id
    categories: tuple[str, ...] | None = Field(None, max_length=20)
    disability_percent: Whole | None = Field(None, ge=0, le=100)


class DescribeBody(Body):
    """What schemes ask of the family: all of it anew. What is left out is not known."""

    categories: tuple[str, ...] | None = Field(None, max_length=20)
    pm_jay: StrictBool | None = None
    ration_card: StrictBool | None = None
    mgnrega_days: Whole | None = Field(None, ge=0, le=732)
    members: tuple[DescribedMember, ...] = Field((), max_length=membership.MOST)


class LeaveToEnrol(Body):
    """An officer lets the family enrol outside the window. The office is that of the officer's token."""

    scheme: Code
    reason: Code


class RefuseEnrolment(Body):
    """A desk makes no card of the scheme for the family, and why."""

    scheme: Code
    reason: Code


class ReverseRefusal(Body):
    """An officer decides otherwise than the desk did."""

    scheme: Code
    because: Code = "decided-otherwise"


class AskHousehold(_Said):
    on: Annotated[dt.date | None, IsoDate, WithinReach] = None
    schemes: tuple[Code, ...] = Field((), max_length=50)
    cards: tuple[AskedCard, ...] = Field((), max_length=20)


class Who(BaseModel):
    patient: Id
    relation: Code
    since: dt.date
    until: dt.date | None


class HouseholdAnswer(BaseModel):
    """`members` are those of the day asked for."""

    id: str
    facility: str
    state_lgd: int | None
    on: dt.date
    members: tuple[Who, ...]
    description: Description
    leaves: tuple[dict[str, Any], ...]
    refusals: tuple[dict[str, Any], ...] = ()


class UnitAnswer(BaseModel):
    id: str
    kind: UnitKind
    facility: str
    household: str | None
    number: str
    on: dt.date
    members: tuple[Who, ...]


class UnitsAnswer(BaseModel):
    units: tuple[UnitAnswer, ...]


class BelongsTo(BaseModel):
    """Where somebody belongs today."""

    patient: str
    household: str | None
    units: tuple[UnitAnswer, ...]


def _who(members: Memberships, on: dt.date) -> tuple[Who, ...]:
    return tuple(Who(**each.model_dump()) for each in members if each.holds(on))


def household_shown(id: str, state: Household, on: dt.date) -> HouseholdAnswer:
    return HouseholdAnswer(
        id=id,
        facility=state.facility,
        state_lgd=state.state_lgd,
        on=on,
        members=_who(state.members, on),
        description=state.description,
        leaves=tuple(leave.model_dump(mode="json") for leave in state.leaves),
        refusals=tuple(refusal.model_dump(mode="json") for refusal in state.refusals),
    )


def unit_shown(id: str, state: BenefitUnit, on: dt.date) -> UnitAnswer:
    return UnitAnswer(
        id=id,
        kind=state.kind,
        facility=state.facility,
        household=state.household,
        number=state.number,
        on=on,
        members=_who(state.members, on),
    )


def _members(said: tuple[NewMember, ...], day: dt.date) -> tuple[Member, ...]:
    return tuple(Member(patient=each.patient, relation=each.relation, since=each.since or day) for each in said)


def _description(registry: Registry, body: DescribeBody) -> Description:
    """Raises Refused naming the field."""
    rules = registry.rulebook
    return Description(
        categories=households.codes(rules, body.categories, "categories"),
        pm_jay=body.pm_jay,
        ration_card=body.ration_card,
        mgnrega_days=body.mgnrega_days,
        members={
            each.patient: Described(
                categories=households.codes(rules, each.categories, f"members.{index}.categories"),
                disability_percent=each.disability_percent,
            )
            for index, each in enumerate(body.members)
        },
    )


def _day(request: Requested) -> dt.date:
    return desk_day(request.cause.occurred_at)


def _join(body: JoinBody, request: Requested) -> Join:
    return Join(body.patient, body.relation, body.since or _day(request), _day(request))


def _leave(body: LeaveBody, request: Requested) -> Leave:
    return Leave(body.patient, body.until or _day(request), body.reason, _day(request))


def router(registry: Registry, journal: Journal, read_log: ReadLog, today: Today) -> APIRouter:
    """`today` says which day it is at the desks."""
    routes = APIRouter(tags=["households"])
    _households(routes, registry, journal, read_log, today)
    _units(routes, registry, journal, read_log, today)
    return routes


def _households(routes: APIRouter, registry: Registry, journal: Journal, read_log: ReadLog, today: Today) -> None:
    def shown(outcome: Outcome[Household], request: Requested) -> HouseholdAnswer:
        return household_shown(outcome.id, outcome.state, _day(request))

    @routes.post("/households", status_code=201, summary="Who lives together")
    async def form(body: FormHousehold, request: Requested, response: Response) -> HouseholdAnswer:
        members = _members(body.members, _day(request))
        outcome = await households.form_household(registry, members, body.state_lgd, request.cause, request.access)
        response.headers["Location"] = f"/households/{outcome.id}"
        return shown(outcome, request)

    @routes.get("/households/{id}", summary="Who lived together on a day")
    async def read(id: RecordId, access: Reading, on: On = None) -> HouseholdAnswer:
        return household_shown(id, await journal.read(HOUSEHOLD, id, access), on or today())

    @routes.post("/households/{id}/members", summary="Somebody joins, from a day on")
    async def join(id: RecordId, body: JoinBody, request: Requested) -> HouseholdAnswer:
        command = _join(body, request)
        return shown(await households.change_household(registry, id, command, request.cause, request.access), request)

    @routes.post("/households/{id}/members/leave", summary="Somebody leaves, after a last day")
    async def leave(id: RecordId, body: LeaveBody, request: Requested) -> HouseholdAnswer:
        command = _leave(body, request)
        return shown(await households.change_household(registry, id, command, request.cause, request.access), request)

    @routes.post("/households/{id}/describe", summary="What schemes ask of the family")
    async def describe(id: RecordId, body: DescribeBody, request: Requested) -> HouseholdAnswer:
        command = Describe(_description(registry, body))
        return shown(await households.change_household(registry, id, command, request.cause, request.access), request)

    @routes.post("/households/{id}/overrides", summary="An officer lets the family enrol outside the window")
    async def override(id: RecordId, body: LeaveToEnrol, request: Requested) -> HouseholdAnswer:
        outcome = await households.give_leave(registry, id, body.scheme, body.reason, request.cause, request.access)
        return shown(outcome, request)

    @routes.post(
        "/households/{id}/refusals", summary="No card is made for the family; kept, and held against the rules"
    )
    async def refuse(id: RecordId, body: RefuseEnrolment, request: Requested) -> HouseholdAnswer:
        on, known = _day(request), registry.rulebook.schemes
        if body.scheme not in known:
            raise Refused("unknown-scheme", f"must be one of {', '.join(known)}", field="scheme")
        state = await journal.read(HOUSEHOLD, id, request.access)
        family, leaves = await households.family_of(registry, state, on), households.officers(state, on)
        said = answers(registry.rulebook, registry.places, (body.scheme,), family, on, (), leaves).schemes[0]
        entitled = said.eligible is True and said.enrolment is not None and said.enrolment.open
        command = Refuse(body.scheme, own_facility(request.access), body.reason, on, entitled)
        return shown(await households.change_household(registry, id, command, request.cause, request.access), request)

    @routes.post("/households/{id}/refusals/reverse", summary="An officer finds that a refusal was wrong")
    async def reverse(id: RecordId, body: ReverseRefusal, request: Requested) -> HouseholdAnswer:
        command = Reverse(body.scheme, body.because)
        return shown(await households.change_household(registry, id, command, request.cause, request.access), request)

    @routes.post("/households/{id}/eligibility", summary="What every scheme says to this household; logged for each")
    async def ask(id: RecordId, asked: AskHousehold, access: Reading) -> Answers:
        state = await journal.read(HOUSEHOLD, id, access)
        on = asked.on or today()
        family = await households.family_of(registry, state, on)
        await read_log.record(access, patient=[member.ref for member in family.members])
        leaves = households.officers(state, on)
        return answers(registry.rulebook, registry.places, asked.schemes, family, on, asked.cards, leaves)


def _units(routes: APIRouter, registry: Registry, journal: Journal, read_log: ReadLog, today: Today) -> None:
    def shown(outcome: Outcome[BenefitUnit], request: Requested) -> UnitAnswer:
        return unit_shown(outcome.id, outcome.state, _day(request))

    @routes.post("/benefit-units", status_code=201, summary="Who shares a benefit; too many for one unit form several")
    async def form(body: FormUnits, request: Requested) -> UnitsAnswer:
        members = _members(body.members, _day(request))
        outcomes = await households.form_units(
            registry, body.kind, members, body.household, body.number or "", request.cause, request.access
        )
        return UnitsAnswer(units=tuple(shown(outcome, request) for outcome in outcomes))

    @routes.get("/benefit-units/{id}", summary="Who shared a benefit on a day")
    async def read(id: RecordId, access: Reading, on: On = None) -> UnitAnswer:
        return unit_shown(id, await journal.read(BENEFIT_UNIT, id, access), on or today())

    @routes.post("/benefit-units/{id}/members", summary="Somebody joins, from a day on")
    async def join(id: RecordId, body: JoinBody, request: Requested) -> UnitAnswer:
        command = _join(body, request)
        return shown(await households.join_unit(registry, id, command, request.cause, request.access), request)

    @routes.post("/benefit-units/{id}/members/leave", summary="Somebody leaves, after a last day")
    async def leave(id: RecordId, body: LeaveBody, request: Requested) -> UnitAnswer:
        command = _leave(body, request)
        return shown(await households.leave_unit(registry, id, command, request.cause, request.access), request)

    @routes.get("/patients/{id}/units", summary="The household and the units somebody belongs to; logged")
    async def units_of(id: RecordId, access: Reading) -> BelongsTo:
        await journal.read(PATIENT, id, access)
        await read_log.record(access, patient=id)
        household, units = await asyncio.gather(
            households.household_of(registry, id), households.units_of(registry, id)
        )
        shown = tuple(unit_shown(unit, state, today()) for unit, state in units)
        return BelongsTo(patient=id, household=household, units=shown)
