"""What a referral's events mean beside its status: the way there, when each thing happened, whether the journey could
have been avoided. Folded with the state, so that worklists and the audit read it and no journal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from libs.contracts.event import Event
from services.referral.domain import leg
from services.referral.domain.events import (
    OutcomeRecorded,
    PatientArrived,
    PatientBackReferred,
    Recorded,
    TransportDeparted,
    TransportHeld,
)
from services.referral.domain.leg import LegEvent
from services.referral.domain.today import day_of

if TYPE_CHECKING:
    from services.referral.domain.referral import Referral

GOING = frozenset({"ReferralRequested", "ReferralAccepted", "AppointmentScheduled", "TransportDeparted", "TransportHeld"})
"""After these the patient may still be on the way; any other move ends the leg."""


def follow(state: Referral, event: Event) -> dict[str, Any]:
    """What this event changes of the state besides what the table of moves says. `state` is as it was before."""
    if isinstance(event, LegEvent):
        return {"leg": leg.follow(state.leg, event)}
    if not isinstance(event, Recorded):
        return {}
    name = type(event).__name__
    changes: dict[str, Any] = {"milestones": {**state.milestones, name: event.at}}
    match event:
        case TransportDeparted():
            changes["leg"] = leg.departed(state.leg, event.mode, event.travel_seconds, event.at)
        case TransportHeld():
            changes["leg"] = leg.held(state.leg, event.reason, event.expected_release, event.at)
        case OutcomeRecorded():
            changes |= {"leg": leg.ended(state.leg, event.at), "avoidable": event.avoidable}
        case PatientBackReferred():
            changes["medicines"] = event.medicines
        case PatientArrived():
            changes["leg"] = leg.ended(state.leg, event.at)
        case _ if name in ENDING:
            changes["leg"] = leg.ended(state.leg, event.at)
        case _:
            pass
    return changes


ENDING = frozenset(
    {
        "ReferralDeclined",
        "ReferralCancelled",
        "ReferralRedirected",
        "TravelRefused",
        "PatientDeceased",
        "ReferralVoided",
        "PatientNoShow",
    }
)
"""After these nobody is on the way any more."""


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
