"""One verb, one function: load, decide, append."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from libs.common.access import SYSTEM, Access, Forbidden
from libs.common.cause import Cause, timer_cause
from libs.common.clock import machine_now
from libs.common.journal import ClaimTaken, Journal, Outcome
from libs.common.mongo import Document
from libs.common.refusal import Refused
from libs.contracts.event import Event
from libs.contracts.registration import PatientCard, PatientErased
from services.registration.aggregates import HOME_CARD, PATIENT, QUEUE, SHARE, VISIT
from services.registration.domain import patient as patients
from services.registration.domain import queue as queues
from services.registration.domain import share as shares
from services.registration.domain import visit as visits
from services.registration.domain.care import given
from services.registration.domain.home_card import CardErased
from services.registration.domain.patient import Changes, Details, Patient, VoidReason
from services.registration.domain.places import Places
from services.registration.domain.queue import Door, Queue, TokenRepeated, TokenTaken, desk_day, queue_id
from services.registration.domain.review import Candidate, MatchesNoted
from services.registration.domain.share import Shape, Share
from services.registration.domain.visit import Visit
from services.registration.matching import KnownPeople, survivor
from services.registration.opd_store import OpdStore
from services.registration.store import Store

_FACILITY = re.compile(r"^[A-Z0-9][A-Z0-9-]{1,39}$")


@dataclass(frozen=True)
class House:
    """What the verbs work with. `token_validity` is how long an OPD token is valid."""

    journal: Journal
    store: Store
    places: Places
    token_validity: dt.timedelta
    opds: OpdStore
    known: KnownPeople
    forgetting: list[Callable[[str, Cause], Awaitable[None]]] = field(default_factory=list)
    """What else is to be forgotten of an erased patient."""


def _only_if_it_was_before(state: object) -> Sequence[Event]:
    """Decides nothing: the journal answers from what this cause did, or refuses another body under its key."""
    return []


def own_facility(access: Access) -> str:
    """The facility the caller speaks for. Raises Forbidden where the token names none."""
    if not _FACILITY.fullmatch(access.caller.facility):
        raise Forbidden("your token names no facility")
    return access.caller.facility


# patients


class AlreadyKnown(Exception):
    """Somebody alike is registered, and the caller asked to be stopped then."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        super().__init__("already known")
        self.candidates = candidates


async def register(
    house: House, details: Details, cause: Cause, access: Access, *, stop: bool = False
) -> Outcome[Patient]:
    """Raises as `enter` does, and Forbidden."""
    day = desk_day(cause.occurred_at)
    card = patients.new_card(cause.new_id("patient"), details, own_facility(access), day, house.places)
    return await enter(house, card, cause, access, stop=stop)


async def enter(
    house: House, card: PatientCard, cause: Cause, access: Access, *, stop: bool = False
) -> Outcome[Patient]:
    """A new record, from whichever door. Who may be the same is noted on it, for a person to decide.

    Raises ClaimTaken naming the holder of an identifier, Refused naming the field, and AlreadyKnown where `stop` asks
    for it and this card was not entered before.
    """
    candidates, repeated = await house.known.candidates(card.id, card.model_dump(mode="json"), but=card.id)
    if stop and candidates and not repeated:
        raise AlreadyKnown(candidates)
    command = patients.Register(card, MatchesNoted(candidates=tuple(candidates)) if candidates else None)
    return await house.journal.create(
        PATIENT, card.id, lambda state: patients.decide(state, command, house.places), cause, access
    )


def judge(house: House, details: Details, on: dt.date) -> None:
    """Whether a desk would take this on that day, with nothing written. Raises Refused naming the field."""
    patients.new_card("judged", details, "XX", on, house.places)


async def correct(house: House, id: str, changes: Changes, cause: Cause, access: Access) -> Outcome[Patient]:
    command = patients.Correct(changes, desk_day(cause.occurred_at))
    return await house.journal.append(
        PATIENT, id, lambda state: patients.decide(state, command, house.places), cause, access
    )


async def void(house: House, id: str, reason: VoidReason, cause: Cause, access: Access) -> Outcome[Patient]:
    """The record was entered in error: its identifiers are free again."""
    command = patients.Void(reason, access.caller.actor)
    return await house.journal.append(
        PATIENT, id, lambda state: patients.decide(state, command, house.places), cause, access
    )


async def erase(house: House, id: str, cause: Cause, access: Access) -> Outcome[Patient]:
    """Forgets who this is, here and, by a tombstone, everywhere; with the records that are part of this one, which are
    the same person. Raises NotFound."""
    outcome = await house.journal.erase(PATIENT, id, PatientErased(), cause, access)
    await _forget_traces(house, id, cause)
    left = await house.store.merged_into(id)
    while left:
        part = left.pop()
        left += await house.store.merged_into(part)
        own = cause.derive("part", part)
        # Its record last: until then a retry finds it again.
        await _forget_traces(house, part, own)
        await house.journal.erase(PATIENT, part, PatientErased(), own, SYSTEM)
    return outcome


