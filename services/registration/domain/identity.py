"""Which record a patient's record is part of, said without a word about who they are.

Begun before the record is written and settled after it by what the record then says: what a crash cut in half, a timer
settles.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Event, Id, Instant
from libs.contracts.registration import RecordsJoined, RecordsParted

SETTLED_AFTER = dt.timedelta(seconds=30)
"""When a timer looks whether the record was written; a request that is under way is done by then."""


class Identity(BaseModel):
    """`into` is what was last told; `settle_at` (machine's clock) is set while it may have changed."""

    model_config = ConfigDict(frozen=True)

    patient: Id
    into: Id | None = None
    settle_at: Instant | None = None


class ChangeBegun(Event):
    """The record is about to be merged or parted."""

    patient: Id
    settle_at: Instant


class NothingChanged(Event):
    """It was not, after all."""


def begin(patient: str, now: dt.datetime) -> Sequence[Event]:
    return [ChangeBegun(patient=patient, settle_at=now + SETTLED_AFTER)]


def settle(state: Identity | None, into: str | None) -> Sequence[Event]:
    """`into` is what the record says now."""
    if state is None or state.settle_at is None:
        return []
    if into is not None and into != state.into:
        return [RecordsJoined(patient=state.patient, into=into)]
    if into is None and state.into is not None:
        return [RecordsParted(patient=state.patient, into=state.into)]
    return [NothingChanged()]


def evolve(state: Identity | None, event: Event) -> Identity:
    match event:
        case ChangeBegun():
            into = state.into if state else None
            return Identity(patient=event.patient, into=into, settle_at=event.settle_at)
        case RecordsJoined() if state:
            return state.model_copy(update={"into": event.into, "settle_at": None})
        case RecordsParted() if state:
            return state.model_copy(update={"into": None, "settle_at": None})
        case NothingChanged() if state:
            return state.model_copy(update={"settle_at": None})
    raise ValueError(f"no identity can have {event.TYPE}")
