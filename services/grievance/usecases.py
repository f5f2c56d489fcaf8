"""One verb, one function: load, decide, append."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from libs.common.access import SYSTEM, Access
from libs.common.cause import Cause, timer_cause
from libs.common.clock import Clock
from libs.common.ids import derive
from libs.common.journal import ClaimTaken, Journal, NotFound, Outcome
from libs.common.mongo import Database, Document
from libs.common.refusal import Refused
from libs.contracts.event import Event
from libs.contracts.grievance import Reporter
from services.grievance import store
from services.grievance.directory import Directory
from services.grievance.domain import contact, declared, grievance, moments, ticket
from services.grievance.domain.calendar import IST, WorkingCalendar
from services.grievance.domain.category import Category
from services.grievance.domain.commands import (
    Appeal,
    AppealSettled,
    Command,
    File,
    NoteAppealOpened,
    Rederive,
    Resolve,
    Resume,
    TellParent,
    Tick,
    Transfer,
)
from services.grievance.domain.declared import Declare, DeclaredDays, NoteDerived
from services.grievance.domain.policy import CasePolicy, Jurisdiction, Promises, chosen, policy
from services.grievance.domain.route import next_office
from services.grievance.domain.state import Grievance
from services.grievance.hours import WorkingTime
from services.grievance.store import CONTACT, DECLARED, GRIEVANCE

TICKET_ATTEMPTS = 5
"""How often another ticket is tried when one is taken; 31⁸ tickets make one collision rare."""


TIMED = (Resolve, Resume, Appeal, AppealSettled, Tick, Rederive)
"""Moves that derive a date, and so need the working time of the case's place."""

ANY_TIME = WorkingCalendar(code="any", week=((),) * 7)
"""For moves that derive none."""


@dataclass(frozen=True)
class Cells:
    """Who answers where no facility stands above, by LGD code of the state."""

    by_state: dict[int, str]
    national: str

    def of(self, state_lgd: int) -> str:
        return self.by_state.get(state_lgd, self.national)

    def __contains__(self, code: str) -> bool:
        return code == self.national or code in self.by_state.values()


@dataclass(frozen=True)
class Office:
    """What the verbs work with."""

    journal: Journal
    database: Database
    clock: Clock
    directory: Directory
    cells: Cells
    jurisdictions: Sequence[Jurisdiction]
    working_time: WorkingTime


@dataclass(frozen=True)
class ContactDetails:
    """`phone` is E.164."""

    name: str | None
    phone: str | None
    email: str | None


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
    also_about: tuple[str, ...] = ()

    @property
    def anonymous(self) -> bool:
        return self.patient is None and self.contact is None


async def file(office: Office, complaint: Complaint, cause: Cause, access: Access) -> Outcome[Grievance]:
    """Files and acknowledges at once. Raises Refused naming the facility that the directory does not know."""
    id = cause.new_id("grievance")
    about = await office.directory.facility(complaint.about_facility)
    if about is None:
        raise Refused("facility-unknown", "is not a facility of the directory", field="about_facility")
    for code in complaint.also_about:
        if await office.directory.facility(code) is None:
            raise Refused("facility-unknown", "is not a facility of the directory", field="also_about")
    accused = (about.code, *complaint.also_about)
    category, today = complaint.category, office.clock.now().astimezone(IST).date()
    jurisdiction, version = chosen(office.jurisdictions, today, about.state_lgd, category.code)
    if complaint.anonymous and not version.anonymous:
        raise Refused("anonymous-not-taken", f"{jurisdiction.name} takes none", field="anonymous")
    state_cell = office.cells.of(about.state_lgd)
    command = File(
        ticket="",
        category=category.code,
        text=complaint.text,
        about_facility=about.code,
        also_about=complaint.also_about,
        about_referral=complaint.about_referral,
        handled_by=next_office(accused, (), await office.directory.above(about.code), state_cell),
        state_cell=state_cell,
        state_lgd=about.state_lgd,
        district_lgd=about.district_lgd,
        policy=policy(jurisdiction, version, category.code, category.emergency),
        reporter=await _reporter(office, id, complaint, cause),
        filed_by=complaint.filed_by,
        language=complaint.language,
    )
    return await _create(office, id, command, cause, access)


