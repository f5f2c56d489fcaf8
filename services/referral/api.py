"""Requests in, answers out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import ConfigDict, StringConstraints

from libs.common.service import Service
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import Code, FacilityCode
from libs.contracts.referral import Urgency
from services.referral import answers, store, usecases
from services.referral.answers import ReferralAnswer
from services.referral.domain import codes, commands, dataset, referral
from services.referral.domain.commands import By, Step
from services.referral.domain.moves import Status
from services.referral.patients import Patients
from services.referral.store import REFERRAL
from services.referral.usecases import Surroundings

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=codes.LONGEST_REASON)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=codes.LONGEST_TEXT)]
MaybeText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=codes.LONGEST_TEXT)]

Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]

CLINICAL = frozenset({"doctor"})
"""Roles that see what the patient suffers from."""


class FindingsBody(dataset.Findings):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


PatientId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
"""As registration gives it. It goes on a thin topic, where a name or a number typed in its place must not."""


class RequestBody(Body):
    """`findings` are the minimum dataset: what is missing is warned of and stops nothing."""

    patient: PatientId
    to: FacilityCode
    service: Code
    urgency: Urgency
    reason: Reason
    findings: FindingsBody | None = None
    past_reason: codes.PastReason | None = None

    def command(self, kind: type[commands.Request]) -> commands.Request:
        return kind(self.patient, self.to, self.service, self.urgency, self.reason, self.findings, self.past_reason)


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


class HoldBody(Body):
    reason: codes.HoldReason


class OutcomeBody(Body):
    outcome: codes.OutcomeCode
    summary: MaybeText = ""


class BackReferBody(Body):
    advice: Text


def router(service: Service, around: Surroundings) -> APIRouter:
    """The routes of the machine and the worklists."""
    routes = APIRouter()
    _requesting(routes, service, around)
    _machine(routes, service)
    _reading(routes, service, around.patients)
    return routes


def _requesting(routes: APIRouter, service: Service, around: Surroundings) -> None:
    async def ask(kind: type[commands.Request], body: RequestBody, request: Requested) -> answers.RequestAnswer:
        outcome = await usecases.request(
            service.journal, around, service.clock, body.command(kind), request.cause, request.access
        )
        return answers.RequestAnswer.of(outcome.id, outcome.state)

    @routes.post("/referrals", status_code=201, tags=["referrals"])
    async def request_referral(body: RequestBody, request: Requested) -> answers.RequestAnswer:
        """A doctor asks another facility to take a patient; the origin is the doctor's own facility."""
        return await ask(commands.Request, body, request)

    @routes.post("/advice", status_code=201, tags=["advice"])
    async def ask_for_advice(body: RequestBody, request: Requested) -> answers.RequestAnswer:
        """A doctor asks a specialist first: perhaps nobody has to travel."""
        return await ask(commands.Ask, body, request)

    @routes.post("/referrals/{id}/convert", tags=["advice"])
    async def convert(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """What was a question becomes a request to take the patient."""
        outcome = await usecases.convert(service.journal, around, service.clock, id, request.cause, request.access)
        return ReferralAnswer.of(outcome.id, outcome.state)

    @routes.post("/referrals/check", tags=["referrals"])
    async def check(body: RequestBody, access: Reading) -> answers.Checked:
        """What would be warned of if this were sent. Writes nothing but who looked."""
        await service.read_log.record(access, patient=body.patient)
        asked = await usecases.consider(around, service.clock, body.command(commands.Request), access)
        completeness = dataset.completeness(asked.service, asked.urgency, asked.findings)
        return answers.Checked(completeness=completeness, warnings=asked.warnings)


def _machine(routes: APIRouter, service: Service) -> None:
    async def step(id: str, command: Step, request: Requested) -> ReferralAnswer:
        outcome = await usecases.step(service.journal, service.clock, id, command, request.cause, request.access)
        return ReferralAnswer.of(outcome.id, outcome.state)

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

    @routes.post("/referrals/{id}/accept", tags=["referrals"])
    async def accept(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """The destination will take the patient."""
        return await step(id, commands.Accept(), request)

    @routes.post("/referrals/{id}/decline", tags=["referrals"])
    async def decline(id: str, body: DeclineBody, request: Requested) -> ReferralAnswer:
        """The destination will not take the patient."""
        return await step(id, commands.Decline(body.reason), request)

    @routes.post("/referrals/{id}/cancel", tags=["referrals"])
    async def cancel(id: str, body: CancelBody, request: Requested) -> ReferralAnswer:
        """The origin takes the referral back."""
        return await step(id, commands.Cancel(body.reason), request)

    @routes.post("/referrals/{id}/no-show", tags=["referrals"])
    async def no_show(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """The patient did not come."""
        return await step(id, commands.NoShow(), request)

    @routes.post("/referrals/{id}/depart", tags=["transport"])
    async def depart(id: str, body: DepartBody, request: Requested) -> ReferralAnswer:
        """The patient is on the way."""
        return await step(id, commands.Depart(body.mode), request)

    @routes.post("/referrals/{id}/hold", tags=["transport"])
    async def hold(id: str, body: HoldBody, request: Requested) -> ReferralAnswer:
        """The patient cannot travel on, or cannot leave."""
        return await step(id, commands.Hold(body.reason), request)

    @routes.post("/referrals/{id}/arrive", tags=["referrals"])
    async def arrive(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """The patient stands at the destination's desk."""
        return await step(id, commands.Arrive(), request)

    @routes.post("/referrals/{id}/outcome", tags=["referrals"])
    async def outcome(id: str, body: OutcomeBody, request: Requested) -> ReferralAnswer:
        """What became of the patient at the destination."""
        return await step(id, commands.RecordOutcome(body.outcome, body.summary), request)

    @routes.post("/referrals/{id}/back-refer", tags=["referrals"])
    async def back_refer(id: str, body: BackReferBody, request: Requested) -> ReferralAnswer:
        """The destination hands the patient back, with advice on how to go on at home."""
        return await step(id, commands.BackRefer(body.advice), request)

    @routes.post("/referrals/{id}/acknowledge", tags=["referrals"])
    async def acknowledge(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """The origin has read the advice: the loop is closed."""
        return await step(id, commands.Acknowledge(), request)


def _reading(routes: APIRouter, service: Service, patients: Patients) -> None:
    @routes.get("/referrals", tags=["worklists"])
    async def worklist(
        access: Reading,
        box: Annotated[store.Box, Query(description="What my facility sent, received, or was told of too late")],
        status: Status | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> answers.Worklist:
        """My facility's referrals, oldest first."""
        documents, following = await store.worklist(service.database, access, box, status, cursor, limit)
        states = {document["_id"]: referral.Referral.model_validate(document["state"]) for document in documents}
        known = await patients.get_many([state.patient for state in states.values()])
        items = [answers.Listed.of(id, state, known[state.patient]) for id, state in states.items()]
        return answers.Worklist(items=items, next=following)

    @routes.get("/referrals/{id}", tags=["referrals"])
    async def show(id: str, access: Reading) -> answers.Detail:
        """One referral with its patient; the reading is logged."""
        state = await service.journal.read(REFERRAL, id, access)
        await service.read_log.record(access, patient=state.patient)
        known = await patients.get(state.patient)
        return answers.Detail.of(id, state, known, clinical=access.caller.role in CLINICAL)

    @routes.get("/referrals/{id}/moves", tags=["referrals"])
    async def moves(id: str, access: Reading) -> answers.MovesAnswer:
        """What I may do with it now, and what I must say then."""
        state = await service.journal.read(REFERRAL, id, access)
        mine = referral.open_moves(state, By(access.caller.role, access.caller.facility))
        return answers.MovesAnswer(
            status=state.status, transport=state.transport, moves=[answers.MoveAnswer.of(move) for move in mine]
        )

    @routes.get("/referrals/{id}/history", tags=["referrals"])
    async def history(id: str, access: Reading) -> answers.History:
        """What happened to it, oldest first, without free text."""
        await service.journal.read(REFERRAL, id, access)
        entries = [answers.HistoryEntry.of(entry) for entry in await service.journal.history(REFERRAL, id)]
        return answers.History(items=[entry for entry in entries if entry is not None])
