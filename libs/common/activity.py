"""What passes through this process, by event type: for people who look at the service's page. No personal data."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator

from libs.common.clock import machine_now
from libs.common.records import iso

LONGEST_QUEUE = 1000


class Activity:
    """Tells every listener of each event published or handled; who is slow misses some rather than hold it all."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._listeners: set[asyncio.Queue[str]] = set()

    def tell(self, direction: str, type_: str) -> None:
        """`direction` is `published` or `handled`."""
        self.counts[direction, type_] += 1
        if not self._listeners:
            return
        text = json.dumps(
            {"direction": direction, "type": type_, "count": self.counts[direction, type_], "at": iso(machine_now())}
        )
        for queue in self._listeners:
            if queue.qsize() < LONGEST_QUEUE:
                queue.put_nowait(text)

    async def stream(self) -> AsyncIterator[dict[str, str]]:
        """Server-sent events: the counts so far, then one per event."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            for (direction, type_), count in self.counts.items():
                yield {"data": json.dumps({"direction": direction, "type": type_, "count": count, "at": None})}
            while True:
                yield {"data": await queue.get()}
        finally:
            self._listeners.discard(queue)
