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


async def test_one_that_loses_its_cancellation_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "ASKED_AGAIN", 0.01)
    lost = 0

    async def turns() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if lost:
                    raise
                lost += 1

    task = asyncio.create_task(turns())
    await asyncio.sleep(0)
    await asyncio.wait_for(background.end(task), 10)
    assert (lost, task.cancelled()) == (1, True)
