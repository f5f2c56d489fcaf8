"""The routes of the machine: each command of the table, and what must be said with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from libs.common.numbers import Whole
from libs.common.refusal import Refused
from libs.common.service import Service
from libs.common.web import Body, Requested
from libs.contracts.event import Code, FacilityCode, Instant
from libs.contracts.referral import Urgency
from services.referral import usecases
from services.referral.answers import ReferralAnswer
from services.referral.domain import chain, codes, commands
from services.referral.domain.commands import Step
from services.referral.domain.medicines import Medicine
from services.referral.domain.reservations import Slot
from services.referral.usecases import Surroundings

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=codes.LONGEST_REASON)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=codes.LONGEST_TEXT)]
MaybeText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=codes.LONGEST_TEXT)]


class OutsideBody(BaseModel):
    """A place that is not of this network: the state's or territory's LGD code, of what kind, and its name."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    state_lgd: Annotated[Whole, Field(ge=1, le=99)]
    kind: chain.Kind
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]

    def value(self) -> chain.Outside:
        return chain.Outside(state_lgd=self.state_lgd, kind=self.kind, name=self.name)


def place_of(to: str | None, outside: OutsideBody | None) -> str:
    """The destination's code. Raises Refused where both or neither is said."""
    if (to is None) == (outside is None):
        raise Refused("one-destination", "name a facility, or a place outside the network", field="to")
    return to if to is not None else outside.value().code  # type: ignore[union-attr]


class AdviseBody(Body):
    verdict: codes.Verdict
    text: Text


class Nothing(Body):
    """A move that needs nothing to be said."""


class DeclineBody(Body):
    reason: codes.DeclineReason


class CancelBody(Body):
    reason: codes.CancelReason


class DepartBody(Body):
    mode: codes.DepartMode


LONGEST_HOLD = dt.timedelta(days=366)
"""Every road opens within the year."""


class HoldBody(Body):
    """`expected_release`: when it is expected to go on, if anybody knows."""

    reason: codes.HoldReason
    expected_release: Instant | None = None


class OutcomeBody(Body):
    """`procedure`: whether anything was done that could only be done here. It tells whether the journey could have been
    avoided."""

    outcome: codes.OutcomeCode
    summary: MaybeText = ""
    procedure: bool | None = None


class MedicineBody(Medicine):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class BackReferBody(Body):
    """`medicines` are those to be taken on at home."""

    advice: Text
    medicines: Annotated[tuple[MedicineBody, ...], Field(max_length=30)] = ()


