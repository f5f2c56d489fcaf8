"""Cases that the first version wrote, read as cases of today: they keep the promise that was made to them.

That version knew no jurisdictions: a category promised redress in elapsed hours, and `escalation_hours` were those of
the levels above. No office hours, no appeal, and nobody but the complainant closed; so it stays for those cases.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

BEFORE = "before-jurisdictions"
UNKNOWN = 0
"""The first version did not say in which state and district; no date of such a case depends on it."""

HOURS_THEN = 504.0
"""Stands in a filing that is read by itself: its date stands in the acknowledgement that came with it."""


def state(data: dict[str, Any]) -> dict[str, Any]:
    """A stored state in today's shape; one that has it already is left as it is."""
    if "policy" in data or "escalation_hours" not in data:
        return data
    filed_at, due_at = _at(data["filed_at"]), data.get("due_at")
    hours = (_at(due_at) - filed_at).total_seconds() / 3600 if due_at else HOURS_THEN
    policy = _policy(data["filed_at"], hours, data["escalation_hours"])
    step = data.get("step", 0)
    clocks = _redress(data.get("next_due_at"), [hours, *data["escalation_hours"]][step:][:1])
    return {**data, "state_lgd": UNKNOWN, "district_lgd": UNKNOWN, "policy": policy, "clocks": clocks}


def filed(data: dict[str, Any]) -> dict[str, Any]:
    if "policy" in data:
        return data
    policy = _policy(data["filed_at"], HOURS_THEN, data.get("escalation_hours", ()))
    return {**data, "state_lgd": UNKNOWN, "district_lgd": UNKNOWN, "policy": policy}


def acknowledged(data: dict[str, Any]) -> dict[str, Any]:
    if "clocks" in data:
        return data
    hours = (_at(data["due_at"]) - _at(data["acknowledged_at"])).total_seconds() / 3600
    return {**data, "clocks": _redress(data.get("next_due_at"), [hours])}


def escalated(data: dict[str, Any]) -> dict[str, Any]:
    if "clocks" in data:
        return data
    following = data.get("next_due_at")
    hours = (_at(following) - _at(data["escalated_at"])).total_seconds() / 3600 if following else 0.0
    return {**data, "clocks": _redress(following, [hours])}


UPCASTERS = {
    "grievance.GrievanceFiled.v1": filed,
    "grievance.GrievanceAcknowledged.v1": acknowledged,
    "grievance.GrievanceEscalated.v1": escalated,
}


def _policy(filed_at: str, hours: float, escalation_hours: Sequence[float]) -> dict[str, Any]:
    promises = {"redress": _span(hours), "ladder": [_span(each) for each in escalation_hours]}
    return {"jurisdiction": BEFORE, "since": filed_at[:10], "promises": promises}


def _redress(due_at: str | None, hours: Sequence[float]) -> list[dict[str, Any]]:
    """The one clock there was, if it still ran."""
    if due_at is None or not hours:
        return []
    started_at = _at(due_at) - dt.timedelta(hours=hours[0])
    return [{"name": "redress", "started_at": started_at, "span": _span(hours[0]), "due_at": due_at}]


def _span(hours: float) -> dict[str, Any]:
    """In days, for a span has a thousand of its unit at most."""
    return {"amount": hours / 24, "unit": "days"} if hours > 1000 else {"amount": hours, "unit": "hours"}


def _at(written: str) -> dt.datetime:
    return dt.datetime.fromisoformat(written)
