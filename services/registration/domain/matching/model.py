"""What agreement is worth: Fellegi and Sunter's weights, with a third kind of pair beside match and stranger.

Two people of one household agree on family name, phone, place and guardian without being one person. Weighed against
strangers alone, a sister would look like a match; so each pair is weighed against the better of the two explanations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from services.registration.domain.matching.compare import AGE, BIRTH, FIELDS, GIVEN, Field, Side, identifier_field
from services.registration.domain.matching.frequencies import Frequencies

Band = Literal["same", "ask", "new"]
SAME_FROM = 0.90
ASK_FROM = 0.40


@dataclass
class Chances:
    """Of one field: how often each level is met among matches, strangers and households."""

    matching: list[float]
    random: list[float]
    household: list[float]


class Weighed(NamedTuple):
    """`match` and `household` are natural logarithms of how much likelier the pair is as one person, and as two of one
    household, than as strangers. `parts` are the fields' own shares in `match`."""

    match: float
    household: float
    parts: tuple[float, ...]


class Model:
    """Weights for one population. `prior_match` and `prior_household` are shares of all pairs."""

    def __init__(
        self,
        kinds: Sequence[str] = (),
        *,
        prior_match: float = 1e-4,
        prior_household: float = 1e-4,
        chances: Mapping[str, Chances] | None = None,
    ) -> None:
        self.kinds = tuple(kinds)
        self.fields: tuple[Field, ...] = FIELDS + tuple(identifier_field(kind) for kind in kinds)
        self._counts = [
            (field.counted, field.shared, place in (BIRTH, AGE, GIVEN)) for place, field in enumerate(self.fields)
        ]
        """Of each field whether its value's frequency counts, whether a household has it in common, and whether a
        household tells of it all the same."""
        self.prior_match = prior_match
        self.prior_household = prior_household
        self.chances = [
            (chances or {}).get(field.name) or Chances(list(field.matching), list(field.random), list(field.household))
            for field in self.fields
        ]
        self.settle()

    def settle(self) -> None:
        """Takes logarithms anew, after the chances changed."""
        self.match_log = [[math.log(m / u) for m, u in zip(c.matching, c.random, strict=True)] for c in self.chances]
        self.household_log = [
            [math.log(h / u) for h, u in zip(c.household, c.random, strict=True)] for c in self.chances
        ]

    def weigh(self, sides: Sequence[Side], frequencies: Frequencies) -> Weighed:
        parts = [0.0] * len(sides)
        household = 0.0
        for place, side in enumerate(sides):
            level, value, _ = side
            if level < 0:
                continue
            counted, shared, own = self._counts[place]
            bonus = frequencies.bonus(place, side) if counted and value else 0.0
            parts[place] = self.match_log[place][level] + bonus
            if shared:
                household += self.household_log[place][level] + bonus
            elif own:
                household += self.household_log[place][level]
        return Weighed(math.fsum(parts), household, tuple(parts))

    def odds(self, weighed: Weighed) -> float:
        """Natural logarithm of the odds that this is one person."""
        return math.log(self.prior_match) + weighed.match - self._otherwise(weighed)

    def weight(self, weighed: Weighed) -> float:
        """In bits, without the prior: how much better one person explains the pair than any two people do."""
        return (weighed.match - self._otherwise(weighed)) / math.log(2)

    def _otherwise(self, weighed: Weighed) -> float:
        stranger = math.log(max(1 - self.prior_match - self.prior_household, 1e-9))
        household = math.log(self.prior_household) + weighed.household
        top = max(stranger, household)
        return top + math.log(math.exp(stranger - top) + math.exp(household - top))

    def shares(self, weighed: Weighed) -> tuple[float, float]:
        """Probabilities that the pair is one person, and two people of one household."""
        return self.shares_of(weighed.match, weighed.household)

    def shares_of(self, match: float, household: float) -> tuple[float, float]:
        household += math.log(self.prior_household)
        match += math.log(self.prior_match)
        stranger = math.log(max(1 - self.prior_match - self.prior_household, 1e-9))
        top = max(household, match, stranger)
        total = math.exp(household - top) + math.exp(match - top) + math.exp(stranger - top)
        return math.exp(match - top) / total, math.exp(household - top) / total


def probability(odds: float) -> float:
    """Of natural log odds."""
    return 1 / (1 + math.exp(-odds)) if odds > -700 else 0.0


def band(chance: float, same_from: float = SAME_FROM, ask_from: float = ASK_FROM) -> Band:
    return "same" if chance >= same_from else "ask" if chance >= ask_from else "new"
