"""Twelve digits that pass Verhoeff are refused by every field that could keep them, and said back by none."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ValidationError

from libs.common.problem import field_errors
from services.registration.camp_rows import CampRow
from services.registration.main import create_app
from services.registration.settings import Settings

NUMBER = "999941057058"
WRITTEN = (NUMBER, "9999 4105 7058")
IDS = frozenset({"patient", "into", "candidate", "household", "facilitator", "brought_by"})
"""Of records that are there, or the request is refused; nothing is kept of one that is not."""
ELSEWHERE = {"cursor": "a place in a list", "qr": "read as a card, whose every field is a registration's"}
DECIDED_LATER = {
    "categories": "the rulebook knows each, or refuses",
    "facts": "likewise",
    "measures": "the programme knows each, or refuses",
}


def bodies(folder: Path) -> Iterator[type[BaseModel]]:
    for secret in ("tracking_key", "seal_key"):
        (folder / secret).write_text("00" * 32)
    found: set[type[BaseModel]] = {CampRow}
    for context in iter_route_contexts(create_app(Settings(secrets_dir=folder)).routes):
        dependant = getattr(context, "dependant", None) or getattr(getattr(context, "route", None), "dependant", None)
        for parameter in dependant.body_params if dependant else ():
            collect(parameter.field_info.annotation, found)
    yield from sorted(found, key=lambda model: model.__name__)


def collect(kind: Any, found: set[type[BaseModel]]) -> None:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if kind not in found or kind is CampRow:
            found.add(kind)
            for field in kind.model_fields.values():
                collect(field.annotation, found)
        return
    for inner in typing.get_args(kind):
        collect(inner, found)


def test_no_field_of_any_body_takes_an_aadhaar_number(tmp_path: Path) -> None:
    models = list(bodies(tmp_path))
    assert len(models) > 50, "the routes were not walked"
    taken = []
    for model in models:
        for name in model.model_fields.keys() - IDS - ELSEWHERE.keys() - DECIDED_LATER.keys() - {"occurred_at"}:
            for value in [shape for number in WRITTEN for shape in (number, [number], {"value": number})]:
                try:
                    model.model_validate({name: value})
                except ValidationError as error:
                    said = error.errors(include_input=False, include_context=False, include_url=False)
                    assert NUMBER not in str(field_errors(RequestValidationError(said)))
                    if any(item["loc"][:1] == (name,) for item in said):
                        continue
                taken.append((model.__name__, name, type(value).__name__))
    assert taken == []


@pytest.mark.parametrize("place", [(NUMBER,), ("second_place", NUMBER), (f"x{NUMBER}",)])
def test_a_field_that_is_called_one_is_not_named_back(place: tuple[str, ...]) -> None:
    error = RequestValidationError([{"type": "extra_forbidden", "loc": ("body", *place), "msg": "Not permitted"}])
    assert NUMBER not in str(field_errors(error))
