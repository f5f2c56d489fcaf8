"""What is asked at the same time goes in one, and each asker gets an answer of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from libs.common.mongo import STORE_AWAY
from libs.common.together import AT_MOST, Together


class Store:
    """Doubles numbers; refuses 13, cannot take 99 at all, and is away while told so."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.reached = asyncio.Event()
        self.away = False

    async def ask(self, collection: str, questions: list[int]) -> Sequence[int | Exception]:
        self.asked.append(questions)
        self.reached.set()
        await asyncio.sleep(0)
        if self.away:
            raise STORE_AWAY[0]("away")
        if 99 in questions:
            raise ValueError("too large")
        return [KeyError(number) if number == 13 else number * 2 for number in questions]


async def _all(together: Together[int, int], numbers: Sequence[int]) -> list[int | BaseException]:
    return await asyncio.gather(*(together.one("c", number) for number in numbers), return_exceptions=True)


async def test_what_waits_while_one_is_under_way_goes_together_with_the_next() -> None:
    store = Store()
    together = Together(store.ask)
    first = together.one("c", 1)
    await store.reached.wait()
    assert await _all(together, [2, 3, 4]) == [4, 6, 8]
    assert await first == 2
    assert store.asked == [[1], [2, 3, 4]]


async def test_collections_do_not_wait_for_each_other() -> None:
    store = Store()
    together = Together(store.ask)
    assert await asyncio.gather(together.one("c", 1), together.one("d", 2)) == [2, 4]
    assert store.asked == [[1], [2]]


async def test_an_error_is_only_its_askers() -> None:
    one, refused, two = await _all(Together(Store().ask), [1, 13, 2])
    assert (one, two) == (2, 4)
    assert isinstance(refused, KeyError)


async def test_what_cannot_be_asked_does_not_take_the_others_along() -> None:
    store = Store()
    one, large, two = await _all(Together(store.ask), [1, 99, 2])
    assert (one, two) == (2, 4)
    assert isinstance(large, ValueError)


async def test_a_store_that_is_away_is_not_asked_once_for_each() -> None:
    store = Store()
    store.away = True
    together = Together(store.ask)
    assert all(isinstance(answer, STORE_AWAY) for answer in await _all(together, [1, 2, 3]))
    assert len(store.asked) == 1
    store.away = False
    assert await together.one("c", 1) == 2


async def test_whoever_goes_away_leaves_the_others_their_answers() -> None:
    together = Together(Store().ask)
    gone, stays = (together.one("c", number) for number in (1, 2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == 4
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await together.one("c", 3) == 6


async def test_a_command_has_no_more_questions_than_a_store_takes() -> None:
    store = Store()
    numbers = list(range(1000, 1000 + AT_MOST + 1))
    assert await _all(Together(store.ask), numbers) == [number * 2 for number in numbers]
    assert [len(asked) for asked in store.asked] == [AT_MOST, 1]


async def test_whoever_answers_too_few_leaves_nobody_waiting() -> None:
    async def ask(collection: str, questions: list[int]) -> Sequence[int | Exception]:
        return questions[:-1]

    together: Together[int, int] = Together(ask)
    async with asyncio.timeout(5):
        assert all(isinstance(answer, RuntimeError) for answer in await _all(together, [1, 2, 3]))
