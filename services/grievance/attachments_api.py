"""Pictures, papers and recordings that go with a case: type and size are checked by content."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter, Request, Response

from libs.common.access import Access
from libs.common.cause import Cause
from libs.common.ids import derive
from libs.common.journal import NotFound
from libs.common.service import Service
from libs.common.web import Reading, Requested
from services.grievance import store, usecases
from services.grievance.answers import AttachmentAnswer
from services.grievance.attachments import AttachmentStore
from services.grievance.domain import content as contents
from services.grievance.domain import origin
from services.grievance.domain import ticket as tickets
from services.grievance.domain.commands import Attach
from services.grievance.domain.state import Attachment, Grievance
from services.grievance.parameters import Secret, Ticket
from services.grievance.store import GRIEVANCE
from services.grievance.tracking import TrackingKey
from services.grievance.usecases import Office

_BODY = {
    "requestBody": {"required": True, "content": {kind: {"schema": {"type": "string"}} for kind in contents.KINDS}}
}


def router(service: Service, office: Office, kept: AttachmentStore, tracking: TrackingKey) -> APIRouter:
    routes = APIRouter()

    async def add(id: str, raw: Request, cause: Cause, access: Access, by_reporter: bool) -> AttachmentAnswer:
        """The bytes first, then the fact: what is journaled is there."""
        body = await raw.body()
        kind = contents.check(body, raw.headers.get("content-type", ""))
        state = await office.journal.read(GRIEVANCE, id, access)
        if by_reporter and (state.sealed or state.reporter.kind == "anonymous"):
            body = origin.without(body, kind)
        digest = hashlib.sha256(body).hexdigest()
        attachment = Attachment(
            id=derive(cause.id, "attachment", digest),
            content_type=kind,
            size=len(body),
            sha256=digest,
            added_at=office.clock.now(),
            by="reporter" if by_reporter else "office",
        )
        await kept.put(attachment.id, body, kind)
        outcome = await usecases.move(office, id, Attach(attachment), cause, access)
        return AttachmentAnswer.of(next(each for each in outcome.state.attachments if each.id == attachment.id))

    async def show(state: Grievance, attachment: str) -> Response:
        found = next((each for each in state.attachments if each.id == attachment), None)
        body = await kept.get(attachment) if found else None
        if found is None or body is None:
            raise NotFound
        headers = {
            "Content-Disposition": "attachment",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "no-store",
        }
        return Response(body, media_type=found.content_type, headers=headers)

    async def opened(ticket: str, secret: str) -> str:
        id = await store.holder_of(office.database, tickets.normalised(ticket) or "")
        if not tracking.holds(id, secret):
            raise NotFound
        assert id is not None
        return id

    @routes.post("/grievances/{id}/attachments", status_code=201, tags=["attachments"], openapi_extra=_BODY)
    async def attach(id: str, request: Requested, raw: Request) -> AttachmentAnswer:
        """Adds a picture, a PDF or a recording: the bytes are the body. Nothing is kept of its name."""
        return await add(id, raw, request.cause, request.access, request.caller.role == "citizen")

    @routes.get("/grievances/{id}/attachments/{attachment}", tags=["attachments"], response_class=Response)
    async def fetch(id: str, attachment: str, access: Reading) -> Response:
        """The bytes as they came; the reading is logged."""
        state = await service.journal.read(GRIEVANCE, id, access)
        await service.read_log.record(access, patient=state.reporter.id or id)
        return await show(state, attachment)

    @routes.post("/tracking/{ticket}/attachments", status_code=201, tags=["attachments"], openapi_extra=_BODY)
    async def attach_by_ticket(ticket: Ticket, request: Requested, raw: Request, secret: Secret) -> AttachmentAnswer:
        """The same for who holds the ticket's secret."""
        id = await opened(ticket, secret)
        return await add(id, raw, request.cause.derive("tracking", id), request.access, by_reporter=True)

    return routes
