"""Several at the same time, each to its end whatever becomes of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def gathered(*jobs: Awaitable[T], at_once: int | None = None) -> list[T]:
    """Awaits all, so many at the same time; the first error is raised when all are done."""
    gate = asyncio.Semaphore(at_once or max(1, len(jobs)))

    async def one(job: Awaitable[T]) -> T:
        async with gate:
            return await job

    results = await asyncio.gather(*map(one, jobs), return_exceptions=True)
    if failure := next((result for result in results if isinstance(result, BaseException)), None):
        raise failure
    return [result for result in results if not isinstance(result, BaseException)]
