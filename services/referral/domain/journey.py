"""What a referral's events mean beside its status: the way there, when each thing happened, whether the journey could
have been avoided. Folded with the state, so that worklists and the audit read it and no journal."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from libs.contracts.event import Event
from services.referral.domain import clocks, leg
from services.referral.domain.events import (
    AppointmentScheduled,
    OutcomeRecorded,
    PatientBackReferred,
    Recorded,
    StepOwed,
    TransportDeparted,
    TransportHeld,
)
from services.referral.domain.leg import Leg, LegEvent, LegHandedOver
from services.referral.domain.today import day_of

if TYPE_CHECKING:
    from services.referral.domain.referral import Referral

ENDING = frozenset(
    {
        "ReferralDeclined",
        "ReferralCancelled",
        "ReferralRedirected",
        "TravelRefused",
        "PatientDeceased",
        "ReferralVoided",
        "PatientNoShow",
        "PatientArrived",
        "InterimNoted",
        "OutcomeRecorded",
    }
)
"""After these nobody is on the way any more."""

ANEW = frozenset({"AppointmentScheduled", "ReferralRequested"})
"""After these a patient whose way has ended may come another time."""

NOT_WAITED_FOR = ENDING | {"CancellationRequested"}
"""After these it is not the road that the next step waits for."""

ANSWERS = frozenset({"ReferralAccepted", "ReferralDeclined", "ReferralRedirected"})
"""Of a request to take the patient."""

UNNOTED = frozenset(
    {
        "PassedThrough",
        "ReferralBreached",
        "ReferralErased",
        "HopAsked",
        "HopOpened",
        "ReservationsReleased",
        "ReservationGivenUp",
    }
)
"""Housekeeping: when it happened, nobody asks, and what was owed before is owed still."""


def follow(state: Referral, event: Event) -> dict[str, Any]:
    """What this event changes of the state besides what the table of moves says. `state` is as it was before."""
    way = state.leg or Leg()
    if isinstance(event, LegHandedOver):
        # There, whatever held it up on the way; whether the desk knows is another matter.
        on = {"transport": "departed", "held_for": None} if state.transport == "held" else {}
        return {"leg": leg.follow(way, event)} | clocks.resumed(state, event.at) | on
    if isinstance(event, LegEvent):
        return {"leg": leg.follow(way, event)}
    if isinstance(event, StepOwed):
        return {"reminded": event.reminder, "reminded_at": event.at}
    if not isinstance(event, Recorded):
        return {}
    name = type(event).__name__
    if name in UNNOTED:
        return {}
    changes: dict[str, Any] = {"milestones": _milestones(state, name, event), "reminded": 0}
    if name in ANSWERS and state.answered_at is None:
        changes["answered_at"] = event.at
    match event:
        case TransportDeparted():
            changes["leg"] = leg.departed(way, event.mode, event.travel_seconds, event.at)
        case TransportHeld():
            changes["leg"] = leg.held(way, event.reason, event.expected_release, event.at)
        case OutcomeRecorded():
            changes["avoidable"] = event.avoidable
        case PatientBackReferred():
            changes["medicines"] = event.medicines
        case _:
            pass
    if name in NOT_WAITED_FOR:
        changes |= {"clock_says": None} | clocks.ended(state, event.at)
    if name in ENDING and state.leg is not None:
        changes["leg"] = leg.ended(way, event.at)
    if name in ANEW:
        changes |= anew(state)
    return changes


def _milestones(state: Referral, name: str, event: Recorded) -> dict[str, dt.datetime]:
    """Of who dies after the outcome, or does not after all, the outcome was when it was recorded first."""
    if not isinstance(event, OutcomeRecorded) or state.status != "treated":
        return state.milestones | {name: event.at}
    if event.outcome == "died":
        return state.milestones | {"DeathRecorded": event.at}
    return {what: at for what, at in state.milestones.items() if what != "DeathRecorded"}


def anew(state: Referral) -> dict[str, Any]:
    """Another way begins where the one before has ended; what was lost on that one stays counted."""
    if state.leg is None or state.leg.ended_at is None:
        return {}
    return {"leg": leg.another(state.leg), "transport": "none", "mode": None, "held_for": None}


def appointed(state: Referral, event: AppointmentScheduled) -> dict[str, Any]:
    """A new appointment takes the place of the one before, with its place in the clinic's hours. Of a patient who is
    held on the way, its clock waits like any other."""
    beds = tuple(each for each in state.reserved if each.what == "bed")
    kept = {each.id for each in event.reserved}
    slots = tuple(each for each in state.reserved if each.what == "slot" and each.id not in kept)
    due = event.appointment_at + clocks.AFTER_APPOINTMENT
    promise: dict[str, Any]
    if state.transport == "held" and (state.leg is None or state.leg.ended_at is None):
        left = max(0, int((due - event.at).total_seconds()))
        promise = {"arrive_due": None, "arrive_seconds": left, "clock_says": state.clock_says}
    else:
        promise = {"arrive_due": due, "arrive_seconds": None, "clock_says": None}
    return promise | {
        "appointment_at": event.appointment_at,
        "appointments": state.appointments + 1,
        "reserved": (*beds, *event.reserved),
        "releasing": (*state.releasing, *slots),
        "arrival_lapsed": False,
    }


def avoidable(state: Referral, outcome: str, procedure: bool | None, now: dt.datetime) -> bool | None:
    """Whether the journey could have been avoided, by outcome and never by opinion: it could have been treated at
    origin, or the patient went home on the day of arrival without any procedure. None where nobody said whether there
    was one (facts 2.7)."""
    if outcome == "manageable-at-origin":
        return True
    if outcome != "treated-and-discharged":
        return False
    arrived = state.milestones.get("PatientArrived")
    if arrived is not None and day_of(arrived) != day_of(now):
        return False
    return None if procedure is None else not procedure
