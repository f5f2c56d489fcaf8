"""What a facility has promised of its beds of a kind, or of the places in a clinic's hours: never more than there are.

One ledger is one aggregate. Its state holds open reservations only; what was is in its journal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts.event import Code, Event, FacilityCode, Id, Instant
from services.referral.domain.reservations import What


class Open(BaseModel):
    """`asked_at` is the machine's time; until it is `confirmed`, the acceptance that asked for it may never come."""

    model_config = ConfigDict(frozen=True)

    id: Id
    referral: Id
    asked_at: Instant
    confirmed: bool = False


class Ledger(BaseModel):
    """`total` as it was last known; `at` is when a clinic's hours begin (UTC)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    facility: FacilityCode
    what: What
    kind: Code
    at: Instant | None = None
    total: int
    open: tuple[Open, ...] = ()
    count: int = 0

    @property
    def free(self) -> int:
        return max(0, self.total - len(self.open))


@dataclass(frozen=True)
class Place:
    """Which ledger: a facility's beds of a kind, or a clinic's hours."""

    facility: str
    what: What
    kind: str
    at: dt.datetime | None = None


class Counted(Event):
    """So many there are. Private, as all of a ledger."""

    facility: FacilityCode
    what: What
    kind: Code
    at: Instant | None = None
    total: int


class Reserved(Counted):
    id: Id
    referral: Id
    asked_at: Instant


class Confirmed(Event):
    """Their acceptances stand."""

    ids: tuple[Id, ...]


class Released(Event):
    """They are free again."""

    ids: tuple[Id, ...]


EVENTS: tuple[type[Event], ...] = (Counted, Reserved, Confirmed, Released)


def count(state: Ledger | None, place: Place, total: int) -> list[Event]:
    """How many there are, as the facility says. Raises Refused for fewer than are promised."""
    if state is not None:
        if total < len(state.open):
            raise Refused("promised-already", f"{len(state.open)} are promised; let go of some first", field="places")
        if total == state.total:
            return []
    return [Counted(**vars(place), total=total)]


def reserve(
    state: Ledger | None, place: Place, total: int | None, id: str, referral: str, asked_at: dt.datetime
) -> list[Event]:
    """One more, if there is one. `total` None: as the ledger has it. Raises Refused `none-free`."""
    there = total if total is not None else (state.total if state else 0)
    promised = state.open if state else ()
    if any(each.id == id for each in promised):
        return []
    if len(promised) >= there:
        raise Refused("none-free", "none is free")
    return [Reserved(**vars(place), total=there, id=id, referral=referral, asked_at=asked_at)]


def settle(state: Ledger | None, confirmed: Sequence[str], released: Sequence[str]) -> list[Event]:
    """What became of reservations; [] where that was written before."""
    if state is None:
        return []
    unconfirmed = {each.id for each in state.open if not each.confirmed}
    there = {each.id for each in state.open}
    events: list[Event] = []
    if ids := tuple(id for id in confirmed if id in unconfirmed):
        events.append(Confirmed(ids=ids))
    if ids := tuple(id for id in released if id in there):
        events.append(Released(ids=ids))
    return events


def unconfirmed(state: Ledger) -> tuple[Open, ...]:
    return tuple(each for each in state.open if not each.confirmed)


def evolve(state: Ledger | None, event: Event) -> Ledger:
    match event:
        case Counted():
            now = {name: getattr(event, name) for name in ("facility", "what", "kind", "at", "total")}
            ledger = Ledger(**now) if state is None else state.model_copy(update={"total": event.total})
            if not isinstance(event, Reserved):
                return ledger
            return _with(ledger, (*ledger.open, Open(id=event.id, referral=event.referral, asked_at=event.asked_at)))
        case Confirmed(ids=ids):
            assert state is not None
            return _with(
                state,
                tuple(each.model_copy(update={"confirmed": True}) if each.id in ids else each for each in state.open),
            )
        case Released(ids=ids):
            assert state is not None
            return _with(state, tuple(each for each in state.open if each.id not in ids))
    raise AssertionError(event.TYPE)


def _with(ledger: Ledger, reservations: tuple[Open, ...]) -> Ledger:
    return ledger.model_copy(update={"open": reservations, "count": len(reservations)})
