"""Complaints that came on paper or by voice, and why some belong elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter

from libs.common.web import Requested
from services.grievance import bodies, usecases
from services.grievance.answers import FiledAnswer, ScreeningAnswer
from services.grievance.domain.category import Category
from services.grievance.domain.screening import ScreeningReason
from services.grievance.filing import intake_of
from services.grievance.tracking import TrackingKey
from services.grievance.usecases import Office


def router(
    office: Office,
    categories: Mapping[str, Category],
    reasons: Mapping[str, ScreeningReason],
    tracking: TrackingKey,
) -> APIRouter:
    routes = APIRouter()

    @routes.post("/intake", status_code=201, tags=["filing"])
    async def take_in(body: bodies.IntakeBody, request: Requested) -> FiledAnswer:
        """Enters a complaint for whoever made it, with the day it was received; the ticket and secret are theirs."""
        complaint = intake_of(body, categories, office.clock.now())
        outcome = await usecases.file(office, complaint, request.cause, request.access)
        return FiledAnswer.filed(outcome.id, outcome.state, tracking.secret(outcome.id))

    @routes.get("/screening-reasons", tags=["filing"])
    async def screening_reasons() -> list[ScreeningAnswer]:
        """What another procedure decides: what the complainant is told, and where it is passed on to."""
        return [ScreeningAnswer.of(code, reason) for code, reason in reasons.items()]

    return routes
