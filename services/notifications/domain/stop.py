"""A template in one language that nothing is sent with, because the operators refuse it, until a person resumes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from libs.common.refusal import Refused
from libs.contracts.event import Code, Event


class TemplateStopped(Event):
    template: Code
    language: str
    reason: Code
    """The code that the operators gave."""


class TemplateResumed(Event):
    """A person has put it right; what was held goes out."""


class Stop(BaseModel):
    model_config = ConfigDict(frozen=True)

    template: Code
    language: str
    reason: Code
    stopped: bool
    times: int = 1


EVENTS: tuple[type[Event], ...] = (TemplateStopped, TemplateResumed)


@dataclass(frozen=True)
class Refuse:
    template: str
    language: str
    reason: str


@dataclass(frozen=True)
class Resume:
    pass


def decide(state: Stop | None, command: Refuse | Resume) -> Sequence[Event]:
    """Raises Refused (`not-stopped`) where there is nothing to resume."""
    if isinstance(command, Refuse):
        if state is not None and state.stopped:
            return ()
        return (TemplateStopped(template=command.template, language=command.language, reason=command.reason),)
    if state is None or not state.stopped:
        raise Refused("not-stopped", "this template is not stopped in this language")
    return (TemplateResumed(),)


def evolve(state: Stop | None, event: Event) -> Stop:
    if isinstance(event, TemplateStopped):
        times = state.times + 1 if state else 1
        return Stop(template=event.template, language=event.language, reason=event.reason, stopped=True, times=times)
    assert state is not None
    return state.model_copy(update={"stopped": False})
