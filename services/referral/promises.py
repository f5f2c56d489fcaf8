"""Within what time a referral is to be answered: read from a file, by urgency and level of the destination."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, PositiveInt, RootModel, ValidationError

from libs.contracts.referral import Urgency

DEFAULT = Path(__file__).with_name("promises.yaml")
ANY_LEVEL = "any"


class BadPromises(ValueError):
    """The file cannot be taken; says where and why."""


class _Minutes(RootModel[dict[str, PositiveInt]]):
    pass


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    emergency: _Minutes
    urgent: _Minutes
    routine: _Minutes
    advice: _Minutes


@dataclass(frozen=True)
class Promises:
    """Minutes by urgency, or `advice`, and level."""

    minutes: dict[str, dict[str, int]]

    def answer_within(self, urgency: Urgency, level: str | None) -> dt.timedelta:
        """How long the destination has. A level that the file does not name, or is not known, has the time of any."""
        return self._within(urgency, level)

    def advise_within(self, level: str | None) -> dt.timedelta:
        """The same of a question for advice."""
        return self._within("advice", level)

    def _within(self, what: str, level: str | None) -> dt.timedelta:
        by_level = self.minutes[what]
        return dt.timedelta(minutes=by_level.get(level or ANY_LEVEL, by_level[ANY_LEVEL]))


def read(path: Path = DEFAULT) -> Promises:
    """Raises BadPromises, and FileNotFoundError."""
    try:
        file = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise BadPromises(f"{path.name}: {error}") from None
    minutes = {urgency: getattr(file, urgency).root for urgency in _File.model_fields}
    for urgency, by_level in minutes.items():
        if ANY_LEVEL not in by_level:
            raise BadPromises(f"{path.name}: {urgency} says nothing for any level")
    return Promises(minutes)
