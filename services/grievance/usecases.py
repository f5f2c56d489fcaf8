"""One verb, one function: load, decide, append."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
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
from services.grievance.domain import contact, declared, grievance, moments, proactive, ticket
from services.grievance.domain.calendar import IST, Interval, NoWorkingTime, WorkingCalendar
from services.grievance.domain.category import Category
from services.grievance.domain.commands import (
    Appeal,
    AppealSettled,
    Command,
    Consult,
    File,
    NoteAppealOpened,
    Rederive,
    Resolve,
    Resume,
    Screen,
    TellParent,
    Tick,
    Transfer,
)
from services.grievance.domain.declared import Declare, DeclaredDays, NoteDerived
from services.grievance.domain.policy import CasePolicy, Jurisdiction, Promises, chosen, policy
from services.grievance.domain.route import next_office
from services.grievance.domain.state import Grievance, accused
from services.grievance.hours import WorkingTime
from services.grievance.sightings import Sightings
from services.grievance.store import CONTACT, DECLARED, GRIEVANCE

TICKET_ATTEMPTS = 5
"""How often another ticket is tried when one is taken; 31⁸ tickets make one collision rare."""


TIMED = (Resolve, Screen, Resume, Appeal, AppealSettled, Tick, Rederive)
"""Moves that derive a date, and so need the working time of the case's place."""


class _AnyTime(WorkingCalendar):
    """For moves that derive no working time: asked for some, it says at once that it has none."""

    def hours(self, day: dt.date) -> list[Interval]:
        raise NoWorkingTime(self.code)


ANY_TIME = _AnyTime(code="any", week=((),) * 7)


@dataclass(frozen=True)
class Cells:
    """Who answers where no facility stands above, by LGD code of the state."""

    by_state: dict[int, str]
    national: str

    def of(self, state_lgd: int) -> str:
        return self.by_state.get(state_lgd, self.national)

    def above(self, cell: str, been: Sequence[str], accused: Sequence[str]) -> str:
        """The nation's cell for what this one had already, unless it is complained about; else the same."""
        return self.national if cell in been and self.national not in accused else cell

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
    categories: Mapping[str, Category]
    sightings: Sightings
    not_opened: Callable[[str], None] = lambda why: None
    """Told why an event that could have opened a case did not: a code for the metric."""


@dataclass(frozen=True)
class ContactDetails:
    """`phone` is E.164."""

    name: str | None
    phone: str | None
    email: str | None


@dataclass(frozen=True)
class Complaint:
    """What somebody says went wrong. `filed_by` is None, and `contact` and `patient` absent, when it is anonymous.

    `received_at` is when it came in on paper or by voice, `because` and `source` which event opened it by itself.
    """

    category: Category
    text: str
    about_facility: str
    about_referral: str | None
    language: str
    filed_by: str | None
    patient: str | None = None
    contact: ContactDetails | None = None
    also_about: tuple[str, ...] = ()
    about_person: str | None = None
    sealed: bool = False
    door: str = "online"
    received_at: dt.datetime | None = None
    because: str | None = None
    source: str | None = None

    @property
    def anonymous(self) -> bool:
        return self.patient is None and self.contact is None


async def file(office: Office, complaint: Complaint, cause: Cause, access: Access) -> Outcome[Grievance]:
    """Files and acknowledges at once. Raises Refused naming the facility that the directory does not know.

    An emergency of a patient who was referred is linked to that referral.
    """
    id = cause.new_id("grievance")
    about = await office.directory.facility(complaint.about_facility)
    if about is None:
        raise Refused("facility-unknown", "is not a facility of the directory", field="about_facility")
    for code in complaint.also_about:
        if await office.directory.facility(code) is None:
            raise Refused("facility-unknown", "is not a facility of the directory", field="also_about")
    accused_ = accused(about.code, complaint.also_about, complaint.about_person)
    # What was promised on the day it came in, should the rules have changed before it was entered.
    category, received = complaint.category, complaint.received_at or office.clock.now()
    day = received.astimezone(IST).date()
    jurisdiction, version = chosen(office.jurisdictions, day, about.state_lgd, category.code)
    if complaint.anonymous and not version.anonymous and complaint.because is None:
        raise Refused("anonymous-not-taken", f"{jurisdiction.name} takes none", field="anonymous")
    state_cell = office.cells.of(about.state_lgd)
    if state_cell in accused_:
        state_cell = office.cells.national
    about_referral = complaint.about_referral
    if about_referral is None and complaint.patient is not None and category.emergency:
        about_referral = await office.sightings.referral_of(complaint.patient, accused_)
    command = File(
        ticket="",
        category=category.code,
        text=complaint.text,
        about_facility=about.code,
        also_about=complaint.also_about,
        about_person=complaint.about_person,
        about_referral=about_referral,
        sealed=complaint.sealed,
        door=complaint.door,
        received_at=complaint.received_at,
        because=complaint.because,
        source=complaint.source,
        handled_by=next_office(accused_, (), await office.directory.above(about.code), state_cell),
        state_cell=state_cell,
        state_lgd=about.state_lgd,
        district_lgd=about.district_lgd,
        policy=policy(jurisdiction, version, category.code, category.emergency),
        reporter=await _reporter(office, id, complaint, cause),
        filed_by=complaint.filed_by,
        language=complaint.language,
    )
    return await _create(office, id, command, cause, access)


