"""Bearer tokens checked against a JSON Web Key Set (RFC 7519, RFC 7517). Nobody is who a header says."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import jwt

from libs.common.access import Caller
from libs.common.clock import machine_now
from libs.common.logs import logger

log = logger("tokens")

ALGORITHMS = ("RS256", "ES256", "EdDSA")
FRESH_SECONDS = 300.0
REFETCH_AT_MOST_EVERY_SECONDS = 10.0

REMEMBERED_SECONDS = 60.0
"""How long a token that held is not checked again: a desk sends the same one hundreds of times an hour. Never past its
own expiry, and never past a fetch of the keys, so that a key that is withdrawn takes its tokens with it."""

REMEMBERED_TOKENS = 4096


class Unauthenticated(Exception):
    """No token, or one that does not hold. The message never repeats it."""


class KeySet:
    """Keys of one issuer, from a URL or a file: cached by `kid`, stale while the issuer is down, refetched once on an
    unknown `kid` (and not more often than every ten seconds, so that made-up ones are no load on the issuer).

    `fetch` gets the set where a plain GET of `source` will not do; it raises httpx.HTTPError or ValueError.
    """

    def __init__(
        self,
        source: str,
        headers: dict[str, str] | None = None,
        fetch: Callable[[], Awaitable[dict[str, Any]]] | None = None,
    ) -> None:
        self._source = source
        self._headers = headers or {}
        self._fetch_document = fetch
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._lock = asyncio.Lock()
        self._held: dict[tuple[object, ...], tuple[float, dict[str, Any]]] = {}

    async def verify(
        self,
        token: str,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        algorithms: tuple[str, ...] = ALGORITHMS,
    ) -> dict[str, Any]:
        """The claims. Raises Unauthenticated: malformed, unknown key, bad signature, expired, wrong audience."""
        asked, now = (token, issuer, audience, algorithms), machine_now().timestamp()
        until, claims = self._held.get(asked, (0.0, {}))
        if now >= until or time.monotonic() - self._fetched > FRESH_SECONDS:
            claims = await self._verify(token, issuer, audience, algorithms)
            if len(self._held) >= REMEMBERED_TOKENS:
                self._held.clear()
            self._held[asked] = (min(now + REMEMBERED_SECONDS, float(claims["exp"])), claims)
        return dict(claims)

    async def _verify(
        self, token: str, issuer: str | None, audience: str | None, algorithms: tuple[str, ...]
    ) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise Unauthenticated("not a token") from None
        if header.get("alg") not in algorithms:
            raise Unauthenticated("algorithm not allowed")
        key = await self._key(str(header.get("kid", "")))
        if key.algorithm_name != header["alg"]:
            raise Unauthenticated("algorithm is not its key's")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key=key,
                algorithms=[key.algorithm_name],
                issuer=issuer or None,
                audience=audience,
                leeway=30,
                options={"require": ["exp"], "verify_aud": audience is not None, "verify_iss": bool(issuer)},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("token has expired") from None
        except jwt.InvalidTokenError:
            raise Unauthenticated("token does not hold") from None
        return claims

    async def _key(self, kid: str) -> jwt.PyJWK:
        if self._lock.locked() and kid in self._keys:
            # Somebody is asking already: a slow issuer holds up nobody whose key is known.
            return self._keys[kid]
        async with self._lock:
            now = time.monotonic()
            stale = now - self._fetched > FRESH_SECONDS
            rested = now - self._tried > (REFETCH_AT_MOST_EVERY_SECONDS if self._keys else 1.0)
            if rested and (stale or kid not in self._keys):
                self._tried = now
                await self._fetch()
        try:
            return self._keys[kid]
        except KeyError:
            raise Unauthenticated("unknown key") from None

    async def _fetch(self) -> None:
        try:
            document = await self._document()
            keys = jwt.PyJWKSet.from_dict(document)
        except (httpx.HTTPError, OSError, ValueError, TypeError, LookupError, AttributeError, jwt.PyJWTError) as error:
            log.warning("key set not available", extra={"error": type(error).__name__})
            return
        self._keys = {key.key_id: key for key in keys.keys if key.key_id}
        self._fetched = time.monotonic()
        self._held.clear()

    async def _document(self) -> dict[str, Any]:
        if self._fetch_document is not None:
            return await self._fetch_document()
        if self._source.startswith(("http://", "https://")):
            async with httpx.AsyncClient(timeout=5.0, headers=self._headers) as client:
                answer = await client.get(self._source)
                answer.raise_for_status()
                document: dict[str, Any] = answer.json()
        else:
            document = json.loads(await asyncio.to_thread(Path(self._source).read_text))
        return document


def caller_of(claims: dict[str, Any]) -> Caller:
    """Raises Unauthenticated if the token does not say who and in which role."""
    subject, role = claims.get("sub"), claims.get("role")
    if not isinstance(subject, str) or not subject or not isinstance(role, str) or not role:
        raise Unauthenticated("token names no subject or role")
    if role in ("anonymous", "system"):
        raise Unauthenticated("that role is not given by tokens")
    facility, patient = claims.get("facility") or "", claims.get("patient")
    if not isinstance(facility, str) or (patient is not None and not isinstance(patient, str)):
        raise Unauthenticated("facility and patient must be text")
    return Caller(subject, role, facility, patient)
