"""How common each value is: agreeing on a rare name is worth more than agreeing on a common one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from services.registration.domain.matching.compare import (
    DWELLING,
    FAMILY,
    GIVEN,
    GUARDIAN,
    LOCALITY,
    PHONE,
    Side,
)
from services.registration.domain.matching.names import ENDINGS
from services.registration.domain.matching.person import Person
from services.registration.domain.matching.sounds import sound

NAMES = frozenset({GIVEN, FAMILY, GUARDIAN})
FEWEST = 20
"""Records below which nothing can be counted."""
COMMON = 6.0
"""How much commoner an ending like Devi is taken to be than other names, where nothing was counted."""
RAREST = 0.5
"""How often a value that was seen in one record only is taken to be met among as many other records."""


@dataclass
class Counts:
    """Of one field: how many records have each value, and each sound."""

    records: int = 0
    values: Counter[str] = field(default_factory=Counter)
    sounds: Counter[str] = field(default_factory=Counter)
    alike: float = 0.0
    """How often two strangers have the same value."""
    alike_sounding: float = 0.0

    def add(self, values: Sequence[str], sounding: bool) -> None:
        self.records += 1
        self.values.update(values)
        if sounding:
            self.sounds.update({sound(value) for value in values})

    def settle(self, own: int) -> None:
        """`own` records of each person are of the pair itself that is weighed, and no sign of others."""
        self.alike = _alike(self.values, self.records, own)
        self.alike_sounding = _alike(self.sounds, self.records, own)


def _alike(counts: Counter[str], records: int, own: int) -> float:
    """Chance that two strangers have the same value, from how often each is met beyond the pair's own records."""
    if records <= own:
        return 0.001
    spread = sum(count * (max(count - own, 0) + min(RAREST, 0.01 * own)) for count in counts.values())
    return min(max(spread / (records * records), 1e-7), 0.9)


class Frequencies:
    """Term frequencies of a population. `own`: how many of the records counted belong to the pair that is weighed."""

    def __init__(self, own: int = 2) -> None:
        self._own = own
        self._counts: dict[int, Counts] = {}
        self._bonuses: dict[tuple[int, Side], float] = {}
        self._years: Counter[int] = Counter()

    def count(self, people: Iterable[Person], kinds: Sequence[str] = ()) -> Frequencies:
        for person in people:
            self.add(person, kinds)
        return self.settle()

    def add(self, person: Person, kinds: Sequence[str] = ()) -> None:
        """Counts one more; what is asked for is right again after `settle`."""
        self._add(GIVEN, [word.text for word in person.name.given])
        self._add(FAMILY, [word.text for word in person.name.family])
        self._add(GUARDIAN, [word.text for word in person.guardian])
        self._add(PHONE, list(person.phones))
        self._add(LOCALITY, [value for value in (person.village, person.postcode) if value])
        self._add(DWELLING, [person.street] if person.street else [])
        if person.birth and person.birth.year:
            self._years[person.birth.year] += 1
        for place, kind in enumerate(kinds, DWELLING + 1):
            if value := person.identifiers.get(kind):
                self._add(place, [value])

    def settle(self) -> Frequencies:
        for counts in self._counts.values():
            counts.settle(self._own)
        self._bonuses.clear()
        return self

    def _add(self, place: int, values: Sequence[str]) -> None:
        if values:
            self._counts.setdefault(place, Counts()).add(values, place in NAMES)

    @property
    def same_year(self) -> float:
        """Chance that two strangers were born in one year."""
        total = self._years.total()
        return sum(count * count for count in self._years.values()) / (total * total) if total >= 50 else 1 / 60

    def share(self, place: int, value: str) -> float:
        """Of strangers, who have this value."""
        counts = self._counts.get(place)
        if counts is None or counts.records <= self._own:
            return 0.001
        beyond = max(counts.values[value] - self._own, 0) + min(RAREST, counts.records * counts.alike)
        return beyond / counts.records

    def bonus(self, place: int, side: Side) -> float:
        """Natural logarithm by which agreeing on this very value is worth more than agreeing on any."""
        known = self._bonuses.get((place, side))
        if known is None:
            known = self._bonuses[place, side] = self._bonus(place, side)
        return known

    def _bonus(self, place: int, side: Side) -> float:
        if not side.value or side.level not in (0, 1, 2):
            return 0.0
        counts = self._counts.get(place)
        if counts is None or counts.records < FEWEST:
            ending = place == FAMILY and all(sound(word) in ENDINGS for word in side.value.split())
            return -math.log(COMMON) if ending else 0.0
        words = side.value.split() if place in NAMES else [side.value]
        if place in NAMES and side.level == 1:
            # A family's name is rare among given names: what is written the other way round is as common as it is in
            # its own place.
            homes = (GIVEN, FAMILY) if side.crossed else (place,)
            parts = [max(self._sound_share(home, word) for home in homes) for word in words]
            usual = counts.alike_sounding
        elif side.level == 2 and place in NAMES:
            return 0.5 * self.bonus(place, Side(1, side.value, side.crossed))
        else:
            parts = [self.share(place, word) for word in words]
            usual = counts.alike
        parts = [part for part in parts if part > 0]
        if not parts:
            return 0.0
        # Two words that agree are not quite independent: the rarest counts in full, the others by half.
        parts.sort()
        return math.log(usual / parts[0]) + sum(0.5 * -math.log(part) for part in parts[1:])

    def _sound_share(self, place: int, word: str) -> float:
        counts = self._counts.get(place)
        if counts is None or not counts.records:
            return 0.0
        beyond = max(counts.sounds[sound(word)] - self._own, 0) + min(RAREST, counts.records * counts.alike_sounding)
        return beyond / counts.records
