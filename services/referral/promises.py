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


class _ByUrgency(BaseModel):
    model_config = ConfigDict(extra="forbid")

    emergency: PositiveInt
    urgent: PositiveInt
    routine: PositiveInt


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    emergency: _Minutes
    urgent: _Minutes
    routine: _Minutes
    advice: _Minutes
    arrival: _ByUrgency = _ByUrgency(emergency=1440, urgent=4320, routine=43200)
    chain: _ByUrgency = _ByUrgency(emergency=2880, urgent=10080, routine=86400)


@dataclass(frozen=True)
class Promises:
    """Minutes by urgency, or `advice`, and level; those to arrive, and of a whole chain, by urgency."""

    minutes: dict[str, dict[str, int]]
    arrival: dict[str, int]
    chain: dict[str, int]

    def answer_within(self, urgency: Urgency, level: str | None) -> dt.timedelta:
        """How long the destination has. A level that the file does not name, or is not known, has the time of any."""
        return self._within(urgency, level)

    def advise_within(self, level: str | None) -> dt.timedelta:
        """The same of a question for advice."""
        return self._within("advice", level)

    def arrive_within(self, urgency: Urgency) -> dt.timedelta:
        """How long the patient has from the acceptance, over a road that nothing slows."""
        return dt.timedelta(minutes=self.arrival[urgency])

    def treat_within(self, urgency: Urgency) -> dt.timedelta:
        """How long the whole chain has from its first request until somebody has treated the patient."""
        return dt.timedelta(minutes=self.chain[urgency])

    def _within(self, what: str, level: str | None) -> dt.timedelta:
        by_level = self.minutes[what]
        return dt.timedelta(minutes=by_level.get(level or ANY_LEVEL, by_level[ANY_LEVEL]))


def read(path: Path = DEFAULT) -> Promises:
    """Raises BadPromises, and FileNotFoundError."""
    try:
        file = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise BadPromises(f"{path.name}: {error}") from None
    minutes = {name: getattr(file, name).root for name in ("emergency", "urgent", "routine", "advice")}
    for urgency, by_level in minutes.items():
        if ANY_LEVEL not in by_level:
            raise BadPromises(f"{path.name}: {urgency} says nothing for any level")
    return Promises(minutes, file.arrival.model_dump(), file.chain.model_dump())
