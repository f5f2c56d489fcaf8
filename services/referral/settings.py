"""What the referral service is told from outside."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from libs.common.settings import ServiceSettings
from services.referral.cells import DEFAULT as CELLS
from services.referral.promises import DEFAULT as PROMISES
from services.referral.roadbook import DEFAULT as ROADS
from services.referral.seasons import DEFAULT as SEASONS


class Settings(ServiceSettings):
    facilities: Path = Field(
        Path("data/facilities.csv"),
        description="The facility directory; a relative path is meant from the project root",
    )
    cells: Path = Field(CELLS, description="The offices above the facilities, who are told where none is above")
    seasons: Path = Field(SEASONS, description="Which roads are slow or closed when")
    roads: Path = Field(ROADS, description="Roads besides those of the directory")
    fonts: Path = Field(Path("data/fonts"), description="Fonts for what is printed; relative as the directory")
    promises: Path = Field(PROMISES, description="Within what time a referral is to be answered")
