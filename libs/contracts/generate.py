"""`python -m libs.contracts.generate`: write JSON Schemas, AsyncAPI and the event catalogue from the event classes.

--check     write nothing; exit 1 and name what is out of date
--release   besides, copy the schemas to released/v1, if they break nothing that was released before
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from libs.contracts.asyncapi import document
from libs.contracts.catalogue import page
from libs.contracts.compatibility import breaks
from libs.contracts.event import PUBLIC, Event, Topic

HERE = Path(__file__).resolve().parent
SCHEMAS = HERE / "schemas"
EXAMPLES = HERE / "examples"
RELEASED = HERE / "released" / "v1"
ASYNCAPI = HERE / "asyncapi.yaml"
READERS = HERE / "readers.yaml"
CATALOGUE = HERE.parent.parent / "docs" / "events.md"
SERVICES = ("registration", "referral", "grievance", "notifications")


def load_events() -> dict[str, type[Event]]:
    """Every public event by its type, in the order of services and then of declaration, whoever was imported first."""
    modules = [importlib.import_module(f"libs.contracts.{service}").__name__ for service in SERVICES]
    found = [event for event in PUBLIC.values() if event.__module__ in modules]
    return {event.TYPE: event for event in sorted(found, key=lambda event: modules.index(event.__module__))}


def topic_of(event: type[Event]) -> Topic:
    assert event.TOPIC is not None
    return event.TOPIC


def schema(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one event's data. A tombstone has none: only null is right."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:hillhealth:event:{event.TYPE}",
        "title": event.__name__,
        "description": about(event),
    }
    if event.TOMBSTONE:
        return head | {"type": "null"}
    generated = _without_titles(event.model_json_schema(mode="validation"))
    return head | {name: value for name, value in generated.items() if name not in ("title", "description")}


def about(event: type[Event]) -> str:
    """An event's own docstring, or its name read out. A base class's is about something else."""
    own = event.__dict__.get("__doc__")
    if own:
        return " ".join(str(own).split())
    return "".join(f" {char.lower()}" if char.isupper() else char for char in event.__name__).strip().capitalize() + "."


def _without_titles(schema: Any) -> Any:
    """pydantic's titles repeat the names."""
    if isinstance(schema, dict):
        return {
            name: {field: _without_titles(value) for field, value in found.items()}
            if name in ("properties", "$defs")
            else _without_titles(found)
            for name, found in schema.items()
            if name != "title" or not isinstance(found, str)
        }
    return [_without_titles(part) for part in schema] if isinstance(schema, list) else schema


def schema_path(event: type[Event], folder: Path = SCHEMAS) -> Path:
    return folder / topic_of(event).name / f"{event.__name__}.json"


def example(event: type[Event]) -> Any:
    """The checked-in example of an event's data. Raises FileNotFoundError."""
    return json.loads((EXAMPLES / f"{event.TYPE}.json").read_text(encoding="utf-8"))


def readers() -> dict[str, list[str]]:
    return dict(yaml.safe_load(READERS.read_text(encoding="utf-8")))


def generated() -> dict[Path, str]:
    """Every generated file with the content it should have."""
    events = load_events()
    files = {schema_path(event): _json(schema(event)) for event in events.values()}
    examples = {type_: example(event) for type_, event in events.items()}
    described = {type_: about(event) for type_, event in events.items()}
    files[ASYNCAPI] = yaml.safe_dump(
        document(events, examples, described, readers()), sort_keys=False, allow_unicode=True, width=120
    )
    files[CATALOGUE] = page(events, examples, described, readers())
    return files


def stale() -> list[Path]:
    """Generated files that are missing, otherwise than they should be, or left over."""
    wanted = generated()
    wrong = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    return sorted([*wrong, *(path for path in SCHEMAS.rglob("*.json") if path not in wanted)])


def broken() -> dict[str, list[str]]:
    """What the schemas of today break of the released ones, by file."""
    events = load_events()
    now = {schema_path(event, RELEASED): schema(event) for event in events.values()}
    found: dict[str, list[str]] = {}
    for path in sorted(RELEASED.rglob("*.json")):
        name = str(path.relative_to(RELEASED))
        released = json.loads(path.read_text(encoding="utf-8"))
        faults = breaks(released, now[path]) if path in now else ["the event was removed or renamed"]
        if faults:
            found[name] = faults
    return found


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write() -> None:
    for path, text in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in stale():
        path.unlink()


def release() -> None:
    """Raises SystemExit, with what would break, before anything is written."""
    if faults := broken():
        raise SystemExit("\n".join(f"{name}: {fault}" for name, of in faults.items() for fault in of))
    for event in load_events().values():
        path = schema_path(event, RELEASED)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_json(schema(event)), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--release", action="store_true")
    given = parser.parse_args(arguments)
    if given.check:
        for path in (wrong := stale()):
            print(f"out of date: {path.relative_to(HERE.parent.parent)}", file=sys.stderr)
        return 1 if wrong else 0
    write()
    if given.release:
        release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
