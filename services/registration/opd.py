"""The OPD's verbs: counters set up, opened and closed; numbers called and moved; a card read at the desk."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from libs.common.access import SYSTEM, Access
from libs.common.cause import Cause
from libs.common.journal import ClaimTaken, KeyReused, NotFound, Outcome
from libs.common.refusal import Refused
from libs.contracts.registration import TokenCalled
from services.registration import usecases
from services.registration.aggregates import OPD, PATIENT, QUEUE, VISIT
from services.registration.domain import opd as opds
from services.registration.domain import queue as queues
from services.registration.domain import visit as visits
from services.registration.domain.opd import Opd, PaperLanguage, opd_id
from services.registration.domain.patient import Details, Patient, new_card
from services.registration.domain.queue import TokenTaken, desk_day, queue_id
from services.registration.domain.visit import Visit
from services.registration.matching import survivor
from services.registration.usecases import House, own_facility

TRIES = 50
"""How often the next in line may be called by somebody else at this very moment."""

SAME_BORN_WITHIN = 2
"""Years by which a card and a record may differ and still be one person (ABDM's rule for returning patients)."""


async def _set_up(house: House, facility: str, command: opds.Command, cause: Cause, access: Access) -> Outcome[Opd]:
    return await house.journal.append(OPD, opd_id(facility), lambda state: opds.decide(state, command), cause, access)


async def set_up(
    house: House, token_minutes: int | None, languages: tuple[PaperLanguage, ...], cause: Cause, access: Access
) -> Outcome[Opd]:
    facility = own_facility(access)
    return await _set_up(house, facility, opds.SetUpOpd(facility, token_minutes, languages), cause, access)


async def set_up_counter(
    house: House, counter: str, label: str, token_minutes: int | None, cause: Cause, access: Access
) -> Outcome[Opd]:
    facility = own_facility(access)
    card = await house.opds.facility(facility)
    hip_id = str(card.get("hip_id") or "") if card else ""
    command = opds.SetUpCounter(facility, counter, label, token_minutes, hip_id)
    return await _set_up(house, facility, command, cause, access)


async def open_counter(house: House, facility: str, counter: str, cause: Cause, access: Access) -> Outcome[Opd]:
    return await _set_up(house, facility, opds.OpenCounter(counter), cause, access)


async def close_counter(house: House, facility: str, counter: str, cause: Cause, access: Access) -> Outcome[Opd]:
    """Who waits there is not sent away: they are called or transferred."""
    return await _set_up(house, facility, opds.CloseCounter(counter), cause, access)


async def call_next(house: House, facility: str, counter: str, cause: Cause, access: Access) -> Outcome[Visit]:
    """Calls who is next at this counter today: urgent first, then by number. Each is called once, whoever asks at once.

    Raises Refused where nobody waits.
    """
    if called := await house.opds.visit_moved_by(cause.id):
        return await _moved(house, called, visits.Call(cause.occurred_at), cause, access)
    for _ in range(TRIES):
        line = await house.opds.waiting(facility, counter, desk_day(cause.occurred_at))
        if not line:
            break
        try:
            return await _moved(house, line[0]["id"], visits.Call(cause.occurred_at), cause, access)
        except Refused:
            continue
        except KeyReused:
            # The same request called somebody a moment ago, through another replica.
            if (called := await house.opds.visit_moved_by(cause.id)) is None:
                raise
            return await _moved(house, called, visits.Call(cause.occurred_at), cause, access)
    raise Refused("nobody-waits", "nobody waits at this counter")


async def _moved(house: House, id: str, move: visits.Move, cause: Cause, access: Access) -> Outcome[Visit]:
    return await house.journal.append(VISIT, id, lambda state: visits.decide(state, move), cause, access)


async def move(house: House, id: str, move: visits.Move, cause: Cause, access: Access) -> Outcome[Visit]:
    """Recall, serve, skip, no-show, put first. Raises Refused with the moves that are left, and NotFound."""
    return await _moved(house, id, move, cause, access)


async def void(house: House, id: str, reason: visits.TokenVoidReason, cause: Cause, access: Access) -> Outcome[Visit]:
    """The number is never given again, and the person may get another at once. Raises Refused and NotFound."""
    outcome = await _moved(house, id, visits.Void(reason), cause, access)
    state = outcome.state
    end = queues.EndHold(state.patient, id)
    queue = queue_id(state.facility, state.counter, state.date)
    await house.journal.append(
        QUEUE, queue, lambda state: queues.decide(state, end), cause.derive("hold-ended"), SYSTEM
    )
    return outcome


async def transfer(house: House, id: str, counter: str, cause: Cause, access: Access) -> Outcome[Visit]:
    """A number at another counter of the same facility, in its own order there; urgency goes along.

    First the number there, then this one is closed: a retry completes what a crash cut in half.
    """
    document = await house.journal.load(VISIT, id)
    if document is None:
        raise NotFound
    access.check(document["state"])
    state = Visit.model_validate(document["state"])
    there = cause.derive("transfer")
    to = visits.Transfer(counter, there.new_id("visit"))
    if state.to_visit != to.to_visit:
        visits.decide(state, to)
        date = desk_day(cause.occurred_at)
        if state.date != date:
            raise Refused("another-day", "only a token of today can be transferred", allowed=("void",))
        taken = await usecases.take(house, state.patient, state.facility, counter, "walk-in", there, access)
        assert isinstance(taken, TokenTaken)
        await usecases.open_visit(house, taken, there, access)
        if state.urgent:
            await _moved(house, taken.visit, visits.PutFirst(True), there.derive("urgent"), SYSTEM)
    return await _moved(house, id, to, cause, access)


# Scan and Pull


@dataclass(frozen=True)
class Pulled:
    """Whom a card was read as: a record that was there (`known`), or one made from the card."""

    patient: str
    known: bool
    visit: Outcome[Visit] | None


async def holder_of(house: House, details: Details) -> str | None:
    """Whose record has the number or the address that the card says."""
    holder = None
    if details.abha_number:
        holder = await house.store.holder("abha-number", details.abha_number)
    if holder is None and details.abha_address:
        holder = await house.store.holder("abha-address", details.abha_address)
    return holder


async def pull(house: House, details: Details, counter: str | None, cause: Cause, access: Access) -> Pulled:
    """Finds the card's holder or registers them, and gives a token where a counter is named.

    The card is only a claim: where it and the record disagree on sex or birth, nothing is done. Raises Refused.
    """
    holder = await holder_of(house, details)
    known = holder is not None and holder != cause.new_id("patient")
    day = desk_day(cause.occurred_at)
    if holder is not None and known:
        holder = await survivor(house.journal, holder)
        document = await house.journal.load(PATIENT, holder)
        if document is None or not agrees(Patient.model_validate(document["state"]), details, day):
            raise Refused(
                "card-disagrees", "the record with this number says another sex or birth: look at both", field="qr"
            )
    else:
        card = new_card(cause.new_id("patient"), details, own_facility(access), day, house.places, ageless=True)
        try:
            outcome = await usecases.enter(house, card, cause, access)
        except ClaimTaken as taken:
            raise Refused("card-just-taken", "somebody registers this card at this moment: read it again") from taken
        holder = outcome.id
    visit = None
    if counter is not None:
        visit = await usecases.take_token(house, holder, counter, cause.derive("token"), access)
    return Pulled(holder, known, visit)


def agrees(record: Patient, card: Details, on: dt.date) -> bool:
    """Whether the record may be the card's holder: what one of them does not say is no contradiction. A card that tells
    only a year is read as an age of the day."""
    if record.status != "active":
        return False
    if "unknown" not in (record.card.sex, card.sex) and record.card.sex != card.sex:
        return False
    said = card.birth_date.year if card.birth_date else None
    if card.age_years is not None:
        said = on.year - card.age_years
    if said is None or record.card.birth_year is None:
        return True
    return abs(record.card.birth_year - said) <= SAME_BORN_WITHIN


def waited(outcome: Outcome[Visit]) -> int | None:
    """Seconds from token to this first call; None where this was something else, or a repeat."""
    found = [event.waited_seconds for event in outcome.events if isinstance(event, TokenCalled)]
    return found[0] if found and not outcome.repeated else None
