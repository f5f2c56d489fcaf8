"""What this service is told from outside, beyond what every service is."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from libs.common.settings import ServiceSettings
from libs.contracts.event import FacilityCode
from services.grievance.catalogue import CALENDARS, CATEGORIES, JURISDICTIONS, PROACTIVE, SCREENING
from services.grievance.domain.content import LARGEST


class Settings(ServiceSettings):
    categories: Path = Field(CATEGORIES, description="File of what people complain about")
    jurisdictions: Path = Field(JURISDICTIONS, description="Folder: by when it must be put right, and who answers")
    calendars: Path = Field(CALENDARS, description="Folder: when the offices of each state work")
    state_cells: dict[int, FacilityCode] = Field(
        {1: "JK-STATE-CELL", 2: "HP-STATE-CELL", 37: "LA-STATE-CELL"},
        description="Who answers where no facility stands above, by LGD code of the state",
    )
    national_cell: FacilityCode = Field("IN-NATIONAL-CELL", description="The same for a state without a cell")
    proactive: Path = Field(PROACTIVE, description="File: which events open a case by themselves")
    screening: Path = Field(SCREENING, description="File: what another procedure decides")
    max_request_bytes: int = Field(LARGEST + 64 * 1024, ge=1024, description="An attachment and a little more")
    s3_endpoint: str | None = Field(None, description="S3-compatible store of attachments; GridFS if not told")
    s3_bucket: str = "hillhealth-attachments"
    s3_region: str = "ap-south-1"
    s3_key: str = Field("", description="Its access key; the secret is the file `s3_secret` of SECRETS_DIR")
    open311_jurisdiction: str = Field("hillhealth", description="The jurisdiction_id that Open311 clients may name")
    figures_seconds: float = Field(60.0, ge=0, description="How long public figures are used again")

    def open311_keys(self) -> dict[str, str]:
        """Clients' names by API key: lines `name key` of the secret `open311_keys`; none without such a file.

        A line of one word is a key without a name.
        """
        try:
            lines = self.secret("open311_keys").decode().splitlines()
        except FileNotFoundError:
            return {}
        return {words[-1]: words[0] if len(words) > 1 else "client" for words in map(str.split, lines) if words}

    def tracking_key(self) -> bytes:
        """Keys the secrets of tickets. Changing it makes every secret handed out so far useless."""
        return self.secret("tracking_key")
