"""One referral: from a doctor's request to the origin's acknowledgement. The moves are in moves.py, as a table."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts import referral as contract
from libs.contracts.event import Event, FacilityCode, Id, Instant, is_personal, personal
from services.referral.domain import moves
from services.referral.domain.commands import By, Command, Convert, Lapse, Request
from services.referral.domain.dataset import Findings, Notice, completeness
from services.referral.domain.events import (
    BY_NAME,
    AdviceGiven,
    AdviceLapsed,
    Asked,
    OutcomeRecorded,
    PatientBackReferred,
    Recorded,
    ReferralCancelled,
    ReferralDeclined,
    ReferralErased,
    ReferralLapsed,
    TransportDeparted,
    TransportHeld,
)
from services.referral.domain.moves import Move, Side, Status, Transport


class Referral(BaseModel):
    """As it stands. `requested_at` and `changed_at` are when the service recorded it (UTC), by the domain's clock.

    `answer_due` is when the promise to answer is broken; `escalated_to` is the role that was then told, and
    `escalated_at` its facility. `erased`: nothing is written about the person any more.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    patient: Id
    origin: FacilityCode
    destination: FacilityCode
    service: str
    urgency: contract.Urgency
    status: Status
    transport: Transport = "none"
    requested_at: Instant
    changed_at: Instant
    reason: str = personal("")
    past_reason: str | None = None
    findings: Findings | None = personal()
    completeness: int | None = None
    warnings: tuple[Notice, ...] = personal(())
    answer_due: Instant | None = None
    escalated_to: str | None = None
    escalated_at: FacilityCode | None = None
    declined_for: str | None = None
    cancelled_for: str | None = None
    mode: str | None = None
    held_for: str | None = None
    erased: bool = False
    verdict: str | None = None
    specialist_text: str = personal("")
    outcome: str | None = None
    summary: str = personal("")
    advice: str = personal("")


def open_moves(state: Referral, by: By) -> tuple[Move, ...]:
    """The moves this actor has now."""
    sides: set[Side] = set()
    if by.facility and by.facility == state.origin:
        sides.add("origin")
    if by.facility and by.facility == state.destination:
        sides.add("destination")
    return moves.open_to(state.status, by.role, frozenset(sides))


def decide(state: Referral | None, command: Command, by: By, now: dt.datetime) -> list[Event]:
    """The events that follow from this command. Returns [] for a step on a referral that does not exist.

    Raises Refused: `not-yours` for a role or facility whose move it is not, `illegal-move` (with the moves this actor
    has now) where the table has no such row, and with a field where something that must be present is not.
    """
    if isinstance(command, Request):
        return _ask(state, command, by, now)
    if state is None:
        return []
    allowed = open_moves(state, by)
    rule = moves.rule_of(command.verb)
    if by.role != rule.role or by.facility != getattr(state, rule.side):
        raise Refused("not-yours", f"{command.verb} is for the {rule.role} at the {rule.side}", allowed=_names(allowed))
    move = moves.find(state.status, command.verb)
    if move is None:
        raise Refused(
            "illegal-move", f"{command.verb} is no move of a referral that is {state.status}", allowed=_names(allowed)
        )
    said = dataclasses.asdict(command)
    _check(move, said)
    if isinstance(command, Convert):
        said = {name: getattr(state, name) for name in Asked.model_fields if name not in Recorded.model_fields}
        said["answer_due"] = _promised(command.answer_within, now)
    kind = BY_NAME[move.event]
    if state.erased:
        said = {name: value for name, value in said.items() if not is_personal(kind.model_fields[name])}
    return [kind(**_public(state), **said, at=now)]


