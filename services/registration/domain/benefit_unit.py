"""Who shares one benefit: a Him Parivar family, a ration-card family, a PM-JAY family, a HIMCARE unit or the Vay
Vandana group. Five different sets, none of which is the household."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts.event import Event, FacilityCode, Id, personal
from libs.contracts.registration import (
    BenefitUnitFormed,
    BenefitUnitMemberJoined,
    BenefitUnitMemberLeft,
    Member,
    UnitKind,
)
from services.registration.domain import family, membership
from services.registration.domain.family import Asking
from services.registration.domain.membership import Join, Leave, Membership, Memberships
from services.registration.domain.schemes import Scheme, Unit


@dataclass(frozen=True)
class Limits:
    """What a scheme's file says of a kind of unit; a kind without a scheme has no limits."""

    unit: Unit | None = None
    asking: Asking | None = None

    @property
    def at_most(self) -> int | None:
        return self.unit.at_most if self.unit else None

    def check(self, person: family.Member | None, field: str) -> None:
        """Raises Refused for somebody who does not belong to such a unit, as far as that is known."""
        if self.unit is None or self.asking is None or not self.unit.members:
            return
        truth = self.asking.applies(self.unit.members, person) if person is not None else None
        if truth is None:
            raise Refused("age-not-known", f"is not known to be: {self.unit.says}", field=field)
        if not truth:
            raise Refused("not-of-this-unit", f"is not: {self.unit.says}", field=field)


def limits(schemes: Mapping[str, Scheme], kind: UnitKind, on: dt.date) -> Limits:
    for scheme in schemes.values():
        if scheme.unit.kind == kind:
            return Limits(scheme.unit, Asking(on, scheme.year_of_birth))
    return Limits()


class BenefitUnit(BaseModel):
    """`current` are the patients who share it until further notice. `number` is the family's own (a ration card's, a
    Him Parivar id): personal."""

    model_config = ConfigDict(frozen=True)

    kind: UnitKind
    facility: FacilityCode
    household: Id | None = None
    number: str = personal("")
    members: Memberships
    current: tuple[Id, ...]


class Formed(BenefitUnitFormed):
    number: str = personal("")


@dataclass(frozen=True)
class Form:
    """`people` says what is known of each member's age, by patient."""

    kind: UnitKind
    facility: str
    household: str | None
    number: str
    members: tuple[Member, ...]
    people: Mapping[str, family.Member]
    limits: Limits
    on: dt.date


@dataclass(frozen=True)
class JoinUnit:
    join: Join
    person: family.Member | None
    limits: Limits


Command = Form | JoinUnit | Leave


def packs(members: Sequence[Member], limits: Limits) -> list[tuple[Member, ...]]:
    """As many units as the kind's cap asks for, filled in order."""
    most = limits.at_most or max(1, len(members))
    return [tuple(members[start : start + most]) for start in range(0, len(members), most)] or [()]


def check_all(members: Sequence[Member], people: Mapping[str, family.Member], limits: Limits, on: dt.date) -> None:
    """Raises Refused naming the field."""
    membership.check_first(members, on)
    for index, member in enumerate(members):
        limits.check(people.get(member.patient), f"members.{index}.patient")


def decide(state: BenefitUnit | None, command: Command) -> Sequence[Event]:
    """Raises Refused naming the field, or `unit-full` for one more than the cap."""
    if isinstance(command, Form):
        check_all(command.members, command.people, command.limits, command.on)
        return [
            Formed(
                kind=command.kind,
                facility=command.facility,
                household=command.household,
                number=command.number,
                members=command.members,
            )
        ]
    if state is None:
        return []
    if isinstance(command, Leave):
        membership.check_leave(state.members, command)
        return [
            BenefitUnitMemberLeft(kind=state.kind, patient=command.patient, until=command.until, reason=command.reason)
        ]
    join = command.join
    membership.check_join(state.members, join)
    command.limits.check(command.person, "patient")
    most = command.limits.at_most
    if most is not None and len(state.current) >= most:
        raise Refused("unit-full", f"has {most} members, which is all it may; form a further unit", allowed=("leave",))
    return [BenefitUnitMemberJoined(kind=state.kind, patient=join.patient, relation=join.relation, since=join.since)]


def evolve(state: BenefitUnit | None, event: Event) -> BenefitUnit:
    if isinstance(event, Formed):
        members = membership.formed(event.members)
        return BenefitUnit(
            kind=event.kind,
            facility=event.facility,
            household=event.household,
            number=event.number,
            members=members,
            current=membership.current(members),
        )
    if state is None:
        raise ValueError(f"no benefit unit begins with {event.TYPE}")
    match event:
        case BenefitUnitMemberJoined():
            joined = Membership(patient=event.patient, relation=event.relation, since=event.since)
            return _with(state, membership.joined(state.members, joined))
        case BenefitUnitMemberLeft():
            return _with(state, membership.left(state.members, event.patient, event.until))
    raise ValueError(f"no benefit unit can have {event.TYPE}")


def _with(state: BenefitUnit, members: Memberships) -> BenefitUnit:
    return state.model_copy(update={"members": members, "current": membership.current(members)})


def claims(state: BenefitUnit) -> list[str]:
    """Nobody is in two units of one kind at once, and a family's number is one unit's only (a HIMCARE family has
    several units)."""
    mine = [f"member:{state.kind}:{patient}" for patient in state.current]
    return mine + ([f"number:{state.kind}:{state.number}"] if state.number and state.kind != "himcare-unit" else [])