async def open_by_itself(
    office: Office, found: proactive.Found, source: str, occurred_at: dt.datetime
) -> Outcome[Grievance] | None:
    """A case that nobody complained of yet, once for what `found.same` says. None, and counted, where it cannot be."""
    if occurred_at < office.clock.now() - proactive.OLDEST:
        office.not_opened("too-old")
        return None
    kind, _, person = found.recipient.partition(":")
    about = found.about
    if about is None and kind == "patient":
        about = await office.sightings.place_of(person)
    elif about is None and kind == "contact":
        about = await store.complained_about_by(office.database, person)
    if about is None or await office.directory.facility(about) is None:
        office.not_opened("no-place")
        return None
    rule = found.rule
    # A destination outside the network is nobody whom a route could lead to.
    also = [code for code in found.also_about if code != about and await office.directory.facility(code) is not None]
    complaint = Complaint(
        category=office.categories[rule.category],
        text=rule.text,
        about_facility=about,
        about_referral=found.referral,
        language="en",
        filed_by=None,
        also_about=tuple(also),
        door="event",
        because=rule.because,
        source=source,
    )
    cause = Cause(await _case_of(office, found), "grievance", occurred_at)
    return await file(office, complaint, cause, SYSTEM)


async def _case_of(office: Office, found: proactive.Found) -> str:
    """What makes it one case: of several records of one person, the one under which it was opened before."""
    kind, _, person = found.recipient.partition(":")
    records = await office.sightings.same_person(person) if kind == "patient" else ()
    if len(records) < 2:
        return derive("proactive", *found.same)
    cases = [
        derive("proactive", *(f"patient:{record}" if part == found.recipient else part for part in found.same))
        for record in records
    ]
    for case in cases:
        if await office.journal.load(GRIEVANCE, Cause(case, "grievance", office.clock.now()).new_id("grievance")):
            return case
    return cases[0]


async def _create(office: Office, id: str, command: File, cause: Cause, access: Access) -> Outcome[Grievance]:
    """Under the first ticket that is free."""
    calendar: WorkingCalendar = ANY_TIME
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
    """Any move on one case; `known` spares a look at where it is. Raises NotFound, Refused, Forbidden.

    Most moves derive no working time; what does is decided again with the working time of the case's place.
    """
    calendar: WorkingCalendar = ANY_TIME
    if known is not None and known.policy.works and isinstance(command, TIMED):
        calendar = await office.working_time.at(known.state_lgd, known.district_lgd)
    try:
        return await office.journal.append(GRIEVANCE, id, _decide(office, command, calendar), cause, access)
    except NoWorkingTime:
        if calendar is not ANY_TIME:
            raise
    document = await office.journal.load(GRIEVANCE, id)
    if document is None:
        raise NotFound
    place = Grievance.model_validate(document["state"])
    calendar = await office.working_time.at(place.state_lgd, place.district_lgd)
    return await office.journal.append(GRIEVANCE, id, _decide(office, command, calendar), cause, access)


async def transfer(office: Office, id: str, command: Transfer, cause: Cause, access: Access) -> Outcome[Grievance]:
    """Raises Refused naming `to` for an office that nobody knows."""
    if command.to not in office.cells and await office.directory.facility(command.to) is None:
        raise Refused("facility-unknown", "is not a facility of the directory", field="to")
    return await move(office, id, command, cause, access)


async def consult(office: Office, id: str, command: Consult, cause: Cause, access: Access) -> Outcome[Grievance]:
    """Raises Refused naming `office` for one that nobody knows."""
    if command.office not in office.cells and await office.directory.facility(command.office) is None:
        raise Refused("facility-unknown", "is not a facility of the directory", field="office")
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
    # Nobody decides the appeal of what they decided themselves, the state's cell neither.
    cell = office.cells.above(parent.state_cell, parent.levels, parent.accused)
    command = File(
        ticket="",
        category=parent.category,
        text=parent.appeal_reason,
        about_facility=parent.about_facility,
        also_about=parent.also_about,
        about_person=parent.about_person,
        about_referral=parent.about_referral,
        sealed=parent.sealed,
        handled_by=next_office(parent.accused, parent.levels, above, cell),
        state_cell=cell,
        state_lgd=parent.state_lgd,
        district_lgd=parent.district_lgd,
        policy=CasePolicy(
            jurisdiction=parent.policy.jurisdiction,
            since=parent.policy.since,
            promises=promises,
            unreachable=parent.policy.unreachable,
            appeal=rule.further,
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
    been = state.offices if clock.name == moments.ON_CALL else state.levels
    up = next_office(state.accused, been, await office.directory.above(state.handled_by), state.state_cell)
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
