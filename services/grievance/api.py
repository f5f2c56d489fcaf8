"""Requests in, answers out."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from libs.common.aadhaar import contains_aadhaar
from libs.common.access import ANONYMOUS, Access, Forbidden
from libs.common.cause import Cause
from libs.common.ids import derive
from libs.common.journal import NotFound, Outcome
from libs.common.refusal import Refused
from libs.common.service import Service
from libs.common.tokens import Unauthenticated
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import FacilityCode, Id
from services.grievance import store, usecases
from services.grievance.answers import (
    CategoryAnswer,
    Detail,
    Entry,
    FiledAnswer,
    GrievanceAnswer,
    History,
    Listed,
    TrackingAnswer,
    Worklist,
)
from services.grievance.directory import Directory
from services.grievance.domain import ticket as tickets
from services.grievance.domain.deadlines import Category
from services.grievance.domain.grievance import Grievance, Status
from services.grievance.store import GRIEVANCE
from services.grievance.tracking import TrackingKey
from services.grievance.usecases import Cells, Complaint, ContactDetails


def _without_aadhaar(text: str) -> str:
    if contains_aadhaar(text):
        raise ValueError("holds what looks like an Aadhaar number; leave it out, it is not needed")
    return text


Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000), AfterValidator(_without_aadhaar)
]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_without_aadhaar)
]
Phone = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{7,14}$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+$", max_length=254)]
Language = Literal["en", "hi", "ur", "bo", "lbj", "doi", "ks"]
Ticket = Annotated[str, StringConstraints(max_length=64)]
Secret = Annotated[
    str, Header(alias="X-Tracking-Secret", min_length=1, max_length=128, description="What the filing answered")
]
Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]


class ContactBody(BaseModel):
    """How to reach a reporter who is not a patient; one of phone and email is needed. `phone` is E.164."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Name | None = None
    phone: Phone | None = None
    email: Email | None = None


class FileBody(Body):
    """A complaint. Anonymous ones need no token, name nobody, and their Idempotency-Key must be a random UUID."""

    category: str = Field(max_length=64, description="One of GET /categories")
    text: Text
    about_facility: FacilityCode
    about_referral: Id | None = None
    anonymous: StrictBool = False
    language: Language = "en"
    patient: Id | None = Field(None, description="The patient the token says the caller is")
    contact: ContactBody | None = None


class AssignBody(Body):
    to: str = Field(max_length=80, description="`nodal-officer@` and a facility that handles or handled it")


class ResolveBody(Body):
    outcome: str = Field(max_length=64, description="fixed, explained, compensated, action-taken or not-fixed")
    action_taken: Text


class ConfirmBody(Body):
    rating: int = Field(ge=1, le=5, strict=True)


class ReopenBody(Body):
    reason: Text


@dataclass(frozen=True)
class Office:
    """What the routes need beside the service: who refers to whom, what may be complained about, the tickets' key."""

    directory: Directory
    cells: Cells
    categories: Mapping[str, Category]
    tracking: TrackingKey


def router(service: Service, office: Office) -> APIRouter:
    """The routes for those who complain, those who answer, and those who hold a ticket."""
    routes = APIRouter()
    _filing(routes, service, office)
    _officers(routes, service)
    _reporters(routes, service)
    _tracking(routes, service, office.tracking)
    return routes


def _filing(routes: APIRouter, service: Service, office: Office) -> None:
    @routes.get("/categories", tags=["filing"])
    async def categories() -> list[CategoryAnswer]:
        """What may be complained about, and how long putting it right may take."""
        return [CategoryAnswer.of(category) for category in office.categories.values() if not category.retired]

    @routes.post("/grievances", status_code=201, tags=["filing"])
    async def file(body: FileBody, request: Requested) -> FiledAnswer:
        """Files a complaint, acknowledges it at once, and gives the ticket and the secret that goes with it."""
        complaint = _complaint(body, request.access, office.categories)
        cause, access = request.cause, request.access
        if body.anonymous:
            cause, access = _unlinked(cause, access)
        outcome = await usecases.file(
            service.journal, service.clock, office.directory, office.cells, complaint, cause, access
        )
        return FiledAnswer.filed(outcome.id, outcome.state, office.tracking.secret(outcome.id))


def _complaint(body: FileBody, access: Access, categories: Mapping[str, Category]) -> Complaint:
    """Raises Refused naming the field, Unauthenticated, Forbidden."""
    caller = access.caller
    category = categories.get(body.category)
    if category is None or category.retired:
        raise Refused("category-unknown", "must be a code of GET /categories", field="category")
    if body.anonymous:
        for field in ("patient", "contact"):
            if getattr(body, field) is not None:
                raise Refused("not-anonymous", "an anonymous complaint says nobody's name", field=field)
    elif caller.role == ANONYMOUS.role:
        raise Unauthenticated("a bearer token is needed, or file it with anonymous true")
    if body.patient is not None and body.patient != caller.patient:
        raise Forbidden("your token does not say that you are this patient")
    if body.patient is not None and body.contact is not None:
        raise Refused("contact-not-needed", "a patient is reached as they are registered", field="contact")
    if body.contact is not None and body.contact.phone is None and body.contact.email is None:
        raise Refused("contact-unreachable", "needs a phone or an email", field="contact")
    patient = body.patient
    if not body.anonymous and body.contact is None:
        patient = caller.patient
        if patient is None:
            raise Refused("contact-missing", "who is not a patient says how to be reached", field="contact")
    contact = body.contact
    return Complaint(
        category=category,
        text=body.text,
        about_facility=body.about_facility,
        about_referral=body.about_referral,
        language=body.language,
        filed_by=None if body.anonymous else caller.subject,
        patient=patient,
        contact=ContactDetails(contact.name, contact.phone, contact.email) if contact else None,
    )


