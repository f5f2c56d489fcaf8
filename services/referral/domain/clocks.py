"""The three promises of a referral: to answer, to arrive, and that somebody along the chain treats the patient.

Answering can always be done, and its clock never stops. Travelling cannot while a pass is closed, the air is grounded
or there is no vehicle: those clocks wait, and say so. A road that is slow in this season makes the promise longer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from libs.contracts.referral import FacilityCard
from services.referral.domain import moves, today
from services.referral.domain.commands import Accept, Lapse, Travel

if TYPE_CHECKING:
    from services.referral.domain.referral import Referral

Clock = Literal["answer", "arrival", "chain"]

TO_ARRIVE = frozenset({"accepted", "scheduled"})
"""Statuses in which the patient is expected."""

UNTREATED = frozenset(
    {
        "requested",
        "lapsed",
        "accepted",
        "declined",
        "scheduled",
        "no-show",
        "appointment-cancelled",
        "arrived",
        "seen",
        "cancel-requested",
        "travel-refused",
    }
)
"""Statuses in which nobody has treated the patient yet, and the chain's clock runs."""

AT_DESTINATION = frozenset({"requested", "lapsed", "appointment-cancelled", "cancel-requested", "arrived", "seen"})
"""Statuses in which the next step is the destination's; in any other it is the origin's, and its transport's."""

WAITS = "waits:"

AFTER_APPOINTMENT = dt.timedelta(days=1)
"""How long after an appointment its patient is still expected."""


def running(state: Referral) -> Iterator[tuple[dt.datetime, Clock]]:
    """The clocks that run, each with when its promise is broken; none where nobody is waited for."""
    if state.settled:
        return
    if state.answer_due is not None and moves.find(state.status, Lapse.verb):
        yield state.answer_due, "answer"
    if state.arrive_due is not None and state.status in TO_ARRIVE:
        yield state.arrive_due, "arrival"
    if state.chain_due is not None and not state.chain_escalated and state.status in UNTREATED:
        yield state.chain_due, "chain"


def to_answer(
    card: FacilityCard | None, urgency: str, within: dt.timedelta, now: dt.datetime
) -> tuple[dt.timedelta, str | None]:
    """How long the destination has to answer, and what its hours make of it: what is no emergency is not due while
    nobody is there, but when they open again."""
    if card is None or urgency == "emergency" or today.is_open(card, now + within):
        return within, None
    opens = today.opens_next(card, now + within)
    return opens - now, f"stretched: opens at {day_and_hour(opens)}"


def day_and_hour(moment: dt.datetime) -> str:
    """In India, as it is said to people."""
    return f"{moment.astimezone(today.INDIA):%d-%m %H:%M}"


def to_arrive(state: Referral, command: Accept, now: dt.datetime) -> dict[str, Any]:
    """The promise to arrive, from the acceptance; where a clinic's hours are reserved, from those."""
    if command.slot is not None:
        return {"appointment_at": command.slot.at, "arrive_due": command.slot.at + AFTER_APPOINTMENT}
    if command.travel is None:
        return {}
    trip = command.travel(state.origin, state.destination, state.urgency)
    return {"arrive_due": now + trip.within, "clock_says": trip.says}


def is_over(hours: dt.datetime, now: dt.datetime) -> bool:
    """Whether nobody is expected any more in a clinic's hours that began then."""
    return hours + AFTER_APPOINTMENT <= now


def late(state: Referral, travel: Travel, now: dt.datetime) -> tuple[dt.datetime, str] | None:
    """Until when the promise to arrive is stretched, and why: where nobody comes through still, and where the way was
    closed and has been opened since, as if the patient had been accepted then."""
    trip = travel(state.origin, state.destination, state.urgency)
    if trip.says is not None and trip.says.startswith(WAITS):
        return now + trip.within, trip.says
    if trip.opened_at is None or state.clock_says is None or not state.clock_says.startswith(WAITS):
        return None
    until = trip.opened_at + trip.within
    return (until, f"stretched: the way opened at {day_and_hour(trip.opened_at)}") if until > now else None


def paused(state: Referral, at: dt.datetime, why: str) -> dict[str, Any]:
    """What cannot be done waits, with the time it had left."""
    changes: dict[str, Any] = {"clock_says": f"{WAITS} {why}"}
    for clock in ("arrive", "chain"):
        promised = getattr(state, f"{clock}_due")
        if promised is not None:
            left = max(0, int((promised - at).total_seconds()))
            changes |= {f"{clock}_due": None, f"{clock}_seconds": left}
    return changes


def resumed(state: Referral, at: dt.datetime) -> dict[str, Any]:
    """It goes on with what was left."""
    changes: dict[str, Any] = {"clock_says": None} if state.transport == "held" else {}
    for clock in ("arrive", "chain"):
        left = getattr(state, f"{clock}_seconds")
        if left is not None:
            changes |= {f"{clock}_due": at + dt.timedelta(seconds=left), f"{clock}_seconds": None}
    return changes


def ended(state: Referral, at: dt.datetime) -> dict[str, Any]:
    """The way is over, and with it what held it up: whoever has to treat the patient is waited for again."""
    if state.transport != "held":
        return {}
    return resumed(state, at) | {"arrive_due": None, "arrive_seconds": None}


def settled(state: Referral, at: dt.datetime) -> dict[str, Any]:
    """Nobody is waited for any more; if it goes elsewhere after all, the chain has what was left of its time."""
    if state.chain_due is None:
        return {"settled": True}
    return {"settled": True, "chain_due": None, "chain_seconds": max(0, int((state.chain_due - at).total_seconds()))}


def of_chain(state: Referral, at: dt.datetime) -> dt.datetime | None:
    """When the chain's promise is broken, were nothing to hold it up from now on."""
    if state.chain_seconds is not None:
        return at + dt.timedelta(seconds=state.chain_seconds)
    return state.chain_due


def rests_with(state: Referral) -> str:
    """The facility that has the next step."""
    return (state.answered_by or state.destination) if state.status in AT_DESTINATION else state.origin


def passed_on() -> dict[str, Any]:
    """The next hop watches the chain from now on."""
    return {"chain_due": None, "chain_seconds": None}
