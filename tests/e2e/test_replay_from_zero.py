"""Every topic, read again from its beginning by every service, changes no document."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from deploy.local.store import SERVICES
from tests.e2e.conftest import House, make_day
from tests.rewinding import rewind
from tools.checking.stores import connect

OWN_AFFAIRS = ("leases", "reads")
"""Collections that say nothing of what happened to a patient."""


def documents(house: House) -> dict[str, str]:
    """Every document of every service, as text, by place."""
    client = connect(house.stack.mongodb_uri)
    found: dict[str, str] = {}
    try:
        for service in SERVICES:
            database = client[f"{house.stack.prefix}{service}"]
            for collection in database.list_collection_names():
                if collection in OWN_AFFAIRS:
                    continue
                for document in database[collection].find():
                    found[f"{service}.{collection}.{document['_id']}"] = json.dumps(
                        document, default=str, sort_keys=True
                    )
    finally:
        client.close()
    return found


def wait_for_timers(house: House, seconds: float = 60.0) -> None:
    """Until no aggregate waits for a timer of the machine's clock: what a timer still writes is no replay's doing."""
    client = connect(house.stack.mongodb_uri)
    deadline = time.monotonic() + seconds
    try:
        for service in SERVICES:
            database = client[f"{house.stack.prefix}{service}"]
            for collection in database.list_collection_names():
                while waiting := database[collection].find_one({"retry_at": {"$exists": True}}, {"_id": 1}):
                    assert time.monotonic() < deadline, f"{service}.{collection} {waiting['_id']} waits for a timer"
                    time.sleep(0.2)
    finally:
        client.close()


def test_a_replay_from_zero_changes_nothing(house: House) -> None:
    day = make_day(house.folder / "day.jsonl", seed=11, patients=12)
    result = house.play(day)
    assert result["unexpected"] == 0, result["differences"]
    house.settle()
    wait_for_timers(house)
    before = documents(house)
    sms = (house.stack.inbox / "sms.jsonl").read_text()
    mails = (house.stack.inbox / "mail.jsonl").read_text()

    house.stack.processes.stop_all(list(SERVICES))
    groups = asyncio.run(rewind(house.stack.kafka_bootstrap, "hillhealth."))
    assert len(groups) >= 10, groups
    house.stack.up_services()
    house.settle()

    after = documents(house)
    assert changed(before, after) == []
    assert (house.stack.inbox / "sms.jsonl").read_text() == sms
    assert (house.stack.inbox / "mail.jsonl").read_text() == mails


def changed(before: dict[str, str], after: dict[str, str]) -> list[Any]:
    places = sorted(before.keys() | after.keys())
    return [place for place in places if before.get(place) != after.get(place)]
