"""Finds who a person at the door may already be, and puts two records of one person together, or apart again."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.common import background
from libs.common.access import SYSTEM, Access, Forbidden
from libs.common.cause import Cause, timer_cause
from libs.common.clock import machine_now
from libs.common.journal import ClaimTaken, Journal, NotFound, Outcome
from libs.common.logs import logger
from libs.common.mongo import Collection, Database, Document
from libs.common.one_person import lives_on
from libs.common.paging import page
from libs.common.refusal import Refused
from libs.contracts.event import Event
from services.registration.aggregates import IDENTITY, PATIENT
from services.registration.domain import identity
from services.registration.domain import patient as patients
from services.registration.domain.care import OpenedForCare
from services.registration.domain.matching.frequencies import Frequencies
from services.registration.domain.patient import Patient
from services.registration.domain.places import Places
from services.registration.domain.review import Candidate, RecordExplained, ReviewResolved
from services.registration.domain.who import KINDS, READ, Matcher, lookup_keys, to_person

log = logger("matching")

COUNTED = 20_000
"""Records from which name frequencies are counted: enough to know a common name from a rare one."""
COUNTED_AT_ONCE = 20
"""So few that no question waits a millisecond for the counting."""
COUNTED_AGAIN_SECONDS = 600.0
COUNTED_SOON_AGAIN_SECONDS = 60.0
"""While fewer than `COUNTED` are known: a new register grows many times over in an hour."""
MOST_COMPARED = 300
TRIES = 5
"""How often a record may be merged on while somebody looks for where it lives on."""

_SEEN = {"state.status": 1} | {f"state.card.{field}": 1 for field in READ}


@dataclass
class KnownPeople:
    """The people known, as the matcher asks for them."""

    people: Collection
    matcher: Matcher = field(default_factory=lambda: Matcher(Frequencies(own=1), 0))
    _count_at: float = float("-inf")
    _counting: asyncio.Task[None] | None = None

    async def candidates(
        self, id: str, card: dict[str, Any], *, unlike: bool = False, but: str = ""
    ) -> tuple[list[Candidate], bool]:
        """The likeliest first, and whether `but` itself was among those found."""
        self._count_again()
        person = to_person(id, card)
        found = await self.found(lookup_keys(person) if unlike else self.matcher.worth_asking(person))
        known = any(document["_id"] == but for document in found)
        others = [
            to_person(document["_id"], document["state"]["card"])
            for document in found
            if document["_id"] != but and document["state"]["status"] == "active"
        ]
        return self.matcher.candidates(person, others, unlike=unlike), known

    async def found(self, keys: Sequence[str]) -> list[Document]:
        """One indexed query for all keys, answered in one piece."""
        if not keys:
            return []
        found = self.people.find({"state.search.keys": {"$in": list(keys)}}, _SEEN)
        return await found.limit(MOST_COMPARED).batch_size(MOST_COMPARED).to_list(MOST_COMPARED)

    async def start(self) -> None:
        """Before the first question: who asks while nothing is counted is answered by the weights of rare names."""
        self._count_again()

    async def stop(self) -> None:
        await background.end(self._counting)

    def _count_again(self) -> None:
        counting = self._counting is not None and not self._counting.done()
        if not counting and asyncio.get_running_loop().time() >= self._count_at:
            self._counting = asyncio.create_task(self.count())

    async def count(self) -> None:
        """Counts name frequencies anew, in steps that let requests through."""
        began, frequencies, seen = asyncio.get_running_loop().time(), Frequencies(own=1), 0
        self._count_at = began + COUNTED_SOON_AGAIN_SECONDS
        try:
            total = await self.people.estimated_document_count()
            async for document in self.people.find({}, _SEEN).limit(COUNTED).batch_size(COUNTED_AT_ONCE):
                if document["state"]["status"] == "active":
                    frequencies.add(to_person(document["_id"], document["state"]["card"]), KINDS)
                seen += 1
                if seen % COUNTED_AT_ONCE == 0:
                    await asyncio.sleep(0.01)
        except Exception:
            log.warning("frequencies were not counted", exc_info=True)
            return
        self.matcher = Matcher(frequencies.settle(), total)
        if total >= COUNTED:
            self._count_at = began + COUNTED_AGAIN_SECONDS


# one record for one person


async def survivor(journal: Journal, id: str) -> str:
    """The record that this id stands for now: itself, or what it was merged into."""

    async def into(record: str) -> str | None:
        document = await journal.load(PATIENT, record)
        return document["state"]["card"].get("merged_into") if document else None

    return await lives_on(id, into)


async def merge(
    journal: Journal, places: Places, id: str, command: patients.Merge, cause: Cause, access: Access
) -> Outcome[Patient]:
    """`id` lives on in another; who merges knows both. Raises Refused naming `into`, NotFound and Forbidden."""
    document = await journal.load(PATIENT, id)
    if document is None:
        raise NotFound
    access.check(document["state"])
    part_of_it = Refused("same-record", "is part of this record", field="into")
    if any(entry["cause"] == cause.derive("ring").id for entry in document["journal"]):
        raise part_of_it
    if not any(entry["cause"] == cause.id for entry in document["journal"]):
        await mergeable(journal, id, command.into, "into", access)
        patients.decide(Patient.model_validate(document["state"]), command, places)
        await _changing(journal, id, cause)
    try:
        outcome = await journal.append(
            PATIENT, id, lambda state: patients.decide(state, command, places), cause, access
        )
    except ClaimTaken as taken:
        if taken.kind != "merge":
            raise
        raise part_of_it from None
    if await _in_a_ring(journal, id):
        await _undo(journal, places, id, command.into, cause.derive("ring"))
        await _changed(journal, id, cause.derive("identity"))
        raise part_of_it
    await _changed(journal, id, cause.derive("identity"))
    # Whoever knew the one knows the other from now on.
    for facility in outcome.state.facilities:
        await _known_at(journal, places, command.into, facility, cause.derive("seen-at", facility))
    return outcome


async def _in_a_ring(journal: Journal, id: str) -> bool:
    """Whether a record is part of itself: several were merged into one another at one instant, each seeing the next one
    by itself. Of them whoever wrote last sees it."""
    seen: set[str] = set()
    at = id
    while at not in seen:
        seen.add(at)
        document = await journal.load(PATIENT, at)
        into = document["state"]["card"].get("merged_into") if document else None
        if into is None:
            return False
        at = into
    return at == id


async def _undo(journal: Journal, places: Places, id: str, into: str, cause: Cause) -> None:
    parted = patients.Unmerge("merged into each other at one instant", "system")

    def decide(state: Patient | None) -> Sequence[Event]:
        still = state is not None and state.card.merged_into == into
        return patients.decide(state, parted, places) if still else []

    await journal.append(PATIENT, id, decide, cause, SYSTEM)


async def _known_at(journal: Journal, places: Places, id: str, facility: str, cause: Cause) -> None:
    """The record that this one lives on in is known there from now on; that may be merged on at this very moment."""
    for _ in range(TRIES):
        whole = await survivor(journal, id)
        with contextlib.suppress(Refused):
            await journal.append(
                PATIENT, whole, lambda state: patients.decide(state, patients.SeeAt(facility), places), cause, SYSTEM
            )
            return


async def mergeable(journal: Journal, id: str, into: str, field: str, access: Access = SYSTEM) -> None:
    """Raises Refused naming the field, and Forbidden where the caller's facility does not know the other record."""
    target = await journal.load(PATIENT, into)
    if target is None:
        raise Refused("unknown-patient", "there is no such patient", field=field)
    try:
        access.check(target["state"])
    except Forbidden:
        raise Forbidden(f"your facility must know the record of {field!r} too: open it there first") from None
    if await survivor(journal, into) == id:
        raise Refused("same-record", "is part of this record", field=field)
    if target["state"]["status"] != "active":
        raise Refused("not-active", f"that record is {target['state']['status']}", field=field)


