"""Requests in, answers out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import ConfigDict

from libs.common.service import Service
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import Code, FacilityCode
from libs.contracts.referral import Urgency
from services.referral import answers, api_moves, store, usecases, way
from services.referral.answers import ReferralAnswer
from services.referral.api_moves import Nothing, OutsideBody, Reason, place_of
from services.referral.domain import codes, commands, dataset, referral
from services.referral.domain.commands import By
from services.referral.domain.moves import Status
from services.referral.store import REFERRAL
from services.referral.usecases import Surroundings

Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]

CLINICAL = frozenset({"doctor"})
"""Roles that see what the patient suffers from."""


class FindingsBody(dataset.Findings):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class RequestBody(Body):
    """`findings` are the minimum dataset: what is missing is warned of and stops nothing. Where the patient is to go
    is a facility of the directory (`to`) or a typed place outside the network (`outside`)."""

    patient: codes.PatientId
    to: FacilityCode | None = None
    service: Code
    urgency: Urgency
    reason: Reason
    findings: FindingsBody | None = None
    past_reason: codes.PastReason | None = None
    outside: OutsideBody | None = None

    def command(self, kind: type[commands.Request]) -> commands.Request:
        return kind(
            self.patient,
            place_of(self.to, self.outside),
            self.service,
            self.urgency,
            self.reason,
            self.findings,
            self.past_reason,
            outside=self.outside.value() if self.outside else None,
        )


class TellMoreBody(Body):
    """`reason` replaces what was asked before; `findings` are put over those that were given."""

    reason: Reason
    findings: FindingsBody | None = None


def router(service: Service, around: Surroundings) -> APIRouter:
    """The routes of the machine and the worklists."""
    routes = APIRouter()
    _requesting(routes, service, around)
    api_moves.add(routes, service, around)
    _reading(routes, service, around)
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

    @routes.post("/referrals/{id}/tell-more", tags=["advice"])
    async def tell_more(id: str, body: TellMoreBody, request: Requested) -> ReferralAnswer:
        """The question once more, with what the specialist wants to know."""
        told = commands.TellMore(body.reason, body.findings)
        outcome = await usecases.tell_more(
            service.journal, around, service.clock, id, told, request.cause, request.access
        )
        return ReferralAnswer.of(outcome.id, outcome.state)

    @routes.post("/referrals/{id}/convert", tags=["advice"])
    async def convert(id: str, body: Nothing, request: Requested) -> ReferralAnswer:
        """What was a question becomes a request to take the patient."""
        outcome = await usecases.ask_anew(
            service.journal, around, service.clock, id, commands.Convert, request.cause, request.access
        )
        return ReferralAnswer.of(outcome.id, outcome.state)

    @routes.post("/referrals/check", tags=["referrals"])
    async def check(body: RequestBody, access: Reading) -> answers.Checked:
        """What would be warned of if this were sent, and whether the destination would refuse it. What nobody would
        take is refused as it would be then. Writes nothing but who looked."""
        await service.read_log.record(access, patient=body.patient)
        asked, refused = await usecases.weigh(around, service.clock, body.command(commands.Request), access)
        completeness = dataset.completeness(asked.service, asked.urgency, asked.findings)
        return answers.Checked(
            completeness=completeness, warnings=asked.warnings, refused=refused.code if refused is not None else None
        )


def _reading(routes: APIRouter, service: Service, around: Surroundings) -> None:
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
        known = await around.patients.get_many([state.patient for state in states.values()])
        items = [answers.Listed.of(id, state, known[state.patient]) for id, state in states.items()]
        return answers.Worklist(items=items, next=following)

    @routes.get("/referrals/{id}", tags=["referrals"])
    async def show(id: str, access: Reading) -> answers.Detail:
        """One referral with its patient; the reading is logged."""
        state = await service.journal.read(REFERRAL, id, access)
        await service.read_log.record(access, patient=state.patient)
        patient = await around.patients.get(state.patient)
        return answers.Detail.of(
            id,
            state,
            patient,
            (await around.country.cards()).get(state.destination),
            clinical=access.caller.role in CLINICAL,
            closed=await usecases.closed_between(around, service.clock, state),
        )

    @routes.get("/referrals/{id}/moves", tags=["referrals"])
    async def moves(id: str, access: Reading) -> answers.MovesAnswer:
        """What I may do with it now, and what I must say then."""
        state = await service.journal.read(REFERRAL, id, access)
        mine = referral.open_moves(state, By(access.caller.role, access.caller.facility))
        return answers.MovesAnswer(
            status=state.status,
            transport=state.transport,
            moves=[answers.MoveAnswer.of(move) for move in mine],
            transport_moves=way.open_to(state, access.caller),
        )

    @routes.get("/referrals/{id}/chain", tags=["referrals"])
    async def chain(id: str, access: Reading) -> answers.Chain:
        """Every hop of the chain that this referral is one of, with the chain's own clock."""
        state = await service.journal.read(REFERRAL, id, access)
        hops = await store.chain(service.database, state.chain or id)
        return answers.Chain.of(state.chain or id, hops)

    @routes.get("/referrals/{id}/history", tags=["referrals"])
    async def history(id: str, access: Reading) -> answers.History:
        """What happened to it, oldest first, without free text."""
        await service.journal.read(REFERRAL, id, access)
        entries = [answers.HistoryEntry.of(entry) for entry in await service.journal.history(REFERRAL, id)]
        return answers.History(items=[entry for entry in entries if entry is not None])
