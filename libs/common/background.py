"""Tasks that run beside the requests."""

from __future__ import annotations

import asyncio
from typing import Any

ASKED_AGAIN = 0.5
"""Seconds."""


async def end(task: asyncio.Task[Any] | None) -> None:
    """Cancels a task and waits until it has gone. What it failed with before is its own log's matter.

    Asked again until it goes: a cancellation that comes just as what `asyncio.wait_for` waits for is done is lost
    (Python before 3.12, cpython issue 86296), and a process that waits for such a task never stops.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=ASKED_AGAIN)
