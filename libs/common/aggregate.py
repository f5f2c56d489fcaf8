"""What the journal needs to know of a kind of aggregate."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import NoneType
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from libs.contracts.event import Event, Topic

S = TypeVar("S", bound=BaseModel)

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


def _nothing(state: Any) -> None:
    return None


def _no_claims(state: Any) -> Sequence[str]:
    return ()


def _as_it_is(state: Any) -> Any:
    return state


SHAPE = "derivation"
"""Where a stored state says by which derivation it was written; one of the first says nothing."""


def _nullable(field: FieldInfo) -> bool:
    return NoneType in get_args(field.annotation)


@dataclass(frozen=True)
class AggregateType(Generic[S]):
    """One kind of aggregate: one collection, one topic, one fold.

    `claims` are identifiers that must be unique over the collection (`abha-number:00…`).
    `due` is when the domain's clock asks for the next timer step; `retry_at` the same on the machine's clock.
    `indexes` are paths into the document worth an index (`state.origin`, or several for a compound one).
    `upcasters` bring journal entries of older shapes to today's, by event type; today's shape they leave as it is.
    `shape` counts up whenever something that queries ask for is derived from a state that was not before, or otherwise:
    documents of an older shape are then derived anew (rederivation.py), as the fields of the state that follow from
    others by themselves, and with `derive` for those that the fold writes.
    """

    name: str
    collection: str
    state: type[S]
    events: tuple[type[Event], ...]
    evolve: Callable[[S | None, Any], S]
    topic: Topic | None = None
    claims: Callable[[S], Sequence[str]] = _no_claims
    due: Callable[[S], dt.datetime | None] = _nothing
    retry_at: Callable[[S], dt.datetime | None] = _nothing
    indexes: tuple[tuple[str, ...], ...] = ()
    upcasters: Mapping[str, Upcaster] | None = None
    shape: int = 1
    derive: Callable[[S], S] = _as_it_is

    def __post_init__(self) -> None:
        if self.state.model_computed_fields and self.shape < 2:
            raise TypeError(f"{self.name} stores what is derived: documents of before lack it, so it needs a shape")
        if SHAPE in self.state.model_fields:
            raise TypeError(f"{self.name} has a field of its own where the shape is to stand")
        for name, field in self.state.model_fields.items():
            if _nullable(field) and field.default is not None:
                raise TypeError(f"{self.name} does not store a null: what is not there of `{name}` must be null, too")
        for event in self.events:
            if event.TOPIC is not None and self.topic != event.TOPIC:
                raise TypeError(f"{event.__name__} goes to {event.TOPIC.name}, {self.name} does not")
        if len({event.TYPE for event in self.events}) != len(self.events):
            raise TypeError(f"{self.name} lists an event type twice")

    def event_class(self, type_: str) -> type[Event]:
        for event in self.events:
            if type_ == event.TYPE:
                return event
        raise KeyError(f"{self.name} knows no event of type {type_}")

    def stored(self, state: S) -> dict[str, Any]:
        """A state as it stands in its document: without its own nulls, which are half of what many have to say."""
        known = {name: value for name, value in state.model_dump(mode="json").items() if value is not None}
        return known | ({SHAPE: self.shape} if self.shape > 1 else {})

    def shown(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """A stored state as it is said to others: with its nulls."""
        return {**self._nulls, **stored}

    @cached_property
    def _nulls(self) -> dict[str, None]:
        return dict.fromkeys(name for name, field in self.state.model_fields.items() if _nullable(field))

    def operational(self, state: S) -> tuple[dict[str, Any], set[str]]:
        """The indexed fields that follow from the state, and those that must be absent."""
        values: dict[str, Any] = {
            "due": self.due(state),
            "retry_at": self.retry_at(state),
            "claims": list(self.claims(state)) or None,
        }
        present = {name: value for name, value in values.items() if value is not None}
        return present, set(values) - set(present)

    def data(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """What a journal entry holds, in today's shape."""
        data = dict(entry["data"])
        upcast = (self.upcasters or {}).get(entry["type"])
        return upcast(data) if upcast else data

    def read(self, entry: Mapping[str, Any]) -> Event:
        """The event of a journal entry, through the upcaster of its type if there is one."""
        return self.event_class(entry["type"]).model_validate(self.data(entry))

    def fold(self, entries: Iterable[Mapping[str, Any]], state: S | None = None) -> S | None:
        for entry in entries:
            state = self.evolve(state, self.read(entry))
        return state
