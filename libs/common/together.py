"""What several ask of the store at the same time is asked in one command."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from libs.common.mongo import STORE_AWAY

Q = TypeVar("Q")
A = TypeVar("A")

AT_MOST = 500
"""Questions in one command."""


class Together(Generic[Q, A]):
    """One command under way per collection; what is asked meanwhile goes with the next.

    `ask` gets a collection and questions, and gives an answer or an error for each, in their order.
    """

    def __init__(self, ask: Callable[[str, list[Q]], Awaitable[Sequence[A | Exception]]]) -> None:
        self._ask = ask
        self._waiting: dict[str, list[tuple[Q, asyncio.Future[A]]]] = defaultdict(list)
        self._asking: dict[str, asyncio.Task[None]] = {}

    def one(self, collection: str, question: Q) -> asyncio.Future[A]:
        """The answer to this one: its error, too, and whatever the store raises."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting[collection].append((question, answer))
        if collection not in self._asking:
            # A task of its own: a caller who goes away must not take the others' answers along.
            self._asking[collection] = asyncio.create_task(self._ask_on(collection))
        return answer

    async def _ask_on(self, collection: str) -> None:
        try:
            while waiting := self._waiting[collection][:AT_MOST]:
                del self._waiting[collection][:AT_MOST]
                await self._ask_together(collection, waiting)
        finally:
            del self._asking[collection]

    async def _ask_together(self, collection: str, waiting: list[tuple[Q, asyncio.Future[A]]]) -> None:
        answers: Sequence[A | Exception]
        try:
            answers = await self._ask(collection, [question for question, _ in waiting])
            if len(answers) != len(waiting):
                raise RuntimeError(f"{len(answers)} answers to {len(waiting)} questions")
        except asyncio.CancelledError:
            for _, future in waiting + self._waiting.pop(collection, []):
                future.cancel()
            raise
        except Exception as error:
            if len(waiting) > 1 and not isinstance(error, STORE_AWAY):
                # A document too large to be written, say, is no reason to refuse those that came with it.
                for each in waiting:
                    await self._ask_together(collection, [each])
                return
            answers = [error] * len(waiting)
        for (_, future), answer in zip(waiting, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
