"""What every service shows besides its own API: its page, health, metrics, schemas, dead letters."""

from __future__ import annotations

import asyncio
import datetime as dt
import html
import json
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import AfterValidator, Field
from sse_starlette.sse import EventSourceResponse

from libs.common.aadhaar import without_aadhaar
from libs.common.access import PUBLIC, Table, allow
from libs.common.journal import NotFound
from libs.common.web import Body, Requested
from libs.contracts.event import PUBLIC as PUBLIC_EVENTS

if TYPE_CHECKING:
    from libs.common.service import Service

HERE = Path(__file__).parent

ACCESS: Table = {
    "GET /": PUBLIC,
    "GET /page.css": PUBLIC,
    "GET /page.js": PUBLIC,
    "GET /activity": PUBLIC,
    "GET /livez": PUBLIC,
    "GET /readyz": PUBLIC,
    "GET /metrics": PUBLIC,
    "GET /schemas/{type}": PUBLIC,
    "GET /docs": PUBLIC,
    "GET /docs/oauth2-redirect": PUBLIC,
    "GET /redoc": PUBLIC,
    "GET /openapi.json": PUBLIC,
    "GET /dead-letters": allow("operator"),
    "POST /dead-letters/{id}/redrive": allow("operator"),
    "POST /dead-letters/{id}/discard": allow("operator"),
}

SECURE = {
    "Content-Security-Policy": "default-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Discard(Body):
    note: Annotated[str, AfterValidator(without_aadhaar)] = Field(
        min_length=3, max_length=200, description="Why it may go; no personal data"
    )


def router(service: Service) -> APIRouter:
    routes = APIRouter()

    @routes.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(_page(service), headers=SECURE)

    @routes.get("/page.css", include_in_schema=False)
    async def style() -> Response:
        return Response((HERE / "page.css").read_bytes(), media_type="text/css")

    @routes.get("/page.js", include_in_schema=False)
    async def script() -> Response:
        return Response((HERE / "page.js").read_bytes(), media_type="text/javascript")

    @routes.get("/activity", include_in_schema=False)
    async def activity() -> EventSourceResponse:
        return EventSourceResponse(service.activity.stream())

    @routes.get("/livez", tags=["operation"], summary="Whether the process runs")
    async def livez() -> dict[str, str]:
        return {"status": "ok", "service": service.name}

    @routes.get("/readyz", tags=["operation"], summary="Store, broker, consumers, relay", responses={503: {}})
    async def readyz() -> JSONResponse:
        checks = await service.health()
        ready = all(state == "ok" for state in checks.values())
        return JSONResponse(
            {"status": "ok" if ready else "not ready", "checks": checks}, status_code=200 if ready else 503
        )

    @routes.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        await service.measure()
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @routes.get("/schemas/{type}", tags=["operation"], summary="The JSON Schema of a public event")
    async def schema(type: str) -> dict[str, Any]:
        contract = PUBLIC_EVENTS.get(type)
        if contract is None:
            raise NotFound
        return contract.model_json_schema()

    @routes.get("/dead-letters", tags=["operation"], summary="Events put aside, without their content")
    async def show(
        status: Annotated[str | None, Query(pattern="^(waiting|redriven|discarded)$")] = "waiting",
    ) -> list[dict[str, Any]]:
        letters = await service.letters.show(status)
        return [json.loads(json.dumps(letter, default=_plain)) for letter in letters]

    @routes.post("/dead-letters/{id}/redrive", tags=["operation"], summary="Handle it and what waits behind it again")
    async def redrive(id: str, request: Requested) -> dict[str, Any]:
        return await service.redrive(id, by=request.caller.subject)

    @routes.post("/dead-letters/{id}/discard", tags=["operation"], summary="Settle it without handling it")
    async def discard(id: str, body: Discard, request: Requested) -> dict[str, Any]:
        return await service.discard(id, by=request.caller.subject, note=body.note)

    return routes


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _page(service: Service) -> str:
    own = [kind.topic for kind in service.kinds if kind.topic is not None]
    heard = list(dict.fromkeys(subscription.topic.name for subscription in service.listener.subscriptions))
    types = sorted(type_ for type_, event in PUBLIC_EVENTS.items() if event.TOPIC in own)
    return Template((HERE / "page.html").read_text()).substitute(
        name=html.escape(service.name),
        about=html.escape(service.about),
        owns="".join(
            f"<li><code>{topic.name}</code>{' (restricted)' if topic.restricted else ''}</li>" for topic in own
        ),
        listens="".join(f"<li><code>{name}</code></li>" for name in heard) or "<li>nothing</li>",
        schemas="".join(f'<li><a href="/schemas/{type_}">{type_}</a></li>' for type_ in types),
    )


async def within(seconds: float, check: Any) -> str:
    """`ok`, or what is wrong, in one word or two."""
    try:
        async with asyncio.timeout(seconds):
            reason = await check()
        return reason or "ok"
    except TimeoutError:
        return "no answer"
    except Exception as error:
        return type(error).__name__
