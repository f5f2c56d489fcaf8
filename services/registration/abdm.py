"""The way out to the ABDM gateway: session token, and the on-share acknowledgement."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import time
import uuid
from collections.abc import Sequence
from typing import Any

import httpx

from libs.common.clock import machine_now
from services.registration.settings import Settings

EARLY_SECONDS = 30.0
"""A session token is fetched anew so long before it expires."""

ANSWER_WITHIN = httpx.Timeout(8.0, connect=3.0)
"""Shorter than an attempt's lease."""

KEYS_WITHIN = httpx.Timeout(5.0, connect=3.0)

DUPLICATE_SHARE = "ABDM-1087"
"""The gateway has this acknowledgement already."""

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,29}")


class GatewayRefused(Exception):
    """The gateway surely did not take it; `code`: its error's or the HTTP status; `fields`: those at fault."""

    def __init__(self, code: str, fields: Sequence[str] = ()) -> None:
        super().__init__(code)
        self.code = code
        self.fields = tuple(fields)


class GatewaySilent(Exception):
    """It was sent and no answer came: it may have been taken."""


class Gateway:
    def __init__(self, settings: Settings, client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._client = client
        self._token = ""
        self._fresh_until = 0.0

    async def on_share(self, request_id: str, body: dict[str, Any]) -> None:
        """Sends one acknowledgement. Raises GatewayRefused and GatewaySilent."""
        if not (self._settings.abdm_on_share_url and self._settings.abdm_session_url):
            raise GatewayRefused("not-configured")
        answer = await self._post_on_share(request_id, body)
        if answer.status_code == 401:
            self._token = ""
            answer = await self._post_on_share(request_id, body)
        code = error_code(answer)
        if answer.is_success and not _says_error(answer):
            return
        if code != DUPLICATE_SHARE:
            raise GatewayRefused(code, error_fields(answer))

    async def _post_on_share(self, request_id: str, body: dict[str, Any]) -> httpx.Response:
        headers = self._headers(request_id) | {"Authorization": f"Bearer {await self._session()}"}
        try:
            return await self._client.post(
                self._settings.abdm_on_share_url, json=body, headers=headers, timeout=ANSWER_WITHIN
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise GatewayRefused("unreachable") from None
        except httpx.HTTPError:
            raise GatewaySilent from None

    async def key_set(self) -> dict[str, Any]:
        """The gateway's JSON Web Key Set, given to holders of a session (NHA v3). Without one, it is asked as anybody.

        Raises httpx.HTTPError and ValueError.
        """
        answer = await self._get_key_set()
        if answer.status_code == 401 and self._token:
            self._token = ""
            answer = await self._get_key_set()
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def _get_key_set(self) -> httpx.Response:
        headers = self._headers(str(uuid.uuid4()))
        if self._settings.abdm_session_url:
            with contextlib.suppress(GatewayRefused):
                headers |= {"Authorization": f"Bearer {await self._session()}"}
        return await self._client.get(self._settings.abdm_jwks, headers=headers, timeout=KEYS_WITHIN)

    async def _session(self) -> str:
        """The session token, kept until shortly before it expires."""
        if self._token and time.monotonic() < self._fresh_until:
            return self._token
        asked = {
            "clientId": self._settings.abdm_client_id,
            "clientSecret": self._settings.abdm_client_secret(),
            "grantType": "client_credentials",
        }
        try:
            answer = await self._client.post(
                self._settings.abdm_session_url,
                json=asked,
                headers=self._headers(str(uuid.uuid4())),
                timeout=ANSWER_WITHIN,
            )
        except httpx.HTTPError:
            raise GatewayRefused("session-unreachable") from None
        if not answer.is_success:
            raise GatewayRefused(error_code(answer))
        try:
            session = answer.json()
            self._token, seconds = str(session["accessToken"]), float(session.get("expiresIn") or 0)
        except (ValueError, KeyError, TypeError):
            raise GatewayRefused("session-unreadable") from None
        self._fresh_until = time.monotonic() + seconds - EARLY_SECONDS
        return self._token

    def _headers(self, request_id: str) -> dict[str, str]:
        return {
            "REQUEST-ID": request_id,
            "TIMESTAMP": timestamp(machine_now()),
            "X-CM-ID": self._settings.abdm_cm_id,
        }


def _says_error(answer: httpx.Response) -> bool:
    """Bodies are believed before statuses: an error may come under 200."""
    try:
        body = answer.json()
    except ValueError:
        return False
    return isinstance(body, dict) and bool(body.get("error"))


def timestamp(moment: dt.datetime) -> str:
    """UTC to the millisecond with `Z`: the gateway refuses any offset (ABDM-1016)."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def error_code(answer: httpx.Response) -> str:
    """The code in the body before the HTTP status (a bad clock is answered 404). Five shapes of body are known: an
    object `{"error": {"code"}}`, a list of those, flat `{"code"}`, an object keyed by field, and nothing.

    `http-<status>` is what is left; which fields the fourth names, `error_fields` says.
    """
    try:
        body = answer.json()
    except ValueError:
        body = None
    return body_code(body) or f"http-{answer.status_code}"


def body_code(body: Any) -> str | None:
    """The code that a body of any of the shapes holds. Codes may carry a trailing `: `."""
    if isinstance(body, list):
        return next((code for part in body if (code := body_code(part))), None)
    if not isinstance(body, dict):
        return None
    if isinstance(error := body.get("error"), str):
        return _code(error) or _code(body.get("code"))
    if error is not None:
        return body_code(error)
    if (code := _code(body.get("code"))) is not None:
        return code
    nested = (body_code(said) for said in body.values() if isinstance(said, (dict, list)))
    return next((code for code in nested if code), None)


def error_fields(answer: httpx.Response) -> list[str]:
    """The names of the fields that a body keyed by field finds fault with; never what it says of them."""
    try:
        body = answer.json()
    except ValueError:
        return []
    if not isinstance(body, dict) or body_code(body) is not None or "error" in body:
        return []
    return [name for name, said in body.items() if isinstance(said, str) and name not in _NO_FIELDS and _code(name)]


_NO_FIELDS = frozenset({"message", "timestamp", "status", "path", "requestId", "code"})


def _code(found: Any) -> str | None:
    code = str(found).strip().rstrip(":").strip() if isinstance(found, (str, int)) else ""
    return code if _CODE.fullmatch(code) else None
