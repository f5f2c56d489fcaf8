"""The slip that a patient carries: a signed word, no name in it, that any desk can check without a network.

A compact JWS (RFC 7515) signed with Ed25519: which referral, from where to where, until when. The public keys are
served as a JSON Web Key Set; a desk that keeps them checks a slip offline and sends the arrival when the link is back.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from libs.common.refusal import Refused
from services.referral.domain.referral import Referral

ISSUER = "hillhealth-referral"
TYPE = "slip+jwt"
GOOD_FOR = dt.timedelta(days=60)
"""Longer than a pass stays closed for one storm; a winter's journey gets a new slip."""

TOLD_WITHIN = dt.timedelta(days=30)
"""After it has expired: in which a desk without a network may tell that it was scanned while it was good."""

CLOCKS_DIFFER = dt.timedelta(minutes=5)
"""That much a desk's clock may be behind ours."""


@dataclass(frozen=True)
class Slip:
    """What a slip says. `referral` is an id, the others codes of facilities."""

    referral: str
    origin: str
    destination: str
    issued_at: dt.datetime
    expires_at: dt.datetime


class SlipKey:
    """`secret`: 32 random bytes as 64 hexadecimal digits."""

    def __init__(self, secret: bytes) -> None:
        """Raises ValueError for anything else."""
        self._key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret.decode("ascii")))
        public = json.loads(OKPAlgorithm.to_jwk(self._key.public_key()))
        required = {name: public[name] for name in ("crv", "kty", "x")}
        canonical = json.dumps(required, separators=(",", ":"), sort_keys=True)
        thumbprint = base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).decode().rstrip("=")
        self.public: dict[str, Any] = {**required, "kid": thumbprint, "use": "sig", "alg": "EdDSA"}

    @property
    def key_set(self) -> dict[str, Any]:
        """As a JSON Web Key Set (RFC 7517)."""
        return {"keys": [self.public]}

    def sign(self, id: str, state: Referral, now: dt.datetime) -> str:
        claims = {
            "iss": ISSUER,
            "r": id,
            "o": state.origin,
            "d": state.destination,
            "iat": int(now.timestamp()),
            "exp": int((now + GOOD_FOR).timestamp()),
        }
        return jwt.encode(claims, self._key, "EdDSA", headers={"kid": self.public["kid"], "typ": TYPE})


def verify(text: str, key_set: Mapping[str, Any], now: dt.datetime) -> Slip:
    """What the slip says, if one of these keys signed it. Needs no network.

    Raises Refused naming `slip`: `slip-malformed`, `slip-forged`, `slip-expired`, `slip-not-issued`.
    """
    try:
        header = jwt.get_unverified_header(text)
    except jwt.PyJWTError:
        raise Refused("slip-malformed", "this is no slip of ours", field="slip") from None
    key = next((key for key in key_set.get("keys", ()) if key.get("kid") == header.get("kid")), None)
    if key is None or header.get("typ") != TYPE:
        raise Refused("slip-forged", "no key that is trusted here signed this", field="slip")
    try:
        claims = jwt.decode(
            text,
            jwt.PyJWK.from_dict(dict(key)).key,
            algorithms=["EdDSA"],
            issuer=ISSUER,
            options={"verify_exp": False, "verify_iat": False, "require": ["r", "o", "d", "iat", "exp"]},
        )
        slip = Slip(
            str(claims["r"]),
            str(claims["o"]),
            str(claims["d"]),
            dt.datetime.fromtimestamp(claims["iat"], dt.UTC),
            dt.datetime.fromtimestamp(claims["exp"], dt.UTC),
        )
    except jwt.InvalidSignatureError:
        raise Refused("slip-forged", "it was changed after it was signed", field="slip") from None
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
        raise Refused("slip-malformed", "this is no slip of ours", field="slip") from None
    if now >= slip.expires_at:
        raise Refused("slip-expired", "it is too old; ask for a new one", field="slip")
    if now < slip.issued_at - CLOCKS_DIFFER:
        raise Refused("slip-not-issued", "it was not issued yet then", field="slip")
    return slip


def told_in_time(slip: Slip, now: dt.datetime) -> Slip:
    """Raises Refused where nobody may tell any more that it was scanned while it was good."""
    if now >= slip.expires_at + TOLD_WITHIN:
        raise Refused("slip-expired", "it is too old; mark the arrival itself", field="slip")
    return slip


def for_here(slip: Slip, facility: str) -> Slip:
    """Raises Refused where the slip leads somewhere else."""
    if slip.destination != facility:
        raise Refused("slip-for-elsewhere", "it is for another facility", field="slip")
    return slip
