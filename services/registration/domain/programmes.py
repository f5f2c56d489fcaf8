"""A screening programme as its file has it: whom it is for, what is measured, the thresholds, and what follows.

A file that contradicts itself or leaves somebody without a result does not become a Programme.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, model_validator

from libs.common.misfit import Misfit
from libs.common.numbers import Whole
from libs.contracts.event import Code
from libs.contracts.referral import Urgency
from services.registration.domain.formula import Formula

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Amount = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Value = bool | float | str

PERSON: Mapping[str, str] = {"age_years": "number", "age_months": "number", "sex": "code"}
"""What is known of the person without being measured; `age_months` only where the birth date is known."""

OTHERWISE = "otherwise"


class Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Measure(Written):
    """What is measured, asked or seen. A number lies within `least` and `most`, in `unit`; a code is one of `of`.

    `needed: no` may be left out. `taken_as: facility-altitude` is then the altitude of the place of the screening.
    """

    kind: Literal["number", "whole-number", "yes-no", "code"]
    says: str = Field(min_length=1, max_length=200)
    unit: str = Field("", max_length=20)
    least: Amount | None = None
    most: Amount | None = None
    of: dict[Code, str] = Field(default_factory=dict)
    needed: StrictBool = True
    taken_as: Literal["facility-altitude"] | None = None

    @model_validator(mode="after")
    def _has_bounds(self) -> Self:
        if self.kind in ("number", "whole-number"):
            if self.least is None or self.most is None:
                raise ValueError("a number needs least and most")
            if self.least >= self.most:
                raise Misfit("must be more than least", "most")
        if (self.kind == "code") != bool(self.of):
            raise ValueError("a code, and nothing else, needs of: what it can be")
        return self


class Band(Written):
    """From this value on, up to the next band's."""

    at_least: Amount
    gives: Amount


class Computed(Written):
    """Worked out from what was measured: by a table, a sum, or a formula. `digits` it is rounded to."""

    says: str = Field(min_length=1, max_length=200)
    unit: str = Field("", max_length=20)
    formula: str | None = None
    sum: tuple[Name, ...] = ()
    by: Name | None = None
    bands: tuple[Band, ...] = ()
    digits: Whole = Field(2, ge=0, le=6)

    @model_validator(mode="after")
    def _in_one_way(self) -> Self:
        if (self.formula is not None) + bool(self.sum) + (self.by is not None) != 1:
            raise ValueError("needs exactly one of formula, sum, by")
        if (self.by is not None) != bool(self.bands):
            raise ValueError("by and bands go together")
        steps = [band.at_least for band in self.bands]
        for index, (low, high) in enumerate(itertools.pairwise(steps)):
            if high <= low:
                raise Misfit("contradiction: must be above the band before", "bands", index + 1)
        if self.formula is not None:
            Formula(self.formula)
        return self

    @property
    def needs(self) -> set[str]:
        if self.formula is not None:
            return Formula(self.formula).names
        return set(self.sum) | ({self.by} if self.by else set())


class Condition(Written):
    """One value and what it must be: exactly one of the others. A number may be the name of a cut-off of the group."""

    value: Name
    at_least: Amount | Name | None = None
    above: Amount | Name | None = None
    at_most: Amount | Name | None = None
    below: Amount | Name | None = None
    is_: StrictBool | None = Field(None, alias="is")
    in_: tuple[Code, ...] | None = Field(None, alias="in", min_length=1)

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        said = [self.at_least, self.above, self.at_most, self.below]
        if not any(each is not None for each in (*said, self.is_, self.in_)):
            raise ValueError("needs at_least, above, at_most, below, is or in")
        if (self.is_ is not None) + (self.in_ is not None) + any(each is not None for each in said) > 1:
            raise ValueError("needs limits, or is, or in")
        return self

    @property
    def limits(self) -> tuple[float | str, ...]:
        return tuple(each for each in (self.at_least, self.above, self.at_most, self.below) if each is not None)


class Group(Written):
    """People for whom the same cut-offs hold; the first group that applies is theirs."""

    group: Code
    says: str = Field(min_length=1, max_length=200)
    when: tuple[Condition, ...] = ()
    cut: dict[Name, Amount] = Field(default_factory=dict)


