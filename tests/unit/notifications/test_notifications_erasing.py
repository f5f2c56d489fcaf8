"""What an erasure leaves of people we recorded and of what callers said: ids, codes and times, and no words."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from libs.common.redaction import redact
from libs.contracts.event import Event
from services.notifications.domain import person, send
from services.notifications.people import PERSON
from services.notifications.sends import SEND

NOW = dt.datetime(2026, 11, 20, 5, 0, tzinfo=dt.UTC)


def entries(*events: Event) -> list[dict[str, Any]]:
    return [{"type": event.TYPE, "data": event.model_dump(mode="json")} for event in events]


def test_a_relative_is_nobody_afterwards() -> None:
    details = person.Details(
        kind="family",
        name="Marked Aunt",
        phone="+915550000001",
        email="marked@example.org",
        address="ntfys://marked",
        patients=("p1",),
        villages=("Marked",),
    )
    told = entries(*person.decide(None, person.Record(details)))
    kept = [redact(PERSON, entry) for entry in told] + entries(person.PersonErased())
    state = PERSON.fold(kept)
    assert state is not None
    assert not state.active
    assert "arked" not in json.dumps(kept) + state.model_dump_json()
    assert "5550000001" not in json.dumps(kept)


def test_a_send_keeps_whom_and_what_for_and_not_what_was_said() -> None:
    command = send.Request(
        caller="c",
        template="report-ready",
        items=[("patient:p1", {"facility": "Marked Place"}, "mine-1")],
        languages=(),
        callback=None,
        requested_at=NOW,
        useful_until=NOW,
        look_at=NOW,
    )
    told = entries(*send.decide(None, command), *send.decide(_state(command), send.Told()))
    kept = [redact(SEND, entry) for entry in told] + entries(send.SendErased())
    state = SEND.fold(kept)
    assert state is not None
    assert [(item.to, item.reference, item.variables) for item in state.items] == [("patient:p1", "mine-1", {})]
    assert "Marked" not in json.dumps(kept)
    assert SEND.retry_at(state) is None


def _state(command: send.Request) -> send.Send:
    return send.evolve(None, send.decide(None, command)[0])
