"""What integration tests stand on: a real broker and store, the stand-ins, and services in the test's own loop."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from deploy.local import store
from deploy.local.testing import Served, TestStack, empty_topics, serving
from libs.common.topics import public_topics

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
    """A prefix for databases of this test's own. A store of yours is left as it was; ours goes as a whole at the end,
    and the development store deletes one entry after the other, which takes it longer than the tests."""
    prefix = f"test_{secrets.token_hex(4)}_"
    yield prefix
    if os.environ.get("MONGODB_URI"):
        store.drop(stack.mongodb_uri, prefix)


@pytest.fixture
async def topics(stack: TestStack) -> list[str]:
    """Every topic, empty, and no consumer group's offsets: nothing of an earlier test is handled in this one.

    On a broker of yours (`KAFKA_BOOTSTRAP`) nothing is deleted: what is there may be yours.
    """
    if os.environ.get("KAFKA_BOOTSTRAP"):
        return [topic.name for topic in public_topics()]
    return await empty_topics(stack.kafka_bootstrap)


@pytest.fixture
def serve(stack: TestStack, prefix: str, topics: list[str]) -> Serve:
    """`async with serve("referral", SWEEP_SECONDS="0.1") as served:` a service in this loop, ready to be called.

    Names in capitals are settings.
    """

    def start(service: str, **settings: str) -> AbstractAsyncContextManager[Served]:
        return serving(stack.settings(service, **{"DATABASE_PREFIX": prefix, **settings}), service)

    return start
