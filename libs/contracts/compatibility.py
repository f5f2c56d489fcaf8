"""When a JSON Schema is backward compatible with a released one, told as a list of what breaks.

Two promises in one rule, because topics are replayed: who knows the released schema can read new events, and who knows
the new one can read old events. So a minor version adds optional fields, and values to a list of codes; nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
FIXED = ("pattern", "multipleOf", "uniqueItems", "const", "prefixItems")


def breaks(released: Schema, now: Schema) -> list[str]:
    """What somebody who relies on `released` would lose with `now`; empty if nothing."""
    return list(_breaks(released, now, released, now, "$"))


def _resolve(schema: Schema, root: Schema) -> Schema:
    """Follows a local reference. Raises ValueError on any other."""
    while "$ref" in schema:
        reference = str(schema["$ref"])
        if not reference.startswith("#/"):
            raise ValueError(f"only local references are understood, not {reference}")
        found: Any = root
        for part in reference[2:].split("/"):
            found = found[part]
        schema = {**found, **{name: value for name, value in schema.items() if name != "$ref"}}
    return schema


def _branches(schema: Schema, root: Schema) -> dict[str, Schema]:
    """A schema's alternatives by JSON type; a plain schema is its own only alternative."""
    schema = _resolve(schema, root)
    found: dict[str, Schema] = {}
    for part in schema.get("anyOf") or schema.get("oneOf") or [schema]:
        part = _resolve(part, root)
        types = part.get("type")
        for name in types if isinstance(types, list) else [types or _implied_type(part)]:
            found[str(name)] = part
    return found


def _implied_type(schema: Schema) -> str:
    if "properties" in schema:
        return "object"
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    return "string" if values and all(isinstance(value, str) for value in values) else "any"


def _breaks(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> Iterator[str]:
    was, became = _branches(old, old_root), _branches(new, new_root)
    for name in sorted(was.keys() - became.keys()):
        yield f"{path}: can no longer be {name}"
    for name in sorted(became.keys() - was.keys()):
        yield f"{path}: can now be {name}, which readers do not expect"
    if _resolve(old, old_root).get("personal") and not _resolve(new, new_root).get("personal"):
        yield f"{path}: is no longer marked as personal, so an erasure would pass it by"
    for name in sorted(was.keys() & became.keys()):
        yield from _narrowed(was[name], became[name], path)
        yield from _fields(was[name], became[name], old_root, new_root, path)
        if "items" in was[name] and "items" in became[name]:
            yield from _breaks(was[name]["items"], became[name]["items"], old_root, new_root, f"{path}[]")
        elif "items" in became[name]:
            yield f"{path}[]: narrowed"


def _narrowed(old: Schema, new: Schema, path: str) -> Iterator[str]:
    if "enum" in new or "const" in new:
        allowed = new.get("enum", [new.get("const")])
        before = old.get("enum", [old["const"]] if "const" in old else None)
        if before is None:
            yield f"{path}: was open, is now one of a list"
        else:
            for value in before:
                if value not in allowed:
                    yield f"{path}: value {value!r} was removed"
    for name in FIXED:
        if name in new and name != "const" and new[name] != old.get(name):
            yield f"{path}: {name} changed"
    if old.get("format") != new.get("format"):
        yield f"{path}: format changed"
    for name in UPPER_BOUNDS:
        if name in new and (name not in old or new[name] < old[name]):
            yield f"{path}: {name} narrowed"
    for name in LOWER_BOUNDS:
        if name in new and (name not in old or new[name] > old[name]):
            yield f"{path}: {name} narrowed"
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield f"{path}: unknown fields are refused now"


def _fields(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    demanded, demands = set(old.get("required", ())), set(new.get("required", ()))
    for name in before:
        if name not in after:
            yield f"{path}.{name}: removed or renamed"
        else:
            yield from _breaks(before[name], after[name], old_root, new_root, f"{path}.{name}")
    for name in sorted(demands - demanded):
        yield f"{path}.{name}: required now, older events do not have it"
    for name in sorted((demanded - demands) & after.keys()):
        yield f"{path}.{name}: no longer required, readers count on it"
