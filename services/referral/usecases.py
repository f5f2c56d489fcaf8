"""What the service does, one verb a function: load, decide, append."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from libs.common.access import SYSTEM, Access
from libs.common.cause import Cause, timer_cause
from libs.common.clock import Clock
from libs.common.ids import derive
from libs.common.journal import Journal, KeyReused, Outcome
from libs.common.mongo import Database
from libs.common.refusal import Refused
from libs.contracts.event import Event
from libs.contracts.referral import Urgency
from libs.contracts.registration import PatientCard
from services.referral import beds, cells, hops, outside, store
from services.referral.country import Country, Known
from services.referral.directory import Row
from services.referral.domain import clocks, dataset, destinations, facility, reminders, today
from services.referral.domain.commands import (
    Accept,
    Ask,
    AskAgain,
    By,
    Convert,
    Depart,
    Elsewhere,
    Request,
    Reserving,
    Step,
    TellMore,
    Travel,
    Trip,
)
from services.referral.domain.destinations import Destinations, Wanted
from services.referral.domain.events import ReferralErased
from services.referral.domain.facility import Facility
from services.referral.domain.referral import GIVEN_UP, Referral, decide, due, overdue, owes
from services.referral.patients import Patients, Withdrawn
from services.referral.promises import Promises
from services.referral.store import FACILITY, REFERRAL

TRIES = 5
"""Times that something is reserved anew for one request."""


@dataclass(frozen=True)
class Surroundings:
    """What a request is looked at against: the patients we know of, promises to answer,
    the facilities and roads as they are."""

    database: Database
    patients: Patients
    promises: Promises
    country: Country


async def consider(around: Surroundings, clock: Clock, command: Request, here: str) -> Request:
    """The command with what is known of its patient and places: whether it can be taken, what is to be warned of.

    `here` is the origin. A place outside the network need not offer anything that we know of.
    """
    now = clock.now()
    patient, known = await asyncio.gather(around.patients.get(command.patient), around.country.known())
    # What is listed stays listed: only what a moment ago was not there is worth a look.
    origin, destination = known.cards.get(here), known.cards.get(command.to)
    if destination is None:
        destination = await store.facility_card(around.database, command.to)
    offered = any(command.service in card.services for card in known.cards.values())
    if not offered:
        offered = await store.is_offered(around.database, command.service)
    found = _ranked(around.country, known, here, Wanted(command.service, command.urgency), now)
    warnings = (
        *dataset.missing(command.service, command.urgency, command.findings),
        *dataset.mismatches(
            command.service,
            command.reason,
            patient=patient if isinstance(patient, PatientCard) else None,
            origin=origin,
            destination=destination,
            today=today.day_of(now),
            findings=command.findings,
        ),
        *destinations.notices(command.to, found, command.past_reason, outside=command.outside is not None),
    )
    level = destination.level if destination else None
    within = around.promises.advise_within(level)
    if not isinstance(command, Ask):
        within = around.promises.answer_within(command.urgency, level)
    within, says = clocks.to_answer(destination, command.urgency, within, now)
    return dataclasses.replace(
        command,
        warnings=warnings,
        answer_within=within,
        clock_says=says,
        chain_within=None if isinstance(command, Ask) else around.promises.treat_within(command.urgency),
        listed=(destination is not None and destination.level != facility.OFFICE) or command.outside is not None,
        offered=offered or command.outside is not None,
        withdrawn=isinstance(patient, Withdrawn),
    )


async def where_to(around: Surroundings, clock: Clock, wanted: Wanted, access: Access) -> Destinations:
    """Where a patient of the caller's facility can go now. Raises Refused for a caller without one."""
    if not access.caller.facility:
        raise Refused("no-facility", "your token names no facility")
    known = await around.country.known()
    return _ranked(around.country, known, access.caller.facility, wanted, clock.now())


async def closed_between(around: Surroundings, clock: Clock, state: Referral) -> tuple[str, ...]:
    """What stands between origin and destination, where no way is open now; () where there is one, or none is known."""
    known = await around.country.known()
    roadmap = around.country.roadmap(known, clock.now())
    if state.destination in roadmap.ways_from(state.origin):
        return ()
    return roadmap.closed_between(state.origin).get(state.destination, ())


