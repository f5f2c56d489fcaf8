"""Requests in, answers out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query

from libs.common.journal import NotFound
from libs.common.refusal import Refused
from libs.common.service import Service
from libs.common.web import Reading, Requested
from services.grievance import bodies, store, usecases
from services.grievance.answers import (
    CalendarAnswer,
    CategoryAnswer,
    DeclaredAnswer,
    Detail,
    Entry,
    FiledAnswer,
    GrievanceAnswer,
    History,
    Listed,
    TrackedAppeal,
    TrackingAnswer,
    Worklist,
)
from services.grievance.domain import ticket as tickets
from services.grievance.domain.calendar import IST
from services.grievance.domain.category import Category
from services.grievance.domain.commands import (
    Assign,
    Attempt,
    CloseUnreachable,
    Command,
    Confirm,
    Interim,
    Pause,
    Reopen,
    Resolve,
    Resume,
    Transfer,
)
from services.grievance.domain.declared import FURTHEST, Declare
from services.grievance.domain.policy import Jurisdiction
from services.grievance.domain.screening import ScreeningReason
from services.grievance.domain.state import Grievance, Status
from services.grievance.filing import complaint_of, unlinked
from services.grievance.parameters import Cursor, Limit, Secret, Ticket
from services.grievance.store import GRIEVANCE
from services.grievance.tracking import TrackingKey
from services.grievance.usecases import Office


def router(
    service: Service,
    office: Office,
    categories: Mapping[str, Category],
    reasons: Mapping[str, ScreeningReason],
    tracking: TrackingKey,
) -> APIRouter:
    """The routes for those who complain, those who answer, and those who hold a ticket."""
    routes = APIRouter()
    _filing(routes, office, categories, tracking)
    _reading(routes, service)
    _officers(routes, office)
    _reporters(routes, office, tracking)
    _tracking(routes, office, reasons, tracking)
    _rules(routes, office)
    return routes


def _filing(routes: APIRouter, office: Office, categories: Mapping[str, Category], tracking: TrackingKey) -> None:
    @routes.get("/categories", tags=["filing"])
    async def list_categories() -> list[CategoryAnswer]:
        """What may be complained about."""
        return [CategoryAnswer.of(category) for category in categories.values() if not category.retired]

    @routes.post("/grievances", status_code=201, tags=["filing"])
    async def file(body: bodies.FileBody, request: Requested) -> FiledAnswer:
        """Files a complaint, acknowledges it at once, and gives the ticket and the secret that goes with it."""
        complaint = complaint_of(body, request.access, categories)
        cause, access = request.cause, request.access
        if body.anonymous or body.sealed:
            cause, access = unlinked(cause, access)
        outcome = await usecases.file(office, complaint, cause, access)
        return FiledAnswer.filed(outcome.id, outcome.state, tracking.secret(outcome.id))


def _reading(routes: APIRouter, service: Service) -> None:
    @routes.get("/grievances", tags=["reading"])
    async def worklist(
        access: Reading, status: Status | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Worklist:
        """What is open at my facility, the oldest promise first; a citizen's own complaints, whatever their status."""
        documents, following = await store.worklist(service.database, access, status, limit, cursor)
        now = service.clock.now()
        items = [Listed.of(found["_id"], Grievance.model_validate(found["state"]), now) for found in documents]
        return Worklist(items=items, next=following)

    @routes.get("/grievances/{id}", tags=["reading"])
    async def show(id: str, access: Reading) -> Detail:
        """One complaint with its text; the reading is logged."""
        state = await service.journal.read(GRIEVANCE, id, access)
        await service.read_log.record(access, patient=state.reporter.id or id)
        return Detail.of(id, state)

    @routes.get("/grievances/{id}/history", tags=["reading"])
    async def history(id: str, access: Reading) -> History:
        """What happened to it, oldest first; the reading is logged."""
        state = await service.journal.read(GRIEVANCE, id, access)
        await service.read_log.record(access, patient=state.reporter.id or id)
        return History(items=[Entry.of(entry) for entry in await service.journal.history(GRIEVANCE, id)])


