"""One complaint, from the filing to the word of the one who filed it that it is put right.

| from                         | move              | to                        | who                              |
|------------------------------|-------------------|---------------------------|----------------------------------|
| –                            | file              | filed                     | a citizen, or nobody known       |
| filed, assigned              | assign            | assigned                  | officer of one of its offices    |
| filed, assigned              | transfer          | filed, at another office  | officer of one of its offices    |
| filed, assigned              | interim           | the same                  | nodal officer of one of its offices |
| filed, assigned              | pause, resume     | the same                  | nodal officer of one of its offices |
| filed, assigned              | consult           | the same; one more owes a part | nodal officer of one of them |
| filed, assigned              | resolve, screen   | resolved                  | nodal officer of one of its offices |
| resolved                     | attempt           | the same                  | nodal officer of one of its offices |
| resolved                     | close-unreachable | closed-unreachable        | nodal officer, after enough attempts |
| resolved                     | confirm           | closed                    | only the one who filed it        |
| resolved                     | verify            | closed, or as reopened    | an officer, where nobody filed it |
| resolved, closed-unreachable | reopen            | filed or assigned         | only the one who filed it        |
| resolved, closed-unreachable | appeal            | resolved, and a child case above | only the one who filed it |
| any                          | the clock         | one step per missed date  |                                  |

Its offices are where it is handled and where it was before an escalation or a transfer: never the accused. The promised
date is set when it is filed. No move changes it, a reopening neither; a changed working calendar derives it anew, and
the journal keeps what was promised before. While an appeal is open its parent cannot be closed.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from libs.common.refusal import Refused
from libs.contracts.event import Event
from services.grievance.domain import moments
from services.grievance.domain.calendar import WorkingCalendar
from services.grievance.domain.clocks import due
from services.grievance.domain.commands import (
    Appeal,
    AppealSettled,
    Assign,
    Attach,
    Attempt,
    CloseUnreachable,
    Command,
    Confirm,
    Consult,
    Contribute,
    File,
    Interim,
    JoinCluster,
    NoteAppealOpened,
    Pause,
    Rederive,
    Reopen,
    Resolve,
    Resume,
    Screen,
    TellParent,
    Tick,
    Transfer,
    Verify,
)
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
from services.grievance.domain.moves import (
    CHANNELS,
    LONGEST_CONSULTATION,
    LONGEST_INTERIM,
    LONGEST_PAUSE,
    MOST_ATTACHMENTS,
    OUTCOMES,
    PASSED_ON,
    PAUSES,
    TRANSFERS,
    allowed,
    never_the_accused,
    require,
    require_nodal_officer,
    require_one_of,
)
from services.grievance.domain.state import Grievance, accused


def decide(state: Grievance | None, command: Command, now: dt.datetime, calendar: WorkingCalendar) -> list[Event]:
    """What the command makes happen, by the working time of the place it is about.

    Raises Refused; decides nothing for a grievance that does not exist.
    """
    if isinstance(command, File):
        return _file(state, command, now, calendar)
    if state is None:
        return []
    match command:
        case Contribute():
            return _contribute(state, command, now)
        case Attach():
            return _attach(state, command)
        case JoinCluster():
            return [Clustered(cluster=command.cluster)] if state.cluster != command.cluster else []
        case Tick():
            return _tick(state, command, now, calendar)
        case Rederive():
            return _rederive(state, calendar)
        case NoteAppealOpened():
            return [AppealOpened(child=command.child)] if state.appeal_waits == command.child else []
        case AppealSettled():
            return _appeal_settled(state, command, now, calendar)
        case TellParent():
            return [ParentTold()] if state.parent_waits else []
    require(state, command.MOVE)
    match command:
        case Assign():
            require_nodal_officer(state, command.to)
            return [Assigned(to=command.to, assigned_at=now, **_public(state))]
        case Transfer():
            return _transfer(state, command, now)
        case Interim():
            if not now < command.expected_by <= now + LONGEST_INTERIM:
                raise Refused("date-out-of-range", "must lie ahead, within a year", field="expected_by")
            return [InterimReplied(expected_by=command.expected_by, reason=command.reason, replied_at=now)]
        case Pause():
            return _pause(state, command, now)
        case Resume():
            return [_resumed(state, now, calendar)]
        case Resolve():
            require_one_of(command.outcome, OUTCOMES, "outcome")
            return _resolve(state, command, now, calendar)
        case Screen():
            screened = Screened(reason=command.reason, passed_to=command.passed_to)
            passed_on = Resolve(PASSED_ON, command.explanation, command.resolver)
            return [screened, *_resolve(state, passed_on, now, calendar)]
        case Consult():
            return _consult(state, command, now)
        case Verify():
            if command.verifier and command.verifier == state.resolver:
                raise Refused("second-person-needed", "whoever resolved it does not verify it")
            if not command.fixed:
                return [_reopened(state, command.note, now, calendar)]
            return [Verified(verified_at=now, **_named(state))]
        case Attempt():
            require_one_of(command.channel, CHANNELS, "channel")
            return [
                ContactAttempted(channel=command.channel, reached=command.reached, note=command.note, attempted_at=now)
            ]
        case CloseUnreachable():
            return _close_unreachable(state, now)
        case Confirm():
            if not 1 <= command.rating <= 5:
                raise Refused("rating-out-of-range", "must be 1 to 5", field="rating")
            return [Confirmed(rating=command.rating, confirmed_at=now, **_public(state))]
        case Reopen():
            return [_reopened(state, command.reason, now, calendar)]
        case Appeal():
            return _appeal(state, command, now, calendar)
    raise TypeError(f"a grievance knows no {type(command).__name__}")


def _file(state: Grievance | None, command: File, now: dt.datetime, calendar: WorkingCalendar) -> list[Event]:
    if state is not None:
        return []
    never_the_accused(accused(command.about_facility, command.also_about, command.about_person), command.handled_by)
    promises = command.policy.promises
    received = command.received_at or now
    clocks = moments.started(received, calendar, **{"first-action": promises.first_action, "redress": promises.redress})
    if promises.on_call:
        clocks = (*clocks, *moments.started(now, calendar, **{moments.ON_CALL: promises.on_call[0]}))
    facts: dict[str, Any] = {
        "ticket": command.ticket,
        "category": command.category,
        "about_facility": command.about_facility,
        "handled_by": command.handled_by,
        "reporter": command.reporter,
        "language": command.language,
    }
    return [
        Filed(
            about_referral=command.about_referral,
            also_about=command.also_about,
            about_person=command.about_person,
            sealed=command.sealed,
            door=command.door,
            because=command.because,
            source=command.source,
            received_at=command.received_at,
            text=command.text,
            filed_by=command.filed_by,
            filed_at=now,
            state_cell=command.state_cell,
            state_lgd=command.state_lgd,
            district_lgd=command.district_lgd,
            policy=command.policy,
            parent=command.parent,
            **facts,
        ),
        Acknowledged(due_at=moments.promise(clocks, now), clocks=clocks, acknowledged_at=now, **facts),
    ]


def _transfer(state: Grievance, command: Transfer, now: dt.datetime) -> list[Event]:
    require_one_of(command.reason, TRANSFERS, "reason")
    if command.to in state.accused:
        raise Refused("accused-in-route", "nobody answers a complaint about themselves", field="to")
    if command.to == state.handled_by:
        raise Refused("there-already", "must be another office", field="to")
    facts = _public(state) | {"handled_by": command.to}
    return [Transferred(reason=command.reason, explanation=command.explanation, transferred_at=now, **facts)]


def _pause(state: Grievance, command: Pause, now: dt.datetime) -> list[Event]:
    require_one_of(command.reason, PAUSES, "reason")
    if not now < command.until <= now + LONGEST_PAUSE:
        raise Refused("date-out-of-range", f"must lie ahead, within {LONGEST_PAUSE.days} days", field="until")
    return [Paused(reason=command.reason, until=command.until, paused_at=now)]


def _resumed(state: Grievance, now: dt.datetime, calendar: WorkingCalendar) -> Resumed:
    assert state.paused is not None
    pauses = (*state.pauses, (state.paused.since, max(now, state.paused.since)))
    return Resumed(resumed_at=now, clocks=moments.derived(state.clocks, calendar, pauses))


def _consult(state: Grievance, command: Consult, now: dt.datetime) -> list[Event]:
    if command.office in state.accused:
        raise Refused("accused-in-route", "nobody answers a complaint about themselves", field="office")
    if command.office == state.handled_by:
        raise Refused("leads-already", "must be another body than the one that leads", field="office")
    if command.office in state.owing:
        raise Refused("asked-already", "was asked, and has not answered yet", field="office")
    if not now < command.by <= now + LONGEST_CONSULTATION:
        raise Refused("date-out-of-range", f"must lie ahead, within {LONGEST_CONSULTATION.days} days", field="by")
    return [Consulted(office=command.office, question=command.question, by=command.by)]


def _contribute(state: Grievance, command: Contribute, now: dt.datetime) -> list[Event]:
    if command.office not in state.owing:
        raise Refused("not-asked", "nothing is asked of your office here")
    return [Contributed(office=command.office, answer=command.answer, answered_at=now)]


def _attach(state: Grievance, command: Attach) -> list[Event]:
    if not state.open and state.status != "resolved":
        raise Refused("move-not-allowed", f"nothing is added while it is {state.status}")
    if len(state.attachments) >= MOST_ATTACHMENTS:
        raise Refused("too-many-attachments", f"a case has {MOST_ATTACHMENTS} at most", field="content")
    return [Attached(attachment=command.attachment)]


def _resolve(state: Grievance, command: Resolve, now: dt.datetime, calendar: WorkingCalendar) -> list[Event]:
    waits = [each.office for each in state.questions if each.answered_at is None and now < each.by]
    if waits:
        raise Refused(
            "answers-awaited",
            f"{', '.join(waits)} still owe their part of the one answer",
            allowed=tuple(move for move in allowed(state, "nodal-officer") if move not in ("resolve", "screen")),
        )
    if not command.action_taken.strip():
        raise Refused("no-action-taken", "must say what was done", field="action_taken")
    promises = state.policy.promises
    resolved = Resolved(
        outcome=command.outcome,
        action_taken=command.action_taken,
        resolver=command.resolver,
        resolved_at=now,
        clocks=moments.started(now, calendar, tell=promises.tell, confirm=promises.confirm),
        **_public(state),
    )
    return [_resumed(state, now, calendar), resolved] if state.paused else [resolved]


def _reopened(state: Grievance, reason: str, now: dt.datetime, calendar: WorkingCalendar) -> Reopened:
    """As late as it was. An emergency that was not put right is one again: whoever has it now is called."""
    rungs = state.policy.promises.on_call
    clocks = moments.started(now, calendar, **{moments.ON_CALL: rungs[0] if rungs else None})
    cycle = state.reopened + 1
    return Reopened(cycle=cycle, reason=reason, reopened_at=now, clocks=clocks, **_public(state))


def _close_unreachable(state: Grievance, now: dt.datetime) -> list[Event]:
    rule = state.policy.unreachable
    assert rule is not None
    if any(attempt.reached for attempt in state.attempts):
        raise Refused("complainant-was-reached", "only the one who filed it closes it then")
    days = (state.attempts[-1].at - state.attempts[0].at).days if state.attempts else 0
    if len(state.attempts) < rule.attempts or days < rule.over_days:
        raise Refused(
            "too-few-attempts",
            f"needs {rule.attempts} attempts over {rule.over_days} days; there are {len(state.attempts)} over {days}",
            allowed=tuple(move for move in allowed(state, "nodal-officer") if move != "close-unreachable"),
        )
    return [ClosedUnreachable(attempts=len(state.attempts), closed_at=now, **_public(state))]


def _appeal(state: Grievance, command: Appeal, now: dt.datetime, calendar: WorkingCalendar) -> list[Event]:
    rule = state.policy.appeal
    assert rule is not None
    if state.resolved_at is None:
        raise TypeError("an appeal before the resolution")
    if now > due(rule.window, state.resolved_at, calendar):
        raise Refused("appeal-too-late", f"an appeal comes within {rule.window.model_dump()} of the resolution")
    return [Appealed(child=command.child, reason=command.reason, appealed_at=now)]


def _appeal_settled(
    state: Grievance, command: AppealSettled, now: dt.datetime, calendar: WorkingCalendar
) -> list[Event]:
    if command.child not in state.appeals_open:
        return []
    clocks = moments.started(now, calendar, confirm=state.policy.promises.confirm)
    return [AppealDecided(child=command.child, outcome=command.outcome, decided_at=now, clocks=clocks)]


def _tick(state: Grievance, command: Tick, now: dt.datetime, calendar: WorkingCalendar) -> list[Event]:
    """One step for one missed date; nothing if the step was made, or the clock stands, or it is not due."""
    clock = moments.next_due(state)
    if clock is None or clock.due_at is None or now < clock.due_at or clock.name != command.clock:
        return []
    if command.step != moments.step(state, clock):
        return []
    if clock.name == "pause":
        return [_resumed(state, now, calendar)]
    if clock.name == moments.ON_CALL:
        return [_paged(state, command, now, calendar)]
    if clock.name != "redress":
        return [ClockMissed(clock=clock.name, due_at=clock.due_at, missed_at=now)]
    never_the_accused(state.accused, command.handled_by)
    ladder = state.policy.promises.ladder
    following = moments.started(
        now, calendar, redress=ladder[command.step - 1] if command.step <= len(ladder) else None
    )
    facts = _public(state) | {"handled_by": command.handled_by}
    return [Escalated(step=command.step, due_at=clock.due_at, clocks=following, escalated_at=now, **facts)]


def _paged(state: Grievance, command: Tick, now: dt.datetime, calendar: WorkingCalendar) -> Paged:
    """The first rung is the office that has the case, the next after a transfer the one that has it then; each further
    one is a level above, which may then act too."""
    never_the_accused(state.accused, command.handled_by)
    was_called = f"nodal-officer@{state.handled_by}" in state.paged
    office = command.handled_by if was_called else state.handled_by
    rungs = state.policy.promises.on_call
    following = rungs[command.step] if command.step < len(rungs) else None
    return Paged(
        to=f"nodal-officer@{office}",
        at=office,
        rung=command.step,
        due_at=state.due_at or now,
        about_referral=state.about_referral,
        paged_at=now,
        clocks=moments.started(now, calendar, **{moments.ON_CALL: following}),
        **_public(state),
    )


def _rederive(state: Grievance, calendar: WorkingCalendar) -> list[Event]:
    """A changed calendar moves what is counted in working time; the journal keeps what was promised before."""
    clocks = moments.derived(state.clocks, calendar, state.pauses)
    due_at = state.due_at
    promised = state.policy.promises.redress
    if promised.works:
        due_at = due(promised, state.received, calendar)
    if clocks == state.clocks and due_at == state.due_at:
        return []
    return [Rederived(clocks=clocks, due_at=due_at, was=state.clocks, was_due_at=state.due_at)]


def _named(state: Grievance) -> dict[str, Any]:
    """The part of the public facts that is said again in private ones."""
    return {name: getattr(state, name) for name in ("ticket", "category", "about_facility", "handled_by")}


def _public(state: Grievance) -> dict[str, Any]:
    return {
        "ticket": state.ticket,
        "category": state.category,
        "about_facility": state.about_facility,
        "handled_by": state.handled_by,
        "reporter": state.reporter,
        "language": state.language,
    }
