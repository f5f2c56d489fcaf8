"""The gateway that the kit plays: session tokens, a key set that can turn or be away, and a place for on-share.

Paths and shapes: NHA Scan & Share v3, ABDM gateway v3.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from jwt.algorithms import RSAAlgorithm

SESSIONS = "/api/hiecm/gateway/v3/sessions"
CERTS = "/api/hiecm/gateway/v3/certs"
ON_SHARE = "/api/hiecm/patient-share/v3/on-share"


@dataclass(frozen=True)
class Key:
    private: RSAPrivateKey
    kid: str

    @classmethod
    def fresh(cls) -> Key:
        key = generate_private_key(65537, 2048)
        public = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
        text = json.dumps({name: public[name] for name in ("e", "kty", "n")}, separators=(",", ":"), sort_keys=True)
        digest = hashlib.sha256(text.encode()).digest()
        return cls(key, base64.urlsafe_b64encode(digest).decode().rstrip("="))

    def public(self) -> dict[str, Any]:
        public = json.loads(RSAAlgorithm.to_jwk(self.private.public_key()))
        return {name: public[name] for name in ("e", "kty", "n")} | {"kid": self.kid, "use": "sig", "alg": "RS256"}


@dataclass(frozen=True)
class OnShare:
    """One on-share call. `at` is by the monotonic clock, `wall` in epoch seconds; `answered` is the status it got."""

    at: float
    wall: float
    headers: dict[str, str]
    body: Any
    answered: int

    @property
    def request_id(self) -> str:
        response = self.body.get("response") if isinstance(self.body, dict) else None
        found = response.get("requestId") if isinstance(response, dict) else None
        return str(found or "")


@dataclass
class Gateway:
    """`refuse_next` on-share calls are answered 503. While `certs_away`, nobody gets the key set."""

    key: Key = field(default_factory=Key.fresh)
    retired: list[Key] = field(default_factory=lambda: [Key.fresh()])
    certs_away: bool = False
    refuse_next: int = 0
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked_sessions: list[dict[str, Any]] = field(default_factory=list)
    asked_certs: list[bool] = field(default_factory=list)
    received: list[OnShare] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def rotate(self) -> None:
        """Signs with a new key from now on; the old one stays in the set, before the new one."""
        self.retired.append(self.key)
        self.key = Key.fresh()

    def token(self, *, key: Key | None = None, minutes: float = 20) -> str:
        """The bearer token of the gateway's own calls."""
        now = int(time.time())
        claims = {"sub": "abdm-gateway", "clientId": "gateway", "iat": now, "exp": now + int(minutes * 60)}
        key = key or self.key
        return jwt.encode(claims, key.private, "RS256", headers={"kid": key.kid})

    def key_set(self) -> dict[str, Any]:
        """The signing key last: whoever takes the first of a set will see it."""
        return {"keys": [key.public() for key in (*self.retired, self.key)]}

    def answers(self, request_id: str) -> list[OnShare]:
        return [call for call in self.received if call.request_id == request_id]

    async def news(self, seconds: float) -> None:
        """Until something arrives, at most so long."""
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)

    def app(self) -> FastAPI:
        app = FastAPI(title="ABDM gateway, played by the conformance kit", docs_url=None, redoc_url=None)

        @app.post(SESSIONS)
        async def session(request: Request) -> JSONResponse:
            try:
                said = await request.json()
            except ValueError:
                said = None
            self.asked_sessions.append(said if isinstance(said, dict) else {})
            token = secrets.token_urlsafe(24)
            self.sessions[token] = self.asked_sessions[-1]
            return JSONResponse({"accessToken": token, "expiresIn": 1200, "tokenType": "bearer"})

        @app.get(CERTS)
        async def certificates(request: Request) -> JSONResponse:
            self.asked_certs.append(_bearer(request) in self.sessions)
            if self.certs_away:
                return JSONResponse({"error": {"code": "ABDM-1024", "message": "away"}}, status_code=503)
            return JSONResponse(self.key_set())

        @app.post(ON_SHARE)
        async def on_share(request: Request) -> Response:
            status, error = self._verdict(request)
            try:
                body = json.loads(await request.body())
            except ValueError:
                body, status, error = None, 400, {"code": "ABDM-1006", "message": "body: "}
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.received.append(OnShare(time.monotonic(), time.time(), headers, body, status))
            self._news.set()
            return Response(status_code=202) if error is None else JSONResponse({"error": error}, status_code=status)

        return app

    def _verdict(self, request: Request) -> tuple[int, dict[str, str] | None]:
        if _bearer(request) not in self.sessions:
            return 401, {"code": "900901", "message": "Invalid Credentials"}
        if self.refuse_next > 0:
            self.refuse_next -= 1
            return 503, {"code": "ABDM-1024: ", "message": "dependent service unavailable"}
        return 202, None


def _bearer(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ").strip()


class _Server(uvicorn.Server):
    """Leaves the signals to whoever runs the kit."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def listening(gateway: Gateway, host: str, port: int) -> AsyncIterator[str]:
    """The gateway's base URL while it listens. Raises OSError if the port is taken."""
    config = uvicorn.Config(gateway.app(), host=host, port=port, log_config=None, timeout_graceful_shutdown=1)
    socket = config.bind_socket() if port == 0 else None
    server = _Server(config)
    if socket is not None:
        port = socket.getsockname()[1]
    else:
        probe = await asyncio.start_server(lambda reader, writer: None, host, port)
        probe.close()
        await probe.wait_closed()
    running = asyncio.create_task(server.serve(sockets=[socket] if socket else None))
    try:
        while not server.started and not running.done():  # noqa: ASYNC110  uvicorn tells nobody
            await asyncio.sleep(0.01)
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await running
