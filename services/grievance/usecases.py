"""One verb, one function: load, decide, append."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from libs.common.access import SYSTEM, Access
from libs.common.cause import Cause, timer_cause
from libs.common.clock import Clock
from libs.common.journal import ClaimTaken, Journal, NotFound, Outcome
from libs.common.mongo import Document
from libs.common.refusal import Refused
from libs.contracts.event import Event
from libs.contracts.grievance import Reporter
from services.grievance.directory import Directory
from services.grievance.domain import contact, grievance, ticket
from services.grievance.domain.deadlines import Category
from services.grievance.domain.grievance import Assign, Confirm, Escalate, File, Grievance, Reopen, Resolve
from services.grievance.domain.route import next_office
from services.grievance.store import CONTACT, GRIEVANCE

TICKET_ATTEMPTS = 5
"""How often another ticket is tried when one is taken; 31⁸ tickets make one collision rare."""


@dataclass(frozen=True)
class Complaint:
    """What somebody says went wrong. `filed_by` is None, and `contact` and `patient` absent, when it is anonymous."""

    category: Category
    text: str
    about_facility: str
    about_referral: str | None
    language: str
    filed_by: str | None
    patient: str | None = None
    contact: ContactDetails | None = None


@dataclass(frozen=True)
class ContactDetails:
    """`phone` is E.164."""

    name: str | None
    phone: str | None
    email: str | None


@dataclass(frozen=True)
class Cells:
    """Who answers where no facility stands above, by LGD code of the state."""

    by_state: dict[int, str]
    national: str

    def of(self, state_lgd: int) -> str:
        return self.by_state.get(state_lgd, self.national)


async def file(
    journal: Journal,
    clock: Clock,
    directory: Directory,
    cells: Cells,
    complaint: Complaint,
    cause: Cause,
    access: Access,
) -> Outcome[Grievance]:
    """Files and acknowledges at once. Raises Refused naming `about_facility` if the directory does not know it."""
    id = cause.new_id("grievance")
    about = await directory.facility(complaint.about_facility)
    if about is None:
        raise Refused("facility-unknown", "is not a facility of the directory", field="about_facility")
    state_cell = cells.of(about.state_lgd)
    command = File(
        ticket=ticket.mint(id),
        category=complaint.category,
        text=complaint.text,
        about_facility=complaint.about_facility,
        about_referral=complaint.about_referral,
        handled_by=next_office(about.code, (), await directory.above(about.code), state_cell),
        state_cell=state_cell,
        reporter=await _reporter(journal, clock, id, complaint, cause),
        filed_by=complaint.filed_by,
        language=complaint.language,
    )
    for attempt in range(TICKET_ATTEMPTS):
        attempted = dataclasses.replace(command, ticket=ticket.mint(id, attempt))

        def decide(state: Grievance | None, attempted: File = attempted) -> list[Event]:
            return grievance.decide(state, attempted, clock.now())

        try:
            return await journal.create(GRIEVANCE, id, decide, cause, access)
        except ClaimTaken:
            continue
    raise Refused("no-ticket-free", "no ticket number is free; try again with another key")


async def _reporter(journal: Journal, clock: Clock, id: str, complaint: Complaint, cause: Cause) -> Reporter:
    """Who is to be told. A contact's card is written before the complaint, under a cause of the same request."""
    if complaint.patient is not None:
        return Reporter(kind="patient", id=complaint.patient)
    if complaint.contact is None:
        return Reporter(kind="anonymous")
    contact_id = cause.new_id("contact")
    if await journal.load(GRIEVANCE, id) is None:
        record = contact.Record(
            id=contact_id,
            name=complaint.contact.name,
            phone=complaint.contact.phone,
            email=complaint.contact.email,
            language=complaint.language,
        )
        await journal.create(
            CONTACT,
            contact_id,
            lambda state: contact.decide(state, record, clock.now()),
            cause.derive("contact"),
            SYSTEM,
        )
    return Reporter(kind="contact", id=contact_id)


async def _move(
    journal: Journal, clock: Clock, id: str, command: grievance.Command, cause: Cause, access: Access
) -> Outcome[Grievance]:
    return await journal.append(
        GRIEVANCE, id, lambda state: grievance.decide(state, command, clock.now()), cause, access
    )


async def assign(journal: Journal, clock: Clock, id: str, to: str, cause: Cause, access: Access) -> Outcome[Grievance]:
    return await _move(journal, clock, id, Assign(to), cause, access)


async def resolve(
    journal: Journal, clock: Clock, id: str, outcome: str, action_taken: str, cause: Cause, access: Access
) -> Outcome[Grievance]:
    return await _move(journal, clock, id, Resolve(outcome, action_taken), cause, access)


async def confirm(
    journal: Journal, clock: Clock, id: str, rating: int, cause: Cause, access: Access
) -> Outcome[Grievance]:
    return await _move(journal, clock, id, Confirm(rating), cause, access)


async def reopen(
    journal: Journal, clock: Clock, id: str, reason: str, cause: Cause, access: Access
) -> Outcome[Grievance]:
    return await _move(journal, clock, id, Reopen(reason), cause, access)


async def escalate(journal: Journal, clock: Clock, directory: Directory, id: str, document: Document) -> None:
    """The timer's step for a missed date: to the next level, once, whoever else looks at the same time."""
    state = Grievance.model_validate(document["state"])
    step = state.step + 1
    up = next_office(state.about_facility, state.offices, await directory.above(state.handled_by), state.state_cell)
    cause = timer_cause("redress", step, state.reopened, aggregate=id, service="grievance", now=clock.now())
    try:
        await _move(journal, clock, id, Escalate(step, up), cause, SYSTEM)
    except NotFound:
        return
