"""The board in the hall: which number is called where. Numbers only, never a name, an id or a door.

One look at the store per facility and second serves every screen, whichever replica did the calling.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from libs.common import background
from libs.common.clock import Clock
from libs.common.logs import logger
from libs.common.mongo import STORE_AWAY
from services.registration.domain.queue import desk_day
from services.registration.opd_store import OpdStore

log = logger("board")

EVERY_SECONDS = 1.0
NEXT_SHOWN = 5
MOST_SCREENS = 200
"""Screens of one facility that are served at a time."""


async def board(store: OpdStore, clock: Clock, facility: str) -> dict[str, Any]:
    """Each counter: what it is called, the number called last, who is next, how many wait."""
    date = desk_day(clock.now())
    opd, visits = await asyncio.gather(store.opd(facility), store.of_day(facility, date))
    counters = opd.counters if opd else {}
    names = sorted({*counters, *(visit["counter"] for visit in visits)})
    shown = []
    for name in names:
        own = [visit for visit in visits if visit["counter"] == name]
        called = [visit for visit in own if visit.get("status") == "called"]
        waiting = sorted(
            (visit for visit in own if visit.get("status", "waiting") == "waiting"),
            key=lambda visit: (not visit.get("urgent", False), visit["number"]),
        )
        now = max(called, key=lambda visit: (visit["called_at"], visit["number"]), default=None)
        shown.append(
            {
                "counter": name,
                "label": counters[name].label if name in counters else name,
                "status": counters[name].status if name in counters else "open",
                "now": now["number"] if now else None,
                "called": sorted(visit["number"] for visit in called),
                "next": [visit["number"] for visit in waiting[:NEXT_SHOWN]],
                "waiting": len(waiting),
            }
        )
    return {"facility": facility, "date": date.isoformat(), "counters": shown}


class Boards:
    """Follows each facility that somebody looks at, and nothing else."""

    def __init__(self, store: OpdStore, clock: Clock, every: float = EVERY_SECONDS) -> None:
        self._store = store
        self._clock = clock
        self._every = every
        self._screens: dict[str, set[asyncio.Queue[str]]] = {}
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._stopped = False

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.gather(*(background.end(task) for task in self._followers.values()))
        for screens in self._screens.values():
            for queue in screens:
                queue.put_nowait("")

    def full(self, facility: str) -> bool:
        return len(self._screens.get(facility, ())) >= MOST_SCREENS

    async def stream(self, facility: str) -> AsyncIterator[dict[str, str]]:
        """The board now, and again at every change."""
        screens = self._screens.setdefault(facility, set())
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=16)
        screens.add(queue)
        if facility not in self._followers:
            self._followers[facility] = asyncio.create_task(self._follow(facility, lambda: bool(screens)))
        try:
            now = json.dumps(await board(self._store, self._clock, facility))
            yield {"event": "board", "data": now}
            while text := await queue.get():
                if text != now:
                    now = text
                    yield {"event": "board", "data": text}
        finally:
            screens.discard(queue)

    async def _follow(self, facility: str, watched: Callable[[], bool]) -> None:
        last = ""
        try:
            while watched():
                try:
                    text = json.dumps(await board(self._store, self._clock, facility))
                except STORE_AWAY:
                    log.warning("store away")
                    text = last
                if text != last:
                    last = text
                    for queue in self._screens[facility]:
                        if queue.full():
                            queue.get_nowait()
                        queue.put_nowait(text)
                await asyncio.sleep(self._every)
        finally:
            self._followers.pop(facility, None)
            if not self._screens.get(facility) and not self._stopped:
                self._screens.pop(facility, None)
