"""What this process appended goes to its relay as it was written, and is not read from the store again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from libs.common.mongo import Document

HELD = 5_000
"""Entries that wait at most, while Kafka is away, say: a collection that goes beyond is let go of, and read later."""

REMEMBERED = 20_000
"""Aggregates of which it is known how far they were sent."""


class Appended(NamedTuple):
    """`entries` of a document that said, when it was read in that `generation`, that `published` were sent."""

    generation: int
    published: int
    entries: Sequence[Document]


class Outlet(Protocol):
    """Who is told of what was written."""

    @property
    def generation(self) -> int:
        """To be asked before the document is read."""

    def tell(self, collection: str, id: str, appended: Appended | None) -> None:
        """None: what is pending there is to be read."""


class Nowhere:
    """What is written is found by whoever looks for it."""

    generation = 0

    def tell(self, collection: str, id: str, appended: Appended | None) -> None:
        return None


class Handover:
    """Entries that are on no topic yet, by aggregate, each list without a gap after what was sent before it.

    It is worth something only as long as nobody else sends and nothing fails: whoever loses the lease, or a send,
    clears it and reads. What it does not hold or cannot vouch for is read: nothing is lost by letting go.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, list[Document]]] = defaultdict(dict)
        self._count = 0
        self._to_read: set[str] = set()
        self._gone: dict[tuple[str, str], int] = {}
        self.generation = 0
        """Counts up whenever it forgets what was sent: what was read before says nothing of what may follow upon it."""

    def add(self, collection: str, id: str, appended: Appended) -> None:
        if collection in self._to_read:
            return
        if appended.generation != self.generation:
            # Somebody may have found these by now, and sent them.
            self.read(collection)
            return
        waiting = self._waiting[collection].get(id)
        before = waiting[-1]["sequence"] if waiting else max(appended.published, self._gone.get((collection, id), 0))
        public = [entry for entry in appended.entries if entry.get("sequence", 0) > before]
        if not public:
            return
        if public[0]["sequence"] != before + 1 or self._count >= HELD:
            self.read(collection)
        elif waiting:
            waiting.extend(public)
            self._count += len(public)
        else:
            self._waiting[collection][id] = public
            self._count += len(public)

    def read(self, collection: str) -> None:
        """What is pending there is to be read."""
        self._count -= sum(map(len, self._waiting.pop(collection, {}).values()))
        self._to_read.add(collection)

    def take(self, collection: str) -> dict[str, list[Document]] | None:
        """What waits, by id, to be sent before anything else is; None if it is to be read, with whatever is pending."""
        if collection in self._to_read:
            self._to_read.remove(collection)
            return None
        taken = self._waiting.pop(collection, {})
        self._count -= sum(map(len, taken.values()))
        for id, entries in taken.items():
            self.goes(collection, id, entries[-1]["sequence"])
        return taken

    def goes(self, collection: str, id: str, last: int) -> None:
        """Everything of that aggregate to sequence `last` is sent before anything else is."""
        if len(self._gone) >= REMEMBERED:
            self._forget()
        self._gone[collection, id] = last
        waiting = self._waiting[collection].get(id)
        if waiting and waiting[0]["sequence"] <= last:
            # A read was quicker than the answer to the write.
            left = [entry for entry in waiting if entry["sequence"] > last]
            self._count -= len(waiting) - len(left)
            if left:
                self._waiting[collection][id] = left
            else:
                del self._waiting[collection][id]

    def clear(self) -> None:
        """Somebody else may have sent meanwhile, or what was to be sent was not."""
        self._waiting.clear()
        self._to_read.clear()
        self._count = 0
        self._forget()

    def _forget(self) -> None:
        self._gone.clear()
        self.generation += 1
