"""What a jurisdiction promises. It is stored with the case when it is filed: a later policy changes nothing for it."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.common.misfit import Misfit
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

    @property
    def further(self) -> Appeal | None:
        """Of the appeal's own case: to the level after it, where its ladder has one."""
        return Appeal(window=self.window, redress=self.ladder[0], ladder=self.ladder[1:]) if self.ladder else None


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
        for name, of in (("lanes", self.lanes), ("categories", self.categories)):
            for code, promises in of.items():
                if len(promises.ladder) > most:
                    why = f"with {len(self.levels)} levels a ladder has {most} entries at most"
                    raise Misfit(why, name, code, "ladder")
        if self.appeal is not None and len(self.appeal.ladder) > most:
            raise Misfit(f"with {len(self.levels)} levels a ladder has {most} entries at most", "appeal", "ladder")
        seen: set[str] = set()
        for index, level in enumerate(self.levels):
            if level.code in seen:
                raise Misfit("is another level's code too", "levels", index, "code")
            seen.add(level.code)
        return self


class Takes(_Written):
    """Which complaints: of these states (LGD codes) and categories; all where nothing is said."""

    states: tuple[Annotated[int, Field(ge=1, le=99)], ...] = ()
    categories: tuple[Code, ...] = ()

    def covers(self, state_lgd: int, category: str) -> bool:
        return (not self.states or state_lgd in self.states) and (not self.categories or category in self.categories)

    def clashes(self, other: Takes) -> bool:
        """Whether there is a complaint that both take, neither closer than the other."""
        both = ((self.states, other.states), (self.categories, other.categories))
        return self.closeness == other.closeness and all(not a or set(a) & set(b) for a, b in both)

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
        for index, (earlier, later) in enumerate(itertools.pairwise(self.versions), start=1):
            if earlier.valid_from >= later.valid_from:
                why = "versions must follow each other in time, each from another day"
                raise Misfit(why, "versions", index, "valid_from")
        return self

    def on(self, day: dt.date) -> Version | None:
        valid = [version for version in self.versions if version.valid_from <= day]
        return valid[-1] if valid else None


class NoJurisdiction(Exception):
    """No jurisdiction takes such a complaint on that day."""


def chosen(
    jurisdictions: Sequence[Jurisdiction], day: dt.date, state_lgd: int, category: str
) -> tuple[Jurisdiction, Version]:
    """The closest jurisdiction with a version on that day, of two as close the newer. Raises NoJurisdiction."""
    found = [
        (jurisdiction, version)
        for jurisdiction in jurisdictions
        if jurisdiction.takes.covers(state_lgd, category) and (version := jurisdiction.on(day)) is not None
    ]
    if not found:
        raise NoJurisdiction(f"{category} in state {state_lgd} on {day}")
    return max(found, key=lambda each: (each[0].takes.closeness, each[1].valid_from))


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
