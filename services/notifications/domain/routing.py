"""Whom to tell of which event, through which channels, with which template, and until when that is of use: data."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from libs.contracts.event import Code, Event
from libs.contracts.notifications import Channel
from services.notifications.domain.preference import Purpose
from services.notifications.domain.template import FALLBACK, Wording
from services.notifications.domain.timing import IST, QuietHours, When

Urgency = Literal["routine", "emergency"]
Audience = Literal[
    "patient",
    "reporter",
    "family",
    "asha",
    "sending-doctor",
    "role",
    "desk-of-destination",
    "receiving-desk",
    "officers",
    "officer",
    "caller",
]
Form = Literal["text", "date", "facility"]

MAILBOXES: frozenset[Audience] = frozenset({"desk-of-destination", "receiving-desk", "officers", "officer"})
PHONES: frozenset[Audience] = frozenset({"caller"})
"""Nobody has said yet who it is: there is a number and no feed."""

GROUPS: frozenset[Audience] = frozenset({"family", "asha", "sending-doctor", "role"})
"""Audiences whose members are looked up when the event comes: who is related to the patient, who is on duty."""
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


Ladder = tuple[Channel, ...]


class Told(BaseModel):
    """How something is told: `channels` in order, those a person has no address for left out. Of a list within the
    list only the first that has an address is used, and the next one if that fails for good."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[Channel | Ladder, ...] = Field(min_length=1)

    @property
    def flat(self) -> tuple[Channel, ...]:
        """Every channel, in order."""
        return tuple(
            itertools.chain.from_iterable(item if isinstance(item, tuple) else (item,) for item in self.channels)
        )

    @property
    def ladders(self) -> tuple[Ladder, ...]:
        return tuple(item for item in self.channels if isinstance(item, tuple))


class Tell(Told):
    """One audience of one event."""

    audience: Audience
    role: Code | None = None
    """For the audience `role`: who is on duty in this role ..."""
    at: str | None = None
    """... at the facility that this field of the event names."""
    otherwise: Code | None = None
    """Whose mailbox there is written to where nobody is on duty and the role has none of its own."""
    template: Code
    useful_hours: float = Field(gt=0, le=8784)
    """Hours after the event happened during which it is worth telling."""
    variables: dict[str, Source] = {}
    purpose: Purpose = "care"
    override: Override | None = None
    only: dict[str, str] = {}
    """Fields of the event and the values they must have, or nobody is told ..."""
    unless: dict[str, str] = {}
    """... and those they must not."""
    when: When = "at-once"
    """Whether an SMS may come at night. The feed and mailboxes disturb nobody."""
    urgency: Urgency = "routine"
    """An emergency by its nature; otherwise it is one where an override holds. See `unknown_outcome`."""

    def applies(self, event: Any) -> bool:
        if any(str(_value(event, field)) != value for field, value in self.only.items()):
            return False
        return all(str(_value(event, field)) != value for field, value in self.unless.items())

    @model_validator(mode="after")
    def _led(self) -> Tell:
        if len(set(self.flat)) != len(self.flat):
            raise ValueError("a channel is named twice")
        if self.audience in PHONES and self.channels != ("sms",):
            raise ValueError("a phone is told by sms and nothing else")
        if self.audience in MAILBOXES and self.channels != ("email",):
            raise ValueError("a mailbox is told by e-mail and nothing else")
        if self.audience not in MAILBOXES | PHONES and self.channels[0] != LEAD:
            raise ValueError(f"a person is always told {LEAD} first")
        if self.purpose == "complaint" and "relay" in self.flat:
            raise ValueError("nobody passes on how a complaint stands: it may be about them")
        if (self.audience == "role") != (self.role is not None and self.at is not None):
            raise ValueError("the audience role, and no other, needs role and at")
        if self.otherwise is not None and self.audience != "role":
            raise ValueError("otherwise is for the audience role")
        return self


class Own(Told):
    """A template that callers and campaigns may send, and how."""

    useful_hours: float = Field(72, gt=0, le=720)
    purpose: Purpose = "care"
    when: When = "daytime"
    promotional: bool = False
    """Advertising by TRAI's rules: under the promotional header, outside the promotional quiet hours only."""

    @model_validator(mode="after")
    def _led(self) -> Own:
        if len(set(self.flat)) != len(self.flat):
            raise ValueError("a channel is named twice")
        if self.channels[0] != LEAD:
            raise ValueError(f"a person is always told {LEAD} first")
        return self


class Fault(NamedTuple):
    """What is wrong, and where in the file."""

    why: str
    place: tuple[str | int, ...]

    def __str__(self) -> str:
        return self.why


