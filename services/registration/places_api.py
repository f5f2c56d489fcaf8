"""Places by name and by day, and where somebody is to be found on a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from libs.common.journal import Journal, NotFound
from libs.common.mongo import Database
from libs.common.paging import MOST, page
from libs.common.read_log import ReadLog
from libs.common.refusal import Refused
from libs.common.web import Reading
from libs.contracts.registration import PatientCard, SecondPlace
from services.registration.aggregates import PATIENT
from services.registration.domain.identifiers import IsoDate, WithinReach
from services.registration.domain.places import FOR_EVER, KINDS, LONG_AGO, Kind, Lived, Place, Places
from services.registration.domain.whereabouts import there

RecordId = Annotated[str, Path(min_length=1, max_length=64)]
Key = Annotated[str, Path(min_length=2, max_length=64)]
On = Annotated[
    dt.date | None, IsoDate, WithinReach, Query(description="The day asked for; today (Asia/Kolkata) if left out")
]


class PlaceAnswer(BaseModel):
    """`code` is LGD's; null while none is published. `within` is what it is part of on that day, the smallest first."""

    key: str
    kind: Kind
    code: int | None
    name: str
    also: tuple[str, ...]
    valid_from: dt.date | None
    valid_to: dt.date | None
    within: tuple[PlaceName, ...]
    note: str


class PlaceName(BaseModel):
    key: str
    kind: Kind
    code: int | None
    name: str


class PlaceDetail(PlaceAnswer):
    """`was_within` says of which larger places it was part when; `came_from` and `became` name its predecessors and
    what was made out of it."""

    was_within: tuple[WasWithin, ...]
    came_from: tuple[PlaceName, ...]
    became: tuple[PlaceName, ...]


class WasWithin(BaseModel):
    place: PlaceName
    valid_from: dt.date | None
    valid_to: dt.date | None


class PlaceList(BaseModel):
    places: tuple[PlaceAnswer, ...]
    cursor: str | None


class Spot(BaseModel):
    """Codes as they were recorded, what they meant on that day (`recorded_on`), and what those places are on the day
    asked for: several where the record does not tell which part of a divided place it was."""

    village: str | None
    state_lgd: int | None
    district_lgd: int | None
    sub_district_lgd: int | None
    block_lgd: int | None
    recorded_on: dt.date | None
    meant: tuple[PlaceName, ...]
    is_now: tuple[PlaceName, ...]
    certain: bool


class Where(BaseModel):
    """`at` says at which of their places somebody is on that day."""

    patient: str
    on: dt.date
    at: Literal["home", "second-place"]
    there: Spot
    home: Spot
    second_place: Spot | None
    second_place_months: tuple[int, ...]


class Found(BaseModel):
    patient: str
    at: Literal["home", "second-place"]


class FoundPage(BaseModel):
    """A page may hold fewer than were asked for; only a null cursor ends the list."""

    place: PlaceName
    on: dt.date
    patients: tuple[Found, ...]
    cursor: str | None


def _day(day: dt.date) -> dt.date | None:
    return None if day in (LONG_AGO, FOR_EVER) else day


def named(place: Place) -> PlaceName:
    return PlaceName(key=place.key, kind=place.kind, code=place.code, name=place.name)


def _shown(places: Places, place: Place, on: dt.date) -> dict[str, object]:
    return {
        "key": place.key,
        "kind": place.kind,
        "code": place.code,
        "name": place.name,
        "also": place.also,
        "valid_from": _day(place.since),
        "valid_to": _day(place.until),
        "within": tuple(named(up) for up in list(places.chain(place, on))[1:]),
        "note": place.note,
    }


def _detail(places: Places, place: Place, on: dt.date) -> PlaceDetail:
    late = dt.date(9999, 12, 30)
    return PlaceDetail.model_validate(
        _shown(places, place, on)
        | {
            "was_within": tuple(
                WasWithin(place=named(places.all[each.place]), valid_from=_day(each.since), valid_to=_day(each.until))
                for each in place.within
            ),
            "came_from": tuple(
                named(old)
                for old in places.all.values()
                if old.key != place.key and place in places.became(old, LONG_AGO, late)
            ),
            "became": tuple(named(new) for new in places.became(place, LONG_AGO, late) if new.key != place.key),
        }
    )


def spot(places: Places, lived: Lived, village: str | None, on: dt.date) -> Spot:
    """What a record's codes meant, and what became of the places since; nothing became of them before."""
    then = lived.on or on
    meant = places.meaning(lived, then)
    smallest = next((meant[kind] for kind in reversed(KINDS) if kind in meant), None)
    is_now: list[Place] = []
    certain = True
    if smallest is not None:
        heirs = places.became(smallest, then, max(then, on))
        certain = len(heirs) == 1
        today = places.meaning(lived, max(then, on))
        is_now = [today[kind] for kind in KINDS if kind in today] if certain else heirs
    return Spot(
        village=village,
        state_lgd=lived.state_lgd,
        district_lgd=lived.district_lgd,
        sub_district_lgd=lived.sub_district_lgd,
        block_lgd=lived.block_lgd,
        recorded_on=lived.on,
        meant=tuple(named(meant[kind]) for kind in KINDS if kind in meant),
        is_now=tuple(named(place) for place in is_now),
        certain=certain,
    )