def _ranked(country: Country, known: Known, origin: str, wanted: Wanted, now: dt.datetime) -> Destinations:
    roadmap = country.roadmap(known, now)
    closed = functools.partial(roadmap.closed_between, origin)
    return destinations.rank(origin, wanted, now, known.cards, roadmap.ways_from(origin), closed, known.beds)


async def request(
    journal: Journal, around: Surroundings, clock: Clock, command: Request, cause: Cause, access: Access
) -> Outcome[Referral]:
    """A new referral from the caller's facility, or a question for advice before one.

    A patient whose card has not come yet is accepted. Raises Refused for a facility or a service that is not in the
    directory, for a record that was withdrawn, and for what the destination has switched refusal on for.
    """
    asked = await consider(around, clock, command, access.caller.facility)
    if command.outside is not None:
        await outside.list_place(journal, clock, command.outside)
    by = _by(access)
    refused = await _refused_by(around, asked)

    def decided(state: Referral | None) -> list[Event]:
        if refused is not None and state is None:
            raise refused
        return decide(state, asked, by, clock.now())

    # What would be refused now may be the retry of what was taken before: then its first answer is looked for first.
    write = journal.create if asked.can_be_taken and refused is None else journal.append
    outcome = await write(REFERRAL, cause.new_id("referral"), decided, cause, access)
    # Erased between our look and our write: whoever forgets may have looked before we wrote.
    if not outcome.repeated and await around.patients.erased(command.patient):
        await forget(journal, around.database, clock, command.patient, cause.derive("erased"))
    return outcome


async def rehearse(
    journal: Journal, around: Surroundings, clock: Clock, command: Request, cause: Cause, access: Access
) -> None:
    """Whether `request` would take it now, without taking it. Raises what it would raise; nothing for what this cause
    has asked before, but for KeyReused."""
    before = await journal.load(REFERRAL, cause.new_id("referral"))
    if before is not None:
        if before["journal"][0].get("fingerprint") != cause.fingerprint:
            raise KeyReused
        return
    _, refused = await weigh(around, clock, command, access)
    if refused is not None:
        raise refused


async def weigh(around: Surroundings, clock: Clock, command: Request, access: Access) -> tuple[Request, Refused | None]:
    """As `consider`, and what the destination would refuse it for. Raises what nobody would take."""
    asked = await consider(around, clock, command, access.caller.facility)
    decide(None, asked, _by(access), clock.now())
    return asked, await _refused_by(around, asked)


async def _refused_by(around: Surroundings, asked: Request) -> Refused | None:
    """What the destination has switched refusal on for."""
    card = (await around.country.cards()).get(asked.to)
    refused = None if isinstance(asked, Ask) else facility.refusal(card, asked.urgency, asked.warnings)
    if refused is None:
        return None
    return Refused(f"refused-{refused.code}", f"this facility asks for it: {refused.detail}", field=refused.field)


async def step(
    journal: Journal, around: Surroundings, clock: Clock, id: str, command: Step, cause: Cause, access: Access
) -> Outcome[Referral]:
    """Every later move of the machine. Raises Refused, Forbidden and NotFound.

    What follows elsewhere is done at once; if this process does not come back to it, a timer does.
    """
    if isinstance(command, Elsewhere):
        # Before anything is written down of where it leads.
        await journal.read(REFERRAL, id, access)
        command = await hops.prepared(journal, around.database, around.patients, clock, command, cause)
    if isinstance(command, Reserving):
        outcome = await _take(journal, around, clock, id, command, cause, access)
    else:
        outcome = await _append(journal, around, clock, id, command, cause, access)
    if owes(outcome.state):
        await settle(journal, around, clock, id)
    return outcome


async def _append(
    journal: Journal, around: Surroundings, clock: Clock, id: str, command: Step, cause: Cause, access: Access
) -> Outcome[Referral]:
    by = _by(access)
    known = await around.country.known() if isinstance(command, Depart) else None

    def decided(state: Referral | None) -> list[Event]:
        now = clock.now()
        if isinstance(command, Depart) and known is not None and state is not None:
            way = around.country.roadmap(known, now).ways_from(state.origin).get(state.destination)
            timed = dataclasses.replace(command, travel_seconds=round(way.hours * 3600) if way else None)
            return decide(state, timed, by, now)
        return decide(state, command, by, now)

    return await journal.append(REFERRAL, id, decided, cause, access)


