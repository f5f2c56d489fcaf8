"""What every service is told from outside: by environment variables, and secrets by file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """No outside address is a default; a deployment that is not marked as development refuses the day's clock."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=False, hide_input_in_errors=True)

    mongodb_uri: str = "mongodb://127.0.0.1:27017/"
    mongodb_uri_file: Path | None = Field(None, description="Holds the address; one with a password belongs here")
    database_prefix: str = "hillhealth_"
    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_username: str | None = None
    kafka_password_file: Path | None = None
    kafka_ca_file: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    development: bool = False
    clock: Literal["system", "day"] = "system"
    log_level: str = "INFO"
    ce_epoch: int = Field(1, ge=1, description="Raise it after a restore from backup")
    oidc_issuer: str = ""
    oidc_jwks: str = Field("", description="URL or file path of the issuer's JSON Web Key Set")
    oidc_audience: str = "hillhealth"
    secrets_dir: Path = Path("/run/secrets")
    requests_per_second: int = Field(200, ge=1, description="Per caller; a burst of one second is let through")
    public_requests_per_second: int = Field(20, ge=1, description="Per address, on routes without a token")
    max_request_bytes: int = Field(262_144, ge=1024)
    lease_seconds: float = Field(4.0, gt=0, description="A dead relay's work is taken over within this and one sweep")
    sweep_seconds: float = Field(1.0, gt=0)
    timers: bool = Field(True, description="Whether this process runs timers")
    relay: bool = Field(True, description="Whether this process relays")

    @model_validator(mode="after")
    def _day_clock_only_in_development(self) -> Self:
        if self.clock == "day" and not self.development:
            raise ValueError("CLOCK=day plays a recorded day; it needs DEVELOPMENT=true")
        return self

    @model_validator(mode="after")
    def _address_from_its_file(self) -> Self:
        """Raises OSError if the file cannot be read."""
        if self.mongodb_uri_file is not None:
            self.mongodb_uri = self.mongodb_uri_file.read_text().strip()
        return self

    def secret(self, name: str) -> bytes:
        """The secret in file `name` of `secrets_dir`. Raises FileNotFoundError, or ValueError if empty."""
        secret = (self.secrets_dir / name).read_bytes().strip()
        if not secret:
            raise ValueError(f"the secret {name} in SECRETS_DIR is empty")
        return secret
