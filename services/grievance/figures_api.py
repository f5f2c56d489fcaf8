"""Public figures, with what each of them means."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query

from libs.common.journal import NotFound
from libs.common.service import Service
from libs.contracts.event import FacilityCode
from services.grievance.answers import FiguresAnswer
from services.grievance.domain import figures
from services.grievance.domain.state import Grievance
from services.grievance.store import filed_between
from services.grievance.usecases import Office

MOST_KEPT = 1000


def router(
    service: Service, office: Office, kept_seconds: float, elapsed: Callable[[], float] = time.monotonic
) -> APIRouter:
    routes = APIRouter()
    kept: dict[tuple[str, str], tuple[float, FiguresAnswer]] = {}

    @routes.get("/figures", tags=["figures"])
    async def show(
        facility: FacilityCode,
        quarter: Annotated[
            str | None, Query(max_length=7, description="`2026-Q4`; the present one if not told")
        ] = None,
    ) -> FiguresAnswer:
        """Complaints about a facility in a quarter, by category. Small counts are not shown."""
        wanted = quarter or figures.quarter_of(office.clock.now())
        first, following = figures.quarter(wanted)
        if await office.directory.facility(facility) is None:
            raise NotFound
        at, answer = kept.get((facility, wanted), (0.0, None))
        if answer is not None and elapsed() - at < kept_seconds:
            return answer
        found = filed_between(service.database, facility, first, following)
        states = [Grievance.model_validate(document["state"]) async for document in found]
        now = office.clock.now()
        answer = FiguresAnswer.of(facility, wanted, now, figures.rows(states, now))
        if len(kept) >= MOST_KEPT:
            kept.clear()
        kept[(facility, wanted)] = elapsed(), answer
        return answer

    return routes
