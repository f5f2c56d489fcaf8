"""Reserving what an acceptance names, and giving back what nobody keeps.

Two appends whose causes derive from one request, the ledger's first. A retry completes what a crash cut in half. If
nobody comes back, a timer asks the referral: what it holds is confirmed; what it does not hold is refused to it for
good, and then released, so that a process that was only slow cannot take it any more.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from libs.common.access import SYSTEM, Access
from libs.common.cause import Cause
from libs.common.clock import Clock, machine_now
from libs.common.ids import derive
from libs.common.journal import Journal, NotFound, Outcome
from libs.common.mongo import Database
from libs.common.refusal import Refused
from libs.contracts.referral import FacilityCard
from services.referral import store
from services.referral.domain import clocks, ledger
from services.referral.domain.commands import Accept, By, Reserving, Schedule
from services.referral.domain.destinations import Destinations, Wanted, kinds_of
from services.referral.domain.events import ReservationGivenUp, ReservationsReleased
from services.referral.domain.ledger import Ledger, Place
from services.referral.domain.referral import Referral, decide
from services.referral.domain.reservations import Reservation
from services.referral.store import COME_BACK_AFTER, LEDGER, REFERRAL

ATTEMPTS = 20
"""Times that one request may ask anew, because what it had was given back meanwhile."""

ALTERNATIVES = 5

C = TypeVar("C", bound=Reserving)
WhereElse = Callable[[str, Wanted], Awaitable[Destinations]]


def ledger_id(place: Place) -> str:
    at = place.at.astimezone(dt.UTC).isoformat() if place.at else ""
    return derive("ledger", place.facility, place.what, place.kind, at)


def total_of(card: FacilityCard, kind: str) -> int | None:
    """Beds of this kind that stand there; None where the facility has none."""
    return kinds_of(card).get(kind)


async def reserved(
    journal: Journal,
    database: Database,
    clock: Clock,
    id: str,
    command: C,
    by: By,
    cause: Cause,
    access: Access,
    where_else: WhereElse,
) -> C:
    """The command with what the ledgers gave for it; as it was where nothing is named or the cause acted before.

    Raises Refused: what the machine refuses, an unknown kind of bed or clinic, and `none-free` with alternatives.
    """
    if not _places(command, ""):
        return command
    document = await journal.load(REFERRAL, id)
    if document is None:
        raise NotFound
    access.check(document["state"])
    if any(entry["cause"] == cause.id for entry in document["journal"]):
        return command
    state = Referral.model_validate(document["state"])
    decide(state, command, by, clock.now())
    given: list[Reservation] = []
    try:
        for place in _places(command, state.destination):
            # A place that it has in these hours already is the one that it keeps.
            own = next((each for each in state.reserved if each.ledger == ledger_id(place)), None)
            if own is None:
                total = await _total(journal, database, place)
                own = await _reserve(journal, id, place, total, cause)
            given.append(own)
    except Refused as refused:
        await release(journal, [each for each in given if each not in state.reserved], cause)
        if refused.code != "none-free":
            raise
        raise await _none_free(database, state, place, where_else, clock) from None
    kept = tuple(each.id for each in given if each in state.reserved)
    return dataclasses.replace(command, reserved=tuple(given), kept=kept)


def _places(command: Reserving, facility: str) -> list[Place]:
    found = []
    if isinstance(command, Accept) and command.bed is not None:
        found.append(Place(facility, "bed", command.bed))
    if command.slot is not None:
        if isinstance(command, Schedule) and command.slot.at != command.appointment_at:
            raise Refused("other-time", "must be when the clinic's hours begin", field="appointment_at")
        found.append(Place(facility, "slot", command.slot.clinic, command.slot.at))
    return found


async def _total(journal: Journal, database: Database, place: Place) -> int | None:
    """Of beds, what the facility says of itself now. Raises Refused where it has no such thing."""
    if place.what == "slot":
        if await journal.load(LEDGER, ledger_id(place)) is None:
            raise Refused("unknown-slot", "this clinic has no such hours", field="slot")
        return None
    card = await store.facility_card(database, place.facility)
    total = total_of(card, place.kind) if card else None
    if total is None:
        raise Refused("unknown-bed", "the facility has no beds of this kind", field="bed")
    return total


async def _reserve(journal: Journal, id: str, place: Place, total: int | None, cause: Cause) -> Reservation:
    """An attempt that was given back since, because nobody came for it in time, is followed by another."""
    where = ledger_id(place)
    for attempt in range(ATTEMPTS):
        step = cause.derive("reserve", where, attempt)
        outcome = await journal.append(
            LEDGER,
            where,
            lambda state, own=step.id: ledger.reserve(state, place, total, own, id, machine_now()),  # type: ignore[misc]
            step,
            SYSTEM,
        )
        if not outcome.repeated or await _still_open(journal, where, step.id):
            return Reservation(
                id=step.id, ledger=where, facility=place.facility, what=place.what, kind=place.kind, at=place.at
            )
    raise Refused("none-free", "none is free")


async def _still_open(journal: Journal, where: str, id: str) -> bool:
    state = await journal.read(LEDGER, where, SYSTEM)
    return any(each.id == id for each in state.open)


async def _none_free(database: Database, state: Referral, place: Place, where_else: WhereElse, clock: Clock) -> Refused:
    """The refusal, with where else there is one."""
    if place.what == "slot":
        free = await store.free_slots(database, place.facility, place.kind, clock.now(), ALTERNATIVES)
        others = [{"clinic": each.kind, "at": _text(each.at), "free": each.free} for each in free]
        return Refused("no-slot", "no place is left in these hours", more={"alternatives": others})
    found = await where_else(state.origin, Wanted(state.service, state.urgency, place.kind))
    alternatives = [
        {"facility": each.card.code, "hours": each.hours, "free": each.free_beds.get(place.kind, 0)}
        for each in found.ranked
        if each.free_beds is not None and each.card.code != place.facility
    ]
    return Refused("no-bed", f"no {place.kind} bed is free", more={"alternatives": alternatives[:ALTERNATIVES]})


def _text(at: dt.datetime | None) -> str | None:
    return at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z") if at else None


async def release(journal: Journal, given: Sequence[Reservation], cause: Cause) -> None:
    """Back to their ledgers, each once."""
    for each in given:
        await journal.append(
            LEDGER,
            each.ledger,
            lambda state, id=each.id: ledger.settle(state, (), (id,)),  # type: ignore[misc]
            cause.derive("release", each.id),
            SYSTEM,
        )


async def give_back(journal: Journal, clock: Clock, id: str, state: Referral) -> None:
    """What the referral does not keep any more; the ledgers first."""
    ids = tuple(each.id for each in state.releasing)
    cause = Cause(derive("give-back", id, *ids), "referral", clock.now())
    await release(journal, state.releasing, cause)
    await journal.append(
        REFERRAL,
        id,
        lambda current: (
            [ReservationsReleased(ids=ids, at=clock.now())]
            if current is not None and any(each.id in ids for each in current.releasing)
            else []
        ),
        cause,
        SYSTEM,
    )


async def attend(journal: Journal, clock: Clock, id: str, state: Ledger) -> None:
    """A timer's step: each reservation that was never confirmed is either held by its referral, or given up by it."""
    old = [each for each in ledger.unconfirmed(state) if each.asked_at + COME_BACK_AFTER <= machine_now()]
    held: list[str] = []
    gone: list[str] = []
    for each in old:
        (held if await _held(journal, clock, each) else gone).append(each.id)
    if not old:
        return
    cause = Cause(derive("confirm", id, *held, *gone), "referral", clock.now())
    await journal.append(LEDGER, id, lambda current: ledger.settle(current, held, gone), cause, SYSTEM)


