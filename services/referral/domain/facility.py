"""One facility of the directory: what it offers and how it is reached. Role mailboxes and switchboards, no persons."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from libs.contracts import referral as contract
from libs.contracts.event import Event
from libs.contracts.referral import FacilityCard


class Facility(BaseModel):
    """`source` is the content hash of the directory row that the card was last taken from."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    card: FacilityCard
    source: str = ""


class FacilityListed(contract.FacilityListed):
    source: str = ""


class FacilityChanged(contract.FacilityChanged):
    source: str = ""


EVENTS: tuple[type[Event], ...] = (FacilityListed, FacilityChanged)


def decide(state: Facility | None, card: FacilityCard, source: str) -> list[Event]:
    """Listed the first time, changed when the directory's row says something it did not say before."""
    if state is None:
        return [FacilityListed(card=card, source=source)]
    if state.source == source or state.card == card:
        return []
    return [FacilityChanged(card=card, source=source)]


def evolve(state: Facility | None, event: Event) -> Facility:
    assert isinstance(event, FacilityListed | FacilityChanged)
    return Facility(card=event.card, source=event.source)
