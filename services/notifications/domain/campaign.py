"""A campaign: one template to everybody of a place and an audience.

    draft -> previewed          whom it would reach, in which languages, at what cost
    previewed -> running        approved by a second person
    running <-> paused          by a person, any time
    running, paused, done -> stopped  for good: what waits lapses; what is at a provider cannot be called back
    running -> done             everybody was told

What a pause holds goes out when it is resumed, and what waits is withdrawn when it is stopped: so many at a time.

Its pace is people per minute (machine's clock); its messages obey preferences, quiet hours and the day's ceiling.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.common.refusal import Refused
from libs.contracts.event import Code, Event, FacilityCode, Instant
from services.notifications.domain.whereabouts import where

Status = Literal["draft", "previewed", "running", "paused", "stopped", "done"]

CAMPAIGN = "campaign"
"""The event type of what a campaign tells."""
CAMPAIGN_STOPPED = "campaign-stopped"
CAMPAIGN_PAUSED = "campaign-paused"

STEP_SECONDS = 6.0
"""A tenth of a minute: how often people are told."""


class Audience(BaseModel):
    """Whom it is for: every field that is given must fit. LGD codes; ages in years on the day of telling."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    who: Literal["patients", "ashas"] = "patients"
    facility: FacilityCode | None = None
    district_lgd: int | None = Field(None, ge=0, le=9999)
    state_lgd: int | None = Field(None, ge=0, le=99)
    village: str | None = Field(None, min_length=1, max_length=80)
    sex: Literal["male", "female", "other", "unknown"] | None = None
    age_from: int | None = Field(None, ge=0, le=120)
    age_to: int | None = Field(None, ge=0, le=120)

    @model_validator(mode="after")
    def _ages_in_order(self) -> Self:
        if self.age_from is not None and self.age_to is not None and self.age_from > self.age_to:
            raise ValueError("age_from must not be above age_to: nobody would fit")
        return self

    @property
    def has_a_place(self) -> bool:
        return any(value is not None for value in (self.facility, self.district_lgd, self.state_lgd, self.village))

    def fits(self, card: Mapping[str, Any], today: dt.date) -> bool:
        """`card` of a patient, or the state of a person of ours. Who has no known age fits no age. People who move with
        the seasons fit the place where they are today; of two records of one person only the one that lives on fits."""
        if card.get("status") == "entered-in-error" or card.get("active") is False or card.get("merged_into"):
            return False
        if self.who == "ashas":
            return self.fits_asha(card)
        wanted = {"registered_at": self.facility, "sex": self.sex}
        place = {"district_lgd": self.district_lgd, "state_lgd": self.state_lgd, "village": self.village}
        for of, asked in ((card, wanted), (where(card, today), place)):
            if any(value is not None and of.get(name) != value for name, value in asked.items()):
                return False
        if self.age_from is None and self.age_to is None:
            return True
        age = _age(card, today)
        if age is None:
            return False
        return (self.age_from or 0) <= age <= (self.age_to if self.age_to is not None else 200)

    def fits_asha(self, state: Mapping[str, Any]) -> bool:
        if state.get("kind") != "asha":
            return False
        if self.facility is not None and state.get("facility") != self.facility:
            return False
        return self.village is None or self.village in (state.get("villages") or ())


def _age(card: Mapping[str, Any], today: dt.date) -> int | None:
    if card.get("birth_date"):
        born = dt.date.fromisoformat(card["birth_date"])
        return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return today.year - int(card["birth_year"]) if card.get("birth_year") else None


class Reach(BaseModel):
    """What a preview found."""

    model_config = ConfigDict(frozen=True)

    people: int = 0
    by_language: dict[str, int] = {}
    by_channel: dict[str, int] = {}
    segments: int = 0
    paise: int = 0


class CampaignDrafted(Event):
    title: str
    template: Code
    variables: dict[str, str]
    audience: Audience
    per_minute: int
    useful_hours: float
    by: str
    """A digest of who drafted it: it takes somebody else to approve."""


class CampaignPreviewed(Event):
    reach: Reach


class CampaignApproved(Event):
    """`at` by the domain's clock, from which its messages are of use; `next_at` by the machine's."""

    by: str
    at: Instant
    next_at: Instant | None = None


class CampaignAdvanced(Event):
    """These many more were told, up to this id; the next step is at `next_at`."""

    told: int
    cursor: str
    next_at: Instant


class CampaignPaused(Event):
    reason: str = ""


class CampaignResumed(Event):
    at: Instant


class CampaignStopped(Event):
    reason: str = ""
    at: Instant | None = None


class CampaignHeard(Event):
    """Of a resumption, or of a stop, so many of its messages have heard; `more` have not. Next at `next_at`."""

    more: bool
    next_at: Instant


class CampaignDone(Event):
    told: int


class Campaign(BaseModel):
    model_config = ConfigDict(frozen=True)

    title: str
    template: Code
    variables: dict[str, str]
    audience: Audience
    per_minute: int
    useful_hours: float
    drafted_by: str
    status: Status = "draft"
    reach: Reach | None = None
    approved_by: str | None = None
    approved_at: Instant | None = None
    cursor: str = ""
    told: int = 0
    next_at: Instant | None = None
    unheard: bool = False
    """Its messages are still to hear that it goes on, or that it does not."""


