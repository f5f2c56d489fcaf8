"""The verbs of households and benefit units: load, decide, append."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.common.access import Access
from libs.common.cause import Cause
from libs.common.journal import Journal, Outcome
from libs.common.mongo import Database
from libs.common.refusal import Refused
from libs.contracts.registration import Member, UnitKind
from services.registration.aggregates import PATIENT
from services.registration.domain import benefit_unit, eligibility, family, household
from services.registration.domain.benefit_unit import BenefitUnit
from services.registration.domain.household import Household
from services.registration.domain.membership import Join, Leave
from services.registration.domain.patient import Patient
from services.registration.domain.places import Places
from services.registration.domain.queue import desk_day
from services.registration.matching import survivor
from services.registration.outreach import BENEFIT_UNIT, HOUSEHOLD
from services.registration.rulebook import Rulebook
from services.registration.usecases import own_facility


@dataclass(frozen=True)
class Registry:
    """What the verbs work with."""

    journal: Journal
    database: Database
    rulebook: Rulebook
    places: Places

    async def person(self, id: str, field: str) -> Patient:
        """An active patient. Raises Refused naming the field."""
        document = await self.journal.load(PATIENT, id)
        if document is None:
            raise Refused("unknown-patient", "there is no such patient", field=field)
        patient = Patient.model_validate(document["state"])
        if patient.status != "active":
            raise Refused("not-active", f"this record is {patient.status}", field=field)
        return patient

    async def living(self, members: Sequence[Member]) -> tuple[Member, ...]:
        """Each by the record that theirs lives on in: an id of before a merge stands for that."""
        ids = await asyncio.gather(*(survivor(self.journal, member.patient) for member in members))
        return tuple(member.model_copy(update={"patient": id}) for member, id in zip(members, ids, strict=True))

    async def people(self, members: Sequence[Member]) -> dict[str, Patient]:
        found = await asyncio.gather(
            *(self.person(member.patient, f"members.{index}.patient") for index, member in enumerate(members))
        )
        return {member.patient: patient for member, patient in zip(members, found, strict=True)}


def asked_of(id: str, patient: Patient, described: household.Described | None = None) -> family.Member:
    """A patient as schemes ask about one."""
    card = patient.card
    said = described or household.Described()
    return family.Member(
        ref=id,
        birth_date=card.birth_date,
        birth_year=None if card.birth_date else card.birth_year,
        sex=card.sex,
        categories=None if said.categories is None else frozenset(said.categories),
        disability_percent=said.disability_percent,
    )


async def form_household(
    registry: Registry, members: tuple[Member, ...], state_lgd: int | None, cause: Cause, access: Access
) -> Outcome[Household]:
    """Raises Refused naming the field, ClaimTaken for somebody who lives in another one."""
    members = await registry.living(members)
    people = await registry.people(members)
    if state_lgd is None:
        state_lgd = next((patient.card.state_lgd for patient in people.values() if patient.card.state_lgd), None)
    else:
        registry.places.resolve(state_lgd, None)
    command = household.Form(own_facility(access), state_lgd, members, desk_day(cause.occurred_at))
    return await registry.journal.create(
        HOUSEHOLD, cause.new_id("household"), lambda state: household.decide(state, command), cause, access
    )


async def change_household(
    registry: Registry, id: str, command: household.Command, cause: Cause, access: Access
) -> Outcome[Household]:
    """Raises Refused, ClaimTaken and NotFound."""
    if isinstance(command, Join):
        command = dataclasses.replace(command, patient=await survivor(registry.journal, command.patient))
        await registry.person(command.patient, "patient")
    return await registry.journal.append(HOUSEHOLD, id, lambda state: household.decide(state, command), cause, access)


async def give_leave(
    registry: Registry, id: str, scheme: str, reason: str, cause: Cause, access: Access
) -> Outcome[Household]:
    """An officer lets the family enrol outside the window; which office, the officer's own token says."""
    on = desk_day(cause.occurred_at)
    rules = registry.rulebook.schemes.get(scheme)
    if rules is None:
        raise Refused("unknown-scheme", f"must be one of {', '.join(registry.rulebook.schemes)}", field="scheme")
    version = rules.on(on)
    office = access.caller.role
    known = tuple(
        each
        for override in (version.overrides if version else ())
        if office in override.by
        for each in override.reasons
    )
    command = household.GiveLeave(scheme, office, reason, on, known)
    return await change_household(registry, id, command, cause, access)


async def family_of(registry: Registry, state: Household, on: dt.date) -> family.Family:
    """Who lived there on that day, as schemes ask about a family; whoever's record is gone is only counted."""
    there = [each.patient for each in state.members if each.holds(on)]
    documents = await asyncio.gather(*(registry.journal.load(PATIENT, id) for id in there))
    said = state.description
    members = []
    for id, document in zip(there, documents, strict=True):
        patient = Patient.model_validate(document["state"]) if document else None
        if patient is None or patient.status != "active":
            members.append(family.Member(ref=id))
        else:
            members.append(asked_of(id, patient, said.members.get(id)))
    return family.Family(
        members=tuple(members),
        state_lgd=state.state_lgd,
        categories=None if said.categories is None else frozenset(said.categories),
        pm_jay=said.pm_jay,
        ration_card=said.ration_card,
        mgnrega_days=said.mgnrega_days,
    )


