"""Reads which roads are slow or closed when, from a file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, ValidationError

from services.referral.domain.roads import Season, Seasons

DEFAULT = Path(__file__).with_name("seasons.yaml")


class BadSeasons(ValueError):
    """The file cannot be taken; says where and why."""


def _month_day(value: Any) -> Any:
    if isinstance(value, str):
        # A leap year, so that 29 February is a day.
        day = dt.date.fromisoformat(f"2024-{value}")
        return (day.month, day.day)
    raise ValueError("must be month-day, such as 12-01")


MonthDay = Annotated[tuple[int, int], BeforeValidator(_month_day)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    since: MonthDay = Field(alias="from")
    until: MonthDay = Field(alias="to")
    road: Literal["open", "closed"] = "open"
    slower: float = Field(1.0, ge=1.0)
    air_hours: float | None = Field(None, gt=0)
    says: str = Field(min_length=1)


class _File(RootModel[dict[str, list[_Row]]]):
    pass


def read(path: Path = DEFAULT) -> Seasons:
    """Raises BadSeasons, and FileNotFoundError."""
    try:
        file = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise BadSeasons(f"{path.name}: {error}") from None
    return {
        access: tuple(
            Season(row.since, row.until, row.road == "closed", row.slower, row.air_hours, row.says) for row in rows
        )
        for access, rows in file.root.items()
    }