async def _create(office: Office, id: str, command: File, cause: Cause, access: Access) -> Outcome[Grievance]:
    """Under the first ticket that is free."""
    calendar = ANY_TIME
    if command.policy.works:
        calendar = await office.working_time.at(command.state_lgd, command.district_lgd)
    for attempt in range(TICKET_ATTEMPTS):
        named = dataclasses.replace(command, ticket=ticket.mint(id, attempt))
        try:
            return await office.journal.create(GRIEVANCE, id, _decide(office, named, calendar), cause, access)
        except ClaimTaken:
            continue
    raise Refused("no-ticket-free", "no ticket number is free; try again with another key")


def _decide(
    office: Office, command: Command, calendar: WorkingCalendar
) -> Callable[[Grievance | None], Sequence[Event]]:
    return lambda state: grievance.decide(state, command, office.clock.now(), calendar)


async def _reporter(office: Office, id: str, complaint: Complaint, cause: Cause) -> Reporter:
    """Who is to be told. A contact's card is written before the complaint, under a cause of the same request."""
    if complaint.patient is not None:
        return Reporter(kind="patient", id=complaint.patient)
    if complaint.contact is None:
        return Reporter(kind="anonymous")
    contact_id = cause.new_id("contact")
    if await office.journal.load(GRIEVANCE, id) is None:
        record = contact.Record(
            id=contact_id,
            name=complaint.contact.name,
            phone=complaint.contact.phone,
            email=complaint.contact.email,
            language=complaint.language,
        )
        await office.journal.create(
            CONTACT,
            contact_id,
            lambda state: contact.decide(state, record, office.clock.now()),
            cause.derive("contact"),
            SYSTEM,
        )
    return Reporter(kind="contact", id=contact_id)


async def move(
    office: Office, id: str, command: Command, cause: Cause, access: Access, known: Grievance | None = None
) -> Outcome[Grievance]:
    """Any move on one case; `known` spares a look at where it is. Raises NotFound, Refused, Forbidden."""
    calendar = ANY_TIME
    if isinstance(command, TIMED):
        if known is None:
            document = await office.journal.load(GRIEVANCE, id)
            if document is None:
                raise NotFound
            known = Grievance.model_validate(document["state"])
        if known.policy.works:
            calendar = await office.working_time.at(known.state_lgd, known.district_lgd)
    return await office.journal.append(GRIEVANCE, id, _decide(office, command, calendar), cause, access)


async def transfer(office: Office, id: str, command: Transfer, cause: Cause, access: Access) -> Outcome[Grievance]:
    """Raises Refused naming `to` for an office that nobody knows."""
    if command.to not in office.cells and await office.directory.facility(command.to) is None:
        raise Refused("facility-unknown", "is not a facility of the directory", field="to")
    return await move(office, id, command, cause, access)


async def appeal(office: Office, id: str, reason: str, cause: Cause, access: Access) -> Outcome[Grievance]:
    """An appeal is a case of its own, one level up; the answer is that case. A retry completes what a crash cut."""
    command = Appeal(child=cause.new_id("appeal"), reason=reason)
    parent = await move(office, id, command, cause, access)
    return await _open_appeal(office, id, parent.state, command.child)


