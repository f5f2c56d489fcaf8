"""Who is complained about, who complains, and who else answers: nobody judges themselves, and one body leads."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from grievance_case import ABOUT, ALSO, CELL, FILE, FIRST, FIXED, OFFICE, POLICY, SECOND, START, after, names, run, span
from hypothesis import given
from hypothesis import strategies as st

from libs.common.access import SYSTEM, Access, Caller, Forbidden
from libs.common.cause import Cause
from libs.common.refusal import Refused
from libs.contracts.grievance import Reporter
from services.grievance.access import ACCESS
from services.grievance.answers import Detail, Entry, GrievanceAnswer, TrackingAnswer
from services.grievance.bodies import FileBody
from services.grievance.catalogue import read_categories, read_jurisdictions
from services.grievance.domain.commands import (
    Assign,
    Command,
    Confirm,
    Consult,
    Contribute,
    Interim,
    Reopen,
    Resolve,
    Screen,
    Tick,
    Transfer,
    Verify,
)
from services.grievance.domain.events import Paged, Screened
from services.grievance.domain.fold import evolve
from services.grievance.domain.grievance import decide
from services.grievance.domain.moves import allowed
from services.grievance.domain.policy import Appeal
from services.grievance.domain.route import next_office, office_of
from services.grievance.domain.state import Grievance, accused
from services.grievance.usecases import Cells, Complaint, Office, file

AT = ("occurred_at", "recorded_at")
SOON = START + dt.timedelta(days=2)


def filed(**otherwise: Any) -> Grievance:
    return run([], first=dataclasses.replace(FILE, **otherwise))[0]


def refused(state: Grievance | None, command: Command, now: dt.datetime = START) -> str:
    with pytest.raises(Refused) as refusal:
        decide(state, command, now, OFFICE)
    return refusal.value.code


# The person complained about


@pytest.mark.parametrize("caller", [Caller("staff-17", "officer", FIRST), Caller("x", "nodal-officer", FIRST)])
def test_the_person_complained_about_neither_sees_it_nor_acts(caller: Caller) -> None:
    who = caller.subject if caller.subject == "staff-17" else caller.actor
    state = filed().model_copy(update={"about_person": who}).model_dump(mode="json")
    for route, rule in ACCESS.items():
        if rule.at and "grievances" in route and caller.role in rule.roles:
            with pytest.raises(Forbidden):
                Access(caller, rule, route).check(state)
            assert Access(caller, rule, route).filter()["state.about_person"] == {
                "$nin": [caller.subject, caller.actor]
            }
    rule = ACCESS["GET /grievances/{id}"]
    Access(Caller("staff-18", "officer", FIRST), rule).check(state)


def test_the_office_of_an_accused_officer_is_passed_over() -> None:
    person = f"nodal-officer@{FIRST}"
    assert office_of(person) == FIRST
    assert office_of("staff-17") is None
    assert office_of(f"doctor@{FIRST}") is None
    route = accused(ABOUT, (ALSO,), person)
    assert next_office(route, (), [FIRST, SECOND], CELL) == SECOND
    assert refused(None, dataclasses.replace(FILE, about_person=person)) == "accused-in-route"
    state = filed(about_person=person, handled_by=SECOND)
    assert refused(state, Transfer(FIRST, "wrong-office", "x")) == "accused-in-route"
    assert refused(state, Consult(FIRST, "why?", SOON)) == "accused-in-route"
    assert refused(filed(about_person=person, handled_by=SECOND), Assign(person)) == "accused-in-route"


@given(st.lists(st.sampled_from([FIRST, SECOND, CELL, ABOUT]), unique=True), st.sampled_from([FIRST, SECOND, ABOUT]))
def test_no_route_leads_to_an_accused(above: list[str], person_at: str) -> None:
    route = accused(ABOUT, (), f"officer@{person_at}")
    assert next_office(route, (), above, CELL) not in route


# Sealed


def test_a_sealed_case_shows_an_officer_nobody() -> None:
    state = filed(sealed=True, filed_by=None, reporter=Reporter(kind="contact", id="c-77"))
    shown = GrievanceAnswer.of("g1", state).model_dump_json()
    assert '"reporter":"sealed"' in shown
    assert "c-77" not in shown


def test_a_text_to_a_reporter_names_no_topic() -> None:
    """Who looks over a shoulder learns that there is a ticket, not what it is about or against whom."""
    folder = Path(__file__).parents[3] / "services" / "notifications"
    events = yaml.safe_load((folder / "routing.yaml").read_text(encoding="utf-8"))["events"]
    told = [tell for type_, tells in events.items() if type_.startswith("grievance.") for tell in tells]
    to_reporters = [tell for tell in told if tell["audience"] == "reporter"]
    assert len(to_reporters) >= 5
    said = {source["from"] for tell in to_reporters for source in tell.get("variables", {}).values()}
    assert said <= {"ticket", "due_at", "expected_by"}


# One lead


def test_one_body_leads_and_answers_once_the_others_have_said_their_part() -> None:
    asked = after([(Consult(SECOND, "was it in stock?", SOON), 1)])
    assert (asked.handled_by, asked.owing, asked.consulted) == (FIRST, (SECOND,), (SECOND,))
    assert refused(asked, FIXED) == "answers-awaited"
    assert refused(asked, Screen("rti", "pio", "x")) == "answers-awaited"
    assert refused(asked, Consult(SECOND, "again?", SOON)) == "asked-already"
    assert refused(asked, Contribute(CELL, "not us")) == "not-asked"
    answered = after([(Consult(SECOND, "was it in stock?", SOON), 1), (Contribute(SECOND, "no"), 1), (FIXED, 1)])
    assert (answered.status, answered.questions[0].answer, answered.owing) == ("resolved", "no", ())
    assert answered.consulted == (SECOND,), "it still reads what it said, and a retry finds its answer"


def test_who_does_not_answer_in_time_holds_nobody_up() -> None:
    asked = after([(Consult(SECOND, "was it in stock?", SOON), 1)])
    assert names(decide(asked, FIXED, SOON, OFFICE)) == ["Resolved"]


@pytest.mark.parametrize("office", [ABOUT, ALSO])
def test_an_accused_body_contributes_nothing(office: str) -> None:
    assert refused(filed(), Consult(office, "why?", SOON)) == "accused-in-route"


# Screening


def test_what_belongs_elsewhere_is_explained_passed_on_and_may_be_contradicted() -> None:
    state, journal = run([(Screen("sub-judice", "court", "a court decides"), 10)])
    assert isinstance(journal[2], Screened)
    assert (state.status, state.outcome, state.screened, state.passed_to) == (
        "resolved",
        "passed-on",
        "sub-judice",
        "court",
    )
    assert state.action_taken == "a court decides"
    again, _ = run([(Screen("sub-judice", "court", "x"), 10), (Reopen("there is no case"), 5)])
    assert (again.status, again.screened, again.due_at) == ("filed", None, state.due_at)


# On call

ON_CALL = POLICY.model_copy(
    update={
        "promises": POLICY.promises.model_copy(
            update={"on_call": (span("30 minutes"), span("15 minutes"), span("15 minutes"))}
        )
    }
)
EMERGENCY = dataclasses.replace(FILE, policy=ON_CALL, about_referral="r1")
SATURDAY_NIGHT = dt.datetime(2026, 11, 21, 21, 0, tzinfo=dt.UTC)


def play_on_call(start: dt.datetime, up: list[str]) -> tuple[Grievance, list[Paged]]:
    state: Grievance | None = None
    for event in decide(None, EMERGENCY, start, OFFICE):
        state = evolve(state, event)
    pages: list[Paged] = []
    now = start + dt.timedelta(minutes=30)
    for rung, office in enumerate(up, 1):
        for event in decide(state, Tick("on-call", rung, office), now, OFFICE):
            assert isinstance(event, Paged)
            pages.append(event)
            state = evolve(state, event)
        now += dt.timedelta(minutes=15)
    assert state is not None
    return state, pages


def test_the_on_call_ladder_climbs_in_minutes_at_any_hour_and_names_the_referral() -> None:
    state, pages = play_on_call(SATURDAY_NIGHT, [SECOND, SECOND, CELL, CELL])
    assert [(page.rung, page.to) for page in pages] == [
        (1, f"nodal-officer@{FIRST}"),
        (2, f"nodal-officer@{SECOND}"),
        (3, f"nodal-officer@{CELL}"),
    ]
    minutes = [(page.paged_at - SATURDAY_NIGHT).total_seconds() / 60 for page in pages]
    assert minutes == [30, 45, 60]
    assert {page.about_referral for page in pages} == {"r1"}
    assert state.handled_by == FIRST, "who is called may act; the case has not moved"
    assert (state.offices, state.levels) == ((FIRST, SECOND, CELL), (FIRST,))


def test_a_rung_waits_its_minutes_and_is_called_once() -> None:
    state, _ = run([], first=EMERGENCY)
    early = START + dt.timedelta(minutes=29)
    assert decide(state, Tick("on-call", 1, SECOND), early, OFFICE) == []
    called, _ = play_on_call(START, [SECOND])
    assert decide(called, Tick("on-call", 1, SECOND), START + dt.timedelta(hours=5), OFFICE) == []


@pytest.mark.parametrize("taken", [Assign(f"nodal-officer@{FIRST}"), FIXED])
def test_who_takes_the_case_ends_the_calling(taken: Command) -> None:
    state, journal = run([(taken, 5), ("tick", 26), ("tick", 20)], first=EMERGENCY)
    assert "Paged" not in names(journal)
    assert "on-call" not in {clock.name for clock in state.clocks}


def test_an_emergency_that_was_not_put_right_is_called_out_anew() -> None:
    path = [("tick", 31), (FIXED, 1), (Reopen("still turned away"), 1), ("tick", 31)]
    state, journal = run(path, first=EMERGENCY)
    pages = [event for event in journal if isinstance(event, Paged)]
    assert [(page.rung, page.to) for page in pages] == [(1, f"nodal-officer@{FIRST}")] * 2
    assert len({page.paged_at for page in pages}) == 2
    assert state.due_at == run([], first=EMERGENCY)[0].due_at, "as late as it was"
    usual, _ = run([(FIXED, 1), (Reopen("no"), 1)])
    assert "on-call" not in {clock.name for clock in usual.clocks}


def test_after_a_transfer_the_office_that_has_it_is_called_before_those_above() -> None:
    path = [("tick", 31), (Transfer(SECOND, "wrong-office", "theirs"), 1), ("tick", 20)]
    state, journal = run(path, first=EMERGENCY)
    assert [event.to for event in journal if isinstance(event, Paged)] == [
        f"nodal-officer@{FIRST}",
        f"nodal-officer@{SECOND}",
    ]
    assert state.handled_by == SECOND


def test_an_on_call_ladder_in_office_hours_is_no_ladder() -> None:
    with pytest.raises(ValueError, match="ignores office hours"):
        POLICY.promises.model_validate({"redress": "4 hours", "on_call": ["1 working hours"]})


# On paper


def test_what_came_on_paper_is_promised_from_the_day_it_was_received() -> None:
    received = START - dt.timedelta(days=3)
    state = filed(door="complaint-box", received_at=received)
    assert (state.filed_at, state.received) == (START, received)
    assert state.due_at == received + dt.timedelta(hours=6)


# Opened by itself


def test_what_opened_by_itself_is_closed_by_a_second_officer_only() -> None:
    by_itself = dataclasses.replace(
        FILE, because="referral-breach", source="e1", reporter=Reporter(kind="anonymous"), filed_by=None, door="event"
    )
    closed, journal = run([(FIXED, 1), (Verify(True, "looked"), 1)], first=by_itself)
    assert (closed.status, closed.verified, closed.rating) == ("closed", True, None)
    assert names(journal)[-1] == "Verified"
    again, _ = run([(FIXED, 1), (Verify(False, "nothing changed"), 1)], first=by_itself)
    assert (again.status, again.reopened) == ("filed", 1)
    with pytest.raises(Refused):
        decide(after([(FIXED, 1)]), Verify(True, "looked"), START, OFFICE)
    assert ACCESS["POST /grievances/{id}/verify"].roles & ACCESS["POST /grievances/{id}/resolve"].roles == frozenset()
    with pytest.raises(Refused):
        decide(closed, Confirm(5), START, OFFICE)


def test_who_resolved_what_opened_by_itself_verifies_it_in_no_other_role() -> None:
    by_itself = dataclasses.replace(FILE, because="referral-breach", reporter=Reporter(kind="anonymous"), filed_by=None)
    resolved, journal = run([(Resolve("fixed", "done", "staff-17"), 1)], first=by_itself)
    assert refused(resolved, Verify(True, "looked", "staff-17")) == "second-person-needed"
    assert decide(resolved, Verify(True, "looked", "staff-18"), START, OFFICE)
    passed_on, _ = run([(Screen("rti", "public-information-officer", "x", "staff-17"), 1)], first=by_itself)
    assert refused(passed_on, Verify(False, "looked", "staff-17")) == "second-person-needed"
    shown = Entry.of({"type": "t", "data": journal[-1].model_dump(), "actor": "a", **dict.fromkeys(AT, START)})
    assert "staff-17" not in shown.model_dump_json(), "a role answers, not a person"


def test_who_holds_the_secret_reads_why_it_takes_longer_and_why_it_was_passed_on() -> None:
    later = START + dt.timedelta(days=9)
    path = [(Transfer(SECOND, "wrong-office", "The store is theirs"), 1), (Interim(later, "The part comes by air"), 1)]
    state, _ = run(path)  # type: ignore[arg-type]
    seen = TrackingAnswer.of(state, {})
    assert (seen.expected_by, seen.interim_reason) == (later, "The part comes by air")
    assert seen.explanation == "The store is theirs"
    assert FILE.text not in seen.model_dump_json()
    shown = Detail.of("g1", state)
    assert (shown.interim_reason, shown.transfer_explanation) == ("The part comes by air", "The store is theirs")


@pytest.mark.parametrize(
    ("written", "who"),
    [
        (" Nodal-Officer@la-leh-sdh-diskit ", "nodal-officer@LA-LEH-SDH-DISKIT"),
        ("officer@LA-LEH-DH-SNM", "officer@LA-LEH-DH-SNM"),
        ("Dr.Sonam@hospital.example", "dr.sonam@hospital.example"),
        ("Staff-17", "staff-17"),
    ],
)
def test_the_accused_is_who_a_token_says_however_it_was_typed(written: str, who: str) -> None:
    body = FileBody(category="long-wait", text="x", about_facility=ABOUT, about_person=written)
    assert body.about_person == who


@pytest.mark.parametrize("subject", ["staff-17", "STAFF-17", "Staff-17"])
def test_who_is_complained_about_neither_sees_it_nor_acts_however_either_is_written(subject: str) -> None:
    body = FileBody(category="long-wait", text="x", about_facility=ABOUT, about_person="STAFF-17")
    state = {"offices": [FIRST], "about_person": body.about_person}
    theirs, another = (
        Access(Caller(who, "nodal-officer", FIRST), ACCESS["POST /grievances/{id}/resolve"])
        for who in (subject, "staff-18")
    )
    another.check(state)
    with pytest.raises(Forbidden):
        theirs.check(state)
    assert body.about_person in theirs.filter()["state.about_person"]["$nin"]
    assert body.about_person not in another.filter()["state.about_person"]["$nin"]


def test_an_appeal_goes_on_up_and_never_to_who_decided() -> None:
    pm_jay = Appeal(window=span("30 days"), redress=span("30 days"), ladder=(span("40 days"), span("50 days")))
    steps = []
    rule: Appeal | None = pm_jay
    while rule is not None:
        steps.append(rule.redress.model_dump())
        rule = rule.further
    assert steps == ["30 days", "40 days", "50 days"], "one appeal for each level that there is"
    cells = Cells({37: CELL}, "IN-NATIONAL-CELL")
    assert cells.above(CELL, (FIRST, SECOND), (ABOUT,)) == CELL
    assert cells.above(CELL, (FIRST, CELL), (ABOUT,)) == "IN-NATIONAL-CELL"
    assert cells.above(CELL, (FIRST, CELL), (ABOUT, "IN-NATIONAL-CELL")) == CELL
    decided = run([(FIXED, 1)], first=dataclasses.replace(FILE, parent="g1"))[0]
    unreachable = decided.model_copy(update={"status": "closed-unreachable"})
    assert allowed(unreachable, "reporter") == (), "its parent was told how it ended"


class Known:
    """Of a made-up place: what filing asks of the directory, the calendars and the journal."""

    code, state_lgd, district_lgd = ABOUT, 37, 9

    async def facility(self, code: str) -> Any:
        return self

    async def above(self, code: str) -> list[str]:
        return [FIRST]

    async def at(self, state_lgd: int, district_lgd: int) -> Any:
        return OFFICE

    async def create(self, kind: Any, id: str, decide: Any, cause: Any, access: Any) -> Any:
        state = None
        for event in decide(None):
            state = evolve(state, event)
        return state


@pytest.mark.parametrize(("received", "since"), [("2026-10-31", "2023-08-17"), ("2026-11-01", "2026-11-01")])
async def test_paper_is_promised_what_held_on_the_day_it_came_in(received: str, since: str) -> None:
    shipped = next(one for one in read_jurisdictions(known=read_categories()) if one.code == "ladakh")
    older = shipped.versions[0]
    newer = older.model_copy(update={"valid_from": dt.date(2026, 11, 1)})
    jurisdiction = shipped.model_copy(update={"versions": (older, newer)})
    known: Any = Known()
    now = SimpleNamespace(now=lambda: START)
    office = Office(known, known, now, known, Cells({}, CELL), [jurisdiction], known, read_categories(), known)
    at = dt.datetime.fromisoformat(f"{received}T06:00:00+05:30")
    complaint = Complaint(read_categories()["long-wait"], "x", ABOUT, None, "en", None, door="post", received_at=at)
    filed = await file(office, complaint, Cause("c1", "desk@X", START), SYSTEM)
    assert isinstance(filed, Grievance)
    assert (filed.policy.since.isoformat(), filed.received) == (since, at)
