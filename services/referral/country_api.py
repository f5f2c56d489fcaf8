"""Requests about facilities, destinations and roads."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from libs.common.numbers import Real, Whole
from libs.common.service import Service
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import Code, Instant
from libs.contracts.referral import Duty, FacilityCard, Hours, Unavailable, Urgency
from services.referral import roadworks, store, usecases
from services.referral.country import Known
from services.referral.domain import today
from services.referral.domain.closure import RoadState, WrongSide
from services.referral.domain.destinations import Destinations, Wanted
from services.referral.roadworks import Closing
from services.referral.store import FACILITY
from services.referral.usecases import Surroundings

BloodGroup = Annotated[str, Field(pattern=r"^(A|B|AB|O)[+-]$")]
Mailbox = Annotated[str, Field(pattern=r"^[^@\s]{1,64}@[^@\s]{1,120}$")]

Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]


MAY_BE_UNKNOWN = frozenset({"theatre", "oxygen", "blood"})


class DestinationsBody(Body):
    """`bed`: a kind of bed, where one has to be free. `urgency` weighs how far is about as far."""

    service: Code
    urgency: Urgency = "urgent"
    bed: Code | None = None
    blood_group: BloodGroup | None = None

    def wanted(self) -> Wanted:
        return Wanted(self.service, self.urgency, self.bed, self.blood_group)


class UnavailableBody(Unavailable):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class HoursBody(Hours):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class DutyBody(Duty):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def _told(body: UnavailableBody | HoursBody | DutyBody) -> Unavailable | Hours | Duty:
    """As the card has it. A card takes what it does not know from other versions; who changes it is told of it."""
    kind: Any = type(body).__base__
    return kind(**dict(body))  # type: ignore[no-any-return]


class CardBody(Body):
    """What a facility says of itself; what is not said stays as it was. Of theatre, oxygen and blood it may take back
    what it said (null): it is not known then."""

    services: tuple[Code, ...] | None = None
    unavailable: tuple[Annotated[UnavailableBody, AfterValidator(_told)], ...] | None = None
    beds_by_kind: dict[Code, Annotated[Whole, Field(ge=0, le=10_000)]] | None = None
    theatre: str | None = Field(None, pattern="^(ready|closed|none)$")
    oxygen: str | None = Field(None, pattern="^(piped|cylinders|concentrators|none)$")
    blood: tuple[BloodGroup, ...] | None = None
    hours: tuple[Annotated[HoursBody, AfterValidator(_told)], ...] | None = None
    duty: tuple[Annotated[DutyBody, AfterValidator(_told)], ...] | None = None
    takes_referrals: bool | None = None
    refuses: tuple[Code, ...] | None = None
    winter_access: Code | None = None
    desk_email: Mailbox | None = None
    officer_email: Mailbox | None = None

    def said(self) -> dict[str, Any]:
        return {
            name: getattr(self, name)
            for name in self.model_fields_set
            if name != "occurred_at" and (getattr(self, name) is not None or name in MAY_BE_UNKNOWN)
        }


class CloseBody(Body):
    """`slower` (times as long): it is not closed, but slow. `air_hours`: what flying takes meanwhile, if anything
    flies. `until`: expected open again, at which it is."""

    reason: Code
    since: Instant | None = None
    until: Instant | None = None
    slower: Annotated[Real, Field(ge=1, le=100)] | None = None
    air_hours: Annotated[Real, Field(gt=0, le=100)] | None = None


class Nothing(Body):
    """Nothing needs to be said."""


class FacilityShown(FacilityCard):
    """The card, and what follows from it at this moment. `free_beds` is absent where no ledger is kept; `beds_over` are
    promised to referrals and do not stand there any more: what was promised holds, and no more is."""

    model_config = ConfigDict(frozen=True)

    available_today: tuple[str, ...]
    open_now: bool
    answers_now: tuple[Duty, ...]
    free_beds: dict[str, int] | None = None
    beds_over: dict[str, int] = Field(default_factory=dict)

    @classmethod
    def at(cls, card: FacilityCard, now: dt.datetime, known: Known) -> Self:
        free = known.beds.get(card.code)
        return cls(
            **dict(card),
            available_today=today.available(card, now),
            open_now=card.takes_referrals and today.is_open(card, now),
            answers_now=today.on_duty(card, None, now),
            free_beds=dict(free) if free is not None else None,
            beds_over=dict(known.over.get(card.code, {})),
        )


class FacilityList(BaseModel):
    items: list[FacilityShown]
    next: str | None = Field(None, description="Cursor of the next page")


class RankedAnswer(BaseModel):
    """`hours` of travel now, by road or partly by air, over `roads`; `reasons` in the order in which they weigh;
    `answers` is who answers there now for this service."""

    facility: str
    name: str
    level: str
    hours: float
    by_air: bool
    roads: tuple[str, ...]
    reasons: tuple[str, ...]
    free_beds: dict[str, int] | None = None
    answers: tuple[Duty, ...] = ()


class LeftOutAnswer(BaseModel):
    facility: str
    reasons: tuple[str, ...]


class DestinationsAnswer(BaseModel):
    """`at_origin`: my own facility has it, and nobody need travel. To send past the first of `ranked` asks for a
    reason (`past_reason` of the request)."""

    at_origin: bool
    ranked: list[RankedAnswer]
    left_out: list[LeftOutAnswer]


def _plain(found: Destinations, service: str, now: dt.datetime) -> dict[str, Any]:
    """The same as a plain dict: of 500 facilities nothing is checked that was checked when it was read."""
    return {
        "at_origin": found.at_origin,
        "ranked": [
            {
                "facility": each.card.code,
                "name": each.card.name,
                "level": each.card.level,
                "hours": each.hours,
                "by_air": each.by_air,
                "roads": each.roads,
                "reasons": each.reasons,
                "free_beds": each.free_beds,
                "answers": [duty.model_dump(mode="json") for duty in today.on_duty(each.card, service, now)],
            }
            for each in found.ranked
        ],
        "left_out": [{"facility": each.code, "reasons": each.reasons} for each in found.left_out],
    }


class RoadShown(BaseModel):
    """A road as it is now. `hours` None: nobody comes through."""

    id: str
    between: tuple[str, str]
    over: str | None
    hours: float | None
    dry_hours: float
    by_air: bool
    says: tuple[str, ...]


class RoadList(BaseModel):
    items: list[RoadShown]


class WrongSideList(BaseModel):
    """Emergencies first, then the oldest."""

    items: list[WrongSide]


def router(service: Service, around: Surroundings) -> APIRouter:
    routes = APIRouter()
    _destinations(routes, service, around)
    _facilities(routes, service, around)
    _roads(routes, service, around)
    return routes


def _destinations(routes: APIRouter, service: Service, around: Surroundings) -> None:
    @routes.post("/destinations", tags=["directory"], response_model=DestinationsAnswer)
    async def destinations(body: DestinationsBody, access: Reading) -> JSONResponse:
        """Where a patient of my facility can go for this now, best first, and why each other one is left out. Writes
        nothing."""
        found = await usecases.where_to(around, service.clock, body.wanted(), access)
        return JSONResponse(_plain(found, body.service, service.clock.now()))


def _facilities(routes: APIRouter, service: Service, around: Surroundings) -> None:
    async def shown(card: FacilityCard) -> FacilityShown:
        return FacilityShown.at(card, service.clock.now(), await around.country.known())

    @routes.get("/facilities", tags=["directory"])
    async def facilities(
        access: Reading,
        state: Annotated[int | None, Query(ge=0, le=999, description="LGD code of the state or territory")] = None,
        level: Annotated[str | None, Query(max_length=40, description="PHC, CHC, SDH, DH, MC")] = None,
        offers: Annotated[str | None, Query(max_length=64, alias="service")] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> FacilityList:
        """The directory, by code."""
        documents, following = await store.facilities(
            service.database, access, state_lgd=state, level=level, service=offers, cursor=cursor, limit=limit
        )
        cards = [FacilityCard.model_validate(document["state"]["card"]) for document in documents]
        return FacilityList(items=[await shown(card) for card in cards], next=following)

    @routes.get("/facilities/{code}", tags=["directory"])
    async def facility(code: str, access: Reading) -> FacilityShown:
        """One facility: what it lists, what of that it has today, who answers now."""
        return await shown((await service.journal.read(FACILITY, code, access)).card)

    @routes.patch("/facilities/{code}", tags=["directory"])
    async def change_facility(code: str, body: CardBody, request: Requested) -> FacilityCard:
        """My facility says what changed: a specialist on leave, the theatre, blood, who is on duty. Told to all who
        keep the directory."""
        outcome = await usecases.change_facility(
            service.journal, around.country, code, body.said(), request.cause, request.access
        )
        return outcome.state.card


def _roads(routes: APIRouter, service: Service, around: Surroundings) -> None:
    @routes.get("/roads", tags=["roads"])
    async def roads(access: Reading) -> RoadList:
        """Every road as it is now."""
        known, now = await around.country.known(), service.clock.now()
        passages = around.country.roadmap(known, now).passages
        return RoadList(
            items=[
                RoadShown(
                    id=each.road.id,
                    between=each.road.between,
                    over=each.road.over,
                    hours=each.hours,
                    dry_hours=each.road.hours,
                    by_air=each.by_air,
                    says=each.says,
                )
                for each in sorted(passages, key=lambda each: each.road.id)
            ]
        )

    @routes.post("/roads/{id}/close", tags=["roads"])
    async def close(id: str, body: CloseBody, request: Requested) -> RoadState:
        """The road is closed, or slow. Destinations are ranked anew from now on; the answer names the referrals now on
        the wrong side of it."""
        said = Closing(body.reason, body.since, body.until, body.slower, body.air_hours)
        outcome = await roadworks.close(service.journal, around, service.clock, id, said, request.cause, request.access)
        return outcome.state

    @routes.post("/roads/{id}/open", tags=["roads"])
    async def open_again(id: str, body: Nothing, request: Requested) -> RoadState:
        """The road is open again."""
        outcome = await roadworks.open_again(service.journal, around, service.clock, id, request.cause, request.access)
        return outcome.state

    @routes.get("/roads/{id}/referrals", tags=["roads"])
    async def cut_off(id: str, access: Reading) -> WrongSideList:
        """The referrals on the wrong side of this road as it is now."""
        return WrongSideList(items=await roadworks.cut_off(around, service.clock, id))
