"""What a jurisdiction promises. It is stored with the case when it is filed: a later policy changes nothing for it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.contracts.event import Code
from services.grievance.domain.clocks import Span

Lane = Literal["usual", "emergency"]
Ladder = Annotated[tuple[Span, ...], Field(max_length=10)]


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Promises(_Written):
    """The spans of a lane. `ladder[n]` is how long the level has to which step n+1 brought the case. `on_call` says how
    long each rung of the on-call ladder waits for somebody to take the case before the next one is called; it runs by
    day and night."""

    first_action: Span | None = None
    redress: Span
    ladder: Ladder = ()
    tell: Span | None = None
    confirm: Span | None = None
    on_call: Ladder = ()

    @model_validator(mode="after")
    def _on_call_by_day_and_night(self) -> Self:
        if any(span.works or span.unit == "days" for span in self.on_call):
            raise ValueError("on_call is counted in minutes or hours: it ignores office hours")
        return self

    @property
    def spans(self) -> list[Span]:
        found = [self.first_action, self.redress, self.tell, self.confirm, *self.ladder]
        return [span for span in found if span is not None]


class Unreachable(_Written):
    """When a case may be closed without the complainant: so many attempts to reach them, over so many days."""

    attempts: int = Field(ge=2, le=20)
    over_days: int = Field(ge=1, le=365)


class Appeal(_Written):
    """An appeal is a case of its own at the next level. `window` counts from the resolution."""

    window: Span
    redress: Span
    ladder: Ladder = ()

    @property
    def spans(self) -> list[Span]:
        return [self.window, self.redress, *self.ladder]


class CasePolicy(_Written):
    """What holds for one case. `jurisdiction` is its code, `since` the day from which that version is valid."""

    jurisdiction: Code
    since: dt.date
    promises: Promises
    unreachable: Unreachable | None = None
    appeal: Appeal | None = None

    @property
    def works(self) -> bool:
        """Whether any of its spans is counted in working time."""
        spans = [span for promises in (self.promises, self.appeal) if promises for span in promises.spans]
        return any(span.works for span in spans)


class Level(_Written):
    code: Code
    name: str = Field(min_length=1, max_length=120)
    role: str = Field(min_length=1, max_length=120, description="Who answers there, as the order calls them")


class Version(_Written):
    """A jurisdiction from one day until the next version's."""

    valid_from: dt.date
    source: str = Field(min_length=1, max_length=300)
    confidence: Literal["high", "medium", "low"]
    anonymous: bool = True
    levels: tuple[Level, ...] = Field(min_length=2, max_length=8)
    lanes: dict[Lane, Promises]
    categories: dict[Code, Promises] = Field(default_factory=dict)
    unreachable: Unreachable | None = None
    appeal: Appeal | None = None

    @model_validator(mode="after")
    def _both_lanes_and_no_more_steps_than_levels(self) -> Self:
        if set(self.lanes) != {"usual", "emergency"}:
            raise ValueError("lanes needs usual and emergency")
        most = len(self.levels) - 2
        for promises in (*self.lanes.values(), *self.categories.values()):
            if len(promises.ladder) > most:
                raise ValueError(f"with {len(self.levels)} levels a ladder has {most} entries at most")
        return self


class Takes(_Written):
    """Which complaints: of these states (LGD codes) and categories; all where nothing is said."""

    states: tuple[int, ...] = ()
    categories: tuple[Code, ...] = ()

    def covers(self, state_lgd: int, category: str) -> bool:
        return (not self.states or state_lgd in self.states) and (not self.categories or category in self.categories)

    @property
    def closeness(self) -> int:
        """A scheme's own procedure comes before a state's, and a state's before the nation's."""
        return 2 * bool(self.categories) + bool(self.states)


class Jurisdiction(_Written):
    code: Code
    name: str = Field(min_length=1, max_length=200)
    takes: Takes = Takes()
    versions: tuple[Version, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_version_from_another_day(self) -> Self:
        days = [version.valid_from for version in self.versions]
        if days != sorted(set(days)):
            raise ValueError("versions must follow each other in time, each from another day")
        return self

    def on(self, day: dt.date) -> Version | None:
        valid = [version for version in self.versions if version.valid_from <= day]
        return valid[-1] if valid else None


class NoJurisdiction(Exception):
    """No jurisdiction takes such a complaint on that day."""


def chosen(
    jurisdictions: Sequence[Jurisdiction], day: dt.date, state_lgd: int, category: str
) -> tuple[Jurisdiction, Version]:
    """The closest jurisdiction with a version on that day. Raises NoJurisdiction."""
    for jurisdiction in sorted(jurisdictions, key=lambda each: -each.takes.closeness):
        version = jurisdiction.on(day)
        if version is not None and jurisdiction.takes.covers(state_lgd, category):
            return jurisdiction, version
    raise NoJurisdiction(f"{category} in state {state_lgd} on {day}")


def policy(jurisdiction: Jurisdiction, version: Version, category: str, emergency: bool) -> CasePolicy:
    """What this version promises for a category: its own entry, or its lane's."""
    promises = version.categories.get(category) or version.lanes["emergency" if emergency else "usual"]
    return CasePolicy(
        jurisdiction=jurisdiction.code,
        since=version.valid_from,
        promises=promises,
        unreachable=version.unreachable,
        appeal=version.appeal,
    )
