"""Root causes with an owner and a date, and the rules by which events open cases."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from grievance_case import run

from libs.common.lined import BadFile
from libs.common.refusal import Refused
from libs.contracts import generate
from services.grievance import clustering, usecases
from services.grievance.catalogue import read_categories, read_proactive, read_screening
from services.grievance.clustering import CLUSTER
from services.grievance.domain import cluster, proactive
from services.grievance.domain.cluster import (
    Cluster,
    Fix,
    NoteOverdue,
    NoteTold,
    Open,
    Revise,
    decide,
    evolve,
    may_answer,
)
from services.grievance.domain.commands import Command, Resolve
from services.grievance.domain.proactive import Rule, found
from services.grievance.domain.state import Grievance, accused

NOW = dt.datetime(2026, 11, 20, 5, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(days=10)
OWNER = "nodal-officer@LA-LEH-DH-SNM"
OPEN = Open(
    "LA-LEH-PHC-PANAMIK", "long-wait", "2026-11", ("LA-LEH-DH-SNM", "LA-STATE-CELL"), OWNER, "one counter", LATER
)


def after(*commands: cluster.Command, now: dt.datetime = NOW) -> Cluster:
    state = None
    for command in commands:
        for event in decide(state, command, now):
            state = evolve(state, event)
    assert state is not None
    return state


def test_a_root_cause_has_an_owner_a_date_and_is_fixed_once() -> None:
    state = after(OPEN)
    assert (CLUSTER.due(state), CLUSTER.retry_at(state) is not None) == (LATER, True)
    assert CLUSTER.retry_at(after(OPEN, NoteTold(1))) is None
    fixed = after(OPEN, NoteTold(1), Fix("fixed", "a second counter"))
    assert (fixed.status, CLUSTER.due(fixed), CLUSTER.retry_at(fixed) is not None) == ("fixed", None, True)
    for command in (Fix("fixed", "again"), Revise(OWNER, "x", LATER), OPEN):
        with pytest.raises(Refused):
            decide(fixed, command, NOW)
    assert decide(fixed, NoteTold(2), NOW) != []
    assert decide(after(OPEN, NoteTold(1), Fix("fixed", "x"), NoteTold(2)), NoteTold(2), NOW) == []


def test_a_missed_date_is_noted_once_and_a_new_one_starts_anew() -> None:
    state = after(OPEN)
    assert decide(state, NoteOverdue(), LATER - dt.timedelta(seconds=1)) == []
    (event,) = decide(state, NoteOverdue(), LATER)
    late = evolve(state, event)
    assert (late.overdue, CLUSTER.due(late), decide(late, NoteOverdue(), LATER)) == (True, None, [])
    revised = evolve(late, decide(late, Revise(OWNER, "two counters", LATER + dt.timedelta(days=9)), LATER)[0])
    assert (revised.overdue, CLUSTER.due(revised)) == (False, LATER + dt.timedelta(days=9))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"owner": "nodal-officer@LA-LEH-PHC-PANAMIK"}, "owner"),
        ({"owner": "doctor@LA-LEH-DH-SNM"}, "owner"),
        ({"fix_by": NOW}, "fix_by"),
        ({"fix_by": NOW + dt.timedelta(days=400)}, "fix_by"),
    ],
)
def test_nobody_owns_what_they_caused_and_a_date_lies_ahead(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as refusal:
        decide(None, Open(**{**OPEN.__dict__, **change}), NOW)
    assert refusal.value.field == field


def test_a_fix_does_not_answer_a_case_that_is_about_one_of_those_who_say_so() -> None:
    state = after(OPEN)
    assert cluster.may_answer(state, ("LA-LEH-PHC-PANAMIK",))
    assert cluster.may_answer(state, accused("LA-LEH-PHC-PANAMIK", ("LA-LEH-CHC-SKURBUCHAN",), "staff-7"))
    assert not cluster.may_answer(state, accused("LA-LEH-PHC-PANAMIK", ("LA-LEH-DH-SNM",), None))
    assert not cluster.may_answer(state, accused("LA-LEH-PHC-PANAMIK", (), "nodal-officer@LA-STATE-CELL"))


def test_a_month_is_an_indian_one() -> None:
    first, following = cluster.bounds("2026-12")
    assert (first.isoformat(), following.isoformat()) == ("2026-11-30T18:30:00+00:00", "2026-12-31T18:30:00+00:00")
    assert (cluster.month_of(first), cluster.month_of(first - dt.timedelta(seconds=1))) == ("2026-12", "2026-11")
    with pytest.raises(Refused):
        cluster.bounds("2026-13")


# Events that open a case

RULES = read_proactive(known=read_categories())
REFUSAL = {"facility": "A-B", "scheme": "himcare", "refused_on": "2026-07-15"}
REFUSED_WRONGLY = ("enrolment-refused-wrongly", "k", "himcare", "2026-07-15")
LEG = {"patient": "p1", "origin": "A-B", "destination": "C-D", "service": "surgery", "urgency": "urgent"}


def test_each_kind_of_event_of_the_list_has_its_rule() -> None:
    assert {rule.because for rules in RULES.values() for rule in rules} == {
        "referral-breach",
        "death-in-transfer",
        "message-undelivered",
        "token-never-called",
        "enrolment-refused-wrongly",
    }


@pytest.mark.parametrize(
    ("type_", "data", "same"),
    [
        ("referral.ReferralBreached.v1", LEG | {"promise": "answer"}, ("referral-breach", "k", "answer")),
        ("referral.OutcomeRecorded.v1", LEG | {"outcome": "brought-dead"}, ("death-in-transfer", "k")),
        ("referral.OutcomeRecorded.v1", LEG | {"outcome": "died"}, None),
        ("referral.OutcomeRecorded.v1", LEG | {"outcome": "admitted"}, None),
        ("referral.ReferralCancelled.v1", LEG | {"reason": "patient-died"}, ("death-in-transfer", "k")),
        ("referral.ReferralCancelled.v1", LEG | {"reason": "patient-refused"}, None),
        ("notifications.MessageFailed.v1", {"recipient": "patient:p1", "reason": "barred"}, ("patient:p1", "2026-11")),
        ("notifications.MessageFailed.v1", {"recipient": "patient:p1", "reason": "no-address"}, None),
        ("notifications.MessageFailed.v1", {"recipient": "officer@C-D", "reason": "barred"}, None),
        ("notifications.MessageFailed.v1", {"recipient": "patient:p1", "reason": "barred", "last": False}, None),
        ("notifications.RecipientNotReached.v1", {"recipient": "patient:p1"}, ("patient:p1", "2026-11")),
        ("watch.TokenNeverCalled", {"facility": "A-B"}, ("token-never-called", "k")),
        ("referral.PatientDeceased.v1", LEG | {"place": "on-the-way"}, ("death-in-transfer", "k")),
        ("registration.EnrolmentRefused.v1", REFUSAL | {"entitled": True}, REFUSED_WRONGLY),
        ("registration.EnrolmentRefused.v1", REFUSAL | {"entitled": False}, None),
        ("registration.EnrolmentRefusalReversed.v1", REFUSAL | {"because": "officers-leave"}, REFUSED_WRONGLY),
    ],
)
def test_what_opens_a_case_and_what_makes_two_events_one(
    type_: str, data: dict[str, Any], same: tuple[str, ...] | None
) -> None:
    opened = found(RULES[type_], "k", data, NOW)
    assert (opened is not None) == (same is not None)
    if opened is not None and same is not None:
        assert opened.same[-len(same) :] == same


def test_who_is_accused_of_a_death_on_the_way_is_both_ends() -> None:
    opened = found(RULES["referral.ReferralCancelled.v1"], "k", LEG | {"reason": "patient-died"}, NOW)
    assert opened is not None
    assert (opened.about, opened.also_about, opened.referral) == ("A-B", ("C-D",), "k")


@pytest.mark.parametrize(
    ("promise", "rests_with", "category", "about", "also"),
    [
        ("answer", "C-D", "referral-not-answered", "C-D", ()),
        ("arrival", "A-B", "referral-not-completed", "A-B", ("C-D",)),
        ("chain", "A-B", "referral-not-completed", "A-B", ("C-D",)),
        ("chain", "C-D", "referral-not-completed", "C-D", ("A-B",)),
        ("chain", None, "referral-not-completed", "C-D", ("A-B",)),
    ],
)
def test_a_broken_promise_is_about_who_had_the_next_step(
    promise: str, rests_with: str | None, category: str, about: str, also: tuple[str, ...]
) -> None:
    said = LEG | {"promise": promise, "rests_with": rests_with}
    opened = found(RULES["referral.ReferralBreached.v1"], "k", said, NOW)
    assert opened is not None
    assert (opened.rule.category, opened.about, opened.also_about) == (category, about, also)


def test_nobody_fixes_what_is_about_themselves_with_a_root_cause() -> None:
    fixed = after(OPEN, Fix("fixed", "a second counter", "staff-17"))
    assert may_answer(fixed, ("LA-LEH-PHC-PANAMIK",), None)
    assert may_answer(fixed, ("LA-LEH-PHC-PANAMIK",), "staff-18")
    assert not may_answer(fixed, ("LA-LEH-PHC-PANAMIK",), "staff-17")
    assert not may_answer(after(OPEN, Fix("fixed", "x", "STAFF-17")), ("LA-LEH-PHC-PANAMIK",), "staff-17")
    assert not may_answer(fixed, ("LA-LEH-PHC-PANAMIK", "LA-LEH-DH-SNM"), None)
    assert may_answer(after(OPEN, Fix("fixed", "x")), ("LA-LEH-PHC-PANAMIK",), None)


async def test_who_fixed_a_root_cause_is_who_resolved_its_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that somebody else verifies a case that opened by itself."""
    case = run([])[0].model_copy(update={"cluster": "k1"})
    moves: list[Command] = []

    async def cases(*_: object) -> AsyncIterator[tuple[str, Grievance]]:
        yield "g1", case

    async def move(office: object, id: str, command: Command, *_: object) -> None:
        moves.append(command)

    monkeypatch.setattr(clustering, "cases", cases)
    monkeypatch.setattr(usecases, "move", move)
    fixed = after(OPEN, NoteTold(1), Fix("fixed", "a second counter", "staff-17"))
    office = Mock(journal=AsyncMock())
    office.clock.now.return_value = NOW
    await clustering.on_timer(office, "k1", {"state": fixed.model_dump(mode="json")})
    assert moves == [Resolve("fixed", "a second counter", "staff-17")]