class Target(NamedTuple):
    """One recipient of one event."""

    recipient: str
    """`patient:<id>`, `contact:<id>`, `caller:<id>` or `<role>@<facility>`; of a group `family:<patient>`,
    `asha:<patient>` or `duty:<role>@<facility>`, whose members are looked up; `duty:<role>/<other>@<facility>` where
    another role's mailbox stands in."""
    channels: tuple[Channel, ...]
    template: str
    useful_until: dt.datetime
    variables: tuple[Variable, ...]
    purpose: Purpose
    override: str | None
    when: When
    urgency: Urgency
    ladders: tuple[Ladder, ...]


def _patient(event: Any) -> str | None:
    card = getattr(event, "card", None)
    return f"patient:{card.id if card else event.patient}"


def _reporter(event: Any) -> str | None:
    reporter = event.reporter
    return None if reporter.kind == "anonymous" or not reporter.id else f"{reporter.kind}:{reporter.id}"


def _desk(event: Any) -> str:
    return f"desk@{event.destination}"


def _officer(event: Any) -> str:
    """Where the case is; of an office that is called (`at`), there."""
    return f"officer@{getattr(event, 'at', event.handled_by)}"


def _patient_of(event: Any) -> str:
    card = getattr(event, "card", None)
    return str(card.id if card else event.patient)


AUDIENCES: Mapping[Audience, Callable[[Any], str | None]] = {
    "patient": _patient,
    "reporter": _reporter,
    "family": lambda event: f"family:{_patient_of(event)}",
    "asha": lambda event: f"asha:{_patient_of(event)}",
    "sending-doctor": lambda event: f"duty:doctor@{event.origin}",
    "desk-of-destination": _desk,
    "receiving-desk": _desk,
    "officers": _officer,
    "officer": _officer,
    "caller": lambda event: f"caller:{event.card.id}",
}
NEEDS: Mapping[Audience, frozenset[str]] = {
    "reporter": frozenset({"reporter"}),
    "sending-doctor": frozenset({"origin"}),
    "caller": frozenset({"card"}),
    "desk-of-destination": frozenset({"destination"}),
    "receiving-desk": frozenset({"destination"}),
    "officers": frozenset({"handled_by"}),
    "officer": frozenset({"handled_by"}),
}
OF_A_PATIENT: frozenset[Audience] = frozenset({"patient", "family", "asha"})
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


def _field(model: type[BaseModel], path: str) -> FieldInfo | None:
    first, _, rest = path.partition(".")
    field = model.model_fields.get(first)
    if field is None or not rest:
        return field
    nested = field.annotation
    return _field(nested, rest) if isinstance(nested, type) and issubclass(nested, BaseModel) else None


def _is_a_day(kind: Any) -> bool:
    """A date or a moment, or one that may be missing."""
    return kind in (dt.date, dt.datetime, AwareDatetime) or any(map(_is_a_day, get_args(kind)))


