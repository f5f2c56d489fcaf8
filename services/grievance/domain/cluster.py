"""Similar complaints with one root cause: a facility, a category, a month. Indian months (UTC+5:30).

| from  | move    | to    | who                                           |
|-------|---------|-------|-----------------------------------------------|
| –     | open    | open  | a nodal officer of an office above the facility |
| open  | revise  | open  | the same                                      |
| open  | fix     | fixed | the same; every open case of it is resolved   |
| open  | the clock | open, overdue | once, when the date of the fix passes |
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts.event import Code, Event, FacilityCode, Instant, personal
from services.grievance.domain.calendar import IST
from services.grievance.domain.moves import OUTCOMES, require_one_of

LONGEST_FIX = dt.timedelta(days=366)
ENOUGH = 3
"""From so many complaints on, a facility's category and month are shown as one matter."""


class Cluster(BaseModel):
    """`owner` is a role at one of `offices`; `fix_by` the date that it was promised for. `told` counts how many fixes
    (and openings) every case of it has been held against; `asks` how many there were."""

    model_config = ConfigDict(frozen=True)

    about_facility: FacilityCode
    category: Code
    month: str
    offices: tuple[FacilityCode, ...]
    owner: str
    root_cause: str = personal("")
    fix_by: Instant
    status: Literal["open", "fixed"] = "open"
    overdue: bool = False
    outcome: Code | None = None
    what_was_done: str = personal("")
    fixer: str = personal("")
    fixed_at: Instant | None = None
    asks: int = 0
    told: int = 0


class ClusterOpened(Event):
    about_facility: FacilityCode
    category: Code
    month: str
    offices: tuple[FacilityCode, ...]
    owner: str
    root_cause: str = personal("")
    fix_by: Instant


class ClusterRevised(Event):
    owner: str
    root_cause: str = personal("")
    fix_by: Instant


class ClusterOverdue(Event):
    """The date of the fix passed."""

    fix_by: Instant


class ClusterFixed(Event):
    """`fixer` is the subject of who says so."""

    outcome: Code
    what_was_done: str = personal("")
    fixer: str = personal("")
    fixed_at: Instant


class CasesTold(Event):
    """Every case of it was held against what had been said of it so often."""

    asks: int


EVENTS = (ClusterOpened, ClusterRevised, ClusterOverdue, ClusterFixed, CasesTold)


@dataclass(frozen=True)
class Open:
    about_facility: FacilityCode
    category: Code
    month: str
    offices: tuple[FacilityCode, ...]
    owner: str
    root_cause: str
    fix_by: dt.datetime


@dataclass(frozen=True)
class Revise:
    owner: str
    root_cause: str
    fix_by: dt.datetime


@dataclass(frozen=True)
class Fix:
    outcome: str
    what_was_done: str
    fixer: str = ""


@dataclass(frozen=True)
class NoteOverdue:
    pass


@dataclass(frozen=True)
class NoteTold:
    asks: int


Command = Open | Revise | Fix | NoteOverdue | NoteTold


def decide(state: Cluster | None, command: Command, now: dt.datetime) -> list[Event]:
    """Raises Refused; decides nothing for a cluster that does not exist."""
    if isinstance(command, Open):
        if state is not None:
            raise Refused("cluster-open-already", f"this matter is {state.status} already")
        _check(command.owner, command.offices, command.fix_by, now)
        return [ClusterOpened(**{name: getattr(command, name) for name in ClusterOpened.model_fields})]
    if state is None:
        return []
    match command:
        case NoteTold():
            return [CasesTold(asks=command.asks)] if command.asks > state.told else []
        case NoteOverdue():
            late = state.status == "open" and not state.overdue and now >= state.fix_by
            return [ClusterOverdue(fix_by=state.fix_by)] if late else []
    if state.status == "fixed":
        raise Refused("move-not-allowed", "it is fixed")
    match command:
        case Revise():
            _check(command.owner, state.offices, command.fix_by, now)
            return [ClusterRevised(owner=command.owner, root_cause=command.root_cause, fix_by=command.fix_by)]
        case Fix():
            require_one_of(command.outcome, OUTCOMES, "outcome")
            return [
                ClusterFixed(
                    outcome=command.outcome, what_was_done=command.what_was_done, fixer=command.fixer, fixed_at=now
                )
            ]
    raise TypeError(f"a cluster knows no {type(command).__name__}")


def _check(owner: str, offices: tuple[str, ...], fix_by: dt.datetime, now: dt.datetime) -> None:
    role, _, facility = owner.partition("@")
    if role not in ("officer", "nodal-officer") or facility not in offices:
        places = ", ".join(f"nodal-officer@{office}" for office in offices)
        raise Refused("not-an-owner", f"must be one of {places}", field="owner")
    if not now < fix_by <= now + LONGEST_FIX:
        raise Refused("date-out-of-range", "must lie ahead, within a year", field="fix_by")


def evolve(state: Cluster | None, event: Event) -> Cluster:
    if isinstance(event, ClusterOpened):
        return Cluster(asks=1, **event.model_dump())
    if state is None:
        raise TypeError(f"{event.TYPE} before the opening")
    return state.model_copy(update=_changes(state, event))


def _changes(state: Cluster, event: Event) -> dict[str, object]:
    match event:
        case ClusterRevised():
            return {**event.model_dump(), "overdue": False}
        case ClusterOverdue():
            return {"overdue": True}
        case ClusterFixed():
            return {
                "status": "fixed",
                "outcome": event.outcome,
                "what_was_done": event.what_was_done,
                "fixer": event.fixer,
                "fixed_at": event.fixed_at,
                "asks": state.asks + 1,
            }
        case CasesTold():
            return {"told": event.asks}
    raise TypeError(f"a cluster knows no {event.TYPE}")


def may_answer(state: Cluster, accused: Sequence[str], about_person: str | None = None) -> bool:
    """Whether its fix answers a case: not where one of those who may say that it is fixed is complained about too, as
    an office or as the person who said so."""
    return not set(state.offices) & set(accused) and about_person not in (state.fixer, state.fixer.lower())


def bounds(month: str) -> tuple[dt.datetime, dt.datetime]:
    """The first instant of an Indian month (`2026-11`) and of the one after, in UTC. Raises Refused naming `month`."""
    if re.fullmatch(r"20[0-9]{2}-(0[1-9]|1[0-2])", month) is None:
        raise Refused("month-invalid", "must be written like 2026-11", field="month")
    first = dt.datetime(int(month[:4]), int(month[5:]), 1, tzinfo=IST)
    following = (first + dt.timedelta(days=32)).replace(day=1)
    return first.astimezone(dt.UTC), following.astimezone(dt.UTC)


def month_of(moment: dt.datetime) -> str:
    return f"{moment.astimezone(IST):%Y-%m}"