EVENTS: tuple[type[Event], ...] = (
    CampaignDrafted,
    CampaignPreviewed,
    CampaignApproved,
    CampaignAdvanced,
    CampaignPaused,
    CampaignResumed,
    CampaignStopped,
    CampaignHeard,
    CampaignDone,
)


@dataclass(frozen=True)
class Draft:
    title: str
    template: str
    audience: Audience
    per_minute: int
    useful_hours: float
    by: str
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Preview:
    reach: Reach


@dataclass(frozen=True)
class Approve:
    by: str
    at: dt.datetime
    next_at: dt.datetime | None = None


@dataclass(frozen=True)
class Advance:
    told: int
    cursor: str
    next_at: dt.datetime
    over: bool


@dataclass(frozen=True)
class Pause:
    reason: str


@dataclass(frozen=True)
class Resume:
    at: dt.datetime


@dataclass(frozen=True)
class Stop:
    reason: str
    at: dt.datetime | None = None


@dataclass(frozen=True)
class Hear:
    """Of what was decided when the step was set to `since`."""

    since: dt.datetime
    more: bool
    next_at: dt.datetime


Command = Draft | Preview | Approve | Advance | Pause | Resume | Stop | Hear

ALLOWED: Mapping[type[Any], tuple[Status, ...]] = {
    Preview: ("draft", "previewed"),
    Approve: ("previewed",),
    Pause: ("running",),
    Resume: ("paused",),
    # What everybody was told may still wait for the morning.
    Stop: ("draft", "previewed", "running", "paused", "done"),
}
MOVES: Mapping[Status, tuple[str, ...]] = {
    "draft": ("preview", "stop"),
    "previewed": ("preview", "approve", "stop"),
    "running": ("pause", "stop"),
    "paused": ("resume", "stop"),
    "stopped": (),
    "done": ("stop",),
}


def decide(state: Campaign | None, command: Command) -> Sequence[Event]:
    """Raises Refused: a move that its status does not allow, or an approval by whoever drafted it."""
    if isinstance(command, Draft):
        return () if state else (_drafted(command),)
    if state is None:
        return ()
    if isinstance(command, Advance):
        return _advance(state, command)
    if isinstance(command, Hear):
        still = state.unheard and state.next_at == command.since
        return (CampaignHeard(more=command.more, next_at=command.next_at),) if still else ()
    if state.status not in ALLOWED[type(command)]:
        raise Refused("move-not-allowed", f"a campaign that is {state.status}", allowed=MOVES[state.status])
    match command:
        case Preview():
            return (CampaignPreviewed(reach=command.reach),)
        case Approve():
            if command.by == state.drafted_by:
                raise Refused("second-person-needed", "whoever drafted a campaign does not approve it")
            return (CampaignApproved(by=command.by, at=command.at, next_at=command.next_at),)
        case Pause():
            return (CampaignPaused(reason=command.reason),)
        case Resume():
            return (CampaignResumed(at=command.at),)
        case Stop():
            return (CampaignStopped(reason=command.reason, at=command.at),)


def _drafted(command: Draft) -> CampaignDrafted:
    return CampaignDrafted(
        title=command.title,
        template=command.template,
        variables=dict(command.variables),
        audience=command.audience,
        per_minute=command.per_minute,
        useful_hours=command.useful_hours,
        by=command.by,
    )


def _advance(state: Campaign, command: Advance) -> Sequence[Event]:
    if state.status != "running" or command.cursor < state.cursor:
        return ()
    advanced = CampaignAdvanced(told=command.told, cursor=command.cursor, next_at=command.next_at)
    return (advanced, CampaignDone(told=state.told + command.told)) if command.over else (advanced,)


def evolve(state: Campaign | None, event: Event) -> Campaign:
    if isinstance(event, CampaignDrafted):
        fields = {name: getattr(event, name) for name in CampaignDrafted.model_fields if name != "by"}
        return Campaign(**fields, drafted_by=event.by)
    assert state is not None
    change: dict[str, object] = {}
    match event:
        case CampaignPreviewed():
            change = {"status": "previewed", "reach": event.reach}
        case CampaignApproved():
            change = {"status": "running", "approved_by": event.by, "approved_at": event.at}
            change |= {"next_at": event.next_at or event.at}
        case CampaignAdvanced():
            change = {"told": state.told + event.told, "cursor": event.cursor, "next_at": event.next_at}
        case CampaignPaused():
            change = {"status": "paused", "next_at": None}
        case CampaignResumed():
            change = {"status": "running", "next_at": event.at, "unheard": True}
        case CampaignStopped():
            change = {"status": "stopped", "next_at": event.at, "unheard": True}
        case CampaignHeard():
            goes_on = event.more or state.status == "running"
            change = {"unheard": event.more, "next_at": event.next_at if goes_on else None}
        case CampaignDone():
            change = {"status": "done", "next_at": None}
    return state.model_copy(update=change)
