"""How often providers were called for each message that had to go out: exactly once, or nobody knows; never otherwise.

Counted from what the stand-ins received, which keep every double, against the statuses in the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from deploy.local.inbox import received

CALLS = ("calls_one", "calls_unknown", "calls_none", "calls_two")
NEVER = ("calls_none", "calls_two")
"""What must not happen: marked as sent and never handed over, or handed over twice."""

OUTSIDE = ("sms", "email")


def per_intent(messages: Iterable[Mapping[str, Any]], handed_over: Iterable[str]) -> dict[str, int]:
    """`messages` are states with their `_id`; `handed_over` the references that providers received, each time."""
    counts = Counter(handed_over)
    found = dict.fromkeys(CALLS, 0)
    for message in messages:
        if message["channel"] not in OUTSIDE:
            continue
        calls, status = counts[message["_id"]], message["status"]
        if calls > 1:
            found["calls_two"] += 1
        elif status == "outcome-unknown":
            found["calls_unknown"] += 1
        elif calls == 1:
            found["calls_one"] += 1
        elif status == "sent":
            found["calls_none"] += 1
    return found


def read(mongodb_uri: str, prefix: str, inbox: Path) -> dict[str, int]:
    """Of everything that stands in the store and in the inboxes now."""
    with MongoClient[dict[str, Any]](mongodb_uri, serverSelectionTimeoutMS=5000) as client:
        stored = client[f"{prefix}notifications"]["messages"].find({}, {"state.channel": 1, "state.status": 1})
        messages = [{"_id": one["_id"], **one["state"]} for one in stored]
    sms = [entry["reference"] for entry in received(inbox / "sms.jsonl")]
    mails = [entry["message_id"].strip("<>").split("@")[0] for entry in received(inbox / "mail.jsonl")]
    return per_intent(messages, [*sms, *mails])