async def _forget_traces(house: House, id: str, cause: Cause) -> None:
    for share in await house.store.shares_of(id):
        await house.journal.erase(SHARE, share, shares.ShareErased(), cause.derive("share", share), SYSTEM)
    for card in await house.opds.home_cards_of(id):
        await house.journal.erase(HOME_CARD, card, CardErased(), cause.derive("home-card", card), SYSTEM)
    for forget in house.forgetting:
        await forget(id, cause)


# tokens


async def take_token(house: House, patient: str, counter: str, cause: Cause, access: Access) -> Outcome[Visit]:
    """The next number at a counter of the caller's facility.

    The number is taken, then the visit is written; a crash between the two is completed by a retry of the request, or
    by the queue's timer. Raises Refused for a patient who is not there or not active.
    """
    visit = cause.new_id("visit")
    if await house.store.exists(VISIT.collection, visit):
        return await house.journal.append(VISIT, visit, _only_if_it_was_before, cause, access)
    facility = own_facility(access)
    patient = await seen_at(house, patient, facility, cause)
    taken = await take(house, patient, facility, counter, "walk-in", cause, access)
    assert isinstance(taken, TokenTaken)
    return await open_visit(house, taken, cause, access)


async def seen_at(house: House, id: str, facility: str, cause: Cause) -> str:
    """The person is active, and known at this facility from now on, unless they withdrew the consent to that: then it
    takes breaking the glass. A merged id stands for where it lives on, which is given back. Raises Refused naming
    `patient`."""
    document = await house.journal.load(PATIENT, id)
    if document is not None and document["state"]["card"].get("merged_into"):
        id = await survivor(house.journal, id)
        document = await house.journal.load(PATIENT, id)
    if document is None:
        raise Refused("unknown-patient", "there is no such patient", field="patient")
    if document["state"]["status"] != "active":
        raise Refused("not-active", f"this record is {document['state']['status']}", field="patient")
    state = Patient.model_validate(document["state"])
    if facility not in state.facilities and given(state.consents, "CAREMGT") is not False:
        await house.journal.append(
            PATIENT,
            id,
            lambda state: patients.decide(state, patients.SeeAt(facility), house.places),
            cause.derive("seen-at"),
            SYSTEM,
        )
    return id


async def take(
    house: House, patient: str, facility: str, counter: str, door: Door, cause: Cause, access: Access
) -> TokenTaken | TokenRepeated:
    date = desk_day(cause.occurred_at)
    opd = await house.opds.opd(facility)
    command = queues.TakeToken(
        facility=facility,
        counter=counter,
        date=date,
        visit=cause.new_id("visit"),
        patient=patient,
        at=cause.occurred_at,
        validity=(opd.validity(counter) if opd else None) or house.token_validity,
        noted_at=machine_now(),
        door=door,
        again=door == "scan-and-share",
        closed=opd is not None and opd.closed(counter),
    )
    outcome = await house.journal.append(
        QUEUE, queue_id(facility, counter, date), lambda state: queues.decide(state, command), cause, access
    )
    [event] = outcome.events
    assert isinstance(event, (TokenTaken, TokenRepeated))
    return event


async def open_visit(house: House, taken: TokenTaken, cause: Cause, access: Access) -> Outcome[Visit]:
    return await house.journal.create(
        VISIT, taken.visit, lambda state: visits.decide(state, visits.Open(taken)), cause, access
    )


# Scan & Share


@dataclass(frozen=True)
class Profile:
    """What a citizen shared by phone: who, and at which counter of which facility."""

    details: Details
    facility: str
    counter: str
    shape: Shape = "v3"

    @property
    def abha_address(self) -> str:
        assert self.details.abha_address is not None
        return self.details.abha_address


async def share(house: House, request_id: str, profile: Profile, cause: Cause, access: Access) -> Outcome[Share]:
    """Finds or registers the person, gives the token, and owes the gateway an acknowledgement, in this order: what a
    crash leaves open is completed by the gateway's retry or by the queue's timer."""
    id = cause.new_id("share")
    if await house.store.exists(SHARE.collection, id):
        return await house.journal.append(SHARE, id, _only_if_it_was_before, cause, access)
    patient = await _person(house, profile, cause, access)
    token = await take(house, patient, profile.facility, profile.counter, "scan-and-share", cause, access)
    if isinstance(token, TokenTaken):
        await open_visit(house, token, cause, access)
    owed = shares.Receive(
        request_id,
        patient,
        token.visit,
        token.number,
        profile.facility,
        profile.counter,
        profile.abha_address,
        await _valid_seconds(house, profile.facility, profile.counter, token),
        profile.shape,
    )
    return await _owe(house, owed, cause, access)


