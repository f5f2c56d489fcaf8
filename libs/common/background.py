"""Tasks that run beside the requests."""

from __future__ import annotations

import asyncio
from typing import Any


async def end(task: asyncio.Task[Any] | None) -> None:
    """Cancels a task and waits until it has gone. What it failed with before is its own log's matter."""
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
