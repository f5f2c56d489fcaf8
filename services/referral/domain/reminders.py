"""Who owes the next step, and when they are to be reminded: not the promises of clocks.py, which are told one level up,
but what is forgotten on a busy ward. Told to the role itself, a few times, then left to the worklists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libs.contracts.event import Event
from services.referral.domain.clocks import TO_ARRIVE

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
    "no-show": Owed("reschedule", "desk", "destination", dt.timedelta(hours=24)),
    "appointment-cancelled": Owed("schedule", "desk", "destination", dt.timedelta(hours=24)),
    "travel-refused": Owed("cancel", "doctor", "origin", dt.timedelta(hours=72)),
}
HELD = Owed("depart", "transport", "origin", dt.timedelta(hours=24))
"""Of a patient who is held on the way, first when it was expected to go on: while they are held no promise runs out."""

MISSED = Owed("no-show", "desk", "destination", dt.timedelta(hours=24))
"""Of a patient who did not arrive in the time promised: whether they have come, or not, only the desk knows."""

AT_MOST = 3
"""Reminders of one step."""


def due(state: Referral) -> dt.datetime | None:
    """When the next reminder is: of the later ones, that long after the one before, whenever that was."""
    owed = of(state)
    if owed is None or state.reminded >= AT_MOST:
        return None
    if state.reminded and state.reminded_at is not None:
        return state.reminded_at + owed.every
    release = state.leg.expected_release if owed is HELD and state.leg else None
    first = max(release, state.changed_at) if release else state.changed_at + owed.every
    return first + owed.every * state.reminded


def of(state: Referral) -> Owed | None:
    """What is owed now."""
    if state.status in TO_ARRIVE and state.leg is not None and state.leg.under_way and state.leg.status == "held":
        return HELD
    if state.status in TO_ARRIVE and state.arrival_lapsed:
        return MISSED
    return None if state.settled else OWED.get(state.status)


def remind(state: Referral | None, now: dt.datetime) -> list[Event]:
    """The reminder of what is owed; [] where it was done, or it is not time yet."""
    from services.referral.domain.events import StepOwed

    if state is None or (at := due(state)) is None or at > now:
        return []
    owed = of(state)
    assert owed is not None
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