def officers(state: Household, on: dt.date) -> Mapping[str, tuple[eligibility.Officer, ...]]:
    """The leaves that may be used on that day, by scheme."""
    found: dict[str, tuple[eligibility.Officer, ...]] = {}
    for leave in state.leaves:
        if leave.holds(on):
            officer = eligibility.Officer(leave.by, leave.reason)
            found[leave.scheme] = (*found.get(leave.scheme, ()), officer)
    return found


async def form_units(
    registry: Registry,
    kind: UnitKind,
    members: tuple[Member, ...],
    household_id: str | None,
    number: str,
    cause: Cause,
    access: Access,
) -> list[Outcome[BenefitUnit]]:
    """One unit, or as many as the kind's cap asks for. A retry completes what a crash cut in half.

    Raises Refused naming the field, ClaimTaken for somebody who is in another one of this kind.
    """
    on = desk_day(cause.occurred_at)
    members = await registry.living(members)
    people = {id: asked_of(id, patient) for id, patient in (await registry.people(members)).items()}
    known = benefit_unit.limits(registry.rulebook.schemes, kind, on)
    benefit_unit.check_all(members, people, known, on)
    if household_id is not None and await registry.journal.load(HOUSEHOLD, household_id) is None:
        raise Refused("unknown-household", "there is no such household", field="household")
    await _nobody_is_elsewhere(registry, kind, members, cause)
    formed = []
    for index, pack in enumerate(benefit_unit.packs(members, known)):
        command = benefit_unit.Form(kind, own_facility(access), household_id, number, pack, people, known, on)
        step = cause if index == 0 else cause.derive("unit", index)
        outcome = await registry.journal.create(
            BENEFIT_UNIT,
            step.new_id("benefit-unit"),
            lambda state, command=command: benefit_unit.decide(state, command),  # type: ignore[misc]
            step,
            access,
        )
        formed.append(outcome)
    return formed


async def _nobody_is_elsewhere(registry: Registry, kind: UnitKind, members: Sequence[Member], cause: Cause) -> None:
    """Before the first unit is written, so that a family is not left with half of its units."""
    for index, member in enumerate(members):
        claim = f"member:{kind}:{member.patient}"
        holder = await registry.database[BENEFIT_UNIT.collection].find_one({"claims": claim}, {"journal.cause": 1})
        mine = {cause.id, *(cause.derive("unit", n).id for n in range(len(members)))}
        if holder is not None and holder["journal"][0]["cause"] not in mine:
            raise Refused("member-elsewhere", f"is in another {kind} already", field=f"members.{index}.patient")


async def join_unit(registry: Registry, id: str, join: Join, cause: Cause, access: Access) -> Outcome[BenefitUnit]:
    """Raises Refused, ClaimTaken and NotFound."""
    unit = await registry.journal.read(BENEFIT_UNIT, id, access)
    join = dataclasses.replace(join, patient=await survivor(registry.journal, join.patient))
    person = asked_of(join.patient, await registry.person(join.patient, "patient"))
    limits = benefit_unit.limits(registry.rulebook.schemes, unit.kind, join.on)
    command = benefit_unit.JoinUnit(join, person, limits)
    return await registry.journal.append(
        BENEFIT_UNIT, id, lambda state: benefit_unit.decide(state, command), cause, access
    )


async def leave_unit(registry: Registry, id: str, leave: Leave, cause: Cause, access: Access) -> Outcome[BenefitUnit]:
    """Raises Refused and NotFound."""
    return await registry.journal.append(
        BENEFIT_UNIT, id, lambda state: benefit_unit.decide(state, leave), cause, access
    )


async def units_of(registry: Registry, patient: str) -> list[tuple[str, BenefitUnit]]:
    """The units somebody is in, by kind; at most one of each."""
    found = registry.database[BENEFIT_UNIT.collection].find({"state.current": patient}, {"state": 1})
    units = [(document["_id"], BenefitUnit.model_validate(document["state"])) async for document in found]
    return sorted(units, key=lambda each: (each[1].kind, each[0]))


async def household_of(registry: Registry, patient: str) -> str | None:
    found = await registry.database[HOUSEHOLD.collection].find_one({"state.current": patient}, {"_id": 1})
    return found["_id"] if found else None


def codes(rulebook: Rulebook, names: Sequence[str] | None, field: str) -> tuple[str, ...] | None:
    """Categories by their codes, however they are spelt. Raises Refused naming the field."""
    if names is None:
        return None
    found = []
    for index, name in enumerate(names):
        code = rulebook.category(name)
        if code is None:
            known = ", ".join(sorted(rulebook.categories))
            raise Refused("unknown-category", f"must be one of {known}", field=f"{field}.{index}")
        found.append(code)
    return tuple(dict.fromkeys(found))
