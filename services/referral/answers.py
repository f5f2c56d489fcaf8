"""What the API answers. Of a write, only what follows from the state right after it, so that a retry gets the same."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from libs.common.mongo import Document
from libs.contracts.event import PUBLIC, Instant
from libs.contracts.referral import FacilityCard, ReferralEvent, ReferralRequested, Urgency
from services.referral.domain.chain import Outside
from services.referral.domain.clocks import TO_ARRIVE
from services.referral.domain.dataset import Findings, Notice
from services.referral.domain.events import EVENTS, AdviceAsked, HopAsked
from services.referral.domain.leg import Leg
from services.referral.domain.medicines import Medicine
from services.referral.domain.moves import Move, Status, Transport
from services.referral.domain.referral import Referral
from services.referral.domain.reservations import Reservation
from services.referral.patients import NotYetKnown, Patient, Withdrawn

NOT_YET_KNOWN = "not yet known"
WITHDRAWN = "record withdrawn"


@functools.cache
def _shared(answer: type[BaseModel]) -> frozenset[str]:
    """What an answer says as the referral has it."""
    return frozenset(answer.model_fields) & frozenset(Referral.model_fields)


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class ReferralAnswer(Answer):
    """A referral by codes and ids. Instants are UTC."""

    id: str
    status: Status
    transport: Transport
    patient: str
    origin: str
    destination: str
    service: str
    urgency: Urgency
    requested_at: Instant
    changed_at: Instant
    answer_due: Instant | None = None
    escalated_to: str | None = None
    declined_for: str | None = None
    settled: bool = False
    """Declined, and treated at origin: nothing is to be decided any more, and no promise runs."""
    cancelled_for: str | None = None
    mode: str | None = None
    held_for: str | None = None
    outcome: str | None = None
    arrive_due: Instant | None = None
    arrival_lapsed: bool = False
    clock_says: str | None = None
    appointment_at: Instant | None = None
    appointments: int = 0
    no_shows: int = 0
    reserved: tuple[Reservation, ...] = ()
    outside_lgd: int | None = None
    hop: int = 1
    hop_why: str | None = None
    previous: str | None = None
    next: str | None = None
    replaces: str | None = None
    redirected_for: str | None = None
    void_for: str | None = None
    place_of_death: str | None = None
    chain: str = ""
    chain_began_at: Instant | None = None
    chain_due: Instant | None = None
    avoidable: bool | None = None
    leg: Leg | None = None

    @classmethod
    def of(cls, id: str, state: Referral) -> Self:
        said = {name: getattr(state, name) for name in _shared(cls)}
        said["chain"] = state.chain or id
        return cls(id=id, outside_lgd=state.outside.state_lgd if state.outside else None, **said)


class RequestAnswer(ReferralAnswer):
    """With what was warned of. `completeness` of the minimum dataset is in percent."""

    completeness: int | None = None
    warnings: tuple[Notice, ...] = ()


class Checked(Answer):
    """What would be warned of. A referral may be sent with any of it, unless the destination has switched refusal on:
    then `refused` is what it would say."""

    completeness: int
    warnings: tuple[Notice, ...]
    refused: str | None = None


class PatientShown(Answer):
    """`known` is false until the card has arrived, and for a record that was withdrawn; `name` then says which."""

    id: str
    known: bool
    withdrawn: bool = False
    name: str = NOT_YET_KNOWN
    sex: str | None = None
    birth_date: dt.date | None = None
    birth_year: int | None = None

    @classmethod
    def of(cls, id: str, patient: Patient) -> PatientShown:
        if isinstance(patient, NotYetKnown):
            return cls(id=id, known=False)
        if isinstance(patient, Withdrawn):
            return cls(id=id, known=False, withdrawn=True, name=WITHDRAWN)
        shown = (set(cls.model_fields) & set(type(patient).model_fields)) - {"id"}
        return cls(id=id, known=True, **{name: getattr(patient, name) for name in shown})


class PatientReached(PatientShown):
    """The same with what it takes to reach them."""

    phone: str | None = None
    guardian: str | None = None
    village: str | None = None
    language: str | None = None


class Listed(Answer):
    """A line of a worklist."""

    id: str
    status: Status
    transport: Transport
    patient: PatientShown
    origin: str
    destination: str
    service: str
    urgency: Urgency
    requested_at: Instant
    changed_at: Instant

    @classmethod
    def of(cls, id: str, state: Referral, patient: Patient) -> Listed:
        names = set(cls.model_fields) - {"id", "patient"}
        return cls(
            id=id,
            patient=PatientShown.of(state.patient, patient),
            **{name: getattr(state, name) for name in names},
        )


class Worklist(Answer):
    items: list[Listed]
    next: str | None = Field(None, description="Cursor of the next page")


CLOSED = Notice(code="destination-closed", field="to", detail="the destination takes no referrals now; redirect it")
OPEN = frozenset({"requested", "lapsed", *TO_ARRIVE, "appointment-cancelled", "travel-refused", "no-show"})
"""Statuses in which the patient has not arrived, and may still go elsewhere."""


def _come_about(state: Referral, destination: FacilityCard | None, closed: Sequence[str]) -> Iterator[Notice]:
    if state.status not in OPEN:
        return
    if destination is not None and not destination.takes_referrals:
        yield CLOSED
    if closed:
        yield Notice(code="not-reachable", field="to", detail="; ".join(closed))


class Detail(Answer):
    """What the patient suffers from is shown to doctors only."""

    referral: ReferralAnswer
    patient: PatientReached
    reason: str | None = None
    summary: str | None = None
    notes: tuple[str, ...] = ()
    outside: Outside | None = None
    advice: str | None = None
    medicines: tuple[Medicine, ...] = ()
    verdict: str | None = None
    specialist_text: str | None = None
    findings: Findings | None = None
    past_reason: str | None = None
    completeness: int | None = None
    warnings: tuple[Notice, ...] = ()
    merged_into: str | None = Field(None, description="The record that is this person's now, if it is another")
    now: tuple[Notice, ...] = Field((), description="What has come about since and calls for a move")

    @classmethod
    def of(
        cls,
        id: str,
        state: Referral,
        patient: Patient,
        destination: FacilityCard | None,
        *,
        clinical: bool,
        closed: Sequence[str] = (),
    ) -> Detail:
        """`closed`: what stands between origin and destination where no way is open now."""
        other = getattr(patient, "id", state.patient)
        shown = cls(
            referral=ReferralAnswer.of(id, state),
            patient=PatientReached.of(state.patient, patient),
            merged_into=other if other != state.patient else None,
            now=tuple(_come_about(state, destination, closed)),
        )
        if not clinical:
            return shown
        return shown.model_copy(
            update={
                "reason": state.reason or None,
                "summary": state.summary or None,
                "notes": state.notes,
                "outside": state.outside,
                "advice": state.advice or None,
                "medicines": state.medicines,
                "verdict": state.verdict,
                "specialist_text": state.specialist_text or None,
                "findings": state.findings,
                "past_reason": state.past_reason,
                "completeness": state.completeness,
                "warnings": state.warnings,
            }
        )


class Chain(Answer):
    """Every hop, the first one first; the last one watches the chain's clock."""

    chain: str
    began_at: Instant | None
    due: Instant | None
    overdue_told_to: str | None
    hops: list[ReferralAnswer]

    @classmethod
    def of(cls, id: str, hops: list[tuple[str, Referral]]) -> Self:
        last = hops[-1][1]
        return cls(
            chain=id,
            began_at=hops[0][1].chain_began_at,
            due=last.chain_due,
            overdue_told_to=last.escalated_to if last.chain_escalated else None,
            hops=[ReferralAnswer.of(hop, state) for hop, state in hops],
        )


