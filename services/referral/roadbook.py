"""Reads which roads there are besides those of the directory, and what is closed beforehand, from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from libs.contracts.event import Code, FacilityCode, Instant
from services.referral.domain.roads import Closed, Road, Seasons

DEFAULT = Path(__file__).with_name("roads.yaml")


class BadRoads(ValueError):
    """The file cannot be taken; says where and why."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: Code
    between: tuple[FacilityCode, FacilityCode]
    hours: Annotated[float, Field(gt=0, le=100)]
    access: str = "open"
    over: str | None = None

    @model_validator(mode="after")
    def _two_ends(self) -> Self:
        if self.between[0] == self.between[1]:
            raise ValueError("leads nowhere")
        return self


class _Closure(BaseModel):
    model_config = ConfigDict(extra="forbid")

    road: str
    since: Instant
    until: Instant | None = None
    reason: Code
    slower: Annotated[float, Field(ge=1)] | None = None
    air_hours: Annotated[float, Field(gt=0)] | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    roads: list[_Row] = []
    closures: list[_Closure] = []


@dataclass(frozen=True)
class Roadbook:
    roads: tuple[Road, ...]
    closures: tuple[Closed, ...]


def read(path: Path = DEFAULT, seasons: Seasons | None = None) -> Roadbook:
    """Raises BadRoads (also for an access that `seasons` does not name), and FileNotFoundError."""
    try:
        file = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (ValidationError, yaml.YAMLError) as error:
        raise BadRoads(f"{path.name}: {error}") from None
    ids = [row.id for row in file.roads]
    for row in file.roads:
        if ids.count(row.id) > 1:
            raise BadRoads(f"{path.name}: {row.id} stands there twice")
        if seasons is not None and row.access not in seasons:
            raise BadRoads(f"{path.name}: {row.id}: {row.access} is no season")
    return Roadbook(
        tuple(Road(row.id, row.between, row.hours, row.access, row.over) for row in file.roads),
        tuple(Closed(c.road, c.since, c.until, c.reason, c.slower, c.air_hours) for c in file.closures),
    )
