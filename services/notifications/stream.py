"""Events in: told on as the routing says, and forgotten where a person was erased."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from libs.common import background
from libs.common.logs import logger
from libs.common.mongo import STORE_AWAY
from libs.common.records import Received
from libs.common.replica import Replica
from libs.contracts.registration import CodeRequested, PatientMerged, PatientRegistered, RecordOpened
from services.notifications import deaths, sends, usecases
from services.notifications.post import Post

log = logger("stream")

SECOND_LOOK_SECONDS = 5.0
"""A message rendered from a card that was read just before it was erased is written well within this."""


def reaction(post: Post, merged: Callable[[], None] = lambda: None) -> Callable[[Received], Awaitable[None]]:
    """Because this happened, tell whom it concerns."""

    async def told(received: Received) -> None:
        if received.type not in post.routing.events:
            return
        event = received.event
        if isinstance(event, PatientMerged):
            merged()
        await deaths.heard(post, received)
        carries = isinstance(event, PatientRegistered | CodeRequested | RecordOpened)
        card = event.model_dump(mode="json")["card"] if carries else None
        plans = usecases.plans(post.routing, received.id, event, received.occurred_at, received.key)
        await asyncio.gather(*(usecases.tell(post, plan, received.cause(), card) for plan in plans))

    return told


class Erasures:
    """Who was erased is forgotten here: first the card, so that nothing new is rendered from it, then every text."""

    def __init__(self, post: Post, *, second_look: float = SECOND_LOOK_SECONDS) -> None:
        self._post = post
        self._second_look = second_look
        self._tasks: set[asyncio.Task[None]] = set()

    def reaction(
        self, kind: str, cards: Replica, otherwise: Callable[[Received], Awaitable[None]]
    ) -> Callable[[Received], Awaitable[None]]:
        async def told(received: Received) -> None:
            if not received.event.TOMBSTONE:
                await otherwise(received)
                return
            await cards.apply([received])
            recipient = f"{kind}:{received.key}"
            await self._forget(recipient)
            task = asyncio.create_task(self._look_again(recipient))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return told

    async def _forget(self, recipient: str) -> None:
        await usecases.forget(self._post, recipient)
        await sends.forget(self._post, recipient)

    async def _look_again(self, recipient: str) -> None:
        await asyncio.sleep(self._second_look)
        try:
            await self._forget(recipient)
        except Exception:
            log.error("second look after an erasure failed", exc_info=True)

    async def stop(self) -> None:
        await asyncio.gather(*(background.end(task) for task in self._tasks))


def cards_changed(kind: str, post: Callable[[], Post]) -> Callable[[list[str]], Awaitable[None]]:
    """New cards: what waits for them goes on. Trouble with one message is not the cards'; the sweep comes back."""

    async def changed(keys: list[str]) -> None:
        try:
            await usecases.cards_came(post(), kind, keys)
        except STORE_AWAY:
            raise
        except Exception:
            log.error("waiting messages not completed", exc_info=True, extra={"kind": kind})

    return changed
