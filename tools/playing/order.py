"""Lines side by side: started in the file's order, and within a journey one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def in_order(items: Iterable[tuple[Hashable, T]], act: Callable[[T], Awaitable[None]], side_by_side: int) -> None:
    """Calls `act` for each (journey, item), at most `side_by_side` at a time.

    Nothing starts before everything earlier in the file has started, nor before its own journey's last item has
    ended. The first exception of `act` ends it all and is raised.
    """
    places = asyncio.Semaphore(side_by_side)
    last: dict[Hashable, asyncio.Task[None]] = {}

    async def one(item: T) -> None:
        try:
            await act(item)
        finally:
            places.release()

    async with asyncio.TaskGroup() as group:
        for journey, item in items:
            await places.acquire()
            if journey in last:
                await asyncio.wait([last[journey]])
            last[journey] = group.create_task(one(item))
