"""One lead body for a case about several, what is passed on elsewhere, and the second look at what opened by itself."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter

from libs.common.refusal import Refused
from libs.common.service import Service
from libs.common.web import Reading, Requested
from services.grievance import bodies, usecases
from services.grievance.answers import ConsultationAnswer, GrievanceAnswer
from services.grievance.domain.commands import Consult, Contribute, Screen, Verify
from services.grievance.domain.screening import ScreeningReason
from services.grievance.store import GRIEVANCE
from services.grievance.usecases import Office


def router(service: Service, office: Office, reasons: Mapping[str, ScreeningReason]) -> APIRouter:
    routes = APIRouter()

    @routes.post("/grievances/{id}/consult", tags=["officers"])
    async def consult(id: str, body: bodies.ConsultBody, request: Requested) -> GrievanceAnswer:
        """Asks another body for its part. The one that has the case leads, and answers for all."""
        command = Consult(body.office, body.question, body.by)
        outcome = await usecases.consult(office, id, command, request.cause, request.access)
        return GrievanceAnswer.of(outcome.id, outcome.state)

    @routes.get("/grievances/{id}/consultation", tags=["officers"])
    async def consultation(id: str, access: Reading) -> ConsultationAnswer:
        """What is asked of my office about a case that another one leads; the reading is logged."""
        state = await service.journal.read(GRIEVANCE, id, access)
        await service.read_log.record(access, patient=id)
        return ConsultationAnswer.of(state, access.caller.facility)

    @routes.post("/grievances/{id}/contribute", tags=["officers"])
    async def contribute(id: str, body: bodies.ContributeBody, request: Requested) -> ConsultationAnswer:
        """Our part of the answer, to the body that leads."""
        facility = request.caller.facility
        command = Contribute(facility, body.answer)
        outcome = await usecases.move(office, id, command, request.cause, request.access)
        return ConsultationAnswer.of(outcome.state, facility)

    @routes.post("/grievances/{id}/screen", tags=["officers"])
    async def screen(id: str, body: bodies.ScreenBody, request: Requested) -> GrievanceAnswer:
        """It belongs to another procedure: the complainant is told why and whither, and may contradict (reopen)."""
        reason = reasons.get(body.reason)
        if reason is None:
            raise Refused("unknown-reason", f"must be one of {', '.join(reasons)}", field="reason")
        command = Screen(body.reason, reason.passed_to, reason.told("en"), request.caller.subject)
        outcome = await usecases.move(office, id, command, request.cause, request.access)
        return GrievanceAnswer.of(outcome.id, outcome.state)

    @routes.post("/grievances/{id}/verify", tags=["officers"])
    async def verify(id: str, body: bodies.VerifyBody, request: Requested) -> GrievanceAnswer:
        """Of a case that nobody complained of: a second officer says whether it is put right, or opens it again."""
        command = Verify(body.fixed, body.note, request.caller.subject)
        outcome = await usecases.move(office, id, command, request.cause, request.access)
        return GrievanceAnswer.of(outcome.id, outcome.state)

    return routes
