"""What this service is told from outside, beyond what every service is."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from libs.common.settings import ServiceSettings
from libs.contracts.event import FacilityCode
from services.grievance.catalogue import CALENDARS, CATEGORIES, JURISDICTIONS


class Settings(ServiceSettings):
    categories: Path = Field(CATEGORIES, description="File of what people complain about")
    jurisdictions: Path = Field(JURISDICTIONS, description="Folder: by when it must be put right, and who answers")
    calendars: Path = Field(CALENDARS, description="Folder: when the offices of each state work")
    state_cells: dict[int, FacilityCode] = Field(
        {1: "JK-STATE-CELL", 2: "HP-STATE-CELL", 37: "LA-STATE-CELL"},
        description="Who answers where no facility stands above, by LGD code of the state",
    )
    national_cell: FacilityCode = Field("IN-NATIONAL-CELL", description="The same for a state without a cell")

    def tracking_key(self) -> bytes:
        """Keys the secrets of tickets. Changing it makes every secret handed out so far useless."""
        return self.secret("tracking_key")
