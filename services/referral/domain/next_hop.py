"""The hop that a command asks for: elsewhere, higher up, or a referral of the right patient."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from libs.common.refusal import Refused
from libs.contracts.event import Event
from services.referral.domain import clocks
from services.referral.domain.commands import Command, Redirect, ReferOnward, Void
from services.referral.domain.events import HopAsked

if TYPE_CHECKING:
    from services.referral.domain.referral import Referral


def asked_for(state: Referral, command: Command, now: dt.datetime) -> list[Event]:
    """The hop that this command asks for."""
    base = {
        "patient": state.patient,
        "origin": state.origin,
        "service": state.service,
        "urgency": state.urgency,
        "reason": state.reason,
        "findings": state.findings,
        "chain_began_at": state.chain_began_at or state.requested_at,
        "chain_due": clocks.of_chain(state, now),
        "chain_escalated": state.chain_escalated,
        "at": now,
    }
    if isinstance(command, Redirect | ReferOnward) and not command.listed:
        raise Refused("unknown-facility", "there is no such facility in the directory", field="to")
    if isinstance(command, ReferOnward) and not command.offered:
        raise Refused("unknown-service", "no facility in the directory offers this", field="service")
    if isinstance(command, Void) and command.withdrawn:
        raise Refused("record-withdrawn", "this patient's record was withdrawn", field="patient")
    match command:
        case Redirect():
            if command.to in (state.origin, state.destination):
                raise Refused("same-facility", "it leads to another facility", field="to")
            hop = base | {"why": "redirected", "destination": command.to, "outside": command.outside}
        case ReferOnward():
            here = state.answered_by or state.destination
            if command.to in (here, state.origin):
                raise Refused("same-facility", "it leads to another facility", field="to")
            hop = base | {"why": "onward", "origin": here, "destination": command.to, "outside": command.outside}
            hop |= {"service": command.service, "urgency": command.urgency or state.urgency, "reason": command.reason}
        case Void(patient=patient) if patient and state.status == "deceased":
            raise Refused("not-allowed", "nobody is asked for here: whom it was about has died", field="patient")
        case Void(patient=patient) if patient:
            if patient == state.patient:
                raise Refused("same-patient", "is the one it was made for", field="patient")
            hop = base | {"why": "right-patient", "destination": state.destination, "outside": state.outside}
            hop |= {"patient": patient, "findings": None}
        case _:
            return []
    if state.erased:
        hop |= {"reason": "", "findings": None, "outside": None}
    return [HopAsked(next=command.next, **hop)]
