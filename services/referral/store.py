"""Collections, indexes and queries."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any, Literal

from libs.common.access import Access
from libs.common.aggregate import AggregateType
from libs.common.clock import machine_now
from libs.common.mongo import ASCENDING, Database, Document
from libs.common.paging import page
from libs.contracts import referral as contract
from libs.contracts.referral import FacilityCard
from services.referral.domain import closure, facility, ledger, referral, reminders
from services.referral.domain.audit import ADVICE
from services.referral.domain.events import EVENTS

COME_BACK_AFTER = dt.timedelta(seconds=5)
"""After which a timer completes what the process that began it did not come back for."""

REFERRAL = AggregateType(
    name="referral",
    collection="referrals",
    state=referral.Referral,
    events=EVENTS,
    evolve=referral.evolve,
    topic=contract.REFERRAL,
    due=lambda state: min((at for at in (referral.due(state), reminders.due(state)) if at), default=None),
    retry_at=lambda state: machine_now() + COME_BACK_AFTER if referral.owes(state) else None,
    claims=lambda state: [f"leg:{state.leg.code}"] if state.leg and state.leg.code and not state.leg.ended_at else [],
    # The second: worklists and their order (domain/worklists.py).
    shape=2,
    indexes=(
        ("state.origin", "state.status", "state.requested_at", "_id"),
        ("state.destination", "state.status", "state.requested_at", "_id"),
        ("state.origin", "state.requested_at", "_id"),
        ("state.destination", "state.requested_at", "_id"),
        ("state.escalated_at", "state.status", "state.requested_at", "_id"),
        ("state.patient",),
        ("state.lists", "state.rank", "_id"),
        ("state.status", "state.urgency", "state.requested_at", "_id"),
        ("state.chain",),
    ),
)


def _asked_at(state: ledger.Ledger) -> dt.datetime | None:
    """The oldest reservation that is not confirmed is looked at when its acceptance should long have come."""
    oldest = min((each.asked_at for each in ledger.unconfirmed(state)), default=None)
    return oldest + COME_BACK_AFTER if oldest is not None else None


LEDGER = AggregateType(
    name="ledger",
    collection="ledgers",
    state=ledger.Ledger,
    events=ledger.EVENTS,
    evolve=ledger.evolve,
    retry_at=_asked_at,
    indexes=(("state.facility", "state.what"), ("state.what",)),
)

FACILITY = AggregateType(
    name="facility",
    collection="facilities",
    state=facility.Facility,
    events=facility.EVENTS,
    evolve=facility.evolve,
    topic=contract.FACILITY,
    indexes=(("state.card.state_lgd", "_id"), ("state.card.level", "_id"), ("state.card.services", "_id")),
)

ROAD = AggregateType(
    name="road",
    collection="roads",
    state=closure.RoadState,
    events=closure.EVENTS,
    evolve=closure.evolve,
)

FEW = 20
"""Documents that are rather read one by one than all."""

Box = Literal["sent", "received", "escalated"]
_END = {"sent": "origin", "received": "destination", "escalated": "escalated_at"}


async def worklist(
    database: Database, access: Access, box: Box, status: str | None, cursor: str | None, limit: int
) -> tuple[list[Document], str | None]:
    """What the caller's facility sent, received or was told of too late, oldest first, and the next page's cursor."""
    # One end at a time: the rule as it stands would ask for either, which no index answers in order.
    one_end = dataclasses.replace(access, rule=dataclasses.replace(access.rule, at=(_END[box],)))
    wanted = one_end.filter() | ({"state.status": status} if status else {})
    return await page(database[REFERRAL.collection], wanted, sort="state.requested_at", limit=limit, cursor=cursor)


async def facility_versions(database: Database) -> dict[str, int]:
    """Of each facility the version of its card."""
    found = await database[FACILITY.collection].find({}, {"version": 1}).to_list(None)
    return {document["_id"]: document["version"] for document in found}


async def cards(database: Database, codes: Sequence[str]) -> dict[str, FacilityCard]:
    """These facilities' cards; of many, everybody's are read at once."""
    collection = database[FACILITY.collection]
    if len(codes) > FEW:
        found = await collection.find({}, {"state.card": 1}).to_list(None)
    else:
        ones = await asyncio.gather(*(collection.find_one({"_id": code}, {"state.card": 1}) for code in codes))
        found = [one for one in ones if one is not None]
    return {document["_id"]: FacilityCard.model_validate(document["state"]["card"]) for document in found}


async def road_states(database: Database) -> list[closure.RoadState]:
    """Every road that was ever closed."""
    found = await database[ROAD.collection].find({}, {"state": 1}).to_list(None)
    return [closure.RoadState.model_validate(document["state"]) for document in found]


async def promised_beds(database: Database) -> dict[str, dict[str, int]]:
    """Beds that are promised, by facility and kind, where any ever were."""
    wanted = {"state.what": "bed"}
    fields = {"state.facility": 1, "state.kind": 1, "state.count": 1}
    found: dict[str, dict[str, int]] = {}
    for document in await database[LEDGER.collection].find(wanted, fields).to_list(None):
        state = document["state"]
        found.setdefault(state["facility"], {})[state["kind"]] = state["count"]
    return found


async def ledgers_of(database: Database, facility: str, what: str) -> list[ledger.Ledger]:
    """A facility's ledgers of beds, or of its clinics' hours."""
    wanted = {"state.facility": facility, "state.what": what}
    found = await database[LEDGER.collection].find(wanted, {"state": 1}).to_list(None)
    return [ledger.Ledger.model_validate(document["state"]) for document in found]


async def free_slots(
    database: Database, facility: str, clinic: str | None, after: dt.datetime, limit: int
) -> list[ledger.Ledger]:
    """A clinic's coming hours that have a place left, the soonest first."""
    found = [
        each
        for each in await ledgers_of(database, facility, "slot")
        if each.free and each.at is not None and each.at >= after and clinic in (None, each.kind)
    ]
    return sorted(found, key=lambda each: (each.at, each.kind))[:limit]


