"""The generated files are up to date, every example parses, and nothing personal stands where it must not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import BaseModel

from libs.contracts import generate
from libs.contracts.event import Event, is_personal

EVENTS = generate.load_events()
WITH_BODY = {type_: event for type_, event in EVENTS.items() if not event.TOMBSTONE}
PERSONAL_NAMES = re.compile(r"name|phone|mobile|e?mail|text|address|guardian|village|birth|note|summary|advice", re.I)
FORMATS = FormatChecker()


def test_generated_files_are_up_to_date() -> None:
    assert generate.stale() == [], "run `make contracts`"


def test_every_event_has_an_example_and_no_example_is_left_over() -> None:
    assert {path.stem for path in generate.EXAMPLES.glob("*.json")} == set(EVENTS)


@pytest.mark.parametrize("type_", EVENTS)
def test_schema_is_valid_and_holds_for_the_example(type_: str) -> None:
    schema = generate.schema(EVENTS[type_])
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:hillhealth:event:{type_}"
    Draft202012Validator(schema, format_checker=FORMATS).validate(generate.example(EVENTS[type_]))


@pytest.mark.parametrize("type_", WITH_BODY)
def test_example_parses_and_comes_out_as_it_went_in(type_: str) -> None:
    event = WITH_BODY[type_].model_validate_json(json.dumps(generate.example(WITH_BODY[type_])))
    assert event.model_dump(mode="json", exclude_unset=True) == generate.example(WITH_BODY[type_])


@pytest.mark.parametrize("type_", WITH_BODY)
def test_an_example_without_a_required_field_is_refused(type_: str) -> None:
    """Says that the schema and the class agree on what must be there."""
    schema = generate.schema(WITH_BODY[type_])
    for name in schema.get("required", ()):
        less = {field: value for field, value in generate.example(WITH_BODY[type_]).items() if field != name}
        assert not Draft202012Validator(schema).is_valid(less)
        with pytest.raises(ValueError, match=name):
            WITH_BODY[type_].model_validate(less)


def test_a_reader_skips_fields_it_does_not_know() -> None:
    for event in WITH_BODY.values():
        event.model_validate(generate.example(event) | {"added_by_a_later_minor": 1})


def fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        yield f"{path}{name}", field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{path}{name}.")


def faults_of_a_thin_event(event: type[Event]) -> list[str]:
    return [
        path for path, field in fields(event) if is_personal(field) or PERSONAL_NAMES.search(path.rsplit(".", 1)[-1])
    ]


@pytest.mark.parametrize("type_", [t for t, e in EVENTS.items() if e.TOPIC and not e.TOPIC.compacted])
def test_thin_topics_carry_nothing_personal(type_: str) -> None:
    assert faults_of_a_thin_event(EVENTS[type_]) == []


def test_the_rule_for_thin_topics_sees_a_personal_field() -> None:
    class Card(BaseModel):
        phone_number: str

    class Told(Event):
        card: Card
        reason: str

    assert faults_of_a_thin_event(Told) == ["card.phone_number"]


@pytest.mark.parametrize("type_", [t for t, e in EVENTS.items() if e.TOPIC and not e.TOPIC.restricted])
def test_only_restricted_topics_carry_fields_marked_personal(type_: str) -> None:
    assert [path for path, field in fields(EVENTS[type_]) if is_personal(field)] == []


@pytest.mark.parametrize("type_", [t for t, e in EVENTS.items() if e.TOPIC and e.TOPIC.restricted])
def test_personal_fields_have_a_default_to_fall_back_to(type_: str) -> None:
    """An erasure resets them; a field without a default could not be redacted."""
    assert [path for path, field in fields(EVENTS[type_]) if is_personal(field) and field.is_required()] == []


def test_cards_mark_what_says_who_somebody_is() -> None:
    for type_ in ("registration.PatientRegistered.v1", "grievance.ContactRecorded.v1"):
        marked = {path for path, field in fields(EVENTS[type_]) if is_personal(field)}
        named = {path for path, _ in fields(EVENTS[type_]) if PERSONAL_NAMES.search(path.rsplit(".", 1)[-1])}
        assert named <= marked


def test_examples_use_reserved_values_only() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in generate.EXAMPLES.glob("*.json"))
    assert all(number.startswith("+915550") for number in re.findall(r"\+91\d+", text))
    assert all(found.endswith((".example", "@sbx")) for found in re.findall(r"[\w.\-]+@[\w.\-]*[a-z]", text))
    assert all(hip.startswith("IN99") for hip in re.findall(r"IN\d{10}", text))
    assert all(abha.startswith("00") for abha in re.findall(r'"abha_number": "(\d+)"', text))
