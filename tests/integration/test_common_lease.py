"""A lease whose time ran out is held on to only if nobody else had it in between."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from deploy.local.testing import TestStack
from libs.common.lease import Lease
from libs.common.mongo import Database, connect, open_database
from tests.waiting import eventually

SHORT = 0.2


@pytest.fixture
async def database(stack: TestStack, prefix: str) -> AsyncIterator[Database]:
    client = connect(stack.mongodb_uri)
    yield open_database(client, f"{prefix}registration")
    await client.close()


async def test_it_goes_on_when_nobody_came(database: Database) -> None:
    slow = Lease(database, "relay", SHORT)
    assert await slow.acquire()
    await eventually(lambda: not slow.held)
    assert await slow.resume()
    assert slow.held
    assert not await Lease(database, "relay", SHORT).acquire()


async def test_it_is_lost_to_whoever_took_it_and_also_after_that_one_gave_it_up(database: Database) -> None:
    slow, quick = Lease(database, "relay", SHORT), Lease(database, "relay", 30)
    assert await slow.acquire()
    await eventually(quick.acquire)
    assert not await slow.resume()
    assert not slow.held
    await quick.release()
    assert not await slow.resume()
