"""Calls per intent are counted so that a double, and a message that never went out, would be seen."""

from __future__ import annotations

import pytest

from tests.faults.calls import per_intent


@pytest.mark.parametrize(
    ("status", "calls", "counted"),
    [
        ("sent", 1, "calls_one"),
        ("sent", 0, "calls_none"),
        ("sent", 2, "calls_two"),
        ("outcome-unknown", 0, "calls_unknown"),
        ("outcome-unknown", 1, "calls_unknown"),
        ("outcome-unknown", 2, "calls_two"),
        ("failed", 1, "calls_one"),
        ("lapsed", 0, None),
        ("failed", 0, None),
    ],
)
def test_each_intent_is_counted_once(status: str, calls: int, counted: str | None) -> None:
    messages = [{"_id": "m", "channel": "sms", "status": status}, {"_id": "n", "channel": "in-app", "status": "sent"}]
    found = per_intent(messages, ["m"] * calls)
    assert {name for name, count in found.items() if count} == ({counted} if counted else set())
