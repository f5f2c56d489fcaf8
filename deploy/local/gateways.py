"""Stand-ins for what is outside: the SMS gateway, the ABDM gateway and the OIDC issuer, in one small process.

They keep what they receive (see inbox.py) and never remove doubles: a message sent twice must be seen twice.
`python -m deploy.local.gateways` serves on `PORT`, over the state folder `STATE`.
"""

from __future__ import annotations

import asyncio
import html
import os
import secrets
from collections.abc import Sequence
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel

from deploy.local.inbox import receive, received
from deploy.local.issuer import Abdm, Issuer
from deploy.local.layout import Layout


class Sms(BaseModel):
    """`reference` is the sender's own id of the message; `template` is the id registered with the operators (DLT)."""

    to: str
    text: str
    reference: str
    template: str = ""
    language: str = ""


class Fault(BaseModel):
    """The next `times` calls answer `status`, before doing anything or after accepting; `hang_s` delays the answer."""

    status: int = 500
    times: int = 1
    after_accept: bool = False
    hang_s: float = 0.0


class PlayedAt(BaseModel):
    """Where another process plays the ABDM gateway (the conformance kit)."""

    url: str


class Aside:
    """Passes on what the ABDM gateway is asked while somebody else plays it; forgets who has gone away."""

    def __init__(self) -> None:
        self.url: str | None = None

    async def passed_on(self, request: Request) -> httpx.Response | None:
        """The other's answer; None if nobody else plays."""
        if self.url is None:
            return None
        kept = ("authorization", "content-type", "request-id", "timestamp", "x-cm-id")
        headers = {name: value for name, value in request.headers.items() if name in kept}
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            try:
                return await client.request(
                    request.method, f"{self.url}{request.url.path}", content=await request.body(), headers=headers
                )
            except httpx.TransportError:
                self.url = None
                return None


def create_app(layout: Layout, url: str) -> FastAPI:
    app = FastAPI(title="Stand-ins", description="SMS gateway, ABDM gateway and OIDC issuer for development")
    issuer, abdm = Issuer(layout, url), Abdm(layout)
    sms, mail, on_share = (layout.inbox / f"{name}.jsonl" for name in ("sms", "mail", "on_share"))
    faults: dict[str, Fault] = {}
    aside = Aside()
    references: dict[str, int] = {}
    for entry in received(sms):
        references[entry["reference"]] = references.get(entry["reference"], 0) + 1

    async def fault(name: str, *, accepted: bool) -> None:
        planted = faults.get(name)
        if planted is None or planted.after_accept is not accepted:
            return
        planted.times -= 1
        if planted.times <= 0:
            del faults[name]
        await asyncio.sleep(planted.hang_s)
        if planted.status >= 400:
            raise HTTPException(planted.status, f"planted fault: {name}")

    @app.get("/livez")
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/sms", status_code=202)
    async def send(message: Sms) -> dict[str, str]:
        await fault("sms", accepted=False)
        identity = secrets.token_hex(8)
        receive(sms, {"id": identity, **message.model_dump()})
        references[message.reference] = references.get(message.reference, 0) + 1
        await fault("sms", accepted=True)
        return {"id": identity}

    @app.get("/sms/{reference}")
    async def was_accepted(reference: str) -> dict[str, Any]:
        await fault("sms_status", accepted=False)
        if reference not in references:
            raise HTTPException(404, "no such reference")
        return {"reference": reference, "status": "accepted", "count": references[reference]}

    @app.post("/api/hiecm/gateway/v3/sessions")
    async def session(request: Request) -> Any:
        await fault("sessions", accepted=False)
        if (other := await aside.passed_on(request)) is not None:
            return JSONResponse(other.json(), status_code=other.status_code)
        return {"accessToken": abdm.token(), "expiresIn": 1200, "tokenType": "bearer"}

    @app.get("/api/hiecm/gateway/v3/certs")
    async def certificates(request: Request) -> Any:
        await fault("certs", accepted=False)
        own = abdm.jwks()
        if (other := await aside.passed_on(request)) is not None:
            if not other.is_success:
                return JSONResponse(other.json(), status_code=other.status_code)
            return {"keys": [*own["keys"], *other.json()["keys"]]}
        return own

    @app.post("/api/hiecm/patient-share/v3/on-share", status_code=202)
    async def acknowledge(request: Request) -> Response:
        await fault("on_share", accepted=False)
        other = await aside.passed_on(request)
        if other is not None and not other.is_success:
            return Response(other.content, other.status_code, media_type="application/json")
        kept = ("request-id", "timestamp", "x-cm-id", "x-hip-id")
        headers = {name: request.headers.get(name) for name in kept}
        receive(on_share, {"request_id": headers["request-id"], "headers": headers, "body": await request.json()})
        await fault("on_share", accepted=True)
        return Response(status_code=202)

    @app.put("/abdm/played-at")
    async def step_aside(other: PlayedAt) -> PlayedAt:
        aside.url = other.url.rstrip("/")
        return other

    @app.delete("/abdm/played-at", status_code=204)
    async def step_back() -> None:
        aside.url = None

    @app.get("/.well-known/openid-configuration")
    async def discovery() -> dict[str, Any]:
        return {"issuer": url, "jwks_uri": f"{url}/jwks.json", "id_token_signing_alg_values_supported": ["EdDSA"]}

    @app.get("/jwks.json")
    async def key_set() -> dict[str, Any]:
        return issuer.jwks()

    @app.post("/faults")
    async def plant(planted: dict[str, Fault]) -> dict[str, Fault]:
        faults.update(planted)
        return faults

    @app.delete("/faults", status_code=204)
    async def lift() -> None:
        faults.clear()

    @app.get("/inbox/{name}")
    async def listed(name: str) -> JSONResponse:
        folder = {"sms": sms, "mail": mail, "on-share": on_share}.get(name)
        if folder is None:
            raise HTTPException(404, "sms, mail or on-share")
        return JSONResponse(received(folder))

    @app.get("/inbox")
    async def page() -> HTMLResponse:
        texts, letters, shares = received(sms), received(mail), received(on_share)
        rows = [(e["received_at"], "SMS", e["to"], e["language"], e["text"]) for e in texts]
        rows += [(e["received_at"], "e-mail", ", ".join(e["to"]), "", e["subject"]) for e in letters]
        return HTMLResponse(_page(sorted(rows, reverse=True)[:500], len(texts), len(letters), len(shares)))

    return app


def _page(rows: Sequence[tuple[str, ...]], texts: int, letters: int, shares: int) -> str:
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=5><title>Inbox</title>"
        "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:80rem}table{border-collapse:collapse}"
        "td,th{padding:.3rem .8rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}</style>"
        f"<h1>What people were told</h1><p>{texts} SMS, {letters} e-mails, {shares} Scan &amp; Share acknowledgements "
        "were received on this machine; nothing left it. Newest first.</p>"
        f"<table><tr><th>received (UTC)<th>by<th>to<th>language<th>text</tr>{cells}</table>"
    )


def main() -> None:
    port = int(os.environ["PORT"])
    app = create_app(Layout.default(), f"http://127.0.0.1:{port}")
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