def _unlinked(cause: Cause, access: Access) -> tuple[Cause, Access]:
    """The request as anybody's, so that not even a guess at its sender can be tested against the journal.

    The key is then all that keeps others from the answer. Raises Refused unless it is a UUID.
    """
    try:
        key = str(uuid.UUID(cause.key or ""))
    except ValueError:
        raise Refused(
            "key-not-a-uuid", "must be a random UUID when the complaint is anonymous", field="Idempotency-Key"
        ) from None
    anybody = dataclasses.replace(access, caller=ANONYMOUS)
    caller = f"{ANONYMOUS.role}:{ANONYMOUS.subject}"
    unlinked = dataclasses.replace(cause, id=derive("request", caller, access.route, key), actor=ANONYMOUS.actor)
    return unlinked, anybody


def _officers(routes: APIRouter, service: Service) -> None:
    @routes.get("/grievances", tags=["officers"])
    async def worklist(
        access: Reading, status: Status | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Worklist:
        """What is open at my facility, the oldest promise first; a citizen's own complaints, whatever their status."""
        documents, following = await store.worklist(service.database, access, status, limit, cursor)
        now = service.clock.now()
        items = [Listed.of(found["_id"], Grievance.model_validate(found["state"]), now) for found in documents]
        return Worklist(items=items, next=following)

    @routes.get("/grievances/{id}", tags=["officers"])
    async def show(id: str, access: Reading) -> Detail:
        """One complaint with its text; the reading is logged."""
        state = await service.journal.read(GRIEVANCE, id, access)
        await service.read_log.record(access, patient=state.reporter.id or id)
        return Detail.of(id, state)

    @routes.get("/grievances/{id}/history", tags=["officers"])
    async def history(id: str, access: Reading) -> History:
        """What happened to it, oldest first; the reading is logged."""
        state = await service.journal.read(GRIEVANCE, id, access)
        await service.read_log.record(access, patient=state.reporter.id or id)
        return History(items=[Entry.of(entry) for entry in await service.journal.history(GRIEVANCE, id)])

    @routes.post("/grievances/{id}/assign", tags=["officers"])
    async def assign(id: str, body: AssignBody, request: Requested) -> GrievanceAnswer:
        """Gives it to a nodal officer."""
        outcome = await usecases.assign(service.journal, service.clock, id, body.to, request.cause, request.access)
        return _answer(outcome)

    @routes.post("/grievances/{id}/resolve", tags=["officers"])
    async def resolve(id: str, body: ResolveBody, request: Requested) -> GrievanceAnswer:
        """Says what was done; it is closed only by the one who filed it."""
        outcome = await usecases.resolve(
            service.journal, service.clock, id, body.outcome, body.action_taken, request.cause, request.access
        )
        return _answer(outcome)


def _reporters(routes: APIRouter, service: Service) -> None:
    @routes.post("/grievances/{id}/confirm", tags=["reporters"])
    async def confirm(id: str, body: ConfirmBody, request: Requested) -> GrievanceAnswer:
        """The one who filed it agrees: closed."""
        outcome = await usecases.confirm(service.journal, service.clock, id, body.rating, request.cause, request.access)
        return _answer(outcome)

    @routes.post("/grievances/{id}/reopen", tags=["reporters"])
    async def reopen(id: str, body: ReopenBody, request: Requested) -> GrievanceAnswer:
        """The one who filed it does not agree; the promised date stays what it was."""
        outcome = await usecases.reopen(service.journal, service.clock, id, body.reason, request.cause, request.access)
        return _answer(outcome)


def _tracking(routes: APIRouter, service: Service, tracking: TrackingKey) -> None:
    async def opened(ticket: str, secret: str) -> str:
        """The grievance's id. Raises NotFound, the same and as fast for a wrong secret as for a ticket there is not."""
        id = await store.holder_of(service.database, tickets.normalised(ticket) or "")
        if not tracking.holds(id, secret):
            raise NotFound
        assert id is not None
        return id

    @routes.get("/tracking/{ticket}", tags=["tracking"])
    async def track(ticket: Ticket, access: Reading, secret: Secret) -> TrackingAnswer:
        """How far it is: dates and codes, no name and no text."""
        id = await opened(ticket, secret)
        return TrackingAnswer.of(await service.journal.read(GRIEVANCE, id, access))

    @routes.post("/tracking/{ticket}/confirm", tags=["tracking"])
    async def confirm_by_ticket(
        ticket: Ticket, body: ConfirmBody, request: Requested, secret: Secret
    ) -> TrackingAnswer:
        """Who holds the ticket's secret agrees: closed."""
        id = await opened(ticket, secret)
        outcome = await usecases.confirm(
            service.journal, service.clock, id, body.rating, request.cause.derive("tracking", id), request.access
        )
        return TrackingAnswer.of(outcome.state)

    @routes.post("/tracking/{ticket}/reopen", tags=["tracking"])
    async def reopen_by_ticket(ticket: Ticket, body: ReopenBody, request: Requested, secret: Secret) -> TrackingAnswer:
        """Who holds the ticket's secret does not agree."""
        id = await opened(ticket, secret)
        outcome = await usecases.reopen(
            service.journal, service.clock, id, body.reason, request.cause.derive("tracking", id), request.access
        )
        return TrackingAnswer.of(outcome.state)


def _answer(outcome: Outcome[Grievance]) -> GrievanceAnswer:
    return GrievanceAnswer.of(outcome.id, outcome.state)
