"""Reads routing.yaml and the templates at start and holds them against each other and against the contracts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from libs.contracts import grievance, referral, registration
from libs.contracts.event import PUBLIC, Event
from services.notifications.domain import dlt
from services.notifications.domain.routing import Routing
from services.notifications.domain.template import Language, Wording

HEARD = (registration.PATIENT, registration.VISIT, referral.REFERRAL, grievance.GRIEVANCE)
"""The topics whose events are told of."""


class _Strict(yaml.SafeLoader):
    """YAML that refuses a key written twice, of which the first would silently be lost."""


def _mapping(loader: _Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in found:
            raise yaml.constructor.ConstructorError(None, None, f"{key} is written twice", key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


class CatalogueInvalid(ValueError):
    """The data files contradict each other or the contracts; one line per fault, `<file>:<line>: what`."""


M = TypeVar("M", bound=BaseModel)


def _read(path: Path) -> Any:
    with path.open(encoding="utf-8") as file:
        return yaml.load(file, Loader=_Strict)  # noqa: S506 (a SafeLoader)


class Lines:
    """In which line of a YAML file something stands."""

    def __init__(self, path: Path) -> None:
        self._root = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)

    def of(self, place: Sequence[object]) -> int:
        """The line of the last part of `place` that is there, counted from 1."""
        node, line = self._root, 1
        for part in place:
            if isinstance(node, yaml.MappingNode):
                found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                break
        return line


def validated(path: Path, model: type[M]) -> M:
    """Raises CatalogueInvalid with every fault and its line, OSError, and YAML's own errors, which name the line."""
    raw = _read(path)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = Lines(path)
        found = error.errors(include_url=False, include_input=False)
        raise CatalogueInvalid(
            "\n".join(
                f"{path.name}:{lines.of(one['loc'])}: {'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
                for one in found
            )
        ) from None


def read_registration(dlt_file: Path) -> dlt.Registration:
    """What is registered with the operators. Raises as `validated` does."""
    return validated(dlt_file, dlt.Registration)


def sms_templates(routing: Routing) -> set[str]:
    """The templates that some event, a caller or a campaign sends as SMS."""
    told = {tell.template for tells in routing.events.values() for tell in tells if "sms" in tell.flat}
    return told | set(routing.own)


def heard_events() -> dict[str, type[Event]]:
    """Every public event of the topics we listen to, by type."""
    return {type_: event for type_, event in PUBLIC.items() if event.TOPIC in HEARD}


def read(routing_file: Path, templates_dir: Path) -> tuple[Routing, Wording]:
    """Raises CatalogueInvalid with file and line, and a YAML error, which has them too."""
    routing = validated(routing_file, Routing)
    languages: dict[str, Language] = {}
    for path in sorted(templates_dir.glob("*.yaml")):
        language = validated(path, Language)
        languages[language.language] = language
    wording = _wording(languages, routing, templates_dir)
    if faults := routing.faults(heard_events(), wording):
        lines = Lines(routing_file)
        raise CatalogueInvalid(
            "\n".join(f"{routing_file.name}:{lines.of(_place(routing_file, fault))}: {fault}" for fault in faults)
        )
    return routing, wording


def _place(routing_file: Path, fault: str) -> tuple[object, ...]:
    """A fault begins with the event, or with the name of the caller's own template, that it is about."""
    about = fault.partition(": ")[0]
    return ("own", about.removeprefix("own ")) if about.startswith("own ") else ("events", about)


def _wording(languages: dict[str, Language], routing: Routing, folder: Path) -> Wording:
    try:
        return Wording(languages=languages, stand_in=routing.stand_in)
    except ValidationError as error:
        wrong = []
        for one in error.errors(include_url=False, include_input=False):
            why = one["msg"].removeprefix("Value error, ")
            language, _, rest = why.partition(": ")
            file = folder / f"{language}.yaml"
            line = Lines(file).of(("templates", rest.split(" ")[0])) if file.exists() else 1
            wrong.append(f"{file.name}:{line}: {why}")
        raise CatalogueInvalid("\n".join(wrong)) from None
