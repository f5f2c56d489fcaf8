"""Learns what agreement is worth from the records themselves, with nobody telling which are one person.

Expectation and maximisation over three kinds of pair (match, household, stranger). What strangers agree on is seen in
pairs drawn at random; what matches and households agree on, in pairs that share a key. A pair's kind given how it
agrees does not depend on how it was found, so the shares are of all pairs and need no correction for the keys.
First guesses weigh as much as PRIOR pairs do: a small file changes them little.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from services.registration.domain.matching.blocking import Pair
from services.registration.domain.matching.compare import AGE, BIRTH, FAMILY, GIVEN, SEX, Side
from services.registration.domain.matching.frequencies import Frequencies
from services.registration.domain.matching.model import Model

PRIOR = 25.0
PRIOR_RANDOM = 400.0
TWINS = 0.02
ROUNDS = 15
MOST_DIFFERENT = {GIVEN: 0.08, FAMILY: 0.20, BIRTH: 0.08, AGE: 0.08, SEX: 0.04}
"""Of one person's records, at most this share may differ wholly in what is their own: else they would be two."""
NEAR_IN_AGE = 2.0
"""How much likelier two of one house were born within a few years of each other than strangers are."""
TELLING = 3
"""Of so few things three kinds of pair cannot be learnt apart (three classes need three views, Allman and others 2009):
with less, the first guesses stand."""
WORTH_LEARNING_FROM = 1e-6
SAMENESS_IN_HOUSE = 0.4
"""How much rarer one given name is met twice in a household than among strangers."""


Compare = Callable[[Pair], tuple[Side, ...]]


@dataclass(frozen=True)
class Sample:
    """`drawn` are pairs at random, `found` those that share a key; `total` counts all pairs there are."""

    drawn: Sequence[tuple[Side, ...]]
    found: Sequence[tuple[Side, ...]]
    total: float
    people: int


def draw(lefts: int, rights: int | None, count: int, chance: random.Random) -> list[Pair]:
    """Pairs at random; all of them where there are few."""
    total = lefts * rights if rights is not None else lefts * (lefts - 1) // 2
    if total <= count:
        if rights is not None:
            return [(i, j) for i in range(lefts) for j in range(rights)]
        return [(i, j) for i in range(lefts) for j in range(i + 1, lefts)]
    if rights is not None:
        return [(chance.randrange(lefts), chance.randrange(rights)) for _ in range(count)]
    drawn: list[Pair] = []
    while len(drawn) < count:
        i, j = chance.randrange(lefts), chance.randrange(lefts)
        if i != j:
            drawn.append((min(i, j), max(i, j)))
    return drawn


@dataclass(frozen=True, slots=True)
class Pattern:
    """How a pair agrees, all that learning needs of it: the levels, and what the values' frequencies add."""

    levels: tuple[int, ...]
    bonus: float
    shared: float


def _pattern(model: Model, sides: tuple[Side, ...], frequencies: Frequencies) -> Pattern:
    bonus = shared = 0.0
    for place, side in enumerate(sides):
        if side.value and model.fields[place].counted:
            more = frequencies.bonus(place, side)
            bonus += more
            if model.fields[place].shared:
                shared += more
    return Pattern(tuple(side.level for side in sides), round(bonus * 2) / 2, round(shared * 2) / 2)


def _patterns(model: Model, found: Iterable[tuple[Side, ...]], frequencies: Frequencies) -> Counter[Pattern]:
    return Counter(_pattern(model, sides, frequencies) for sides in found)


def _shares(model: Model, pattern: Pattern) -> tuple[float, float]:
    """Probabilities of a match and of a household."""
    match, household = pattern.bonus, pattern.shared
    for place, level in enumerate(pattern.levels):
        if level >= 0:
            match += model.match_log[place][level]
            if model.fields[place].shared or place in (BIRTH, AGE, GIVEN):
                household += model.household_log[place][level]
    return model.shares_of(match, household)


