"""A case in a made-up office, and how commands are played on it, for the unit tests of the machine."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from hypothesis import strategies as st

from libs.common.refusal import Refused
from libs.contracts.event import Event
from libs.contracts.grievance import Reporter
from services.grievance.domain import moments
from services.grievance.domain.calendar import Shift, WorkingCalendar
from services.grievance.domain.clocks import Span
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
from services.grievance.domain.fold import evolve
from services.grievance.domain.grievance import decide
from services.grievance.domain.moves import CHANNELS, OUTCOMES, PAUSES, TRANSFERS
from services.grievance.domain.policy import Appeal as AppealRule
from services.grievance.domain.policy import CasePolicy, Promises, Unreachable
from services.grievance.domain.state import Attachment, Grievance

START = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
"""A Friday, half past nine in the morning."""

ABOUT, ALSO, FIRST, SECOND, CELL = (
    "LA-LEH-PHC-PANAMIK",
    "LA-LEH-PHC-TURTUK",
    "LA-LEH-SDH-DISKIT",
    "LA-LEH-DH-SNM",
    "LA-STATE-CELL",
)
NINE_TO_FIVE = (Shift(opens=dt.time(9), closes=dt.time(17)),)
OFFICE = WorkingCalendar(code="37-9", week=(*[NINE_TO_FIVE] * 5, (), ()))
SNOWED_IN = OFFICE.model_copy(update={"days": {dt.date(2026, 11, day): () for day in (20, 23, 24)}})


def span(written: str) -> Span:
    return Span.model_validate(written)


POLICY = CasePolicy(
    jurisdiction="ladakh",
    since=dt.date(2025, 10, 31),
    promises=Promises(
        first_action=span("2 working hours"),
        redress=span("6 hours"),
        ladder=(span("2 hours"), span("3 hours")),
        tell=span("1 hours"),
        confirm=span("2 days"),
    ),
    unreachable=Unreachable(attempts=2, over_days=1),
    appeal=AppealRule(window=span("3 days"), redress=span("4 hours")),
)
FILE = File(
    ticket="G-7K3M-9Q2X-C",
    category="long-wait",
    text="Waited five hours at the counter",
    about_facility=ABOUT,
    also_about=(ALSO,),
    about_referral=None,
    handled_by=FIRST,
    state_cell=CELL,
    state_lgd=37,
    district_lgd=9,
    policy=POLICY,
    reporter=Reporter(kind="patient", id="p1"),
    filed_by="citizen:p1",
    language="bo",
)
TO_FIRST = Assign(f"nodal-officer@{FIRST}")
FIXED = Resolve("fixed", "spoke to them")


def picture(id: str) -> Attachment:
    return Attachment(id=id, content_type="image/png", size=9, sha256="0" * 64, added_at=START, by="reporter")


BY_TICK = ("redress", "on-call", "first-action", "tell", "confirm", "pause")

codes = st.sampled_from([*PAUSES, *TRANSFERS, *CHANNELS, *OUTCOMES, "wonderful"])
ahead = st.integers(-60, 60 * 24 * 40).map(lambda minutes: START + dt.timedelta(minutes=minutes))
MOVES = st.one_of(
    st.sampled_from([f"nodal-officer@{FIRST}", f"nodal-officer@{SECOND}", f"officer@{FIRST}"]).map(Assign),
    st.builds(Resolve, codes, st.sampled_from(["spoke to them", " "])),
    st.just(FIXED),
    st.integers(0, 6).map(Confirm),
    st.just(Reopen("nothing changed")),
    st.builds(Transfer, st.sampled_from([SECOND, FIRST, ABOUT, ALSO]), codes, st.just("belongs there")),
    st.builds(Interim, ahead, st.just("waiting for the part")),
    st.builds(Pause, codes, ahead),
    st.just(Resume()),
    st.builds(Attempt, codes, st.booleans(), st.just("rang twice")),
    st.just(Attempt("phone", False)),
    st.just(CloseUnreachable()),
    st.sampled_from(["a1", "a2"]).map(lambda child: Appeal(child, "not enough")),
    st.sampled_from(["a1", "a2"]).map(NoteAppealOpened),
    st.builds(AppealSettled, st.sampled_from(["a1", "a2"]), st.just("fixed")),
    st.just(TellParent()),
    st.sampled_from(["rti", "sub-judice"]).map(lambda reason: Screen(reason, "court", "a court is deciding this")),
    st.builds(Consult, st.sampled_from([SECOND, FIRST, ABOUT, CELL]), st.just("was it in stock?"), ahead),
    st.builds(Contribute, st.sampled_from([SECOND, CELL]), st.just("it was not")),
    st.builds(Verify, st.booleans(), st.just("looked")),
    st.builds(Attach, st.sampled_from(["b1", "b2"]).map(picture)),
    st.just(JoinCluster("c1")),
    st.just(Rederive()),
    st.builds(Tick, st.sampled_from(BY_TICK), st.integers(1, 4), st.sampled_from([SECOND, CELL])),
    st.just("tick"),
    st.just(FILE),
)


def tick_of(state: Grievance | None) -> Command:
    """What the timer would ask for now."""
    clock = moments.next_due(state) if state else None
    if state is None or clock is None:
        return Rederive()
    return Tick(clock.name, moments.step(state, clock), SECOND if state.step == 0 else CELL)


def run(
    commands: list[tuple[Any, int]], calendar: WorkingCalendar = OFFICE, first: File = FILE
) -> tuple[Grievance, list[Event]]:
    """Plays commands, each so many minutes after the one before; refused ones change nothing."""
    now, state, journal = START, None, []
    for given_, minutes in [(first, 0), *commands]:
        now += dt.timedelta(minutes=minutes)
        command: Command = tick_of(state) if given_ == "tick" else given_
        try:
            events = decide(state, command, now, calendar)
        except Refused:
            continue
        for event in events:
            state = evolve(state, event)
        journal += events
    assert state is not None
    return state, journal


def after(path: list[tuple[Any, int]]) -> Grievance:
    return run(path)[0]


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def entries(journal: list[Event]) -> list[dict[str, object]]:
    """As the store holds them: through JSON and back."""
    return [{"type": event.TYPE, "data": json.loads(json.dumps(event.model_dump(mode="json")))} for event in journal]


timed = st.lists(st.tuples(MOVES, st.integers(0, 900)), max_size=25)
