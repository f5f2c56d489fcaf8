"""Reads routing.yaml and the templates at start and holds them against each other and against the contracts."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from libs.common import lined
from libs.contracts import grievance, referral, registration
from libs.contracts.event import PUBLIC, Event
from services.notifications.domain import dlt
from services.notifications.domain.codes import Codes
from services.notifications.domain.routing import Routing
from services.notifications.domain.template import FALLBACK, Language, Wording

HEARD = (registration.PATIENT, registration.VISIT, registration.CALLER, referral.REFERRAL, grievance.GRIEVANCE)
"""The topics whose events are told of."""


class CatalogueInvalid(ValueError):
    """The data files contradict each other or the contracts; one line per fault, `<file>:<line>: what`."""


def read_registration(dlt_file: Path) -> dlt.Registration:
    """What is registered with the operators. Raises BadFile with the line, and OSError."""
    return lined.read(dlt_file, dlt.Registration)


def read_codes(codes_file: Path) -> Codes:
    """What operators' codes mean. Raises BadFile with the line, and OSError."""
    return lined.read(codes_file, Codes)


def sms_templates(routing: Routing) -> set[str]:
    """The templates that some event, a caller or a campaign sends as SMS."""
    told = {tell.template for tells in routing.events.values() for tell in tells if "sms" in tell.flat}
    return told | set(routing.own)


def heard_events() -> dict[str, type[Event]]:
    """Every public event of the topics we listen to, by type."""
    return {type_: event for type_, event in PUBLIC.items() if event.TOPIC in HEARD}


def read(routing_file: Path, templates_dir: Path) -> tuple[Routing, Wording]:
    """Raises BadFile for a file that cannot be used by itself, CatalogueInvalid for what does not fit together; both
    with file and line."""
    routing = lined.read(routing_file, Routing)
    languages: dict[str, Language] = {}
    for path in lined.files(templates_dir):
        language = lined.read(path, Language)
        if language.language != path.stem:
            raise lined.BadFile(f"{path}:{lined.line_of(path, 'language')}: must be {path.stem}, as the file is called")
        languages[language.language] = language
    if FALLBACK not in languages:
        raise lined.BadFile(f"{templates_dir}:1: there is no {FALLBACK}.yaml")
    wording = _wording(languages, routing, templates_dir)
    if faults := routing.faults(heard_events(), wording):
        raise CatalogueInvalid(
            "\n".join(f"{routing_file}:{lined.line_of(routing_file, *fault.place)}: {fault}" for fault in faults)
        )
    return routing, wording


def read_all(
    routing_file: Path, templates_dir: Path, dlt_file: Path, codes_file: Path
) -> tuple[Routing, Wording, dlt.Registration, Codes]:
    """Every file, held against the others: what goes out as SMS must be what the operators take.

    Raises BadFile and CatalogueInvalid, each fault with file and line.
    """
    routing, wording = read(routing_file, templates_dir)
    registered, codes, wrong = read_registration(dlt_file), read_codes(codes_file), []
    for fault in dlt.lint_all(wording, sms_templates(routing), registered):
        file, place = dlt_file, ["promotional_header" if fault.promotional else "header"]
        if fault.template:
            file, place = _file_of(templates_dir, fault.language), ["templates", fault.template]
        wrong.append(f"{file}:{lined.line_of(file, *place)}: {fault}")
    for template, ids in registered.templates.items():
        for language in ids:
            if language not in wording.languages or template not in wording.languages[language].templates:
                line = lined.line_of(dlt_file, "templates", template, language)
                wrong.append(f"{dlt_file}:{line}: there is no text {template} in {language}")
    for name, own in routing.own.items():
        if own.promotional and not registered.promotional_header:
            line = lined.line_of(routing_file, "own", name, "promotional")
            wrong.append(f"{routing_file}:{line}: own {name}: there is no promotional_header in {dlt_file.name}")
    if wrong:
        raise CatalogueInvalid("\n".join(wrong))
    return routing, wording, registered, codes


def _file_of(folder: Path, language: str) -> Path:
    return next(path for path in lined.files(folder) if path.stem == language)


def _wording(languages: dict[str, Language], routing: Routing, folder: Path) -> Wording:
    try:
        return Wording(languages=languages, stand_in=routing.stand_in)
    except ValidationError as error:
        wrong = []
        for one in error.errors(include_url=False, include_input=False):
            why = one["msg"].removeprefix("Value error, ")
            language, _, rest = why.partition(": ")
            file = folder / f"{language}.yaml"
            line = lined.line_of(file, "templates", rest.split(" ")[0]) if file.exists() else 1
            wrong.append(f"{file}:{line}: {why}")
        raise CatalogueInvalid("\n".join(wrong)) from None