def learn(model: Model, sample: Sample, frequencies: Frequencies, tick: Callable[[], None] = lambda: None) -> None:
    """Changes `model` in place."""
    model.prior_match = 0.25 * sample.people / sample.total
    model.prior_household = 0.5 * sample.people / sample.total
    drawn = _patterns(model, sample.drawn, frequencies)
    whole = len(sample.drawn) >= sample.total
    _strangers(model, drawn, frequencies, without_pairs=False)
    model.settle()
    found = Counter(
        {
            pattern: count
            for pattern, count in _patterns(model, sample.found, frequencies).items()
            if sum(_shares(model, pattern)) > WORTH_LEARNING_FROM
        }
    )
    told = {place for pattern in found for place, level in enumerate(pattern.levels) if level >= 0}
    telling = len({BIRTH if place == AGE else place for place in told} - {SEX})
    for _ in range(ROUNDS):
        shares = [(pattern, count, *_shares(model, pattern)) for pattern, count in found.items()]
        matches = sum(count * match for _, count, match, _ in shares)
        households = sum(count * household for _, count, _, household in shares)
        model.prior_match = max(matches + 0.5, 1.0) / sample.total
        model.prior_household = max(households + 0.5, 1.0) / sample.total
        if whole:
            _strangers(model, drawn, frequencies, without_pairs=True)
        if telling >= TELLING:
            _kinds(model, shares)
        model.settle()
        tick()


def _strangers(model: Model, drawn: Counter[Pattern], frequencies: Frequencies, without_pairs: bool) -> None:
    """What strangers agree on. Where all pairs were drawn, those of one person or one house are counted out."""
    weighed = [
        (pattern, count * (1 - sum(_shares(model, pattern)) if without_pairs else 1.0))
        for pattern, count in drawn.items()
    ]
    for place, field in enumerate(model.fields):
        counts = [guess * PRIOR_RANDOM for guess in field.random]
        for pattern, weight in weighed:
            if pattern.levels[place] >= 0:
                counts[pattern.levels[place]] += weight
        if place == BIRTH:
            # One birthday in 365: too rare to be seen in a sample.
            total = sum(counts)
            counts[0] = total * frequencies.same_year / 365
            counts[1] = total * frequencies.same_year / 900
        total = sum(counts)
        model.chances[place].random = [max(count / total, 1e-7) for count in counts]
        if not field.shared:
            model.chances[place].household = _two_of_one_house(place, model.chances[place].random)


def _two_of_one_house(place: int, strangers: list[float]) -> list[float]:
    """What is a person's own differs as among strangers, save that twins share a birthday, and siblings no name."""
    if place == GIVEN:
        likes = (SAMENESS_IN_HOUSE, SAMENESS_IN_HOUSE, 1.5, 1.0, 2.0)
        alike = [factor * share for factor, share in zip(likes, strangers, strict=False)]
        return [*alike, max(1 - sum(alike), 0.01)]
    if place == BIRTH:
        return [(1 - TWINS) * share + (TWINS if level == 0 else 0) for level, share in enumerate(strangers)]
    if place == AGE:
        *near, apart = strangers
        more = min(NEAR_IN_AGE - 1, 0.3 * apart / max(sum(near), 1e-6))
        return [share * (1 + more) for share in near] + [apart - more * sum(near)]
    return list(strangers)


def _kinds(model: Model, shares: Sequence[tuple[Pattern, int, float, float]]) -> None:
    for place, field in enumerate(model.fields):
        matching = [guess * PRIOR for guess in field.matching]
        household = [guess * PRIOR for guess in field.household]
        for pattern, count, match, house in shares:
            level = pattern.levels[place]
            if level >= 0:
                matching[level] += count * match
                household[level] += count * house
        chances = model.chances[place]
        chances.matching = _normal(matching, MOST_DIFFERENT.get(place, 1.0))
        if field.shared:
            chances.household = _normal(household)


def _normal(counts: list[float], most_last: float = 1.0) -> list[float]:
    total = sum(counts)
    shares = [max(count / total, 1e-5) for count in counts]
    if shares[-1] > most_last:
        rest = sum(shares[:-1])
        shares = [share * (1 - most_last) / rest for share in shares[:-1]] + [most_last]
    return shares
