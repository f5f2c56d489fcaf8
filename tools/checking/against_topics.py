"""Journals against topics: what is lost on the way, there without a journal, or out of order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from tools.checking.expected import AGGREGATES, COMPACTED
from tools.checking.world import ERASURES, Aggregate, Difference, Entry, Record, World


def differences(world: World) -> Iterator[Difference]:
    for service, collections in AGGREGATES.items():
        for collection, topic in collections.items():
            documents = world.of(service, collection)
            yield from _gaps(documents)
            yield from _written_twice(documents)
            if topic is not None:
                yield from _missing(topic, documents, world.records.get(topic, []))
                yield from _unknown(topic, documents, world.records.get(topic, []))
    for topic, records in world.records.items():
        yield from _out_of_order(topic, records)


def _gaps(documents: dict[str, Aggregate]) -> Iterator[Difference]:
    """Sequences run from 1 without a gap up to the document's own count."""
    for aggregate in documents.values():
        there = {entry.sequence for entry in aggregate.public}
        top = max([aggregate.sequence, *(entry.sequence or 0 for entry in aggregate.public)])
        for number in range(1, top + 1):
            if number not in there:
                yield Difference("lost", "journal has a gap", f"{_at(aggregate)}#{number}", aggregate.id)


def _written_twice(documents: dict[str, Aggregate]) -> Iterator[Difference]:
    for aggregate in documents.values():
        ids = Counter(entry.id for entry in aggregate.entries)
        numbers = Counter(e.sequence for e in {entry.id: entry for entry in aggregate.public}.values())
        for id, count in ids.items():
            for _ in range(count - 1):
                yield Difference("doubled", "journal entry written twice", _at(aggregate), id)
        for number, count in numbers.items():
            for _ in range(count - 1):
                yield Difference("doubled", "sequence given twice", f"{_at(aggregate)}#{number}", aggregate.id)


def _missing(topic: str, documents: dict[str, Aggregate], records: list[Record]) -> Iterator[Difference]:
    by_id: dict[str, Record] = {}
    last: dict[str, Record] = {}
    for record in records:
        by_id.setdefault(record.id, record)
        last[record.key] = record
    for aggregate in documents.values():
        public = aggregate.public
        if not public:
            continue
        if topic in COMPACTED:
            yield from _newest_missing(topic, aggregate, last.get(aggregate.id))
            continue
        for entry in public:
            found = by_id.get(entry.id)
            if found is None:
                yield Difference("lost", "event not on its topic", topic, entry.id)
            elif fault := _deviation(entry, found, aggregate):
                yield Difference("lost", fault, topic, entry.id)


def _newest_missing(topic: str, aggregate: Aggregate, last: Record | None) -> Iterator[Difference]:
    """Of a compacted topic the newest per key must be there, and be the last, or compaction would keep a stale card."""
    newest = max(aggregate.public, key=lambda entry: entry.sequence or 0)
    if last is None:
        # A tombstone may have been compacted away with everything before it.
        if newest.name not in ERASURES:
            yield Difference("lost", "no card on the topic", topic, newest.id)
    elif last.id != newest.id:
        yield Difference("lost", "the last card on the topic is not the newest", topic, newest.id)
    elif fault := _deviation(newest, last, aggregate):
        yield Difference("lost", fault, topic, newest.id)


def _deviation(entry: Entry, record: Record, aggregate: Aggregate) -> str | None:
    """What the record says otherwise than the journal. An erasure changes journals after they were published."""
    if record.key != entry.aggregate:
        return "event under another key"
    if record.type != entry.type or record.sequence != entry.sequence:
        return "event under another type or sequence"
    if entry.name in ERASURES:
        return None if record.value is None else "tombstone with a body"
    if record.value is None:
        return "event without a body"
    if aggregate.erased or any(other.name == "MessageErased" for other in aggregate.entries):
        return None
    if any(name not in entry.data or not same(entry.data[name], value) for name, value in record.value.items()):
        return "event says otherwise than its journal"
    return None


def same(journaled: object, published: object) -> bool:
    """Equal as far as published: a journal may hold more than leaves it."""
    if isinstance(journaled, dict) and isinstance(published, dict):
        return all(name in journaled and same(journaled[name], value) for name, value in published.items())
    if isinstance(journaled, list | tuple) and isinstance(published, list | tuple):
        return len(journaled) == len(published) and all(map(same, journaled, published))
    return journaled == published


def _unknown(topic: str, documents: dict[str, Aggregate], records: list[Record]) -> Iterator[Difference]:
    """Events that no journal knows. Where the journal has a gap at that sequence, the gap is the fault."""
    known = {entry.id for aggregate in documents.values() for entry in aggregate.entries}
    sequences = {aggregate.id: {entry.sequence for entry in aggregate.public} for aggregate in documents.values()}
    for id, record in {record.id: record for record in records}.items():
        if id not in known and record.sequence in sequences.get(record.key, {record.sequence}):
            yield Difference("ghost", "event on the topic that no journal knows", topic, id or f"@{record.offset}")


def _out_of_order(topic: str, records: list[Record]) -> Iterator[Difference]:
    """Within a key the first appearance of each event must come in sequence; repeats by id are set aside."""
    by_partition: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        by_partition[record.partition].append(record)
    seen: set[str] = set()
    top: dict[str, int] = {}
    home: dict[str, int] = {}
    for partition, inside in by_partition.items():
        for record in sorted(inside, key=lambda record: record.offset):
            if record.id in seen:
                continue
            seen.add(record.id)
            if home.setdefault(record.key, partition) != partition:
                yield Difference("reordered", "one key on two partitions", topic, record.id)
            elif record.sequence is not None:
                if record.sequence < top.get(record.key, 0):
                    yield Difference("reordered", "sequence goes backwards", topic, record.id)
                top[record.key] = max(record.sequence, top.get(record.key, 0))


def _at(aggregate: Aggregate) -> str:
    return ".".join(aggregate.place)
