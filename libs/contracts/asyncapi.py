"""The AsyncAPI 3.0 document: every topic as a channel, every event as a message, who sends and who receives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.contracts.event import Event, Topic

HEADERS: dict[str, dict[str, Any]] = {
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_id": {"type": "string", "format": "uuid", "description": "The same in every repeat: count an event once by it"},
    "ce_type": {"type": "string", "description": "<service>.<Event>.v<major>"},
    "ce_source": {"type": "string", "description": "urn:hillhealth:<service>"},
    "ce_subject": {"type": "string", "description": "The aggregate's id, as in the record's key"},
    "ce_time": {"type": "string", "format": "date-time", "description": "When it happened at the desk (occurred_at)"},
    "ce_recordedat": {"type": "string", "format": "date-time", "description": "When the service wrote it down"},
    "ce_sequence": {
        "type": "string",
        "pattern": "^[0-9]+$",
        "description": "From 1, without gaps within a key: a gap is a loss",
    },
    "ce_epoch": {
        "type": "string",
        "pattern": "^[0-9]+$",
        "description": "Rises after a restore from backup; a higher epoch outranks any sequence",
    },
    "ce_cause": {"type": "string", "description": "The id of the request, event or timer step that led to it"},
    "ce_actor": {"type": "string", "description": "role@facility, `citizen`, or a service; never a person"},
    "content-type": {"type": "string", "const": "application/json"},
    "traceparent": {"type": "string", "description": "W3C trace context"},
}
OPTIONAL = frozenset({"traceparent"})


def document(
    events: Mapping[str, type[Event]],
    examples: Mapping[str, Any],
    described: Mapping[str, str],
    readers: Mapping[str, list[str]],
) -> dict[str, Any]:
    by_topic: dict[Topic, list[type[Event]]] = {}
    for event in events.values():
        assert event.TOPIC is not None
        by_topic.setdefault(event.TOPIC, []).append(event)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Hillhealth events",
            "version": "1.0.0",
            "description": (
                "CloudEvents 1.0 in the Kafka binary binding: attributes in record headers, the data alone in the "
                "value, the aggregate's id as the key. Delivery is at least once and in order within a key."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "variables": {"bootstrap": {"default": "127.0.0.1:9092", "description": "KAFKA_BOOTSTRAP"}},
            }
        },
        "channels": {topic.name: _channel(topic, of) for topic, of in by_topic.items()},
        "operations": _operations(by_topic, readers),
        "components": {
            "messages": {event.TYPE: _message(event, examples, described) for event in events.values()},
            "schemas": {
                "CloudEventsHeaders": {
                    "type": "object",
                    "required": [name for name in HEADERS if name not in OPTIONAL],
                    "properties": HEADERS,
                }
            },
        },
    }


def _channel(topic: Topic, events: list[type[Event]]) -> dict[str, Any]:
    notes = [
        "State-carrying and compacted: each event carries the whole card, a tombstone (no value) erases."
        if topic.compacted
        else "Thin: ids and codes, never a name, a number or free text about a person.",
    ]
    if topic.restricted:
        notes.append("Restricted: carries personal data; only those who need it may read.")
    return {
        "address": topic.name,
        "description": " ".join(notes),
        "messages": {event.__name__: {"$ref": f"#/components/messages/{event.TYPE}"} for event in events},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {"cleanup.policy": ["compact" if topic.compacted else "delete"]},
                "bindingVersion": "0.5.0",
            }
        },
        "x-compacted": topic.compacted,
        "x-restricted": topic.restricted,
    }


def _operations(by_topic: Mapping[Topic, list[type[Event]]], readers: Mapping[str, list[str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for topic, events in by_topic.items():
        messages = [{"$ref": f"#/channels/{topic.name}/messages/{event.__name__}"} for event in events]
        channel = {"$ref": f"#/channels/{topic.name}"}
        found[f"{topic.service}.publishes.{topic.name}"] = {
            "action": "send",
            "channel": channel,
            "summary": f"{topic.service} is the only publisher",
            "messages": messages,
        }
        for reader in readers.get(topic.name, ()):
            found[f"{reader}.reads.{topic.name}"] = {
                "action": "receive",
                "channel": channel,
                "messages": messages,
            }
    return found


def _message(event: type[Event], examples: Mapping[str, Any], described: Mapping[str, str]) -> dict[str, Any]:
    assert event.TOPIC is not None
    return {
        "name": event.TYPE,
        "title": event.__name__,
        "summary": described[event.TYPE],
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/CloudEventsHeaders"},
        "payload": {"$ref": f"./schemas/{event.TOPIC.name}/{event.__name__}.json"},
        "correlationId": {"location": "$message.header#/ce_cause"},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": "0.5.0"}},
        "examples": [{"name": event.__name__, "payload": examples[event.TYPE]}],
    }
