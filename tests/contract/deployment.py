"""The deployment's own files and the services' composition roots, as the tests of `deploy/` look at them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import yaml

from libs.common.service import Service

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SERVICES = ("registration", "referral", "grievance", "notifications")


def compose() -> dict[str, Any]:
    """The compose file with its anchors and merges resolved."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def composed(service: str, secrets: Path) -> Service:
    """The service as its composition root puts it together; nothing opens. `secrets`: an empty folder."""
    for name in ("seal_key", "tracking_key", "slip_key"):
        (secrets / name).write_text("0" * 64)
    settings = importlib.import_module(f"services.{service}.settings").Settings
    app = importlib.import_module(f"services.{service}.main").create_app(
        settings(secrets_dir=secrets, oidc_issuer="https://issuer.example", oidc_jwks="https://issuer.example/keys")
    )
    built: Service = app.state.service
    return built
