"""Whom to tell of which event, through which channels, with which template, and until when that is of use: data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.contracts.event import Code, Event
from libs.contracts.notifications import Channel
from services.notifications.domain.preference import Purpose
from services.notifications.domain.template import FALLBACK, Wording
from services.notifications.domain.timing import IST, QuietHours, When

Audience = Literal["patient", "reporter", "desk-of-destination", "officers"]
Form = Literal["text", "date", "facility"]

PERSONS: frozenset[Audience] = frozenset({"patient", "reporter"})
LEAD: Channel = "in-app"
"""The channel a person always has; its message says which others follow."""


class Variable(BaseModel):
    """What a placeholder will hold: `value` itself, a date written for people, or the name of the facility it codes."""

    model_config = ConfigDict(frozen=True)

    name: str
    form: Form
    value: str


class Source(BaseModel):
    """Where a placeholder's value stands in the event (dots lead into nested fields), and in which form it is said."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    field: str = Field(alias="from")
    form: Form = Field("text", alias="as")


class Override(BaseModel):
    """An emergency, by its name, in which a person is told although they refused the channel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Code
    when: dict[str, str] = Field(min_length=1)
    """Fields of the event and the values they must have."""

    def holds(self, event: Any) -> bool:
        return all(str(_value(event, field)) == value for field, value in self.when.items())


class Tell(BaseModel):
    """One audience of one event. `channels` in order; those a person has no address for are left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    audience: Audience
    channels: tuple[Channel, ...] = Field(min_length=1)
    template: Code
    useful_hours: float = Field(gt=0)
    """Hours after the event happened during which it is worth telling."""
    variables: dict[str, Source] = {}
    purpose: Purpose = "care"
    override: Override | None = None
    when: When = "at-once"
    """Whether an SMS may come at night. The feed and mailboxes disturb nobody."""

    @model_validator(mode="after")
    def _led(self) -> Tell:
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("a channel is named twice")
        if self.audience in PERSONS and self.channels[0] != LEAD:
            raise ValueError(f"a person is always told {LEAD} first")
        if self.audience not in PERSONS and self.channels != ("email",):
            raise ValueError("a mailbox is told by e-mail and nothing else")
        return self


class Target(NamedTuple):
    """One recipient of one event."""

    recipient: str
    """`patient:<id>`, `contact:<id>` or `<role>@<facility>`."""
    channels: tuple[Channel, ...]
    template: str
    useful_until: dt.datetime
    variables: tuple[Variable, ...]
    purpose: Purpose
    override: str | None
    when: When


def _patient(event: Any) -> str | None:
    card = getattr(event, "card", None)
    return f"patient:{card.id if card else event.patient}"


def _reporter(event: Any) -> str | None:
    reporter = event.reporter
    return None if reporter.kind == "anonymous" or not reporter.id else f"{reporter.kind}:{reporter.id}"


AUDIENCES: Mapping[Audience, Callable[[Any], str | None]] = {
    "patient": _patient,
    "reporter": _reporter,
    "desk-of-destination": lambda event: f"desk@{event.destination}",
    "officers": lambda event: f"officer@{event.handled_by}",
}
NEEDS: Mapping[Audience, frozenset[str]] = {
    "reporter": frozenset({"reporter"}),
    "desk-of-destination": frozenset({"destination"}),
    "officers": frozenset({"handled_by"}),
}
"""Fields an event must have for an audience; a patient is named by `patient` or by the card."""


def _value(event: Any, path: str) -> Any:
    for part in path.split("."):
        event = getattr(event, part)
    return event


def written(value: Any, form: Form) -> str:
    """As it stands in a message. Dates are of Indian Standard Time, day first."""
    if form == "date":
        day = value.astimezone(IST).date() if isinstance(value, dt.datetime) else value
        return f"{day:%d-%m-%Y}"
    return str(value)


def _has_field(model: type[BaseModel], path: str) -> bool:
    first, _, rest = path.partition(".")
    field = model.model_fields.get(first)
    if field is None or not rest:
        return field is not None
    nested = field.annotation
    return isinstance(nested, type) and issubclass(nested, BaseModel) and _has_field(nested, rest)


class Routing(BaseModel):
    """`routing.yaml`: every public event of the topics we listen to, each with whom to tell, or with nobody."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    events: dict[str, tuple[Tell, ...]]
    stand_in: dict[str, tuple[str, ...]] = {}
    """Which languages stand in, in order, for one that has no template."""
    quiet_hours: QuietHours = QuietHours()
    mailbox_language: str = FALLBACK
    """The language that desks' and officers' mailboxes are written to in."""

    def targets(self, event: Event, occurred_at: dt.datetime) -> list[Target]:
        """Whom to tell. Raises KeyError for an event that the file does not name."""
        found = []
        for tell in self.events[event.TYPE]:
            recipient = AUDIENCES[tell.audience](event)
            if recipient is None:
                continue
            variables = tuple(
                Variable(name=name, form=source.form, value=written(_value(event, source.field), source.form))
                for name, source in tell.variables.items()
            )
            until = occurred_at + dt.timedelta(hours=tell.useful_hours)
            override = tell.override.name if tell.override and tell.override.holds(event) else None
            found.append(
                Target(recipient, tell.channels, tell.template, until, variables, tell.purpose, override, tell.when)
            )
        return found

    def faults(self, public: Mapping[str, type[Event]], wording: Wording) -> list[str]:
        """What is wrong with the file, held against the events it must name and the templates there are."""
        wrong = [f"{type_}: not named (say [] for nobody)" for type_ in public if type_ not in self.events]
        wrong += [f"{type_}: there is no such event" for type_ in self.events if type_ not in public]
        for type_ in self.events.keys() & public.keys():
            for tell in self.events[type_]:
                wrong += [f"{type_}: {fault}" for fault in _faults(tell, public[type_], wording)]
        return sorted(wrong)


def _faults(tell: Tell, event: type[Event], wording: Wording) -> list[str]:
    wrong = [f"{tell.audience} needs {name}" for name in NEEDS.get(tell.audience, ()) if name not in event.model_fields]
    if tell.audience == "patient" and not {"patient", "card"} & event.model_fields.keys():
        wrong.append("patient needs patient or card")
    fields = [source.field for source in tell.variables.values()] + list(tell.override.when if tell.override else ())
    wrong += [f"no field {field}" for field in fields if not _has_field(event, field)]
    try:
        needed = wording.placeholders(tell.template)
    except KeyError:
        return [*wrong, f"no template {tell.template}"]
    if needed != tell.variables.keys():
        wrong.append(f"{tell.template} has placeholders {sorted(needed)}, given are {sorted(tell.variables)}")
    return wrong
