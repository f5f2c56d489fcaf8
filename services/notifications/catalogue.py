"""Reads routing.yaml and the templates at start and holds them against each other and against the contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

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
    """The data files contradict each other or the contracts; the message lists every fault."""


def _read(path: Path) -> Any:
    with path.open(encoding="utf-8") as file:
        return yaml.load(file, Loader=_Strict)  # noqa: S506 (a SafeLoader)


def read_registration(dlt_file: Path) -> dlt.Registration:
    """What is registered with the operators."""
    return dlt.Registration.model_validate(_read(dlt_file))


def sms_templates(routing: Routing) -> set[str]:
    """The templates that some event sends as SMS."""
    return {tell.template for tells in routing.events.values() for tell in tells if "sms" in tell.channels}


def heard_events() -> dict[str, type[Event]]:
    """Every public event of the topics we listen to, by type."""
    return {type_: event for type_, event in PUBLIC.items() if event.TOPIC in HEARD}


def read(routing_file: Path, templates_dir: Path) -> tuple[Routing, Wording]:
    """Raises CatalogueInvalid, and pydantic's ValidationError or a YAML error with file and line."""
    routing = Routing.model_validate(_read(routing_file))
    languages = [Language.model_validate(_read(path)) for path in sorted(templates_dir.glob("*.yaml"))]
    wording = Wording(languages={language.language: language for language in languages}, stand_in=routing.stand_in)
    if faults := routing.faults(heard_events(), wording):
        raise CatalogueInvalid(f"{routing_file.name}: " + "; ".join(faults))
    return routing, wording
