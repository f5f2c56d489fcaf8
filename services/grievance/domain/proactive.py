"""Events that open a case before anybody complains: the rules, and what one of them says of one event."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from libs.contracts.event import Code, FacilityCode, Id

PLACE_OF_RECIPIENT = "place-of-recipient"
NEVER_CALLED = "watch.TokenNeverCalled"
KEY = "key"
MONTH = "month"
OLDEST = dt.timedelta(days=30)
"""What happened longer ago is not put right by a case opened now."""

Value = str | int | bool


def _several(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


class Rule(BaseModel):
    """One row of proactive.yaml; what its fields mean stands there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    because: Code
    category: Code
    about: Annotated[tuple[str, ...], BeforeValidator(_several)]
    also_about: tuple[str, ...] = ()
    referral: str | None = None
    when: dict[str, tuple[Value, ...]] = Field(default_factory=dict)
    unless: dict[str, tuple[Value, ...]] = Field(default_factory=dict)
    starts: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    once_per: tuple[str, ...] = (KEY,)
    text: str = Field(min_length=1, max_length=500)

    def fields(self) -> Iterator[tuple[str, tuple[str | int, ...]]]:
        """The event's fields that it names, with where each stands in the row."""
        named: list[tuple[str, tuple[str | int, ...]]] = [(self.referral, ("referral",))] if self.referral else []
        named += [
            (each, (part, n))
            for part in ("about", "also_about", "once_per")
            for n, each in enumerate(getattr(self, part))
        ]
        named += [(each, (part, each)) for part in ("when", "unless", "starts") for each in getattr(self, part)]
        yield from ((field, place) for field, place in named if field not in (KEY, MONTH, PLACE_OF_RECIPIENT))

    def takes(self, data: Mapping[str, Any]) -> bool:
        return (
            all(data.get(name) in values for name, values in self.when.items())
            and not any(data.get(name) in values for name, values in self.unless.items())
            and all(str(data.get(name, "")).startswith(starts) for name, starts in self.starts.items())
        )


class Rules(BaseModel):
    """The rules by event type, one or several."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    events: dict[str, Annotated[tuple[Rule, ...], BeforeValidator(_several)]]


@dataclass(frozen=True)
class Found:
    """What a rule says of one event. `about` is None where the facility is that of `recipient`'s last visit."""

    rule: Rule
    same: tuple[str, ...]
    about: FacilityCode | None
    also_about: tuple[FacilityCode, ...]
    referral: Id | None
    recipient: str


def found(rules: Sequence[Rule], key: str, data: Mapping[str, Any], occurred_at: dt.datetime) -> Found | None:
    """What the first rule that takes this event says of it; None where none does. `same` makes two events one case."""
    rule = next((each for each in rules if each.takes(data)), None)
    if rule is None:
        return None

    def said(name: str) -> Any:
        if name == MONTH:
            return f"{occurred_at:%Y-%m}"
        return key if name == KEY else data.get(name)

    places = (None if name == PLACE_OF_RECIPIENT else said(name) for name in rule.about)
    about = next((code for code in places if code), None)
    also = [said(name) for name in rule.also_about]
    return Found(
        rule=rule,
        same=(rule.because, *(str(said(name)) for name in rule.once_per)),
        about=about,
        also_about=tuple(code for code in dict.fromkeys(also) if code and code != about),
        referral=said(rule.referral) if rule.referral else None,
        recipient=str(data.get("recipient", "")),
    )
