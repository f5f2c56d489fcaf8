"""What integration tests stand on: a real broker and store, the stand-ins, and services in the test's own loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from deploy.local.testing import Served, TestStack, serving

Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestStack]:
    """Broker, store, topics and stand-ins on free ports, in a folder of this run's own.

    `MONGODB_URI` and `KAFKA_BOOTSTRAP` in the environment are used instead. No service runs: see `serve`.
    """
    stack = TestStack.make(tmp_path_factory.mktemp("stack"))
    try:
        stack.up_to_standins()
        yield stack
    finally:
        stack.down()


@pytest.fixture
def prefix(stack: TestStack) -> Iterator[str]:
    """A prefix for databases of this test's own."""
    with stack.own_databases() as prefix:
        yield prefix


@pytest.fixture
async def topics(stack: TestStack) -> list[str]:
    """Every topic, empty: nothing of an earlier test is handled in this one."""
    return await stack.empty_topics()


@pytest.fixture
def serve(stack: TestStack, prefix: str, topics: list[str]) -> Serve:
    """`async with serve("referral", SWEEP_SECONDS="0.1") as served:` a service in this loop, ready to be called.

    Names in capitals are settings.
    """

    def start(service: str, **settings: str) -> AbstractAsyncContextManager[Served]:
        return serving(stack.settings(service, **{"DATABASE_PREFIX": prefix, **settings}), service)

    return start
