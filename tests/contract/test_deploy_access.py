"""Rights on the broker: exactly what the services' own code needs, and nothing beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deploy.kafka.access import CREATE, DESCRIBE, GROUP, PREFIXED, READ, TOPIC, WRITE, Right, read_table, rights
from tests.contract.deployment import ROOT, SERVICES, composed

TABLE = read_table()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_principal_may_write_what_its_service_publishes(service: str, tmp_path: Path) -> None:
    published = {kind.topic.name for kind in composed(service, tmp_path).kinds if kind.topic is not None}
    assert set(TABLE["services"][service]["writes"]) == published


@pytest.mark.parametrize("service", SERVICES)
async def test_a_principal_may_read_what_its_service_subscribes_to(service: str, tmp_path: Path) -> None:
    subscriptions = composed(service, tmp_path).listener.subscriptions
    assert set(TABLE["services"][service]["reads"]) == {subscription.topic.name for subscription in subscriptions}
    groups = {r.name for r in rights(TABLE, ["services"]) if r.resource == GROUP and r.principal == service}
    assert all(any(subscription.group.startswith(name) for name in groups) for subscription in subscriptions)


def test_no_topic_has_two_writers() -> None:
    writes = [(r.name, r.principal) for r in rights(TABLE, ["services", "topics", "day"]) if r.operation == WRITE]
    assert len({name for name, _ in writes}) == len(writes)


def test_readers_are_those_of_the_contracts() -> None:
    readers = yaml.safe_load((ROOT / "libs" / "contracts" / "readers.yaml").read_text())
    given = {topic: sorted(s for s, row in TABLE["services"].items() if topic in row["reads"]) for topic in readers}
    assert given == {topic: sorted(names) for topic, names in readers.items()}


def test_groups_of_two_services_cannot_meet() -> None:
    prefixes = [right.name for right in rights(TABLE, ["services"]) if right.resource == GROUP]
    assert len(prefixes) == len(SERVICES)
    assert all(name.endswith(".") for name in prefixes)


def test_outside_development_nobody_watches_everything() -> None:
    everything = {topic for row in TABLE["services"].values() for topic in row["writes"]}
    for service in SERVICES:
        read = {r.name for r in rights(TABLE, ["services"]) if r.principal == service and r.operation == READ}
        assert not everything <= read or service == "notifications"
    assert {right.operation for right in rights(TABLE, ["topics"])} == {CREATE, DESCRIBE}
    assert WRITE not in {right.operation for right in rights(TABLE, ["day"])}


def test_what_a_right_looks_like() -> None:
    granted = rights(TABLE, ["services"])
    assert Right("grievance", TOPIC, "registration.patient.v1", 3, READ) not in granted
    assert Right("grievance", GROUP, "hillhealth.grievance.", PREFIXED, READ) in granted
