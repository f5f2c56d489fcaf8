"""Who the members of a group were when an event came: looked up once, so that a repeat tells the same people."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from libs.contracts.event import Code, Event, Id


class AudienceFound(Event):
    event: Id
    group: str
    """`family:<patient>`, `asha:<patient>` or `duty:<role>@<facility>`."""
    members: tuple[str, ...]
    """Recipients; empty with the `reason` why there is nobody."""
    reason: Code | None = None


class Audience(BaseModel):
    model_config = ConfigDict(frozen=True)

    event: Id
    group: str
    members: tuple[str, ...] = ()
    reason: Code | None = None


EVENTS: tuple[type[Event], ...] = (AudienceFound,)


def decide(
    state: Audience | None, event: str, group: str, members: Sequence[str], reason: str | None
) -> Sequence[Event]:
    return () if state else (AudienceFound(event=event, group=group, members=tuple(members), reason=reason),)


def evolve(state: Audience | None, event: Event) -> Audience:
    assert isinstance(event, AudienceFound)
    return Audience(event=event.event, group=event.group, members=event.members, reason=event.reason)
