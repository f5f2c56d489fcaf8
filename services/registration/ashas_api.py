"""Requests in, answers out: ASHAs and their facilitators, their places, whom they brought, and their certificate."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path as File
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.common.access import Access
from libs.common.journal import Journal
from libs.common.paging import MOST, page
from libs.common.refusal import Refused
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import Id
from services.registration import certificates, screenings
from services.registration.domain import asha as ashas
from services.registration.domain.asha import MOST_PLACES, Asha, Beat, Population, Role
from services.registration.domain.identifiers import Code, IsoDate, PersonName, Phone, PlaceName, WithinReach
from services.registration.domain.patient import Language, each_once
from services.registration.domain.places import Places
from services.registration.domain.queue import desk_day
from services.registration.outreach import ASHA
from services.registration.screenings import Camp, Credits
from services.registration.usecases import own_facility

RecordId = Annotated[str, Path(min_length=1, max_length=64)]
First = Annotated[
    dt.date | None, IsoDate, WithinReach, Query(alias="from", description="First day; all days if left out")
]
Last = Annotated[
    dt.date | None, IsoDate, WithinReach, Query(alias="to", description="Last day, included; today if left out")
]


class NewBeat(BaseModel):
    """A place by key (`sub-district-12`) or by any of its names. `months` where only in some, as with herders."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    place: PlaceName
    village: PlaceName | None = None
    population: Population = "settled"
    months: tuple[Annotated[int, Field(strict=True, ge=1, le=12)], ...] = Field((), max_length=12)


class ChangeAsha(Body):
    """All of it anew."""

    phone: Phone | None = None
    language: Language = "en"
    places: tuple[NewBeat, ...] = Field(min_length=1, max_length=MOST_PLACES)
    facilitator: Id | None = None


class RegisterAsha(ChangeAsha):
    name: PersonName
    role: Role = "asha"


class RetireAsha(Body):
    reason: Code = "other"


class Brought(Body):
    """`purpose`: registration, immunisation, delivery, or a programme's code. Counts once for a person and a day."""

    patient: Id
    purpose: Code = "registration"


class BeatAnswer(BaseModel):
    place: str
    name: str
    village: str | None
    population: Population
    months: tuple[int, ...]


class CreditAnswer(BaseModel):
    """`people` counts each person once, `brought` each bringing, `by` what it was for."""

    people: int
    brought: int
    by: dict[str, int]


class AshaAnswer(BaseModel):
    id: str
    name: str
    phone: str | None
    role: Role
    facility: str
    language: str
    places: tuple[BeatAnswer, ...]
    facilitator: str | None
    status: Literal["active", "retired"]
    since: dt.date


class Counted(AshaAnswer):
    credits: CreditAnswer


class AshaPage(BaseModel):
    ashas: tuple[Counted, ...]
    cursor: str | None


class CreditsAnswer(CreditAnswer):
    asha: str
    first: dt.date | None
    last: dt.date | None
    facilitates: dict[str, CreditAnswer] = Field(default_factory=dict)
    """For a facilitator: the credits of each of her ASHAs."""


def _in_order(first: dt.date | None, last: dt.date) -> None:
    """Raises Refused naming `to`."""
    if first is not None and first > last:
        raise Refused("ends-before-it-begins", "must not be before the first day", field="to")


def _beats(places: Places, said: tuple[NewBeat, ...], on: dt.date) -> tuple[Beat, ...]:
    """Raises Refused naming the field."""
    found = []
    for index, each in enumerate(said):
        key = each.place if each.place in places.all else None
        if key is None:
            named = places.named(each.place, on=on)
            if not named:
                raise Refused("unknown-place", "is no place that we know", field=f"places.{index}.place")
            districts = {up.key for place in named for up in places.chain(place, on) if up.kind == "district"}
            if len(districts) <= 1 and len({place.kind for place in named}) == len(named):
                key = named[-1].key
        if key is None:
            raise Refused("place-not-clear", "could be several; give its key", field=f"places.{index}.place")
        try:
            months = each_once(each.months)
        except ValueError as error:
            raise Refused("months-twice", str(error), field=f"places.{index}.months") from None
        found.append(Beat(place=key, village=each.village, population=each.population, months=months))
    return tuple(found)


def shown(places: Places, id: str, state: Asha) -> AshaAnswer:
    return AshaAnswer(
        id=id,
        **state.model_dump(include=set(AshaAnswer.model_fields) & set(Asha.model_fields)),
        places=tuple(
            BeatAnswer(
                place=beat.place,
                name=places.all[beat.place].name if beat.place in places.all else beat.place,
                village=beat.village,
                population=beat.population,
                months=beat.months,
            )
            for beat in state.beats
        ),
    )


def _counted(found: Credits) -> CreditAnswer:
    return CreditAnswer(people=found.people, brought=found.brought, by=dict(found.by))


