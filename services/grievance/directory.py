"""Who refers to whom: the facilities as last heard from the referral service."""

from __future__ import annotations

from typing import Protocol

from libs.contracts.referral import FacilityCard

TOO_HIGH = 10
"""Levels to climb at most, should a directory refer in circles."""


class Cards(Protocol):
    """What of a replica is used here."""

    async def get(self, key: str) -> dict[str, object] | None: ...

    async def any(self) -> bool: ...


class Directory:
    """Looks facilities up in the replica."""

    def __init__(self, cards: Cards) -> None:
        self._cards = cards

    async def facility(self, code: str) -> FacilityCard | None:
        card = await self._cards.get(code)
        return FacilityCard.model_validate(card) if card else None

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