async def _take(
    journal: Journal, around: Surroundings, clock: Clock, id: str, command: Reserving, cause: Cause, access: Access
) -> Outcome[Referral]:
    """Reserves first. Where this took so long that a timer gave back what was reserved, once more."""
    for tries_left in reversed(range(TRIES)):
        taking = await _taking(journal, around, clock, id, command, cause, access)
        try:
            return await _append(journal, around, clock, id, taking, cause, access)
        except Refused as refused:
            held = (await journal.read(REFERRAL, id, SYSTEM)).reserved
            await beds.release(journal, [each for each in taking.reserved if each not in held], cause)
            if refused.code != GIVEN_UP or not tries_left:
                raise
    raise AssertionError


async def _taking(
    journal: Journal, around: Surroundings, clock: Clock, id: str, command: Reserving, cause: Cause, access: Access
) -> Reserving:
    """What will be reserved for it; and of an acceptance, how long the patient has to arrive by the roads as they
    are."""

    async def where_else(origin: str, wanted: Wanted) -> Destinations:
        return _ranked(around.country, await around.country.known(), origin, wanted, clock.now())

    if isinstance(command, Accept):
        command = dataclasses.replace(command, travel=await _travel(around, clock))
    return await beds.reserved(journal, around.database, clock, id, command, _by(access), cause, access, where_else)


async def _travel(around: Surroundings, clock: Clock) -> Travel:
    """How long somebody has to arrive from one facility at another, by the roads as they are now."""
    known, now = await around.country.known(), clock.now()
    roadmap = around.country.roadmap(known, now)

    def travel(origin: str, destination: str, urgency: Urgency) -> Trip:
        within = around.promises.arrive_within(urgency)
        way = roadmap.ways_from(origin).get(destination)
        if way is not None:
            opened = around.country.opened(known, way.roads, now)
            return Trip(within + dt.timedelta(hours=way.hours), "; ".join(way.says) or None, opened)
        closed = roadmap.closed_between(origin).get(destination)
        return Trip(within, f"{clocks.WAITS} {'; '.join(closed)}" if closed else None)

    return travel


async def settle(journal: Journal, around: Surroundings, clock: Clock, id: str) -> None:
    """Does what this referral owes elsewhere, as it stands now: gives back what it does not keep, opens its next
    hop."""
    state = await journal.read(REFERRAL, id, SYSTEM)
    if state.releasing:
        await beds.give_back(journal, clock, id, state)
    if state.opening is not None:
        hop = hops.request_of(id, state)
        asked = await consider(around, clock, hop, state.opening.origin)
        await hops.open_next(journal, clock, id, state.opening, asked)
        if await around.patients.erased(asked.patient):
            cause = Cause(derive("erased", state.opening.next), "referral", clock.now())
            await forget(journal, around.database, clock, asked.patient, cause)


async def ask_anew(
    journal: Journal,
    around: Surroundings,
    clock: Clock,
    id: str,
    kind: type[Convert] | type[AskAgain],
    cause: Cause,
    access: Access,
) -> Outcome[Referral]:
    """What was a question, or was refused by the patient, becomes a request with a promise of its own from now.
    Raises as `step`."""
    asked = await journal.read(REFERRAL, id, access)
    destination = await store.facility_card(around.database, asked.destination)
    within = around.promises.answer_within(asked.urgency, destination.level if destination else None)
    within, says = clocks.to_answer(destination, asked.urgency, within, clock.now())
    if kind is AskAgain:
        return await step(journal, around, clock, id, AskAgain(within, says), cause, access)
    chain_within = around.promises.treat_within(asked.urgency)
    return await step(journal, around, clock, id, Convert(within, says, chain_within), cause, access)