async def unmerge(
    journal: Journal, places: Places, id: str, command: patients.Unmerge, cause: Cause, access: Access
) -> Outcome[Patient]:
    state = await journal.read(PATIENT, id, access)
    if state.status == "merged":
        await _changing(journal, id, cause)
    outcome = await journal.append(PATIENT, id, lambda state: patients.decide(state, command, places), cause, access)
    await _changed(journal, id, cause.derive("identity"))
    return outcome


async def _changing(journal: Journal, id: str, cause: Cause) -> None:
    now = machine_now()
    begun = cause.derive("identity-begun")
    await journal.append(IDENTITY, id, lambda state: identity.begin(id, now), begun, SYSTEM)


async def _changed(journal: Journal, id: str, cause: Cause) -> None:
    """Says which record this one is part of now, if that is not what was said before."""
    document = await journal.load(PATIENT, id)
    into = document["state"]["card"].get("merged_into") if document else None
    with contextlib.suppress(NotFound):
        await journal.append(IDENTITY, id, lambda state: identity.settle(state, into), cause, SYSTEM)


async def settle(journal: Journal, id: str, document: Document) -> None:
    """Timer of an identity: what a crash left unsaid."""
    state = identity.Identity.model_validate(document["state"])
    if state.settle_at is None:
        return
    cycle, now = int(state.settle_at.timestamp() * 1000), machine_now()
    await _changed(journal, id, timer_cause("settle", 1, cycle, aggregate=id, service="registration", now=now))


DECISIONS = (RecordExplained.TYPE, ReviewResolved.TYPE, OpenedForCare.TYPE)


async def decisions(journal: Journal, id: str, access: Access) -> list[dict[str, Any]]:
    """What people decided about a record, each with who and why, oldest first; what an erasure left of it.
    Raises NotFound and Forbidden."""
    await journal.read(PATIENT, id, access)
    return [
        {"decision": entry["type"], "at": entry["occurred_at"], **PATIENT.read(entry).model_dump(mode="json")}
        for entry in await journal.history(PATIENT, id)
        if entry["type"] in DECISIONS
    ]


async def reviews(
    database: Database, access: Access, status: str, limit: int, cursor: str | None
) -> tuple[list[Document], str | None]:
    wanted = access.filter() | {"state.review.status": status}
    return await page(database["patients"], wanted, sort="_id", limit=limit, cursor=cursor)


async def resolve(
    journal: Journal, places: Places, id: str, command: patients.Resolve, cause: Cause, access: Access
) -> Outcome[Patient]:
    """Decides a review; `same` merges the record at once into the candidate, or into what that one was merged into
    since, which a retry completes after a crash.

    The caller's facility must know the record; the candidate is one that the review names, so that nobody is led to a
    record of their own choosing. Raises Refused naming `candidate`, NotFound and Forbidden.
    """
    state = await journal.read(PATIENT, id, access)
    into = await survivor(journal, command.candidate) if command.decision == "same" and command.candidate else None
    if into and state.review and state.review.status == "open":
        patients.decide(state, command, places)
        await mergeable(journal, id, into, "candidate")
    outcome = await journal.append(PATIENT, id, lambda state: patients.decide(state, command, places), cause, access)
    if into:
        merging = patients.Merge(into, command.reason, command.by)
        await merge(journal, places, id, merging, cause.derive("merge"), SYSTEM)
        document = await journal.load(PATIENT, id)
        assert document is not None
        state = Patient.model_validate(document["state"])
        return dataclasses.replace(outcome, state=state)
    return outcome
