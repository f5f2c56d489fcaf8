"""Who is on duty in a role at a facility, and when. Its id is `<role>@<facility>`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts.event import Event, FacilityCode, Id, Instant

LONGEST_SHIFT = dt.timedelta(days=7)
KEPT = 200
"""Shifts of a roster that are kept in its state: the past beyond stands in its journal."""


class Shift(BaseModel):
    model_config = ConfigDict(frozen=True)

    person: Id
    begins: Instant
    ends: Instant


class ShiftPlanned(Event):
    facility: FacilityCode
    person: Id
    begins: Instant
    ends: Instant


class ShiftCancelled(Event):
    person: Id
    begins: Instant


class Roster(BaseModel):
    model_config = ConfigDict(frozen=True)

    facility: FacilityCode
    shifts: tuple[Shift, ...] = ()

    def on_duty(self, at: dt.datetime) -> tuple[str, ...]:
        """The end belongs to the next shift."""
        return tuple(dict.fromkeys(shift.person for shift in self.shifts if shift.begins <= at < shift.ends))


EVENTS: tuple[type[Event], ...] = (ShiftPlanned, ShiftCancelled)


@dataclass(frozen=True)
class PlanShift:
    facility: str
    person: str
    begins: dt.datetime
    ends: dt.datetime


@dataclass(frozen=True)
class CancelShift:
    person: str
    begins: dt.datetime


def decide(state: Roster | None, command: PlanShift | CancelShift) -> Sequence[Event]:
    """Raises Refused for a shift without length, of more than a week, or that is there already or is not."""
    there = {(shift.person, shift.begins) for shift in state.shifts} if state else set()
    if isinstance(command, CancelShift):
        if (command.person, command.begins) not in there:
            raise Refused("shift-unknown", "there is no such shift", field="begins")
        return (ShiftCancelled(person=command.person, begins=command.begins),)
    if not command.begins < command.ends <= command.begins + LONGEST_SHIFT:
        raise Refused("shift-invalid", "must end after it begins, and within a week", field="ends")
    if (command.person, command.begins) in there:
        raise Refused("shift-there", "this person has a shift that begins then", field="begins")
    return (ShiftPlanned(facility=command.facility, person=command.person, begins=command.begins, ends=command.ends),)


def evolve(state: Roster | None, event: Event) -> Roster:
    match event:
        case ShiftPlanned():
            shift = Shift(person=event.person, begins=event.begins, ends=event.ends)
            shifts = sorted((*(state.shifts if state else ()), shift), key=lambda one: one.begins)
            return Roster(facility=event.facility, shifts=tuple(shifts[-KEPT:]))
        case ShiftCancelled():
            assert state is not None
            kept = tuple(one for one in state.shifts if (one.person, one.begins) != (event.person, event.begins))
            return state.model_copy(update={"shifts": kept})
    raise AssertionError(event)
