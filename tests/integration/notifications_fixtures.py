"""One notifications service for a whole file of tests, with the others' events and the stand-ins' inboxes around it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from notifications_post import HERE, THERE, Inboxes, Messages, Others, facility, others

from deploy.local.testing import Served, TestStack, serving

QUICK = {
    "SWEEP_SECONDS": "0.1",
    "SMS_CONNECT_SECONDS": "0.5",
    "SMS_ANSWER_SECONDS": "0.5",
    "SMTP_SECONDS": "1.5",
    "WEBHOOK_SECONDS": "1",
    "CATCH_UP_SECONDS": "0.5",
    "LEASE_ATTEMPT_SECONDS": "2",
    "ASK_AFTER_SECONDS": "0.2",
    "RETRY_BASE_SECONDS": "0.1",
}


@pytest.fixture(scope="module")
async def served(stack: TestStack) -> AsyncIterator[Served]:
    """One service for the whole file, so that it starts once."""
    async with (
        stack.untouched() as prefix,
        serving(stack.settings("notifications", DATABASE_PREFIX=prefix, **QUICK), "notifications") as served,
    ):
        async with others(stack) as world:
            for code in (HERE, THERE):
                await world.publish(facility(code), code)
        yield served


@pytest.fixture
async def world(stack: TestStack, served: Served) -> AsyncIterator[Others]:
    async with others(stack) as world:
        yield world


@pytest.fixture
async def inboxes(stack: TestStack) -> AsyncIterator[Inboxes]:
    inboxes = Inboxes(stack)
    await inboxes.lift()
    yield inboxes
    await inboxes.lift()
    await inboxes.gateway.aclose()


@pytest.fixture
def messages(served: Served) -> Messages:
    return Messages(served.service.database)
