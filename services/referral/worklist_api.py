"""What waits for me: lists by facility and role, read page by page or followed live."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse, ServerSentEvent

from libs.common.access import Access, Forbidden
from libs.common.mongo import STORE_AWAY
from libs.common.refusal import Refused
from libs.common.service import Service
from libs.common.web import Reading
from libs.contracts.event import Instant
from services.referral import answers, store
from services.referral.domain.referral import Referral
from services.referral.domain.today import day_of
from services.referral.domain.worklists import LISTS, Name, expected_on, is_overdue, key
from services.referral.patients import Patient, Patients

LOOK_EVERY_SECONDS = 1.0
LONGEST_SECONDS = 900.0
"""A stream ends after this long; a page connects anew, with a token that is still good."""

COUNTED = 200
"""A list that is longer is said to be at least that long."""


class Listed(answers.Listed):
    """`expected_on` is a day in India; `reminded` how often whoever owes the next step was reminded."""

    expected_on: dt.date | None = None
    expected_at: Instant | None = None
    held_for: str | None = None
    answer_due: Instant | None = None
    overdue: bool = False
    reminded: int = 0
    avoidable: bool | None = None

    @classmethod
    def at(cls, id: str, state: Referral, patient: Patient) -> Listed:
        listed = answers.Listed.of(id, state, patient)
        leg = state.leg if state.leg and state.leg.under_way else None
        return cls(
            **dict(listed),
            expected_on=expected_on(state),
            expected_at=leg.expected_at if leg else state.appointment_at,
            held_for=leg.held_for if leg else None,
            answer_due=state.answer_due,
            overdue=is_overdue(state),
            reminded=state.reminded,
            avoidable=state.avoidable,
        )


class Page(BaseModel):
    items: list[Listed]
    next: str | None = Field(None, description="Cursor of the next page")


class Count(BaseModel):
    """`count` goes up to 200; `more` says that there are more."""

    model_config = ConfigDict(frozen=True)

    name: Name
    about: str
    count: int
    more: bool = False


class Counts(BaseModel):
    items: list[Count]


def router(service: Service, patients: Patients) -> APIRouter:
    routes = APIRouter()

    def today() -> dt.date:
        return day_of(service.clock.now())

    @routes.get("/worklists", tags=["worklists"])
    async def mine(access: Reading) -> Counts:
        """The lists that somebody of my role looks at, each with how much is on it."""
        names = _names(access)
        keys = [key(name, access.caller.facility, today()) for name in names]
        seen = await asyncio.gather(*(store.on_list(service.database, each, COUNTED + 1) for each in keys))
        return Counts(items=[_count(name, versions) for name, versions in zip(names, seen, strict=True)])

    @routes.get("/worklists/stream", include_in_schema=False)
    async def stream(access: Reading) -> EventSourceResponse:
        """The same, live: at once each list with its count, then each that changes, as server-sent events `worklist`.

        Every one of them is to be read anew from `GET /worklists/{name}`; no person is named in the stream."""
        names = _names(access)

        async def follow() -> AsyncIterator[ServerSentEvent]:
            known: dict[Name, dict[str, int]] = {}
            ends = asyncio.get_running_loop().time() + LONGEST_SECONDS
            while asyncio.get_running_loop().time() < ends:
                for name in names:
                    try:
                        listed = key(name, access.caller.facility, today())
                        versions = await store.on_list(service.database, listed, COUNTED + 1)
                    except STORE_AWAY:
                        continue
                    before = known.get(name)
                    if versions != before:
                        known[name] = versions
                        changed = [id for id, version in versions.items() if (before or {}).get(id) != version]
                        said = _count(name, versions).model_dump(mode="json")
                        said["changed"] = changed[:COUNTED] if before is not None else []
                        yield ServerSentEvent(json.dumps(said), event="worklist")
                await asyncio.sleep(LOOK_EVERY_SECONDS)

        return EventSourceResponse(follow(), ping=15)

    @routes.get("/worklists/{name}", tags=["worklists"])
    async def page(
        name: Name,
        access: Reading,
        cursor: Annotated[str | None, Query(max_length=500, description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> Page:
        """One of my lists: emergencies first, then the oldest."""
        if name not in _names(access):
            raise Forbidden(f"this list is for the {' or '.join(sorted(LISTS[name].roles))}")
        listed = key(name, access.caller.facility, today())
        documents, following = await store.listed(service.database, listed, cursor, limit)
        states = {document["_id"]: Referral.model_validate(document["state"]) for document in documents}
        known = await patients.get_many([state.patient for state in states.values()])
        items = [Listed.at(id, state, known[state.patient]) for id, state in states.items()]
        return Page(items=items, next=following)

    return routes


def _names(access: Access) -> tuple[Name, ...]:
    """The lists of this caller. Raises Refused for a token without a facility."""
    if not access.caller.facility:
        raise Refused("no-facility", "a worklist is a facility's")
    return tuple(name for name, listing in LISTS.items() if access.caller.role in listing.roles)


def _count(name: Name, versions: dict[str, int]) -> Count:
    return Count(name=name, about=LISTS[name].about, count=min(len(versions), COUNTED), more=len(versions) > COUNTED)