def _officers(routes: APIRouter, office: Office) -> None:
    async def move(id: str, command: Command, request: Requested) -> GrievanceAnswer:
        outcome = await usecases.move(office, id, command, request.cause, request.access)
        return GrievanceAnswer.of(outcome.id, outcome.state)

    @routes.post("/grievances/{id}/assign", tags=["officers"])
    async def assign(id: str, body: bodies.AssignBody, request: Requested) -> GrievanceAnswer:
        """Gives it to a nodal officer."""
        return await move(id, Assign(body.to), request)

    @routes.post("/grievances/{id}/transfer", tags=["officers"])
    async def transfer(id: str, body: bodies.TransferBody, request: Requested) -> GrievanceAnswer:
        """Passes it on to the office it belongs to; when it was received, and what was promised, stays."""
        command = Transfer(body.to, body.reason, body.explanation)
        outcome = await usecases.transfer(office, id, command, request.cause, request.access)
        return GrievanceAnswer.of(outcome.id, outcome.state)

    @routes.post("/grievances/{id}/interim", tags=["officers"])
    async def interim(id: str, body: bodies.InterimBody, request: Requested) -> GrievanceAnswer:
        """Says that it will take longer, why, and until when; the promise stays."""
        return await move(id, Interim(body.expected_by, body.reason), request)

    @routes.post("/grievances/{id}/pause", tags=["officers"])
    async def pause(id: str, body: bodies.PauseBody, request: Requested) -> GrievanceAnswer:
        """Stops its clocks for a named reason; they go on by themselves."""
        return await move(id, Pause(body.reason, body.until), request)

    @routes.post("/grievances/{id}/resume", tags=["officers"])
    async def resume(id: str, body: bodies.Nothing, request: Requested) -> GrievanceAnswer:
        """Lets its clocks go on."""
        return await move(id, Resume(), request)

    @routes.post("/grievances/{id}/resolve", tags=["officers"])
    async def resolve(id: str, body: bodies.ResolveBody, request: Requested) -> GrievanceAnswer:
        """Says what was done; it is closed only by the one who filed it."""
        return await move(id, Resolve(body.outcome, body.action_taken, request.caller.subject), request)

    @routes.post("/grievances/{id}/attempt", tags=["officers"])
    async def attempt(id: str, body: bodies.AttemptBody, request: Requested) -> GrievanceAnswer:
        """Records that somebody tried to reach the complainant."""
        return await move(id, Attempt(body.channel, body.reached, body.note), request)

    @routes.post("/grievances/{id}/close-unreachable", tags=["officers"])
    async def close_unreachable(id: str, body: bodies.Nothing, request: Requested) -> GrievanceAnswer:
        """Closes it without the complainant, after as many attempts over as many days as the jurisdiction asks."""
        return await move(id, CloseUnreachable(), request)


def _reporters(routes: APIRouter, office: Office, tracking: TrackingKey) -> None:
    @routes.post("/grievances/{id}/confirm", tags=["reporters"])
    async def confirm(id: str, body: bodies.ConfirmBody, request: Requested) -> GrievanceAnswer:
        """The one who filed it agrees: closed."""
        outcome = await usecases.move(office, id, Confirm(body.rating), request.cause, request.access)
        return GrievanceAnswer.of(outcome.id, outcome.state)

    @routes.post("/grievances/{id}/reopen", tags=["reporters"])
    async def reopen(id: str, body: bodies.ReopenBody, request: Requested) -> GrievanceAnswer:
        """The one who filed it does not agree; the promised date stays what it was."""
        outcome = await usecases.move(office, id, Reopen(body.reason), request.cause, request.access)
        return GrievanceAnswer.of(outcome.id, outcome.state)

    @routes.post("/grievances/{id}/appeal", status_code=201, tags=["reporters"])
    async def appeal(id: str, body: bodies.AppealBody, request: Requested) -> FiledAnswer:
        """Appeals to the next level: a case of its own, with a ticket of its own; this one waits for it."""
        outcome = await usecases.appeal(office, id, body.reason, request.cause, request.access)
        return FiledAnswer.filed(outcome.id, outcome.state, tracking.secret(outcome.id))


