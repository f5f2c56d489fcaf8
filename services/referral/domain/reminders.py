"""Who owes the next step, and when they are to be reminded: not the promises of clocks.py, which are told one level up,
but what is forgotten on a busy ward. Told to the role itself, a few times, then left to the worklists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libs.contracts.event import Event

if TYPE_CHECKING:
    from services.referral.domain.referral import Referral


@dataclass(frozen=True)
class Owed:
    """In this status the `role` at the `side` owes `step`; `first` after that long, and again as often."""

    step: str
    role: str
    side: str
    every: dt.timedelta


OWED: Mapping[str, Owed] = {
    "arrived": Owed("outcome", "doctor", "destination", dt.timedelta(hours=48)),
    "seen": Owed("outcome", "doctor", "destination", dt.timedelta(hours=72)),
    "treated": Owed("back-refer", "doctor", "destination", dt.timedelta(hours=48)),
    "back-referred": Owed("acknowledge", "doctor", "origin", dt.timedelta(hours=48)),
    "cancel-requested": Owed("confirm-cancel", "doctor", "destination", dt.timedelta(hours=24)),
    "declined": Owed("redirect", "doctor", "origin", dt.timedelta(hours=12)),
}
AT_MOST = 3
"""Reminders of one step."""


def due(state: Referral) -> dt.datetime | None:
    """When the next reminder is."""
    owed = OWED.get(state.status)
    if owed is None or state.reminded >= AT_MOST:
        return None
    return state.changed_at + owed.every * (state.reminded + 1)


def remind(state: Referral | None, now: dt.datetime) -> list[Event]:
    """The reminder of what is owed; [] where it was done, or it is not time yet."""
    from services.referral.domain.events import StepOwed

    if state is None or (at := due(state)) is None or at > now:
        return []
    owed = OWED[state.status]
    facility = state.origin if owed.side == "origin" else state.answered_by or state.destination
    public = {name: getattr(state, name) for name in ("patient", "origin", "destination", "service", "urgency")}
    return [
        StepOwed(
            **public,
            step=owed.step,
            owed_by=f"{owed.role}@{facility}",
            owed_since=state.changed_at,
            reminder=state.reminded + 1,
            role=owed.role,
            facility=facility,
            at=now,
        )
    ]
