"""A made-up hill state of 500 facilities, and referrals between two of them, put into a store in bulk."""

from __future__ import annotations

import csv
import datetime as dt
import random
import uuid
from pathlib import Path
from typing import Any

from libs.common.access import SYSTEM
from libs.common.cause import Cause
from libs.common.clock import Clock, machine_now
from libs.common.journal import Journal
from libs.common.metrics import Metrics
from libs.common.mongo import Database, Document
from services.referral import directory
from services.referral.domain import commands
from services.referral.domain.commands import By
from services.referral.domain.referral import decide
from services.referral.store import REFERRAL

HERE, THERE = "HP-KNR-CHC-POOH", "HP-KNR-RH-PEO"
AT_ONCE = 1000
PATIENTS = 2000
WAITING = 40
"""Referrals that the busy hospital has not answered yet."""

REASON = "acute abdomen, guarding"
LOOP: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("accept", "doctor", THERE, {}),
    ("depart", "transport", HERE, {"mode": "ambulance-108"}),
    ("arrive", "desk", THERE, {}),
    ("outcome", "doctor", THERE, {"outcome": "treated-and-discharged", "summary": "appendix taken out"}),
    ("back-refer", "doctor", THERE, {"advice": "stitches out in ten days"}),
    ("acknowledge", "doctor", HERE, {}),
)
"""After the request, six more commands: command, role, facility, body."""

_STEPS: tuple[tuple[commands.Step, By], ...] = (
    (commands.Accept(), By("doctor", THERE)),
    (commands.Depart("ambulance-108"), By("transport", HERE)),
    (commands.Arrive(), By("desk", THERE)),
    (commands.RecordOutcome("treated-and-discharged", "appendix taken out"), By("doctor", THERE)),
    (commands.BackRefer("stitches out in ten days"), By("doctor", THERE)),
    (commands.Acknowledge(), By("doctor", HERE)),
)


def patient(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"bench patient {number}"))


def requested(number: int) -> dict[str, Any]:
    """A body for POST /referrals."""
    return {
        "patient": patient(number % PATIENTS),
        "to": THERE,
        "service": "surgery",
        "urgency": "urgent",
        "reason": REASON,
    }


async def fill(database: Database, count: int, seed: int) -> None:
    """`count` referrals as the journal writes them: closed loops from all over the state, a few open ones, and their
    patients' cards. One of each kind goes through the journal; the others are copies of it."""
    chance = random.Random(seed)
    codes = [row.card.code for row in directory.read(Path("data/facilities.csv"))]
    closed, waiting = await _written(database, True), await _written(database, False)
    await database[REFERRAL.collection].delete_many({"_id": {"$in": [closed["_id"], waiting["_id"]]}})
    began = machine_now() - dt.timedelta(days=365)
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        await database[REFERRAL.collection].insert_many(
            [
                _copy(waiting if n >= count - WAITING else closed, n, began, codes, chance, busy=n >= count - WAITING)
                for n in numbers
            ]
        )
    cards = [
        {
            "_id": patient(n),
            "epoch": 1,
            "sequence": 1,
            "card": {"id": patient(n), "name": "Tsering Dolma", "sex": "female", "registered_at": HERE},
        }
        for n in range(PATIENTS)
    ]
    await database["patients"].insert_many(cards)


async def _written(database: Database, whole: bool) -> Document:
    """One referral through the journal itself, published."""
    journal, clock = Journal(database, Clock(), Metrics()), Clock()
    cause = Cause(str(uuid.uuid4()), f"doctor@{HERE}", machine_now())
    id = cause.new_id("referral")
    request = commands.Request(patient(0), THERE, "surgery", "urgent", REASON, answer_within=dt.timedelta(days=900))
    by = By("doctor", HERE)
    await journal.create(REFERRAL, id, lambda state: decide(state, request, by, clock.now()), cause, SYSTEM)
    for number, (command, actor) in enumerate(_STEPS if whole else ()):
        await journal.append(
            REFERRAL,
            id,
            lambda state, command=command, actor=actor: decide(state, command, actor, clock.now()),  # type: ignore[misc]
            cause.derive(number),
            SYSTEM,
        )
    document = await journal.load(REFERRAL, id)
    assert document is not None
    document["published"] = document["sequence"]
    document.pop("pending_since", None)
    return document


def _copy(
    model: Document, number: int, began: dt.datetime, codes: list[str], chance: random.Random, *, busy: bool
) -> Document:
    """The busy hospital receives every fifth of them."""
    asked = (began + dt.timedelta(minutes=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    destination = THERE if busy or number % 5 == 0 else chance.choice(codes)
    id = str(uuid.UUID(int=chance.getrandbits(128)))
    state = model["state"] | {
        "patient": patient(number % PATIENTS),
        "origin": chance.choice(codes),
        "destination": destination,
        "requested_at": asked,
        "changed_at": asked,
    }
    journal = [
        entry | {"id": f"{id[:24]}{position:012d}", "cause": f"{id}-{position}"}
        for position, entry in enumerate(model["journal"])
    ]
    return model | {"_id": id, "state": state, "journal": journal}


def write_directory(path: Path, count: int) -> Path:
    """The project's own facilities and as many made-up ones as make `count`, each referring one level up."""
    with Path("data/facilities.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chance = random.Random(count)
    above = [row for row in rows if row["level"] in ("DH", "SDH")]
    for number in range(count - len(rows)):
        model, parent = chance.choice(rows[:30]), chance.choice(above)
        rows.append(
            model
            | {
                "code": f"HP-XX-PHC-{number:03d}",
                "hip_id": f"IN99{number + 10_000:08d}",
                "level": chance.choice(("PHC", "CHC")),
                "refers_to": parent["code"],
                "road_hours": f"{chance.uniform(0.3, 6):.1f}",
                "desk_email": f"desk.xx-{number}@hospital.example",
            }
        )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