def test_a_rule_names_fields_that_its_event_has() -> None:
    """Where the contract knows the type; the others wait for it."""
    public = generate.load_events()
    assert {type_ for type_ in RULES if type_ in public} >= {"notifications.MessageFailed.v1"}
    for type_, rule in ((type_, rule) for type_, rules in RULES.items() for rule in rules):
        if type_ in public:
            named = {*rule.about, *rule.also_about, *rule.when, *rule.unless, *rule.starts, *rule.once_per}
            named -= {proactive.KEY, proactive.MONTH, proactive.PLACE_OF_RECIPIENT}
            assert named <= set(public[type_].model_fields), type_


def test_a_bad_file_is_refused_with_its_line(tmp_path: Path) -> None:
    bad = tmp_path / "proactive.yaml"
    bad.write_text("events:\n  a.B.v1:\n    because: x\n    categorie: long-wait\n    about: facility\n    text: t\n")
    with pytest.raises(BadFile, match=r"proactive\.yaml:4: "):
        read_proactive(bad)
    bad.write_text("events:\n  a.B.v1:\n    because: x\n    category: nonsense\n    about: facility\n    text: t\n")
    with pytest.raises(BadFile, match=r"proactive\.yaml:4: .*nonsense"):
        read_proactive(bad, known=["long-wait"])
    row = "because: x\n      category: {}\n      about: facility\n      text: t\n"
    bad.write_text(f"events:\n  a.B.v1:\n    - {row.format('long-wait')}    - {row.format('nonsense')}")
    with pytest.raises(BadFile, match=r"proactive\.yaml:8: .*nonsense"):
        read_proactive(bad, known=["long-wait"])
    row = "events:\n  notifications.MessageFailed.v1:\n    because: x\n    category: long-wait\n    about: recipient\n"
    for wrong, line in (
        ("    once_per: [recipent]\n", 6),
        ("    unless:\n      last: [false]\n      raeson: [x]\n", 8),
        ("    referral: referal\n", 6),
    ):
        bad.write_text(f"{row}{wrong}    text: t\n")
        with pytest.raises(BadFile, match=rf"proactive\.yaml:{line}: notifications.MessageFailed.v1 has no field"):
            read_proactive(bad, known=["long-wait"])
    screening = tmp_path / "screening.yaml"
    screening.write_text("reasons:\n  rti:\n    name: n\n    passed_to: pio\n    explanation:\n      hi: क\n")
    with pytest.raises(BadFile, match=r"screening\.yaml:2: .*English"):
        read_screening(screening)


def test_every_screening_reason_is_explained_in_the_complainants_language_where_there_is_one() -> None:
    reasons = read_screening()
    assert {"sub-judice", "rti", "family-dispute", "religious", "territorial-integrity"} <= set(reasons)
    assert reasons["rti"].told("hi") != reasons["rti"].told("en") == reasons["rti"].told("bo")
    assert all({"en", "hi", "ur"} <= set(reason.explanation) for reason in reasons.values())
    assert all(isinstance(rule, Rule) for rule in RULES["referral.ReferralBreached.v1"])
