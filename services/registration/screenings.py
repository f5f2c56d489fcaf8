"""The verbs of screening programmes, and of the ASHAs who bring people: load, decide, append."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libs.common.access import SYSTEM, Access
from libs.common.cause import Cause
from libs.common.ids import derive
from libs.common.journal import NotFound, Outcome
from libs.common.refusal import Refused
from services.registration.domain import asha as ashas
from services.registration.domain import screening
from services.registration.domain.asha import Asha, Brought, PersonBrought
from services.registration.domain.assessment import Assessment, Person, assess
from services.registration.domain.household import HouseholdForgotten
from services.registration.domain.patient import Patient
from services.registration.domain.programmes import Programme
from services.registration.domain.queue import desk_day
from services.registration.domain.screening import Screening, ScreeningErased
from services.registration.households import Registry
from services.registration.matching import survivor
from services.registration.outreach import ASHA, BROUGHT, HOUSEHOLD, SCREENING
from services.registration.usecases import own_facility

FACILITIES = "facilities"
"""The replica of the directory."""


@dataclass(frozen=True)
class Camp:
    """What the verbs work with."""

    registry: Registry
    programmes: Mapping[str, Programme]

    def programme(self, code: str) -> Programme:
        """Raises Refused naming the field."""
        programme = self.programmes.get(code)
        if programme is None:
            raise Refused("unknown-programme", f"must be one of {', '.join(self.programmes)}", field="programme")
        return programme

    def purpose(self, code: str) -> str:
        """What somebody is brought for. Raises Refused naming the field."""
        known = (*ashas.PURPOSES, *self.programmes)
        if code not in known:
            raise Refused("unknown-purpose", f"must be one of {', '.join(known)}", field="purpose")
        return code

    async def facility(self, code: str) -> dict[str, Any] | None:
        found = await self.registry.database[FACILITIES].find_one({"_id": code})
        return found.get("card") if found else None

    async def asha(self, id: str, field: str) -> Asha:
        """An ASHA or facilitator who is active. Raises Refused naming the field."""
        document = await self.registry.journal.load(ASHA, id)
        state = Asha.model_validate(document["state"]) if document else None
        if state is None or state.status != "active":
            raise Refused("unknown-asha", "there is no such ASHA at work", field=field)
        return state


def person_of(patient: Patient, on: dt.date) -> Person:
    """Age as known: by the day where the birth date is, else by the year."""
    card = patient.card
    if card.birth_date is not None:
        born = card.birth_date
        months = (on.year - born.year) * 12 + on.month - born.month - (on.day < born.day)
        return Person(months // 12, months, card.sex)
    return Person(on.year - card.birth_year if card.birth_year else None, None, card.sex)


async def screen(
    camp: Camp,
    patient: str,
    programme_code: str,
    measures: Mapping[str, Any],
    brought_by: str | None,
    cause: Cause,
    access: Access,
) -> Outcome[Screening]:
    """Raises Refused naming the field; then nothing is kept."""
    id = cause.new_id("screening")
    if await camp.registry.journal.load(SCREENING, id) is not None:
        # The retry of what was taken before, whatever has changed since.
        return await camp.registry.journal.append(SCREENING, id, lambda state: (), cause, access)
    patient = await survivor(camp.registry.journal, patient)
    on, here = desk_day(cause.occurred_at), own_facility(access)
    programme = camp.programme(programme_code)
    person = person_of(await camp.registry.person(patient, "patient"), on)
    if brought_by is not None:
        await camp.asha(brought_by, "brought_by")
    card = await camp.facility(here)
    assessment = assess(programme, person, measures, facility_altitude=card["altitude_m"] if card else None)
    command = screening.Record(patient, here, programme, assessment, on, brought_by)
    if brought_by is not None:
        credit = PersonBrought(asha=brought_by, patient=patient, purpose=programme_code, on=on, facility=here)
        await _credit(camp, credit, cause)
    return await camp.registry.journal.create(
        SCREENING, id, lambda state: screening.decide(state, command), cause, access
    )


def judged(camp: Camp, programme_code: str, person: Person, measures: Mapping[str, Any]) -> Assessment:
    """What a programme would say; nothing is kept. Raises Refused naming the field."""
    return assess(camp.programme(programme_code), person, measures)


async def accept(
    camp: Camp, id: str, suggestion: str, to: str | None, service: str | None, cause: Cause, access: Access
) -> Outcome[Screening]:
    """Raises Refused and NotFound."""
    card = await camp.facility(to) if to is not None else None
    command = screening.Accept(suggestion, to, service, tuple(card["services"]) if card else None)
    return await settle(camp, id, command, cause, access)


async def settle(camp: Camp, id: str, command: screening.Command, cause: Cause, access: Access) -> Outcome[Screening]:
    return await camp.registry.journal.append(
        SCREENING, id, lambda state: screening.decide(state, command), cause, access
    )


def referral_id(screening_id: str, cause: Cause) -> str:
    """The id that the referral service gives to what this acceptance becomes: it follows from the event's."""
    return derive(derive(screening_id, cause.id, 0), "referral")


