"""The only writer of aggregates: a fact is written with the state it describes, and a cause acts once.

One aggregate is one document:

    _id            the aggregate's id, and the key of its records on Kafka
    version        counts writes; every write is guarded by it
    state          what the domain folds its events into, without its own nulls
    journal        entries {id, type, data, sequence?, occurred_at, recorded_at, cause, actor,
                   fingerprint?, key?, traceparent?, write?}
    sequence       of the newest public entry, gapless from 1; private entries have none
    published      how far the journal has reached Kafka
    pending_since  there is something to publish (absent otherwise; a sparse index finds it)
    rewound        a relay that lost its lease wants what follows `published` sent once more (absent otherwise)
    due, retry_at  when a timer is to look at it, by the domain's clock and by the machine's (absent otherwise)
    claims         identifiers unique over the collection (absent when empty)
    archived       how many of its oldest entries stand in `<collection>_archive`
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

from libs.common import archive
from libs.common.access import Access
from libs.common.aggregate import AggregateType
from libs.common.cause import Cause
from libs.common.clock import Clock, machine_now
from libs.common.handover import Appended, Nowhere, Outlet
from libs.common.holders import Holders
from libs.common.ids import derive
from libs.common.metrics import Metrics
from libs.common.mongo import STORE_AWAY, Database, Document, DuplicateKey
from libs.common.redaction import redact
from libs.common.writes import Guarded, Writes
from libs.contracts.event import Event

S = TypeVar("S", bound=BaseModel)

CONFLICTS_BEFORE_GIVING_UP = 50


class NotFound(Exception):
    """There is no such aggregate."""


class KeyReused(Exception):
    """The same idempotency key came with another target or body (IETF draft httpapi-idempotency-key-header: 422)."""


class ClaimTaken(Exception):
    """An identifier that must be unique belongs to another aggregate: `holder` is its id."""

    def __init__(self, claim: str, holder: str) -> None:
        super().__init__(claim.split(":", 1)[0])
        self.claim = claim
        self.holder = holder

    @property
    def kind(self) -> str:
        return self.claim.split(":", 1)[0]


class Contended(Exception):
    """The guarded write lost to others too often; try again later."""


@dataclass(frozen=True)
class Outcome(Generic[S]):
    """What a cause did: `events` are its own, `state` is as it stood right after them, also when `repeated`."""

    id: str
    state: S
    events: tuple[Event, ...]
    version: int
    repeated: bool


Decide = Callable[[Any], Sequence[Event]]


@dataclass
class _Command:
    decide: Decide
    cause: Cause
    access: Access
    create: bool
    done: asyncio.Future[Outcome[Any]]

    def settle(self, answer: Outcome[Any] | Exception) -> None:
        if self.done.done():
            return
        if isinstance(answer, Exception):
            self.done.set_exception(answer)
        else:
            self.done.set_result(answer)


class _Found(NamedTuple):
    """`holders`: in whose journal each key that the turn asks about stands already."""

    document: Document | None
    holders: Mapping[str, str | None]


@dataclass
class _Draft:
    """What one turn is about to write."""

    state: Any
    version: int
    sequence: int
    entries: list[Document] = field(default_factory=list)
    decided: list[tuple[_Command, Outcome[Any] | Exception]] = field(default_factory=list)
    _stored: tuple[Any, Document] | None = None

    def stored(self, kind: AggregateType[Any], state: Any) -> Document:
        """The state as it is to stand in its document, worked out once for whoever asks of the same one."""
        if self._stored is None or self._stored[0] is not state:
            self._stored = (state, kind.stored(state))
        return self._stored[1]

    def settle(self, command: _Command, answer: Outcome[Any] | Exception) -> None:
        """What was decided on a state that is not written yet is only said once it is."""
        if self.entries:
            self.decided.append((command, answer))
        else:
            command.settle(answer)


class Journal:
    """Loads, lets the domain decide, and writes.

    Commands that wait for the same aggregate in this process are decided in turn and written together. What waits at
    the same time for different ones is written in one bulk write.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        outlet: Outlet = Nowhere(),
        wake_timers: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._outlet = outlet
        self._wake_timers = wake_timers
        self._waiting: dict[tuple[str, str], list[_Command]] = {}
        self._turns: set[asyncio.Task[None]] = set()
        self._writes = Writes(database)
        self._holders = Holders(database)
        self._archive = archive.Archive(database)

    async def append(
        self,
        kind: AggregateType[S],
        id: str,
        decide: Callable[[S | None], Sequence[Event]],
        cause: Cause,
        access: Access,
    ) -> Outcome[S]:
        """Lets `decide(state)` act once for `cause` on this aggregate (state None: it does not exist yet).

        `decide` may run several times and must be pure; what it raises is raised here, and nothing is written.
        No events, no write. Raises KeyReused, ClaimTaken, Forbidden, Contended, and NotFound if nothing was decided
        on an aggregate that does not exist.
        """
        return await self._submit(kind, id, decide, cause, access, create=False)

    async def create(
        self,
        kind: AggregateType[S],
        id: str,
        decide: Callable[[S | None], Sequence[Event]],
        cause: Cause,
        access: Access,
    ) -> Outcome[S]:
        """The same where it most likely does not exist yet: written without a look first, which saves a round trip."""
        return await self._submit(kind, id, decide, cause, access, create=True)

    async def _submit(
        self, kind: AggregateType[S], id: str, decide: Decide, cause: Cause, access: Access, create: bool
    ) -> Outcome[S]:
        done: asyncio.Future[Outcome[S]] = asyncio.get_running_loop().create_future()
        slot = (kind.collection, id)
        waiting = self._waiting.get(slot)
        if waiting is None:
            waiting = self._waiting[slot] = []
            # A task of its own: a caller who goes away must not take the others' turn with it.
            turns = asyncio.create_task(self._take_turns(kind, id, slot))
            self._turns.add(turns)
            turns.add_done_callback(self._turns.discard)
        waiting.append(_Command(decide, cause, access, create, done))
        return await done

    async def _take_turns(self, kind: AggregateType[Any], id: str, slot: tuple[str, str]) -> None:
        try:
            while turn := self._waiting[slot]:
                self._waiting[slot] = []
                await self._take_turn(kind, id, turn)
        finally:
            for command in self._waiting.pop(slot):
                command.done.cancel()

    async def _take_turn(self, kind: AggregateType[Any], id: str, turn: list[_Command]) -> None:
        try:
            await self._write_turn(kind, id, turn)
        except Exception as error:
            left = [command for command in turn if not command.done.done()]
            if len(left) > 1 and not isinstance(error, STORE_AWAY):
                # One command's claim, say, is no reason to refuse those that were written with it.
                for command in left:
                    await self._take_turn(kind, id, [command])
            else:
                for command in left:
                    command.settle(error)

    async def _write_turn(self, kind: AggregateType[Any], id: str, turn: list[_Command]) -> None:
        look_first = not all(command.create for command in turn)
        for _ in range(CONFLICTS_BEFORE_GIVING_UP):
            left = [command for command in turn if not command.done.done()]
            generation = self._outlet.generation
            found = await self._look(kind, id, left) if look_first else _Found(None, {})
            document, look_first = found.document, True
            draft = await self._decide(kind, id, found, left)
            if not draft.entries:
                return
            if await self._write(kind, id, document, draft):
                for command, answer in draft.decided:
                    command.settle(answer)
                self._metrics.appends.labels(kind.name).inc(len(draft.entries))
                if any("sequence" in entry for entry in draft.entries):
                    published = document["published"] if document else 0
                    # What another relay wants sent once more is not in what was appended now.
                    rewound = document is not None and "rewound" in document
                    appended = None if rewound else Appended(generation, published, draft.entries)
                    self._outlet.tell(kind.collection, id, appended)
                if self._asks_for_a_timer_now(kind, draft.state):
                    self._wake_timers()
                return
            self._metrics.conflicts.labels(kind.name).inc()
        raise Contended(f"{kind.name} is written by too many at once")

    def _asks_for_a_timer_now(self, kind: AggregateType[Any], state: Any) -> bool:
        """What is due later is found by the sweep of that moment."""
        retry_at, due = kind.retry_at(state), kind.due(state)
        return (retry_at is not None and retry_at <= machine_now()) or (
            due is not None and due <= self._clock.due_before()
        )

    async def _look(self, kind: AggregateType[Any], id: str, turn: list[_Command]) -> _Found:
        """The document, and where else a request's key was used: what is created is told by its own id."""
        keys = [each.cause.id for each in turn if each.cause.fingerprint and not each.create]
        document, holders = await asyncio.gather(
            self.load(kind, id), asyncio.gather(*(self._holders.of(kind.collection, key) for key in keys))
        )
        return _Found(document, dict(zip(keys, holders, strict=True)))

    async def _decide(self, kind: AggregateType[Any], id: str, found: _Found, turn: list[_Command]) -> _Draft:
        """Answers at once what needs no write; the rest becomes a draft."""
        document = found.document
        draft = _Draft(
            state=kind.state.model_validate(document["state"]) if document else None,
            version=document["version"] + 1 if document else 1,
            sequence=document["sequence"] if document else 0,
        )
        for command in turn:
            try:
                await self._decide_one(kind, id, found, command, draft)
            except Exception as error:
                draft.settle(command, error)
        return draft

    async def _decide_one(
        self, kind: AggregateType[Any], id: str, found: _Found, command: _Command, draft: _Draft
    ) -> None:
        cause, document = command.cause, found.document
        if draft.entries:
            command.access.check(draft.stored(kind, draft.state))
        elif document:
            command.access.check(document["state"])
        if document and (repeated := await self._answered_before(kind, document, cause)):
            if cause.fingerprint is None:
                self._metrics.duplicates.labels(kind.name).inc()
            command.settle(repeated)
            return
        if any(cause.id == entry["cause"] for entry in draft.entries):
            # The same request twice at one instant: it finds itself in the journal at the next turn.
            self._waiting[(kind.collection, id)].append(command)
            return
        if cause.fingerprint and not command.create and found.holders.get(cause.id) not in (None, id):
            raise KeyReused
        events = tuple(command.decide(draft.state))
        if not events:
            if draft.state is None:
                raise NotFound
            version = draft.version if draft.entries else draft.version - 1
            draft.settle(command, Outcome(id, draft.state, (), version, False))
            return
        after = draft.state
        for event in events:
            after = kind.evolve(after, event)
        if draft.state is None:
            command.access.check(draft.stored(kind, after))
        now = self._clock.now()
        for index, event in enumerate(events):
            entry = _entry(id, cause, event, index, now)
            if event.TOPIC is not None:
                draft.sequence += 1
                entry["sequence"] = draft.sequence
            draft.entries.append(entry)
        draft.state = after
        draft.decided.append((command, Outcome(id, after, events, draft.version, False)))

    async def _write(self, kind: AggregateType[Any], id: str, document: Document | None, draft: _Draft) -> bool:
        """True if written, False if somebody else wrote first. Raises ClaimTaken."""
        publishes = any("sequence" in entry for entry in draft.entries)
        fields, absent = kind.operational(draft.state)
        fields |= {
            "version": draft.version,
            "state": draft.stored(kind, draft.state),
            "sequence": draft.sequence,
        }
        try:
            if document is None:
                fields |= {"_id": id, "journal": draft.entries, "published": 0}
                if publishes:
                    fields["pending_since"] = machine_now()
                await self._writes.insert(kind.collection, fields)
                return True
            update: Document = {"$set": fields, "$push": {"journal": {"$each": draft.entries}}}
            if absent:
                update["$unset"] = dict.fromkeys(absent, "")
            if publishes:
                update["$min"] = {"pending_since": machine_now()}
            write = draft.entries[0]["write"] = secrets.token_hex(8)
            written = await self._writes.update(kind.collection, Guarded(id, document["version"], update, write))
        except DuplicateKey:
            if document is None and await self.load(kind, id) is not None:
                return False
            raise await self._claim_taken(kind, id, fields.get("claims", ())) from None
        if written and len(document["journal"]) + len(draft.entries) > archive.ABOVE:
            await self._shorten(kind, id)
        return written

    async def _claim_taken(self, kind: AggregateType[Any], id: str, claims: Sequence[str]) -> Exception:
        for claim in claims:
            holder = await self._database[kind.collection].find_one({"claims": claim}, {"_id": 1})
            if holder and holder["_id"] != id:
                return ClaimTaken(claim, holder["_id"])
        return Contended("a claim was released while it was asked for")

    async def _answered_before(self, kind: AggregateType[S], document: Document, cause: Cause) -> Outcome[S] | None:
        """The cause is looked for in the document first, then in the archive."""
        entries: list[Document] = document["journal"]
        own = [entry for entry in entries if entry["cause"] == cause.id]
        archived = bool(document.get("archived"))
        if not own and archived and await self._archive.holds(kind.collection, document["_id"], cause.id):
            entries = await self._archive.entries(kind.collection, document) + entries
            own = [entry for entry in entries if entry["cause"] == cause.id]
        if not own:
            return None
        if cause.fingerprint is not None and own[0].get("fingerprint") != cause.fingerprint:
            raise KeyReused
        last = next(i for i in range(len(entries) - 1, -1, -1) if entries[i]["cause"] == cause.id)
        if last == len(entries) - 1:
            state = kind.state.model_validate(document["state"])
        else:
            if archived and entries is document["journal"]:
                past = await self._archive.entries(kind.collection, document)
                entries, last = past + entries, last + len(past)
            folded = kind.fold(entries[: last + 1])
            assert folded is not None
            state = folded
        return Outcome(document["_id"], state, tuple(kind.read(entry) for entry in own), document["version"], True)

    async def _shorten(self, kind: AggregateType[Any], id: str) -> None:
        """Tried again after a conflict, so that no copy stays that an erasure in between did not see."""
        for _ in range(CONFLICTS_BEFORE_GIVING_UP):
            document = await self.load(kind, id)
            if document is None or await self._archive.move(kind.collection, document):
                return

    async def load(self, kind: AggregateType[Any], id: str) -> Document | None:
        """The document as it stands; for reading only."""
        return await self._database[kind.collection].find_one({"_id": id})

    async def read(self, kind: AggregateType[S], id: str, access: Access) -> S:
        """The state as it stands. Raises NotFound and Forbidden."""
        document = await self.load(kind, id)
        if document is None:
            raise NotFound
        access.check(document["state"])
        return kind.state.model_validate(document["state"])

    async def history(self, kind: AggregateType[Any], id: str) -> list[Document]:
        """Every entry, archived ones first, oldest first."""
        document = await self.load(kind, id)
        if document is None:
            raise NotFound
        past = await self._archive.entries(kind.collection, document) if document.get("archived") else []
        return past + list(document["journal"])

    async def erase(self, kind: AggregateType[S], id: str, event: Event, cause: Cause, access: Access) -> Outcome[S]:
        """The erasing form of append: redacts personal fields in state, journal and archive, keeps ids, sequences and
        causes, and journals `event` (a tombstone for a compacted topic). Claims are given up."""
        for _ in range(CONFLICTS_BEFORE_GIVING_UP):
            document = await self.load(kind, id)
            if document is None:
                raise NotFound
            access.check(document["state"])
            if repeated := await self._answered_before(kind, document, cause):
                self._outlet.tell(kind.collection, id, None)
                return repeated
            past = [redact(kind, entry) for entry in await self._archive.entries(kind.collection, document)]
            journal = [redact(kind, entry) for entry in document["journal"]]
            entry = _entry(id, cause, event, 0, self._clock.now())
            sequence = document["sequence"]
            if event.TOPIC is not None:
                sequence = entry["sequence"] = sequence + 1
            state = kind.fold([*past, *journal, entry])
            assert state is not None
            fields, absent = kind.operational(state)
            fields |= {
                "version": document["version"] + 1,
                "state": kind.stored(state),
                "journal": [*journal, entry],
                "sequence": sequence,
            }
            fields.pop("claims", None)
            update: Document = {"$set": fields, "$unset": dict.fromkeys({*absent, "claims"}, "")}
            if event.TOPIC is not None:
                update["$min"] = {"pending_since": machine_now()}
            await self._archive.redact(kind.collection, id, lambda entry: redact(kind, entry))
            try:
                written = await self._database[kind.collection].update_one(
                    {"_id": id, "version": document["version"]}, update
                )
            finally:
                # Also where the answer is lost: what waits to be sent may say who it was.
                self._outlet.tell(kind.collection, id, None)
            if written.matched_count:
                return Outcome(id, state, (event,), document["version"] + 1, False)
        raise Contended(f"{kind.name} is written by too many at once")


def _entry(id: str, cause: Cause, event: Event, index: int, now: dt.datetime) -> Document:
    """A journal entry; its id follows from (aggregate, cause, index), never from its sequence."""
    entry: Document = {
        "id": derive(id, cause.id, index),
        "type": event.TYPE,
        "data": event.model_dump(mode="json"),
        "occurred_at": cause.occurred_at,
        "recorded_at": now,
        "cause": cause.id,
        "actor": cause.actor,
    }
    optional = {"fingerprint": cause.fingerprint, "key": cause.key, "traceparent": cause.traceparent}
    return entry | {name: value for name, value in optional.items() if value is not None}