class Follow(Written):
    """What is suggested: treatment there, a talk, or a referral to a service within an urgency."""

    do: Literal["treatment", "talk", "referral"]
    code: Code
    says: str = Field(min_length=1, max_length=300)
    service: Code | None = None
    urgency: Urgency | None = None

    @model_validator(mode="after")
    def _a_referral_says_where_to(self) -> Self:
        if (self.do == "referral") != (self.service is not None and self.urgency is not None):
            raise ValueError("a referral, and nothing else, needs service and urgency")
        return self


def _one_or_several(said: Any) -> Any:
    """A list of conditions is a list with one such list."""
    return [said] if isinstance(said, list) and said and all(isinstance(one, dict) for one in said) else said


class Result(Written):
    """The first result all of whose conditions hold, for any of its lists in `when` (one list may stand alone);
    `otherwise` comes last."""

    result: Code
    says: str = Field(min_length=1, max_length=300)
    when: Annotated[Literal["otherwise"] | tuple[tuple[Condition, ...], ...], BeforeValidator(_one_or_several)]
    urgent: StrictBool = False
    follows: tuple[Follow, ...] = ()
    again_after_days: Whole | None = Field(None, ge=1, le=3700)

    @property
    def cases(self) -> tuple[tuple[Condition, ...], ...]:
        """Lists of conditions, any of which is enough; none for what is otherwise."""
        return () if isinstance(self.when, str) else self.when


class Alert(Written):
    """Holds beside the result, whatever that is."""

    alert: Code
    says: str = Field(min_length=1, max_length=300)
    when: tuple[Condition, ...] = Field(min_length=1)
    urgent: StrictBool = True
    follows: tuple[Follow, ...] = ()


