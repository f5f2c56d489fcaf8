"""Links two files of people, or finds duplicates within one."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from services.registration.domain.matching.blocking import Pair, pairs
from services.registration.domain.matching.compare import Side, compare
from services.registration.domain.matching.frequencies import Frequencies
from services.registration.domain.matching.learning import Sample, draw, learn
from services.registration.domain.matching.model import Band, Model, band, probability
from services.registration.domain.matching.person import Person

PAIRS_A_RECORD = 60
FEWEST_PAIRS = 200_000
MOST_PAIRS = 3_000_000
DRAWN = 40_000
CLEAN = 0.04
"""Share of matched records with a second sure match above which a file is taken to hold duplicates of its own."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Link:
    """`weight` in bits: how much better one person explains the pair than two people do."""

    left: str
    right: str
    weight: float
    band: Band


def link(
    lefts: Sequence[Person],
    rights: Sequence[Person] | None = None,
    progress: Progress = lambda what, done: None,
    seed: int = 0,
) -> list[Link]:
    """All pairs but `new` ones, the surest first. `rights` None: duplicates within `lefts`."""
    chance = random.Random(seed)
    everybody: Sequence[Person] = [*lefts, *(rights or ())]
    kinds = sorted({kind for person in everybody for kind in person.identifiers})
    others = rights if rights is not None else lefts
    total = len(lefts) * len(rights) if rights is not None else len(lefts) * (len(lefts) - 1) / 2
    if total < 1:
        return []
    progress("counting names", 0.0)
    frequencies = Frequencies(own=2).count(everybody, kinds)
    progress("finding pairs", 0.02)
    most = min(max(FEWEST_PAIRS, PAIRS_A_RECORD * len(everybody)), MOST_PAIRS)
    candidates = pairs(lefts, rights, most)

    def comparing(those: Sequence[Pair], what: str, start: float, end: float) -> list[tuple[Side, ...]]:
        done: list[tuple[Side, ...]] = []
        for number, (i, j) in enumerate(those):
            if number % 2000 == 0:
                progress(what, start + (end - start) * number / max(len(those), 1))
            done.append(compare(lefts[i], others[j], kinds))
        return done

    found = comparing(candidates, "comparing", 0.05, 0.55)
    strangers = draw(len(lefts), len(rights) if rights is not None else None, DRAWN, chance)
    drawn = comparing(strangers, "strangers", 0.55, 0.65)
    model = Model(kinds)
    step = iter(range(1, 1000))
    learn(
        model,
        Sample(drawn, found, total, len(everybody)),
        frequencies,
        lambda: progress("learning", 0.65 + 0.25 * next(step) / 15),
    )
    progress("weighing", 0.9)
    odds: dict[Pair, float] = {}
    for pair, sides in zip(candidates, found, strict=True):
        value = model.odds(model.weigh(sides, frequencies))
        if value > -12:
            odds[pair] = value
    if rights is not None:
        odds = _one_to_one(odds)
    prior = math.log(model.prior_match)
    links = [
        Link(lefts[i].id, others[j].id, round((value - prior) / math.log(2), 2), chosen)
        for (i, j), value in odds.items()
        if (chosen := band(probability(value))) != "new"
    ]
    links.sort(key=lambda one: -one.weight)
    progress("done", 1.0)
    return links


def _one_to_one(odds: dict[Pair, float]) -> dict[Pair, float]:
    """Where a file holds each person once, a record's matches compete: at most one of them is right."""
    for side in (0, 1):
        if _repeats(odds, side) <= CLEAN:
            odds = _compete(odds, side)
    return odds


def _repeats(odds: dict[Pair, float], side: int) -> float:
    """Of the records with a sure match, how many have another one nearly as good."""
    best: dict[int, list[float]] = defaultdict(list)
    for pair, value in odds.items():
        if value > 4.6:
            best[pair[side]].append(value)
    if not best:
        return 0.0
    return sum(len(values) > 1 for values in best.values()) / len(best)


def _compete(odds: dict[Pair, float], side: int) -> dict[Pair, float]:
    rivals: dict[int, list[float]] = defaultdict(list)
    for pair, value in odds.items():
        rivals[pair[side]].append(value)
    sums = {place: _log_sum([0.0, *values]) for place, values in rivals.items()}
    settled: dict[Pair, float] = {}
    for pair, value in odds.items():
        if len(rivals[pair[side]]) == 1:
            settled[pair] = value
            continue
        # log(p / (1 - p)) of p = odds / (1 + all odds)
        rest = _log_less(sums[pair[side]], value)
        settled[pair] = value - rest
    return settled


def _log_sum(values: Iterable[float]) -> float:
    kept = list(values)
    top = max(kept)
    return top + math.log(sum(math.exp(value - top) for value in kept))


def _log_less(total: float, part: float) -> float:
    """log(e^total - e^part), at least 0: there is always the chance of no match at all."""
    difference = 1 - math.exp(min(part - total, -1e-15))
    return max(0.0, total + math.log(difference)) if difference > 1e-12 else 0.0
