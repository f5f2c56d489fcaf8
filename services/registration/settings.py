"""What registration is told from outside. No outside address is a default."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from pydantic import Field

from libs.common.settings import ServiceSettings
from services.registration.programme_files import PROGRAMMES
from services.registration.rulebook import SCHEMES

FONTS = Path(__file__).parents[2] / "data" / "fonts"


class Settings(ServiceSettings):
    token_minutes: int = Field(
        30, ge=1, le=12 * 60, description="How long an OPD token is valid, and repeated to who scans again"
    )
    abdm_jwks: str = Field("", description="URL or file path of the ABDM gateway's JSON Web Key Set")
    abdm_on_share_url: str = Field("", description="Where Scan & Share acknowledgements go")
    abdm_session_url: str = Field("", description="Where the gateway gives its session tokens")
    abdm_client_id: str = "hillhealth"
    abdm_cm_id: str = Field("sbx", description="X-CM-ID: sbx or abdm")
    abdm_share_page: str = Field(
        "", description="What a facility's QR code opens, as told at onboarding; empty: the sandbox's page for sbx"
    )
    fonts: Path = Field(FONTS, description="Folder with the Noto fonts that papers are printed in")
    schemes: Path = Field(SCHEMES, description="Folder with the rules of the schemes, a file each")
    programmes: Path = Field(PROGRAMMES, description="Folder with the screening programmes, a file each")
    # The gateway is one address that speaks for a whole nation's phones; its own token is checked at the door.
    public_requests_per_second: int = Field(500, ge=1, description="Per address, on routes without a token of ours")

    home_calls_per_minute: int = Field(
        10, ge=1, description="Codes and tries from one address, at the door for people at home"
    )

    @property
    def token_validity(self) -> dt.timedelta:
        return dt.timedelta(minutes=self.token_minutes)

    def abdm_client_secret(self) -> str:
        """The secret in file `abdm_client_secret` of the secrets folder; empty if there is none."""
        try:
            return self.secret("abdm_client_secret").decode()
        except FileNotFoundError:
            return ""
