"""A record, what it was merged into, and all that is part of that: one person."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.one_person import FOLLOWED, MOST, lives_on, one_person


async def person_of(record: str, merges: Mapping[str, str]) -> tuple[str, ...]:
    async def into(one: str) -> str | None:
        return merges.get(one)

    async def parts(whole: str) -> list[str]:
        return [one for one, of in merges.items() if of == whole]

    return await one_person(record, into, parts)


async def test_whichever_record_is_asked_for_it_is_the_same_person_and_the_one_that_lives_on_comes_first() -> None:
    merges = {"oldest": "middle", "middle": "living", "other": "living"}
    for record in ("oldest", "middle", "living", "other"):
        found = await person_of(record, merges)
        assert found[0] == "living"
        assert sorted(found) == ["living", "middle", "oldest", "other"]
    assert await person_of("nobody", merges) == ("nobody",)


@pytest.mark.parametrize("merges", [{"a": "b", "b": "a"}, {"a": "a"}])
async def test_a_ring_ends_and_the_record_asked_for_is_in_it(merges: dict[str, str]) -> None:
    assert "a" in await person_of("a", merges)


async def test_a_chain_is_followed_so_far_and_a_crowd_is_not_one_person() -> None:
    chain = {f"r{n}": f"r{n + 1}" for n in range(FOLLOWED * 2)}

    async def into(one: str) -> str | None:
        return chain.get(one)

    assert await lives_on("r0", into) == f"r{FOLLOWED}"
    crowd = {f"r{n}": f"r{n + 1}" for n in range(MOST * 3)}
    assert len(await person_of(f"r{MOST * 3}", crowd)) == MOST


async def test_the_oldest_id_of_many_merges_in_a_row_still_resolves() -> None:
    async def into(one: str) -> str | None:
        return f"r{int(one[1:]) + 1}" if int(one[1:]) < 40 else None

    assert await lives_on("r0", into) == "r40"


@given(st.dictionaries(st.integers(1, 9), st.integers(0, 8)), st.integers(0, 9))
async def test_nobody_is_twice_in_it(merges: dict[int, int], record: int) -> None:
    found = await person_of(str(record), {str(one): str(into) for one, into in merges.items()})
    assert str(record) in found
    assert len(set(found)) == len(found)
