"""Who lives together: members from day to day, what schemes ask of the family, and officers' leaves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from libs.common.refusal import Refused
from libs.contracts.event import Code, Event, FacilityCode, Id, personal
from libs.contracts.registration import (
    EnrolmentRefusalReversed,
    EnrolmentRefused,
    HouseholdFormed,
    HouseholdMemberJoined,
    HouseholdMemberLeft,
    Member,
)
from services.registration.domain import membership
from services.registration.domain.membership import Join, Leave, Membership, Memberships

GOOD_FOR = dt.timedelta(days=30)
"""How long an officer's leave may be used."""


class Described(BaseModel):
    """What schemes ask of a member; codes and numbers only."""

    model_config = ConfigDict(frozen=True)

    categories: tuple[Code, ...] | None = None
    disability_percent: int | None = Field(None, ge=0, le=100)


class Description(BaseModel):
    """What schemes ask of the family. What is None is not known."""

    model_config = ConfigDict(frozen=True)

    categories: tuple[Code, ...] | None = None
    pm_jay: bool | None = None
    ration_card: bool | None = None
    mgnrega_days: int | None = Field(None, ge=0, le=732)
    members: dict[Id, Described] = Field(default_factory=dict)


class GivenLeave(BaseModel):
    """`by` is the office of the officer who gave it, `reason` a code of the scheme's rule."""

    model_config = ConfigDict(frozen=True)

    scheme: Code
    by: Code
    reason: Code
    on: dt.date

    def holds(self, day: dt.date) -> bool:
        return self.on <= day <= self.on + GOOD_FOR


class RefusedEnrolment(BaseModel):
    """What a desk refused on a day; `reversed` once somebody decided otherwise."""

    model_config = ConfigDict(frozen=True)

    scheme: Code
    facility: FacilityCode
    reason: Code
    on: dt.date
    reversed: bool = False


class Household(BaseModel):
    """`current` are the patients who live in it until further notice."""

    model_config = ConfigDict(frozen=True)

    facility: FacilityCode
    state_lgd: int | None = None
    members: Memberships
    current: tuple[Id, ...]
    description: Description = Description()
    leaves: tuple[GivenLeave, ...] = ()
    refusals: tuple[RefusedEnrolment, ...] = ()


class Formed(HouseholdFormed):
    """Where it lives stays in the journal."""

    state_lgd: int | None = None


class FamilyDescribed(Event):
    """Private: what schemes ask of a family is nobody else's business."""

    description: Description | None = personal()


class HouseholdForgotten(Event):
    """Somebody of it was erased: what was said of the family is gone with what was said of them. Private."""


class LeaveGiven(Event):
    """An officer lets the family enrol outside the window. Private."""

    scheme: Code
    by: Code
    reason: Code
    on: dt.date


@dataclass(frozen=True)
class Form:
    facility: str
    state_lgd: int | None
    members: tuple[Member, ...]
    on: dt.date


@dataclass(frozen=True)
class Describe:
    description: Description


@dataclass(frozen=True)
class GiveLeave:
    """`known` are the reasons that the rule of that day has for this office; empty: it has none."""

    scheme: str
    by: str
    reason: str
    on: dt.date
    known: tuple[str, ...]


@dataclass(frozen=True)
class Refuse:
    """`entitled`: what the rules of that day said of the family as it is known."""

    scheme: str
    facility: str
    reason: str
    on: dt.date
    entitled: bool


@dataclass(frozen=True)
class Reverse:
    scheme: str
    because: str


Command = Form | Join | Leave | Describe | GiveLeave | Refuse | Reverse

OFFICERS_LEAVE = "officers-leave"