async def _valid_seconds(house: House, facility: str, counter: str, token: TokenTaken | TokenRepeated) -> int:
    if isinstance(token, TokenTaken):
        return int((token.expires_at - token.taken_at).total_seconds())
    opd = await house.opds.opd(facility)
    return int(((opd.validity(counter) if opd else None) or house.token_validity).total_seconds())


async def _owe(house: House, command: shares.Receive, cause: Cause, access: Access) -> Outcome[Share]:
    now = machine_now()
    return await house.journal.create(
        SHARE, cause.new_id("share"), lambda state: shares.decide(state, command, now), cause, access
    )


async def _person(house: House, profile: Profile, cause: Cause, access: Access) -> str:
    """By ABHA address at any counter, else by ABHA number; else somebody new. Raises Refused."""
    said = profile.details
    holder = await house.store.holder("abha-address", profile.abha_address)
    if holder is None and said.abha_number:
        holder = await house.store.holder("abha-number", said.abha_number)
    if holder is None:
        day = desk_day(cause.occurred_at)
        card = patients.new_card(cause.new_id("patient"), said, profile.facility, day, house.places, ageless=True)
        try:
            outcome = await enter(house, card, cause, access)
            if not outcome.repeated:
                return card.id
            holder = card.id
        except ClaimTaken as taken:
            # Somebody registered the same person at this very moment.
            holder = taken.holder
    holder = await survivor(house.journal, holder)
    await _prove(house, holder, profile, cause)
    await seen_at(house, holder, profile.facility, cause)
    return holder


async def _prove(house: House, holder: str, profile: Profile, cause: Cause) -> None:
    """The person's record learns the identifiers that the gateway vouches for and nobody else holds."""
    proven = patients.Prove(profile.abha_address, profile.details.abha_number)
    document = await house.journal.load(PATIENT, holder)
    if document is None or document["state"]["status"] != "active":
        return
    if not patients.decide(Patient.model_validate(document["state"]), proven, house.places):
        return
    try:
        await house.journal.append(
            PATIENT, holder, lambda state: patients.decide(state, proven, house.places), cause.derive("proven"), SYSTEM
        )
    except ClaimTaken:
        # The number is another record's: two records of one person, for a clerk to merge.
        return


# what a crash cut in half


async def keep_promises(house: House, id: str, document: Document) -> None:
    """Timer of a queue: every number given has its visit, and every scan its answer to come; one write per burst."""
    state = Queue.model_validate(document["state"])
    open_promises = state.promises - state.checked
    given = _promises(document["journal"])
    if len(given) < open_promises:
        given = _promises(await house.journal.history(QUEUE, id))
    for entry in given[-open_promises:] if open_promises else []:
        await _keep(house, state, entry)
    confirm = queues.ConfirmKept(kept=state.promises, noted_at=machine_now())
    await house.journal.append(
        QUEUE,
        id,
        lambda now: queues.decide(now, confirm),
        timer_cause("promises", state.promises, 0, aggregate=id, service="registration", now=machine_now()),
        SYSTEM,
    )


def _promises(journal: Sequence[Document]) -> list[Document]:
    return [entry for entry in journal if entry["type"] in (TokenTaken.TYPE, TokenRepeated.TYPE)]


async def _keep(house: House, queue: Queue, entry: Document) -> None:
    """Under the request's own cause, so that its retry finds its first answer."""
    cause = Cause(
        entry["cause"],
        entry["actor"],
        entry["occurred_at"],
        entry.get("fingerprint"),
        entry.get("key"),
        entry.get("traceparent"),
    )
    token = QUEUE.read(entry)
    assert isinstance(token, (TokenTaken, TokenRepeated))
    if isinstance(token, TokenTaken):
        if not await house.store.exists(VISIT.collection, token.visit):
            await open_visit(house, token, cause, SYSTEM)
        if token.door == "walk-in":
            return
    if await house.store.exists(SHARE.collection, cause.new_id("share")):
        return
    person = await house.journal.load(PATIENT, token.patient)
    address = person["state"]["card"]["abha_address"] if person else None
    if address:
        valid = await _valid_seconds(house, queue.facility, queue.counter, token)
        owed = shares.Receive(
            cause.key or "", token.patient, token.visit, token.number, queue.facility, queue.counter, address, valid
        )
        await _owe(house, owed, cause, SYSTEM)
