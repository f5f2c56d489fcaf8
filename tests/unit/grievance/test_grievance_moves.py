"""The machine: any sequence of commands leaves only legal moves, and the state is what the journal folds to."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.refusal import Refused
from libs.contracts.event import PUBLIC, Event, is_personal
from libs.contracts.grievance import Reporter
from services.grievance.domain import grievance
from services.grievance.domain.deadlines import Category
from services.grievance.domain.grievance import (
    OUTCOMES,
    Acknowledged,
    Assign,
    Command,
    Confirm,
    Confirmed,
    Escalate,
    Escalated,
    File,
    Filed,
    Grievance,
    Reopen,
    Reopened,
    Resolve,
    decide,
    evolve,
)
from services.grievance.store import GRIEVANCE

START = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
CATEGORY = Category(code="long-wait", name="Long wait", redress_hours=6.0, escalation_hours=(2.0, 3.0))
ABOUT, FIRST, SECOND, CELL = "LA-LEH-PHC-PANAMIK", "LA-LEH-SDH-DISKIT", "LA-LEH-DH-SNM", "LA-STATE-CELL"

FILE = File(
    ticket="G-7K3M-9Q2X-C",
    category=CATEGORY,
    text="Waited five hours at the counter",
    about_facility=ABOUT,
    about_referral=None,
    handled_by=FIRST,
    state_cell=CELL,
    reporter=Reporter(kind="patient", id="p1"),
    filed_by="citizen:p1",
    language="bo",
)

MOVES = st.one_of(
    st.sampled_from([f"nodal-officer@{FIRST}", f"nodal-officer@{SECOND}", f"officer@{FIRST}"]).map(Assign),
    st.builds(Resolve, st.sampled_from([*OUTCOMES, "wonderful"]), st.sampled_from(["spoke to them", " "])),
    st.integers(0, 6).map(Confirm),
    st.just(Reopen("nothing changed")),
    st.builds(Escalate, st.integers(1, 4), st.sampled_from([SECOND, CELL])),
    st.just(FILE),
)


def run(commands: list[tuple[Command, int]]) -> tuple[Grievance, list[Event]]:
    """Plays commands, each so many minutes after the one before; refused ones change nothing."""
    now, state, journal = START, None, []
    for command, minutes in [(FILE, 0), *commands]:
        now += dt.timedelta(minutes=minutes)
        try:
            events = decide(state, command, now)
        except Refused:
            continue
        for event in events:
            state = evolve(state, event)
        journal += events
    assert state is not None
    return state, journal


def entries(journal: list[Event]) -> list[dict[str, object]]:
    """As the store holds them: through JSON and back."""
    return [{"type": event.TYPE, "data": json.loads(json.dumps(event.model_dump(mode="json")))} for event in journal]


timed = st.lists(st.tuples(MOVES, st.integers(0, 400)), max_size=25)


@given(timed)
def test_state_is_the_fold_of_the_stored_journal(commands: list[tuple[Command, int]]) -> None:
    state, journal = run(commands)
    assert GRIEVANCE.fold(entries(journal)) == state


@given(timed)
def test_only_legal_moves(commands: list[tuple[Command, int]]) -> None:
    state, journal = run(commands)
    legal = {
        "filed": {"GrievanceAssigned", "GrievanceResolved", "GrievanceEscalated"},
        "assigned": {"GrievanceAssigned", "GrievanceResolved", "GrievanceEscalated"},
        "resolved": {"GrievanceConfirmed", "GrievanceReopened"},
        "closed": set(),
    }
    assert [type(event) for event in journal[:2]] == [Filed, Acknowledged]
    replayed = evolve(evolve(None, journal[0]), journal[1])
    for event in journal[2:]:
        assert event.TYPE.split(".")[1] in legal[replayed.status]
        replayed = evolve(replayed, event)
    assert replayed == state


@given(timed)
def test_nothing_moves_the_promise_or_the_age(commands: list[tuple[Command, int]]) -> None:
    state, _ = run(commands)
    assert state.due_at == START + dt.timedelta(hours=6)
    assert state.filed_at == START


@given(timed)
def test_the_accused_is_never_in_the_route(commands: list[tuple[Command, int]]) -> None:
    state, journal = run([*commands, (Escalate(1, ABOUT), 10_000)])
    assert ABOUT not in state.offices
    assert all(event.model_dump().get("handled_by") != ABOUT for event in journal)


@given(timed)
def test_one_step_per_breach_and_each_at_or_after_its_date(commands: list[tuple[Command, int]]) -> None:
    state, journal = run(commands)
    steps = [event for event in journal if isinstance(event, Escalated)]
    assert [event.step for event in steps] == list(range(1, len(steps) + 1))
    assert state.step == len(steps) <= 3
    assert len({event.due_at for event in steps}) == len(steps)
    assert all(event.escalated_at >= event.due_at for event in steps)


@given(timed)
def test_first_office_may_always_act(commands: list[tuple[Command, int]]) -> None:
    state, _ = run(commands)
    assert state.offices[0] == FIRST
    assert state.handled_by in state.offices
    if state.open:
        assert decide(state, Assign(f"nodal-officer@{FIRST}"), START)


@given(timed)
def test_what_leaves_the_journal_says_nothing_personal(commands: list[tuple[Command, int]]) -> None:
    _, journal = run(commands)
    for event in journal:
        public = PUBLIC[event.TYPE]
        assert not any(is_personal(field) for field in public.model_fields.values())
        told = json.dumps(
            {name: value for name, value in event.model_dump(mode="json").items() if name in public.model_fields}
        )
        for secret in ("Waited five", "citizen:p1", "spoke to them", "nothing changed"):
            assert secret not in told


def test_acknowledged_at_once_with_a_promise() -> None:
    state, journal = run([])
    assert isinstance(journal[1], Acknowledged)
    assert (state.acknowledged_at, state.due_at) == (START, START + dt.timedelta(hours=6))


@pytest.mark.parametrize(
    ("path", "command", "allowed"),
    [
        ([], Confirm(5), ()),
        ([], Reopen("no"), ()),
        ([Resolve("fixed", "done")], Assign(f"nodal-officer@{FIRST}"), ()),
        ([Resolve("fixed", "done")], Resolve("fixed", "done"), ()),
        ([Resolve("fixed", "done"), Confirm(4)], Reopen("no"), ()),
        ([Resolve("fixed", "done"), Confirm(4)], Confirm(4), ()),
        ([Resolve("fixed", "done"), Confirm(4)], Assign(f"nodal-officer@{FIRST}"), ()),
    ],
)
def test_an_illegal_move_is_refused_without_a_field(
    path: list[Command], command: Command, allowed: tuple[str, ...]
) -> None:
    state, _ = run([(step, 1) for step in path])
    with pytest.raises(Refused) as refusal:
        decide(state, command, START)
    assert (refusal.value.code, refusal.value.field, refusal.value.allowed) == ("move-not-allowed", None, allowed)


@pytest.mark.parametrize(
    ("status", "who", "moves"),
    [
        ("filed", "officer", ("assign",)),
        ("filed", "nodal-officer", ("resolve",)),
        ("filed", "reporter", ()),
        ("assigned", "officer", ("assign",)),
        ("resolved", "reporter", ("confirm", "reopen")),
        ("resolved", "nodal-officer", ()),
        ("closed", "reporter", ()),
    ],
)
def test_moves_allowed_to_an_actor(status: grievance.Status, who: str, moves: tuple[str, ...]) -> None:
    state, _ = run([])
    assert grievance.allowed(state.model_copy(update={"status": status}), who) == moves


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (Assign(f"officer@{FIRST}"), "to"),
        (Assign(f"nodal-officer@{ABOUT}"), "to"),
        (Assign("nodal-officer"), "to"),
        (Assign(f"nodal-officer@{SECOND}"), "to"),
        (Resolve("wonderful", "done"), "outcome"),
        (Resolve("fixed", "  "), "action_taken"),
    ],
)
def test_nonsense_names_its_field(command: Command, field: str) -> None:
    state, _ = run([])
    with pytest.raises(Refused) as refusal:
        decide(state, command, START)
    assert refusal.value.field == field


def test_rating_is_one_to_five() -> None:
    state, _ = run([(Resolve("explained", "told them why"), 1)])
    for rating in (0, 6):
        with pytest.raises(Refused) as refusal:
            decide(state, Confirm(rating), START)
        assert refusal.value.field == "rating"


def test_not_fixed_is_told_apart_from_fixed() -> None:
    state, _ = run([(Resolve("not-fixed", "no post sanctioned"), 1), (Confirm(1), 1)])
    assert (state.status, state.outcome) == ("closed", "not-fixed")


def test_reopening_counts_cycles_and_goes_back_to_who_had_it() -> None:
    one_round: list[tuple[Command, int]] = [(Resolve("fixed", "done"), 1), (Reopen("nothing changed"), 1)]
    state, journal = run([(Assign(f"nodal-officer@{FIRST}"), 1), *one_round, *one_round])
    assert [event.cycle for event in journal if isinstance(event, Reopened)] == [1, 2]
    assert (state.status, state.reopened, state.assigned_to) == ("assigned", 2, f"nodal-officer@{FIRST}")
    assert (state.outcome, state.action_taken, state.resolved_at) == (None, "", None)
    assert run(one_round)[0].status == "filed"


def test_escalation_goes_up_while_the_first_office_stays_legal() -> None:
    state, _ = run([(Escalate(1, SECOND), 361), (Escalate(2, CELL), 121)])
    assert (state.handled_by, state.offices) == (CELL, (FIRST, SECOND, CELL))
    assert decide(state, Resolve("fixed", "done"), START)


def test_escalation_needs_a_breach_and_its_own_step() -> None:
    state, _ = run([])
    late = START + dt.timedelta(hours=6)
    assert decide(state, Escalate(1, SECOND), late - dt.timedelta(seconds=1)) == []
    assert decide(state, Escalate(2, SECOND), late) == []
    (event,) = decide(state, Escalate(1, SECOND), late)
    assert isinstance(event, Escalated)
    assert (event.due_at, event.next_due_at) == (late, late + dt.timedelta(hours=2))
    after = evolve(state, event)
    assert decide(after, Escalate(1, SECOND), late + dt.timedelta(hours=9)) == []


def test_the_clock_stands_while_it_is_resolved_and_a_missed_date_still_counts_after_a_reopening() -> None:
    state, _ = run([(Resolve("fixed", "done"), 60)])
    after = START + dt.timedelta(hours=9)
    assert GRIEVANCE.due(state) is None
    assert decide(state, Escalate(1, SECOND), after) == []
    reopened = evolve(state, decide(state, Reopen("nothing changed"), after)[0])
    assert GRIEVANCE.due(reopened) == START + dt.timedelta(hours=6)
    assert len(decide(reopened, Escalate(1, SECOND), after)) == 1


def test_after_the_last_step_it_stays_overdue_without_a_clock() -> None:
    state, _ = run([(Escalate(1, SECOND), 400), (Escalate(2, CELL), 400), (Escalate(3, CELL), 400)])
    assert (state.step, state.next_due_at, state.open) == (3, None, True)
    assert GRIEVANCE.due(state) is None


def test_assigning_again_or_reopening_does_not_touch_the_clock() -> None:
    """rival-digit.md W13: there any edit moves `lastModifiedTime`, and with it the escalation."""
    state, _ = run([])
    moved, _ = run([(Assign(f"nodal-officer@{FIRST}"), 300), (Assign(f"nodal-officer@{FIRST}"), 59)])
    assert GRIEVANCE.due(moved) == GRIEVANCE.due(state)


def test_filing_about_oneself_is_impossible() -> None:
    with pytest.raises(Refused) as refusal:
        decide(None, dataclasses.replace(FILE, handled_by=ABOUT), START)
    assert refusal.value.field == "about_facility"


def test_a_move_on_nothing_decides_nothing() -> None:
    assert decide(None, Confirm(5), START) == []


@settings(max_examples=50)
@given(timed)
def test_a_repeated_confirmation_closes_once(commands: list[tuple[Command, int]]) -> None:
    _, journal = run([*commands, (Confirm(5), 1), (Confirm(5), 1)])
    assert sum(isinstance(event, Confirmed) for event in journal) <= 1
