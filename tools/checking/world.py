"""What was found: aggregates with their journals, Kafka records, replicas, dead letters and inboxes. Pure data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Place = tuple[str, str]
"""(service, collection)."""


ERASURES = frozenset({"PatientErased", "ContactErased"})
"""Events that go out as a tombstone: the key and no value."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal entry. `sequence` is None for a private one, `key` is the caller's own idempotency key if any."""

    place: Place
    aggregate: str
    id: str
    type: str
    data: dict[str, Any]
    sequence: int | None
    key: str | None
    cause: str
    occurred_at: dt.datetime | None

    @property
    def name(self) -> str:
        """The event's class name: `registration.PatientRegistered.v1` is `PatientRegistered`."""
        parts = self.type.split(".")
        return parts[1] if len(parts) == 3 else self.type


@dataclass(frozen=True, slots=True)
class Aggregate:
    place: Place
    id: str
    state: dict[str, Any]
    entries: tuple[Entry, ...]
    sequence: int

    @property
    def public(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.sequence is not None]

    @property
    def card(self) -> dict[str, Any]:
        """The newest card of a state-carrying aggregate; empty if it has none."""
        for entry in reversed(self.entries):
            if isinstance(entry.data.get("card"), dict):
                return dict(entry.data["card"])
        return {}

    @property
    def cards(self) -> list[dict[str, Any]]:
        return [entry.data["card"] for entry in self.entries if isinstance(entry.data.get("card"), dict)]

    @property
    def erased(self) -> bool:
        return any(entry.name in ERASURES for entry in self.entries)

    @property
    def voided(self) -> bool:
        return any(entry.name.endswith("Voided") for entry in self.entries)


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka record. `value` is None for a tombstone; `timestamp` is milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str
    id: str
    type: str
    sequence: int | None
    value: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Replica:
    """A service's own copy of another's card; `grave`: it was erased."""

    service: str
    name: str
    id: str
    sequence: int
    card: dict[str, Any]
    grave: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """Something the outside world received. `reference` is the message it carries, `id` its own identity."""

    reference: str
    id: str
    received_at: dt.datetime | None
    number: str = ""


@dataclass
class World:
    aggregates: dict[Place, dict[str, Aggregate]] = field(default_factory=dict)
    records: dict[str, list[Record]] = field(default_factory=dict)
    replicas: dict[tuple[str, str], dict[str, Replica]] = field(default_factory=dict)
    dead_letters: list[tuple[str, str]] = field(default_factory=list)
    sms: list[Receipt] = field(default_factory=list)
    mails: list[Receipt] = field(default_factory=list)
    on_shares: list[Receipt] = field(default_factory=list)

    def of(self, service: str, collection: str) -> dict[str, Aggregate]:
        return self.aggregates.get((service, collection), {})

    def every(self) -> Iterator[Aggregate]:
        for documents in self.aggregates.values():
            yield from documents.values()

    def entries(self) -> Iterator[Entry]:
        for aggregate in self.every():
            yield from aggregate.entries

    def every_record(self) -> Iterator[Record]:
        for records in self.records.values():
            yield from records


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One thing that is not as it should be: ids and codes only, never personal data."""

    kind: str
    what: str
    where: str
    id: str


def tally(differences: Iterable[Difference], kind: str) -> int:
    return sum(1 for difference in differences if difference.kind == kind)