class Programme(Written):
    programme: Code
    version: Code
    name: str = Field(min_length=1, max_length=120)
    about: str = Field(min_length=1, max_length=400)
    source: str = Field(min_length=1, max_length=400)
    confidence: Literal["high", "medium", "low"]
    whom: str = Field(min_length=1, max_length=200)
    groups: tuple[Group, ...] = Field(min_length=1)
    measures: dict[Name, Measure] = Field(min_length=1)
    computed: dict[Name, Computed] = Field(default_factory=dict)
    results: tuple[Result, ...] = Field(min_length=1)
    alerts: tuple[Alert, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        known = dict(PERSON)
        for name, measure in self.measures.items():
            if name in known:
                raise Misfit(f"{name} is known of the person", "measures", name)
            known[name] = {"whole-number": "number"}.get(measure.kind, measure.kind)
        self._computed_in_order(known)
        self._groups_end_and_cut_alike()
        self._results_leave_nobody_out()
        for condition, place in self._conditions():
            self._understood(condition, place, known)
        return self

    def _computed_in_order(self, known: dict[str, str]) -> None:
        for name, computed in self.computed.items():
            if name in known:
                raise Misfit(f"{name} stands twice", "computed", name)
            for need in sorted(computed.needs):
                if known.get(need) != "number":
                    raise Misfit(f"{need} is no number that was measured or computed above", "computed", name)
            least = self.measures[computed.by].least if computed.by in self.measures else None
            if least is not None and least < computed.bands[0].at_least:
                raise Misfit(f"gap: no band for {computed.by} from {least:g}", "computed", name, "bands")
            known[name] = "number"

    def _groups_end_and_cut_alike(self) -> None:
        twice = [code for code, times in Counter(each.group for each in self.groups).items() if times > 1]
        if twice:
            raise Misfit(f"group {twice[0]} stands twice", "groups")
        for index, group in enumerate(self.groups):
            if not group.when and index < len(self.groups) - 1:
                raise Misfit(
                    "contradiction: everybody is in this group, so that none below is reached", "groups", index
                )
            if set(group.cut) != set(self.groups[0].cut):
                raise Misfit(
                    f"gap: needs the cut-offs {', '.join(sorted(self.groups[0].cut)) or 'none'}", "groups", index
                )

    def _results_leave_nobody_out(self) -> None:
        twice = [code for code, times in Counter(each.result for each in self.results).items() if times > 1]
        if twice:
            raise Misfit(f"result {twice[0]} stands twice", "results")
        for index, result in enumerate(self.results):
            last = index == len(self.results) - 1
            if result.when == OTHERWISE and not last:
                raise Misfit("contradiction: otherwise comes last, so that none below is reached", "results", index)
            if result.when != OTHERWISE and last:
                raise Misfit("gap: the last result must be for otherwise", "results", index)
            if result.when != OTHERWISE and not (result.cases and all(result.cases)):
                raise Misfit("contradiction: no condition is always true", "results", index, "when")
            codes = [follow.code for follow in (*result.follows, *(f for a in self.alerts for f in a.follows))]
            if len(set(codes)) != len(codes):
                raise Misfit("contradiction: two things that follow have one code", "results", index)

    def _conditions(self) -> Iterator[tuple[Condition, tuple[str | int, ...]]]:
        for index, group in enumerate(self.groups):
            for at, condition in enumerate(group.when):
                yield condition, ("groups", index, "when", at)
        for index, result in enumerate(self.results):
            for one, conditions in enumerate(result.cases):
                for at, condition in enumerate(conditions):
                    yield condition, ("results", index, "when", one, at)
        for index, alert in enumerate(self.alerts):
            for at, condition in enumerate(alert.when):
                yield condition, ("alerts", index, "when", at)

    def _understood(self, condition: Condition, place: tuple[str | int, ...], known: Mapping[str, str]) -> None:
        kind = known.get(condition.value)
        if kind is None:
            raise Misfit(f"nothing of that name is measured or computed: {condition.value}", *place, "value")
        given = "code" if condition.in_ else "yes-no" if condition.is_ is not None else "number"
        if kind != given:
            raise Misfit(f"{condition.value} is a {kind}", *place, "value")
        cuts = set(self.groups[0].cut)
        if unknown := [limit for limit in condition.limits if isinstance(limit, str) and limit not in cuts]:
            raise Misfit(f"no such cut-off: {unknown[0]}", *place)
        measure = self.measures.get(condition.value)
        if measure is not None and condition.in_ and (strange := set(condition.in_) - set(measure.of)):
            raise Misfit(f"{condition.value} is never {sorted(strange)[0]}", *place, "in")
        if condition.value == "sex" and (strange := set(condition.in_ or ()) - {"male", "female", "other", "unknown"}):
            raise Misfit(f"sex is never {sorted(strange)[0]}", *place, "in")
        if place[0] == "groups" and any(isinstance(limit, str) for limit in condition.limits):
            raise Misfit("a group's own condition cannot use its cut-offs", *place)
        if condition.limits and not any(_can_be(condition, measure, group.cut) for group in self.groups):
            raise Misfit(f"contradiction: {condition.value} is never so", *place)


def _can_be(condition: Condition, measure: Measure | None, cut: Mapping[str, float]) -> bool:
    """Whether any number meets all limits, of those that may be measured."""

    def limit(said: float | str | None, otherwise: float) -> float:
        return otherwise if said is None else cut[said] if isinstance(said, str) else said

    least = measure.least if measure and measure.least is not None else -math.inf
    most = measure.most if measure and measure.most is not None else math.inf
    from_, above = limit(condition.at_least, -math.inf), limit(condition.above, -math.inf)
    to, below = limit(condition.at_most, math.inf), limit(condition.below, math.inf)
    return max(least, from_) <= min(most, to) and max(least, from_) < below and above < min(most, to, below)


def meets(condition: Condition, values: Mapping[str, Any], cut: Mapping[str, float]) -> bool:
    """False also where the value is not known."""
    value = values.get(condition.value)
    if value is None:
        return False
    if condition.is_ is not None:
        return value is condition.is_
    if condition.in_ is not None:
        return value in condition.in_

    def limit(said: float | str) -> float:
        return cut[said] if isinstance(said, str) else said

    return (
        (condition.at_least is None or value >= limit(condition.at_least))
        and (condition.above is None or value > limit(condition.above))
        and (condition.at_most is None or value <= limit(condition.at_most))
        and (condition.below is None or value < limit(condition.below))
    )
