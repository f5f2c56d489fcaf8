"""Places outside the network, by state or territory: listed the first time that somebody is sent there."""

from __future__ import annotations

from libs.common.access import SYSTEM
from libs.common.cause import Cause
from libs.common.clock import Clock
from libs.common.ids import derive
from libs.common.journal import Journal
from libs.contracts.referral import FacilityCard
from services.referral.domain.chain import Outside
from services.referral.domain.facility import FacilityListed
from services.referral.store import FACILITY

LEVEL = "OUT"
"""Of a place that is no facility of ours. It offers nothing that we could rank."""


def card(place: Outside) -> FacilityCard:
    """What others hear of it: no name that somebody typed."""
    return FacilityCard(
        code=place.code,
        hip_id="",
        name=f"Outside the network (state {place.state_lgd})",
        level=LEVEL,
        state_lgd=place.state_lgd,
        district_lgd=0,
        latitude=0.0,
        longitude=0.0,
        altitude_m=0,
        beds=0,
    )


async def list_place(journal: Journal, clock: Clock, place: Outside) -> None:
    """Once for each state or territory."""
    listed = FacilityListed(card=card(place), source="outside")
    cause = Cause(derive("outside", place.code), "referral", clock.now())
    await journal.append(FACILITY, place.code, lambda state: [] if state else [listed], cause, SYSTEM)