async def _held(journal: Journal, clock: Clock, each: ledger.Open) -> bool:
    """Asked of the referral under its own version: one that says no will say no for good."""

    def decide_(state: Referral | None) -> list[ReservationGivenUp]:
        if state is None or _has(state, each.id) or each.id in state.given_up:
            return []
        return [ReservationGivenUp(id=each.id, at=clock.now())]

    cause = Cause(derive("give-up", each.id), "referral", clock.now())
    try:
        outcome = await journal.append(REFERRAL, each.referral, decide_, cause, SYSTEM)
    except NotFound:
        return False
    return _has(outcome.state, each.id)


def _has(state: Referral, id: str) -> bool:
    return any(each.id == id for each in (*state.reserved, *state.releasing))


async def set_slots(
    journal: Journal,
    clock: Clock,
    facility: str,
    clinic: str,
    at: dt.datetime,
    places: int,
    cause: Cause,
    access: Access,
) -> Outcome[Ledger]:
    """How many places a clinic has in the hours that begin at `at`. Raises Refused for fewer than are promised, and for
    hours that are over."""
    if clocks.is_over(at, clock.now()):
        raise Refused("in-the-past", "these hours are over", field="at")
    place = Place(facility, "slot", clinic, at)
    return await journal.append(
        LEDGER, ledger_id(place), lambda state: ledger.count(state, place, places), cause, access
    )