async def facilities(
    database: Database,
    access: Access,
    *,
    state_lgd: int | None,
    level: str | None,
    service: str | None,
    cursor: str | None,
    limit: int,
) -> tuple[list[Document], str | None]:
    """The directory by code; the offices above the facilities only where their level is asked for."""
    wanted: dict[str, Any] = {
        "state.card.state_lgd": state_lgd,
        "state.card.level": level,
        "state.card.services": service,
    }
    asked = {path: value for path, value in wanted.items() if value is not None}
    asked.setdefault("state.card.level", {"$ne": facility.OFFICE})
    return await page(
        database[FACILITY.collection], access.filter() | asked, sort="state.card.code", limit=limit, cursor=cursor
    )


async def facility_card(database: Database, code: str) -> FacilityCard | None:
    """The card of this facility, if the directory has it."""
    found = await database[FACILITY.collection].find_one({"_id": code}, {"state.card": 1})
    return FacilityCard.model_validate(found["state"]["card"]) if found else None


async def is_offered(database: Database, service: str) -> bool:
    """Whether any facility offers this service."""
    return await database[FACILITY.collection].find_one({"state.card.services": service}, {"_id": 1}) is not None


async def in_status(database: Database, status: str, urgency: str, fields: Sequence[str]) -> list[Document]:
    """Every referral of this status and urgency, oldest first, with these fields of its state."""
    projection = {f"state.{name}": 1 for name in fields}
    wanted = {"state.status": status, "state.urgency": urgency}
    return list(
        await database[REFERRAL.collection].find(wanted, projection).sort("state.requested_at", ASCENDING).to_list(None)
    )


async def count_in_status(database: Database, status: str, urgency: str) -> int:
    return int(await database[REFERRAL.collection].count_documents({"state.status": status, "state.urgency": urgency}))


async def chain(database: Database, first: str) -> list[tuple[str, referral.Referral]]:
    """Every hop of the chain that began with `first`, in order."""
    found = [await database[REFERRAL.collection].find_one({"_id": first}, {"state": 1})]
    found += await database[REFERRAL.collection].find({"state.chain": first}, {"state": 1}).to_list(None)
    hops = [(each["_id"], referral.Referral.model_validate(each["state"])) for each in found if each]
    return sorted(hops, key=lambda hop: hop[1].hop)


