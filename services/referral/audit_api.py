"""The monthly referral audit: as JSON with its definitions, and as a table."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel

from libs.common.access import Access, Forbidden
from libs.common.refusal import Refused
from libs.common.service import Service
from libs.common.web import Reading
from services.referral import auditing
from services.referral.country import Country
from services.referral.domain import audit
from services.referral.domain.audit import DEFINITIONS
from services.referral.domain.referral import Referral

Month = Annotated[str, Query(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", description="A month in India: 2026-11")]
Side = Annotated[
    Literal["origin", "destination"], Query(description="Whose referrals: those sent by, or those sent to `facility`")
]
Facility = Annotated[str | None, Query(max_length=40)]
ServiceCode = Annotated[str | None, Query(max_length=64)]

EVERYWHERE = frozenset({"nodal-officer", "operator"})
"""Roles that see the figures of every facility; others see those of their own. No figure names a person."""


class Group(BaseModel):
    """`of` names the group: month, facility (`origin` or `destination`), service."""

    of: dict[str, str]
    figures: dict[str, Any]


class Load(BaseModel):
    facility: str
    level: str
    arrived: int
    beds: int | None
    arrived_per_bed: float | None


class Audit(BaseModel):
    """`total` is of everything that was asked for; `groups` are its parts."""

    month: str
    definitions: dict[str, str]
    total: dict[str, Any]
    groups: list[Group]
    load: list[Load]


def router(service: Service, country: Country) -> APIRouter:
    routes = APIRouter(tags=["audit"])

    async def states(access: Access, month: str, side: str, facility: str | None, code: str | None) -> list[Referral]:
        if access.caller.role not in EVERYWHERE:
            if facility is not None and facility != access.caller.facility:
                raise Forbidden("the figures of another facility are for the nodal officer")
            facility = access.caller.facility
        if not facility and access.caller.role not in EVERYWHERE:
            raise Refused("no-facility", "your token names no facility")
        return await auditing.of_month(service.database, country, month, side, facility, code)

    @routes.get("/audit")
    async def monthly(
        access: Reading,
        month: Month,
        side: Side = "origin",
        facility: Facility = None,
        of: Annotated[ServiceCode, Query(alias="service")] = None,
    ) -> Audit:
        """The figures of one month, by facility and service, each with its definition."""
        found = await states(access, month, side, facility, of)
        return Audit(
            month=month,
            definitions=dict(DEFINITIONS),
            total=vars(audit.figures(found)),
            groups=[
                Group(of=names, figures=vars(figures))
                for names, figures in auditing.table(found, ("month", side, "service"))
            ],
            load=[Load.model_validate(line) for line in await auditing.load(country, found)],
        )

    @routes.get("/audit.csv", response_class=Response)
    async def sheet(
        access: Reading,
        month: Month,
        side: Side = "origin",
        facility: Facility = None,
        of: Annotated[ServiceCode, Query(alias="service")] = None,
    ) -> Response:
        """The same as a table: a line for each facility and service; by destination with its beds."""
        found = await states(access, month, side, facility, of)
        beds = {code: card.beds for code, card in (await country.cards()).items()}
        by = ("month", side, "service")
        text = auditing.as_csv(auditing.table(found, by), beds, by)
        name = f'attachment; filename="referral-audit-{month}.csv"'
        return Response(text, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": name})

    return routes
