"""One screening: what was measured of somebody, what it says, and what became of each suggestion."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts.event import Code, Event, FacilityCode, Id, personal
from libs.contracts.referral import Urgency
from libs.contracts.registration import (
    ScreeningRecorded,
    ScreeningReferred,
    ScreeningSuggestionDeclined,
    ScreeningTreated,
)
from services.registration.domain.assessment import Assessment
from services.registration.domain.programmes import Programme


class Suggestion(BaseModel):
    """`to` is where an accepted referral goes."""

    model_config = ConfigDict(frozen=True)

    code: Code
    do: Literal["treatment", "talk", "referral"]
    says: str
    service: Code | None = None
    urgency: Urgency | None = None
    status: Literal["open", "given", "referred", "declined"] = "open"
    to: FacilityCode | None = None


class Recorded(ScreeningRecorded):
    """Measurements stay in the journal. `group` tells by which cut-offs they were judged."""

    measures: dict[str, Any] = personal({})
    group: Code = "everybody"
    suggestions: tuple[Suggestion, ...] = ()
    again_after_days: int | None = None


class ScreeningErased(Event):
    """The person was erased: codes stand, measurements are gone. Private."""


class Screening(BaseModel):
    model_config = ConfigDict(frozen=True)

    patient: Id
    facility: FacilityCode
    programme: Code
    version: Code
    result: Code
    urgent: bool
    alerts: tuple[Code, ...] = ()
    date: dt.date
    brought_by: Id | None = None
    group: Code = "everybody"
    measures: dict[str, Any] = personal({})
    suggestions: tuple[Suggestion, ...] = ()
    again_on: dt.date | None = None


@dataclass(frozen=True)
class Record:
    patient: str
    facility: str
    programme: Programme
    assessment: Assessment
    on: dt.date
    brought_by: str | None


@dataclass(frozen=True)
class Accept:
    """`to`: for a referral, the facility; otherwise the treatment or talk was given there. `service` instead of the
    suggested one. `offers` are the services of that facility, None if nobody knows it."""

    suggestion: str
    to: str | None = None
    service: str | None = None
    offers: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Decline:
    suggestion: str
    reason: str


Command = Record | Accept | Decline


def decide(state: Screening | None, command: Command) -> Sequence[Event]:
    """Raises Refused naming the field, or the suggestions that are still open."""
    if isinstance(command, Record):
        return [_recorded(command)]
    if state is None:
        return []
    suggestion = _open(state, command.suggestion)
    if isinstance(command, Decline):
        return [
            ScreeningSuggestionDeclined(
                patient=state.patient, programme=state.programme, suggestion=suggestion.code, reason=command.reason
            )
        ]
    if suggestion.do != "referral":
        if command.to is not None:
            raise Refused("no-referral", f"{suggestion.code} is no referral", field="to")
        return [ScreeningTreated(patient=state.patient, programme=state.programme, suggestion=suggestion.code)]
    return [_referred(state, suggestion, command)]


def _recorded(command: Record) -> Recorded:
    found, programme = command.assessment, command.programme
    return Recorded(
        patient=command.patient,
        facility=command.facility,
        programme=programme.programme,
        version=programme.version,
        result=found.result.result,
        urgent=found.urgent,
        alerts=tuple(alert.alert for alert in found.alerts),
        suggests=tuple(follow.code for follow in found.suggests),
        date=command.on,
        brought_by=command.brought_by,
        measures=dict(found.values),
        group=found.group.group,
        suggestions=tuple(Suggestion(**follow.model_dump()) for follow in found.suggests),
        again_after_days=found.result.again_after_days,
    )


def _open(state: Screening, code: str) -> Suggestion:
    suggestion = next((each for each in state.suggestions if each.code == code), None)
    left = tuple(each.code for each in state.suggestions if each.status == "open")
    if suggestion is None:
        known = ", ".join(each.code for each in state.suggestions) or "nothing"
        raise Refused("unknown-suggestion", f"was not suggested; suggested: {known}", field="suggestion")
    if suggestion.status != "open":
        raise Refused("suggestion-settled", f"{code} is {suggestion.status} already", allowed=left)
    return suggestion


def _referred(state: Screening, suggestion: Suggestion, command: Accept) -> ScreeningReferred:
    if command.to is None:
        raise Refused("destination-needed", "say to which facility", field="to")
    if command.to == state.facility:
        raise Refused("destination-is-origin", "is where the person is", field="to")
    if command.offers is None:
        raise Refused("unknown-facility", "is not in the directory", field="to")
    service = command.service or suggestion.service or ""
    if service not in command.offers:
        field = "service" if command.service else "to"
        offered = ", ".join(command.offers) or "nothing"
        raise Refused("service-not-offered", f"{service} is not offered there; offered: {offered}", field=field)
    return ScreeningReferred(
        patient=state.patient,
        facility=state.facility,
        to=command.to,
        service=service,
        urgency=suggestion.urgency or "routine",
        programme=state.programme,
        result=state.result,
        suggestion=suggestion.code,
    )


def evolve(state: Screening | None, event: Event) -> Screening:
    if isinstance(event, Recorded):
        again = dt.timedelta(days=event.again_after_days) if event.again_after_days else None
        return Screening(
            **event.model_dump(include=set(Screening.model_fields) & set(Recorded.model_fields)),
            again_on=event.date + again if again else None,
        )
    if state is None:
        raise ValueError(f"no screening begins with {event.TYPE}")
    match event:
        case ScreeningTreated():
            return _settled(state, event.suggestion, {"status": "given"})
        case ScreeningReferred():
            return _settled(state, event.suggestion, {"status": "referred", "to": event.to, "service": event.service})
        case ScreeningSuggestionDeclined():
            return _settled(state, event.suggestion, {"status": "declined"})
        case ScreeningErased():
            return state.model_copy(update={"measures": {}})
    raise ValueError(f"no screening can have {event.TYPE}")


def _settled(state: Screening, code: str, how: dict[str, Any]) -> Screening:
    suggestions = tuple(
        each.model_copy(update=how) if each.code == code and each.status == "open" else each
        for each in state.suggestions
    )
    return state.model_copy(update={"suggestions": suggestions})
