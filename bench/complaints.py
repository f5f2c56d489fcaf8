"""Complaints put into a store in bulk: as the journal writes them, many times over, each with ids of its own."""

from __future__ import annotations

import copy
import csv
import datetime as dt
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from libs.common.access import SYSTEM
from libs.common.cause import Cause
from libs.common.clock import Clock, machine_now
from libs.common.journal import Journal
from libs.common.metrics import Metrics
from libs.common.mongo import Database, Document, InsertOne
from libs.contracts.event import Event
from libs.contracts.grievance import Reporter
from services.grievance.catalogue import read_categories, read_jurisdictions
from services.grievance.domain import grievance, ticket
from services.grievance.domain.commands import Assign, File
from services.grievance.domain.policy import chosen, policy
from services.grievance.store import GRIEVANCE
from services.grievance.usecases import ANY_TIME

CELL = "IN-NATIONAL-CELL"
AT_ONCE = 1000
CATEGORY = "quality-of-care"
"""Promised in days, not working days, where no state has its own: what is due does not hang on a calendar."""

ELSEWHERE = 27
"""A state without a procedure of its own."""

FACILITIES = Path(__file__).parents[1] / "data" / "facilities.csv"


def directory() -> list[Document]:
    """What the service's replica holds once the referral service has listed the facilities."""
    cards = []
    with FACILITIES.open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            numbers: dict[str, Any] = {
                name: int(row[name]) for name in ("state_lgd", "district_lgd", "altitude_m", "beds")
            }
            places = {name: float(row[name]) for name in ("latitude", "longitude")}
            names = {name: row[name] for name in ("code", "hip_id", "name", "level")}
            card = numbers | places | names | {"refers_to": row["refers_to"] or None}
            cards.append({"_id": row["code"], "epoch": 0, "sequence": 0, "card": card})
    return cards


async def fill(
    database: Database,
    count: int,
    seed: str,
    *,
    breached: int = 0,
    office: str,
    about: str,
    now: dt.datetime | None = None,
) -> None:
    """`count` complaints of the weeks before `now`, assigned, waiting; of `breached` the promised date has passed."""
    journal, now = Journal(database, Clock(), Metrics()), now or machine_now()
    late = await _one(journal, about, office, now - dt.timedelta(days=21, hours=1))
    waiting = [await _one(journal, about, office, now - dt.timedelta(days=days, hours=1)) for days in range(1, 20)]
    chance = random.Random(seed)
    collection = database[GRIEVANCE.collection]
    for start in range(0, count, AT_ONCE):
        batch = [
            _another(late if number < breached else waiting[number % len(waiting)], chance)
            for number in range(start, min(count, start + AT_ONCE))
        ]
        await collection.bulk_write([InsertOne(document) for document in batch], ordered=False)
    for template in (late, *waiting):
        await collection.delete_one({"_id": template["_id"]})


async def _one(journal: Journal, about: str, office: str, at: dt.datetime) -> Document:
    id = str(uuid.uuid4())
    found = policy(
        *chosen(read_jurisdictions(known=read_categories()), at.date(), ELSEWHERE, CATEGORY), CATEGORY, False
    )
    command = File(
        ticket=ticket.mint(id),
        category=CATEGORY,
        text="Three medicines written, none in the pharmacy",
        about_facility=about,
        about_referral=None,
        handled_by=office,
        state_cell=CELL,
        state_lgd=ELSEWHERE,
        district_lgd=1,
        policy=found,
        reporter=Reporter(kind="patient", id=str(uuid.uuid4())),
        filed_by=f"citizen:{id}",
        language="ur",
    )
    for step in (command, Assign(f"nodal-officer@{office}")):

        def decide(state: Any, step: File | Assign = step) -> list[Event]:
            return grievance.decide(state, step, at, ANY_TIME)

        await journal.append(GRIEVANCE, id, decide, Cause(str(uuid.uuid4()), "citizen", at), SYSTEM)
    document = await journal.load(GRIEVANCE, id)
    assert document is not None
    return document


def _another(template: Document, chance: random.Random) -> Document:
    """The same complaint of somebody else: no id, ticket or cause is used twice."""
    document = copy.deepcopy(template)
    id = str(uuid.UUID(int=chance.getrandbits(128)))
    state = document["state"]
    state["ticket"] = ticket.mint(id)
    state["filed_by"] = f"citizen:{id}"
    state["reporter"]["id"] = id
    document |= {"_id": id, "claims": [f"ticket:{state['ticket']}"], "published": document["sequence"]}
    document.pop("pending_since", None)
    for entry, cause in zip(document["journal"], _causes(chance), strict=False):
        entry |= {"id": str(uuid.UUID(int=chance.getrandbits(128))), "cause": cause}
    # The filing and the acknowledgement have one cause.
    document["journal"][1]["cause"] = document["journal"][0]["cause"]
    return document


def _causes(chance: random.Random) -> Iterator[str]:
    while True:
        yield str(uuid.UUID(int=chance.getrandbits(128)))