def _lived(there: PatientCard | SecondPlace, on: dt.date | None) -> Lived:
    return Lived(there.state_lgd, there.district_lgd, there.sub_district_lgd, there.block_lgd, on)


def whereabouts(places: Places, id: str, card: PatientCard, on: dt.date) -> Where:
    """In the months of the second place they are there, else at home."""
    home = spot(places, _lived(card, card.place_on), card.village, on)
    away = card.second_place
    second = spot(places, _lived(away, card.place_on), away.village, on) if away else None
    now = there(card, on)
    is_away = now is not card
    return Where(
        patient=id,
        on=on,
        at="second-place" if is_away else "home",
        there=spot(places, _lived(now, card.place_on), now.village, on) if is_away else home,
        home=home,
        second_place=second,
        second_place_months=away.months if away else (),
    )


def is_in(
    places: Places, there: PatientCard | SecondPlace, recorded: dt.date | None, place: Place, on: dt.date
) -> bool:
    """Whether somebody recorded there is in this place on that day, as far as the record tells."""
    return any(each.key == place.key for each in places.meaning(_lived(there, recorded), on).values())


def router(
    places: Places, database: Database, journal: Journal, read_log: ReadLog, today: Callable[[], dt.date]
) -> APIRouter:
    """`today` says which day it is at the desks."""
    routes = APIRouter(tags=["places"])

    def known(key: str) -> Place:
        place = places.all.get(key)
        if place is None:
            raise NotFound
        return place

    @routes.get("/places", summary="Places of a day, by name however it is spelt, by kind, or by what they are part of")
    async def find(
        access: Reading,
        name: Annotated[str | None, Query(min_length=1, max_length=100)] = None,
        kind: Kind | None = None,
        within: Annotated[str | None, Query(max_length=64, description="Key of a larger place")] = None,
        code: Annotated[int | None, Query(ge=1, le=999_999, description="LGD code; say the kind with it")] = None,
        on: On = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
        cursor: Annotated[str | None, Query(max_length=64)] = None,
    ) -> PlaceList:
        day = on or today()
        if within is not None and within not in places.all:
            raise Refused("unknown-place", "is no key of a place", field="within")
        if name is not None:
            found = places.named(name, kind=kind, within=within, on=day)
        else:
            found = [
                place
                for place in places.all.values()
                if place.holds(day)
                and (kind is None or place.kind == kind)
                and (within is None or within in {up.key for up in list(places.chain(place, day))[1:]})
            ]
        found = [place for place in found if code is None or place.code == code]
        keys = [place.key for place in found]
        if cursor is not None and cursor not in keys:
            raise Refused("cursor-invalid", "must be a cursor that an earlier page gave", field="cursor")
        start = keys.index(cursor) + 1 if cursor is not None else 0
        shown = found[start : start + limit]
        return PlaceList(
            places=tuple(PlaceAnswer.model_validate(_shown(places, place, day)) for place in shown),
            cursor=shown[-1].key if start + limit < len(found) else None,
        )

    @routes.get("/places/{key}", summary="A place: its names, its days, what it came from and what became of it")
    async def detail(key: Key, access: Reading, on: On = None) -> PlaceDetail:
        return _detail(places, known(key), on or today())

    @routes.get("/patients/{id}/where", summary="Where somebody is to be found on a day; the reading is logged")
    async def where(id: RecordId, access: Reading, on: On = None) -> Where:
        patient = await journal.read(PATIENT, id, access)
        await read_log.record(access, patient=id)
        return whereabouts(places, id, patient.card, on or today())

    @routes.get("/places/{key}/patients", summary="One's own facility's people who are in a place on a day, for a camp")
    async def found_there(
        key: Key,
        access: Reading,
        on: On = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        cursor: Annotated[str | None, Query(max_length=1000)] = None,
    ) -> FoundPage:
        place, day = known(key), on or today()
        conditions = {"$and": [access.filter(), {"state.status": "active"}]}
        documents, following = await page(
            database[PATIENT.collection], conditions, sort="state.search.name", limit=limit, cursor=cursor
        )
        patients = []
        for document in documents:
            card = PatientCard.model_validate(document["state"]["card"])
            now = there(card, day)
            if is_in(places, now, card.place_on, place, day):
                patients.append(Found(patient=document["_id"], at="home" if now is card else "second-place"))
                await read_log.record(access, patient=document["_id"])
        return FoundPage(place=named(place), on=day, patients=tuple(patients), cursor=following)

    return routes