async def forget(camp: Camp, patient: str, cause: Cause) -> None:
    """Measurements of an erased patient go, and what was said of the family; that there was a screening, its codes, and
    who lived together stand."""
    found = camp.registry.database[SCREENING.collection].find({"state.patient": patient}, {"_id": 1})
    for id in [document["_id"] async for document in found]:
        await camp.registry.journal.erase(SCREENING, id, ScreeningErased(), cause.derive("screening", id), SYSTEM)
    lived = camp.registry.database[HOUSEHOLD.collection].find({"state.members.patient": patient}, {"_id": 1})
    for id in [document["_id"] async for document in lived]:
        await camp.registry.journal.erase(HOUSEHOLD, id, HouseholdForgotten(), cause.derive("household", id), SYSTEM)


# ASHAs


async def register_asha(camp: Camp, command: ashas.Register, cause: Cause, access: Access) -> Outcome[Asha]:
    """Raises Refused naming the field."""
    await _check_facilitator(camp, command.facilitator)
    return await camp.registry.journal.create(
        ASHA, cause.new_id("asha"), lambda state: ashas.decide(state, command), cause, access
    )


async def change_asha(camp: Camp, id: str, command: ashas.Command, cause: Cause, access: Access) -> Outcome[Asha]:
    """Raises Refused and NotFound."""
    if isinstance(command, ashas.Change):
        await _check_facilitator(camp, command.facilitator)
    return await camp.registry.journal.append(ASHA, id, lambda state: ashas.decide(state, command), cause, access)


async def _check_facilitator(camp: Camp, id: str | None) -> None:
    if id is not None and (await camp.asha(id, "facilitator")).role != "facilitator":
        raise Refused("not-a-facilitator", "is an ASHA herself", field="facilitator")


async def bring(camp: Camp, id: str, patient: str, purpose: str, cause: Cause, access: Access) -> None:
    """She is credited once for a person, a purpose and a day. Raises Refused naming the field."""
    document = await camp.registry.journal.load(ASHA, id)
    if document is None:
        raise NotFound
    access.check(document["state"])
    await camp.asha(id, "id")
    patient = await survivor(camp.registry.journal, patient)
    await camp.registry.person(patient, "patient")
    on = desk_day(cause.occurred_at)
    event = PersonBrought(asha=id, patient=patient, purpose=camp.purpose(purpose), on=on, facility=own_facility(access))
    await _credit(camp, event, cause)


async def _credit(camp: Camp, event: PersonBrought, cause: Cause) -> Outcome[Brought]:
    id = derive("brought", event.asha, event.patient, event.purpose, event.on.isoformat())
    return await camp.registry.journal.append(
        BROUGHT, id, lambda state: ashas.bring(state, event), cause.derive("brought"), SYSTEM
    )


async def facilitated_by(camp: Camp, facilitator: str) -> list[str]:
    """The ASHAs of a facilitator."""
    found = camp.registry.database[ASHA.collection].find({"state.facilitator": facilitator}, {"_id": 1})
    return sorted([document["_id"] async for document in found])


@dataclass(frozen=True)
class Credits:
    """`people` counts each person once, `by` each bringing, by what it was for."""

    people: int
    by: Mapping[str, int]

    @property
    def brought(self) -> int:
        return sum(self.by.values())


async def credits_of(camp: Camp, asha: str, first: dt.date | None, last: dt.date | None) -> Credits:
    """Of the days from first to last, both included."""
    found = camp.registry.database[BROUGHT.collection].find({"state.asha": asha}, {"state": 1})
    people: set[str] = set()
    by: Counter[str] = Counter()
    async for document in found:
        state = Brought.model_validate(document["state"])
        if (first is None or first <= state.on) and (last is None or state.on <= last):
            people.add(state.patient)
            by[state.purpose] += 1
    return Credits(len(people), dict(sorted(by.items())))
