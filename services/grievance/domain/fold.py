"""The fold of a complaint's events."""

from __future__ import annotations

from libs.contracts.event import Event
from services.grievance.domain.events import (
    Acknowledged,
    AppealDecided,
    Appealed,
    AppealOpened,
    Assigned,
    Attached,
    ClockMissed,
    ClosedUnreachable,
    Clustered,
    Confirmed,
    Consulted,
    ContactAttempted,
    Contributed,
    Escalated,
    Filed,
    InterimReplied,
    Paged,
    ParentTold,
    Paused,
    Rederived,
    Reopened,
    Resolved,
    Resumed,
    Screened,
    Transferred,
    Verified,
)
from services.grievance.domain.moments import ON_CALL, OPEN_CLOCKS
from services.grievance.domain.state import Attempt, Grievance, Pause, Question


def evolve(state: Grievance | None, event: Event) -> Grievance:
    if isinstance(event, Filed):
        names = set(Grievance.model_fields) & set(type(event).model_fields)
        facts = {name: getattr(event, name) for name in names}
        return Grievance(status="filed", open=True, offices=(event.handled_by,), **facts)
    if state is None:
        raise TypeError(f"{event.TYPE} before the filing")
    return state.model_copy(update=_changes(state, event))


def _changes(state: Grievance, event: Event) -> dict[str, object]:
    match event:
        case Acknowledged():
            return {"acknowledged_at": event.acknowledged_at, "due_at": event.due_at, "clocks": event.clocks}
        case Assigned():
            return {
                "status": "assigned",
                "assigned_to": event.to,
                "assigned_at": event.assigned_at,
                "clocks": state.clocks_without("first-action", ON_CALL),
            }
        case Transferred():
            return {
                "status": "filed",
                "assigned_to": None,
                "handled_by": event.handled_by,
                "offices": state.offices_with(event.handled_by),
                "called": tuple(office for office in state.called if office != event.handled_by),
                "transfers": state.transfers + 1,
                "transfer_explanation": event.explanation,
            }
        case InterimReplied():
            return {
                "expected_by": event.expected_by,
                "interim_reason": event.reason,
                "clocks": state.clocks_without("first-action", ON_CALL),
            }
        case Paused():
            pause = Pause(reason=event.reason, since=event.paused_at, until=event.until)
            return {"paused": pause, "clocks": state.clocks_without(ON_CALL)}
        case Resumed():
            assert state.paused is not None
            return {
                "paused": None,
                "pauses": (*state.pauses, (state.paused.since, event.resumed_at)),
                "clocks": event.clocks,
            }
        case Resolved():
            # Redress keeps its date and stands; should the case be reopened, it is as late as it was.
            kept = tuple(clock for clock in state.clocks if clock.name == "redress")
            return {
                "status": "resolved",
                "open": False,
                "resolved_at": event.resolved_at,
                "outcome": event.outcome,
                "action_taken": event.action_taken,
                "resolver": event.resolver,
                "clocks": (*kept, *event.clocks),
                "attempts": (),
            }
        case Screened():
            return {"screened": event.reason, "passed_to": event.passed_to}
        case Consulted():
            question = Question(office=event.office, question=event.question, by=event.by)
            return {
                "questions": (*state.questions, question),
                "consulted": tuple(dict.fromkeys((*state.consulted, event.office))),
            }
        case Contributed():
            answered = {"answer": event.answer, "answered_at": event.answered_at}
            return {
                "questions": tuple(
                    each.model_copy(update=answered) if each.office == event.office and not each.answered_at else each
                    for each in state.questions
                )
            }
        case Attached():
            return {"attachments": (*state.attachments, event.attachment)}
        case Clustered():
            return {"cluster": event.cluster}
        case Verified():
            return {"status": "closed", "closed_at": event.verified_at, "verified": True}
        case Paged():
            office = event.to.partition("@")[2]
            return {
                "paged": (*state.paged, event.to),
                "offices": state.offices_with(office),
                "called": state.called if office in state.offices else (*state.called, office),
                "clocks": (*state.clocks_without(ON_CALL), *event.clocks),
            }
        case ContactAttempted():
            attempt = Attempt(at=event.attempted_at, reached=event.reached)
            return {"attempts": (*state.attempts, attempt), "clocks": state.clocks_without("tell")}
        case ClosedUnreachable():
            return {
                "status": "closed-unreachable",
                "closed_at": event.closed_at,
                "parent_waits": state.parent is not None,
            }
        case Confirmed():
            return {
                "status": "closed",
                "closed_at": event.confirmed_at,
                "rating": event.rating,
                "parent_waits": state.parent is not None,
            }
        case Reopened():
            return {
                "status": "assigned" if state.assigned_to else "filed",
                "open": True,
                "reopened": event.cycle,
                "reopen_reason": event.reason,
                "resolved_at": None,
                "closed_at": None,
                "outcome": None,
                "action_taken": "",
                "screened": None,
                "passed_to": None,
                "attempts": (),
                "paged": (),
                "clocks": (*(clock for clock in state.clocks if clock.name in OPEN_CLOCKS), *event.clocks),
            }
        case Appealed():
            return {
                "status": "resolved",
                "closed_at": None,
                "appeals_open": (*state.appeals_open, event.child),
                "appeal_waits": event.child,
                "appeal_reason": event.reason,
                "clocks": state.clocks_without("tell", "confirm"),
            }
        case AppealOpened():
            return {"appeal_waits": None}
        case AppealDecided():
            return {
                "appeals_open": tuple(child for child in state.appeals_open if child != event.child),
                # What was settled was opened, though nobody came back to say so.
                "appeal_waits": None if state.appeal_waits == event.child else state.appeal_waits,
                "clocks": (*state.clocks_without("confirm"), *event.clocks),
                "attempts": (),
            }
        case ParentTold():
            return {"parent_waits": False}
        case ClockMissed():
            return {"missed": (*state.missed, event.clock), "clocks": state.clocks_without(event.clock)}
        case Escalated():
            return {
                "handled_by": event.handled_by,
                "offices": state.offices_with(event.handled_by),
                "called": tuple(office for office in state.called if office != event.handled_by),
                "step": event.step,
                "clocks": (*state.clocks_without("redress"), *event.clocks),
            }
        case Rederived():
            return {"clocks": event.clocks, "due_at": event.due_at, "rederived": state.rederived + 1}
    raise TypeError(f"a grievance knows no {event.TYPE}")