def _tracking(routes: APIRouter, office: Office, reasons: Mapping[str, ScreeningReason], tracking: TrackingKey) -> None:
    async def opened(ticket: str, secret: str) -> str:
        """The grievance's id. Raises NotFound, the same and as fast for a wrong secret as for a ticket there is not."""
        id = await store.holder_of(office.database, tickets.normalised(ticket) or "")
        if not tracking.holds(id, secret):
            raise NotFound
        assert id is not None
        return id

    async def move(ticket: str, secret: str, command: Command, request: Requested) -> TrackingAnswer:
        id = await opened(ticket, secret)
        outcome = await usecases.move(office, id, command, request.cause.derive("tracking", id), request.access)
        return TrackingAnswer.of(outcome.state, reasons)

    @routes.get("/tracking/{ticket}", tags=["tracking"])
    async def track(ticket: Ticket, access: Reading, secret: Secret) -> TrackingAnswer:
        """How far it is: dates, codes and the replies written for whoever filed it; no name and not what they said."""
        id = await opened(ticket, secret)
        return TrackingAnswer.of(await office.journal.read(GRIEVANCE, id, access), reasons)

    @routes.post("/tracking/{ticket}/confirm", tags=["tracking"])
    async def confirm_by_ticket(
        ticket: Ticket, body: bodies.ConfirmBody, request: Requested, secret: Secret
    ) -> TrackingAnswer:
        """Who holds the ticket's secret agrees: closed."""
        return await move(ticket, secret, Confirm(body.rating), request)

    @routes.post("/tracking/{ticket}/reopen", tags=["tracking"])
    async def reopen_by_ticket(
        ticket: Ticket, body: bodies.ReopenBody, request: Requested, secret: Secret
    ) -> TrackingAnswer:
        """Who holds the ticket's secret does not agree."""
        return await move(ticket, secret, Reopen(body.reason), request)

    @routes.post("/tracking/{ticket}/appeal", status_code=201, tags=["tracking"])
    async def appeal_by_ticket(
        ticket: Ticket, body: bodies.AppealBody, request: Requested, secret: Secret
    ) -> TrackedAppeal:
        """Who holds the ticket's secret appeals; the appeal has a ticket and a secret of its own."""
        id = await opened(ticket, secret)
        cause = request.cause.derive("tracking", id)
        outcome = await usecases.appeal(office, id, body.reason, cause, request.access)
        return TrackedAppeal.opened(outcome.state, tracking.secret(outcome.id))


def _rules(routes: APIRouter, office: Office) -> None:
    @routes.get("/jurisdictions", tags=["rules"])
    async def jurisdictions() -> list[Jurisdiction]:
        """Whose promises hold where, and from when."""
        return list(office.jurisdictions)

    @routes.get("/calendars/{code}", tags=["rules"])
    async def calendar(
        code: str, first: dt.date | None = None, days: Annotated[int, Query(ge=1, le=62)] = 14
    ) -> CalendarAnswer:
        """When the offices of a state (its LGD code) or a district (`state-district`) work. Times are Indian."""
        if not office.working_time.knows(code):
            raise NotFound
        state_lgd, _, district_lgd = code.partition("-")
        working = await office.working_time.at(int(state_lgd), int(district_lgd or 0))
        today = office.clock.now().astimezone(IST).date()
        if first is not None and abs(first - today) > FURTHEST:
            raise Refused("date-out-of-range", f"must be within {FURTHEST.days} days of today", field="first")
        return CalendarAnswer.of(code, working, first or today, days)

    @routes.post("/calendars/{code}/days", tags=["rules"])
    async def declare(code: str, body: bodies.DayBody, request: Requested) -> DeclaredAnswer:
        """Declares a day of a place otherwise; the dates of its open cases follow."""
        command = Declare(body.day, body.shifts, body.reason)
        outcome = await usecases.declare(office, code, command, request.cause, request.access)
        return DeclaredAnswer(code=code, day=body.day, shifts=outcome.state.days[body.day])
