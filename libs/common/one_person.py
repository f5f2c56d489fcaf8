"""Which records are one person: a record, what it lives on in, and what else is part of that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

FOLLOWED = 100
"""Merges in a row that are followed: an old id resolves for ever, and a ring ends."""
MOST = 100
"""Records of one person that are looked at: more are nobody, and a loop ends."""

Into = Callable[[str], Awaitable[str | None]]
"""What a record was merged into, None where it stands by itself."""
Parts = Callable[[str], Awaitable[Iterable[str]]]
"""What was merged into a record, not what was merged into that."""


async def lives_on(record: str, into: Into) -> str:
    """The record that this one stands for now: itself, or what it was merged into."""
    seen = {record}
    for _ in range(FOLLOWED):
        following = await into(record)
        if not following or following in seen:
            break
        record = following
        seen.add(record)
    return record


async def one_person(record: str, into: Into, parts: Parts) -> tuple[str, ...]:
    """Ids of the records of one person: the one that lives on first, `record` itself always among them."""
    ids = dict.fromkeys([await lives_on(record, into)])
    left = list(ids)
    while left and len(ids) < MOST:
        new = [part for part in await parts(left.pop()) if part not in ids]
        ids |= dict.fromkeys(new)
        left += new
    return tuple(ids | {record: None})