async def _open_appeal(office: Office, parent_id: str, parent: Grievance, child: str) -> Outcome[Grievance]:
    """Creates the appeal's case, whoever comes first, and notes at the parent that it stands."""
    rule = parent.policy.appeal
    assert rule is not None
    of_parent = parent.policy.promises
    promises = Promises(redress=rule.redress, ladder=rule.ladder, tell=of_parent.tell, confirm=of_parent.confirm)
    above = await office.directory.above(parent.handled_by)
    command = File(
        ticket="",
        category=parent.category,
        text=parent.appeal_reason,
        about_facility=parent.about_facility,
        also_about=parent.also_about,
        about_referral=parent.about_referral,
        handled_by=next_office(parent.accused, parent.offices, above, parent.state_cell),
        state_cell=parent.state_cell,
        state_lgd=parent.state_lgd,
        district_lgd=parent.district_lgd,
        policy=CasePolicy(
            jurisdiction=parent.policy.jurisdiction,
            since=parent.policy.since,
            promises=promises,
            unreachable=parent.policy.unreachable,
        ),
        reporter=parent.reporter,
        filed_by=parent.filed_by,
        language=parent.language,
        parent=parent_id,
    )
    now = office.clock.now()
    opened = await _create(office, child, command, Cause(derive("appeal", child), "grievance", now), SYSTEM)
    noted = Cause(derive("appeal-opened", child), "grievance", now)
    await move(office, parent_id, NoteAppealOpened(child), noted, SYSTEM)
    return opened


async def on_timer(office: Office, id: str, document: Document) -> None:
    """What is due on a case: a half-done appeal first, else the clock whose date passed."""
    state = Grievance.model_validate(document["state"])
    if state.appeal_waits is not None:
        await _open_appeal(office, id, state, state.appeal_waits)
    elif state.parent_waits and state.parent is not None:
        await _tell_parent(office, id, state, state.parent)
    else:
        await tick(office, id, state)


async def _tell_parent(office: Office, id: str, state: Grievance, parent: str) -> None:
    now = office.clock.now()
    settled = Cause(derive("appeal-settled", id), "grievance", now)
    await move(office, parent, AppealSettled(id, state.outcome), settled, SYSTEM)
    await move(office, id, TellParent(), Cause(derive("parent-told", id), "grievance", now), SYSTEM)


async def tick(office: Office, id: str, state: Grievance) -> None:
    """A date passed: one step for it, whoever else looks at the same time.

    Before that the date is derived anew, should the working calendar have been changed since.
    """
    await rederive(office, id, state)
    clock = moments.next_due(state)
    if clock is None:
        return
    step, now = moments.step(state, clock), office.clock.now()
    up = next_office(state.accused, state.offices, await office.directory.above(state.handled_by), state.state_cell)
    cause = timer_cause(clock.name, step, state.reopened, aggregate=id, service="grievance", now=now)
    await move(office, id, Tick(clock.name, step, up), cause, SYSTEM, known=state)


async def rederive(office: Office, id: str, state: Grievance) -> None:
    """Holds a case's dates against the calendar as it is now; nothing if they are as they were."""
    if not any(clock.span.works for clock in state.clocks):
        return
    cause = timer_cause("calendar", state.rederived + 1, 0, aggregate=id, service="grievance", now=office.clock.now())
    await move(office, id, Rederive(), cause, SYSTEM, known=state)


async def declare(office: Office, code: str, command: Declare, cause: Cause, access: Access) -> Outcome[DeclaredDays]:
    """Declares a day of a place; the dates of its open cases follow. Raises Refused naming `code`."""
    if not office.working_time.knows(code):
        raise Refused("calendar-unknown", "is not a state's LGD code, or state-district", field="code")
    now: dt.datetime = office.clock.now()
    return await office.journal.append(
        DECLARED, code, lambda state: declared.decide(state, command, now), cause, access
    )


async def follow_calendar(office: Office, code: str, document: Document) -> None:
    """Holds every case of the place against its changed calendar; done again from the start if it was cut off."""
    state = DeclaredDays.model_validate(document["state"])
    state_lgd, _, district_lgd = code.partition("-")
    async for id in store.unsettled_at(office.database, int(state_lgd), int(district_lgd) if district_lgd else None):
        found = await office.journal.load(GRIEVANCE, id)
        if found is not None:
            await rederive(office, id, Grievance.model_validate(found["state"]))
    now = office.clock.now()
    cause = timer_cause("derived", state.changes, 0, aggregate=code, service="grievance", now=now)
    await office.journal.append(
        DECLARED, code, lambda held: declared.decide(held, NoteDerived(state.changes), now), cause, SYSTEM
    )
