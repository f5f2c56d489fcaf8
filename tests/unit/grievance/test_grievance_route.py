"""Who answers: up the referrals, never the accused, and the state's cell where nobody stands above."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.grievance.directory import Directory
from services.grievance.domain.route import next_office

CELL = "LA-STATE-CELL"
CODES = [f"XX-{letter}" for letter in "ABCDEF"]


class Cards:
    """A directory of so many facilities, by who refers to whom."""

    def __init__(self, refers_to: dict[str, str | None]) -> None:
        self._refers_to = refers_to

    async def get(self, key: str) -> dict[str, object] | None:
        if key not in self._refers_to:
            return None
        return {
            "code": key,
            "hip_id": "IN9900000001",
            "name": key,
            "level": "CHC",
            "state_lgd": 37,
            "district_lgd": 9,
            "latitude": 34.1,
            "longitude": 77.5,
            "altitude_m": 3500,
            "beds": 6,
            "refers_to": self._refers_to[key],
        }

    async def any(self) -> bool:
        return bool(self._refers_to)

    async def every(self) -> list[dict[str, object]]:
        return [card for code in self._refers_to if (card := await self.get(code)) is not None]


def test_the_one_above_answers() -> None:
    assert next_office(("XX-A",), (), ["XX-B", "XX-C"], CELL) == "XX-B"


def test_after_the_highest_the_states_cell() -> None:
    assert next_office(("XX-A",), ("XX-B",), [], CELL) == CELL
    assert next_office(("XX-A",), (), [], CELL) == CELL
    assert next_office(("XX-A",), ("XX-B", CELL), [], CELL) == CELL


@given(
    refers_to=st.dictionaries(st.sampled_from(CODES), st.sampled_from([*CODES, None, "XX-GONE"]), min_size=1),
    steps=st.integers(0, 12),
)
async def test_whatever_the_directory_says_the_accused_never_answers(
    refers_to: dict[str, str | None], steps: int
) -> None:
    directory = Directory(Cards(refers_to))
    about, other = next(iter(refers_to)), list(refers_to)[-1]
    offices = [next_office((about, other), (), await directory.above(about), CELL)]
    for _ in range(steps):
        up = next_office((about, other), offices, await directory.above(offices[-1]), CELL)
        assert up == CELL or up not in offices
        offices.append(up)
    assert not {about, other} & set(offices)


async def test_a_directory_without_facilities_is_not_ready() -> None:
    assert await Directory(Cards({})).missing() == "no facility is known yet"
    assert await Directory(Cards({"XX-A": None})).missing() is None