async def asked_between(
    database: Database, side: str, facility: str, since: dt.datetime, until: dt.datetime
) -> list[referral.Referral]:
    """Everything that was asked at this side's facility from one instant to before another."""
    wanted = {f"state.{side}": facility, "state.requested_at": {"$gte": instant(since), "$lt": instant(until)}}
    found = await database[REFERRAL.collection].find(wanted, {"state": 1}).to_list(None)
    return [referral.Referral.model_validate(document["state"]) for document in found]


async def first_in_status(database: Database, status: str, urgency: str) -> dt.datetime | None:
    """When the oldest of this status and urgency was asked for."""
    wanted = {"state.status": status, "state.urgency": urgency}
    found = (
        await database[REFERRAL.collection]
        .find(wanted, {"state.requested_at": 1})
        .sort([("state.requested_at", ASCENDING)])
        .limit(1)
        .to_list(1)
    )
    return dt.datetime.fromisoformat(found[0]["state"]["requested_at"]) if found else None


async def closed_of_sent(database: Database) -> tuple[int, int]:
    """How many referrals are closed, and how many there are; questions for advice aside."""
    collection = database[REFERRAL.collection]
    counts = {
        status: await collection.count_documents({"state.status": status}) for status in ("closed", *sorted(ADVICE))
    }
    return counts["closed"], await collection.estimated_document_count() - sum(counts[status] for status in ADVICE)


def instant(moment: dt.datetime) -> str:
    """As instants stand in states: UTC to the millisecond, so that text order is time order."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def listed(database: Database, entry: str, cursor: str | None, limit: int) -> tuple[list[Document], str | None]:
    """The referrals on one worklist, in its order, and the next page's cursor."""
    wanted = {"state.lists": entry}
    return await page(database[REFERRAL.collection], wanted, sort="state.rank", limit=limit, cursor=cursor)


async def on_list(database: Database, entry: str, at_most: int) -> dict[str, int]:
    """The ids on one worklist, in its order, each with its version."""
    found = (
        await database[REFERRAL.collection]
        .find({"state.lists": entry}, {"version": 1})
        .sort([("state.rank", ASCENDING), ("_id", ASCENDING)])
        .limit(at_most)
        .to_list(None)
    )
    return {document["_id"]: document["version"] for document in found}


async def of_leg(database: Database, code: str) -> str | None:
    """The id of the referral whose journey is named by this code, while it goes on."""
    found = await database[REFERRAL.collection].find_one({"claims": f"leg:{code}"}, {"_id": 1})
    return str(found["_id"]) if found else None


async def of_patient_at(database: Database, patient: str, access: Access, at_most: int) -> list[Document]:
    """This patient's referrals that the caller's facility has a part in."""
    found = await database[REFERRAL.collection].find({"state.patient": patient}, {"state": 1}).to_list(None)
    ends = ("origin", "destination", "answered_by", "escalated_at")
    mine = [each for each in found if access.caller.facility in [each["state"].get(end) for end in ends]]
    return sorted(mine, key=lambda each: str(each["state"]["requested_at"]))[:at_most]


async def one_at(database: Database, id: str, access: Access) -> list[Document]:
    """The referral of this id, if the caller's facility has a part in it."""
    found = await database[REFERRAL.collection].find_one({"_id": id}, {"state": 1})
    ends = ("origin", "destination", "answered_by", "escalated_at")
    return [found] if found and access.caller.facility in [found["state"].get(end) for end in ends] else []


async def of_patient(database: Database, patient: str) -> list[str]:
    """Ids of every referral of this patient."""
    found = await database[REFERRAL.collection].find({"state.patient": patient}, {"_id": 1}).to_list(None)
    return [document["_id"] for document in found]


async def sources(database: Database) -> dict[str, tuple[str, int]]:
    """Of each facility the hash of the row it was last taken from, and its version."""
    found: Sequence[Document] = (
        await database[FACILITY.collection].find({}, {"state.source": 1, "version": 1}).to_list(None)
    )
    return {document["_id"]: (document["state"].get("source", ""), document["version"]) for document in found}