async def tell_more(
    journal: Journal, around: Surroundings, clock: Clock, id: str, told: TellMore, cause: Cause, access: Access
) -> Outcome[Referral]:
    """What the specialist wants to know; the promise to answer begins anew. Raises as `step`."""
    asked = await journal.read(REFERRAL, id, access)
    question = Ask(
        asked.patient,
        asked.destination,
        asked.service,
        asked.urgency,
        told.reason,
        dataset.together(asked.findings, told.findings),
        asked.past_reason,
        outside=asked.outside,
    )
    now = await consider(around, clock, question, asked.origin)
    told = dataclasses.replace(told, warnings=now.warnings, answer_within=now.answer_within, clock_says=now.clock_says)
    return await step(journal, around, clock, id, told, cause, access)


def step_of(state: Referral) -> tuple[str, int]:
    """What the oldest promise is called as a timer's cause, and in which round it is: of two that end at one instant,
    each by its own name."""
    _, promise = min(clocks.running(state))
    if promise == "chain":
        return "chain", 0
    return state.status, (state.times_asked * 1000 + state.appointments) * 1000 + state.times_stretched


async def attend(journal: Journal, around: Surroundings, clock: Clock, id: str, state: Referral) -> None:
    """A timer's step: what nobody came back for is completed, and of a broken promise the nodal officer one level
    above the destination is told, once."""
    if owes(state):
        await settle(journal, around, clock, id)
    promised = due(state)
    if promised is None or promised > clock.now():
        return
    place = state.origin if state.outside else state.destination
    card = await store.facility_card(around.database, place)
    above = cells.above(card, (await around.country.cards()).values()) or place
    name, cycle = step_of(state)
    cause = timer_cause(name, 1, cycle, aggregate=id, service="referral", now=clock.now())
    travel = await _travel(around, clock)
    outcome = await journal.append(
        REFERRAL, id, lambda current: overdue(current, f"nodal-officer@{above}", travel, clock.now()), cause, SYSTEM
    )
    if owes(outcome.state):
        await settle(journal, around, clock, id)


async def remind(journal: Journal, clock: Clock, id: str, state: Referral) -> None:
    """A timer's step: whoever owes the next one is reminded, once each time."""
    if reminders.due(state) is None:
        return
    cycle = int(state.changed_at.timestamp())
    cause = timer_cause("reminder", state.reminded + 1, cycle, aggregate=id, service="referral", now=clock.now())
    await journal.append(REFERRAL, id, lambda current: reminders.remind(current, clock.now()), cause, SYSTEM)


async def forget(journal: Journal, database: Database, clock: Clock, patient: str, cause: Cause) -> None:
    """What was written about an erased patient goes; ids, codes and the referrals themselves stand."""
    for id in await store.of_patient(database, patient):
        await journal.erase(REFERRAL, id, ReferralErased(at=clock.now()), cause, SYSTEM)


async def list_facilities(journal: Journal, database: Database, clock: Clock, rows: Sequence[Row]) -> int:
    """Brings the directory to what its file says; returns how many facilities are new or changed.

    A row acts once for its content, so that a start with an unchanged file does nothing, whatever a facility has
    changed of itself since.
    """
    known = await store.sources(database)
    outcomes = []
    for row in rows:
        source, version = known.get(row.card.code, ("", 0))
        if source != row.source:
            cause = Cause(derive("directory", row.card.code, row.source, version), "referral", clock.now())
            outcomes.append(_list(journal, row, cause))
    return sum(len(outcome.events) for outcome in await asyncio.gather(*outcomes) if not outcome.repeated)


async def change_facility(
    journal: Journal, country: Country, code: str, said: Mapping[str, Any], cause: Cause, access: Access
) -> Outcome[Facility]:
    """What a facility says of itself. Raises Refused, Forbidden and NotFound."""
    outcome = await journal.append(
        FACILITY, code, lambda state: facility.change(state, said, country.seasons), cause, access
    )
    country.changed()
    return outcome


async def _list(journal: Journal, row: Row, cause: Cause) -> Outcome[Facility]:
    return await journal.append(
        FACILITY, row.card.code, lambda state: facility.decide(state, row.card, row.source), cause, SYSTEM
    )


def _by(access: Access) -> By:
    return By(access.caller.role, access.caller.facility)