class NeedsAnswer(Answer):
    """One of `codes` if there are any; text of at most `longest` characters if that is set."""

    field: str
    codes: list[str] = []
    longest: int | None = None
    required: bool = True


class MoveAnswer(Answer):
    command: str
    to: Status
    needs: list[NeedsAnswer]

    @classmethod
    def of(cls, move: Move) -> MoveAnswer:
        return cls(
            command=move.command,
            to=move.to,
            needs=[
                NeedsAnswer(field=need.field, codes=list(need.codes), longest=need.longest, required=need.required)
                for need in move.needs
            ],
        )


class MovesAnswer(Answer):
    """The moves this caller has now: a page that follows it shows no button that would fail."""

    status: Status
    transport: Transport
    moves: list[MoveAnswer]
    transport_moves: tuple[str, ...] = ()
    """What I may do about the way: `POST /referrals/{id}/transport/<move>`."""


_PRIVATE = {event.TYPE: event for event in EVENTS if event.TOPIC is None}
_BEGINNINGS = {ReferralRequested.TYPE, AdviceAsked.TYPE}
_FREE = {HopAsked.TYPE: {"reason"}}
"""What is free text there, though a code elsewhere."""
_CODES = {
    "reason",
    "mode",
    "outcome",
    "verdict",
    "escalated_to",
    "status",
    "place",
    "to",
    "next",
    "why",
    "appointment_at",
}
"""Fields that hold a code or a role, where the contract or we say so; all else may be free text."""


class HistoryEntry(Answer):
    """One thing that happened, by whom (role and facility) and when; without free text."""

    type: str
    occurred_at: Instant
    recorded_at: Instant
    actor: str
    codes: dict[str, str]

    @classmethod
    def of(cls, entry: Document) -> HistoryEntry | None:
        """None for what nobody is shown."""
        shown = PUBLIC.get(entry["type"]) or _PRIVATE.get(entry["type"])
        if shown is None:
            return None
        own = (set(shown.model_fields) - set(ReferralEvent.model_fields)) & _CODES - _FREE.get(entry["type"], set())
        if entry["type"] in _BEGINNINGS:
            own = {"destination", "service", "urgency"}
        said: dict[str, Any] = entry["data"]
        return cls(
            type=shown.__name__,
            occurred_at=entry["occurred_at"],
            recorded_at=entry["recorded_at"],
            actor=entry["actor"],
            codes={name: str(said[name]) for name in sorted(own) if said.get(name) is not None},
        )


class History(Answer):
    items: list[HistoryEntry]