class Routing(BaseModel):
    """`routing.yaml`: every public event of the topics we listen to, each with whom to tell, or with nobody."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    events: dict[str, tuple[Tell, ...]]
    stand_in: dict[str, tuple[str, ...]] = {}
    """Which languages stand in, in order, for one that has no template."""
    quiet_hours: QuietHours = QuietHours()
    promotional_quiet_hours: QuietHours = QuietHours.model_validate({"from": dt.time(21), "to": dt.time(10)})
    mailbox_language: str = FALLBACK
    """The language that desks' and officers' mailboxes are written to in."""
    segment_budget: int = Field(4, ge=1)
    """SMS segments that one message may cost; above, another language that its reader has said they read is taken."""
    unknown_outcome: dict[Urgency, Literal["never-repeat", "may-repeat"]] = {
        "routine": "never-repeat",
        "emergency": "may-repeat",
    }
    """Whether a message that may or may not have been sent is sent again when nobody can say what became of it."""
    consent_needed: frozenset[Purpose] = frozenset()
    """Purposes for which nobody is told who has not agreed to them beforehand."""
    own: dict[str, Own] = {}
    """Templates that callers and campaigns may send by name."""
    deaths: dict[str, dict[str, str]] = {}
    """Events that say that their patient has died: fields and the values they must have."""
    deaths_withdrawn: frozenset[str] = frozenset()
    """Events after which what their case said of a death is not to be believed, unless they say it themselves."""
    never: dict[str, frozenset[Audience]] = {}
    """Audiences that an event must not reach, whoever writes the rows."""

    def targets(self, event: Event, occurred_at: dt.datetime) -> list[Target]:
        """Whom to tell. Raises KeyError for an event that the file does not name."""
        found = []
        for tell in self.events[event.TYPE]:
            recipient = _recipient(tell, event) if tell.applies(event) else None
            if recipient is None:
                continue
            variables = tuple(
                Variable(name=name, form=source.form, value=written(_value(event, source.field), source.form))
                for name, source in tell.variables.items()
            )
            until = occurred_at + dt.timedelta(hours=tell.useful_hours)
            override = tell.override.name if tell.override and tell.override.holds(event) else None
            urgency: Urgency = "emergency" if override else tell.urgency
            found.append(
                Target(
                    recipient,
                    tell.flat,
                    tell.template,
                    until,
                    variables,
                    tell.purpose,
                    override,
                    tell.when,
                    urgency,
                    tell.ladders,
                )
            )
        return found

    def says_death(self, event: Event) -> bool:
        wanted = self.deaths.get(event.TYPE)
        return wanted is not None and all(str(_value(event, field)) == value for field, value in wanted.items())

    def faults(self, public: Mapping[str, type[Event]], wording: Wording) -> list[Fault]:
        """What is wrong with the file, held against the events it must name and the templates there are."""
        wrong = [
            Fault(f"{type_}: not named (say [] for nobody)", ("events",))
            for type_ in public
            if type_ not in self.events
        ]
        for part in ("events", "never", "deaths", "deaths_withdrawn"):
            for type_ in getattr(self, part):
                if type_ not in public:
                    wrong.append(Fault(f"{type_}: there is no such event", (part, type_)))
        for type_ in self.events.keys() & public.keys():
            for index, tell in enumerate(self.events[type_]):
                found = [*_faults(tell, public[type_], wording)]
                if tell.audience in self.never.get(type_, ()):
                    found.append(Fault(f"{tell.audience} must never be told of it", ("audience",)))
                wrong += [Fault(f"{type_}: {why}", ("events", type_, index, *place)) for why, place in found]
        wrong += [
            Fault(f"{type_}: no field {field}", ("deaths", type_, field))
            for type_ in self.deaths.keys() & public.keys()
            for field in self.deaths[type_]
            if _field(public[type_], field) is None
        ]
        wrong += [Fault(f"own {name}: no template {name}", ("own", name)) for name in self.own if not wording.has(name)]
        wrong += [
            Fault(f"stand_in {language}: there are no texts in {other}", ("stand_in", language))
            for language, others in self.stand_in.items()
            for other in others
            if other not in wording.languages
        ]
        if self.mailbox_language not in wording.languages:
            why = f"mailbox_language: there are no texts in {self.mailbox_language}"
            wrong.append(Fault(why, ("mailbox_language",)))
        # What stands in the file comes before what is missing from it.
        return sorted(wrong, key=lambda fault: (fault.place == ("events",), fault.why))


def _recipient(tell: Tell, event: Any) -> str | None:
    if tell.audience == "role":
        facility = _value(event, tell.at or "")
        roles = f"{tell.role}/{tell.otherwise}" if tell.otherwise else tell.role
        return f"duty:{roles}@{facility}" if facility else None
    return AUDIENCES[tell.audience](event)


def _faults(tell: Tell, event: type[Event], wording: Wording) -> Iterator[Fault]:
    """Of one row; places are below it."""
    for name in NEEDS.get(tell.audience, ()):
        if name not in event.model_fields:
            yield Fault(f"{tell.audience} needs {name}", ("audience",))
    if tell.audience in OF_A_PATIENT and not {"patient", "card"} & event.model_fields.keys():
        yield Fault(f"{tell.audience} needs patient or card", ("audience",))
    named: list[tuple[str, tuple[str | int, ...]]] = [(tell.at, ("at",))] if tell.at is not None else []
    named += [(source.field, ("variables", name, "from")) for name, source in tell.variables.items()]
    named += [(field, ("override", "when", field)) for field in (tell.override.when if tell.override else ())]
    named += [(field, (part, field)) for part in ("only", "unless") for field in getattr(tell, part)]
    missing = [(field, place) for field, place in named if _field(event, field) is None]
    yield from (Fault(f"no field {field}", place) for field, place in missing)
    for name, source in tell.variables.items():
        if source.form == "date" and (field := _field(event, source.field)) and not _is_a_day(field.annotation):
            yield Fault(f"{source.field} is no date", ("variables", name, "as"))
    try:
        needed = wording.placeholders(tell.template)
    except KeyError:
        yield Fault(f"no template {tell.template}", ("template",))
        return
    if needed != tell.variables.keys():
        why = f"{tell.template} has placeholders {sorted(needed)}, given are {sorted(tell.variables)}"
        yield Fault(why, ("variables",) if tell.variables else ("template",))
