"""Root causes of similar complaints: found, owned, and fixed once for all their cases."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from libs.common.paging import page
from libs.common.service import Service
from libs.common.web import Reading, Requested
from libs.contracts.event import FacilityCode
from services.grievance import bodies, clustering
from services.grievance.answers import ClusterAnswer, Clusters, SimilarAnswer
from services.grievance.clustering import CLUSTER
from services.grievance.domain import cluster
from services.grievance.domain.cluster import Cluster
from services.grievance.parameters import Cursor, Limit
from services.grievance.usecases import Office

Month = Annotated[str, Query(max_length=7, description="Indian month, `2026-11`")]


def router(service: Service, office: Office) -> APIRouter:
    routes = APIRouter()

    @routes.get("/clusters/similar", tags=["clusters"])
    async def similar(access: Reading, about_facility: FacilityCode, month: Month) -> list[SimilarAnswer]:
        """Categories of which a facility had three complaints or more in a month, as far as my office has them."""
        counts = await clustering.similar(service.database, access, about_facility, month)
        return [
            SimilarAnswer(category=category, complaints=count)
            for category, count in sorted(counts.items())
            if count >= cluster.ENOUGH
        ]

    @routes.get("/clusters", tags=["clusters"])
    async def list_clusters(access: Reading, cursor: Cursor = None, limit: Limit = 50) -> Clusters:
        """The root causes that my office sees, newest month first."""
        documents, following = await page(
            service.database[CLUSTER.collection],
            access.filter(),
            sort="state.month",
            descending=True,
            limit=limit,
            cursor=cursor,
        )
        items = [ClusterAnswer.of(found["_id"], Cluster.model_validate(found["state"])) for found in documents]
        return Clusters(items=items, next=following)

    @routes.post("/clusters", status_code=201, tags=["clusters"])
    async def open_cluster(body: bodies.ClusterBody, request: Requested) -> ClusterAnswer:
        """Makes similar complaints one matter: its root cause, who owns it, and until when it is put right."""
        command = cluster.Open(
            body.about_facility, body.category, body.month, (), body.owner, body.root_cause, body.fix_by
        )
        outcome = await clustering.open_cluster(office, body.about_facility, command, request.cause, request.access)
        return ClusterAnswer.of(outcome.id, outcome.state)

    @routes.post("/clusters/{id}/revise", tags=["clusters"])
    async def revise(id: str, body: bodies.ReviseBody, request: Requested) -> ClusterAnswer:
        """Another owner, another date, a better account of the cause."""
        command = cluster.Revise(body.owner, body.root_cause, body.fix_by)
        outcome = await clustering.move(office, id, command, request.cause, request.access)
        return ClusterAnswer.of(outcome.id, outcome.state)

    @routes.post("/clusters/{id}/fix", tags=["clusters"])
    async def fix(id: str, body: bodies.FixBody, request: Requested) -> ClusterAnswer:
        """Answers every open case of it; each is still closed only by who filed it."""
        command = cluster.Fix(body.outcome, body.what_was_done, request.caller.subject)
        outcome = await clustering.move(office, id, command, request.cause, request.access)
        return ClusterAnswer.of(outcome.id, outcome.state)

    return routes