class SlotBody(BaseModel):
    """A place in a clinic's hours that begin at `at`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clinic: Code
    at: Instant

    def value(self) -> Slot:
        return Slot(clinic=self.clinic, at=self.at)


class AcceptBody(Body):
    """`bed` is a kind of bed, `slot` a place in a clinic's hours: what is named is reserved, or the acceptance is
    refused with who else has one."""

    bed: Code | None = None
    slot: SlotBody | None = None


class ScheduleBody(Body):
    appointment_at: Instant
    slot: SlotBody | None = None


class NoteBody(Body):
    text: Text


class RedirectBody(Body):
    to: FacilityCode | None = None
    outside: OutsideBody | None = None
    reason: codes.DeclineReason


class OnwardBody(Body):
    to: FacilityCode | None = None
    outside: OutsideBody | None = None
    service: Code
    reason: Reason
    urgency: Urgency | None = None


class DeathBody(Body):
    place: codes.PlaceOfDeath


class VoidBody(Body):
    """`patient` is whom it was meant for, if anybody."""

    reason: codes.VoidReason
    patient: codes.PatientId | None = None


Stepping = Callable[[str, Step, Requested], Awaitable[ReferralAnswer]]


def add(routes: APIRouter, service: Service, around: Surroundings) -> None:
    """Adds a route for each command of the table that is not a request."""

    async def step(id: str, command: Step, request: Requested) -> ReferralAnswer:
        outcome = await usecases.step(
            service.journal, around, service.clock, id, command, request.cause, request.access
        )
        return ReferralAnswer.of(outcome.id, outcome.state)

    _advice(routes, step)
    _answering(routes, step)
    _appointments(routes, step)
    _travelling(routes, step)
    _treating(routes, step)
    _elsewhere(routes, step)

    @routes.post("/referrals/{id}/ask-again", tags=["referrals"])
    async def ask_again(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """The patient will travel after all: the destination is asked anew."""
        outcome = await usecases.ask_anew(
            service.journal, around, service.clock, id, commands.AskAgain, request.cause, request.access
        )
        return ReferralAnswer.of(outcome.id, outcome.state)


def _advice(routes: APIRouter, step: Stepping) -> None:
    @routes.post("/referrals/{id}/advise", tags=["advice"])
    async def advise(id: str, body: AdviseBody, request: Requested) -> ReferralAnswer:
        """The specialist says what to do: treat there, send, or tell more."""
        return await step(id, commands.Advise(body.verdict, body.text), request)

    @routes.post("/referrals/{id}/treat-here", tags=["advice"])
    async def treat_here(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """The origin treats as advised: a journey not made."""
        return await step(id, commands.TreatHere(), request)

    @routes.post("/referrals/{id}/withdraw", tags=["advice"])
    async def withdraw(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """The question is taken back."""
        return await step(id, commands.Withdraw(), request)


def _answering(routes: APIRouter, step: Stepping) -> None:
    @routes.post("/referrals/{id}/accept", tags=["referrals"])
    async def accept(id: str, body: AcceptBody, request: Requested) -> ReferralAnswer:
        """The destination will take the patient, and reserves what it names."""
        return await step(id, commands.Accept(body.bed, body.slot.value() if body.slot else None), request)

    @routes.post("/referrals/{id}/decline", tags=["referrals"])
    async def decline(id: str, body: DeclineBody, request: Requested) -> ReferralAnswer:
        """The destination will not take the patient."""
        return await step(id, commands.Decline(body.reason), request)

    @routes.post("/referrals/{id}/cancel", tags=["referrals"])
    async def cancel(id: str, body: CancelBody, request: Requested) -> ReferralAnswer:
        """The origin takes the referral back."""
        return await step(id, commands.Cancel(body.reason), request)

    @routes.post("/referrals/{id}/request-cancel", tags=["referrals"])
    async def request_cancel(id: str, body: CancelBody, request: Requested) -> ReferralAnswer:
        """The origin asks the destination to let go of it; what was done before that is seen still has its outcome."""
        return await step(id, commands.RequestCancel(body.reason), request)

    @routes.post("/referrals/{id}/confirm-cancel", tags=["referrals"])
    async def confirm_cancel(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """The destination lets go of it."""
        return await step(id, commands.ConfirmCancel(), request)


def _appointments(routes: APIRouter, step: Stepping) -> None:
    @routes.post("/referrals/{id}/schedule", tags=["appointments"])
    async def schedule(id: str, body: ScheduleBody, request: Requested) -> ReferralAnswer:
        """The destination makes an appointment."""
        return await step(id, commands.Schedule(body.appointment_at, body.slot.value() if body.slot else None), request)

    @routes.post("/referrals/{id}/reschedule", tags=["appointments"])
    async def reschedule(id: str, body: ScheduleBody, request: Requested) -> ReferralAnswer:
        """Another appointment takes the place of the one before, also after a no-show."""
        return await step(
            id, commands.Reschedule(body.appointment_at, body.slot.value() if body.slot else None), request
        )

    @routes.post("/referrals/{id}/cancel-appointment", tags=["appointments"])
    async def cancel_appointment(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """The appointment falls through; another may be made."""
        return await step(id, commands.CancelAppointment(), request)

    @routes.post("/referrals/{id}/no-show", tags=["appointments"])
    async def no_show(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """The patient did not come."""
        return await step(id, commands.NoShow(), request)


def _travelling(routes: APIRouter, step: Stepping) -> None:
    @routes.post("/referrals/{id}/depart", tags=["transport"])
    async def depart(id: str, body: DepartBody, request: Requested) -> ReferralAnswer:
        """The patient is on the way."""
        return await step(id, commands.Depart(body.mode), request)

    @routes.post("/referrals/{id}/hold", tags=["transport"])
    async def hold(id: str, body: HoldBody, request: Requested) -> ReferralAnswer:
        """The patient cannot travel on, or cannot leave."""
        release, held = body.expected_release, request.cause.occurred_at
        if release is not None and not held <= release <= held + LONGEST_HOLD:
            raise Refused("out-of-range", "must be later than the hold, by at most a year", field="expected_release")
        return await step(id, commands.Hold(body.reason, body.expected_release), request)

    @routes.post("/referrals/{id}/refuse-travel", tags=["transport"])
    async def refuse_travel(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """The patient, or who decides for them, will not travel."""
        return await step(id, commands.RefuseTravel(), request)

    @routes.post("/referrals/{id}/arrive", tags=["referrals"])
    async def arrive(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """The patient stands at the destination's desk."""
        return await step(id, commands.Arrive(), request)

    @routes.post("/referrals/{id}/admit", tags=["referrals"])
    async def admit(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """The patient came past the desk, straight to the ward."""
        return await step(id, commands.Admit(), request)


def _treating(routes: APIRouter, step: Stepping) -> None:
    @routes.post("/referrals/{id}/note", tags=["referrals"])
    async def note(id: str, body: NoteBody, request: Requested) -> ReferralAnswer:
        """A visit is done, and the work goes on."""
        return await step(id, commands.WriteNote(body.text), request)

    @routes.post("/referrals/{id}/outcome", tags=["referrals"])
    async def outcome(id: str, body: OutcomeBody, request: Requested) -> ReferralAnswer:
        """What became of the patient at the destination."""
        return await step(id, commands.RecordOutcome(body.outcome, body.summary, body.procedure), request)

    @routes.post("/referrals/{id}/back-refer", tags=["referrals"])
    async def back_refer(id: str, body: BackReferBody, request: Requested) -> ReferralAnswer:
        """The destination hands the patient back, with advice on how to go on at home."""
        return await step(id, commands.BackRefer(body.advice, body.medicines), request)

    @routes.post("/referrals/{id}/acknowledge", tags=["referrals"])
    async def acknowledge(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """The origin has read the advice: the loop is closed."""
        return await step(id, commands.Acknowledge(), request)

    @routes.post("/referrals/{id}/record-death", tags=["referrals"])
    async def record_death(id: str, body: DeathBody, request: Requested) -> ReferralAnswer:
        """The patient died before arriving, or after having been admitted."""
        return await step(id, commands.RecordDeath(body.place), request)


def _elsewhere(routes: APIRouter, step: Stepping) -> None:
    @routes.post("/referrals/{id}/redirect", tags=["hops"])
    async def redirect(id: str, body: RedirectBody, request: Requested) -> ReferralAnswer:
        """Another facility is asked instead: the next hop of the same chain."""
        return await step(
            id,
            commands.Redirect(
                place_of(body.to, body.outside), body.reason, body.outside.value() if body.outside else None
            ),
            request,
        )

    @routes.post("/referrals/{id}/refer-onward", tags=["hops"])
    async def refer_onward(id: str, body: OnwardBody, request: Requested) -> ReferralAnswer:
        """The patient goes on from here, higher up or out of the network: the next hop of the same chain."""
        return await step(
            id,
            commands.ReferOnward(
                place_of(body.to, body.outside),
                body.service,
                body.reason,
                body.urgency,
                body.outside.value() if body.outside else None,
            ),
            request,
        )

    @routes.post("/referrals/{id}/void", tags=["hops"])
    async def void(id: str, body: VoidBody, request: Requested) -> ReferralAnswer:
        """It was made in error; whom it was meant for gets a referral of their own."""
        return await step(id, commands.Void(body.reason, body.patient), request)
