"""What a programme says of somebody's measurements: the result, and what it suggests. Pure."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from libs.common.refusal import Refused
from services.registration.domain.formula import Formula
from services.registration.domain.programmes import OTHERWISE, Alert, Computed, Follow, Group, Programme, Result, meets


@dataclass(frozen=True)
class Person:
    """`age_months` only where the birth date is known."""

    age_years: int | None = None
    age_months: int | None = None
    sex: str = "unknown"

    def values(self) -> dict[str, Any]:
        months = self.age_months if self.age_months is not None else None
        if months is None and self.age_years is not None and self.age_years >= 2:
            # Near enough where no threshold lies below a year: from two years on, groups begin with a birthday.
            months = self.age_years * 12
        found = {"age_years": self.age_years, "age_months": months, "sex": self.sex}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class Assessment:
    """`values` are what was measured, taken or computed; `suggests` what follows, the alerts' first."""

    group: Group
    values: Mapping[str, Any]
    result: Result
    alerts: tuple[Alert, ...] = ()
    suggests: tuple[Follow, ...] = ()
    taken: tuple[str, ...] = field(default=())

    @property
    def urgent(self) -> bool:
        return self.result.urgent or any(alert.urgent for alert in self.alerts)


def assess(
    programme: Programme, person: Person, said: Mapping[str, Any], *, facility_altitude: int | None = None
) -> Assessment:
    """Raises Refused naming the field: a measure that is missing, unknown or impossible, or somebody whom the programme
    is not for."""
    measured, taken = _measured(programme, said, facility_altitude)
    values = person.values() | measured
    group = next(
        (each for each in programme.groups if all(meets(condition, values, {}) for condition in each.when)), None
    )
    if group is None:
        raise Refused("not-for-this-person", f"the programme is for: {programme.whom}", field="patient")
    for name, computed in programme.computed.items():
        value = _computed(computed, values)
        if value is not None:
            values[name] = value
    missing = [name for name in _decisive(programme) if name in programme.computed and name not in values]
    if missing:
        detail = "cannot be worked out: the age, or a measurement it needs, is missing or impossible"
        raise Refused("not-computable", detail, field=f"measures.{missing[0]}")
    result = next(
        each
        for each in programme.results
        if each.when == OTHERWISE
        or any(all(meets(condition, values, group.cut) for condition in conditions) for conditions in each.cases)
    )
    alerts = tuple(
        each for each in programme.alerts if all(meets(condition, values, group.cut) for condition in each.when)
    )
    suggests = (*(follow for alert in alerts for follow in alert.follows), *result.follows)
    return Assessment(group, values, result, alerts, suggests, taken)


def _decisive(programme: Programme) -> list[str]:
    """The values that results are decided by."""
    found = [condition.value for each in programme.results for case in each.cases for condition in case]
    return list(dict.fromkeys(found))


def _measured(
    programme: Programme, said: Mapping[str, Any], facility_altitude: int | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    values: dict[str, Any] = {}
    taken: list[str] = []
    for name in said:
        if name not in programme.measures:
            known = ", ".join(programme.measures)
            raise Refused("unknown-measure", f"is not measured here; measured are {known}", field=f"measures.{name}")
    for name, measure in programme.measures.items():
        value, field = said.get(name), f"measures.{name}"
        if value is None:
            if measure.taken_as == "facility-altitude" and facility_altitude is not None:
                values[name] = float(facility_altitude)
                taken.append(name)
            elif measure.needed:
                raise Refused("measure-missing", f"is needed: {measure.says}", field=field)
            continue
        if measure.kind == "yes-no":
            if not isinstance(value, bool):
                raise Refused("not-yes-or-no", "must be true or false", field=field)
            values[name] = value
        elif measure.kind == "code":
            if value not in measure.of:
                raise Refused("unknown-code", f"must be one of {', '.join(measure.of)}", field=field)
            values[name] = value
        else:
            values[name] = _number(value, measure.kind, measure.least, measure.most, measure.unit, field)
    return values, tuple(taken)


def _number(value: Any, kind: str, least: float | None, most: float | None, unit: str, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused("not-a-number", "must be a number", field=field)
    if not (least or 0) <= value <= (most or 0):
        raise Refused("out-of-range", f"must be from {least:g} to {most:g} {unit}".rstrip(), field=field)
    if kind == "whole-number" and value != int(value):
        raise Refused("not-whole", "must be a whole number", field=field)
    return float(value)


def _computed(computed: Computed, values: Mapping[str, Any]) -> float | None:
    if computed.by is not None:
        at = values.get(computed.by)
        found = [band.gives for band in computed.bands if at is not None and band.at_least <= at]
        value = found[-1] if found else None
    elif computed.sum:
        parts = [values.get(name) for name in computed.sum]
        value = None if None in parts else float(sum(part for part in parts if part is not None))
    else:
        assert computed.formula is not None
        numbers = {n: float(v) for n, v in values.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
        value = Formula(computed.formula).value(numbers)
    return None if value is None else _rounded(value, computed.digits)


def _rounded(value: float, digits: int) -> float:
    """Half up, as by hand: 11.95 to one digit is 12.0."""
    step = decimal.Decimal(1).scaleb(-digits)
    return float(decimal.Decimal(repr(round(value, 9))).quantize(step, rounding=decimal.ROUND_HALF_UP))
