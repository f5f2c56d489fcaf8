"""A small facility system that keeps NHA's Scan & Share rules, unless a bug is planted in it.

The bugs are those read in systems in the field: one counter for all counters, nulls refused, FAILED at a rescan.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from deploy.local.ports import free_port
from tools.abdm_check.gateway import CERTS, ON_SHARE, SESSIONS

INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))
HALF_AN_HOUR = dt.timedelta(minutes=30)
FORGOTTEN_AFTER = 1.5
HIP = "IN9900000001"


@dataclass
class Toy:
    """`bugs` are switched on by name."""

    gateway: str
    bugs: frozenset[str] = frozenset()
    keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    learnt_at: float = 0.0
    session: str = ""
    last: dict[tuple[str, ...], int] = field(default_factory=dict)
    held: dict[tuple[str, ...], tuple[int, dt.datetime]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/api/v3/hip/patient/share")
        async def share(request: Request) -> JSONResponse:
            if "anybody" not in self.bugs and not await self._proven(request):
                return JSONResponse({"error": {"code": "900901"}}, 401)
            body = await request.json()
            patient = (body.get("profile") or {}).get("patient")
            if patient is None or body["intent"] != "PROFILE_SHARE":
                return JSONResponse({"error": {"code": "ABDM-1102"}}, 400)
            if body["metaData"]["hipId"] != HIP:
                return JSONResponse({"error": {"code": "ABDM-1035"}}, 404)
            if "nulls-refused" in self.bugs and patient["dayOfBirth"] is None:
                return JSONResponse({"error": {"code": "ABDM-1006"}}, 400)
            at = dt.datetime.fromisoformat(request.headers["timestamp"])
            request_id, counter = request.headers["request-id"], body["metaData"]["context"]
            token = self._token(request_id, counter, patient["abhaAddress"], at)
            task = asyncio.create_task(self._acknowledge(request_id, counter, patient["abhaAddress"], token))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            return JSONResponse({}, 202)

        return app

    def _token(self, request_id: str, counter: str, address: str, at: dt.datetime) -> int | None:
        if request_id in self.asked and "repeats-counted" not in self.bugs:
            return self.asked[request_id]
        day = at.date() if "utc-day" in self.bugs else at.astimezone(INDIA).date()
        queue = ("all",) if "one-sequence" in self.bugs else (counter, day.isoformat())
        number, until = self.held.get((*queue, address), (0, at))
        if at >= until:
            number = self.last[queue] = self.last.get(queue, 0) + 1
            self.held[(*queue, address)] = number, at + HALF_AN_HOUR
        elif "rescan-failed" in self.bugs:
            return None
        self.asked[request_id] = number
        return number

    async def _proven(self, request: Request) -> bool:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            kid = str(jwt.get_unverified_header(token)["kid"])
            if "keys-forgotten" in self.bugs and time.monotonic() - self.learnt_at > FORGOTTEN_AFTER:
                self.keys = {}
            if "first-key" in self.bugs:
                await self._learn()
                kid = next(iter(self.keys))
            elif kid not in self.keys or "keys-every-time" in self.bugs:
                await self._learn()
            jwt.decode(token, self.keys[kid], ["RS256"], options={"require": ["exp"]})
        except (jwt.PyJWTError, KeyError, StopIteration, httpx.HTTPError):
            return False
        return True

    async def _learn(self) -> None:
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{self.gateway}{CERTS}", headers=await self._headers(client))
        self.keys = {} if "keys-every-time" in self.bugs else self.keys
        if answer.is_success:
            self.learnt_at = time.monotonic()
            self.keys = {key.key_id or "": key for key in jwt.PyJWKSet.from_dict(answer.json()).keys}

    async def _headers(self, client: httpx.AsyncClient) -> dict[str, str]:
        if not self.session:
            asked = {"clientId": "toy", "clientSecret": "toy", "grantType": "client_credentials"}
            self.session = (await client.post(f"{self.gateway}{SESSIONS}", json=asked)).json()["accessToken"]
        offset = INDIA if "local-time" in self.bugs else dt.UTC
        stamp = dt.datetime.now(offset).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"Authorization": f"Bearer {self.session}", "REQUEST-ID": str(uuid.uuid4()), "TIMESTAMP": stamp,
                "X-CM-ID": "sbx"}  # fmt: skip

    async def _acknowledge(self, request_id: str, counter: str, address: str, token: int | None) -> None:
        profile = {"context": counter, "tokenNumber": str(token), "expiry": "1800"}
        body: dict[str, Any] = {
            "acknowledgement": {"status": "SUCCESS", "abhaAddress": address, "profile": profile},
            "response": {"requestId": request_id},
        }
        if token is None:
            body["acknowledgement"] = {"status": "FAILED", "abhaAddress": address}
        async with httpx.AsyncClient() as client:
            for _ in range(1 if "sent-once" in self.bugs else 5):
                answer = await client.post(f"{self.gateway}{ON_SHARE}", json=body, headers=await self._headers(client))
                if answer.is_success:
                    return
                if answer.status_code == 401:
                    self.session = ""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def toy_at(gateway: str, *bugs: str) -> AsyncIterator[str]:
    port = free_port()
    server = _Server(uvicorn.Config(Toy(gateway, frozenset(bugs)).app(), port=port, log_config=None))
    running = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110  uvicorn tells nobody
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running
