"""Around every request: trace context, rate and duration by route template."""

from __future__ import annotations

import time

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common import tracing
from libs.common.metrics import Metrics
from libs.common.problem import problem

UNKNOWN_ROUTE = "unknown"


class Measured:
    """Metrics by route template, never by path: a path may hold an id."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        headers = dict(scope["headers"])
        parent = headers.get(b"traceparent", b"").decode("ascii", "replace")
        try:
            with tracing.within(parent or None):
                await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.request_seconds.labels(method, route).observe(time.perf_counter() - started)


class Bounded:
    """Refuses a body that is too large: by what it says at once, else as soon as more than the limit was read.

    FastAPI's own limit answers in plain text, not with a problem.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stated = dict(scope["headers"]).get(b"content-length", b"")
        if stated.isdigit() and int(stated[:20]) > self._limit:
            await problem(413, "body-too-large", self._detail)(scope, receive, send)
            return
        read = 0

        async def count() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                raise HTTPException(413, self._detail)
            return message

        await self._app(scope, count, send)

    @property
    def _detail(self) -> str:
        return f"Send at most {self._limit} bytes."


_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
