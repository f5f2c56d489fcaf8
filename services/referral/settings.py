"""What the referral service is told from outside."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from libs.common.settings import ServiceSettings
from services.referral.promises import DEFAULT as PROMISES
from services.referral.roadbook import DEFAULT as ROADS
from services.referral.seasons import DEFAULT as SEASONS


class Settings(ServiceSettings):
    facilities: Path = Field(
        Path("data/facilities.csv"),
        description="The facility directory; a relative path is meant from the project root",
    )
    seasons: Path = Field(SEASONS, description="Which roads are slow or closed when")
    roads: Path = Field(ROADS, description="Roads besides those of the directory")
    fonts: Path = Field(Path("data/fonts"), description="Fonts for what is printed; relative as the directory")
    promises: Path = Field(PROMISES, description="Within what time a referral is to be answered")
