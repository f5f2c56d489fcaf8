"""What a patient's record is found by, kept with it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from pydantic import BaseModel, ConfigDict

from libs.contracts.registration import PatientCard
from services.registration.domain.identifiers import fold, words
from services.registration.domain.who import index_keys


class SearchKeys(BaseModel):
    """The folded name, its words, and every two of them, so that two are one question; and keys of matching."""

    model_config = ConfigDict(frozen=True)

    name: str = ""
    words: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    """Blocking keys: whoever shares one may be the same person."""

    @classmethod
    def of(cls, card: PatientCard) -> SearchKeys:
        said = words(card.name)
        return cls(name=fold(card.name), words=said, pairs=word_pairs(said), keys=index_keys(card))


def word_pairs(words: Iterable[str]) -> tuple[str, ...]:
    """Every two of these words, in an order that does not depend on theirs."""
    return tuple(" ".join(pair) for pair in combinations(sorted(set(words)), 2))