def _ask(state: Referral | None, command: Request, by: By, now: dt.datetime) -> list[Event]:
    if state is not None:
        raise Refused("illegal-move", "this referral exists already", allowed=_names(open_moves(state, by)))
    move = moves.find(None, command.verb)
    assert move is not None
    if by.role != move.role or not by.facility:
        raise Refused("not-yours", f"{command.verb} is for the {move.role} at the {move.side}")
    _check(move, vars(command))
    if command.to == by.facility:
        raise Refused("same-facility", "a referral leads to another facility", field="to")
    if not command.listed:
        raise Refused("unknown-facility", "there is no such facility in the directory", field="to")
    if not command.offered:
        raise Refused("unknown-service", "no facility in the directory offers this", field="service")
    if command.withdrawn:
        raise Refused("record-withdrawn", "this patient's record was withdrawn", field="patient")
    return [
        BY_NAME[move.event](
            patient=command.patient,
            origin=by.facility,
            destination=command.to,
            service=command.service,
            urgency=command.urgency,
            reason=command.reason.strip(),
            past_reason=command.past_reason,
            findings=command.findings,
            completeness=completeness(command.service, command.urgency, command.findings),
            warnings=command.warnings,
            answer_due=_promised(command.answer_within, now),
            at=now,
        )
    ]


def _promised(within: dt.timedelta | None, now: dt.datetime) -> dt.datetime | None:
    return None if within is None else now + within


def due(state: Referral) -> dt.datetime | None:
    """When the clock is to look at it next."""
    return state.answer_due if moves.find(state.status, Lapse.verb) else None


def overdue(state: Referral | None, escalated_to: str, now: dt.datetime) -> list[Event]:
    """The lapse of what nobody answered in time; [] where somebody did, or time is left."""
    if state is None or (promised := due(state)) is None or promised > now:
        return []
    return decide(state, Lapse(escalated_to), By(moves.CLOCK, state.destination), now)


def evolve(state: Referral | None, event: Event) -> Referral:
    """The state after this event. Reasons, outcome and texts are kept beside the status they led to."""
    if isinstance(event, ReferralErased):
        assert state is not None
        return state.model_copy(update={"erased": True})
    move = moves.of_event(type(event).__name__)
    if isinstance(event, Asked):
        asked = {name: getattr(event, name) for name in Asked.model_fields if name != "at"} | _public(event)
        asked |= {"status": move.to, "requested_at": event.at, "changed_at": event.at}
        # Advice that becomes a request keeps what the specialist said.
        return Referral(**asked) if state is None else state.model_copy(update=asked)
    assert state is not None, f"{event.TYPE} before anything was asked"
    assert isinstance(event, Recorded)
    changes: dict[str, Any] = {"status": move.to, "changed_at": event.at}
    if move.transport is not None:
        changes["transport"] = move.transport
    match event:
        case ReferralDeclined(reason=reason):
            changes["declined_for"] = reason
        case ReferralCancelled(reason=reason):
            changes["cancelled_for"] = reason
        case TransportDeparted(mode=mode):
            changes |= {"mode": mode, "held_for": None}
        case TransportHeld(reason=reason):
            changes["held_for"] = reason
        case OutcomeRecorded(outcome=outcome, summary=summary):
            changes |= {"outcome": outcome, "summary": summary}
        case AdviceGiven(verdict=verdict, text=text):
            changes |= {"verdict": verdict, "specialist_text": text}
        case ReferralLapsed(escalated_to=to) | AdviceLapsed(escalated_to=to):
            changes |= {"escalated_to": to, "escalated_at": to.partition("@")[2]}
        case PatientBackReferred(advice=advice):
            changes["advice"] = advice
        case _:
            pass
    return state.model_copy(update=changes)


def _public(source: Referral | Event) -> dict[str, Any]:
    """What every referral event carries."""
    return {name: getattr(source, name) for name in contract.ReferralEvent.model_fields}


def _check(move: Move, said: dict[str, Any]) -> None:
    for need in move.needs:
        value = str(said.get(need.field) or "").strip()
        if not value:
            if need.required:
                raise Refused("missing", "must be given", field=need.field)
        elif need.codes and value not in need.codes:
            raise Refused("unknown-code", f"must be one of {', '.join(need.codes)}", field=need.field)
        elif need.longest is not None and len(value) > need.longest:
            raise Refused("too-long", f"at most {need.longest} characters", field=need.field)


def _names(allowed: Sequence[Move]) -> tuple[str, ...]:
    return tuple(move.command for move in allowed)
