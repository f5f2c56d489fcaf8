"""Waiting for rest goes on while a broker that has just come back loads its groups."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
from aiokafka.errors import GroupLoadInProgressError

from tools.checking import settle


class Broker:
    """Stands for the consumer and the admin client; says that it loads its groups as often as `loading`."""

    def __init__(self, loading: int) -> None:
        self.loading, self.asked = loading, 0

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def close(self) -> None: ...

    async def list_consumer_groups(self) -> list[Any]:
        self.asked += 1
        if self.asked <= self.loading:
            raise GroupLoadInProgressError
        return []


def _store_at_rest() -> Any:
    client = MagicMock()
    collection = client.__getitem__.return_value.__getitem__.return_value
    collection.find_one.return_value = None
    collection.find.return_value = []
    return client


async def _settle(monkeypatch: pytest.MonkeyPatch, broker: Broker, timeout: float, told: list[str]) -> None:
    async def no_partitions(bootstrap: str, prefix: str) -> list[Any]:
        return []

    monkeypatch.setattr(settle, "AIOKafkaConsumer", lambda **_: broker)
    monkeypatch.setattr(settle, "AIOKafkaAdminClient", lambda **_: broker)
    monkeypatch.setattr(settle, "partitions_of", no_partitions)
    monkeypatch.setattr(settle, "EVERY", 0.0)
    await settle.wait_until_settled(_store_at_rest(), "nowhere:1", settle.Names(), timeout, told.append)


async def test_a_broker_that_loads_its_groups_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, told = Broker(2), list[str]()
    await _settle(monkeypatch, broker, 10, told)
    assert broker.asked == 4
    assert told == ["the broker says GroupLoadInProgressError"]


async def test_a_broker_that_never_comes_back_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(settle.Unsettled, match="GroupLoadInProgressError"):
        await _settle(monkeypatch, Broker(10**9), 0.0, [])
