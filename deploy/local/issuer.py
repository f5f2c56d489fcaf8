"""The development OIDC issuer and the ABDM gateway's stand-in, as signers of tokens."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from deploy.local import keys
from deploy.local.layout import Layout

AUDIENCE = "hillhealth"
ROLES = (
    "desk", "doctor", "transport", "citizen", "officer", "nodal-officer", "operator", "abdm-gateway",
)  # fmt: skip


@dataclass(frozen=True)
class Issuer:
    """Mints tokens that the services accept, because their `OIDC_JWKS` is this one's. `url` is the claim `iss`."""

    layout: Layout
    url: str

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        return keys.ed25519(self.layout.state / "issuer" / "key.pem")

    def jwks(self) -> dict[str, Any]:
        return {"keys": [keys.jwk(self._key)]}

    def token(
        self,
        *,
        role: str,
        facility: str = "",
        subject: str | None = None,
        patient: str | None = None,
        hours: float = 12,
    ) -> str:
        """A bearer token good for `hours` (negative: already expired). `subject` defaults to `role@facility`."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": subject or (f"{role}@{facility}" if facility else role),
            "role": role,
            "facility": facility,
            "iat": now,
            "exp": now + int(hours * 3600),
        }
        if patient is not None:
            claims["patient"] = patient
        return jwt.encode(claims, self._key, "EdDSA", headers={"kid": str(keys.jwk(self._key)["kid"])})


@dataclass(frozen=True)
class Abdm:
    """Signs as the ABDM gateway does (RS256 with `kid`), with a key of this machine's own."""

    layout: Layout

    @cached_property
    def _key(self) -> RSAPrivateKey:
        return keys.rsa(self.layout.state / "abdm" / "key.pem")

    def jwks(self) -> dict[str, Any]:
        return {"keys": [keys.jwk(self._key)]}

    def token(self, minutes: float = 20, **claims: Any) -> str:
        """An access token good for `minutes`; `claims` are added or replace the usual ones."""
        now = int(time.time())
        usual = {"sub": "abdm-gateway", "clientId": "gateway", "iat": now, "exp": now + int(minutes * 60)}
        return jwt.encode(usual | claims, self._key, "RS256", headers={"kid": str(keys.jwk(self._key)["kid"])})
