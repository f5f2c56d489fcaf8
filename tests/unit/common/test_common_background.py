"""A task beside the requests ends, and what it failed with stands in nobody's way."""

from __future__ import annotations

import asyncio

import pytest

from libs.common import background


async def test_one_that_runs_and_one_that_failed_are_ended_alike() -> None:
    async def fail() -> None:
        raise RuntimeError("long ago")

    running, failed = asyncio.create_task(asyncio.sleep(60)), asyncio.create_task(fail())
    await asyncio.sleep(0)
    for task in (running, failed, None):
        await background.end(task)
    assert running.cancelled()
    with pytest.raises(RuntimeError):
        failed.result()
