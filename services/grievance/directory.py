"""Who refers to whom: the facilities as last heard from the referral service."""

from __future__ import annotations

import time
from typing import Protocol

from libs.contracts.referral import FacilityCard

TOO_HIGH = 10
"""Levels to climb at most, should a directory refer in circles."""

FRESH_SECONDS = 10.0
"""How long a card is used again before it is looked up anew. One that is not yet known is looked up every time."""


class Cards(Protocol):
    """What of a replica is used here."""

    async def get(self, key: str) -> dict[str, object] | None: ...

    async def any(self) -> bool: ...

    async def every(self) -> list[dict[str, object]]: ...


class Directory:
    """Looks facilities up in the replica."""

    def __init__(self, cards: Cards) -> None:
        self._cards = cards
        self._held: dict[str, tuple[float, FacilityCard]] = {}
        self._every: tuple[float, list[FacilityCard]] = (0.0, [])

    async def facility(self, code: str) -> FacilityCard | None:
        """The card, at most `FRESH_SECONDS` old; None while it is not known."""
        looked_up, held = self._held.get(code, (0.0, None))
        if held is not None and time.monotonic() - looked_up < FRESH_SECONDS:
            return held
        card = await self._cards.get(code)
        if card is None:
            return None
        found = FacilityCard.model_validate(card)
        self._held[code] = time.monotonic(), found
        return found

    async def every(self) -> list[FacilityCard]:
        """All facilities, by code; the list is used again for as long as a card is. Places outside the network and the
        offices above them are none."""
        looked_up, held = self._every
        if not held or time.monotonic() - looked_up >= FRESH_SECONDS:
            cards = [FacilityCard.model_validate(card) for card in await self._cards.every()]
            held = sorted((card for card in cards if card.hip_id), key=lambda card: card.code)
            self._every = time.monotonic(), held
        return held

    async def above(self, code: str) -> list[str]:
        """The facilities to which this one refers, directly and through others, nearest first."""
        chain: list[str] = []
        card = await self.facility(code)
        while card and card.refers_to and card.refers_to not in chain and len(chain) < TOO_HIGH:
            chain.append(card.refers_to)
            card = await self.facility(card.refers_to)
        return chain

    async def missing(self) -> str | None:
        """Why complaints cannot be taken yet; None once a facility is known."""
        return None if await self._cards.any() else "no facility is known yet"
