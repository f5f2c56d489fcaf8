"""Campaigns over HTTP. Who drafts one does not approve it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from libs.common.clock import machine_now
from libs.common.paging import page
from libs.common.refusal import Refused
from libs.common.web import Body, Reading, Requested
from libs.contracts.event import Code
from services.notifications import campaigns, sends
from services.notifications.campaigns import CAMPAIGN
from services.notifications.domain import campaign
from services.notifications.post import Post

Key = Annotated[str, Path(max_length=64)]


class CampaignBody(Body):
    """`audience` needs a place; `per_minute` is the pace in people."""

    title: str = Field(min_length=1, max_length=120)
    template: Code
    variables: dict[str, Annotated[str, Field(max_length=200)]] = Field(default_factory=dict, max_length=10)
    audience: campaign.Audience
    per_minute: int = Field(60, ge=1, le=6000)
    useful_hours: float = Field(72, gt=0, le=720)


class ReasonBody(Body):
    reason: str = Field("", max_length=200)


class CampaignAnswer(BaseModel):
    id: str
    title: str
    template: str
    variables: dict[str, str]
    audience: campaign.Audience
    per_minute: int
    status: campaign.Status
    reach: campaign.Reach | None
    told: int
    allowed: list[str]

    @classmethod
    def of(cls, id: str, state: campaign.Campaign) -> CampaignAnswer:
        fields = {name: getattr(state, name) for name in cls.model_fields if name not in ("id", "allowed")}
        return cls(id=id, allowed=list(campaign.MOVES[state.status]), **fields)


class CampaignsAnswer(BaseModel):
    items: list[CampaignAnswer]
    next: str | None


class Figures(BaseModel):
    """Messages by channel and status, and why some were not sent. `paise` is what the SMS that were sent cost."""

    people: int
    by_channel: dict[str, dict[str, int]]
    reasons: dict[str, int]
    delivered: int
    segments: int
    paise: int


def add(routes: APIRouter, post: Post) -> None:
    async def decided(id: str, command: campaign.Command, request: Requested) -> CampaignAnswer:
        outcome = await campaigns.decide(post, id, command, request.cause, request.access)
        return CampaignAnswer.of(outcome.id, outcome.state)

    async def stored(id: str, access: Any) -> campaign.Campaign:
        return await post.journal.read(CAMPAIGN, id, access)

    @routes.post("/campaigns", status_code=201, tags=["campaigns"])
    async def draft(body: CampaignBody, request: Requested) -> CampaignAnswer:
        """Nothing is sent before it was previewed and approved by somebody else."""
        sends.own_template(post, body.template)
        sends.check_variables(post, body.template, body.variables, "variables")
        if not body.audience.has_a_place:
            raise Refused("place-missing", "name a facility, district, state or village", field="audience")
        command = campaign.Draft(
            title=body.title,
            template=body.template,
            audience=body.audience,
            per_minute=body.per_minute,
            useful_hours=body.useful_hours,
            by=sends.person_digest(request.caller),
            variables=body.variables,
        )
        outcome = await post.journal.create(
            CAMPAIGN,
            request.cause.new_id("campaign"),
            lambda state: campaign.decide(state, command),
            request.cause,
            request.access,
        )
        return CampaignAnswer.of(outcome.id, outcome.state)

    @routes.post("/campaigns/{id}/preview", tags=["campaigns"])
    async def preview(id: Key, request: Requested) -> CampaignAnswer:
        """Counts whom it would reach, in which languages, and at what cost; nothing is sent."""
        reach = await campaigns.reach(post, id, await stored(id, request.access))
        return await decided(id, campaign.Preview(reach), request)

    @routes.post("/campaigns/{id}/approve", tags=["campaigns"])
    async def approve(id: Key, request: Requested) -> CampaignAnswer:
        """By a second person: it begins."""
        command = campaign.Approve(sends.person_digest(request.caller), post.clock.now(), machine_now())
        return await decided(id, command, request)

    @routes.post("/campaigns/{id}/pause", tags=["campaigns"])
    async def pause(id: Key, body: ReasonBody, request: Requested) -> CampaignAnswer:
        return await decided(id, campaign.Pause(body.reason), request)

    @routes.post("/campaigns/{id}/resume", tags=["campaigns"])
    async def resume(id: Key, request: Requested) -> CampaignAnswer:
        return await decided(id, campaign.Resume(machine_now()), request)

    @routes.post("/campaigns/{id}/stop", tags=["campaigns"])
    async def stop(id: Key, body: ReasonBody, request: Requested) -> CampaignAnswer:
        """For good: what still waits, for the morning perhaps, is withdrawn."""
        return await decided(id, campaign.Stop(body.reason, machine_now()), request)

    @routes.get("/campaigns", tags=["campaigns"])
    async def listed(
        access: Reading,
        status: campaign.Status | None = None,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> CampaignsAnswer:
        where = {"state.status": status} if status else {}
        documents, following = await page(
            post.database[CAMPAIGN.collection], where, sort="_id", descending=False, limit=limit, cursor=cursor
        )
        items = [CampaignAnswer.of(one["_id"], campaign.Campaign.model_validate(one["state"])) for one in documents]
        return CampaignsAnswer(items=items, next=following)

    @routes.get("/campaigns/{id}", tags=["campaigns"])
    async def one(id: Key, access: Reading) -> CampaignAnswer:
        return CampaignAnswer.of(id, await stored(id, access))

    @routes.get("/campaigns/{id}/figures", tags=["campaigns"])
    async def figures(id: Key, access: Reading) -> Figures:
        """What became of it: counted, never named."""
        await stored(id, access)
        return Figures(**await campaigns.figures(post, id))
