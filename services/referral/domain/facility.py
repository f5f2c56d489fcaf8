"""One facility of the directory: what it offers and how it is reached. Role mailboxes and switchboards, no persons."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts import referral as contract
from libs.contracts.event import Event
from libs.contracts.referral import FacilityCard
from services.referral.domain.dataset import Notice

OFFICE = "CELL"
"""The level of an office above the facilities: it is told of what they did not do, and nobody is sent there."""


class Facility(BaseModel):
    """`source` is the content hash of the directory row that the card was last taken from; `said` are the fields that
    the facility has changed of itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    card: FacilityCard
    source: str = ""
    said: tuple[str, ...] = ()


class FacilityListed(contract.FacilityListed):
    source: str = ""


class FacilityChanged(contract.FacilityChanged):
    source: str = ""
    said: tuple[str, ...] = ()


EVENTS: tuple[type[Event], ...] = (FacilityListed, FacilityChanged)

SAID_BY_ITSELF = (
    "unavailable",
    "beds_by_kind",
    "theatre",
    "oxygen",
    "blood",
    "hours",
    "duty",
    "takes_referrals",
    "refuses",
)
"""What only the facility itself knows: a changed row of the directory leaves it as it is, as it does what else the
facility has ever changed of itself."""

MAY_CHANGE = frozenset({*SAID_BY_ITSELF, "services", "winter_access", "desk_email", "officer_email"})
"""What a facility may say of itself. Who it is, where it stands and how far the road is, the directory says."""

_REFUSED_FOR = {"dataset-incomplete": "missing", "passed-by": "passed-by"}
REFUSALS = tuple(_REFUSED_FOR)
"""What a facility may refuse a request for, if it has said so; otherwise it is only warned of."""


def decide(state: Facility | None, card: FacilityCard, source: str) -> list[Event]:
    """Listed the first time, changed when the directory's row says something it did not say before."""
    if state is None:
        return [FacilityListed(card=card, source=source)]
    own = {*SAID_BY_ITSELF, *state.said}
    card = card.model_copy(update={name: getattr(state.card, name) for name in own})
    if state.source == source or state.card == card:
        return []
    return [FacilityChanged(card=card, source=source, said=state.said)]


def change(state: Facility | None, said: Mapping[str, Any], seasons: Collection[str] | None = None) -> list[Event]:
    """What a facility says of itself: the fields of its card that are in `said`. [] where it says nothing new.
    `seasons` are those that `winter_access` may name: by another its road would be open all year.

    Raises Refused for a field that is not its own to change, and where its parts do not fit together.
    """
    if state is None:
        return []
    for name in said:
        if name not in MAY_CHANGE:
            raise Refused("not-its-own", "the directory's file says this", field=name)
    card = state.card.model_copy(update=dict(said))
    for position, missing in enumerate(card.unavailable):
        if missing.service not in card.services:
            raise Refused("not-listed", "is no service that it lists", field=f"unavailable.{position}.service")
    if seasons is not None and "winter_access" in said and card.winter_access not in seasons:
        raise Refused("unknown-code", f"must be one of {', '.join(sorted(seasons))}", field="winter_access")
    for name in card.refuses:
        if name not in REFUSALS:
            raise Refused("unknown-code", f"must be one of {', '.join(REFUSALS)}", field="refuses")
    for kind, beds in card.beds_by_kind.items():
        if beds < 0:
            raise Refused("out-of-range", "must not be negative", field=f"beds_by_kind.{kind}")
    for position, service in enumerate(card.services):
        if service in card.services[:position]:
            raise Refused("twice", "stands there twice", field=f"services.{position}")
    days = [(f"hours.{position}", hours.days) for position, hours in enumerate(card.hours)]
    days += [(f"duty.{position}", duty.days) for position, duty in enumerate(card.duty)]
    for where, named in days:
        if not named:
            raise Refused("missing", "must be a day at least", field=f"{where}.days")
    for position, hours in enumerate(card.hours):
        if hours.opens >= hours.closes:
            over_midnight = "must be later than it opens; over midnight it is two, until 24:00 and from 00:00"
            raise Refused("out-of-range", over_midnight, field=f"hours.{position}.closes")
    if card == state.card:
        return []
    changed = {name for name in said if getattr(card, name) != getattr(state.card, name)}
    return [FacilityChanged(card=card, source=state.source, said=tuple(sorted({*state.said, *changed})))]


def refusal(card: FacilityCard | None, urgency: str, warnings: Iterable[Notice]) -> Notice | None:
    """The warning for which this facility does not take a request, if it has switched refusal on; an emergency always
    passes."""
    if card is None or urgency == "emergency":
        return None
    refused = {_REFUSED_FOR[name] for name in card.refuses if name in _REFUSED_FOR}
    return next((warning for warning in warnings if warning.code in refused), None)


def evolve(state: Facility | None, event: Event) -> Facility:
    assert isinstance(event, FacilityListed | FacilityChanged)
    return Facility(card=event.card, source=event.source, said=getattr(event, "said", ()))
