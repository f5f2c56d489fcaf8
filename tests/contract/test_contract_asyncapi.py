"""The AsyncAPI document has the shape that AsyncAPI 3.0 asks for, as far as can be told offline."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from libs.common.records import encode
from libs.contracts import generate
from libs.contracts.asyncapi import HEADERS

REFERENCE = {"type": "object", "required": ["$ref"], "properties": {"$ref": {"type": "string"}}, "maxProperties": 1}
BINDINGS = {
    "type": "object",
    "properties": {"kafka": {"type": "object", "required": ["bindingVersion"]}},
    "additionalProperties": False,
}
EXTENSION = {"^x-": {}}
NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
SHAPE: dict[str, Any] = {
    "type": "object",
    "required": ["asyncapi", "info"],
    "additionalProperties": False,
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "defaultContentType": {"type": "string"},
        "info": {
            "type": "object",
            "required": ["title", "version"],
            "properties": {"license": {"type": "object", "required": ["name"]}},
        },
        "servers": {
            "additionalProperties": {"type": "object", "required": ["host", "protocol"]},
        },
        "channels": {
            "propertyNames": {"pattern": r"^[\w.\-]+$"},
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "patternProperties": EXTENSION,
                "properties": {
                    "address": {"type": ["string", "null"]},
                    "description": {"type": "string"},
                    "messages": {"type": "object", "minProperties": 1, "additionalProperties": REFERENCE},
                    "bindings": BINDINGS,
                },
            },
        },
        "operations": {
            "propertyNames": {"pattern": r"^[\w.\-]+$"},
            "additionalProperties": {
                "type": "object",
                "required": ["action", "channel"],
                "additionalProperties": False,
                "properties": {
                    "action": {"enum": ["send", "receive"]},
                    "channel": REFERENCE,
                    "summary": {"type": "string"},
                    "messages": {"type": "array", "items": REFERENCE},
                    "bindings": BINDINGS,
                },
            },
        },
        "components": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "schemas": {"type": "object"},
                "messages": {
                    "propertyNames": {"pattern": r"^[\w.\-]+$"},
                    "additionalProperties": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "name": {"type": "string"},
                            "title": {"type": "string"},
                            "summary": {"type": "string"},
                            "contentType": {"type": "string"},
                            "headers": REFERENCE,
                            "payload": REFERENCE,
                            "correlationId": {"required": ["location"]},
                            "bindings": BINDINGS,
                            "examples": {"type": "array", "items": {"type": "object"}},
                        },
                    },
                },
            },
        },
    },
}


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(generate.ASYNCAPI.read_text(encoding="utf-8"))
    return document


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield str(value)
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_shape(asyncapi: dict[str, Any]) -> None:
    faults = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(SHAPE).iter_errors(asyncapi)]
    assert faults == []


def test_every_reference_leads_somewhere(asyncapi: dict[str, Any]) -> None:
    for reference in references(asyncapi):
        if reference.startswith("#/"):
            found: Any = asyncapi
            for part in reference[2:].split("/"):
                assert part in found, reference
                found = found[part]
        else:
            assert (generate.ASYNCAPI.parent / reference).is_file(), reference


def test_an_operation_names_messages_of_its_own_channel(asyncapi: dict[str, Any]) -> None:
    for name, operation in asyncapi["operations"].items():
        channel = operation["channel"]["$ref"]
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{channel}/messages/"), name


def test_it_tells_of_every_topic_and_event(asyncapi: dict[str, Any]) -> None:
    events = generate.load_events()
    assert set(asyncapi["channels"]) == {event.TOPIC.name for event in events.values() if event.TOPIC}
    assert set(asyncapi["components"]["messages"]) == set(events)
    for event in events.values():
        assert event.TOPIC is not None
        channel = asyncapi["channels"][event.TOPIC.name]
        assert event.__name__ in channel["messages"]
        assert channel["x-compacted"] is event.TOPIC.compacted
        assert channel["x-restricted"] is event.TOPIC.restricted


def test_each_topic_has_one_publisher_and_the_readers_of_the_list(asyncapi: dict[str, Any]) -> None:
    for topic in asyncapi["channels"]:
        operations = {
            name: operation["action"]
            for name, operation in asyncapi["operations"].items()
            if operation["channel"]["$ref"] == f"#/channels/{topic}"
        }
        senders = [name for name, action in operations.items() if action == "send"]
        assert senders == [f"{topic.split('.')[0]}.publishes.{topic}"]
        read = sorted(name.split(".")[0] for name, action in operations.items() if action == "receive")
        assert read == sorted(generate.readers()[topic])


def test_headers_are_those_that_a_record_carries() -> None:
    record = encode(
        {
            "id": "e", "type": "referral.ReferralAccepted.v1", "sequence": 1, "cause": "c", "actor": "doctor@X",
            "occurred_at": NOON, "recorded_at": NOON, "traceparent": "00-0-0-00", "data": {},
        },
        "key",
        1,
    )  # fmt: skip
    assert {name for name, _ in record.headers} == set(HEADERS)
    for name, value in record.headers:
        pattern = HEADERS[name].get("pattern")
        assert pattern is None or re.fullmatch(pattern, value.decode())
