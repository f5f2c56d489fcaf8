"""Beds under fire: every acceptance of the load names one, and afterwards ledgers and referrals must say the same.

Reads the store without any code of the service.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient

from tools.checking.world import Difference

KIND = "general"
"""Of which every facility that names no kinds has all its beds."""

BEHIND = "reservation"
HOLDING = {"accepted", "scheduled", "arrived", "seen", "appointment-cancelled", "cancel-requested", "treated"}
"""Statuses in which a referral may hold a bed."""

Doc = dict[str, Any]


def ask_for_beds(day: Path) -> None:
    """Every acceptance of the day names a bed; a retry is still the same request."""
    lines = [json.loads(line) for line in day.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if line.get("verb") == "referral.accept":
            line["body"] = {"bed": KIND}
    day.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


async def differences(uri: str, prefix: str, seconds: float) -> list[Difference]:
    """What ledgers and referrals do not agree on once nothing is left to be done; `stuck` for what stays."""
    client: AsyncMongoClient[Doc] = AsyncMongoClient(uri, tz_aware=True)
    try:
        database = client[f"{prefix}referral"]
        until = time.monotonic() + seconds
        while await _left(database) and time.monotonic() < until:  # noqa: ASYNC110 - it happens in other processes
            await asyncio.sleep(0.2)
        found = [Difference("stuck", "left to be done", BEHIND, id) for id in await _left(database)]
        fields = {"state.status": 1, "state.reserved": 1, "state.releasing": 1, "journal.type": 1}
        referrals = {each["_id"]: each for each in await database["referrals"].find({}, fields).to_list(None)}
        ledgers = await database["ledgers"].find({}).to_list(None)
        return found + list(compared(ledgers, referrals))
    finally:
        await client.close()


async def _left(database: Any) -> list[str]:
    found: list[str] = []
    for name in ("referrals", "ledgers"):
        waiting = database[name].find({"retry_at": {"$exists": True}}, {"_id": 1})
        found += [document["_id"] for document in await waiting.to_list(None)]
    return found


def compared(ledgers: list[Doc], referrals: dict[str, Doc]) -> Iterator[Difference]:
    """Never more are promised than there are; each open reservation is held by one live referral, and each that is held
    stands open in one ledger, once."""
    held = {
        reservation["id"]: (id, document["state"]["status"])
        for id, document in referrals.items()
        for reservation in document["state"].get("reserved", ())
    }
    opened: Counter[str] = Counter()
    for ledger in ledgers:
        state = ledger["state"]
        if len(state["open"]) > state["total"]:
            yield Difference("doubled", "more beds promised than there are", "ledgers", ledger["_id"])
        for each in state["open"]:
            opened[each["id"]] += 1
            holder, status = held.get(each["id"], ("", ""))
            if holder != each["referral"] or status not in HOLDING:
                yield Difference("lost", "bed that no live referral holds", "ledgers", each["id"])
    for id in held:
        if opened[id] != 1:
            yield Difference("lost", "held bed that stands in no ledger", "referrals", id)
