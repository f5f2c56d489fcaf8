"""What an erasure leaves of a journal entry: ids, codes and causes, and nothing that says who somebody is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from libs.common.aggregate import AggregateType
from libs.common.mongo import Document
from libs.contracts.event import is_personal


def redact(kind: AggregateType[Any], entry: Document) -> Document:
    """The entry without what says who somebody is; ids, codes and causes stay.

    An entry of an older shape is brought to today's first: only of today's fields is it known which are personal,
    and all others go.
    """
    return entry | {"data": _redacted(kind.event_class(entry["type"]), kind.data(entry))}


def _redacted(model: type[BaseModel], data: Mapping[str, Any]) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    for name, declared in model.model_fields.items():
        if name in data:
            personal = is_personal(declared)
            default = declared.get_default(call_default_factory=True) if personal else None
            clean[name] = default if personal else _redacted_value(declared.annotation, data[name])
    return clean


def _redacted_value(annotation: Any, value: Any) -> Any:
    """Models inside a field, also in `X | None` and in sequences of them."""
    model = next((kind for kind in _models(annotation)), None)
    if model is None:
        return value
    if isinstance(value, Mapping):
        return _redacted(model, value)
    if isinstance(value, list | tuple):
        return [_redacted(model, item) if isinstance(item, Mapping) else item for item in value]
    return value


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