def router(camp: Camp, journal: Journal, fonts: File, today: Callable[[], dt.date]) -> APIRouter:
    """`today` says which day it is at the desks."""
    routes = APIRouter(tags=["ashas"])
    places = camp.registry.places
    _registering(routes, camp, places)
    _crediting(routes, camp, journal, fonts, today)
    return routes


def _registering(routes: APIRouter, camp: Camp, places: Places) -> None:
    @routes.post("/ashas", status_code=201, summary="An ASHA or facilitator of one's own facility, with her places")
    async def register(body: RegisterAsha, request: Requested, response: Response) -> AshaAnswer:
        on = desk_day(request.cause.occurred_at)
        command = ashas.Register(
            name=body.name,
            phone=body.phone,
            role=body.role,
            facility=own_facility(request.access),
            language=body.language,
            beats=_beats(places, body.places, on),
            facilitator=body.facilitator,
            on=on,
        )
        outcome = await screenings.register_asha(camp, command, request.cause, request.access)
        response.headers["Location"] = f"/ashas/{outcome.id}"
        return shown(places, outcome.id, outcome.state)

    @routes.post("/ashas/{id}/change", summary="Her places, language, phone and facilitator from now on")
    async def change(id: RecordId, body: ChangeAsha, request: Requested) -> AshaAnswer:
        beats = _beats(places, body.places, desk_day(request.cause.occurred_at))
        command = ashas.Change(body.phone, body.language, beats, body.facilitator)
        outcome = await screenings.change_asha(camp, id, command, request.cause, request.access)
        return shown(places, outcome.id, outcome.state)

    @routes.post("/ashas/{id}/retire", summary="She no longer works as one; what she did stands")
    async def retire(id: RecordId, body: RetireAsha, request: Requested) -> AshaAnswer:
        command = ashas.Retire(desk_day(request.cause.occurred_at), body.reason)
        outcome = await screenings.change_asha(camp, id, command, request.cause, request.access)
        return shown(places, outcome.id, outcome.state)


def _crediting(routes: APIRouter, camp: Camp, journal: Journal, fonts: File, today: Callable[[], dt.date]) -> None:
    places = camp.registry.places

    async def mine(id: str, access: Access) -> Asha:
        return await journal.read(ASHA, id, access)

    @routes.get("/ashas", summary="The ASHAs of one's own facility by name, each with her counts")
    async def every(
        access: Reading,
        first: First = None,
        last: Last = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        cursor: Annotated[str | None, Query(max_length=1000)] = None,
    ) -> AshaPage:
        until = last or today()
        _in_order(first, until)
        documents, following = await page(
            camp.registry.database[ASHA.collection], access.filter(), sort="state.sort_name", limit=limit, cursor=cursor
        )
        found = [(document["_id"], Asha.model_validate(document["state"])) for document in documents]
        counts = await asyncio.gather(*(screenings.credits_of(camp, id, first, until) for id, _ in found))
        return AshaPage(
            ashas=tuple(
                Counted(**shown(places, id, state).model_dump(), credits=_counted(count))
                for (id, state), count in zip(found, counts, strict=True)
            ),
            cursor=following,
        )

    @routes.get("/ashas/{id}", summary="An ASHA or facilitator")
    async def read(id: RecordId, access: Reading) -> AshaAnswer:
        return shown(places, id, await mine(id, access))

    @routes.post("/ashas/{id}/brought", status_code=201, summary="She brought somebody: credited once a person and day")
    async def brought(id: RecordId, body: Brought, request: Requested) -> CreditAnswer:
        await screenings.bring(camp, id, body.patient, body.purpose, request.cause, request.access)
        return _counted(await screenings.credits_of(camp, id, None, None))

    @routes.get("/ashas/{id}/credits", summary="How many people she brought, and for what")
    async def credits_of(id: RecordId, access: Reading, first: First = None, last: Last = None) -> CreditsAnswer:
        state = await mine(id, access)
        until = last or today()
        _in_order(first, until)
        own = await screenings.credits_of(camp, id, first, until)
        below = {}
        if state.role == "facilitator":
            below = {
                each: _counted(await screenings.credits_of(camp, each, first, until))
                for each in await screenings.facilitated_by(camp, id)
            }
        return CreditsAnswer(asha=id, first=first, last=until, facilitates=below, **_counted(own).model_dump())

    @routes.get("/ashas/{id}/certificate.pdf", summary="Her certificate, in her language")
    async def certificate(id: RecordId, access: Reading, first: First = None, last: Last = None) -> Response:
        state = await mine(id, access)
        begin, end = first or state.since, last or today()
        _in_order(first, end)
        count = await screenings.credits_of(camp, id, begin, end)
        card = await camp.facility(state.facility)
        pdf = await asyncio.to_thread(
            certificates.certificate,
            state.name,
            state.role,
            state.language,
            count.people,
            begin,
            end,
            [places.all[beat.place].name for beat in state.beats if beat.place in places.all],
            card["name"] if card else state.facility,
            fonts,
        )
        return Response(pdf, media_type="application/pdf")