def decide(state: Household | None, command: Command) -> Sequence[Event]:
    """Raises Refused naming the field."""
    if isinstance(command, Form):
        membership.check_first(command.members, command.on)
        return [Formed(facility=command.facility, members=command.members, state_lgd=command.state_lgd)]
    if state is None:
        return []
    match command:
        case Join():
            membership.check_join(state.members, command)
            return [HouseholdMemberJoined(patient=command.patient, relation=command.relation, since=command.since)]
        case Leave():
            membership.check_leave(state.members, command)
            return [HouseholdMemberLeft(patient=command.patient, until=command.until, reason=command.reason)]
        case Describe():
            strangers = set(command.description.members) - {each.patient for each in state.members}
            if strangers:
                raise Refused("not-a-member", "does not belong to it", field="members")
            return [FamilyDescribed(description=command.description)]
        case GiveLeave():
            return [_leave(command), *_reversed(state, command.scheme, OFFICERS_LEAVE)]
        case Refuse():
            return [_refused(state, command)]
        case Reverse():
            found = _reversed(state, command.scheme, command.because)
            if not found:
                raise Refused("nothing-refused", "was not refused, or that was reversed already", field="scheme")
            return found


def _refused(state: Household, command: Refuse) -> EnrolmentRefused:
    if any((each.scheme, each.on) == (command.scheme, command.on) for each in state.refusals):
        raise Refused("refused-already", "was refused on that day already", field="scheme")
    return EnrolmentRefused(
        facility=command.facility,
        scheme=command.scheme,
        reason=command.reason,
        refused_on=command.on,
        entitled=command.entitled,
    )


def _reversed(state: Household, scheme: str, because: str) -> list[Event]:
    """One decision for all that was refused of a scheme and still stands; it names the last."""
    standing = [each for each in state.refusals if each.scheme == scheme and not each.reversed]
    if not standing:
        return []
    last = max(standing, key=lambda each: each.on)
    return [
        EnrolmentRefusalReversed(facility=last.facility, scheme=scheme, refused_on=last.on, because=because),
    ]


def _leave(command: GiveLeave) -> LeaveGiven:
    if not command.known:
        raise Refused("no-leave-known", "the rules of that day let no such office do so", field="scheme")
    if command.reason not in command.known:
        raise Refused("unknown-reason", f"must be one of {', '.join(command.known)}", field="reason")
    return LeaveGiven(scheme=command.scheme, by=command.by, reason=command.reason, on=command.on)


def evolve(state: Household | None, event: Event) -> Household:
    if isinstance(event, Formed):
        members = membership.formed(event.members)
        return Household(
            facility=event.facility,
            state_lgd=event.state_lgd,
            members=members,
            current=membership.current(members),
        )
    if state is None:
        raise ValueError(f"no household begins with {event.TYPE}")
    match event:
        case HouseholdMemberJoined():
            return _with(state, membership.joined(state.members, Membership.model_validate(event.model_dump())))
        case HouseholdMemberLeft():
            return _with(state, membership.left(state.members, event.patient, event.until))
        case FamilyDescribed():
            return state.model_copy(update={"description": event.description or Description()})
        case HouseholdForgotten():
            return state.model_copy(update={"description": Description()})
        case LeaveGiven():
            leave = GivenLeave.model_validate(event.model_dump())
            return state.model_copy(update={"leaves": (*state.leaves, leave)})
        case EnrolmentRefused():
            refusal = RefusedEnrolment(
                scheme=event.scheme, facility=event.facility, reason=event.reason, on=event.refused_on
            )
            return state.model_copy(update={"refusals": (*state.refusals, refusal)})
        case EnrolmentRefusalReversed():
            refusals = tuple(
                each.model_copy(update={"reversed": True}) if each.scheme == event.scheme else each
                for each in state.refusals
            )
            return state.model_copy(update={"refusals": refusals})
    raise ValueError(f"no household can have {event.TYPE}")


def _with(state: Household, members: Memberships) -> Household:
    return state.model_copy(update={"members": members, "current": membership.current(members)})


def claims(state: Household) -> list[str]:
    """Nobody lives in two households at once."""
    return [f"member:{patient}" for patient in state.current]
