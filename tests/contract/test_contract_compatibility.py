"""Every schema is backward compatible with the last released one, and the rule that says so sees each kind of break."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from libs.contracts import generate
from libs.contracts.compatibility import breaks

RELEASED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 64},
        "status": {"type": "string", "enum": ["open", "closed"]},
        "count": {"type": "integer", "minimum": 0},
        "at": {"type": "string", "format": "date-time"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "personal": True},
        "tags": {"type": "array", "items": {"type": "string"}},
        "card": {"$ref": "#/$defs/Card"},
    },
    "required": ["id", "status", "card"],
    "$defs": {
        "Card": {
            "type": "object",
            "properties": {"code": {"type": "string", "pattern": "^[A-Z]+$"}},
            "required": ["code"],
        }
    },
}


def changed(*path: str, to: Any) -> dict[str, Any]:
    schema = copy.deepcopy(RELEASED)
    place: Any = schema
    for part in path[:-1]:
        place = place[part]
    if to is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return schema


@pytest.mark.parametrize(
    "allowed",
    [
        RELEASED,
        changed("properties", "added", to={"type": "string"}),
        changed("properties", "status", "enum", to=["open", "closed", "paused"]),
        changed("properties", "id", "maxLength", to=128),
        changed("properties", "id", "minLength", to=0),
        changed("properties", "count", "minimum", to=...),
        changed("$defs", "Card", "properties", "name", to={"type": "string"}),
        changed("properties", "id", "description", to="said better"),
    ],
    ids=[
        "same", "optional field", "new enum value", "longer", "shorter", "bound lifted", "optional nested field",
        "description",
    ],
)  # fmt: skip
def test_a_minor_may(allowed: dict[str, Any]) -> None:
    assert breaks(RELEASED, allowed) == []


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        (changed("properties", "at", to=...), "$.at: removed or renamed"),
        (changed("$defs", "Card", "properties", "code", to=...), "$.card.code: removed or renamed"),
        (changed("required", to=["id", "status", "card", "count"]), "$.count: required now"),
        (changed("required", to=["id", "card"]), "$.status: no longer required"),
        (changed("$defs", "Card", "required", to=[]), "$.card.code: no longer required"),
        (changed("properties", "status", "enum", to=["open"]), "$.status: value 'closed' was removed"),
        (changed("properties", "status", to={"const": "open"}), "$.status: value 'closed' was removed"),
        (changed("properties", "id", "enum", to=["a"]), "$.id: was open"),
        (changed("properties", "count", "type", to="string"), "$.count: can no longer be integer"),
        (changed("properties", "note", to={"type": "string", "personal": True}), "$.note: can no longer be null"),
        (changed("properties", "at", "type", to=["string", "null"]), "$.at: can now be null"),
        (changed("properties", "id", "maxLength", to=10), "$.id: maxLength narrowed"),
        (changed("properties", "id", "minLength", to=2), "$.id: minLength narrowed"),
        (changed("properties", "count", "maximum", to=9), "$.count: maximum narrowed"),
        (changed("properties", "at", "format", to="date"), "$.at: format changed"),
        (changed("$defs", "Card", "properties", "code", "pattern", to="^[A-Z]{3}$"), "$.card.code: pattern changed"),
        (changed("properties", "id", "pattern", to="^x"), "$.id: pattern changed"),
        (changed("properties", "tags", "items", "type", to="integer"), "$.tags[]: can no longer be string"),
        (changed("additionalProperties", to=False), "$: unknown fields are refused now"),
        (changed("properties", "note", "personal", to=False), "$.note: is no longer marked as personal"),
    ],
)
def test_a_minor_may_not(broken: dict[str, Any], where: str) -> None:
    found = breaks(RELEASED, broken)
    assert any(fault.startswith(where) for fault in found), found


def test_a_new_required_field_breaks() -> None:
    schema = changed("properties", "added", to={"type": "string"})
    schema["required"] = [*schema["required"], "added"]
    assert breaks(RELEASED, schema) == ["$.added: required now, older events do not have it"]


def test_a_reference_elsewhere_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="local references"):
        breaks(RELEASED, changed("properties", "card", "$ref", to="other.json"))


def test_something_is_released() -> None:
    assert list(generate.RELEASED.rglob("*.json"))


def test_todays_schemas_break_nothing_released() -> None:
    assert generate.broken() == {}
