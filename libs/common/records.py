"""Events as Kafka records: CloudEvents 1.0, Kafka binary binding. Attributes in headers, data alone in the value."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from libs.common.cause import Cause
from libs.common.clock import LONG_AGO
from libs.contracts.event import PUBLIC, Event

Headers = list[tuple[str, bytes]]

LARGEST = 2**53
"""Sequences and epochs beyond this are nobody's."""


@dataclass(frozen=True)
class Record:
    """What goes to Kafka for one journal entry. `value` None is a tombstone."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers


class Envelope(NamedTuple):
    """The attributes of a record, read tolerantly: a body that cannot be decoded still has its envelope."""

    topic: str
    partition: int
    offset: int
    key: str
    id: str
    type: str
    sequence: int
    epoch: int
    occurred_at: dt.datetime
    recorded_at: dt.datetime
    actor: str
    traceparent: str | None
    value: bytes | None


class Undecodable(ValueError):
    """The record is not an event of ours; the message says what is wrong and quotes nothing."""


@dataclass(frozen=True)
class Received:
    """An event as a reaction sees it."""

    envelope: Envelope
    event: Event

    @property
    def id(self) -> str:
        return self.envelope.id

    @property
    def type(self) -> str:
        return self.envelope.type

    @property
    def key(self) -> str:
        return self.envelope.key

    @property
    def sequence(self) -> int:
        return self.envelope.sequence

    @property
    def occurred_at(self) -> dt.datetime:
        return self.envelope.occurred_at

    @property
    def recorded_at(self) -> dt.datetime:
        return self.envelope.recorded_at

    @property
    def actor(self) -> str:
        return self.envelope.actor

    def cause(self) -> Cause:
        """The event as the cause of what follows from it."""
        return Cause(self.id, self.envelope.actor, self.envelope.occurred_at, traceparent=self.envelope.traceparent)


def iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode(entry: Mapping[str, Any], key: str, epoch: int) -> Record:
    """A journal entry with only the contract's fields. Raises KeyError for a type that is not public."""
    contract = PUBLIC[entry["type"]]
    topic = contract.TOPIC
    assert topic is not None
    headers = {
        "ce_specversion": "1.0",
        "ce_id": entry["id"],
        "ce_type": entry["type"],
        "ce_source": f"urn:hillhealth:{topic.service}",
        "ce_subject": key,
        "ce_time": iso(entry["occurred_at"]),
        "ce_recordedat": iso(entry["recorded_at"]),
        "ce_sequence": str(entry["sequence"]),
        "ce_epoch": str(epoch),
        "ce_cause": entry["cause"],
        "ce_actor": entry["actor"],
        "content-type": "application/json",
    }
    if traceparent := entry.get("traceparent"):
        headers["traceparent"] = traceparent
    value = None
    if not contract.TOMBSTONE:
        data = {name: entry["data"][name] for name in contract.model_fields if name in entry["data"]}
        value = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    return Record(topic.name, key.encode(), value, [(name, text.encode()) for name, text in headers.items()])


_READ = frozenset(
    ("ce_id", "ce_type", "ce_sequence", "ce_epoch", "ce_time", "ce_recordedat", "ce_actor", "traceparent")
)
"""Headers that an envelope is made of."""


def envelope_of(record: Any) -> Envelope:
    """Reads a consumer record's attributes. Raises Undecodable."""
    headers = {
        name: value.decode("utf-8", "replace")
        for name, value in record.headers or ()
        if name in _READ and value is not None
    }
    try:
        key = bytes(record.key).decode() if record.key is not None else ""
    except UnicodeDecodeError:
        raise Undecodable("key is not text") from None
    if not key:
        raise Undecodable("no key")
    for name in ("ce_id", "ce_type", "ce_sequence"):
        if not headers.get(name):
            raise Undecodable(f"no header {name}")
    try:
        sequence, epoch = int(headers["ce_sequence"]), int(headers.get("ce_epoch", "1"))
    except ValueError:
        raise Undecodable("ce_sequence or ce_epoch is not a number") from None
    if not 0 <= sequence <= LARGEST or not 0 <= epoch <= LARGEST:
        raise Undecodable("ce_sequence or ce_epoch is out of range")
    return Envelope(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=key,
        id=headers["ce_id"],
        type=headers["ce_type"],
        sequence=sequence,
        epoch=epoch,
        occurred_at=_instant(headers.get("ce_time"), record),
        recorded_at=_instant(headers.get("ce_recordedat"), record),
        actor=headers.get("ce_actor", "unknown"),
        traceparent=headers.get("traceparent"),
        value=bytes(record.value) if record.value is not None else None,
    )


def _sent(record: Any) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(max(record.timestamp or 0, 0) / 1000, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return LONG_AGO


def _instant(text: str | None, record: Any) -> dt.datetime:
    """In UTC; when the record was sent where there is none, or none that can be read."""
    try:
        moment = dt.datetime.fromisoformat(text) if text else _sent(record)
        return moment.astimezone(dt.UTC) if moment.tzinfo else _sent(record)
    except (ValueError, OverflowError):
        return _sent(record)
