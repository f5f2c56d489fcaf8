"""Events in: the facility directory, by which the ABDM door knows which facility an HFR id is."""

from __future__ import annotations

from libs.common.replica import Replica
from libs.common.service import Service
from libs.contracts import referral


def keep_directory(service: Service) -> Replica:
    """A copy of the directory. Not ready before one facility is known: a scan would be sent away."""
    facilities = service.replica(referral.FACILITY, "facilities", indexes=(("card.hip_id",),))

    async def known() -> str | None:
        return None if await facilities.any() else "no facility known yet"

    service.ready("directory", known)
    return facilities
