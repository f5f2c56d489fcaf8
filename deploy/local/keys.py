"""Keys and secrets of a development machine: made at first run, kept in the state folder, worth nothing elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from deploy.local.layout import Layout, write_text

SECRETS = ("tracking_key", "seal_key", "slip_key", "open311_keys")


def make_secrets(layout: Layout) -> None:
    for name in SECRETS:
        if not (layout.secrets / name).exists():
            write_text(layout.secrets / name, secrets.token_hex(32), 0o600)


def ed25519(path: Path) -> Ed25519PrivateKey:
    if not path.exists():
        _save(path, Ed25519PrivateKey.generate())
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def rsa(path: Path) -> RSAPrivateKey:
    if not path.exists():
        _save(path, generate_private_key(65537, 2048))
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    return key


def jwk(key: Ed25519PrivateKey | RSAPrivateKey) -> dict[str, Any]:
    """The public half as a JSON Web Key, its `kid` the RFC 7638 thumbprint."""
    public: dict[str, Any]
    if isinstance(key, RSAPrivateKey):
        public = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
        required, algorithm = ("e", "kty", "n"), "RS256"
    else:
        public = json.loads(OKPAlgorithm.to_jwk(key.public_key()))
        required, algorithm = ("crv", "kty", "x"), "EdDSA"
    canonical = json.dumps({name: public[name] for name in required}, separators=(",", ":"), sort_keys=True)
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).decode().rstrip("=")
    return {name: public[name] for name in required} | {"kid": thumbprint, "use": "sig", "alg": algorithm}


def _save(path: Path, key: Ed25519PrivateKey | RSAPrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_text(path, pem.decode(), 0o600)
