"""`readers.yaml` says who reads which topic; the services' own subscriptions say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.contracts import generate
from tests.contract.deployment import SERVICES, composed


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_reads_what_the_list_says(service: str, tmp_path: Path) -> None:
    read = {subscription.topic.name for subscription in composed(service, tmp_path).listener.subscriptions}
    assert read == {topic for topic, readers in generate.readers().items() if service in readers}


def test_the_list_names_every_topic_and_only_services() -> None:
    topics = {event.TOPIC.name for event in generate.load_events().values() if event.TOPIC}
    assert set(generate.readers()) == topics
    assert {reader for readers in generate.readers().values() for reader in readers} <= set(SERVICES)
