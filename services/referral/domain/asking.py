"""What is said when somebody asks, for a patient to be taken or for advice: the first time, and once more."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from libs.common.refusal import Refused
from services.referral.domain.answering import check
from services.referral.domain.chain import FIRST
from services.referral.domain.commands import AskAgain, By, Convert, Request, TellMore
from services.referral.domain.dataset import completeness, together
from services.referral.domain.events import Asked, Recorded
from services.referral.domain.moves import Move

if TYPE_CHECKING:
    from services.referral.domain.referral import Referral


def can_be_taken(move: Move, command: Request, by: By) -> None:
    """Raises Refused naming the field."""
    check(move, vars(command))
    if command.to == by.facility:
        raise Refused("same-facility", "a referral leads to another facility", field="to")
    if not command.listed:
        raise Refused("unknown-facility", "there is no such facility in the directory", field="to")
    if not command.offered:
        raise Refused("unknown-service", "no facility in the directory offers this", field="service")
    if command.withdrawn:
        raise Refused("record-withdrawn", "this patient's record was withdrawn", field="patient")


def first(command: Request, by: By, now: dt.datetime) -> dict[str, Any]:
    hop = command.hop
    another = hop is not None and hop.why != "right-patient"
    return {
        "patient": command.patient,
        "origin": by.facility,
        "destination": command.to,
        "service": command.service,
        "urgency": command.urgency,
        "reason": command.reason.strip(),
        "past_reason": command.past_reason,
        "findings": command.findings,
        "completeness": completeness(command.service, command.urgency, command.findings),
        "warnings": command.warnings,
        "answer_due": _promised(command.answer_within, now),
        "clock_says": command.clock_says,
        "outside": command.outside,
        "answered_by": by.facility if command.outside else None,
        "chain": hop.chain if hop and another else None,
        "hop": hop.number if hop else FIRST,
        "previous": hop.previous if hop and another else None,
        "hop_why": hop.why if hop else None,
        "replaces": hop.previous if hop and not another else None,
        "chain_began_at": hop.began_at if hop else now,
        "chain_due": hop.due if hop else _promised(command.chain_within, now),
        "chain_escalated": hop.escalated if hop else False,
    }


def again(state: Referral, command: Convert | AskAgain | TellMore, now: dt.datetime) -> dict[str, Any]:
    """Everything as it was, and a promise of its own from now."""
    asked = {name: getattr(state, name) for name in Asked.model_fields if name not in Recorded.model_fields}
    asked |= {"answer_due": _promised(command.answer_within, now), "clock_says": command.clock_says}
    match command:
        case Convert(chain_within=within):
            # While it was a question nobody was to travel; the chain begins with the request.
            asked |= {"chain_began_at": now, "chain_due": _promised(within, now)}
        case TellMore(reason=reason, findings=findings, warnings=warnings):
            known = together(state.findings, findings)
            asked |= {"reason": reason.strip(), "findings": known, "warnings": warnings}
            asked["completeness"] = completeness(state.service, state.urgency, known)
    return asked


def _promised(within: dt.timedelta | None, now: dt.datetime) -> dt.datetime | None:
    return None if within is None else now + within
