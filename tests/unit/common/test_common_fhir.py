"""Whatever a route under `/fhir` refuses is an OperationOutcome that says where."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Path
from fhir.resources.R4B.operationoutcome import OperationOutcome

from libs.common import problem
from libs.common.access import Forbidden
from libs.common.fhir import FhirRoute
from libs.common.journal import KeyReused, NotFound
from libs.common.refusal import Refused
from libs.common.tokens import Unauthenticated


def door(raised: Exception | None) -> httpx.AsyncClient:
    routes = APIRouter(prefix="/fhir", route_class=FhirRoute)

    @routes.get("/Patient/{id}")
    async def read(id: Annotated[str, Path(max_length=64)]) -> Any:
        if raised:
            raise raised

    app = FastAPI()
    problem.install(app)
    app.include_router(routes)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door")


@pytest.mark.parametrize(
    ("raised", "id", "status", "code", "expression"),
    [
        (None, "x" * 65, 422, "invalid", ["id"]),
        (Refused("purpose-unknown", "must be known", field="X-Purpose"), "a", 422, "invalid", ["X-Purpose"]),
        (Refused("illegal-move", "no", allowed=("accept",)), "a", 409, "business-rule", None),
        (KeyReused(), "a", 422, "invalid", ["identifier"]),
        (NotFound(), "a", 404, "not-found", None),
        (Forbidden("no rule allows this"), "a", 403, "forbidden", None),
        (Unauthenticated("a bearer token is needed"), "a", 401, "login", None),
    ],
)
async def test_a_refusal_is_an_outcome(
    raised: Exception | None, id: str, status: int, code: str, expression: list[str] | None
) -> None:
    async with door(raised) as client:
        answer = await client.get(f"/fhir/Patient/{id}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/fhir+json")
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    [issue] = OperationOutcome.model_validate(answer.json()).issue
    assert (issue.code, issue.expression) == (code, expression)
    assert "x" * 65 not in answer.text
