"""Where grievances, contacts and declared days stand, and what is asked of the store."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator

from libs.common.access import Access
from libs.common.aggregate import AggregateType
from libs.common.clock import LONG_AGO
from libs.common.mongo import Database, Document
from libs.common.paging import page
from libs.contracts.grievance import CONTACT as CONTACT_TOPIC
from libs.contracts.grievance import GRIEVANCE as GRIEVANCE_TOPIC
from libs.contracts.grievance import ContactErased, ContactRecorded
from services.grievance.domain import contact, declared, events, fold, older
from services.grievance.domain.contact import Contact
from services.grievance.domain.declared import DatesDerived, DayDeclared, DeclaredDays
from services.grievance.domain.moments import next_due
from services.grievance.domain.state import Grievance


def _due(state: Grievance) -> dt.datetime | None:
    clock = next_due(state)
    return clock.due_at if clock else None


GRIEVANCE = AggregateType(
    name="grievance",
    collection="grievances",
    state=Grievance,
    events=events.EVENTS,
    evolve=fold.evolve,
    topic=GRIEVANCE_TOPIC,
    claims=lambda state: [f"ticket:{state.ticket}"],
    # The second: promises by jurisdiction, and clocks side by side (domain/older.py).
    shape=2,
    upcasters=older.UPCASTERS,
    due=_due,
    # What a crash cut in half: an appeal that has no case yet, a parent that was not told.
    retry_at=lambda state: LONG_AGO if state.parent_waits or state.appeal_waits else None,
    indexes=(
        ("state.offices", "state.open", "state.due_at"),
        ("state.offices", "state.status", "state.due_at"),
        ("state.filed_by", "state.due_at"),
        ("state.state_lgd", "state.status"),
        ("state.about_facility", "state.filed_at"),
        ("state.reporter.id",),
    ),
)

CONTACT = AggregateType(
    name="contact",
    collection="contacts",
    state=Contact,
    events=(ContactRecorded, ContactErased),
    evolve=contact.evolve,
    topic=CONTACT_TOPIC,
)

DECLARED = AggregateType(
    name="declared days",
    collection="calendars",
    state=DeclaredDays,
    events=(DayDeclared, DatesDerived),
    evolve=declared.evolve,
    retry_at=lambda state: LONG_AGO if state.derived < state.changes else None,
)


async def holder_of(database: Database, ticket: str) -> str | None:
    """The id of the grievance with this ticket; one index look-up of the id alone, whether it exists or not."""
    found = await database[GRIEVANCE.collection].find_one({"claims": f"ticket:{ticket}"}, {"_id": 1})
    return found["_id"] if found else None


async def filed_between(
    database: Database, about_facility: str, first: dt.datetime, following: dt.datetime
) -> AsyncIterator[Document]:
    """Cases about a facility by when they were entered, without their journals; who may see which is not asked."""
    span = {"$gte": _written(first), "$lt": _written(following)}
    wanted = {"state.about_facility": about_facility, "state.filed_at": span}
    async for document in database[GRIEVANCE.collection].find(wanted, {"state": 1}):
        yield document


async def filed_by_between(
    database: Database, filed_by: str, first: dt.datetime, last: dt.datetime
) -> AsyncIterator[Document]:
    """Cases that one caller filed, without their journals."""
    async for document in database[GRIEVANCE.collection].find({"state.filed_by": filed_by}, {"state": 1}):
        if _written(first) <= document["state"]["filed_at"] <= _written(last):
            yield document


def _written(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def complained_about_by(database: Database, contact: str) -> str | None:
    """The facility about which this contact complained."""
    found = await database[GRIEVANCE.collection].find_one({"state.reporter.id": contact}, {"state.about_facility": 1})
    return found["state"].get("about_facility") if found else None


async def worklist(
    database: Database, access: Access, status: str | None, limit: int, cursor: str | None
) -> tuple[list[Document], str | None]:
    """What this caller may see, oldest promise first: what is open, or what has this status."""
    wanted: Document = {"state.status": status} if status else {"state.open": True}
    if access.caller.role == "citizen" and not status:
        wanted = {}
    return await page(
        database[GRIEVANCE.collection], access.filter() | wanted, sort="state.due_at", limit=limit, cursor=cursor
    )


async def unsettled_at(database: Database, state_lgd: int, district_lgd: int | None) -> AsyncIterator[str]:
    """Ids of the cases of a place whose clocks may still run."""
    place: Document = {"state.state_lgd": state_lgd}
    if district_lgd is not None:
        place["state.district_lgd"] = district_lgd
    for status in ("filed", "assigned", "resolved"):
        async for found in database[GRIEVANCE.collection].find(place | {"state.status": status}, {"_id": 1}):
            yield found["_id"]
